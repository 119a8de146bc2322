#![allow(unsafe_code, reason = "`lend` passes on a promise of its caller")]
//! Byte buffers: strings, constants, scratch memory of programs.
//!
//! Lives here: [`Buffer`] with the semantics of the buffer instructions (§11.3): units, check order, rights.
//! Not here: raw access to the bytes (`buffer/storage.rs`), access to many elements by native functions
//! (`buffer/cells.rs`), the instructions themselves (`ops/memory.rs`).

mod cells;
mod storage;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use weft_sync::{Result, Status, bail, status};

use crate::module_bytes::SharedBytes;
use crate::siphash::SipHash24;
pub use cells::{Cells, CellsMut};
pub use storage::Element;
use storage::Storage;

/// Where the bytes of a buffer come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferOrigin {
    /// A constant of a module.
    Module,
    /// Made by a program.
    Guest,
    /// Given by the host.
    Host,
}

/// A buffer of fixed length, as `!vm.buffer` in programs.
///
/// Mutable buffers may be shared between threads: accesses are never torn below the element and never undefined,
/// but nothing orders them.
///
/// ```
/// use weft_vm::Buffer;
/// let text = Buffer::from_bytes("seven");
/// assert_eq!(&*text.bytes(), b"seven");
/// let scratch = Buffer::allocate(16, 0).unwrap();
/// scratch.write(4, b"weft").unwrap();
/// assert_eq!(&scratch.bytes()[4..8], b"weft");
/// assert!(text.write(0, b"S").is_err());
/// ```
pub struct Buffer {
    storage: Storage,
    origin: BufferOrigin,
}

/// Bytes that pass through the stack in one go when two buffers meet.
const STAGE: usize = 512;

impl Buffer {
    /// Zeroed, mutable. `alignment` 0 means the default; others must be powers of two.
    pub fn allocate(length: u64, alignment: u32) -> Result<Buffer> {
        if alignment != 0 && !alignment.is_power_of_two() {
            bail!(InvalidArgument, "buffer alignment {alignment} is not a power of two");
        }
        let storage =
            usize::try_from(length).ok().and_then(|length| Storage::allocate(length, alignment as usize));
        match storage {
            Some(storage) => Ok(Buffer { storage, origin: BufferOrigin::Guest }),
            None => bail!(ResourceExhausted, "no memory for a buffer of {length} bytes"),
        }
    }

    /// Read-only bytes of the host.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Buffer {
        let bytes: Vec<u8> = bytes.into();
        let range = 0..bytes.len();
        Buffer::shared(Arc::new(bytes), range, BufferOrigin::Host).expect("the whole range is inside")
    }

    /// A read-only window into bytes that somebody else owns; dropping the buffer gives its count on the owner back.
    /// OUT_OF_RANGE when the range is not inside.
    pub fn shared(owner: SharedBytes, range: Range<usize>, origin: BufferOrigin) -> Result<Buffer> {
        let (start, end) = (range.start, range.end);
        match Storage::shared(owner, range) {
            Some(storage) => Ok(Buffer { storage, origin }),
            None => bail!(OutOfRange, "bytes {start}..{end} are outside of the owner's"),
        }
    }

    /// A buffer of the host without bytes, which memory is lent to, for one call after the other.
    ///
    /// ```
    /// use std::ptr::NonNull;
    /// use weft_vm::Buffer;
    /// let number = 7_u64.to_le_bytes();
    /// let buffer = Buffer::lendable(false);
    /// // SAFETY: `number` outlives the loan and is not written.
    /// unsafe { buffer.lend(NonNull::from(&number).cast(), 8) };
    /// assert_eq!(&*buffer.bytes(), number);
    /// buffer.take_back();
    /// assert_eq!(buffer.len(), 0);
    /// ```
    pub fn lendable(writable: bool) -> Buffer {
        Buffer { storage: Storage::lendable(writable), origin: BufferOrigin::Host }
    }

    /// Makes memory the bytes of a [lendable](Buffer::lendable) buffer, in place of what was lent before.
    ///
    /// Panics if the buffer is not lendable, or if it is writable and the memory is not aligned to 16.
    ///
    /// # Safety
    /// * Until `take_back`, or until something else is lent, the memory is valid for reads of `length` bytes. If the buffer
    ///   is writable, it is valid for writes too and whoever else touches it meanwhile does so atomically or is ordered
    ///   before or after; if not, nobody writes it.
    /// * When that ends, no borrow of the bytes is left. Copies of the reference may be left: they see 0 bytes.
    /// * During this call and `take_back` no other thread uses the buffer.
    pub unsafe fn lend(&self, data: NonNull<u8>, length: usize) {
        // SAFETY: by the caller.
        unsafe { self.storage.lend(data, length) };
    }

    /// Ends the loan: whoever kept a reference finds an empty buffer. Other buffers are left as they are.
    pub fn take_back(&self) {
        self.storage.take_back();
    }

    /// The elements, to read many of them. Bytes that do not make a whole element are left out.
    pub fn cells<T: Element>(&self) -> Cells<'_, T> {
        Cells::new(&self.storage)
    }

    /// The elements, to write many of them. PERMISSION_DENIED when read-only.
    pub fn cells_mut<T: Element>(&self) -> Result<CellsMut<'_, T>> {
        self.check_mutable()?;
        Ok(CellsMut::new(&self.storage))
    }

    /// Bytes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "an empty buffer is nothing special")]
    pub fn len(&self) -> usize {
        self.storage.len()
    }

    /// Whether programs and host may write.
    #[inline]
    pub fn is_mutable(&self) -> bool {
        self.storage.is_writable()
    }

    /// Where the bytes come from.
    pub fn origin(&self) -> BufferOrigin {
        self.origin
    }

    /// The access bits as the specification numbers them: MUTABLE 1, module 2, guest 4, host 8.
    pub fn access_bits(&self) -> u32 {
        let origin = match self.origin {
            BufferOrigin::Module => 2,
            BufferOrigin::Guest => 4,
            BufferOrigin::Host => 8,
        };
        origin | u32::from(self.is_mutable())
    }

    /// The bytes in place, if the buffer is read-only. They stay at their address as long as the buffer lives.
    pub fn as_slice(&self) -> Option<&[u8]> {
        self.storage.as_slice()
    }

    /// The address of the first byte; it stays the same as long as the buffer lives. For lending the memory to
    /// something that knows how accesses are ordered; read-only bytes must not be written through it.
    pub fn base(&self) -> NonNull<u8> {
        self.storage.base()
    }

    /// The bytes: in place when read-only, else a copy.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self.as_slice() {
            Some(bytes) => Cow::Borrowed(bytes),
            None => {
                let mut bytes = vec![0; self.len()];
                self.storage.read(0, &mut bytes);
                Cow::Owned(bytes)
            }
        }
    }

    /// The bytes as text, with replacement characters where they are not UTF-8.
    pub fn text(&self) -> Cow<'_, str> {
        match self.bytes() {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Copies bytes out.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let range = self.range("source", offset, out.len() as u64)?;
        self.storage.read(range.start, out);
        Ok(())
    }

    /// Copies bytes in. PERMISSION_DENIED when read-only, OUT_OF_RANGE outside; then nothing is written.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check_mutable()?;
        let range = self.range("target", offset, bytes.len() as u64)?;
        self.storage.write(range.start, bytes);
        Ok(())
    }

    /// Element `index` of the buffer seen as an array of `T`.
    #[inline]
    pub(crate) fn load<T: Element>(&self, index: u64) -> Result<T> {
        match self.storage.get(index) {
            Some(value) => Ok(value),
            None => Err(self.outside::<T>(index)),
        }
    }

    /// Stores element `index`.
    #[inline]
    pub(crate) fn store<T: Element>(&self, index: u64, value: T) -> Result<()> {
        if !self.is_mutable() {
            return Err(read_only());
        }
        match self.storage.set(index, value) {
            Some(()) => Ok(()),
            None => Err(self.outside::<T>(index)),
        }
    }

    /// Sets `count` elements from `index` on, each to the low bytes of `value`.
    pub(crate) fn fill<T: Element>(&self, index: u64, count: u64, value: u64) -> Result<()> {
        self.check_mutable()?;
        let width = 1_usize << T::SHIFT;
        let elements = (self.len() >> T::SHIFT) as u64;
        if index.checked_add(count).is_none_or(|end| end > elements) {
            bail!(OutOfRange, "fill of {count} elements of {width} bytes at {index} of {elements}");
        }
        let mut pattern = [0; STAGE];
        for chunk in pattern.chunks_exact_mut(width) {
            chunk.copy_from_slice(&value.to_le_bytes()[..width]);
        }
        let (mut at, mut left) = ((index as usize) << T::SHIFT, (count as usize) << T::SHIFT);
        while left > 0 {
            let part = left.min(STAGE);
            self.storage.write(at, &pattern[..part]);
            (at, left) = (at + part, left - part);
        }
        Ok(())
    }

    /// A mutable copy of a range.
    pub fn clone_range(&self, offset: u64, length: u64, alignment: u32) -> Result<Buffer> {
        let range = self.range("source", offset, length)?;
        let copy = Buffer::allocate(length, alignment)?;
        self.transfer(range, &copy, 0);
        Ok(copy)
    }

    /// Copies a range into another buffer or elsewhere into this one; overlapping ranges come out as if through a
    /// third buffer.
    pub fn copy(&self, offset: u64, target: &Buffer, target_offset: u64, length: u64) -> Result<()> {
        target.check_mutable()?;
        let source_range = self.range("source", offset, length)?;
        let target_range = target.range("target", target_offset, length)?;
        self.transfer(source_range, target, target_range.start);
        Ok(())
    }

    /// Whether two ranges hold the same bytes.
    pub fn compare(&self, offset: u64, other: &Buffer, other_offset: u64, length: u64) -> Result<bool> {
        let left = self.range("left", offset, length)?;
        let right = other.range("right", other_offset, length)?;
        let (mut left_stage, mut right_stage) = ([0; STAGE], [0; STAGE]);
        for done in (0..left.len()).step_by(STAGE) {
            let part = (left.len() - done).min(STAGE);
            self.storage.read(left.start + done, &mut left_stage[..part]);
            other.storage.read(right.start + done, &mut right_stage[..part]);
            if left_stage[..part] != right_stage[..part] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// SipHash-2-4 of a range under the fixed key of the specification.
    pub fn hash(&self, offset: u64, length: u64) -> Result<u64> {
        let range = self.range("source", offset, length)?;
        let mut hash = SipHash24::new();
        let mut stage = [0; STAGE];
        for start in range.clone().step_by(STAGE) {
            let part = (range.end - start).min(STAGE);
            self.storage.read(start, &mut stage[..part]);
            hash.write(&stage[..part]);
        }
        Ok(hash.finish())
    }

    /// Copies checked ranges in the order that keeps the source intact until it is read.
    fn transfer(&self, source: Range<usize>, target: &Buffer, target_start: usize) {
        let mut stage = [0; STAGE];
        let backwards = std::ptr::eq(self, target) && source.start < target_start;
        let parts = source.len().div_ceil(STAGE);
        for index in 0..parts {
            let done = STAGE * if backwards { parts - 1 - index } else { index };
            let part = (source.len() - done).min(STAGE);
            self.storage.read(source.start + done, &mut stage[..part]);
            target.storage.write(target_start + done, &stage[..part]);
        }
    }

    fn check_mutable(&self) -> Result<()> {
        if self.is_mutable() { Ok(()) } else { Err(read_only()) }
    }

    /// The byte range of an operand, checked without wrapping.
    fn range(&self, what: &str, offset: u64, length: u64) -> Result<Range<usize>> {
        let end = offset.checked_add(length).and_then(|end| usize::try_from(end).ok());
        match end {
            Some(end) if end <= self.len() => Ok(offset as usize..end),
            _ => bail!(
                OutOfRange,
                "{what} range of {length} bytes at {offset} in a buffer of {} bytes",
                self.len()
            ),
        }
    }

    #[cold]
    fn outside<T: Element>(&self, index: u64) -> Status {
        let width = 1 << T::SHIFT;
        status!(OutOfRange, "element {index} of {width} bytes in a buffer of {} bytes", self.len())
    }
}

#[cold]
fn read_only() -> Status {
    status!(PermissionDenied, "the buffer is read-only")
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rights = if self.is_mutable() { "mutable" } else { "read-only" };
        write!(f, "Buffer({} bytes, {rights}, {:?})", self.len(), self.origin)
    }
}
