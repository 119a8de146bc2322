//! Who sleeps, and how others wake them.
//!
//! What lives here: [`Sleepers`]: the idle mask, one bell for each seat, wake credits. What does not: what there is to
//! do (`ready.rs`) and who asks (`worker.rs`, `guest.rs`). The rules are numbered in `README.md`, *The wake protocol*.

use weft_sync::Deadline;
use weft_sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use weft_sync::notification::Notification;

use crate::cache_line::CacheLine;
use crate::tuning::POSTS_MAX;

const WORD_BITS: usize = u64::BITS as usize;

/// Sleepers by seat: workers first, then guests.
#[derive(Debug)]
pub struct Sleepers {
    /// Guests that sleep. They are woken before workers: what they wait for is likely what there is to do.
    idle_guests: CacheLine<AtomicU64>,
    /// Workers that sleep.
    idle_workers: Box<[CacheLine<AtomicU64>]>,
    /// Wakes that a waker left to those it woke; a hint that decays.
    credits: CacheLine<AtomicU32>,
    /// How often more were wanted than slept: whoever is awake has to look again before it sleeps (rule 8).
    shortfalls: CacheLine<AtomicU32>,
    bells: Box<[CacheLine<Notification>]>,
    workers: usize,
}

/// Why a doze ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dozed {
    /// The last look found something.
    Found,
    /// The bell rang.
    Woken,
    /// The deadline passed.
    TimedOut,
}

/// How a doze went.
#[must_use = "a claimed sleeper owes others a look"]
#[derive(Clone, Copy, Debug)]
pub struct Doze {
    /// Why it ended.
    pub end: Dozed,
    /// Somebody chose this sleeper for work that it published (rule 5).
    pub claimed: bool,
}

impl Sleepers {
    /// Everybody is awake.
    pub fn new(workers: usize, guests: usize) -> Sleepers {
        let bells = (0..workers + guests).map(|_| CacheLine(Notification::new())).collect();
        Sleepers {
            idle_guests: CacheLine(AtomicU64::new(0)),
            idle_workers: (0..workers.div_ceil(WORD_BITS)).map(|_| CacheLine(AtomicU64::new(0))).collect(),
            credits: CacheLine(AtomicU32::new(0)),
            shortfalls: CacheLine(AtomicU32::new(0)),
            bells,
            workers,
        }
    }

    /// Wakes up to `count` sleepers for work that was published before, and that one may take up without the others seeing
    /// any more of it. Returns how many were woken here; the woken ones wake more of them, if `count` is large. If fewer
    /// sleep, those who are awake look once more before they do (rule 8).
    pub fn wake(&self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        // Work was published, now sleepers are looked for; `doze` does the mirror image. One of the two sees the other.
        fence(Ordering::SeqCst);
        let (posted, missing) = self.ring(count);
        if missing == 0 {
            return posted;
        }
        self.note_shortfall();
        posted + self.ring(missing).0
    }

    /// Wakes a sleeper for work that everybody sees until somebody has taken it up, and nobody else need come for. Returns
    /// how many were woken.
    pub fn wake_one(&self) -> u32 {
        // As in `wake`.
        fence(Ordering::SeqCst);
        self.post_up_to(1)
    }

    /// Rings for some of `count` sleepers and leaves others to those. Returns for how many it rang, and how many are neither
    /// rung for nor left to anybody, because fewer sleep.
    fn ring(&self, count: u32) -> (u32, u32) {
        let here = count.min(POSTS_MAX);
        let relayed = if count > here && self.idle_count() > here { count - here } else { 0 };
        // Before the first bell: those it wakes look for credits once, at once. Only while somebody sleeps to whom they
        // could go, and never more than there are seats.
        if relayed > 0 {
            let seats = self.bells.len() as u32;
            let add = |credits: u32| Some(credits.saturating_add(relayed).min(seats));
            // Release pairs with the Acquire in `relay`.
            let _ = self.credits.fetch_update(Ordering::Release, Ordering::Relaxed, add);
        }
        let posted = self.post_up_to(here);
        (posted, count - relayed - posted)
    }

    /// Rings for up to `count` sleepers. Returns for how many.
    fn post_up_to(&self, count: u32) -> u32 {
        (0..count).take_while(|_| self.claim().map(|seat| self.post(seat)).is_some()).count() as u32
    }

    /// More are wanted than sleep. Somebody may be about to: look for sleepers again after this.
    #[cold]
    fn note_shortfall(&self) {
        // Release pairs with the Acquire in `shortfalls`: who reads this count has yet to look, and then sees the work.
        self.shortfalls.fetch_add(1, Ordering::Release);
        // The mirror image of the fence in `doze`: the one who is about to sleep sees the count, or is seen.
        fence(Ordering::SeqCst);
    }

    /// How often more were wanted than slept. Read before a look at everything: if it is another one in the last look before
    /// a sleep, that look may have come too early (rule 8).
    #[inline]
    pub fn shortfalls(&self) -> u32 {
        // Pairs with the Release in `note_shortfall`.
        self.shortfalls.load(Ordering::Acquire)
    }

    /// Whether somebody left wakes to do.
    #[inline]
    pub fn has_credits(&self) -> bool {
        self.credits.load(Ordering::Relaxed) > 0
    }

    /// Uses up one credit. Returns whether somebody was woken; credits that find nobody asleep are dropped, all of them:
    /// kept, they would be passed round for ever.
    pub fn relay(&self) -> bool {
        let take = |credits: u32| credits.checked_sub(1);
        // Acquire pairs with the Release in `wake`: who takes a credit knows what it was given for, and passes that on.
        if self.credits.fetch_update(Ordering::Acquire, Ordering::Relaxed, take).is_err() {
            return false;
        }
        if self.post_up_to(1) == 0 {
            // All of them: none is left to be looked for, and each of those they were for may be about to sleep. Acquire as
            // above.
            let dropped = self.credits.swap(0, Ordering::Acquire).saturating_add(1);
            self.note_shortfall();
            return self.ring(dropped).0 > 0;
        }
        true
    }

    /// Rings the bell of one seat, asleep or not.
    pub fn post(&self, seat: usize) {
        self.bells[seat].signal(1);
    }

    /// Rings every bell.
    pub fn post_all(&self) {
        for bell in &self.bells {
            bell.signal(1);
        }
    }

    /// How often the bell of a seat rang, to notice a ring while working.
    #[inline]
    pub fn rings(&self, seat: usize) -> u32 {
        self.bells[seat].epoch()
    }

    /// How many sleep now.
    pub fn idle_count(&self) -> u32 {
        let words = self.idle_workers.iter().map(|word| word.load(Ordering::Relaxed).count_ones());
        words.sum::<u32>() + self.idle_guests.load(Ordering::Relaxed).count_ones()
    }

    /// Credits that are left, for reports.
    pub fn credits(&self) -> u32 {
        self.credits.load(Ordering::Relaxed)
    }

    /// Whether a seat sleeps now, for reports.
    pub fn is_idle(&self, seat: usize) -> bool {
        let (word, bit) = self.bit(seat);
        word.load(Ordering::Relaxed) & bit != 0
    }

    /// Sleeps until the bell of `seat` rings. `look` is the last look for work: it must find whatever was published
    /// before. `spin` may pass some time before the sleep: it gets the bell and the epoch that it waits to see pass.
    pub fn doze(
        &self,
        seat: usize,
        deadline: Deadline,
        look: impl FnOnce() -> bool,
        spin: impl FnOnce(&Notification, u32),
    ) -> Doze {
        let bell = &self.bells[seat];
        let token = bell.epoch();
        let (word, bit) = self.bit(seat);
        word.fetch_or(bit, Ordering::Relaxed);
        // The sleeper has shown itself, now it looks for work; `wake` does the mirror image.
        fence(Ordering::SeqCst);
        let end = if look() {
            Dozed::Found
        } else {
            spin(bell, token);
            // Announced only now: a ring that meets a spinner needs no system call. A ring since the token was read is
            // seen by the read-modify-write in `observe`.
            let observation = bell.observe();
            if observation.token() != token || observation.wait(deadline) {
                Dozed::Woken
            } else {
                Dozed::TimedOut
            }
        };
        // Acquire pairs with the Release in `claim_in`: what the one who chose this sleeper published is seen from here.
        let claimed = word.fetch_and(!bit, Ordering::Acquire) & bit == 0;
        Doze { end, claimed }
    }

    /// Chooses a sleeper; nobody else will choose it again before it has been awake.
    fn claim(&self) -> Option<usize> {
        if let Some(guest) = claim_in(&self.idle_guests) {
            return Some(self.workers + guest);
        }
        let mut words = self.idle_workers.iter().enumerate();
        words.find_map(|(index, word)| claim_in(word).map(|bit| index * WORD_BITS + bit))
    }

    fn bit(&self, seat: usize) -> (&AtomicU64, u64) {
        if seat < self.workers {
            (&self.idle_workers[seat / WORD_BITS], 1 << (seat % WORD_BITS))
        } else {
            (&self.idle_guests, 1 << (seat - self.workers))
        }
    }
}

/// Takes the lowest bit of a word that can be had.
fn claim_in(word: &AtomicU64) -> Option<usize> {
    let mut bits = word.load(Ordering::Relaxed);
    while bits != 0 {
        let index = bits.trailing_zeros();
        // Release pairs with the Acquire in `doze`.
        bits = word.fetch_and(!(1 << index), Ordering::Release);
        if bits & 1 << index != 0 {
            return Some(index as usize);
        }
    }
    None
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Calls `body` while the seats from `seat` to `last` sleep.
    fn asleep(sleepers: &Sleepers, seat: usize, last: usize, body: &dyn Fn()) {
        let look = || {
            if seat == last {
                body()
            } else {
                asleep(sleepers, seat + 1, last, body)
            }
            true
        };
        assert_eq!(sleepers.doze(seat, Deadline::NEVER, look, |_, _| ()).end, Dozed::Found);
    }

    /// Two wakers for eight each, one after the other: the credits of both are there, and wake all sixteen.
    #[test]
    fn credits_of_two_wakers_add_up() {
        let sleepers = Sleepers::new(16, 0);
        asleep(&sleepers, 0, 15, &|| {
            assert_eq!((sleepers.wake(8), sleepers.wake(8)), (4, 4));
            assert_eq!((sleepers.credits(), sleepers.idle_count()), (8, 8));
            assert!((0..8).all(|_| sleepers.relay()));
            assert_eq!((sleepers.credits(), sleepers.idle_count(), sleepers.shortfalls()), (0, 0, 0));
        });
    }
}
