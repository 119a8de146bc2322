//! [`ModuleBytes`]: the bytes of an archive, owned and aligned, or shared with whoever mapped them.
//!
//! Not here: what the bytes mean (`archive/`).

use std::collections::TryReserveError;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use weft_sync::{Result, status};

use crate::archive::begins_like_module;

/// The alignment of owned storage, so that constants with file positions aligned to it are aligned in memory too.
pub const MODULE_ALIGNMENT: usize = 64;

/// How much of a file is read at once.
const READ_BYTES: usize = 1 << 20;

/// Enough to tell a module from something else.
const HEAD_BYTES: u64 = 16;

/// Bytes that somebody else owns: a mapping, a static, an embedding program's buffer. Dropping the last clone is
/// the release action.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The bytes of one archive. Cheap to clone; the storage is released when the last clone goes.
///
/// ```
/// use weft_vm::ModuleBytes;
/// let bytes = ModuleBytes::copy_of(&[1, 2, 3]);
/// assert_eq!(&*bytes, [1, 2, 3]);
/// assert_eq!(bytes.as_ptr().align_offset(64), 0);
/// ```
#[derive(Clone)]
pub struct ModuleBytes(Storage);

#[derive(Clone)]
enum Storage {
    Owned(Arc<Aligned>),
    Shared(SharedBytes),
}

/// `padded[start..]` is aligned: the vector has room to choose `start`, and its heap block never moves.
struct Aligned {
    padded: Vec<u8>,
    start: usize,
}

impl Aligned {
    /// Room for `length` bytes, none of them there yet. A file's length may be a lie or a sparse terabyte: asking
    /// for too much is an error, not an abort.
    fn with_capacity(length: usize) -> std::result::Result<Aligned, TryReserveError> {
        let mut padded: Vec<u8> = Vec::new();
        padded.try_reserve_exact(length.saturating_add(MODULE_ALIGNMENT - 1))?;
        let start = padded.as_ptr().align_offset(MODULE_ALIGNMENT).min(MODULE_ALIGNMENT - 1);
        padded.resize(start, 0);
        Ok(Aligned { padded, start })
    }
}

impl ModuleBytes {
    /// Copies bytes into aligned storage.
    pub fn copy_of(bytes: &[u8]) -> ModuleBytes {
        let mut aligned =
            Aligned::with_capacity(bytes.len()).expect("memory for a copy of what is in memory");
        aligned.padded.extend_from_slice(bytes);
        ModuleBytes(Storage::Owned(Arc::new(aligned)))
    }

    /// Reads `length` bytes into aligned storage: for readers that count, limit or decode what passes.
    pub fn read_from(reader: &mut dyn Read, length: usize) -> io::Result<ModuleBytes> {
        let mut aligned =
            Aligned::with_capacity(length).map_err(|why| io::Error::new(io::ErrorKind::OutOfMemory, why))?;
        while aligned.padded.len() - aligned.start < length {
            // Piece by piece, so that what is zeroed first is still in the cache when it is read into. The room
            // suffices: the vector does not move and stays aligned.
            let filled = aligned.padded.len();
            let piece = READ_BYTES.min(length - (filled - aligned.start));
            aligned.padded.resize(filled + piece, 0);
            reader.read_exact(&mut aligned.padded[filled..])?;
        }
        Ok(ModuleBytes(Storage::Owned(Arc::new(aligned))))
    }

    /// Reads to the end of something without a length to trust, such as a pipe.
    ///
    /// What does not begin like a module is not read on, so that an endless stream gives the error of a short one.
    pub fn read_stream(mut reader: &mut dyn Read) -> io::Result<ModuleBytes> {
        let mut bytes = Vec::new();
        (&mut reader).take(HEAD_BYTES).read_to_end(&mut bytes)?;
        if begins_like_module(&bytes) {
            reader.read_to_end(&mut bytes)?;
        }
        Ok(ModuleBytes::copy_of(&bytes))
    }

    /// Uses bytes where they are. They should be aligned to [`MODULE_ALIGNMENT`] (constants are copied by
    /// consumers that need it otherwise), and must not change while a clone exists: code is copied before it is
    /// verified, so a change cannot break memory safety, but constants are read in place.
    pub fn shared(bytes: SharedBytes) -> ModuleBytes {
        ModuleBytes(Storage::Shared(bytes))
    }

    /// Reads a whole file into aligned storage.
    pub fn read_file(path: &Path) -> Result<ModuleBytes> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => status!(NotFound, "no file `{}`", path.display()),
            io::ErrorKind::PermissionDenied => {
                status!(PermissionDenied, "may not read `{}`", path.display())
            }
            _ => status!(Unavailable, "reading `{}`: {error}", path.display()),
        };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return ModuleBytes::read_stream(&mut file).map_err(failed);
        }
        let length = usize::try_from(metadata.len())
            .map_err(|_| status!(ResourceExhausted, "`{}` does not fit into memory", path.display()))?;
        ModuleBytes::read_from(&mut file, length).map_err(failed)
    }
}

impl std::ops::Deref for ModuleBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Storage::Owned(aligned) => &aligned.padded[aligned.start..],
            Storage::Shared(shared) => (**shared).as_ref(),
        }
    }
}

impl AsRef<[u8]> for ModuleBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for ModuleBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModuleBytes({} bytes)", self.len())
    }
}
