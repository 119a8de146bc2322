//! Benchmarks: floor, weft and peer in one run.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.
