//! Executables that are bytecode modules: loading them, calling their kernels, the functions that kernels import.
//!
//! Kernels are assembly text (`weft_vm::assemble`) in modules made by hand, so that wrong ones can be had; compiled ones
//! are in `programs.rs` and among `models/programs`.

mod calls;
mod harness;
mod loading;
mod matrices;
mod operations;
mod programs;
