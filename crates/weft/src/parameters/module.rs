//! The native module `io_parameters`, version 0: how compiled programs ask for parameters (`docs/spec/hal-module.md` §10).
//!
//! 1. A batch that cannot be carried out returns the error and fails the signal fence with it. What was enqueued before
//!    may finish; nobody waits for it.
//! 2. Everything that can be checked is checked for all entries before the first is enqueued.
//! 3. Entries are enqueued in the order in which they lie in their files, whatever the program's: the system reads ahead of
//!    whoever goes forwards, and compilers like to list layers backwards.
//!
//! What lives here: the exports and the tables that programs hand over. What does not: transfers (see `batch.rs`).

use std::sync::Arc;

use weft_hal::{Buffer, BufferParams, BufferUsage, Device, Fence, MemoryAccess, MemoryType, QueueAffinity};
use weft_sync::{Result, WhileDoing, bail};
use weft_vm::native::{NativeCall, NativeModule, Signal};
use weft_vm::{Buffer as Bytes, List, Module, Ref, Value};

use super::batch::{Batch, Transfer, check_room};
use super::index::ParameterKind;
use super::open_files::OpenFiles;
use super::provider::ParameterProvider;
use super::transfer_count::{TransferCount, TransferObserver};
use crate::file_poller::FilePoller;
use crate::hal_module::register_types;

/// Bytes of an entry of the key table: offset and length, 32 bits each.
const KEY_ENTRY_BYTES: usize = 8;
/// Bytes of a span: parameter offset, buffer offset, length, 64 bits each.
const SPAN_BYTES: usize = 24;

/// Device, affinity, wait fence, signal fence; what cancels the call cancels its transfers.
type Queue<'a> = (&'a Device, u64, Option<&'a Fence>, Option<&'a Fence>, NativeCall<'a>);
/// Key table, key data, spans.
type Tables<'a> = (&'a Bytes, &'a Bytes, &'a Bytes);

/// What an `io_parameters` module works on.
#[derive(Clone, Default)]
pub struct ParameterModuleOptions {
    /// Who gives parameters. The first that handles a scope answers for it.
    pub providers: Vec<Arc<dyn ParameterProvider>>,
    /// Who hears how transfers come along, if anybody does.
    pub observer: Option<TransferObserver>,
    /// Who opens the files of parameters for devices. The session's own, in programs.
    pub files: FilePoller,
}

struct State {
    providers: Vec<Arc<dyn ParameterProvider>>,
    files: OpenFiles,
    count: Option<Arc<TransferCount>>,
}

/// Makes the module.
pub fn module(options: ParameterModuleOptions) -> Result<Module> {
    native_module(options).map(Module::from)
}

fn native_module(options: ParameterModuleOptions) -> Result<Arc<NativeModule>> {
    let count = options.observer.map(TransferCount::new);
    let (providers, files) = (options.providers, options.files);
    NativeModule::builder("io_parameters", 0, move |instance| {
        register_types(instance)?;
        Ok(State { providers: providers.clone(), files: OpenFiles::new(files.clone()), count: count.clone() })
    })
    .on_signal(|state: &State, signal| {
        if matches!(signal, Signal::Suspend | Signal::LowMemory) {
            state.files.clear();
            state.providers.iter().for_each(|provider| provider.trim());
        }
        Ok(())
    })
    .export("load", load)
    .export("gather", gather)
    .export("scatter", scatter)
    .build()
}

/// `rIrrrIiirrr_r`: the buffers are there at once, their contents when the signal fence is reached.
fn load(
    state: &State,
    (queue, scope, affinity, memory_type, usage, tables): (
        Queue<'_>,
        Option<&Bytes>,
        u64,
        u32,
        u32,
        Tables<'_>,
    ),
) -> Result<Arc<List>> {
    let params = BufferParams {
        usage: BufferUsage::from_bits_retain(usage),
        access: MemoryAccess::empty(),
        memory_type: MemoryType::from_bits_retain(memory_type),
        affinity: QueueAffinity(affinity),
        alignment_min: 0,
    };
    let check = |request: &Request| {
        let (name, offset) = (request.transfer.entry.name(), request.buffer_offset);
        if offset != 0 {
            bail!(OutOfRange, "parameter `{name}` is loaded into a buffer of its own, not at {offset}");
        }
        Ok(())
    };
    state.run(queue, scope, tables, (Kind::LOAD, &check), |batch, requests| {
        let transfers: Vec<&Transfer> = requests.iter().map(|request| &request.transfer).collect();
        let mut buffers = vec![Value::Ref(None); requests.len()];
        for (request, buffer) in requests.iter().zip(batch.load(&transfers, &params)?) {
            buffers[request.index] = Value::Ref(Some(Ref::new(buffer)));
        }
        Ok(Arc::new(List::from_values(buffers)))
    })
}

/// `rIrrrrrrr_v`
fn gather(
    state: &State,
    (queue, scope, target, tables): (Queue<'_>, Option<&Bytes>, &Buffer, Tables<'_>),
) -> Result<()> {
    let check = |request: &Request| request.check_room(target, Kind::GATHER);
    state.run(queue, scope, tables, (Kind::GATHER, &check), |batch, requests| {
        requests.iter().try_for_each(|request| batch.gather(&request.transfer, target, request.buffer_offset))
    })
}

/// `rIrrrrrrr_v`
fn scatter(
    state: &State,
    (queue, source, scope, tables): (Queue<'_>, &Buffer, Option<&Bytes>, Tables<'_>),
) -> Result<()> {
    let check = |request: &Request| request.check_room(source, Kind::SCATTER);
    state.run(queue, scope, tables, (Kind::SCATTER, &check), |batch, requests| {
        requests
            .iter()
            .try_for_each(|request| batch.scatter(&request.transfer, source, request.buffer_offset))
    })
}

/// What is done with the parameters of a batch.
#[derive(Clone, Copy)]
struct Kind {
    verb: &'static str,
    needs: MemoryAccess,
}

impl Kind {
    const LOAD: Kind = Kind { verb: "loading", needs: MemoryAccess::READ };
    const GATHER: Kind = Kind { verb: "gathering", needs: MemoryAccess::READ };
    const SCATTER: Kind = Kind { verb: "scattering into", needs: MemoryAccess::WRITE };
}

/// One entry of a batch.
struct Request {
    /// Which one it is for the program.
    index: usize,
    transfer: Transfer,
    buffer_offset: u64,
}

/// What only one kind of batch asks of its entries.
type Check<'a> = dyn Fn(&Request) -> Result<()> + 'a;

impl Request {
    /// OUT_OF_RANGE unless the buffer has what is transferred.
    fn check_room(&self, buffer: &Buffer, kind: Kind) -> Result<()> {
        check_room(buffer, self.buffer_offset, self.transfer.length)
            .while_doing(|| format!("{} {}", kind.verb, self.transfer.entry.place()))
    }
}

impl State {
    /// Carries out a batch by the rules in the header.
    fn run<T>(
        &self,
        (device, affinity, wait, signal, call): Queue<'_>,
        scope: Option<&Bytes>,
        tables: Tables<'_>,
        (kind, check): (Kind, &Check<'_>),
        body: impl FnOnce(&mut Batch<'_>, &[Request]) -> Result<T>,
    ) -> Result<T> {
        let affinity = match affinity {
            u64::MAX => QueueAffinity::ANY,
            // Bits of queues that do not exist are folded onto those that do.
            other => QueueAffinity(other).folded(device.queue_count()),
        };
        let (wait, signal) = (Fence::points_of(wait), Fence::points_of(signal));
        let outcome = self.requests(scope, tables, kind, check).and_then(|requests| {
            let announced = self.count.as_ref().map(|count| count.announce(file_bytes(&requests)));
            let mut batch = Batch::new(device, affinity, wait, &self.files, kind.verb)
                .counted(announced)
                .cancelled_by(call.cancel());
            let result = body(&mut batch, &requests)?;
            batch.finish(signal)?;
            Ok(result)
        });
        outcome.inspect_err(|status| weft_hal::fail_all(signal, status.clone()))
    }

    /// The entries of a batch, found and checked in the program's order, and then by rule 3.
    fn requests(
        &self,
        scope: Option<&Bytes>,
        tables: Tables<'_>,
        kind: Kind,
        check: &Check<'_>,
    ) -> Result<Vec<Request>> {
        let scope = scope.map(Bytes::bytes).unwrap_or_default();
        let Some(provider) = self.providers.iter().find(|provider| provider.handles(&scope)) else {
            bail!(
                NotFound,
                "no provider registered that handles scopes like '{}'",
                String::from_utf8_lossy(&scope)
            );
        };
        let (keys, key_data, spans) = (tables.0.bytes(), tables.1.bytes(), tables.2.bytes());
        if spans.len() % SPAN_BYTES != 0 {
            bail!(InvalidArgument, "table of spans has {} bytes, no multiple of {SPAN_BYTES}", spans.len());
        }
        let count = spans.len() / SPAN_BYTES;
        if keys.len() / KEY_ENTRY_BYTES < count {
            bail!(InvalidArgument, "key table of {} bytes for {count} entries", keys.len());
        }
        let mut requests = Vec::with_capacity(count);
        let entries = keys.chunks_exact(KEY_ENTRY_BYTES).zip(spans.chunks_exact(SPAN_BYTES));
        for (index, (key, span)) in entries.enumerate() {
            let entry = provider.find(&scope, key_of(key, &key_data)?)?;
            let [offset, buffer_offset, length] = [0, 8, 16].map(|at| u64_at(span, at));
            entry.check_range(offset, length)?;
            entry.check_access(kind.needs)?;
            let request = Request { index, transfer: Transfer { entry, offset, length }, buffer_offset };
            check(&request)?;
            requests.push(request);
        }
        requests.sort_by(|one, other| one.transfer.place().cmp(&other.transfer.place()));
        Ok(requests)
    }
}

/// Bytes that come from or go to files; patterns are made on the device.
fn file_bytes(requests: &[Request]) -> u64 {
    let transfers = requests.iter().map(|request| &request.transfer);
    transfers
        .filter(|transfer| matches!(transfer.entry.kind, ParameterKind::File { .. }))
        .fold(0, |bytes, transfer| bytes.saturating_add(transfer.length))
}

/// The key that an entry of the key table stands for.
fn key_of<'a>(entry: &[u8], data: &'a [u8]) -> Result<&'a [u8]> {
    let packed = u64_at(entry, 0);
    // Both halves have 32 bits.
    let (offset, length) = ((packed & 0xFFFF_FFFF) as usize, (packed >> 32) as usize);
    match offset.checked_add(length).and_then(|end| data.get(offset..end)) {
        Some(key) => Ok(key),
        None => bail!(OutOfRange, "key of {length} bytes at {offset} of key data of {}", data.len()),
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The strings derived from Rust types are those of the specification.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let module = native_module(ParameterModuleOptions::default()).unwrap();
        for (name, signature) in
            [("load", "0rIrrrIiirrr_r"), ("gather", "0rIrrrrrrr_v"), ("scatter", "0rIrrrrrrr_v")]
        {
            assert_eq!(module.export_signature(name).unwrap().text(), signature, "{name}");
        }
        assert_eq!((module.export_count(), module.name(), module.version()), (3, "io_parameters", 0));
    }
}
