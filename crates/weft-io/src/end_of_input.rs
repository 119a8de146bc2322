//! Whether a read that got nothing has come to the end.
//!
//! What lives here: [`no_more_comes`], [`is_shut`]. What does not: what becomes of those who read then (`ops/socket`, `relay`,
//! `shared_notification.rs`).
//!
//! 1. What is no socket has ended, and so has a stream.
//! 2. A socket that keeps messages apart may have got an empty one. Those of datagrams have no end, unless somebody shuts
//!    them down: then they would get nothing for ever.
//! 3. A socket of datagrams that is shut down is readable for ever, but a read that may not block is told to come again.
#![cfg(unix)]

use rustix::net::{SocketType, sockopt::socket_type};
use std::os::fd::AsFd;

/// Of a handle of which a read has just got nothing.
pub(crate) fn no_more_comes(handle: impl AsFd) -> bool {
    match socket_type(&handle) {
        Err(_) | Ok(SocketType::STREAM) => true,
        #[cfg(target_os = "linux")]
        Ok(_) => is_shut(handle),
        #[cfg(not(target_os = "linux"))]
        Ok(kind) => kind != SocketType::DGRAM,
    }
}

/// Whether nothing more gets in (rule 3).
pub(crate) fn is_shut(handle: impl AsFd) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut handle = [PollFd::new(&handle, PollFlags::RDHUP)];
        let told = poll(&mut handle, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        told.is_ok() && handle[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP)
    }
    // Not asked: it is told as ever.
    #[cfg(not(target_os = "linux"))]
    false
}

#[cfg(all(test, target_os = "linux", not(loom)))]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, recv, send, socketpair};

    /// Empty messages end nothing, the end of a peer that has one does, and so does a shutdown.
    #[test]
    fn messages_may_be_empty() {
        for (kind, has_end) in [(SocketType::DGRAM, false), (SocketType::SEQPACKET, true)] {
            let (here, there) = socketpair(AddressFamily::UNIX, kind, SocketFlags::NONBLOCK, None).unwrap();
            send(&there, &[], SendFlags::empty()).unwrap();
            assert_eq!(recv(&here, &mut [0; 8][..], RecvFlags::empty()).unwrap(), (0, 0));
            assert!(!no_more_comes(&here));
            drop(there);
            assert_eq!(no_more_comes(&here), has_end);
            assert_eq!(is_shut(&here), has_end);
            rustix::net::shutdown(&here, rustix::net::Shutdown::Read).unwrap();
            assert!(no_more_comes(&here) && is_shut(&here));
        }
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(writer);
        assert!(no_more_comes(&reader));
    }
}
