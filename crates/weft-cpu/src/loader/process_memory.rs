//! Library tables in the process at large: system and linked-in libraries, whose extent nobody knows.
#![allow(unsafe_code, reason = "reads library tables by address; `ProcessMemory::new` carries the promise")]

use weft_sync::{Result, bail};

use super::graph::LibraryMemory;

/// Reads whatever a library points at. Only null, misaligned and endless things can be told from good ones.
#[derive(Debug)]
pub(super) struct ProcessMemory(());

impl ProcessMemory {
    /// # Safety
    /// All reads are of a table that a library of the interface's version published, which stays in memory and unchanged
    /// while this lives: its pointers lead to what §1 says, strings are terminated.
    pub(super) unsafe fn new() -> ProcessMemory {
        ProcessMemory(())
    }
}

impl LibraryMemory for ProcessMemory {
    fn bytes(&self, address: u64, size: u64, alignment: u64) -> Result<&[u8]> {
        if address == 0 || !address.is_multiple_of(alignment) {
            bail!(
                FailedPrecondition,
                "library table: no {size} bytes, aligned to {alignment}, at {address:#x}"
            );
        }
        let pointer = std::ptr::with_exposed_provenance::<u8>(address as usize);
        // SAFETY: by `new`, what the table points at is readable and unchanged while `self` lives; sizes are those of the
        // interface.
        Ok(unsafe { std::slice::from_raw_parts(pointer, size as usize) })
    }

    fn c_string(&self, address: u64, bytes_max: usize) -> Result<&[u8]> {
        if address == 0 {
            bail!(FailedPrecondition, "library table: a string is missing");
        }
        let pointer = std::ptr::with_exposed_provenance::<u8>(address as usize);
        for length in 0..=bytes_max {
            // SAFETY: by `new`, the string is terminated, and no byte before this one was its end.
            let at = unsafe { pointer.add(length) };
            // SAFETY: as above.
            let byte = unsafe { *at };
            if byte == 0 {
                // SAFETY: the bytes up to the terminator were all just read.
                return Ok(unsafe { std::slice::from_raw_parts(pointer, length) });
            }
        }
        bail!(ResourceExhausted, "library table: a string is longer than {bytes_max} bytes")
    }

    fn check_function(&self, _address: u64) -> Result<()> {
        Ok(())
    }
}
