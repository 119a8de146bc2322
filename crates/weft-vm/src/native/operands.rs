//! What an import call hands to a native function: its operands where they lie, and where results go.
//!
//! Lives here: [`Operands`] (read side), [`ResultSlots`] (write side), [`CallSite`] (both, plus what the caller gives
//! away). Nothing is packed or copied: operands are read straight from the caller's registers.
//! Not here: which Rust types can be read and written (`argument.rs`, `result.rs`).

use std::any::{Any, type_name};

use weft_sync::{CancelToken, Status, status};

use crate::isa::{Register, SEGMENT_SCALAR};
use crate::reference::Ref;
use crate::types::Instance;

/// A list of 16-bit numbers as it lies in bytecode: little-endian, at any address.
#[derive(Clone, Copy, Default)]
pub(crate) struct U16List<'a>(&'a [[u8; 2]]);

impl<'a> U16List<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> U16List<'a> {
        U16List(bytes.as_chunks().0)
    }

    #[inline]
    pub fn len(self) -> usize {
        self.0.len()
    }

    #[inline]
    pub fn get(self, index: usize) -> u16 {
        u16::from_le_bytes(self.0[index])
    }

    /// Entry `index`, if there are so many.
    #[inline]
    pub fn try_get(self, index: u32) -> Option<u16> {
        ((index as usize) < self.len()).then(|| self.get(index as usize))
    }

    #[inline]
    pub fn iter(self) -> impl Iterator<Item = u16> + Clone + 'a {
        self.0.iter().map(|bytes| u16::from_le_bytes(*bytes))
    }
}

/// The operands of a call, read one after the other in the order of the signature.
pub struct Operands<'a> {
    instance: &'a Instance,
    cancel: Option<&'a CancelToken>,
    values: &'a [u32],
    refs: &'a [Option<Ref>],
    /// Operands that were not read yet.
    list: &'a [[u8; 2]],
    segments: U16List<'a>,
    /// The next top-level argument.
    argument: usize,
}

impl<'a> Operands<'a> {
    /// What ends the invocation that calls, if anything does.
    #[inline]
    pub(crate) fn cancel(&self) -> Option<&'a CancelToken> {
        self.cancel
    }

    #[inline(always)]
    pub(crate) fn next_register(&mut self) -> Register {
        // The verifier counted the operands; the list is as long as the signature says.
        let (first, rest) = self.list.split_first().expect("an operand for each argument");
        self.list = rest;
        self.argument += 1;
        Register(u16::from_le_bytes(*first))
    }

    #[inline(always)]
    pub(crate) fn next_u32(&mut self) -> u32 {
        let register = self.next_register();
        self.values[usize::from(register.ordinal())]
    }

    #[inline(always)]
    pub(crate) fn next_u64(&mut self) -> u64 {
        let low = usize::from(self.next_register().ordinal());
        let pair = &self.values[low..low + 2];
        u64::from(pair[0]) | u64::from(pair[1]) << 32
    }

    #[inline(always)]
    pub(crate) fn next_ref(&mut self) -> Option<&'a Ref> {
        let register = self.next_register();
        self.refs[usize::from(register.ordinal())].as_ref()
    }

    /// The next argument, a span of `stride` values a tuple, as operands of their own and the number of tuples.
    pub(crate) fn next_span(&mut self, stride: usize) -> (Operands<'a>, usize) {
        let count = match self.segments.get(self.argument) {
            SEGMENT_SCALAR => 0,
            count => usize::from(count),
        };
        let (head, rest) = self.list.split_at(count * stride);
        self.list = rest;
        self.argument += 1;
        (Operands { list: head, argument: 0, segments: U16List::default(), ..*self }, count)
    }

    /// The operands of tuple `index` of a span.
    #[inline]
    pub(crate) fn at_tuple(&self, index: usize, stride: usize) -> Operands<'a> {
        Operands { list: &self.list[index * stride..][..stride], argument: 0, ..*self }
    }

    /// The error for an object that the argument just read does not accept.
    #[cold]
    pub(crate) fn wrong_object<T: Any>(&self, found: Option<&Ref>) -> Status {
        let name = |id, rust_name: &str| match self.instance.type_name(id) {
            Some(name) => name.to_string(),
            None => rust_name.to_owned(),
        };
        let expected = name(std::any::TypeId::of::<T>(), type_name::<T>());
        let index = self.argument.saturating_sub(1);
        match found {
            None => status!(InvalidArgument, "argument {index}: expected `{expected}`, the ref is null"),
            Some(found) => {
                let found = name(found.type_id(), "an object of another type");
                status!(
                    InvalidArgument,
                    "argument {index}: ref type mismatch: expected `{expected}`, found `{found}`"
                )
            }
        }
    }
}

/// Where the results of a call go, written one after the other.
pub struct ResultSlots<'a> {
    values: &'a mut [u32],
    refs: &'a mut [Option<Ref>],
    list: U16List<'a>,
    position: usize,
}

impl<'a> ResultSlots<'a> {
    #[inline]
    pub(crate) fn new(
        values: &'a mut [u32],
        refs: &'a mut [Option<Ref>],
        list: U16List<'a>,
    ) -> ResultSlots<'a> {
        ResultSlots { values, refs, list, position: 0 }
    }

    #[inline]
    fn next_ordinal(&mut self) -> usize {
        let register = Register(self.list.get(self.position));
        self.position += 1;
        usize::from(register.ordinal())
    }

    #[inline]
    pub(crate) fn put_u32(&mut self, value: u32) {
        let ordinal = self.next_ordinal();
        self.values[ordinal] = value;
    }

    #[inline]
    pub(crate) fn put_u64(&mut self, value: u64) {
        let ordinal = self.next_ordinal();
        let pair = &mut self.values[ordinal..ordinal + 2];
        pair[0] = value as u32;
        pair[1] = (value >> 32) as u32;
    }

    #[inline(always)]
    pub(crate) fn put_ref(&mut self, value: Option<Ref>) {
        let ordinal = self.next_ordinal();
        // The new reference is in `value` before the old one goes: it may be what keeps it alive.
        self.refs[ordinal] = value;
    }
}

/// One call of a native function: the caller's two register banks and the lists of its call instruction.
pub(crate) struct CallSite<'a> {
    pub instance: &'a Instance,
    pub cancel: Option<&'a CancelToken>,
    pub values: &'a mut [u32],
    pub refs: &'a mut [Option<Ref>],
    pub operands: U16List<'a>,
    pub segments: U16List<'a>,
    pub results: U16List<'a>,
}

impl CallSite<'_> {
    #[inline]
    pub fn operands(&self) -> Operands<'_> {
        Operands {
            instance: self.instance,
            cancel: self.cancel,
            values: self.values,
            refs: self.refs,
            list: self.operands.0,
            segments: self.segments,
            argument: 0,
        }
    }

    /// Releases the references that the caller gave away. Until here the callee could borrow them in place.
    #[inline]
    pub fn release_moved(&mut self) {
        for register in self.operands.iter().map(Register) {
            if register.is_move() {
                self.refs[usize::from(register.ordinal())] = None;
            }
        }
    }

    #[inline]
    pub fn results(&mut self) -> ResultSlots<'_> {
        ResultSlots::new(self.values, self.refs, self.results)
    }
}
