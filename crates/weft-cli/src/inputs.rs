//! `--input` and `--expected_output`: from text and files to values (`docs/spec/hal-module.md` §13.4).
//!
//! What lives here: the forms of an input, the files that several inputs share. What does not: the grammar of
//! tensors (`weft::hal::text`), the format of numpy files (see `npy.rs`).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use weft::hal::text::{TensorText, count_values, parse_f32, parse_f64, parse_integer, parse_values};
use weft::hal::{Allocator, Buffer, BufferParams, BufferView, Device, ElementType, Encoding, Shape};
use weft::sync::{Result, Status, WhileDoing, bail, status};
use weft::vm::isa::Kind;
use weft::vm::signature::Argument;
use weft::{Tensor, Value};

use crate::failure::file_status;
use crate::npy;

/// How much of an input is repeated in an error.
const QUOTED_CHARACTERS_MAX: usize = 100;

/// Elements from files pass through this much memory at once.
const TRANSFER_BYTES: usize = 1 << 20;

/// What one input says.
pub enum Input {
    /// `(null)`, `(ignored)`: nothing in particular.
    Nothing,
    /// A value.
    Given(Value),
}

impl Input {
    /// The value as an argument of this kind: nothing is zero or no object.
    pub fn into_argument(self, kind: Kind) -> Value {
        match (self, kind) {
            (Input::Given(value), _) => value,
            (Input::Nothing, Kind::I32) => Value::I32(0),
            (Input::Nothing, Kind::I64) => Value::I64(0),
            (Input::Nothing, Kind::F32) => Value::F32(0.0),
            (Input::Nothing, Kind::F64) => Value::F64(0.0),
            (Input::Nothing, Kind::Ref) => Value::Null,
        }
    }
}

/// Where tensors are made, and which files are open.
pub struct Reader {
    device: Option<Arc<Device>>,
    files: Vec<OpenFile>,
}

/// A file that inputs read, with how far they got: `+` goes on where the last one stopped.
struct OpenFile {
    path: String,
    file: File,
    position: u64,
}

impl Read for OpenFile {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(bytes)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl OpenFile {
    fn rewind(&mut self) -> Result<()> {
        // A pipe that nobody has read yet stands at its start; seeking it would fail.
        if self.position != 0 {
            self.file
                .seek(SeekFrom::Start(0))
                .map_err(|error| file_status(&error, "go back to the start of", &self.path))?;
            self.position = 0;
        }
        Ok(())
    }

    fn header(&mut self) -> Result<Option<npy::Header>> {
        npy::Header::read(self).while_doing(|| format!("reading '{}'", self.path))
    }
}

impl Reader {
    /// Tensors are made on `device`, or in plain memory if the program uses none.
    pub fn new(device: Option<Arc<Device>>) -> Reader {
        Reader { device, files: Vec::new() }
    }

    /// Reads all inputs of a function. There may be fewer than it has arguments: the call says so.
    pub fn read_all(&mut self, texts: &[&str], kinds: &[Kind]) -> Result<Vec<Input>> {
        let mut inputs = Vec::with_capacity(texts.len());
        for text in texts {
            self.read_one(text, kinds, &mut inputs)
                .while_doing(|| format!("parsing input `{}`", excerpt(text)))?;
        }
        Ok(inputs)
    }

    fn read_one(&mut self, text: &str, kinds: &[Kind], inputs: &mut Vec<Input>) -> Result<()> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix('*') {
            return self.read_whole_file(path, kinds, inputs);
        }
        let kind = next_kind(kinds, inputs.len())?;
        inputs.push(match text {
            "" => bail!(InvalidArgument, "no value specified for input"),
            "(null)" | "(ignored)" => Input::Nothing,
            _ => Input::Given(self.read_value(text, kind)?),
        });
        Ok(())
    }

    fn read_value(&mut self, text: &str, kind: Kind) -> Result<Value> {
        if let Some(path) = text.strip_prefix(['@', '+']) {
            require_ref(kind, "a numpy file")?;
            require_npy(path)?;
            let index = self.file(path, text.starts_with('@'))?;
            let Some(tensor) = self.next_array(index)? else {
                bail!(OutOfRange, "end-of-file; '{path}' has no further array");
            };
            return Ok(Value::Tensor(tensor));
        }
        if let Some(specification) = text.strip_prefix('&') {
            require_ref(kind, "a buffer")?;
            return Ok(Value::Buffer(self.read_tensor(specification)?.2));
        }
        match kind {
            Kind::Ref => {
                let (shape, element_type, buffer) = self.read_tensor(text)?;
                Ok(Value::Tensor(view(buffer, shape, element_type)?))
            }
            _ => read_scalar(text, kind),
        }
    }

    /// `<shape>x<type>[=values]`, with values in the text or in a file.
    fn read_tensor(&mut self, text: &str) -> Result<(Shape, ElementType, Arc<Buffer>)> {
        if !text.contains(['x', '=']) {
            bail!(
                InvalidArgument,
                "invalid tensor specification, requires at least a shape/type (`4x2xf32=...`)"
            );
        }
        let tensor = TensorText::parse(text)?;
        let byte_length = tensor.byte_length()?;
        let buffer = match tensor.values.strip_prefix(['@', '+']) {
            Some(path) => {
                let index = self.file(path, tensor.values.starts_with('@'))?;
                let buffer = self.allocate(byte_length)?;
                fill_from_file(&buffer, &mut self.files[index])?;
                buffer
            }
            None => self.read_values(&tensor, byte_length)?,
        };
        Ok((tensor.shape, tensor.element_type, buffer))
    }

    /// Values in the text. They are read before any memory is asked for, so that a mistake in a huge tensor costs
    /// nothing; one value for all (or none) is repeated piece by piece.
    fn read_values(&self, tensor: &TensorText<'_>, byte_length: u64) -> Result<Arc<Buffer>> {
        let (element_type, count) = (tensor.element_type, tensor.shape.element_count()?);
        let given = count_values(element_type, count, tensor.values)?;
        if given > 1 || byte_length <= TRANSFER_BYTES as u64 {
            let bytes = tensor.bytes()?;
            let buffer = self.allocate(byte_length)?;
            buffer.write(0, &bytes)?;
            return Ok(buffer);
        }
        // Whole bytes also for elements of a few bits.
        let bits = u64::from(element_type.bit_count());
        let piece_count = (TRANSFER_BYTES as u64 * 8 / bits) & !7;
        let bytes_of = |count: u64| (count * bits).div_ceil(8) as usize;
        let mut piece = vec![0; bytes_of(piece_count)];
        parse_values(element_type, piece_count, tensor.values, &mut piece)?;
        let buffer = self.allocate(byte_length)?;
        let (mut done, mut offset) = (0, 0);
        while count - done >= piece_count {
            buffer.write(offset, &piece)?;
            (done, offset) = (done + piece_count, offset + piece.len() as u64);
        }
        let rest = &mut piece[..bytes_of(count - done)];
        parse_values(element_type, count - done, if done < count { tensor.values } else { "" }, rest)?;
        buffer.write(offset, rest)?;
        Ok(buffer)
    }

    fn read_whole_file(&mut self, path: &str, kinds: &[Kind], inputs: &mut Vec<Input>) -> Result<()> {
        require_npy(path)?;
        let index = self.file(path, false)?;
        while let Some(tensor) = self.next_array(index)? {
            require_ref(next_kind(kinds, inputs.len())?, "an array of a numpy file")?;
            inputs.push(Input::Given(Value::Tensor(tensor)));
        }
        Ok(())
    }

    fn next_array(&mut self, index: usize) -> Result<Option<Tensor>> {
        let Some(header) = self.files[index].header()? else { return Ok(None) };
        let buffer = self.allocate(header.shape.byte_length(header.element_type)?)?;
        fill_from_file(&buffer, &mut self.files[index])?;
        view(buffer, header.shape, header.element_type).map(Some)
    }

    /// The index of a file, opened at its first use.
    fn file(&mut self, path: &str, from_start: bool) -> Result<usize> {
        let known = self.files.iter().position(|file| file.path == path);
        let index = match known {
            Some(index) => index,
            None => {
                let file = File::open(path).map_err(|error| file_status(&error, "open", path))?;
                self.files.push(OpenFile { path: path.to_owned(), file, position: 0 });
                self.files.len() - 1
            }
        };
        if from_start {
            self.files[index].rewind()?;
        }
        Ok(index)
    }

    fn allocate(&self, byte_length: u64) -> Result<Arc<Buffer>> {
        match &self.device {
            Some(device) => {
                let allocator: &Allocator = device.allocator();
                allocator.allocate(&BufferParams::device_local(), byte_length)
            }
            None => weft::host_allocator().allocate(&BufferParams::device_local(), byte_length),
        }
    }
}

fn view(buffer: Arc<Buffer>, shape: Shape, element_type: ElementType) -> Result<Tensor> {
    Ok(BufferView::new(buffer, shape, element_type, Encoding::DENSE_ROW_MAJOR)?.into())
}

/// The kind of the argument that is next.
fn next_kind(kinds: &[Kind], index: usize) -> Result<Kind> {
    match kinds.get(index) {
        Some(kind) => Ok(*kind),
        None => bail!(InvalidArgument, "function expected fewer input values; it takes {}", kinds.len()),
    }
}

fn require_ref(kind: Kind, given: &str) -> Result<()> {
    if kind != Kind::Ref {
        bail!(
            InvalidArgument,
            "function signature mismatch: {given} given for an argument of type {}",
            kind_name(kind)
        );
    }
    Ok(())
}

fn require_npy(path: &str) -> Result<()> {
    if !path.ends_with(".npy") {
        bail!(
            Unimplemented,
            "only numpy (.npy) files are supported for metadata-less variant I/O; for raw bytes give the type: \
             4xf32=@{path}"
        );
    }
    Ok(())
}

fn read_scalar(text: &str, kind: Kind) -> Result<Value> {
    let value = match kind {
        // Wraps on purpose: 0xFFFFFFFF is a way to write -1.
        Kind::I32 => parse_integer(text).map(|value| Value::I32(value as i32)),
        Kind::I64 => parse_integer(text).and_then(|value| i64::try_from(value).ok()).map(Value::I64),
        Kind::F32 => parse_f32(text).map(Value::F32),
        Kind::F64 => parse_f64(text).map(Value::F64),
        Kind::Ref => None,
    };
    value.ok_or_else(|| status!(InvalidArgument, "parsing value `{}` as {}", excerpt(text), kind_name(kind)))
}

/// Fills a buffer with the next bytes of a file.
fn fill_from_file(buffer: &Buffer, source: &mut OpenFile) -> Result<()> {
    let length = buffer.byte_length();
    let mut piece = vec![0; TRANSFER_BYTES.min(usize::try_from(length).unwrap_or(TRANSFER_BYTES))];
    let mut done = 0;
    while done < length {
        let count = usize::try_from(length - done).unwrap_or(TRANSFER_BYTES).min(TRANSFER_BYTES);
        source.read_exact(&mut piece[..count]).map_err(|error| short(&error, source, length))?;
        buffer.write(done, &piece[..count])?;
        done += count as u64;
    }
    Ok(())
}

#[cold]
fn short(error: &std::io::Error, source: &OpenFile, length: u64) -> Status {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        let path = &source.path;
        return status!(
            OutOfRange,
            "end-of-file encountered during read; '{path}' has fewer than {length} bytes left"
        );
    }
    file_status(error, "read", &source.path)
}

/// The kinds of a function's arguments that a caller gives; spans cannot be given.
pub fn argument_kinds(function: &weft::Function) -> Result<Vec<Kind>> {
    let arguments = &function.signature().arguments()[..function.argument_count()];
    let kind = |argument: &Argument| match argument {
        Argument::Value(kind) => Ok(*kind),
        Argument::Span(_) => {
            Err(status!(Unimplemented, "functions with variable arguments cannot be called"))
        }
    };
    arguments.iter().map(kind).collect()
}

/// The beginning of a text, on one line.
pub fn excerpt(text: &str) -> String {
    let mut short: String =
        text.chars().take(QUOTED_CHARACTERS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::I32 => "i32",
        Kind::I64 => "i64",
        Kind::F32 => "f32",
        Kind::F64 => "f64",
        Kind::Ref => "ref",
    }
}
