//! The half of a proactor that every thread may use.
//!
//! What lives here: [`Shared`], [`Mailbox`], [`Command`]. What does not: what users call (`handle.rs`), the half of the
//! poll thread (`proactor`).

use crate::backend::Waker;
use crate::describe::Description;
use crate::doorbell::{Doorbell, bell};
use crate::home::Home;
use crate::listener::{HeardList, Rosters};
#[cfg(unix)]
use crate::proactor::Watching;
use crate::table::{Closed, IndexList, Key, Table};
use std::collections::VecDeque;
use std::sync::Arc;
#[cfg(not(loom))]
use weft_sync::atomic::AtomicU32;
use weft_sync::atomic::{AtomicU64, Mutex, Ordering, lock};
use weft_sync::{Result, Status, bail, status};

/// Something that only the poll thread can do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Start to watch a handle, under this number.
    #[cfg(unix)]
    Watch(u64, Box<dyn Watching>),
    /// Stop watching the handle that was registered under this number.
    #[cfg(unix)]
    Unwatch(u64),
    /// Run this.
    #[cfg(unix)]
    Errand(Errand),
    /// End whatever waits for this socket, which another proactor closes.
    #[cfg(unix)]
    Closed(crate::Socket),
}

/// Something short that only the poll thread may do. One that is dropped unrun was left with a proactor that is gone.
#[cfg(unix)]
pub(crate) struct Errand(Box<dyn FnOnce() + Send>);

#[cfg(unix)]
impl Errand {
    pub(crate) fn new(run: impl FnOnce() + Send + 'static) -> Errand {
        Errand(Box::new(run))
    }

    pub(crate) fn run(self) {
        (self.0)();
    }
}

#[cfg(unix)]
impl std::fmt::Debug for Errand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Errand")
    }
}

/// See the header.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Unique in the process: tickets name it.
    pub(crate) id: u32,
    pub(crate) table: Table,
    /// Operations that were submitted.
    pub(crate) pending: IndexList,
    /// Operations that were asked to end.
    pub(crate) cancels: IndexList,
    /// Operations that waited in software and are decided.
    pub(crate) fired: IndexList,
    /// Notifications that were signalled while operations wait for them.
    pub(crate) heard: HeardList,
    /// Where it listens.
    pub(crate) rosters: Rosters,
    pub(crate) doorbell: Doorbell,
    /// The poll thread.
    pub(crate) home: Home,
    pub(crate) waker: Waker,
    pub(crate) mailbox: Mailbox,
    /// `None` once the proactor is gone.
    pub(crate) commands: Mutex<Option<Vec<Command>>>,
    watches: AtomicU64,
    #[cfg(unix)]
    pub(crate) relays: crate::relay::Hub,
    pub(crate) description: Description,
    /// What it knows of memory.
    #[cfg(all(unix, not(loom)))]
    pub(crate) registry: crate::memory::Registry,
    /// Which open files it knows, if it can know any.
    #[cfg(all(target_os = "linux", not(loom)))]
    pub(crate) files: Option<Arc<crate::backend::uring::Files>>,
    #[cfg(all(unix, not(loom)))]
    _listed: crate::directory::Listed,
}

impl Shared {
    pub(crate) fn new(
        operations: u32,
        messages: u32,
        waker: Waker,
        description: Description,
        #[cfg(all(unix, not(loom)))] registry: crate::memory::Registry,
        #[cfg(all(target_os = "linux", not(loom)))] files: Option<Arc<crate::backend::uring::Files>>,
    ) -> Arc<Shared> {
        let table = Table::new(operations);
        let count = table.count();
        let id = unique_id();
        let shared = Arc::new(Shared {
            id,
            table,
            pending: IndexList::new(count),
            cancels: IndexList::new(count),
            fired: IndexList::new(count),
            heard: HeardList::new(),
            rosters: Rosters::new(),
            doorbell: Doorbell::new(),
            home: Home::new(),
            waker,
            mailbox: Mailbox::new(messages),
            commands: Mutex::new(Some(Vec::new())),
            watches: AtomicU64::new(1),
            #[cfg(unix)]
            relays: crate::relay::Hub::new(),
            description,
            #[cfg(all(unix, not(loom)))]
            registry,
            #[cfg(all(target_os = "linux", not(loom)))]
            files,
            #[cfg(all(unix, not(loom)))]
            _listed: crate::directory::Listed::new(id),
        });
        #[cfg(all(unix, not(loom)))]
        crate::directory::add(&shared);
        shared
    }

    /// Rings, and wakes the poll thread if it sleeps.
    #[inline]
    pub(crate) fn ring(&self, what: u32) {
        if self.doorbell.ring(what) {
            self.waker.wake();
        }
    }

    /// A free slot.
    #[inline]
    pub(crate) fn acquire(&self) -> Option<Key> {
        match self.home.is_here() {
            true => self.table.acquire_here(),
            false => self.table.acquire(),
        }
    }

    /// Shows submitted operations to the poll thread, linked from the oldest to the newest. On that thread nobody has to be
    /// told: it looks before it sleeps.
    #[inline]
    pub(crate) fn show(&self, oldest: u32, newest: u32) -> std::result::Result<(), Closed> {
        if self.home.is_here() && self.pending.push_own(oldest, newest) {
            return Ok(());
        }
        self.pending.push_linked(oldest, newest)?;
        self.ring_after(bell::PENDING);
        Ok(())
    }

    /// The same, for what was pushed on a list (rule 6 of `doorbell.rs`).
    #[inline]
    pub(crate) fn ring_after(&self, what: u32) {
        if self.doorbell.ring_after(what) {
            self.waker.wake();
        }
    }

    /// An operation that waited in software is decided. A proactor that is gone has ended it otherwise.
    pub(crate) fn fire(&self, slot: u32) {
        if self.fired.push(slot).is_ok() {
            self.ring_after(bell::FIRED);
        }
    }

    /// Starts to watch a handle; the number by which that is taken back. A proactor that is gone gives the watch back.
    #[cfg(unix)]
    pub(crate) fn watch(
        &self,
        watching: Box<dyn Watching>,
    ) -> std::result::Result<u64, (Status, Box<dyn Watching>)> {
        let number = self.watches.fetch_add(1, Ordering::Relaxed);
        match self.command(Command::Watch(number, watching)) {
            Ok(()) => Ok(number),
            Err(Command::Watch(_, watching)) => Err((gone(), watching)),
            Err(_) => unreachable!("the same command comes back"),
        }
    }

    /// Stops watching: [`Watching::end`] follows, on the poll thread. Of no effect on one that has ended.
    #[cfg(unix)]
    pub(crate) fn unwatch(&self, number: u64) {
        // A proactor that is gone has ended it.
        drop(self.command(Command::Unwatch(number)));
    }

    /// Has something run on the poll thread. `ABORTED`: the proactor is gone.
    #[cfg(unix)]
    pub(crate) fn errand(&self, errand: Errand) -> Result<()> {
        self.command(Command::Errand(errand)).map_err(|_| gone())
    }

    /// Another proactor closes this socket. One that is gone has ended what waited for it.
    #[cfg(unix)]
    pub(crate) fn tell_closed(&self, socket: crate::Socket) {
        drop(self.command(Command::Closed(socket)));
    }

    /// Leaves a command for the poll thread; one for a proactor that is gone comes back.
    #[cfg(unix)]
    fn command(&self, command: Command) -> std::result::Result<(), Command> {
        match &mut *lock(&self.commands) {
            Some(commands) => commands.push(command),
            None => return Err(command),
        }
        self.ring(bell::COMMAND);
        Ok(())
    }
}

fn unique_id() -> u32 {
    cfg_select! {
        // Nothing static under the model, and one proactor is enough for it.
        loom => { 1 }
        _ => {
            static IDS: AtomicU32 = AtomicU32::new(1);
            IDS.fetch_add(1, Ordering::Relaxed)
        }
    }
}

/// Why nothing is accepted any more.
pub(crate) fn gone() -> Status {
    status!(Aborted, "the proactor is gone")
}

/// Messages on their way to the message callback, in the order of arrival; a bounded number.
#[derive(Debug)]
pub(crate) struct Mailbox {
    room: usize,
    /// `None` once the proactor is gone.
    messages: Mutex<Option<VecDeque<u64>>>,
}

impl Mailbox {
    fn new(room: u32) -> Mailbox {
        let room = room.max(1) as usize;
        Mailbox { room, messages: Mutex::new(Some(VecDeque::with_capacity(room))) }
    }

    /// Adds a message, or says that there is no room.
    pub(crate) fn put(&self, payload: u64) -> Result<()> {
        match &mut *lock(&self.messages) {
            None => return Err(gone()),
            Some(messages) if messages.len() < self.room => messages.push_back(payload),
            Some(_) => {
                bail!(ResourceExhausted, "the mailbox holds {} messages; its owner has to poll", self.room)
            }
        }
        Ok(())
    }

    /// Exchanges the waiting messages for an empty ring of the same capacity.
    pub(crate) fn swap(&self, empty: &mut VecDeque<u64>) {
        if let Some(messages) = &mut *lock(&self.messages) {
            std::mem::swap(messages, empty);
        }
    }

    /// Takes nothing more; what was there is dropped.
    pub(crate) fn close(&self) {
        *lock(&self.messages) = None;
    }

    pub(crate) fn room(&self) -> usize {
        self.room
    }
}
