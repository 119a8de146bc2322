//! What a token stops that runs already: dispatches, transfers of files, waits; and when nothing of it is left. What has
//! not begun is in `cancel.rs`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use weft_hal::{
    CommandBufferMode, Dispatch, DispatchFlags, ExecuteFlags, Fault, Faults, File, MemoryAccess,
    PositionalFile, Region, Submission,
};
use weft_io::Config;
use weft_sync::{CancelToken, Code, Deadline, wait_all_unless};

use crate::case::Caps;
use crate::hal::file::native_file;
use crate::hal::gate::Gate;
use crate::hal::polled_file::with_every_proactor;
use crate::subject::{NOW, Subject, bytes_of, eventually, fails_with, point, region, semaphore, soon, whole};

/// The plain device, which is there to be compared with, reads on the thread of its queue.
const ASYNC_POOLS: Caps = Caps::ASYNC.union(Caps::POOLS);

crate::cases! { $ CANCEL_RUNNING for_each_cancel_running_case {
    running_dispatches_stop_at_the_next_workgroup: Caps::WORK;
    recordings_stop_between_commands: Caps::WORK;
    commands_that_run_while_they_are_recorded_stop: Caps::WORK;
    other_work_of_the_queue_is_unharmed: Caps::WORK.union(Caps::ASYNC);
    the_end_is_told_when_nothing_is_left: Caps::WORK;
    blocking_transfers_stop_between_pieces: Caps::WORK;
    polled_reads_are_cancelled: ASYNC_POOLS;
    polled_writes_are_cancelled: ASYNC_POOLS;
    polled_transfers_race_with_their_token: ASYNC_POOLS;
    waits_that_lend_their_thread_are_cancelled: Caps::NONE;
} }

/// Half a minute of workgroups, of which each takes 200 µs.
pub(super) const WORKGROUPS: u32 = 150_000;

/// Workgroups that may still begin once the token is cancelled: those that were claimed.
fn begun_late_max(subject: &Subject) -> usize {
    2 * subject.workers as usize + 4
}

/// Cancels once the dispatch runs; `submit` returns at once, or when it has ended. What ran after that.
pub(super) fn cancel_in_the_middle(subject: &Subject, gate: &Gate, submit: impl Fn(&Submission<'_>) + Sync) {
    let submit = &submit;
    let (token, signal) = (CancelToken::new(), [point(&semaphore(0), 1)]);
    thread::scope(|scope| {
        let at = Submission { signal: &signal, ..NOW }.cancelled_by(Some(&token));
        let submit = move || submit(&at);
        if subject.has.contains(Caps::ASYNC) {
            submit()
        } else {
            drop(scope.spawn(submit))
        }
        eventually("it runs", || gate.visits().len() > 3);
        token.cancel();
        let before = gate.visits().len();
        fails_with(signal[0].semaphore.wait(1, soon()), Code::Cancelled);
        token.wait_idle(soon()).unwrap();
        let late = gate.visits().len() - before;
        assert!(late <= begun_late_max(subject), "{late} workgroups began afterwards");
        assert_eq!(gate.inside(), 0);
    });
}

/// Shared between the threads that there are, and on one of them.
fn running_dispatches_stop_at_the_next_workgroup(subject: &Subject) {
    for flags in [DispatchFlags::empty(), DispatchFlags::ALLOW_INLINE_EXECUTION] {
        let gate = Gate::closed_after(WORKGROUPS);
        let constants = [gate.number()];
        let visit = subject.dispatch("visit", [WORKGROUPS, 1, 1], &constants, &[]);
        cancel_in_the_middle(subject, &gate, |at| {
            let dispatched = subject.device.queue_dispatch(at, &Dispatch { flags, ..visit });
            // Devices that work inside the call say what became of it.
            assert!(dispatched.is_ok() || dispatched.is_err_and(|status| status.code() == Code::Cancelled));
        });
    }
    // The queue is as it was.
    let buffer = subject.buffer(4);
    let operands = [whole(&buffer)];
    let add_one = subject.dispatch("add_one", [1; 3], &[], &operands);
    subject.run(|at| subject.device.queue_dispatch(at, &add_one)).unwrap();
    assert_eq!(subject.read_words(&buffer), [1]);
}

/// Many dispatches of one workgroup, of which none is long; and a reusable recording works again afterwards.
fn recordings_stop_between_commands(subject: &Subject) {
    let gate = Gate::closed_after(WORKGROUPS);
    let constants = [gate.number()];
    let commands = subject.commands(CommandBufferMode::empty(), 0);
    let visit = subject.dispatch("visit", [1; 3], &constants, &[]);
    (0..2_000).for_each(|_| commands.dispatch(&visit).unwrap());
    commands.end().unwrap();
    let run =
        |at: &Submission<'_>| subject.device.queue_execute(at, Some(&commands), None, ExecuteFlags::empty());
    cancel_in_the_middle(subject, &gate, |at| {
        let ended = run(at);
        assert!(ended.is_ok() || ended.is_err_and(|status| status.code() == Code::Cancelled));
    });
    gate.open();
    let before = gate.visits().len();
    subject.run(run).unwrap();
    assert_eq!(gate.visits().len() - before, 2_000);
}

/// Devices that make no use of the permission record, and go by the token of the submission.
fn commands_that_run_while_they_are_recorded_stop(subject: &Subject) {
    let gate = Gate::closed_after(WORKGROUPS);
    let (constants, token) = ([gate.number()], CancelToken::new());
    let mode = CommandBufferMode::ONE_SHOT.union(CommandBufferMode::ALLOW_INLINE_EXECUTION);
    let commands = subject.commands(mode, 0);
    commands.cancelled_by(&token);
    let visit = subject.dispatch("visit", [WORKGROUPS, 1, 1], &constants, &[]);
    thread::scope(|scope| {
        let recording = scope.spawn(|| commands.dispatch(&visit));
        eventually("it runs, or was recorded", || gate.visits().len() > 3 || recording.is_finished());
        token.cancel();
        match recording.join().unwrap() {
            Ok(()) => assert_eq!(gate.visits().len(), 0, "it ran to its end"),
            Err(status) => assert_eq!(status.code(), Code::Cancelled, "{status}"),
        }
        token.wait_idle(soon()).unwrap();
        assert_eq!(gate.inside(), 0);
    });
}

/// What runs beside it, what waits behind it, and what comes after it, without its token.
fn other_work_of_the_queue_is_unharmed(subject: &Subject) {
    let (gate, other) = (Gate::closed_after(WORKGROUPS), Gate::closed_after(300));
    let (constants, others) = ([gate.number()], [other.number(), 1]);
    let (buffer, token) = (subject.buffer(300 * 4), CancelToken::new());
    let signals: Vec<_> = (0..4).map(|_| [point(&semaphore(0), 1)]).collect();
    let operands = [whole(&buffer)];
    let beside = subject.dispatch("visit_and_write", [300, 1, 1], &others, &operands);
    let doomed = subject.dispatch("visit", [WORKGROUPS, 1, 1], &constants, &[]);
    let device = &subject.device;
    device.queue_dispatch(&Submission { signal: &signals[0], ..NOW }, &beside).unwrap();
    let at = Submission { signal: &signals[1], ..NOW }.cancelled_by(Some(&token));
    device.queue_dispatch(&at, &doomed).unwrap();
    let behind = Submission { wait: &signals[0], signal: &signals[2], ..NOW };
    device.queue_dispatch(&behind, &beside).unwrap();
    eventually("both run, one after the other or side by side", || !other.visits().is_empty());
    thread::sleep(Duration::from_millis(2));
    token.cancel();
    fails_with(signals[1][0].semaphore.wait(1, soon()), Code::Cancelled);
    other.open();
    subject.reaches(&signals[2]);
    assert_eq!(subject.read_words(&buffer), vec![2; 300]);
    // Whoever waits for the cancelled one is told so.
    let after = Submission { wait: &signals[1], signal: &signals[3], ..NOW };
    subject.fails(device.queue_barrier(&after), &signals[3], Code::Cancelled);
    assert!(gate.visits().len() < WORKGROUPS as usize / 2);
    token.wait_idle(soon()).unwrap();
}

/// A workgroup that does not end holds up the end, the signal and the buffer; and nothing else does.
fn the_end_is_told_when_nothing_is_left(subject: &Subject) {
    let gate = Gate::closed();
    let (constants, token) = ([gate.number(), 1], CancelToken::new());
    let (buffer, signal) = (subject.buffer(64 * 4), [point(&semaphore(0), 1)]);
    thread::scope(|scope| {
        let submit = || {
            let operands = [whole(&buffer)];
            let at = Submission { signal: &signal, ..NOW }.cancelled_by(Some(&token));
            let dispatch = subject.dispatch("visit_and_write", [64, 1, 1], &constants, &operands);
            drop(subject.device.queue_dispatch(&at, &dispatch));
        };
        if subject.has.contains(Caps::ASYNC) {
            submit()
        } else {
            drop(scope.spawn(submit))
        }
        gate.until_inside(1);
        token.cancel();
        let early = token.wait_idle(Deadline::after(Duration::from_millis(10)));
        fails_with(early, Code::DeadlineExceeded);
        assert_eq!(signal[0].semaphore.query().unwrap(), 0, "told while a kernel has the buffer");
        gate.open();
        token.wait_idle(soon()).unwrap();
        assert_eq!((gate.inside(), token.work_count()), (0, 0));
        fails_with(signal[0].semaphore.query(), Code::Cancelled);
        assert_eq!(Arc::strong_count(&buffer), 1, "the buffer is nobody else's");
        let words = subject.read_words(&buffer);
        assert_eq!(words.iter().sum::<u32>() as usize, gate.visits().len(), "what was done stays done");
    });
}

/// Cancels its token in the second transfer.
struct Cancelling {
    token: CancelToken,
    transfers: Arc<AtomicU32>,
}

impl Cancelling {
    fn transfer(&self, length: usize) -> usize {
        if self.transfers.fetch_add(1, Ordering::Relaxed) == 1 {
            self.token.cancel();
        }
        length
    }
}

impl PositionalFile for Cancelling {
    fn read_at(&self, _offset: u64, target: &mut [u8]) -> io::Result<usize> {
        target.fill(5);
        Ok(self.transfer(target.len()))
    }

    fn write_at(&self, _offset: u64, source: &[u8]) -> io::Result<usize> {
        Ok(self.transfer(source.len()))
    }

    fn length(&self) -> u64 {
        0
    }
}

/// Of five pieces two are moved.
fn blocking_transfers_stop_between_pieces(subject: &Subject) {
    const PIECE: usize = 8 << 20;
    let access = MemoryAccess::READ.union(MemoryAccess::WRITE);
    let buffer = subject.buffer(5 * PIECE as u64);
    for reads in [true, false] {
        let (token, transfers) = (CancelToken::new(), Arc::new(AtomicU32::new(0)));
        let file = Cancelling { token: token.clone(), transfers: Arc::clone(&transfers) };
        let file = Arc::new(File::from_positional(access, Box::new(file)).named("weights"));
        let signal = [point(&semaphore(0), 1)];
        let at = Submission { signal: &signal, ..NOW }.cancelled_by(Some(&token));
        let submitted = match reads {
            true => subject.device.queue_read(&at, &file, 0, &Region::whole(&buffer)),
            false => subject.device.queue_write(&at, &Region::whole(&buffer), &file, 0),
        };
        subject.fails(submitted, &signal, Code::Cancelled);
        token.wait_idle(soon()).unwrap();
        assert_eq!(transfers.load(Ordering::Relaxed), 2, "it went on");
    }
    let bytes = bytes_of(&buffer);
    assert!(
        bytes[..2 * PIECE].iter().all(|&byte| byte == 5) && bytes[2 * PIECE..].iter().all(|&byte| byte == 0)
    );
}

/// Nobody polls, so it is under way for as long as the case likes; and its buffer is the system's.
fn polled_reads_are_cancelled(subject: &Subject) {
    let content = vec![3_u8; 5 * (8 << 20)];
    with_every_proactor(&Config::new(), |polled| {
        let faults = Arc::new(Faults::every(0, Fault::Ends));
        let file = polled.file(MemoryAccess::READ, native_file(&content));
        let file = Arc::new(file.with_faults(Arc::clone(&faults)).named("weights"));
        polled.pause();
        let (large, small) = (subject.buffer(content.len() as u64), subject.buffer(64));
        let signals: Vec<_> = (0..2).map(|_| [point(&semaphore(0), 1)]).collect();
        let token = CancelToken::new();
        let at = Submission { signal: &signals[0], ..NOW }.cancelled_by(Some(&token));
        subject.device.queue_read(&at, &file, 0, &Region::whole(&large)).unwrap();
        eventually("four pieces are under way", || faults.count() == 4);
        let at = Submission { signal: &signals[1], ..NOW };
        subject.device.queue_read(&at, &file, 0, &Region::whole(&small)).unwrap();
        token.cancel();
        fails_with(token.wait_idle(Deadline::after(Duration::from_millis(5))), Code::DeadlineExceeded);
        assert_eq!(signals[0][0].semaphore.query().unwrap(), 0, "told while the system has the buffer");
        assert!(Arc::strong_count(&large) > 1, "the buffer is kept for the system");
        polled.resume();
        let status = signals[0][0].semaphore.wait(1, soon()).unwrap_err();
        assert_eq!(status.code(), Code::Cancelled);
        assert!(status.to_string().contains("`weights`"), "{status}");
        token.wait_idle(soon()).unwrap();
        assert_eq!(Arc::strong_count(&large), 1);
        subject.reaches(&signals[1]);
        assert_eq!(bytes_of(&small), [3; 64], "{}", polled.backend);
        assert!(faults.count() <= 5, "no further piece was submitted");
    });
}

/// As [`polled_reads_are_cancelled`], the other way.
fn polled_writes_are_cancelled(subject: &Subject) {
    with_every_proactor(&Config::new(), |polled| {
        let faults = Arc::new(Faults::every(0, Fault::Ends));
        let access = MemoryAccess::READ.union(MemoryAccess::WRITE);
        let file = polled.file(access, native_file(&[0; 64]));
        let file = Arc::new(file.with_faults(Arc::clone(&faults)));
        polled.pause();
        let (large, signal) = (subject.buffer(5 * (8 << 20)), [point(&semaphore(0), 1)]);
        let token = CancelToken::new();
        let at = Submission { signal: &signal, ..NOW }.cancelled_by(Some(&token));
        subject.device.queue_write(&at, &Region::whole(&large), &file, 0).unwrap();
        eventually("four pieces are under way", || faults.count() == 4);
        token.cancel();
        polled.resume();
        fails_with(signal[0].semaphore.wait(1, soon()), Code::Cancelled);
        token.wait_idle(soon()).unwrap();
        assert_eq!((Arc::strong_count(&large), faults.count()), (1, 4));
        // The file is usable.
        subject.run(|at| subject.device.queue_write(at, &region(&large, 0, 64), &file, 0)).unwrap();
    });
}

/// Each ends once, well or cancelled; and what ended well is there.
fn polled_transfers_race_with_their_token(subject: &Subject) {
    let content = vec![9_u8; 3 * (8 << 20)];
    with_every_proactor(&Config::new(), |polled| {
        let file = Arc::new(polled.file(MemoryAccess::READ, native_file(&content)));
        let buffer = subject.buffer(content.len() as u64);
        for round in 0..30_u32 {
            buffer.zero(0, content.len() as u64).unwrap();
            let (token, signal) = (CancelToken::new(), [point(&semaphore(0), 1)]);
            let canceller = token.clone();
            let thread = thread::spawn(move || {
                thread::sleep(Duration::from_micros(u64::from(round) * 200));
                canceller.cancel();
            });
            let at = Submission { signal: &signal, ..NOW }.cancelled_by(Some(&token));
            subject.device.queue_read(&at, &file, 0, &Region::whole(&buffer)).unwrap();
            thread.join().unwrap();
            token.wait_idle(soon()).unwrap();
            match signal[0].semaphore.query() {
                Ok(value) => {
                    assert_eq!(value, 1, "it has ended");
                    assert!(bytes_of(&buffer) == content, "{}", polled.backend);
                }
                Err(status) => assert_eq!(status.code(), Code::Cancelled, "{status}"),
            }
        }
    });
}

/// A thread that waits by working for the device hears of it at once; so does one that only waits.
fn waits_that_lend_their_thread_are_cancelled(subject: &Subject) {
    for points in [1, 12] {
        let never: Vec<_> = (0..points).map(|_| point(&semaphore(0), 1)).collect();
        let (token, reached) = (CancelToken::new(), [point(&semaphore(1), 1)]);
        thread::scope(|scope| {
            let lent = scope
                .spawn(|| subject.device.lending(|| wait_all_unless(&never, Some(&token), Deadline::NEVER)));
            let plain = scope.spawn(|| wait_all_unless(&never, Some(&token), Deadline::NEVER));
            thread::sleep(Duration::from_millis(5));
            assert!(!lent.is_finished() && !plain.is_finished());
            token.cancel();
            fails_with(lent.join().unwrap(), Code::Cancelled);
            fails_with(plain.join().unwrap(), Code::Cancelled);
        });
        let again = subject.device.lending(|| wait_all_unless(&reached, Some(&token), Deadline::NEVER));
        fails_with(again, Code::Cancelled);
        let other = CancelToken::new();
        subject.device.lending(|| wait_all_unless(&reached, Some(&other), Deadline::NEVER)).unwrap();
        // Nothing is left registered.
        assert!(never.iter().all(|point| format!("{:?}", point.semaphore).contains("pending: 0")));
    }
}
