//! Pools in steady state allocate nothing, and without memory for their accounts they stay whole: shown by counting, and
//! by refusing.
//!
//! Only the allocations of the asking thread count, so that the harness and other tests do not disturb.
#![allow(
    unsafe_code,
    reason = "an allocator that counts and refuses, and passes the rest on to the system's"
)]

mod pool_subject;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::Arc;

use pool_subject::{A, Slabs, assert_fresh, frontier, growing, take};
use weft_hal::pool::{Acquired, FixedBlockOptions, Pool, PooledBlock, Request, Requester};
use weft_sync::reuse::{self, RangeOptions, RangePool, Reservation};
use weft_sync::{Code, FrontierBuf};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    /// Allocations from now until one is refused; 0: none is.
    static REFUSE_IN: Cell<u64> = const { Cell::new(0) };
}

/// Counts one; whether it is to be refused.
fn count_one() -> bool {
    // A thread that is being torn down is not the one that asks.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    let left = REFUSE_IN.try_with(|left| left.replace(left.get().saturating_sub(1)));
    left == Ok(1)
}

// SAFETY: everything is passed on unchanged to the system's allocator, or refused as one without memory would.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if count_one() {
            return null_mut();
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if count_one() {
            return null_mut();
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// How often this thread allocates while `body` runs.
fn allocations(body: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    body();
    COUNT.get() - before
}

/// The same done again allocates nothing: asking, refusing, giving back in any way, in any kind of pool. [hal 31]
#[test]
fn steady_state_allocates_nothing() {
    let slabs = Slabs::new();
    let fixed = FixedBlockOptions { block_bytes: 1024, block_count: 8 };
    let pools = [
        ("ranges", slabs.tlsf(1 << 16)),
        ("blocks", Pool::fixed_block(slabs.source(), &fixed).unwrap()),
        ("arena", Pool::arena(slabs.source(), 1 << 16).unwrap()),
    ];
    let later = frontier(&[(A, 9)]);
    let (requester, death) = (Requester::after(&later), frontier(&[(A, 3)]));
    for (kind, pool) in &pools {
        let round = || {
            let mut held: [Option<PooledBlock>; 6] = [const { None }; 6];
            for (index, place) in held.iter_mut().enumerate() {
                *place = pool.acquire(&growing(100 + index as u64 * 64), &requester).unwrap().usable();
            }
            for (index, block) in held.into_iter().enumerate() {
                let block = block.expect("there is enough");
                match index % 3 {
                    0 => block.release(Some(&death)),
                    1 => drop(block.into_host_block()),
                    _ => drop(block),
                }
            }
            let waiting = Request { can_wait: true, ..Request::new(100, 16) };
            drop(pool.acquire(&waiting, &Requester::unknown()).unwrap());
            let _ = pool.statistics();
        };
        round();
        let count = allocations(|| (0..100).for_each(|_| round()));
        assert_eq!(count, 0, "{kind}");
    }
}

fn get(pool: &mut RangePool<8>, size: u64) -> weft_sync::Result<Option<Reservation>> {
    let answer = pool.acquire(&Request::new(size, 16), &Requester::unknown())?;
    Ok(match answer {
        reuse::Acquired::Fresh(reservation) => Some(reservation),
        reuse::Acquired::Exhausted { .. } => None,
        other => panic!("{other:?}"),
    })
}

/// Without memory for another range a split is refused, and everything is as before it. [hal 40]
#[test]
fn a_split_without_memory_changes_nothing() {
    let options = RangeOptions { granularity: 16, slab_bytes: 16 << 10, slabs_max: 1, budget: u64::MAX };
    let mut pool = RangePool::<8>::new(options).unwrap();
    pool.add_slab().unwrap();
    let (mut held, mut refused) = (Vec::with_capacity(1024), 0);
    loop {
        let (largest, free) = (pool.largest_free_bytes(), pool.free_bytes());
        // Refuse the next allocation, if there is one in this request; the message about it may be allocated.
        REFUSE_IN.set(1);
        let answer = get(&mut pool, 16);
        REFUSE_IN.set(0);
        match answer {
            Ok(Some(reservation)) => held.push(reservation),
            Ok(None) => break,
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted);
                assert_eq!((pool.largest_free_bytes(), pool.free_bytes()), (largest, free));
                refused += 1;
                held.push(get(&mut pool, 16).unwrap().expect("there was room for it all the time"));
            }
        }
    }
    assert_eq!(held.len(), 1024);
    assert!(refused > 5, "the table grew {refused} times");
    held.into_iter().for_each(|reservation| pool.release(reservation, None).unwrap());
    assert_eq!((pool.largest_free_bytes(), pool.statistics().live), (16 << 10, 0));
}

/// The same for a whole pool, in whatever place memory is short: an error, nothing lost, and the next request is served.
/// [hal 40]
#[test]
fn requests_without_memory_leave_the_pool_whole() {
    let slabs = Slabs::new();
    for nth in 1..12 {
        let pool = slabs.tlsf(4096);
        // The slab is there: the test's own provider has no answer to a lack of memory.
        let mut held: Vec<PooledBlock> = Vec::with_capacity(256);
        held.push(take(&pool, 64));
        for _ in 1..60 {
            REFUSE_IN.set(nth);
            let answer = pool.acquire(&growing(64), &Requester::unknown());
            REFUSE_IN.set(0);
            match answer {
                Ok(answer) => held.push(assert_fresh(answer)),
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted);
                    held.push(take(&pool, 64));
                }
            }
        }
        assert_eq!((pool.statistics().live, pool.statistics().reserved_bytes), (60, 3840));
        drop(held);
        pool.trim();
        assert_eq!((pool.statistics().committed_bytes, slabs.out()), (0, 0), "refusing number {nth}");
    }
}

/// Giving back never allocates, not even what was never given back before. [hal 31]
#[test]
fn releases_never_allocate() {
    let slabs = Slabs::new();
    let pool = slabs.tlsf(1 << 20);
    let death: FrontierBuf<1> = FrontierBuf::single(A, 4);
    let held: Vec<PooledBlock> = (0..500).map(|_| take(&pool, 1000)).collect();
    let count = allocations(|| held.into_iter().for_each(|block| block.release(Some(&death))));
    assert_eq!(count, 0);
    let keeper = Arc::clone(&pool);
    assert!(matches!(
        keeper.acquire(&Request::new(1 << 20, 16), &Requester::after(&death)).unwrap(),
        Acquired::Ready(_)
    ));
}
