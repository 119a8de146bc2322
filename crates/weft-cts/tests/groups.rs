//! Groups of devices whose queues signal epochs: names, order across devices, pools that they share.
//!
//! What does not live here: what groups are made of (`weft-hal/tests/groups.rs`), programs on several devices
//! (`weft/tests/groups.rs`).

use std::collections::BTreeSet;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use weft_cpu::{SyncDeviceOptions, TaskDeviceOptions, open_sync_device, open_task_device};
use weft_hal::group::{DeviceGroup, DevicePlace, GroupBuilder};
use weft_hal::pool::{FixedBlockOptions, Pool, TlsfOptions};
use weft_hal::{
    AllocaFlags, Buffer, BufferParams, DeallocaFlags, Device, HostCall, HostCallContext, HostCallEnd,
    HostCallFlags, QueueAffinity, Region, Submission, open_null_device,
};
use weft_sync::{Axis, Code, Deadline, FrontierBuf, Point, Result, Semaphore};
use weft_task::{Executor, ExecutorOptions};

const NOW: Submission<'static> = Submission::IMMEDIATE;

fn executor(workers: usize) -> Executor {
    Executor::new(&ExecutorOptions { workers, ..ExecutorOptions::default() }).unwrap()
}

/// A local-task device with so many queues, each on an executor of its own with one worker.
fn task_device(queues: usize, place: Option<DevicePlace>) -> Arc<Device> {
    let executors = (0..queues).map(|_| executor(1)).collect();
    open_task_device(&TaskDeviceOptions { place, ..TaskDeviceOptions::on(executors) }).unwrap()
}

/// Local-task devices with these numbers of queues.
fn group_of(queues: &[usize]) -> Arc<DeviceGroup> {
    let mut builder = GroupBuilder::local(queues.len()).unwrap();
    for &queues in queues {
        let device = task_device(queues, Some(builder.place().unwrap()));
        builder.add(&device, 0).unwrap();
    }
    builder.build().unwrap()
}

fn timeline() -> Arc<Semaphore> {
    Arc::new(Semaphore::with_frontier(0, 16))
}

fn point(semaphore: &Arc<Semaphore>) -> Point {
    Point { semaphore: Arc::clone(semaphore), value: 1 }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

#[track_caller]
fn reached(point: &Point) {
    point.semaphore.wait(point.value, soon()).unwrap();
}

/// All that the signal is ordered after.
#[track_caller]
fn past(point: &Point) -> FrontierBuf<16> {
    reached(point);
    let end = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        // The value is there first, and may be vouched for a moment later.
        if let Some(known) = point.semaphore.complete_frontier::<16>(point.value) {
            return known;
        }
        assert!(std::time::Instant::now() < end, "nobody vouches for it");
        std::thread::yield_now();
    }
}

fn barrier(device: &Device, queue: u32, wait: &[Point]) -> Point {
    let signal = [point(&timeline())];
    let at = Submission { wait, signal: &signal, ..NOW }.on(QueueAffinity(1 << queue));
    device.queue_barrier(&at).unwrap();
    let [signal] = signal;
    signal
}

fn axes(device: &Device) -> Vec<Axis> {
    (0..device.queue_count()).map(|queue| device.queue_axis(queue).unwrap().0).collect()
}

/// [hal 132] queues of members count on from the base axis of their place; those of devices outside have other names.
#[test]
fn every_queue_has_an_axis_of_its_own() {
    let group = group_of(&[1, 3, 2]);
    let alone = [task_device(2, None), task_device(1, None)];
    let mut names = BTreeSet::new();
    for (index, device) in group.devices().iter().enumerate() {
        let machine = group.tracker().machine();
        let expected: Vec<_> =
            (0..device.queue_count() as u8).map(|queue| machine.queue(index as u8, queue)).collect();
        assert_eq!(axes(device), expected);
        assert_eq!(group.membership(index).base_axis, expected[0]);
        for (queue, axis) in expected.into_iter().enumerate() {
            assert_eq!(past(&barrier(device, queue as u32, &[])).as_frontier().epoch_of(axis), 1);
            names.insert(axis);
        }
    }
    alone.iter().for_each(|device| names.extend(axes(device)));
    assert_eq!(names.len(), 9);
}

/// [hal 135] several drivers in one group: those without timelines go anywhere, others only where they were opened for.
#[test]
fn devices_of_several_drivers_join() {
    let mut builder = GroupBuilder::local(3).unwrap();
    let inline = open_sync_device(&SyncDeviceOptions::default()).unwrap();
    builder.add(&inline, 0).unwrap();
    let task = task_device(1, Some(builder.place().unwrap()));
    builder.add(&task, 0).unwrap();
    builder.add(&open_null_device(), 0).unwrap();
    let group = builder.build().unwrap();
    let maps = [0, 1, 2].map(|index| group.membership(index).can_wait_from);
    assert_eq!(maps, [0x6, 0x5, 0x3]);
    assert_eq!((inline.queue_axis(0), inline.place().is_none()), (None, true));
    assert_eq!(group.membership(0).base_axis.to_string(), "s1.m0.q0:0");
}

/// [hal 135] a device whose queues signal other names is refused, and nobody stays inside.
#[test]
fn devices_of_other_places_are_refused() {
    let inline = open_sync_device(&SyncDeviceOptions::default()).unwrap();
    let elsewhere = GroupBuilder::local(1).unwrap();
    let other = task_device(1, Some(elsewhere.place().unwrap()));
    let mut late = GroupBuilder::local(1).unwrap();
    let early = task_device(1, Some(late.place().unwrap()));
    late.add(&inline, 0).unwrap();
    late.add(&early, 0).unwrap();
    // For the first place, and it would be the second.
    assert_eq!(late.build().unwrap_err().code(), Code::FailedPrecondition);
    for stranger in [task_device(1, None), other] {
        let mut builder = GroupBuilder::local(2).unwrap();
        builder.add(&inline, 0).unwrap();
        builder.add(&stranger, 0).unwrap();
        assert_eq!(builder.build().unwrap_err().code(), Code::FailedPrecondition);
        assert!(inline.membership().is_none() && stranger.membership().is_none());
        assert_eq!(Arc::strong_count(&inline), 1);
    }
}

/// A place is for one device: another one would signal the same epochs.
#[test]
fn a_place_is_taken_once() {
    let builder = GroupBuilder::local(1).unwrap();
    let _first = task_device(1, Some(builder.place().unwrap()));
    let options = TaskDeviceOptions {
        place: Some(builder.place().unwrap()),
        ..TaskDeviceOptions::on(vec![executor(1)])
    };
    assert_eq!(open_task_device(&options).unwrap_err().code(), Code::AlreadyExists);
}

/// [hal 128] [hal 127] order travels from device to device, in whatever order the work is submitted, and the tracker of
/// the group hears of all of it.
#[test]
fn order_travels_across_devices() {
    let group = group_of(&[1, 2, 1]);
    let [first, second, third] = [0, 1, 2].map(|index| group.device(index));
    let begin = point(&timeline());
    let links = [timeline(), timeline()].map(|semaphore| point(&semaphore));
    let step = |device: &Device, queue: u32, wait: &Point, signal: &Point| {
        let (wait, signal) = (std::slice::from_ref(wait), std::slice::from_ref(signal));
        let at = Submission { wait, signal, ..NOW }.on(QueueAffinity(1 << queue));
        device.queue_barrier(&at).unwrap();
    };
    // Last step first.
    let end = barrier(third, 0, &links[1..]);
    step(second, 1, &links[0], &links[1]);
    step(first, 0, &begin, &links[0]);
    assert_eq!(end.semaphore.query().unwrap(), 0);
    begin.semaphore.signal_untainted(1, FrontierBuf::<1>::default().as_frontier()).unwrap();
    let known = past(&end);
    let expected = [axes(first)[0], axes(second)[1], axes(third)[0]];
    for axis in expected {
        assert_eq!(known.as_frontier().epoch_of(axis), 1, "{axis} of {known}");
    }
    assert_eq!(known.as_frontier().entries().len(), 3);
    let (sender, receiver) = sync_channel(1);
    group.tracker().wait(known.as_frontier(), move |outcome| sender.send(outcome).unwrap()).unwrap();
    receiver.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
}

/// A wait for what another device has reached costs nothing: what is short is done, signalled and vouched for before the
/// call returns, and knows the other device's epoch.
#[test]
fn reached_waits_of_other_devices_are_elided() {
    let group = group_of(&[1, 2]);
    let [first, second] = [0, 1].map(|index| group.device(index));
    let mut before = barrier(first, 0, &[]);
    for round in 0..100 {
        past(&before);
        let (device, queue) = if round % 2 == 0 { (second, round / 2 % 2) } else { (first, 0) };
        let next = barrier(device, queue, std::slice::from_ref(&before));
        assert_eq!(next.semaphore.query().unwrap(), 1, "round {round} was handed over");
        let known = next.semaphore.complete_frontier::<16>(1).expect("and is vouched for");
        assert!(known.as_frontier().dominates(past(&before).as_frontier()), "{known}");
        before = next;
    }
    let epochs = [axes(first)[0], axes(second)[0], axes(second)[1]];
    let known = past(&before);
    assert_eq!(epochs.map(|axis| known.as_frontier().epoch_of(axis)), [51, 25, 25]);
}

/// [hal 116] failures cross devices, with their code, and stop neither.
#[test]
fn failures_travel_across_devices() {
    let group = group_of(&[1, 1, 1]);
    let begin = point(&timeline());
    let mut ends = vec![begin.clone()];
    for round in 0..12 {
        let device = group.device(round % 3);
        ends.push(barrier(device, 0, &ends[round..]));
    }
    begin.semaphore.fail(weft_sync::Status::new(Code::DataLoss, "lost on the way"));
    for end in &ends {
        let status = end.semaphore.wait(1, soon()).unwrap_err();
        assert_eq!((status.code(), status.message().contains("lost on the way")), (Code::DataLoss, true));
    }
    for device in group.devices() {
        let (axis, epoch) = device.queue_axis(0).unwrap();
        assert_eq!(epoch, 0, "{axis} claims no failed work");
        reached(&barrier(device, 0, &[]));
    }
}

fn alloca(device: &Device, pool: &Arc<Pool>, at: &Submission<'_>) -> Result<Arc<Buffer>> {
    let flags = AllocaFlags::ALLOW_POOL_WAIT_FRONTIER;
    device.queue_alloca_from(at, Some(pool), &BufferParams::device_local(), 4096, flags)
}

/// [hal 132] pools of a group serve all its devices: who comes after a deallocation elsewhere takes the memory at once.
#[test]
fn memory_goes_from_device_to_device() {
    let group = group_of(&[1, 1]);
    let [first, second] = [0, 1].map(|index| group.device(index));
    let blocks = FixedBlockOptions { block_bytes: 4096, block_count: 1 };
    let pool = Pool::fixed_block(first.queue_pool_source(QueueAffinity::ANY).unwrap(), &blocks).unwrap();
    let mut before = None;
    for round in 0..200 {
        let (mine, other) = if round % 2 == 0 { (first, second) } else { (second, first) };
        let wait: Vec<Point> = before.into_iter().collect();
        let [allocated, freed] = [timeline(), timeline()].map(|semaphore| [point(&semaphore)]);
        let buffer = alloca(mine, &pool, &Submission { wait: &wait, signal: &allocated, ..NOW }).unwrap();
        let filled = [point(&timeline())];
        let at = Submission { wait: &allocated, signal: &filled, ..NOW };
        other.queue_fill(&at, &Region::whole(&buffer), round, 4).unwrap();
        reached(&filled[0]);
        assert_eq!(buffer.read_to_vec(4092, 4).unwrap(), (round as u32).to_le_bytes());
        let at = Submission { wait: &filled, signal: &freed, ..NOW };
        mine.queue_dealloca(&at, &buffer, DeallocaFlags::empty()).unwrap();
        let [freed] = freed;
        before = Some(freed);
    }
    assert_eq!(pool.statistics().slabs, 1);
}

/// [hal 132] who is refused on one device is served when another device gives memory back, however the two meet.
#[test]
fn who_waits_for_memory_hears_of_other_devices() {
    let group = group_of(&[1, 1]);
    let source = || group.device(0).queue_pool_source(QueueAffinity::ANY).unwrap();
    let range = TlsfOptions { slab_bytes: 4096, slabs_max: 1, ..TlsfOptions::default() };
    let blocks = FixedBlockOptions { block_bytes: 4096, block_count: 1 };
    let pools = [Pool::tlsf(source(), &range).unwrap(), Pool::fixed_block(source(), &blocks).unwrap()];
    for pool in &pools {
        std::thread::scope(|scope| {
            for device in group.devices() {
                scope.spawn(move || {
                    for _ in 0..2_000 {
                        let [allocated, freed] = [(); 2].map(|()| [point(&timeline())]);
                        let at = Submission { signal: &allocated, ..NOW };
                        let buffer = alloca(device, pool, &at).unwrap();
                        let at = Submission { wait: &allocated, signal: &freed, ..NOW };
                        device.queue_dealloca(&at, &buffer, DeallocaFlags::empty()).unwrap();
                        reached(&freed[0]);
                    }
                });
            }
        });
    }
}

fn host_call(
    function: impl FnOnce(&HostCallContext<'_>, [u64; 4]) -> Result<HostCallEnd> + Send + 'static,
) -> HostCall {
    HostCall { function: Box::new(function), arguments: [0; 4], flags: HostCallFlags::empty() }
}

/// [hal 124] an explicit queue of each device is the one that calls, with one bit, and says which device it is.
#[test]
fn calls_say_which_queue_of_which_device() {
    let group = group_of(&[2, 3]);
    for device in group.devices() {
        for queue in 0..device.queue_count() {
            let (sender, receiver) = sync_channel(1);
            let call = host_call(move |context, _| {
                sender.send((context.device, context.affinity)).expect("somebody listens");
                Ok(HostCallEnd::Done)
            });
            device.queue_host_call(&NOW.on(QueueAffinity(1 << queue)), call).unwrap();
            let told = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
            assert_eq!(told, (device.id(), QueueAffinity(1 << queue)));
        }
        let beyond = QueueAffinity(1 << device.queue_count());
        assert_eq!(device.queue_barrier(&NOW.on(beyond)).unwrap_err().code(), Code::InvalidArgument);
        device.queue_barrier(&NOW.on(QueueAffinity::ANY)).unwrap();
    }
}

/// [hal 149] queues on executors of their own, of one device or of several, run at the same time: each waits in a call
/// until all are in theirs.
#[test]
fn queues_run_at_the_same_time() {
    let group = group_of(&[2, 1]);
    let meeting = Arc::new(Barrier::new(3));
    let mut ends = Vec::new();
    for device in group.devices() {
        for queue in 0..device.queue_count() {
            let meeting = Arc::clone(&meeting);
            let call = host_call(move |_, _| {
                meeting.wait();
                Ok(HostCallEnd::Done)
            });
            let signal = [point(&timeline())];
            let at = Submission { signal: &signal, ..NOW }.on(QueueAffinity(1 << queue));
            device.queue_host_call(&at, call).unwrap();
            ends.extend(signal);
        }
    }
    ends.iter().for_each(reached);
}

/// [hal 149] while one queue does nothing but wait in a call, with work piled up behind, the others go on.
#[test]
fn a_busy_queue_stalls_nobody_else() {
    let group = group_of(&[2, 1]);
    let busy = group.device(0);
    let (release, held) = sync_channel::<()>(0);
    let call = host_call(move |_, _| {
        held.recv().expect("somebody lets go");
        Ok(HostCallEnd::Done)
    });
    let first = QueueAffinity(1);
    busy.queue_host_call(&NOW.on(first), call).unwrap();
    let piled: Vec<_> = (0..100)
        .map(|_| {
            let signal = [point(&timeline())];
            let at = Submission { signal: &signal, ..NOW }.on(first);
            busy.queue_host_call(&at, host_call(|_, _| Ok(HostCallEnd::Done))).unwrap();
            let [signal] = signal;
            signal
        })
        .collect();
    for (device, queue) in [(busy, 1), (group.device(1), 0)] {
        for _ in 0..100 {
            let signal = [point(&timeline())];
            let at = Submission { signal: &signal, ..NOW }.on(QueueAffinity(1 << queue));
            device.queue_host_call(&at, host_call(|_, _| Ok(HostCallEnd::Done))).unwrap();
            reached(&signal[0]);
        }
    }
    assert!(piled.iter().all(|point| point.semaphore.query().unwrap() == 0));
    release.send(()).unwrap();
    piled.iter().for_each(reached);
}
