//! An operation that does nothing, by the whole way that operations go.

use super::{Body, Kind};
use crate::operation::{Params, sealed::Lower};

/// Does nothing. Ends at the next poll; those of one batch end in its order.
///
/// ```
/// use weft_io::{Config, Operation, ops::Nop, open_null};
/// use weft_sync::Deadline;
/// let mut poller = open_null(&Config::new()).into_poller()?;
/// poller.handle().submit(Operation::new(Nop)).expect("there is room");
/// assert_eq!(poller.poll(Deadline::NEVER)?, 1);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nop;

impl Params for Nop {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for Nop {
    const KIND: Kind = Kind::Nop;

    fn body(&mut self) -> Body<'_> {
        Body::Nop
    }
}
