//! Opening the three.
//!
//! 1. A mechanism that this system does not have is `UNAVAILABLE`, as one that a filter forbids is.
//! 2. Each is used once before it is given out: what cannot wait is found out now.

use super::super::open::Opened;
use super::super::{Backend, Waker};
use super::Readiness;
#[cfg(target_os = "linux")]
use super::epoll::Epoll;
use super::event_set::EventSet;
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
use super::kqueue::Kqueue;
use super::poll::PollSet;
use crate::capability::Capabilities;
use crate::config::Config;
use crate::errno::failure;
use crate::event_handle::new_event_handle;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use weft_sync::{Code, Result, Status};

/// Opens readiness by epoll.
pub(in crate::backend) fn open_epoll(config: &Config) -> Result<Opened> {
    #[cfg(target_os = "linux")]
    return open(config, "epoll", |wake| {
        let set = Epoll::new(wake)?;
        let details = match set.has_nanoseconds() {
            true => "limits in nanoseconds",
            false => "limits in milliseconds",
        };
        Ok((EventSet::Epoll(set), details))
    });
    #[cfg(not(target_os = "linux"))]
    absent(config, "epoll")
}

/// Opens readiness by `poll(2)`.
pub(in crate::backend) fn open_poll(config: &Config) -> Result<Opened> {
    open(config, "poll", |wake| Ok((EventSet::Poll(PollSet::new(wake)?), "one array for each wait")))
}

/// Opens readiness by kqueue.
pub(in crate::backend) fn open_kqueue(config: &Config) -> Result<Opened> {
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    return open(config, "kqueue", |wake| {
        Ok((EventSet::Kqueue(Kqueue::new(wake)?), "limits in nanoseconds"))
    });
    #[cfg(not(any(target_vendor = "apple", target_os = "freebsd")))]
    absent(config, "kqueue")
}

type Made = std::result::Result<(EventSet, &'static str), Errno>;

fn open(config: &Config, what: &str, make: impl FnOnce(BorrowedFd<'_>) -> Made) -> Result<Opened> {
    let wake = Arc::new(new_event_handle().map_err(|status| unavailable(&status))?);
    let (set, details) = make(wake.as_fd()).map_err(|errno| unavailable(&failure(errno, what)))?;
    let backend = Readiness::new(set, Arc::clone(&wake), config.operations_max);
    // Deadlines are absolute in the proactor's heap; fences are handles that are watched.
    let mut detected = Capabilities::ABSOLUTE_TIMEOUT;
    // Elsewhere there are no handles that are fences.
    detected.set(Capabilities::DEVICE_FENCE, cfg!(target_os = "linux"));
    Ok(Opened {
        backend: Backend::Readiness(Box::new(backend)),
        waker: Waker::Handle(wake),
        details: details.to_owned(),
        detected,
    })
}

fn unavailable(status: &Status) -> Status {
    Status::new(Code::Unavailable, status.message().to_string())
}

fn absent(_config: &Config, what: &str) -> Result<Opened> {
    Err(Status::new(Code::Unavailable, format!("this system has no {what}")))
}
