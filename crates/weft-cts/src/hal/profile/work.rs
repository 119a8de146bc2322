//! What is recorded of work on workers: who ran which tiles, regions, recordings that run again and again, pools, and
//! sessions that come and go while there is work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weft_hal::pool::{FixedBlockOptions, HostSlabs, Pool, PoolSource};
use weft_hal::profile::{
    ExecutionEvent, MemoryAction, OperationKind, Profile, ProfileLog, WorkerActivity, WorkerEvent,
};
use weft_hal::{
    AllocaFlags, BufferParams, CommandBufferMode, ExecutionStage, Fence, HostCall, HostCallEnd,
    HostCallFlags, Operand, Submission,
};

use super::{everything, of_kind, profiled};
use crate::hal::gate::Gate;
use crate::subject::{Subject, bytes_of, eventually, region, soon, whole};

const REUSABLE: CommandBufferMode = CommandBufferMode::empty();

/// What the workers did for a dispatch.
fn parts_of<'a>(profile: &'a Profile, dispatch: &ExecutionEvent) -> Vec<(&'a WorkerEvent, u64)> {
    let is_its = |event: &&WorkerEvent| (event.start_ns, u64::MAX - event.end_ns) >= (dispatch.start_ns, 0);
    let tiles = profile.workers.iter().filter(is_its).filter_map(|event| match event.activity {
        WorkerActivity::Tiles { executable, function, count, submission } => {
            let is_its = (executable, function, submission)
                == (dispatch.executable, dispatch.function, dispatch.submission);
            (is_its && event.end_ns <= dispatch.end_ns).then_some((event, count))
        }
        _ => None,
    });
    tiles.collect()
}

/// [hal 141] [hal 165] The tiles of a dispatch are told by worker: as many workers as there were threads, as many tiles
/// as each of them ran.
pub(super) fn tiles_are_told_by_worker(subject: &Subject) {
    let gate = Gate::closed_after(8);
    let constants = [gate.number()];
    let profile = profiled(subject, || {
        let fence = Fence::create();
        let visit = subject.dispatch("visit", [256, 1, 1], &constants, &[]);
        subject.device.queue_dispatch(&Submission::between(None, Some(&fence)), &visit).unwrap();
        gate.until_inside(2);
        gate.open();
        subject.passes(&fence);
    });
    let [dispatch] = of_kind(&profile, OperationKind::Dispatch)[..] else { panic!("one dispatch") };
    assert_eq!((dispatch.tile_count, dispatch.worker, dispatch.command_index), (256, None, None));
    let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
    let parts = parts_of(&profile, dispatch);
    parts.iter().for_each(|(event, count)| *seen.entry(event.worker).or_default() += count);
    let mut threads: Vec<(std::thread::ThreadId, u64)> = Vec::new();
    for visit in gate.visits() {
        match threads.iter_mut().find(|(thread, _)| *thread == visit.thread) {
            Some((_, count)) => *count += 1,
            None => threads.push((visit.thread, 1)),
        }
    }
    let sorted = |counts: &mut Vec<u64>| counts.sort_unstable();
    let (mut told, mut real): (Vec<u64>, Vec<u64>) =
        (seen.into_values().collect(), threads.into_iter().map(|(_, count)| count).collect());
    sorted(&mut told);
    sorted(&mut real);
    assert_eq!(told, real, "tiles by worker, tiles by thread");
    // A worker that loses its processor between two tiles is still with the dispatch, and its tiles take no longer.
    let stretches = parts.iter().map(|(event, _)| event.end_ns - event.start_ns).sum();
    assert!((1..=stretches).contains(&dispatch.tile_ns), "{} of {stretches} ns", dispatch.tile_ns);
    // One thread does one thing at a time.
    let mut by_worker: Vec<_> =
        parts.iter().map(|(event, _)| (event.worker, event.start_ns, event.end_ns)).collect();
    by_worker.sort_unstable();
    assert!(by_worker.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0].2 <= pair[1].1));
}

/// [hal 165] Each stretch between barriers is a region, in order, with its tiles.
pub(super) fn regions_are_told(subject: &Subject) {
    let output = subject.buffer(4 * 64);
    let operands = [whole(&output)];
    let commands = subject.commands(REUSABLE, 0);
    for tiles in [1, 64, 3] {
        commands.dispatch(&subject.dispatch("write_ids", [tiles, 1, 1], &[], &operands)).unwrap();
        commands.dispatch(&subject.dispatch("nothing", [tiles, 1, 1], &[], &[])).unwrap();
        commands.barrier(ExecutionStage::DISPATCH, ExecutionStage::DISPATCH).unwrap();
    }
    commands.end().unwrap();
    let profile = profiled(subject, || subject.execute(&commands, None).unwrap());
    let tiles: Vec<u64> = profile.regions.iter().map(|region| region.tile_count).collect();
    assert_eq!(tiles, [2, 128, 6]);
    for (index, region) in profile.regions.iter().enumerate() {
        assert_eq!((region.block_sequence, region.region, region.epoch), (0, index as u32, index as u32));
        assert_eq!(region.submission, profile.queue[0].submission);
        assert!(region.start_ns <= region.end_ns && region.end_ns <= profile.queue[0].end_ns);
        let seats = 1..=subject.workers.min(region.tile_count as u32);
        assert!(seats.contains(&region.budget_before), "{region:?}");
        assert!(region.drains_useful >= 1, "{region:?}");
    }
    assert!(profile.regions.windows(2).all(|pair| pair[0].end_ns <= pair[1].start_ns));
    assert!(
        profile.regions.windows(2).all(|pair| pair[0].budget_after == pair[1].budget_before),
        "{:?}",
        profile.regions
    );
    assert_eq!(profile.regions[2].budget_after, 0);
    let dispatches = of_kind(&profile, OperationKind::Dispatch);
    assert_eq!(dispatches.iter().map(|event| event.tile_count).collect::<Vec<_>>(), [1, 1, 64, 64, 3, 3]);
    for dispatch in dispatches {
        let counts = parts_of(&profile, dispatch).iter().map(|(_, count)| count).sum::<u64>();
        assert!(counts >= dispatch.tile_count, "{dispatch:?}");
    }
}

/// [hal 166] However a device stores an update: it is one command.
pub(super) fn long_updates_are_one_command(subject: &Subject) {
    let buffer = subject.buffer(20_000);
    let commands = subject.commands(REUSABLE, 0);
    commands.update(&[7; 10_000], &Operand::direct(&buffer, 0, 10_000)).unwrap();
    commands.update(&[8; 10_000], &Operand::direct(&buffer, 10_000, 10_000)).unwrap();
    commands.barrier(ExecutionStage::TRANSFER, ExecutionStage::TRANSFER).unwrap();
    commands.fill(&Operand::direct(&buffer, 0, 8), 9, 1).unwrap();
    commands.end().unwrap();
    let profile = profiled(subject, || subject.execute(&commands, None).unwrap());
    let updates = of_kind(&profile, OperationKind::Update);
    let seen: Vec<_> = updates.iter().map(|event| (event.command_index, event.payload_bytes)).collect();
    assert_eq!(seen, [(Some(0), 10_000), (Some(1), 10_000)]);
    assert_eq!(of_kind(&profile, OperationKind::Fill)[0].command_index, Some(3));
    assert_eq!(profile.queue[0].operation_count, 4);
    let bytes = bytes_of(&buffer);
    assert_eq!((&bytes[..9], bytes[9_999], bytes[10_000]), (&[9, 9, 9, 9, 9, 9, 9, 9, 7][..], 7, 8));
}

/// [hal 165] [hal 167] A recording that runs often is told as often, wherever the device runs it by then.
pub(super) fn every_run_is_told(subject: &Subject) {
    const RUNS: u64 = 200;
    let counter = subject.buffer(4);
    let operands = [whole(&counter)];
    let commands = subject.commands(REUSABLE, 0);
    for _ in 0..2 {
        commands.dispatch(&subject.dispatch("count_calls", [1; 3], &[], &operands)).unwrap();
        commands.barrier(ExecutionStage::DISPATCH, ExecutionStage::DISPATCH).unwrap();
    }
    commands.end().unwrap();
    let run = || (0..RUNS).for_each(|_| subject.execute(&commands, None).unwrap());
    run();
    let profile = profiled(subject, run);
    assert_eq!(subject.read_words(&counter), [4 * RUNS as u32]);
    assert_eq!(profile.queue.len() as u64, RUNS);
    let dispatches = of_kind(&profile, OperationKind::Dispatch);
    let executes = of_kind(&profile, OperationKind::Execute);
    assert_eq!((dispatches.len() as u64, executes.len() as u64), (2 * RUNS, RUNS));
    for ((execute, pair), queue) in executes.iter().zip(dispatches.chunks(2)).zip(&profile.queue) {
        assert_eq!([execute.submission; 3], [pair[0].submission, pair[1].submission, queue.submission]);
        assert_eq!([pair[0].command_index, pair[1].command_index], [Some(0), Some(2)]);
        let times = [queue.submit_ns, queue.ready_ns, execute.start_ns, pair[0].start_ns, pair[0].end_ns];
        let rest = [pair[1].start_ns, pair[1].end_ns, execute.end_ns, queue.end_ns];
        assert!(times.iter().chain(&rest).is_sorted(), "{times:?} {rest:?}");
        assert!(execute.worker.is_some() && [pair[0].worker, pair[1].worker] == [execute.worker; 2]);
    }
}

/// Memory from a pool is told with the pool, from its reservation to its return.
pub(super) fn pools_are_followed(subject: &Subject) {
    use MemoryAction::{Alloca, Dealloca, Materialize, Release, Reserve};
    let source = PoolSource::new(HostSlabs::new(Arc::clone(subject.device.allocator().backend())));
    let options = FixedBlockOptions { block_bytes: 4096, block_count: 1 };
    let pool = Pool::fixed_block(source, &options).expect("the options are good");
    let profile = profiled(subject, || {
        for size in [100, 4000] {
            let params = BufferParams::device_local();
            let device = &subject.device;
            let alloca = |at: &Submission<'_>| {
                device.queue_alloca_from(at, Some(&pool), &params, size, AllocaFlags::empty())
            };
            let buffer = subject.run(alloca).unwrap();
            subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
        }
    });
    let told: Vec<_> = profile.memory.iter().map(|event| (event.action, event.frontier_count)).collect();
    let once = [(Reserve, 0), (Materialize, 0), (Alloca, 0), (Dealloca, 1), (Release, 1)];
    assert_eq!(told, [once, once].concat());
    let lengths: Vec<u64> = profile.memory.iter().map(|event| event.length).collect();
    assert_eq!(lengths, [[100; 5], [4000; 5]].concat());
    let pools: BTreeSet<u64> = profile.memory.iter().map(|event| event.pool).collect();
    assert!(pools.len() == 1 && !pools.contains(&0), "{pools:?}");
    assert!(profile.memory.iter().all(|event| event.reserved_length == 4096));
}

/// A call that nobody waits for is told when its signals fire, and once more when it has been made.
pub(super) fn early_signals_are_told_first(subject: &Subject) {
    let log = Arc::new(ProfileLog::default());
    subject.device.profiling_begin(&everything(&log)).unwrap();
    let (may_end, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (gate, mark) = (Arc::clone(&may_end), Arc::clone(&ended));
    let function = Box::new(move |_: &weft_hal::HostCallContext<'_>, _: [u64; 4]| {
        eventually("the profile was looked at", || gate.load(Ordering::SeqCst));
        mark.store(true, Ordering::SeqCst);
        Ok(HostCallEnd::Done)
    });
    let call = HostCall { function, arguments: [0; 4], flags: HostCallFlags::NON_BLOCKING };
    let fence = Fence::create();
    subject.device.queue_host_call(&Submission::between(None, Some(&fence)), call).unwrap();
    // Without helping: the call does not end before this thread has looked.
    fence.wait(soon()).unwrap();
    subject.device.profiling_flush().unwrap();
    let early = log.take();
    may_end.store(true, Ordering::SeqCst);
    assert_eq!((early.queue.len(), early.executions.len()), (1, 0));
    eventually("the call was made", || ended.load(Ordering::SeqCst));
    subject.device.wait_idle(soon()).unwrap();
    subject.device.profiling_end().unwrap();
    let late = log.take();
    assert_eq!((late.queue.len(), late.executions.len()), (0, 1));
    assert_eq!(late.executions[0].submission, early.queue[0].submission);
}

/// [hal 164] [hal 167] Sessions may begin and end at any time: results stay, and nothing is told twice.
pub(super) fn sessions_come_and_go(subject: &Subject) {
    const RUNS: u32 = 100;
    let is_over = AtomicBool::new(false);
    let work = |counter: &weft_hal::Buffer| {
        let operands = [whole(counter)];
        let commands = subject.commands(REUSABLE, 0);
        commands.dispatch(&subject.dispatch("count_each", [16, 1, 1], &[], &operands)).unwrap();
        commands.barrier(ExecutionStage::DISPATCH, ExecutionStage::DISPATCH).unwrap();
        commands.dispatch(&subject.dispatch("nothing", [4, 1, 1], &[], &[])).unwrap();
        commands.end().unwrap();
        for _ in 0..RUNS {
            subject.execute(&commands, None).unwrap();
            subject.run(|at| subject.device.queue_fill(at, &region(counter, 64, 64), 1, 1)).unwrap();
        }
    };
    let counters = [subject.buffer(128), subject.buffer(128)];
    let mut told = BTreeSet::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = counters.iter().map(|counter| scope.spawn(|| work(counter))).collect();
        let is_over = &is_over;
        scope.spawn(move || {
            // Also if one of them panics.
            threads.into_iter().for_each(|thread| drop(thread.join()));
            is_over.store(true, Ordering::SeqCst);
        });
        while !is_over.load(Ordering::SeqCst) {
            let profile = profiled(subject, std::thread::yield_now);
            for event in profile.executions.iter().filter(|event| event.command_index.is_some()) {
                assert!(told.insert((event.submission, event.command_index)), "twice: {event:?}");
            }
        }
    });
    for counter in counters {
        assert_eq!(subject.read_words(&counter)[..17], [[RUNS; 16].as_slice(), &[0x0101_0101]].concat());
    }
}
