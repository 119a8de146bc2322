//! Sixty-four bits for another proactor, when their turn in a chain comes.

use super::{Body, Kind};
use crate::Handle;
use crate::operation::{Params, sealed::Lower};

/// Hands `payload` to the message callback of `target`, which may be the proactor that carries this out. Ends when it
/// lies in the mailbox; with `RESOURCE_EXHAUSTED` if that is full.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who gets it.
    pub target: Handle,
    /// What.
    pub payload: u64,
}

impl Params for Message {
    type Output = ();
}

impl Lower for Message {
    const KIND: Kind = Kind::Message;

    fn body(&mut self) -> Body<'_> {
        Body::Message(self)
    }

    fn output(&mut self, _value: i64) {}
}
