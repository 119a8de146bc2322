//! Parameters through the library: archives read, hostile archives refused, batches between files and device buffers.
//!
//! What lives here: the list of parts. What does not: whole programs with parameters (the corpus), the command line.

mod archives;
mod batches;
mod build;
mod cancelled;
mod faults;
mod foreign;
mod harness;
#[path = "../imports/harness.rs"]
#[allow(dead_code, reason = "only the values and the module around a call are used here")]
mod imports;
mod modes;
mod notifications;
mod short_memory;
mod small;
mod transfer_faults;
