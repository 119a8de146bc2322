//! A place that many may share, or one has alone, and where whoever waits to enter can be cancelled.
//!
//! What lives here: [`Turnstile`], [`Passage`]. What does not: what is protected; there is no data inside.
//!
//! 1. One word says who is inside: how many share the place, or that one has it alone, and whether anybody waits. Entering
//!    and leaving are one read-modify-write each when nobody waits.
//! 2. Whoever waits stands in a queue under a lock. `WAITED` is set while somebody sleeps there and nobody has woken the first
//!    one yet: who is awake looks by itself, sets `WAITED` before it sleeps on, and wakes the next one when it goes.
//! 3. **Nobody is missed.** Whoever waits sets `WAITED` by a read-modify-write, *then* tries to enter, and sleeps without
//!    letting go of the lock in between. Who leaves does so by a read-modify-write of the same word: it comes before, and
//!    the try sees it, or after, and sees `WAITED`; then it takes the lock, so that the sleeper sleeps, and wakes it.
//! 4. Only the first in the queue is woken, and only the first enters from there; it wakes the next one. While somebody
//!    waits, nobody joins those who share the place; but whoever finds it empty may slip in, so that a place that is handed
//!    on all the time is not empty while somebody wakes up.
//! 5. A token's cancel takes the lock before it wakes, as rule 3. Its flag is set before that.

use crate::atomic::{AtomicU32, Condvar, Mutex, Ordering, lock, spin_loop};
use crate::{CancelToken, Result};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError};

/// Somebody is in the queue.
const WAITED: u32 = 1 << 31;
/// One has the place alone.
const ALONE: u32 = 1 << 30;
/// As many share it. There are fewer threads.
const SHARERS: u32 = ALONE - 1;

/// How often is looked before sleeping.
const LOOKS: u32 = if cfg!(loom) { 0 } else { 100 };

/// Lets in many at a time, or one alone.
///
/// ```
/// use weft_sync::{CancelToken, Code, Turnstile};
/// let (place, token) = (Turnstile::new(), CancelToken::new());
/// let first = place.enter(false, None)?;
/// let second = place.enter(false, Some(&token))?;
/// std::thread::scope(|scope| {
///     let alone = scope.spawn(|| place.enter(true, Some(&token)).map(drop));
///     token.cancel();
///     assert_eq!(alone.join().expect("no panic").unwrap_err().code(), Code::Cancelled);
/// });
/// drop((first, second));
/// let alone = place.enter(true, None)?;
/// # drop(alone);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Default)]
pub struct Turnstile {
    word: AtomicU32,
    /// Shared with what tokens call.
    queue: Arc<Mutex<VecDeque<Arc<Condvar>>>>,
}

/// Being inside; leaving is dropping it.
#[must_use = "the place is left when this is dropped"]
pub struct Passage<'a> {
    turnstile: &'a Turnstile,
    is_alone: bool,
}

impl Turnstile {
    /// A place with nobody in it.
    pub fn new() -> Turnstile {
        Turnstile::default()
    }

    /// Waits until there is room. CANCELLED if the token is cancelled while it waits; one that was cancelled before keeps
    /// nobody from entering at once.
    #[inline]
    pub fn enter(&self, is_alone: bool, cancel: Option<&CancelToken>) -> Result<Passage<'_>> {
        if !self.try_enter(is_alone, WAITED) {
            self.wait_to_enter(is_alone, cancel)?;
        }
        Ok(Passage { turnstile: self, is_alone })
    }

    /// Enters if nobody is inside, or if there is room beside those who share and the word has nothing of `refused`.
    #[inline]
    fn try_enter(&self, is_alone: bool, refused: u32) -> bool {
        let entry = if is_alone { ALONE } else { 1 };
        let mut word = self.word.load(Ordering::Relaxed);
        // Rule 4: an empty place is open to all.
        while word & (ALONE | SHARERS) == 0 || (!is_alone && word & (ALONE | refused) == 0) {
            // Acquire: pairs with the Release of those who left.
            match self.word.compare_exchange_weak(word, word + entry, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    #[cold]
    fn wait_to_enter(&self, is_alone: bool, cancel: Option<&CancelToken>) -> Result<()> {
        for _ in 0..LOOKS {
            if self.word.load(Ordering::Relaxed) & WAITED != 0 {
                break;
            }
            spin_loop();
            if self.try_enter(is_alone, WAITED) {
                return Ok(());
            }
        }
        let wake = Arc::new(Condvar::new());
        // Before the lock: it calls at once if the token is cancelled already.
        let told = cancel.map(|token| {
            let (queue, wake) = (Arc::clone(&self.queue), Arc::clone(&wake));
            token.on_cancel(move || {
                drop(lock(&queue));
                wake.notify_one();
            })
        });
        let outcome = self.queue_up(is_alone, &wake, cancel);
        if let Some(told) = told {
            told.cancel();
        }
        outcome
    }

    fn queue_up(&self, is_alone: bool, wake: &Arc<Condvar>, cancel: Option<&CancelToken>) -> Result<()> {
        let mut queue = lock(&self.queue);
        queue.push_back(Arc::clone(wake));
        let outcome = loop {
            // Relaxed: rule 3 needs the order of this word alone, and the lock has the rest.
            self.word.fetch_or(WAITED, Ordering::Relaxed);
            let is_first = queue.front().is_some_and(|first| Arc::ptr_eq(first, wake));
            if is_first && self.try_enter(is_alone, 0) {
                break Ok(());
            }
            if let Some(Err(status)) = cancel.map(CancelToken::check) {
                break Err(status);
            }
            queue = wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        };
        queue.retain(|waiter| !Arc::ptr_eq(waiter, wake));
        match queue.front() {
            // Perhaps there is room for it too, or it has become the first.
            Some(first) => first.notify_one(),
            None => drop(self.word.fetch_and(!WAITED, Ordering::Relaxed)),
        }
        outcome
    }

    #[cold]
    fn wake_first(&self) {
        // Rule 3.
        let queue = lock(&self.queue);
        if let Some(first) = queue.front() {
            // Rule 2. It sets it again if it has to sleep on.
            self.word.fetch_and(!WAITED, Ordering::Relaxed);
            first.notify_one();
        }
    }
}

impl Drop for Passage<'_> {
    #[inline]
    fn drop(&mut self) {
        let entry = if self.is_alone { ALONE } else { 1 };
        // Release: what was done inside is seen by those who enter.
        let before = self.turnstile.word.fetch_sub(entry, Ordering::Release);
        if before & WAITED != 0 && before & (ALONE | SHARERS) == entry {
            self.turnstile.wake_first();
        }
    }
}

impl fmt::Debug for Turnstile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.load(Ordering::Relaxed);
        f.debug_struct("Turnstile")
            .field("sharers", &(word & SHARERS))
            .field("is_alone", &(word & ALONE != 0))
            .field("is_waited_for", &(word & WAITED != 0))
            .finish()
    }
}

impl fmt::Debug for Passage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passage").field("is_alone", &self.is_alone).finish()
    }
}
