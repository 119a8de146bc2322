#![allow(
    unsafe_code,
    reason = "free events are kept as raw reference counts, so that neither taking nor giving one back counts any"
)]
#![cfg(unix)]
//! Events that are made once and used again and again.
//!
//! What lives here: [`EventPool`], and what becomes of an event that is let go (`give_back`). What does not: the free
//! list (`free_stack.rs`).
//!
//! 1. An event of a pool is an [`Event`] as any other. It goes back when its last clone is dropped, so never while an
//!    operation waits for it.
//! 2. It comes out as it went in, without a call to the system: whoever lets it go has taken its signal, by one wait or
//!    by [`Event::reset`]. A debug build checks that. If a wait of it was cancelled, a signal may have come too late for
//!    that: then it is taken on the way back.
//! 3. A dropped pool closes its free events at once, and those that are out when they are let go.
//!
//! # Safety
//!
//! A value in the free stack is null, or comes from `Arc::into_raw` and stands for one reference count. Only the owner
//! of a place (see `free_stack.rs`) reads and writes it, and whoever takes it out puts null there.

use crate::event::{Event, Inner, lower};
use crate::free_stack::FreeStack;
use std::ptr;
use std::sync::Arc;
use weft_sync::atomic::{Ordering, fence};
use weft_sync::{Result, WhileDoing, bail};

/// Where an event goes when nobody holds it.
#[derive(Debug)]
pub(crate) struct Home {
    stock: Arc<Stock>,
    index: u32,
}

type Stock = FreeStack<Inner>;

/// Events ready for use, more of them as they are needed. Cheap to clone; clones are the same pool.
///
/// An event goes back when its last clone is dropped, and whoever drops that has taken its signal: by one wait, or by
/// [`Event::reset`]. The pool does not look, so that an event comes and goes without a call to the system; a debug build
/// does, and **the drop panics** there if the event is still set. Events whose wait was cancelled, and those that were given to
/// an [`EventSource`](crate::EventSource), or as events to a relay, are looked at by every build, and may be set.
///
/// ```
/// use weft_io::EventPool;
/// let pool = EventPool::new(2)?;
/// let event = pool.acquire()?;
/// event.set();
/// assert!(event.reset());
/// drop(event); // back in the pool
/// let three = [pool.acquire()?, pool.acquire()?, pool.acquire()?];
/// assert_eq!(pool.made(), 3);
/// # drop(three);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct EventPool(Arc<Owner>);

/// Closes the stock when the last clone of the pool is dropped. Events refer to the stock alone.
#[derive(Debug)]
struct Owner(Arc<Stock>);

impl EventPool {
    /// A pool of `count` events. `RESOURCE_EXHAUSTED`: the system has no more handles.
    pub fn new(count: usize) -> Result<EventPool> {
        let pool = EventPool(Arc::new(Owner(Arc::default())));
        // All of them are out before the first goes back.
        let made: Result<Vec<Event>> = (0..count).map(|_| pool.grow()).collect();
        made.while_doing(|| format!("making a pool of {count} events"))?;
        Ok(pool)
    }

    /// An event that is not set. Any thread; makes one if none is free, which may fail as [`EventPool::new`].
    pub fn acquire(&self) -> Result<Event> {
        let stock = &self.0.0;
        let Some(index) = stock.pop() else { return self.grow() };
        match take(stock, index) {
            Some(inner) => Ok(Event::from_inner(inner)),
            // Two threads let its last clones go at once, and it was closed.
            None => self.fill(index),
        }
    }

    /// How many events the pool has made room for: most that were ever out at once, or more if it began with more.
    pub fn made(&self) -> usize {
        self.0.0.made() as usize
    }

    #[cold]
    fn grow(&self) -> Result<Event> {
        match self.0.0.make() {
            Some(index) => self.fill(index),
            None => bail!(ResourceExhausted, "the pool has made {} events, which is all it can", self.made()),
        }
    }

    /// A new event for a place that is the caller's.
    #[cold]
    fn fill(&self, index: u32) -> Result<Event> {
        let stock = &self.0.0;
        let made = Event::with_home(Home { stock: Arc::clone(stock), index });
        // Without an event there is nothing that gives the place back.
        made.inspect_err(|_| _ = stock.push(index))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close(|index| drop(take(&self.0, index)));
    }
}

/// What lies in a place that the caller owns.
fn take(stock: &Stock, index: u32) -> Option<Arc<Inner>> {
    let raw = stock.exchange(index, ptr::null_mut());
    // SAFETY: the header: not null, so it is a count of its own, which is the caller's from here on.
    (!raw.is_null()).then(|| unsafe { Arc::from_raw(raw) })
}

/// Puts an event whose only reference this is back.
pub(crate) fn give_back(inner: Arc<Inner>) {
    let Some(home) = &inner.home else { return };
    // Pairs with the Release of the other references' drops: this was found to be the last by a look alone.
    fence(Ordering::Acquire);
    if inner.is_unsure.swap(false, Ordering::Relaxed) {
        lower(&inner.fd);
    } else if cfg!(debug_assertions) {
        let was_set = lower(&inner.fd);
        assert!(!was_set || std::thread::panicking(), "an event went back to its pool while it was set");
    }
    let (stock, index): (*const Stock, u32) = (Arc::as_ptr(&home.stock), home.index);
    let raw = Arc::into_raw(inner).cast_mut();
    // SAFETY: the event holds the stock, and until the push below succeeds nobody else can take the event.
    let stock = unsafe { &*stock };
    stock.exchange(index, raw);
    if !stock.push(index) {
        // The pool is gone. The place is still this function's, and the event with it.
        drop(take(stock, index));
    }
}

impl Home {
    /// The event is closed. Its place goes back without one.
    pub(crate) fn leave(&self) {
        // A pool that is gone needs no places.
        let _ = self.stock.push(self.index);
    }
}
