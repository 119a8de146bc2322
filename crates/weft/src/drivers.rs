//! Devices by name: the drivers that weft has, and opening a device by URI.
//!
//! What lives here: [`Driver`], [`drivers`], [`open_device`], [`DeviceOptions`]. What does not: what a device does
//! (`weft-cpu`), which devices a session uses (see `session.rs`).

use crate::vmvx::default_loaders;
use std::fmt;
use std::sync::Arc;
use weft_cpu::loader::{LoaderOptions, Loaders};
use weft_cpu::{SyncDeviceOptions, TaskDeviceOptions, WorkerSpans, open_sync_device, open_task_device};
use weft_hal::group::DevicePlace;
use weft_hal::{AllocatorWrapper, Device, open_null_device};
use weft_sync::{Result, WhileDoing, bail};
use weft_task::{Executor, ExecutorOptions, Observer, TaskOptions};

/// A kind of device.
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    /// The first part of device URIs.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    open: fn(&DeviceOptions, Option<DevicePlace>) -> Result<Arc<Device>>,
}

/// The driver that is used when none is named.
pub const DEFAULT_DRIVER: &str = "local-sync";

const DRIVERS: &[Driver] = &[
    Driver {
        name: "local-sync",
        description: "Local execution using a lightweight inline synchronous queue",
        open: open_local_sync,
    },
    Driver {
        name: "local-task",
        description: "Local execution on worker threads, with queues that block nobody",
        open: open_local_task,
    },
    Driver {
        name: "null",
        description: "Checks and allocates like a device, but computes nothing",
        open: |_, _| Ok(open_null_device()),
    },
];

/// How devices are made. The default is right unless a program needs more than its own kernels.
#[derive(Clone)]
pub struct DeviceOptions {
    /// Who loads executables.
    pub loaders: Arc<Loaders>,
    /// Wrappers around the allocators, innermost first.
    pub allocator_wrappers: Vec<AllocatorWrapper>,
    /// Workers of the devices that have some.
    pub task: TaskOptions,
    /// Workers tell profiles what they do when, which costs each of their steps a call even without a profile.
    pub observe_workers: bool,
}

impl Default for DeviceOptions {
    fn default() -> DeviceOptions {
        DeviceOptions {
            loaders: Arc::new(default_loaders(LoaderOptions::default())),
            allocator_wrappers: Vec::new(),
            task: TaskOptions::default(),
            observe_workers: false,
        }
    }
}

impl fmt::Debug for DeviceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceOptions")
            .field("allocator_wrappers", &self.allocator_wrappers)
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

/// It has no timelines, so any place will do.
fn open_local_sync(options: &DeviceOptions, _place: Option<DevicePlace>) -> Result<Arc<Device>> {
    open_sync_device(&SyncDeviceOptions {
        loaders: Arc::clone(&options.loaders),
        allocator_wrappers: options.allocator_wrappers.clone(),
    })
}

/// One executor and one queue for each topology: one, or one a node.
fn open_local_task(options: &DeviceOptions, place: Option<DevicePlace>) -> Result<Arc<Device>> {
    let task = &options.task;
    let topologies = task.topology.machine().and_then(|machine| task.topology.resolve(&machine))?;
    let mut executors = Vec::with_capacity(topologies.len());
    let mut observers = Vec::new();
    let mut worker_base_index = 0;
    for topology in topologies {
        let workers = topology.len();
        let observer = options.observe_workers.then(|| Arc::new(WorkerSpans::new(executors.len() as u32)));
        observers.extend(observer.clone());
        let executor = ExecutorOptions {
            topology: Some(topology),
            spin: task.spin,
            stack_bytes: task.stack_bytes,
            local_memory_bytes: task.local_memory_bytes,
            worker_base_index,
            observer: observer.map(|observer| observer as Arc<dyn Observer>),
            ..ExecutorOptions::default()
        };
        executors.push(Executor::new(&executor)?);
        worker_base_index += workers;
    }
    let device = open_task_device(&TaskDeviceOptions {
        loaders: Arc::clone(&options.loaders),
        allocator_wrappers: options.allocator_wrappers.clone(),
        place,
        ..TaskDeviceOptions::on(executors)
    })?;
    if let Some(profiler) = device.profiler() {
        observers.iter().for_each(|observer| observer.attach(Arc::clone(profiler)));
    }
    Ok(device)
}

/// All drivers.
pub fn drivers() -> &'static [Driver] {
    DRIVERS
}

impl Driver {
    /// The driver with this name. NOT_FOUND lists those that exist.
    pub fn find(name: &str) -> Result<&'static Driver> {
        match DRIVERS.iter().find(|driver| driver.name == name) {
            Some(driver) => Ok(driver),
            None => {
                let names: Vec<_> = DRIVERS.iter().map(|driver| driver.name).collect();
                bail!(NotFound, "no driver '{name}' registered; there are {}", names.join(", "));
            }
        }
    }

    /// The canonical URIs of this driver's devices.
    pub fn device_uris(&self) -> Vec<String> {
        vec![format!("{}://", self.name)]
    }
}

/// Opens a device: `local-sync`, `local-sync://`, `local-sync://?key=value`. Each call makes a device of its own.
///
/// ```
/// let device = weft::open_device("local-sync")?;
/// assert_eq!(device.identifier(), "local-sync");
/// assert!(weft::open_device("abacus").unwrap_err().message().contains("no driver 'abacus'"));
/// # weft::Result::Ok(())
/// ```
pub fn open_device(uri: &str) -> Result<Arc<Device>> {
    open_device_with(uri, &DeviceOptions::default())
}

/// As [`open_device`], made in a particular way. The device is in no group; those that a session opens by URI are.
pub fn open_device_with(uri: &str, options: &DeviceOptions) -> Result<Arc<Device>> {
    open_device_at(uri, options, None)
}

/// As [`open_device_with`], for this place in a group.
pub(crate) fn open_device_at(
    uri: &str,
    options: &DeviceOptions,
    place: Option<DevicePlace>,
) -> Result<Arc<Device>> {
    let (name, rest) = uri.split_once("://").unwrap_or((uri, ""));
    let driver = Driver::find(name)?;
    // No driver has parameters yet; unknown ones are ignored.
    let (path, _parameters) = rest.split_once('?').unwrap_or((rest, ""));
    if !path.is_empty() {
        bail!(NotFound, "device paths are not supported: '{path}' in '{uri}'");
    }
    (driver.open)(options, place).while_doing(|| format!("opening device `{uri}`"))
}
