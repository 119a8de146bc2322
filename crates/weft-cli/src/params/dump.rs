//! `weft params dump`: what files of parameters contain.
//!
//! What does not live here: the table (see `mod.rs`).

use std::io::{BufWriter, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use weft::parameters::{ParameterEntry, ParameterScopes, write_file};
use weft::sync::{Result, WhileDoing};

use super::{Column, each_piece, write_table};
use crate::failure::{Failure, Outcome, file_status};
use crate::flags::Flags;
use crate::parameters;
use crate::plain_text::PlainText;
use crate::progress::Progress;

/// Hexadecimal digits of a checksum.
const CHECKSUM_WIDTH: usize = 64;

/// Runs the command.
pub fn run(flags: &Flags) -> Outcome {
    let mut scopes = parameters::scopes(flags)?;
    parameters::add_files(&mut scopes, &flags.positionals, flags)?;
    if scopes.providers().is_empty() {
        return Err(Failure::usage("no file given; try: weft params dump model.irpa"));
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    let checksum = Column { title: "SHA-256", width: CHECKSUM_WIDTH, text: &checksum };
    let column = flags.switch("checksums").then_some(&checksum);
    for provider in scopes.providers() {
        write_table(&mut out, provider.scope(), &provider.index().entries(), column)?;
    }
    for text in flags.list("extract") {
        extract(&mut out, &mut scopes, text)?;
    }
    Ok(out.flush()?)
}

/// The checksum of a parameter's bytes, as `sha256sum` prints it for a file with these bytes.
fn checksum(entry: &ParameterEntry) -> Result<String> {
    let mut progress = Progress::new("reading", &entry.name(), Some(entry.length));
    let mut hasher = Sha256::new();
    each_piece(entry, |piece| {
        hasher.update(piece);
        progress.advance(piece.len() as u64);
        Ok(())
    })?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes the bytes of one parameter to a file: `[scope::]key=file`.
fn extract(out: &mut dyn Write, scopes: &mut ParameterScopes, text: &str) -> Outcome {
    let Some((name, path)) = text.rsplit_once('=').filter(|(_, path)| !path.is_empty()) else {
        return Err(Failure::usage(format!("--extract={text} is not of the form [scope::]key=file")));
    };
    let (scope, key) = name.split_once("::").unwrap_or(("", name));
    let doing = || format!("extracting parameter with flag `{text}`");
    let providers = scopes.providers();
    let known = providers.iter().find(|provider| provider.scope() == scope);
    // A key may contain `::` itself.
    let (index, key) = match (known, providers.iter().find(|provider| provider.scope().is_empty())) {
        (Some(provider), _) => (provider.index(), key),
        (None, Some(global)) => (global.index(), name),
        (None, None) => {
            return Err(Failure::usage(format!("--extract={text}: there is no scope '{scope}'")));
        }
    };
    let entry = index.find(key.as_bytes()).while_doing(doing)?;
    let shown = format!("Extracting parameter `{name}` ({}b) to `{path}`...\n", entry.length);
    PlainText::new(&mut *out).write_all(shown.as_bytes())?;
    out.flush()?;
    let mut progress = Progress::new("extracting", &entry.name(), Some(entry.length));
    write_file(Path::new(path), |file| {
        each_piece(&entry, |piece| {
            file.write_all(piece).map_err(|error| file_status(&error, "write file", path))?;
            progress.advance(piece.len() as u64);
            Ok(())
        })
    })
    .while_doing(doing)?;
    Ok(())
}
