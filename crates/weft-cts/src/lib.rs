//! Conformance cases and the subjects they run on.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.
//!
//! A [`Case`] says what it needs; a [`Subject`] says what it has. `tests/<subject>.rs` names the families that it runs,
//! and each pair becomes a test called `subject::family::case`. The cases in `hal` are about devices, those in `io` about
//! proactors.

pub mod case;
pub mod hal;
pub mod harness;
#[cfg(target_os = "linux")]
pub mod io;
mod plain;
pub mod subject;

pub use case::{Caps, Case, Tested};
pub use subject::Subject;
