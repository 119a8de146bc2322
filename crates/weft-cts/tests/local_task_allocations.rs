//! What a submission to local-task costs the heap once it runs smoothly: nothing.

#![allow(unsafe_code, reason = "counts allocations by standing in for the allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weft_cts::subject::{self, Subject, point, semaphore, soon};
use weft_hal::{
    BindingEntry, Buffer, CommandBufferMode, ExecuteFlags, ExecutionStage, HostCall, HostCallContext,
    HostCallEnd, HostCallFlags, Operand, QueueAffinity, Region, Submission, WHOLE_BUFFER,
};
use weft_sync::{Deadline, Point, Semaphore};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands every call on unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(address, layout) }
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.realloc(address, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Submissions that are under way at the same time. The race detector takes its time over their bytes.
const IN_FLIGHT: usize = if cfg!(tsan) { 20 } else { 100 };

/// As many more in the rounds that warm up: the last of a round may still be leaving when the next round begins, so what
/// is kept for later has to be enough for some more than one round.
const WARM_UP_EXTRA: usize = 60;

/// What the submissions of a round wait for.
#[derive(Clone, Copy, Debug)]
enum Waits {
    /// The one before, which is waited for: reached.
    Reached,
    /// All for one point, which the host signals when all are submitted.
    Host,
    /// The first for the host, each other one for the one before it.
    Chain,
    /// All for one point, which a barrier signals that waits for the host.
    Operation,
    /// The host, a barrier, and the one before: three semaphores.
    Several,
}

const WAITS: [Waits; 5] = [Waits::Host, Waits::Chain, Waits::Operation, Waits::Several, Waits::Reached];

/// The semaphores of one case.
struct Round<'a> {
    subject: &'a Subject,
    /// Signalled by the host, and by a barrier.
    gate: Arc<Semaphore>,
    barrier: Arc<Semaphore>,
    /// Signalled by the submissions: each by its own, or all of them one by one.
    own: Vec<Arc<Semaphore>>,
    timeline: Arc<Semaphore>,
    round: u64,
    value: u64,
}

impl Round<'_> {
    fn new(subject: &Subject) -> Round<'_> {
        let own = (0..IN_FLIGHT + WARM_UP_EXTRA).map(|_| warm_semaphore()).collect();
        let [gate, barrier, timeline] = [(); 3].map(|()| warm_semaphore());
        Round { subject, gate, barrier, own, timeline, round: 0, value: 0 }
    }

    /// Submits so many, lets them go, and waits for them.
    fn run(&mut self, waits: Waits, count: usize, submit: &mut dyn FnMut(usize, &Submission<'_>)) {
        self.round += 1;
        let (gate, barrier) = (point(&self.gate, self.round), point(&self.barrier, self.round));
        let affinity = QueueAffinity::ANY;
        if !matches!(waits, Waits::Reached) {
            let (wait, signal) = ([gate.clone()], [barrier.clone()]);
            self.subject
                .device
                .queue_barrier(&Submission { affinity, wait: &wait, signal: &signal, cancel: None })
                .unwrap();
        }
        for index in 0..count {
            let before = point(&self.timeline, self.value);
            let own = [point(&self.own[index], self.round)];
            self.value += 1;
            let next = [point(&self.timeline, self.value)];
            match waits {
                Waits::Host => submit(
                    index,
                    &Submission { affinity, wait: slice::from_ref(&gate), signal: &own, cancel: None },
                ),
                Waits::Operation => submit(
                    index,
                    &Submission { affinity, wait: slice::from_ref(&barrier), signal: &own, cancel: None },
                ),
                Waits::Several => {
                    let wait = [gate.clone(), barrier.clone(), before];
                    submit(index, &Submission { affinity, wait: &wait, signal: &next, cancel: None });
                }
                Waits::Chain if index == 0 => {
                    submit(
                        index,
                        &Submission { affinity, wait: slice::from_ref(&gate), signal: &next, cancel: None },
                    );
                }
                Waits::Chain => {
                    submit(index, &Submission { affinity, wait: &[before], signal: &next, cancel: None })
                }
                Waits::Reached => {
                    submit(index, &Submission { affinity, wait: &[before], signal: &next, cancel: None });
                    self.wait(&next);
                }
            }
        }
        self.gate.signal(self.round).unwrap();
        if matches!(waits, Waits::Host | Waits::Operation) {
            self.value -= count as u64;
            self.own[..count].iter().for_each(|own| self.wait(&[point(own, self.round)]));
        } else {
            self.wait(&[point(&self.timeline, self.value)]);
        }
        if !matches!(waits, Waits::Reached) {
            self.wait(&[barrier]);
        }
    }

    fn wait(&self, points: &[Point]) {
        self.subject.device.wait_all(points, Deadline::NEVER).unwrap();
    }
}

/// One that has kept something for later before: whether a wait finds its point reached is up to chance.
fn warm_semaphore() -> Arc<Semaphore> {
    let semaphore = semaphore(0);
    let timepoints: Vec<_> =
        (0..IN_FLIGHT + WARM_UP_EXTRA).map(|_| semaphore.on_reached(1, |_| ())).collect();
    timepoints.iter().for_each(|timepoint| assert!(timepoint.cancel()));
    semaphore
}

/// Keeps every worker busy while so many are submitted that wait for nothing: as many are under way at the same time as
/// ever can be. And every worker fires that many callbacks.
fn warm_up(subject: &Subject, submit: &mut dyn FnMut(usize, &Submission<'_>)) {
    let workers = subject.workers as usize * if subject.name.contains("queues") { 2 } else { 1 };
    let is_released = Arc::new(AtomicBool::new(false));
    let entered = Arc::new(AtomicU64::new(0));
    let ended: Vec<_> = (0..workers).map(|_| point(&semaphore(0), 1)).collect();
    for (index, end) in ended.iter().enumerate() {
        let (is_released, entered) = (Arc::clone(&is_released), Arc::clone(&entered));
        let function = move |_: &HostCallContext<'_>, _: [u64; 4]| {
            let fired = semaphore(0);
            for _ in 0..IN_FLIGHT + WARM_UP_EXTRA {
                fired.on_reached(1, |_| ());
            }
            fired.signal(1)?;
            entered.fetch_add(1, Ordering::Relaxed);
            while !is_released.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            // By now somebody waits for the end.
            std::thread::sleep(Duration::from_millis(5));
            Ok(HostCallEnd::Done)
        };
        let affinity = QueueAffinity::queue(index as u32 / subject.workers);
        let call =
            HostCall { function: Box::new(function), arguments: [0; 4], flags: HostCallFlags::empty() };
        let signal = slice::from_ref(end);
        subject
            .device
            .queue_host_call(&Submission { affinity, wait: &[], signal, cancel: None }, call)
            .unwrap();
    }
    let begin = Instant::now();
    // Without workers of its own nobody enters before somebody lends.
    let patience = Duration::from_millis(if subject.lends { 300 } else { 20_000 });
    while entered.load(Ordering::Relaxed) < workers as u64 && begin.elapsed() < patience {
        std::thread::yield_now();
    }
    let own: Vec<_> = (0..IN_FLIGHT + WARM_UP_EXTRA).map(|_| [point(&semaphore(0), 1)]).collect();
    for (index, signal) in own.iter().enumerate() {
        submit(index, &Submission { signal, ..Submission::IMMEDIATE });
    }
    is_released.store(true, Ordering::Relaxed);
    subject.device.wait_all(&ended, Deadline::NEVER).unwrap();
    own.iter().for_each(|own| subject.device.wait_all(own, Deadline::NEVER).unwrap());
}

/// Counts what submissions allocate in steady state, all of them together, whatever they wait for.
fn check(subject: &Subject, what: &str, mut submit: impl FnMut(usize, &Submission<'_>)) {
    warm_up(subject, &mut submit);
    for waits in WAITS {
        let mut round = Round::new(subject);
        let mut rounds = |count| {
            for _ in 0..3 {
                round.run(waits, count, &mut submit);
            }
        };
        let mut measure = || {
            rounds(IN_FLIGHT + WARM_UP_EXTRA);
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            rounds(IN_FLIGHT);
            ALLOCATIONS.load(Ordering::Relaxed) - before
        };
        let mut measured = || if subject.lends { subject.device.lending(&mut measure) } else { measure() };
        // On a busy machine a list may still meet its longest in the first of them. What allocates does so in each.
        let count = (0..5).map(|_| measured()).find(|&count| count == 0).unwrap_or_else(&mut measured);
        assert_eq!(count, 0, "{}: {} times {what}, waits: {waits:?}", subject.name, 3 * IN_FLIGHT);
    }
}

/// Memory of its own for every submission that may be under way: most of them are unordered among each other.
fn buffers(subject: &Subject) -> Vec<Arc<Buffer>> {
    (0..IN_FLIGHT + WARM_UP_EXTRA).map(|_| subject.buffer(300_000)).collect()
}

fn check_transfers(subject: &Subject) {
    let (source, targets) = (subject.buffer(300_000), buffers(subject));
    let device = &subject.device;
    let region = |buffer, length| Region { buffer, offset: 0, length };
    check(subject, "a barrier", |_, at| device.queue_barrier(at).unwrap());
    for length in [1000, 300_000] {
        check(subject, &format!("a fill of {length} bytes"), |index, at| {
            device.queue_fill(at, &region(&targets[index], length), 7, 4).unwrap();
        });
        check(subject, &format!("a copy of {length} bytes"), |index, at| {
            device.queue_copy(at, &region(&source, length), &region(&targets[index], length)).unwrap();
        });
    }
    for bytes in [&[1; 100][..], &[2; 65_536]] {
        check(subject, &format!("an update of {} bytes", bytes.len()), |index, at| {
            device.queue_update(at, bytes, &targets[index], 8).unwrap();
        });
    }
}

fn check_dispatches(subject: &Subject) {
    let (source, targets) = (subject.buffer(300_000), buffers(subject));
    let device = &subject.device;
    for tiles in [1, 64] {
        check(subject, &format!("a dispatch of {tiles} workgroups"), |index, at| {
            let bindings = [Operand::direct(&targets[index], 0, WHOLE_BUFFER)];
            device
                .queue_dispatch(at, &subject.dispatch("count_each", [tiles, 1, 1], &[], &bindings))
                .unwrap();
        });
    }
    let commands = subject.commands(CommandBufferMode::empty(), 2);
    for width in [1, 40, 3] {
        let bindings = [Operand::slot(1, 0, WHOLE_BUFFER)];
        commands.dispatch(&subject.dispatch("count_each", [width, 1, 1], &[], &bindings)).unwrap();
        commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
        commands.copy(&Operand::slot(0, 0, 64), &Operand::slot(1, 64, 64)).unwrap();
        // The next dispatch writes where the copy does.
        commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
    }
    commands.end().unwrap();
    let tables: Vec<_> =
        targets.iter().map(|target| [BindingEntry::whole(&source), BindingEntry::whole(target)]).collect();
    check(subject, "a command buffer", |index, at| {
        device.queue_execute(at, Some(&commands), Some(&tables[index]), ExecuteFlags::empty()).unwrap();
    });
}

/// [hal 146] [hal 140] Transfers, dispatches, and command buffers that are submitted again allocate nothing, whoever runs
/// them, and whatever they still have to wait for. One test: the count is of the whole process.
#[test]
fn submissions_allocate_nothing_in_steady_state() {
    let subjects = [
        subject::task_1,
        subject::task_2,
        subject::task_8_tiled,
        subject::task_2_queues,
        subject::task_1_queues_tiled,
        subject::task_1_lending,
        subject::task_2_lending,
    ];
    for subject in subjects {
        let subject = subject();
        // Threads allocate when they begin.
        std::thread::sleep(std::time::Duration::from_millis(50));
        check_transfers(&subject);
        check_dispatches(&subject);
        subject.device.wait_idle(soon()).unwrap();
    }
}
