//! Steps that the function of a sequence has put in: checked and prepared like those that were submitted.

mod support;

use std::sync::Arc;
use support::{Log, Subject, after_ms, every, poll_until};
use weft_io::ops::{Kind, Nop, NotificationWait, SemaphoreWait, Sequence, Step};
use weft_io::{Notification, Operation};
use weft_sync::Code;

/// A sequence of two steps, the second of which is replaced by what `make` makes.
fn replacing(mut make: impl FnMut() -> Step + Send + 'static) -> Sequence {
    Sequence::with_advance(vec![Step::new(Nop), Step::new(Nop)], move |_, next| {
        if let Some(next) = next {
            *next = make();
        }
        Ok(())
    })
}

/// A next step that cannot be submitted ends the sequence once, with the reason, and lies in it.
#[test]
fn a_step_that_cannot_be_one_ends_its_sequence() {
    every(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let log = Log::default();
        let sequence = replacing(|| Step::new(Sequence::new(vec![Step::new(Nop)])));
        let line = log.line("sequence in a sequence");
        let sequence = Operation::new(sequence).on_done(move |done| {
            assert_eq!(done.operation.ended(), 1);
            assert_eq!(done.operation.steps[1].kind(), Kind::Sequence);
            line(done);
        });
        handle.submit(sequence).unwrap();
        // Of no points any cannot be reached.
        let empty = replacing(|| Step::new(SemaphoreWait::any(Vec::new())));
        handle.submit(Operation::new(empty).on_done(log.line("one of none"))).unwrap();
        poll_until(&mut poller, || log.len() == 2);
        let mut lines = log.take();
        lines.sort_unstable();
        let invalid = Some(Code::InvalidArgument);
        assert_eq!(lines, [("one of none", invalid), ("sequence in a sequence", invalid)], "{name}");
        assert_eq!(poller.under_way(), 0);
        assert!(poller.poll(after_ms(1)).is_err());
    });
}

/// A wait that the function puts in knows the epoch at which it starts; one that was submitted, the one of then, whatever
/// function there is.
#[test]
fn a_wait_that_is_put_in_begins_when_it_starts() {
    every(|Subject { name, mut poller, .. }| {
        let handle = poller.handle().clone();
        let log = Log::default();
        let notification = Arc::new(Notification::new());
        notification.signal(1);
        let of = Arc::clone(&notification);
        let put_in = replacing(move || Step::new(NotificationWait::new(Arc::clone(&of))));
        handle.submit(Operation::new(put_in).on_done(log.line("put in"))).unwrap();
        drop(poller.poll(after_ms(5)));
        drop(poller.poll(after_ms(5)));
        assert_eq!(log.len(), 0, "{name}: nothing was signalled since it started");
        let signalled = Arc::clone(&notification);
        let steps = vec![Step::new(Nop), Step::new(NotificationWait::new(Arc::clone(&notification)))];
        let submitted = Sequence::with_advance(steps, move |_, next| {
            if next.is_some() {
                signalled.signal(1);
            }
            Ok(())
        });
        handle.submit(Operation::new(submitted).on_done(log.line("submitted"))).unwrap();
        poll_until(&mut poller, || log.len() == 2);
        assert!(log.take().iter().all(|(_, code)| code.is_none()), "{name}");
    });
}
