//! Tests of the `weft` program as its users meet it: arguments in; text, files and an exit code out.
//!
//! One binary, so that there is one thing to link. Each file covers one part of `docs/spec/hal-module.md` §12 and §13;
//! `program.rs` runs the program with a time limit.

mod bench;
mod blocks;
mod check;
mod compare;
mod corpus;
mod devices;
mod dump;
mod encoder;
mod flags;
mod hostile;
mod inputs;
mod json;
mod outputs;
mod params;
mod program;
mod progress;
mod trace;
mod workers;
