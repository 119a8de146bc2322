//! Panics of code that belongs to the user: they must not take down a worker, nor whoever happens to be the last one to
//! hold something.
//!
//! The panic hook has said what there is to say by the time a panic is caught here. Under the model checker nothing is
//! caught: what fails in a model has to end it.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Calls what belongs to the user, and survives it.
pub(crate) fn contain(body: impl FnOnce()) {
    if let Some(payload) = caught(body) {
        discard(payload);
    }
}

/// Calls what belongs to the user; what it panicked with, for those who pass it on.
pub(crate) fn caught(body: impl FnOnce()) -> Option<Payload> {
    if cfg!(loom) {
        body();
        return None;
    }
    catch_unwind(AssertUnwindSafe(body)).err()
}

/// What was said in a panic.
pub(crate) fn message(payload: &Payload) -> String {
    let text = payload.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Drops what a panic carried; that is the user's too and may panic in turn.
pub(crate) fn discard(payload: Payload) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // One that panics once more is leaked: there is no end to that road.
        mem::forget(another);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::panic::panic_any;

    /// Panics again whenever it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic_any(Bomb);
            }
        }
    }

    #[test]
    fn a_payload_that_panics_is_survived() {
        contain(|| panic_any(Bomb));
    }

    #[test]
    fn messages_are_read() {
        for (body, said) in [
            ((|| panic!("plain")) as fn(), "plain"),
            (|| panic!("with {}", 1), "with 1"),
            (|| panic_any(7), ""),
        ] {
            let payload = caught(body).unwrap();
            assert_eq!(message(&payload), said);
        }
    }
}
