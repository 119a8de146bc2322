//! Cases for proactors, by family.

pub mod buffer;
pub mod cancellation;
pub mod chain;
pub mod event;
pub mod event_source;
pub mod exhaustion;
pub mod fence;
pub mod file;
pub mod futex;
pub mod lifecycle;
pub mod load;
pub mod message;
pub mod notification;
pub mod poll;
pub mod race;
pub mod random;
pub mod relay;
pub mod semaphore;
pub mod sequence;
pub mod shutdown;
pub mod subject;
pub mod submission;
mod system;
pub mod timer;
pub mod wake;
