//! Cases for proactors, by family.

pub mod chain;

pub mod lifecycle;
pub mod load;

pub mod poll;

pub mod sequence;

pub mod subject;
pub mod submission;
mod system;
pub mod timer;
pub mod wake;
