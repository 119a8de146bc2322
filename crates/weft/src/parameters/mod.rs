//! Weights by name: archives of parameters, and the module through which programs load them.
//!
//! ```no_run
//! use weft::parameters::{ParameterFile, ParameterScopes};
//!
//! let mut scopes = ParameterScopes::new();
//! scopes.add("model", "model.safetensors", &ParameterFile::open("model.safetensors")?)?;
//! let session = weft::Session::builder().parameters(scopes).build()?;
//! let program = session.load("model.vmfb")?;
//! # weft::Result::Ok(())
//! ```
//!
//! Headers of archives are read when they are added. The bytes go from the file into device buffers when a program asks
//! for them, several transfers at a time; bytes that are in memory already are used in place where the program and their
//! alignment allow it.
//!
//! What lives here: the list of parts.
//!
//! | part | what |
//! |---|---|
//! | `file.rs` | files and memory with parameters |
//! | `index.rs` | parameters by name |
//! | `archive.rs`, `safetensors.rs` (with `json.rs`), `gguf.rs` | reading the three formats |
//! | `archive_writer.rs` | writing archives |
//! | `provider.rs` | scopes, and who answers for them |
//! | `module.rs` | what programs import |
//! | `batch.rs`, `splats.rs`, `lend.rs` | transfers, patterns, and memory used in place |

mod archive;
mod archive_writer;
mod batch;
mod file;
mod gguf;
mod index;
mod json;
mod lend;
mod module;
mod provider;
mod safetensors;
mod splats;

pub use archive_writer::{ArchiveLayout, DATA_ALIGNMENT, PlacedEntry, Storage, write_file};
pub use batch::TransferObserver;
pub use file::ParameterFile;
pub use index::{PATTERN_BYTES_MAX, ParameterEntry, ParameterIndex, ParameterKind, SplatPattern};
pub use module::{ParameterModuleOptions, module};
pub use provider::{ArchiveFormat, IndexProvider, ParameterProvider, ParameterScopes, read_archive};
