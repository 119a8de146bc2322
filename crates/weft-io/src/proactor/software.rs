//! Kinds that no kernel sees: waiting for semaphores and notifications, and messages on their way in.
//!
//! What lives here: what the poll thread does when one of them is decided, heard of, or cancelled. What does not: how a
//! wait is decided (`ops/semaphore.rs`), how a signal gets here (`listener.rs`, `shared.rs`).

use super::core::{Core, Place};
use crate::listener::{Listener, Waiter};
use crate::ops::{Body, NotificationWait};
use crate::shared::Shared;
use crate::table::NONE;
use std::sync::Arc;
use weft_sync::Result;
use weft_sync::atomic::lock;

impl Core {
    /// Waits that timelines have decided.
    pub(super) fn take_fired(&mut self) {
        let mut slot = self.shared().fired.drain();
        while slot != NONE {
            let after = self.shared().fired.after(slot);
            self.end_fired(slot);
            slot = after;
        }
    }

    pub(super) fn end_fired(&mut self, slot: u32) {
        let entry = self.entry(slot);
        debug_assert_eq!(entry.place, Place::Armed, "a slot fires once for each use");
        let Some(mut operation) = entry.operation.take() else { return };
        if let Body::SemaphoreWait(wait) = operation.body() {
            let outcome = wait.conclude();
            self.conclude(slot, operation, outcome);
        }
    }

    /// A wait that is decided already fires, or has: then it ends by that.
    pub(super) fn cancel_armed(&mut self, slot: u32) {
        let Some(operation) = &mut self.entry(slot).operation else { return };
        if let Body::SemaphoreWait(wait) = operation.body()
            && wait.withdraw()
        {
            self.withdraw(slot);
        }
    }

    /// Joins the waiters of a notification. `true`: it was signalled since the token was taken.
    pub(super) fn listen(shared: &Arc<Shared>, slot: u32, wait: &mut NotificationWait) -> bool {
        let notification = &wait.notification;
        let token = wait.captured();
        if notification.epoch() != token {
            return true;
        }
        let listener = notification.listener(shared);
        wait.number = lock(&listener.waiters).push(slot, token);
        notification.listen_outside(shared);
        // Rule 3 of `notification.rs`: first the listener is there, then it looks.
        if notification.look() == token {
            return false;
        }
        lock(&listener.waiters).leave(wait.number);
        true
    }

    pub(super) fn cancel_listening(&mut self, slot: u32) {
        let shared = Arc::clone(self.shared());
        let Some(operation) = &mut self.entry(slot).operation else { return };
        if let Body::NotificationWait(wait) = operation.body() {
            lock(&wait.notification.listener(&shared).waiters).leave(wait.number);
            self.withdraw(slot);
        }
    }

    /// Notifications that were signalled.
    pub(super) fn take_heard(&mut self) {
        let shared = Arc::clone(self.shared());
        shared.heard.drain(|listener| {
            self.tell_heard(&listener);
            self.contain(|| drop(listener));
        });
    }

    fn tell_heard(&mut self, listener: &Listener) {
        // Before the look: a signal after it comes here again.
        listener.hear();
        let mut index = 0;
        loop {
            // Not held over the end of a wait: that drops nothing yet, but it is none of a lock's business.
            let Some(waiter) = lock(&listener.waiters).get(index) else { break };
            if waiter.slot != NONE
                && let Some(outcome) = self.verdict(waiter)
            {
                lock(&listener.waiters).leave_at(index);
                self.release(waiter.slot, outcome);
            }
            index += 1;
        }
        lock(&listener.waiters).sweep();
        let hearers = Arc::clone(&lock(&listener.hearers));
        for hearer in hearers.iter() {
            let is_news = self.contain(|| hearer.hear());
            self.tally.is_done |= is_news.unwrap_or(true);
        }
        // Those that have left meanwhile may have nobody else, and each brings what is a user's.
        for hearer in Arc::into_inner(hearers).into_iter().flatten() {
            self.contain(|| drop(hearer));
        }
    }

    /// How this waiter ends, if it does.
    fn verdict(&mut self, waiter: Waiter) -> Option<Result<i64>> {
        let Some(operation) = &mut self.entry(waiter.slot).operation else { return Some(Ok(0)) };
        let Body::NotificationWait(wait) = operation.body() else { return Some(Ok(0)) };
        Some(wait.notification.verdict(waiter.token)?.map(|()| 0))
    }
}
