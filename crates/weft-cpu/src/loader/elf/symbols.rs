//! Dynamic symbols: their table, their names, and the search for the one that is called (`docs/spec/executables.md` §2.6).

use weft_sync::{Result, bail, status};

use super::dynamic::Dynamic;
use super::fields::{u16_at, u32_at, u64_at};
use super::segments::Segments;

const SYMBOL_BYTES: u64 = 24;
const BIND_GLOBAL: u8 = 1;
const BIND_WEAK: u8 = 2;
const TYPE_NONE: u8 = 0;
const TYPE_FUNCTION: u8 = 2;
const SECTION_UNDEFINED: u16 = 0;
/// Longest part of a name that an error quotes.
const NAME_BYTES_SHOWN: usize = 128;

/// The dynamic symbols of a file, in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbols<'a> {
    table: &'a [u8],
    strings: &'a [u8],
}

#[derive(Clone, Copy)]
struct Symbol {
    name: u32,
    info: u8,
    section: u16,
    value: u64,
}

impl<'a> Symbols<'a> {
    /// Finds the tables, checks their bounds and that every symbol is defined and named.
    pub(super) fn parse(data: &'a [u8], segments: &Segments, dynamic: &Dynamic) -> Result<Symbols<'a>> {
        let outside = |what: &str, address: u64, size: u64| {
            status!(
                FailedPrecondition,
                "ELF {what}: {size} bytes at {address:#x} are not in the file-backed part of a segment"
            )
        };
        let strings = segments
            .table(data, dynamic.strings.address, dynamic.strings.size)
            .ok_or_else(|| outside("string table", dynamic.strings.address, dynamic.strings.size))?;
        if strings.last() != Some(&0) {
            bail!(FailedPrecondition, "ELF string table: the last string is not terminated");
        }
        let hash =
            segments.table(data, dynamic.hash, 8).ok_or_else(|| outside("hash table", dynamic.hash, 8))?;
        let bucket_count = u32_at(hash, 0).unwrap_or(0);
        let symbol_count = u32_at(hash, 4).unwrap_or(0);
        let hash_bytes = 8 + 4 * (u64::from(bucket_count) + u64::from(symbol_count));
        if segments.table(data, dynamic.hash, hash_bytes).is_none() {
            return Err(outside("hash table", dynamic.hash, hash_bytes));
        }
        let table_bytes = u64::from(symbol_count) * SYMBOL_BYTES;
        let table = segments
            .table(data, dynamic.symbols, table_bytes)
            .ok_or_else(|| outside("symbol table", dynamic.symbols, table_bytes))?;
        let symbols = Symbols { table, strings };
        symbols.refuse_undefined()?;
        Ok(symbols)
    }

    fn refuse_undefined(&self) -> Result<()> {
        for index in 1..self.count() {
            let symbol = self.symbol(index)?;
            let tail = self.name_tail(symbol)?;
            if symbol.section == SECTION_UNDEFINED {
                let shown = &tail[..tail.len().min(NAME_BYTES_SHOWN)];
                let name = shown.split(|&byte| byte == 0).next().unwrap_or(shown);
                bail!(
                    Unavailable,
                    "ELF symbol `{}` is undefined; embedded files link against nothing",
                    String::from_utf8_lossy(name)
                );
            }
        }
        Ok(())
    }

    /// Number of symbols, the null symbol included.
    fn count(&self) -> u64 {
        self.table.len() as u64 / SYMBOL_BYTES
    }

    fn symbol(&self, index: u64) -> Result<Symbol> {
        let at = index.checked_mul(SYMBOL_BYTES);
        let read = |at: u64| {
            Some(Symbol {
                name: u32_at(self.table, at)?,
                info: *self.table.get(usize::try_from(at).ok()? + 4)?,
                section: u16_at(self.table, at + 6)?,
                value: u64_at(self.table, at + 8)?,
            })
        };
        at.and_then(read).ok_or_else(|| {
            status!(OutOfRange, "ELF symbol {index} is out of range: {} symbols", self.count())
        })
    }

    /// The string table from the symbol's name on: the name ends at the first NUL, and there is one.
    ///
    /// The name itself is not measured here: a hostile file may have many symbols that share one long name.
    fn name_tail(&self, symbol: Symbol) -> Result<&'a [u8]> {
        let tail = usize::try_from(symbol.name).ok().and_then(|start| self.strings.get(start..));
        match tail {
            Some(tail) if !tail.is_empty() => Ok(tail),
            _ => bail!(
                FailedPrecondition,
                "ELF symbol name at {} is outside of the string table of {} bytes",
                symbol.name,
                self.strings.len()
            ),
        }
    }

    /// Value of the symbol that a relocation names; `None` for the null symbol, whose address is 0, not the bias.
    pub(super) fn value(&self, index: u32) -> Result<Option<u64>> {
        let symbol = self.symbol(u64::from(index))?;
        Ok((index != 0).then_some(symbol.value))
    }

    /// Address of the exported function with this name, inside an executable segment.
    ///
    /// `FAILED_PRECONDITION` if there is none: `NOT_FOUND` would mean "try another loader".
    pub(super) fn find_function(&self, wanted: &str, segments: &Segments) -> Result<u64> {
        for index in 1..self.count() {
            let symbol = self.symbol(index)?;
            let exported = matches!(symbol.info >> 4, BIND_GLOBAL | BIND_WEAK);
            let rest = self.name_tail(symbol)?.strip_prefix(wanted.as_bytes());
            if !exported || rest.is_none_or(|rest| rest.first() != Some(&0)) {
                continue;
            }
            let kind = symbol.info & 15;
            if !matches!(kind, TYPE_FUNCTION | TYPE_NONE) {
                bail!(FailedPrecondition, "ELF symbol `{wanted}` is of type {kind}, not a function");
            }
            let value = symbol.value;
            let code = value..value.saturating_add(1);
            if !segments.holding(&code).is_some_and(|segment| segment.protection.execute) {
                bail!(
                    FailedPrecondition,
                    "ELF symbol `{wanted}` at {value:#x} is not in an executable segment"
                );
            }
            return Ok(value);
        }
        bail!(FailedPrecondition, "ELF symbol `{wanted}` is not exported")
    }
}
