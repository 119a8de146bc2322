//! The conformance suites again and again: what goes wrong once in a thousand times.

use std::time::{Duration, Instant};

use crate::{Outcome, source};

/// Repetitions after which it is enough.
const REPETITIONS_MAX: u32 = 1000;
/// A year: what a clock can be advanced by.
const SECONDS_MAX: u64 = 365 * 24 * 60 * 60;

/// `stress [minutes]`: the whole device suite on local-task up to 1,000 times, or as often as fits (30 minutes unless
/// told). Says how often it ran.
pub fn run(arguments: &[String]) -> Outcome {
    let minutes = arguments.first().map_or("30", String::as_str);
    let minutes: u64 = minutes.parse().map_err(|_| format!("expected minutes, found `{minutes}`"))?;
    let suite =
        ["test", "--release", "--package", "weft-cts", "--test", "local_task", "--test", "random_recordings"];
    if minutes == 0 {
        return Err("in 0 minutes nothing is repeated, and nothing shown".to_owned());
    }
    // Built before the clock starts.
    source::command("cargo", &[&suite[..], &["--no-run"]].concat(), &[])?;
    let end = Instant::now() + Duration::from_secs(minutes.saturating_mul(60).min(SECONDS_MAX));
    let mut count = 0;
    while count < REPETITIONS_MAX && Instant::now() < end {
        source::command("cargo", &[&suite[..], &["--quiet"]].concat(), &[])
            .map_err(|why| format!("repetition {}: {why}", count + 1))?;
        count += 1;
    }
    println!("the device suite passed {count} times");
    Ok(())
}

/// `stress-io [count]`: the whole proactor suite, on every configuration, so many times (100 unless told), the races in
/// each of them a tenth as long.
pub fn io(arguments: &[String]) -> Outcome {
    let count = arguments.first().map_or("100", String::as_str);
    let count: u32 = count.parse().map_err(|_| format!("expected a count, found `{count}`"))?;
    if count == 0 {
        return Err("0 repetitions show nothing".to_owned());
    }
    let suite = ["test", "--release", "--package", "weft-cts", "--test", "io", "--test", "io_leaks"];
    let suite = [&suite[..], &["--test", "io_system"]].concat();
    source::command("cargo", &[&suite[..], &["--no-run"]].concat(), &[])?;
    let start = Instant::now();
    for repetition in 1..=count {
        source::command("cargo", &[&suite[..], &["--quiet"]].concat(), &[("WEFT_CTS_FEWER_ROUNDS", "10")])
            .map_err(|why| format!("repetition {repetition}: {why}"))?;
    }
    println!("the proactor suite passed {count} times in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}
