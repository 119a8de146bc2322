//! From bytes to running kernels: loaders, library tables, imports, Rust kernels, dispatch geometry.
//!
//! One program for all of it, as linking costs more than running. `samples.rs` holds the compiled inputs and how to load
//! them; `patch.rs` damages ELF files field by field; each other file is one topic.

mod bundled;
#[cfg(target_arch = "x86_64")]
mod damaged_elf;
#[cfg(all(unix, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod embedded_elf;
mod formats;
#[cfg(all(unix, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod geometry;
#[cfg(all(unix, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod imports;
mod library_table;
// Only where the kernel's own memory map is seen: emulators of other machines make up theirs.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod mapping;
mod patch;
mod rust_kernels;
mod samples;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod system_library;
