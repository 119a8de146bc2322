//! The device contract: buffers, commands, queues, executables, and the validation in front of every device.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.

mod element;
mod minifloat;
mod number_format;
mod shape;
pub mod text;

pub use element::{ElementClass, ElementType, Encoding};
pub use minifloat::MiniFloat;
pub use number_format::{NumberFormat, Signedness};
pub use shape::Shape;
