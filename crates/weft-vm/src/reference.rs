//! References to objects of any Rust type, as programs hold them.
//!
//! Lives here: [`Ref`]. A null reference is `Option::<Ref>::None` everywhere, so a `Ref` always names an object.
//! Not here: which names programs use for the types (`types.rs`).

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

/// A counted, never null reference to an object of any type.
///
/// Two words wide; copying counts, moving does not. What a program can do with the object is decided by the native
/// modules that know its type: the VM itself only knows [`Buffer`](crate::Buffer) and [`List`](crate::List).
///
/// ```
/// use std::sync::Arc;
/// use weft_vm::Ref;
/// let number = Ref::new(Arc::new(7_u64));
/// assert_eq!(number.get::<u64>(), Some(&7));
/// assert_eq!(number.get::<i64>(), None);
/// assert!(number.same(&number.clone()));
/// assert!(!number.same(&Ref::new(Arc::new(7_u64))));
/// ```
#[derive(Clone)]
pub struct Ref(Arc<dyn Any + Send + Sync>);

impl Ref {
    /// Makes an object available to programs. The `Arc` is taken as it is: no wrapper, no second allocation.
    #[inline]
    pub fn new<T: Any + Send + Sync>(object: Arc<T>) -> Ref {
        Ref(object)
    }

    /// The object, if it is a `T`.
    #[inline]
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref::<T>()
    }

    /// Whether the object is a `T`.
    #[inline]
    pub fn is<T: Any>(&self) -> bool {
        self.0.is::<T>()
    }

    /// Unwraps the `Arc` again. An object of another type comes back as it was.
    pub fn downcast<T: Any + Send + Sync>(self) -> Result<Arc<T>, Ref> {
        self.0.downcast::<T>().map_err(Ref)
    }

    /// Another count on the object, if it is a `T`.
    pub fn to_arc<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        if self.is::<T>() { self.clone().downcast::<T>().ok() } else { None }
    }

    /// Whether both name the same object. Equal contents do not matter.
    #[inline]
    pub fn same(&self, other: &Ref) -> bool {
        // Only the address counts: one object may be seen through several vtables.
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }

    /// The identity of the object's type.
    #[inline]
    pub fn type_id(&self) -> TypeId {
        // Through the `dyn Any`, not the `Arc`, which is `Any` as well.
        Any::type_id(&*self.0)
    }

    /// How many references to the object exist, weak ones aside. A snapshot, for tests and reports.
    pub fn count(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl<T: Any + Send + Sync> From<Arc<T>> for Ref {
    fn from(object: Arc<T>) -> Ref {
        Ref::new(object)
    }
}

/// Identity, as in [`Ref::same`].
impl PartialEq for Ref {
    fn eq(&self, other: &Ref) -> bool {
        self.same(other)
    }
}

impl Eq for Ref {}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ref({:p})", Arc::as_ptr(&self.0))
    }
}

const _: () = assert!(size_of::<Option<Ref>>() == 2 * size_of::<usize>());

#[cfg(test)]
mod tests {
    use super::*;

    /// [vm 92]
    #[test]
    fn a_reference_unwraps_as_its_own_type_only() {
        let object = Ref::new(Arc::new(String::from("text")));
        assert!(object.is::<String>());
        assert!(!object.is::<u8>());
        assert_eq!(object.type_id(), TypeId::of::<String>());
        let object = object.downcast::<u8>().expect_err("not a u8");
        assert_eq!(object.to_arc::<u8>(), None);
        assert_eq!(*object.to_arc::<String>().expect("a string"), "text");
        assert_eq!(*object.downcast::<String>().expect("a string"), "text");
    }

    /// [vm 92] Equality is identity, and swapping changes no count.
    #[test]
    fn equal_objects_are_not_the_same_object() {
        let mut first = Ref::new(Arc::new(1_u8));
        let mut second = Ref::new(Arc::new(1_u8));
        assert_ne!(first, second);
        let copy = first.clone();
        std::mem::swap(&mut first, &mut second);
        assert_eq!(second, copy);
        assert_eq!((first.count(), second.count()), (1, 2));
    }

    /// [vm 93]
    #[test]
    fn counts_are_kept_across_threads() {
        let object = Ref::new(Arc::new([0_u8; 8]));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let held = [object.clone(), object.clone()];
                        assert!(held[0].same(&held[1]));
                    }
                });
            }
        });
        assert_eq!(object.count(), 1);
    }
}
