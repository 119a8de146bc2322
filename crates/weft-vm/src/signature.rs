//! Calling-convention strings ("cconv", `docs/spec/vm-bytecode.md` §8): parsing, counting, entry registers, and the
//! sizes of packed argument buffers.
//!
//! Not here: whether a call site fits a signature (`verify/calls.rs`), how arguments travel (`native.rs`,
//! `interpret.rs`).

use weft_sync::{Result, bail};

use crate::isa::Kind;

/// The most bytes that one direction of a packed call may take (§8.5).
pub const PACKED_BYTES_MAX: usize = 16 * 1024;

/// One top-level argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Argument {
    /// One value.
    Value(Kind),
    /// A tuple repeated as often as the call says.
    Span(Vec<Kind>),
}

/// What a function takes and gives.
///
/// ```
/// use weft_vm::isa::Kind;
/// use weft_vm::signature::{Argument, Signature};
/// let signature = Signature::parse("0iICrD_i").unwrap();
/// assert_eq!(signature.arguments().len(), 3);
/// assert_eq!(signature.arguments()[2], Argument::Span(vec![Kind::Ref]));
/// assert_eq!(signature.results(), [Kind::I32]);
/// assert!(signature.is_variadic());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    text: Box<str>,
    arguments: Vec<Argument>,
    results: Vec<Kind>,
    variadic: bool,
}

/// Where a bytecode function finds its arguments (§8.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRegisters {
    /// For each argument its kind and the ordinal in the kind's bank.
    pub registers: Vec<(Kind, u32)>,
    /// Value registers that the arguments need.
    pub value_count: u32,
    /// Ref registers that the arguments need.
    pub ref_count: u32,
}

impl Signature {
    /// Parses a cconv string. Another version than 0 is UNIMPLEMENTED, everything else that is no cconv
    /// INVALID_ARGUMENT.
    pub fn parse(text: &str) -> Result<Signature> {
        let body = match text.as_bytes() {
            [] => "",
            [b'0', ..] => &text[1..],
            _ => bail!(Unimplemented, "calling convention `{text}`: only version `0` is known"),
        };
        let (arguments, results) = body.split_once('_').unwrap_or((body, ""));
        let arguments = parse_fragment(text, arguments)?;
        let mut flat = Vec::new();
        for result in parse_fragment(text, results)? {
            match result {
                Argument::Value(kind) => flat.push(kind),
                Argument::Span(_) => {
                    bail!(InvalidArgument, "calling convention `{text}`: a result is a span")
                }
            }
        }
        let variadic = arguments.iter().any(|argument| matches!(argument, Argument::Span(_)));
        Ok(Signature { text: text.into(), arguments, results: flat, variadic })
    }

    /// The string it was parsed from. Imports and providers must agree in it exactly.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The top-level arguments.
    pub fn arguments(&self) -> &[Argument] {
        &self.arguments
    }

    /// The results.
    pub fn results(&self) -> &[Kind] {
        &self.results
    }

    /// Whether any argument is a span, so that calls carry segment sizes.
    pub fn is_variadic(&self) -> bool {
        self.variadic
    }

    /// The kind of each argument when none is a span.
    pub fn argument_kinds(&self) -> Option<Vec<Kind>> {
        let kind = |argument: &Argument| match argument {
            Argument::Value(kind) => Some(*kind),
            Argument::Span(_) => None,
        };
        self.arguments.iter().map(kind).collect()
    }

    /// The registers in which a bytecode function finds its arguments; `None` for signatures with spans, which
    /// bytecode functions cannot have.
    pub fn entry_registers(&self) -> Option<EntryRegisters> {
        let mut entry = EntryRegisters { registers: Vec::new(), value_count: 0, ref_count: 0 };
        for kind in self.argument_kinds()? {
            let count = if kind.is_ref() { &mut entry.ref_count } else { &mut entry.value_count };
            // The register skipped to make a pair even is not reused.
            let ordinal = count.next_multiple_of(kind.registers());
            *count = ordinal + kind.registers();
            entry.registers.push((kind, ordinal));
        }
        Some(entry)
    }

    /// Bytes of the packed argument buffer for a call with these segment sizes (ignored unless variadic).
    pub fn packed_arguments_size(&self, segments: &[u16]) -> Result<usize> {
        Ok(self.packed_arguments(segments)?.size)
    }

    /// Bytes of the packed result buffer.
    pub fn packed_results_size(&self) -> Result<usize> {
        let mut packing = Packing::default();
        for kind in &self.results {
            packing.value(*kind);
        }
        packing.finish(&self.text)
    }

    /// Offsets of all values, flattened, in a packed argument buffer, with its size.
    pub fn packed_arguments(&self, segments: &[u16]) -> Result<PackedLayout> {
        if self.variadic && segments.len() != self.arguments.len() {
            bail!(
                InvalidArgument,
                "calling convention `{}`: {} segment sizes for {} arguments",
                self.text,
                segments.len(),
                self.arguments.len()
            );
        }
        let mut packing = Packing::default();
        for (index, argument) in self.arguments.iter().enumerate() {
            match argument {
                Argument::Value(kind) => packing.value(*kind),
                Argument::Span(tuple) => packing.span(tuple, usize::from(segments[index])),
            }
            // A count may be 65535: stop before the offsets take more room than the limit allows anyway.
            if packing.offset > PACKED_BYTES_MAX {
                break;
            }
        }
        let offsets = std::mem::take(&mut packing.offsets);
        Ok(PackedLayout { offsets, size: packing.finish(&self.text)? })
    }
}

/// Where values lie in a packed buffer (§8.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedLayout {
    /// Offset of each value, spans flattened.
    pub offsets: Vec<usize>,
    /// Bytes in all.
    pub size: usize,
}

#[derive(Default)]
struct Packing {
    offset: usize,
    align: usize,
    offsets: Vec<usize>,
}

impl Packing {
    fn align_to(&mut self, align: usize) {
        self.align = self.align.max(align);
        self.offset = self.offset.next_multiple_of(align);
    }

    fn value(&mut self, kind: Kind) {
        let (size, align) = packed_size(kind);
        self.align_to(align);
        self.offsets.push(self.offset);
        self.offset += size;
    }

    fn span(&mut self, tuple: &[Kind], count: usize) {
        self.align_to(4);
        self.offset += 4;
        if count == 0 {
            return;
        }
        let align = tuple.iter().map(|kind| packed_size(*kind).1).max().unwrap_or(1);
        self.align_to(align);
        for _ in 0..count {
            if self.offset > PACKED_BYTES_MAX {
                return;
            }
            for kind in tuple {
                self.value(*kind);
            }
        }
    }

    fn finish(self, text: &str) -> Result<usize> {
        let size = self.offset.next_multiple_of(self.align.max(1));
        if size > PACKED_BYTES_MAX {
            bail!(
                ResourceExhausted,
                "calling convention `{text}`: values take more than the {PACKED_BYTES_MAX} bytes allowed for a call"
            );
        }
        Ok(size)
    }
}

fn packed_size(kind: Kind) -> (usize, usize) {
    match kind {
        Kind::I32 | Kind::F32 => (4, 4),
        Kind::I64 | Kind::F64 => (8, 8),
        Kind::Ref => (16, 8),
    }
}

fn parse_fragment(text: &str, fragment: &str) -> Result<Vec<Argument>> {
    if fragment.is_empty() || fragment == "v" {
        return Ok(Vec::new());
    }
    let mut arguments = Vec::new();
    let mut span: Option<Vec<Kind>> = None;
    for letter in fragment.chars() {
        let kind = match letter {
            'i' => Kind::I32,
            'I' => Kind::I64,
            'f' => Kind::F32,
            'F' => Kind::F64,
            'r' => Kind::Ref,
            'C' if span.is_none() => {
                span = Some(Vec::new());
                continue;
            }
            'D' => match span.take() {
                Some(tuple) if !tuple.is_empty() => {
                    arguments.push(Argument::Span(tuple));
                    continue;
                }
                Some(_) => bail!(InvalidArgument, "calling convention `{text}`: a span of nothing"),
                None => bail!(InvalidArgument, "calling convention `{text}`: `D` without `C`"),
            },
            'C' => bail!(InvalidArgument, "calling convention `{text}`: a span inside a span"),
            _ => bail!(
                InvalidArgument,
                "calling convention `{text}`: `{letter}` is none of i f I F r C D (or a lone v)"
            ),
        };
        match &mut span {
            Some(tuple) => tuple.push(kind),
            None => arguments.push(Argument::Value(kind)),
        }
    }
    if span.is_some() {
        bail!(InvalidArgument, "calling convention `{text}`: `C` without `D`");
    }
    Ok(arguments)
}
