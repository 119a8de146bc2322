//! Data on lines of its own, so that writers of one thing do not disturb readers of another.

use std::ops::{Deref, DerefMut};

/// A value that shares its cache lines with nothing else.
///
/// 64 bytes, or 128 where processors move lines in pairs and pay for it (Apple's and other large Arm cores).
#[cfg_attr(not(target_arch = "aarch64"), repr(align(64)))]
#[cfg_attr(target_arch = "aarch64", repr(align(128)))]
#[derive(Debug, Default)]
pub(crate) struct CacheLine<T>(pub(crate) T);

impl<T> Deref for CacheLine<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for CacheLine<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
