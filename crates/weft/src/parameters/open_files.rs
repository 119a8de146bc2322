//! Files of parameters as devices see them.
//!
//! 1. A file is opened once for each device, and stays open until somebody asks for room ([`OpenFiles::clear`]).
//! 2. What is read from a mapped file goes through the file all the same: only what is lent in place relies on the
//!    mapping. So a file that was cut short gives an error where a copy out of the mapping would end the process.
//!
//! What lives here: [`OpenFiles`]. What does not: who polls them (`../file_poller.rs`), what is read (see `batch.rs`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use weft_hal::{BufferParams, BufferUsage, Device, DeviceId, File, MemoryAccess};
use weft_sync::{Result, bail};

use crate::file_poller::FilePoller;

use super::file::{ParameterFile, file_status};
use super::lend::lend;

/// Files as devices see them, opened once for each device.
pub(super) struct OpenFiles {
    poller: FilePoller,
    open: Mutex<HashMap<(DeviceId, usize), OpenFile>>,
}

struct OpenFile {
    /// Keeps the address, which is the key, from being given to another file.
    _parameters: Arc<ParameterFile>,
    file: Arc<File>,
}

impl OpenFiles {
    pub(super) fn new(poller: FilePoller) -> OpenFiles {
        OpenFiles { poller, open: Mutex::new(HashMap::new()) }
    }

    /// The file for a device.
    pub(super) fn open(&self, device: &Device, parameters: &Arc<ParameterFile>) -> Result<Arc<File>> {
        let key = (device.id(), Arc::as_ptr(parameters).addr());
        let mut files = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = files.get(&key) {
            return Ok(Arc::clone(&open.file));
        }
        let file = Arc::new(open(device, parameters, &self.poller)?);
        files.insert(key, OpenFile { _parameters: Arc::clone(parameters), file: Arc::clone(&file) });
        Ok(file)
    }

    /// Closes all of them that nothing uses; they are opened again when they are needed.
    pub(super) fn clear(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn open(device: &Device, parameters: &ParameterFile, poller: &FilePoller) -> Result<File> {
    if let Some(handle) = parameters.handle() {
        let handle =
            handle.try_clone().map_err(|error| file_status(&error, "open again", parameters.name()))?;
        return poller.adopt(parameters.name(), handle, parameters.access());
    }
    let Some(memory) = parameters.memory() else {
        bail!(Internal, "file `{}` has neither handle nor memory", parameters.name());
    };
    let params = BufferParams {
        usage: BufferUsage::TRANSFER | BufferUsage::SHARING_IMMUTABLE,
        access: MemoryAccess::READ | MemoryAccess::UNALIGNED,
        ..BufferParams::device_local()
    };
    let storage = lend(device.allocator(), &params, memory, 0, parameters.length())?;
    Ok(File::from_memory(MemoryAccess::READ, storage))
}
