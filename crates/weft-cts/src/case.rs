//! What a case is, and the tables that cases stand in.

use crate::subject::Subject;

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

/// One behaviour, shown on a fresh subject.
#[derive(Clone, Copy)]
pub struct Case {
    /// Name, unique in this crate: citations are found by it.
    pub name: &'static str,
    /// What the subject must have; otherwise the case is skipped.
    pub needs: Caps,
    /// Panics if the subject misbehaves.
    pub run: fn(&Subject),
}

/// Declares a family: a table of cases, and a macro that hands their names to whoever makes tests of them.
///
/// `cases! { $ TABLE for_each_case_of_family { case_function: NEEDS; … } }`
#[macro_export]
macro_rules! cases {
    ($d:tt $table:ident $each:ident { $($name:ident: $needs:expr;)* }) => {
        /// The cases of this family.
        pub const $table: &[$crate::case::Case] =
            &[$($crate::case::Case { name: stringify!($name), needs: $needs, run: $name }),*];

        #[doc = concat!("Calls a macro with the names of all cases in [`", stringify!($table), "`].")]
        #[macro_export]
        macro_rules! $each {
            ($d callback:ident $d($d context:tt)*) => { $d callback! { $d($d context)* $($name)* } };
        }
    };
}
