//! The kinds of operations: parameters, result and needs of each, one family a file; no operating system.
//!
//! What lives here: [`Kind`], and the form in which every backend gets an operation, `Body`. What does not: how one is
//! lowered (`backend/*/lower.rs`), how those that need no kernel are carried out (`proactor/software.rs`).

pub(crate) mod body;
#[cfg(unix)]
mod event;
#[cfg(unix)]
mod file;
mod futex;
mod message;
mod nop;
mod notification;
pub(crate) mod outcome;
mod semaphore;
mod sequence;
#[cfg(unix)]
mod socket;
mod timer;

pub(crate) use body::Body;
#[cfg(unix)]
pub use event::{EventWait, HandlePoll, Interest, Ready};
#[cfg(unix)]
#[allow(unused_imports, reason = "for backends that have worker threads carry them out")]
pub(crate) use file::carry_out;
#[cfg(unix)]
pub use file::{FileClose, FileFlags, FileOpen, FileRead, FileSync, FileWrite, TRANSFER_MAX};
#[cfg(unix)]
pub(crate) use file::{Transfer, explain};
pub use futex::{FutexWait, FutexWake};
pub use message::Message;
pub use nop::Nop;
pub use notification::{NotificationSignal, NotificationWait};
#[cfg(loom)]
pub use semaphore::Tracker;
pub use semaphore::{SemaphoreSignal, SemaphoreWait, WaitMode};
pub use sequence::{Advance, Sequence, Step};
#[cfg(all(unix, not(loom)))]
pub(crate) use socket::Pooled;
#[cfg(unix)]
pub use socket::{
    Accept, AcceptMany, Accepted, Connect, Received, Recv, RecvFrom, RecvMany, Send, SendFlags, SendTo, Sent,
    SocketClose,
};
#[cfg(all(unix, not(loom)))]
pub use socket::{PooledRecv, RecvPool, RecvPoolMany};
pub use timer::Timer;

/// What kind of operation. The numbers are those of traces and dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// [`Nop`].
    Nop = 0,
    /// [`Timer`].
    Timer = 1,
    /// [`EventWait`].
    EventWait = 2,
    /// [`SemaphoreWait`].
    SemaphoreWait = 3,
    /// [`SemaphoreSignal`].
    SemaphoreSignal = 4,
    /// [`Sequence`].
    Sequence = 5,
    /// [`Accept`], [`AcceptMany`].
    SocketAccept = 6,
    /// [`Connect`].
    SocketConnect = 7,
    /// [`Recv`], [`RecvMany`].
    SocketRecv = 8,
    /// [`RecvPool`], [`RecvPoolMany`].
    SocketRecvPool = 9,
    /// [`Send`].
    SocketSend = 10,
    /// [`SendTo`].
    SocketSendTo = 11,
    /// [`RecvFrom`].
    SocketRecvFrom = 12,
    /// [`SocketClose`].
    SocketClose = 13,
    /// Opening a file.
    FileOpen = 14,
    /// Reading from a place in a file.
    FileRead = 15,
    /// Writing to a place in a file.
    FileWrite = 16,
    /// Closing a file.
    FileClose = 17,
    /// [`FutexWait`].
    FutexWait = 18,
    /// [`FutexWake`].
    FutexWake = 19,
    /// [`NotificationWait`].
    NotificationWait = 20,
    /// [`NotificationSignal`].
    NotificationSignal = 21,
    /// [`HandlePoll`].
    HandlePoll = 22,
    /// [`Message`].
    Message = 23,
    /// Waiting until a file is on its device.
    FileSync = 24,
}

impl Kind {
    /// Whether the kernel carries it out.
    pub(crate) fn is_kernel(self) -> bool {
        matches!(self, Kind::Nop | Kind::EventWait | Kind::FutexWait | Kind::FutexWake | Kind::HandlePoll)
            || self.is_transfer()
            || self.is_file()
    }

    /// Whether it waits for a socket: the kernel carries it out. Closing one does not wait.
    #[inline]
    pub(crate) fn is_transfer(self) -> bool {
        (Kind::SocketAccept as u8..=Kind::SocketRecvFrom as u8).contains(&(self as u8))
    }

    /// Whether it works on a file.
    pub(crate) fn is_file(self) -> bool {
        (Kind::FileOpen as u8..=Kind::FileClose as u8).contains(&(self as u8)) || self == Kind::FileSync
    }

    /// Whether the number that it ends with is a handle, which its parameters have to take
    /// ([`Lower::keep`](crate::operation::sealed::Lower::keep)).
    #[inline]
    pub(crate) fn gives_handle(self) -> bool {
        self == Kind::FileOpen
    }

    /// Whether the kernel carries it out without waiting for anything, and fails exactly if the operation does. Only
    /// such an operation may have its successor linked to it in the kernel: one that waits would have to be cancelled
    /// with its successor, and predecessors are none of a cancel's business.
    pub(crate) fn is_instant(self) -> bool {
        matches!(self, Kind::Nop | Kind::FutexWake)
    }
}
