//! `weft params create`: a file of parameters from declarations, in the format that its name asks for.
//!
//! What does not live here: writing it (see `mod.rs`).

use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use weft::hal::text::{TensorText, parse_values};
use weft::hal::{ElementType, Shape};
use weft::parameters::{ParameterEntry, ParameterKind, PlacedEntry, SplatPattern, Storage};
use weft::sync::{Result, WhileDoing, bail};

use super::{Source, check_output, show_archive, write_output};
use crate::failure::Outcome;
use crate::flags::Flags;
use crate::progress;

/// Runs the command.
pub fn run(flags: &Flags) -> Outcome {
    let output = flags.text("output");
    let format = check_output(output)?;
    if flags.switch("quiet") {
        progress::silence();
    }
    let mut entries = Vec::new();
    let mut sources = Vec::new();
    // Splats first, whatever the order of the flags: so the reference does it.
    for text in flags.list("splat") {
        let declared = Declared::parse(text).while_doing(|| format!("declaring --splat={text}"))?;
        let pattern = declared.value.unwrap_or(SplatPattern::ZERO);
        entries.push(declared.placed(Storage::Splat(pattern)));
        sources.push(Source::Nothing);
    }
    for text in flags.list("data") {
        let declared = Declared::parse(text).while_doing(|| format!("declaring --data={text}"))?;
        entries.push(declared.placed(Storage::Data));
        sources.push(match declared.value {
            None => Source::Nothing,
            Some(pattern) => {
                let kind = ParameterKind::Splat(pattern);
                Source::Entry(Arc::new(ParameterEntry::new(declared.key.as_bytes(), declared.length, kind)))
            }
        });
    }
    refuse_second(&entries)?;
    write_output(output, format, &entries, &sources, flags.count("alignment"))?;
    if flags.switch("quiet") {
        return Ok(());
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    show_archive(&mut out, output, format)?;
    Ok(out.flush()?)
}

/// Of two parameters with one name programs would never see the second.
fn refuse_second(entries: &[PlacedEntry]) -> Result<()> {
    let mut seen = HashSet::new();
    match entries.iter().find(|entry| !seen.insert(&entry.key)) {
        Some(second) => {
            let name = String::from_utf8_lossy(&second.key);
            bail!(InvalidArgument, "parameter `{name}` is declared more than once")
        }
        None => Ok(()),
    }
}

/// `name=<shape>x<type>[=<value>]`.
struct Declared<'a> {
    key: &'a str,
    length: u64,
    value: Option<SplatPattern>,
}

impl<'a> Declared<'a> {
    fn parse(text: &'a str) -> Result<Declared<'a>> {
        let Some((key, rest)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            bail!(InvalidArgument, "expected <name>=<shape>x<type>[=<value>]");
        };
        let (kind, value) = rest.split_once('=').map_or((rest, None), |(kind, value)| (kind, Some(value)));
        let tensor = TensorText::parse(kind)?;
        let length = tensor.byte_length()?;
        let value = value.filter(|value| !value.trim().is_empty());
        let value = value.map(|value| pattern(tensor.element_type, value)).transpose()?;
        Ok(Declared { key, length, value })
    }

    fn placed(&self, storage: Storage) -> PlacedEntry {
        PlacedEntry {
            key: self.key.as_bytes().into(),
            metadata: Box::default(),
            length: self.length,
            storage,
        }
    }
}

/// One element as a pattern.
pub(super) fn pattern(element_type: ElementType, value: &str) -> Result<SplatPattern> {
    let bits = element_type.bit_count();
    if bits == 0 || !bits.is_multiple_of(8) {
        bail!(
            InvalidArgument,
            "elements of {element_type} are no whole bytes and cannot be repeated; use a type of the same total size \
             (2xi4=1 as 1xi8=17)"
        );
    }
    let length = Shape::new(&[])?.byte_length(element_type)?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    parse_values(element_type, 1, value, &mut bytes)?;
    SplatPattern::new(&bytes)
}
