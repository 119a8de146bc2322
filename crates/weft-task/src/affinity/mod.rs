//! Sets of workers.
//!
//! What lives here: [`AffinitySet`], a plain value, and [`AtomicAffinitySet`] (`atomic.rs`), which many threads change.
//! Both are fixed arrays of words, so that they can be part of other structures and be copied without allocation. Bits
//! are indices of workers (or of groups of a topology), never ids of processors: those have no upper bound.

mod atomic;
mod set;

pub use atomic::AtomicAffinitySet;
pub use set::{AffinitySet, Indices};
