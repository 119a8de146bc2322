//! The trace event format: JSON objects in one array, with times in microseconds.
//!
//! What does not live here: which events there are.

use std::fmt::Write as _;
use std::io::{Result, Write};

use crate::json::quoted;

/// A row of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    /// Group of rows.
    pub process: u32,
    /// The row in it; rows are shown in this order.
    pub thread: u32,
}

/// What is shown beside a slice that is selected.
#[derive(Clone, Debug, Default)]
pub struct Args(String);

impl Args {
    /// Nothing.
    pub fn new() -> Args {
        Args::default()
    }

    /// Adds a number.
    #[must_use]
    pub fn count(mut self, name: &str, value: u64) -> Args {
        self.add(name, &value.to_string());
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Args {
        self.add(name, &quoted(value));
        self
    }

    /// Adds a time in microseconds.
    #[must_use]
    pub fn time(mut self, name: &str, value_ns: u64) -> Args {
        self.add(name, &microseconds(value_ns));
        self
    }

    fn add(&mut self, name: &str, json: &str) {
        let comma = if self.0.is_empty() { "" } else { "," };
        // A `String` takes everything.
        let _ = write!(self.0, "{comma}{}:{json}", quoted(name));
    }
}

/// Writes a trace from its first to its last byte.
pub struct Events<'a> {
    out: &'a mut dyn Write,
    /// Time 0 of the trace.
    origin_ns: u64,
    has_events: bool,
}

impl<'a> Events<'a> {
    /// Begins a file.
    pub fn begin(out: &'a mut dyn Write, origin_ns: u64) -> Result<Events<'a>> {
        out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
        Ok(Events { out, origin_ns, has_events: false })
    }

    /// Ends the file.
    pub fn end(self, dropped: u64) -> Result<()> {
        writeln!(
            self.out,
            "\n],\"otherData\":{{\"producer\":\"weft {}\",\"dropped\":{dropped}}}}}",
            env!("CARGO_PKG_VERSION")
        )
    }

    /// Names a group of rows.
    pub fn process(&mut self, process: u32, name: &str) -> Result<()> {
        let at = Track { process, thread: 0 };
        self.event("M", at, "process_name", &format!(",\"args\":{{\"name\":{}}}", quoted(name)))?;
        self.event("M", at, "process_sort_index", &format!(",\"args\":{{\"sort_index\":{process}}}"))
    }

    /// Names a row.
    pub fn thread(&mut self, at: Track, name: &str) -> Result<()> {
        self.event("M", at, "thread_name", &format!(",\"args\":{{\"name\":{}}}", quoted(name)))?;
        self.event("M", at, "thread_sort_index", &format!(",\"args\":{{\"sort_index\":{}}}", at.thread))
    }

    /// A stretch of time. It is at least a nanosecond long, since what has no length cannot be seen.
    pub fn slice(
        &mut self,
        at: Track,
        name: &str,
        category: &str,
        (start_ns, end_ns): (u64, u64),
        args: &Args,
    ) -> Result<()> {
        let start_ns = start_ns.max(self.origin_ns);
        let duration = microseconds(end_ns.saturating_sub(start_ns).max(1));
        let rest = format!(
            ",\"cat\":{},\"ts\":{},\"dur\":{duration},\"args\":{{{}}}",
            quoted(category),
            self.time(start_ns),
            args.0
        );
        self.event("X", at, name, &rest)
    }

    /// A moment.
    pub fn instant(&mut self, at: Track, name: &str, category: &str, time_ns: u64) -> Result<()> {
        let rest = format!(",\"cat\":{},\"s\":\"t\",\"ts\":{}", quoted(category), self.time(time_ns));
        self.event("i", at, name, &rest)
    }

    /// A value from this time on.
    pub fn counter(&mut self, process: u32, name: &str, time_ns: u64, value: u64) -> Result<()> {
        let rest = format!(",\"ts\":{},\"args\":{{\"bytes\":{value}}}", self.time(time_ns));
        self.event("C", Track { process, thread: 0 }, name, &rest)
    }

    /// An arrow begins in the slice that is there at this time.
    pub fn flow_begin(&mut self, at: Track, time_ns: u64, flow: u64) -> Result<()> {
        self.flow("s", at, time_ns, flow, "")
    }

    /// The arrow goes through the slice that is there at this time.
    pub fn flow_step(&mut self, at: Track, time_ns: u64, flow: u64) -> Result<()> {
        self.flow("t", at, time_ns, flow, ",\"bp\":\"e\"")
    }

    /// The arrow ends in the slice that is there at this time.
    pub fn flow_end(&mut self, at: Track, time_ns: u64, flow: u64) -> Result<()> {
        self.flow("f", at, time_ns, flow, ",\"bp\":\"e\"")
    }

    fn flow(&mut self, phase: &str, at: Track, time_ns: u64, flow: u64, binding: &str) -> Result<()> {
        let rest = format!(",\"cat\":\"submission\",\"id\":{flow},\"ts\":{}{binding}", self.time(time_ns));
        self.event(phase, at, "submission", &rest)
    }

    fn time(&self, time_ns: u64) -> String {
        microseconds(time_ns.saturating_sub(self.origin_ns))
    }

    fn event(&mut self, phase: &str, at: Track, name: &str, rest: &str) -> Result<()> {
        let comma = if self.has_events { "," } else { "" };
        self.has_events = true;
        let Track { process, thread } = at;
        write!(
            self.out,
            "{comma}\n{{\"ph\":\"{phase}\",\"pid\":{process},\"tid\":{thread},\"name\":{}{rest}}}",
            quoted(name)
        )
    }
}

fn microseconds(time_ns: u64) -> String {
    format!("{}.{:03}", time_ns / 1000, time_ns % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_one_object() {
        let mut out = Vec::new();
        let mut events = Events::begin(&mut out, 5_000).unwrap();
        let at = Track { process: 1, thread: 2 };
        let args = Args::new().count("tiles", 4).text("status", "\"OK\"").time("tile_us", 1_500);
        events.slice(at, "a\\b", "dispatch", (4_000, 7_250), &args).unwrap();
        events.counter(3, "memory", 6_000, 64).unwrap();
        events.end(0).unwrap();
        let expected = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n\
            {\"ph\":\"X\",\"pid\":1,\"tid\":2,\"name\":\"a\\\\b\",\"cat\":\"dispatch\",\"ts\":0.000,\"dur\":2.250,\
            \"args\":{\"tiles\":4,\"status\":\"\\\"OK\\\"\",\"tile_us\":1.500}},\n\
            {\"ph\":\"C\",\"pid\":3,\"tid\":0,\"name\":\"memory\",\"ts\":1.000,\"args\":{\"bytes\":64}}\n\
            ],";
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(expected), "{text}");
    }
}
