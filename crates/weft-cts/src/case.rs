//! What a case is, and the tables that cases stand in.

use crate::subject::Subject;
use std::fmt::Debug;

bitflags::bitflags! {
    /// What a case needs and a subject has.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Caps: u32 {
        /// Operations have effects on memory.
        const WORK = 1 << 0;
        /// Allocators can be wrapped when the device is opened.
        const WRAPPERS = 1 << 1;
        /// Freed memory is kept for the next request of its size.
        const REUSE = 1 << 2;
        /// Work is done on the calling thread, before the call returns.
        const INLINE = 1 << 3;
        /// Calls return before their waits are reached.
        const ASYNC = 1 << 4;
        /// There are at least two queues.
        const QUEUES = 1 << 5;
        /// At least two threads run kernels of one queue.
        const PARALLEL = 1 << 6;
        /// Signals say what they are ordered after.
        const FRONTIERS = 1 << 7;
        /// Queues take memory from pools in queue order.
        const POOLS = 1 << 8;
    }
}

impl Caps {
    /// Every subject will do.
    pub const NONE: Caps = Caps::empty();
}

/// What cases can be run on.
pub trait Tested: 'static {
    /// What cases need and subjects have.
    type Caps: bitflags::Flags + Copy + Debug + Send + Sync + 'static;

    /// For messages.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn has(&self) -> Self::Caps;

    /// Why it cannot be had on this machine, so that all of its cases are skipped.
    fn why_missing(&self) -> Option<String> {
        None
    }
}

impl Tested for Subject {
    type Caps = Caps;

    fn name(&self) -> &'static str {
        self.name
    }

    fn has(&self) -> Caps {
        self.has
    }
}

/// One behaviour, shown on a fresh subject.
pub struct Case<S: Tested = Subject> {
    /// Name, unique in this crate: citations are found by it.
    pub name: &'static str,
    /// What the subject must have; otherwise the case is skipped.
    pub needs: S::Caps,
    /// Panics if the subject misbehaves.
    pub run: fn(&S),
}

/// Declares a family: a table of cases, and a macro that hands their names to whoever makes tests of them.
///
/// `cases! { $ TABLE for_each_case_of_family { case_function: NEEDS; … } }`; for other subjects than devices
/// `cases! { $ TABLE for_each_case_of_family of SubjectType { … } }`.
#[macro_export]
macro_rules! cases {
    ($d:tt $table:ident $each:ident { $($cases:tt)* }) => {
        $crate::cases! { $d $table $each of $crate::subject::Subject { $($cases)* } }
    };
    ($d:tt $table:ident $each:ident of $subject:ty { $($name:ident: $needs:expr;)* }) => {
        /// The cases of this family.
        pub const $table: &[$crate::case::Case<$subject>] =
            &[$($crate::case::Case { name: stringify!($name), needs: $needs, run: $name }),*];

        #[doc = concat!("Calls a macro with the names of all cases in [`", stringify!($table), "`].")]
        #[macro_export]
        macro_rules! $each {
            ($d callback:ident $d($d context:tt)*) => { $d callback! { $d($d context)* $($name)* } };
        }
    };
}
