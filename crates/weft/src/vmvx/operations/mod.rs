//! The native module `vmvx`: what kernels import when they are compiled with micro-kernels (§5.4).
//!
//! What lives here: the list of exports. What does not: operands and their checks (`view.rs`), the functions themselves,
//! one file a family.
//!
//! 1. Offsets, strides and sizes are in elements. All are checked, without wrapping, before anything is touched.
//! 2. Checks come in this order: numbers that make no sense (INVALID_ARGUMENT), an output that is read-only
//!    (PERMISSION_DENIED), nothing to do, elements outside of a buffer (OUT_OF_RANGE).
//! 3. Every access is one relaxed atomic access (`weft-vm/src/buffer/storage.rs`): workgroups that overlap, or an output
//!    that overlaps an input, give unspecified values and nothing worse.

mod elementwise;
mod mmt4d;
mod pack;
mod tile_sizes;
mod view;

use std::sync::Arc;

use weft_sync::{Result, bail};
use weft_vm::native::NativeModule;

/// The module.
pub(super) fn module() -> Result<Arc<NativeModule>> {
    use elementwise::{
        binary_f32, binary_i32, copy_x8, copy_x16, copy_x32, copy_x64, divide_i32, unary_f32, unary_i32,
    };
    NativeModule::builder("vmvx", 0, |_| Ok(()))
        .on_fork(|()| bail!(Unimplemented, "contexts of kernels are not forked"))
        .export("abs.2d.f32", unary_f32(f32::abs))
        .export("add.2d.f32", binary_f32(|a, b| a + b))
        .export("add.2d.i32", binary_i32(u32::wrapping_add))
        .export("and.2d.i32", binary_i32(|a, b| a & b))
        .export("ceil.2d.f32", unary_f32(f32::ceil))
        .export("copy.2d.x16", copy_x16)
        .export("copy.2d.x32", copy_x32)
        .export("copy.2d.x64", copy_x64)
        .export("copy.2d.x8", copy_x8)
        .export("ctlz.2d.i32", unary_i32(u32::leading_zeros))
        .export("div.2d.f32", binary_f32(|a, b| a / b))
        .export("divs.2d.i32", divide_i32(|a, b| (a as i32).wrapping_div(b as i32) as u32))
        .export("divu.2d.i32", divide_i32(|a, b| a / b))
        .export("exp.2d.f32", unary_f32(f32::exp))
        .export("fill.2d.x32", elementwise::fill_x32)
        .export("floor.2d.f32", unary_f32(f32::floor))
        .export("log.2d.f32", unary_f32(f32::ln))
        .export("mmt4d", mmt4d::mmt4d)
        .export("mul.2d.f32", binary_f32(|a, b| a * b))
        .export("mul.2d.i32", binary_i32(u32::wrapping_mul))
        .export("neg.2d.f32", unary_f32(|a| -a))
        .export("or.2d.i32", binary_i32(|a, b| a | b))
        .export("pack", pack::pack)
        .export("query_tile_sizes.2d", tile_sizes::query_tile_sizes)
        .export("rsqrt.2d.f32", unary_f32(|a| 1.0 / a.sqrt()))
        // The wrapping shifts mask the amount with the width less one.
        .export("shl.2d.i32", binary_i32(u32::wrapping_shl))
        .export("shrs.2d.i32", binary_i32(|a, b| (a as i32).wrapping_shr(b) as u32))
        .export("shru.2d.i32", binary_i32(u32::wrapping_shr))
        .export("sub.2d.f32", binary_f32(|a, b| a - b))
        .export("sub.2d.i32", binary_i32(u32::wrapping_sub))
        .export("unpack", pack::unpack)
        .export("xor.2d.i32", binary_i32(|a, b| a ^ b))
        .build()
}
