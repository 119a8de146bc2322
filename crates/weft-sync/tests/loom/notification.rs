//! Observe, look, sleep against publish, signal.

use super::{model, wide_model};
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_sync::Deadline;
use weft_sync::notification::{Notification, WAKE_ALL};

/// What a producer publishes and what a consumer waits for.
struct Shared {
    state: AtomicU32,
    changed: Notification,
}

fn shared(epoch: u32) -> Arc<Shared> {
    Arc::new(Shared { state: AtomicU32::new(0), changed: Notification::at_epoch(epoch) })
}

impl Shared {
    fn publish(&self) {
        // Relaxed on both sides: the notification alone has to order them.
        self.state.fetch_add(1, Ordering::Relaxed);
        self.changed.signal(WAKE_ALL);
    }

    fn wait_for(&self, wanted: u32) {
        loop {
            let observation = self.changed.observe();
            if self.state.load(Ordering::Relaxed) >= wanted {
                break;
            }
            assert!(observation.wait(Deadline::NEVER));
        }
    }
}

/// A consumer that found nothing is woken, and sees what was published; also when the epoch wraps.
#[test]
fn a_wake_is_never_lost() {
    for epoch in [0, u32::MAX] {
        model(move || {
            let it = shared(epoch);
            let producer = thread::spawn({
                let it = Arc::clone(&it);
                move || it.publish()
            });
            it.wait_for(1);
            producer.join().unwrap();
        });
    }
}

/// A wait that ends because of a signal sees what was published before it, without looking any further.
#[test]
fn the_end_of_a_wait_sees_what_was_published() {
    model(|| {
        let it = shared(0);
        let observation = it.changed.observe();
        let producer = thread::spawn({
            let it = Arc::clone(&it);
            move || it.publish()
        });
        assert!(observation.wait(Deadline::NEVER));
        assert_eq!(it.state.load(Ordering::Relaxed), 1);
        producer.join().unwrap();
    });
}

/// Two producers; the consumer needs both.
#[test]
fn two_producers() {
    wide_model(|| {
        let it = shared(0);
        let producers = [(), ()].map(|()| {
            let it = Arc::clone(&it);
            thread::spawn(move || it.publish())
        });
        it.wait_for(2);
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

/// Two consumers are both woken by one signal, and one that leaves does not hide the other.
#[test]
fn two_consumers() {
    wide_model(|| {
        let it = shared(0);
        let consumer = thread::spawn({
            let it = Arc::clone(&it);
            move || it.wait_for(1)
        });
        let producer = thread::spawn({
            let it = Arc::clone(&it);
            move || it.publish()
        });
        it.wait_for(1);
        producer.join().unwrap();
        consumer.join().unwrap();
    });
}
