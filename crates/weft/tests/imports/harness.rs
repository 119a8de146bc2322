//! Calls one import as a program would: through a module made for that call.
//!
//! What lives here: [`Hal`], short constructors of values, unwrapping of results.

use std::any::Any;
use std::sync::Arc;
use weft::hal::{Allocator, Buffer, BufferView, CommandBuffer, Device, Executable, Fence, File, FunctionId};
use weft::vm::isa::{Kind, SEGMENT_SCALAR};
use weft::vm::module_builder::ModuleBuilder;
use weft::vm::signature::{Argument, Signature};
use weft::vm::{Buffer as Bytes, Module, ModuleBytes, NativeModule, Ref, Value};
use weft::{Code, Result, Session, Status};

/// The rest of a buffer.
pub const WHOLE: Value = Value::I64(-1);
/// Any queue.
pub const ANY: Value = Value::I64(-1);
pub const NULL: Value = Value::Ref(None);

/// A session with one device.
pub struct Hal {
    pub session: Session,
    pub device: Arc<Device>,
}

impl Hal {
    pub fn new() -> Hal {
        let device = weft::open_device("local-sync").expect("the device opens");
        Hal::with(Session::builder().open_device(device.clone()), device)
    }

    pub fn with(builder: weft::SessionBuilder, device: Arc<Device>) -> Hal {
        Hal { session: builder.build().expect("a session"), device }
    }

    /// Calls an import. `spans` has the number of tuples of each span, in order.
    pub fn try_call(&self, import: &str, spans: &[usize], arguments: &[Value]) -> Result<Vec<Value>> {
        let signature = self.signature(import);
        let bytes = wrapper("hal", import, &signature, spans).expect("a module around the call");
        let program = self.session.program().bytes(ModuleBytes::copy_of(&bytes))?.load()?;
        program.function("call")?.handle().call(arguments)
    }

    /// The calling convention as the module itself says.
    pub fn signature(&self, import: &str) -> Signature {
        self.native().export_signature(import).unwrap_or_else(|| panic!("no export `{import}`")).clone()
    }

    pub fn native(&self) -> Arc<NativeModule> {
        let options = weft::hal_module::HalModuleOptions {
            devices: vec![self.device.clone()],
            lead_device: 0,
            trace: None,
            recorded: None,
        };
        match weft::hal_module::module(options).expect("the module") {
            Module::Native(module) => module,
            other => panic!("{other:?} is not native"),
        }
    }

    /// Calls an import without spans that must succeed.
    pub fn call(&self, import: &str, arguments: &[Value]) -> Vec<Value> {
        self.call_spans(import, &[], arguments)
    }

    pub fn call_spans(&self, import: &str, spans: &[usize], arguments: &[Value]) -> Vec<Value> {
        self.try_call(import, spans, arguments).unwrap_or_else(|status| panic!("{import}: {status}"))
    }

    /// Calls an import that must fail.
    pub fn fails(&self, import: &str, spans: &[usize], arguments: &[Value]) -> Status {
        match self.try_call(import, spans, arguments) {
            Ok(results) => panic!("{import} succeeded with {results:?}"),
            Err(status) => status,
        }
    }

    pub fn code(&self, import: &str, spans: &[usize], arguments: &[Value]) -> Code {
        self.fails(import, spans, arguments).code()
    }

    pub fn device(&self) -> Value {
        object(self.device.clone())
    }

    pub fn allocator(&self) -> Value {
        object(self.device.allocator().clone())
    }

    /// A device buffer with these bytes.
    pub fn buffer(&self, bytes: &[u8]) -> Value {
        let size = Value::I64(bytes.len() as i64);
        let buffer = self
            .call("allocator.allocate", &[self.allocator(), ANY, Value::I32(48), Value::I32(0xC03), size]);
        unwrap::<Buffer>(&buffer[0]).write(0, bytes).expect("room for the bytes");
        buffer[0].clone()
    }

    pub fn fence(&self) -> Value {
        self.call("fence.create", &[self.device(), Value::I64(0)]).remove(0)
    }
}

/// A module with one function that hands its arguments to the import and returns what that gives.
pub fn wrapper(module: &str, import: &str, signature: &Signature, spans: &[usize]) -> Result<Vec<u8>> {
    let mut spans = spans.iter();
    let (mut flat, mut segments) = (Vec::new(), Vec::new());
    for argument in signature.arguments() {
        match argument {
            Argument::Value(kind) => {
                flat.push(*kind);
                segments.push(usize::from(SEGMENT_SCALAR));
            }
            Argument::Span(tuple) => {
                let count = *spans.next().expect("a count for each span");
                segments.push(count);
                (0..count).for_each(|_| flat.extend(tuple));
            }
        }
    }
    let cconv = format!("0{}_{}", letters(&flat), letters(signature.results()));
    let entry = Signature::parse(&cconv)?.entry_registers().expect("no spans are left");
    let arguments = registers(&entry.registers);
    let (mut next_value, mut next_ref) = (entry.value_count, entry.ref_count);
    let mut results = Vec::new();
    for kind in signature.results() {
        let next = if kind.is_ref() { &mut next_ref } else { &mut next_value };
        let ordinal = next.next_multiple_of(kind.registers());
        *next = ordinal + kind.registers();
        results.push((*kind, ordinal));
    }
    let results = registers(&results);
    // Makes room for the upper halves of pairs, which the assembler does not count in lists.
    let room = format!("%i{next_value} = vm.const.i32.zero\n");
    let variadic = if signature.is_variadic() { ".variadic" } else { "" };
    let segments = segments.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let segments = if signature.is_variadic() { format!(" segments[{segments}]") } else { String::new() };
    let body = if import == "fence.await" {
        format!(
            "{room}vm.call{variadic}.yieldable @{module}.{import}{segments}({arguments}) -> ^after({results})\n^after:\nvm.return {results}"
        )
    } else {
        let assign = if results.is_empty() { String::new() } else { format!("{results} = ") };
        format!(
            "{room}{assign}vm.call{variadic} @{module}.{import}{segments}({arguments})\nvm.return {results}"
        )
    };
    ModuleBuilder::new("test")
        .dependency(module, 0)
        .import(&format!("{module}.{import}"), signature.text())
        .function("call", &cconv, &body)
        .build()
}

fn letters(kinds: &[Kind]) -> String {
    if kinds.is_empty() {
        return "v".to_owned();
    }
    let letter = |kind: &Kind| match kind {
        Kind::I32 => 'i',
        Kind::I64 => 'I',
        Kind::F32 => 'f',
        Kind::F64 => 'F',
        Kind::Ref => 'r',
    };
    kinds.iter().map(letter).collect()
}

fn registers(registers: &[(Kind, u32)]) -> String {
    let text = |(kind, ordinal): &(Kind, u32)| match (kind.is_ref(), kind.registers()) {
        (true, _) => format!("%r{ordinal}"),
        (false, 1) => format!("%i{ordinal}"),
        (false, _) => format!("%i{ordinal}:{}", ordinal + 1),
    };
    registers.iter().map(text).collect::<Vec<_>>().join(", ")
}

pub fn object<T: Any + Send + Sync>(object: Arc<T>) -> Value {
    Value::Ref(Some(Ref::new(object)))
}

/// A `vm.buffer` with text or bytes.
pub fn bytes(bytes: impl AsRef<[u8]>) -> Value {
    object(Arc::new(Bytes::from_bytes(bytes.as_ref().to_vec())))
}

/// A writable `vm.buffer`.
pub fn mutable_bytes(contents: &[u8], alignment: u32) -> Arc<Bytes> {
    let buffer = Bytes::allocate(contents.len() as u64, alignment).expect("memory");
    buffer.write(0, contents).expect("room");
    Arc::new(buffer)
}

pub fn i32s(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The object of a result.
pub fn unwrap<T: Any + Send + Sync>(value: &Value) -> Arc<T> {
    match value {
        Value::Ref(Some(reference)) => reference.to_arc::<T>().expect("an object of this type"),
        other => panic!("{other:?} is no object"),
    }
}

pub fn contents(value: &Value) -> Vec<u8> {
    unwrap::<Buffer>(value).read_to_vec(0, u64::MAX).expect("readable")
}

/// One object of every type that can be had, for wrong-type tests.
pub fn objects(hal: &Hal) -> Vec<(&'static str, Value)> {
    vec![
        ("hal.device", hal.device()),
        ("hal.allocator", hal.allocator()),
        ("hal.buffer", hal.buffer(&[0; 4])),
        ("vm.buffer", bytes("x")),
    ]
}

#[expect(dead_code, reason = "names the types that the families unwrap")]
type Unwrapped = (Allocator, BufferView, CommandBuffer, Executable, Fence, File, FunctionId);
