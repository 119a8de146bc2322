//! Buffers that are used up piece by piece: back in the list once, after the last piece.

use super::{Plain, model};
use loom::sync::atomic::{AtomicU32, AtomicU64};
use loom::thread;
use std::sync::Arc;
use weft_io::model::{FreeList, Parts};

/// One buffer of two bytes.
struct Pool {
    state: AtomicU64,
    next: Vec<AtomicU32>,
    parts: Parts,
    bytes: [Plain<u32>; 2],
}

impl Pool {
    fn new() -> Arc<Pool> {
        let pool = Pool {
            state: AtomicU64::new(0),
            next: vec![AtomicU32::new(0)],
            parts: Parts::new(),
            bytes: [Plain::new(0), Plain::new(0)],
        };
        pool.list().fill();
        Arc::new(pool)
    }

    /// The buffer is taken, its first half filled, and in use by a thread of its own.
    fn begun() -> (Arc<Pool>, thread::JoinHandle<()>) {
        let pool = Pool::new();
        assert!(pool.take());
        pool.bytes[0].set(1);
        pool.parts.add();
        let piece = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.use_up(0, 1))
        };
        (pool, piece)
    }

    fn list(&self) -> FreeList<'_> {
        FreeList { state: &self.state, next: &self.next }
    }

    fn take(&self) -> bool {
        let is_taken = self.list().pop() == Ok(Some(0));
        if is_taken {
            self.parts.begin();
        }
        is_taken
    }

    /// Reads and overwrites what it has of the buffer, and gives it back.
    fn use_up(&self, piece: usize, expected: u32) {
        assert_eq!(self.bytes[piece].get(), expected);
        self.bytes[piece].set(9);
        self.leave();
    }

    fn leave(&self) {
        if self.parts.leave() {
            self.list().push(0);
        }
    }

    /// Writes the whole buffer, if it is free.
    fn overwrite(&self) -> bool {
        let is_taken = self.take();
        if is_taken {
            self.bytes.iter().for_each(|byte| byte.set(7));
            self.leave();
        }
        is_taken
    }
}

/// [async-backends 156] The poll thread fills a buffer piece by piece and gives one to another thread; the other is its own,
/// and has its part. Whoever takes the buffer again finds that all are done with it; and it is free once.
#[test]
fn a_buffer_is_free_after_its_last_piece() {
    model(|| {
        let (pool, piece) = Pool::begun();
        let taker = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.overwrite())
        };
        pool.bytes[1].set(2);
        pool.use_up(1, 2);
        let was_free = taker.join().expect("it ends");
        piece.join().expect("it ends");
        assert_eq!(pool.list().count(), 1);
        assert!(pool.overwrite() || was_free);
        assert_eq!(pool.list().count(), 1, "it is free once");
    });
}

/// [async-backends 156] Half a buffer is used up, and the poll thread gives the rest of it up: it is given out whole only when
/// the piece is back, and otherwise goes back with that.
#[test]
fn a_buffer_with_a_piece_out_is_not_given_out() {
    model(|| {
        let (pool, piece) = Pool::begun();
        if pool.parts.is_last() {
            pool.bytes.iter().for_each(|byte| byte.set(7));
        }
        pool.leave();
        piece.join().expect("it ends");
        assert!(pool.overwrite());
    });
}
