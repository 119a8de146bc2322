//! The flags of all commands, declared once: parser, help and suggestions are made from these tables.
//!
//! Names and meanings are those of the reference's tools (`docs/spec/hal-module.md` §13), so that scripts and flag
//! files carry over. What does not live here: the syntax (see `flags.rs`).

use crate::flags::{Flag, Group, Kind, nearest};

const fn flag(name: &'static str, kind: Kind, help: &'static str) -> Flag {
    Flag { name, kind, help }
}

/// Flags of every command.
pub const BASIC: Group = Group {
    title: "help",
    flags: &[
        flag("help", Kind::Action, "Prints this text and exits. The text is itself a flag file."),
        flag(
            "flagfile",
            Kind::List("<path>"),
            "Reads flags from a file, one a line, as if they stood here: later flags override them.\n\
             Blank lines and lines that begin with # are skipped.",
        ),
    ],
};

/// Which program.
pub const MODULES: Group = Group {
    title: "the program",
    flags: &[
        flag(
            "module",
            Kind::List("<file.vmfb>"),
            "A compiled module; `-` reads it from standard input. Repeat the flag for a program of several\n\
             modules, dependencies before dependents: functions are looked up in the last one. The modules\n\
             that weft itself provides (hal, io_parameters) join when something depends on them.",
        ),
        flag(
            "module_mode",
            Kind::Choice(&["preload", "mmap"]),
            "preload reads the file into memory. mmap maps it: quicker to start with large constants, but\n\
             nobody may change the file while the program runs.",
        ),
    ],
};

/// Weights that programs load by name.
pub const PARAMETERS: Group = Group {
    title: "parameters",
    flags: &[
        flag(
            "parameters",
            Kind::List("[<scope>=]<file>"),
            "A file with weights that the program loads by name: .irpa, .safetensors or .gguf. Repeat the flag\n\
             for several files; files of one scope are one collection, in which the first of several parameters\n\
             with one name counts. Without a scope it is the global one. `weft params dump` shows what a file has.",
        ),
        flag(
            "parameter_mode",
            Kind::Choice(&["file", "preload", "mmap"]),
            "file reads parameters when the program asks for them, straight into device memory. preload reads\n\
             whole files into memory first; mmap maps them. Both let programs use aligned parameters in place;\n\
             with mmap nobody may change the file while the program runs.",
        ),
    ],
};

/// Which function, with what.
pub const CALL: Group = Group {
    title: "the call",
    flags: &[
        flag(
            "function",
            Kind::Text(""),
            "The function to call, by its exact name. May be left out when the module exports only one.",
        ),
        flag(
            "input",
            Kind::List("<value>"),
            "One argument of the function, in order. A scalar argument takes a number; a tensor argument\n\
             takes one of\n  \
               4xf32=1 2 3 4       shape, element type, values in row order; brackets are ignored\n  \
               2x3xi32=7           one value fills the tensor; none at all fills it with zeros\n  \
               4xf32=@file.bin     raw little-endian elements from a file; +file.bin reads on where the\n                      \
                                   last read of that file stopped\n  \
               @file.npy           the first array of a numpy file; +file.npy the next one\n  \
               *file.npy           every array of the file, each an argument of its own\n  \
               &4xf32=1 2 3 4      a plain buffer instead of a tensor (storage that the caller provides)\n  \
               (null)              no tensor; zero for a scalar",
        ),
    ],
};

/// What happens with results.
pub const RESULTS: Group = Group {
    title: "results",
    flags: &[
        flag(
            "output",
            Kind::List("<where>"),
            "What to do with one result, in order; given once, it must be given for each result. Without\n\
             it every result is printed.\n  \
               --output=           discard\n  \
               --output=-          print\n  \
               --output=@file.npy  write a numpy file; +file.npy appends to it\n  \
               --output=@file.bin  write the bytes alone; +file.bin appends",
        ),
        flag(
            "output_max_element_count",
            Kind::Count(1024),
            "Prints at most this many elements of a tensor and `...` for the rest.",
        ),
        flag(
            "expected_output",
            Kind::List("<value>"),
            "What one result should be, in the forms of --input; `(ignored)` accepts anything. When given,\n\
             results are compared instead of printed, and any difference is a failure.",
        ),
        flag(
            "equality_mode",
            Kind::Choice(&["approximate", "exact"]),
            "approximate accepts floats with |actual - expected| <= threshold + rtol * |expected|, and NaN\n\
             for NaN; everything else must be equal. exact compares bytes.",
        ),
        flag("expected_f16_threshold", Kind::Real(0.001), "Absolute tolerance for f16."),
        flag("expected_f32_threshold", Kind::Real(0.0001), "Absolute tolerance for f32."),
        flag("expected_f64_threshold", Kind::Real(0.0001), "Absolute tolerance for f64."),
        flag("expected_bf16_threshold", Kind::Real(0.01), "Absolute tolerance for bf16."),
        flag("expected_rtol", Kind::Real(1e-05), "Relative tolerance for all of them."),
    ],
};

/// Where the program runs.
pub const DEVICES: Group = Group {
    title: "devices",
    flags: &[
        flag(
            "device",
            Kind::List("<driver>"),
            "A device that the program may use; the order gives the ordinals 0, 1, ... Default: local-sync,\n\
             which runs on the calling thread. `weft devices` shows what there is.",
        ),
        flag(
            "device_lead_allocator",
            Kind::Count(0),
            "The ordinal of the device that holds inputs and outputs when there are several.",
        ),
        flag(
            "device_allocator",
            Kind::List("<wrapper>"),
            "Wraps the allocators of the devices, innermost first: caching keeps freed memory (limits:\n\
             caching:*=<largest>;<capacity>;<count>), debug fills fresh memory with 0xCD so that\n\
             reading what was never written shows.",
        ),
        flag("list_drivers", Kind::Switch, "Prints the drivers and exits."),
        flag(
            "list_devices",
            Kind::Action,
            "Prints the devices, or those of one driver (--list_devices=local-sync), and exits.",
        ),
        flag("dump_devices", Kind::Action, "As --list_devices, with details."),
    ],
};

/// Who works for the local-task device.
pub const WORKERS: Group = Group {
    title: "workers of the local-task device",
    flags: &[
        flag(
            "task_topology_mode",
            Kind::Choice(&["physical_cores"]),
            "Which workers there are when neither number nor processors are given: one for each core.",
        ),
        flag(
            "task_topology_group_count",
            Kind::Count(0),
            "So many workers, at most 1024, which run where the system likes. 0: as --task_topology_mode says.",
        ),
        flag(
            "task_topology_cpu_ids",
            Kind::List("<id,id,...>"),
            "One worker on each of these processors, in this order; an id given twice is two workers. Each\n\
             occurrence of the flag is an executor, and a queue, of its own. Takes precedence over the others.",
        ),
        flag(
            "task_topology_nodes",
            Kind::Text("current"),
            "On which NUMA nodes: current is that of the calling thread, numa an executor for each, all one\n\
             executor over all of them; 0,1 an executor for each of these.",
        ),
        flag(
            "task_topology_max_group_count",
            Kind::Count(64),
            "At most so many workers in an executor that has one for each core. Not given, the quota of the\n\
             control group is respected too.",
        ),
        flag(
            "task_topology_performance_level",
            Kind::Choice(&["any", "low", "efficiency", "high", "performance"]),
            "Which cores, where the machine tells their capacities: high (or performance) those with at least\n\
             three quarters of the largest, low (or efficiency) the rest.",
        ),
        flag(
            "task_topology_distribution",
            Kind::Choice(&["scatter", "compact"]),
            "scatter goes round the last-level caches, compact fills one before the next.",
        ),
        flag(
            "task_topology_favor",
            Kind::Choice(&["", "latency", "throughput", "efficiency"]),
            "latency is compact and high, throughput is scatter and any, efficiency is compact and low. Takes\n\
             precedence over the two flags that it stands for.",
        ),
        flag(
            "task_topology_snapshot",
            Kind::Text(""),
            "A folder in the shape of /sys/devices/system that describes the machine instead.",
        ),
        flag(
            "task_worker_spin_us",
            Kind::Count(0),
            "How many microseconds an idle worker looks for work before it sleeps.",
        ),
        flag("task_worker_stack_size", Kind::Count(1 << 20), "Bytes of stack of a worker, at least 32768."),
        flag(
            "task_worker_local_memory",
            Kind::Count(0),
            "Bytes of scratch memory of a worker; 0: as much as fits its cache.",
        ),
        flag(
            "task_abort_on_failure",
            Kind::Switch,
            "Ends the process when something that was submitted fails: for debuggers.",
        ),
    ],
};

/// Looking inside.
pub const DIAGNOSTICS: Group = Group {
    title: "diagnostics",
    flags: &[
        flag(
            "print_statistics",
            Kind::Switch,
            "Prints on standard error, at the end, how much device memory was used. Live bytes other than 0\n\
             mean that something was not released.",
        ),
        flag(
            "trace_execution",
            Kind::Switch,
            "Traces instructions on standard error in builds that can. This one cannot, and says so.",
        ),
    ],
};

/// Looking at one call.
pub const TRACE: Group = Group {
    title: "trace",
    flags: &[flag(
        "trace",
        Kind::Text(""),
        "Writes what happened during the call to this file, for https://ui.perfetto.dev or\n\
         chrome://tracing: queues with their submissions, what ran for them (dispatches by name, with\n\
         tiles), workers, semaphores as they are signalled, device memory. Loading, inputs and outputs are\n\
         not part of it. Measuring costs something: the times of very short dispatches are too long.",
    )],
};

/// Looking at what was recorded.
pub const RECORDINGS: Group = Group {
    title: "recordings",
    flags: &[flag(
        "dump_blocks",
        Kind::Switch,
        "Prints on standard error every command buffer that the program records, as the local-task device\n\
         keeps it: blocks of commands, regions that barriers end, what is looked up when it runs.",
    )],
};

/// `weft bench`.
pub const BENCH: Group = Group {
    title: "measuring",
    flags: &[
        flag(
            "batch_size",
            Kind::Count(1),
            "Calls per iteration. A synchronous function is called once and counted this often: for\n\
             functions that loop inside. Asynchronous functions are enqueued this often.",
        ),
        flag(
            "batch_concurrency",
            Kind::Count(1),
            "Chains of asynchronous calls that may overlap; the batch is rounded up to a multiple of it.",
        ),
        flag(
            "time_unit",
            Kind::Choice(&["", "ms", "us", "ns"]),
            "Unit of the times. Default ms; us for dispatch benchmarks.",
        ),
        flag(
            "enable_output_processing",
            Kind::Switch,
            "After the runs, prints, writes or compares the results of the last iteration, as weft run does.",
        ),
        flag(
            "benchmark_filter",
            Kind::Text(""),
            "Runs the benchmarks whose names match this regular expression; -<regex> those that do not.",
        ),
        flag("benchmark_list_tests", Kind::Switch, "Prints the names and exits."),
        flag(
            "benchmark_min_time",
            Kind::Text("0.5s"),
            "Iterates until this much time is measured (`0.5s`), or exactly so often (`100x`).",
        ),
        flag(
            "benchmark_min_warmup_time",
            Kind::Real(0.0),
            "Seconds of iterations that are not measured, before the first that is.",
        ),
        flag(
            "benchmark_repetitions",
            Kind::Count(1),
            "Measures each benchmark so often. More than one adds mean, median, stddev and cv.",
        ),
        flag(
            "benchmark_report_aggregates_only",
            Kind::Switch,
            "With repetitions: reports only mean, median, stddev and cv.",
        ),
        flag(
            "benchmark_display_aggregates_only",
            Kind::Switch,
            "The same for standard output only; the file of --benchmark_out has every row.",
        ),
        flag("benchmark_format", Kind::Choice(&["console", "json", "csv"]), "Format on standard output."),
        flag("benchmark_out", Kind::Text(""), "Writes the report to this file too."),
        flag("benchmark_out_format", Kind::Choice(&["json", "console", "csv"]), "Format of that file."),
        flag("benchmark_counters_tabular", Kind::Switch, "Prints counters in columns of their own."),
        flag(
            "benchmark_color",
            Kind::Choice(&["auto", "true", "false", "yes", "no", "1", "0"]),
            "Colours on the console; auto: when it is a terminal.",
        ),
        flag(
            "benchmark_context",
            Kind::List("<key>=<value>"),
            "Adds a line to the description of the machine.",
        ),
    ],
};

/// `weft check`.
pub const CHECK: Group = Group {
    title: "tests",
    flags: &[
        flag(
            "gtest_filter",
            Kind::Text("*"),
            "Runs the tests whose full names (`module.function`) match one of these `:`-separated patterns,\n\
             of which * stands for any text and ? for one character; patterns after a - are left out.",
        ),
        flag("gtest_list_tests", Kind::Switch, "Prints the names and exits."),
        flag("gtest_repeat", Kind::Count(1), "Runs everything so often."),
        flag(
            "gtest_color",
            Kind::Choice(&["auto", "yes", "no"]),
            "Colours on the console; auto: when it is a terminal.",
        ),
        flag("gtest_brief", Kind::Switch, "Prints only failures and the summary."),
        flag(
            "gtest_print_time",
            Kind::Choice(&["true", "false", "1", "0"]),
            "Prints how long each test took.",
        ),
        flag("expect_failure", Kind::Switch, "Turns the verdict round: succeeds when some test fails."),
    ],
};

/// `weft dump`.
pub const DUMP: Group = Group {
    title: "what to show",
    flags: &[
        flag(
            "output",
            Kind::Choice(&["all", "metadata", "disassembly", "flatbuffer-binary", "flatbuffer-json"]),
            "all: metadata, then disassembly. metadata: imports, exports, constants, sizes. disassembly: the\n\
             code as text. flatbuffer-binary: the module's tables as bytes. flatbuffer-json: as JSON.",
        ),
        flag("pretty", Kind::Switch, "Indents the JSON."),
        flag("function", Kind::Text(""), "Disassembles only this function (name or ordinal)."),
        flag("bytecode_offsets", Kind::Switch, "Puts the offset in front of each instruction."),
    ],
};

/// `weft params dump`.
pub const PARAMS_DUMP: Group = Group {
    title: "what to show",
    flags: &[
        flag(
            "checksums",
            Kind::Switch,
            "Adds the SHA-256 of every parameter's bytes: what sha256sum prints for the extracted file. Reads\n\
             everything.",
        ),
        flag(
            "extract",
            Kind::List("[<scope>::]<key>=<file>"),
            "Writes the bytes of one parameter to a file; patterns are written out.",
        ),
    ],
};

/// `weft params convert`.
pub const PARAMS_CONVERT: Group = Group {
    title: "the output",
    flags: &[
        flag(
            "output",
            Kind::Text(""),
            "The file to write: .irpa, or .safetensors or .gguf, which keep bytes but neither patterns nor\n\
             types. An old file of this name is replaced when the new one is whole and on the disk.",
        ),
        flag("exclude", Kind::List("<name>"), "Leaves a parameter out."),
        flag("rename", Kind::List("<old>=<new>"), "Gives a parameter another name."),
        flag("strip", Kind::Switch, "Replaces all parameters by zeros, which take no room."),
        flag(
            "splat",
            Kind::List("<name>[=<type>=<value>]"),
            "Replaces a parameter by one repeated value (`w=f32=1.5`), or by zeros (`w`). Its length stays.",
        ),
        flag("alignment", Kind::Count(64), "Data begin at multiples of so many bytes, a power of two."),
        flag("quiet", Kind::Switch, "Does not print the table of what was written."),
    ],
};

/// `weft params create`.
pub const PARAMS_CREATE: Group = Group {
    title: "the archive",
    flags: &[
        flag(
            "data",
            Kind::List("<name>=<shape>x<type>[=<value>]"),
            "A parameter with room in the file: zeros, or one repeated value. Only its length is kept.",
        ),
        flag(
            "splat",
            Kind::List("<name>=<shape>x<type>[=<value>]"),
            "A parameter without room: one repeated value, zero if none is given. Programs cannot write to it.",
        ),
        flag("alignment", Kind::Count(64), "Data begin at multiples of so many bytes, a power of two."),
        flag(
            "output",
            Kind::Text(""),
            "The file to write: .irpa, or .safetensors or .gguf, which keep bytes but neither patterns nor\n\
             types. An old file of this name is replaced when the new one is whole and on the disk.",
        ),
        flag("quiet", Kind::Switch, "Does not print the table of what was written."),
    ],
};

/// `weft devices`.
pub const DEVICE_LISTING: Group = Group {
    title: "listings for scripts",
    flags: &[
        flag("list_drivers", Kind::Switch, "Prints the drivers only."),
        flag(
            "list_devices",
            Kind::Action,
            "Prints the names for --device= only, all or those of one driver.",
        ),
        flag("dump_devices", Kind::Action, "As --list_devices, with details."),
    ],
};

/// Flags of the reference's tools that weft knows of and does not have, by the beginning of their names.
const ELSEWHERE: &[(&str, &str)] = &[
    ("task_", "configures the local-task device; it is a flag of run, bench, check and devices"),
    ("dump_task_topologies", "describes the local-task device; weft devices does that"),
    ("blocks", "shows recordings, which exist only while a program runs; weft run --dump_blocks does that"),
    ("cuda_", "configures a GPU driver, which weft does not have"),
    ("hip_", "configures a GPU driver, which weft does not have"),
    ("vulkan_", "configures a GPU driver, which weft does not have"),
    ("parameter", "gives programs weights; it is a flag of run, bench, check and params"),
    (
        "device_profiling_",
        "asks for profile bundles, which this version does not write; see weft run --trace",
    ),
    ("print_device_statistics", "asks for profiles, which this version does not print; see weft run --trace"),
    ("device_replay_", "asks for recordings, which this version does not make"),
    ("device_capture_", "asks for recordings, which this version does not make"),
    ("instrument_file", "asks for instrumentation, which this version does not have"),
    ("executable_plugin", "loads plugins; use kernels written in Rust and registered by name instead"),
];

/// Words the refusal of a flag: what was probably meant, or why there is no such flag.
pub fn refuse(name: &str, groups: &'static [&'static Group]) -> String {
    let refusal = format!("flag '{name}' not recognized");
    let names = groups.iter().flat_map(|group| group.flags).map(|flag| flag.name);
    if let Some((_, reason)) = ELSEWHERE.iter().find(|(start, _)| name.starts_with(start)) {
        return format!("{refusal}; it {reason}");
    }
    match nearest(name, names) {
        Some(meant) => format!("{refusal}; did you mean --{meant}?"),
        None => format!("{refusal}; --help lists the flags"),
    }
}
