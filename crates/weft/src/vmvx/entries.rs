//! Which exports of a bytecode module are kernels, and what they ask of a dispatch (§5.1).
//!
//! The ordinal of a kernel is its place among the kernels, not among all exports.

use weft_cpu::abi::{BINDING_COUNT_MAX, CONSTANT_COUNT_MAX, DispatchAttributes, LOCAL_MEMORY_PAGE_BYTES};
use weft_cpu::executable::Export;
use weft_sync::{Result, WhileDoing, bail};
use weft_vm::archive::Attribute;
use weft_vm::reflection::find_attribute;
use weft_vm::{BytecodeModule, Module};

/// What every kernel takes and gives.
const KERNEL_SIGNATURE: &str = "0rrriiiiiiiii_v";
/// The function that receives specialization constants.
pub(super) const SET_CONSTANTS: &str = "__set_constants";
const SET_CONSTANTS_SIGNATURE: &str = "0r_v";
/// What the VM itself calls.
const LIFE_CYCLE: [&str; 3] = ["__init", "__deinit", "__notify"];

/// One kernel.
pub(super) struct Entry {
    /// As devices know it.
    pub export: Export,
    /// Internal ordinal of its function.
    pub function: u32,
}

/// The kernels of a module. INVALID_ARGUMENT for an export that is none.
pub(super) fn read(module: &std::sync::Arc<BytecodeModule>) -> Result<Vec<Entry>> {
    let archive = module.archive();
    let whole = Module::from(module.clone());
    let mut entries = Vec::new();
    for (ordinal, export) in archive.exports.iter().enumerate() {
        let name = &*export.local_name;
        let signature = whole.export_signature(ordinal).map_or("", |signature| signature.text());
        let expected = match name {
            SET_CONSTANTS => SET_CONSTANTS_SIGNATURE,
            _ => KERNEL_SIGNATURE,
        };
        if LIFE_CYCLE.contains(&name) {
            continue;
        }
        if signature != expected {
            bail!(InvalidArgument, "export `{name}` is `{signature}`, kernels are `{expected}`");
        }
        if name == SET_CONSTANTS {
            continue;
        }
        if name.is_empty() {
            bail!(FailedPrecondition, "export {ordinal} has no name");
        }
        let attributes = &archive.functions[export.function as usize].attributes;
        let attributes =
            dispatch_attributes(attributes).while_doing(|| format!("reading export `{name}`"))?;
        let export_of_device = Export { name: name.into(), attributes, ..Export::default() };
        entries.push(Entry { export: export_of_device, function: export.function });
    }
    Ok(entries)
}

fn dispatch_attributes(attributes: &[Attribute]) -> Result<DispatchAttributes> {
    let local_memory = number(attributes, "local_memory", u64::MAX)?;
    let pages = local_memory.div_ceil(u64::from(LOCAL_MEMORY_PAGE_BYTES));
    let Ok(local_memory_pages) = u16::try_from(pages) else {
        bail!(
            FailedPrecondition,
            "{local_memory} bytes of local memory, at most 65535 pages of {LOCAL_MEMORY_PAGE_BYTES}"
        );
    };
    Ok(DispatchAttributes {
        local_memory_pages,
        // The limits make all three fit.
        constant_count: number(attributes, "constant_count", CONSTANT_COUNT_MAX as u64)? as u8,
        binding_count: number(attributes, "binding_count", BINDING_COUNT_MAX as u64)? as u8,
        parameter_count: number(attributes, "parameter_count", u64::from(u16::MAX))? as u16,
        ..DispatchAttributes::default()
    })
}

/// The decimal number of an attribute, 0 if there is none.
fn number(attributes: &[Attribute], key: &str, most: u64) -> Result<u64> {
    let Some(text) = find_attribute(attributes, key) else { return Ok(0) };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(value) if digits && value <= most => Ok(value),
        _ => bail!(FailedPrecondition, "attribute `{key}` is `{text}`, not a number up to {most}"),
    }
}
