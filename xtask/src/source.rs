//! The repository as the checks see it: its root, its files, and commands run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;

/// The folder that holds the workspace manifest.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("xtask lies one folder below the root").to_path_buf()
}

/// Every file below `folder` whose name ends with one of `endings`, sorted; build outputs are left out.
pub fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(folder) = pending.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with("target") && !name.starts_with('.') && name != "corpus" {
                    pending.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A path as people write it, relative to the root.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Reads a text file, naming it when that fails.
pub fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", shown(path)))
}

/// Runs a program in the root with extra environment variables; fails unless it exits with 0.
pub fn command(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    println!("$ {program} {}", arguments.join(" "));
    let status = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root())
        .status()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{program} {}` failed: {status}", arguments.join(" ")))
    }
}

/// Runs a program in the root and returns what it printed.
pub fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{program} {}` failed: {}\n{errors}", arguments.join(" "), output.status))
    }
}

/// Builds tests and says where their programs are. `arguments` are those of cargo, `test --no-run` among them.
pub fn test_programs(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Vec<PathBuf>, String> {
    let line = arguments.join(" ");
    println!("$ cargo {line}");
    let output = Command::new("cargo")
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .envs(environment.iter().copied())
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("`cargo {line}` failed: {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let marker = "\"executable\":\"";
    let paths = text.lines().filter_map(|line| line.split_once(marker)?.1.split('"').next());
    Ok(paths.map(PathBuf::from).collect())
}
