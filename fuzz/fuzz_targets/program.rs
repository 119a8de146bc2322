//! Programs: made valid from bytes, or mutations of real modules.
//!
//! Shows: a generated program verifies, and its listing assembles to the same code; whatever verifies can be run
//! without a crash, a hang or a leak.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_fuzz::run::{instance, load_and_call};
use weft_fuzz::{generate, source::Source};
use weft_vm::{BytecodeModule, ModuleBytes};

/// Mutations of real modules start as archives do; everything else is a stream of decisions.
fn is_archive(data: &[u8]) -> bool {
    data.starts_with(b"PK\x03\x04") || data.get(8..12) == Some(b"IREE")
}

fuzz_target!(|data: &[u8]| {
    let instance = instance();
    if is_archive(data) {
        if let Ok(module) = BytecodeModule::load(&instance, ModuleBytes::copy_of(data)) {
            let _ = load_and_call(module, &instance);
        }
        return;
    }
    let bytes = generate::module(&mut Source::new(data)).expect("the generator makes whole modules");
    let module =
        BytecodeModule::load(&instance, ModuleBytes::copy_of(&bytes)).expect("generated programs verify");
    let ran = load_and_call(module, &instance).expect("generated programs link");
    assert!(ran > 0);
});
