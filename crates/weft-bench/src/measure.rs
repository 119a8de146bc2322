//! Runs subjects in turn and keeps what each round took.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rounds that count; one more warms up.
const ROUNDS: usize = 11;

/// How long one subject runs in one round, at least.
const SLICE: Duration = Duration::from_millis(20);

/// Something to be timed: a name and one operation. The operation may stand for several (`per_call`).
pub struct Subject<'a> {
    name: String,
    per_call: u64,
    run: Box<dyn FnMut() + 'a>,
}

impl<'a> Subject<'a> {
    /// A subject whose closure does one operation.
    pub fn new<T>(name: impl Into<String>, mut run: impl FnMut() -> T + 'a) -> Subject<'a> {
        let run = Box::new(move || {
            black_box(run());
        });
        Subject { name: name.into(), per_call: 1, run }
    }

    /// The closure does `operations` operations each time it is called.
    #[must_use]
    pub fn per_call(mut self, operations: u64) -> Subject<'a> {
        self.per_call = operations.max(1);
        self
    }
}

/// What one subject took, in nanoseconds an operation.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The subject.
    pub name: String,
    /// The median over the rounds.
    pub median_ns: f64,
    /// The fastest round.
    pub min_ns: f64,
    /// The median of the ratios to the first subject in the same round.
    pub ratio: f64,
}

impl Figure {
    /// The figure of what took `times`, one a round, beside what took `first` in the same rounds.
    pub fn of(name: impl Into<String>, times: &[f64], first: &[f64]) -> Figure {
        Figure {
            name: name.into(),
            median_ns: median(times.to_vec()),
            min_ns: times.iter().copied().fold(f64::INFINITY, f64::min),
            ratio: median(times.iter().zip(first).map(|(time, first)| time / first).collect()),
        }
    }
}

/// Times all subjects in turn (A B C A B C …), each long enough for the clock.
pub fn measure(subjects: Vec<Subject<'_>>) -> Vec<Figure> {
    measure_by(subjects, wall_time)
}

/// As [`measure`], but counts the time of the processor that this thread has used. For what never sleeps and is all on
/// one thread: there the two are the same on a machine of its own, and this one is still right where others work too.
pub fn measure_busy(subjects: Vec<Subject<'_>>) -> Vec<Figure> {
    measure_by(subjects, busy_time)
}

/// Since some time in the past.
pub fn wall_time() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Time of the processor that this thread has used; where the system does not tell, wall time.
pub fn busy_time() -> Duration {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    #[cfg(not(target_os = "linux"))]
    wall_time()
}

fn measure_by(mut subjects: Vec<Subject<'_>>, clock: fn() -> Duration) -> Vec<Figure> {
    let calls: Vec<u64> = subjects.iter_mut().map(|subject| calibrate(subject, clock)).collect();
    let mut rounds = vec![Vec::with_capacity(ROUNDS); subjects.len()];
    for round in 0..=ROUNDS {
        for (index, subject) in subjects.iter_mut().enumerate() {
            let start = clock();
            for _ in 0..calls[index] {
                (subject.run)();
            }
            let nanoseconds = (clock() - start).as_secs_f64() * 1e9;
            if round > 0 {
                rounds[index].push(nanoseconds / (calls[index] * subject.per_call) as f64);
            }
        }
    }
    subjects
        .iter()
        .zip(&rounds)
        .map(|(subject, times)| Figure::of(&subject.name, times, &rounds[0]))
        .collect()
}

/// How many calls fill a slice.
fn calibrate(subject: &mut Subject<'_>, clock: fn() -> Duration) -> u64 {
    let mut calls = 1;
    loop {
        let start = clock();
        for _ in 0..calls {
            (subject.run)();
        }
        let spent = clock() - start;
        if spent >= SLICE / 4 || calls >= 1 << 30 {
            let fill = SLICE.as_secs_f64() / spent.as_secs_f64().max(1e-9);
            return ((calls as f64 * fill) as u64).max(1);
        }
        calls *= 2;
    }
}

/// The middle value.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
