//! The exports of the modules `hal` and `check`, called one by one from bytecode on the device `local-sync`.
//!
//! What lives here: the list of families. What does not: whole programs (`../corpus.rs`, `../programs.rs`).

#![allow(clippy::cloned_ref_to_slice_refs, reason = "lists of arguments look alike whatever their length")]

mod buffers;
mod checks;
mod commands;
mod devices;
mod dispatches;
mod fences;
mod harness;
mod linking;
mod queues;
mod views;
