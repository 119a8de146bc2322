//! Conformance cases and the subjects they run on.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.
//!
//! A [`Case`] says what it needs; a [`Subject`] says what it has. `tests/<subject>.rs` names the families that it runs,
//! and each pair becomes a test called `subject::family::case`.

pub mod case;
pub mod hal;
pub mod harness;
mod plain;
pub mod subject;

pub use case::{Caps, Case};
pub use subject::Subject;
