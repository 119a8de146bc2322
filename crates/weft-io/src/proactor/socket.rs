//! Operations on sockets: one of a direction at a time, several answers for one, and closing.
//!
//! What lives here: when they begin, what becomes of an answer. What does not: what an answer means to a kind (its `settle`,
//! in `ops/socket`), the lanes themselves (`lanes.rs`).
//!
//! 1. **One operation of a lane is with the backend**: the first. The next begins when that has ended, before its callback:
//!    so whatever a callback submits comes behind those that wait already.
//! 2. What must not begin when its turn comes (its socket was closed, or has failed) ends there and then, in its turn.
//! 3. **Every answer is settled** by its operation, which says how it goes on. What is not over goes to the backend again,
//!    in its place at the head of the lane.
//! 4. A backend may give several answers by itself: each but the last comes with the operation on loan, which goes back to
//!    it (`resume`). To whoever asked there is no difference.
//! 5. **A close ends what is in the lanes of its socket**, by cancelling it; what has not begun by then finds the socket
//!    closed. If other proactors have operations on it, each is told to do the same. Until they poll both directions are
//!    shut down, or the connection is reset where the close would do that, so that the peer sees it; that alone ends most
//!    of what waits, but not all: a listener of this machine that is shut down says no more than that there is nobody. The
//!    file stays until the last of them has left, who closes it.
//! 6. A callback for one of several results that panics ends its operation, with `CANCELLED`.
//! 7. **Whoever closes a socket, or drops the poller, does not wait for the other side**: a send without a copy keeps its
//!    memory until the peer has it, which may be never, and no cancel changes that. So its connection is broken off. What
//!    would have a close itself wait is turned off, see `socket/closing.rs`.

use super::core::{Core, Place};
use crate::ops::Body;
use crate::ops::outcome::{Answer, Direction, Lane, Onward};
use crate::record::Erased;
use crate::socket::Socket;
use crate::table::NONE;
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd};
use weft_sync::{Result, Status};

impl Core {
    /// Begins an operation that waits for a socket, or has it wait for its turn.
    #[inline]
    pub(super) fn start_transfer(&mut self, slot: u32, operation: Erased) {
        if let Some(lane) = operation.lane()
            && !self.lanes.enter(slot, lane)
        {
            return self.keep(slot, operation, Place::Lane);
        }
        self.begin_transfer(slot, operation);
    }

    /// Its turn has come.
    #[inline]
    fn begin_transfer(&mut self, slot: u32, operation: Erased) {
        match operation.obstacle() {
            None => self.hand_over(slot, operation),
            // Rule 2.
            Some(why) => self.conclude(slot, operation, Err(why)),
        }
    }

    /// Rule 1. The operation has ended.
    #[inline]
    pub(super) fn leave_lane(&mut self, slot: u32) {
        let Some(next) = self.lanes.leave(slot) else { return };
        if let Some(operation) = self.entry(next).operation.take() {
            self.begin_transfer(next, operation);
        }
    }

    /// It waits for its turn, which will not come.
    pub(super) fn cancel_in_lane(&mut self, slot: u32) {
        // It is not the first, or else it would be with the backend.
        let _ = self.lanes.leave(slot);
        self.withdraw(slot);
    }

    /// Rule 3: the backend has given the operation back.
    #[inline]
    pub(super) fn take_answer(&mut self, slot: u32, mut operation: Erased, mut answer: Answer) {
        let is_cancelled = self.shared().table.is_cancelled(slot);
        match operation.settle(&mut answer, is_cancelled) {
            Onward::End => {}
            Onward::Fail(code) => {
                let why = Status::new(code, "the socket has failed before");
                return self.end(slot, operation, Err(why));
            }
            Onward::Again => return self.hand_over(slot, operation),
            Onward::Tell => {
                self.tell_shot(slot, &mut operation, answer.unwrap_or(0));
                match self.shared().table.is_cancelled(slot) {
                    false => return self.hand_over(slot, operation),
                    true => answer = Err(Errno::CANCELED.raw_os_error()),
                }
            }
        }
        let outcome = match answer {
            Ok(value) => Ok(value),
            Err(errno) => Err(self.failure(errno, &mut operation)),
        };
        self.end(slot, operation, outcome);
    }

    /// Rule 4: one of several answers.
    pub(super) fn settle_shot(&mut self, slot: u32, mut operation: Erased, value: i64) {
        let is_cancelled = self.shared().table.is_cancelled(slot);
        let mut answer = Ok(value);
        let onward = operation.settle(&mut answer, is_cancelled);
        if onward == Onward::Tell {
            self.tell_shot(slot, &mut operation, value);
        }
        self.backend.resume(slot, operation);
        let is_wanted = matches!(onward, Onward::Tell | Onward::Again);
        if !is_wanted || (!is_cancelled && self.shared().table.is_cancelled(slot)) {
            // Also rule 6.
            let key = self.shared().table.key(slot);
            self.backend.cancel(key);
        }
    }

    fn tell_shot(&mut self, slot: u32, operation: &mut Erased, value: i64) {
        self.tally.count(1);
        if self.contain(|| operation.shot(value)).is_none() {
            // Rule 6.
            self.shared().table.cancel_here(slot);
        }
    }

    /// How one ends that was cancelled while it waited for room in the backend.
    pub(super) fn cancelled(&self, operation: &mut Erased) -> Result<i64> {
        let mut answer = Err(Errno::CANCELED.raw_os_error());
        // One that had begun may have got somewhere.
        if operation.kind().is_transfer() && operation.settle(&mut answer, true) == Onward::End {
            return answer.map_err(|_| self.bare.cancelled.clone());
        }
        Err(self.bare.cancelled.clone())
    }

    /// Rule 5.
    pub(super) fn close_socket(&mut self, slot: u32, mut operation: Erased) {
        let Body::SocketClose(socket) = operation.body() else {
            return self.conclude(slot, operation, Ok(0));
        };
        let socket = Socket::clone(socket);
        if socket.begin_close().is_ok() {
            let own = self.cancel_lanes(&socket);
            // Others than these may also be own ones that have not begun; it does them no harm.
            let has_others = socket.pending() > own;
            // What a ring has been handed may name the socket by its place, also when it comes to it later, so whoever is the
            // last to leave empties that.
            let is_named = own > 0 && socket.is_known();
            if has_others || is_named {
                socket.end_for_peer();
            }
            if has_others {
                #[cfg(not(loom))]
                crate::directory::others(self.shared(), |other| other.tell_closed(socket.clone()));
            }
            // SeqCst: whoever left before the close had begun is not counted any more; whoever leaves later looks.
            if !(has_others || is_named) || socket.pending() == 0 {
                socket.close_now();
            }
        }
        self.conclude(slot, operation, Ok(0));
    }

    /// Rule 7.
    pub(super) fn let_go(&mut self, slot: u32) {
        if self.entry(slot).place == Place::Backend {
            let key = self.shared().table.key(slot);
            self.backend.let_go(key);
        }
    }

    /// Cancels everything in the lanes of a socket, and says how much that was.
    pub(super) fn cancel_lanes(&mut self, socket: &Socket) -> u32 {
        let handle = socket.as_fd().as_raw_fd() as u32;
        let mut count = 0;
        for direction in [Direction::In, Direction::Out] {
            let mut slot = self.lanes.first(Lane { handle, direction });
            while slot != NONE {
                let behind = self.lanes.behind(slot);
                self.shared().table.cancel_here(slot);
                self.cancel(slot);
                self.let_go(slot);
                count += 1;
                slot = behind;
            }
        }
        count
    }
}
