//! Text form of tensors: `2x3xf32=[1 2 3][4 5 6]`.
//!
//! What lives here: reading it (`parse.rs`), writing it (`format.rs`), single numbers in C notation (`number.rs`).
//! What does not: where the bytes live; everything here works on plain byte slices.

mod format;
mod number;
mod parse;

pub use format::{format_element, format_tensor, write_tensor};
pub use number::{NumberStyle, format_float, parse_f32, parse_f64, parse_integer};
pub use parse::{TensorText, count_values, parse_values};
