//! `query_tile_sizes.2d`: the tiles in which kernels pack the operands of matrix products.
//!
//! 1. The answer is the same for the life of the process: separate dispatches pack, multiply and unpack with it.
//! 2. Every size divides 16: the compiler reserves room for both dimensions rounded up to multiples of 16.
//!
//! What lies in `mmt4d.rs` is fastest with these sizes on every processor, so features are not looked at.

use weft_sync::{Result, bail};

/// (M, K, N) of an operation.
const fn tiles(operation: i32) -> Option<[i64; 3]> {
    match operation {
        // f32·f32→f32
        1 => Some([8, 1, 8]),
        // i8·i8→i32
        2 => Some([8, 2, 8]),
        // With halves; only other implementations multiply them.
        3..=6 => Some([8, 4, 8]),
        _ => None,
    }
}

const _: () = {
    let mut operation = 1;
    while operation <= 6 {
        let Some([m, k, n]) = tiles(operation) else { panic!("a hole in the table") };
        assert!(16 % m == 0 && 16 % k == 0 && 16 % n == 0);
        operation += 1;
    }
};

/// `IIi_II`: sizes, which do not matter; role in the low byte, operation in the second.
pub(super) fn query_tile_sizes((): &(), (_, _, flags): (i64, i64, i32)) -> Result<(i64, i64)> {
    let Some([m, k, n]) = tiles(flags >> 8) else {
        bail!(InvalidArgument, "flags {flags:#x} name no operation");
    };
    match flags & 0xFF {
        1 => Ok((m, k)),
        2 => Ok((n, k)),
        3 => Ok((m, n)),
        role => bail!(InvalidArgument, "operand {role} of a matrix product"),
    }
}
