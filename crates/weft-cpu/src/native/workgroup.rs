//! What a Rust kernel sees of its call.
//!
//! Bindings may alias each other and may be read and written by other workgroups at the same time. So the safe views
//! ([`Input`], [`Output`]) go through relaxed atomic accesses of one element, which cost what plain ones cost but are
//! never a data race in Rust's sense. A kernel that knows that what it touches is its own may take slices, with an
//! `unsafe` promise.
#![allow(unsafe_code, reason = "views over memory that is given by address; rules in the header")]

use std::marker::PhantomData;
use std::sync::atomic::Ordering::Relaxed;

use weft_hal::MemoryAccess;

use super::library::KernelSpec;
use crate::abi::{BINDING_ALIGNMENT, DispatchState, WorkgroupState};

/// One call of a kernel: ids, counts, constants, bindings, scratch.
///
/// Index mistakes panic, as with slices; the panic becomes the failure of the dispatch.
#[derive(Debug)]
pub struct Workgroup<'a> {
    spec: &'a KernelSpec,
    dispatch: &'a DispatchState,
    workgroup: &'a WorkgroupState,
}

impl<'a> Workgroup<'a> {
    /// # Safety
    /// For `'a`: `dispatch` has as many constants and bindings as `spec` says; its pointers are valid for their lengths (reads;
    /// writes too where `spec` says so), aligned to 64; local memory is exclusive, initialised, and as large as it says.
    pub(super) unsafe fn new(
        spec: &'a KernelSpec,
        dispatch: &'a DispatchState,
        workgroup: &'a WorkgroupState,
    ) -> Workgroup<'a> {
        Workgroup { spec, dispatch, workgroup }
    }

    /// Which workgroup this is: x, y, z.
    #[inline]
    pub fn id(&self) -> [u32; 3] {
        let state = self.workgroup;
        [state.workgroup_id_x, state.workgroup_id_y, u32::from(state.workgroup_id_z)]
    }

    /// The grid.
    #[inline]
    pub fn count(&self) -> [u32; 3] {
        let state = self.dispatch;
        [state.workgroup_count_x, state.workgroup_count_y, u32::from(state.workgroup_count_z)]
    }

    /// The workgroup size, nowhere 0.
    #[inline]
    pub fn size(&self) -> [u32; 3] {
        let state = self.dispatch;
        [state.workgroup_size_x, state.workgroup_size_y, u32::from(state.workgroup_size_z)]
    }

    /// Workgroups that may run at the same time, at most 255.
    #[inline]
    pub fn max_concurrency(&self) -> u8 {
        self.dispatch.max_concurrency
    }

    /// Logical processor of this thread; advisory.
    #[inline]
    pub fn processor_id(&self) -> u32 {
        self.workgroup.processor_id
    }

    /// Push constants.
    #[inline]
    pub fn constants(&self) -> &'a [u32] {
        match usize::from(self.dispatch.constant_count) {
            0 => &[],
            // SAFETY: by `new`, the pointer is valid for as many words, and nobody writes them during the call.
            count => unsafe { std::slice::from_raw_parts(self.dispatch.constants, count) },
        }
    }

    /// Length of a binding in bytes.
    #[inline]
    pub fn binding_length(&self, index: usize) -> usize {
        assert!(index < self.spec.bindings.len(), "binding {index} of {}", self.spec.bindings.len());
        // SAFETY: by `new` there are as many lengths as `spec` has bindings, and `index` is less.
        let at = unsafe { self.dispatch.binding_lengths.add(index) };
        // SAFETY: as above.
        unsafe { *at }
    }

    /// A binding to read. Elements that do not fit whole are left out.
    #[inline]
    pub fn input<T: Element>(&self, index: usize) -> Input<'a, T> {
        let bytes = self.binding_length(index);
        // SAFETY: as in `binding_length`.
        let at = unsafe { self.dispatch.binding_pointers.add(index) };
        // SAFETY: as above.
        let pointer = unsafe { *at };
        Input { pointer: pointer.cast(), count: bytes / size_of::<T>(), lives: PhantomData }
    }

    /// A binding to write, and to read. Panics if the specification says that it is only read.
    #[inline]
    pub fn output<T: Element>(&self, index: usize) -> Output<'a, T> {
        let view = self.input(index);
        let access = self.spec.bindings[index].access;
        assert!(access.contains(MemoryAccess::WRITE), "binding {index} is declared as read only");
        Output(view)
    }

    /// Scratch of this call: at least what was asked for, 64-byte aligned, of unspecified content.
    #[inline]
    pub fn local_memory(&mut self) -> &mut [u8] {
        match self.workgroup.local_memory_size as usize {
            0 => &mut [],
            // SAFETY: by `new`, exclusive to this call, initialised, and valid for that many bytes; the borrow of `self` keeps
            // it the only reference.
            bytes => unsafe { std::slice::from_raw_parts_mut(self.workgroup.local_memory.cast(), bytes) },
        }
    }
}

/// A binding that is read.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a, T> {
    /// Valid for `count` elements for `'a`, aligned to 64.
    pointer: *mut T,
    count: usize,
    lives: PhantomData<&'a T>,
}

impl<'a, T: Element> Input<'a, T> {
    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One element.
    #[inline]
    pub fn get(&self, index: usize) -> T {
        assert!(index < self.count, "element {index} of {}", self.count);
        // SAFETY: in range, so inside the binding; aligned, as bindings are.
        let at = unsafe { self.pointer.add(index) };
        // SAFETY: valid for reads for `'a` by `Workgroup::new`, aligned for `T`.
        unsafe { T::load(at) }
    }

    /// All elements as a slice.
    ///
    /// # Safety
    /// While the slice lives nothing writes to the binding, through whatever binding or workgroup.
    #[inline]
    pub unsafe fn as_slice(&self) -> &'a [T] {
        // SAFETY: valid for `count` elements for `'a`; not written, by the caller.
        unsafe { std::slice::from_raw_parts(self.pointer, self.count) }
    }
}

/// A binding that is written.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a, T>(Input<'a, T>);

impl<'a, T: Element> Output<'a, T> {
    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.count
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// One element.
    #[inline]
    pub fn get(&self, index: usize) -> T {
        self.0.get(index)
    }

    /// Writes one element.
    #[inline]
    pub fn set(&self, index: usize, value: T) {
        assert!(index < self.0.count, "element {index} of {}", self.0.count);
        // SAFETY: in range, so inside the binding.
        let at = unsafe { self.0.pointer.add(index) };
        // SAFETY: valid for writes for `'a`: `Workgroup::output` checked that the specification says so.
        unsafe { T::store(at, value) }
    }

    /// Part of the elements as a slice to write.
    ///
    /// # Safety
    /// While the slice lives nothing else accesses these elements, through whatever binding, view or workgroup.
    #[inline]
    pub unsafe fn as_mut_slice(&self, range: std::ops::Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.0.count, "{range:?} of {}", self.0.count);
        // SAFETY: in range.
        let start = unsafe { self.0.pointer.add(range.start) };
        // SAFETY: valid for writes for `'a` (see `set`); exclusive, by the caller.
        unsafe { std::slice::from_raw_parts_mut(start, range.len()) }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A type of which bindings are made. All bit patterns are values.
pub trait Element: Copy + sealed::Sealed + 'static {
    /// # Safety
    /// Valid for reads, aligned.
    #[doc(hidden)]
    unsafe fn load(at: *mut Self) -> Self;

    /// # Safety
    /// Valid for writes, aligned.
    #[doc(hidden)]
    unsafe fn store(at: *mut Self, value: Self);
}

macro_rules! element {
    ($($type:ty => $atomic:ident, $from:expr, $to:expr;)*) => { $(
        const _: () = assert!(align_of::<std::sync::atomic::$atomic>() <= BINDING_ALIGNMENT);
        impl sealed::Sealed for $type {}
        impl Element for $type {
            #[inline]
            unsafe fn load(at: *mut $type) -> $type {
                // SAFETY: by the caller; concurrent accesses of compiled kernels are ordered before or after the dispatch.
                let word = unsafe { std::sync::atomic::$atomic::from_ptr(at.cast()) };
                $from(word.load(Relaxed))
            }

            #[inline]
            unsafe fn store(at: *mut $type, value: $type) {
                // SAFETY: as in `load`.
                let word = unsafe { std::sync::atomic::$atomic::from_ptr(at.cast()) };
                word.store($to(value), Relaxed);
            }
        }
    )* };
}

element! {
    u8 => AtomicU8, std::convert::identity, std::convert::identity;
    i8 => AtomicI8, std::convert::identity, std::convert::identity;
    u16 => AtomicU16, std::convert::identity, std::convert::identity;
    i16 => AtomicI16, std::convert::identity, std::convert::identity;
    u32 => AtomicU32, std::convert::identity, std::convert::identity;
    i32 => AtomicI32, std::convert::identity, std::convert::identity;
    u64 => AtomicU64, std::convert::identity, std::convert::identity;
    i64 => AtomicI64, std::convert::identity, std::convert::identity;
    f32 => AtomicU32, f32::from_bits, f32::to_bits;
    f64 => AtomicU64, f64::from_bits, f64::to_bits;
}
