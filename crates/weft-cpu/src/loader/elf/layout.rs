//! The first stage: from bytes to a complete plan of the image. Safe for any input, touches nothing but the input.

use std::fmt;

use weft_sync::{Result, WhileDoing, bail, status};

use super::dynamic;
use super::header;
use super::relocation::Relocations;
use super::segments::{self, Segments};
use super::symbols::Symbols;
use crate::abi::QUERY_SYMBOL;

/// Machines whose files can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Machine {
    /// The machine that this process runs on, if its files can be read.
    pub const HOST: Option<Machine> = if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
        Some(Machine::X86_64)
    } else if cfg!(all(target_arch = "aarch64", target_endian = "little", target_pointer_width = "64")) {
        Some(Machine::Aarch64)
    } else {
        None
    };

    /// Its number in file headers.
    pub(crate) fn elf_number(self) -> u16 {
        match self {
            Machine::X86_64 => 0x3E,
            Machine::Aarch64 => 0xB7,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Machine::X86_64 => "x86_64",
            Machine::Aarch64 => "arm_64",
        })
    }
}

/// What an image is laid out for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Machine that the file must be for.
    pub machine: Machine,
    /// Page size of the host: a power of two, at least 4096.
    pub page_bytes: u64,
    /// Longest span of segments, and coarsest alignment, that is accepted.
    pub span_bytes_max: u64,
}

/// Default of [`Target::span_bytes_max`]: far above any library of kernels, far below what an address space can bear.
pub const SPAN_BYTES_MAX: u64 = 1 << 30;

/// A checked file and the plan of its image.
#[derive(Debug)]
pub struct Layout<'a> {
    pub(super) data: &'a [u8],
    pub(super) segments: Segments,
    pub(super) relocations: Relocations<'a>,
    pub(super) page_bytes: u64,
    query: u64,
}

impl<'a> Layout<'a> {
    /// Checks everything that can be checked without an image.
    pub fn parse(data: &'a [u8], target: &Target) -> Result<Layout<'a>> {
        Self::parse_steps(data, target).while_doing(|| "reading an embedded ELF file")
    }

    fn parse_steps(data: &'a [u8], target: &Target) -> Result<Layout<'a>> {
        assert!(target.page_bytes.is_power_of_two(), "page sizes are powers of two");
        let headers = header::program_headers(data, target.machine)?;
        let (segments, dynamic_range) = segments::plan(data, &headers, target)?;
        let dynamic_bytes = dynamic_range.end - dynamic_range.start;
        if dynamic_bytes == 0 || !dynamic_bytes.is_multiple_of(16) {
            bail!(FailedPrecondition, "ELF dynamic table: {dynamic_bytes} bytes are not whole entries");
        }
        let outside = |what: &str, address: u64, bytes: u64| {
            status!(
                FailedPrecondition,
                "ELF {what}: {bytes} bytes at {address:#x} are not in the file-backed part of a segment"
            )
        };
        let table = segments
            .table(data, dynamic_range.start, dynamic_bytes)
            .ok_or_else(|| outside("dynamic table", dynamic_range.start, dynamic_bytes))?;
        let dynamic = dynamic::parse(table)?;
        let symbols = Symbols::parse(data, &segments, &dynamic)?;
        let relocation_table = |at: dynamic::TableAt| match at.size {
            0 => Ok(&data[..0]),
            size => segments
                .table(data, at.address, size)
                .ok_or_else(|| outside("relocation table", at.address, size)),
        };
        let relocations = Relocations {
            machine: target.machine,
            symbols,
            main: relocation_table(dynamic.relocations)?,
            jump: relocation_table(dynamic.jump_relocations)?,
        };
        check_relocations(&relocations, &segments)?;
        let query = symbols.find_function(QUERY_SYMBOL, &segments)?;
        Ok(Layout { data, segments, relocations, page_bytes: target.page_bytes, query })
    }

    /// Segments, regions and span.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Address of the query function, as the file counts addresses.
    pub fn query_address(&self) -> u64 {
        self.query
    }
}

fn check_relocations(relocations: &Relocations<'_>, segments: &Segments) -> Result<()> {
    let allowed = (segments.span.end - segments.span.start) / 8;
    if relocations.count() > allowed {
        bail!(
            ResourceExhausted,
            "ELF relocation tables: {} entries, at most {allowed} fit the image",
            relocations.count()
        );
    }
    for fixup in relocations.fixups(segments) {
        fixup?;
    }
    Ok(())
}
