//! Every case of the conformance programs, through the command line: the text of the reference's tool, to the letter.

use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;

use crate::program::{Done, programs, weft};

/// One block of `models/programs/manifest.txt`.
#[derive(Clone, Default)]
struct Case {
    lists: HashMap<String, Vec<String>>,
}

impl Case {
    fn text(&self, key: &str) -> Option<&str> {
        self.lists.get(key).map(|values| values[0].as_str())
    }

    fn list(&self, key: &str) -> &[String] {
        self.lists.get(key).map_or(&[], Vec::as_slice)
    }

    fn name(&self) -> &str {
        self.text("case").expect("a block has a name")
    }

    fn expected(&self) -> String {
        let path = programs().join("expected").join(format!("{}.txt", self.name()));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// On the device that `device` names; a case may name another one after that.
    fn run_on(&self, device: &[&str], more: &[String]) -> Done {
        let mut arguments = vec!["run".to_owned()];
        arguments.extend(device.iter().map(|&flag| flag.to_owned()));
        for (key, flag) in [("module", "module"), ("function", "function"), ("input", "input")] {
            arguments.extend(self.list(key).iter().map(|value| format!("--{flag}={value}")));
        }
        arguments.extend(self.list("flag").iter().cloned());
        arguments.extend(more.iter().cloned());
        weft(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// On the device with which the expectations were recorded.
    fn run(&self, more: &[String]) -> Done {
        self.run_on(&["--device=local-sync"], more)
    }
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(programs().join("manifest.txt")).expect("the manifest can be read");
    let mut cases = Vec::new();
    for block in text.split("\n\n") {
        let mut case = Case::default();
        for line in block.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (key, value) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
            case.lists.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        if case.text("case").is_some() {
            cases.push(case);
        }
    }
    assert!(cases.len() >= 300, "only {} cases", cases.len());
    cases
}

/// Runs `check` for every case, on all processors; a case is wrong if it gives a sentence.
fn for_each_case(check: impl Fn(&Case) -> Option<String> + Sync) {
    let queue = Mutex::new(cases());
    let wrong = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().pop() else { return };
                    if let Some(sentence) = check(&case) {
                        wrong.lock().unwrap().push(format!("{}: {sentence}", case.name()));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Equal, or equal word by word where words that are numbers may differ by the tolerance of the case.
fn is_equal(actual: &str, expected: &str, tolerance: &str) -> bool {
    let Some((absolute, relative)) = tolerance.split_once(' ') else { return actual == expected };
    let (absolute, relative): (f64, f64) = (absolute.parse().unwrap(), relative.parse().unwrap());
    let words = |text: &str| -> Vec<String> {
        text.split_inclusive([' ', '[', ']', '=', '\n'])
            .flat_map(|word| {
                let end = word.len() - usize::from(word.ends_with([' ', '[', ']', '=', '\n']));
                [word[..end].to_owned(), word[end..].to_owned()]
            })
            .collect()
    };
    let (actual, expected) = (words(actual), words(expected));
    actual.len() == expected.len()
        && actual.iter().zip(&expected).all(|(actual, expected)| {
            actual == expected
                || matches!((actual.parse::<f64>(), expected.parse::<f64>()),
                    (Ok(a), Ok(e)) if (a - e).abs() <= absolute + relative * e.abs())
        })
}

/// The whole corpus prints what the reference prints, and nothing stays allocated.
///
/// [hal-module 68] [hal-module 75] [hal-module 76]
#[test]
fn every_case_prints_what_the_reference_prints() {
    check_corpus(&["--device=local-sync"]);
}

/// The same programs on workers, one of them, as many as there are processors, and many more.
///
/// [hal-module 68] [hal-module 76]
#[test]
fn every_case_prints_the_same_on_one_worker() {
    check_corpus(&["--device=local-task", "--task_topology_group_count=1"]);
}

/// [hal-module 76]
#[test]
fn every_case_prints_the_same_on_two_workers() {
    check_corpus(&["--device=local-task", "--task_topology_group_count=2"]);
}

/// [hal-module 76]
#[test]
fn every_case_prints_the_same_on_eight_workers() {
    check_corpus(&["--device=local-task", "--task_topology_group_count=8"]);
}

/// What `docs/spec/hal-module.md` §1 found compiled programs to import. The programs that it was counted over belong to the
/// reference's tests and are not kept here; those of the corpus import all of it, and more.
const IMPORTED: [&str; 33] = [
    "hal.allocator.allocate",
    "hal.allocator.import",
    "hal.buffer.assert",
    "hal.buffer.length",
    "hal.buffer.load",
    "hal.buffer.subspan",
    "hal.buffer_view.assert",
    "hal.buffer_view.buffer",
    "hal.buffer_view.create",
    "hal.buffer_view.dim",
    "hal.command_buffer.copy_buffer",
    "hal.command_buffer.create",
    "hal.command_buffer.dispatch",
    "hal.command_buffer.execution_barrier",
    "hal.command_buffer.fill_buffer",
    "hal.command_buffer.finalize",
    "hal.device.allocator",
    "hal.device.query.i64",
    "hal.device.queue.alloca",
    "hal.device.queue.copy",
    "hal.device.queue.dealloca",
    "hal.device.queue.execute",
    "hal.device.queue.execute.indirect",
    "hal.device.queue.fill",
    "hal.device.queue.read",
    "hal.devices.count",
    "hal.devices.get",
    "hal.ex.file.from_memory",
    "hal.executable.create",
    "hal.executable.lookup.function",
    "hal.fence.await",
    "hal.fence.create",
    "hal.fence.join",
];

/// The corpus stands for that of the specification: whatever programs were found to import is run.
///
/// [hal-module 76]
#[test]
fn the_corpus_imports_what_compiled_programs_import() {
    let modules: std::collections::HashSet<String> =
        cases().iter().flat_map(|case| case.list("module")).cloned().collect();
    let texts: Vec<String> = modules
        .iter()
        .filter_map(|module| fs::read(programs().join(module)).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect();
    // Names of imports stand in modules as they are, with a zero behind.
    let is_imported = |name: &str| texts.iter().any(|text| text.contains(&format!("{name}\0")));
    let missing: Vec<&str> = IMPORTED.into_iter().filter(|name| !is_imported(name)).collect();
    assert!(missing.is_empty(), "no program of the corpus imports {missing:?}");
}

fn check_corpus(device: &[&str]) {
    for_each_case(|case| {
        let done = case.run_on(device, &["--print_statistics".into()]);
        let code = case.text("expect_exit").and_then(|code| code.parse().ok());
        if done.code != code {
            return Some(format!("exit {:?}, expected {code:?}\n{}{}", done.code, done.out, done.err));
        }
        let expected = case.expected();
        if !is_equal(&done.out, &expected, case.text("tolerance").unwrap_or("exact")) {
            return Some(format!("printed\n{}instead of\n{expected}", done.out));
        }
        if let Some(text) = case.text("error").filter(|text| !done.err.contains(text)) {
            return Some(format!("`{text}` is missing in: {}", done.err));
        }
        let lines: Vec<&str> = done.err.lines().filter(|line| line.contains("B live")).collect();
        let leaks = lines.iter().any(|line| !line.ends_with(" 0B live"));
        (leaks || (code == Some(0) && done.err.is_empty() != lines.is_empty()))
            .then(|| format!("memory is not released: {}", done.err))
    });
}

/// What a case prints, given back as `--expected_output`, is accepted; a result that is one off is not.
///
/// [hal-module 71]
#[test]
fn every_case_accepts_its_own_text_as_expectation() {
    for_each_case(|case| {
        if case.text("expect_exit") != Some("0") || case.text("tolerance") != Some("exact") {
            return None;
        }
        let expected: Vec<String> =
            results(&case.expected())?.iter().map(|text| format!("--expected_output={text}")).collect();
        // Small floats are compared byte by byte, and their NaNs have many bytes but one text.
        let is_ambiguous = |text: &String| text.contains("f8E") && text.contains("NAN");
        if expected.is_empty() || expected.iter().any(is_ambiguous) {
            return None;
        }
        let done = case.run(&expected);
        let verdict = "[SUCCESS] all function outputs matched their expected values.\n";
        (done.code != Some(0) || !done.out.ends_with(verdict)).then(|| format!("{}{}", done.out, done.err))
    });
}

/// The results of a recorded text as inputs could be written; `None` if some are not shown completely.
fn results(text: &str) -> Option<Vec<String>> {
    let mut results = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((_, shown)) = line.strip_prefix("result[").and_then(|line| line.split_once("]: ")) else {
            continue;
        };
        results.push(match shown {
            "hal.buffer_view" => lines.next().filter(|tensor| !tensor.contains("..."))?.to_owned(),
            "(null)" => "(null)".to_owned(),
            _ => match shown.split_once('=') {
                Some((_, number)) => number.to_owned(),
                None => "(ignored)".to_owned(),
            },
        });
    }
    Some(results)
}
