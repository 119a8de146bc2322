//! `weft params convert`: an archive out of files of any format.
//!
//! Safetensors and GGUF are written too, as far as they can hold what there is: both have no patterns, so splats become
//! bytes; element types and shapes are not kept by archives, so parameters become rows of bytes there.
//!
//! What lives here: which parameters go in, under which names. What does not: writing archives (see `mod.rs`).

use std::collections::{HashMap, HashSet};
use std::io::{BufWriter, Write};
use std::sync::Arc;

use weft::hal::text::TensorText;
use weft::parameters::{ParameterEntry, ParameterKind, PlacedEntry, SplatPattern, Storage};
use weft::sync::{Result, WhileDoing, bail};

use super::create::pattern;
use super::{Source, check_output, show_archive, write_output};
use crate::failure::{Failure, Outcome, complain};
use crate::flags::Flags;
use crate::{parameters, progress};

/// Runs the command.
pub fn run(flags: &Flags) -> Outcome {
    let output = flags.text("output");
    let format = check_output(output)?;
    if flags.switch("quiet") {
        progress::silence();
    }
    let edits = Edits::from_flags(flags)?;
    let mut scopes = parameters::scopes(flags)?;
    parameters::add_files(&mut scopes, &flags.positionals, flags)?;
    if scopes.providers().is_empty() {
        return Err(Failure::usage("no input given; use --parameters=file"));
    }
    let all: Vec<Arc<ParameterEntry>> =
        scopes.providers().iter().flat_map(|provider| provider.index().entries()).collect();
    edits.mention_unused(&all);
    let mut entries = Vec::new();
    let mut sources = Vec::new();
    for entry in all {
        let Some(placed) = edits.apply(&entry) else { continue };
        sources.push(match placed.storage {
            Storage::Data => Source::Entry(entry),
            Storage::Splat(_) => Source::Nothing,
        });
        entries.push(placed);
    }
    write_output(output, format, &entries, &sources, flags.count("alignment"))?;
    if flags.switch("quiet") {
        return Ok(());
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    show_archive(&mut out, output, format)?;
    Ok(out.flush()?)
}

/// What is done with parameters on the way, by their names in the input.
struct Edits<'a> {
    exclude: HashSet<&'a [u8]>,
    rename: HashMap<&'a [u8], &'a str>,
    splat: HashMap<&'a [u8], SplatPattern>,
    strip: bool,
}

impl<'a> Edits<'a> {
    fn from_flags(flags: &'a Flags) -> Outcome<Edits<'a>> {
        let mut edits = Edits {
            exclude: flags.list("exclude").into_iter().map(str::as_bytes).collect(),
            rename: HashMap::new(),
            splat: HashMap::new(),
            strip: flags.switch("strip"),
        };
        for text in flags.list("rename") {
            let Some((old, new)) = text.split_once('=') else {
                return Err(Failure::usage(format!("--rename={text} is not of the form old=new")));
            };
            edits.rename.insert(old.as_bytes(), new);
        }
        for text in flags.list("splat") {
            let (name, rest) = text.split_once('=').map_or((text, None), |(name, rest)| (name, Some(rest)));
            let pattern = match rest {
                None => SplatPattern::ZERO,
                Some(rest) => typed_value(rest).while_doing(|| format!("reading --splat={text}"))?,
            };
            edits.splat.insert(name.as_bytes(), pattern);
        }
        Ok(edits)
    }

    /// The entry as it goes into the output, if it does.
    fn apply(&self, entry: &ParameterEntry) -> Option<PlacedEntry> {
        let old: &[u8] = &entry.key;
        if self.exclude.contains(old) {
            return None;
        }
        let key = self.rename.get(old).map_or_else(|| entry.key.clone(), |new| new.as_bytes().into());
        // Either of its names will do.
        let splat = self.splat.get(old).or_else(|| self.splat.get(&*key));
        let storage = match (splat, self.strip, &entry.kind) {
            (Some(pattern), ..) => Storage::Splat(*pattern),
            (None, true, _) => Storage::Splat(SplatPattern::ZERO),
            (None, false, ParameterKind::Splat(pattern)) => Storage::Splat(*pattern),
            (None, false, ParameterKind::File { .. }) => Storage::Data,
        };
        Some(PlacedEntry { key, metadata: entry.metadata.clone(), length: entry.length, storage })
    }

    /// A name that nothing has is a typing mistake, or a list for several files: worth a word, no failure.
    fn mention_unused(&self, entries: &[Arc<ParameterEntry>]) {
        let mut known: HashSet<&[u8]> = entries.iter().map(|entry| &*entry.key).collect();
        known.extend(self.rename.values().map(|new| new.as_bytes()));
        let mut unused: Vec<(&str, &[u8])> = Vec::new();
        unused.extend(self.exclude.iter().map(|name| ("exclude", *name)));
        unused.extend(self.rename.keys().map(|name| ("rename", *name)));
        unused.extend(self.splat.keys().map(|name| ("splat", *name)));
        unused.retain(|(_, name)| !known.contains(name));
        unused.sort_unstable();
        for (flag, name) in unused {
            let name = String::from_utf8_lossy(name);
            complain(format_args!(
                "weft params convert: note: --{flag}= names '{}', which no input has",
                name.escape_debug()
            ));
        }
    }
}

/// `<type>=<value>`: one element, without a shape.
fn typed_value(text: &str) -> Result<SplatPattern> {
    let Some((kind, value)) = text.split_once('=') else {
        bail!(InvalidArgument, "expected <type>=<value>, such as f32=1.5; found '{text}'");
    };
    if let Some(bits) = kind.strip_prefix('x').and_then(|bits| bits.parse::<usize>().ok()) {
        return hexadecimal(bits, value);
    }
    let tensor = TensorText::parse(kind)?;
    if tensor.shape.rank() != 0 {
        bail!(
            InvalidArgument,
            "the value of a splat is one element, so its type has no shape; found '{kind}'"
        );
    }
    pattern(tensor.element_type, value)
}

/// `x32=CAFEF00D`: bytes as they are to stand in the file.
fn hexadecimal(bits: usize, digits: &str) -> Result<SplatPattern> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let is_whole = bits.is_multiple_of(8) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(pair).collect();
    match bytes.filter(|_| is_whole && digits.len() * 4 == bits) {
        Some(bytes) => SplatPattern::new(&bytes),
        None => bail!(InvalidArgument, "x{bits} needs {} hexadecimal digits, found '{digits}'", bits / 4),
    }
}
