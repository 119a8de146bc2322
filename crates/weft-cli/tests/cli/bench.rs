//! `weft bench`: which functions, how often, and the three report formats.

use std::fs;

use crate::program::{Done, Folder, weft};

/// Long enough to measure something, short enough for a test.
const QUICK: &str = "--benchmark_min_time=0.002s";

fn bench(module: &str, more: &[&str]) -> Done {
    let module = format!("--module={module}.vmfb");
    let mut arguments = vec!["bench", &module, QUICK];
    arguments.extend(more);
    weft(&arguments)
}

/// [hal-module 72] Without a name: functions that take nothing, marked functions; with a name: that one.
#[test]
fn functions_that_need_no_inputs_are_found() {
    let list = |module: &str, more: &[&str]| {
        let mut flags = vec!["--benchmark_list_tests"];
        flags.extend(more);
        bench(module, &flags).success()
    };
    let suffix = "/process_time/real_time\n";
    assert_eq!(list("tool_benchmarks", &[]), format!("BM_seven{suffix}BM_doubled{suffix}"));
    assert_eq!(list("tool_benchmarks", &["--benchmark_filter=sev"]), format!("BM_seven{suffix}"));
    assert_eq!(list("tool_benchmarks", &["--benchmark_filter=-sev"]), format!("BM_doubled{suffix}"));
    assert_eq!(list("tool_benchmarks", &["--benchmark_filter=^BM_(a|d).*d/"]), format!("BM_doubled{suffix}"));
    assert_eq!(list("tool_benchmarks_marked", &[]), format!("BM_repeated{suffix}BM_entry{suffix}"));
    assert_eq!(list("tool_benchmarks_async", &[]), format!("BM_doubled{suffix}"));
    let named = ["--function=add", "--input=4xf32", "--input=4xf32"];
    assert_eq!(list("tool_benchmarks", &named), format!("BM_add{suffix}"));
    let done = bench("tool_benchmarks", &["--benchmark_filter=nothing"]);
    assert!(done.err.contains("none of 2 benchmarks matches"));
    done.success();
    bench("vm_lists", &["--benchmark_filter=("]).failure(2, "is no pattern");
    bench("tool_benchmarks", &["--function=nope"]).failure(1, "NOT_FOUND; no function `nope`");
}

/// [hal-module 72] The console table; host info goes to standard error.
#[test]
fn the_console_table_has_its_columns() {
    let done = bench("tool_benchmarks", &[]);
    assert!(done.err.contains("Running ") && done.err.contains(" MHz CPU"));
    let out = done.success();
    let lines: Vec<&str> = out.lines().collect();
    let width = lines[1].len();
    assert!(lines[0].bytes().all(|byte| byte == b'-') && lines[0].len() == width && lines[2] == lines[0]);
    assert_eq!(
        lines[1],
        "Benchmark                                  Time             CPU   Iterations UserCounters..."
    );
    for (line, name) in lines[3..].iter().zip(["BM_seven", "BM_doubled"]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[0], format!("{name}/process_time/real_time"));
        assert_eq!((words[2], words[4]), ("ms", "ms"));
        assert!(words[1].parse::<f64>().is_ok() && words[5].parse::<u64>().is_ok(), "{line}");
        assert!(words[6].starts_with("items_per_second=") && words[6].ends_with("/s"), "{line}");
    }
    assert_eq!(lines.len(), 5);
}

/// [hal-module 72] Repetitions give mean, median, stddev and cv; single rows can be left out.
#[test]
fn repetitions_are_summed_up() {
    let out = bench("tool_benchmarks", &["--function=seven", "--benchmark_repetitions=3"]).success();
    let names: Vec<&str> = out.lines().skip(3).map(|line| line.split(' ').next().unwrap()).collect();
    let name = "BM_seven/process_time/real_time";
    let aggregates = ["_mean", "_median", "_stddev", "_cv"].map(|suffix| format!("{name}{suffix}"));
    assert_eq!(names[..3], [name; 3]);
    assert_eq!(names[3..], aggregates);
    let iterations: Vec<&str> =
        out.lines().skip(3).take(3).map(|line| line.split_whitespace().nth(5).unwrap()).collect();
    assert!(iterations.iter().all(|count| *count == iterations[0]), "all repetitions are alike: {out}");
    let folder = Folder::new();
    let path = folder.path("report.csv");
    let flags = [
        "--function=seven",
        "--benchmark_repetitions=2",
        "--benchmark_display_aggregates_only",
        "--benchmark_out_format=csv",
        &format!("--benchmark_out={path}"),
    ];
    assert_eq!(bench("tool_benchmarks", &flags).success().lines().count(), 3 + 4);
    assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 1 + 2 + 4);
}

/// [hal-module 72] JSON has the known fields, CSV the known columns.
#[test]
fn reports_have_their_schema() {
    let json = bench("tool_benchmarks", &["--function=seven", "--benchmark_format=json"]).success();
    for key in [
        "context",
        "date",
        "host_name",
        "executable",
        "num_cpus",
        "mhz_per_cpu",
        "cpu_scaling_enabled",
        "caches",
        "load_avg",
        "library_version",
        "library_build_type",
        "benchmarks",
        "name",
        "family_index",
        "per_family_instance_index",
        "run_name",
        "repetition_index",
        "threads",
        "iterations",
        "real_time",
        "cpu_time",
        "items_per_second",
    ] {
        assert!(json.contains(&format!("\"{key}\": ")), "{key} is missing in {json}");
    }
    for text in [
        "\"json_schema_version\": 1\n",
        "\"run_type\": \"iteration\",",
        "\"repetitions\": 1,",
        "\"time_unit\": \"ms\",",
    ] {
        assert!(json.contains(text), "{text} is missing in {json}");
    }
    let csv = bench("tool_benchmarks", &["--function=seven", "--benchmark_format=csv"]).success();
    let lines: Vec<&str> = csv.lines().collect();
    let head = "name,iterations,real_time,cpu_time,time_unit,bytes_per_second,items_per_second,label,error_occurred,error_message";
    assert_eq!(lines[0], head);
    let fields: Vec<&str> = lines[1].split(',').collect();
    assert_eq!(fields.len(), head.split(',').count());
    assert_eq!((fields[0], fields[4], fields[9]), ("\"BM_seven/process_time/real_time\"", "ms", ""));
}

/// [hal-module 72] Batches count their calls; asynchronous ones are rounded up to whole chains; dispatch
/// benchmarks repeat inside and are measured in microseconds.
#[test]
fn batches_and_dispatches_are_counted() {
    let iterations = |module: &str, more: &[&str]| {
        let mut flags = vec!["--benchmark_min_time=1x"];
        flags.extend(more);
        let out = bench(module, &flags).success();
        let line = out.lines().nth(3).unwrap().to_owned();
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[5].parse::<u64>().unwrap(), words[2].to_owned())
    };
    let ms = || "ms".to_owned();
    assert_eq!(iterations("tool_benchmarks_async", &[]), (1, ms()));
    assert_eq!(iterations("tool_benchmarks_async", &["--batch_size=4", "--batch_concurrency=3"]), (6, ms()));
    assert_eq!(iterations("tool_benchmarks", &["--function=doubled", "--batch_size=16"]), (16, ms()));
    assert_eq!(iterations("tool_benchmarks_marked", &["--batch_size=8"]), (8, "us".to_owned()));
    assert_eq!(iterations("tool_benchmarks", &["--time_unit=ns"]).1, "ns");
    bench("tool_benchmarks", &["--time_unit=s"]).failure(2, "expected one of");
    bench("tool_benchmarks", &["--batch_size=0"]).failure(2, "outside the range");
    bench("tool_benchmarks", &["--benchmark_min_time=soon"]).failure(2, "expected seconds (0.5s)");
}

/// [hal-module 72] Results are shown or compared only on request, after all runs.
#[test]
fn results_are_processed_only_on_request() {
    let wrong = "--expected_output=4xf32=0";
    let doubled = |more: &[&str]| {
        let mut flags = vec!["--function=doubled"];
        flags.extend(more);
        bench("tool_benchmarks", &flags)
    };
    assert!(doubled(&[wrong]).success().contains("BM_doubled"));
    let out = doubled(&["--enable_output_processing"]).success();
    assert!(out.ends_with("result[0]: hal.buffer_view\n4xf32=2 4 6 8\n"), "{out}");
    let right = "--expected_output=4xf32=2 4 6 8";
    assert!(doubled(&["--enable_output_processing", right]).success().contains("[SUCCESS]"));
    let done = doubled(&["--enable_output_processing", wrong]);
    assert_eq!(done.code, Some(1));
    assert!(done.out.contains("[FAILED] result[0]: element at index 0 (2)"));
    let done = doubled(&["--print_statistics"]);
    assert!(done.err.lines().any(|line| line.starts_with("DEVICE_LOCAL:") && line.ends_with(" 0B live")));
}

/// [hal-module 72] A failing function has its error in the row; the run goes on and fails at the end.
#[test]
fn failures_take_the_place_of_figures() {
    let failing = |more: &[&str]| {
        let mut flags = vec!["--function=fail", "--input=8"];
        flags.extend(more);
        bench("tool_values", &flags).failure(1, "")
    };
    let done = failing(&[]);
    assert!(
        done.out
            .contains("BM_fail/process_time/real_time ERROR OCCURRED: 'RESOURCE_EXHAUSTED; out of paper'\n")
    );
    assert!(done.err.contains("weft bench: RESOURCE_EXHAUSTED; out of paper"));
    let json = failing(&["--benchmark_format=json"]).out;
    assert!(
        json.contains("\"error_occurred\": true,")
            && json.contains("\"error_message\": \"RESOURCE_EXHAUSTED;")
    );
    assert!(
        failing(&["--benchmark_format=csv"])
            .out
            .contains(",,,,,,,,true,\"RESOURCE_EXHAUSTED; out of paper\"")
    );
    bench("tool_benchmarks", &["--function=add"]).failure(1, "expected 2 arguments but passed 0");
    bench("tool_benchmarks", &["--benchmark_out=/nonexistent/report.json"])
        .failure(1, "NOT_FOUND; cannot create");
    bench("nothing", &[]).failure(1, "NOT_FOUND; cannot open file 'nothing.vmfb'");
}
