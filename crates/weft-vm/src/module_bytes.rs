//! [`ModuleBytes`]: the bytes of an archive, owned and aligned, or shared with whoever mapped them.
//!
//! Not here: what the bytes mean (`archive/`).

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use weft_sync::{Result, status};

/// The alignment of owned storage, so that constants with file positions aligned to it are aligned in memory too.
pub const MODULE_ALIGNMENT: usize = 64;

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
    fn zeroed(length: usize) -> Aligned {
        // Fresh zero pages cost nothing until they are filled, so this is no second pass over the memory.
        let padded = vec![0; length + MODULE_ALIGNMENT - 1];
        let start = padded.as_ptr().align_offset(MODULE_ALIGNMENT).min(MODULE_ALIGNMENT - 1);
        let mut aligned = Aligned { padded, start };
        aligned.padded.truncate(start + length);
        aligned
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.padded[self.start..]
    }
}

impl ModuleBytes {
    /// Copies bytes into aligned storage.
    pub fn copy_of(bytes: &[u8]) -> ModuleBytes {
        let mut aligned = Aligned::zeroed(bytes.len());
        aligned.bytes_mut().copy_from_slice(bytes);
        ModuleBytes(Storage::Owned(Arc::new(aligned)))
    }

    /// Uses bytes where they are. They should be aligned to [`MODULE_ALIGNMENT`] (constants are copied by
    /// consumers that need it otherwise), and must not change while a clone exists: code is copied before it is
    /// verified, so a change cannot break memory safety, but constants are read in place.
    pub fn shared(bytes: SharedBytes) -> ModuleBytes {
        ModuleBytes(Storage::Shared(bytes))
    }

    /// Reads a whole file into aligned storage.
    pub fn read_file(path: &Path) -> Result<ModuleBytes> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => status!(NotFound, "no file `{}`", path.display()),
            std::io::ErrorKind::PermissionDenied => {
                status!(PermissionDenied, "may not read `{}`", path.display())
            }
            _ => status!(Unavailable, "reading `{}`: {error}", path.display()),
        };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            // Pipes and the like have no length to trust: read to the end, then align.
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(failed)?;
            return Ok(ModuleBytes::copy_of(&bytes));
        }
        let length = usize::try_from(metadata.len())
            .map_err(|_| status!(ResourceExhausted, "`{}` does not fit into memory", path.display()))?;
        let mut aligned = Aligned::zeroed(length);
        file.read_exact(aligned.bytes_mut()).map_err(failed)?;
        Ok(ModuleBytes(Storage::Owned(Arc::new(aligned))))
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
