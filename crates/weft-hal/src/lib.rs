//! The device contract: buffers, commands, queues, executables, and the validation in front of every device.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.

mod element;
mod shape;

pub use element::{ElementClass, ElementType, Encoding};
pub use shape::Shape;
