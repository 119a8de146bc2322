//! The executor beside its floors and peers: `docs/spec/task.md`, *What to measure*.
//!
//! `cargo bench -p weft-bench --bench executor [part of a name]`. Floors: a bare futex or spinning hand-over between two
//! threads, a bare loop over tiles. Peers: rayon and chili. Marks: 0.8 × the reference's own benchmark on such a machine.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weft_bench::{Subject, Table, measure};
use weft_sync::park::Word;
use weft_sync::{Deadline, Semaphore};
use weft_task::{
    Drained, Executor, ExecutorOptions, Machine, Process, ProcessOptions, ProcessorSet, Topology, Work,
    WorkerContext, allowed_processors, set_allowed_processors,
};

/// A count of things done, on which one thread sleeps until it is what it wants.
struct Done(Word, AtomicU32);

impl Done {
    fn new() -> Arc<Done> {
        Arc::new(Done(Word::new(0), AtomicU32::new(0)))
    }

    fn count(&self) -> u32 {
        self.0.value().load(Ordering::Acquire)
    }

    fn add(&self) {
        let now = self.0.value().fetch_add(1, Ordering::SeqCst) + 1;
        if now == self.1.load(Ordering::SeqCst) {
            self.0.wake(1);
        }
    }

    fn sleep_until(&self, wanted: u32) {
        self.1.store(wanted, Ordering::SeqCst);
        loop {
            let now = self.0.value().load(Ordering::SeqCst);
            if now == wanted {
                return;
            }
            self.0.sleep(now, Deadline::NEVER);
        }
    }

    fn spin_until(&self, wanted: u32) {
        let mut looks = 0_u32;
        while self.count() != wanted {
            looks += 1;
            if looks.is_multiple_of(1 << 12) {
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }
}

/// Tiles that workers claim one by one; says when it is released.
struct Tiles {
    next: AtomicU32,
    count: u32,
    done: Arc<Done>,
}

impl Work for Tiles {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        let tile = self.next.fetch_add(1, Ordering::Relaxed);
        if tile + 1 >= self.count { Drained::Finished } else { Drained::Worked }
    }

    fn released(&self) {
        self.done.add();
    }
}

fn tiles(done: &Arc<Done>, count: u32, budget: u32) -> Arc<Process> {
    let work = Tiles { next: AtomicU32::new(0), count, done: Arc::clone(done) };
    Process::new(
        work,
        ProcessOptions { wake_budget: budget, compute_slot: count > 1, ..ProcessOptions::default() },
    )
}

fn executor(workers: usize) -> Executor {
    let options = ExecutorOptions { workers, local_memory_bytes: 4096, ..ExecutorOptions::default() };
    Executor::new(&options).expect("threads are to be had")
}

/// With one worker at a time that looks for up to 20 µs before it sleeps.
fn spinning(workers: usize) -> Executor {
    let spin = Duration::from_micros(20);
    let options = ExecutorOptions { workers, spin, local_memory_bytes: 4096, ..ExecutorOptions::default() };
    Executor::new(&options).expect("threads are to be had")
}

fn us(time: f64) -> Option<f64> {
    Some(time * 1_000.0)
}

fn wanted(name: &str) -> bool {
    let mut asked = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    asked.peek().is_none() || asked.any(|part| name.contains(part.as_str()))
}

/// A thread that answers, by futex or by spinning.
fn hand_over<R>(spin: bool, body: impl FnOnce(&mut dyn FnMut()) -> R) -> R {
    hand_over_to(None, spin, body)
}

/// As [`hand_over`], with the thread that answers on one processor.
fn hand_over_to<R>(processor: Option<u32>, spin: bool, body: impl FnOnce(&mut dyn FnMut()) -> R) -> R {
    let (ask, answer, end) = (Done::new(), Done::new(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            processor.inspect(|&processor| pin(processor));
            for turn in 1.. {
                if spin {
                    ask.spin_until(turn)
                } else {
                    ask.sleep_until(turn)
                }
                if end.load(Ordering::Acquire) {
                    return;
                }
                answer.add();
            }
        });
        let mut turn = 0;
        let result = body(&mut || {
            turn += 1;
            ask.add();
            if spin { answer.spin_until(turn) } else { answer.sleep_until(turn) }
        });
        end.store(true, Ordering::Release);
        ask.add();
        result
    })
}

/// Each iteration: a new process, scheduled, drained, completed, its release seen by the caller, which sleeps meanwhile.
fn run_and_wait(executor: &Executor, tile_count: u32, budget: u32) -> impl FnMut() {
    let (executor, done, mut turn) = (executor.clone(), Done::new(), 0_u32);
    move || {
        turn = turn.wrapping_add(1);
        executor.schedule(&tiles(&done, tile_count, budget));
        done.sleep_until(turn);
    }
}

fn run_and_spin(executor: &Executor, tile_count: u32, budget: u32) -> impl FnMut() {
    let (executor, done, mut turn) = (executor.clone(), Done::new(), 0_u32);
    move || {
        turn = turn.wrapping_add(1);
        executor.schedule(&tiles(&done, tile_count, budget));
        done.spin_until(turn);
    }
}

/// Signals a semaphore.
struct Signals(Arc<Semaphore>, u64);

impl Work for Signals {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        self.0.signal(self.1).expect("nobody else signals it");
        Drained::Finished
    }
}

fn run_as_guest(executor: &Executor) -> impl FnMut() {
    let (executor, semaphore, mut turn) = (executor.clone(), Arc::new(Semaphore::new(0)), 0);
    move || {
        turn += 1;
        let process = Process::new(Signals(Arc::clone(&semaphore), turn), ProcessOptions::default());
        let guest = executor.lend().expect("a seat is free");
        guest.schedule_next(&process);
        guest.wait(&semaphore, turn, Deadline::NEVER).expect("it is signalled");
    }
}

fn wakes(table: &Table) {
    let (one, two) = (executor(1), executor(2));
    let rayon = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let (rayon_one, rayon_two) = (rayon(1), rayon(2));
    hand_over(false, |futex| {
        table.group(
            "wake one sleeping worker, run, release seen",
            &measure(vec![
                Subject::new("floor: futex there and back", futex),
                Subject::new("weft, the caller sleeps", run_and_wait(&one, 1, 1)),
                Subject::new("weft, the caller lends itself", run_as_guest(&one)),
                Subject::new("rayon, install", || rayon_one.install(|| black_box(1))),
            ]),
            us(5.04),
        );
    });
    hand_over(true, |spin| {
        table.group(
            "warm worker: the caller spins",
            &measure(vec![
                Subject::new("floor: spin there and back", spin),
                Subject::new("weft, 1 worker, 10 tiles", run_and_spin(&one, 10, 1)),
                Subject::new("weft, the same with elected spin", run_and_spin(&spinning(1), 10, 1)),
            ]),
            us(3.76),
        );
    });
    table.group(
        "wake all, 100 tiles a worker",
        &measure(vec![Subject::new("weft, 1 worker", run_and_wait(&one, 100, 1))]),
        us(4.88),
    );
    table.group(
        "wake all, 100 tiles a worker",
        &measure(vec![
            Subject::new("weft, 2 workers", run_and_wait(&two, 200, 2)),
            Subject::new("rayon, broadcast to 2", || rayon_two.broadcast(|_| black_box(1))),
        ]),
        us(6.88),
    );
    table.group(
        "warm workers: the caller spins",
        &measure(vec![
            Subject::new("weft, 2 workers, 20 tiles", run_and_spin(&two, 20, 2)),
            Subject::new("weft, the same with elected spin", run_and_spin(&spinning(2), 20, 2)),
        ]),
        us(6.16),
    );
    table.group(
        "two processes at once",
        &measure(vec![Subject::new("weft, 2 workers", many(&two, 2))]),
        us(18.0),
    );
    table.group(
        "ten processes one after the other",
        &measure(vec![
            Subject::new("weft, 1 worker, scheduled by the caller", many(&one, 10)),
            Subject::new("weft, 1 worker, each by the one before", chain(&one, 10)),
        ]),
        us(13.3),
    );
}

fn pin(processor: u32) {
    set_allowed_processors(&ProcessorSet::from_iter([processor])).expect("the processor is there");
}

/// The first group again, with both threads in their place. Where they are left to the system a pair that hands over
/// finds itself on one processor or on two, and a wake of a processor that sleeps costs ten times as much: rows of one
/// run may then be of different worlds. These are not.
fn placed_wakes(table: &Table) {
    let before = allowed_processors().expect("the system tells");
    let machine = Machine::read_system().expect("the system tells");
    for (name, worker) in [("one processor", 0), ("two processors", 1)] {
        pin(0);
        let Ok(topology) = Topology::from_processor_ids(&machine, &[worker]) else { continue };
        let options = ExecutorOptions {
            topology: Some(topology),
            local_memory_bytes: 4096,
            ..ExecutorOptions::default()
        };
        let executor = Executor::new(&options).expect("threads are to be had");
        hand_over_to(Some(worker), false, |futex| {
            table.group(
                &format!("wake one sleeping worker, {name}"),
                &measure(vec![
                    Subject::new("floor: futex there and back", futex),
                    Subject::new("weft, the caller sleeps", run_and_wait(&executor, 1, 1)),
                    Subject::new("weft, ten one after the other", chain(&executor, 10)),
                    Subject::new("weft, 100 tiles", run_and_wait(&executor, 100, 1)),
                ]),
                None,
            );
        });
    }
    set_allowed_processors(&before).expect("it was so before");
}

/// `count` immediate processes, each activated by the one before.
fn chain(executor: &Executor, count: u32) -> impl FnMut() {
    let (executor, done, mut turn) = (executor.clone(), Done::new(), 0_u32);
    move || {
        turn = turn.wrapping_add(count);
        let link = |next: Option<Arc<Process>>, first: bool| {
            let work = Tiles { next: AtomicU32::new(0), count: 1, done: Arc::clone(&done) };
            let options = ProcessOptions {
                suspend_count: u32::from(!first),
                dependents: next.into_iter().collect(),
                ..ProcessOptions::default()
            };
            Process::new(work, options)
        };
        let rest = (1..count).fold(None, |next, _| Some(link(next, false)));
        executor.schedule(&link(rest, true));
        done.sleep_until(turn);
    }
}

/// `count` immediate processes, and the wait for all of them.
fn many(executor: &Executor, count: u32) -> impl FnMut() {
    let (executor, done, mut turn) = (executor.clone(), Done::new(), 0_u32);
    move || {
        turn = turn.wrapping_add(count);
        for _ in 0..count {
            executor.schedule(&tiles(&done, 1, 1));
        }
        done.sleep_until(turn);
    }
}

const TILES: u32 = 1_000_000;

fn tile_cost(table: &Table) {
    let (one, two) = (executor(1), executor(2));
    let next = AtomicU32::new(0);
    let subjects = vec![
        Subject::new("floor: bare claims in a loop", || {
            next.store(0, Ordering::Relaxed);
            while next.fetch_add(1, Ordering::Relaxed) < TILES {}
        })
        .per_call(u64::from(TILES)),
        Subject::new("weft, 1 worker", run_and_wait(&one, TILES, 1)).per_call(u64::from(TILES)),
        Subject::new("weft, 2 workers", run_and_wait(&two, TILES, 2)).per_call(u64::from(TILES)),
    ];
    table.group("one drained tile (claim included)", &measure(subjects), Some(10.0));
}

/// A tree in which a node has two children, down to `depth`.
struct Node(Option<Box<(Node, Node)>>, u64);

impl Node {
    fn tree(depth: u32) -> Node {
        let children = (depth > 1).then(|| Box::new((Node::tree(depth - 1), Node::tree(depth - 1))));
        Node(children, 1)
    }

    fn sum(&self) -> u64 {
        self.1 + self.0.as_ref().map_or(0, |children| children.0.sum() + children.1.sum())
    }

    fn sum_rayon(&self) -> u64 {
        let Some(children) = &self.0 else { return self.1 };
        let (left, right) = rayon::join(|| children.0.sum_rayon(), || children.1.sum_rayon());
        self.1 + left + right
    }

    fn sum_chili(&self, scope: &mut chili::Scope<'_>) -> u64 {
        let Some(children) = &self.0 else { return self.1 };
        let (left, right) = scope.join(|s| children.0.sum_chili(s), |s| children.1.sum_chili(s));
        self.1 + left + right
    }
}

/// Sums of subtrees, claimed by workers and the caller.
struct TreeSum {
    tree: Arc<Node>,
    path_count: u32,
    levels: u32,
    next: AtomicU32,
    left: AtomicU32,
    sum: AtomicU64,
    done: Arc<Semaphore>,
}

impl TreeSum {
    fn subtree(&self, path: u32) -> &Node {
        (0..self.levels).fold(&*self.tree, |node, level| {
            let children = node.0.as_ref().expect("the cut is above the leaves");
            if path >> level & 1 == 0 { &children.0 } else { &children.1 }
        })
    }
}

impl Work for TreeSum {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        let path = self.next.fetch_add(1, Ordering::Relaxed);
        if path >= self.path_count {
            return Drained::Nothing;
        }
        self.sum.fetch_add(self.subtree(path).sum(), Ordering::Relaxed);
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Drained::Worked;
        }
        self.done.signal(1).expect("once");
        Drained::Finished
    }
}

fn sum_weft(executor: &Executor, tree: &Arc<Node>, levels: u32, budget: u32) -> u64 {
    let done = Arc::new(Semaphore::new(0));
    let work = Arc::new(TreeSum {
        tree: Arc::clone(tree),
        path_count: 1 << levels,
        levels,
        next: AtomicU32::new(0),
        left: AtomicU32::new(1 << levels),
        sum: AtomicU64::new((1 << levels) - 1),
        done: Arc::clone(&done),
    });
    let options = ProcessOptions { wake_budget: budget, compute_slot: true, ..ProcessOptions::default() };
    let guest = executor.lend().expect("a seat is free");
    guest.schedule_next(&Process::new(Arc::clone(&work), options));
    guest.wait(&done, 1, Deadline::NEVER).expect("it is signalled");
    work.sum.load(Ordering::Relaxed)
}

fn fork_join(table: &Table) {
    // The caller and one worker: as many threads as the peers have, which count the caller too.
    let executor = executor(1);
    let rayon = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let chili = chili::ThreadPool::new();
    for (depth, levels, budget) in [(10, 2, 1), (20, 7, 2)] {
        let tree = Arc::new(Node::tree(depth));
        let expected = (1 << depth) - 1;
        assert_eq!([tree.sum(), sum_weft(&executor, &tree, levels, budget)], [expected; 2]);
        table.group(
            &format!("sum of a tree of {expected} nodes, 2 threads"),
            &measure(vec![
                Subject::new("floor: one thread", || tree.sum()),
                Subject::new("weft, subtrees as tiles", || sum_weft(&executor, &tree, levels, budget)),
                Subject::new("rayon, join", || rayon.install(|| tree.sum_rayon())),
                Subject::new("chili, join", || tree.sum_chili(&mut chili.scope())),
            ]),
            None,
        );
    }
}

/// What `schedule` costs the thread that calls it, by budget, with everybody asleep.
fn schedule_latency() {
    let executor = executor(64);
    println!("schedule() as the submitter sees it, 64 workers asleep");
    for budget in [1, 8, 64, 256] {
        let (done, mut times) = (Done::new(), Vec::new());
        for turn in 1..=200 {
            while executor.report().seats.iter().take(64).any(|seat| !seat.is_idle) {
                std::thread::sleep(Duration::from_micros(50));
            }
            let process = tiles(&done, 64, budget);
            let start = Instant::now();
            executor.schedule(&process);
            times.push(start.elapsed());
            done.sleep_until(turn);
        }
        times.sort();
        println!("  budget {budget:<4} median {:?}, p90 {:?}", times[100], times[180]);
    }
}

fn percentiles() {
    let executor = executor(1);
    let mut once = run_and_wait(&executor, 1, 1);
    let mut times: Vec<Duration> = (0..100_000)
        .map(|_| {
            let start = Instant::now();
            once();
            start.elapsed()
        })
        .collect();
    times.sort();
    let at = |part: f64| times[(times.len() as f64 * part) as usize];
    println!("wake one worker, 100,000 times: p50 {:?}, p99 {:?}, p99.9 {:?}", at(0.5), at(0.99), at(0.999));
}

/// How long an immediate process waits while a compute process keeps every worker busy.
fn fairness() {
    struct Busy(AtomicBool);
    impl Work for Busy {
        fn drain(&self, _: &WorkerContext<'_>) -> Drained {
            if self.0.load(Ordering::Relaxed) { Drained::Finished } else { Drained::Worked }
        }
    }
    let executor = executor(2);
    let busy = Arc::new(Busy(AtomicBool::new(false)));
    executor.schedule(&Process::new(
        Arc::clone(&busy),
        ProcessOptions { wake_budget: 2, ..ProcessOptions::default() },
    ));
    let mut once = run_and_wait(&executor, 1, 1);
    let longest = (0..1_000).map(|_| {
        let start = Instant::now();
        once();
        start.elapsed()
    });
    println!(
        "longest of 1,000 waits of an immediate process with all workers busy: {:?}",
        longest.max().unwrap()
    );
    busy.0.store(true, Ordering::Relaxed);
}

fn main() {
    let table = Table::begin("executor");
    if wanted("wakes") {
        wakes(&table);
    }
    if wanted("placed") {
        placed_wakes(&table);
    }
    if wanted("tiles") {
        tile_cost(&table);
    }
    if wanted("fork-join") {
        fork_join(&table);
    }
    if wanted("latency") {
        schedule_latency();
        percentiles();
        fairness();
    }
}
