//! Runs compiled machine-learning programs: load once, share, call with typed tensors.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.
