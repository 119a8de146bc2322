//! Open files that rings know by a place in their tables.
//!
//! What lives here: [`Known`], where rings know an open file; [`Named`], the form in which a backend gets one; the calls of
//! [`Handle`] that register. What does not: the table of a ring (`backend/uring/files.rs`).
//!
//! 1. **A registration is one of the open handle with one proactor**, and ends with the first of: the close of the handle,
//!    the drop of its last clone, the end of the proactor. Operations keep their handle, and a place is emptied when the last
//!    one has ended, so no request names a place that has been given to another file: neither one that the kernel has yet to
//!    be handed, nor one that it has and that waits in a chain, whose file it looks up when its turn comes.
//! 2. **It is a wish.** Other proactors, backends without tables, a table that is full, a kernel that says no, a handle that
//!    eight rings know already: all of that uses the number, and nothing else differs.
//! 3. **Nobody waits.** Where the kernel listens to the poll thread alone, other threads leave an errand; until that has
//!    been run, operations use the number.
//! 4. **A ring keeps what it knows open**, so a close empties the places before it buries the handle. Where another thread
//!    has to do that, the file goes when that thread comes by, for which it is woken; what a close owes to a peer until then
//!    is done by whoever closes (`socket/closing.rs`).
#![cfg(unix)]

use crate::file::File;
use crate::handle::Handle;
use crate::shared::gone;
use crate::socket::Socket;
use std::os::fd::{AsFd, BorrowedFd};
use weft_sync::Result;
use weft_sync::atomic::lock;

#[cfg(all(target_os = "linux", not(loom)))]
pub(crate) use places::Known;

/// Where no ring has tables.
#[cfg(not(all(target_os = "linux", not(loom))))]
#[derive(Debug)]
pub(crate) struct Known;

#[cfg(not(all(target_os = "linux", not(loom))))]
impl Known {
    pub(crate) fn new() -> Known {
        Known
    }

    pub(crate) fn place(&self, _proactor: u32) -> Option<u32> {
        None
    }

    pub(crate) fn is_anywhere(&self) -> bool {
        false
    }

    pub(crate) fn let_go(&self) -> LetGo {
        LetGo::Now
    }
}

/// When rings let an open file go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum LetGo {
    /// None keeps it.
    Now,
    /// When a poll thread comes by that was told.
    Later,
}

/// An open file as a backend gets it: its number, and where rings know it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    pub(crate) fd: BorrowedFd<'a>,
    known: &'a Known,
}

impl<'a> Named<'a> {
    pub(crate) fn new(fd: BorrowedFd<'a>, known: &'a Known) -> Named<'a> {
        Named { fd, known }
    }

    /// Where the ring of this proactor knows it.
    #[inline]
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "no backend there has tables"))]
    pub(crate) fn place(self, proactor: u32) -> Option<u32> {
        self.known.place(proactor)
    }

    #[cfg(all(target_os = "linux", not(loom)))]
    pub(crate) fn known(self) -> &'a Known {
        self.known
    }
}

impl AsFd for Named<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
    }
}

/// What can be registered.
trait Registrable: Clone + Send + 'static {
    fn enter(&self) -> Result<()>;
    fn leave(&self);
    fn named(&self) -> Named<'_>;
}

macro_rules! registrable {
    ($kind:ty) => {
        impl Registrable for $kind {
            fn enter(&self) -> Result<()> {
                <$kind>::enter(self)
            }

            fn leave(&self) {
                <$kind>::leave(self);
            }

            fn named(&self) -> Named<'_> {
                <$kind>::named(self)
            }
        }
    };
}

registrable!(File);
registrable!(Socket);

impl Handle {
    /// Makes the proactor's ring know a file by a place in a table of its own, which spares the kernel looking its number up
    /// for each operation. What it gains is told at [`Capabilities::FIXED_FILES`](crate::Capabilities::FIXED_FILES); what
    /// operations do is the same with and without, here and on other proactors.
    ///
    /// It lasts until the file is closed, by an operation or with the last of its clones, or the proactor ends; twice is
    /// once. From a thread other than the poll thread it may take effect later, when that polls. So may a close: the system
    /// lets the file go when all proactors that know it have polled, which they are woken for.
    ///
    /// No place, or a kernel without tables, is no failure: see [`File::is_registered`]. `FAILED_PRECONDITION`: the file is
    /// closed. `ABORTED`: the proactor is gone.
    ///
    /// ```
    /// use weft_io::{Config, File, open_any, ops::FileRead};
    /// let mut poller = open_any(&Config::new())?.into_poller()?;
    /// let handle = poller.handle().clone();
    /// let file = File::import(std::fs::File::open("Cargo.toml").unwrap())?;
    /// handle.register_file(&file)?;
    /// let read = poller.block_on(handle.run(FileRead::new(file, 1, vec![0; 7])))?;
    /// assert_eq!(read.result?, 7);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn register_file(&self, file: &File) -> Result<()> {
        self.register_open(file)
    }

    /// The same for a socket. It gains where a socket is used again and again: a place is taken and emptied by a call to the
    /// kernel each.
    ///
    /// A [`SocketClose`](crate::ops::SocketClose) on another proactor, or with operations under way, shuts both directions down
    /// or resets the connection, as the close would, so that the peer sees it at once (of a stream within this machine it is
    /// always the end); the port is free when the operations have ended and this proactor has polled. If the last clone is
    /// dropped on another thread, the peer sees the end when this proactor has polled.
    ///
    /// ```
    /// use weft_io::{Config, Socket, SocketKind, SocketOptions, open_any};
    /// let proactor = open_any(&Config::new())?;
    /// let socket = Socket::new(SocketKind::Udp, SocketOptions::empty())?;
    /// proactor.handle().register_socket(&socket)?;
    /// println!("known to the kernel: {}", socket.is_registered(proactor.handle()));
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn register_socket(&self, socket: &Socket) -> Result<()> {
        self.register_open(socket)
    }

    fn register_open<T: Registrable>(&self, open: &T) -> Result<()> {
        // Rule 1: nobody closes it meanwhile.
        open.enter()?;
        let outcome = self.register_entered(open);
        open.leave();
        outcome
    }

    #[cfg(all(target_os = "linux", not(loom)))]
    fn register_entered<T: Registrable>(&self, open: &T) -> Result<()> {
        use crate::backend::uring::Registered;
        use crate::shared::Errand;
        let Some(files) = &self.0.files else { return self.is_there() };
        match files.register(&self.0, open.named()) {
            Registered::Done => Ok(()),
            Registered::Gone => Err(gone()),
            Registered::NotHere => {
                // Once is enough, however often it is asked for.
                if !open.named().known().wish(self.0.id) {
                    return self.is_there();
                }
                let (open, handle) = (open.clone(), self.clone());
                // Nobody is told what becomes of it: rules 2 and 3.
                self.0.errand(Errand::new(move || {
                    drop(handle.register_open(&open));
                    open.named().known().wished(handle.0.id);
                }))
            }
        }
    }

    #[cfg(not(all(target_os = "linux", not(loom))))]
    fn register_entered<T: Registrable>(&self, open: &T) -> Result<()> {
        let _ = open.named();
        self.is_there()
    }

    /// `ABORTED` if not.
    pub(crate) fn is_there(&self) -> Result<()> {
        lock(&self.0.commands).is_some().then_some(()).ok_or_else(gone)
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
mod places {
    use super::LetGo;
    use crate::backend::uring::Place;
    use std::sync::OnceLock;
    use weft_sync::atomic::{AtomicU64, Mutex, Ordering, lock};

    /// How many rings know a file at a time. Operations go through all of them.
    const RINGS_MAX: usize = 8;

    /// Where rings know an open file; almost always nowhere, which costs a pointer.
    #[derive(Debug)]
    pub(crate) struct Known(OnceLock<Box<Places>>);

    /// * `words` – any thread, atomically: a proactor, and the place in the table of its ring; 0 is none.
    /// * `taken` – what keeps these places, at the same index.
    /// * `wishes` – any thread.
    #[derive(Debug, Default)]
    struct Places {
        words: [AtomicU64; RINGS_MAX],
        taken: Mutex<[Option<Place>; RINGS_MAX]>,
        /// Proactors that have been asked to know it, and have not come by.
        wishes: Mutex<Vec<u32>>,
    }

    impl Known {
        /// Nowhere.
        pub(crate) fn new() -> Known {
            Known(OnceLock::new())
        }

        /// Where the ring of this proactor knows it.
        #[inline]
        pub(crate) fn place(&self, proactor: u32) -> Option<u32> {
            let places = self.0.get()?;
            // Acquire pairs with the Release in `add`: the kernel knew the place before.
            let mut words = places.words.iter().map(|word| word.load(Ordering::Acquire));
            words.find(|word| (word >> 32) as u32 == proactor).map(|word| word as u32)
        }

        /// Whether any ring knows it.
        pub(crate) fn is_anywhere(&self) -> bool {
            // Acquire, as in `place`.
            let is_word = |word: &AtomicU64| word.load(Ordering::Acquire) != 0;
            self.0.get().is_some_and(|places| places.words.iter().any(is_word))
        }

        /// A proactor is to know it. `false`: it was asked before, and has not come by, or knows it already.
        pub(crate) fn wish(&self, proactor: u32) -> bool {
            let places = self.0.get_or_init(Box::default);
            let mut wishes = lock(&places.wishes);
            let is_new = !wishes.contains(&proactor) && self.place(proactor).is_none();
            if is_new {
                wishes.push(proactor);
            }
            is_new
        }

        /// It has come by.
        pub(crate) fn wished(&self, proactor: u32) {
            if let Some(places) = self.0.get() {
                lock(&places.wishes).retain(|other| *other != proactor);
            }
        }

        /// A ring knows it now. The place comes back if too many do. One call for a ring at a time.
        pub(crate) fn add(&self, place: Place) -> Result<(), Place> {
            let places = self.0.get_or_init(Box::default);
            let mut taken = lock(&places.taken);
            let is_free = |of: &Option<Place>| of.as_ref().is_none_or(Place::is_of_the_past);
            let Some(index) = taken.iter().position(is_free) else { return Err(place) };
            let word = u64::from(place.proactor()) << 32 | u64::from(place.index());
            let before = taken[index].replace(place);
            // Release pairs with the Acquire in `place`.
            places.words[index].store(word, Ordering::Release);
            drop(taken);
            drop(before);
            Ok(())
        }

        /// Rule 4. Nothing is under way on the file, and nothing will be.
        pub(crate) fn let_go(&self) -> LetGo {
            let Some(places) = self.0.get() else { return LetGo::Now };
            let taken = std::mem::take(&mut *lock(&places.taken));
            // Relaxed: no operation is on the file that would ask.
            places.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
            let mut outcome = LetGo::Now;
            for place in taken.into_iter().flatten() {
                if place.let_go() == LetGo::Later {
                    outcome = LetGo::Later;
                }
            }
            outcome
        }
    }
}
