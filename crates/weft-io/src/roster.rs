#![allow(
    unsafe_code,
    reason = "those on the roster are reference counts that visitors and their owner share"
)]
//! Who is on a list that is gone through without locks, also while members come and go.
//!
//! What lives here: [`Roster`]. What does not: who is on it and why (`listener.rs`, `notification.rs`).
//!
//! A member has a seat. Its word says what the seat is, in the two lowest bits, and how many visitors there are, above.
//!
//! | state     | whose the seat is                  | moves on                                       |
//! |-----------|------------------------------------|------------------------------------------------|
//! | `FREE`    | nobody's                           | to `BUSY`, by whoever adds a member            |
//! | `BUSY`    | of whoever moved it here, alone    | to `TAKEN` when filled, to `FREE` when emptied |
//! | `TAKEN`   | its member's, to be visited        | to `LEAVING`, by the member's owner, once      |
//! | `LEAVING` | its visitors', no more are let in  | to `BUSY`, by whoever finds no visitor left    |
//!
//! 1. **A visitor counts itself, then looks at the state** it has found by that: from `TAKEN` the member stays until it has
//!    counted itself out. From any other it leaves at once, and looks at nothing.
//! 2. **The last to leave empties the seat**: the owner when it takes the member off, or a visitor. That is decided by one
//!    exchange, of `LEAVING` without visitors for `BUSY`: one of them succeeds.
//! 3. **Seats are kept for the next** and never freed before the roster: there are as many as there ever were members at
//!    once. A seat that is not taken costs whoever goes through a load.
//! 4. A member that was added before somebody begins to go through, in any order that anybody can know of, is visited.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;
use weft_sync::atomic::{AtomicPtr, AtomicU32, Ordering};

const FREE: u32 = 0;
const BUSY: u32 = 1;
const TAKEN: u32 = 2;
const LEAVING: u32 = 3;

const STATE: u32 = 3;
const VISITOR: u32 = 4;

/// Seats that are made together.
const SEATS: usize = if cfg!(loom) { 1 } else { 4 };

/// See the header. Owners are told apart by number; each has one member at most.
pub struct Roster<T> {
    seats: [Seat<T>; SEATS],
    /// More seats: null, then from `Box::into_raw` and the same until this is dropped.
    next: AtomicPtr<Roster<T>>,
}

/// * `word` – any thread, atomically.
/// * `owner`, `member` – whoever has the seat in `BUSY` writes them; visitors of `TAKEN` read them. The member is a
///   reference count from `Arc::into_raw`, from `BUSY` on the way to `TAKEN` until `BUSY` on the way to `FREE`.
struct Seat<T> {
    word: AtomicU32,
    owner: AtomicU32,
    member: AtomicPtr<T>,
}

/// Somebody who is at a taken seat.
struct Visit<'a, T> {
    seat: &'a Seat<T>,
    member: ManuallyDrop<Arc<T>>,
}

impl<T> Roster<T> {
    /// Nobody is there.
    pub fn new() -> Roster<T> {
        let seat = |_| Seat {
            word: AtomicU32::new(FREE),
            owner: AtomicU32::new(0),
            member: AtomicPtr::new(ptr::null_mut()),
        };
        Roster { seats: std::array::from_fn(seat), next: AtomicPtr::new(ptr::null_mut()) }
    }

    fn seats(&self) -> impl Iterator<Item = &Seat<T>> {
        std::iter::successors(Some(self), |roster| roster.next()).flat_map(|roster| &roster.seats)
    }

    fn next(&self) -> Option<&Roster<T>> {
        // Acquire pairs with the Release in `more`.
        let next = self.next.load(Ordering::Acquire);
        // SAFETY: null, or what `more` has put there, which stays for as long as this is borrowed.
        unsafe { next.as_ref() }
    }

    /// The next seats; makes them if there are none.
    fn more(&self) -> &Roster<T> {
        if let Some(next) = self.next() {
            return next;
        }
        let made = Box::into_raw(Box::default());
        // Release pairs with the Acquire in `next`.
        let put = self.next.compare_exchange(ptr::null_mut(), made, Ordering::Release, Ordering::Relaxed);
        if put.is_err() {
            // SAFETY: it comes from the line above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(made) });
        }
        self.next().expect("somebody has put it there")
    }

    /// Visits everybody. Without a lock.
    pub fn each(&self, mut visit: impl FnMut(&Arc<T>)) {
        self.seats().filter_map(Seat::visit).for_each(|found| visit(&found.member));
    }

    /// The member of this owner.
    pub fn find(&self, owner: u32) -> Option<Arc<T>> {
        // Relaxed: an owner that asks for its own has added it. The number of another's may be old; it is looked at again.
        let of_owner = |seat: &&Seat<T>| seat.owner.load(Ordering::Relaxed) == owner;
        let mut found = self.seats().filter(of_owner).filter_map(Seat::visit);
        found.find(|visit| of_owner(&visit.seat)).map(|visit| Arc::clone(&visit.member))
    }

    /// Adds the member of an owner that has none, until [`Roster::take_off`].
    pub fn add(&self, owner: u32, member: Arc<T>) {
        let (mut roster, mut member) = (self, member);
        loop {
            for seat in &roster.seats {
                match seat.take(owner, member) {
                    Ok(()) => return,
                    Err(back) => member = back,
                }
            }
            roster = roster.more();
        }
    }

    /// Takes the member of this owner off, if there is one. Whoever visits it now is the last that does. The owner does
    /// this once at a time, and adds nobody meanwhile.
    pub fn take_off(&self, owner: u32) {
        let is_own = |seat: &&Seat<T>| {
            // Relaxed: the owner has added it, and nobody else takes it off.
            seat.owner.load(Ordering::Relaxed) == owner && seat.word.load(Ordering::Relaxed) & STATE == TAKEN
        };
        if let Some(seat) = self.seats().find(is_own) {
            // Release: what the owner did with the member comes before its end, see `empty`.
            seat.word.fetch_add(LEAVING - TAKEN, Ordering::Release);
            seat.empty();
        }
    }

    /// How many seats are taken, and how many there are. For tests: it changes meanwhile.
    #[cfg(any(test, loom))]
    pub fn count(&self) -> (usize, usize) {
        let taken = |seat: &&Seat<T>| seat.word.load(Ordering::Relaxed) & STATE == TAKEN;
        (self.seats().filter(taken).count(), self.seats().count())
    }
}

impl<T> Default for Roster<T> {
    fn default() -> Roster<T> {
        Roster::new()
    }
}

impl<T> Seat<T> {
    /// Rule 1.
    fn visit(&self) -> Option<Visit<'_, T>> {
        // Relaxed: rule 4 is about what comes before in an order that this thread knows of.
        if self.word.load(Ordering::Relaxed) & STATE != TAKEN {
            return None;
        }
        // Acquire pairs with the Release in `take`.
        let before = self.word.fetch_add(VISITOR, Ordering::Acquire);
        if before & STATE != TAKEN {
            self.leave();
            return None;
        }
        let member = self.member.load(Ordering::Relaxed);
        // SAFETY: the seat is taken, so this is a member's, whose count stays the seat's until this visitor has left: it is
        // not dropped here.
        let member = ManuallyDrop::new(unsafe { Arc::from_raw(member) });
        Some(Visit { seat: self, member })
    }

    fn leave(&self) {
        // Release: what was done at the seat comes before the member's end, see `empty`.
        if self.word.fetch_sub(VISITOR, Ordering::Release) == VISITOR | LEAVING {
            self.empty();
        }
    }

    /// Rule 2.
    fn empty(&self) {
        // Acquire pairs with the Release of everybody who has left, the owner included: they all go on from one another.
        if self.word.compare_exchange(LEAVING, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return;
        }
        // SAFETY: the exchange gave this thread the seat, and with it the count that `take` has put there.
        let member = unsafe { Arc::from_raw(self.member.load(Ordering::Relaxed)) };
        // Before the member goes, which may take a while. Release pairs with the Acquire in `take`: the load above must not
        // see what the next owner puts there. (No model shows that: the checker does not let loads wait for later stores.)
        self.word.fetch_sub(BUSY - FREE, Ordering::Release);
        drop(member);
    }

    /// Takes the seat, if it is free. Those who are on their way out of it do not matter.
    fn take(&self, owner: u32, member: Arc<T>) -> Result<(), Arc<T>> {
        let busy = |word: u32| (word & STATE == FREE).then_some(word + (BUSY - FREE));
        // Acquire pairs with the Release in `empty`.
        if self.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, busy).is_err() {
            return Err(member);
        }
        self.owner.store(owner, Ordering::Relaxed);
        self.member.store(Arc::into_raw(member).cast_mut(), Ordering::Relaxed);
        // Release pairs with the Acquire in `visit`.
        self.word.fetch_add(TAKEN - BUSY, Ordering::Release);
        Ok(())
    }
}

impl<T> Drop for Roster<T> {
    fn drop(&mut self) {
        // An exchange, as in the drop of a seat. Acquire pairs with the Release in `more`.
        let next = self.next.swap(ptr::null_mut(), Ordering::Acquire);
        if !next.is_null() {
            // SAFETY: `more` has put it there, and nobody borrows what is dropped.
            drop(unsafe { Box::from_raw(next) });
        }
    }
}

impl<T> Drop for Visit<'_, T> {
    fn drop(&mut self) {
        self.seat.leave();
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        // Nobody visits what is dropped, so there is no other state with a member. Exchanges, for the model: it does not see
        // that whoever drops the last reference comes after all others, but they have what was put last. Acquire pairs with
        // the Release in `take`.
        if self.word.swap(FREE, Ordering::Acquire) & STATE == TAKEN {
            // SAFETY: the count that `take` has put there.
            drop(unsafe { Arc::from_raw(self.member.swap(ptr::null_mut(), Ordering::Relaxed)) });
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Roster<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        self.each(|member| _ = list.entry(member));
        list.finish()
    }
}
