//! Turnstiles: leaving against waiting, leaving against cancelling, and that one alone is alone.

use super::{model, wide_model};
use loom::sync::atomic::AtomicU32;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weft_sync::{CancelToken, Code, Turnstile};

/// What is protected: two steps that nobody else comes between, and that whoever enters later sees.
#[derive(Default)]
struct Inside(AtomicU32);

impl Inside {
    fn change(&self) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before + 1, Ordering::Relaxed);
    }

    fn look(&self) -> u32 {
        let seen = self.0.load(Ordering::Relaxed);
        assert_eq!(seen, self.0.load(Ordering::Relaxed));
        seen
    }
}

/// Whoever waits is let in by whoever leaves, in every order, and sees what it did.
#[test]
fn leave_against_wait() {
    model(|| {
        let shared = Arc::new((Turnstile::new(), Inside::default()));
        let theirs = Arc::clone(&shared);
        let other = thread::spawn(move || {
            let passage = theirs.0.enter(true, None).unwrap();
            theirs.1.change();
            drop(passage);
        });
        let passage = shared.0.enter(true, None).unwrap();
        shared.1.change();
        drop(passage);
        other.join().unwrap();
        let passage = shared.0.enter(false, None).unwrap();
        assert_eq!(shared.1.look(), 2);
        drop(passage);
    });
}

/// Two who share and one who wants it alone.
#[test]
fn sharers_against_one_alone() {
    wide_model(|| {
        let shared = Arc::new((Turnstile::new(), Inside::default()));
        let sharer = |shared: Arc<(Turnstile, Inside)>| {
            thread::spawn(move || {
                let passage = shared.0.enter(false, None).unwrap();
                let seen = shared.1.look();
                drop(passage);
                seen
            })
        };
        let sharers = [sharer(Arc::clone(&shared)), sharer(Arc::clone(&shared))];
        let passage = shared.0.enter(true, None).unwrap();
        shared.1.change();
        drop(passage);
        for sharer in sharers {
            assert!(sharer.join().unwrap() <= 1);
        }
    });
}

/// Somebody stays inside: only the cancel can end the wait, however early or late it comes.
#[test]
fn cancel_against_wait() {
    model(|| {
        let (place, token) = (Turnstile::new(), CancelToken::new());
        let stays = place.enter(false, None).unwrap();
        let canceller = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        assert_eq!(place.enter(true, Some(&token)).unwrap_err().code(), Code::Cancelled);
        canceller.join().unwrap();
        drop(place.enter(false, None).unwrap());
        drop(stays);
        drop(place.enter(true, None).unwrap());
    });
}

/// The first in the queue is cancelled while somebody leaves: the place goes to the other one, or to both.
#[test]
fn cancel_against_leave() {
    wide_model(|| {
        let (shared, token) = (Arc::new(Turnstile::new()), CancelToken::new());
        let inside = shared.enter(true, None).unwrap();
        let cancellable = thread::spawn({
            let (shared, token) = (Arc::clone(&shared), token.clone());
            move || match shared.enter(true, Some(&token)) {
                Ok(passage) => drop(passage),
                Err(status) => assert_eq!(status.code(), Code::Cancelled),
            }
        });
        let other = thread::spawn({
            let shared = Arc::clone(&shared);
            move || drop(shared.enter(false, None).unwrap())
        });
        token.cancel();
        drop(inside);
        cancellable.join().unwrap();
        other.join().unwrap();
        drop(shared.enter(true, None).unwrap());
    });
}
