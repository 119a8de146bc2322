//! Compiled modules: archive, verifier, interpreter, native modules.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.

pub mod archive;
pub mod isa;
pub mod module_bytes;
pub mod signature;
pub mod type_table;

pub use archive::Archive;
pub use module_bytes::ModuleBytes;
