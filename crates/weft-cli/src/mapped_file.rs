//! `--module_mode=mmap`, `--parameter_mode=mmap`: a file's bytes without reading them first.
//!
//! The file must not change while the program runs: shrinking it makes access to the missing pages end the process.
//! That is why files are read unless the user asks for this.
#![allow(unsafe_code, reason = "maps a file and views it as bytes")]

use std::sync::Arc;

use weft::parameters::ParameterFile;
use weft::sync::Result;
use weft::vm::ModuleBytes;

/// Maps a whole file, read-only.
#[cfg(unix)]
pub fn map(path: &str) -> Result<ModuleBytes> {
    let Some((_, mapping)) = map_whole(path)? else { return crate::load::read_module(path) };
    Ok(ModuleBytes::shared(mapping))
}

/// Maps a whole file of parameters. Its headers are read from the file all the same. INVALID_ARGUMENT if it is no regular
/// file.
#[cfg(unix)]
pub fn map_parameters(path: &str) -> Result<Arc<ParameterFile>> {
    let Some((file, mapping)) = map_whole(path)? else { return ParameterFile::open(path) };
    ParameterFile::from_mapping(path, file, mapping)
}

/// The file with its mapping; `None` if there is nothing to map (it is empty), or nothing that can be (pipes). Those are
/// not opened: that waits until somebody writes to them, and takes what was written from whoever opens them next.
#[cfg(unix)]
fn map_whole(path: &str) -> Result<Option<(std::fs::File, Arc<unix::Mapping>)>> {
    use crate::failure::file_status;
    use weft::sync::status;

    let opening = |error: std::io::Error| file_status(&error, "open file", path);
    if !std::fs::metadata(path).map_err(opening)?.is_file() {
        return Ok(None);
    }
    let file = std::fs::File::open(path).map_err(opening)?;
    let metadata = file.metadata().map_err(opening)?;
    let length = usize::try_from(metadata.len())
        .map_err(|_| status!(ResourceExhausted, "file '{path}' of {} bytes is too large", metadata.len()))?;
    if length == 0 {
        return Ok(None);
    }
    let mapping = unix::Mapping::new(&file, length).map_err(|error| file_status(&error, "map file", path))?;
    Ok(Some((file, Arc::new(mapping))))
}

/// Where files cannot be mapped they are read: only the cost differs.
#[cfg(not(unix))]
pub fn map(path: &str) -> Result<ModuleBytes> {
    crate::load::read_module(path)
}

/// The same for parameters.
#[cfg(not(unix))]
pub fn map_parameters(path: &str) -> Result<Arc<ParameterFile>> {
    ParameterFile::open(path)
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::ptr::{self, NonNull};

    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

    /// A private, read-only mapping that lives as long as this value.
    pub struct Mapping {
        base: NonNull<u8>,
        length: usize,
    }

    impl Mapping {
        /// Maps the first `length` bytes; not 0.
        pub fn new(file: &File, length: usize) -> io::Result<Mapping> {
            // SAFETY: no address is asked for, so nothing that exists is replaced.
            let base = unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, file, 0) }?;
            let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
            Ok(Mapping { base, length })
        }
    }

    impl AsRef<[u8]> for Mapping {
        fn as_ref(&self) -> &[u8] {
            // SAFETY: the mapping is readable for `length` bytes until this value is dropped. That nobody changes the
            // file meanwhile is the promise that the user gave with the flag; the bytes of a private mapping are
            // plain integers for which every value is valid.
            unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.length) }
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            // SAFETY: made by `mmap` with this length, unmapped once; every slice of it borrowed this value.
            let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.length) };
            debug_assert!(unmapped.is_ok(), "a mapping ends where it began");
        }
    }

    // SAFETY: read-only memory without thread affinity.
    unsafe impl Send for Mapping {}
    // SAFETY: as above.
    unsafe impl Sync for Mapping {}
}
