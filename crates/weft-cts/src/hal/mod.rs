//! Cases for devices, by family.

pub mod buffer;
pub mod cancel;
pub mod cancel_running;
pub mod causality;
pub mod command;
pub mod deferred;
pub mod dispatch;
pub mod file;
pub mod gate;
pub mod host_call;
pub mod indirect;
pub mod kernels;
pub mod lending;
pub mod lifecycle;
pub mod ordering;
pub mod polled_file;
pub mod pool;
pub mod profile;
pub mod queue;
pub mod scheduling;
pub mod semaphore;
pub mod table;
pub mod transfer;
pub mod transient;
