//! Rust types that native functions can give as results: numbers, references, tuples of them.

use std::any::Any;
use std::sync::Arc;

use super::operands::ResultSlots;
use crate::reference::Ref;

/// A type, or a tuple of types, that is written to the result registers of a call.
pub trait Results {
    /// Appends the letters of the calling convention.
    fn describe(letters: &mut String);

    /// Writes the next results.
    fn write(self, slots: &mut ResultSlots<'_>);
}

macro_rules! scalar {
    ($type:ty, $letter:literal, $put:ident, $convert:expr) => {
        impl Results for $type {
            fn describe(letters: &mut String) {
                letters.push($letter);
            }

            #[inline]
            fn write(self, slots: &mut ResultSlots<'_>) {
                slots.$put($convert(self));
            }
        }
    };
}

scalar!(i32, 'i', put_u32, |value: i32| value as u32);
scalar!(u32, 'i', put_u32, |value: u32| value);
scalar!(bool, 'i', put_u32, u32::from);
scalar!(i64, 'I', put_u64, |value: i64| value as u64);
scalar!(u64, 'I', put_u64, |value: u64| value);
scalar!(f32, 'f', put_u32, f32::to_bits);
scalar!(f64, 'F', put_u64, f64::to_bits);
scalar!(Ref, 'r', put_ref, Some);
scalar!(Option<Ref>, 'r', put_ref, |value: Option<Ref>| value);

impl<T: Any + Send + Sync> Results for Arc<T> {
    fn describe(letters: &mut String) {
        letters.push('r');
    }

    #[inline]
    fn write(self, slots: &mut ResultSlots<'_>) {
        slots.put_ref(Some(Ref::new(self)));
    }
}

impl<T: Any + Send + Sync> Results for Option<Arc<T>> {
    fn describe(letters: &mut String) {
        letters.push('r');
    }

    #[inline]
    fn write(self, slots: &mut ResultSlots<'_>) {
        slots.put_ref(self.map(Ref::new));
    }
}

macro_rules! tuple {
    ($($name:ident $index:tt)*) => {
        impl<$($name: Results),*> Results for ($($name,)*) {
            fn describe(_letters: &mut String) {
                $($name::describe(_letters);)*
            }

            #[inline]
            fn write(self, _slots: &mut ResultSlots<'_>) {
                $(self.$index.write(_slots);)*
            }
        }
    };
}

tuple!();
tuple!(A 0);
tuple!(A 0 B 1);
tuple!(A 0 B 1 C 2);
tuple!(A 0 B 1 C 2 D 3);
tuple!(A 0 B 1 C 2 D 3 E 4);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);
