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
    let loading: Mutex<Loading> = Mutex::default();
    Arc::new(move |done, total| {
        let mut loading = loading.lock().unwrap_or_else(PoisonError::into_inner);
        loading.report(done, total);
    })
}

/// What has been loaded since nothing was under way.
#[derive(Default)]
struct Loading {
    shown: Option<Progress>,
    /// Bytes that had been transferred before.
    base: u64,
    /// Bytes that are shown.
    noted: u64,
}

impl Loading {
    fn report(&mut self, done: u64, total: u64) {
        if done >= total {
            *self = Loading { shown: None, base: done, noted: 0 };
            return;
        }
        let progress = self.shown.get_or_insert_with(|| Progress::new("loading", "parameters", None));
        progress.expect(total - self.base);
        let so_far = done - self.base;
        progress.advance(so_far - self.noted);
        self.noted = so_far;
    }
}
