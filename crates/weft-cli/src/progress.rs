//! Progress of long work, on a terminal only: one line on standard error that rewrites itself and goes away.
//!
//! 1. Work that ends soon shows nothing. Nor does anything show where nobody looks: standard error is no terminal, the
//!    terminal cannot go back on a line (`TERM=dumb`), or the user asked for silence ([`silence`]).
//! 2. The line never wraps: going back would reach its last row only. Names are cut first.
//! 3. It has no colours, so `NO_COLOR` changes nothing. Names come from files: what would move the cursor is replaced.
//! 4. Messages stand on lines of their own: whoever writes one calls [`hide`] first.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Nothing is shown before this.
const DELAY: Duration = Duration::from_millis(400);
/// The line is rewritten this often at most.
const INTERVAL: Duration = Duration::from_millis(100);
/// How wide terminals are that do not say so.
const COLUMNS_DEFAULT: usize = 80;
/// Goes to the beginning of the line and empties it.
const CLEAR: &str = "\r\x1b[K";

static IS_SILENT: AtomicBool = AtomicBool::new(false);
/// Whether a line stands there now.
static IS_SHOWN: AtomicBool = AtomicBool::new(false);

/// Shows nothing from now on.
pub fn silence() {
    IS_SILENT.store(true, Ordering::Relaxed);
}

/// Takes the line away, if there is one. Work that goes on shows it again.
pub fn hide() {
    if IS_SHOWN.swap(false, Ordering::Relaxed) {
        // Progress is a courtesy: a terminal that went away is no failure.
        let _ = write!(stderr(), "{CLEAR}");
    }
}

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
        let next = is_watched().then(|| started + DELAY);
        let what = what.chars().map(plain).collect();
        Progress { doing, what, total, done: 0, started, next, is_shown: false }
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
        let text = self.line(now - self.started, columns());
        IS_SHOWN.store(true, Ordering::Relaxed);
        let _ = write!(stderr(), "{CLEAR}{text}");
    }

    /// `reading model.vmfb: 120 of 800 MiB, 15 %, 400 MiB/s, 2 s left`.
    fn line(&self, elapsed: Duration, columns: usize) -> String {
        let numbers = numbers(self.done, self.total, elapsed);
        // A terminal goes to the next row with the last column.
        let room = columns.saturating_sub(1);
        let taken = self.doing.len() + numbers.len() + " : ".len();
        let what = end_of(&self.what, room.saturating_sub(taken));
        let mut text = format!("{} {what}: {numbers}", self.doing);
        if width(&text) > room {
            text.clear();
            // All of it is plain.
            text.push_str(numbers.get(..room).unwrap_or(&numbers));
        }
        text
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            hide();
        }
    }
}

/// By rule 1.
fn is_watched() -> bool {
    let can_go_back = match std::env::var_os("TERM") {
        Some(term) => term != "dumb" && !term.is_empty(),
        // Elsewhere terminals have no such name.
        None => !cfg!(unix),
    };
    can_go_back && !IS_SILENT.load(Ordering::Relaxed) && stderr().is_terminal()
}

#[cfg(unix)]
fn columns() -> usize {
    match rustix::termios::tcgetwinsize(stderr()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => COLUMNS_DEFAULT,
    }
}

#[cfg(not(unix))]
fn columns() -> usize {
    COLUMNS_DEFAULT
}

/// What a character of a name is shown as.
fn plain(character: char) -> char {
    if character.is_control() { '\u{FFFD}' } else { character }
}

/// Columns of a text, rather too many: characters of some scripts take two.
fn width(text: &str) -> usize {
    text.chars().map(|character| if character.is_ascii() { 1 } else { 2 }).sum()
}

/// As much of the end of a name as there is room for: ends of paths tell more.
fn end_of(name: &str, room: usize) -> String {
    if width(name) <= room {
        return name.to_owned();
    }
    let dots = "...";
    let start = name.char_indices().map(|(at, _)| at).find(|at| width(&name[*at..]) + dots.len() <= room);
    start.map_or_else(String::new, |start| format!("{dots}{}", &name[start..]))
}

/// What stands behind the name.
fn numbers(done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let mebibytes = |bytes: u64| bytes >> 20;
    let rate = (done as f64 / elapsed.as_secs_f64().max(1e-3) / f64::from(1 << 20)).round();
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{} MiB, {rate} MiB/s", mebibytes(done));
    };
    let share = done.min(total) as f64 / total as f64;
    let mut text = format!("{} of {} MiB, {:.0} %", mebibytes(done), mebibytes(total), share * 100.0);
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

    fn line(what: &str, done: u64, total: Option<u64>, columns: usize) -> String {
        let mut progress = Progress::new("reading", what, total);
        progress.advance(done);
        progress.line(Duration::from_secs(1), columns)
    }

    #[test]
    fn the_line_says_how_far_and_how_long() {
        let text = line("a.vmfb", 100 << 20, Some(400 << 20), 80);
        assert_eq!(text, "reading a.vmfb: 100 of 400 MiB, 25 %, 100 MiB/s, 3 s left");
        assert_eq!(line("a pipe", 5 << 20, None, 80), "reading a pipe: 5 MiB, 5 MiB/s");
        assert_eq!(line("a", 0, Some(1 << 20), 80), "reading a: 0 of 1 MiB, 0 %, 0 MiB/s");
    }

    #[test]
    fn the_line_does_not_wrap() {
        let path = "/a/long/way/to/the/\u{6F22}\u{5B57}/model.safetensors";
        for columns in 0..120 {
            let text = line(path, 100 << 20, Some(400 << 20), columns);
            assert!(width(&text) < columns.max(1), "{columns}: {text}");
        }
        let text = line(path, 100 << 20, Some(400 << 20), 70);
        assert_eq!(text, "reading ...del.safetensors: 100 of 400 MiB, 25 %, 100 MiB/s, 3 s left");
        assert_eq!(line(path, 5 << 20, None, 12), "5 MiB, 5 Mi");
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        let text = line("a\x1b[2Jb\r\n", 5 << 20, None, 80);
        assert_eq!(text, "reading a\u{FFFD}[2Jb\u{FFFD}\u{FFFD}: 5 MiB, 5 MiB/s");
    }
}
