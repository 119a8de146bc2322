//! Sixty-four bits for another proactor, when their turn in a chain comes.
//!
//! What lives here: [`Message`]. What does not: the mailbox (`shared.rs`), sending without an operation
//! ([`Handle::send_message`](crate::Handle::send_message)).
//!
//! **Why a mailbox, and not the kernel's messages from ring to ring** (`MSG_RING`; so `PROACTOR_MESSAGING` is never set).
//! Measured on Linux 6.18, two cores, between two threads, the ring's side with bare rings and nothing else to do:
//!
//! | what                                        | mailbox     | ring to ring            |
//! |---------------------------------------------|-------------|-------------------------|
//! | there and back, one way                     | 5 to 14 µs  | 9 to 12 µs              |
//! | many to one that is awake, each             | 0.1 µs      | 2 µs in batches, 3.6 µs alone |
//! | to one that sleeps, until its callback      | 8.3 µs      | 7.4 µs                  |
//! | to one that sleeps, the sender's call       | 4.9 µs      | 5.6 µs                  |
//!
//! A tenth of the way to a sleeper would be won. A factor of twenty would be lost to one that is awake, since the kernel
//! makes the target do a piece of work for each message where the mailbox is swapped whole; and only the owner of a ring
//! can send by it, so other threads would need the mailbox anyway, and the order of one sender a rule across the two.

use super::{Body, Kind};
use crate::Handle;
use crate::operation::{Params, sealed::Lower};

/// Hands `payload` to the message callback of `target`, which may be the proactor that carries this out. Ends when it
/// lies in the mailbox; with `RESOURCE_EXHAUSTED` if that is full, with `ABORTED` if the target is gone.
///
/// Whoever needs no word of that gives it no callback: then it is dropped when it has ended, and a failure is silent. Or
/// sends without an operation.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who gets it.
    pub target: Handle,
    /// What.
    pub payload: u64,
}

impl Params for Message {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for Message {
    const KIND: Kind = Kind::Message;

    fn body(&mut self) -> Body<'_> {
        Body::Message(self)
    }
}
