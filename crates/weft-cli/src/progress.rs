//! Progress of long work, on a terminal only: one line on standard error that rewrites itself and goes away.
//!
//! Work that ends soon shows nothing; output that is not a terminal never sees progress.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Nothing is shown before this.
const DELAY: Duration = Duration::from_millis(400);
/// The line is rewritten this often at most.
const INTERVAL: Duration = Duration::from_millis(100);

/// Progress of one piece of work, shown until it is dropped.
pub struct Progress {
    doing: &'static str,
    what: String,
    total: Option<u64>,
    done: u64,
    started: Instant,
    /// When the line may be written next; `None` where nobody looks.
    next: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    /// Starts the clock. `total` is in bytes, if known.
    pub fn new(doing: &'static str, what: &str, total: Option<u64>) -> Progress {
        let started = Instant::now();
        let next = stderr().is_terminal().then(|| started + DELAY);
        Progress { doing, what: what.to_owned(), total, done: 0, started, next, is_shown: false }
    }

    /// Notes how many bytes there are, where that was not known at first.
    pub fn expect(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// Notes that so many more bytes are done.
    pub fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        let Some(next) = self.next else { return };
        let now = Instant::now();
        if now < next {
            return;
        }
        self.next = Some(now + INTERVAL);
        self.is_shown = true;
        let text = line(self.doing, &self.what, self.done, self.total, now - self.started);
        // Progress is a courtesy: a terminal that went away is no failure.
        let _ = write!(stderr(), "\r\x1b[K{text}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// `reading model.vmfb: 120 of 800 MiB, 15 %, 400 MiB/s, 2 s left`.
fn line(doing: &str, what: &str, done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let mebibytes = |bytes: u64| bytes >> 20;
    let rate = (done as f64 / elapsed.as_secs_f64().max(1e-3) / f64::from(1 << 20)).round();
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{doing} {what}: {} MiB, {rate} MiB/s", mebibytes(done));
    };
    let share = done.min(total) as f64 / total as f64;
    let mut text =
        format!("{doing} {what}: {} of {} MiB, {:.0} %", mebibytes(done), mebibytes(total), share * 100.0);
    text.push_str(&format!(", {rate} MiB/s"));
    if share > 0.0 {
        let left = elapsed.as_secs_f64() * (1.0 - share) / share;
        text.push_str(&format!(", {} s left", left.ceil()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_and_how_long() {
        let second = Duration::from_secs(1);
        let text = line("reading", "a.vmfb", 100 << 20, Some(400 << 20), second);
        assert_eq!(text, "reading a.vmfb: 100 of 400 MiB, 25 %, 100 MiB/s, 3 s left");
        assert_eq!(line("reading", "a pipe", 5 << 20, None, second), "reading a pipe: 5 MiB, 5 MiB/s");
        assert_eq!(line("reading", "a", 0, Some(1 << 20), second), "reading a: 0 of 1 MiB, 0 %, 0 MiB/s");
    }
}
