//! Recordings as blocks of commands: compiled once, run by any number of submissions and threads.
//!
//! | file              | what lives there                                              |
//! |-------------------|---------------------------------------------------------------|
//! | `isa.rs`          | the table of commands and their layout                        |
//! | `storage.rs`      | raw words of one block                                        |
//! | `builder.rs`      | commands of the front → blocks, regions, fixups               |
//! | `recording.rs`    | the finished recording                                        |
//! | `operands.rs`     | what fixups are in one submission                             |
//! | `alone.rs`        | running on one thread                                         |
//! | `together.rs`     | running on several: tiles                                     |
//! | `watch.rs`        | what is seen of a run, if its device is profiled              |
//! | `report.rs`       | what was seen → records of the profile                        |
//! | `disassemble.rs`  | blocks as text                                                |

mod alone;
mod builder;
mod disassemble;
mod isa;
mod operands;
mod recording;
mod report;
mod storage;
#[cfg(test)]
mod tests;
mod together;
mod watch;

pub(crate) use alone::{Scratch, run_alone};
pub(crate) use builder::BlockBuilder;
pub(crate) use operands::Operands;
pub(crate) use recording::{BlockRecorder, BlockRecording, Blocks};
pub(crate) use report::Done;
pub(crate) use together::{Share, ShareEnd};
pub(crate) use watch::{Nobody, Watch, Watcher};
