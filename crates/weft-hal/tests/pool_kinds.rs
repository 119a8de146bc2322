//! Blocks of one size, arenas, and slabs passed through: what each kind does in its own way.

mod pool_subject;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use pool_subject::{A, B, C, Slabs, assert_fresh, assert_ready, frontier, growing, many, metadata, take};
use weft_hal::HostBlock;
use weft_hal::pool::{
    Acquired, BLOCKS_MAX, FixedBlockOptions, Pool, PoolStatistics, PooledBlock, Remedy, Request, Requester,
    WaitFrontier,
};
use weft_sync::atomic::{AtomicU64, Ordering};
use weft_sync::{Code, Deadline};

fn blocks(slabs: &Arc<Slabs>, block_bytes: u64, block_count: u32) -> weft_sync::Result<Arc<Pool>> {
    Pool::fixed_block(slabs.source(), &FixedBlockOptions { block_bytes, block_count })
}

const WAITING: Request = Request { can_wait: true, ..Request::new(16, 16) };

#[track_caller]
fn assert_waits(answer: Acquired) -> (PooledBlock, WaitFrontier) {
    match answer {
        Acquired::NeedsWait(block, frontier) => (block, frontier),
        other => panic!("{other:?} need not wait"),
    }
}

/// What is asked of a pool of blocks at its creation, and where the blocks are. [hal 41]
#[test]
fn blocks_are_where_they_should_be() {
    let slabs = Slabs::new();
    let wrong = [(0, 1), (64, 0), (64, BLOCKS_MAX + 1), (u64::MAX / 2, 3), (1 << 63, 2)];
    for (bytes, count) in wrong {
        let refused = blocks(&slabs, bytes, count).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{count} of {bytes}");
    }
    // 64, 65 and 100: whole and partial words of any map of bits.
    for count in [1, 64, 65, 100, BLOCKS_MAX] {
        let pool = blocks(&slabs, 48, count).unwrap();
        let capabilities = *pool.capabilities();
        assert_eq!((capabilities.size_min, capabilities.size_max, capabilities.alignment_max), (48, 48, 16));
        let all: Vec<PooledBlock> = (0..count).map(|_| take(&pool, 48)).collect();
        let offsets: BTreeSet<u64> = all.iter().map(PooledBlock::offset).collect();
        assert!(offsets.iter().enumerate().all(|(index, offset)| *offset == index as u64 * 48));
        assert_eq!(offsets.len() as u32, count);
        let answer = pool.acquire(&WAITING, &Requester::unknown()).unwrap();
        assert!(
            matches!(answer, Acquired::Exhausted { growth_required: false, remedy: Remedy::Release }),
            "{answer:?}"
        );
        let PoolStatistics { live, reserved_bytes, free_bytes, committed_bytes, slabs, .. } =
            pool.statistics();
        assert_eq!((live, reserved_bytes, free_bytes), (u64::from(count), committed_bytes, 0));
        assert_eq!((committed_bytes, slabs), (48 * u64::from(count), 1));
        drop(all);
        assert_eq!((pool.statistics().live, pool.statistics().free_bytes), (0, committed_bytes));
    }
    assert_eq!(slabs.out(), 0);
}

/// Blocks keep the death that they are given, lose taint with the next one that fits, and keep both when somebody
/// declines. [hal 41] [causal 76]
#[test]
fn blocks_keep_their_deaths() {
    let slabs = Slabs::new();
    let pool = blocks(&slabs, 16, 1).unwrap();
    let acquire = || pool.acquire(&WAITING, &Requester::unknown()).unwrap();
    assert_fresh(acquire()).release(Some(&many(4, 9)));
    for _ in 0..2 {
        let (block, wait) = assert_waits(acquire());
        assert_eq!(&*wait, &*many(4, 9));
        drop(block);
    }
    let (block, _) = assert_waits(acquire());
    block.release(Some(&many(5, 9)));
    for _ in 0..2 {
        assert!(matches!(acquire(), Acquired::Exhausted { remedy: Remedy::Nothing, .. }), "tainted");
    }
    pool.assume_quiet();
    assert_fresh(acquire()).release(Some(&frontier(&[(A, 1)])));
    assert_eq!(&*assert_waits(acquire()).1, &*frontier(&[(A, 1)]));
    let PoolStatistics { fresh, waits, exhausted, misses, reservations, releases, .. } = pool.statistics();
    assert_eq!((fresh, waits, exhausted, misses), (2, 4, 2, 6));
    assert_eq!((reservations, releases), (6, 6));
}

/// Threads that take all there is get each block once. [hal 42]
#[test]
fn threads_get_each_block_once() {
    let slabs = Slabs::new();
    for count in [1, 63, 64, 1000] {
        let pool = blocks(&slabs, 16, count).unwrap();
        let mut all: Vec<PooledBlock> = thread::scope(|scope| {
            let taker = || {
                let mut mine = Vec::new();
                while let Some(block) = pool.acquire(&WAITING, &Requester::unknown()).unwrap().usable() {
                    mine.push(block);
                }
                mine
            };
            let threads = [scope.spawn(taker), scope.spawn(taker), scope.spawn(taker), scope.spawn(taker)];
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(all.len() as u32, count);
        all.sort_by_key(PooledBlock::offset);
        all.dedup_by_key(|block| block.offset());
        assert_eq!(all.len() as u32, count, "none twice");
    }
}

/// Threads that ask and release at once: the next owner sees the death that the last one wrote, and its bytes.
/// [hal 42] [causal 79]
#[test]
fn deaths_travel_between_threads() {
    let slabs = Slabs::new();
    let pool = blocks(&slabs, 64, 3).unwrap();
    // What each block was last given back with, as its owners see it.
    let last: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    thread::scope(|scope| {
        for axis in [A, B, C] {
            let (pool, last) = (&pool, &last);
            scope.spawn(move || {
                let request = Request { can_wait: true, ..Request::new(64, 64) };
                for epoch in 1..2000_u64 {
                    let (block, wait) = match pool.acquire(&request, &Requester::unknown()).unwrap() {
                        Acquired::Fresh(block) => (block, WaitFrontier::new()),
                        Acquired::NeedsWait(block, wait) => (block, wait),
                        Acquired::Exhausted { .. } => continue,
                        other => panic!("{other:?}"),
                    };
                    let place = &last[(block.offset() / 64) as usize];
                    let seen: u64 = wait.into_iter().map(|entry| entry.axis.raw() ^ entry.epoch).sum();
                    // Relaxed: whoever has the block has it alone, which the pool orders.
                    assert_eq!(place.load(Ordering::Relaxed), seen);
                    place.store(axis.raw() ^ epoch, Ordering::Relaxed);
                    let mut block: HostBlock = block.into_host_block();
                    block.fill(epoch as u8);
                    block.set_death(Some(&frontier(&[(axis, epoch)])));
                }
            });
        }
    });
    assert_eq!(pool.statistics().live, 0);
}

/// An arena gives out what follows, padded as it must be, until it ends; and begins again when all has come back.
/// [hal 43] [causal 78]
#[test]
fn arenas_begin_again_when_all_is_back() {
    let slabs = Slabs::new();
    let pool = Pool::arena(slabs.source(), 256).unwrap();
    let at = |size, alignment| {
        pool.acquire(&Request::new(size, alignment), &Requester::unknown()).unwrap().usable()
    };
    let [first, second, third] = [at(10, 16).unwrap(), at(1, 64).unwrap(), at(128, 128).unwrap()];
    assert_eq!([first.offset(), second.offset(), third.offset()], [0, 64, 128]);
    assert!(at(1, 1).is_none(), "the padding counts");
    drop(third);
    drop(first);
    assert!(at(1, 1).is_none(), "not before all is back");
    second.release(None);
    let whole = at(256, 16).unwrap();
    assert_eq!(whole.offset(), 0);
    let code = |size, alignment| {
        pool.acquire(&Request::new(size, alignment), &Requester::unknown()).unwrap_err().code()
    };
    assert_eq!((code(0, 16), code(16, 24)), (Code::InvalidArgument, Code::InvalidArgument));
    assert_eq!(Pool::arena(slabs.source(), 0).unwrap_err().code(), Code::InvalidArgument);
}

/// The first batch has nothing to wait for; every next one has all that the one before died after, the later epoch of each
/// axis; what does not fit taints one batch. [hal 43] [causal 78]
#[test]
fn batches_of_arenas() {
    let slabs = Slabs::new();
    let pool = Pool::arena(slabs.source(), 256).unwrap();
    let acquire = || pool.acquire(&WAITING, &Requester::unknown()).unwrap();
    let [first, second, third] = [assert_fresh(acquire()), assert_fresh(acquire()), assert_fresh(acquire())];
    first.release(Some(&frontier(&[(A, 3), (B, 1)])));
    second.release(None);
    third.release(Some(&frontier(&[(A, 2), (C, 5)])));
    let before = frontier(&[(A, 3), (B, 1), (C, 5)]);
    let (first, wait) = assert_waits(acquire());
    let second = assert_ready(pool.acquire(&WAITING, &Requester::after(&before)).unwrap());
    assert_eq!((&*wait, first.offset(), second.offset()), (&*before, 0, 16));
    second.release(Some(&many(17, 1)));
    first.release(None);
    let answer = acquire();
    assert!(matches!(answer, Acquired::Exhausted { remedy: Remedy::Nothing, .. }), "tainted: {answer:?}");
    pool.assume_quiet();
    assert_fresh(acquire()).release(Some(&frontier(&[(B, 2)])));
    assert_eq!(&*assert_waits(acquire()).1, &*frontier(&[(B, 2)]), "the taint ended with its batch");
}

/// A slab for each reservation: as large as one likes, counted, gone with it; nothing is left to trim. [hal 44]
#[test]
fn slabs_passed_through() {
    let slabs = Slabs::new();
    let pool = Pool::pass_through(slabs.source(), u64::MAX);
    let refused = pool.acquire(&Request::new(16, 8192), &Requester::unknown()).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let aligned = Request { can_grow: true, ..Request::new(100, 4096) };
    let [first, second] =
        [take(&pool, 1000), assert_fresh(pool.acquire(&aligned, &Requester::unknown()).unwrap())];
    assert_eq!((first.offset(), second.offset(), second.base().addr().get() % 4096), (0, 0, 0));
    assert_ne!(first.handle(), second.handle());
    let PoolStatistics { live, slabs: count, committed_bytes, reserved_bytes, fresh, .. } = pool.statistics();
    assert_eq!((live, count, committed_bytes, reserved_bytes, fresh), (2, 2, 1100, 1100, 2));
    pool.trim();
    assert_eq!(slabs.out(), 2);
    first.release(Some(&frontier(&[(A, 1)])));
    assert_eq!((slabs.out(), pool.statistics().committed_bytes), (1, 100));
    let buffer = pool.materialize(second, &metadata(), 100).unwrap();
    let weak = Arc::downgrade(&pool);
    drop(pool);
    assert!(weak.strong_count() > 0, "the buffer holds it");
    drop(buffer);
    assert_eq!((weak.strong_count(), slabs.out()), (0, 0));
}

/// A refusal that is over budget ends when something comes back, for threads that wait. [hal 29] [hal 33]
#[test]
fn budgets_of_those_who_wait() {
    let slabs = Slabs::new();
    let pool = Pool::pass_through(slabs.source(), 100);
    let held = take(&pool, 60);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.allocate(60, 16, Deadline::NEVER).unwrap());
        thread::sleep(std::time::Duration::from_millis(5));
        assert!(!waiting.is_finished());
        held.release(None);
        waiting.join().unwrap().release(None);
    });
    assert_eq!(pool.allocate(101, 16, Deadline::NEVER).unwrap_err().code(), Code::ResourceExhausted);
    let answer = pool.acquire(&growing(100), &Requester::unknown()).unwrap();
    assert_fresh(answer).release(None);
}
