//! Calls of `io_parameters` as a program would make them, on either device.
//!
//! What lives here: [`World`], tables, fences. What does not: making a module around a call (`../imports/harness.rs`).

use std::sync::Arc;

use weft::hal::{Buffer, BufferParams, Device};
use weft::parameters::{
    ParameterFile, ParameterModuleOptions, ParameterProvider, ParameterScopes, TransferObserver,
};
use weft::vm::{List, Module, ModuleBytes, Value};
use weft::{Fence, FilePoller, Function, Program, Result, Session};

use crate::imports::{bytes, object, unwrap, wrapper};

pub const NULL: Value = Value::Ref(None);
const ANY: Value = Value::I64(-1);
/// What programs ask for when they never write.
pub const IMMUTABLE: i32 = 0x8_0C03;
pub const DEFAULT: i32 = 0xC03;

pub const DEVICES: [&str; 2] = ["local-sync", "local-task"];

/// Key, offset in the parameter, offset in the buffer, length.
pub type Span<'a> = (&'a str, u64, u64, u64);

/// A session with a device and parameters.
pub struct World {
    pub session: Session,
    pub device: Arc<Device>,
}

impl World {
    pub fn new(uri: &str, scopes: ParameterScopes) -> World {
        World::observed(uri, scopes, None)
    }

    pub fn observed(uri: &str, scopes: ParameterScopes, observer: Option<TransferObserver>) -> World {
        let device = weft::open_device(uri).unwrap();
        let mut builder = Session::builder().open_device(device.clone()).parameters(scopes);
        if let Some(observer) = observer {
            builder = builder.parameter_observer(observer);
        }
        World { session: builder.build().unwrap(), device }
    }

    /// A world on this device.
    pub fn on(device: Arc<Device>, scopes: ParameterScopes) -> World {
        World::polled(device, scopes, FilePoller::new())
    }

    /// A world whose files are read and written like this.
    pub fn polled(device: Arc<Device>, scopes: ParameterScopes, files: FilePoller) -> World {
        let builder = Session::builder().open_device(device.clone()).parameters(scopes).files(files);
        World { session: builder.build().unwrap(), device }
    }

    /// A world with the parameters of this provider.
    pub fn provided(device: Arc<Device>, provider: Arc<dyn ParameterProvider>) -> World {
        let builder = Session::builder().open_device(device.clone()).parameter_provider(provider);
        World { session: builder.build().unwrap(), device }
    }

    /// A world whose global scope is one IRPA archive.
    pub fn of(uri: &str, file: &Arc<ParameterFile>) -> World {
        let mut scopes = ParameterScopes::new();
        scopes.add("", "x.irpa", file).unwrap();
        World::new(uri, scopes)
    }

    /// The same, whose files are read by this backend; or why it cannot be opened here, so that devices read themselves.
    pub fn read_by(
        uri: &str,
        file: &Arc<ParameterFile>,
        backend: &str,
    ) -> Result<(World, Option<weft::Status>)> {
        let mut scopes = ParameterScopes::new();
        scopes.add("", "x.irpa", file)?;
        let device = weft::open_device(uri)?;
        let builder = Session::builder().open_device(device.clone()).parameters(scopes);
        let session = builder.files(FilePoller::with_backend(backend)).build()?;
        let why = session.files().why_synchronous();
        Ok((World { session, device }, why))
    }

    /// One call of an import, to be made in any way.
    pub fn function(&self, import: &str) -> Function {
        self.program(import).function("call").unwrap()
    }

    /// A program around one import.
    pub fn program(&self, import: &str) -> Program {
        let module = weft::parameters::module(ParameterModuleOptions::default()).unwrap();
        let Module::Native(native) = module else { panic!("not native") };
        let signature = native.export_signature(import).unwrap();
        let bytes = wrapper("io_parameters", import, signature, &[]).unwrap();
        self.session.program().bytes(ModuleBytes::copy_of(&bytes)).unwrap().load().unwrap()
    }

    pub fn call(&self, import: &str, arguments: &[Value]) -> Result<Vec<Value>> {
        self.program(import).function("call").unwrap().handle().call(arguments)
    }

    /// The arguments with which every import begins.
    pub fn queue(&self, wait: Option<&Arc<Fence>>, signal: Option<&Arc<Fence>>) -> Vec<Value> {
        let fence = |fence: Option<&Arc<Fence>>| fence.map_or(NULL, |fence| object(Arc::clone(fence)));
        vec![object(self.device.clone()), ANY, fence(wait), fence(signal)]
    }

    /// Loads between fences.
    pub fn load_between(
        &self,
        wait: Option<&Arc<Fence>>,
        signal: Option<&Arc<Fence>>,
        scope: Value,
        usage: i32,
        spans: &[Span<'_>],
    ) -> Result<Vec<Arc<Buffer>>> {
        self.load_by(&self.program("load"), wait, signal, scope, usage, spans)
    }

    /// Loads through a program that was made for it.
    pub fn load_by(
        &self,
        program: &Program,
        wait: Option<&Arc<Fence>>,
        signal: Option<&Arc<Fence>>,
        scope: Value,
        usage: i32,
        spans: &[Span<'_>],
    ) -> Result<Vec<Arc<Buffer>>> {
        let mut arguments = self.queue(wait, signal);
        arguments.extend([scope, ANY, Value::I32(48), Value::I32(usage)]);
        arguments.extend(tables(spans));
        let results = program.function("call").unwrap().handle().call(&arguments)?;
        let list = unwrap::<List>(&results[0]);
        Ok((0..list.len()).map(|index| unwrap::<Buffer>(&list.get(index).unwrap())).collect())
    }

    /// Loads and waits; the bytes of every buffer.
    pub fn load(&self, scope: Value, usage: i32, spans: &[Span<'_>]) -> Result<Vec<Vec<u8>>> {
        let signal = Fence::create();
        let buffers = self.load_between(None, Some(&signal), scope, usage, spans);
        let reached = signal.wait(weft::Deadline::NEVER);
        let buffers = match buffers {
            Ok(buffers) => reached.map(|()| buffers)?,
            Err(status) => {
                assert_eq!(reached.unwrap_err().code(), status.code(), "the fence fails as the call does");
                return Err(status);
            }
        };
        Ok(buffers.iter().map(|buffer| buffer.read_to_vec(0, u64::MAX).unwrap()).collect())
    }

    /// Gathers into (or scatters out of) a buffer and waits.
    pub fn transfer(
        &self,
        import: &str,
        scope: Value,
        buffer: &Arc<Buffer>,
        spans: &[Span<'_>],
    ) -> Result<()> {
        let [keys, data, spans] = tables(spans);
        self.transfer_tables(import, scope, buffer, [keys, data, spans])
    }

    pub fn transfer_tables(
        &self,
        import: &str,
        scope: Value,
        buffer: &Arc<Buffer>,
        tables: [Value; 3],
    ) -> Result<()> {
        let signal = Fence::create();
        let mut arguments = self.queue(None, Some(&signal));
        let buffer = object(Arc::clone(buffer));
        arguments.extend(if import == "gather" { [scope, buffer] } else { [buffer, scope] });
        arguments.extend(tables);
        let called = self.call(import, &arguments);
        let reached = signal.wait(weft::Deadline::NEVER);
        called.and(reached)
    }

    /// A buffer with these bytes.
    pub fn buffer(&self, bytes: &[u8]) -> Arc<Buffer> {
        let buffer =
            self.device.allocator().allocate(&BufferParams::device_local(), bytes.len() as u64).unwrap();
        buffer.write(0, bytes).unwrap();
        buffer
    }
}

/// A scope as programs give it.
pub fn scope(name: &str) -> Value {
    bytes(name)
}

/// The three tables of a batch.
pub fn tables(spans: &[Span<'_>]) -> [Value; 3] {
    let (mut keys, mut data, mut table) = (Vec::new(), Vec::new(), Vec::new());
    for (key, offset, target, length) in spans {
        keys.extend((data.len() as u32).to_le_bytes());
        keys.extend((key.len() as u32).to_le_bytes());
        data.extend(key.as_bytes());
        [offset, target, length].into_iter().for_each(|field| table.extend(field.to_le_bytes()));
    }
    [bytes(keys), bytes(data), bytes(table)]
}

/// A file that goes away.
pub struct TemporaryFile(pub std::path::PathBuf);

impl TemporaryFile {
    pub fn new(name: &str, contents: &[u8]) -> TemporaryFile {
        let path = std::env::temp_dir().join(format!("weft-{}-{name}", std::process::id()));
        std::fs::write(&path, contents).unwrap();
        TemporaryFile(path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
