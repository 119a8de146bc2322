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

use weft_hal::{File, MemoryAccess, io_status};
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
        FilePoller(Arc::new(Inner { backend: Some(name.into()), polling: OnceLock::new() }))
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
        adopted.map(|file| file.named(name)).while_doing(|| format!("opening file `{name}`"))
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
    // One that has failed by now found nothing to drop.
    if !runner.is_stopped() {
        *lock(&slot) = Some(runner);
    }
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
