//! Compiled modules: archive, verifier, interpreter, native modules.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.

pub mod archive;
pub mod assemble;
mod buffer;
pub mod debug_info;
pub mod disassemble;
pub mod isa;
mod list;
pub mod module_builder;
pub mod module_bytes;
pub mod native;
mod reference;
pub mod signature;
mod siphash;
pub mod type_table;
mod types;
mod value;
pub mod verify;

pub use archive::Archive;
pub use buffer::{Buffer, BufferOrigin};
pub use list::{ElementType, List};
pub use module_bytes::{ModuleBytes, SharedBytes};
pub use native::NativeModule;
pub use reference::Ref;
pub use type_table::ValueType;
pub use types::{Instance, InstanceOptions, PrintHook, PrintKind, RefType, TypeSpec};
pub use value::Value;
