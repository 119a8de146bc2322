//! Workgroups of bytecode allocate nothing once a thread has run one.
#![allow(
    unsafe_code,
    reason = "an allocator that counts and passes everything on; dispatches over memory that lives here"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::c_void;

use weft::cpu::abi::CacheLine;
use weft::cpu::dispatch::{DirectDispatch, GeometryRequest, Scratch, run_direct};
use weft::cpu::loader::LoaderOptions;
use weft::hal::{CachingMode, ExecutableParams};
use weft::vm::module_builder::ModuleBuilder;
use weft::{VMVX_FORMAT, default_loaders};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Of this thread, so that the harness does not disturb.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count_one() {
    // A thread that is being torn down is not the one that asks.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// out[x] = in[x] + constant 0, through a function of `vmvx`.
fn module() -> Vec<u8> {
    let text = "%i20 = vm.const.i32.zero
        %i21 = vm.const.i32 1
        %i22:23 = vm.const.i64.zero
        %i24:25 = vm.const.i64 1
        %i26:27 = vm.ext.i32.i64.u %i0
        %r3 = vm.list.get.ref %r2, %i20 : !vm.buffer
        %r4 = vm.list.get.ref %r2, %i21 : !vm.buffer
        vm.call @vmvx.add.2d.i32(%r3, %i26, %i22, %i22, %r1, %i22, %i22, %i22, %r4, %i26, %i22, %i22, %i24, %i24)
        vm.return";
    ModuleBuilder::new("kernels")
        .import("vmvx.add.2d.i32", "0rIIIrIIIrIIIII_v")
        .function("add", "0rrriiiiiiiii_v", text)
        .function_attribute("binding_count", "2")
        .function_attribute("constant_count", "1")
        .build()
        .expect("assembles")
}

#[test]
fn workgroups_allocate_nothing_in_steady_state() {
    let data = module();
    let params = ExecutableParams {
        format: VMVX_FORMAT,
        data: &data,
        constants: &[],
        caching_mode: CachingMode::empty(),
    };
    let executable = default_loaders(LoaderOptions::default()).load(&params).expect("loads");
    let (mut input, mut output) = (CacheLine([5_u32; 16]), CacheLine([0_u32; 16]));
    let pointers = [(&raw mut input).cast::<c_void>(), (&raw mut output).cast::<c_void>()];
    let dispatch = DirectDispatch {
        ordinal: 0,
        geometry: GeometryRequest { size: [0; 3], count: [16, 1, 1], local_memory_bytes: 0 },
        constants: &[7],
        binding_pointers: &pointers,
        binding_lengths: &[64, 64],
        processor_id: 0,
    };
    let mut scratch = Scratch::default();
    // SAFETY: both lines are as long as the lengths say and outlive the calls; nobody else touches them.
    let mut run = || unsafe { run_direct(&executable, &dispatch, &mut scratch) };
    run().expect("runs");
    let before = COUNT.get();
    for _ in 0..100 {
        run().expect("runs");
    }
    assert_eq!(COUNT.get(), before);
    assert_eq!(output.0, [12; 16]);
}
