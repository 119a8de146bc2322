//! `--parameters=` and `--parameter_mode=`: from flags to scopes of parameters, with progress on a terminal.
//!
//! What does not live here: the formats and the transfers (`weft::parameters`), `weft params` (see `params/`).

use std::sync::{Arc, Mutex, PoisonError};

use weft::parameters::{ArchiveFormat, ParameterFile, ParameterScopes, TransferObserver};
use weft::sync::{Result, WhileDoing};

use crate::flags::Flags;
use crate::mapped_file;
use crate::progress::Progress;

/// The scopes that the flags name, in their order.
pub fn scopes(flags: &Flags) -> Result<ParameterScopes> {
    let mut scopes = ParameterScopes::new();
    for text in flags.list("parameters") {
        let (scope, path) = ParameterScopes::split(text);
        // The name is looked at first: reading a large file to learn that it has the wrong one helps nobody.
        ArchiveFormat::of_path(path)
            .and_then(|_| open(path, flags.text("parameter_mode")))
            .and_then(|file| scopes.add(scope, path, &file))
            .while_doing(|| format!("opening --parameters={text}"))?;
    }
    Ok(scopes)
}

/// Adds files that are named without a flag, to the global scope.
pub fn add_files(scopes: &mut ParameterScopes, paths: &[String], flags: &Flags) -> Result<()> {
    for path in paths {
        ArchiveFormat::of_path(path)
            .and_then(|_| open(path, flags.text("parameter_mode")))
            .and_then(|file| scopes.add("", path, &file))?;
    }
    Ok(())
}

fn open(path: &str, mode: &str) -> Result<Arc<ParameterFile>> {
    match mode {
        "preload" => {
            let mut progress: Option<(Progress, u64)> = None;
            ParameterFile::preload_with(path, &mut |done, total| {
                let (progress, before) =
                    progress.get_or_insert_with(|| (Progress::new("reading", path, Some(total)), 0));
                progress.advance(done - *before);
                *before = done;
            })
        }
        "mmap" => mapped_file::map_parameters(path),
        _ => ParameterFile::open(path),
    }
}

/// Shows how loading comes along. The line appears when it takes long, and goes away with the last byte.
pub fn observer() -> TransferObserver {
    let shown: Mutex<Option<(Progress, u64)>> = Mutex::new(None);
    Arc::new(move |done, total| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let (progress, before) =
            shown.get_or_insert_with(|| (Progress::new("loading", "parameters", None), done));
        progress.expect(total);
        // Transfers end on several threads, so their reports may pass each other.
        progress.advance(done.saturating_sub(*before));
        *before = done.max(*before);
        if done >= total {
            *shown = None;
        }
    })
}
