//! Local memory of kernels when the host is short of memory. A binary of its own: it stands in for the allocator.

#![allow(unsafe_code, reason = "refuses allocations by standing in for the allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use weft_cts::subject::{self, Subject, fails_with, whole};
use weft_hal::Dispatch;
use weft_sync::Code;

/// Allocations of more bytes than this fail.
static BYTES_MAX: AtomicUsize = AtomicUsize::new(usize::MAX);

struct Short;

fn is_refused(size: usize) -> bool {
    // Relaxed: threads that submit or were submitted to come after the store.
    size > BYTES_MAX.load(Ordering::Relaxed)
}

// SAFETY: hands every call on unchanged, or answers that there is no memory.
unsafe impl GlobalAlloc for Short {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_refused(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(address, layout) }
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_refused(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises.
        unsafe { System.realloc(address, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Short = Short;

/// No tile runs for want of local memory, alone or in a recording behind others, and what comes next runs.
fn is_refused_before_any_tile(subject: &Subject) {
    let (marks, output) = (subject.buffer(12), subject.buffer(12));
    let (mark, used) = ([whole(&marks)], [whole(&output)]);
    let before = subject.dispatch("write_ids", [3, 1, 1], &[], &mark);
    let plain = subject.dispatch("use_local", [1; 3], &[], &used);
    let hungry = Dispatch { local_memory_bytes: 64 << 20, ..plain };
    for _ in 0..3 {
        let alone = subject.run(|at| subject.device.queue_dispatch(at, &hungry));
        fails_with(alone, Code::ResourceExhausted);
        let recorded = subject.run_once(|commands| {
            commands.dispatch(&before)?;
            commands.dispatch(&hungry)
        });
        fails_with(recorded, Code::ResourceExhausted);
        assert_eq!(subject.read_words(&output), [0; 3]);
        assert_eq!(subject.read_words(&marks), [0; 3], "a lack of memory does not show half-way");
        subject.run(|at| subject.device.queue_dispatch(at, &plain)).unwrap();
        assert_eq!(subject.read_words(&output), [8192, 0, 3 * 8192]);
        output.zero(0, 12).unwrap();
    }
}

/// [hal 161] That there are kernels without a native function is shown where bytecode runs (`weft/src/vmvx`).
#[test]
fn local_memory_that_cannot_be_had() {
    for open in [subject::local_sync, subject::task_1, subject::task_2, subject::task_8_tiled] {
        let subject = open();
        BYTES_MAX.store(32 << 20, Ordering::Relaxed);
        is_refused_before_any_tile(&subject);
        BYTES_MAX.store(usize::MAX, Ordering::Relaxed);
    }
}
