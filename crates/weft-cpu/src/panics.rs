//! Panics of the user's code: what they said, and how they are survived.
//!
//! What does not live here: where panics are caught, which is at every call of a kernel or of a host function, and where
//! this device moves timelines on, which calls whoever waits for them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The text of a panic, without what carried it.
#[cold]
pub(crate) fn text(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&'static str>().copied().map(str::to_owned);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    discard(payload);
    text.unwrap_or_else(|| "(no text)".to_owned())
}

/// Calls what may call the user, who has heard of a panic by the panic hook. The device goes on: others wait for it.
#[inline]
pub(crate) fn contain(body: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
        discard(payload);
    }
}

/// The payload is the user's too, and may panic when it is dropped. One that panics once more is leaked.
#[cold]
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use super::text;
    use std::panic::{catch_unwind, panic_any, resume_unwind};

    /// Panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new("again"));
        }
    }

    #[test]
    fn payloads_are_read_and_survived() {
        for (body, said) in [
            ((|| panic!("plain")) as fn(), "plain"),
            (|| panic!("with {}", 1), "with 1"),
            (|| panic_any(7), "(no text)"),
            (|| resume_unwind(Box::new(Bomb)), "(no text)"),
        ] {
            assert_eq!(text(catch_unwind(body).unwrap_err()), said);
        }
    }
}
