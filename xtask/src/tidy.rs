//! Taste that a program can check: headers, sizes, unfinished code, atomics in one place, links in documents.

use std::path::Path;

use crate::{Outcome, source};

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that are longer on purpose, and why.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[
    ("weft-vm/src/interpret.rs", "interpret", "one arm an opcode; splitting it would split the dispatch"),
    (
        "weft-vm/src/ops/float.rs",
        "",
        "the same for one width of float, inside the macro that makes both widths",
    ),
];

/// Words that mean "not finished"; spelled in parts so that this file does not contain them.
const UNFINISHED: &[(&str, &str)] =
    &[("to", "do!("), ("unimple", "mented!("), ("db", "g!("), ("FIX", "ME"), ("XX", "X:")];

/// Fails with every place that does not keep the rules.
pub fn run(_arguments: &[String]) -> Outcome {
    let mut wrong = Vec::new();
    let root = source::root();
    let folders = ["crates", "xtask", "fuzz"];
    for file in folders.iter().flat_map(|folder| source::files(&root.join(folder), &[".rs"])) {
        check_source(&file, &source::read(&file)?, &mut wrong);
    }
    for file in source::files(&root, &[".md"]) {
        check_links(&file, &source::read(&file)?, &mut wrong);
    }
    if wrong.is_empty() {
        println!("tidy: clean");
        return Ok(());
    }
    for line in &wrong {
        eprintln!("{line}");
    }
    Err(format!("{} places", wrong.len()))
}

fn check_source(path: &Path, text: &str, wrong: &mut Vec<String>) {
    let shown = source::shown(path);
    let lines: Vec<&str> = text.lines().collect();
    if !lines.iter().take(3).any(|line| line.starts_with("//!") || line.starts_with("#![")) {
        wrong.push(format!("{shown}: no `//!` header"));
    }
    if lines.len() > FILE_LINES_MAX {
        wrong.push(format!("{shown}: {} lines, at most {FILE_LINES_MAX}", lines.len()));
    }
    for (number, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        for (head, tail) in UNFINISHED {
            if code.contains(&format!("{head}{tail}")) {
                wrong.push(format!("{shown}:{}: unfinished: `{head}{tail}`", number + 1));
            }
        }
        if code.trim() == concat!("#[ig", "nore]") {
            wrong.push(format!("{shown}:{}: a test switched off without a reason", number + 1));
        }
    }
    for (name, line, length) in long_functions(&lines) {
        let excused =
            LONG_FUNCTIONS.iter().any(|(file, function, _)| shown.ends_with(file) && name == *function);
        if !excused {
            wrong.push(format!("{shown}:{line}: `{name}` has {length} lines, at most {FUNCTION_LINES_MAX}"));
        }
    }
}

/// Functions over the limit, as (name, line, length). Relies on rustfmt: a function ends at the first line that
/// closes with the indentation of its `fn`.
fn long_functions(lines: &[&str]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(at) = line.find("fn ") else { continue };
        let before = line[..at].trim();
        let words = ["", "pub", "pub(crate)", "pub(super)", "const", "unsafe", "async", "extern"];
        if !before.split_whitespace().all(|word| words.contains(&word) || word.starts_with('"')) {
            continue;
        }
        let indentation = line.len() - line.trim_start().len();
        let close = format!("{}}}", " ".repeat(indentation));
        let length = lines[start..].iter().position(|line| *line == close).map_or(1, |end| end + 1);
        if length > FUNCTION_LINES_MAX && !line.trim_end().ends_with(';') {
            let name = line[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((name, start + 1, length));
        }
    }
    found
}

fn check_links(path: &Path, text: &str, wrong: &mut Vec<String>) {
    let folder = path.parent().expect("a file lies in a folder");
    for part in text.split("](").skip(1) {
        let Some((link, _)) = part.split_once(')') else { continue };
        let target = link.split('#').next().unwrap_or("");
        let outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
        let like_a_path = target.contains(['.', '/'])
            && target.chars().all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c));
        if !outside && like_a_path && !folder.join(target).exists() {
            wrong.push(format!("{}: dead link `{link}`", source::shown(path)));
        }
    }
}

/// Prints each file that contains unsafe blocks, with their number and the reason that the file gives.
pub fn unsafe_inventory(_arguments: &[String]) -> Outcome {
    let mut total = 0;
    for file in source::files(&source::root().join("crates"), &[".rs"]) {
        let text = source::read(&file)?;
        let code = text.lines().map(|line| line.split("//").next().unwrap_or(""));
        let blocks = code.filter(|line| line.contains("unsafe {") || line.contains("unsafe impl")).count();
        if blocks > 0 {
            total += blocks;
            let reason =
                text.split("allow(unsafe_code, reason = \"").nth(1).and_then(|rest| rest.split('"').next());
            println!("{blocks:>4}  {}  {}", source::shown(&file), reason.unwrap_or("(no reason given)"));
        }
    }
    println!("{total:>4}  in all");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_function_is_found_and_a_short_one_is_not() {
        let mut text = String::from("pub fn long() {\n");
        text.push_str(&"    step();\n".repeat(FUNCTION_LINES_MAX));
        text.push_str("}\nfn short() {\n}\n");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(long_functions(&lines), [("long".to_owned(), 1, FUNCTION_LINES_MAX + 2)]);
    }
}
