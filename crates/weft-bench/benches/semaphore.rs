//! Semaphores: what a signal, a question and a wake cost.
//!
//! `cargo bench -p weft-bench --bench semaphore`. The floor of a signal is a compare-exchange; the floor of a wake across
//! threads is a ping-pong on two bare words of the system (`weft_sync::park::Word`), measured in turn with the
//! semaphores in one run.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use weft_bench::{Figure, Subject, Table, measure};
use weft_sync::park::Word;
use weft_sync::{Deadline, FrontierBuf, Idle, Machine, Result, Semaphore};

/// Operations of one call.
const BATCH: u64 = 64;

/// There and back, so often in one batch; so many batches of each kind, in turn.
const ROUND_TRIPS: u64 = 500;
const BATCHES: usize = 41;

fn main() -> Result<()> {
    let table = Table::begin("semaphores on one thread");
    table.group("signal (mark: weft: signal)", &measure(signals()), Some(30.0));
    table.group("timepoints", &measure(timepoints()), None);
    table.group("questions", &measure(questions()?), None);
    let table = Table::begin("wakes across threads, there and back");
    table.group("blocked (mark: 1.15 x the bare word)", &blocked(), None);
    Ok(())
}

/// A subject that does `operation` many times in one call.
fn many<T>(name: &str, mut operation: impl FnMut() -> T + 'static) -> Subject<'static> {
    let batch = move || {
        for _ in 0..BATCH {
            black_box(operation());
        }
    };
    Subject::new(name, batch).per_call(BATCH)
}

fn signals() -> Vec<Subject<'static>> {
    let word = AtomicU64::new(0);
    let exchange = move || {
        let current = word.load(Ordering::Relaxed);
        word.compare_exchange(current, current + 1, Ordering::AcqRel, Ordering::Relaxed)
    };
    let (plain, mut value) = (Semaphore::new(0), 0);
    let signal = move || {
        value += 1;
        plain.signal(value)
    };
    let (causal, past, mut step) =
        (Semaphore::with_frontier(0, 16), FrontierBuf::single(Machine::LOCAL.queue(0, 0), 1), 0);
    let signal_untainted = move || {
        step += 1;
        causal.signal_untainted(step, black_box(&past))
    };
    vec![
        many("floor: a compare-exchange", exchange),
        many("weft: signal", signal),
        many("signal with a frontier of one entry", signal_untainted),
    ]
}

fn timepoints() -> Vec<Subject<'static>> {
    let (first, mut value) = (Arc::new(Semaphore::new(0)), 0);
    let fired = move || {
        value += 1;
        first.on_reached(value, drop);
        first.signal(value)
    };
    let (second, mut far) = (Arc::new(Semaphore::new(0)), 0);
    let passed_by = {
        second.on_reached(u64::MAX, drop);
        move || {
            far += 1;
            second.signal(far)
        }
    };
    let third = Arc::new(Semaphore::new(0));
    let cancelled = move || third.on_reached(1, drop).cancel();
    let fourth = Arc::new(Semaphore::new(1));
    let known = move || fourth.on_reached(1, drop);
    let (mut fifth, mut link_value) = ([0, 0].map(|value| Arc::new(Semaphore::new(value))), 0);
    let linked = move || {
        link_value += 1;
        let [source, target] = &mut fifth;
        source.link(link_value, target, link_value);
        source.signal(link_value)
    };
    vec![
        many("arm a timepoint, signal that fires it", fired),
        many("signal beside a timepoint that waits on", passed_by),
        many("arm, cancel", cancelled),
        many("arm, answered at once", known),
        many("link, signal that follows it", linked),
    ]
}

fn questions() -> Result<Vec<Subject<'static>>> {
    let past = FrontierBuf::single(Machine::LOCAL.queue(0, 0), 1);
    let [asked, waited] = [0, 0].map(|value| Arc::new(Semaphore::with_frontier(value, 16)));
    asked.signal_untainted(1, &past)?;
    waited.signal(1)?;
    let causal = Arc::clone(&asked);
    Ok(vec![
        many("query", move || asked.query()),
        many("wait that is met", move || waited.wait(1, Deadline::NEVER)),
        many("complete frontier of a value", move || causal.complete_frontier::<4>(1)),
    ])
}

/// One side of a ping-pong: what round it is, how to tell the other side, how to wait for it.
trait Side: Sync {
    fn tell(&self, round: u64);
    fn await_round(&self, round: u64);
}

/// A word of the system, and nothing else.
struct Bare(Word);

impl Side for Bare {
    fn tell(&self, round: u64) {
        self.0.value().store(round as u32, Ordering::Release);
        self.0.wake(1);
    }

    fn await_round(&self, round: u64) {
        loop {
            let seen = self.0.value().load(Ordering::Acquire);
            if seen == round as u32 {
                return;
            }
            self.0.sleep(seen, Deadline::NEVER);
        }
    }
}

/// A semaphore, and how the thread that waits for it passes the time.
struct Timeline(Semaphore, Idle);

impl Side for Timeline {
    fn tell(&self, round: u64) {
        self.0.signal(round).expect("rounds rise");
    }

    fn await_round(&self, round: u64) {
        self.0.wait_with(round, Deadline::NEVER, self.1).expect("nobody fails it");
    }
}

/// Nanoseconds of one way, over a batch of round trips.
fn ping_pong([there, back]: [&dyn Side; 2], first: u64) -> f64 {
    let rounds = first..first + ROUND_TRIPS;
    std::thread::scope(|scope| {
        scope.spawn({
            let rounds = rounds.clone();
            move || {
                for round in rounds {
                    there.await_round(round);
                    back.tell(round);
                }
            }
        });
        let start = Instant::now();
        for round in rounds {
            there.tell(round);
            back.await_round(round);
        }
        start.elapsed().as_secs_f64() * 1e9 / (2 * ROUND_TRIPS) as f64
    })
}

fn blocked() -> Vec<Figure> {
    let bare = [0, 0].map(|round| Bare(Word::new(round)));
    let timelines = [Idle::Block, Idle::Yield, Idle::Active]
        .map(|idle| [0, 0].map(|it| Timeline(Semaphore::new(it), idle)));
    let names = [
        "floor: bare words",
        "weft: semaphores, blocking",
        "semaphores, 500 ns of looking first",
        "semaphores, looking to the end",
    ];
    let sides: Vec<[&dyn Side; 2]> = std::iter::once([&bare[0] as &dyn Side, &bare[1]])
        .chain(timelines.iter().map(|[there, back]| [there as &dyn Side, back]))
        .collect();
    let mut times = vec![Vec::with_capacity(BATCHES); sides.len()];
    for batch in 0..=BATCHES {
        for (pair, times) in sides.iter().zip(&mut times) {
            let time = ping_pong(*pair, 1 + batch as u64 * ROUND_TRIPS);
            if batch > 0 {
                times.push(time);
            }
        }
    }
    names.iter().zip(&times).map(|(name, own)| Figure::of(*name, own, &times[0])).collect()
}
