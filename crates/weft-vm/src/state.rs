#![allow(unsafe_code, reason = "globals are read by many invocations or written by one; the gate decides")]
//! What a context keeps of each of its modules: globals, resolved imports, native state.
//!
//! Lives here: [`Linked`] and [`Globals`]. Not here: how imports are resolved (`link.rs`), who may run when (`gate.rs`).
//!
//! # Safety
//!
//! Globals have no locks of their own. Everybody who touches them runs under the gate of the context: shared to
//! read, exclusive to write. The methods are `unsafe` for that reason only; offsets and ordinals are checked here.

use std::any::Any;
use std::cell::UnsafeCell;
use std::sync::Arc;

use weft_sync::{Result, bail};

use crate::isa::IMPORT_BIT;
use crate::module::{BytecodeModule, Module};
use crate::native::{Entry, NativeModule};
use crate::reference::Ref;

/// A module registered in a context.
pub(crate) struct Linked {
    /// Position in the context.
    pub index: u32,
    pub state: ModuleState,
}

pub(crate) enum ModuleState {
    Bytecode(BytecodeState),
    Native(NativeState),
}

pub(crate) struct BytecodeState {
    pub module: Arc<BytecodeModule>,
    pub globals: Globals,
    pub imports: Box<[ImportSlot]>,
    /// By internal ordinal: whether the function may change globals of this context.
    pub stores: Box<[bool]>,
}

pub(crate) struct NativeState {
    pub module: Arc<NativeModule>,
    pub state: Arc<dyn Any + Send + Sync>,
}

/// What an import is bound to.
#[derive(Clone)]
pub(crate) enum ImportSlot {
    /// Optional, and nobody provides it.
    Unresolved,
    /// A function of a bytecode module of the same context.
    Bytecode { module: u32, function: u32 },
    /// A Rust function with its state at hand.
    Native(NativeTarget),
}

#[derive(Clone)]
pub(crate) struct NativeTarget {
    pub entry: Entry,
    pub state: Arc<dyn Any + Send + Sync>,
    pub module: u32,
    pub export: u32,
}

impl BytecodeState {
    /// The globals for a fork. The caller is under the gate.
    pub fn duplicate_globals(&self) -> Globals {
        // SAFETY: the caller's promise in the line above; `Context::fork` is the only one.
        unsafe { self.globals.duplicate() }
    }

    pub fn is_import_resolved(&self, func: u32) -> bool {
        let slot = self.imports.get((func & !IMPORT_BIT) as usize);
        !matches!(slot, None | Some(ImportSlot::Unresolved))
    }
}

impl Linked {
    pub fn module(&self) -> Module {
        match &self.state {
            ModuleState::Bytecode(state) => Module::Bytecode(state.module.clone()),
            ModuleState::Native(state) => Module::Native(state.module.clone()),
        }
    }

    pub fn name(&self) -> &str {
        match &self.state {
            ModuleState::Bytecode(state) => &state.module.archive().name,
            ModuleState::Native(state) => state.module.name(),
        }
    }

    #[inline]
    pub fn bytecode(&self) -> Option<&BytecodeState> {
        match &self.state {
            ModuleState::Bytecode(state) => Some(state),
            ModuleState::Native(_) => None,
        }
    }
}

/// The value globals and ref globals of one module in one context.
pub(crate) struct Globals {
    /// Whole words, so that the first byte is aligned for any access.
    words: Box<[UnsafeCell<[u64; 2]>]>,
    bytes: usize,
    refs: Box<[UnsafeCell<Option<Ref>>]>,
}

// SAFETY: all access is under the gate of the context (header), which orders writers with everybody else.
unsafe impl Sync for Globals {}

const WORD: usize = size_of::<[u64; 2]>();

impl Globals {
    /// Zeroed bytes and null refs. RESOURCE_EXHAUSTED when they are more than `bytes_max` or there is no memory.
    pub fn new(bytes: u32, refs: u32, bytes_max: usize) -> Result<Globals> {
        let total = bytes as usize + refs as usize * size_of::<Option<Ref>>();
        let mut words = Vec::new();
        let mut slots = Vec::new();
        let count = (bytes as usize).div_ceil(WORD);
        let refused = total > bytes_max
            || words.try_reserve_exact(count).is_err()
            || slots.try_reserve_exact(refs as usize).is_err();
        if refused {
            bail!(ResourceExhausted, "no memory for {bytes} bytes and {refs} references of module globals");
        }
        words.resize_with(count, || UnsafeCell::new([0; 2]));
        slots.resize_with(refs as usize, || UnsafeCell::new(None));
        Ok(Globals { words: words.into(), bytes: bytes as usize, refs: slots.into() })
    }

    /// The address of `COUNT` bytes at `offset`, if all are inside.
    #[inline(always)]
    fn address<const COUNT: usize>(&self, offset: u32) -> Option<*mut [u8; COUNT]> {
        // In 64 bits: no sum of a 32-bit offset wraps.
        if offset as usize + COUNT > self.bytes {
            return None;
        }
        // The base derives from the whole slice, so the address may be anywhere in it.
        Some(self.words.as_ptr().cast_mut().cast::<u8>().wrapping_add(offset as usize).cast())
    }

    /// Reads `COUNT` bytes; `None` when they are not all inside.
    ///
    /// # Safety
    /// The caller runs under the gate.
    #[inline(always)]
    pub unsafe fn load<const COUNT: usize>(&self, offset: u32) -> Option<[u8; COUNT]> {
        let address = self.address::<COUNT>(offset)?;
        // SAFETY: inside the words, initialised, and not written meanwhile (header).
        Some(unsafe { address.read() })
    }

    /// Writes `COUNT` bytes; `None` when they would not all be inside.
    ///
    /// # Safety
    /// The caller runs under the gate, exclusively.
    #[inline(always)]
    pub unsafe fn store<const COUNT: usize>(&self, offset: u32, bytes: [u8; COUNT]) -> Option<()> {
        let address = self.address::<COUNT>(offset)?;
        // SAFETY: inside the words, in cells, and nobody else reads or writes meanwhile (header).
        unsafe { address.write(bytes) };
        Some(())
    }

    /// The ref global with this ordinal, copied.
    ///
    /// # Safety
    /// The caller runs under the gate.
    #[inline]
    pub unsafe fn load_ref(&self, ordinal: u32) -> Option<Option<Ref>> {
        let slot = self.refs.get(ordinal as usize)?;
        // SAFETY: not written meanwhile (header).
        Some(unsafe { &*slot.get() }.clone())
    }

    /// Exchanges the ref global with this ordinal for `value`, and returns what was there, to be released by the
    /// caller once it is done. An ordinal out of range gives the value back as the error.
    ///
    /// # Safety
    /// The caller runs under the gate, exclusively.
    #[inline]
    pub unsafe fn replace_ref(&self, ordinal: u32, value: Option<Ref>) -> Option<Option<Ref>> {
        let slot = self.refs.get(ordinal as usize)?;
        // SAFETY: nobody else reads or writes meanwhile (header); no borrow of the slot outlives this line.
        Some(unsafe { slot.get().replace(value) })
    }

    pub fn ref_count(&self) -> usize {
        self.refs.len()
    }

    /// The same values and the same objects in a state of its own.
    ///
    /// # Safety
    /// The caller runs under the gate.
    pub unsafe fn duplicate(&self) -> Globals {
        // SAFETY: no cell is written meanwhile (header).
        let words = self.words.iter().map(|word| UnsafeCell::new(unsafe { word.get().read() }));
        // SAFETY: as above.
        let refs = self.refs.iter().map(|slot| UnsafeCell::new(unsafe { &*slot.get() }.clone()));
        Globals { words: words.collect(), bytes: self.bytes, refs: refs.collect() }
    }
}
