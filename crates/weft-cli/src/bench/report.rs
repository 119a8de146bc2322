//! Benchmark reports in the three formats of google-benchmark: console, JSON, CSV.
//!
//! What lives here: [`Row`], aggregates over repetitions, the text of each format. What does not: running
//! (see `measure.rs`), the description of the machine (see `host.rs`).

use std::io::{self, Write};

use weft::hal::text::{NumberStyle, format_float};

use super::host::Host;
use crate::json::quoted;

/// Unit of the printed times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

impl TimeUnit {
    /// How the unit is written.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Milliseconds => "ms",
            TimeUnit::Microseconds => "us",
            TimeUnit::Nanoseconds => "ns",
        }
    }

    fn per_second(self) -> f64 {
        match self {
            TimeUnit::Milliseconds => 1e3,
            TimeUnit::Microseconds => 1e6,
            TimeUnit::Nanoseconds => 1e9,
        }
    }
}

/// Which format a report has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for people.
    Console,
    /// One object.
    Json,
    /// One line a row.
    Csv,
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// One repetition, by its number.
    Iteration(u64),
    /// A figure over all repetitions, by its name.
    Aggregate(&'static str),
}

/// One line of a report.
#[derive(Clone, Debug)]
pub struct Row {
    /// The benchmark, `BM_f/process_time/real_time`.
    pub run_name: String,
    /// Number of the benchmark in the run.
    pub family: usize,
    /// One repetition, or a figure over all.
    pub kind: Kind,
    /// How many repetitions there are.
    pub repetitions: u64,
    /// How often the function ran; for aggregates the number of repetitions.
    pub iterations: u64,
    /// Seconds by the clock for one iteration.
    pub real: f64,
    /// Processor seconds, all threads together, for one iteration.
    pub cpu: f64,
    /// Iterations in one second by the clock.
    pub items_per_second: f64,
    /// The unit for the times.
    pub unit: TimeUnit,
    /// Why there are no figures.
    pub error: Option<String>,
}

impl Row {
    /// The name with the name of the aggregate.
    pub fn name(&self) -> String {
        match self.kind {
            Kind::Iteration(_) => self.run_name.clone(),
            Kind::Aggregate(aggregate) => format!("{}_{aggregate}", self.run_name),
        }
    }

    fn is_ratio(&self) -> bool {
        self.kind == Kind::Aggregate("cv")
    }

    /// A time in the row's unit; ratios have none.
    fn in_unit(&self, seconds: f64) -> f64 {
        if self.is_ratio() { seconds } else { seconds * self.unit.per_second() }
    }
}

/// A figure over the values of all repetitions.
type Figure = fn(&[f64]) -> f64;

/// Mean, median, standard deviation and its ratio to the mean, over the repetitions of one benchmark.
pub fn aggregates(rows: &[Row]) -> Vec<Row> {
    let Some(first) = rows.first().filter(|_| rows.len() > 1 && rows.iter().all(|row| row.error.is_none()))
    else {
        return Vec::new();
    };
    let over = |pick: fn(&Row) -> f64, figure: Figure| figure(&rows.iter().map(pick).collect::<Vec<f64>>());
    let figures: [(&'static str, Figure); 4] =
        [("mean", mean), ("median", median), ("stddev", deviation), ("cv", variation)];
    let row = |(name, figure): &(&'static str, Figure)| Row {
        kind: Kind::Aggregate(name),
        iterations: rows.len() as u64,
        real: over(|row| row.real, *figure),
        cpu: over(|row| row.cpu, *figure),
        items_per_second: over(|row| row.items_per_second, *figure),
        ..first.clone()
    };
    figures.iter().map(row).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] }
}

/// The deviation of a sample: one degree of freedom is spent on the mean.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

fn variation(values: &[f64]) -> f64 {
    match mean(values) {
        0.0 => 0.0,
        mean => deviation(values) / mean,
    }
}

/// How the console table looks.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Width of the first column.
    pub name_width: usize,
    /// Counters have columns of their own.
    pub tabular: bool,
    /// With colours.
    pub color: bool,
}

impl Console {
    /// The table head. Without counters (the first row failed) it has no column for them.
    pub fn head(&self, out: &mut dyn Write, counters: bool) -> io::Result<()> {
        let width = self.name_width;
        let mut head = format!("{:<width$} {:>13} {:>15} {:>12}", "Benchmark", "Time", "CPU", "Iterations");
        if counters {
            head += if self.tabular { " items_per_second" } else { " UserCounters..." };
        }
        let rule = "-".repeat(head.len());
        writeln!(out, "{rule}\n{head}\n{rule}")
    }

    /// One line of the table.
    pub fn row(&self, out: &mut dyn Write, row: &Row) -> io::Result<()> {
        let [green, yellow, cyan, red, reset] = match self.color {
            true => ["\x1b[0;32m", "\x1b[0;33m", "\x1b[0;36m", "\x1b[0;31m", "\x1b[m"],
            false => [""; 5],
        };
        let width = self.name_width;
        write!(out, "{green}{:<width$}{reset} ", row.name())?;
        if let Some(error) = &row.error {
            return writeln!(out, "{red}ERROR OCCURRED: '{error}'{reset}");
        }
        let (real, cpu, unit) = match row.is_ratio() {
            true => (format!("{:10.2}", row.real * 100.0), format!("{:10.2}", row.cpu * 100.0), "%"),
            false => (short_time(row.in_unit(row.real)), short_time(row.in_unit(row.cpu)), row.unit.name()),
        };
        write!(out, "{yellow}{real} {unit:<4} {cpu} {unit:<4} {reset}{cyan}{:>10}{reset}", row.iterations)?;
        let rate = match row.is_ratio() {
            true => format!("{:.2}%", row.items_per_second * 100.0),
            false => format!("{}/s", short_number(row.items_per_second)),
        };
        match self.tabular {
            true => writeln!(out, " {rate:>16}"),
            false => writeln!(out, " items_per_second={rate}"),
        }
    }
}

/// A time with about three digits, ten wide.
fn short_time(time: f64) -> String {
    match time {
        _ if time < 1.0 => format!("{time:10.3}"),
        _ if time < 10.0 => format!("{time:10.2}"),
        _ if time < 100.0 => format!("{time:10.1}"),
        _ => format!("{time:10.0}"),
    }
}

/// Six digits and a prefix for thousands: `453.76k`.
fn short_number(value: f64) -> String {
    let mut scaled = value;
    let mut prefixes = ["", "k", "M", "G", "T", "P", "E"].into_iter();
    let mut prefix = prefixes.next().unwrap_or("");
    while scaled >= 1000.0 {
        let Some(next) = prefixes.next() else { break };
        scaled /= 1000.0;
        prefix = next;
    }
    format!("{}{prefix}", six_digits(scaled))
}

fn six_digits(value: f64) -> String {
    let mut text = String::new();
    // A `String` takes everything.
    let _ = format_float(&mut text, value, NumberStyle::Lower);
    text
}

/// Writes a whole JSON report.
pub fn json(out: &mut dyn Write, host: &Host, rows: &[Row]) -> io::Result<()> {
    writeln!(out, "{{\n  \"context\": {{")?;
    host.write_json(out)?;
    writeln!(out, "  }},\n  \"benchmarks\": [")?;
    for (index, row) in rows.iter().enumerate() {
        let fields = json_fields(row);
        writeln!(out, "    {{")?;
        for (index, (key, value)) in fields.iter().enumerate() {
            let comma = if index + 1 < fields.len() { "," } else { "" };
            writeln!(out, "      \"{key}\": {value}{comma}")?;
        }
        writeln!(out, "    }}{}", if index + 1 < rows.len() { "," } else { "" })?;
    }
    writeln!(out, "  ]\n}}")
}

fn json_fields(row: &Row) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("name", quoted(&row.name())),
        ("family_index", row.family.to_string()),
        ("per_family_instance_index", "0".into()),
        ("run_name", quoted(&row.run_name)),
    ];
    match row.kind {
        Kind::Iteration(index) => fields.extend([
            ("run_type", quoted("iteration")),
            ("repetitions", row.repetitions.to_string()),
            ("repetition_index", index.to_string()),
            ("threads", "1".into()),
        ]),
        Kind::Aggregate(name) => fields.extend([
            ("run_type", quoted("aggregate")),
            ("repetitions", row.repetitions.to_string()),
            ("threads", "1".into()),
            ("aggregate_name", quoted(name)),
            ("aggregate_unit", quoted(if row.is_ratio() { "percentage" } else { "time" })),
        ]),
    }
    if let Some(error) = &row.error {
        fields.extend([("error_occurred", "true".into()), ("error_message", quoted(error))]);
    }
    fields.extend([
        ("iterations", row.iterations.to_string()),
        ("real_time", exact(row.in_unit(row.real))),
        ("cpu_time", exact(row.in_unit(row.cpu))),
        ("time_unit", quoted(row.unit.name())),
    ]);
    if row.error.is_none() {
        fields.push(("items_per_second", exact(row.items_per_second)));
    }
    fields
}

/// All digits, with a C exponent: `2.2300391157184106e-03`.
fn exact(value: f64) -> String {
    let text = format!("{value:.16e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// The first line of a CSV report.
pub fn csv_head(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "name,iterations,real_time,cpu_time,time_unit,bytes_per_second,items_per_second,label,error_occurred,error_message"
    )
}

/// One line of a CSV report.
pub fn csv_row(out: &mut dyn Write, row: &Row) -> io::Result<()> {
    let field = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let name = field(&row.name());
    if let Some(error) = &row.error {
        return writeln!(out, "{name},,,,,,,,true,{}", field(error));
    }
    let unit = if row.is_ratio() { "" } else { row.unit.name() };
    let (real, cpu) = (six_digits(row.in_unit(row.real)), six_digits(row.in_unit(row.cpu)));
    writeln!(out, "{name},{},{real},{cpu},{unit},,{},,,", row.iterations, six_digits(row.items_per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(real: f64) -> Row {
        Row {
            run_name: "BM_f/process_time/real_time".into(),
            family: 0,
            kind: Kind::Iteration(0),
            repetitions: 3,
            iterations: 32011,
            real,
            cpu: real * 1.01,
            items_per_second: 1.0 / real,
            unit: TimeUnit::Milliseconds,
            error: None,
        }
    }

    fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_figures_over_repetitions_are_those_of_a_sample() {
        let rows: Vec<Row> = [1e-3, 2e-3, 3e-3, 10e-3].map(row).into();
        let figures = aggregates(&rows);
        let real: Vec<String> = figures.iter().map(|row| format!("{:.4e}", row.real)).collect();
        assert_eq!(real, ["4.0000e-3", "2.5000e-3", "4.0825e-3", "1.0206e0"]);
        assert!(figures.iter().all(|row| row.iterations == 4));
        assert!(aggregates(&rows[..1]).is_empty());
    }

    /// [hal-module 72] The layout that scrapers know.
    #[test]
    fn console_rows_have_the_known_layout() {
        let console = Console { name_width: 33, tabular: false, color: false };
        let head = text(|out| console.head(out, true));
        let line = head.lines().nth(1).unwrap();
        assert_eq!(
            line,
            "Benchmark                                  Time             CPU   Iterations UserCounters..."
        );
        let line = text(|out| console.row(out, &row(2.1567e-6)));
        assert_eq!(
            line,
            "BM_f/process_time/real_time            0.002 ms        0.002 ms        32011 items_per_second=463.671k/s\n"
        );
        let mut cv = row(0.0088);
        cv.kind = Kind::Aggregate("cv");
        cv.items_per_second = 0.0088;
        let line = text(|out| console.row(out, &cv));
        assert!(
            line.ends_with("      0.88 %          0.89 %         32011 items_per_second=0.88%\n"),
            "{line}"
        );
    }

    #[test]
    fn numbers_are_short_on_the_console_and_exact_in_json() {
        for (value, short) in
            [(0.124735, "0.124735"), (46.2096, "46.2096"), (7014.98, "7.01498k"), (1e9, "1G")]
        {
            assert_eq!(short_number(value), short);
        }
        for (time, short) in
            [(0.1434, "     0.143"), (5.318, "      5.32"), (21.63, "      21.6"), (8017.2, "      8017")]
        {
            assert_eq!(short_time(time), short);
        }
        assert_eq!(exact(2.2300391157184106e-3), "2.2300391157184106e-03");
        assert_eq!(exact(448422.0), "4.4842200000000000e+05");
        assert_eq!(exact(0.0), "0.0000000000000000e+00");
    }

    #[test]
    fn errors_take_the_place_of_figures() {
        let mut row = row(1.0);
        row.error = Some("INTERNAL; \"lost\"".into());
        let line = text(|out| csv_row(out, &row));
        assert_eq!(line, "\"BM_f/process_time/real_time\",,,,,,,,true,\"INTERNAL; \"\"lost\"\"\"\n");
        let console = Console { name_width: 27, tabular: false, color: false };
        let line = text(|out| console.row(out, &row));
        assert_eq!(line, "BM_f/process_time/real_time ERROR OCCURRED: 'INTERNAL; \"lost\"'\n");
        assert!(json_fields(&row).iter().any(|(key, value)| *key == "error_occurred" && value == "true"));
    }
}
