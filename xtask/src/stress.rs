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

/// `stress-io [count] [--full]`: the whole proactor suite, on every configuration, so many times (100 unless told). The
/// races in each of them are a tenth as long, unless they are to run in full.
pub fn io(arguments: &[String]) -> Outcome {
    let is_full = arguments.iter().any(|argument| argument == "--full");
    let mut numbers = arguments.iter().filter(|argument| *argument != "--full");
    let count = numbers.next().map_or("100", String::as_str);
    let count: u32 = count.parse().map_err(|_| format!("expected a count or --full, found `{count}`"))?;
    if let Some(more) = numbers.next() {
        return Err(format!("`{more}` is one argument too many"));
    }
    if count == 0 {
        return Err("0 repetitions show nothing".to_owned());
    }
    let suite =
        ["test", "--release", "--no-run", "--package", "weft-cts", "--test", "io", "--test", "io_leaks"];
    // Built once: the hundredth repetition is one of the same programs as the first, whatever is edited meanwhile.
    let programs = source::test_programs(&[&suite[..], &["--test", "io_system"]].concat(), &[])?;
    let start = Instant::now();
    let fewer = ("WEFT_CTS_FEWER_ROUNDS", if is_full { "1" } else { "10" });
    for repetition in 1..=count {
        println!("repetition {repetition} of {count}, after {:.0} s", start.elapsed().as_secs_f64());
        for program in &programs {
            source::command(&program.display().to_string(), &["--quiet"], &[fewer])
                .map_err(|why| format!("repetition {repetition}: {why}"))?;
        }
    }
    let races = if is_full { "in full" } else { "a tenth as long as alone" };
    println!(
        "the proactor suite passed {count} times, races {races}, in {:.0} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
