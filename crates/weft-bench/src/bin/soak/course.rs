//! The course of a run: connections are opened, live for a while, come to their end, and are counted.

use crate::outside::Outside;
use crate::process::{handles, handles_allowed, has_grown, resident};
use crate::totals::Sums;
use crate::world::{World, proactor, welcome, wind_up};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weft_io::{Poller, Socket, SocketKind, SocketOptions};
use weft_sync::{Deadline, Status};

/// What was asked for.
pub struct Plan {
    pub seconds: u64,
    /// That many are open at once.
    pub connections: usize,
    pub backend: String,
    pub seed: u64,
    /// At least so many have their far end in another process.
    pub outside: usize,
}

/// Addresses of listeners: a pair of addresses has some 28,000 connections, those that are waited out included.
const TCP_LISTENERS: u8 = 16;
/// Between two looks at how many are open.
const LOOK: Duration = Duration::from_secs(1);
/// How long the machine has to open all of them before it gets less to do.
const FILLING: Duration = Duration::from_secs(15);
/// What may be added to twice the time that was asked for, because not as many were open.
const LONGEST: Duration = Duration::from_secs(60);
/// Between two reports.
const REPORT: Duration = Duration::from_secs(10);
/// New connections between two polls in the beginning.
const OPENED_AT_ONCE: usize = 64;
/// Handles for everything but the ends of connections: listeners, greetings, the proactor's own.
const SPARE_HANDLES: usize = 192;

/// Places for connections.
#[derive(Clone, Copy)]
struct Places {
    inside: usize,
    outside: usize,
}

impl Places {
    /// More than are open at once, because at every moment some are about to open or to end. Both ends are here as long
    /// as handles are allowed for it; if they are not, every fourth far end is elsewhere.
    fn new(plan: &Plan) -> Result<Places, String> {
        let all = plan.connections + plan.connections / 32 + 16;
        let need = all * 2 + SPARE_HANDLES;
        let allowed = handles_allowed(need as u64) as usize;
        let missing = need.saturating_sub(allowed);
        if missing > all {
            return Err(format!("{allowed} handles are allowed (ulimit -Hn), too few for {all} connections"));
        }
        let spared = if missing > 0 { missing.max(all / 4) } else { 0 };
        let outside = spared.max(plan.outside).min(all);
        if missing > 0 {
            println!("{allowed} handles are allowed (ulimit -Hn): {outside} far ends are in another process");
        }
        Ok(Places { inside: all - outside, outside })
    }
}

/// Does all of it.
pub fn run(plan: &Plan) -> Result<(), String> {
    let text = |why: Status| why.to_string();
    let places = Places::new(plan)?;
    // What the first socket of a process keeps for good.
    drop(Socket::new(SocketKind::Tcp, SocketOptions::empty()).map_err(text)?);
    let before = handles();
    let mut outside = match places.outside {
        0 => None,
        count => Some(Outside::begin(plan, count)?),
    };
    let mut poller = proactor(&plan.backend, places.inside + places.outside).map_err(text)?;
    println!("{}", poller.handle().describe());
    let mut wrong = soak(plan, places, &mut poller, &mut outside)?;
    drop(poller);
    drop(outside);
    let after = handles();
    if after > before {
        wrong.push(format!("{before} handles in the beginning, {after} in the end"));
    }
    println!("  handles: {before} before, {after} after");
    for line in &wrong {
        eprintln!("  {line}");
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} things are wrong", wrong.len())) }
}

/// Everything on the proactor; what was wrong.
fn soak(
    plan: &Plan,
    places: Places,
    poller: &mut Poller,
    outside: &mut Option<Outside>,
) -> Result<Vec<String>, String> {
    let text = |why: Status| why.to_string();
    let world = World::new(poller.handle().clone(), plan.seed, places.inside).map_err(text)?;
    let world = Arc::new(world);
    let (targets, accepts) = welcome(&world, TCP_LISTENERS).map_err(text)?;
    let mut held = world.lock();
    held.targets = targets;
    held.targets_outside = outside.as_ref().map_or(Vec::new(), |outside| outside.targets.clone());
    drop(held);
    let outcome = traffic(plan, places.inside + places.outside, &world, poller, outside);
    // Also when it went wrong: whoever has connections goes on with them.
    let took = wind_up(&world, poller, &accepts);
    let (warm, end) = outcome?;
    println!("{:.1} s to come to the end", took.as_secs_f64());
    let mut wrong = verdict(plan, &world, warm, end);
    if let Some(outside) = outside {
        let sums = world.lock().totals.outside;
        wrong.extend(outside.end()?.check(&sums));
    }
    Ok(wrong)
}

/// The busy part: as long as asked for with as many connections open. Memory after a third of it, and in the end.
fn traffic(
    plan: &Plan,
    places: usize,
    world: &Arc<World>,
    poller: &mut Poller,
    outside: &mut Option<Outside>,
) -> Result<(u64, u64), String> {
    let start = Instant::now();
    let (mut next_report, mut next_look, mut warm) = (REPORT, LOOK, 0);
    let mut counted = 0;
    while counted < plan.seconds && start.elapsed() < LONGEST + LOOK * plan.seconds as u32 * 2 {
        let filled = world.lock().connections.len();
        for place in filled..places.min(filled + OPENED_AT_ONCE) {
            world.lock().open(world, place);
        }
        let soon = Deadline::after(Duration::from_millis(if filled < places { 1 } else { 100 }));
        // Nothing ends within that time, perhaps.
        let _ = poller.poll(soon);
        if start.elapsed() >= next_look {
            next_look = start.elapsed() + LOOK;
            outside.as_mut().map_or(Ok(()), Outside::look)?;
            let mut held = world.lock();
            match held.look() >= plan.connections {
                true => counted += 1,
                false if start.elapsed() > FILLING => held.relieve(),
                false => {}
            }
        }
        if start.elapsed() >= next_report {
            next_report += REPORT;
            world.lock().look_for_stuck();
            world.report(start, poller.under_way());
        }
        // Before this everything that is kept for good comes.
        if warm == 0 && counted > plan.seconds / 3 {
            warm = resident();
            outside.as_mut().map_or(Ok(()), Outside::note_memory)?;
        }
    }
    world.report(start, poller.under_way());
    let (looks, seconds) = (start.elapsed().as_secs(), plan.seconds);
    let mut held = world.lock();
    println!(
        "{counted} of {looks} s with {} connections open at once, and pauses up to {:.1} s",
        plan.connections,
        held.pause_ms as f64 / 1e3
    );
    if counted < seconds {
        let text = format!("{} were open at once for {counted} s, not {seconds}", plan.connections);
        held.totals.unexpected(text);
    }
    outside.as_mut().map_or(Ok(()), Outside::note_memory)?;
    Ok((warm, resident()))
}

fn verdict(plan: &Plan, world: &World, warm: u64, end: u64) -> Vec<String> {
    world.close_the_books();
    let mut held = world.lock();
    let totals = &mut held.totals;
    if warm > 0 && has_grown(warm, end) {
        totals.unexpected(format!("memory has grown from {} to {} MiB", warm >> 20, end >> 20));
    }
    println!("\n{} s, {} connections, {}, seed {}", plan.seconds, plan.connections, plan.backend, plan.seed);
    println!("  open at once: at most {}", totals.most);
    println!("  opened {}, refused {}, late greetings {}", totals.opened, totals.refused, totals.late);
    for line in totals.told() {
        println!("  {line}");
    }
    for (name, sums) in [("inside", totals.inside), ("outside", totals.outside)] {
        let Sums { opened, entered, arrived, lost } = sums;
        println!(
            "  {name}: opened {opened}; bytes: sent {entered}, received {arrived}, lost with broken connections {lost}"
        );
    }
    println!("  memory: {} MiB after a third, {} MiB in the end", warm >> 20, end >> 20);
    totals.wrong()
}
