//! Loading of parameters: bytes a second, the time to the first result, and the memory that takes.
//!
//! `cargo bench -p weft-bench --bench loading`. 90 MB are those of the encoder in the folder `WEFT_ENCODER`; 2 GiB are
//! written into the folder `WEFT_LOADING` and removed again. A row whose variable is not set is skipped.
//!
//! The floor is a loop that reads the whole file into fresh memory, a mebibyte at a time; what it would be without the
//! memory stands below. "Cold" is after `posix_fadvise(DONTNEED)`. The first result is that of a process, from its start
//! to its end: the `weft` that was built beside this bench (or `WEFT_PROGRAM`), and the reference's tool. Marks: 0.95 × the
//! floor's rate; 0.7 × the reference's first result.
//!
//! What ran before decides what memory is at hand, in small pages or huge ones, and in a virtual machine whether its host
//! has taken it back: that makes a factor of ten. So subjects take turns in an order that changes ([`order`]), and the
//! median counts.

#[cfg(target_os = "linux")]
mod rates;
#[cfg(target_os = "linux")]
mod tools;

use std::path::PathBuf;

/// Something to load: a program that needs parameters, and where those are.
pub struct Load {
    title: String,
    module: PathBuf,
    parameters: PathBuf,
    scope: &'static str,
    function: &'static str,
    inputs: &'static [&'static str],
    /// So long that the system's moods even out within it.
    is_long: bool,
}

#[cfg(target_os = "linux")]
impl Load {
    /// Rounds that count, of which short loads take so many.
    fn rounds(&self, short: usize) -> usize {
        if self.is_long { 5 } else { short }
    }
}

#[cfg(target_os = "linux")]
fn main() -> weft::Result<()> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    match folder("WEFT_ENCODER") {
        None => println!("loading of 90 MB: skipped, WEFT_ENCODER names no folder"),
        Some(folder) => all(&Load {
            title: "90 MB in 101 parameters".to_owned(),
            module: folder.join("encoder.vmfb"),
            parameters: folder.join("encoder.safetensors"),
            scope: "encoder",
            function: "embed_32",
            inputs: &["1x32xi64=2000", "i64=32"],
            is_long: false,
        })?,
    }
    match folder("WEFT_LOADING") {
        None => println!("loading of 2 GiB: skipped, WEFT_LOADING names no folder"),
        Some(folder) => {
            let parameters = folder.join(format!("weft-loading-{}.safetensors", std::process::id()));
            let outcome = rates::write_parameters(&parameters).map_err(|error| weft_hal::io_status(&error));
            let load = Load {
                title: "2 GiB in 16 parameters".to_owned(),
                module: concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/bench/load_parameters.vmfb")
                    .into(),
                parameters,
                scope: "model",
                function: "first",
                inputs: &["4xf32=0"],
                is_long: true,
            };
            let outcome = outcome.and_then(|()| all(&load));
            // What cannot be removed was not written.
            let _ = std::fs::remove_file(&load.parameters);
            outcome?;
        }
    }
    Ok(())
}

/// The turns of a round: nobody always comes after the same one, as far as the number of subjects allows.
#[cfg(target_os = "linux")]
fn order(round: usize, subjects: usize) -> impl Iterator<Item = usize> {
    // Those that meet every subject once have no divisor in common with their number.
    let is_common = |stride: usize, by: usize| stride.is_multiple_of(by) && subjects.is_multiple_of(by);
    let meets_all = |&stride: &usize| !(2..=stride).any(|by| is_common(stride, by));
    let strides: Vec<usize> = (1..=subjects.max(2) - 1).filter(meets_all).collect();
    let stride = strides[round % strides.len()];
    (0..subjects).map(move |turn| (round + turn * stride) % subjects)
}

#[cfg(target_os = "linux")]
fn all(load: &Load) -> weft::Result<()> {
    rates::measure(load)?;
    tools::measure(load);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("loading: skipped, this system has no posix_fadvise");
}
