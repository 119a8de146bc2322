//! Files that devices read and write without a thread of theirs: a proactor, and the thread that polls it.
//!
//! 1. The thread starts with the first file. Who needs no files has no thread.
//! 2. Without a proactor, because the system lets none be opened or it stopped, files are read and written by the threads of
//!    devices. Why is kept: [`FilePoller::why_synchronous`].
//! 3. A proactor that fails is dropped, by its own thread: what was under way is given back, and devices do it themselves.
//!
//! What lives here: [`FilePoller`]. What does not: transfers (`weft-hal/src/file`), archives (`parameters`).

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use weft_hal::{Faults, File, MemoryAccess, io_status};
use weft_io::{Config, Handle, Runner, RunnerOptions, open, open_any};
use weft_sync::{Result, Status, WhileDoing};

/// Opens files for devices. Cheap to clone; clones share the thread, which ends with the last of them.
///
/// ```
/// use weft::FilePoller;
/// use weft::hal::MemoryAccess;
/// let files = FilePoller::new();
/// let file = files.open("Cargo.toml", MemoryAccess::READ)?;
/// assert_eq!(file.name(), Some("Cargo.toml"));
/// # weft::Result::Ok(())
/// ```
#[derive(Clone, Default)]
pub struct FilePoller(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// None: the best there is.
    backend: Option<String>,
    /// What goes wrong on purpose with transfers of all its files.
    faults: Option<Arc<Faults>>,
    polling: OnceLock<Result<Polling>>,
}

struct Polling {
    handle: Handle,
    runner: Arc<Mutex<Option<Runner>>>,
}

impl FilePoller {
    /// On the best backend that the system lets run, or the one that `WEFT_IO_BACKEND` names.
    pub fn new() -> FilePoller {
        FilePoller::default()
    }

    /// On this backend of proactors, such as `epoll`.
    pub fn with_backend(name: impl Into<String>) -> FilePoller {
        FilePoller(Arc::new(Inner { backend: Some(name.into()), ..Inner::default() }))
    }

    /// One of the same kind, with a thread of its own, of whose files some transfers go wrong.
    #[doc(hidden)]
    #[must_use]
    pub fn with_faults(&self, faults: Arc<Faults>) -> FilePoller {
        FilePoller(Arc::new(Inner {
            backend: self.0.backend.clone(),
            faults: Some(faults),
            polling: OnceLock::new(),
        }))
    }

    /// Opens a file that exists, for what `access` says. Messages name it as it is named here.
    pub fn open(&self, path: impl AsRef<Path>, access: MemoryAccess) -> Result<Arc<File>> {
        let path = path.as_ref();
        let mut options = fs::OpenOptions::new();
        options.read(access.contains(MemoryAccess::READ)).write(access.contains(MemoryAccess::WRITE));
        let opened = options.open(path).map_err(|error| io_status(&error));
        let name = path.display().to_string();
        let telling = || format!("opening file `{name}`");
        self.adopt(&name, opened.while_doing(telling)?, access).map(Arc::new)
    }

    /// Takes over a file that is open for what `access` says. INVALID_ARGUMENT: it has no places to read from (a pipe, a
    /// folder).
    pub fn adopt(&self, name: &str, file: fs::File, access: MemoryAccess) -> Result<File> {
        let adopted = match self.polling() {
            Ok(polling) => weft_io::File::try_from(file)
                .and_then(|file| File::from_io(access, file, polling.handle.clone())),
            Err(_) => Ok(File::from_std(access, file)),
        };
        let file = adopted.while_doing(|| format!("opening file `{name}`"))?.named(name);
        Ok(match &self.0.faults {
            Some(faults) => file.with_faults(Arc::clone(faults)),
            None => file,
        })
    }

    /// Why files are read and written by the threads of devices, if they are. Starts the thread, if that has not happened.
    pub fn why_synchronous(&self) -> Option<Status> {
        match self.polling() {
            Err(status) => Some(status.clone()),
            Ok(polling) => match &*lock(&polling.runner) {
                Some(runner) if !runner.is_stopped() => None,
                _ => Some(Status::new(weft_sync::Code::Aborted, "the proactor of files has failed")),
            },
        }
    }

    fn polling(&self) -> std::result::Result<&Polling, &Status> {
        self.0.polling.get_or_init(|| start(self.0.backend.as_deref())).as_ref()
    }
}

fn lock(runner: &Mutex<Option<Runner>>) -> std::sync::MutexGuard<'_, Option<Runner>> {
    runner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(backend: Option<&str>) -> Result<Polling> {
    let config = Config { name: "weft-files".to_owned(), ..Config::new() };
    let proactor = match backend {
        Some(name) => open(name, &config),
        None => open_any(&config),
    };
    let slot = Arc::new(Mutex::new(None));
    // Held until the runner is where its failure looks for it: else one that fails at once would stay there, and keep
    // what was submitted to it for ever.
    let mut starting = lock(&slot);
    let failed = Arc::downgrade(&slot);
    let on_error = move |_: Status| {
        // Rule 3. Dropped outside of the lock: everything that is under way is called back.
        let runner = failed.upgrade().and_then(|slot| lock(&slot).take());
        drop(runner);
    };
    let options = RunnerOptions { on_error: Some(Box::new(on_error)), ..RunnerOptions::new() };
    let runner = proactor.and_then(|proactor| Runner::start(proactor, options));
    let runner = runner.while_doing(|| "starting a proactor for files")?;
    let handle = runner.handle().clone();
    *starting = Some(runner);
    drop(starting);
    Ok(Polling { handle, runner: slot })
}

impl fmt::Debug for FilePoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.polling.get() {
            None => write!(f, "FilePoller(not started)"),
            Some(Ok(polling)) => write!(f, "FilePoller({:?})", polling.handle),
            Some(Err(status)) => write!(f, "FilePoller({status})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_hal::{BufferParams, Region, Submission};
    use weft_io::Operation;
    use weft_io::ops::Nop;
    use weft_sync::{Deadline, Point, Semaphore};

    const LENGTH: usize = 1 << 20;

    /// Reads the whole file, and looks at the bytes.
    fn read(device: &weft_hal::Device, file: &Arc<File>) {
        let buffer = device.allocator().allocate(&BufferParams::device_local(), LENGTH as u64).unwrap();
        let signal = [Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 }];
        let at = Submission { signal: &signal, ..Submission::IMMEDIATE };
        device.queue_read(&at, file, 0, &Region::whole(&buffer)).unwrap();
        device.wait_all(&signal, Deadline::NEVER).unwrap();
        assert!(buffer.read_to_vec(0, LENGTH as u64).unwrap() == [7; LENGTH]);
    }

    /// The thread fails: what is under way, what is read later from files that are open, and files that are opened
    /// later, all of it works, and why nobody polls is known. Backends that the machine lacks are left out.
    #[test]
    fn files_outlive_the_failure_of_the_runner() {
        let path = std::env::temp_dir().join(format!("weft-runner-fails-{}", std::process::id()));
        fs::write(&path, vec![7; LENGTH]).unwrap();
        let mut tried = 0;
        for backend in ["uring", "epoll", "poll"] {
            for uri in ["local-sync", "local-task"] {
                let files = FilePoller::with_backend(backend);
                if files.why_synchronous().is_some() {
                    continue;
                }
                tried += 1;
                let device = crate::open_device(uri).unwrap();
                let file = files.open(&path, MemoryAccess::READ).unwrap();
                std::thread::scope(|scope| {
                    scope.spawn(|| (0..20).for_each(|_| read(&device, &file)));
                    let handle = files.polling().unwrap().handle.clone();
                    let fails = Operation::new(Nop).on_done(|_| panic!("on purpose"));
                    handle.submit(fails).map_err(|refused| refused.why).unwrap();
                });
                let begun = std::time::Instant::now();
                let why = loop {
                    match files.why_synchronous() {
                        Some(why) => break why,
                        None => assert!(begun.elapsed().as_secs() < 20, "{backend}: nobody hears of it"),
                    }
                };
                assert!(why.to_string().contains("proactor of files has failed"), "{why}");
                read(&device, &file);
                read(&device, &files.open(&path, MemoryAccess::READ).unwrap());
            }
        }
        fs::remove_file(&path).unwrap();
        assert!(tried > 0, "no backend can be opened here");
    }
}
