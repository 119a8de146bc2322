//! Rust types that native functions can take as arguments.
//!
//! | Rust type | letter | accepts |
//! |---|---|---|
//! | `i32`, `u32` | `i` | the bits |
//! | `i64`, `u64` | `I` | the bits |
//! | `f32` / `f64` | `f` / `F` | |
//! | `&T`, [`Object<T>`], `Arc<T>` | `r` | a `T`; null or another type is INVALID_ARGUMENT |
//! | `Option` of these | `r` | a `T` or null |
//! | `Ref` / `Option<Ref>` | `r` | any object / or null |
//! | [`Span<T>`] | `C…D` | any number of `T` |
//! | [`NativeCall`](super::NativeCall) | none | |
//! | tuples | one after the other | |
//!
//! `&T` and `Object<T>` borrow from the caller's registers and cost no count; prefer them.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use weft_sync::Result;

use super::operands::Operands;
use crate::reference::Ref;

/// A type, or a tuple of types, that is read from the operands of a call.
pub trait Argument {
    /// The same type, borrowing from the call.
    type At<'a>;

    /// How many values it takes from a span's tuple.
    const VALUES: usize;

    /// Appends the letters of the calling convention.
    fn describe(letters: &mut String);

    /// Reads the next operands.
    fn read<'a>(operands: &mut Operands<'a>) -> Result<Self::At<'a>>;
}

macro_rules! scalar {
    ($type:ty, $letter:literal, $read:ident, $convert:expr) => {
        impl Argument for $type {
            type At<'a> = $type;
            const VALUES: usize = 1;

            fn describe(letters: &mut String) {
                letters.push($letter);
            }

            #[inline(always)]
            fn read<'a>(operands: &mut Operands<'a>) -> Result<$type> {
                Ok($convert(operands.$read()))
            }
        }
    };
}

scalar!(i32, 'i', next_u32, |bits: u32| bits as i32);
scalar!(u32, 'i', next_u32, |bits: u32| bits);
scalar!(i64, 'I', next_u64, |bits: u64| bits as i64);
scalar!(u64, 'I', next_u64, |bits: u64| bits);
scalar!(f32, 'f', next_u32, f32::from_bits);
scalar!(f64, 'F', next_u64, f64::from_bits);

/// An object borrowed from the caller, which can be kept by [`Object::to_arc`].
pub struct Object<'a, T> {
    reference: &'a Ref,
    object: &'a T,
}

impl<'a, T: Any + Send + Sync> Object<'a, T> {
    fn from_ref(reference: &'a Ref) -> Option<Object<'a, T>> {
        Some(Object { reference, object: reference.get::<T>()? })
    }

    /// The object for as long as the call lasts.
    pub fn get(&self) -> &'a T {
        self.object
    }

    /// A count of its own on the object, to keep beyond the call.
    pub fn to_arc(&self) -> Arc<T> {
        self.reference.to_arc::<T>().expect("the type was checked when the argument was read")
    }

    /// The object as an untyped reference.
    pub fn reference(&self) -> &'a Ref {
        self.reference
    }
}

impl<T> Clone for Object<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Object<'_, T> {}

impl<T> Deref for Object<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.object
    }
}

impl<T: fmt::Debug> fmt::Debug for Object<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.fmt(f)
    }
}

/// Implements `Argument` for a type that is made from a reference, and for the `Option` of it.
macro_rules! reference {
    ([$($generics:tt)*] $type:ty, $at:ty, $bound:ty, $convert:expr) => {
        impl<$($generics)*> Argument for $type {
            type At<'a> = $at;
            const VALUES: usize = 1;

            fn describe(letters: &mut String) {
                letters.push('r');
            }

            #[inline(always)]
            fn read<'a>(operands: &mut Operands<'a>) -> Result<$at> {
                let reference = operands.next_ref();
                match reference.and_then($convert) {
                    Some(object) => Ok(object),
                    None => Err(operands.wrong_object::<$bound>(reference)),
                }
            }
        }

        impl<$($generics)*> Argument for Option<$type> {
            type At<'a> = Option<$at>;
            const VALUES: usize = 1;

            fn describe(letters: &mut String) {
                letters.push('r');
            }

            #[inline(always)]
            fn read<'a>(operands: &mut Operands<'a>) -> Result<Option<$at>> {
                let Some(reference) = operands.next_ref() else { return Ok(None) };
                match $convert(reference) {
                    Some(object) => Ok(Some(object)),
                    None => Err(operands.wrong_object::<$bound>(Some(reference))),
                }
            }
        }
    };
}

reference!(['x, T: Any + Send + Sync] &'x T, &'a T, T, |reference: &'a Ref| reference.get::<T>());
reference!(['x, T: Any + Send + Sync] Object<'x, T>, Object<'a, T>, T, |reference: &'a Ref| Object::from_ref(reference));
reference!([T: Any + Send + Sync] Arc<T>, Arc<T>, T, |reference: &'a Ref| reference.to_arc::<T>());
reference!([] Ref, Ref, Ref, |reference: &'a Ref| Some(reference.clone()));

/// A repeated argument, read lazily from the caller's registers.
///
/// ```
/// use weft_vm::native::{NativeModule, Span};
/// let module = NativeModule::builder("math", 0, |_| Ok(()))
///     .export("dot", |_: &(), pairs: Span<'_, (i32, i32)>| {
///         pairs.iter().map(|pair| pair.map(|(a, b)| a * b)).sum::<weft_sync::Result<i32>>()
///     })
///     .build()
///     .unwrap();
/// assert_eq!(module.export_signature("dot").unwrap().text(), "0CiiD_i");
/// ```
pub struct Span<'a, T> {
    operands: Operands<'a>,
    count: usize,
    element: PhantomData<fn() -> T>,
}

impl<'a, T: Argument> Span<'a, T> {
    /// How many tuples the caller gave.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the caller gave none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Tuple `index`. Panics when there are not so many.
    pub fn get(&self, index: usize) -> Result<T::At<'a>> {
        assert!(index < self.count, "span index {index} of {}", self.count);
        T::read(&mut self.operands.at_tuple(index, T::VALUES))
    }

    /// All tuples in order. Each may fail by itself: null where an object is needed, an object of another type.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<T::At<'a>>> + '_ {
        (0..self.count).map(|index| self.get(index))
    }
}

impl<T: Argument> Argument for Span<'_, T> {
    type At<'a> = Span<'a, T>;
    /// Spans cannot be nested; the builder rejects the letters that would result.
    const VALUES: usize = 0;

    fn describe(letters: &mut String) {
        letters.push('C');
        T::describe(letters);
        letters.push('D');
    }

    #[inline]
    fn read<'a>(operands: &mut Operands<'a>) -> Result<Span<'a, T>> {
        let (operands, count) = operands.next_span(T::VALUES);
        Ok(Span { operands, count, element: PhantomData })
    }
}

macro_rules! tuple {
    ($($name:ident)*) => {
        impl<$($name: Argument),*> Argument for ($($name,)*) {
            type At<'a> = ($($name::At<'a>,)*);
            const VALUES: usize = 0 $(+ $name::VALUES)*;

            fn describe(_letters: &mut String) {
                $($name::describe(_letters);)*
            }

            #[inline(always)]
            #[allow(clippy::unused_unit, reason = "the empty tuple is one of the instances")]
            fn read<'a>(_operands: &mut Operands<'a>) -> Result<Self::At<'a>> {
                Ok(($($name::read(_operands)?,)*))
            }
        }
    };
}

tuple!();
tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
tuple!(A B C D E F G H I);
tuple!(A B C D E F G H I J);
tuple!(A B C D E F G H I J K);
tuple!(A B C D E F G H I J K L);
tuple!(A B C D E F G H I J K L M);
tuple!(A B C D E F G H I J K L M N);
tuple!(A B C D E F G H I J K L M N O);
tuple!(A B C D E F G H I J K L M N O P);
