//! Any bytes as a module archive.
//!
//! Shows: reading never panics, hangs or uses memory beyond a multiple of the input; what is read twice is equal; what
//! loads for inspection can be listed, and its listing assembles to the same code.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_vm::disassemble::{Options, Style, disassemble_module};
use weft_vm::{Archive, BytecodeModule, Instance, ModuleBytes};

fuzz_target!(|data: &[u8]| {
    let _ = Archive::query_requirements(data);
    let _ = Archive::definition(data);
    let Ok(archive) = Archive::parse(data) else { return };
    let again = Archive::parse(data).expect("what was read once is read again");
    assert_eq!(format!("{archive:?}"), format!("{again:?}"));
    let listing = disassemble_module(&archive, data, &Options { pcs: true, style: Style::Exact });
    assert!(!listing.is_empty());
    if let Ok(module) = BytecodeModule::load_for_inspection(&Instance::new(), ModuleBytes::copy_of(data)) {
        assert_eq!(module.archive().functions.len(), archive.functions.len());
    }
});
