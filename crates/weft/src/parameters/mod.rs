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
//! alignment allow it. Parameters below 4 MiB share memory, up to 16 MiB of it, which goes back with the last of them.
//!
//! | a file that is | is read | takes memory | and when it changes on disk |
//! |---|---|---|---|
//! | opened ([`ParameterFile::open`]) | when a program loads | of the device | a file cut short is an error; other changes are read |
//! | preloaded ([`ParameterFile::preload`]) | at once, as a whole | of its own, lent where possible | nothing happens |
//! | mapped ([`ParameterFile::from_mapping`]) | page by page, by whoever uses it | none where it is lent | see below |
//!
//! A mapped file must not be shortened while programs use it. Its length is asked for again before a parameter is lent in
//! place, and what cannot be lent is read from the file, so a file that is too short by then is an error which names the
//! parameter. If it is shortened after that, a kernel that touches a missing page ends the process: the system sends a
//! signal that safe code cannot catch. Whoever cannot rule that out opens or preloads instead.
//!
//! What lives here: the list of parts.
//!
//! | part | what |
//! |---|---|
//! | `file.rs`, `header_reader.rs` | files and memory with parameters; reading their headers |
//! | `index.rs` | parameters by name |
//! | `archive.rs`, `safetensors.rs` (with `json.rs`), `gguf.rs` | reading the three formats |
//! | `archive_writer.rs` | writing archives |
//! | `provider.rs` | scopes, and who answers for them |
//! | `module.rs` | what programs import |
//! | `batch.rs`, `splats.rs`, `lend.rs`, `shared_room.rs` | transfers, patterns, memory used in place and shared memory |
//! | `open_files.rs`, `transfer_count.rs` | files as devices see them, and how far transfers have come |

mod archive;
mod archive_writer;
mod batch;
mod file;
mod gguf;
mod header_reader;
mod index;
mod json;
mod lend;
mod module;
mod open_files;
mod provider;
mod safetensors;
mod shared_room;
mod splats;
mod transfer_count;

pub use archive_writer::{ArchiveLayout, DATA_ALIGNMENT, PlacedEntry, Storage, write_file};
pub use file::ParameterFile;
pub use index::{PATTERN_BYTES_MAX, ParameterEntry, ParameterIndex, ParameterKind, SplatPattern};
pub use module::{ParameterModuleOptions, module};
pub use provider::{ArchiveFormat, IndexProvider, ParameterProvider, ParameterScopes, read_archive};
pub use transfer_count::TransferObserver;
