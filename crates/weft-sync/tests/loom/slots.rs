//! Insert and take from several threads; the cells of the table are watched for races.

use super::model;
use loom::thread;
use std::sync::Arc;
use weft_sync::slots::{Handle, Slots};

/// Of two that take one handle, one gets the value, and the slot can be used again at once.
#[test]
fn take_against_take() {
    model(|| {
        let slots = Arc::new(Slots::new(1));
        let handle = slots.insert(7).unwrap();
        let other = thread::spawn({
            let slots = Arc::clone(&slots);
            move || slots.take(handle)
        });
        let mine = slots.take(handle);
        if mine.is_some() {
            let again = slots.insert(8).unwrap();
            assert_eq!(slots.take(handle), None, "the old handle does not name the new value");
            assert_eq!(slots.take(again), Some(8));
        }
        let theirs = other.join().unwrap();
        assert!(mine.is_some() != theirs.is_some());
        assert_eq!(mine.or(theirs), Some(7));
    });
}

/// Two threads insert and take in a table of two: both always find room, neither sees the other's value.
#[test]
fn insert_and_take_from_two_threads() {
    model(|| {
        let slots = Arc::new(Slots::new(2));
        let other = thread::spawn({
            let slots = Arc::clone(&slots);
            move || {
                for value in [10, 11] {
                    let handle = slots.insert(value).unwrap();
                    assert_eq!(slots.take(handle), Some(value));
                }
            }
        });
        for value in [20, 21] {
            let handle = slots.insert(value).unwrap();
            assert_eq!(slots.take(handle), Some(value));
        }
        other.join().unwrap();
    });
}

/// A slot that goes round between another thread's look at the stack and its exchange is noticed by the tag.
#[test]
fn a_slot_that_goes_round_is_noticed() {
    model(|| {
        let slots = Arc::new(Slots::new(2));
        let first = slots.insert(1).unwrap();
        let other = thread::spawn({
            let slots = Arc::clone(&slots);
            move || slots.insert(5).ok()
        });
        // Pops, pushes and pushes again in another order, while the other thread pops.
        let second = slots.insert(2).ok();
        assert_eq!(slots.take(first), Some(1));
        let taken = second.and_then(|handle| slots.take(handle));
        assert_eq!(taken, second.map(|_| 2));
        let theirs = other.join().unwrap();
        assert!(second.is_some() || theirs.is_some(), "one slot was free");
        assert_eq!(theirs.and_then(|handle| slots.take(handle)), theirs.map(|_| 5));
        let refill = [slots.insert(6), slots.insert(7)];
        assert!(refill.iter().all(Result::is_ok) && slots.insert(8).is_err(), "no slot was lost or doubled");
    });
}

/// A handle may come by any way, also one that orders nothing: the slot itself hands the value over.
#[test]
fn a_guessed_handle_finds_a_whole_value() {
    model(|| {
        let slots = Arc::new(Slots::new(1));
        let guess = slots.insert(0).unwrap();
        assert_eq!(slots.take(guess), Some(0));
        let next = Handle::from_raw(guess.raw() + (1 << 32));
        let other = thread::spawn({
            let slots = Arc::clone(&slots);
            move || assert_eq!(slots.insert(7), Ok(next))
        });
        assert_eq!(slots.take(guess), None);
        let found = slots.take(next);
        assert!(found.is_none() || found == Some(7));
        other.join().unwrap();
        assert_eq!(found.or_else(|| slots.take(next)), Some(7));
    });
}
