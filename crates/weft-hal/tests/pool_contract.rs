//! The contract that every pool keeps: answers, deaths, budgets, notifications, buffers, the set.

mod pool_subject;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pool_subject::{A, B, Slabs, assert_fresh, assert_ready, frontier, growing, metadata, take};
use weft_hal::pool::{
    Acquired, FixedBlockOptions, Pool, PoolSet, PoolStatistics, Remedy, Request, Requester, TlsfOptions,
};
use weft_hal::{BufferParams, BufferUsage, HostBlock, MappingMode, MemoryAccess, MemoryType};
use weft_sync::atomic::{AtomicBool, AtomicU64, Ordering};
use weft_sync::{Code, Deadline, Frontier};

fn blocks(slabs: &Arc<Slabs>, count: u32) -> Arc<Pool> {
    let options = FixedBlockOptions { block_bytes: 64, block_count: count };
    Pool::fixed_block(slabs.source(), &options).expect("good options")
}

const BLOCK: Request = Request::new(64, 16);
const WAITING: Request = Request { can_wait: true, ..BLOCK };

/// What was never used is fresh, whatever the kind of pool. [hal 21] [causal 72]
#[test]
fn what_was_never_used_is_fresh() {
    let slabs = Slabs::new();
    let pools = [
        slabs.tlsf(4096),
        blocks(&slabs, 4),
        Pool::arena(slabs.source(), 4096).unwrap(),
        Pool::pass_through(slabs.source(), u64::MAX),
    ];
    for pool in pools {
        let block = assert_fresh(pool.acquire(&growing(40), &Requester::unknown()).unwrap());
        assert_eq!(block.offset(), 0);
        assert!(block.length() >= 40 && block.handle() != 0);
        assert_eq!(block.base().addr().get() % 16, 0);
        let statistics = pool.statistics();
        assert_eq!((statistics.fresh, statistics.live, statistics.waits), (1, 1, 0));
        assert_eq!(statistics.reserved_bytes, block.length());
        block.release(None);
        assert_fresh(pool.acquire(&growing(40), &Requester::unknown()).unwrap()).release(None);
    }
}

/// Whoever is ordered after the death has the memory at once, and it is the same. [hal 22]
#[test]
fn who_is_past_a_death_has_the_memory() {
    let slabs = Slabs::new();
    let later = frontier(&[(A, 4), (B, 1)]);
    for pool in [slabs.tlsf(4096), blocks(&slabs, 1), Pool::arena(slabs.source(), 64).unwrap()] {
        let block = take(&pool, 64);
        let base = block.base();
        block.release(Some(&frontier(&[(A, 3)])));
        let block = assert_ready(pool.acquire(&BLOCK, &Requester::after(&later)).unwrap());
        assert_eq!((block.offset(), block.base()), (0, base));
        assert_eq!(pool.statistics().reused, 1);
    }
}

/// Whoever is not gets other memory, or waits if it can, or nothing. [hal 23] [causal 75]
#[test]
fn who_is_not_past_a_death_gets_other_memory_or_waits() {
    let slabs = Slabs::new();
    let ranges = slabs.tlsf(64);
    take(&ranges, 64).release(Some(&frontier(&[(A, 3)])));
    let stranger = frontier(&[(B, 9)]);
    let request = Request { can_wait: true, ..growing(64) };
    let block = assert_fresh(ranges.acquire(&request, &Requester::after(&stranger)).unwrap());
    assert_eq!(block.slab(), 1);
    let PoolStatistics { slabs: count, waits, misses, .. } = ranges.statistics();
    assert_eq!((count, waits, misses), (2, 0, 1));

    let fixed = blocks(&slabs, 1);
    take(&fixed, 64).release(Some(&frontier(&[(A, 3)])));
    let refused = fixed.acquire(&BLOCK, &Requester::after(&stranger)).unwrap();
    assert!(
        matches!(refused, Acquired::Exhausted { growth_required: false, remedy: Remedy::Epoch }),
        "{refused:?}"
    );
    match fixed.acquire(&WAITING, &Requester::after(&stranger)).unwrap() {
        Acquired::NeedsWait(_, wait) => assert_eq!(&*wait, &*frontier(&[(A, 3)])),
        other => panic!("{other:?}"),
    }
    let PoolStatistics { exhausted, waits, .. } = fixed.statistics();
    assert_eq!((exhausted, waits), (1, 1));
}

/// A stale block does not stand before a fresh one. [hal 24] [causal 73]
#[test]
fn a_later_fresh_block_comes_before_a_stale_one() {
    let slabs = Slabs::new();
    let pool = blocks(&slabs, 3);
    let stale = take(&pool, 64);
    assert_eq!(stale.offset(), 0);
    stale.release(Some(&frontier(&[(A, 3)])));
    for offset in [64, 128] {
        let answer = pool.acquire(&WAITING, &Requester::after(Frontier::EMPTY)).unwrap();
        let block = assert_fresh(answer);
        assert_eq!(block.offset(), offset);
        std::mem::forget(block.into_host_block());
    }
}

/// Who declines leaves the memory as it was, again and again. [hal 25] [causal 74] [causal 83]
#[test]
fn declined_memory_is_as_it_was() {
    let slabs = Slabs::new();
    let pools = [blocks(&slabs, 1), Pool::arena(slabs.source(), 64).unwrap()];
    for pool in pools {
        let death = frontier(&[(A, 3), (B, 7)]);
        take(&pool, 64).release(Some(&death));
        for _ in 0..3 {
            match pool.acquire(&WAITING, &Requester::unknown()).unwrap() {
                Acquired::NeedsWait(block, wait) => {
                    assert_eq!(&*wait, &*death);
                    drop(block);
                }
                other => panic!("{other:?}"),
            }
        }
        let block = assert_ready(pool.acquire(&BLOCK, &Requester::after(&death)).unwrap());
        // Ready, but not touched: it still waits for the same for others.
        drop(block);
        assert!(matches!(pool.acquire(&BLOCK, &Requester::unknown()).unwrap(), Acquired::Exhausted { .. }));
        // Released with the frontier that it waited for: the same.
        let Acquired::NeedsWait(block, wait) = pool.acquire(&WAITING, &Requester::unknown()).unwrap() else {
            panic!("stale");
        };
        block.release(Some(&wait));
        assert_ready(pool.acquire(&BLOCK, &Requester::after(&death)).unwrap()).release(None);
    }
}

/// Declining keeps taint as well: nobody is told to wait for what is not known. [hal 25] [causal 76]
#[test]
fn taint_stays_until_a_death_that_fits() {
    let slabs = Slabs::new();
    let pool = blocks(&slabs, 1);
    let death = pool_subject::many(5, 1);
    take(&pool, 64).release(Some(&death));
    for _ in 0..2 {
        let answer = pool.acquire(&WAITING, &Requester::after(&death)).unwrap();
        assert!(
            matches!(answer, Acquired::Exhausted { remedy: Remedy::Nothing, .. }),
            "waiting would be in vain: {answer:?}"
        );
    }
    pool.assume_quiet();
    let block = assert_fresh(pool.acquire(&BLOCK, &Requester::unknown()).unwrap());
    block.release(Some(&frontier(&[(A, 1)])));
    assert!(matches!(pool.acquire(&WAITING, &Requester::unknown()).unwrap(), Acquired::NeedsWait(..)));
}

/// What is known to be complete need not be dominated; who asks and the pool may each know. [hal 26] [causal 80]
#[test]
fn reached_epochs_make_memory_ready() {
    let slabs = Slabs::new();
    let reached = Arc::new(AtomicU64::new(0));
    let known = Arc::clone(&reached);
    let source = slabs
        .source()
        .with_epoch_query(move |axis, epoch| axis == A && epoch <= known.load(Ordering::Acquire));
    let pool = Pool::fixed_block(source, &FixedBlockOptions { block_bytes: 64, block_count: 1 }).unwrap();
    let death = frontier(&[(A, 3), (B, 2)]);
    take(&pool, 64).release(Some(&death));
    let knows_b = Requester { past: None, is_reached: &|axis, epoch| axis == B && epoch <= 2 };
    assert!(pool.acquire(&BLOCK, &knows_b).unwrap().usable().is_none());
    reached.store(3, Ordering::Release);
    assert!(pool.acquire(&BLOCK, &Requester::unknown()).unwrap().usable().is_none(), "B is not reached");
    let past = frontier(&[(B, 2)]);
    drop(assert_ready(pool.acquire(&BLOCK, &Requester::after(&past)).unwrap()));
    drop(assert_ready(pool.acquire(&BLOCK, &knows_b).unwrap()));
}

/// Who forbids growth is told that growth would help, and no slab is taken. [hal 27] [causal 75]
#[test]
fn growth_that_is_not_allowed_does_not_happen() {
    let slabs = Slabs::new();
    for pool in [slabs.tlsf(4096), Pool::pass_through(slabs.source(), u64::MAX)] {
        let answer = pool.acquire(&BLOCK, &Requester::unknown()).unwrap();
        assert!(matches!(answer, Acquired::Exhausted { growth_required: true, .. }), "{answer:?}");
        assert_eq!((slabs.provided(), pool.statistics().slabs, pool.statistics().exhausted), (0, 0, 1));
    }
}

/// Requests that no pool of that kind can serve are errors; one that takes a slab each serves any. [hal 28]
#[test]
fn oversized_requests() {
    let slabs = Slabs::new();
    let code = |pool: &Arc<Pool>, request: Request| {
        pool.acquire(&request, &Requester::unknown()).unwrap_err().code()
    };
    let pools = [slabs.tlsf(4096), blocks(&slabs, 4), Pool::arena(slabs.source(), 4096).unwrap()];
    for pool in &pools {
        assert_eq!(code(pool, growing(4097)), Code::OutOfRange);
        assert_eq!(code(pool, growing(u64::MAX)), Code::OutOfRange);
    }
    assert_eq!(code(&pools[1], growing(65)), Code::OutOfRange);
    let pass_through = Pool::pass_through(slabs.source(), u64::MAX);
    assert_eq!(take(&pass_through, 1 << 20).length(), 1 << 20);
    for pool in pools.iter().chain([&pass_through]) {
        assert_eq!(code(pool, growing(0)), Code::InvalidArgument);
        for alignment in [0, 3, 1 << 40] {
            assert_eq!(code(pool, Request::new(16, alignment)), Code::InvalidArgument);
        }
    }
}

/// The budget is never exceeded; what is refused for it is counted and can be had after a release. [hal 29]
#[test]
fn budgets() {
    let slabs = Slabs::new();
    let options =
        TlsfOptions { slab_bytes: 128, granularity: 16, budget_bytes: 300, ..TlsfOptions::default() };
    let ranges = Pool::tlsf(slabs.source(), &options).unwrap();
    let pass_through = Pool::pass_through(slabs.source(), 300);
    for pool in [ranges, pass_through] {
        let [first, _second] = [take(&pool, 128), take(&pool, 128)];
        let answer = pool.acquire(&growing(128), &Requester::unknown()).unwrap();
        assert!(matches!(answer, Acquired::OverBudget { remedy: Remedy::Release }), "{answer:?}");
        let statistics = pool.statistics();
        assert_eq!((statistics.over_budget, statistics.committed_bytes), (1, 256));
        assert_eq!((statistics.budget_bytes, statistics.reserved_bytes), (300, 256));
        first.release(None);
        assert_eq!(take(&pool, 100).length().next_multiple_of(16), 112);
    }
    let poor = Pool::pass_through(slabs.source(), 10);
    let answer = poor.acquire(&growing(11), &Requester::unknown()).unwrap();
    assert!(matches!(answer, Acquired::OverBudget { remedy: Remedy::Nothing }), "{answer:?}");
}

/// A provider that refuses costs nothing: neither budget nor a slab number. [hal 29]
#[test]
fn a_failed_growth_is_undone() {
    let slabs = Slabs::new();
    let options =
        TlsfOptions { slab_bytes: 128, granularity: 16, budget_bytes: 128, ..TlsfOptions::default() };
    for pool in [Pool::tlsf(slabs.source(), &options).unwrap(), Pool::pass_through(slabs.source(), 128)] {
        slabs.refuses.store(true, Ordering::Relaxed);
        let refused = pool.acquire(&growing(128), &Requester::unknown()).unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!((pool.statistics().committed_bytes, pool.statistics().slabs), (0, 0));
        slabs.refuses.store(false, Ordering::Relaxed);
        assert_eq!(take(&pool, 128).slab(), 0);
    }
}

/// A release calls who waits; one between looking and waiting is not lost; cancelled callbacks are not called. [hal 30]
#[test]
fn releases_are_noticed() {
    let slabs = Slabs::new();
    let pool = blocks(&slabs, 1);
    let calls = Arc::new(AtomicU64::new(0));
    let count = |calls: &Arc<AtomicU64>| {
        let calls = Arc::clone(calls);
        move || drop(calls.fetch_add(1, Ordering::SeqCst).to_string())
    };
    let block = take(&pool, 64);
    let token = pool.observe();
    let cancelled = pool.on_release(token, count(&calls));
    let wait = pool.on_release(token, count(&calls));
    assert!(pool.cancel_wait(cancelled) && !pool.cancel_wait(cancelled));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    block.release(None);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(!pool.cancel_wait(wait), "it was called");

    let block = take(&pool, 64);
    let token = pool.observe();
    assert!(pool.acquire(&BLOCK, &Requester::unknown()).unwrap().usable().is_none());
    block.release(None);
    let wait = pool.on_release(token, count(&calls));
    assert_eq!(calls.load(Ordering::SeqCst), 2, "at once: it was released meanwhile");
    assert!(!pool.cancel_wait(wait));

    let token = pool.observe();
    let _wait = pool.on_release(token, count(&calls));
    assert!(pool.notify() && !pool.notify());
    assert_eq!(calls.load(Ordering::SeqCst), 3, "epochs count as releases when somebody says so");
}

/// The same with threads that all look before they wait: nobody waits for ever. [hal 30]
#[test]
fn no_release_is_missed() {
    let slabs = Slabs::new();
    let pool = blocks(&slabs, 1);
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let block = loop {
                        let token = pool.observe();
                        if let Some(block) = pool.acquire(&BLOCK, &Requester::unknown()).unwrap().usable() {
                            break block;
                        }
                        let this = thread::current();
                        let called = Arc::new(AtomicBool::new(false));
                        let flag = Arc::clone(&called);
                        let _wait = pool.on_release(token, move || {
                            flag.store(true, Ordering::Release);
                            this.unpark();
                        });
                        while !called.load(Ordering::Acquire) {
                            thread::park();
                        }
                    };
                    done.fetch_add(1, Ordering::Relaxed);
                    block.release(None);
                }
            });
        }
    });
    assert_eq!(done.load(Ordering::Relaxed), 2000);
    let PoolStatistics { live, reservations, releases, .. } = pool.statistics();
    assert_eq!((live, reservations, releases), (0, 2000, 2000));
}

/// Empty slabs go back when asked, and only those that nobody may still be using. [hal 31]
#[test]
fn trimming_frees_empty_slabs() {
    let slabs = Slabs::new();
    let reached = Arc::new(AtomicBool::new(false));
    let known = Arc::clone(&reached);
    let source = slabs.source().with_epoch_query(move |_, _| known.load(Ordering::Acquire));
    let options = TlsfOptions { slab_bytes: 128, granularity: 16, ..TlsfOptions::default() };
    let pool = Pool::tlsf(source, &options).unwrap();
    let [first, second, third] = [take(&pool, 128), take(&pool, 128), take(&pool, 32)];
    first.release(None);
    second.release(Some(&frontier(&[(A, 1)])));
    pool.trim();
    assert_eq!((slabs.out(), pool.statistics().slabs, pool.statistics().committed_bytes), (2, 2, 256));
    reached.store(true, Ordering::Release);
    pool.trim();
    assert_eq!((slabs.out(), pool.statistics().free_bytes), (1, 96));
    third.release(None);
    pool.trim();
    assert_eq!((slabs.out(), pool.statistics().committed_bytes), (0, 0));
    assert!(take(&pool, 128).slab() < 3, "numbers of slabs that are gone are used again");
    drop(pool);
    assert_eq!(slabs.out(), 0);
}

/// An owned buffer gives its reservation back once, a borrowed one never; the provider makes both. [hal 32]
#[test]
fn buffers_over_reservations() {
    let slabs = Slabs::new();
    let pool = blocks(&slabs, 1);
    let buffer = pool.materialize(take(&pool, 64), &metadata(), 50).unwrap();
    assert_eq!((buffer.byte_length(), pool.statistics().live), (50, 1));
    buffer.fill(0, 50, &[7]).unwrap();
    drop(buffer);
    assert_eq!((pool.statistics().live, pool.statistics().releases), (0, 1));
    let block = assert_fresh(pool.acquire(&BLOCK, &Requester::unknown()).unwrap());

    let view = pool.view(&block, &metadata(), 64).unwrap();
    let mapping = view.map(MappingMode::Scoped, MemoryAccess::READ, 0, 1).unwrap();
    assert_eq!(mapping.base(), block.base().as_ptr());
    drop((mapping, view));
    assert_eq!((pool.statistics().live, slabs.wrapped.load(Ordering::Relaxed)), (1, 2));
    // A view that outlives the block keeps the memory from being given to somebody else.
    let view = pool.view(&block, &metadata(), 64).unwrap();
    block.release(Some(&frontier(&[(A, 2)])));
    assert!(matches!(
        pool.acquire(&BLOCK, &Requester::unknown()).unwrap(),
        Acquired::Exhausted { remedy: Remedy::Release, .. }
    ));
    drop(view);
    assert_ready(pool.acquire(&BLOCK, &Requester::after(&frontier(&[(A, 2)]))).unwrap()).release(None);
    assert_eq!(pool.statistics().live, 0);
}

/// When the provider refuses, the reservation goes back as it was, and misuse is noticed. [hal 32]
#[test]
fn buffers_that_cannot_be_made() {
    let slabs = Slabs::new();
    let (pool, other) = (blocks(&slabs, 1), blocks(&slabs, 1));
    take(&pool, 64).release(Some(&frontier(&[(A, 3)])));
    let past = frontier(&[(A, 3)]);
    let block = assert_ready(pool.acquire(&BLOCK, &Requester::after(&past)).unwrap());
    slabs.refuses_to_wrap.store(true, Ordering::Relaxed);
    assert_eq!(pool.view(&block, &metadata(), 64).unwrap_err().code(), Code::Unavailable);
    assert_eq!(pool.materialize(block, &metadata(), 64).unwrap_err().code(), Code::Unavailable);
    assert_eq!(pool.statistics().live, 0);
    assert!(
        matches!(pool.acquire(&WAITING, &Requester::unknown()).unwrap(), Acquired::NeedsWait(..)),
        "it still died after the same"
    );
    slabs.refuses_to_wrap.store(false, Ordering::Relaxed);
    let block = take(&other, 64);
    assert_eq!(pool.view(&block, &metadata(), 64).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(other.view(&block, &metadata(), 65).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(pool.materialize(block, &metadata(), 64).unwrap_err().code(), Code::InvalidArgument);
}

/// A buffer, and the host block of one that is committed later, keep the pool and its slab; the last word on what it dies
/// after counts. [hal 32] [hal 44]
#[test]
fn blocks_keep_their_pool() {
    let slabs = Slabs::new();
    let pool = blocks(&slabs, 1);
    let mut block: HostBlock = take(&pool, 64).into_host_block();
    let weak = Arc::downgrade(&pool);
    drop(pool);
    block.fill(3);
    let pool = weak.upgrade().expect("the block holds it");
    block.set_death(Some(&frontier(&[(A, 1)])));
    block.set_death(Some(&frontier(&[(B, 1)])));
    drop(block);
    let answer = pool.acquire(&BLOCK, &Requester::after(&frontier(&[(A, 1)]))).unwrap();
    assert!(answer.usable().is_none());
    assert_ready(pool.acquire(&BLOCK, &Requester::after(&frontier(&[(B, 1)]))).unwrap()).release(None);
    drop(pool);
    assert_eq!((weak.strong_count(), slabs.out()), (0, 0));
}

/// Who may wait blocks until memory comes back, and is told when none does or ever will. [hal 33]
#[test]
fn blocking_allocation() {
    let slabs = Slabs::new();
    let pool = blocks(&slabs, 1);
    let held = pool.allocate_buffer(&metadata(), 64, 10, Deadline::IMMEDIATE).unwrap();
    for deadline in [Deadline::IMMEDIATE, Deadline::after(Duration::from_millis(5))] {
        assert_eq!(pool.allocate(64, 16, deadline).unwrap_err().code(), Code::DeadlineExceeded);
    }
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.allocate_buffer(&metadata(), 64, 0, Deadline::NEVER));
        thread::sleep(Duration::from_millis(10));
        assert!(!waiting.is_finished());
        drop(held);
        assert_eq!(waiting.join().unwrap().unwrap().byte_length(), 0);
    });
    take(&pool, 64).release(Some(&pool_subject::many(5, 1)));
    let in_vain = pool.allocate(64, 16, Deadline::NEVER).unwrap_err();
    assert_eq!(in_vain.code(), Code::ResourceExhausted, "all there is is tainted: {in_vain}");
}

/// A thread that waits for an epoch needs nobody to say that it was reached. [hal 33]
#[test]
fn blocking_allocation_notices_epochs() {
    let slabs = Slabs::new();
    let reached = Arc::new(AtomicBool::new(false));
    let known = Arc::clone(&reached);
    let source = slabs.source().with_epoch_query(move |_, _| known.load(Ordering::Acquire));
    let pool = Pool::fixed_block(source, &FixedBlockOptions { block_bytes: 64, block_count: 1 }).unwrap();
    take(&pool, 64).release(Some(&frontier(&[(A, 1)])));
    let early = pool.allocate(64, 16, Deadline::after(Duration::from_millis(3))).unwrap_err();
    assert_eq!(early.code(), Code::DeadlineExceeded);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.allocate(64, 16, Deadline::NEVER));
        thread::sleep(Duration::from_millis(5));
        reached.store(true, Ordering::Release);
        waiting.join().unwrap().unwrap().release(None);
    });
}

/// Requests go to the first pool that fits, by priority and among equals by age. [hal 34]
#[test]
fn routing() {
    let slabs = Slabs::new();
    let [small, large, first, second] = [64, 4096, 1024, 1024].map(|bytes| slabs.tlsf(bytes));
    let block = blocks(&slabs, 1);
    let mut set = PoolSet::new();
    let params = BufferParams {
        usage: BufferUsage::TRANSFER,
        memory_type: MemoryType::OPTIMAL | MemoryType::DEVICE_LOCAL,
        ..BufferParams::default()
    };
    assert_eq!(set.select(&params, 1).unwrap_err().code(), Code::NotFound);
    set.add(1, Arc::clone(&large));
    set.add(5, Arc::clone(&first));
    set.add(9, Arc::clone(&small));
    set.add(5, Arc::clone(&second));
    set.add(20, Arc::clone(&block));
    let is = |size, pool: &Arc<Pool>| Arc::ptr_eq(set.select(&params, size).unwrap(), pool);
    assert!(is(64, &block), "the only size of a pool of blocks");
    assert!(is(10, &small) && is(65, &first) && is(1024, &first) && is(1025, &large));
    assert_eq!(set.select(&params, 4097).unwrap_err().code(), Code::NotFound);
    let order: Vec<u64> = set.pools().map(|pool| pool.capabilities().size_max).collect();
    assert_eq!(order, [64, 64, 1024, 1024, 4096]);
    let aligned = BufferParams { alignment_min: 2048, ..params };
    assert!(Arc::ptr_eq(set.select(&aligned, 1).unwrap(), &large), "the others are not so aligned");
    let cached = BufferParams { memory_type: MemoryType::HOST_CACHED, ..params };
    assert_eq!(set.select(&cached, 1).unwrap_err().code(), Code::NotFound);
}

/// The set of devices: ranges first, what is too large by itself; slabs go back when trimmed. [hal 34]
#[test]
fn the_standard_set() {
    let slabs = Slabs::new();
    let set = PoolSet::standard(|| slabs.source()).unwrap();
    let params = BufferParams { usage: BufferUsage::TRANSFER, ..BufferParams::device_local() };
    let pool = set.select(&params, 16).unwrap();
    let block = take(pool, 16);
    assert_eq!((block.length(), pool.statistics().committed_bytes), (64, 64 << 20));
    let pool = set.select(&params, (64 << 20) + 1).unwrap();
    assert_eq!(pool.capabilities().size_max, 0);
    block.release(None);
    set.trim();
    assert_eq!(slabs.out(), 0);
}
