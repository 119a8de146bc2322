//! The floating-point mode in which kernels run: denormals flushed, round to nearest, exceptions masked.
//!
//! Worker threads set it once; a foreign thread that runs kernels inline wears a [`FlushedDenormals`] for the time. Both
//! devices and every path use this file, so that results do not depend on the path (`docs/spec/executables.md` §1.13).
//!
//! # Safety
//!
//! The compiler takes it that floats are added as if the register had its default; strictly, a program that does so in
//! another mode has no defined result. Kernels are foreign code, which counts on the mode. Rust code runs in it too: every
//! [`Work::drain`](crate::Work::drain) on a worker, and drains and the condition of a guest while it works. What weft runs
//! there computes with integers, or wants denormals flushed like the kernels it stands in for. A drain of somebody else's
//! has to expect that denormal operands and results are zeroes, or that a result folded at compile time keeps them; and must
//! not rely on denormals for anything on which memory safety hangs.
#![allow(unsafe_code, reason = "control registers are reached by inline assembly only")]

use std::marker::PhantomData;

/// While it lives, the current thread flushes denormals; then the mode of before is back. Stays on its thread.
///
/// Costs a register read and, if the mode differs, two writes. A thread that is in the mode of kernels already keeps the
/// sticky exception flags that kernels raise; any other gets its register back as it was.
#[must_use = "the mode ends when the guard is dropped"]
#[derive(Debug)]
pub struct FlushedDenormals {
    /// What to write back, if anything was changed.
    saved: Option<control::Word>,
    stays_on_thread: PhantomData<*const ()>,
}

impl FlushedDenormals {
    /// Enters the mode of kernels.
    #[inline]
    pub fn enter() -> FlushedDenormals {
        let before = control::read();
        let wanted = control::kernel_mode(before);
        let saved = (before != wanted).then(|| {
            control::write(wanted);
            before
        });
        FlushedDenormals { saved, stays_on_thread: PhantomData }
    }
}

impl Drop for FlushedDenormals {
    #[inline]
    fn drop(&mut self) {
        if let Some(before) = self.saved {
            control::write(before);
        }
    }
}

/// Puts the current thread in the mode of kernels for good: for worker threads.
pub fn flush_denormals_on_this_thread() {
    control::write(control::kernel_mode(control::read()));
}

#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    /// MXCSR.
    pub type Word = u32;
    /// All exceptions masked, round to nearest.
    const DEFAULT: u32 = 0x1F80;
    const FLUSH_TO_ZERO: u32 = 0x8000;
    const DENORMALS_ARE_ZERO: u32 = 0x0040;
    const EXCEPTION_FLAGS: u32 = 0x003F;

    /// Keeps the sticky flags: nothing to write if only they differ.
    pub fn kernel_mode(saved: Word) -> Word {
        DEFAULT | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO | (saved & EXCEPTION_FLAGS)
    }

    #[inline]
    pub fn read() -> Word {
        let mut word: u32 = 0;
        // SAFETY: `stmxcsr` stores four bytes to `word`, which is borrowed exclusively here.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
        word
    }

    #[inline]
    pub fn write(word: Word) {
        // SAFETY: `ldmxcsr` loads four bytes from `word`, which is borrowed here; no reserved bit is set, as `word` is the
        // constant mode above or a value that `read` returned. For what runs in the mode see the header.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack, preserves_flags, readonly)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    /// FPCR.
    pub type Word = u64;
    /// FZ (bit 24) and FZ16 (bit 19); rounding and trap bits 0.
    const KERNEL_MODE: u64 = 0x0108_0000;

    pub fn kernel_mode(_saved: Word) -> Word {
        KERNEL_MODE
    }

    #[inline]
    pub fn read() -> Word {
        let word: u64;
        // SAFETY: reads a register.
        unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) };
        word
    }

    #[inline]
    pub fn write(word: Word) {
        // SAFETY: the word is the constant mode above or one that `read` returned, so no reserved bit is set. For what
        // runs in the mode see the header.
        unsafe { asm!("msr fpcr, {}", in(reg) word, options(nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    /// No control register is known: kernels run in the mode of the thread.
    pub type Word = ();

    pub fn kernel_mode(_saved: Word) -> Word {}
    pub fn read() -> Word {}
    pub fn write(_word: Word) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    fn sum_of_denormals() -> f32 {
        black_box(1e-40_f32) + black_box(1e-40_f32)
    }

    /// [exec 13]
    #[test]
    fn denormals_are_flushed_inside_and_the_mode_of_before_returns() {
        assert!(sum_of_denormals() > 0.0);
        let before = control::read();
        {
            let _mode = FlushedDenormals::enter();
            assert_eq!(sum_of_denormals(), 0.0);
            {
                let _nested = FlushedDenormals::enter();
                assert_eq!(sum_of_denormals(), 0.0);
            }
            assert_eq!(sum_of_denormals(), 0.0);
        }
        assert!(sum_of_denormals() > 0.0);
        assert_eq!(control::read(), before);
    }

    #[test]
    fn a_worker_thread_keeps_the_mode() {
        let sum = std::thread::spawn(|| {
            flush_denormals_on_this_thread();
            sum_of_denormals()
        });
        assert_eq!(sum.join().unwrap(), 0.0);
        assert!(sum_of_denormals() > 0.0);
    }
}
