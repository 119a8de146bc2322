//! Which open files a ring knows by a place in its table.
//!
//! What lives here: [`Files`], the table of a ring; [`Place`], one place in it. What does not: the calls (`register.rs`), who
//! has places, and for how long (`registration.rs` beside this folder).
//!
//! 1. **Who may call** is said in `registrar.rs`. One lock covers the choice of a place, the call, and that question.
//! 2. **The table is made with the first wish**, of [`PLACES`] places, or as many as the limit of handles allows. If the
//!    kernel makes none, or puts nothing into it, everybody goes without.
//! 3. **A place that is emptied lets the file go at once**, but for requests that have begun, which keep it by themselves.
//!    Kernels where that is not so are found out (`detect.rs`), and get no table: there, a file would stay open for as long
//!    as any request on any place.
//! 4. **A ring that goes away empties its table**, by a call of its own: the kernel's own tidying up comes later, on another
//!    thread, and whoever was at the other end of a socket would wait for that.

use super::register;
use super::registrar::Registrar;
use crate::memory::Slots;
use crate::registration::{LetGo, Named};
use crate::shared::{Errand, Shared};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Weak};
use weft_sync::atomic::{AtomicBool, Mutex, Ordering, lock};

/// Places of a table: 8 bytes of the kernel's memory each.
const PLACES: u32 = if cfg!(test) { 64 } else { 16_384 };
/// Fewer than this are not asked for.
const PLACES_MIN: u32 = 16;

/// See the header.
#[derive(Debug)]
pub(crate) struct Files {
    /// Told without the lock, which whoever asks may not take: it has that of another ring.
    is_gone: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    registrar: Registrar,
    table: Table,
}

#[derive(Debug)]
enum Table {
    /// Nothing was asked for yet.
    Unmade,
    /// The kernel makes none.
    Refused,
    Made(Slots),
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Registered {
    /// The ring knows the file, or cannot.
    Done,
    /// The ring is gone.
    Gone,
    /// Another thread has to ask.
    NotHere,
}

/// A place in the table of a ring, with a file in it until this is let go.
#[derive(Debug)]
pub(crate) struct Place {
    files: Arc<Files>,
    /// Not kept: a file may live longer than whoever knew it.
    shared: Weak<Shared>,
    proactor: u32,
    index: u32,
    is_taken: bool,
}

impl Files {
    pub(super) fn new(ring: RawFd, is_single: bool) -> Arc<Files> {
        let state = State { registrar: Registrar::new(ring, is_single), table: Table::Unmade };
        Arc::new(Files { is_gone: AtomicBool::new(false), state: Mutex::new(state) })
    }

    /// Rule 1. `bind` makes the calling thread the owner of the ring.
    pub(super) fn while_binding<T>(&self, bind: impl FnOnce() -> T) -> T {
        lock(&self.state).registrar.while_binding(bind)
    }

    /// Rule 4. The ring is there, for the last time.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        if let (Some(ring), Table::Made(_)) = (state.registrar.close(), &state.table) {
            // Refused on a thread that is not the owner: then the kernel does it, later.
            let _ = register::unregister_files(ring);
        }
        // Relaxed: who asks learns nothing else by it, and gets the lock after this if it is so.
        self.is_gone.store(true, Ordering::Relaxed);
    }

    /// Makes the ring know a file that nobody closes meanwhile.
    pub(crate) fn register(self: &Arc<Self>, shared: &Arc<Shared>, file: Named<'_>) -> Registered {
        let mut state = lock(&self.state);
        let Some(ring) = state.registrar.ring() else { return Registered::Gone };
        if !state.registrar.may_call(shared) {
            return Registered::NotHere;
        }
        if file.place(shared.id).is_some() {
            return Registered::Done;
        }
        if let Some(index) = state.put(ring, file.fd.as_raw_fd()) {
            let (files, proactor, shared) = (Arc::clone(self), shared.id, Arc::downgrade(shared));
            let refused = file.known().add(Place { files, shared, proactor, index, is_taken: true });
            // Its drop takes the lock.
            drop(state);
            drop(refused);
        }
        Registered::Done
    }
}

impl Place {
    /// Whose table it is in.
    pub(crate) fn proactor(&self) -> u32 {
        self.proactor
    }

    /// Which one it is.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Whether the table is gone.
    pub(crate) fn is_of_the_past(&self) -> bool {
        self.files.is_gone.load(Ordering::Relaxed)
    }

    /// Empties it, or sees to that.
    pub(crate) fn let_go(mut self) -> LetGo {
        self.empty()
    }

    fn empty(&mut self) -> LetGo {
        if !std::mem::take(&mut self.is_taken) {
            return LetGo::Now;
        }
        // Without a proactor there is no ring either (rule 4).
        let Some(shared) = self.shared.upgrade() else { return LetGo::Now };
        {
            let mut state = lock(&self.files.state);
            if state.registrar.may_call(&shared) {
                state.empty(self.index);
                return LetGo::Now;
            }
        }
        let (files, index) = (Arc::clone(&self.files), self.index);
        // Refused: the ring goes right now (rule 4).
        drop(shared.errand(Errand::new(move || lock(&files.state).empty(index))));
        LetGo::Later
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whoever has to know asks by `let_go`.
        let _ = self.empty();
    }
}

impl State {
    /// Rule 2.
    fn put(&mut self, ring: RawFd, file: RawFd) -> Option<u32> {
        if matches!(self.table, Table::Unmade) {
            self.table = make(ring).map_or(Table::Refused, |places| Table::Made(Slots::new(places)));
        }
        let Table::Made(slots) = &mut self.table else { return None };
        let run = slots.acquire(1)?;
        if register::put_file(ring, run.start, Some(file)).is_ok() {
            return Some(run.start);
        }
        // Nothing was put there.
        slots.release(run);
        None
    }

    /// Must not fail: a place that the kernel does not empty is not used again.
    fn empty(&mut self, index: u32) {
        let (Some(ring), Table::Made(slots)) = (self.registrar.ring(), &mut self.table) else { return };
        if register::put_file(ring, index, None).is_ok() {
            slots.release(index..index + 1);
        }
    }
}

/// An empty table, and how many places it has.
fn make(ring: RawFd) -> Option<u32> {
    let mut places = PLACES;
    while places >= PLACES_MIN {
        match register::sparse_files(ring, places) {
            Ok(()) => return Some(places),
            // More than the limit of handles.
            Err(Errno::MFILE) => places /= 2,
            Err(_) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::FileRead;
    use crate::{Capabilities, Config, File, Handle, Operation, Poller, open};
    use std::os::fd::AsFd;
    use std::sync::mpsc::channel;
    use weft_sync::Deadline;

    /// `None`: there is no table here.
    fn poller(rung: usize) -> Option<Poller> {
        let proactor = open("uring", &Config { ring_rung: rung, ..Config::new() });
        let poller = proactor.ok()?.into_poller().unwrap();
        let has_table = poller.handle().capabilities().contains(Capabilities::FIXED_FILES);
        if !has_table {
            println!("skipped: {}", poller.handle().describe().details);
        }
        has_table.then_some(poller)
    }

    fn file() -> File {
        File::import(std::fs::File::open("Cargo.toml").unwrap()).unwrap()
    }

    /// How many places are free; `None` if there is no table.
    fn free(handle: &Handle) -> Option<usize> {
        match &mut lock(&handle.0.files.as_ref().unwrap().state).table {
            Table::Made(slots) => {
                let taken: Vec<_> = std::iter::from_fn(|| slots.acquire(1)).collect();
                let count = taken.len();
                taken.into_iter().for_each(|run| slots.release(run));
                Some(count)
            }
            _ => None,
        }
    }

    /// Reads from all of them, at once.
    fn are_read(poller: &mut Poller, files: &[File]) {
        let (told, ended) = channel();
        for file in files {
            let told = told.clone();
            let read = Operation::new(FileRead::new(file.clone(), 1, vec![0; 7]));
            let read = read.on_done(move |done| {
                assert_eq!(done.result.unwrap(), 7);
                told.send(done.operation.into_params().target).unwrap();
            });
            poller.handle().submit(read).unwrap();
        }
        let mut count = 0;
        while count < files.len() {
            poller.poll(Deadline::NEVER).unwrap();
            count += ended.try_iter().inspect(|bytes| assert_eq!(bytes, b"package")).count();
        }
    }

    /// [async 192] [async-backends 160] The table is made with the first wish; who finds it full goes without, and what comes
    /// free is used again.
    #[test]
    fn a_full_table_is_no_failure() {
        for rung in [0, 5] {
            let Some(mut poller) = poller(rung) else { return };
            let handle = poller.handle().clone();
            assert_eq!(free(&handle), None);
            let mut files: Vec<File> = (0..100).map(|_| file()).collect();
            files.iter().for_each(|file| handle.register_file(file).unwrap());
            let known = |files: &[File]| files.iter().filter(|file| file.is_registered(&handle)).count();
            assert_eq!((known(&files), free(&handle)), (64, Some(0)));
            are_read(&mut poller, &files);
            files.drain(10..20);
            assert_eq!(free(&handle), Some(10));
            files.extend((0..20).map(|_| file()));
            files.iter().for_each(|file| handle.register_file(file).unwrap());
            assert_eq!((known(&files), free(&handle)), (64, Some(0)));
            are_read(&mut poller, &files);
            drop(files);
            assert_eq!(free(&handle), Some(64));
        }
    }

    /// [async-backends 162] A place is emptied by the thread that may: another leaves that to it, and the file stays open until
    /// then; where any thread may, it does it itself.
    #[test]
    fn places_are_emptied_by_who_may() {
        for rung in [0, 2, 3, 5] {
            let Some(mut poller) = poller(rung) else { return };
            let handle = poller.handle().clone();
            let is_single = rung < 3;
            let file = file();
            handle.register_file(&file).unwrap();
            assert_eq!(free(&handle), Some(63));
            std::thread::spawn(move || drop(file)).join().unwrap();
            assert_eq!(free(&handle), Some(if is_single { 63 } else { 64 }));
            assert!(poller.poll(Deadline::IMMEDIATE).is_err());
            assert_eq!(free(&handle), Some(64));
        }
    }

    /// However often another thread asks, the poll thread is told once, until it has come by.
    #[test]
    fn wishes_do_not_pile_up() {
        let Some(mut poller) = poller(0) else { return };
        assert!(poller.poll(Deadline::IMMEDIATE).is_err());
        let handle = poller.handle().clone();
        let told = || lock(&handle.0.commands).as_ref().map(Vec::len);
        let files = [file(), file()];
        for _ in 0..2 {
            std::thread::scope(|scope| {
                let ask = || (0..1000).for_each(|at| handle.register_file(&files[at % 2]).unwrap());
                scope.spawn(ask).join().unwrap();
                assert_eq!(told(), Some(2 - files.iter().filter(|file| file.is_registered(&handle)).count()));
            });
            assert!(poller.poll(Deadline::IMMEDIATE).is_err());
            assert_eq!((told(), files[1].is_registered(&handle)), (Some(0), true));
        }
    }

    /// A file that somebody knew who has gone keeps nothing of him, and he does not know it.
    #[test]
    fn who_has_gone_knows_nothing() {
        let Some(poller) = poller(0) else { return };
        let (handle, file) = (poller.handle().clone(), file());
        handle.register_file(&file).unwrap();
        assert!(file.is_registered(&handle));
        let kept = Arc::downgrade(&handle.0);
        drop(poller);
        assert!(!file.is_registered(&handle));
        drop(handle);
        assert!(kept.upgrade().is_none());
        drop(file);
    }

    /// What the kernel refuses to put into a table takes no place: a ring of its own kind, of all files.
    #[test]
    fn what_is_not_taken_takes_no_place() {
        let Some(poller) = poller(0) else { return };
        let handle = poller.handle().clone();
        let files = handle.0.files.as_ref().unwrap();
        let ring = lock(&files.state).registrar.ring().unwrap();
        let known = crate::registration::Known::new();
        let index = lock(&files.state).put(ring, ring);
        assert_eq!((index, free(&handle)), (None, Some(64)));
        let own = file();
        assert_eq!(files.register(&handle.0, Named::new(own.as_fd(), &known)), Registered::Done);
        assert_eq!((known.place(handle.0.id), free(&handle)), (Some(0), Some(63)));
        assert_eq!(known.let_go(), LetGo::Now);
        assert_eq!((known.place(handle.0.id), free(&handle)), (None, Some(64)));
    }
}
