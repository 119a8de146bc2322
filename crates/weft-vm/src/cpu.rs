#![allow(
    unsafe_code,
    reason = "the interpreter's reads of verified code and registers; contract in the header"
)]
//! The state of one running frame: where it is in the code, and its two register banks.
//!
//! Lives here: [`Cpu`] and every unchecked access of the interpreter. Not here: what instructions do (`ops/`), which
//! memory the banks are (`stack.rs`).
//!
//! # Safety
//!
//! A `Cpu` can only be made by the unsafe [`Cpu::new`], whose caller promises, for as long as the value and its
//! copies are used:
//!
//! 1. `code` is the code of one function as the verifier left it ([`crate::verify`], guarantees 1–14), prepared as
//!    `quicken.rs` says, at an even address; `pc` is the start of one of its instructions, and the bytes stay where
//!    they are.
//! 2. `values` and `refs` are the banks of a frame of that function: as many initialised registers as it declares,
//!    used by nobody else.
//! 3. The dispatch loop runs the handler of the opcode at `pc`, and the handler asks for the fields that the opcode
//!    table lists, at the offsets that follow from it. So a field read as a register is one that the verifier
//!    checked (verify 3–6, 11–13), and a length read is one that it found inside the code (verify 1).
//! 4. The pc only moves to the end of the instruction or to a target that the instruction names (verify 7).
//!
//! The methods are not `unsafe` themselves: what they rely on is promised once, when the `Cpu` is made, and debug
//! builds check each access against the real bounds.

use crate::isa::{Kind, Register};
use crate::native::U16List;
use crate::reference::Ref;

/// A frame that is running, or about to.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    /// The instruction at hand. Handlers leave it there until they succeed, so that an error knows its place.
    pc: *const u8,
    code: *const u8,
    values: *mut u32,
    refs: *mut Option<Ref>,
    #[cfg(debug_assertions)]
    bounds: Bounds,
}

/// The real sizes, for the assertions of debug builds.
#[derive(Clone, Copy)]
#[cfg_attr(not(debug_assertions), expect(dead_code, reason = "only debug builds look"))]
pub(crate) struct Bounds {
    pub code: usize,
    pub values: usize,
    pub refs: usize,
}

/// A Rust type that a value register, or a pair of them, can be read as and written from.
pub(crate) trait Scalar: Copy {
    fn read(cpu: &Cpu, register: Register) -> Self;
    fn write(self, cpu: &mut Cpu, register: Register);
}

macro_rules! scalar {
    ($type:ty, $read:ident, $write:ident, $from:expr, $to:expr) => {
        impl Scalar for $type {
            #[inline(always)]
            fn read(cpu: &Cpu, register: Register) -> $type {
                $from(cpu.$read(register))
            }

            #[inline(always)]
            fn write(self, cpu: &mut Cpu, register: Register) {
                cpu.$write(register, $to(self));
            }
        }
    };
}

scalar!(u32, word, set_word, |bits: u32| bits, |value: u32| value);
scalar!(i32, word, set_word, |bits: u32| bits as i32, |value: i32| value as u32);
scalar!(f32, word, set_word, f32::from_bits, f32::to_bits);
scalar!(bool, word, set_word, |bits: u32| bits != 0, u32::from);
scalar!(u64, pair, set_pair, |bits: u64| bits, |value: u64| value);
scalar!(i64, pair, set_pair, |bits: u64| bits as i64, |value: i64| value as u64);
scalar!(f64, pair, set_pair, f64::from_bits, f64::to_bits);

impl Cpu {
    /// # Safety
    /// Promises 1 to 4 of the module header, for this value and its copies; `bounds` are the real sizes.
    #[inline(always)]
    pub unsafe fn new(
        code: *const u8,
        pc: u32,
        values: *mut u32,
        refs: *mut Option<Ref>,
        _bounds: Bounds,
    ) -> Cpu {
        #[cfg(debug_assertions)]
        assert!((pc as usize) < _bounds.code, "pc {pc} in {} bytes of code", _bounds.code);
        // SAFETY: `pc` is inside the code (promise 1).
        let pc = unsafe { code.add(pc as usize) };
        Cpu {
            pc,
            code,
            values,
            refs,
            #[cfg(debug_assertions)]
            bounds: _bounds,
        }
    }

    /// The same state. The compiler must not see that several fields come from one place in memory: it would keep
    /// them in one vector register, and the dispatch loop would take them apart again for each instruction.
    #[inline(always)]
    pub fn apart(mut self) -> Cpu {
        self.values = std::hint::black_box(self.values);
        self
    }

    /// The current instruction as an offset from the start of the function.
    #[inline(always)]
    pub fn pc(&self) -> u32 {
        (self.pc.addr() - self.code.addr()) as u32
    }

    #[inline(always)]
    pub fn opcode(&self) -> u8 {
        self.bytes::<1>(0)[0]
    }

    /// Where the dispatch loop ends up with an opcode that does not exist: never.
    #[inline(always)]
    pub fn unassigned_opcode(&self) -> ! {
        if cfg!(debug_assertions) {
            panic!("opcode 0x{:02X} at {} passed the verifier", self.opcode(), self.pc());
        }
        // SAFETY: every pc that is reached starts an instruction with an assigned opcode (promise 1, verify 1).
        unsafe { std::hint::unreachable_unchecked() }
    }

    /// Moves to the instruction `bytes` further: the next one in the block.
    #[inline(always)]
    pub fn advance(&mut self, bytes: usize) {
        self.assert_code(bytes, 1);
        // SAFETY: the next instruction is inside the code (promise 4, verify 1).
        self.pc = unsafe { self.pc.add(bytes) };
    }

    /// A copy that stands on the opcode after a prefix, so that its fields are at the same offsets as without one.
    #[inline(always)]
    pub fn after_prefix(mut self) -> Cpu {
        self.advance(1);
        self
    }

    /// Moves to the instruction at offset `pc` from the start of the function.
    #[inline(always)]
    pub fn jump(&mut self, pc: u32) {
        // SAFETY: a branch target or the end of an instruction (promise 4, verify 7).
        self.pc = unsafe { self.code.add(pc as usize) };
        self.assert_code(0, 1);
    }

    /// Moves by the distance in a target field, to the first instruction of a block.
    #[inline(always)]
    pub fn jump_by(&mut self, distance: i32) {
        // SAFETY: the distance from this instruction to the one after a block's marker (promise 4, verify 7).
        self.pc = unsafe { self.pc.offset(distance as isize) };
        self.assert_code(0, 1);
    }

    /// The pc that the target field at `at` names.
    #[inline(always)]
    pub fn target(&self, at: usize) -> u32 {
        self.pc().wrapping_add(self.u32(at))
    }

    #[inline(always)]
    fn bytes<const COUNT: usize>(&self, at: usize) -> [u8; COUNT] {
        self.assert_code(at, COUNT);
        // SAFETY: the field lies within the code (promise 3, verify 1).
        let address = unsafe { self.pc.add(at) };
        // SAFETY: as above, `COUNT` bytes of it; an array of bytes has no alignment.
        unsafe { address.cast::<[u8; COUNT]>().read() }
    }

    /// The 16-bit field at `at` bytes from the start of the instruction.
    #[inline(always)]
    pub fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    /// The 32-bit field at `at`.
    #[inline(always)]
    pub fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    /// The 64-bit field at `at`.
    #[inline(always)]
    pub fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }

    /// The register field at `at`.
    #[inline(always)]
    pub fn register(&self, at: usize) -> Register {
        Register(self.u16(at))
    }

    /// The scalar in the register named by the field at `at`.
    #[inline(always)]
    pub fn get<T: Scalar>(&self, at: usize) -> T {
        T::read(self, self.register(at))
    }

    /// Writes the register named by the field at `at`.
    #[inline(always)]
    pub fn set<T: Scalar>(&mut self, at: usize, value: T) {
        value.write(self, self.register(at));
    }

    /// `at` rounded up to an even pc. The code starts at an even address (promise 1), so the address tells.
    #[inline(always)]
    pub fn pad(&self, at: usize) -> usize {
        at + ((self.pc.addr() + at) & 1)
    }

    /// The list of 16-bit numbers whose count is at `at` once padded, and where the next field starts.
    #[inline(always)]
    pub fn list<'a>(&self, at: usize) -> (U16List<'a>, usize) {
        let at = self.pad(at);
        let bytes = 2 * usize::from(self.u16(at));
        (self.numbers(at + 2, bytes), at + 2 + bytes)
    }

    /// The text whose length is at `at`, and where the next field starts.
    #[inline(always)]
    pub fn text<'a>(&self, at: usize) -> (&'a [u8], usize) {
        let bytes = usize::from(self.u16(at));
        (self.slice(at + 2, bytes), at + 2 + bytes)
    }

    /// The list of a result field at offset `pc` from the start of the function, once padded.
    #[inline(always)]
    pub fn list_at_pc<'a>(&self, pc: u32) -> U16List<'a> {
        let mut there = *self;
        there.jump(pc);
        there.list(0).0
    }

    #[inline(always)]
    fn numbers<'a>(&self, at: usize, bytes: usize) -> U16List<'a> {
        U16List::new(self.slice(at, bytes))
    }

    /// Bytes of the code. They live as long as the module, which outlives every use of a `Cpu` (promise 1).
    #[inline(always)]
    fn slice<'a>(&self, at: usize, bytes: usize) -> &'a [u8] {
        self.assert_code(at, bytes);
        // SAFETY: the field lies within the code (promise 3, verify 1).
        let address = unsafe { self.pc.add(at) };
        // SAFETY: as above, with its length; code is never written (promise 1).
        unsafe { std::slice::from_raw_parts(address, bytes) }
    }

    /// A value register.
    #[inline(always)]
    pub fn word(&self, register: Register) -> u32 {
        self.assert_value(register, 1);
        // SAFETY: the register is in the bank (promise 3, verify 3).
        let address = unsafe { self.values.add(usize::from(register.0)) };
        // SAFETY: initialised, and nobody else uses the bank (promise 2).
        unsafe { address.read() }
    }

    /// Writes a value register.
    #[inline(always)]
    pub fn set_word(&mut self, register: Register, value: u32) {
        self.assert_value(register, 1);
        // SAFETY: the register is in the bank (promise 3, verify 3).
        let address = unsafe { self.values.add(usize::from(register.0)) };
        // SAFETY: writable, and nobody else uses the bank (promise 2).
        unsafe { address.write(value) };
    }

    /// A pair of value registers, the low half first.
    #[inline(always)]
    pub fn pair(&self, register: Register) -> u64 {
        self.assert_value(register, 2);
        // SAFETY: the register and its successor are in the bank (promise 3, verify 4).
        let address = unsafe { self.values.add(usize::from(register.0)) };
        // SAFETY: two initialised words, nobody else uses the bank (promise 2); read at the alignment of one.
        let [low, high] = unsafe { address.cast::<[u32; 2]>().read() };
        u64::from(low) | u64::from(high) << 32
    }

    /// Writes a pair of value registers.
    #[inline(always)]
    pub fn set_pair(&mut self, register: Register, value: u64) {
        self.assert_value(register, 2);
        // SAFETY: the register and its successor are in the bank (promise 3, verify 4).
        let address = unsafe { self.values.add(usize::from(register.0)) };
        // SAFETY: two writable words, nobody else uses the bank (promise 2); written at the alignment of one.
        unsafe { address.cast::<[u32; 2]>().write([value as u32, (value >> 32) as u32]) };
    }

    /// A ref register.
    #[inline(always)]
    pub fn reference(&self, register: Register) -> Option<&Ref> {
        let address = self.reference_address(register);
        // SAFETY: initialised, nobody else uses the bank (promise 2), and `self` stays borrowed.
        unsafe { &*address }.as_ref()
    }

    /// The ref register named by the field at `at`.
    #[inline(always)]
    pub fn get_ref(&self, at: usize) -> Option<&Ref> {
        self.reference(self.register(at))
    }

    /// A ref register, to be changed.
    #[inline(always)]
    pub fn slot(&mut self, register: Register) -> &mut Option<Ref> {
        let address = self.reference_address(register);
        // SAFETY: initialised, nobody else uses the bank (promise 2), and `self` stays borrowed.
        unsafe { &mut *address }
    }

    /// The value of a ref operand: copied, or moved out of the register when it carries MOVE.
    #[inline(always)]
    pub fn fetch(&mut self, register: Register) -> Option<Ref> {
        if register.is_move() { self.slot(register).take() } else { self.reference(register).cloned() }
    }

    /// Replaces a ref register. What it held is released after the new value is in place.
    #[inline(always)]
    pub fn set_ref(&mut self, register: Register, value: Option<Ref>) {
        drop(std::mem::replace(self.slot(register), value));
    }

    /// The address of a ref register.
    #[inline(always)]
    fn reference_address(&self, register: Register) -> *mut Option<Ref> {
        let ordinal = usize::from(register.ordinal());
        #[cfg(debug_assertions)]
        assert!(register.is_ref() && ordinal < self.bounds.refs, "{register:?} of {}", self.bounds.refs);
        // SAFETY: the register is in the bank (promise 3, verify 5).
        unsafe { self.refs.add(ordinal) }
    }

    /// Both banks whole, for native functions, which index with checks. The counts are those of the function.
    #[inline(always)]
    pub fn banks(&mut self, values: usize, refs: usize) -> (&mut [u32], &mut [Option<Ref>]) {
        #[cfg(debug_assertions)]
        assert!(values <= self.bounds.values && refs <= self.bounds.refs);
        // SAFETY: as many initialised words as the function declares, used by nobody else (promise 2).
        let values = unsafe { std::slice::from_raw_parts_mut(self.values, values) };
        // SAFETY: as above for the ref bank, which is other memory.
        let refs = unsafe { std::slice::from_raw_parts_mut(self.refs, refs) };
        (values, refs)
    }

    /// Copies one value of a call, return or remap between registers of two frames (or of one).
    #[inline(always)]
    pub fn copy_scalar(&self, source: Register, kind: Kind, to: &mut Cpu, target: Register) {
        match kind.registers() {
            1 => to.set_word(target, self.word(source)),
            _ => to.set_pair(target, self.pair(source)),
        }
    }

    #[inline(always)]
    fn assert_code(&self, _at: usize, _count: usize) {
        #[cfg(debug_assertions)]
        assert!(
            self.pc() as usize + _at + _count <= self.bounds.code,
            "{_count} bytes at {} + {_at} of {} bytes of code",
            self.pc(),
            self.bounds.code
        );
    }

    #[inline(always)]
    fn assert_value(&self, _register: Register, _count: usize) {
        #[cfg(debug_assertions)]
        assert!(
            !_register.is_ref() && usize::from(_register.0) + _count <= self.bounds.values,
            "{_register:?} of {}",
            self.bounds.values
        );
    }
}
