#![allow(unsafe_code, reason = "the kernel is told of memory and of files here")]
//! What a ring is told of memory and of files: the calls of `io_uring_register`, and their structures.
//!
//! What lives here: one function for each. What does not: when they may be called, and by whom (`memory.rs`,
//! `files.rs`).
//!
//! By the ring's handle and not through the ring itself, which the poll thread borrows while callbacks run.
//!
//! # Safety
//!
//! 1. Arguments are read during the call, except for what they name: the memory of a buffer, whose pages the kernel keeps by
//!    itself; and the ring of a group, whose pages it keeps likewise. The addresses *in* a ring are only used for requests
//!    that name the group.
//! 2. A file in a table is kept by the kernel. A handle that is none, or not that of a ring, is an error and nothing else.

use rustix::io::Errno;
use std::os::fd::RawFd;
use std::ptr;

/// `io_uring_rsrc_register`.
#[repr(C)]
struct Resources {
    count: u32,
    flags: u32,
    reserved: u64,
    data: u64,
    tags: u64,
}

/// `io_uring_rsrc_update2`.
#[repr(C)]
struct Update {
    offset: u32,
    reserved: u32,
    data: u64,
    tags: u64,
    count: u32,
    reserved_too: u32,
}

/// `io_uring_files_update`.
#[repr(C)]
struct FilesUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

/// `io_uring_buf_reg`.
#[repr(C)]
struct BufferRing {
    address: u64,
    entries: u32,
    group: u16,
    flags: u16,
    reserved: [u64; 3],
}

const _: () =
    assert!(size_of::<Resources>() == 32 && size_of::<Update>() == 32 && size_of::<BufferRing>() == 40);
const _: () = assert!(size_of::<FilesUpdate>() == 16);

const BUFFERS: u32 = 0;
const UNREGISTER_BUFFERS: u32 = 1;
const UNREGISTER_FILES: u32 = 3;
const FILES_UPDATE: u32 = 6;
const FILES2: u32 = 13;
const BUFFERS2: u32 = 15;
const BUFFERS_UPDATE: u32 = 16;
const BUFFER_RING: u32 = 22;
const UNREGISTER_BUFFER_RING: u32 = 23;
/// The table is made empty.
const SPARSE: u32 = 1;
/// Buffers of a ring are used up piece by piece.
pub(super) const INCREMENTAL: u16 = 2;

fn register<T>(ring: RawFd, opcode: u32, argument: *const T, count: u32) -> Result<u32, Errno> {
    // SAFETY: rules 1 and 2; each caller passes the structure that its opcode reads.
    let outcome = unsafe { libc::syscall(libc::SYS_io_uring_register, ring, opcode, argument, count) };
    match u32::try_from(outcome) {
        Ok(value) => Ok(value),
        Err(_) => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// An empty table of buffers (5.19).
pub(super) fn sparse_table(ring: RawFd, slots: u32) -> Result<(), Errno> {
    let table = Resources { count: slots, flags: SPARSE, reserved: 0, data: 0, tags: 0 };
    register(ring, BUFFERS2, &raw const table, size_of::<Resources>() as u32).map(drop)
}

/// Puts buffers into a table; null ones empty their slots. How many were put before one could not be.
pub(super) fn update(ring: RawFd, offset: u32, buffers: &[libc::iovec]) -> Result<usize, Errno> {
    let update = Update {
        offset,
        reserved: 0,
        data: buffers.as_ptr().expose_provenance() as u64,
        tags: 0,
        count: buffers.len() as u32,
        reserved_too: 0,
    };
    register(ring, BUFFERS_UPDATE, &raw const update, size_of::<Update>() as u32).map(|done| done as usize)
}

/// What empties a slot.
pub(super) fn empty() -> libc::iovec {
    libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }
}

/// A table of these buffers, the only one.
pub(super) fn table(ring: RawFd, buffers: &[libc::iovec]) -> Result<(), Errno> {
    register(ring, BUFFERS, buffers.as_ptr(), buffers.len() as u32).map(drop)
}

/// Takes the only table away.
pub(super) fn unregister_table(ring: RawFd) -> Result<(), Errno> {
    register(ring, UNREGISTER_BUFFERS, ptr::null::<u8>(), 0).map(drop)
}

/// A ring of buffers under this number (5.19); with [`INCREMENTAL`] (6.12) or no flags.
pub(super) fn buffer_ring(
    ring: RawFd,
    address: *mut u8,
    entries: u32,
    group: u16,
    flags: u16,
) -> Result<(), Errno> {
    let address = address.expose_provenance() as u64;
    let argument = BufferRing { address, entries, group, flags, reserved: [0; 3] };
    register(ring, BUFFER_RING, &raw const argument, 1).map(drop)
}

/// Takes a ring of buffers away.
pub(super) fn unregister_buffer_ring(ring: RawFd, group: u16) -> Result<(), Errno> {
    let argument = BufferRing { address: 0, entries: 0, group, flags: 0, reserved: [0; 3] };
    register(ring, UNREGISTER_BUFFER_RING, &raw const argument, 1).map(drop)
}

/// An empty table of files (5.19).
pub(super) fn sparse_files(ring: RawFd, places: u32) -> Result<(), Errno> {
    let table = Resources { count: places, flags: SPARSE, reserved: 0, data: 0, tags: 0 };
    register(ring, FILES2, &raw const table, size_of::<Resources>() as u32).map(drop)
}

/// Puts a file into a table, or empties its place.
pub(super) fn put_file(ring: RawFd, place: u32, file: Option<RawFd>) -> Result<(), Errno> {
    let number = file.unwrap_or(-1);
    let data = (&raw const number).expose_provenance() as u64;
    let update = FilesUpdate { offset: place, reserved: 0, data };
    match register(ring, FILES_UPDATE, &raw const update, 1)? {
        1 => Ok(()),
        _ => Err(Errno::IO),
    }
}

/// Takes the table of files away.
pub(super) fn unregister_files(ring: RawFd) -> Result<(), Errno> {
    register(ring, UNREGISTER_FILES, ptr::null::<u8>(), 0).map(drop)
}
