//! Any bytes as a kernel container. Nothing is executed: reading, laying out, mapping and relocating only.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_cpu::loader::elf::{EmbeddedElf, Image, Layout};
use weft_cpu::loader::{fat, format};

fuzz_target!(|data: &[u8]| {
    let _ = format::infer(data);
    let _ = format::elf_size(data);
    // A small span, so that a hostile file cannot make the fuzzer itself slow.
    let target = EmbeddedElf { span_bytes_max: 1 << 24 }.target().expect("a supported host");
    let Ok(data) = fat::select(data, target.machine) else { return };
    if let Ok(layout) = Layout::parse(data, &target) {
        let _ = Image::load(&layout);
    }
});
