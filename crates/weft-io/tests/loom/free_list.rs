//! Free buffers: taken once, given back by several threads, with what their last owner wrote.

use super::{Plain, model};
use loom::sync::atomic::{AtomicU32, AtomicU64};
use loom::thread;
use std::sync::Arc;
use weft_io::model::FreeList;

struct Pool {
    state: AtomicU64,
    next: Vec<AtomicU32>,
    buffers: Vec<Plain<u32>>,
}

impl Pool {
    fn new(count: usize) -> Arc<Pool> {
        let pool = Pool {
            state: AtomicU64::new(0),
            next: (0..count).map(|_| AtomicU32::new(0)).collect(),
            buffers: (0..count).map(|_| Plain::new(0)).collect(),
        };
        pool.list().fill();
        Arc::new(pool)
    }

    fn list(&self) -> FreeList<'_> {
        FreeList { state: &self.state, next: &self.next }
    }

    /// Takes one, if there is one; the model checker sees whether another thread is at the same buffer.
    fn take(&self) -> Option<u16> {
        let index = self.list().pop().expect("it is a list")?;
        self.buffers[usize::from(index)].set(1);
        Some(index)
    }

    fn give(&self, index: u16) {
        self.buffers[usize::from(index)].set(1);
        self.list().push(index);
    }
}

/// [async 175] [async 191] Two threads take and give back, two each, of two or three buffers: a buffer has one owner at a
/// time, who sees all that the one before has done with it, also when it comes back on top between the look and the
/// exchange of the other.
#[test]
fn a_buffer_has_one_owner() {
    for count in [2, 3] {
        model(move || {
            let pool = Pool::new(count);
            let work = |pool: &Pool| {
                let taken = [pool.take(), pool.take()];
                taken.into_iter().flatten().for_each(|index| pool.give(index));
            };
            let other = {
                let pool = Arc::clone(&pool);
                thread::spawn(move || work(&pool))
            };
            work(&pool);
            other.join().expect("it ends");
            assert_eq!(pool.list().count(), count as u32, "none is lost");
            let mut left: Vec<u16> = std::iter::from_fn(|| pool.take()).collect();
            left.sort_unstable();
            assert_eq!(left, (0..count as u16).collect::<Vec<_>>());
        });
    }
}

/// [async 175] What one thread has taken another gives back, while a third takes.
#[test]
fn a_buffer_is_given_back_by_another_thread() {
    model(|| {
        let pool = Pool::new(1);
        let index = pool.take().expect("one is free");
        let giver = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.give(index))
        };
        let taker = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.take().map(|index| pool.give(index)))
        };
        let _ = pool.take().map(|index| pool.give(index));
        giver.join().expect("it ends");
        let _ = taker.join().expect("it ends");
        assert_eq!((pool.list().count(), pool.take()), (1, Some(0)));
    });
}
