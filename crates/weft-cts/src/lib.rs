//! Conformance cases and the subjects they run on.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.
