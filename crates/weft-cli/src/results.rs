//! Results as the host sees them: read back from devices, and printed.
//!
//! The texts are those of the reference's tools (`docs/spec/hal-module.md` §13.4). What does not live here: files
//! (see `outputs.rs`), comparing (see `compare.rs`).

use std::io::{self, Write};
use std::sync::Arc;

use weft::hal::text::{NumberStyle, format_float, write_tensor};
use weft::hal::{self, ElementType, Shape};
use weft::sync::{Result, bail};
use weft::vm::{self, Instance, List, Ref};
use weft::{Tensor, Value};

use crate::text_sink::TextSink;

/// Lists inside lists are printed to this depth; a list may contain itself.
const LIST_DEPTH_MAX: usize = 16;
/// How many elements the lists of one result may have together. Lists may share children, so that a few of them stand for
/// more than anybody could print.
const LIST_ELEMENTS_MAX: usize = 1 << 20;
/// How many bytes the tensors and buffers in the lists of one result may have together, for the same reason.
const LIST_BYTES_MAX: usize = 4 << 30;

/// A tensor whose elements the host has.
pub struct HostTensor {
    /// The extents.
    pub shape: Shape,
    /// What one element is.
    pub element_type: ElementType,
    /// The elements as programs store them.
    pub bytes: Vec<u8>,
}

impl HostTensor {
    /// Reads a tensor back.
    pub fn read(tensor: &Tensor) -> Result<HostTensor> {
        Ok(HostTensor {
            shape: tensor.shape().clone(),
            element_type: tensor.element_type(),
            bytes: tensor.to_bytes()?,
        })
    }

    /// Shape and type without values: `4xf32`.
    pub fn type_text(&self) -> String {
        match self.shape.rank() {
            0 => self.element_type.to_string(),
            _ => format!("{}x{}", self.shape, self.element_type),
        }
    }
}

/// A result in the form in which it is printed and compared.
pub enum Shown {
    /// No object, or an unset element of a list.
    Null,
    /// A number.
    Scalar(vm::Value),
    /// A tensor.
    Tensor(HostTensor),
    /// The bytes of untyped device memory.
    Buffer(Vec<u8>),
    /// The elements of a list.
    List(Vec<Shown>),
    /// The bytes of a program's own memory.
    Bytes(Vec<u8>),
    /// Any other object, by the name of its type.
    Other(String),
}

impl Shown {
    /// Reads one result back.
    pub fn read(value: &Value, instance: &Instance) -> Result<Shown> {
        Ok(match value {
            Value::I32(value) => Shown::Scalar(vm::Value::I32(*value)),
            Value::I64(value) => Shown::Scalar(vm::Value::I64(*value)),
            Value::F32(value) => Shown::Scalar(vm::Value::F32(*value)),
            Value::F64(value) => Shown::Scalar(vm::Value::F64(*value)),
            Value::Tensor(tensor) => Shown::Tensor(HostTensor::read(tensor)?),
            Value::Buffer(buffer) => Shown::Buffer(buffer.read_to_vec(0, hal::WHOLE_BUFFER)?),
            Value::Null => Shown::Null,
            Value::Object(object) => match object.get::<List>() {
                Some(list) => ListReader::new(instance).list(list, LIST_DEPTH_MAX)?,
                None => read_object(object, instance)?,
            },
        })
    }

    /// The name of the value's type, as programs spell it.
    pub fn type_name(&self) -> &str {
        match self {
            Shown::Null => "empty",
            Shown::Scalar(value) => value.kind(),
            Shown::Tensor(_) => "hal.buffer_view",
            Shown::Buffer(_) => "hal.buffer",
            Shown::List(_) => "vm.list",
            Shown::Bytes(_) => "vm.buffer",
            Shown::Other(name) => name,
        }
    }

    /// Prints the value, a line feed after it. Tensors show at most `elements_max` elements.
    pub fn print(&self, out: &mut dyn Write, elements_max: usize) -> io::Result<()> {
        match self {
            Shown::Null => writeln!(out, "(null)"),
            Shown::Scalar(value) => writeln!(out, "{}={}", value.kind(), scalar_text(value)),
            Shown::Tensor(tensor) => {
                writeln!(out, "hal.buffer_view")?;
                print_tensor(out, tensor, elements_max)?;
                writeln!(out)
            }
            Shown::List(elements) => {
                writeln!(out, "vm.list")?;
                for (index, element) in elements.iter().enumerate() {
                    write!(out, "child_list[{index}]: ")?;
                    element.print(out, elements_max)?;
                }
                writeln!(out)
            }
            Shown::Buffer(_) | Shown::Bytes(_) | Shown::Other(_) => {
                writeln!(out, "{}\n(no printer)", self.type_name())
            }
        }
    }
}

/// Integers in decimal; floats as C's `%g`.
fn scalar_text(value: &vm::Value) -> String {
    match value {
        vm::Value::F32(_) | vm::Value::F64(_) => {
            let mut text = String::new();
            // A `String` takes everything.
            let _ = format_float(&mut text, value.to_f64().unwrap_or(0.0), NumberStyle::Lower);
            text
        }
        _ => value.to_i64().unwrap_or(0).to_string(),
    }
}

fn read_object(object: &Ref, instance: &Instance) -> Result<Shown> {
    if let Some(view) = object.to_arc::<hal::BufferView>() {
        return Ok(Shown::Tensor(HostTensor::read(&view.into())?));
    }
    if let Some(buffer) = object.to_arc::<hal::Buffer>() {
        return Ok(Shown::Buffer(buffer.read_to_vec(0, hal::WHOLE_BUFFER)?));
    }
    if let Some(buffer) = object.get::<vm::Buffer>() {
        return Ok(Shown::Bytes(buffer.bytes().into_owned()));
    }
    let name = instance.type_name(object.type_id());
    Ok(Shown::Other(name.map_or_else(|| "(unregistered type)".into(), |name: Arc<str>| name.to_string())))
}

/// Reads the lists of one result, as far as they can be shown.
struct ListReader<'a> {
    instance: &'a Instance,
    elements_left: usize,
    bytes_left: usize,
}

impl ListReader<'_> {
    fn new(instance: &Instance) -> ListReader<'_> {
        ListReader { instance, elements_left: LIST_ELEMENTS_MAX, bytes_left: LIST_BYTES_MAX }
    }

    fn list(&mut self, list: &List, depth: usize) -> Result<Shown> {
        if depth == 0 {
            bail!(OutOfRange, "a list is nested more than {LIST_DEPTH_MAX} deep");
        }
        let Some(left) = self.elements_left.checked_sub(list.len()) else {
            bail!(ResourceExhausted, "lists with more than {LIST_ELEMENTS_MAX} elements cannot be shown");
        };
        self.elements_left = left;
        let mut elements = Vec::with_capacity(list.len());
        for index in 0..list.len() {
            elements.push(match list.get(index)? {
                vm::Value::Empty | vm::Value::Ref(None) => Shown::Null,
                vm::Value::Ref(Some(object)) => match object.get::<List>() {
                    Some(list) => self.list(list, depth - 1)?,
                    None => self.object(&object)?,
                },
                scalar => Shown::Scalar(scalar),
            });
        }
        Ok(Shown::List(elements))
    }

    fn object(&mut self, object: &Ref) -> Result<Shown> {
        let shown = read_object(object, self.instance)?;
        let bytes = match &shown {
            Shown::Tensor(tensor) => tensor.bytes.len(),
            Shown::Buffer(bytes) | Shown::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        let Some(left) = self.bytes_left.checked_sub(bytes) else {
            bail!(
                ResourceExhausted,
                "lists with more than {LIST_BYTES_MAX} bytes of tensors cannot be shown"
            );
        };
        self.bytes_left = left;
        Ok(shown)
    }
}

/// Prints the text form of a tensor without building it in memory first.
fn print_tensor(out: &mut dyn Write, tensor: &HostTensor, elements_max: usize) -> io::Result<()> {
    let mut sink = TextSink::new(out);
    let written = write_tensor(&mut sink, &tensor.shape, tensor.element_type, &tensor.bytes, elements_max);
    sink.finish(written)
}
