//! What programs of one host share: the devices, the type registry, where traces go.
//!
//! 1. Devices are opened together, when the first is needed; the order of ordinals is: those that were given, then those
//!    named by URI.
//! 2. Those that the session opens are one group: their timelines have names of their own, and one tracker hears of all.
//!    Devices that were given stay in what group they are in.
//!
//! What lives here: [`Session`] and its builder. What does not: loading and linking (see `program.rs`), opening a
//! device by URI (see `drivers.rs`).

use crate::drivers::{DEFAULT_DRIVER, DeviceOptions, open_device_at};
use crate::file_poller::FilePoller;
use crate::hal_module::{self, HalModuleOptions, RecordingSink, TraceSink};
use crate::parameters::{self, ParameterModuleOptions, ParameterProvider, ParameterScopes, TransferObserver};
use crate::program::{Program, ProgramBuilder};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use weft_hal::group::{DeviceGroup, GroupBuilder};
use weft_hal::{Device, File, MemoryAccess};
use weft_sync::{Result, Status, bail};
use weft_vm::{Instance, InstanceOptions, Module, PrintHook};

/// Devices and types that several programs share. Cheap to clone; all clones are the same session.
///
/// Devices are opened when the first program that needs one is loaded.
///
/// ```
/// use weft::Session;
/// let session = Session::builder().device("local-sync").build()?;
/// assert_eq!(session.devices()?.len(), 1);
/// # weft::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    instance: Arc<Instance>,
    device_uris: Vec<String>,
    given_devices: Vec<Arc<Device>>,
    device_options: Option<DeviceOptions>,
    lead_device: usize,
    trace: Option<TraceSink>,
    recorded: Option<RecordingSink>,
    parameters: ParameterModuleOptions,
    devices: OnceLock<Result<Opened>>,
}

/// The devices, once they are open.
struct Opened {
    devices: Vec<Arc<Device>>,
    /// Those of them that were opened by URI.
    group: Option<Arc<DeviceGroup>>,
}

impl Session {
    /// A session with one device of the default driver.
    pub fn new() -> Result<Session> {
        Session::builder().build()
    }

    /// A session with chosen devices and hooks.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// Loads one compiled module as a program.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Program> {
        self.program().file(path)?.load()
    }

    /// Starts a program of several modules.
    pub fn program(&self) -> ProgramBuilder {
        ProgramBuilder::new(self.clone())
    }

    /// The devices in the order of their ordinals. Opens them if that has not happened yet.
    pub fn devices(&self) -> Result<&[Arc<Device>]> {
        Ok(&self.opened()?.devices)
    }

    /// The group of the devices that the session opened by URI, in their order. `None` if all devices were given. Opens
    /// them if that has not happened yet.
    ///
    /// ```
    /// let session = weft::Session::builder().device("local-task").device("local-sync").build()?;
    /// let group = session.group()?.expect("there are devices");
    /// assert_eq!(group.membership(0).can_wait_from, 0b10);
    /// # weft::Result::Ok(())
    /// ```
    pub fn group(&self) -> Result<Option<&Arc<DeviceGroup>>> {
        Ok(self.opened()?.group.as_ref())
    }

    fn opened(&self) -> Result<&Opened> {
        self.0.devices.get_or_init(|| self.0.open_devices()).as_ref().map_err(Status::clone)
    }

    /// The device that inputs live on and that programs prefer for shared buffers.
    pub fn lead_device(&self) -> Result<&Arc<Device>> {
        // The range was checked when the devices were opened.
        Ok(&self.devices()?[self.0.lead_device])
    }

    /// Runs `body`, a call of a program: what it submits to the lead device may be left to its own waits.
    pub(crate) fn lending<R>(&self, body: impl FnOnce() -> R) -> R {
        match self.0.devices.get() {
            Some(Ok(opened)) => opened.devices[self.0.lead_device].lending(body),
            // Nothing was opened, so nothing is submitted to it.
            _ => body(),
        }
    }

    /// Opens a file that devices read or write, through the session's proactor if there is one.
    ///
    /// ```
    /// use weft::hal::MemoryAccess;
    /// let session = weft::Session::new()?;
    /// let file = session.open_file("Cargo.toml", MemoryAccess::READ)?;
    /// assert!(file.length() > 0);
    /// # weft::Result::Ok(())
    /// ```
    pub fn open_file(&self, path: impl AsRef<Path>, access: MemoryAccess) -> Result<Arc<File>> {
        self.files().open(path, access)
    }

    /// Who reads and writes files for the devices.
    pub fn files(&self) -> &FilePoller {
        &self.0.parameters.files
    }

    /// The type registry and limits of the programs.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.0.instance
    }

    /// The module `hal` over this session's devices.
    pub(crate) fn hal_module(&self) -> Result<Module> {
        hal_module::module(HalModuleOptions {
            devices: self.devices()?.to_vec(),
            lead_device: self.0.lead_device,
            trace: self.0.trace.clone(),
            recorded: self.0.recorded.clone(),
        })
    }

    /// The module `io_parameters` over this session's parameters.
    pub(crate) fn parameter_module(&self) -> Result<Module> {
        parameters::module(self.0.parameters.clone())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("device_uris", &self.0.device_uris).finish_non_exhaustive()
    }
}

impl Inner {
    fn open_devices(&self) -> Result<Opened> {
        let mut devices = self.given_devices.clone();
        let default = [DEFAULT_DRIVER.to_owned()];
        let uris =
            if devices.is_empty() && self.device_uris.is_empty() { &default } else { &*self.device_uris };
        let group = self.open_group(uris)?;
        devices.extend(group.iter().flat_map(|group| group.devices()).cloned());
        if self.lead_device >= devices.len() {
            bail!(OutOfRange, "lead device {} of {} devices", self.lead_device, devices.len());
        }
        Ok(Opened { devices, group })
    }

    fn open_group(&self, uris: &[String]) -> Result<Option<Arc<DeviceGroup>>> {
        if uris.is_empty() {
            return Ok(None);
        }
        let options = self.device_options.clone().unwrap_or_default();
        let mut builder = GroupBuilder::local(uris.len())?;
        for uri in uris {
            let device = open_device_at(uri, &options, Some(builder.place()?))?;
            // Workers of a device may be spread over several nodes, so it is next to none in particular.
            builder.add(&device, 0)?;
        }
        builder.build().map(Some)
    }
}

/// Choices of a [`Session`].
#[derive(Default)]
pub struct SessionBuilder {
    device_uris: Vec<String>,
    given_devices: Vec<Arc<Device>>,
    device_options: Option<DeviceOptions>,
    lead_device: usize,
    trace: Option<TraceSink>,
    recorded: Option<RecordingSink>,
    parameters: ParameterModuleOptions,
    print: Option<PrintHook>,
}

impl SessionBuilder {
    /// Adds a device by URI, such as `local-sync`. The order gives the ordinals.
    #[must_use]
    pub fn device(mut self, uri: impl Into<String>) -> SessionBuilder {
        self.device_uris.push(uri.into());
        self
    }

    /// Adds a device that is open already. These come before those named by URI.
    #[must_use]
    pub fn open_device(mut self, device: Arc<Device>) -> SessionBuilder {
        self.given_devices.push(device);
        self
    }

    /// Says how devices named by URI are made.
    #[must_use]
    pub fn device_options(mut self, options: DeviceOptions) -> SessionBuilder {
        self.device_options = Some(options);
        self
    }

    /// Chooses the ordinal of the lead device.
    #[must_use]
    pub fn lead_device(mut self, ordinal: usize) -> SessionBuilder {
        self.lead_device = ordinal;
        self
    }

    /// Receives what programs trace: a key and tensors. Nothing is shown without it.
    #[must_use]
    pub fn trace(mut self, sink: TraceSink) -> SessionBuilder {
        self.trace = Some(sink);
        self
    }

    /// Receives every command buffer that programs finish recording, in initialisers too, before it runs.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// let seen = Arc::new(Mutex::new(Vec::new()));
    /// let sink = Arc::clone(&seen);
    /// let session = weft::Session::builder()
    ///     .device("local-task")
    ///     .recorded(Arc::new(move |commands| sink.lock().unwrap().extend(commands.describe())))
    ///     .build()?;
    /// # drop(session);
    /// # weft::Result::Ok(())
    /// ```
    #[must_use]
    pub fn recorded(mut self, sink: RecordingSink) -> SessionBuilder {
        self.recorded = Some(sink);
        self
    }

    /// Gives programs the parameters of these scopes. See [`parameters`](crate::parameters) for an example.
    #[must_use]
    pub fn parameters(mut self, scopes: ParameterScopes) -> SessionBuilder {
        self.parameters.providers.extend(scopes.into_providers());
        self
    }

    /// Gives programs the parameters of a provider. Of several that handle a scope the first counts.
    #[must_use]
    pub fn parameter_provider(mut self, provider: Arc<dyn ParameterProvider>) -> SessionBuilder {
        self.parameters.providers.push(provider);
        self
    }

    /// Hears how transfers of parameters come along.
    #[must_use]
    pub fn parameter_observer(mut self, observer: TransferObserver) -> SessionBuilder {
        self.parameters.observer = Some(observer);
        self
    }

    /// Chooses who reads and writes files for devices. By itself a session has a proactor of its own, whose thread starts
    /// with the first file.
    #[must_use]
    pub fn files(mut self, files: FilePoller) -> SessionBuilder {
        self.parameters.files = files;
        self
    }

    /// Receives what programs print. Nothing is shown without it.
    #[must_use]
    pub fn print(mut self, hook: PrintHook) -> SessionBuilder {
        self.print = Some(hook);
        self
    }

    /// The session. Fails only if the type registry refuses a type.
    pub fn build(self) -> Result<Session> {
        let instance =
            Instance::with_options(InstanceOptions { print: self.print, ..InstanceOptions::default() });
        hal_module::register_types(&instance)?;
        Ok(Session(Arc::new(Inner {
            instance,
            device_uris: self.device_uris,
            given_devices: self.given_devices,
            device_options: self.device_options,
            lead_device: self.lead_device,
            trace: self.trace,
            recorded: self.recorded,
            parameters: self.parameters,
            devices: OnceLock::new(),
        })))
    }
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder").field("device_uris", &self.device_uris).finish_non_exhaustive()
    }
}
