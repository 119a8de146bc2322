//! Which memory a ring knows.
//!
//! What lives here: [`Memory`], [`Hold`]. What does not: the calls (`register.rs`), the rings of buffers (`group.rs`).
//!
//! 1. **Who may call** is said in `registrar.rs`. One lock covers the choice of a place, the call, and that question. Whoever
//!    may not leaves an errand with the poll thread.
//! 2. **To be read**: one slot of a sparse table for each gigabyte, for a slot takes no more; a span's slot is that of its
//!    buffer. What the kernel does not take, wholly or at all (a limit on locked memory, a full table, a buffer of more than
//!    a gigabyte), is given back, and the region works without.
//! 3. **A kernel without sparse tables** knows one table at a time, and so one slab to be read. A mask without
//!    `MULTISHOT` stands for such a kernel. One from before 5.13 would wait for all requests, so it is told nothing.
//! 4. **To be written**: a ring of buffers. Its number is free again when the kernel has let it go. Where the kernel does
//!    not take it (a limit on locked memory), receives into pools wait for data, and then look for a buffer. So they do
//!    where buffers are to be used up piece by piece, and the kernel cannot.
//! 5. **A ring that goes away** takes everything along; what is registered or let go after that is of no effect.

use super::group::{ENTRIES_MAX, Group};
use super::register;
use super::registrar::Registrar;
use crate::memory::{Access, Consumption, Device, RegionOptions, Slab, Slots};
use crate::shared::{Errand, Shared, gone};
use libc::iovec;
use std::any::Any;
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use weft_sync::atomic::{Mutex, lock};
use weft_sync::{Result, bail};

/// Slots of a table, each for up to [`SLOT_BYTES`].
const SLOTS: u32 = 16_384;
/// What one slot takes at most.
const SLOT_BYTES: usize = 1 << 30;
/// How long the poll thread may take to come by.
const PATIENCE: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(10) };

/// What a ring can be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abilities {
    /// One owner is listened to.
    pub(super) is_single: bool,
    /// Rule 2, or rule 3 if not.
    pub(super) has_slots: bool,
    pub(super) is_sparse: bool,
    /// Rule 4.
    pub(super) has_groups: bool,
    /// Also such as are used up piece by piece.
    pub(super) has_incremental: bool,
}

/// See the header.
#[derive(Debug)]
pub(crate) struct Memory {
    abilities: Abilities,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    registrar: Registrar,
    table: Table,
    groups: Groups,
}

#[derive(Debug)]
enum Table {
    /// Nothing was registered yet, or the kernel took nothing.
    Unmade,
    Sparse(Slots),
    /// The one slab is registered.
    Only,
}

/// Numbers of rings of buffers.
#[derive(Debug, Default)]
struct Groups {
    /// All below were given out at some time.
    made: u32,
    free: Vec<u16>,
}

impl Groups {
    fn acquire(&mut self) -> Option<u16> {
        if let Some(id) = self.free.pop() {
            return Some(id);
        }
        let id = u16::try_from(self.made).ok()?;
        self.made += 1;
        Some(id)
    }
}

/// What a region has of a ring.
#[derive(Debug)]
pub(crate) struct Hold {
    memory: Arc<Memory>,
    shared: Arc<Shared>,
    taken: Taken,
    /// Buffers for each slot.
    buffers_per_slot: usize,
}

#[derive(Debug, Default)]
struct Taken {
    slots: Range<u32>,
    group: Option<Group>,
}

impl Hold {
    /// Where a buffer lies in the table, if it does.
    pub(crate) fn slot(&self, buffer: usize) -> Option<u16> {
        let index = buffer.checked_div(self.buffers_per_slot)? as u64 + u64::from(self.taken.slots.start);
        if index < u64::from(self.taken.slots.end) { u16::try_from(index).ok() } else { None }
    }

    /// The ring of buffers.
    pub(crate) fn group(&self) -> Option<&Group> {
        self.taken.group.as_ref()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        if taken.slots.is_empty() && taken.group.is_none() {
            return;
        }
        {
            let mut state = lock(&self.memory.state);
            if state.registrar.may_call(&self.shared) {
                return state.let_go(taken);
            }
        }
        let memory = Arc::clone(&self.memory);
        // Refused: the ring is gone (rule 5).
        drop(self.shared.errand(Errand::new(move || lock(&memory.state).let_go(taken))));
    }
}

/// What is to be registered, for whoever may do it.
#[derive(Debug)]
struct Wish {
    /// Where it begins. Only told to the kernel.
    address: usize,
    buffer_size: usize,
    buffer_count: u32,
    wants_slots: bool,
    wants_group: bool,
    consumption: Consumption,
    /// The memory stays mapped while the wish waits.
    _memory: Box<dyn Any + Send>,
}

impl Wish {
    /// Buffers for each slot; zero if not even one fits.
    fn buffers_per_slot(&self) -> usize {
        SLOT_BYTES / self.buffer_size
    }

    /// The pieces that fill a slot each.
    fn pieces(&self) -> Vec<iovec> {
        let (all, each) = (self.buffer_count as usize, self.buffers_per_slot());
        let piece = |first: usize| iovec {
            iov_base: std::ptr::with_exposed_provenance_mut(self.address + first * self.buffer_size),
            iov_len: each.min(all - first) * self.buffer_size,
        };
        (0..all).step_by(each.max(1)).map(piece).collect()
    }
}

impl Memory {
    pub(super) fn new(ring: RawFd, abilities: Abilities) -> Arc<Memory> {
        let state = State {
            registrar: Registrar::new(ring, abilities.is_single),
            table: Table::Unmade,
            groups: Groups::default(),
        };
        Arc::new(Memory { abilities, state: Mutex::new(state) })
    }

    /// Rule 1. `bind` makes the calling thread the owner of the ring.
    pub(super) fn while_binding<T>(&self, bind: impl FnOnce() -> T) -> T {
        lock(&self.state).registrar.while_binding(bind)
    }

    /// Rule 5.
    pub(super) fn close(&self) {
        lock(&self.state).registrar.close();
    }

    /// Makes the ring know a slab.
    pub(crate) fn register_slab(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        slab: &Slab,
        options: RegionOptions,
    ) -> Result<Hold> {
        let RegionOptions { access, consumption } = options;
        let (buffer_size, buffer_count) = (slab.buffer_size(), slab.buffer_count());
        let has_groups = match consumption {
            Consumption::Whole => self.abilities.has_groups,
            Consumption::Incremental => self.abilities.has_incremental,
        };
        let wants_group = has_groups && access.contains(Access::WRITE);
        if wants_group && (!buffer_count.is_power_of_two() || buffer_count > ENTRIES_MAX) {
            bail!(
                InvalidArgument,
                "{buffer_count} buffers to receive into; io_uring takes powers of two up to {ENTRIES_MAX}"
            );
        }
        if wants_group && u32::try_from(buffer_size).is_err() {
            bail!(
                InvalidArgument,
                "buffers of {buffer_size} bytes to receive into; io_uring takes less than 4 GiB"
            );
        }
        let wish = Wish {
            address: slab.start().expose_provenance(),
            buffer_size,
            buffer_count,
            wants_slots: self.abilities.has_slots && access.contains(Access::READ),
            wants_group,
            consumption,
            _memory: Box::new(slab.clone()),
        };
        self.register(shared, wish)
    }

    /// Makes the ring know one piece of mapped memory, if its pages are such that it can.
    pub(crate) fn register_mapped(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        memory: &Device,
        access: Access,
    ) -> Result<Hold> {
        let is_one_slot = memory.bytes() <= SLOT_BYTES;
        let is_sparse = self.abilities.is_sparse;
        let wish = Wish {
            address: memory.start().expose_provenance(),
            buffer_size: memory.bytes(),
            buffer_count: 1,
            wants_slots: self.abilities.has_slots
                && is_sparse
                && is_one_slot
                && access.contains(Access::READ),
            wants_group: false,
            consumption: Consumption::Whole,
            _memory: Box::new(memory.clone()),
        };
        self.register(shared, wish)
    }

    fn register(self: &Arc<Self>, shared: &Arc<Shared>, wish: Wish) -> Result<Hold> {
        {
            let mut state = lock(&self.state);
            if state.registrar.may_call(shared) {
                let taken = state.take(&wish, self.abilities)?;
                drop(state);
                return Ok(self.hold(shared, taken, &wish));
            }
        }
        let (tell, told) = sync_channel(1);
        let (memory, proactor) = (Arc::clone(self), Arc::clone(shared));
        shared.errand(Errand::new(move || {
            let taken = lock(&memory.state).take(&wish, memory.abilities);
            // Whoever does not wait any more gives it back by the drop of the hold.
            drop(tell.send(taken.map(|taken| memory.hold(&proactor, taken, &wish))));
        }))?;
        match told.recv_timeout(PATIENCE) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
            Err(RecvTimeoutError::Timeout) => {
                bail!(
                    DeadlineExceeded,
                    "memory is registered by the poll thread, which has not polled for {PATIENCE:?}"
                )
            }
        }
    }

    fn hold(self: &Arc<Self>, shared: &Arc<Shared>, taken: Taken, wish: &Wish) -> Hold {
        let (memory, shared) = (Arc::clone(self), Arc::clone(shared));
        Hold { memory, shared, taken, buffers_per_slot: wish.buffers_per_slot() }
    }
}

impl State {
    fn take(&mut self, wish: &Wish, abilities: Abilities) -> Result<Taken> {
        let Some(ring) = self.registrar.ring() else { return Err(gone()) };
        let mut taken = Taken::default();
        if wish.wants_slots {
            taken.slots = self.take_slots(ring, wish, abilities.is_sparse)?;
        }
        if wish.wants_group {
            match self.take_group(ring, wish) {
                Ok(group) => taken.group = group,
                Err(why) => {
                    self.let_go(taken);
                    return Err(why);
                }
            }
        }
        Ok(taken)
    }

    /// Rules 2 and 3. An empty run is no failure.
    fn take_slots(&mut self, ring: RawFd, wish: &Wish, is_sparse: bool) -> Result<Range<u32>> {
        if wish.buffers_per_slot() == 0 {
            return Ok(0..0);
        }
        if matches!(self.table, Table::Unmade) && is_sparse && register::sparse_table(ring, SLOTS).is_ok() {
            self.table = Table::Sparse(Slots::new(SLOTS));
        }
        let pieces = wish.pieces();
        match &mut self.table {
            Table::Only => bail!(AlreadyExists, "this kernel knows one slab to be read at a time"),
            Table::Unmade => match register::table(ring, &pieces) {
                Ok(()) => {
                    self.table = Table::Only;
                    Ok(0..pieces.len() as u32)
                }
                Err(_) => Ok(0..0),
            },
            Table::Sparse(slots) => {
                let Some(run) = slots.acquire(pieces.len() as u32) else { return Ok(0..0) };
                // None, or not all: rule 2.
                let done = register::update(ring, run.start, &pieces).unwrap_or(0);
                if done == pieces.len() {
                    return Ok(run);
                }
                let emptied = register::update(ring, run.start, &vec![register::empty(); done]);
                if done == 0 || emptied.is_ok_and(|count| count == done) {
                    slots.release(run);
                }
                Ok(0..0)
            }
        }
    }

    /// Rule 4. `None`: the kernel does not take it.
    fn take_group(&mut self, ring: RawFd, wish: &Wish) -> Result<Option<Group>> {
        let entries = wish.buffer_count;
        let flags = match wish.consumption {
            Consumption::Whole => 0,
            Consumption::Incremental => register::INCREMENTAL,
        };
        let Some(id) = self.groups.acquire() else {
            bail!(ResourceExhausted, "all 65536 rings of buffers are in use")
        };
        let made = Group::new(id, entries);
        let register = |group: &Group| register::buffer_ring(ring, group.address(), entries, id, flags);
        let registered = made.as_ref().map(register);
        if !matches!(registered, Ok(Ok(()))) {
            self.groups.free.push(id);
            return made.map(|_| None);
        }
        made.map(Some)
    }

    /// Must not fail: what the kernel does not give back is not used again.
    fn let_go(&mut self, taken: Taken) {
        let Some(ring) = self.registrar.ring() else { return };
        if let Some(group) = &taken.group
            && register::unregister_buffer_ring(ring, group.id()).is_ok()
        {
            self.groups.free.push(group.id());
        }
        let count = taken.slots.len();
        if count == 0 {
            return;
        }
        match &mut self.table {
            Table::Unmade => debug_assert!(false, "a slot of no table"),
            Table::Only => {
                if register::unregister_table(ring).is_ok() {
                    self.table = Table::Unmade;
                }
            }
            Table::Sparse(slots) => {
                let emptied = register::update(ring, taken.slots.start, &vec![register::empty(); count]);
                if emptied.is_ok_and(|done| done == count) {
                    slots.release(taken.slots);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::BufferPool;
    use crate::{Config, open};
    use weft_sync::{Code, Deadline};

    /// [async 187] [async-backends 153] Numbers of rings are all that 16 bits hold, none twice while it is in use, and the
    /// next of what came back.
    #[test]
    fn numbers_of_rings_are_used_again() {
        let mut groups = Groups::default();
        for round in 0..70_000_u32 {
            let id = groups.acquire().unwrap();
            assert_eq!(id, 0, "round {round}");
            groups.free.push(id);
        }
        let all: Vec<u16> = std::iter::from_fn(|| groups.acquire()).collect();
        assert_eq!(all, (0..=u16::MAX).collect::<Vec<_>>());
        assert_eq!(groups.acquire(), None);
        groups.free.push(0x8001);
        assert_eq!((groups.acquire(), groups.acquire()), (Some(0x8001), None));
    }

    /// [async-backends 162] What needs the poll thread fails if that does not poll, and leaves nothing behind; what comes to
    /// an end without it is let go when it polls.
    #[test]
    fn nobody_waits_for_ever() {
        let Ok(proactor) = open("uring", &Config::new()) else { return };
        let mut poller = proactor.into_poller().unwrap();
        let handle = poller.handle().clone();
        let is_single = handle.describe().details.contains("deferred");
        let slab = Slab::new(64, 4).unwrap();
        let access = Access::READ | Access::WRITE;
        let held = handle.register_slab(&slab, access).unwrap();
        let register = {
            let (handle, slab) = (handle.clone(), slab.clone());
            move || handle.register_slab(&slab, access)
        };
        let elsewhere = register.clone();
        let both = std::thread::spawn(move || {
            let outcome = elsewhere();
            drop(held);
            outcome
        });
        let outcome = both.join().unwrap();
        match outcome {
            Ok(_) => assert!(!is_single),
            Err(why) => assert_eq!(why.code(), Code::DeadlineExceeded),
        }
        assert!(poller.poll(Deadline::IMMEDIATE).is_err());
        let state = |handle: &crate::Handle| {
            let crate::memory::Registry::Uring(memory) = &handle.0.registry else { panic!("it is io_uring") };
            let state = lock(&memory.state);
            (state.groups.made, state.groups.free.len())
        };
        let (made, free) = state(&handle);
        assert_eq!(made as usize, free, "all came back");
        let pool = BufferPool::new(&handle.register_slab(&slab, access).unwrap()).unwrap();
        // Left behind when the proactor goes: told, not carried out.
        let other = std::thread::spawn(register);
        while lock(&handle.0.commands).as_ref().is_some_and(Vec::is_empty) && !other.is_finished() {
            std::thread::yield_now();
        }
        drop(poller);
        if let Err(why) = other.join().unwrap() {
            assert!([Code::Aborted, Code::DeadlineExceeded].contains(&why.code()), "{why}");
        }
        assert_eq!(handle.register_slab(&slab, access).unwrap_err().code(), Code::Aborted);
        assert_eq!(pool.acquire().unwrap().len(), 64);
    }
}
