//! Reservations by number, and which of them have come back.
//!
//! What lives here: [`Ledger`]. What does not: who gets which memory (`slabbed.rs`, `pass_through.rs`).
//!
//! 1. A reservation is one slot: what the pool needs to take it back, its *fate* (what it dies after, or that it comes back
//!    as it was) and its pins. Its owner is one pin; each borrowed view of it is another.
//! 2. The last pin puts the slot on a list. Nothing else happens then, so giving memory back is short, allocates nothing
//!    and never waits for somebody who searches or takes more memory. Who asks for memory next works through the list.
//! 3. Who is handed the bytes to use gets a token that says so ([`used`]): such a reservation never goes back as it was.
//!    That costs no look at the slot.
//! 4. A token names a slot and how often it was used before, so a token of a reservation that is gone is noticed.

use weft_sync::reuse::Death;
use weft_sync::{Frontier, Result, bail};

/// No slot.
const NONE: u32 = u32::MAX;
/// Slots are numbered below this, and tokens have the bit if the bytes were used.
const USED: u32 = 1 << 31;

/// The token of the same reservation whose bytes are going to be used.
pub(super) fn used(token: u64) -> u64 {
    token | u64::from(USED)
}

/// How a reservation goes back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate<const DEATH: usize> {
    /// Nobody touched it.
    AsBefore,
    /// Used, by something ordered before this.
    After(Death<DEATH>),
}

struct Slot<T, const DEATH: usize> {
    content: Option<T>,
    fate: Fate<DEATH>,
    length: u64,
    pins: u32,
    generation: u32,
    /// The next slot on the list that this one is on.
    next: u32,
}

/// All reservations of a pool.
pub(super) struct Ledger<T, const DEATH: usize> {
    slots: Vec<Slot<T, DEATH>>,
    spare: u32,
    returned_first: u32,
    returned_last: u32,
    live: u64,
    reserved_bytes: u64,
    releases: u64,
}

/// A reservation that came back.
pub(super) struct Returned<T, const DEATH: usize> {
    pub content: T,
    pub fate: Fate<DEATH>,
    /// There is another one.
    pub has_next: bool,
}

impl<T, const DEATH: usize> Ledger<T, DEATH> {
    pub fn new() -> Ledger<T, DEATH> {
        Ledger {
            slots: Vec::new(),
            spare: NONE,
            returned_first: NONE,
            returned_last: NONE,
            live: 0,
            reserved_bytes: 0,
            releases: 0,
        }
    }

    /// Reservations that have not come back.
    pub fn live(&self) -> u64 {
        self.live
    }

    /// Their bytes.
    pub fn reserved_bytes(&self) -> u64 {
        self.reserved_bytes
    }

    /// Reservations that have come back.
    pub fn releases(&self) -> u64 {
        self.releases
    }

    /// Makes sure that one more reservation can be entered.
    pub fn make_room(&mut self) -> Result<()> {
        if self.spare != NONE {
            return Ok(());
        }
        if self.slots.len() >= (USED - 1) as usize || self.slots.try_reserve(1).is_err() {
            bail!(ResourceExhausted, "no memory to keep account of {} reservations", self.slots.len() + 1);
        }
        self.spare = self.slots.len() as u32;
        self.slots.push(Slot {
            content: None,
            fate: Fate::AsBefore,
            length: 0,
            pins: 0,
            generation: 0,
            next: NONE,
        });
        Ok(())
    }

    /// Enters a reservation of so many bytes, for which room was made; returns its token, which is never 0.
    pub fn enter(&mut self, content: T, length: u64) -> u64 {
        let index = self.spare;
        let slot = self.slots.get_mut(index as usize).expect("room was made");
        self.spare = slot.next;
        self.live += 1;
        self.reserved_bytes += length;
        (slot.content, slot.fate, slot.length, slot.pins) = (Some(content), Fate::AsBefore, length, 1);
        u64::from(slot.generation) << 32 | u64::from(index + 1)
    }

    fn slot(&mut self, token: u64) -> (u32, &mut Slot<T, DEATH>) {
        let index = (token as u32 & !USED).wrapping_sub(1);
        let slot = self.slots.get_mut(index as usize);
        let slot = slot.filter(|slot| slot.generation == (token >> 32) as u32 && slot.pins > 0);
        (index, slot.expect("a block names the reservation that it holds"))
    }

    /// One more holder of the same bytes.
    pub fn pin(&mut self, token: u64) {
        let pins = &mut self.slot(token).1.pins;
        *pins = pins.checked_add(1).expect("fewer views than 2^32");
    }

    /// What the reservation dies after, once its last pin goes; `None` if all use of it is over.
    pub fn set_death(&mut self, token: u64, death: Option<&Frontier>) {
        self.slot(token).1.fate = Fate::After(Death::after(death));
    }

    /// One holder fewer. The last one puts the reservation on the list; whether this was the last one.
    pub fn unpin(&mut self, token: u64) -> bool {
        let (index, slot) = self.slot(token);
        if token as u32 & USED != 0 && matches!(slot.fate, Fate::AsBefore) {
            slot.fate = Fate::After(Death::NONE);
        }
        slot.pins -= 1;
        if slot.pins > 0 {
            return false;
        }
        (slot.next, slot.generation) = (NONE, slot.generation.wrapping_add(1));
        let length = slot.length;
        match self.slots.get_mut(self.returned_last as usize) {
            Some(last) => last.next = index,
            None => self.returned_first = index,
        }
        self.returned_last = index;
        self.live -= 1;
        self.reserved_bytes -= length;
        self.releases += 1;
        true
    }

    /// Takes the first reservation of the list, whose slot is then spare.
    pub fn take_returned(&mut self) -> Option<Returned<T, DEATH>> {
        let index = self.returned_first;
        let slot = self.slots.get_mut(index as usize)?;
        let content = slot.content.take().expect("a slot is on the list once");
        self.returned_first = std::mem::replace(&mut slot.next, self.spare);
        self.spare = index;
        let has_next = self.returned_first != NONE;
        if !has_next {
            self.returned_last = NONE;
        }
        Some(Returned { content, fate: self.slots[index as usize].fate, has_next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_come_back_in_order_and_slots_are_used_again() {
        let mut ledger = Ledger::<u8, 1>::new();
        let tokens: Vec<u64> = (0..3)
            .map(|content| {
                ledger.make_room().unwrap();
                ledger.enter(content, 10)
            })
            .collect();
        ledger.pin(tokens[0]);
        assert_eq!((ledger.unpin(tokens[0]), ledger.live()), (false, 3));
        assert_eq!((ledger.unpin(tokens[2]), ledger.unpin(tokens[0]), ledger.live()), (true, true, 1));
        let [first, second] = [0, 1].map(|_| ledger.take_returned().unwrap());
        assert_eq!((first.content, first.has_next, second.content, second.has_next), (2, true, 0, false));
        assert!(ledger.take_returned().is_none() && ledger.releases() == 2);
        ledger.make_room().unwrap();
        let again = ledger.enter(7, 10);
        assert_eq!(again as u32, tokens[0] as u32);
        assert_ne!(again, tokens[0], "a token of a reservation that is gone names none");
    }

    /// What was handed out to be used comes back as used, and as what it died after if that was said; untouched memory as
    /// it was.
    #[test]
    fn fates() {
        let mut ledger = Ledger::<u8, 1>::new();
        for (is_used, is_told) in [(false, false), (true, false), (false, true), (true, true)] {
            ledger.make_room().unwrap();
            let token = ledger.enter(0, 10);
            let death = weft_sync::FrontierBuf::single(weft_sync::Machine::LOCAL.queue(0, 0), 3);
            if is_told {
                ledger.set_death(token, Some(&death));
            }
            assert!(ledger.unpin(if is_used { used(token) } else { token }));
            match ledger.take_returned().unwrap().fate {
                Fate::AsBefore => assert!(!is_used && !is_told),
                Fate::After(it) => {
                    assert!(is_used || is_told);
                    assert_eq!(it.frontier().unwrap().is_empty(), !is_told);
                }
            }
        }
    }
}
