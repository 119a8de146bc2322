//! The native module `hal`, version 7: what compiled programs import to reach devices.
//!
//! What lives here: the module itself, its state in a context, the registration of its types. The exports stand in one
//! file a family, and `exports.rs` lists them with their names.
//! What does not: what devices do. An export checks what only programs can get wrong (`docs/spec/hal-module.md` §5),
//! and hands on to `weft-hal`.
//!
//! The calling-convention strings follow from the Rust types of the functions; a test compares all of them with the
//! specification.

mod allocator;
mod buffer;
mod buffer_view;
mod channel;
mod command_buffer;
mod device;
mod executable;
mod exports;
mod fence;
mod files;
mod gather;
mod lend;
mod queue;

pub(crate) use buffer_view::is_compatible;
use std::borrow::Cow;
use std::sync::Arc;
use weft_hal::{BufferView, CommandBuffer, Device, WHOLE_BUFFER};
use weft_sync::{Result, bail};
use weft_vm::native::{NativeModule, Signal};
use weft_vm::{Buffer as Bytes, Instance, Module};

/// The version that programs compare their minimum with.
pub const VERSION: u32 = 7;

/// Receives what programs trace: a key, and views whose contents are final.
pub type TraceSink = Arc<dyn Fn(&str, &[&BufferView]) -> Result<()> + Send + Sync>;

/// Receives every command buffer that a program has finished recording.
pub type RecordingSink = Arc<dyn Fn(&CommandBuffer) + Send + Sync>;

/// What a `hal` module works on.
#[derive(Clone)]
pub struct HalModuleOptions {
    /// The devices in the order of their ordinals; at least one.
    pub devices: Vec<Arc<Device>>,
    /// The ordinal of the device that `allocator.select` prefers.
    pub lead_device: usize,
    /// Where traces go, if anywhere.
    pub trace: Option<TraceSink>,
    /// Who looks at command buffers, if anybody does.
    pub recorded: Option<RecordingSink>,
}

/// State of the module in one context.
pub(crate) struct HalState {
    devices: Vec<Arc<Device>>,
    lead_device: usize,
    trace: Option<TraceSink>,
    recorded: Option<RecordingSink>,
}

/// Makes the module.
pub fn module(options: HalModuleOptions) -> Result<Module> {
    native_module(options).map(Module::from)
}

fn native_module(options: HalModuleOptions) -> Result<Arc<NativeModule>> {
    let make_state = move |instance: &Arc<Instance>| {
        register_types(instance)?;
        let HalModuleOptions { devices, lead_device, trace, recorded } = options.clone();
        Ok(HalState { devices, lead_device, trace, recorded })
    };
    let builder = NativeModule::builder("hal", VERSION, make_state).on_signal(on_signal);
    exports::add_to(builder).build()
}

fn on_signal(state: &HalState, signal: Signal) -> Result<()> {
    if matches!(signal, Signal::Suspend | Signal::LowMemory) {
        state.devices.iter().for_each(|device| device.trim());
    }
    Ok(())
}

/// A range of a `vm.buffer`, in place if nobody can change it.
fn source_bytes(source: &Bytes, offset: u64, length: u64) -> Result<Cow<'_, [u8]>> {
    let available = source.len() as u64;
    let rest = available.checked_sub(offset);
    let wanted = if length == WHOLE_BUFFER { rest } else { rest.and(Some(length)) };
    let (Some(length), true) = (wanted, rest >= wanted) else {
        bail!(OutOfRange, "range of {length} bytes at {offset} of a source of {available}");
    };
    // Both fit: they are at most the length of something in memory.
    let (start, length) = (offset as usize, length as usize);
    match source.as_slice() {
        Some(bytes) => Ok(Cow::Borrowed(&bytes[start..start + length])),
        None => {
            let mut bytes = vec![0; length];
            source.read(offset, &mut bytes)?;
            Ok(Cow::Owned(bytes))
        }
    }
}

/// Makes the types of the `hal` family known by the names that programs use. Doing it again changes nothing.
pub fn register_types(instance: &Instance) -> Result<()> {
    instance.register::<weft_hal::Allocator>("hal.allocator")?;
    instance.register::<weft_hal::Buffer>("hal.buffer")?;
    instance.register::<weft_hal::BufferView>("hal.buffer_view")?;
    instance.register::<weft_hal::Channel>("hal.channel")?;
    instance.register::<weft_hal::CommandBuffer>("hal.command_buffer")?;
    instance.register::<weft_hal::Device>("hal.device")?;
    instance.register::<weft_hal::Event>("hal.event")?;
    instance.register::<weft_hal::Executable>("hal.executable")?;
    instance.register::<weft_hal::Fence>("hal.fence")?;
    instance.register::<weft_hal::File>("hal.file")?;
    instance.register::<weft_sync::Semaphore>("hal.semaphore")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every export of the specification with its calling convention.
    const SIGNATURES: &[(&str, &str)] = &[
        ("allocator.select", "0iiICrID_rI"),
        ("allocator.allocate", "0rIiiI_r"),
        ("allocator.import", "0riIiirII_r"),
        ("buffer.assert", "0rrrIii_v"),
        ("buffer.allocation.preserve", "0r_v"),
        ("buffer.allocation.discard", "0r_i"),
        ("buffer.allocation.is_terminal", "0r_i"),
        ("buffer.subspan", "0rII_r"),
        ("buffer.length", "0r_I"),
        ("buffer.load", "0rIi_i"),
        ("buffer.store", "0irIi_v"),
        ("buffer_view.create", "0rIIiiCID_r"),
        ("buffer_view.assert", "0rriiCID_v"),
        ("buffer_view.buffer", "0r_r"),
        ("buffer_view.element_type", "0r_i"),
        ("buffer_view.encoding_type", "0r_i"),
        ("buffer_view.rank", "0r_i"),
        ("buffer_view.dim", "0ri_I"),
        ("buffer_view.trace", "0rCrD_v"),
        ("channel.create", "0rIIrrii_r"),
        ("channel.split", "0riiI_r"),
        ("channel.rank_and_count", "0r_ii"),
        ("command_buffer.create", "0riiIi_r"),
        ("command_buffer.finalize", "0r_v"),
        ("command_buffer.begin_debug_group", "0rr_v"),
        ("command_buffer.end_debug_group", "0r_v"),
        ("command_buffer.execution_barrier", "0riiI_v"),
        ("command_buffer.advise_buffer", "0rrIIIi_v"),
        ("command_buffer.fill_buffer", "0rrIIiIiI_v"),
        ("command_buffer.update_buffer", "0rrIrIIiI_v"),
        ("command_buffer.copy_buffer", "0riirIrIII_v"),
        ("command_buffer.collective", "0rriiiirrIIIII_v"),
        ("command_buffer.dispatch", "0rrIiiiICiDCiirIID_v"),
        ("command_buffer.dispatch.indirect", "0rrIirIICiDCiirIID_v"),
        ("device.allocator", "0r_r"),
        ("device.query.i64", "0rrr_iI"),
        ("device.queue.alloca", "0rIrrIiiII_r"),
        ("device.queue.dealloca", "0rIrrrI_v"),
        ("device.queue.fill", "0rIrrrIIIiI_v"),
        ("device.queue.update", "0rIrrrIrIII_v"),
        ("device.queue.copy", "0rIrrrIrIII_v"),
        ("device.queue.read", "0rIrrrIrIII_v"),
        ("device.queue.write", "0rIrrrIrIII_v"),
        ("device.queue.barrier", "0rIrrI_v"),
        ("device.queue.execute", "0rIrrrI_v"),
        ("device.queue.execute.indirect", "0rIrrrICrIID_v"),
        ("device.queue.flush", "0rI_v"),
        ("devices.count", "0v_i"),
        ("devices.get", "0i_r"),
        ("executable.create", "0rIrrr_r"),
        ("executable.lookup.function", "0rr_I"),
        ("fence.create", "0rI_r"),
        ("fence.join", "0ICrD_r"),
        ("fence.query", "0r_i"),
        ("fence.signal", "0r_v"),
        ("fence.fail", "0ri_v"),
        ("fence.await", "0iICrD_i"),
        ("ex.file.from_memory", "0rIirIIi_r"),
    ];

    /// The strings derived from Rust types are those of the specification, and nothing else is exported. [hal-module 1]
    #[test]
    fn signatures_are_those_of_the_specification() {
        let module = native_module(HalModuleOptions {
            devices: Vec::new(),
            lead_device: 0,
            trace: None,
            recorded: None,
        })
        .unwrap();
        for (name, signature) in SIGNATURES {
            let derived = module.export_signature(name).unwrap_or_else(|| panic!("no export `{name}`"));
            assert_eq!(derived.text(), *signature, "{name}");
        }
        assert_eq!(module.export_count(), SIGNATURES.len());
        assert_eq!((module.name(), module.version()), ("hal", 7));
    }

    /// Registering again changes nothing. [hal-module 4]
    #[test]
    fn types_are_registered_once() {
        let instance = Instance::new();
        register_types(&instance).unwrap();
        register_types(&instance).unwrap();
        for name in ["allocator", "buffer", "buffer_view", "channel", "command_buffer", "device", "event"] {
            instance.resolve(&format!("!hal.{name}")).unwrap();
        }
        for name in ["executable", "fence", "file", "semaphore"] {
            instance.resolve(&format!("!hal.{name}")).unwrap();
        }
    }
}
