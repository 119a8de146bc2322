//! Compiled modules: archive, verifier, interpreter, native modules.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.
