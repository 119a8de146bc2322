//! The reference's own benchmark tool, where it is installed: run on the same module in the same process.
//!
//! It is found as `iree-benchmark-module` on the path, or where `WEFT_REFERENCE_BIN` says. Nothing of weft needs it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of the reference, if this machine has it.
pub fn find(program: &str) -> Option<PathBuf> {
    let explicit = std::env::var_os("WEFT_REFERENCE_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    explicit
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|p| p.is_file())
}

/// Median wall time of one call in nanoseconds, by the reference's benchmark tool on its local-sync device.
pub fn reference_ns(module: &Path, function: &str, inputs: &[&str]) -> Option<f64> {
    reference_on(&["--device=local-sync"], module, function, inputs)
}

/// As [`reference_ns`], on the device that these flags describe.
pub fn reference_on(device: &[&str], module: &Path, function: &str, inputs: &[&str]) -> Option<f64> {
    let tool = find("iree-benchmark-module")?;
    let output = Command::new(tool)
        .arg(format!("--module={}", module.display()))
        .arg(format!("--function={function}"))
        .args(inputs.iter().map(|input| format!("--input={input}")))
        .args(device)
        .args(["--benchmark_repetitions=7", "--benchmark_min_time=0.05s"])
        .args(["--benchmark_format=csv", "--time_unit=ns"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = text.lines().find(|line| line.contains("_median"))?;
    // name,iterations,real_time,…; the name is quoted and holds no comma.
    row.split(',').nth(2)?.parse().ok()
}
