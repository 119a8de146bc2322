//! Cases for devices, by family.

pub mod buffer;
pub mod command;
pub mod dispatch;
pub mod file;
pub mod indirect;
pub mod kernels;
pub mod queue;
pub mod semaphore;
pub mod table;
pub mod transfer;
pub mod transient;
