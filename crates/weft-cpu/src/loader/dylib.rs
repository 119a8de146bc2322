//! System libraries: shared objects that the operating system's loader links (`docs/spec/executables.md` §3.1).
//!
//! 1. The library comes from memory: an anonymous file, or an exclusive temporary file that is unlinked at once. No file
//!    and no descriptor outlives the load, unless the library is to be preserved for tools.
//! 2. Everything is bound at load, so that a missing symbol fails the load, not a call.
//! 3. Each load uses a path of its own spelling: the OS loader recognises libraries by path, and would otherwise take a
//!    library whose descriptor happens to have the number of an earlier one for that earlier one.
//!
//! Only where there is `dlopen`. Windows and statically linked programs answer "unsupported".
#![allow(
    unsafe_code,
    reason = "opens libraries, which runs their initializers, and calls their query function"
)]

use std::path::PathBuf;

use weft_hal::ExecutableParams;
use weft_sync::{Result, bail};

use super::{LoadContext, Loader, format};
use crate::executable::CpuExecutable;

/// Loads `system-<type>-<arch>` for the type of shared object of this system.
#[derive(Clone, Debug, Default)]
pub struct SystemLibrary {
    /// Directory in which libraries are written and left for tools; `None` leaves nothing behind.
    pub preserve_in: Option<PathBuf>,
}

/// `system-elf-` and the like; `None` where there is no loader to use.
const FORMAT_PREFIX: Option<&str> = if cfg!(any(not(unix), target_feature = "crt-static")) {
    None
} else if cfg!(target_vendor = "apple") {
    Some("system-dylib-")
} else {
    Some("system-elf-")
};

impl Loader for SystemLibrary {
    fn name(&self) -> &'static str {
        "system-library"
    }

    fn claims(&self, format: &str) -> bool {
        let (Some(prefix), Some(arch)) = (FORMAT_PREFIX, format::HOST_ARCHITECTURE) else { return false };
        // Tables are read with the layout of 64-bit targets.
        cfg!(target_pointer_width = "64") && format::is_for(format, prefix, arch)
    }

    fn load(&self, params: &ExecutableParams<'_>, context: &LoadContext) -> Result<CpuExecutable> {
        let library = library_bytes(params.data)?;
        if let Some(directory) = &self.preserve_in
            && !directory.is_dir()
        {
            bail!(
                InvalidArgument,
                "libraries cannot be preserved in {}: not a directory",
                directory.display()
            );
        }
        system::load(library, self.preserve_in.as_deref(), params, context)
    }
}

const FOOTER_BYTES: usize = 48;
const FOOTER_MAGIC: &[u8; 8] = b"IREEDBG\0";

/// The library without the debug database that may follow it.
fn library_bytes(blob: &[u8]) -> Result<&[u8]> {
    let Some((content, footer)) = blob.split_last_chunk::<FOOTER_BYTES>() else { return Ok(blob) };
    if !footer.starts_with(FOOTER_MAGIC) {
        return Ok(blob);
    }
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&footer[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let part = |what: &str, offset: u64, size: u64| {
        let range = offset.checked_add(size).filter(|&end| end <= content.len() as u64);
        match range {
            Some(end) => Ok(&content[offset as usize..end as usize]),
            None => bail!(
                OutOfRange,
                "footer: {what} of {size} bytes at offset {offset} exceeds the {} bytes before it",
                content.len()
            ),
        }
    };
    part("debug database", word(32), word(40))?;
    part("library", word(16), word(24))
}

#[cfg(all(unix, not(target_feature = "crt-static")))]
mod system {
    use std::ffi::OsString;
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering};

    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    use weft_hal::ExecutableParams;
    use weft_sync::{Code, Result, Status, bail, status};

    use crate::abi::{QUERY_SYMBOL, QueryFunction};
    use crate::executable::CpuExecutable;
    use crate::loader::process_memory::ProcessMemory;
    use crate::loader::{LoadContext, publish};

    pub(super) fn load(
        bytes: &[u8],
        preserve_in: Option<&Path>,
        params: &ExecutableParams<'_>,
        context: &LoadContext,
    ) -> Result<CpuExecutable> {
        make_mathematics_global();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let library = match preserve_in {
            Some(directory) => open_preserved(bytes, directory, number),
            None => open_from_memory(bytes, number),
        }?;
        // SAFETY: the symbol's name promises its type; the function is used while `library` lives.
        let function = unsafe { library.get::<QueryFunction>(QUERY_SYMBOL.as_bytes()) };
        let Ok(function) = function else {
            bail!(FailedPrecondition, "system library does not export `{QUERY_SYMBOL}`");
        };
        let environment = publish::environment(params, context);
        // SAFETY: the library is loaded and initialised.
        let table = unsafe { publish::query(*function, &environment) }?;
        // SAFETY: the table is one of the interface, as the query function's name promises, and lives as long as `library`, which
        // outlives `memory`.
        let memory = unsafe { ProcessMemory::new() };
        let published = publish::read(&memory, table, params)?;
        // SAFETY: the functions are kernels of `library`, which moves along.
        unsafe { publish::assemble(published, environment, Box::new(library), context) }
    }

    /// Makes paths and names unique in this process.
    static NEXT: AtomicU32 = AtomicU32::new(0);

    /// Compiled libraries name no dependencies but may leave functions of libm undefined, which a Rust program need not have
    /// loaded. Where libm is part of libc there is nothing to do, so a failure says nothing.
    fn make_mathematics_global() {
        use std::sync::Once;
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            if cfg!(all(target_os = "linux", target_env = "gnu")) {
                let flags = RTLD_NOW | libloading::os::unix::RTLD_GLOBAL;
                // SAFETY: the C library's own mathematics; its initializers have no preconditions.
                let library = unsafe { Library::open(Some("libm.so.6"), flags) };
                // Never closed: libraries loaded later refer to it.
                std::mem::forget(library);
            }
        });
    }

    fn open(path: &Path) -> Result<Library> {
        // SAFETY: compiler output has no initializers; whatever else the caller loads runs with the rights of the process, as
        // do its kernels: loading native code is the point of this loader.
        unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| open_failure(&error))
    }

    #[cold]
    fn open_failure(error: &libloading::Error) -> Status {
        // The error itself says only which call failed.
        let text = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        // Both C libraries of Linux, and Apple's, say so in words only.
        let missing = ["undefined symbol", "symbol not found", "Symbol not found"];
        let code = if missing.iter().any(|words| text.contains(words)) {
            Code::Unavailable
        } else {
            Code::FailedPrecondition
        };
        Status::new(code, format!("the system cannot load the library: {text}"))
    }

    fn open_preserved(bytes: &[u8], directory: &Path, number: u32) -> Result<Library> {
        let path = directory.join(file_name(number));
        write_file(&path, bytes)?;
        open(&path)
    }

    fn file_name(number: u32) -> String {
        format!("weft-{}-{number}.so", std::process::id())
    }

    fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        file.and_then(|mut file| file.write_all(bytes))
            .map_err(|error| status!(Unavailable, "cannot write the library to {}: {error}", path.display()))
    }

    fn open_from_memory(bytes: &[u8], number: u32) -> Result<Library> {
        match anonymous_file(bytes) {
            Some(file) => open(&path_of(&file, number)),
            None => {
                let path = std::env::temp_dir().join(file_name(number));
                let written = write_file(&path, bytes);
                let library = written.and_then(|()| open(&path));
                // Whether or not it could be opened, nobody needs the name any more.
                std::fs::remove_file(&path).ok();
                library
            }
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn anonymous_file(bytes: &[u8]) -> Option<File> {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
        use rustix::io::Errno;
        const NAME: &str = "weft-executable";
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Systems may make anonymous files non-executable unless asked, or forbid to ask; kernels before 6.3 do not know the
        // question.
        let file = match memfd_create(NAME, flags | MemfdFlags::EXEC) {
            Err(Errno::INVAL) => memfd_create(NAME, flags),
            outcome => outcome,
        };
        let mut file = File::from(file.ok()?);
        file.write_all(bytes).ok()?;
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&file, seals).ok()?;
        Some(file)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn anonymous_file(_bytes: &[u8]) -> Option<File> {
        None
    }

    /// The file's path in /proc, spelled as no load before: `number` in binary, as `./` and `.//`.
    fn path_of(file: &File, number: u32) -> PathBuf {
        let mut path = OsString::from("/proc/self/fd/");
        for bit in 0..u32::BITS - number.leading_zeros() {
            path.push(if number >> bit & 1 == 0 { "./" } else { ".//" });
        }
        path.push(file.as_raw_fd().to_string());
        path.into()
    }
}

#[cfg(not(all(unix, not(target_feature = "crt-static"))))]
mod system {
    use std::path::Path;

    use weft_hal::ExecutableParams;
    use weft_sync::{Result, bail};

    use crate::executable::CpuExecutable;
    use crate::loader::LoadContext;

    pub(super) fn load(
        _bytes: &[u8],
        _preserve_in: Option<&Path>,
        _params: &ExecutableParams<'_>,
        _context: &LoadContext,
    ) -> Result<CpuExecutable> {
        bail!(Unavailable, "system libraries cannot be loaded by this build")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sync::Code;

    fn with_footer(content: &[u8], library: (u64, u64), debug: (u64, u64)) -> Vec<u8> {
        let mut blob = content.to_vec();
        blob.extend(FOOTER_MAGIC);
        blob.extend([0; 8]);
        for word in [library.0, library.1, debug.0, debug.1] {
            blob.extend(word.to_le_bytes());
        }
        blob
    }

    /// [exec 31]
    #[test]
    fn a_footer_says_where_the_library_is() {
        let content: Vec<u8> = (0..100).collect();
        assert_eq!(library_bytes(&content).unwrap(), content);
        assert_eq!(library_bytes(&with_footer(&content, (0, 64), (64, 36))).unwrap(), &content[..64]);
        assert_eq!(library_bytes(&with_footer(&content, (16, 64), (80, 20))).unwrap(), &content[16..80]);
        assert_eq!(library_bytes(&with_footer(&content, (0, 100), (0, 0))).unwrap(), content);
        let out = [
            ((0, 101), (0, 0)),
            ((101, 0), (0, 0)),
            ((0, 1), (100, 1)),
            ((u64::MAX, 2), (0, 0)),
            ((0, 1), (1, u64::MAX)),
        ];
        for (library, debug) in out {
            let code = library_bytes(&with_footer(&content, library, debug)).unwrap_err().code();
            assert_eq!(code, Code::OutOfRange, "{library:?} {debug:?}");
        }
        let only_footer = with_footer(&[], (0, 0), (0, 0));
        assert_eq!(library_bytes(&only_footer).unwrap(), []);
    }
}
