//! References to objects of any Rust type, as programs hold them.
//!
//! Lives here: [`Ref`]. A null reference is `Option::<Ref>::None` everywhere, so a `Ref` always names an object.
//! Not here: which names programs use for the types (`types.rs`).

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use crate::buffer::Buffer;
use crate::list::List;

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
pub struct Ref(Arc<dyn Object>);

/// Any shareable type. The interpreter asks for its own two types all the time, so they have questions of their own:
/// answered by one indirect call, where comparing type ids takes that and more.
trait Object: Any + Send + Sync {
    fn as_buffer(&self) -> Option<&Buffer>;
    fn as_list(&self) -> Option<&List>;
    fn is_of(&self, id: &TypeId) -> bool;
}

impl<T: Any + Send + Sync> Object for T {
    fn as_buffer(&self) -> Option<&Buffer> {
        (self as &dyn Any).downcast_ref()
    }

    fn as_list(&self) -> Option<&List> {
        (self as &dyn Any).downcast_ref()
    }

    fn is_of(&self, id: &TypeId) -> bool {
        TypeId::of::<T>() == *id
    }
}

impl Ref {
    /// Makes an object available to programs. The `Arc` is taken as it is: no wrapper, no second allocation.
    #[inline]
    pub fn new<T: Any + Send + Sync>(object: Arc<T>) -> Ref {
        Ref(object)
    }

    /// The object, if it is a `T`.
    #[inline]
    pub fn get<T: Any>(&self) -> Option<&T> {
        let object: &dyn Any = self.object();
        object.downcast_ref::<T>()
    }

    /// The object behind the `Arc`, which would answer for itself: it is an object as well.
    #[inline]
    fn object(&self) -> &dyn Object {
        &*self.0
    }

    /// Whether the object is a `T`.
    #[inline]
    pub fn is<T: Any>(&self) -> bool {
        self.is_of(TypeId::of::<T>())
    }

    /// Whether the object's type is the one with this identity.
    #[inline]
    pub fn is_of(&self, id: TypeId) -> bool {
        self.object().is_of(&id)
    }

    /// The object, if it is a buffer.
    #[inline]
    pub(crate) fn as_buffer(&self) -> Option<&Buffer> {
        self.object().as_buffer()
    }

    /// The object, if it is a list.
    #[inline]
    pub(crate) fn as_list(&self) -> Option<&List> {
        self.object().as_list()
    }

    /// Unwraps the `Arc` again. An object of another type comes back as it was.
    pub fn downcast<T: Any + Send + Sync>(self) -> Result<Arc<T>, Ref> {
        if !self.is::<T>() {
            return Err(self);
        }
        let object: Arc<dyn Any + Send + Sync> = self.0;
        match object.downcast::<T>() {
            Ok(object) => Ok(object),
            Err(_) => unreachable!("the type was just compared"),
        }
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
        Any::type_id(self.object())
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
