//! Queue-allocated buffers from pools: memory that is handed on in queue order.

use std::sync::Arc;

use weft_hal::pool::{FixedBlockOptions, HostSlabs, Pool, PoolSource, Request, Requester, TlsfOptions};
use weft_hal::{AllocaFlags, Buffer, BufferParams, QueueAffinity, Region, Submission};
use weft_sync::{Code, FrontierBuf, Point, Result};

use crate::case::Caps;
use crate::hal::lifecycle::{all_were_told, end};
use crate::subject::{Chain, NOW, Subject, bytes_of, eventually, fails_with, point, region, semaphore};

const AHEAD: Caps = Caps::POOLS.union(Caps::ASYNC).union(Caps::FRONTIERS);

crate::cases! { $ POOL for_each_pool_case {
    every_kind_of_pool_gives_memory: Caps::POOLS;
    pools_are_asked_for_what_they_have: Caps::POOLS;
    reservations_return_once: Caps::POOLS;
    a_stale_block_is_waited_for: AHEAD;
    a_block_goes_back_and_forth: AHEAD;
    a_stale_block_is_refused_without_the_flag: AHEAD;
    stale_ranges_make_pools_grow: AHEAD;
    an_empty_pool_is_waited_for: AHEAD;
    failures_do_not_spoil_reuse: AHEAD;
    parked_allocations_end_with_their_device: AHEAD;
} }

const BLOCK: u64 = 4096;
const WAITING: AllocaFlags = AllocaFlags::ALLOW_POOL_WAIT_FRONTIER;

fn source(subject: &Subject) -> PoolSource {
    PoolSource::new(HostSlabs::new(Arc::clone(subject.device.allocator().backend())))
}

fn blocks(subject: &Subject, block_count: u32) -> Arc<Pool> {
    let options = FixedBlockOptions { block_bytes: BLOCK, block_count };
    Pool::fixed_block(source(subject), &options).expect("the options are good")
}

fn alloca(
    subject: &Subject,
    pool: &Arc<Pool>,
    at: &Submission<'_>,
    flags: AllocaFlags,
) -> Result<Arc<Buffer>> {
    let params = BufferParams::device_local();
    subject.device.queue_alloca_from(at, Some(pool), &params, BLOCK, flags)
}

/// The last queue; with one queue it is the first.
fn last(subject: &Subject) -> QueueAffinity {
    QueueAffinity(1 << (subject.device.queue_count() - 1))
}

/// Leaves the pool's next block as if an operation had used it that comes next on the first queue.
fn make_stale(subject: &Subject, pool: &Arc<Pool>) {
    let (axis, epoch) = subject.device.queue_axis(0).expect("it has timelines");
    let request = Request { can_grow: true, ..Request::new(BLOCK, 64) };
    let block = pool.acquire(&request, &Requester::unknown()).expect("the request is good");
    block.usable().expect("there is a block").release(Some(&FrontierBuf::single(axis, epoch + 1)));
}

/// One more operation on the first queue.
fn advance_first(subject: &Subject) {
    subject.run(|at| subject.device.queue_barrier(&at.on(QueueAffinity(1)))).expect("it does nothing");
}

fn fresh() -> [Point; 1] {
    [point(&semaphore(0), 1)]
}

/// [hal 49]
fn every_kind_of_pool_gives_memory(subject: &Subject) {
    let options = TlsfOptions { slab_bytes: 1 << 20, ..TlsfOptions::default() };
    let pools = [
        Pool::pass_through(source(subject), u64::MAX),
        Pool::tlsf(source(subject), &options).unwrap(),
        blocks(subject, 2),
        Pool::arena(source(subject), 1 << 16).unwrap(),
    ];
    let result = subject.buffer(64);
    for (pool, kind) in pools.into_iter().zip(1..) {
        for round in 1..=6 {
            result.zero(0, 64).unwrap();
            let chain = Chain::new(4);
            let buffer = alloca(subject, &pool, &chain.step(0), WAITING).unwrap();
            assert_eq!(buffer.byte_length(), BLOCK);
            let byte = kind * 16 + round;
            subject.device.queue_fill(&chain.step(1), &Region::whole(&buffer), byte, 1).unwrap();
            let (from, to) = (region(&buffer, BLOCK - 64, 64), Region::whole(&result));
            subject.device.queue_copy(&chain.step(2), &from, &to).unwrap();
            subject.dealloca(&chain.step(3), &buffer).unwrap();
            subject.reaches(chain.end());
            assert_eq!(bytes_of(&result), [byte as u8; 64]);
            assert!(!buffer.is_committed());
        }
        eventually("nothing of the pool is reserved", || pool.statistics().live == 0);
        assert_eq!(pool.statistics().releases, 6);
    }
    subject.comes_to_live_bytes(64);
}

/// [hal 49] what a pool cannot have is refused at once, and nobody is told.
fn pools_are_asked_for_what_they_have(subject: &Subject) {
    let pool = blocks(subject, 2);
    let good = BufferParams::device_local();
    let ask = |params: &BufferParams, size| {
        subject.run(|at| subject.device.queue_alloca_from(at, Some(&pool), params, size, WAITING))
    };
    fails_with(ask(&good, BLOCK + 1), Code::OutOfRange);
    let wide = BufferParams { alignment_min: 1 << 30, ..good };
    fails_with(ask(&wide, 64), Code::InvalidArgument);
    let smaller = ask(&good, 100).unwrap();
    assert_eq!(smaller.byte_length(), 100);
    let empty = ask(&good, 0).unwrap();
    assert_eq!(empty.byte_length(), 0);
    drop((smaller, empty));
    eventually("nothing of the pool is reserved", || pool.statistics().live == 0);
}

/// [hal 59] with a dealloca, and without.
fn reservations_return_once(subject: &Subject) {
    let pool = blocks(subject, 1);
    for round in 1..=10 {
        let buffer = subject.run(|at| alloca(subject, &pool, at, WAITING)).unwrap();
        let part = buffer.subspan(0, 64).unwrap();
        if round % 2 == 0 {
            subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
        }
        drop(buffer);
        part.byte_length();
        drop(part);
        eventually("it came back", || pool.statistics().live == 0);
        assert_eq!(pool.statistics().releases, round);
    }
}

/// [hal 50]
fn a_stale_block_is_waited_for(subject: &Subject) {
    let pool = blocks(subject, 1);
    make_stale(subject, &pool);
    let signal = fresh();
    let at = Submission { signal: &signal, ..NOW }.on(last(subject));
    let buffer = alloca(subject, &pool, &at, WAITING).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert!(
        !buffer.is_committed() && signal[0].semaphore.query().unwrap() == 0,
        "its last user has not ended"
    );
    assert_eq!(pool.statistics().waits, 1);
    // Nobody is held up by it.
    if subject.device.queue_count() > 1 {
        subject.run(|at| subject.device.queue_barrier(&at.on(last(subject)))).unwrap();
    }
    advance_first(subject);
    subject.reaches(&signal);
    assert!(buffer.is_committed());
    subject.run(|at| subject.device.queue_fill(at, &Region::whole(&buffer), 1, 1)).unwrap();
    assert_eq!(bytes_of(&buffer), [1; BLOCK as usize]);
}

/// [hal 51] without a host in between, in whatever order the queues get there.
fn a_block_goes_back_and_forth(subject: &Subject) {
    let pool = blocks(subject, 1);
    let results = subject.buffer(64 * 50);
    let mut ends = Vec::new();
    for round in 0..50 {
        let queue = if round % 2 == 0 { QueueAffinity(1) } else { last(subject) };
        let chain = Chain::new(4);
        let buffer = alloca(subject, &pool, &chain.step(0).on(queue), WAITING).unwrap();
        let fill = region(&buffer, 0, 64);
        subject.device.queue_fill(&chain.step(1).on(queue), &fill, round + 1, 1).unwrap();
        let (from, to) = (region(&buffer, 0, 64), region(&results, round * 64, 64));
        subject.device.queue_copy(&chain.step(2).on(queue), &from, &to).unwrap();
        subject.dealloca(&chain.step(3).on(queue), &buffer).unwrap();
        ends.extend_from_slice(chain.end());
    }
    subject.reaches(&ends);
    let expected = (0..64 * 50).map(|index| (index / 64 + 1) as u8);
    assert!(bytes_of(&results).into_iter().eq(expected));
    eventually("nothing of the pool is reserved", || pool.statistics().live == 0);
}

/// [hal 52]
fn a_stale_block_is_refused_without_the_flag(subject: &Subject) {
    let pool = blocks(subject, 1);
    make_stale(subject, &pool);
    let signal = fresh();
    let at = Submission { signal: &signal, ..NOW }.on(last(subject));
    let refused = alloca(subject, &pool, &at, AllocaFlags::empty());
    match refused {
        Ok(buffer) => {
            subject.fails(Ok(()), &signal, Code::ResourceExhausted);
            assert!(!buffer.is_committed());
        }
        Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status}"),
    }
    assert_eq!(pool.statistics().live, 0, "it went back");
    // It went back as it was.
    let second = fresh();
    let at = Submission { signal: &second, ..NOW }.on(last(subject));
    let buffer = alloca(subject, &pool, &at, WAITING).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1));
    assert!(!buffer.is_committed());
    advance_first(subject);
    subject.reaches(&second);
}

/// [hal 53]
fn stale_ranges_make_pools_grow(subject: &Subject) {
    let options = TlsfOptions { slab_bytes: BLOCK, ..TlsfOptions::default() };
    let pool = Pool::tlsf(source(subject), &options).unwrap();
    make_stale(subject, &pool);
    assert_eq!(pool.statistics().slabs, 1);
    let signal = fresh();
    let at = Submission { signal: &signal, ..NOW }.on(last(subject));
    let buffer = alloca(subject, &pool, &at, WAITING).unwrap();
    subject.reaches(&signal);
    let statistics = pool.statistics();
    assert_eq!((statistics.slabs, statistics.waits), (2, 0));
    subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
    // Now both are free, and their users have ended.
    advance_first(subject);
    let both: Vec<_> =
        (0..2).map(|_| subject.run(|at| alloca(subject, &pool, at, WAITING)).unwrap()).collect();
    assert_eq!((pool.statistics().slabs, both.len()), (2, 2));
}

/// [hal 54]
fn an_empty_pool_is_waited_for(subject: &Subject) {
    let pool = blocks(subject, 1);
    let first = subject.run(|at| alloca(subject, &pool, at, WAITING)).unwrap();
    let signals: Vec<Point> = (0..3).map(|_| point(&semaphore(0), 1)).collect();
    let mut parked = Vec::new();
    for signal in signals.chunks(1) {
        let at = Submission { signal, ..NOW }.on(last(subject));
        parked.push(alloca(subject, &pool, &at, WAITING).unwrap());
    }
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert!(signals.iter().all(|point| point.semaphore.query().unwrap() == 0));
    assert!(pool.statistics().exhausted >= 1);
    // Each gets the block when the one before it has gone, in whatever order.
    let mut current = first;
    for _ in 0..3 {
        subject.run(|at| subject.dealloca(at, &current)).unwrap();
        let mut next = None;
        eventually("one of them has the block", || {
            next = parked.iter().position(|buffer| buffer.is_committed());
            next.is_some()
        });
        current = parked.swap_remove(next.expect("seen just now"));
        assert!(parked.iter().all(|buffer| !buffer.is_committed()), "there is one block");
    }
    subject.reaches(&signals);
}

/// [hal 118]
fn failures_do_not_spoil_reuse(subject: &Subject) {
    let pool = blocks(subject, 1);
    let out = subject.buffer(64);
    let operands = [crate::subject::whole(&out)];
    for _ in 0..10 {
        let buffer = subject.run(|at| alloca(subject, &pool, at, WAITING)).unwrap();
        let failing = subject.dispatch("fail_at", [1; 3], &[0], &operands);
        fails_with(subject.run(|at| subject.device.queue_dispatch(at, &failing)), Code::Internal);
        let wait = [point(&crate::subject::failed(Code::Aborted), 1)];
        fails_with(subject.run_after(&wait, |at| subject.dealloca(at, &buffer)), Code::Aborted);
        fails_with(subject.run_after(&wait, |at| alloca(subject, &pool, at, WAITING)), Code::Aborted);
        assert!(buffer.is_committed());
        subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
    }
    assert_eq!(pool.statistics().releases, 10);
}

/// [hal 143] [hal 54]
fn parked_allocations_end_with_their_device(subject: &Subject) {
    let doomed = subject.separate();
    let (empty, stale) = (blocks(&doomed, 1), blocks(&doomed, 1));
    let holder = doomed.run(|at| alloca(&doomed, &empty, at, WAITING)).unwrap();
    make_stale(&doomed, &stale);
    let signals: Vec<Point> = (0..2).map(|_| point(&semaphore(0), 1)).collect();
    let at = |index: usize| Submission { signal: &signals[index..=index], ..NOW };
    let buffers = [
        alloca(&doomed, &empty, &at(0), WAITING).unwrap(),
        alloca(&doomed, &stale, &at(1), WAITING).unwrap(),
    ];
    end(doomed);
    assert_eq!(all_were_told(&signals), (0, 2));
    assert_eq!((empty.statistics().live, stale.statistics().live), (1, 0));
    drop((holder, buffers));
    assert_eq!(empty.statistics().live, 0);
}
