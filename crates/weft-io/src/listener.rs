#![allow(
    unsafe_code,
    reason = "the list of those that heard something holds reference counts through raw pointers"
)]
//! By which a proactor hears of a notification, and the list of what it heard.
//!
//! What lives here: [`Listener`], [`Rosters`], [`Mark`], [`HeardList`]. What does not: when somebody listens (`notification.rs`), what the poll
//! thread does about it (`proactor/software.rs`).
//!
//! 1. A signal marks the listener, and the one that found it unmarked pushes it on the list of its proactor: a listener is
//!    on that list once.
//! 2. The poll thread takes the list whole. Of each listener it takes the mark off *before* it looks at the epoch: a
//!    signal that comes after the look finds no mark, and pushes again.
//! 3. Listeners hold their proactor weakly: neither keeps the other alive.
//! 4. **A proactor knows the rosters that it is on**, weakly as well, and takes itself off when it ends. Who is added is
//!    decided under the lock of [`Rosters`], so nobody is added after that.
//!
//! # Safety
//!
//! A pointer in `head`, or in the link of a listener that is listed, comes from `Arc::into_raw` in `push` and stands for
//! one reference count. Whoever takes it out of `head` owns the counts of the whole chain. A listener is in no chain
//! twice, by rule 1, so nobody else writes its link.

use crate::doorbell::bell;
use crate::roster::Roster;
use crate::shared::Shared;
use crate::table::NONE;
use std::fmt::Debug;
use std::ptr;
use std::sync::{Arc, Weak};
use weft_sync::atomic::{AtomicPtr, AtomicU32, Mutex, Ordering, lock};

/// See the header.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Which proactor hears by it.
    pub(crate) proactor: u32,
    shared: Weak<Shared>,
    mark: Mark,
    link: AtomicPtr<Listener>,
    /// Operations that wait. Only the poll thread changes it.
    pub(crate) waiters: Mutex<Waiters>,
    /// Who else is told, each time. Any thread changes it, by a list of its own; the poll thread goes through the one that
    /// it found.
    pub(crate) hearers: Mutex<Arc<Vec<Arc<dyn Hears>>>>,
}

/// Somebody who is told that there may have been a signal, on the poll thread.
pub(crate) trait Hears: Debug + Send + Sync {
    /// Looks at the epoch. `true`: that was news.
    fn hear(&self) -> bool;
}

/// An operation on a poll thread that waits for a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    /// Its slot; `NONE` when it waits no more.
    pub(crate) slot: u32,
    /// The epoch that is known.
    pub(crate) token: u32,
    /// Rises from one to the next.
    number: u64,
}

/// The operations that wait, in the order in which they began. Those that leave are taken out when they are half of the
/// list, so that any number of them can leave in any order.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    list: Vec<Waiter>,
    gone: usize,
    number: u64,
}

impl Waiters {
    /// Adds one; the number by which it leaves.
    pub(crate) fn push(&mut self, slot: u32, token: u32) -> u64 {
        self.number += 1;
        self.list.push(Waiter { slot, token, number: self.number });
        self.number
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.len() == self.gone
    }

    /// Whoever lies at this index, perhaps gone.
    pub(crate) fn get(&self, index: usize) -> Option<Waiter> {
        self.list.get(index).copied()
    }

    /// Whoever lies at this index has left. The others stay where they are until `sweep`.
    pub(crate) fn leave_at(&mut self, index: usize) {
        if let Some(waiter) = self.list.get_mut(index).filter(|waiter| waiter.slot != NONE) {
            waiter.slot = NONE;
            self.gone += 1;
        }
    }

    /// The one of this number leaves, if it is there.
    pub(crate) fn leave(&mut self, number: u64) {
        if let Ok(index) = self.list.binary_search_by_key(&number, |waiter| waiter.number) {
            self.leave_at(index);
            self.sweep();
        }
    }

    /// Takes out those that have left, if that pays.
    pub(crate) fn sweep(&mut self) {
        if self.gone * 2 > self.list.len() {
            self.list.retain(|waiter| waiter.slot != NONE);
            self.gone = 0;
        }
    }
}

impl Listener {
    /// The listener of a proactor on this roster; the first call makes it. That of a proactor that has ended hears nothing.
    pub(crate) fn of(roster: &Arc<Roster<Listener>>, shared: &Arc<Shared>) -> Arc<Listener> {
        if let Some(listener) = roster.find(shared.id) {
            return listener;
        }
        let mut rosters = lock(&shared.rosters.0);
        // Another thread may have been as quick.
        if let Some(listener) = roster.find(shared.id) {
            return listener;
        }
        let listener = Listener::new(shared);
        if let Some(rosters) = &mut *rosters {
            if rosters.len() == rosters.capacity() {
                // Before there is room for more: so at most half of it is of notifications that are gone, or it is small.
                rosters.retain(|roster| roster.strong_count() > 0);
            }
            rosters.push(Arc::downgrade(roster));
            roster.add(shared.id, Arc::clone(&listener));
        }
        listener
    }

    fn new(shared: &Arc<Shared>) -> Arc<Listener> {
        Arc::new(Listener {
            proactor: shared.id,
            shared: Arc::downgrade(shared),
            mark: Mark::default(),
            link: AtomicPtr::new(ptr::null_mut()),
            waiters: Mutex::new(Waiters::default()),
            hearers: Mutex::new(Arc::default()),
        })
    }

    /// Whether somebody is to be told.
    #[cfg(all(target_os = "linux", not(loom)))]
    pub(crate) fn is_listening(&self) -> bool {
        !lock(&self.waiters).is_empty() || !lock(&self.hearers).is_empty()
    }

    /// Says that there was a signal. May be called in a signal handler, unless the proactor may go meanwhile.
    pub(crate) fn tell(self: &Arc<Self>) {
        if !self.mark.set() {
            return;
        }
        if let Some(shared) = self.shared.upgrade() {
            shared.heard.push(Arc::clone(self));
            shared.ring(bell::HEARD);
        }
    }

    /// Takes the mark off (rule 2).
    pub(crate) fn hear(&self) {
        self.mark.take_off();
    }
}

/// The rosters on which a proactor has a listener (rule 4); `None` once it has ended.
#[derive(Debug)]
pub(crate) struct Rosters(Mutex<Option<Vec<Weak<Roster<Listener>>>>>);

impl Rosters {
    pub(crate) fn new() -> Rosters {
        Rosters(Mutex::new(Some(Vec::new())))
    }

    /// This proactor is on no roster any more.
    pub(crate) fn close(&self, proactor: u32) {
        let rosters = lock(&self.0).take();
        // Not under the lock: what listeners have kept goes with them.
        for roster in rosters.iter().flatten().filter_map(Weak::upgrade) {
            roster.take_off(proactor);
        }
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).as_ref().map_or(0, Vec::len)
    }
}

/// Whether a listener is on the list, or on its way there (rules 1 and 2).
#[derive(Debug, Default)]
pub struct Mark(AtomicU32);

impl Mark {
    /// `true`: it was not set, and the caller pushes. `false`: somebody is still to take it off, and to look.
    #[must_use = "whoever sets the mark pushes"]
    pub fn set(&self) -> bool {
        // Release pairs with the Acquire in `take_off`: the signal is visible to the look. Acquire pairs with the Release
        // there: the link was read, and is the caller's now.
        self.0.swap(1, Ordering::AcqRel) == 0
    }

    /// By the poll thread, after it read the link, and before it looks.
    pub fn take_off(&self) {
        // Both pair with `set`.
        self.0.swap(0, Ordering::AcqRel);
    }
}

/// The listeners of one proactor that were told something.
#[derive(Debug)]
pub(crate) struct HeardList {
    head: AtomicPtr<Listener>,
}

impl HeardList {
    pub(crate) fn new() -> HeardList {
        HeardList { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Adds one that is in no list.
    fn push(&self, listener: Arc<Listener>) {
        let node = Arc::into_raw(listener).cast_mut();
        // Relaxed: the head is only compared and linked to here, never followed.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the count that `node` stands for is still this function's.
            let listener = unsafe { &*node };
            listener.link.store(head, Ordering::Relaxed);
            // Release pairs with the Acquire in `drain`.
            match self.head.compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => head = found,
            }
        }
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Takes everything, and calls `each` with it. If that panics, those behind it are on the list again.
    pub(crate) fn drain(&self, each: impl FnMut(Arc<Listener>)) {
        let mut chain = Chain { list: self, node: self.head.swap(ptr::null_mut(), Ordering::Acquire) };
        chain.by_ref().for_each(each);
    }
}

/// What was taken from a list. `node` stands for a count, and so does each link behind it.
struct Chain<'a> {
    list: &'a HeardList,
    node: *mut Listener,
}

impl Iterator for Chain<'_> {
    type Item = Arc<Listener>;

    fn next(&mut self) -> Option<Arc<Listener>> {
        if self.node.is_null() {
            return None;
        }
        // SAFETY: the swap in `drain` gave this thread the counts of the whole chain; `node` stands for one of them.
        let listener = unsafe { Arc::from_raw(self.node) };
        // Before the mark comes off: then the link is somebody else's.
        self.node = listener.link.load(Ordering::Relaxed);
        Some(listener)
    }
}

impl Drop for Chain<'_> {
    /// Those that are left are marked, so nobody else pushes them.
    fn drop(&mut self) {
        let list = self.list;
        self.for_each(|listener| list.push(listener));
    }
}

impl Drop for HeardList {
    fn drop(&mut self) {
        self.drain(drop);
    }
}
