//! The bytes behind a buffer: there from the start, or committed later in queue order.
//!
//! Protocol of a transient backing, whose state word is `pins (low 32 bits) | COMMITTED | DECOMMITTED`:
//!
//! 1. Commit stores base and block, then sets COMMITTED with Release. It happens at most once.
//! 2. A user adds a pin with Acquire and looks at the word from before: only COMMITTED without DECOMMITTED is a
//!    success; otherwise it takes the pin away again.
//! 3. Decommit sets DECOMMITTED; from then on no pin succeeds.
//! 4. Whoever sees "DECOMMITTED and no pin left" (decommit itself, or the last unpin) takes the block out of its lock
//!    and drops it. A pin that failed only delays this; the lock makes it happen once.
//!
//! So bytes that somebody pinned stay where they are even when a program deallocates too early.

use weft_sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Mutex, Ordering, lock};
use weft_sync::{Code, Frontier, Result, Status, bail};

use crate::host_block::HostBlock;

const COMMITTED: u64 = 1 << 32;
const DECOMMITTED: u64 = 1 << 33;
const PINS: u64 = COMMITTED - 1;

/// Where the bytes of an allocated buffer are.
pub(crate) enum Backing {
    Resident(HostBlock),
    Transient(Transient),
}

/// Bytes that come and go in queue order.
pub(crate) struct Transient {
    state: AtomicU64,
    base: AtomicPtr<u8>,
    block: Mutex<Option<HostBlock>>,
    dealloca_queued: AtomicBool,
}

impl Transient {
    pub(crate) fn new() -> Transient {
        Transient {
            state: AtomicU64::new(0),
            base: AtomicPtr::new(std::ptr::null_mut()),
            block: Mutex::new(None),
            dealloca_queued: AtomicBool::new(false),
        }
    }

    /// A backing that is committed from the start: for devices whose allocation was due at once.
    pub(crate) fn committed(block: HostBlock) -> Transient {
        Transient {
            state: AtomicU64::new(COMMITTED),
            base: AtomicPtr::new(block.base().as_ptr()),
            block: Mutex::new(Some(block)),
            dealloca_queued: AtomicBool::new(false),
        }
    }

    /// Step 1.
    pub(crate) fn commit(&self, block: HostBlock) -> Result<()> {
        let mut slot = lock(&self.block);
        if self.state.load(Ordering::Relaxed) & (COMMITTED | DECOMMITTED) != 0 {
            bail!(FailedPrecondition, "transient buffer was committed or deallocated before");
        }
        self.base.store(block.base().as_ptr(), Ordering::Relaxed);
        *slot = Some(block);
        self.state.fetch_or(COMMITTED, Ordering::Release); // pairs with the Acquire in `pin`
        Ok(())
    }

    /// Step 2: the base address, good until [`Transient::unpin`].
    #[inline]
    pub(crate) fn pin(&self) -> Result<*mut u8> {
        let before = self.state.fetch_add(1, Ordering::Acquire); // pairs with the Release in `commit`
        if before & (COMMITTED | DECOMMITTED) != COMMITTED {
            self.unpin();
            return Err(not_there(before));
        }
        Ok(self.base.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn unpin(&self) {
        // Release: our accesses happen before the block is given away; Acquire: so do those of the other pins.
        let before = self.state.fetch_sub(1, Ordering::AcqRel);
        if before & DECOMMITTED != 0 && before & PINS == 1 {
            self.release();
        }
    }

    /// Step 3. Idempotent.
    pub(crate) fn decommit(&self) {
        let before = self.state.fetch_or(DECOMMITTED, Ordering::AcqRel); // as in `unpin`
        if before & PINS == 0 {
            self.release();
        }
    }

    /// Step 3, and tells the block what it dies after, for when step 4 drops it. Only the first word counts.
    pub(crate) fn decommit_after(&self, death: Option<&Frontier>) {
        // Relaxed: who may deallocate was decided by `claim_dealloca`; this is for misuse, which must not lose a death.
        if self.state.load(Ordering::Relaxed) & DECOMMITTED == 0
            && let Some(block) = lock(&self.block).as_mut()
        {
            block.set_death(death);
        }
        self.decommit();
    }

    /// Step 4.
    fn release(&self) {
        let block = lock(&self.block).take();
        drop(block); // outside the lock: a home may do anything
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.state.load(Ordering::Acquire) & (COMMITTED | DECOMMITTED) == COMMITTED
    }

    pub(crate) fn is_untouched(&self) -> bool {
        lock(&self.block).as_ref().is_some_and(HostBlock::is_untouched)
    }

    /// True for the one caller that may queue the deallocation.
    pub(crate) fn claim_dealloca(&self) -> bool {
        !self.dealloca_queued.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn withdraw_dealloca(&self) {
        self.dealloca_queued.store(false, Ordering::Release);
    }

    pub(crate) fn is_dealloca_queued(&self) -> bool {
        self.dealloca_queued.load(Ordering::Acquire)
    }
}

#[cold]
fn not_there(state: u64) -> Status {
    let text = if state & DECOMMITTED != 0 {
        "transient buffer has not been committed: it was deallocated"
    } else {
        "transient buffer has not been committed: order the use after its alloca"
    };
    Status::new(Code::FailedPrecondition, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> HostBlock {
        HostBlock::from_heap(64, 64).unwrap()
    }

    /// [hal 58] bytes cannot be reached before the commit nor after the decommit; a pin outlives the decommit.
    #[test]
    fn a_pin_keeps_the_block_across_a_decommit() {
        let transient = Transient::new();
        assert_eq!(transient.pin().unwrap_err().code(), Code::FailedPrecondition);
        transient.commit(block()).unwrap();
        assert!(!transient.pin().unwrap().is_null());
        transient.decommit();
        assert!(transient.block.lock().unwrap().is_some());
        assert_eq!(transient.pin().unwrap_err().code(), Code::FailedPrecondition);
        transient.unpin();
        assert!(transient.block.lock().unwrap().is_none());
        transient.decommit();
    }

    /// What a race detector looks at: users that come early, in time and too late, against commit and decommit. [hal 60]
    #[test]
    fn users_race_with_commit_and_decommit() {
        for _ in 0..200 {
            let transient = Transient::new();
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..50 {
                            if transient.pin().is_ok() {
                                assert!(lock(&transient.block).is_some(), "a pin keeps the block");
                                transient.unpin();
                            }
                        }
                    });
                }
                transient.commit(block()).unwrap();
                std::thread::yield_now();
                transient.decommit();
            });
            assert!(lock(&transient.block).is_none(), "the last one out released it");
        }
    }

    #[test]
    fn commit_happens_once() {
        let transient = Transient::new();
        transient.commit(block()).unwrap();
        assert_eq!(transient.commit(block()).unwrap_err().code(), Code::FailedPrecondition);
        transient.decommit();
        assert_eq!(transient.commit(block()).unwrap_err().code(), Code::FailedPrecondition);
    }
}
