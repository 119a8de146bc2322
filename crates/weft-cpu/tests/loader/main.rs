//! From bytes to running kernels: loaders, library tables, imports, Rust kernels, dispatch geometry.
//!
//! One program for all of it, as linking costs more than running. `samples.rs` holds the compiled inputs and how to load
//! them; `patch.rs` damages ELF files field by field; each other file is one topic.

mod bundled;
#[cfg(target_arch = "x86_64")]
mod damaged_elf;
#[cfg(target_arch = "x86_64")]
mod embedded_elf;
mod formats;
#[cfg(target_arch = "x86_64")]
mod geometry;
#[cfg(target_arch = "x86_64")]
mod imports;
mod library_table;
#[cfg(target_arch = "x86_64")]
mod mapping;
mod patch;
mod rust_kernels;
mod samples;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod system_library;
