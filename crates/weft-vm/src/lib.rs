//! Compiled modules: archive, verifier, interpreter, native modules.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.

pub mod archive;
pub mod assemble;
mod backtrace;
mod buffer;
mod context;
mod cpu;
pub mod debug_info;
mod direct_call;
pub mod disassemble;
mod effects;
mod function;
mod gate;
mod interpret;
mod invocation;
pub mod isa;
mod link;
mod list;
mod machine;
mod module;
pub mod module_builder;
pub mod module_bytes;
pub mod native;
mod ops;
mod quicken;
mod reference;
pub mod reflection;
mod run;
pub mod signature;
mod siphash;
mod stack;
mod state;
pub mod type_table;
mod types;
mod value;
pub mod verify;

pub use archive::Archive;
pub use buffer::{Buffer, BufferOrigin, Cells, CellsMut, Element};
pub use context::Context;
pub use function::{Function, InvokeOptions};
pub use invocation::{CallFuture, Invocation, Progress};
pub use list::{ElementType, List};
pub use module::{BytecodeModule, Module};
pub use module_bytes::{ModuleBytes, SharedBytes};
pub use native::NativeModule;
pub use reference::Ref;
pub use reflection::Linkage;
pub use type_table::ValueType;
pub use types::{Instance, InstanceOptions, PrintHook, PrintKind, RefType, TypeSpec};
pub use value::Value;
pub use weft_sync::CancelToken;
