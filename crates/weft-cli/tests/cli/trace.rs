//! `weft run --trace`: what is written can be read by programs, and shows what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::json::Json;
use crate::program::{Folder, command, finish, programs, run, weft};

/// A trace that was read back.
struct Trace(Vec<Json>);

impl Trace {
    /// Reads a file and checks what holds for every trace.
    #[track_caller]
    fn read(path: &str) -> Trace {
        let text = fs::read_to_string(path).unwrap();
        let json = Json::parse(&text).unwrap_or_else(|at| panic!("no JSON at byte {at} of {text}"));
        assert_eq!(json.get("displayTimeUnit").text(), "ns");
        assert_eq!(json.get("otherData").get("dropped").number(), 0.0);
        let trace = Trace(json.get("traceEvents").items().to_vec());
        trace.check_tracks();
        trace.check_nesting();
        trace.check_arrows();
        trace
    }

    fn of_phase<'a>(&'a self, phase: &'a str) -> impl Iterator<Item = &'a Json> {
        self.0.iter().filter(move |event| event.get("ph").text() == phase)
    }

    fn slices<'a>(&'a self, category: &'a str) -> impl Iterator<Item = &'a Json> {
        self.of_phase("X").filter(move |event| event.get("cat").text() == category)
    }

    fn names<'a>(events: impl Iterator<Item = &'a Json>) -> Vec<&'a str> {
        events.map(|event| event.get("name").text()).collect()
    }

    /// The names of rows and of their groups.
    fn tracks(&self, kind: &str) -> Vec<&str> {
        let named = self.of_phase("M").filter(|event| event.get("name").text() == kind);
        named.map(|event| event.get("args").get("name").text()).collect()
    }

    /// Every row that is used has a name.
    fn check_tracks(&self) {
        let named = |kind: &str| -> BTreeSet<(u64, u64)> {
            self.of_phase("M").filter(|event| event.get("name").text() == kind).map(track).collect()
        };
        let (threads, processes) = (named("thread_name"), named("process_name"));
        for event in self.0.iter().filter(|event| event.get("ph").text() != "M") {
            let (process, thread) = track(event);
            assert!(processes.contains(&(process, 0)), "{event:?}");
            assert!(event.get("ph").text() == "C" || threads.contains(&(process, thread)), "{event:?}");
            assert!(event.get("ts").number() >= 0.0);
        }
    }

    /// Slices of a row lie beside or within each other: viewers show anything else wrongly.
    fn check_nesting(&self) {
        let mut rows: BTreeMap<(u64, u64), Vec<(u64, u64)>> = BTreeMap::new();
        for slice in self.of_phase("X") {
            assert!(slice.get("dur").number() > 0.0);
            rows.entry(track(slice)).or_default().push(times(slice));
        }
        for slices in rows.values_mut() {
            slices.sort_by_key(|&(start, end)| (start, u64::MAX - end));
            let mut open: Vec<u64> = Vec::new();
            for &(start, end) in slices.iter() {
                open.retain(|&outer| outer > start);
                assert!(open.iter().all(|&outer| end <= outer), "{slices:?}");
                open.push(end);
            }
        }
    }

    /// Every arrow has a beginning, then an end, each at a slice of its row.
    fn check_arrows(&self) {
        let at = |phase| -> BTreeMap<u64, &Json> {
            self.of_phase(phase).map(|event| (event.get("id").number() as u64, event)).collect()
        };
        let (begins, steps, ends) = (at("s"), at("t"), at("f"));
        assert_eq!(begins.keys().collect::<Vec<_>>(), ends.keys().collect::<Vec<_>>());
        assert!(steps.keys().all(|id| begins.contains_key(id)));
        for arrow in begins.values().chain(steps.values()).chain(ends.values()) {
            let time = nanoseconds(arrow.get("ts"));
            let mut slices = self.of_phase("X").filter(|slice| track(slice) == track(arrow));
            assert!(slices.any(|slice| times(slice).0 <= time && time < times(slice).1), "{arrow:?}");
        }
        for (id, begin) in &begins {
            assert!(nanoseconds(begin.get("ts")) <= nanoseconds(ends[id].get("ts")));
        }
    }

    /// On a device with so many workers: dispatches and their tiles are on rows of those who can have run them, and fit
    /// each other. Returns the positions of the dispatches in their command buffer, each of which is there once.
    #[track_caller]
    fn check_dispatches(&self, workers: u64) -> Vec<usize> {
        let rows = self.of_phase("M").filter(|event| event.get("name").text() == "thread_name");
        let rows: BTreeMap<(u64, u64), &str> =
            rows.map(|event| (track(event), event.get("args").get("name").text())).collect();
        let is_of_a_worker = |row: &str| {
            let number = row.strip_prefix("worker ").and_then(|rest| rest.split(' ').next()?.parse().ok());
            number.is_some_and(|number: u64| number < workers) || row.starts_with("guest ")
        };
        let mut shared: BTreeMap<&str, f64> = BTreeMap::new();
        let mut commands = Vec::new();
        for slice in self.slices("dispatch") {
            let (row, args) = (rows[&track(slice)], slice.get("args"));
            assert_eq!((args.get("status").text(), args.get("submission").number() > 0.0), ("OK", true));
            commands.push(args.get("command").number() as usize);
            if row.starts_with("queue 0: on several workers") {
                *shared.entry(slice.get("name").text()).or_default() += args.get("tiles").number();
            } else {
                assert!(is_of_a_worker(row), "{row}");
            }
        }
        for slice in self.slices("tiles") {
            assert!(is_of_a_worker(rows[&track(slice)]), "{}", rows[&track(slice)]);
            if let Some(left) = shared.get_mut(slice.get("name").text()) {
                *left -= slice.get("args").get("tiles").number();
            }
        }
        assert!(shared.values().all(|&left| left == 0.0), "tiles that nobody ran: {shared:?}");
        commands.sort_unstable();
        assert!(commands.windows(2).all(|pair| pair[0] < pair[1]), "each once: {commands:?}");
        commands
    }
}

fn track(event: &Json) -> (u64, u64) {
    (event.get("pid").number() as u64, event.get("tid").number() as u64)
}

fn nanoseconds(time: &Json) -> u64 {
    (time.number() * 1000.0).round() as u64
}

fn times(slice: &Json) -> (u64, u64) {
    let start = nanoseconds(slice.get("ts"));
    (start, start + nanoseconds(slice.get("dur")))
}

const DIGITS: [&str; 4] =
    ["run", "--module=../digits/digits.vmfb", "--function=classify", "--input=@../digits/seven.npy"];

/// [hal 166] [hal 167] A call with a trace prints what it prints without. The trace has the queue with its submissions,
/// what ran by name, arrows, semaphores and memory.
#[test]
fn a_trace_shows_the_call() {
    let folder = Folder::new();
    let path = folder.path("trace.json");
    let plain = weft(&DIGITS).success();
    let traced = weft(&[&DIGITS[..], &[&format!("--trace={path}")]].concat());
    assert_eq!(traced.err, "");
    assert_eq!(traced.success(), plain);
    let trace = Trace::read(&path);
    assert_eq!(trace.tracks("process_name"), ["caller", "device 0: local-sync"]);
    assert_eq!(trace.tracks("thread_name"), ["call", "submissions", "queue 0", "calling thread"]);
    let [call] = trace.slices("call").collect::<Vec<_>>()[..] else { panic!("one call") };
    assert_eq!((call.get("name").text(), call.get("args").get("status").text()), ("@classify", "OK"));

    let dispatches: Vec<&Json> = trace.slices("dispatch").collect();
    assert_eq!(dispatches.len(), 8);
    let mut commands = BTreeSet::new();
    for (index, dispatch) in dispatches.iter().enumerate() {
        let (name, args) = (dispatch.get("name").text(), dispatch.get("args"));
        assert!(name.starts_with(&format!("classify_dispatch_{index}_")), "{name}");
        assert!(args.get("tiles").number() >= 1.0 && args.get("status").text() == "OK");
        assert!(commands.insert(args.get("command").number() as u64), "each has a place of its own");
        let ((start, end), (call_start, call_end)) = (times(dispatch), times(call));
        assert!(call_start <= start && end <= call_end);
    }
    assert!(commands.last() > Some(&8), "barriers count: {commands:?}");

    let submissions = Trace::names(trace.slices("queue"));
    assert!(submissions.contains(&"execute #3") && submissions.contains(&"alloca #1"), "{submissions:?}");
    assert_eq!(trace.of_phase("s").count(), submissions.len());
    let execute = trace.slices("queue").find(|slice| slice.get("name").text() == "execute #3").unwrap();
    assert_eq!(execute.get("args").get("waits_for").text(), "semaphore 1 = 1, semaphore 2 = 1");
    let signals = Trace::names(trace.of_phase("i"));
    assert!(signals.iter().all(|name| name.starts_with("semaphore ")), "{signals:?}");
    assert!(signals.len() >= submissions.len());
    let bytes: Vec<f64> = trace.of_phase("C").map(|event| event.get("args").get("bytes").number()).collect();
    let most = bytes.iter().copied().fold(0.0, f64::max);
    assert!(bytes.len() >= 3 && most > bytes[0] && most > bytes[bytes.len() - 1], "{bytes:?}");
}

/// Several devices are several processes of one trace.
#[test]
fn a_trace_has_all_devices() {
    let folder = Folder::new();
    let path = folder.path("trace.json");
    let twice = ["--device=local-sync", "--device=local-sync", &format!("--trace={path}")];
    weft(&[&DIGITS[..], &twice].concat()).success();
    let processes = ["caller", "device 0: local-sync", "device 1: local-sync"];
    assert_eq!(Trace::read(&path).tracks("process_name"), processes);
}

/// Many dispatches, and calls that go on while work is under way.
#[test]
fn longer_calls_are_traced() {
    let folder = Folder::new();
    let path = folder.path("trace.json");
    let trace = format!("--trace={path}");
    let module = "--module=../bench/p3_thousand_dispatches.vmfb";
    weft(&["run", module, "--function=p3", "--input=4xf32=1", &trace]).success();
    assert_eq!(Trace::read(&path).slices("dispatch").count(), 1000);
    run("async_basic", "loop", &["--input=3xi32=1 2 3", "--input=5", &trace]).success();
    assert!(Trace::read(&path).slices("queue").count() > 5);
}

/// [hal 166] [hal 167] On any number of workers: what is printed stays, each dispatch is there once, with its place in the
/// command buffer and a row that says who ran it; what several ran together is on the rows of each as well, tile by tile.
#[test]
fn workers_have_rows() {
    let folder = Folder::new();
    let path = folder.path("trace.json");
    let plain = weft(&DIGITS).success();
    for workers in [1, 2, 8] {
        let count = format!("--task_topology_group_count={workers}");
        let flags = ["--device=local-task", &count, &format!("--trace={path}")];
        assert_eq!(weft(&[&DIGITS[..], &flags].concat()).success(), plain);
        let trace = Trace::read(&path);
        assert_eq!(trace.tracks("process_name"), ["caller", "device 0: local-task"]);
        assert_eq!(trace.check_dispatches(workers).len(), 8);
        let execute = trace.slices("queue").find(|slice| slice.get("name").text() == "execute #3").unwrap();
        assert_eq!(execute.get("args").get("waits_for").text(), "semaphore 1 = 1, semaphore 2 = 1");
        assert_eq!(execute.get("args").get("commands").number(), 18.0);
        assert_eq!(trace.slices("execute").count(), 1);
        let signals = Trace::names(trace.of_phase("i"));
        assert!(signals.contains(&"semaphore 3 = 1"), "{signals:?}");
        assert!(trace.slices("region").count() >= 8);
    }
}

/// Recordings that are long for one worker, and wide for several.
#[test]
fn long_and_wide_work_is_traced() {
    let folder = Folder::new();
    let path = folder.path("trace.json");
    let trace = format!("--trace={path}");
    for workers in [1, 2, 8] {
        let flags = ["--device=local-task", &format!("--task_topology_group_count={workers}"), &trace];
        let long =
            ["run", "--module=../bench/p3_thousand_dispatches.vmfb", "--function=p3", "--input=4xf32=1"];
        weft(&[&long[..], &flags].concat()).success();
        let commands = Trace::read(&path).check_dispatches(workers);
        assert_eq!(commands, (0..1000).map(|index| 2 * index).collect::<Vec<_>>());
        let wide = ["run", "--module=../bench/p4_matmul.vmfb", "--function=p4", "--input=512x512xf32=1"];
        weft(&[&wide[..], &["--input=512x512xf32=2"], &flags].concat()).success();
        assert_eq!(Trace::read(&path).check_dispatches(workers).len(), 1);
    }
}

/// A trace that cannot be written costs no results; standard output is not for traces.
#[cfg(target_os = "linux")]
#[test]
fn results_come_before_a_failing_trace() {
    let folder = Folder::new();
    let plain = weft(&DIGITS).success();
    let done = weft(&[&DIGITS[..], &["--trace=/dev/full"]].concat()).failure(1, "writing a trace");
    assert_eq!(done.out, plain);
    let written = folder.path("result.bin");
    let output = format!("--output=@{written}");
    weft(&[&DIGITS[..], &["--trace=/dev/full", &output, "--output="]].concat()).failure(1, "writing a trace");
    assert!(fs::metadata(written).unwrap().len() > 0);
    let done = weft(&[&DIGITS[..], &["--trace=-"]].concat()).failure(2, "--trace=");
    assert!(done.out.is_empty() && !programs().join("-").exists());
}

/// What failed is what a trace is wanted for: it is written, and says so.
#[test]
fn failed_calls_are_traced() {
    let folder = Folder::new();
    let path = folder.path("trace.json");
    let arguments = ["--input=2xi32=-1 2", &format!("--trace={path}")];
    run("assertions", "data_positive", &arguments).failure(1, "expected positive data");
    let trace = Trace::read(&path);
    let [call] = trace.slices("call").collect::<Vec<_>>()[..] else { panic!("one call") };
    let status = call.get("args").get("status").text();
    assert!(status.contains("expected positive data"), "{status}");
}

/// A program without devices has its call; a device that records nothing is named.
#[test]
fn less_is_traced_where_there_is_less() {
    let folder = Folder::new();
    let path = folder.path("trace.json");
    let trace = format!("--trace={path}");
    run("vm_fibonacci", "fibonacci", &["--input=10", &trace]).success();
    assert_eq!(Trace::read(&path).tracks("thread_name"), ["call"]);
    let done = weft(&[&DIGITS[..], &["--device=local-sync", "--device=null", &trace]].concat());
    assert_eq!(done.err, "weft run: note: a device is not in the trace: null cannot be profiled\n");
    done.success();
    assert_eq!(Trace::read(&path).tracks("process_name"), ["caller", "device 0: local-sync"]);
}

/// A trace that cannot be written is known before anything runs; other commands have no traces.
#[test]
fn traces_need_a_place() {
    let done = weft(&[&DIGITS[..], &["--trace=/nonexistent/trace.json"]].concat());
    let done = done.failure(1, "cannot write '/nonexistent/trace.json'");
    assert!(!done.out.contains("result"), "{}", done.out);
    let mut bench = command(&["bench", "--module=../digits/digits.vmfb", "--trace=x"]);
    finish(&mut bench).failure(2, "trace");
    let help = weft(&["run", "--help"]).success();
    assert!(help.contains("--trace=\"\"") && help.contains("perfetto"));
}
