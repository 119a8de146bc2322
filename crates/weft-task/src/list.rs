#![allow(
    unsafe_code,
    reason = "a listed process is owned by the list through a raw pointer in the link of its predecessor"
)]
//! Processes in the order in which they came: many push, many pop.
//!
//! What lives here: [`ProcessList`], used for immediate processes and for those that found no free slot, and [`Link`],
//! the field by which a process is listed. What does not: waking whoever pops.
//!
//! 1. The list holds a strong reference of each listed process: nothing is allocated, and nothing listed can be freed.
//! 2. A process is in one list at a time: it gets there by the one transition that `Activity` grants to one caller.
//! 3. `head` is written under the lock and read by anyone: asking for emptiness takes no lock and writes nothing.
//! 4. First in, first out, so nobody starves.
//!
//! # Safety
//!
//! Only while `tail` is locked are processes taken out, so what is listed then stays alive until the lock is let go.
//! `head` and each link hold null or a pointer from `Arc::into_raw` of a listed process, whose reference belongs to the
//! list. Links are read and written only while `tail` is locked.

use std::ptr;
use std::sync::Arc;

use weft_sync::atomic::{AtomicPtr, Mutex, Ordering, lock};

use crate::process::Process;

/// The field by which a process is listed: the next one.
#[derive(Debug)]
pub(crate) struct Link(AtomicPtr<Process>);

impl Link {
    pub(crate) fn new() -> Link {
        Link(AtomicPtr::new(ptr::null_mut()))
    }
}

/// The last process of a list, behind the lock.
#[derive(Debug)]
struct Tail(*mut Process);

// SAFETY: a pointer to a process, which is `Sync`; used under the lock only.
unsafe impl Send for Tail {}

/// A list of processes, first in, first out.
#[derive(Debug)]
pub(crate) struct ProcessList {
    head: AtomicPtr<Process>,
    tail: Mutex<Tail>,
}

impl ProcessList {
    pub(crate) fn new() -> ProcessList {
        ProcessList { head: AtomicPtr::new(ptr::null_mut()), tail: Mutex::new(Tail(ptr::null_mut())) }
    }

    /// Whether nothing is listed now. A relaxed load; see `wake.rs` for what makes the answer reliable.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Adds a process at the end.
    pub(crate) fn push(&self, process: Arc<Process>) {
        process.link().0.store(ptr::null_mut(), Ordering::Relaxed);
        let added = Arc::into_raw(process).cast_mut();
        let mut tail = lock(&self.tail);
        // Relaxed throughout: the lock orders these words; `is_empty` only reads whether one is null.
        if self.head.load(Ordering::Relaxed).is_null() {
            self.head.store(added, Ordering::Relaxed);
        } else {
            // SAFETY: the list is not empty, so `tail` is the last listed process, which the list keeps alive.
            let last = unsafe { &*tail.0 };
            last.link().0.store(added, Ordering::Relaxed);
        }
        tail.0 = added;
    }

    /// Takes the first process. An empty list answers without the lock.
    pub(crate) fn pop(&self) -> Option<Arc<Process>> {
        if self.is_empty() {
            return None;
        }
        let _tail = lock(&self.tail);
        let first = self.head.load(Ordering::Relaxed);
        if first.is_null() {
            return None;
        }
        // SAFETY: listed, hence from `Arc::into_raw` in `push`; its reference is taken out of the list with it.
        let process = unsafe { Arc::from_raw(first) };
        // With a null next the list is empty, and `push` does not look at the stale tail.
        self.head.store(process.link().0.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(process)
    }

    /// Looks at the first processes, at most `count_max` of them: for reports. `look` is called under the lock.
    pub(crate) fn look<R>(&self, count_max: usize, look: impl Fn(&Process) -> R) -> Vec<R> {
        let mut seen = Vec::with_capacity(count_max);
        let _tail = lock(&self.tail);
        let mut next = self.head.load(Ordering::Relaxed);
        while !next.is_null() && seen.len() < count_max {
            // SAFETY: listed, so the list owns a reference of it, and the lock is held (see the header).
            let process = unsafe { &*next };
            seen.push(look(process));
            next = process.link().0.load(Ordering::Relaxed);
        }
        seen
    }
}

impl Drop for ProcessList {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Drained, ProcessOptions, Work, WorkerContext};
    use std::sync::atomic::AtomicU32;

    struct Idle;

    impl Work for Idle {
        fn drain(&self, _: &WorkerContext<'_>) -> Drained {
            Drained::Nothing
        }
    }

    fn listed(count: usize) -> Vec<Arc<Process>> {
        (0..count).map(|_| Process::new(Idle, ProcessOptions::default())).collect()
    }

    #[test]
    fn processes_come_out_in_the_order_in_which_they_went_in() {
        let (list, all) = (ProcessList::new(), listed(5));
        for _ in 0..2 {
            all.iter().for_each(|process| list.push(Arc::clone(process)));
            let of = |process: &Process| std::ptr::from_ref(process);
            let order: Vec<_> = all.iter().map(|process| of(process)).collect();
            assert_eq!(list.look(9, of), order);
            assert_eq!(list.look(2, of), order[..2]);
            for process in &all {
                assert!(Arc::ptr_eq(&list.pop().expect("five were pushed"), process));
            }
            assert!(list.is_empty() && list.pop().is_none());
        }
        all.iter().for_each(|process| list.push(Arc::clone(process)));
        drop(list);
        assert!(all.iter().all(|process| Arc::strong_count(process) == 1), "a list drops what it holds");
    }

    /// [task 64]
    #[test]
    fn pushes_and_pops_at_once_lose_and_double_nothing() {
        let each = if cfg!(tsan) { 500 } else { 5_000 };
        let (list, taken) = (ProcessList::new(), AtomicU32::new(0));
        let all: Vec<_> = (0..4).map(|_| listed(each)).collect();
        std::thread::scope(|scope| {
            for some in &all {
                scope.spawn(|| some.iter().for_each(|process| list.push(Arc::clone(process))));
                scope.spawn(|| {
                    while taken.load(Ordering::Relaxed) < 4 * each as u32 {
                        if let Some(process) = list.pop() {
                            taken.fetch_add(1, Ordering::Relaxed);
                            process.set_wake_budget(process.wake_budget() + 1);
                        }
                    }
                });
            }
        });
        let once = |process: &Arc<Process>| process.wake_budget() == 2;
        assert!(all.iter().flatten().all(once), "each one came out once");
        // While the lock is held elsewhere, an empty list still answers.
        let _held = lock(&list.tail);
        assert!(list.pop().is_none());
    }
}
