//! The cache of slabs: who finds one, who waits, who passes by, and what errors and the end do to them.

mod pool_subject;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pool_subject::{Slabs, growing, take};
use weft_hal::HostBlock;
use weft_hal::pool::{
    Acquired, Pool, PoolSource, Remedy, Requester, SlabCache, SlabCacheOptions, SlabCacheStatistics,
    SlabProperties, SlabProvider, TlsfOptions,
};
use weft_sync::atomic::{AtomicU64, Condvar, Mutex, Ordering, lock};
use weft_sync::{Code, Result, Status};

/// Slabs that come when the test says so.
struct Gated {
    slabs: Arc<Slabs>,
    /// How many more may pass.
    open: Mutex<u64>,
    opened: Condvar,
    asked: AtomicU64,
    prefaulted: AtomicU64,
    /// Refusals that are left.
    refusals: AtomicU64,
}

impl Gated {
    fn new(open: u64) -> Arc<Gated> {
        Arc::new(Gated {
            slabs: Slabs::new(),
            open: Mutex::new(open),
            opened: Condvar::new(),
            asked: AtomicU64::new(0),
            prefaulted: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        })
    }

    fn open(&self, more: u64) {
        let mut open = lock(&self.open);
        *open = open.saturating_add(more);
        self.opened.notify_all();
    }
}

impl SlabProvider for Gated {
    fn properties(&self) -> SlabProperties {
        self.slabs.properties()
    }

    fn acquire_slab(&self, size: u64, alignment: u64) -> Result<HostBlock> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut open = lock(&self.open);
        while *open == 0 {
            open = self.opened.wait(open).expect("nobody panics");
        }
        *open -= 1;
        drop(open);
        let refuse = |left: u64| left.checked_sub(1);
        if self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse).is_ok() {
            return Err(Status::new(Code::Unavailable, "no slabs today"));
        }
        self.slabs.acquire_slab(size, alignment)
    }

    fn prefault(&self, slab: &mut HostBlock) {
        self.prefaulted.fetch_add(1, Ordering::SeqCst);
        slab.touch_pages();
    }
}

const SLAB: u64 = 64 << 10;

fn cache(provider: &Arc<Gated>, ready_target: usize, ready_max: usize) -> SlabCache {
    let options =
        SlabCacheOptions { slab_bytes: SLAB, alignment: 64, ready_target, ready_max, on_start: None };
    SlabCache::new(Arc::clone(provider) as Arc<dyn SlabProvider>, options).expect("good options")
}

/// Waits until something is so; panics if it is not soon.
#[track_caller]
fn soon(mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(10), "not soon");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Ready slabs are found at once, already touched, and refilled; one that comes back is found again. [hal 45]
#[test]
fn hits() {
    let provider = Gated::new(u64::MAX);
    let cache = cache(&provider, 2, 4);
    soon(|| cache.statistics().ready == 2);
    assert_eq!(provider.prefaulted.load(Ordering::SeqCst), 2);
    let slab = cache.acquire_slab(100, 16).unwrap();
    assert_eq!((slab.length() as u64, cache.statistics().hits, cache.statistics().misses), (SLAB, 1, 0));
    soon(|| cache.statistics().ready == 2);
    let base = slab.base();
    drop(slab);
    assert_eq!(cache.statistics().ready, 3);
    let slabs: Vec<HostBlock> = (0..3).map(|_| cache.acquire_slab(SLAB, 64).unwrap()).collect();
    assert!(slabs.iter().any(|slab| slab.base() == base));
    let SlabCacheStatistics { hits, misses, reuse_interval, prefault_time, .. } = cache.statistics();
    assert_eq!((hits, misses), (4, 0));
    assert!(!reuse_interval.is_zero() && !prefault_time.is_zero());
}

/// Who finds none waits for the next; several who wait are all served, by fresh slabs and by ones that come back. [hal 45]
#[test]
fn misses() {
    let provider = Gated::new(0);
    let cache = cache(&provider, 0, 4);
    thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| cache.acquire_slab(SLAB, 64))).collect();
        soon(|| cache.statistics().misses == 4);
        thread::sleep(Duration::from_millis(5));
        assert!(all.iter().all(|one| !one.is_finished()));
        provider.open(2);
        soon(|| all.iter().filter(|one| one.is_finished()).count() == 2);
        let (served, waiting): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.is_finished());
        let served: Vec<HostBlock> = served.into_iter().map(|one| one.join().unwrap().unwrap()).collect();
        drop(served); // they go to the other two
        let served: Vec<HostBlock> = waiting.into_iter().map(|one| one.join().unwrap().unwrap()).collect();
        assert_eq!((served.len(), provider.slabs.provided()), (2, 2));
        // The refill that was on its way is let go.
        provider.open(u64::MAX);
    });
    assert_eq!(cache.statistics().hits, 0);
}

/// What is larger, or more aligned, passes by and is made ready on the spot. [hal 45]
#[test]
fn bypasses() {
    let provider = Gated::new(u64::MAX);
    let cache = cache(&provider, 0, 4);
    let large = cache.acquire_slab(SLAB + 1, 64).unwrap();
    let aligned = cache.acquire_slab(10, 4096).unwrap();
    assert_eq!((large.length() as u64, aligned.length()), (SLAB + 1, 10));
    let SlabCacheStatistics { hits, misses, bypasses, ready, .. } = cache.statistics();
    assert_eq!((hits, misses, bypasses, ready), (0, 0, 2, 0));
    assert_eq!(provider.prefaulted.load(Ordering::SeqCst), 2);
    drop((large, aligned));
    assert_eq!((cache.statistics().ready, provider.slabs.out()), (0, 0), "they do not come back here");
}

/// No more than the most are kept, and none when all is trimmed. [hal 45]
#[test]
fn limits() {
    let provider = Gated::new(u64::MAX);
    let cache = cache(&provider, 1, 2);
    let slabs: Vec<HostBlock> = (0..5).map(|_| cache.acquire_slab(SLAB, 64).unwrap()).collect();
    soon(|| cache.statistics().ready == 1);
    drop(slabs);
    assert_eq!((cache.statistics().ready, provider.slabs.out()), (2, 2));
    cache.trim_to(1);
    assert_eq!((cache.statistics().ready, provider.slabs.out()), (1, 1));
    cache.trim();
    thread::sleep(Duration::from_millis(5));
    assert_eq!((cache.statistics().ready, provider.slabs.out()), (0, 0), "nobody asked for new ones");
    let slab = cache.acquire_slab(SLAB, 64).unwrap();
    soon(|| cache.statistics().ready == 1);
    drop(cache);
    assert_eq!(provider.slabs.out(), 1, "slabs outlive the cache");
    drop(slab);
    assert_eq!(provider.slabs.out(), 0);
    let wrong = [(0, 64, 1, 1), (SLAB, 3, 1, 1), (SLAB, 8192, 1, 1), (SLAB, 64, 2, 1)];
    for (slab_bytes, alignment, ready_target, ready_max) in wrong {
        let options = SlabCacheOptions { slab_bytes, alignment, ready_target, ready_max, on_start: None };
        let refused = SlabCache::new(Arc::clone(&provider) as Arc<dyn SlabProvider>, options);
        assert_eq!(refused.map(drop).unwrap_err().code(), Code::InvalidArgument);
    }
}

/// An error of a refill is told once, to who asks next or waits; then the refill goes on. [hal 45]
#[test]
fn errors() {
    let provider = Gated::new(0);
    provider.refusals.store(1, Ordering::SeqCst);
    let cache = cache(&provider, 1, 2);
    provider.open(1);
    soon(|| provider.refusals.load(Ordering::SeqCst) == 0);
    soon(|| provider.asked.load(Ordering::SeqCst) == 1);
    let told = cache.acquire_slab(SLAB, 64).unwrap_err();
    assert_eq!(told.code(), Code::Unavailable);
    provider.open(u64::MAX);
    drop(cache.acquire_slab(SLAB, 64).unwrap());

    // Two who wait: one is told, the other is served.
    let provider = Gated::new(0);
    provider.refusals.store(1, Ordering::SeqCst);
    let cache = self::cache(&provider, 0, 2);
    let outcomes = thread::scope(|scope| {
        let [one, other] = [0, 1].map(|_| scope.spawn(|| cache.acquire_slab(SLAB, 64).map(drop)));
        soon(|| cache.statistics().misses == 2);
        provider.open(u64::MAX);
        [one.join().unwrap(), other.join().unwrap()]
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
}

/// The end waits for a refill that is on its way, and takes everything along. [hal 45]
#[test]
fn the_end() {
    let provider = Gated::new(1);
    let started = Arc::new(AtomicU64::new(0));
    let flag = Arc::clone(&started);
    let options = SlabCacheOptions {
        slab_bytes: SLAB,
        alignment: 64,
        ready_target: 2,
        ready_max: 2,
        on_start: Some(Box::new(move || flag.store(1, Ordering::SeqCst))),
    };
    let cache = SlabCache::new(Arc::clone(&provider) as Arc<dyn SlabProvider>, options).unwrap();
    soon(|| provider.asked.load(Ordering::SeqCst) == 2);
    assert_eq!(started.load(Ordering::SeqCst), 1);
    let ending = thread::spawn(move || drop(cache));
    thread::sleep(Duration::from_millis(5));
    assert!(!ending.is_finished(), "the second slab is on its way");
    provider.open(1);
    ending.join().unwrap();
    assert_eq!((provider.slabs.provided(), provider.slabs.out()), (2, 0));
}

/// A pool over a cache: slabs that are trimmed are ready for the next one. [hal 45]
#[test]
fn pools_over_a_cache() {
    let provider = Gated::new(u64::MAX);
    let cache = Arc::new(cache(&provider, 0, 2));
    let source = PoolSource::new(Arc::clone(&cache) as Arc<dyn SlabProvider>);
    let options = weft_hal::pool::TlsfOptions { slab_bytes: SLAB, alignment_max: 64, ..Default::default() };
    let pool = Pool::tlsf(source, &options).unwrap();
    for _ in 0..3 {
        take(&pool, 1000).release(None);
        pool.trim();
    }
    assert_eq!((provider.slabs.provided(), cache.statistics().ready), (1, 1));
    drop(pool);
    cache.trim();
    assert_eq!(provider.slabs.out(), 0);
}

/// While somebody takes the last slab that there may be, others are told to wait: they neither take another one nor fail.
#[test]
fn the_last_slab_is_taken_once() {
    let provider = Gated::new(0);
    let options = TlsfOptions { slab_bytes: 4096, granularity: 16, slabs_max: 1, ..TlsfOptions::default() };
    let source = PoolSource::new(Arc::clone(&provider) as Arc<dyn SlabProvider>);
    let pool = Pool::tlsf(source, &options).unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| take(&pool, 4096));
        soon(|| provider.asked.load(Ordering::SeqCst) == 1);
        let answer = pool.acquire(&growing(4096), &Requester::unknown()).unwrap();
        let waits = matches!(answer, Acquired::Exhausted { growth_required: false, remedy: Remedy::Release });
        assert!(waits, "{answer:?}");
        provider.open(1);
        drop(first.join().unwrap());
    });
    assert_eq!(take(&pool, 4096).length(), 4096);
    assert_eq!(provider.asked.load(Ordering::SeqCst), 1);
}
