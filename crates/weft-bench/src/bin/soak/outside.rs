//! Far ends in a second process, which is this program again: `soak far [backend] [connections] [seed]`.
//!
//! 1. The second process says on its standard output where its listeners are, then that it is ready; what it has come to
//!    when it has ended; and then that it is done. A line begins with the word that says what it is.
//! 2. On its standard input it is told to note its memory, and to end. It is held open until the second process is done:
//!    one that sees it end before has lost its parent, however that died, and ends at once.
//! 3. Whoever drops [`Outside`] has no second process afterwards.
//! 4. **Bytes**: of what near ends have sent, some is lost on the way there, some is received and never sent back, and
//!    some is lost on the way back. None of these is less than nothing, because each was counted by another process.
//!
//! What a far end does is in `life.rs`, rule 4 there.

use crate::course::Plan;
use crate::process::{handles, has_grown, resident};
use crate::totals::Sums;
use crate::world::{PATIENCE, Target, World, proactor, welcome, wind_up};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use weft_io::{Address, Socket, SocketKind, SocketOptions};
use weft_sync::{Deadline, Status};

/// The argument that makes this program the second process.
pub const FAR: &str = "far";
/// Its addresses of listeners.
const TCP_LISTENERS: u8 = 8;
/// Between two looks at how many are open.
const LOOK: Duration = Duration::from_secs(1);
/// The longest pause of a far end: it comes after every piece, and a message may have twenty.
const PAUSE_MS: u64 = 200;

/// The second process, as the first has it.
pub struct Outside {
    pub targets: Vec<Target>,
    child: Child,
    orders: Option<ChildStdin>,
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Outside {
    /// Begins it, for so many connections, and waits until it is ready.
    pub fn begin(plan: &Plan, connections: usize) -> Result<Outside, String> {
        let text = |why: std::io::Error| format!("the second process: {why}");
        let mut child = Command::new(std::env::current_exe().map_err(text)?)
            .args([FAR, &plan.backend, &connections.to_string(), &plan.seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(text)?;
        let orders = child.stdin.take();
        let said = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let (sender, lines) = channel();
        let reader = std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut outside = Outside { targets: Vec::new(), child, orders, lines, reader: Some(reader) };
        loop {
            let line = outside.hear()?;
            match line.split_once(' ') {
                None if line == "ready" => return Ok(outside),
                Some(("target", address)) => {
                    let kind =
                        if address.starts_with("unix:") { SocketKind::UnixStream } else { SocketKind::Tcp };
                    let address = Address::parse(address).map_err(|why| why.to_string())?;
                    outside.targets.push((kind, address));
                }
                _ => return Err(format!("the second process says `{line}`")),
            }
        }
    }

    fn hear(&self) -> Result<String, String> {
        self.lines.recv_timeout(PATIENCE * 4).map_err(|why| format!("from the second process: {why}"))
    }

    fn order(&mut self, line: &str) -> Result<(), String> {
        let orders = self.orders.as_mut().expect("it has not ended");
        writeln!(orders, "{line}").map_err(|why| format!("to the second process: {why}"))
    }

    /// It is there.
    pub fn look(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            other => Err(format!("the second process has ended before it was told: {other:?}")),
        }
    }

    /// How much it has in memory now is in its report, and is compared with the last time.
    pub fn note_memory(&mut self) -> Result<(), String> {
        self.order("memory")
    }

    /// No near end is there any more. What it has come to.
    pub fn end(&mut self) -> Result<Report, String> {
        self.order("end")?;
        let mut report = Report::default();
        loop {
            let line = self.hear()?;
            let wrong = || format!("the second process says `{line}`");
            match line.split_once(' ') {
                None if line == "done" => break,
                Some(("told", text)) => println!("  second process: {text}"),
                Some(("wrong", text)) => report.wrong.push(format!("second process: {text}")),
                Some((name, number)) => {
                    let number = number.parse().map_err(|_| wrong())?;
                    report.numbers.insert(name.to_owned(), number);
                }
                None => return Err(wrong()),
            }
        }
        self.orders = None;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(report),
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                other => return Err(format!("the second process ended: {other:?}")),
            }
        }
        Err("the second process is done and does not end".to_owned())
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.orders = None;
        // It has ended, perhaps.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// What the second process has come to.
#[derive(Default)]
pub struct Report {
    numbers: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

impl Report {
    fn number(&mut self, name: &str) -> u64 {
        let found = self.numbers.get(name).copied();
        if found.is_none() {
            self.wrong.push(format!("second process: it does not say {name}"));
        }
        found.unwrap_or(0)
    }

    /// What is wrong with it, the sums of the near ends being these.
    pub fn check(mut self, near: &Sums) -> Vec<String> {
        let [opened, most] = ["opened", "most"].map(|name| self.number(name));
        let [received, returned] = ["received", "returned"].map(|name| self.number(name));
        let [before, after] = ["handles_before", "handles_after"].map(|name| self.number(name));
        let [warm, end] = ["memory_warm", "memory_end"].map(|name| self.number(name));
        println!("  second process: {opened} greeted it, at most {most} were open at once");
        println!(
            "  second process: {} sent to it, {received} received, {returned} sent back, {} came back",
            near.entered, near.arrived
        );
        println!("  second process: handles: {before} before, {after} after");
        println!("  second process: memory: {} MiB after a third, {} MiB in the end", warm >> 20, end >> 20);
        if opened > near.opened {
            self.wrong.push(format!("second process: {opened} greeted it, of {}", near.opened));
        }
        if !(near.entered >= received && received >= returned && returned >= near.arrived) {
            self.wrong.push("second process: more came out than went in".to_owned());
        }
        if after > before {
            self.wrong.push(format!("second process: {before} handles in the beginning, {after} in the end"));
        }
        if has_grown(warm, end) {
            self.wrong.push(format!("second process: memory: {warm} bytes, then {end}"));
        }
        self.wrong
    }
}

/// What the second process was told.
#[derive(Default)]
struct Orders {
    memory: Vec<u64>,
    has_to_end: bool,
    is_done: bool,
}

/// Hears orders until there are none any more.
fn obey(orders: &Mutex<Orders>) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let mut orders = orders.lock().expect("nobody panics");
        match line.as_str() {
            "memory" => orders.memory.push(resident()),
            "end" => orders.has_to_end = true,
            other => eprintln!("soak: no order: `{other}`"),
        }
    }
    if !orders.lock().expect("nobody panics").is_done {
        // Rule 2.
        std::process::exit(1);
    }
}

/// Is the second process.
pub fn far(arguments: &[String]) -> Result<(), String> {
    let text = |why: Status| why.to_string();
    let [backend, connections, seed] = arguments else {
        return Err("expected the backend, how many connections, and a seed".to_owned());
    };
    let connections = connections.parse().map_err(|_| format!("expected a number, found `{connections}`"))?;
    let seed: u64 = seed.parse().map_err(|_| format!("expected a number, found `{seed}`"))?;
    // What the first socket of a process keeps for good.
    drop(Socket::new(SocketKind::Tcp, SocketOptions::empty()).map_err(text)?);
    let before = handles();
    let orders = Arc::new(Mutex::new(Orders::default()));
    let told = Arc::clone(&orders);
    std::thread::spawn(move || obey(&told));
    serve(backend, connections, seed, &orders)?;
    println!("handles_before {before}");
    println!("handles_after {}", handles());
    let mut orders = orders.lock().expect("nobody panics");
    for (name, bytes) in ["memory_warm", "memory_end"].into_iter().zip(&orders.memory) {
        println!("{name} {bytes}");
    }
    orders.is_done = true;
    println!("done");
    Ok(())
}

/// Sends everything back until it is to end.
fn serve(backend: &str, connections: usize, seed: u64, orders: &Mutex<Orders>) -> Result<(), String> {
    let text = |why: Status| why.to_string();
    let mut poller = proactor(backend, connections).map_err(text)?;
    // Not what the other process draws.
    let mut world = World::new(poller.handle().clone(), !seed, 0).map_err(text)?;
    world.is_outside = true;
    let world = Arc::new(world);
    world.lock().pause_ms = PAUSE_MS;
    let (targets, accepts) = welcome(&world, TCP_LISTENERS).map_err(text)?;
    for (_, address) in targets {
        println!("target {address}");
    }
    println!("ready");
    let mut last_look = Instant::now();
    while !orders.lock().expect("nobody panics").has_to_end {
        // Nothing ends within that time, perhaps.
        let _ = poller.poll(Deadline::after(Duration::from_millis(100)));
        if last_look.elapsed() >= LOOK {
            last_look = Instant::now();
            world.lock().look();
        }
    }
    let took = wind_up(&world, &mut poller, &accepts);
    world.close_the_books();
    let totals = &mut world.lock().totals;
    println!("told {:.1} s to come to the end, {} cancels", took.as_secs_f64(), totals.cancels);
    for line in totals.told() {
        println!("told {line}");
    }
    println!("opened {}", totals.opened);
    println!("most {}", totals.most.all());
    println!("received {}", totals.outside.entered);
    println!("returned {}", totals.outside.arrived);
    for line in totals.wrong() {
        println!("wrong {}", line.replace('\n', " "));
    }
    Ok(())
}
