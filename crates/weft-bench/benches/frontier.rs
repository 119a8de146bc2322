//! Frontiers and the tracker, in the shapes of the reference's own micro-benchmarks, beside its published figures.
//!
//! `cargo bench -p weft-bench --bench frontier [-- part of a name]`. Each subject does its operation many times in one
//! call, behind `black_box` on arguments and results, so that the loop costs less than a nanosecond. Merges start
//! from a fresh copy of the target each time; the copy is part of the figure, here and in the published ones.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weft_bench::{Figure, Published, Subject, measure};
use weft_sync::{Axis, Entry, Frontier, FrontierBuf, Machine, Result, Tracker, TrackerOptions, WaitId};

/// Operations of one call.
const BATCH: u64 = 64;

fn main() -> Result<()> {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let table = Published::begin("frontiers, by number of entries");
    for shape in SHAPES.iter().filter(|shape| is_wanted(shape.name)) {
        print(&table, measure((shape.subjects)(shape.name)), shape.reference_ns);
    }
    let table = Published::begin("tracker");
    for (name, reference_ns, subject) in TRACKER.iter().filter(|(name, ..)| is_wanted(name)) {
        print(&table, measure(vec![subject(name)?]), &[*reference_ns]);
    }
    for (name, waiters, reference_ns) in DISPATCHES.iter().filter(|(name, ..)| is_wanted(name)) {
        print(&table, vec![dispatch_alone(name, *waiters)?], &[Some(*reference_ns)]);
    }
    Ok(())
}

fn print(table: &Published, figures: Vec<Figure>, reference_ns: &[Option<f64>]) {
    for (figure, reference) in figures.iter().zip(reference_ns) {
        table.row(figure, *reference);
    }
}

/// One question in all sizes.
struct Shape {
    name: &'static str,
    subjects: fn(&str) -> Vec<Subject<'static>>,
    /// For 1, 4, 16, 64 and 128 entries.
    reference_ns: &'static [Option<f64>],
}

/// Makes the subjects of all sizes from a function that is generic in it.
macro_rules! sizes {
    ($make:ident) => {
        |name| {
            vec![$make::<1>(name), $make::<4>(name), $make::<16>(name), $make::<64>(name), $make::<128>(name)]
        }
    };
}

const SHAPES: &[Shape] = &[
    Shape {
        name: "compare, equal axes, equal",
        subjects: sizes!(compare_equal),
        reference_ns: &[Some(2.3), Some(4.8), Some(13.4), Some(59.0), Some(107.0)],
    },
    Shape {
        name: "compare, interleaved axes",
        subjects: sizes!(compare_interleaved),
        reference_ns: &[None, Some(5.9), Some(23.0), Some(102.0), None],
    },
    Shape {
        name: "compare, with twice as many axes",
        subjects: |name| {
            vec![
                compare_with_more::<1, 2>(name),
                compare_with_more::<4, 8>(name),
                compare_with_more::<16, 32>(name),
                compare_with_more::<64, 128>(name),
            ]
        },
        reference_ns: &[None; 4],
    },
    Shape {
        name: "merge, same axes, all update",
        subjects: sizes!(merge_updating),
        reference_ns: &[Some(6.6), Some(8.1), Some(12.9), Some(60.0), Some(88.0)],
    },
    Shape {
        name: "merge, same axes, every other updates",
        subjects: sizes!(merge_updating_half),
        reference_ns: &[None; 5],
    },
    Shape {
        name: "merge, same axes, none updates",
        subjects: sizes!(merge_idle),
        reference_ns: &[Some(1.7), Some(6.4), Some(11.0), Some(33.0), Some(82.0)],
    },
    Shape {
        name: "merge, interleaved axes",
        subjects: |name| {
            vec![
                merge_interleaved::<1, 2>(name),
                merge_interleaved::<4, 8>(name),
                merge_interleaved::<16, 32>(name),
                merge_interleaved::<64, 128>(name),
            ]
        },
        reference_ns: &[None, Some(19.5), Some(53.5), Some(233.0)],
    },
    Shape {
        name: "satisfied, all",
        subjects: sizes!(satisfied),
        reference_ns: &[Some(1.4), Some(3.4), Some(12.6), Some(90.0), Some(230.0)],
    },
    Shape {
        name: "satisfied, among twice as many axes",
        subjects: sizes!(satisfied_among_more),
        reference_ns: &[None; 5],
    },
    Shape {
        name: "find undominated, all dominated",
        subjects: sizes!(undominated),
        reference_ns: &[Some(1.6), Some(3.1), Some(10.1), Some(41.0), Some(92.0)],
    },
    Shape {
        name: "validate",
        subjects: sizes!(validate),
        reference_ns: &[Some(1.5), Some(2.8), Some(8.7), Some(33.0), Some(77.0)],
    },
];

fn axis(number: usize) -> Axis {
    Machine::LOCAL.host(number as u64)
}

/// `COUNT` axes, `step` apart, at `epoch`.
fn entries<const COUNT: usize>(first: usize, step: usize, epoch: u64) -> [Entry; COUNT] {
    std::array::from_fn(|index| Entry::new(axis(first + index * step), epoch))
}

/// The frontier of those.
fn frontier<const COUNT: usize>(first: usize, step: usize, epoch: u64) -> FrontierBuf<COUNT> {
    FrontierBuf::from_entries(&entries::<COUNT>(first, step, epoch)).expect("made in order")
}

/// A subject that does `operation` many times in one call.
fn many<T>(name: &str, count: usize, mut operation: impl FnMut() -> T + 'static) -> Subject<'static> {
    let batch = move || {
        for _ in 0..BATCH {
            black_box(operation());
        }
    };
    Subject::new(format!("{name}: {count}"), batch).per_call(BATCH)
}

fn compare_equal<const COUNT: usize>(name: &str) -> Subject<'static> {
    let [first, second] = [5, 5].map(|epoch| frontier::<COUNT>(0, 1, epoch));
    many(name, COUNT, move || black_box(&first).compare(black_box(&second)))
}

/// Each has an axis that the other has not: the scan may end as soon as it knows that of both.
fn compare_interleaved<const COUNT: usize>(name: &str) -> Subject<'static> {
    let (first, second) = (frontier::<COUNT>(0, 2, 5), frontier::<COUNT>(1, 2, 5));
    many(name, COUNT, move || black_box(&first).compare(black_box(&second)))
}

/// The second has every axis of the first, and as many between: the scan has to go to the end.
fn compare_with_more<const COUNT: usize, const TWICE: usize>(name: &str) -> Subject<'static> {
    let (first, second) = (frontier::<COUNT>(0, 2, 5), frontier::<TWICE>(0, 1, 5));
    many(name, COUNT, move || black_box(&first).compare(black_box(&second)))
}

/// Merges `source` into fresh copies of `target`. Several are made at once: a merge that read what was copied just
/// before would mostly wait for the copy to leave the store buffer.
fn merging<const CAPACITY: usize, const COUNT: usize>(
    name: &str,
    target: FrontierBuf<CAPACITY>,
    source: FrontierBuf<COUNT>,
) -> Subject<'static> {
    const COPIES: usize = 8;
    let mut copies = [target; COPIES];
    let merge = move || {
        copies.fill(target);
        for copy in black_box(&mut copies) {
            black_box(&mut *copy).merge(black_box(&source)).expect("it fits");
        }
        black_box(&copies);
    };
    Subject::new(format!("{name}: {COUNT}"), merge).per_call(COPIES as u64)
}

fn merge_updating<const COUNT: usize>(name: &str) -> Subject<'static> {
    merging(name, frontier::<COUNT>(0, 1, 5), frontier::<COUNT>(0, 1, 6))
}

fn merge_updating_half<const COUNT: usize>(name: &str) -> Subject<'static> {
    let mixed = std::array::from_fn::<Entry, COUNT, _>(|index| Entry::new(axis(index), 4 + index as u64 % 3));
    merging(name, frontier::<COUNT>(0, 1, 5), FrontierBuf::<COUNT>::from_entries(&mixed).expect("in order"))
}

/// Nothing changes, so nothing need be copied.
fn merge_idle<const COUNT: usize>(name: &str) -> Subject<'static> {
    let (mut target, source) = (frontier::<COUNT>(0, 1, 5), frontier::<COUNT>(0, 1, 5));
    many(name, COUNT, move || black_box(&mut target).merge(black_box(&source)))
}

fn merge_interleaved<const COUNT: usize, const TWICE: usize>(name: &str) -> Subject<'static> {
    let target = FrontierBuf::<TWICE>::from_entries(&entries::<COUNT>(0, 2, 5)).expect("in order");
    merging(name, target, frontier::<COUNT>(1, 2, 5))
}

fn satisfied<const COUNT: usize>(name: &str) -> Subject<'static> {
    let (needed, reached) = (frontier::<COUNT>(0, 1, 5), entries::<COUNT>(0, 1, 6));
    many(name, COUNT, move || black_box(&needed).is_satisfied(black_box(&reached)))
}

fn satisfied_among_more<const COUNT: usize>(name: &str) -> Subject<'static> {
    let needed = frontier::<COUNT>(0, 2, 5);
    let reached: Vec<Entry> = (0..2 * COUNT).map(|index| Entry::new(axis(index), 6)).collect();
    many(name, COUNT, move || black_box(&needed).is_satisfied(black_box(&reached)))
}

fn undominated<const COUNT: usize>(name: &str) -> Subject<'static> {
    let (target, reference) = (frontier::<COUNT>(0, 1, 5), frontier::<COUNT>(0, 1, 5));
    let mut out = [Entry::new(axis(0), 0); 4];
    many(name, COUNT, move || black_box(&target).undominated(black_box(&reference), black_box(&mut out)))
}

fn validate<const COUNT: usize>(name: &str) -> Subject<'static> {
    let entries = entries::<COUNT>(0, 1, 5);
    many(name, COUNT, move || Frontier::new(black_box(&entries)).is_ok())
}

type TrackerSubject = fn(&'static str) -> Result<Subject<'static>>;

/// Where the published figure counts arming too, so does ours.
const TRACKER: &[(&str, Option<f64>, TrackerSubject)] = &[
    ("advance, no waiter", Some(6.1), |name| advance_beside(name, 0)),
    ("advance, 1 waiter elsewhere", Some(17.0), |name| advance_beside(name, 1)),
    ("advance, 16 waiters elsewhere", Some(23.0), |name| advance_beside(name, 16)),
    ("advance, 256 waiters elsewhere", Some(251.0), |name| advance_beside(name, 256)),
    ("arm 1, advance that dispatches it", None, |name| dispatching(name, 1)),
    ("wait already satisfied", Some(14.0), wait_satisfied),
    ("wait pending (arm, cancel)", Some(403.0), wait_pending),
    ("fan-in: 16 axes, 1 waiter", Some(911.0), fan_in),
    ("fan-out: 1 axis, 64 waiters", Some(1_787.0), |name| dispatching(name, 64)),
    ("query of an epoch", None, query),
];

/// The dispatch alone, by a clock that is read before and after each one: that is part of the figure, as it is of the
/// published one.
const DISPATCHES: &[(&str, u64, f64)] = &[
    ("advance that dispatches 1, by itself", 1, 404.0),
    ("advance that dispatches 64, by itself", 64, 729.0),
];

fn dispatch_alone(name: &str, waiters: u64) -> Result<Figure> {
    const ROUNDS: usize = 11;
    const ADVANCES: u32 = 2_000;
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let tracker = tracker(1)?;
    let mut epoch = 0;
    let mut round = || {
        let mut spent = Duration::ZERO;
        for _ in 0..ADVANCES {
            epoch += 1;
            for _ in 0..waiters {
                arm(&tracker, &FrontierBuf::single(axis(0), epoch), |_| count(&CALLS));
            }
            let start = Instant::now();
            black_box(tracker.advance(black_box(axis(0)), epoch));
            spent += start.elapsed();
        }
        spent.as_secs_f64() * 1e9 / f64::from(ADVANCES)
    };
    round();
    let times: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    Ok(Figure::of(name, &times, &times))
}

fn tracker(axes: usize) -> Result<Tracker> {
    let tracker = Tracker::new(TrackerOptions::default())?;
    (0..axes).try_for_each(|number| tracker.register(axis(number), None))?;
    Ok(tracker)
}

/// Advances an axis while others are waited for.
fn advance_beside(name: &'static str, waiters: u64) -> Result<Subject<'static>> {
    let tracker = tracker(2)?;
    for index in 0..waiters {
        tracker.wait(&FrontierBuf::single(axis(1), 1 + index), drop)?;
    }
    let mut epoch = 0;
    Ok(many_steps(name, move || {
        epoch += 1;
        tracker.advance(black_box(axis(0)), epoch)
    }))
}

/// Arms waiters of one axis, then advances it past all of them.
fn dispatching(name: &'static str, waiters: u64) -> Result<Subject<'static>> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let tracker = tracker(1)?;
    let mut epoch = 0;
    Ok(many_steps(name, move || {
        epoch += 1;
        for _ in 0..waiters {
            arm(&tracker, &FrontierBuf::single(axis(0), epoch), |_| count(&CALLS));
        }
        tracker.advance(black_box(axis(0)), epoch)
    }))
}

fn wait_satisfied(name: &'static str) -> Result<Subject<'static>> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let tracker = tracker(1)?;
    tracker.advance(axis(0), 1);
    let needed = FrontierBuf::single(axis(0), 1);
    Ok(many_steps(name, move || arm(&tracker, black_box(&needed), |_| count(&CALLS))))
}

fn wait_pending(name: &'static str) -> Result<Subject<'static>> {
    let tracker = tracker(1)?;
    let needed = FrontierBuf::single(axis(0), 1);
    Ok(many_steps(name, move || {
        let wait = arm(&tracker, black_box(&needed), drop);
        tracker.cancel_wait(wait)
    }))
}

fn fan_in(name: &'static str) -> Result<Subject<'static>> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let tracker = tracker(16)?;
    let mut epoch = 0;
    Ok(many_steps(name, move || {
        epoch += 1;
        arm(&tracker, &frontier::<16>(0, 1, epoch), |_| count(&CALLS));
        (0..16).map(|number| tracker.advance(axis(number), epoch)).sum::<usize>()
    }))
}

fn query(name: &'static str) -> Result<Subject<'static>> {
    let tracker = tracker(64)?;
    Ok(many_steps(name, move || tracker.query_epoch(black_box(axis(40)), 1)))
}

fn arm(tracker: &Tracker, needed: &Frontier, callback: impl FnOnce(Result<()>) + Send + 'static) -> WaitId {
    tracker.wait(needed, callback).expect("every axis is registered")
}

/// What a callback does at least: a plain store, since an atomic sum would be half of the figure.
fn count(calls: &AtomicU64) {
    calls.store(calls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn many_steps<T>(name: &'static str, mut operation: impl FnMut() -> T + 'static) -> Subject<'static> {
    let batch = move || {
        for _ in 0..BATCH {
            black_box(operation());
        }
    };
    Subject::new(name, batch).per_call(BATCH)
}
