//! Deciding how often a benchmark runs, and timing it.
//!
//! The rules are google-benchmark's: grow the number of iterations until enough time is measured, then keep that
//! number for all repetitions. What does not live here: what an iteration does (see `subject.rs`).

use std::time::{Duration, Instant};

use weft::sync::{Result, bail};

/// More iterations than this tell nothing new.
const ITERATIONS_MAX: u64 = 1_000_000_000;

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MinTime {
    /// Until so many seconds are measured.
    Seconds(f64),
    /// Exactly so often.
    Iterations(u64),
}

impl MinTime {
    /// Reads `0.5s`, `0.5` or `100x`.
    pub fn parse(text: &str) -> Result<MinTime> {
        if let Some(digits) = text.strip_suffix('x') {
            if let Ok(iterations @ 1..=ITERATIONS_MAX) = digits.parse() {
                return Ok(MinTime::Iterations(iterations));
            }
        } else if let Ok(seconds) = text.strip_suffix('s').unwrap_or(text).parse::<f64>()
            && (0.0..1e9).contains(&seconds)
        {
            return Ok(MinTime::Seconds(seconds));
        }
        bail!(
            InvalidArgument,
            "unrecognized --benchmark_min_time= value '{text}'; expected seconds (0.5s) or iterations (100x)"
        );
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Iterations that were run, at least as many as were asked for.
    pub iterations: u64,
    /// By the clock.
    pub real: Duration,
    /// Processor time of all threads.
    pub cpu: Duration,
}

/// Something that can be iterated.
pub trait Subject {
    /// Runs at least `iterations` iterations and measures them.
    fn run(&mut self, iterations: u64) -> Result<Sample>;
}

/// A stopwatch that leaves out what happens between laps.
#[derive(Debug, Default)]
pub struct Stopwatch {
    real: Duration,
    cpu: Duration,
}

impl Stopwatch {
    /// Times one piece of work.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (real, cpu) = (Instant::now(), processor_time());
        let result = work();
        // The clock that decides is read next to the work, the other one outside of it.
        self.real += real.elapsed();
        self.cpu += processor_time().saturating_sub(cpu);
        result
    }

    /// All laps together.
    pub fn sample(&self, iterations: u64) -> Sample {
        Sample { iterations, real: self.real, cpu: self.cpu }
    }
}

/// Processor time that this process has used, all threads together.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Without a processor clock the two times are the same.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Runs until enough time is measured; the last run counts. The number of iterations serves further repetitions.
pub fn first_sample(subject: &mut dyn Subject, min_time: MinTime, warmup: f64) -> Result<Sample> {
    if warmup > 0.0 {
        grow(subject, warmup)?;
    }
    match min_time {
        MinTime::Iterations(iterations) => subject.run(iterations),
        MinTime::Seconds(seconds) => grow(subject, seconds),
    }
}

fn grow(subject: &mut dyn Subject, seconds: f64) -> Result<Sample> {
    let mut iterations = 1;
    loop {
        let sample = subject.run(iterations)?;
        if sample.real.as_secs_f64() >= seconds || sample.iterations >= ITERATIONS_MAX {
            return Ok(sample);
        }
        iterations = next_iterations(sample, seconds);
    }
}

/// Aims a little above the time that is wanted; a short first measurement is trusted only to a factor of ten.
fn next_iterations(sample: Sample, seconds: f64) -> u64 {
    let measured = sample.real.as_secs_f64().max(1e-9);
    let wanted = seconds * 1.4 / measured;
    let factor = if measured / seconds > 0.1 { wanted } else { wanted.min(10.0) };
    let next = (sample.iterations as f64 * factor).round() as u64;
    next.clamp(sample.iterations + 1, ITERATIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pretends that one iteration takes a fixed time.
    struct Fixed {
        each: Duration,
        asked: Vec<u64>,
    }

    impl Subject for Fixed {
        fn run(&mut self, iterations: u64) -> Result<Sample> {
            self.asked.push(iterations);
            let real = self.each * u32::try_from(iterations).unwrap();
            Ok(Sample { iterations, real, cpu: real })
        }
    }

    #[test]
    fn iterations_grow_until_the_time_is_reached() {
        let mut subject = Fixed { each: Duration::from_micros(2), asked: Vec::new() };
        let sample = first_sample(&mut subject, MinTime::Seconds(0.5), 0.0).unwrap();
        assert!(sample.real >= Duration::from_millis(500) && sample.real < Duration::from_secs(1));
        assert_eq!(subject.asked[..4], [1, 10, 100, 1000]);
        let mut subject = Fixed { each: Duration::from_secs(9), asked: Vec::new() };
        first_sample(&mut subject, MinTime::Seconds(0.5), 0.0).unwrap();
        assert_eq!(subject.asked, [1]);
        let mut subject = Fixed { each: Duration::from_secs(9), asked: Vec::new() };
        first_sample(&mut subject, MinTime::Iterations(7), 0.0).unwrap();
        assert_eq!(subject.asked, [7]);
    }

    #[test]
    fn times_and_counts_are_told_apart() {
        assert_eq!(MinTime::parse("0.5s").unwrap(), MinTime::Seconds(0.5));
        assert_eq!(MinTime::parse("2").unwrap(), MinTime::Seconds(2.0));
        assert_eq!(MinTime::parse("10x").unwrap(), MinTime::Iterations(10));
        for text in ["", "foo", "x", "0x", "-1s", "1.5x", "nan", "inf", "99999999999x"] {
            assert!(MinTime::parse(text).is_err(), "{text}");
        }
    }
}
