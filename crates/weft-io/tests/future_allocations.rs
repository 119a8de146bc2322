//! Awaiting an operation again allocates nothing, and neither does submitting it: shown by counting.
#![cfg(not(loom))]
#![allow(unsafe_code, reason = "an allocator that counts and passes everything on to the system's")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use support::every;
use weft_io::Operation;
use weft_io::ops::{Nop, SemaphoreWait, Timer};
use weft_sync::{Deadline, Point, Semaphore};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count_one() {
    // A thread that is being torn down is not the one that asks.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is passed on unchanged to the system's allocator; counting touches no memory of anybody.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// Thirty-two NOPs at once, a timer and a wait for a timeline, a hundred rounds of each.
#[test]
fn awaiting_again_allocates_nothing() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let semaphore = Arc::new(Semaphore::new(1));
        let allocated = subject.poller.block_on(async {
            let mut nops: Vec<Operation<Nop>> = (0..32).map(|_| Operation::new(Nop)).collect();
            let mut timer = Operation::new(Timer { deadline: Deadline::IMMEDIATE });
            let mut wait = Operation::new(SemaphoreWait::all([Point { semaphore, value: 1 }]));
            let mut running = Vec::with_capacity(32);
            let mut before = 0;
            for round in 0..110 {
                // The first ones fill lists and caches.
                if round == 10 {
                    before = COUNT.get();
                }
                running.extend(nops.drain(..).map(|nop| handle.run(nop)));
                for nop in running.drain(..) {
                    nops.push(nop.await.operation);
                }
                timer = handle.run(timer).await.operation;
                wait = handle.run(wait).await.operation;
            }
            COUNT.get() - before
        });
        assert_eq!(allocated.unwrap(), 0, "{}", subject.name);
    });
}
