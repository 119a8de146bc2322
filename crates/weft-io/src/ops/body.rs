//! The form in which a backend or the poll thread gets an operation.
//!
//! What lives here: [`Body`]. What does not: which of them the kernel carries out ([`Kind::is_kernel`](super::Kind)).

#[cfg(target_os = "linux")]
use super::Interest;
#[cfg(unix)]
use super::{FileOpen, Transfer};
use super::{
    FutexWait, FutexWake, Message, NotificationSignal, NotificationWait, SemaphoreSignal, SemaphoreWait,
    Sequence,
};
#[cfg(unix)]
use std::os::fd::{BorrowedFd, OwnedFd};
use weft_sync::Deadline;

/// What is to be done, borrowed from the parameters.
pub enum Body<'a> {
    Nop,
    Timer(Deadline),
    #[cfg(target_os = "linux")]
    EventWait(BorrowedFd<'a>),
    #[cfg(target_os = "linux")]
    HandlePoll(BorrowedFd<'a>, Interest),
    FutexWait(&'a FutexWait),
    FutexWake(&'a FutexWake),
    Message(&'a Message),
    SemaphoreWait(&'a mut SemaphoreWait),
    SemaphoreSignal(&'a SemaphoreSignal),
    NotificationWait(&'a mut NotificationWait),
    NotificationSignal(&'a NotificationSignal),
    Sequence(&'a mut Sequence),
    #[cfg(unix)]
    FileOpen(&'a FileOpen),
    #[cfg(unix)]
    FileRead(Transfer<'a>),
    #[cfg(unix)]
    FileWrite(Transfer<'a>),
    /// Whether the bytes alone will do.
    #[cfg(unix)]
    FileSync(BorrowedFd<'a>, bool),
    /// Whoever closes it takes it out; `None`: there is nothing to close.
    #[cfg(unix)]
    FileClose(&'a mut Option<OwnedFd>),
}
