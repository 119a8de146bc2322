//! Storage that a caller brings for results.
//!
//! 1. A function may take such storage as arguments of its own (`iree.abi.output`): then it writes there.
//! 2. Any other result is copied there, on the queue of the lead device, behind the function and before its signal.
//! 3. What can be known before the call is refused before it: how many there are, shapes and types as far as the function
//!    declares them, storage that may not be written, storage that overlaps. The rest is refused before the first copy.
//!
//! What lives here: [`Outputs`] and [`Copies`]. What does not: when they are checked and copied (`call.rs`).

use std::sync::Arc;

use weft_hal::{
    Buffer, BufferUsage, BufferView, CommandBufferMode, CommandBufferParams, CommandCategory, Device,
    ExecuteFlags, MemoryAccess, Operand, Overlap, Region, Submission,
};
use weft_sync::{Result, Status, WhileDoing, bail, status};
use weft_vm::isa::Kind;

use crate::declaration::{StorageArgument, TensorType, result_type};
use crate::function::Function;
use crate::hal_module::is_compatible;
use crate::tensor::Tensor;
use crate::value::Value;

/// For each result the tensor that it is put in, if there is one.
pub(crate) struct Outputs(Vec<Option<Tensor>>);

impl Outputs {
    /// What a caller gave: tensors, or nothing.
    pub fn new(values: Vec<Value>) -> Result<Outputs> {
        let outputs =
            values.into_iter().enumerate().map(|(index, value)| match Value::from(value.into_vm()) {
                Value::Tensor(tensor) => Ok(Some(tensor)),
                Value::Null => Ok(None),
                other => {
                    bail!(InvalidArgument, "output {index}: expected tensor or null, found {}", other.kind())
                }
            });
        outputs.collect::<Result<Vec<_>>>().map(Outputs)
    }

    /// Rule 3, before the call.
    pub fn check(&self, function: &Function) -> Result<()> {
        let results = function.signature().results();
        if self.0.len() != results.len() {
            let (given, expected) = (self.0.len(), results.len());
            bail!(InvalidArgument, "{given} outputs for {expected} results; each needs one, or null");
        }
        let declaration = function.declaration().unwrap_or_default();
        let storage = function.storage();
        for (index, output) in self.0.iter().enumerate() {
            let is_stored = storage.iter().any(|stored| stored.result == index);
            let Some(tensor) = output else {
                if is_stored {
                    bail!(
                        InvalidArgument,
                        "output {index}: none, but the function writes result {index} there"
                    );
                }
                continue;
            };
            if results[index] != Kind::Ref {
                bail!(InvalidArgument, "output {index}: storage for a result that is a number");
            }
            let checked = check_writable(tensor, is_stored);
            let expected = result_type(declaration, index);
            checked
                .and_then(|()| expected.map_or(Ok(()), |expected| check_type(&expected, tensor)))
                .while_doing(|| format!("output {index}"))?;
        }
        self.check_overlaps()
    }

    fn tensors(&self) -> impl Iterator<Item = (usize, &Tensor)> {
        self.0.iter().enumerate().filter_map(|(index, output)| Some((index, output.as_ref()?)))
    }

    fn check_overlaps(&self) -> Result<()> {
        for (index, tensor) in self.tensors() {
            for (before, other) in self.tensors().take_while(|(before, _)| *before < index) {
                if overlap(tensor.view(), other.view())? != Overlap::Disjoint {
                    bail!(InvalidArgument, "output {index}: its storage overlaps that of output {before}");
                }
            }
        }
        Ok(())
    }

    /// Puts storage where the function takes it among its arguments. Rule 1.
    pub fn place(&self, function: &Function, arguments: &mut Vec<Value>) -> Result<()> {
        let mut storage: Vec<StorageArgument> = function.storage().to_vec();
        storage.sort_by_key(|stored| stored.argument);
        let (given, expected) = (arguments.len(), function.argument_count().saturating_sub(storage.len()));
        if given != expected {
            bail!(InvalidArgument, "expected {expected} arguments beside the outputs but passed {given}");
        }
        for stored in storage {
            // Checked before: there is one for each, and places are counted with those before them.
            let output = self.0.get(stored.result).cloned().flatten();
            let value = output.map_or(Value::Null, |tensor| match stored.is_plain {
                true => Value::Buffer(Arc::clone(tensor.view().buffer())),
                false => Value::Tensor(tensor),
            });
            arguments.insert(stored.argument.min(arguments.len()), value);
        }
        Ok(())
    }

    /// Puts the outputs in the place of the results, and says what must be copied for that. Rule 2.
    pub fn take_over(&self, results: &mut [Value]) -> Result<Copies> {
        let mut copies = Vec::new();
        for (index, output) in self.tensors() {
            let Some(slot) = results.get_mut(index) else { continue };
            let result = match std::mem::replace(slot, Value::Tensor(output.clone())) {
                Value::Tensor(result) => result,
                other => bail!(InvalidArgument, "output {index}: result {index} is {}", other.kind()),
            };
            let copy = check_result(&result, output).and_then(|()| ResultCopy::between(&result, output));
            copies.extend(copy.while_doing(|| format!("output {index}"))?.map(|copy| (index, copy)));
        }
        for (index, copy) in &copies {
            for (other, output) in self.tensors().filter(|(other, _)| other != index) {
                if overlap(&copy.source, output.view())? != Overlap::Disjoint {
                    bail!(InvalidArgument, "output {other}: its storage overlaps result {index}");
                }
            }
        }
        Ok(Copies(copies.into_iter().map(|(_, copy)| copy).collect()))
    }
}

fn check_writable(tensor: &Tensor, is_stored: bool) -> Result<()> {
    let buffer = tensor.view().buffer();
    if !buffer.access().contains(MemoryAccess::WRITE) {
        bail!(PermissionDenied, "its storage is read-only");
    }
    // What the function writes itself may need other usages, and the function says so.
    if !is_stored && !buffer.usage().contains(BufferUsage::TRANSFER_TARGET) {
        bail!(PermissionDenied, "its storage cannot be copied to; its usage is {}", buffer.usage());
    }
    Ok(())
}

fn check_type(expected: &TensorType, tensor: &Tensor) -> Result<()> {
    let dims = tensor.dims();
    let fits = expected.dims.len() == dims.len()
        && expected.dims.iter().zip(dims).all(|(expected, have)| expected.is_none_or(|dim| dim == *have));
    if !fits {
        let extents = expected.dims.iter().map(|dim| dim.map_or("?".to_owned(), |dim| dim.to_string()));
        let expected = extents.collect::<Vec<_>>().join("x");
        return Err(wrong_shape(&expected, tensor));
    }
    match expected.element_type {
        Some(expected) if !is_compatible(expected, tensor.element_type()) => {
            Err(wrong("element type", &expected.to_string(), &tensor.element_type().to_string()))
        }
        _ => Ok(()),
    }
}

/// The same for a result that is there.
fn check_result(result: &Tensor, output: &Tensor) -> Result<()> {
    if result.shape() != output.shape() {
        return Err(wrong_shape(&result.shape().to_string(), output));
    }
    let (expected, have) = (result.element_type(), output.element_type());
    if !is_compatible(expected, have) {
        return Err(wrong("element type", &expected.to_string(), &have.to_string()));
    }
    let (expected, have) = (result.view().encoding(), output.view().encoding());
    if expected != have {
        return Err(wrong("encoding", &format!("{:08x}", expected.raw()), &format!("{:08x}", have.raw())));
    }
    Ok(())
}

#[cold]
fn wrong_shape(expected: &str, tensor: &Tensor) -> Status {
    wrong("shape", expected, &tensor.shape().to_string())
}

#[cold]
fn wrong(what: &str, expected: &str, have: &str) -> Status {
    status!(InvalidArgument, "{what} mismatch; expected `{expected}` but have `{have}`")
}

fn overlap(left: &BufferView, right: &BufferView) -> Result<Overlap> {
    let left = left.buffer().normalize(0, left.byte_length())?;
    Ok(left.overlap(&right.buffer().normalize(0, right.byte_length())?))
}

/// A result on its way to its output.
struct ResultCopy {
    source: Arc<BufferView>,
    target: Arc<Buffer>,
}

impl ResultCopy {
    /// `None`: it is there already.
    fn between(result: &Tensor, output: &Tensor) -> Result<Option<ResultCopy>> {
        let (source, target) = (result.view(), output.view());
        let is_there = source.byte_length() == 0 || overlap(source, target)? == Overlap::Complete;
        let copy = || ResultCopy { source: Arc::clone(source), target: Arc::clone(target.buffer()) };
        Ok((!is_there).then(copy))
    }

    fn regions(&self) -> (Region<'_>, Region<'_>) {
        let length = self.source.byte_length();
        let region = |buffer| Region { buffer, offset: 0, length };
        (region(self.source.buffer()), region(&self.target))
    }
}

/// Results on their way to their outputs.
pub(crate) struct Copies(Vec<ResultCopy>);

impl Copies {
    /// All results are where they belong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Copies between the waits and signals of the submission.
    pub fn submit(&self, device: &Device, submission: &Submission<'_>) -> Result<()> {
        match self.0.as_slice() {
            [] => return device.queue_barrier(submission),
            [copy] => {
                let (source, target) = copy.regions();
                return device.queue_copy(submission, &source, &target);
            }
            _ => {}
        }
        let commands = device.create_command_buffer(CommandBufferParams {
            mode: CommandBufferMode::ONE_SHOT,
            categories: CommandCategory::TRANSFER,
            affinity: submission.affinity,
            binding_capacity: 0,
        })?;
        commands.begin()?;
        for copy in &self.0 {
            let [source, target] = <[_; 2]>::from(copy.regions()).map(|region: Region<'_>| Operand {
                buffer: Some(region.buffer),
                slot: 0,
                offset: region.offset,
                length: region.length,
            });
            commands.copy(&source, &target)?;
        }
        commands.end()?;
        device.queue_execute(submission, Some(&commands), None, ExecuteFlags::empty())
    }
}
