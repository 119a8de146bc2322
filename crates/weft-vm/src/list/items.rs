//! The elements of a list, and the conversions between element types and instructions (§11.4).
//!
//! Lives here: [`Items`], one vector a storage kind. Not here: locking and destruction (`list.rs`).

use std::collections::TryReserveError;

use weft_sync::{Result, Status, bail, status};

use super::ElementType;
use crate::reference::Ref;
use crate::type_table::ValueType;
use crate::types::RefType;
use crate::value::Value;

pub(super) enum Items {
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Ref(RefType, Vec<Option<Ref>>),
    Variant(Vec<Value>),
}

/// Runs the same expression on the vector of any storage kind.
macro_rules! each {
    ($items:expr, $vector:ident => $body:expr) => {
        match $items {
            Items::I8($vector) => $body,
            Items::I16($vector) => $body,
            Items::I32($vector) => $body,
            Items::I64($vector) => $body,
            Items::F32($vector) => $body,
            Items::F64($vector) => $body,
            Items::Ref(_, $vector) => $body,
            Items::Variant($vector) => $body,
        }
    };
}

/// Capacity is reserved in steps of this many elements.
const CAPACITY_STEP: usize = 64;

/// No list of a program needs more; more would only take the machine down with the program.
const BYTES_MAX: usize = if cfg!(fuzzing) { 1 << 20 } else { 1 << 32 };

impl Items {
    pub fn new(element: &ElementType) -> Items {
        match element {
            ElementType::Value(ValueType::I8) => Items::I8(Vec::new()),
            ElementType::Value(ValueType::I16) => Items::I16(Vec::new()),
            ElementType::Value(ValueType::I32) => Items::I32(Vec::new()),
            ElementType::Value(ValueType::I64) => Items::I64(Vec::new()),
            ElementType::Value(ValueType::F32) => Items::F32(Vec::new()),
            ElementType::Value(ValueType::F64) => Items::F64(Vec::new()),
            ElementType::Ref(ref_type) => Items::Ref(ref_type.clone(), Vec::new()),
            ElementType::Variant => Items::Variant(Vec::new()),
        }
    }

    pub fn element_type(&self) -> ElementType {
        match self {
            Items::I8(_) => ElementType::Value(ValueType::I8),
            Items::I16(_) => ElementType::Value(ValueType::I16),
            Items::I32(_) => ElementType::Value(ValueType::I32),
            Items::I64(_) => ElementType::Value(ValueType::I64),
            Items::F32(_) => ElementType::Value(ValueType::F32),
            Items::F64(_) => ElementType::Value(ValueType::F64),
            Items::Ref(ref_type, _) => ElementType::Ref(ref_type.clone()),
            Items::Variant(_) => ElementType::Variant,
        }
    }

    pub fn len(&self) -> usize {
        each!(self, vector => vector.len())
    }

    pub fn capacity(&self) -> usize {
        each!(self, vector => vector.capacity())
    }

    /// Room for at least `capacity` elements in all: a multiple of the step, at least twice what was there.
    pub fn reserve(&mut self, capacity: usize) -> Result<()> {
        let have = self.capacity();
        if capacity <= have {
            return Ok(());
        }
        let want = capacity.max(have.saturating_mul(2)).checked_next_multiple_of(CAPACITY_STEP);
        let Some(want) = want else { bail!(OutOfRange, "list capacity {capacity} is too large") };
        each!(self, vector => reserve_vector(vector, want))
    }

    /// Grows with zero, null or empty. Elements cut off are pushed to `released`, in order, for the caller to drop
    /// once no lock is held.
    pub fn resize(&mut self, size: usize, released: &mut Vec<Ref>) -> Result<()> {
        self.reserve(size)?;
        match self {
            Items::I8(vector) => vector.resize(size, 0),
            Items::I16(vector) => vector.resize(size, 0),
            Items::I32(vector) => vector.resize(size, 0),
            Items::I64(vector) => vector.resize(size, 0),
            Items::F32(vector) => vector.resize(size, 0.0),
            Items::F64(vector) => vector.resize(size, 0.0),
            Items::Ref(_, vector) => {
                released.extend(vector.drain(size.min(vector.len())..).flatten());
                vector.resize(size, None);
            }
            Items::Variant(vector) => {
                released.extend(vector.drain(size.min(vector.len())..).filter_map(into_ref));
                vector.resize(size, Value::Empty);
            }
        }
        Ok(())
    }

    #[inline]
    pub fn get_integer(&self, index: usize) -> Result<i64> {
        let value = match self {
            Items::I32(vector) => vector.get(index).map(|&value| i64::from(value)),
            Items::I64(vector) => vector.get(index).copied(),
            Items::I8(vector) => vector.get(index).map(|&value| i64::from(value)),
            Items::I16(vector) => vector.get(index).map(|&value| i64::from(value)),
            Items::F32(vector) => vector.get(index).map(|_| 0),
            Items::F64(vector) => vector.get(index).map(|_| 0),
            Items::Ref(_, vector) => return Err(no_value(index, vector.len())),
            Items::Variant(vector) => match vector.get(index) {
                Some(value) => return value.to_i64().ok_or_else(|| wrong_slot(value)),
                None => None,
            },
        };
        value.ok_or_else(|| outside(index, self.len()))
    }

    /// The element as a float, as the pair (f32, f64) so that neither loses bits.
    #[inline]
    pub fn get_float(&self, index: usize) -> Result<(f32, f64)> {
        let value = match self {
            Items::F32(vector) => vector.get(index).map(|&value| (value, f64::from(value))),
            Items::F64(vector) => vector.get(index).map(|&value| (value as f32, value)),
            Items::I8(_) | Items::I16(_) | Items::I32(_) | Items::I64(_) => {
                (index < self.len()).then_some((0.0, 0.0))
            }
            Items::Ref(_, vector) => return Err(no_value(index, vector.len())),
            Items::Variant(vector) => match vector.get(index) {
                Some(value) => {
                    let pair = value.to_f32().zip(value.to_f64());
                    return pair.ok_or_else(|| wrong_slot(value));
                }
                None => None,
            },
        };
        value.ok_or_else(|| outside(index, self.len()))
    }

    /// Stores a value, converted to the element type. Returns the reference that it replaced in a variant slot.
    #[inline]
    pub fn set_value(&mut self, index: usize, value: Value) -> Result<Option<Ref>> {
        let size = self.len();
        if index >= size {
            return Err(outside(index, size));
        }
        match self {
            Items::I8(vector) => vector[index] = value.to_i64().unwrap_or(0) as i8,
            Items::I16(vector) => vector[index] = value.to_i64().unwrap_or(0) as i16,
            Items::I32(vector) => vector[index] = value.to_i64().unwrap_or(0) as i32,
            Items::I64(vector) => vector[index] = value.to_i64().unwrap_or(0),
            Items::F32(vector) => vector[index] = value.to_f32().unwrap_or(0.0),
            Items::F64(vector) => vector[index] = value.to_f64().unwrap_or(0.0),
            Items::Ref(_, vector) => return Err(no_value(index, vector.len())),
            Items::Variant(vector) => return Ok(into_ref(std::mem::replace(&mut vector[index], value))),
        }
        Ok(None)
    }

    /// The reference in a slot; an empty variant slot reads as null.
    pub fn get_ref(&self, index: usize) -> Result<Option<&Ref>> {
        let size = self.len();
        match self {
            _ if index >= size => Err(outside(index, size)),
            Items::Ref(_, vector) => Ok(vector[index].as_ref()),
            Items::Variant(vector) => match &vector[index] {
                Value::Ref(reference) => Ok(reference.as_ref()),
                Value::Empty => Ok(None),
                value => Err(wrong_slot(value)),
            },
            _ => Err(no_ref()),
        }
    }

    /// Takes the reference out of a slot that [`get_ref`](Items::get_ref) accepted.
    pub fn take_ref(&mut self, index: usize) -> Option<Ref> {
        match self {
            Items::Ref(_, vector) => vector.get_mut(index).and_then(Option::take),
            Items::Variant(vector) => match vector.get_mut(index) {
                Some(Value::Ref(reference)) => reference.take(),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether [`set_ref`](Items::set_ref) would accept this value for this slot.
    pub fn check_ref_slot(&self, index: usize, value: Option<&Ref>) -> Result<()> {
        let size = self.len();
        match self {
            _ if index >= size => Err(outside(index, size)),
            Items::Ref(ref_type, _) => check_ref(ref_type, value),
            Items::Variant(_) => Ok(()),
            _ => Err(no_ref()),
        }
    }

    /// Stores a reference. Returns what it replaced, to be dropped once no lock is held.
    pub fn set_ref(&mut self, index: usize, value: Option<Ref>) -> Result<Option<Ref>> {
        let size = self.len();
        match self {
            _ if index >= size => Err(outside(index, size)),
            Items::Ref(ref_type, vector) => {
                check_ref(ref_type, value.as_ref())?;
                Ok(std::mem::replace(&mut vector[index], value))
            }
            Items::Variant(vector) => Ok(into_ref(std::mem::replace(&mut vector[index], Value::Ref(value)))),
            _ => Err(no_ref()),
        }
    }

    /// The element as it is stored.
    pub fn get(&self, index: usize) -> Result<Value> {
        let value = match self {
            Items::I8(vector) => vector.get(index).map(|&value| Value::I8(value)),
            Items::I16(vector) => vector.get(index).map(|&value| Value::I16(value)),
            Items::I32(vector) => vector.get(index).map(|&value| Value::I32(value)),
            Items::I64(vector) => vector.get(index).map(|&value| Value::I64(value)),
            Items::F32(vector) => vector.get(index).map(|&value| Value::F32(value)),
            Items::F64(vector) => vector.get(index).map(|&value| Value::F64(value)),
            Items::Ref(_, vector) => vector.get(index).map(|value| Value::Ref(value.clone())),
            Items::Variant(vector) => vector.get(index).cloned(),
        };
        value.ok_or_else(|| outside(index, self.len()))
    }

    /// Stores any value by the rules of the instructions. `Empty` only fits variant slots.
    pub fn set(&mut self, index: usize, value: Value) -> Result<Option<Ref>> {
        match (&self, value) {
            (Items::Variant(_), value @ Value::Empty) => self.set_value(index, value),
            (_, Value::Empty) => bail!(FailedPrecondition, "only variant lists have empty elements"),
            (_, Value::Ref(reference)) => self.set_ref(index, reference),
            (_, value) => self.set_value(index, value),
        }
    }

    pub fn remove_first(&mut self) -> Result<Value> {
        let first = self.get(0)?;
        each!(self, vector => drop(vector.remove(0)));
        Ok(first)
    }

    /// Whether elements may be references.
    pub fn has_refs(&self) -> bool {
        matches!(self, Items::Ref(..) | Items::Variant(_))
    }

    /// All references, in index order; nothing stays behind.
    pub fn drain_refs(&mut self) -> Vec<Option<Ref>> {
        match self {
            Items::Ref(_, vector) => std::mem::take(vector),
            Items::Variant(vector) => std::mem::take(vector).into_iter().map(into_ref).collect(),
            _ => Vec::new(),
        }
    }

    pub fn duplicate(&self) -> Result<Items> {
        let mut copy = Items::new(&self.element_type());
        copy.reserve(self.len())?;
        match (&mut copy, self) {
            (Items::I8(to), Items::I8(from)) => to.extend_from_slice(from),
            (Items::I16(to), Items::I16(from)) => to.extend_from_slice(from),
            (Items::I32(to), Items::I32(from)) => to.extend_from_slice(from),
            (Items::I64(to), Items::I64(from)) => to.extend_from_slice(from),
            (Items::F32(to), Items::F32(from)) => to.extend_from_slice(from),
            (Items::F64(to), Items::F64(from)) => to.extend_from_slice(from),
            (Items::Ref(_, to), Items::Ref(_, from)) => to.extend_from_slice(from),
            (Items::Variant(to), Items::Variant(from)) => to.extend_from_slice(from),
            _ => unreachable!("made with the same element type"),
        }
        Ok(copy)
    }
}

fn reserve_vector<T>(vector: &mut Vec<T>, capacity: usize) -> Result<()> {
    let Some(bytes) = capacity.checked_mul(size_of::<T>()) else {
        bail!(OutOfRange, "list capacity {capacity} overflows");
    };
    let exhausted = |_: Option<TryReserveError>| status!(ResourceExhausted, "no {bytes} bytes for a list");
    if bytes > BYTES_MAX {
        return Err(exhausted(None));
    }
    vector.try_reserve_exact(capacity - vector.len()).map_err(|error| exhausted(Some(error)))
}

fn into_ref(value: Value) -> Option<Ref> {
    match value {
        Value::Ref(reference) => reference,
        _ => None,
    }
}

/// Null fits every list of references.
fn check_ref(ref_type: &RefType, value: Option<&Ref>) -> Result<()> {
    match value {
        Some(value) if value.type_id() != ref_type.id() => {
            bail!(InvalidArgument, "a list of {ref_type:?} does not take references of another type")
        }
        _ => Ok(()),
    }
}

#[cold]
fn outside(index: usize, size: usize) -> Status {
    status!(OutOfRange, "list index {index} of {size}")
}

#[cold]
fn no_value(index: usize, size: usize) -> Status {
    if index >= size {
        outside(index, size)
    } else {
        status!(FailedPrecondition, "the list holds references")
    }
}

#[cold]
fn no_ref() -> Status {
    status!(FailedPrecondition, "the list holds values")
}

#[cold]
fn wrong_slot(value: &Value) -> Status {
    status!(FailedPrecondition, "the list slot holds {}", value.kind())
}
