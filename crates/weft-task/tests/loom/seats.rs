//! Numbers of threads: one holder each, and the next one finds what the last one did.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::sync::atomic::AtomicU32;
use weft_task::Seats;

use crate::model;

/// What belongs to two numbers, without any lock.
struct Field {
    seats: Seats,
    scratch: [AtomicU32; 2],
}

impl Field {
    /// Whether there was a number for it.
    fn visit(&self, count: u32) -> bool {
        let Some(seat) = self.seats.take(count) else { return false };
        let scratch = &self.scratch[seat.number() as usize];
        // Relaxed, in two steps: without an edge from the holder before the model also tries the old value.
        scratch.store(scratch.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        true
    }
}

fn visits(threads: u32, count: u32) {
    let scratch = [AtomicU32::new(0), AtomicU32::new(0)];
    let field = Arc::new(Field { seats: Seats::new(), scratch });
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let field = Arc::clone(&field);
            loom::thread::spawn(move || u32::from(field.visit(count)))
        })
        .collect();
    let mut done = u32::from(field.visit(count)) + u32::from(field.visit(count));
    done += others.into_iter().map(|other| other.join().unwrap()).sum::<u32>();
    let seen: u32 = field.scratch.iter().map(|scratch| scratch.load(Ordering::Relaxed)).sum();
    assert_eq!(seen, done);
    assert!(done > 0 && field.seats.take(1).is_some_and(|seat| seat.number() == 0));
}

/// [hal 158] [hal 160]
#[test]
fn one_number_goes_from_thread_to_thread() {
    model(|| visits(2, 1));
}

/// [hal 158] [hal 160]
#[test]
fn three_threads_and_two_numbers() {
    model(|| visits(3, 2));
}
