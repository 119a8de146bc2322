//! Replaying a recorded program on the calling thread.
//!
//! A submission looks up every source once: pins it (so that its bytes stay where they are), and checks that it has all
//! the bytes that commands use. Then the loop only adds offsets and calls kernels. Up to 16 sources nothing is
//! allocated. What does not live here: recording (`command_buffer.rs`), calling the workgroups of one grid
//! (`dispatch.rs`).
//!
//! # Safety
//! The unsafe code below relies on three facts, each established once a submission or once a recording:
//!
//! 1. *Pinned*: the address of each source is good until the end of the replay (`resolve`).
//! 2. *Inside*: `Range::offset + Range::length` is at most the source's extent, which is at most the length that was
//!    pinned (`ProgramBuilder::range` at recording, `resolve_source` at submission).
//! 3. *Permitted*: the front (`weft-hal`) checked that writes go to buffers that allow them. Who else touches the bytes
//!    meanwhile is the submitter's business; see the header of `weft-hal/src/buffer.rs`.

#![allow(unsafe_code, reason = "touches buffer memory through checked addresses and calls kernels")]

use std::ffi::c_void;
use std::mem::MaybeUninit;

use weft_hal::{BINDINGS_MAX, BindingEntry, Pinned, fill_bytes, validate};
use weft_sync::{CancelToken, Result, Status, WhileDoing, status};

use crate::abi::{Environment, KernelFunction};
use crate::command_buffer::{Command, DispatchCommand, Kernel, Program, Range, Source, SourcePlace};
use crate::dispatch::{KernelFailure, LocalMemory, Operands, check_binding_pointers};
use crate::executable::EntryPoint;
use crate::float_mode::FlushedDenormals;
use crate::host_memory::HostMemory;
use crate::profiled::Watch;
use crate::stop::{Cancelled, Grid, Never, Stop};

/// A kernel's machine code and its first argument.
///
/// Good as long as the executable, which the program retains beside it.
#[derive(Clone, Copy)]
pub(crate) struct Callee {
    function: KernelFunction,
    environment: *const Environment,
}

// SAFETY: an entry point without its attributes, and entry points are `Send` and `Sync`.
unsafe impl Send for Callee {}
// SAFETY: as for `Send`.
unsafe impl Sync for Callee {}

impl Callee {
    pub(crate) fn new(entry: &EntryPoint) -> Callee {
        Callee { function: entry.function, environment: entry.environment }
    }
}

/// Sources of small programs, which are the common ones, and of all that need no allocation.
const SOURCES_FEW: usize = 4;
const SOURCES_INLINE: usize = 16;

/// Looks up all sources of one submission. `slots` has room for as many.
#[inline]
fn resolve<'a>(sources: &'a [Source], table: &[BindingEntry<'a>], slots: &mut [Pinned<'a>]) -> Result<()> {
    for (slot, source) in slots.iter_mut().zip(sources) {
        *slot = resolve_source(source, table)?;
    }
    Ok(())
}

#[inline]
fn resolve_source<'a>(source: &'a Source, table: &[BindingEntry<'a>]) -> Result<Pinned<'a>> {
    let pinned = match &source.place {
        SourcePlace::Buffer(buffer) => buffer.pin()?,
        SourcePlace::Slot(slot) => match table.get(*slot as usize) {
            Some(&BindingEntry { buffer: Some(buffer), offset, length }) => {
                buffer.pin()?.narrow(offset, length)?
            }
            _ => return Err(no_entry(*slot, table.len())),
        },
    };
    // Fact 2, second half.
    if source.extent > pinned.length() as u64 {
        return Err(too_short(source.extent, pinned.length()));
    }
    Ok(pinned)
}

#[cold]
fn no_entry(slot: u32, count: usize) -> Status {
    status!(InvalidArgument, "slot {slot} has no buffer in a binding table with {count} entries")
}

#[cold]
fn too_short(extent: u64, length: usize) -> Status {
    status!(OutOfRange, "commands use {extent} bytes of a range of {length}")
}

/// Addresses and lengths of the bindings of the dispatch that runs, as kernels see them.
struct Bindings {
    /// The first `count` are initialised.
    pointers: [MaybeUninit<*mut c_void>; BINDINGS_MAX],
    /// The first `count` are initialised.
    lengths: [MaybeUninit<usize>; BINDINGS_MAX],
    /// Where in `Program::bindings` they come from: consecutive dispatches often use the same ones.
    start: u32,
    count: u8,
}

impl Bindings {
    #[inline]
    fn new() -> Bindings {
        let (pointers, lengths) =
            ([MaybeUninit::uninit(); BINDINGS_MAX], [MaybeUninit::uninit(); BINDINGS_MAX]);
        Bindings { pointers, lengths, start: 0, count: 0 }
    }

    #[inline]
    fn pointers(&self) -> &[*mut c_void] {
        // SAFETY: the first `count` are initialised, and `count` is at most `BINDINGS_MAX`.
        unsafe { std::slice::from_raw_parts(self.pointers.as_ptr().cast(), usize::from(self.count)) }
    }

    #[inline]
    fn lengths(&self) -> &[usize] {
        // SAFETY: as for `pointers`.
        unsafe { std::slice::from_raw_parts(self.lengths.as_ptr().cast(), usize::from(self.count)) }
    }

    /// Makes these the bindings of `command`, unless they are already.
    #[inline]
    fn load(&mut self, program: &Program, command: &DispatchCommand, slots: &[Pinned<'_>]) -> Result<()> {
        if self.start == command.bindings_start && self.count == command.binding_count {
            return Ok(());
        }
        let (start, count) = (command.bindings_start as usize, usize::from(command.binding_count));
        assert!(count <= BINDINGS_MAX, "the front limits bindings");
        let ranges = &program.bindings[start..start + count];
        for ((pointer, length), range) in self.pointers.iter_mut().zip(&mut self.lengths).zip(ranges) {
            let (base, available) = bytes_of(range, slots);
            pointer.write(base.cast());
            length.write(available);
        }
        self.start = command.bindings_start;
        self.count = command.binding_count;
        // A failure ends the replay, so nobody takes these bindings for good ones.
        check_binding_pointers(self.pointers())
    }
}

/// First byte and number of bytes of a range. Fact 2 makes both lie within the source.
#[inline]
pub(crate) fn bytes_of(range: &Range, slots: &[Pinned<'_>]) -> (*mut u8, usize) {
    let slot = &slots[range.source as usize];
    let rest = slot.length() - range.offset as usize;
    (
        slot.base().wrapping_add(range.offset as usize),
        rest.min(usize::try_from(range.length).unwrap_or(usize::MAX)),
    )
}

impl Program {
    /// Runs all commands in order, until the first failure, or until the token is cancelled. `table` fits the slots in use.
    #[inline]
    pub(crate) fn run<'a>(
        &'a self,
        table: &[BindingEntry<'a>],
        memory: &HostMemory,
        cancel: Option<&CancelToken>,
        watch: Option<&Watch<'_>>,
    ) -> Result<()> {
        if self.commands.is_empty() {
            return Ok(());
        }
        match cancel {
            None => self.run_unless(table, memory, Never, watch),
            Some(token) => self.run_unless(table, memory, Cancelled(token, Never), watch),
        }
    }

    #[inline]
    fn run_unless<'a>(
        &'a self,
        table: &[BindingEntry<'a>],
        memory: &HostMemory,
        stop: impl Stop,
        watch: Option<&Watch<'_>>,
    ) -> Result<()> {
        match self.sources.len() {
            count if count <= SOURCES_FEW => {
                self.run_in(table, memory, (stop, watch), &mut [const { Pinned::EMPTY }; SOURCES_FEW])
            }
            count if count <= SOURCES_INLINE => {
                self.run_in(table, memory, (stop, watch), &mut [const { Pinned::EMPTY }; SOURCES_INLINE])
            }
            count => {
                let mut slots = Vec::with_capacity(count);
                slots.resize_with(count, || Pinned::EMPTY);
                self.run_in(table, memory, (stop, watch), &mut slots)
            }
        }
    }

    #[inline]
    fn run_in<'a>(
        &'a self,
        table: &[BindingEntry<'a>],
        memory: &HostMemory,
        (stop, watch): (impl Stop, Option<&Watch<'_>>),
        slots: &mut [Pinned<'a>],
    ) -> Result<()> {
        resolve(&self.sources, table, slots)?;
        // Before the first workgroup: a lack of memory must not show half-way.
        let scratch = match self.local_memory_bytes {
            0 => None,
            bytes => Some(memory.scratch(bytes as usize).while_doing(|| "providing local memory")?),
        };
        let local_base = scratch.as_ref().map_or(std::ptr::null_mut(), |block| block.base().as_ptr().cast());
        let _float_mode = FlushedDenormals::enter();
        match watch {
            None => self.run_commands(&self.commands, slots, local_base, stop),
            Some(watch) => watch.run_commands(self, slots, local_base, stop),
        }
    }

    /// Runs some of the program's commands.
    pub(crate) fn run_commands(
        &self,
        commands: &[Command],
        slots: &[Pinned<'_>],
        local_base: *mut c_void,
        stop: impl Stop,
    ) -> Result<()> {
        let mut bindings = Bindings::new();
        for command in commands {
            let went_on = match command {
                _ if stop.is_set() => false,
                Command::Dispatch(dispatch) => {
                    self.run_dispatch(dispatch, &mut bindings, slots, local_base, stop)?
                }
                Command::Fill { target, pattern, .. } => {
                    let (base, length) = bytes_of(target, slots);
                    stop.in_pieces(length, |bytes| {
                        // SAFETY: facts 1, 2 and 3 of the header; pieces are multiples of any pattern.
                        unsafe { fill_bytes(base.wrapping_add(bytes.start), bytes.len(), *pattern) };
                    })
                }
                Command::Update { target, start, length, .. } => {
                    let (base, _) = bytes_of(target, slots);
                    let bytes = &self.bytes[*start..*start + *length];
                    // SAFETY: facts 1, 2 and 3; the target range was recorded with this length. The program's bytes are
                    // not a buffer, so they do not overlap.
                    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), base, bytes.len()) };
                    true
                }
                Command::Copy { source, target, .. } => {
                    let (source, length) = bytes_of(source, slots);
                    let (target, available) = bytes_of(target, slots);
                    if available < length {
                        return Err(too_short(length as u64, available));
                    }
                    stop.in_pieces(length, |bytes| {
                        let (from, to) = (source.wrapping_add(bytes.start), target.wrapping_add(bytes.start));
                        // SAFETY: facts 1, 2 and 3, for both ranges; `copy` allows overlap through aliasing imports.
                        unsafe { std::ptr::copy(from, to, bytes.len()) };
                    })
                }
            };
            if !went_on {
                return Err(CancelToken::status());
            }
        }
        Ok(())
    }

    /// `Ok(false)` if it was stopped.
    #[inline]
    fn run_dispatch(
        &self,
        command: &DispatchCommand,
        bindings: &mut Bindings,
        slots: &[Pinned<'_>],
        local_base: *mut c_void,
        stop: impl Stop,
    ) -> Result<bool> {
        bindings.load(self, command, slots)?;
        if command.checks_lengths {
            let kernel = &self.kernels[command.kernel as usize];
            kernel.loaded()?.check_binding_lengths(kernel.ordinal, bindings.lengths())?;
        }
        let mut geometry = command.geometry;
        if let Some(source) = &command.indirect {
            let count = read_counts(bytes_of(source, slots));
            geometry.count = count.while_doing(|| self.kernels[command.kernel as usize].dispatching())?;
            if geometry.is_empty() {
                return Ok(true);
            }
        }
        let operands = Operands {
            constants: self.constants[command.constants_start as usize..].as_ptr(),
            constant_count: command.constant_count,
            binding_count: command.binding_count,
            binding_pointers: bindings.pointers().as_ptr(),
            binding_lengths: bindings.lengths().as_ptr(),
        };
        let state = geometry.state(&operands, 1);
        let local = match geometry.local_memory_bytes {
            0 => LocalMemory::NONE,
            bytes => LocalMemory { pointer: local_base, bytes },
        };
        let grid = Grid {
            function: command.callee.function,
            environment: command.callee.environment,
            state: &state,
            local,
            processor_id: 0,
            // Checked to be at most 2^32.
            tiles: geometry.count.iter().product(),
        };
        // SAFETY: the kernel's executable is retained by the program. The state points at arrays of this program and of
        // `bindings` with as many entries as the front compared with the function's counts; the pointers were checked
        // to be aligned and not null, and facts 1 and 2 make them good for their lengths. Local memory is a block of our
        // own, aligned to 64, of the largest size that any dispatch needs.
        let outcome = unsafe { grid.run(stop) };
        outcome.map_err(|failure| kernel_failure(&self.kernels[command.kernel as usize], failure))
    }
}

#[cold]
fn kernel_failure(kernel: &Kernel, failure: KernelFailure) -> Status {
    match kernel.loaded() {
        Ok(loaded) => loaded.kernel_failure(kernel.ordinal, failure),
        Err(status) => status,
    }
}

/// Reads indirect counts, once a dispatch, and checks them as direct ones were when they were recorded.
pub(crate) fn read_counts((base, length): (*mut u8, usize)) -> Result<[u32; 3]> {
    if length < size_of::<[u32; 3]>() {
        return Err(too_short(size_of::<[u32; 3]>() as u64, length));
    }
    // SAFETY: 12 bytes are there (just checked, facts 1 and 2); the address may be unaligned.
    let count = unsafe { base.cast::<[u32; 3]>().read_unaligned() };
    validate::grid(count).while_doing(|| "reading indirect workgroup counts")?;
    Ok(count)
}
