//! Which numbered behaviours of the specifications are shown by tests.
//!
//! 1. Behaviours are the numbered items of the section `Behaviours a conformance test must show` of each file
//!    in `docs/spec`.
//! 2. A test cites with `[key N]`, `[key N, M]` or `[key N-M]` in the comment directly above its function.
//! 3. A citation counts if a test of that name is compiled into that package and not ignored: the list comes
//!    from the test programs themselves.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Outcome, source};

/// Key in citations, and the file that it stands for.
const SPECS: &[(&str, &str)] = &[
    ("vm", "vm-bytecode.md"),
    ("hal", "hal.md"),
    ("hal-module", "hal-module.md"),
    ("exec", "executables.md"),
    ("causal", "causal.md"),
    ("task", "task.md"),
    ("async", "async.md"),
    ("async-backends", "async-backends.md"),
];

const PACKAGES: &[&str] =
    &["weft-sync", "weft-io", "weft-task", "weft-hal", "weft-cpu", "weft-vm", "weft", "weft-cli", "weft-cts"];

/// Prints `<spec> <cited>/<total>` for each file; with `--missing` also the numbers not cited.
pub fn run(arguments: &[String]) -> Outcome {
    let missing_too = arguments.iter().any(|argument| argument == "--missing");
    let mut cited: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for package in PACKAGES {
        let compiled = compiled_tests(package)?;
        for file in source::files(&source::root().join("crates").join(package), &[".rs"]) {
            for (test, key, number) in citations(&source::read(&file)?) {
                if compiled.contains(&test) {
                    cited.entry(key).or_default().insert(number);
                }
            }
        }
    }
    for (key, file) in SPECS {
        let text = source::read(&source::root().join("docs/spec").join(file))?;
        let total = behaviours(&text);
        let have = cited.entry(key).or_default();
        if let Some(unknown) = have.iter().find(|number| !total.contains(number)) {
            return Err(format!("a test cites [{key} {unknown}], which {file} does not have"));
        }
        println!("{key} {}/{}", have.len(), total.len());
        if missing_too {
            let missing: Vec<String> = total.difference(have).map(u32::to_string).collect();
            println!("  not cited: {}", missing.join(" "));
        }
    }
    Ok(())
}

/// Last path segments of the tests that the package's test programs would run.
fn compiled_tests(package: &str) -> Result<BTreeSet<String>, String> {
    let list = |ignored: &[&str]| -> Result<Vec<String>, String> {
        let mut arguments = vec!["test", "--quiet", "--package", package, "--tests", "--", "--list"];
        arguments.extend(ignored);
        let text = source::output("cargo", &arguments)?;
        Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    };
    let ignored: BTreeSet<String> = list(&["--ignored"])?.into_iter().collect();
    let run = list(&[])?.into_iter().filter(|name| !ignored.contains(name));
    Ok(run.map(|name| name.rsplit("::").next().unwrap_or(&name).to_owned()).collect())
}

/// The numbers of a file's behaviours.
fn behaviours(text: &str) -> BTreeSet<u32> {
    let mut numbers = BTreeSet::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("## ") {
            inside = line.contains("Behaviours a conformance test must show");
        } else if inside && let Some((number, _)) = line.split_once(". ") {
            numbers.extend(number.parse::<u32>());
        }
    }
    numbers
}

/// Every (function, key, number) of one source file.
fn citations(text: &str) -> Vec<(String, &'static str, u32)> {
    let mut found = Vec::new();
    let mut pending = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("//") {
            pending.extend(cited_in(line));
        } else if line.starts_with("#[") || line.is_empty() && !pending.is_empty() {
            // Attributes stand between the comment and the function; blank lines end nothing by themselves.
        } else {
            if let Some(name) = function_name(line) {
                found.extend(pending.iter().map(|&(key, number)| (name.clone(), key, number)));
            }
            pending.clear();
        }
    }
    found
}

/// The name that a line defines: `fn name`, or the first word of a row in a table of cases.
fn function_name(line: &str) -> Option<String> {
    let rest = match line.find("fn ") {
        Some(at) => &line[at + 3..],
        None => line,
    };
    let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The citations of one comment line.
fn cited_in(line: &str) -> Vec<(&'static str, u32)> {
    let mut found = Vec::new();
    for part in line.split('[').skip(1) {
        let Some((inside, _)) = part.split_once(']') else { continue };
        let Some((key, numbers)) = inside.split_once(' ') else { continue };
        let Some((key, _)) = SPECS.iter().find(|(known, _)| *known == key) else { continue };
        for number in numbers.split(',').map(str::trim) {
            let (first, last) = number.split_once('-').unwrap_or((number, number));
            if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
                found.extend((first..=last.min(first + 1000)).map(|number| (*key, number)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_belong_to_the_next_function() {
        let text = "/// Shows it. [vm 17] [hal-module 3, 5-6]\n#[test]\nfn shown() {}\n// [vm 1]\nlet x = 1;\nfn bare() {}\n";
        assert_eq!(
            citations(text).into_iter().filter(|(name, ..)| name == "shown").collect::<Vec<_>>(),
            [
                ("shown".to_owned(), "vm", 17),
                ("shown".to_owned(), "hal-module", 3),
                ("shown".to_owned(), "hal-module", 5),
                ("shown".to_owned(), "hal-module", 6)
            ]
        );
        assert!(citations(text).iter().all(|(name, ..)| name != "bare"));
    }

    #[test]
    fn behaviours_come_from_their_section_only() {
        let text = "## 1. X\n1. no\n## Behaviours a conformance test must show\n4. + yes\n   continued\n5. yes\n## Y\n9. no\n";
        assert_eq!(behaviours(text), BTreeSet::from([4, 5]));
    }
}
