//! Numbers for the threads that are inside of something: from 0 on, each for one thread at a time.
//!
//! 1. **A number has one holder.** It is taken by a compare-exchange of the word of all numbers.
//! 2. **What a holder did is over for the next one** on the same number: giving back releases, taking acquires. So whatever
//!    belongs to a number, such as scratch memory, needs no lock.

use weft_sync::atomic::{AtomicU64, Ordering};

/// Which numbers are taken, up to 64 of them.
///
/// ```
/// let seats = weft_task::Seats::new();
/// let first = seats.take(2).expect("nobody is there");
/// let second = seats.take(2).expect("there is another one");
/// assert_eq!((first.number(), second.number()), (0, 1));
/// assert!(seats.take(2).is_none());
/// drop(first);
/// assert_eq!(seats.take(2).expect("it was given back").number(), 0);
/// ```
#[derive(Debug)]
pub struct Seats(AtomicU64);

/// A number that nobody else has. It is given back when this is dropped.
#[derive(Debug)]
pub struct Seat<'a> {
    seats: &'a Seats,
    number: u32,
}

impl Seats {
    /// The most numbers there are.
    pub const COUNT_MAX: u32 = u64::BITS;

    /// All are free.
    pub fn new() -> Seats {
        Seats(AtomicU64::new(0))
    }

    /// As new.
    pub fn reset(&mut self) {
        *self = Seats::new();
    }

    /// How many more threads would find a number below `count` now: a hint.
    #[inline]
    pub fn free(&self, count: u32) -> u32 {
        // Relaxed: it may be another one already.
        count.min(Seats::COUNT_MAX).saturating_sub(self.0.load(Ordering::Relaxed).count_ones())
    }

    /// The lowest free number below `count`. `None` if all of them are taken.
    #[inline]
    pub fn take(&self, count: u32) -> Option<Seat<'_>> {
        // Relaxed: a guess, which the compare-exchange checks.
        let mut taken = self.0.load(Ordering::Relaxed);
        loop {
            let number = taken.trailing_ones();
            if number >= count.min(Seats::COUNT_MAX) {
                return None;
            }
            // Acquire pairs with the Release in `drop`: rule 2.
            match self.0.compare_exchange_weak(
                taken,
                taken | 1 << number,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(Seat { seats: self, number }),
                Err(found) => taken = found,
            }
        }
    }
}

impl Default for Seats {
    fn default() -> Seats {
        Seats::new()
    }
}

impl Seat<'_> {
    /// The number.
    #[inline]
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // Release pairs with the Acquire in `take`: rule 2.
        self.seats.0.fetch_and(!(1 << self.number), Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_there_are() {
        let seats = Seats::new();
        let mut taken: Vec<_> = (0..64).map(|_| seats.take(u32::MAX).unwrap()).collect();
        assert!(taken.iter().map(Seat::number).eq(0..64));
        assert!(seats.take(u32::MAX).is_none() && seats.take(0).is_none());
        assert_eq!((seats.free(u32::MAX), seats.free(0)), (0, 0));
        taken.swap_remove(17);
        assert_eq!(seats.free(u32::MAX), 1);
        assert!(seats.take(17).is_none());
        assert_eq!(seats.take(18).unwrap().number(), 17);
        drop(taken);
        assert_eq!(seats.take(1).unwrap().number(), 0);
    }
}
