//! Memory of pools in the hands of queues: alloca from a pool, deaths that go with the last pin, what a queue does when
//! there is nothing.

mod pool_subject;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pool_subject::{A, B, Slabs, assert_fresh, assert_ready, frontier, growing, metadata, take};
use weft_hal::pool::{Acquired, FixedBlockOptions, Pool, Remedy, Request, Requester, TlsfOptions};
use weft_hal::{
    AllocaFlags, Buffer, BufferParams, DeallocaFlags, Fence, MappingMode, MemoryAccess, MemoryType,
    Submission, open_null_device,
};
use weft_sync::atomic::{AtomicU64, Ordering};
use weft_sync::{Code, Deadline, FrontierBuf, Status, Tracker, TrackerOptions};

const NOW: Submission<'static> = Submission::IMMEDIATE;

fn blocks(slabs: &Arc<Slabs>, block_count: u32) -> Arc<Pool> {
    let options = FixedBlockOptions { block_bytes: 256, block_count };
    Pool::fixed_block(slabs.source(), &options).expect("good options")
}

/// A device that works in the call commits memory of any kind of pool at once and gives it back at the dealloca.
/// [hal 49] [hal 57]
#[test]
fn alloca_from_a_pool() {
    let (device, slabs) = (open_null_device(), Slabs::new());
    let pools = [
        slabs.tlsf(4096),
        blocks(&slabs, 1),
        Pool::arena(slabs.source(), 4096).unwrap(),
        Pool::pass_through(slabs.source(), u64::MAX),
    ];
    for pool in &pools {
        for size in [100, 0, 256] {
            let fence = Fence::create();
            let submission = Submission::between(None, Some(&fence));
            let params = BufferParams::device_local();
            let buffer = device
                .queue_alloca_from(&submission, Some(pool), &params, size, AllocaFlags::empty())
                .unwrap();
            fence.wait(Deadline::IMMEDIATE).unwrap();
            assert!(buffer.is_committed() && buffer.is_transient());
            assert_eq!((buffer.byte_length(), pool.statistics().live), (size, 1));
            device.queue_dealloca(&NOW, &buffer, DeallocaFlags::empty()).unwrap();
            assert_eq!(pool.statistics().live, 0);
        }
        assert_eq!(pool.statistics().releases, 3);
    }
    assert_eq!(device.allocator().statistics().device.allocated, 0, "all of it came from the pools");
}

/// What a pool cannot have is refused at once, with signals untouched. [hal 28]
#[test]
fn allocas_that_no_pool_can_serve() {
    let (device, slabs) = (open_null_device(), Slabs::new());
    let pool = slabs.tlsf(4096);
    let fence = Fence::create();
    let submission = Submission::between(None, Some(&fence));
    let refused = |params: &BufferParams, size| {
        let flags = AllocaFlags::empty();
        device.queue_alloca_from(&submission, Some(&pool), params, size, flags).unwrap_err().code()
    };
    let params = BufferParams::device_local();
    assert_eq!(refused(&params, 4097), Code::OutOfRange);
    assert_eq!(refused(&params, u64::MAX), Code::OutOfRange);
    assert_eq!(refused(&BufferParams { alignment_min: 8192, ..params }, 16), Code::InvalidArgument);
    assert_eq!(refused(&BufferParams { alignment_min: 3, ..params }, 16), Code::InvalidArgument);
    let cached = params.memory_type | MemoryType::HOST_CACHED;
    assert_eq!(refused(&BufferParams { memory_type: cached, ..params }, 16), Code::InvalidArgument);
    assert_eq!(fence.wait(Deadline::IMMEDIATE).unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(slabs.provided(), 0);
}

/// An alloca that finds nothing waits, on the thread that works, until another thread gives something back; one that
/// would wait in vain fails its signals. [hal 33] [hal 54]
#[test]
fn exhausted_pools_make_the_call_wait() {
    let (device, slabs) = (open_null_device(), Slabs::new());
    let pool = blocks(&slabs, 1);
    let alloca = |submission: &Submission<'_>| {
        let params = BufferParams::device_local();
        device.queue_alloca_from(submission, Some(&pool), &params, 256, AllocaFlags::empty())
    };
    let first = alloca(&NOW).unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(|| alloca(&NOW));
        thread::sleep(Duration::from_millis(10));
        assert!(!second.is_finished());
        device.queue_dealloca(&NOW, &first, DeallocaFlags::empty()).unwrap();
        assert!(second.join().unwrap().unwrap().is_committed());
    });
    take(&pool, 256).release(Some(&pool_subject::many(5, 1)));
    let fence = Fence::create();
    let failed = alloca(&Submission::between(None, Some(&fence))).unwrap_err();
    assert_eq!(failed.code(), Code::ResourceExhausted);
    assert_eq!(fence.wait(Deadline::NEVER).unwrap_err().code(), Code::ResourceExhausted);
}

/// A transient that nobody deallocates gives its reservation back once, when it is dropped; one whose alloca failed takes
/// none. [hal 59]
#[test]
fn dropped_transients_give_back_once() {
    let (device, slabs) = (open_null_device(), Slabs::new());
    let pool = blocks(&slabs, 1);
    let params = BufferParams::device_local();
    let buffer = device.queue_alloca_from(&NOW, Some(&pool), &params, 10, AllocaFlags::empty()).unwrap();
    let part = buffer.subspan(2, 4).unwrap();
    drop(buffer);
    assert_eq!(pool.statistics().live, 1);
    drop(part);
    assert_eq!((pool.statistics().live, pool.statistics().releases), (0, 1));
    assert_fresh(pool.acquire(&Request::new(1, 16), &Requester::unknown()).unwrap()).release(None);

    let failed = Fence::create();
    failed.fail(Status::new(Code::DataLoss, "gone"));
    let submission = Submission::between(Some(&failed), None);
    let buffer =
        device.queue_alloca_from(&submission, Some(&pool), &params, 10, AllocaFlags::empty()).unwrap();
    assert!(!buffer.is_committed());
    assert_eq!(pool.statistics().live, 0);
}

/// A decommit says what the memory died after. It goes back with that when the last mapping ends, and not before.
/// [hal 32] [hal 58]
#[test]
fn deaths_go_with_the_last_pin() {
    let slabs = Slabs::new();
    let pool = blocks(&slabs, 1);
    let buffer = Buffer::transient(metadata(), 100, None);
    buffer.commit(take(&pool, 100).into_host_block()).unwrap();
    let mapping = buffer.map(MappingMode::Scoped, MemoryAccess::READ, 0, 100).unwrap();
    let death = frontier(&[(A, 7)]);
    buffer.decommit_after(Some(&death));
    buffer.decommit_after(None);
    let answer = pool.acquire(&growing(100), &Requester::after(&death)).unwrap();
    assert!(matches!(answer, Acquired::Exhausted { remedy: Remedy::Release, .. }), "{answer:?}");
    let released = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&released);
    let _wait = pool.on_release(pool.observe(), move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    drop(mapping);
    assert_eq!(released.load(Ordering::SeqCst), 1);
    let request = Request { can_wait: true, ..growing(100) };
    match pool.acquire(&request, &Requester::unknown()).unwrap() {
        Acquired::NeedsWait(_, wait) => assert_eq!(&*wait, &*death),
        other => panic!("{other:?}"),
    }
    assert_ready(pool.acquire(&request, &Requester::after(&death)).unwrap()).release(None);
    // Again, and with a buffer that has no pool, it changes nothing.
    buffer.decommit_after(None);
    Buffer::resident(metadata(), 0, weft_hal::HostBlock::from_heap(0, 64).unwrap()).decommit_after(None);
}

/// The protocol of a queue that never blocks, as the header of the module describes it: who is refused waits for the
/// frontier, or for a release, and goes on from a callback. [hal 30] [hal 50] [hal 54]
#[test]
fn a_queue_that_never_blocks() {
    let slabs = Slabs::new();
    let pool = blocks(&slabs, 1);
    let tracker = Tracker::new(TrackerOptions::default()).unwrap();
    tracker.register(A, None).unwrap();
    let query = |axis, epoch| tracker.query_epoch(axis, epoch);
    let requester = Requester { past: None, is_reached: &query };
    let request = Request { can_wait: true, ..growing(256) };

    // Exhausted: parked on the notification.
    let held = Buffer::transient(metadata(), 256, None);
    held.commit(take(&pool, 256).into_host_block()).unwrap();
    let token = pool.observe();
    let Acquired::Exhausted { remedy: Remedy::Release, .. } = pool.acquire(&request, &requester).unwrap()
    else {
        panic!("held");
    };
    let ready = Arc::new(AtomicU64::new(0));
    let push = Arc::clone(&ready);
    let _wait = pool.on_release(token, move || {
        push.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(ready.load(Ordering::SeqCst), 0);
    held.decommit_after(Some(&FrontierBuf::single(A, 1)));
    assert_eq!(ready.load(Ordering::SeqCst), 1);

    // Needs a wait: parked on the tracker, the memory kept.
    let Acquired::NeedsWait(block, wait) = pool.acquire(&request, &requester).unwrap() else {
        panic!("freed by what is not reached");
    };
    let push = Arc::clone(&ready);
    tracker
        .wait(&wait, move |outcome| {
            outcome.expect("the axis does not fail");
            push.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
    assert_eq!((ready.load(Ordering::SeqCst), pool.statistics().waits), (1, 1));
    tracker.advance(A, 1);
    assert_eq!(ready.load(Ordering::SeqCst), 2);
    held.decommit();
    let buffer = Buffer::transient(metadata(), 256, None);
    buffer.commit(block.into_host_block()).unwrap();
    buffer.fill(0, 256, &[1]).unwrap();
    buffer.decommit_after(Some(&FrontierBuf::single(A, 2)));

    // Refused for an epoch, without being able to wait for it: told when somebody says that it was reached.
    let token = pool.observe();
    let cannot_wait = Request { can_wait: false, ..request };
    let answer = pool.acquire(&cannot_wait, &requester).unwrap();
    assert!(matches!(answer, Acquired::Exhausted { remedy: Remedy::Epoch, .. }), "{answer:?}");
    let push = Arc::clone(&ready);
    let _wait = pool.on_release(token, move || {
        push.fetch_add(1, Ordering::SeqCst);
    });
    tracker.advance(A, 2);
    assert!(pool.notify());
    assert_eq!(ready.load(Ordering::SeqCst), 3);
    assert_ready(pool.acquire(&cannot_wait, &requester).unwrap()).release(None);
}

/// Ranges are never waited for: a stale one stays, another slab is taken. [hal 53]
#[test]
fn ranges_grow_instead_of_waiting() {
    let slabs = Slabs::new();
    let options = TlsfOptions { slab_bytes: 256, granularity: 64, ..TlsfOptions::default() };
    let pool = Pool::tlsf(slabs.source(), &options).unwrap();
    take(&pool, 256).release(Some(&frontier(&[(A, 1)])));
    let request = Request { can_wait: true, ..growing(256) };
    let other_queue = frontier(&[(B, 4)]);
    let block = assert_fresh(pool.acquire(&request, &Requester::after(&other_queue)).unwrap());
    assert_eq!((block.slab(), pool.statistics().waits, pool.statistics().slabs), (1, 0, 2));
}
