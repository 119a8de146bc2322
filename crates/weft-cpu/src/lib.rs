//! CPU devices: kernel loading, dispatch and the local-sync device.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.

pub mod abi;
pub mod dispatch;
pub mod executable;
pub mod float_mode;
pub mod loader;
pub mod native;
