//! The dynamic table (`docs/spec/executables.md` §2.5): where the other tables are, and what the file asks of a loader.
//!
//! Everything that would need a real dynamic linker (libraries to load, code to run first, text relocations) is refused
//! here, by name.

use weft_sync::{Result, bail, status};

use super::fields::u64_at;

const ENTRY_BYTES: usize = 16;

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_PLTRELSZ: u64 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_RELAENT: u64 = 9;
const DT_STRSZ: u64 = 10;
const DT_SYMENT: u64 = 11;
const DT_INIT: u64 = 12;
const DT_REL: u64 = 17;
const DT_RELSZ: u64 = 18;
const DT_PLTREL: u64 = 20;
const DT_TEXTREL: u64 = 22;
const DT_JMPREL: u64 = 23;
const DT_INIT_ARRAY: u64 = 25;
const DT_INIT_ARRAYSZ: u64 = 27;
const DT_FLAGS: u64 = 30;
const DT_PREINIT_ARRAY: u64 = 32;
const DT_PREINIT_ARRAYSZ: u64 = 33;
const DT_RELRSZ: u64 = 35;
const DT_RELR: u64 = 36;
const DT_RELRENT: u64 = 37;

const FLAG_TEXTREL: u64 = 1 << 2;
const FLAG_STATIC_TLS: u64 = 1 << 4;

/// Address and size of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TableAt {
    pub address: u64,
    pub size: u64,
}

/// What the dynamic table says, checked as far as it can be without the other tables.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dynamic {
    pub strings: TableAt,
    pub symbols: u64,
    pub hash: u64,
    pub relocations: TableAt,
    pub jump_relocations: TableAt,
}

/// Values of the tags that are looked at, each at most one value.
#[derive(Default)]
struct Tags(Vec<(u64, u64)>);

impl Tags {
    fn get(&self, tag: u64) -> Option<u64> {
        self.0.iter().find(|(seen, _)| *seen == tag).map(|&(_, value)| value)
    }

    fn require(&self, tag: u64, name: &str) -> Result<u64> {
        self.get(tag).ok_or_else(|| status!(FailedPrecondition, "ELF dynamic table: {name} is missing"))
    }

    fn insert(&mut self, tag: u64, value: u64) -> Result<()> {
        match self.get(tag) {
            None => self.0.push((tag, value)),
            Some(before) if before == value => {}
            Some(before) => bail!(
                FailedPrecondition,
                "ELF dynamic table: tag {tag:#x} is both {before:#x} and {value:#x}"
            ),
        }
        Ok(())
    }
}

/// Tags that are looked at. All others are ignored, as the numbers of tags are open-ended.
const KNOWN: [u64; 23] = [
    DT_PLTRELSZ,
    DT_HASH,
    DT_STRTAB,
    DT_SYMTAB,
    DT_RELA,
    DT_RELASZ,
    DT_RELAENT,
    DT_STRSZ,
    DT_SYMENT,
    DT_INIT,
    DT_REL,
    DT_RELSZ,
    DT_PLTREL,
    DT_TEXTREL,
    DT_JMPREL,
    DT_INIT_ARRAY,
    DT_INIT_ARRAYSZ,
    DT_FLAGS,
    DT_PREINIT_ARRAY,
    DT_PREINIT_ARRAYSZ,
    DT_RELRSZ,
    DT_RELR,
    DT_RELRENT,
];

/// Reads the table from its file-backed bytes.
pub(super) fn parse(table: &[u8]) -> Result<Dynamic> {
    let tags = read_tags(table)?;
    refuse_unsupported(&tags)?;
    entry_size(&tags, DT_SYMENT, "SYMENT")?;
    entry_size(&tags, DT_RELAENT, "RELAENT")?;
    let strings =
        TableAt { address: tags.require(DT_STRTAB, "STRTAB")?, size: tags.require(DT_STRSZ, "STRSZ")? };
    if strings.size == 0 {
        bail!(FailedPrecondition, "ELF dynamic table: STRSZ is 0");
    }
    Ok(Dynamic {
        strings,
        symbols: tags.require(DT_SYMTAB, "SYMTAB")?,
        hash: tags.require(DT_HASH, "HASH")?,
        relocations: relocation_table(&tags, (DT_RELA, "RELA"), (DT_RELASZ, "RELASZ"))?,
        jump_relocations: relocation_table(&tags, (DT_JMPREL, "JMPREL"), (DT_PLTRELSZ, "PLTRELSZ"))?,
    })
}

fn read_tags(table: &[u8]) -> Result<Tags> {
    let mut tags = Tags::default();
    for entry in table.chunks_exact(ENTRY_BYTES) {
        let (Some(tag), Some(value)) = (u64_at(entry, 0), u64_at(entry, 8)) else { break };
        if tag == DT_NULL {
            break;
        }
        if tag == DT_NEEDED {
            bail!(
                Unavailable,
                "ELF dynamic table: needs another library (NEEDED); embedded files link against nothing"
            );
        }
        if KNOWN.contains(&tag) {
            tags.insert(tag, value)?;
        }
    }
    Ok(tags)
}

fn refuse_unsupported(tags: &Tags) -> Result<()> {
    for (tag, name) in [(DT_REL, "REL"), (DT_RELSZ, "RELSZ")] {
        if tags.get(tag).is_some() {
            bail!(FailedPrecondition, "ELF dynamic table: {name} on a machine that uses RELA");
        }
    }
    for (tag, name) in [(DT_RELR, "RELR"), (DT_RELRSZ, "RELRSZ"), (DT_RELRENT, "RELRENT")] {
        if tags.get(tag).is_some() {
            bail!(Unimplemented, "ELF dynamic table: packed relative relocations ({name})");
        }
    }
    let flags = tags.get(DT_FLAGS).unwrap_or(0);
    if tags.get(DT_TEXTREL).is_some() || flags & FLAG_TEXTREL != 0 {
        bail!(PermissionDenied, "ELF dynamic table: text relocations");
    }
    if flags & FLAG_STATIC_TLS != 0 {
        bail!(Unimplemented, "ELF dynamic table: static thread-local storage");
    }
    // Initializers would run before anything of the library is validated; compilers write none.
    if tags.get(DT_INIT).is_some_and(|init| init != 0) {
        bail!(Unimplemented, "ELF dynamic table: initializer function (INIT)");
    }
    let arrays = [
        (DT_INIT_ARRAY, DT_INIT_ARRAYSZ, "INIT_ARRAY"),
        (DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ, "PREINIT_ARRAY"),
    ];
    for (array, size, name) in arrays {
        // An array without a size cannot be told to be empty.
        let size = tags.get(size).unwrap_or(u64::from(tags.get(array).is_some()));
        if size != 0 {
            bail!(Unimplemented, "ELF dynamic table: initializer functions ({name})");
        }
    }
    Ok(())
}

fn entry_size(tags: &Tags, tag: u64, name: &str) -> Result<()> {
    match tags.get(tag) {
        None | Some(24) => Ok(()),
        Some(other) => bail!(FailedPrecondition, "ELF dynamic table: {name} is {other}, expected 24"),
    }
}

fn relocation_table(
    tags: &Tags,
    (table, table_name): (u64, &str),
    (size, size_name): (u64, &str),
) -> Result<TableAt> {
    const DT_RELA_AS_PLT_KIND: u64 = DT_RELA;
    let bytes = tags.get(size).unwrap_or(0);
    if !bytes.is_multiple_of(24) {
        bail!(FailedPrecondition, "ELF dynamic table: {size_name} {bytes} is not a multiple of 24");
    }
    let Some(address) = tags.get(table) else {
        if bytes != 0 {
            bail!(FailedPrecondition, "ELF dynamic table: {size_name} without {table_name}");
        }
        return Ok(TableAt::default());
    };
    if tags.get(size).is_none() {
        bail!(FailedPrecondition, "ELF dynamic table: {table_name} without {size_name}");
    }
    if table == DT_JMPREL && tags.get(DT_PLTREL) != Some(DT_RELA_AS_PLT_KIND) {
        bail!(FailedPrecondition, "ELF dynamic table: PLTREL is not RELA");
    }
    Ok(TableAt { address, size: bytes })
}
