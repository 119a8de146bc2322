//! Latency of a sentence encoder: weft, the reference's tool and onnxruntime on the same weights.
//!
//! `WEFT_ENCODER=FOLDER cargo bench -p weft-bench --bench encoder`, with the folder that `models/encoder/build.py` writes.
//! The reference is found as `weft_bench::peer` says; onnxruntime is asked if `WEFT_ONNX_PYTHON` names a Python that has
//! it, for the number of tokens of `ids.npy`. The mark is 1.0 × each, on as many workers.

use std::path::{Path, PathBuf};
use std::process::Command;

use weft::parameters::{ParameterFile, ParameterScopes};
use weft::{DeviceOptions, Function, Program, Result, Session, Tensor, Value};
use weft_bench::{Figure, Subject, Table, measure, peer};
use weft_task::{TaskOptions, TopologyRequest, WorkerChoice};

/// Lengths that `build.py` makes unless told otherwise, and the one that its inputs have.
const TOKENS: [usize; 4] = [16, 32, 64, 128];
const TOKENS_OF_INPUTS: usize = 32;

/// Workers of each device; 0 is local-sync.
const WORKERS: [usize; 3] = [0, 1, 2];

fn main() -> Result<()> {
    let Some(folder) = std::env::var_os("WEFT_ENCODER").map(PathBuf::from) else {
        println!("encoder: skipped, WEFT_ENCODER names no folder");
        return Ok(());
    };
    let table = Table::begin("a sentence encoder, one call");
    let programs = WORKERS.map(|workers| load(&folder, workers)).into_iter().collect::<Result<Vec<_>>>()?;
    for tokens in TOKENS {
        let name = format!("embed_{tokens}");
        if programs[0].functions().any(|function| function.name() == name) {
            row(&table, &folder, &programs, tokens)?;
        }
    }
    Ok(())
}

fn load(folder: &Path, workers: usize) -> Result<Program> {
    let topology =
        TopologyRequest { workers: WorkerChoice::Count(workers.max(1)), ..TopologyRequest::default() };
    let task = TaskOptions { topology, ..TaskOptions::default() };
    let weights = folder.join("encoder.safetensors");
    let mut scopes = ParameterScopes::new();
    scopes.add("encoder", &weights.to_string_lossy(), &ParameterFile::open(&weights)?)?;
    Session::builder()
        .device(if workers == 0 { "local-sync" } else { "local-task" })
        .device_options(DeviceOptions { task, ..DeviceOptions::default() })
        .parameters(scopes)
        .build()?
        .load(folder.join("encoder.vmfb"))
}

fn row(table: &Table, folder: &Path, programs: &[Program], tokens: usize) -> Result<()> {
    let name = format!("embed_{tokens}");
    let functions = programs.iter().map(|p| p.function(&name)).collect::<Result<Vec<Function>>>()?;
    let ids = Tensor::new(&[1, tokens as u64], &vec![2000i64; tokens])?;
    let inputs = [Value::Tensor(ids), Value::Tensor(Tensor::scalar(tokens as i64)?)];
    let subjects = functions.iter().zip(WORKERS).map(|(function, workers)| {
        let (inputs, mut results) = (&inputs, Vec::new());
        Subject::new(format!("weft, {}", device(workers)), move || {
            function.invoke(inputs.to_vec(), &mut results).expect("the program runs");
        })
    });
    let mut figures = measure(subjects.collect());
    let first = figures[0].median_ns;
    let mut more = |name: String, ns: Option<f64>| {
        figures.extend(ns.map(|ns| Figure { name, median_ns: ns, min_ns: ns, ratio: ns / first }));
    };
    for workers in WORKERS {
        more(format!("reference: its tool, {}", device(workers)), reference(folder, tokens, workers));
    }
    for threads in [1, 2] {
        let answer = (tokens == TOKENS_OF_INPUTS).then(|| onnx(folder, threads)).flatten();
        more(format!("onnxruntime, {threads} threads"), answer);
    }
    table.group(&format!("{tokens} tokens"), &figures, None);
    Ok(())
}

fn device(workers: usize) -> String {
    if workers == 0 { "local-sync".to_owned() } else { format!("local-task, {workers} workers") }
}

fn reference(folder: &Path, tokens: usize, workers: usize) -> Option<f64> {
    let parameters = format!("--parameters=encoder={}", folder.join("encoder.safetensors").display());
    let group = format!("--task_topology_group_count={workers}");
    let flags = match workers {
        0 => ["--device=local-sync", &parameters, ""],
        _ => ["--device=local-task", &parameters, &group],
    };
    let flags = if workers == 0 { &flags[..2] } else { &flags[..] };
    let ids = format!("1x{tokens}xi64=2000");
    let count = format!("i64={tokens}");
    peer::reference_on(flags, &folder.join("encoder.vmfb"), &format!("embed_{tokens}"), &[&ids, &count])
}

fn onnx(folder: &Path, threads: usize) -> Option<f64> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/encoder/onnx_peer.py");
    let python = std::env::var_os("WEFT_ONNX_PYTHON")?;
    let output = Command::new(python).arg(script).arg(folder).arg(threads.to_string()).output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}
