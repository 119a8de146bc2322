//! Growable lists of values, references, or both.
//!
//! Lives here: [`List`] as programs and hosts share it, locking, and destruction that does not recurse.
//! Not here: storage kinds and element conversions (`list/items.rs`), the instructions (`ops/list.rs`).

mod items;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use weft_sync::{Result, bail};

use crate::reference::Ref;
use crate::type_table::ValueType;
use crate::types::{RefType, TypeSpec};
use crate::value::Value;
use items::Items;

/// What the elements of a list are, fixed when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// Values of one type; others are converted on the way in and out.
    Value(ValueType),
    /// References to one type, or null.
    Ref(RefType),
    /// Each slot anything, or empty.
    Variant,
}

impl ElementType {
    /// The element type that an entry of a module's type table means.
    pub fn from_spec(spec: &TypeSpec) -> Result<ElementType> {
        Ok(match spec {
            TypeSpec::Value(value_type) => ElementType::Value(*value_type),
            TypeSpec::Ref(ref_type) => ElementType::Ref(ref_type.clone()),
            TypeSpec::Any => ElementType::Variant,
            TypeSpec::Placeholder(name) => bail!(NotFound, "type `{name}` is not registered"),
        })
    }
}

/// A list, as `!vm.list<…>` in programs. May be shared between threads; each operation is atomic by itself.
///
/// ```
/// use weft_vm::{ElementType, List, Value, ValueType};
/// let list = List::new(ElementType::Value(ValueType::I8), 4).unwrap();
/// list.push(Value::I32(300)).unwrap();
/// assert_eq!(list.get(0).unwrap(), Value::I8(44));
/// assert!(list.get(1).is_err());
/// ```
pub struct List {
    items: Mutex<Items>,
}

impl List {
    /// An empty list with room for `capacity` elements.
    pub fn new(element: ElementType, capacity: usize) -> Result<List> {
        let mut items = Items::new(&element);
        items.reserve(capacity)?;
        Ok(List { items: Mutex::new(items) })
    }

    /// A variant list with these elements.
    pub fn from_values(values: impl IntoIterator<Item = Value>) -> List {
        List { items: Mutex::new(Items::Variant(values.into_iter().collect())) }
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, Items> {
        // A panic under the lock can only come from the allocator; the items are whole at every such point.
        self.items.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What the elements are.
    pub fn element_type(&self) -> ElementType {
        self.lock().element_type()
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements for which there is room.
    pub fn capacity(&self) -> usize {
        self.lock().capacity()
    }

    /// Makes room for `capacity` elements in all.
    pub fn reserve(&self, capacity: usize) -> Result<()> {
        self.lock().reserve(capacity)
    }

    /// Cuts off the tail, or grows with zeros, nulls or empty slots.
    pub fn resize(&self, size: usize) -> Result<()> {
        let mut released = Vec::new();
        // References go after the lock: their destructors may come back to this list.
        self.lock().resize(size, &mut released)
    }

    /// The element as it is stored.
    pub fn get(&self, index: usize) -> Result<Value> {
        self.lock().get(index)
    }

    /// Stores an element by the rules of the instructions: values are converted, references checked.
    pub fn set(&self, index: usize, value: Value) -> Result<()> {
        let _released = self.lock().set(index, value)?;
        Ok(())
    }

    /// Whether the elements are exactly these references, in this order.
    pub fn holds(&self, references: &[Ref]) -> bool {
        let items = self.lock();
        let holds = |(index, reference): (usize, &Ref)| {
            items.get_ref(index).is_ok_and(|found| found.is_some_and(|found| found.same(reference)))
        };
        items.len() == references.len() && references.iter().enumerate().all(holds)
    }

    /// Appends an element.
    pub fn push(&self, value: Value) -> Result<()> {
        let mut items = self.lock();
        let size = items.len();
        items.resize(size + 1, &mut Vec::new())?;
        if let Err(status) = items.set(size, value) {
            items.resize(size, &mut Vec::new())?;
            return Err(status);
        }
        Ok(())
    }

    /// Moves the first element out and the others forward. OUT_OF_RANGE when there is none.
    pub fn pop_front(&self) -> Result<Value> {
        self.lock().remove_first()
    }

    /// A list of its own with the same elements; references are shared.
    pub fn duplicate(&self) -> Result<List> {
        Ok(List { items: Mutex::new(self.lock().duplicate()?) })
    }

    /// Copies elements over those of another list, converting as get and set do. Nothing is written when the ranges
    /// do not fit; within one list the ranges must not overlap (INVALID_ARGUMENT).
    pub fn copy(&self, range: Range<usize>, target: &List, at: usize) -> Result<()> {
        let count = range.len();
        let whole = at.checked_add(count).is_some_and(|end| end <= target.len());
        if range.start > range.end || range.end > self.len() || !whole {
            bail!(
                OutOfRange,
                "copy of {count} elements from {} of {} to {at} of {}",
                range.start,
                self.len(),
                target.len()
            );
        }
        if std::ptr::eq(self, target) && range.start < at + count && at < range.end {
            bail!(InvalidArgument, "copy between overlapping ranges of one list");
        }
        // Through a third place, so that two threads copying in opposite directions never hold both locks.
        let values = {
            let items = self.lock();
            range.map(|index| items.get(index)).collect::<Result<Vec<_>>>()?
        };
        let mut replaced = Vec::with_capacity(count);
        let mut items = target.lock();
        for (offset, value) in values.into_iter().enumerate() {
            replaced.push(items.set(at + offset, value)?);
        }
        drop(items);
        Ok(())
    }

    /// Exchanges elements, size and capacity with a list of the same element type.
    pub fn swap(&self, other: &List) -> Result<()> {
        if std::ptr::eq(self, other) {
            return Ok(());
        }
        // Always the lower address first, so that two swaps of the same pair cannot wait for each other.
        let ordered = std::ptr::from_ref(self) < std::ptr::from_ref(other);
        let (first, second) = if ordered { (self, other) } else { (other, self) };
        let (mut first, mut second) = (first.lock(), second.lock());
        if first.element_type() != second.element_type() {
            bail!(
                InvalidArgument,
                "swap of lists of {:?} and {:?}",
                first.element_type(),
                second.element_type()
            );
        }
        std::mem::swap(&mut *first, &mut *second);
        Ok(())
    }

    #[inline]
    pub(crate) fn get_integer(&self, index: u32) -> Result<i64> {
        self.lock().get_integer(index as usize)
    }

    #[inline]
    pub(crate) fn get_float(&self, index: u32) -> Result<(f32, f64)> {
        self.lock().get_float(index as usize)
    }

    #[inline]
    pub(crate) fn set_value(&self, index: u32, value: Value) -> Result<()> {
        let _released = self.lock().set_value(index as usize, value)?;
        Ok(())
    }

    /// The reference in a slot if `accept` agrees with it, else null. With `take` an accepted one leaves the slot.
    pub(crate) fn get_ref(
        &self,
        index: u32,
        take: bool,
        accept: impl Fn(&Ref) -> bool,
    ) -> Result<Option<Ref>> {
        let mut items = self.lock();
        match items.get_ref(index as usize)? {
            Some(reference) if accept(reference) => {
                let copy = if take { None } else { Some(reference.clone()) };
                Ok(copy.or_else(|| items.take_ref(index as usize)))
            }
            _ => Ok(None),
        }
    }

    /// Stores the reference that `value` gives, which is `peek`; it is only asked once the slot and the type are known
    /// to fit, so that a moved operand is consumed only by a store that happens.
    pub(crate) fn set_ref(
        &self,
        index: u32,
        peek: Option<&Ref>,
        value: impl FnOnce() -> Option<Ref>,
    ) -> Result<()> {
        let mut items = self.lock();
        items.check_ref_slot(index as usize, peek)?;
        let released = items.set_ref(index as usize, value())?;
        drop(items);
        drop(released);
        Ok(())
    }
}

/// Takes chains of lists apart without recursion: the references of a dying list are moved to a work stack before
/// they are released, so that a list that dies with them finds nothing more to do.
impl Drop for List {
    fn drop(&mut self) {
        let items = self.items.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !items.has_refs() {
            return;
        }
        let mut work = vec![items.drain_refs().into_iter()];
        while let Some(level) = work.last_mut() {
            let Some(next) = level.next() else {
                work.pop();
                continue;
            };
            // Most references are no lists; they go here.
            let Some(Ok(list)) = next.filter(|next| next.as_list().is_some()).map(Ref::downcast::<List>)
            else {
                continue;
            };
            if let Some(mut list) = Arc::into_inner(list) {
                let items = list.items.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
                work.push(items.drain_refs().into_iter());
            }
        }
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Elements are left out: a list may contain itself.
        let items = self.lock();
        write!(f, "List({:?}, {} elements)", items.element_type(), items.len())
    }
}
