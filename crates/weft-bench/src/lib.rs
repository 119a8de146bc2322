//! Benchmarks: floor, weft and peer in one run.
//!
//! A figure by itself says little on a noisy machine; a ratio between things measured in turn says more. So a
//! benchmark names its subjects, they run in turn for several rounds, and the table shows the median of each and
//! the median of the ratios to the first, round by round.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.

pub mod kernel;
pub mod measure;
pub mod peer;
pub mod stream;
pub mod table;

pub use measure::{Figure, Subject, measure, measure_busy};
pub use table::{Published, Table};
