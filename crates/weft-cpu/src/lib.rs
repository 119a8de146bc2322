//! CPU devices: kernel loading, dispatch and the local-sync device.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.
