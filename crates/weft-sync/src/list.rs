#![allow(
    unsafe_code,
    reason = "nodes are owned by the list between push and drain, through raw pointers in an atomic word"
)]
//! A list that many threads push to and one drains whole.
//!
//! What lives here: [`List`], [`Drained`], [`Linked`]. What does not: waking whoever drains; `push` says when that is
//! owed.
//!
//! 1. A push writes the node's link, then publishes the node by compare-exchange (release).
//! 2. A drain takes everything by one swap (acquire), and owns the nodes from then on.
//! 3. No node is taken alone, so the address of a node that came back can do no harm: whoever compares the head with
//!    it only ever makes it the link of a new node.
//! 4. The push that finds the list empty is told so: exactly one push for each drain that found something.
//!
//! Nodes come boxed and go out boxed: nothing is allocated here, and the link lies in the node.
//!
//! # Safety
//!
//! * A pointer in `head`, or in the link of a node that is listed, comes from `Box::into_raw` in `push`, and nobody
//!   but the list knows it. Whoever takes it out of `head` owns the whole chain.
//! * `Linked` is unsafe to implement because the list relies on the link being the same field each time.

use crate::atomic::{AtomicPtr, Ordering};
use std::ptr;

/// The field of a node by which it is listed.
#[derive(Debug)]
pub struct Link<T>(AtomicPtr<T>);

impl<T> Link<T> {
    /// A link of a node that is in no list.
    pub fn new() -> Link<T> {
        Link(AtomicPtr::new(ptr::null_mut()))
    }
}

impl<T> Default for Link<T> {
    fn default() -> Link<T> {
        Link::new()
    }
}

/// A node that a list can hold.
///
/// # Safety
///
/// `link` returns the same field of the node each time, and nothing else writes to it.
pub unsafe trait Linked: Sized {
    /// The field by which the node is listed.
    fn link(&self) -> &Link<Self>;
}

/// A list that many threads push to and one drains whole.
///
/// ```
/// # #![allow(unsafe_code, reason = "promises that the link is one field for good")]
/// use weft_sync::list::{Link, Linked, List};
/// struct Job { number: u32, link: Link<Job> }
/// // SAFETY: always the same field, which nothing else touches.
/// unsafe impl Linked for Job {
///     fn link(&self) -> &Link<Job> { &self.link }
/// }
/// let jobs = List::new();
/// assert!(jobs.push(Box::new(Job { number: 1, link: Link::new() })), "the list was empty: wake the drainer");
/// assert!(!jobs.push(Box::new(Job { number: 2, link: Link::new() })));
/// assert_eq!(jobs.drain().map(|job| job.number).collect::<Vec<_>>(), [1, 2]);
/// ```
#[derive(Debug)]
pub struct List<T: Linked> {
    head: AtomicPtr<T>,
}

// SAFETY: the list owns its nodes and hands them out by value only, to one thread each.
unsafe impl<T: Linked + Send> Send for List<T> {}
// SAFETY: shared use only moves nodes in and out; no two threads get at one node.
unsafe impl<T: Linked + Send> Sync for List<T> {}

impl<T: Linked> List<T> {
    /// An empty list.
    pub fn new() -> List<T> {
        List { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Adds a node. `true` if the list was empty: the caller then owes whoever drains a wake.
    #[must_use = "the push that finds the list empty owes the drainer a wake"]
    pub fn push(&self, node: Box<T>) -> bool {
        let node = Box::into_raw(node);
        // Relaxed: the head is only compared and linked to here, never followed.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the node came from a box right above and is not published yet.
            let link = unsafe { &*node }.link();
            link.0.store(head, Ordering::Relaxed);
            // Release pairs with the Acquire in `drain`: the node and its link are visible to whoever takes it.
            match self.head.compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return head.is_null(),
                Err(found) => head = found,
            }
        }
    }

    /// Whether nothing is listed now.
    pub fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Takes everything that was pushed, in the order of the pushes.
    pub fn drain(&self) -> Drained<T> {
        // Acquire pairs with the Release in `push`. Release would publish nothing: null is no node.
        let mut newest = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        // The chain runs from the newest to the oldest. Turn it round.
        let mut oldest = ptr::null_mut();
        while !newest.is_null() {
            // SAFETY: the swap made this thread the owner of the chain, whose nodes come from boxes.
            let link = unsafe { &*newest }.link();
            let older = link.0.load(Ordering::Relaxed);
            link.0.store(oldest, Ordering::Relaxed);
            oldest = newest;
            newest = older;
        }
        Drained { next: oldest }
    }
}

impl<T: Linked> Default for List<T> {
    fn default() -> List<T> {
        List::new()
    }
}

impl<T: Linked> Drop for List<T> {
    fn drop(&mut self) {
        drop(self.drain());
    }
}

/// What a drain took; nodes that are not asked for are dropped.
#[derive(Debug)]
pub struct Drained<T: Linked> {
    next: *mut T,
}

// SAFETY: it owns its nodes like a vector of boxes.
unsafe impl<T: Linked + Send> Send for Drained<T> {}

impl<T: Linked> Iterator for Drained<T> {
    type Item = Box<T>;

    fn next(&mut self) -> Option<Box<T>> {
        if self.next.is_null() {
            return None;
        }
        // SAFETY: `next` is a node of the chain that this value owns, made by `Box::into_raw`, and is given up below.
        let node = unsafe { Box::from_raw(self.next) };
        self.next = node.link().0.swap(ptr::null_mut(), Ordering::Relaxed);
        Some(node)
    }
}

impl<T: Linked> Drop for Drained<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
