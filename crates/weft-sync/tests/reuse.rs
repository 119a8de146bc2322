//! Death frontiers and pools: who gets a freed block at once, who has to wait for what, who gets nothing.

use std::sync::{Arc, Mutex};
use weft_sync::elision::QueueContext;
use weft_sync::reuse::{
    Acquired, Arena, BlockPool, Coverage, Death, RangeOptions, RangePool, Request, Requester, Statistics,
};
use weft_sync::{Axis, Code, Entry, Frontier, FrontierBuf, Machine, Tracker, TrackerOptions};

const A: Axis = Machine::LOCAL.queue(0, 0);
const B: Axis = Machine::LOCAL.queue(1, 0);
const C: Axis = Machine::LOCAL.queue(2, 0);
const BLOCK: Request = Request::new(64, 64);
const WAITING: Request = Request { can_wait: true, ..BLOCK };

fn frontier(entries: &[(Axis, u64)]) -> FrontierBuf<16> {
    let entries: Vec<Entry> = entries.iter().map(|&(axis, epoch)| Entry::new(axis, epoch)).collect();
    FrontierBuf::from_entries(&entries).expect("the entries are in order")
}

fn blocks(count: u32) -> BlockPool<4> {
    BlockPool::new(count, 64).expect("a pool")
}

/// A pool whose blocks were freed by something ordered after each of these.
fn freed(deaths: &[&[(Axis, u64)]]) -> BlockPool<4> {
    let mut pool = blocks(deaths.len() as u32);
    let all: Vec<_> = deaths.iter().map(|_| take(pool.acquire(&BLOCK, &Requester::unknown()))).collect();
    for (reservation, death) in all.into_iter().zip(deaths) {
        pool.release(reservation, Some(&frontier(death))).expect("its own");
    }
    pool
}

fn take<const DEATH: usize>(answer: weft_sync::Result<Acquired<DEATH>>) -> weft_sync::reuse::Reservation {
    let answer = answer.expect("a good request");
    let text = format!("{answer:?}");
    answer.into_reservation().unwrap_or_else(|| panic!("{text}"))
}

const EXHAUSTED: Acquired<4> = Acquired::Exhausted { could_grow: false, is_tainted: false };

/// Who is ordered after the death has the block at once; an equal past is enough. [causal 72]
#[test]
fn dominated_blocks_are_ready() {
    let past = frontier(&[(A, 3), (B, 2)]);
    for requester in [frontier(&[(A, 3), (B, 2)]), frontier(&[(A, 4), (B, 2), (C, 1)])] {
        let mut pool = freed(&[&[(A, 3), (B, 2)]]);
        assert!(matches!(pool.acquire(&BLOCK, &Requester::after(&requester)).unwrap(), Acquired::Ready(_)));
    }
    let mut pool = blocks(2);
    let first = pool.acquire(&BLOCK, &Requester::unknown()).unwrap();
    assert!(matches!(first, Acquired::Fresh(_)));
    pool.release(take(Ok(first)), None).unwrap();
    for _ in 0..2 {
        let answer = pool.acquire(&BLOCK, &Requester::after(&past)).unwrap();
        assert!(matches!(answer, Acquired::Fresh(_)), "freed with nothing to wait for");
    }
}

/// A refused block is passed over and keeps its place and its death. [causal 73]
#[test]
fn refused_blocks_stay_as_they_were() {
    let mut pool = blocks(2);
    let first = take(pool.acquire(&BLOCK, &Requester::unknown()));
    pool.release(first, Some(&frontier(&[(A, 5)]))).unwrap();
    let stranger = frontier(&[(B, 9)]);
    let answer = pool.acquire(&BLOCK, &Requester::after(&stranger)).unwrap();
    assert!(matches!(&answer, Acquired::Fresh(it) if it.offset() == 64), "{answer:?}");
    assert_eq!(pool.acquire(&BLOCK, &Requester::after(&stranger)).unwrap(), EXHAUSTED);
    let almost = frontier(&[(A, 4)]);
    assert_eq!(pool.acquire(&BLOCK, &Requester::after(&almost)).unwrap(), EXHAUSTED);
    let later = frontier(&[(A, 5)]);
    let answer = pool.acquire(&BLOCK, &Requester::after(&later)).unwrap();
    assert!(matches!(&answer, Acquired::Ready(it) if it.offset() == 0), "{answer:?}");
}

/// Who can wait is told what for; declined, the block is as before. [causal 74] [causal 83]
#[test]
fn who_can_wait_is_told_what_for() {
    let death = frontier(&[(A, 5), (C, 1)]);
    let mut pool = freed(&[&[(A, 5), (C, 1)], &[(B, 7)]]);
    let unknown = Requester::unknown();
    assert_eq!(pool.acquire(&BLOCK, &unknown).unwrap(), EXHAUSTED);
    for _ in 0..2 {
        let Acquired::NeedsWait(reservation, wait) = pool.acquire(&WAITING, &unknown).unwrap() else {
            panic!()
        };
        assert_eq!((&*wait, reservation.offset()), (&*death, 0), "the first that was freed");
        // The wait fails, or is declined: nothing was touched.
        pool.restore(reservation).unwrap();
    }
    assert!(matches!(pool.acquire(&BLOCK, &Requester::after(&death)).unwrap(), Acquired::Ready(_)));
}

/// A wait that fails on the scheduler's side gives the block back as it was. [causal 83]
#[test]
fn a_failed_wait_gives_the_block_back() {
    let tracker = Tracker::new(TrackerOptions::default()).unwrap();
    tracker.register(A, None).unwrap();
    let pool = Arc::new(Mutex::new(freed(&[&[(A, 5)]])));
    let answer = pool.lock().unwrap().acquire(&WAITING, &Requester::unknown()).unwrap();
    let Acquired::NeedsWait(reservation, wait) = answer else { panic!("{answer:?}") };
    let back = Arc::clone(&pool);
    tracker
        .wait(&wait, move |outcome| {
            assert!(outcome.is_err());
            back.lock().unwrap().restore(reservation).unwrap();
        })
        .unwrap();
    tracker.fail_axis(A, weft_sync::Status::new(Code::Unavailable, "the device is gone"));
    let again = pool.lock().unwrap().acquire(&WAITING, &Requester::unknown()).unwrap();
    assert!(matches!(again, Acquired::NeedsWait(_, same) if *same == *wait));
}

fn ranges(slabs_max: u32) -> RangePool<2> {
    let options = RangeOptions { granularity: 64, slab_bytes: 1024, slabs_max, budget: u64::MAX };
    RangePool::new(options).expect("a pool")
}

const GROWING: Request = Request { can_grow: true, can_wait: true, ..Request::new(1024, 64) };

/// A pool that may grow grows before it lets anybody wait. [causal 75]
#[test]
fn growing_comes_before_waiting() {
    let mut pool = ranges(2);
    let first = take(pool.acquire(&GROWING, &Requester::unknown()));
    pool.release(first, Some(&frontier(&[(A, 1)]))).unwrap();
    let fixed = Request { can_grow: false, can_wait: false, ..GROWING };
    let refused = pool.acquire(&fixed, &Requester::unknown()).unwrap();
    assert_eq!(refused, Acquired::Exhausted { could_grow: true, is_tainted: false });
    let second = pool.acquire(&GROWING, &Requester::unknown()).unwrap();
    assert!(matches!(&second, Acquired::Fresh(it) if it.slab() == 1), "{second:?}");
    let third = pool.acquire(&GROWING, &Requester::unknown()).unwrap();
    assert!(matches!(&third, Acquired::NeedsWait(it, _) if it.slab() == 0), "{third:?}");
    let fourth = pool.acquire(&GROWING, &Requester::unknown()).unwrap();
    assert_eq!(fourth, Acquired::Exhausted { could_grow: false, is_tainted: false });
}

/// A death that does not fit taints: refused to everybody, restored tainted, healed by the next that fits. [causal 76]
#[test]
fn what_does_not_fit_taints() {
    let entries: Vec<(Axis, u64)> = (0..5).map(|queue| (Machine::LOCAL.queue(queue, 0), 1)).collect();
    let mut pool = freed(&[&entries]);
    assert_eq!(pool.statistics().tainted_releases, 1);
    let all: Vec<(Axis, u64)> = entries.iter().map(|&(axis, _)| (axis, 9)).collect();
    let all = frontier(&all);
    let tainted = Acquired::Exhausted { could_grow: false, is_tainted: true };
    for _ in 0..2 {
        let everything = Requester { past: Some(&all), is_reached: &|_, _| true };
        assert_eq!(
            pool.acquire(&WAITING, &everything).unwrap(),
            tainted,
            "also to whoever is ordered after all"
        );
    }
    pool.assume_quiet();
    let answer = pool.acquire(&BLOCK, &Requester::unknown()).unwrap();
    assert!(matches!(answer, Acquired::Fresh(_)));
    pool.release(take(Ok(answer)), Some(&frontier(&[(A, 2)]))).unwrap();
    let later = frontier(&[(A, 2)]);
    assert!(matches!(pool.acquire(&BLOCK, &Requester::after(&later)).unwrap(), Acquired::Ready(_)));
}

/// Neighbours that become one died when both had. [causal 77]
#[test]
fn joined_ranges_died_when_both_had() {
    let quarter = Request { size: 256, ..GROWING };
    let split = |deaths: [Option<&[(Axis, u64)]>; 4]| {
        let mut pool = ranges(1);
        let all: Vec<_> =
            deaths.iter().map(|_| take(pool.acquire(&quarter, &Requester::unknown()))).collect();
        for (reservation, death) in all.into_iter().zip(deaths) {
            let death = death.map(frontier);
            pool.release(reservation, death.as_deref()).unwrap();
        }
        pool
    };
    let wait_for_all = |pool: &mut RangePool<2>| pool.acquire(&GROWING, &Requester::unknown()).unwrap();

    let mut same = split([Some(&[(A, 1)]), Some(&[(A, 4)]), Some(&[(A, 2)]), None]);
    assert!(matches!(wait_for_all(&mut same), Acquired::NeedsWait(_, it) if *it == *frontier(&[(A, 4)])));
    let mut union = split([Some(&[(A, 1)]), None, Some(&[(B, 2)]), Some(&[])]);
    assert!(
        matches!(wait_for_all(&mut union), Acquired::NeedsWait(_, it) if *it == *frontier(&[(A, 1), (B, 2)]))
    );
    let mut nothing = split([None; 4]);
    assert!(matches!(wait_for_all(&mut nothing), Acquired::Fresh(_)));

    let tainted = Acquired::Exhausted { could_grow: false, is_tainted: true };
    let mut overflow = split([Some(&[(A, 1)]), Some(&[(B, 1)]), Some(&[(C, 1)]), None]);
    assert_eq!(overflow.statistics().tainted_joins, 1);
    assert_eq!(wait_for_all(&mut overflow), tainted);
    let three: &[(Axis, u64)] = &[(A, 1), (B, 1), (C, 1)];
    for place in 0..4 {
        let mut deaths: [Option<&[(Axis, u64)]>; 4] = [Some(&[(A, 1)]); 4];
        deaths[place] = Some(three);
        let mut spread = split(deaths);
        assert_eq!(wait_for_all(&mut spread), tainted, "from {place} to both sides");
        assert_eq!(spread.statistics().tainted_joins, 0, "tainted before");
        // Used again, by somebody who knows that all is quiet, and freed: healed.
        spread.assume_quiet();
        let all = take(spread.acquire(&GROWING, &Requester::unknown()));
        spread.release(all, Some(&frontier(&[(A, 1)]))).unwrap();
        assert!(matches!(wait_for_all(&mut spread), Acquired::NeedsWait(..)));
    }
}

/// An arena: a whole batch waits for all of the one before. [causal 78]
#[test]
fn batches_of_an_arena() {
    let mut arena = Arena::<2>::new(256);
    let unknown = Requester::unknown();
    let batch = |arena: &mut Arena<2>, deaths: &[Option<&[(Axis, u64)]>]| {
        let all: Vec<_> = deaths.iter().map(|_| take(arena.acquire(&WAITING, &unknown))).collect();
        let offsets: Vec<u64> = all.iter().map(|it| it.offset()).collect();
        for (reservation, death) in all.into_iter().zip(deaths) {
            arena.release(reservation, death.map(frontier).as_deref()).unwrap();
        }
        offsets
    };
    let expect = |arena: &mut Arena<2>, expected: &[(Axis, u64)]| {
        // Every allocation of the batch sees the same.
        for _ in 0..2 {
            let answer = arena.acquire(&WAITING, &unknown).unwrap();
            assert!(
                matches!(&answer, Acquired::NeedsWait(_, it) if **it == *frontier(expected)),
                "{answer:?}"
            );
            let reservation = take(Ok(answer));
            arena.restore(reservation).unwrap();
        }
    };
    let first = arena.acquire(&BLOCK, &unknown).unwrap();
    assert!(matches!(first, Acquired::Fresh(_)), "nothing before it");
    arena.release(take(Ok(first)), None).unwrap();
    assert_eq!(batch(&mut arena, &[None, None]), [0, 64]);
    assert_eq!(batch(&mut arena, &[Some(&[(A, 3)]), None, Some(&[(A, 2)])]), [0, 64, 128]);
    expect(&mut arena, &[(A, 3)]);
    assert_eq!(batch(&mut arena, &[Some(&[(A, 5)]), Some(&[(B, 1)])]), [0, 64]);
    expect(&mut arena, &[(A, 5), (B, 1)]);
    batch(&mut arena, &[Some(&[(A, 6)]), Some(&[(B, 2)]), Some(&[(C, 2)])]);
    let tainted = Acquired::Exhausted { could_grow: false, is_tainted: true };
    assert_eq!(arena.acquire(&WAITING, &unknown).unwrap(), tainted);
    arena.assume_quiet();
    batch(&mut arena, &[Some(&[(A, 7)])]);
    expect(&mut arena, &[(A, 7)]);
    let full: Vec<_> = (0..4).map(|_| take(arena.acquire(&WAITING, &unknown))).collect();
    let exhausted = Acquired::Exhausted { could_grow: false, is_tainted: false };
    assert_eq!(arena.acquire(&WAITING, &unknown).unwrap(), exhausted);
    drop(full);
}

/// The frontier that one thread leaves with a block is what the next one sees. [causal 79]
#[test]
fn the_frontier_goes_with_the_block_between_threads() {
    let pool = Mutex::new(blocks(1));
    let rounds = if cfg!(miri) { 20 } else { 2000 };
    std::thread::scope(|scope| {
        for axis in [A, B] {
            let pool = &pool;
            scope.spawn(move || {
                let mut seen = 0;
                while seen < rounds {
                    let answer = pool.lock().unwrap().acquire(&WAITING, &Requester::unknown()).unwrap();
                    if let Acquired::NeedsWait(_, wait) = &answer {
                        let [entry] = wait.entries() else { panic!("one thread freed it: {wait}") };
                        // Each leaves a multiple of what it is, so that a torn one would show.
                        assert_eq!(entry.epoch % (entry.axis.raw() | 1), 0);
                    }
                    if let Some(reservation) = answer.into_reservation() {
                        seen += 1;
                        let left = FrontierBuf::single(axis, (axis.raw() | 1) * (seen % 7 + 1));
                        pool.lock().unwrap().release(reservation, Some(&left)).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(pool.into_inner().unwrap().statistics().live, 0);
}

/// What is known to be complete need not be waited for; part of it may be dominated instead. [causal 80]
#[test]
fn a_look_at_the_tracker_makes_a_block_usable() {
    let tracker = Tracker::new(TrackerOptions::default()).unwrap();
    for axis in [A, B] {
        tracker.register(axis, None).unwrap();
    }
    let death = Death::<4>::after(Some(&frontier(&[(A, 3), (B, 2)])));
    let is_reached = |axis: Axis, epoch: u64| tracker.query_epoch(axis, epoch);
    let past = frontier(&[(A, 3)]);
    let partly = Requester { past: Some(&past), is_reached: &is_reached };
    let nothing = Requester { past: None, is_reached: &is_reached };
    assert_eq!(death.coverage(&partly), Coverage::Uncovered);
    tracker.advance(B, 2);
    assert_eq!(death.coverage(&partly), Coverage::Covered, "one by dominance, one by the tracker");
    assert_eq!(death.coverage(&nothing), Coverage::Uncovered);
    tracker.advance(A, 3);
    assert_eq!(death.coverage(&nothing), Coverage::Covered);
}

/// The rest of a split range waits for what the whole waited for. [causal 81]
#[test]
fn parts_inherit_the_death_of_the_whole() {
    let mut pool = ranges(1);
    let all = take(pool.acquire(&GROWING, &Requester::unknown()));
    let death = frontier(&[(A, 1)]);
    pool.release(all, Some(&death)).unwrap();
    let quarter = Request { size: 256, can_grow: false, ..GROWING };
    let dominating = pool.acquire(&quarter, &Requester::after(&death)).unwrap();
    assert!(matches!(dominating, Acquired::Ready(_)));
    let no_wait = Request { can_wait: false, ..quarter };
    let stranger = Requester::after(Frontier::EMPTY);
    assert!(matches!(pool.acquire(&no_wait, &stranger).unwrap(), Acquired::Exhausted { .. }));
    let waiting = pool.acquire(&quarter, &stranger).unwrap();
    assert!(matches!(&waiting, Acquired::NeedsWait(_, it) if **it == *death), "{waiting:?}");

    let mut pool = ranges(1);
    let all = take(pool.acquire(&GROWING, &Requester::unknown()));
    pool.release(all, Some(&frontier(&[(A, 1), (B, 1), (C, 1)]))).unwrap();
    let everything = Requester { past: None, is_reached: &|_, _| true };
    let tainted = Acquired::Exhausted { could_grow: false, is_tainted: true };
    assert_eq!(pool.acquire(&quarter, &everything).unwrap(), tainted, "so does taint");
}

/// A hundred readers, one frontier: whoever frees is ordered after them all. [causal 82]
#[test]
fn a_hundred_readers_one_death() {
    let mut owner = QueueContext::<16>::in_order(A);
    let mut readers: Vec<QueueContext<16>> = [B, C].map(QueueContext::in_order).into();
    let mut pool = blocks(1);
    let block = take(pool.acquire(&BLOCK, &Requester::unknown()));
    for reader in 0..100 {
        readers[reader % 2].submit([owner.past()]);
    }
    let pasts: Vec<FrontierBuf<16>> =
        readers.iter().map(|reader| FrontierBuf::copy_of(reader.past()).unwrap()).collect();
    let freeing = owner.submit(pasts.iter().map(|past| past.as_frontier()));
    let death = freeing.past().expect("it fits");
    assert_eq!(death.len(), 3, "two queues of readers and the owner");
    pool.release(block, Some(death)).unwrap();
    let next = owner.submit([]);
    let answer = pool.acquire(&BLOCK, &Requester::after(next.past().expect("it fits"))).unwrap();
    assert!(matches!(answer, Acquired::Ready(_)));
    assert_eq!(pool.statistics().misses, 0, "one comparison");
}

/// Counters say what the answers were. [causal 84]
#[test]
fn statistics_count_the_answers() {
    let mut pool = ranges(1);
    let half = Request { size: 500, ..GROWING };
    let first = take(pool.acquire(&half, &Requester::unknown()));
    let second = take(pool.acquire(&half, &Requester::unknown()));
    pool.release(first, Some(&frontier(&[(A, 1)]))).unwrap();
    let refused = Request { can_wait: false, ..half };
    assert!(matches!(pool.acquire(&refused, &Requester::unknown()).unwrap(), Acquired::Exhausted { .. }));
    let waited = take(pool.acquire(&half, &Requester::unknown()));
    pool.restore(waited).unwrap();
    let ready = pool.acquire(&half, &Requester::after(&frontier(&[(A, 1)]))).unwrap();
    assert!(matches!(ready, Acquired::Ready(_)));
    let expected = Statistics {
        reservations: 4,
        releases: 2,
        reused: 1,
        fresh: 2,
        waits: 1,
        exhausted: 1,
        over_budget: 0,
        misses: 2,
        tainted_misses: 0,
        tainted_releases: 0,
        tainted_joins: 0,
        reserved_bytes: 1000,
        live: 2,
        slabs: 1,
    };
    assert_eq!(pool.statistics(), expected);
    assert_eq!(pool.free_bytes(), 0);
    drop((second, ready));
    let options = RangeOptions { granularity: 64, slab_bytes: 1024, slabs_max: 1, budget: 100 };
    let mut poor = RangePool::<2>::new(options).unwrap();
    assert_eq!(poor.acquire(&half, &Requester::unknown()).unwrap(), Acquired::OverBudget);
    assert_eq!(poor.statistics().over_budget, 1);
}

/// Requests that make no sense are errors that say so; strange reservations are refused.
#[test]
fn bad_requests() {
    let mut pool = blocks(1);
    let code = |answer: weft_sync::Result<Acquired<4>>| answer.unwrap_err().code();
    let unknown = Requester::unknown();
    assert_eq!(code(pool.acquire(&Request::new(0, 1), &unknown)), Code::InvalidArgument);
    assert_eq!(code(pool.acquire(&Request::new(1, 0), &unknown)), Code::InvalidArgument);
    assert_eq!(code(pool.acquire(&Request::new(1, 3), &unknown)), Code::InvalidArgument);
    assert_eq!(code(pool.acquire(&Request::new(65, 1), &unknown)), Code::OutOfRange);
    assert_eq!(code(pool.acquire(&Request::new(1, 128), &unknown)), Code::OutOfRange);
    let mut other = blocks(1);
    let mine = take(pool.acquire(&BLOCK, &unknown));
    let theirs = take(other.acquire(&BLOCK, &unknown));
    assert_eq!(pool.release(theirs, None).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(other.restore(mine).unwrap_err().code(), Code::InvalidArgument);
    let mut wide = ranges(1);
    assert_eq!(wide.acquire(&Request::new(1025, 1), &unknown).unwrap_err().code(), Code::OutOfRange);
    assert_eq!(wide.acquire(&Request::new(1, 2048), &unknown).unwrap_err().code(), Code::OutOfRange);
    let uneven = RangeOptions { granularity: 48, slab_bytes: 1024, slabs_max: 1, budget: 1 };
    assert_eq!(RangePool::<2>::new(uneven).unwrap_err().code(), Code::InvalidArgument);
}

/// Image generation under memory pressure: one model's weights are dropped for another's, and back. [causal 69]
#[test]
fn weights_make_room_for_each_other() {
    let [bark, sdxl] = [A, B];
    let tracker = Tracker::new(TrackerOptions::default()).unwrap();
    for axis in [bark, sdxl] {
        tracker.register(axis, None).unwrap();
    }
    let is_reached = |axis: Axis, epoch: u64| tracker.query_epoch(axis, epoch);
    let mut pool = blocks(2);
    let [first, second] = [(); 2].map(|()| take(pool.acquire(&BLOCK, &Requester::unknown())));
    let (mut speech, mut image) = (QueueContext::<16>::in_order(bark), QueueContext::<16>::in_order(sdxl));
    for _ in 0..3 {
        speech.submit([]);
    }
    assert_eq!(*speech.past(), *frontier(&[(bark, 3)]));
    let freeing = speech.submit([]);
    for weights in [first, second] {
        pool.release(weights, freeing.past()).unwrap();
    }
    // The other model's queue is not past that, and nothing has run: it waits.
    let requester = Requester { past: Some(image.past()), is_reached: &is_reached };
    let Acquired::NeedsWait(weights, wait) = pool.acquire(&WAITING, &requester).unwrap() else { panic!() };
    assert_eq!(*wait, *frontier(&[(bark, 4)]));
    let loading = image.submit([&*wait]);
    assert_eq!(loading.past(), Some(&*frontier(&[(bark, 4), (sdxl, 1)])));
    let more = pool.acquire(&BLOCK, &Requester::after(image.past())).unwrap();
    assert!(matches!(more, Acquired::Ready(_)), "waited once, known from there on");
    for _ in 0..50 {
        image.submit([]);
    }
    assert_eq!(*image.past(), *frontier(&[(bark, 4), (sdxl, 51)]));
    let freeing = image.submit([]);
    pool.release(weights, freeing.past()).unwrap();
    let requester = Requester { past: Some(speech.past()), is_reached: &is_reached };
    let answer = pool.acquire(&WAITING, &requester).unwrap();
    let Acquired::NeedsWait(weights, wait) = answer else { panic!("{answer:?}") };
    let mut missing = [Entry::NONE; 4];
    assert_eq!(wait.undominated(speech.past(), &mut missing), 1);
    assert_eq!(missing[0], Entry::new(sdxl, 52));
    pool.restore(weights).unwrap();
    // Had it all run, nobody would wait.
    tracker.advance(sdxl, 52);
    assert!(matches!(pool.acquire(&WAITING, &requester).unwrap(), Acquired::Ready(_)));
    speech.submit([&*wait]);
    assert_eq!(*speech.past(), *frontier(&[(bark, 5), (sdxl, 52)]));
    speech.submit([]);
    assert_eq!(*speech.past(), *frontier(&[(bark, 6), (sdxl, 52)]));
    assert!(more.into_reservation().is_some());
}

/// Freed before its own signal a block is ready for whoever waited for that; freed after, it is not. [causal 67]
/// [causal 69]
#[test]
fn freed_before_or_after_the_signal() {
    let [apu, gpu] = [A, B];
    let (mut whisper, mut phi) = (QueueContext::<16>::in_order(apu), QueueContext::<16>::in_order(gpu));
    let signal = whisper.submit([]);
    let after = whisper.submit([]);
    phi.submit([signal.past().expect("it fits")]);
    let requester = Requester::after(phi.past());
    let early = Death::<4>::after(signal.past());
    let late = Death::<4>::after(after.past());
    assert_eq!(early.coverage(&requester), Coverage::Covered);
    assert_eq!(late.coverage(&requester), Coverage::Uncovered);
    assert_eq!(
        late.coverage(&Requester { is_reached: &|_, epoch| epoch <= 2, ..requester }),
        Coverage::Covered
    );
}

/// Pieces are added by who has them in hand and given up when nothing of them is reserved; the largest free range is known
/// exactly all the while.
#[test]
fn pieces_come_and_go() {
    let options = RangeOptions { granularity: 64, slab_bytes: 1024, slabs_max: 2, budget: u64::MAX };
    let mut pool = RangePool::<2>::new(options).unwrap();
    assert_eq!(pool.largest_free_bytes(), 0);
    assert_eq!((pool.add_slab().unwrap(), pool.add_slab().unwrap()), (0, 1));
    assert_eq!(pool.add_slab().unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!((pool.largest_free_bytes(), pool.free_bytes()), (1024, 2048));
    let request = Request::new(640, 64);
    let first = take(pool.acquire(&request, &Requester::unknown()));
    let second = take(pool.acquire(&request, &Requester::unknown()));
    assert_eq!((first.slab(), second.slab(), pool.largest_free_bytes()), (0, 1, 384));
    pool.release(first, None).unwrap();
    pool.release(second, Some(&frontier(&[(A, 1)]))).unwrap();
    let mut removed = Vec::new();
    pool.remove_idle_slabs(&Requester::unknown(), |slab| removed.push(slab));
    assert_eq!(removed, [0], "the other one is not known to be idle");
    assert_eq!((pool.largest_free_bytes(), pool.statistics().slabs), (1024, 1));
    assert_eq!(pool.add_slab().unwrap(), 0, "the number is free again");
    pool.remove_idle_slabs(&Requester::after(&frontier(&[(A, 1)])), |slab| removed.push(slab));
    assert_eq!((removed.len(), pool.largest_free_bytes(), pool.free_bytes()), (3, 0, 0));
    assert!(matches!(
        pool.acquire(&request, &Requester::unknown()).unwrap(),
        Acquired::Exhausted { could_grow: true, is_tainted: false }
    ));
}
