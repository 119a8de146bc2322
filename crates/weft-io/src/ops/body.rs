//! The form in which a backend or the poll thread gets an operation.
//!
//! What lives here: [`Body`]. What does not: which of them the kernel carries out ([`Kind::is_kernel`](super::Kind)).

#[cfg(unix)]
use super::Interest;
#[cfg(all(unix, not(loom)))]
use super::Pooled;
#[cfg(unix)]
use super::{FileOpen, Transfer};
use super::{
    FutexWait, FutexWake, Message, NotificationSignal, NotificationWait, SemaphoreSignal, SemaphoreWait,
    Sequence,
};
#[cfg(unix)]
use crate::address::Address;
#[cfg(unix)]
use crate::frame::{Frame, Spans};
#[cfg(unix)]
use crate::registration::Named;
#[cfg(unix)]
use crate::socket::Socket;
#[cfg(unix)]
use std::os::fd::{BorrowedFd, OwnedFd};
use weft_sync::Deadline;

/// What is to be done, borrowed from the parameters.
pub enum Body<'a> {
    Nop,
    Timer(Deadline),
    #[cfg(unix)]
    EventWait(BorrowedFd<'a>),
    #[cfg(unix)]
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
    FileSync(Named<'a>, bool),
    /// One connection; its address goes to `peer`.
    #[cfg(unix)]
    Accept {
        listener: Named<'a>,
        peer: &'a Frame,
    },
    /// One connection, or, if the backend can, many.
    #[cfg(unix)]
    AcceptMany {
        listener: Named<'a>,
        is_native: bool,
    },
    #[cfg(unix)]
    Connect {
        socket: Named<'a>,
        address: &'a Address,
    },
    /// What is there, at least a byte. With an address if the spans are a frame that expects a sender.
    #[cfg(unix)]
    Recv {
        socket: Named<'a>,
        spans: Spans<'a>,
        /// Probably nothing has come since the last one: to wait is better than to try first.
        is_drained: bool,
    },
    #[cfg(all(unix, not(loom)))]
    RecvPool(Pooled<'a>),
    #[cfg(unix)]
    Send(Sending<'a>),
    #[cfg(unix)]
    SocketClose(&'a Socket),
    /// Whoever closes it takes it out; `None`: there is nothing to close.
    #[cfg(unix)]
    FileClose(&'a mut Option<OwnedFd>),
}

/// Whether the memory of a send may stay where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroCopy {
    /// It is copied.
    No,
    /// It is not, if the kernel has its way.
    Tried,
    /// The same, and the kernel tells whether it was.
    Reported,
}

/// What a send is, or what is left of it.
#[cfg(unix)]
pub struct Sending<'a> {
    pub(crate) socket: Named<'a>,
    /// To an address if they are a frame that names one.
    pub(crate) spans: Spans<'a>,
    /// A stream takes all of it before the send ends, if it can; what it takes less is handed over again.
    pub(crate) is_stream: bool,
    pub(crate) has_more: bool,
    pub(crate) zero_copy: ZeroCopy,
}
