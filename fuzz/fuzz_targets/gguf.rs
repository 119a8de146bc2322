//! Any bytes as a GGUF file; `src/parameters.rs` says what must hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft::parameters::ArchiveFormat;

fuzz_target!(|data: &[u8]| weft_fuzz::parameters::check(ArchiveFormat::Gguf, data));
