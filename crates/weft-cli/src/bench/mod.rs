//! `weft bench`: times functions of a program, in the manner and formats of google-benchmark.
//!
//! What lives here: choosing benchmarks, repetitions, where reports go. The parts: `measure.rs` decides how often,
//! `subject.rs` what an iteration is, `report.rs` and `host.rs` write.

mod host;
mod measure;
mod report;
mod subject;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write, stderr};

use regex_lite::Regex;
use weft::sync::{Result, Status, WhileDoing, bail};
use weft::{Function, Program, Value};

use crate::failure::{Failure, Outcome, complain, file_status, status_text};
use crate::flags::Flags;
use crate::inputs::{Reader, argument_kinds};
use crate::{run as run_command, setup};
use host::Host;
use measure::{MinTime, Sample, Subject, first_sample};
use report::{Console, Format, Kind, Row, TimeUnit};
use subject::{Batch, Measured, Mode};

/// What google-benchmark appends to names when both clocks are used and the wall clock decides.
const NAME_SUFFIX: &str = "/process_time/real_time";

/// Runs the command.
pub fn run(flags: &Flags) -> Outcome {
    if setup::listed_instead(flags)? {
        return Ok(());
    }
    setup::mention_ignored(flags, "weft bench");
    let plan = Plan::from_flags(flags)?;
    let session = setup::session(flags)?;
    let used_devices = run_program(flags, &plan, &session)?;
    setup::print_statistics(&session, flags, used_devices)?;
    Ok(())
}

/// Measures everything; the program is gone when it returns. `true` if devices were used.
fn run_program(flags: &Flags, plan: &Plan, session: &weft::Session) -> Outcome<bool> {
    let program = setup::program(session, flags, None)?;
    let device = setup::input_device(&program)?;
    let used_devices = device.is_some();
    let mut reader = Reader::new(device);
    let benchmarks = benchmarks(flags, &program, &mut reader)?;
    let total = benchmarks.len();
    let chosen: Vec<Benchmark> =
        benchmarks.into_iter().filter(|benchmark| plan.filter.matches(&benchmark.name)).collect();
    if flags.switch("benchmark_list_tests") {
        let mut out = io::stdout().lock();
        for benchmark in &chosen {
            writeln!(out, "{}", benchmark.name)?;
        }
        out.flush()?;
        return Ok(used_devices);
    }
    if chosen.is_empty() {
        complain(format_args!(
            "weft bench: none of {total} benchmarks matches the regular expression '{}'",
            flags.text("benchmark_filter")
        ));
        return Ok(used_devices);
    }
    let mut reports = Reports::open(flags, plan, &chosen)?;
    let mut last_results = None;
    let mut failed = false;
    for (family, benchmark) in chosen.iter().enumerate() {
        let (rows, results) = measure(plan, benchmark, family);
        failed |= rows.iter().any(|row| row.error.is_some());
        reports.add(plan, &rows)?;
        last_results = Some((&benchmark.function, results));
    }
    reports.finish()?;
    if let (true, false, Some((function, results))) =
        (flags.switch("enable_output_processing"), failed, last_results)
    {
        let mut out = BufWriter::new(io::stdout().lock());
        let shown = run_command::show(&mut out, flags, function, results, &mut reader);
        out.flush()?;
        shown?;
    }
    if failed { Err(Failure::Reported) } else { Ok(used_devices) }
}

/// What the flags say about measuring.
struct Plan {
    filter: Filter,
    min_time: MinTime,
    warmup: f64,
    repetitions: u64,
    batch: Batch,
    unit: Option<TimeUnit>,
    /// Leave single repetitions out of every report.
    only_aggregates: bool,
    /// Leave them out of standard output.
    only_aggregates_shown: bool,
}

impl Plan {
    fn from_flags(flags: &Flags) -> Outcome<Plan> {
        let repetitions = flags.count("benchmark_repetitions").max(1);
        let only_aggregates = flags.switch("benchmark_report_aggregates_only");
        let batch = |name: &str| match flags.count(name) {
            count @ 1..=1_000_000 => Ok(count),
            other => Err(Failure::usage(format!("--{name}={other} is outside the range from 1 to 1000000"))),
        };
        Ok(Plan {
            filter: Filter::parse(flags.text("benchmark_filter"))?,
            min_time: MinTime::parse(flags.text("benchmark_min_time")).map_err(Failure::Usage)?,
            warmup: flags.real("benchmark_min_warmup_time"),
            repetitions,
            batch: Batch { size: batch("batch_size")?, concurrency: batch("batch_concurrency")? },
            unit: match flags.text("time_unit") {
                "ms" => Some(TimeUnit::Milliseconds),
                "us" => Some(TimeUnit::Microseconds),
                "ns" => Some(TimeUnit::Nanoseconds),
                _ => None,
            },
            only_aggregates: only_aggregates && repetitions > 1,
            only_aggregates_shown: (only_aggregates || flags.switch("benchmark_display_aggregates_only"))
                && repetitions > 1,
        })
    }
}

/// A regular expression that chooses names, or leaves them out when it begins with a `-`.
struct Filter {
    pattern: Option<Regex>,
    leaves_out: bool,
}

impl Filter {
    fn parse(text: &str) -> Outcome<Filter> {
        let (leaves_out, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        if matches!(text, "" | "all") {
            return Ok(Filter { pattern: None, leaves_out });
        }
        let pattern = Regex::new(text).map_err(|error| {
            Failure::usage(format!("--benchmark_filter: '{text}' is no pattern: {error}"))
        })?;
        Ok(Filter { pattern: Some(pattern), leaves_out })
    }

    fn matches(&self, name: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(name)) != self.leaves_out
    }
}

/// A function to measure.
struct Benchmark {
    name: String,
    function: Function,
    mode: Mode,
    arguments: Vec<Value>,
}

/// The named function with its inputs, or everything that can run without.
fn benchmarks(flags: &Flags, program: &Program, reader: &mut Reader) -> Result<Vec<Benchmark>> {
    let made = |function: Function, mode, arguments| Benchmark {
        name: format!("BM_{}{NAME_SUFFIX}", function.name()),
        function,
        mode,
        arguments,
    };
    if !flags.text("function").is_empty() {
        let function = setup::function(program, flags)?;
        let mode = subject::mode_of(&function);
        let arguments = match mode {
            Mode::Dispatch => Vec::new(),
            Mode::Call => {
                run_command::read_arguments(reader, &flags.list("input"), &argument_kinds(&function)?)
                    .while_doing(|| "parsing function inputs")
                    .map_err(|status| setup::with_declaration(status, &function))?
            }
        };
        return Ok(vec![made(function, mode, arguments)]);
    }
    let all: Vec<Benchmark> = subject::eligible(program)
        .into_iter()
        .map(|(function, mode)| made(function, mode, Vec::new()))
        .collect();
    if all.is_empty() {
        bail!(
            NotFound,
            "module `{}` exports no function that runs without inputs; choose one with --function= and --input=",
            program.main_module().name()
        );
    }
    Ok(all)
}

/// All rows of one benchmark, aggregates included, and the results of its last iteration.
fn measure(plan: &Plan, benchmark: &Benchmark, family: usize) -> (Vec<Row>, Vec<Value>) {
    let mut measured = Measured::new(&benchmark.function, benchmark.mode, &benchmark.arguments, plan.batch);
    let mut rows = Vec::new();
    let mut iterations = None;
    for repetition in 0..plan.repetitions {
        let outcome = match iterations {
            None => first_sample(&mut measured, plan.min_time, plan.warmup),
            Some(iterations) => measured.run(iterations),
        };
        let row = row(plan, benchmark, family, repetition, outcome);
        let failed = row.error.is_some();
        iterations = Some(row.iterations);
        rows.push(row);
        if failed {
            break;
        }
    }
    rows.extend(report::aggregates(&rows));
    (rows, measured.results)
}

fn row(plan: &Plan, benchmark: &Benchmark, family: usize, repetition: u64, outcome: Result<Sample>) -> Row {
    let default_unit = match benchmark.mode {
        Mode::Call => TimeUnit::Milliseconds,
        Mode::Dispatch => TimeUnit::Microseconds,
    };
    let (sample, error) = match outcome {
        Ok(sample) => (sample, None),
        Err(status) => {
            complain(format_args!("weft bench: {}", status_text(&status)));
            (Sample { iterations: 1, ..Sample::default() }, Some(headline(&status)))
        }
    };
    let each = 1.0 / sample.iterations.max(1) as f64;
    let real = sample.real.as_secs_f64();
    Row {
        run_name: benchmark.name.clone(),
        family,
        kind: Kind::Iteration(repetition),
        repetitions: plan.repetitions,
        iterations: sample.iterations,
        real: real * each,
        cpu: sample.cpu.as_secs_f64() * each,
        items_per_second: if real > 0.0 { sample.iterations as f64 / real } else { 0.0 },
        unit: plan.unit.unwrap_or(default_unit),
        error,
    }
}

/// Code and message without the trail, which is on standard error.
fn headline(status: &Status) -> String {
    status_text(&Status::new(status.code(), status.message().into_owned()))
}

/// The report on standard output, and the one in a file.
struct Reports<'a> {
    shown: Report<Box<dyn Write>>,
    saved: Option<(Report<BufWriter<File>>, &'a str)>,
}

/// A report in progress.
struct Report<W> {
    out: W,
    format: Format,
    console: Console,
    host: Host,
    /// JSON is written as a whole.
    rows: Vec<Row>,
    has_head: bool,
}

impl<'a> Reports<'a> {
    fn open(flags: &'a Flags, plan: &Plan, chosen: &[Benchmark]) -> Outcome<Reports<'a>> {
        let format = |text: &str| match text {
            "json" => Format::Json,
            "csv" => Format::Csv,
            _ => Format::Console,
        };
        let longest = chosen.iter().map(|benchmark| benchmark.name.len()).max().unwrap_or(0);
        let suffix = if plan.repetitions > 1 { "_stddev".len() } else { 0 };
        let color = match flags.text("benchmark_color") {
            "auto" => io::stdout().is_terminal(),
            word => matches!(word, "true" | "yes" | "1"),
        };
        let tabular = flags.switch("benchmark_counters_tabular");
        let console = Console { name_width: (longest + suffix).max(10), tabular, color };
        let host = Host::ask(&flags.list("benchmark_context"));
        let shown = Report::new(
            Box::new(io::stdout()) as Box<dyn Write>,
            format(flags.text("benchmark_format")),
            console,
            host.clone(),
        );
        if shown.format != Format::Json {
            // A closed standard error is no reason not to measure.
            let _ = host.write_text(&mut stderr());
        }
        let saved = match flags.text("benchmark_out") {
            "" => None,
            path => {
                let file = File::create(path).map_err(|error| file_status(&error, "create", path))?;
                let console = Console { color: false, ..console };
                let format = format(flags.text("benchmark_out_format"));
                Some((Report::new(BufWriter::new(file), format, console, host), path))
            }
        };
        Ok(Reports { shown, saved })
    }

    fn add(&mut self, plan: &Plan, rows: &[Row]) -> Outcome {
        let kept = |only_aggregates: bool| {
            let keep = move |row: &&Row| {
                !only_aggregates || row.error.is_some() || matches!(row.kind, Kind::Aggregate(_))
            };
            rows.iter().filter(keep).cloned().collect::<Vec<Row>>()
        };
        self.shown.add(kept(plan.only_aggregates_shown))?;
        if let Some((report, path)) = &mut self.saved {
            report.add(kept(plan.only_aggregates)).map_err(|error| file_status(&error, "write", path))?;
        }
        Ok(())
    }

    fn finish(mut self) -> Outcome {
        self.shown.finish()?;
        if let Some((mut report, path)) = self.saved {
            report.finish().map_err(|error| file_status(&error, "write", path))?;
        }
        Ok(())
    }
}

impl<W: Write> Report<W> {
    fn new(out: W, format: Format, console: Console, host: Host) -> Report<W> {
        Report { out, format, console, host, rows: Vec::new(), has_head: false }
    }

    fn add(&mut self, rows: Vec<Row>) -> io::Result<()> {
        if !self.has_head {
            self.has_head = true;
            let counters = rows.first().is_some_and(|row| row.error.is_none());
            match self.format {
                Format::Console => self.console.head(&mut self.out, counters)?,
                Format::Csv => report::csv_head(&mut self.out)?,
                Format::Json => {}
            }
        }
        for row in rows {
            match self.format {
                Format::Console => self.console.row(&mut self.out, &row)?,
                Format::Csv => report::csv_row(&mut self.out, &row)?,
                Format::Json => self.rows.push(row),
            }
        }
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.format == Format::Json {
            report::json(&mut self.out, &self.host, &self.rows)?;
        }
        self.out.flush()
    }
}
