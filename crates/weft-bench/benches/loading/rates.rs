//! Bytes a second, in one process: weft beside loops that read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use rustix::fs::Advice;
use weft::parameters::{ParameterFile, ParameterScopes};
use weft::{Result, Session, Status};
use weft_bench::{Figure, Table};

use crate::Load;

/// Rounds that count of short loads; one more warms up.
const ROUNDS: usize = 21;

/// Bytes that the floor asks for at once.
const PIECE_BYTES: usize = 1 << 20;

type Loader<'a> = (&'static str, Box<dyn Fn() -> Result<()> + 'a>);

/// Both tables of rates.
pub fn measure(load: &Load) -> Result<()> {
    let bytes = std::fs::metadata(&load.parameters).map_err(|error| weft_hal::io_status(&error))?.len();
    let loaders: [Loader<'_>; 5] = [
        ("floor: read into fresh memory", Box::new(|| read_fresh(&load.parameters, bytes).map_err(failed))),
        ("floor: read into one buffer", Box::new(|| read_over(&load.parameters).map_err(failed))),
        ("weft: parameters from the file, local-sync", Box::new(|| from_file(load, "local-sync"))),
        ("weft: parameters from the file, local-task", Box::new(|| from_file(load, "local-task"))),
        ("weft: the file read first, local-task", Box::new(|| preloaded(load))),
    ];
    let rounds = load.rounds(ROUNDS);
    for is_cold in [false, true] {
        let mut times = vec![Vec::new(); loaders.len()];
        for round in 0..=rounds {
            for index in crate::order(round, loaders.len()) {
                let (_, loader) = &loaders[index];
                if is_cold {
                    forget(&load.parameters).map_err(failed)?;
                }
                let start = Instant::now();
                loader()?;
                if round > 0 {
                    times[index].push(start.elapsed().as_secs_f64() * 1e9);
                }
            }
        }
        let figures: Vec<Figure> = loaders
            .iter()
            .zip(&times)
            .map(|((name, _), taken)| {
                let figure = Figure::of(*name, taken, &times[0]);
                let rate = bytes as f64 / figure.median_ns;
                Figure { name: format!("{name}: {rate:.2} GB/s"), ..figure }
            })
            .collect();
        let table = Table::begin(if is_cold { "loading, cold" } else { "loading, warm" });
        table.group(&load.title, &figures, None);
    }
    Ok(())
}

fn failed(error: io::Error) -> Status {
    weft_hal::io_status(&error)
}

/// Takes a file out of the page cache.
pub fn forget(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // Pages that wait to be written are not forgotten.
    file.sync_all()?;
    Ok(rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?)
}

fn read_fresh(path: &Path, bytes: u64) -> io::Result<()> {
    let mut memory = vec![0u8; bytes as usize];
    let mut file = File::open(path)?;
    memory.chunks_mut(PIECE_BYTES).try_for_each(|piece| file.read_exact(piece))?;
    std::hint::black_box(memory);
    Ok(())
}

fn read_over(path: &Path) -> io::Result<()> {
    let mut piece = vec![0u8; PIECE_BYTES];
    let mut file = File::open(path)?;
    while file.read(&mut piece)? != 0 {}
    std::hint::black_box(piece);
    Ok(())
}

fn from_file(load: &Load, device: &str) -> Result<()> {
    load_with(load, &ParameterFile::open(&load.parameters)?, device)
}

fn preloaded(load: &Load) -> Result<()> {
    load_with(load, &ParameterFile::preload(&load.parameters)?, "local-task")
}

fn load_with(load: &Load, file: &std::sync::Arc<ParameterFile>, device: &str) -> Result<()> {
    let mut scopes = ParameterScopes::new();
    scopes.add(load.scope, &load.parameters.to_string_lossy(), file)?;
    let session = Session::builder().device(device).parameters(scopes).build()?;
    std::hint::black_box(session.load(&load.module)?);
    Ok(())
}

/// The parameters of `models/bench/load_parameters.mlir`.
pub fn write_parameters(path: &Path) -> io::Result<()> {
    const COUNT: usize = 16;
    const BYTES: usize = 128 << 20;
    let entries: Vec<String> = (0..COUNT)
        .map(|index| {
            let (start, end) = (index * BYTES, (index + 1) * BYTES);
            format!(r#""p{index}":{{"dtype":"F32","shape":[{}],"data_offsets":[{start},{end}]}}"#, BYTES / 4)
        })
        .collect();
    let mut header = format!("{{{}}}", entries.join(","));
    while !(header.len() + 8).is_multiple_of(4096) {
        header.push(' ');
    }
    let mut file = File::create(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let piece: Vec<u8> = (0..PIECE_BYTES / 4).flat_map(|index| (index as f32).to_le_bytes()).collect();
    for _ in 0..COUNT * BYTES / PIECE_BYTES {
        file.write_all(&piece)?;
    }
    file.sync_all()
}
