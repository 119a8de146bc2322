//! Reading module files, with progress on a terminal when it takes long.
//!
//! What does not live here: what the bytes mean (`weft::vm`).

use std::fs::File;
use std::io::Read;

use weft::sync::{Result, status};
use weft::vm::ModuleBytes;

use crate::failure::file_status;
use crate::mapped_file;
use crate::progress::Progress;

/// A read of this size takes a few milliseconds from a fast disk, so progress stays alive on a slow one.
const PIECE_BYTES: usize = 8 << 20;

/// The bytes of a module: mapped if `map` says so and the file can be, else read.
pub fn module_bytes(path: &str, map: bool) -> Result<ModuleBytes> {
    match map && path != "-" {
        true => mapped_file::map(path),
        false => read_module(path),
    }
}

/// Reads a module from a file, or from standard input if the path is `-`.
pub fn read_module(path: &str) -> Result<ModuleBytes> {
    if path == "-" {
        return read_stream(&mut std::io::stdin().lock(), "standard input");
    }
    let mut file = File::open(path).map_err(|error| file_status(&error, "open file", path))?;
    let metadata = file.metadata().map_err(|error| file_status(&error, "open file", path))?;
    if !metadata.is_file() {
        return read_stream(&mut file, path);
    }
    let length = usize::try_from(metadata.len())
        .map_err(|_| status!(ResourceExhausted, "file '{path}' of {} bytes is too large", metadata.len()))?;
    let mut counted =
        Counted { source: &mut file, progress: Progress::new("reading", path, Some(metadata.len())) };
    ModuleBytes::read_from(&mut counted, length).map_err(|error| file_status(&error, "read file", path))
}

/// Pipes have no length to trust.
fn read_stream(source: &mut dyn Read, name: &str) -> Result<ModuleBytes> {
    let mut counted = Counted { source, progress: Progress::new("reading", name, None) };
    ModuleBytes::read_stream(&mut counted).map_err(|error| file_status(&error, "read", name))
}

/// A reader that tells how far it got.
struct Counted<'a> {
    source: &'a mut dyn Read,
    progress: Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let piece = bytes.len().min(PIECE_BYTES);
        let count = self.source.read(&mut bytes[..piece])?;
        self.progress.advance(count as u64);
        Ok(count)
    }
}
