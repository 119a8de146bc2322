//! Many calls in one process: memory does not grow. Alone in its process, because it looks at the whole of it.

use std::path::Path;
use weft::{Program, Session, Tensor};

const CALLS: usize = if cfg!(tsan) { 10_000 } else { 100_000 };
/// Less than one byte a call.
const GROWTH_BYTES_MAX: i64 = 64 << 10;

/// Bytes of the process that lie in memory and not in files: of the program itself the system loads more whenever it runs
/// on in a part that it has not run in.
#[cfg(target_os = "linux")]
fn resident_bytes() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux has /proc");
    let pages: Vec<i64> = text.split(' ').filter_map(|pages| pages.trim().parse().ok()).collect();
    (pages[1] - pages[2]) * 4096
}

/// A small program, called very often. [hal-module 77]
#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/programs/elementwise_f32.vmfb");
    let session = Session::new().unwrap();
    let program: Program = session.load(path).unwrap();
    let abs = program.function("abs").unwrap();
    let argument = Tensor::new(&[4], &[-1.0f32; 4]).unwrap();
    let call = |count: usize| {
        for _ in 0..count {
            let _: Tensor = abs.call(&argument).unwrap();
        }
    };
    let live = || session.lead_device().unwrap().allocator().statistics().device.live();
    call(2000);
    let (resident, device) = (resident_bytes(), live());
    call(CALLS);
    assert_eq!(live(), device);
    let growth = resident_bytes() - resident;
    // AddressSanitizer keeps freed memory on purpose, ThreadSanitizer a history of accesses.
    let is_kept = cfg!(tsan) || std::env::var_os("ASAN_OPTIONS").is_some();
    assert!(is_kept || growth < GROWTH_BYTES_MAX, "{growth} bytes more after {CALLS} calls");
}
