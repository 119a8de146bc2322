//! Free places: taken once, given back by several threads, while the stack is closed.

use super::{Plain, model};
use loom::thread;
use std::ptr;
use std::sync::Arc;
use weft_io::model::FreeStack;

/// Two threads take and give back: no place has two owners, also when it comes back on top between the look and the
/// exchange of the other. [async 107]
#[test]
fn a_place_has_one_owner() {
    model(|| {
        let stack = Arc::new(FreeStack::<()>::new());
        let owned = Arc::new([(); 2].map(|()| Plain::new(0)));
        for _ in 0..2 {
            let index = stack.make().expect("there is room");
            assert!(stack.push(index));
        }
        let work = {
            let (stack, owned) = (Arc::clone(&stack), Arc::clone(&owned));
            move || {
                let taken = [stack.pop(), stack.pop()];
                for index in taken.into_iter().flatten() {
                    owned[index as usize].set(1);
                }
                for index in taken.into_iter().flatten() {
                    assert_eq!(owned[index as usize].get(), 1, "two owners");
                    owned[index as usize].set(0);
                    assert!(stack.push(index));
                }
            }
        };
        let other = thread::spawn(work.clone());
        work();
        other.join().expect("it ends");
        let mut left = 0;
        stack.close(|_| left += 1);
        assert_eq!(left, 2, "none is lost");
    });
}

/// What lies in a place is given to whoever takes it. A push that a close overtakes leaves the place to its owner: every
/// place is somebody's, once.
#[test]
fn a_closed_stack_leaves_places_to_their_owners() {
    model(|| {
        let stack = Arc::new(FreeStack::<u32>::new());
        let (first, second) = (stack.make().expect("room"), stack.make().expect("room"));
        let giver = {
            let stack = Arc::clone(&stack);
            thread::spawn(move || {
                // Never read through: a place that is not null is enough.
                stack.exchange(first, ptr::dangling_mut());
                u32::from(!stack.push(first)) + u32::from(!stack.push(second))
            })
        };
        let mut found = 0;
        if let Some(index) = stack.pop() {
            found += 1;
            let value = stack.exchange(index, ptr::null_mut());
            assert_eq!(value.is_null(), index != first, "the value came with the place");
        }
        stack.close(|index| {
            found += 1;
            assert!(index == first || index == second);
        });
        let kept = giver.join().expect("it ends");
        assert_eq!(found + kept, 2);
        assert_eq!(stack.pop(), None);
    });
}
