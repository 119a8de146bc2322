//! Cases for devices, by family.

pub mod buffer;
pub mod command;
pub mod dispatch;
pub mod file;
pub mod kernels;
pub mod queue;
pub mod semaphore;
