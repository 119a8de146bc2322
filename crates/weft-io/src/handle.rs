//! What any thread may ask of a proactor.
//!
//! What lives here: [`Handle`], [`Batch`]. What does not: what the poll thread does about it (`proactor`).
//!
//! 1. `submit` takes a slot, puts the operation there, links the slot into the pending list and rings. A refusal comes
//!    before the first of these that others can see, and gives everything back.
//! 2. A batch takes its slots as operations are added, and shows them to the poll thread all at once.
//! 3. An operation linked behind another is not in the list of pending ones: it is found through the other.

use crate::Capabilities;
use crate::describe::Description;
use crate::doorbell::bell;
use crate::operation::{Operation, Params, Refused, Ticket};
use crate::ops::{Kind, Step};
use crate::proactor::Panics;
use crate::record::Erased;
use crate::shared::{Shared, gone};
use crate::table::{Key, NONE};
use std::fmt;
use std::sync::Arc;
use weft_sync::{Result, Status, bail, status};

/// A proactor as every thread sees it: to submit, to cancel, to wake. Cheap to clone.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<Shared>);

impl Handle {
    /// What the proactor may use: detected and allowed, for all of its life.
    pub fn capabilities(&self) -> Capabilities {
        self.0.description.capabilities
    }

    /// Which backend runs and why.
    pub fn describe(&self) -> &Description {
        &self.0.description
    }

    /// Hands an operation over. It comes back through its callback, on the poll thread; or right here, if it is refused.
    ///
    /// Allocates nothing and makes no system call, unless the poll thread sleeps: then one, to wake it.
    pub fn submit<P: Params>(
        &self,
        operation: impl Into<Operation<P>>,
    ) -> std::result::Result<Ticket, Refused<P>> {
        let (key, erased) = self.admit(operation.into())?;
        let shared = &*self.0;
        shared.table.put(key.index, erased);
        if shared.show(key.index, key.index).is_err() {
            return Err(self.take_back(key));
        }
        Ok(Ticket { proactor: shared.id, key })
    }

    /// Starts a batch.
    pub fn batch(&self) -> Batch<'_> {
        Batch { handle: self, oldest: NONE, newest: NONE, last: None, count: 0 }
    }

    /// Hands independent operations of one kind over, all or none. They start in this order.
    ///
    /// ```
    /// use weft_io::{Config, Operation, ops::Nop, open_null};
    /// let proactor = open_null(&Config { operations_max: 2, ..Config::new() });
    /// let three = (0..3).map(|_| Operation::new(Nop)).collect();
    /// let refused = proactor.handle().submit_all(three).unwrap_err();
    /// assert_eq!(refused.why.code(), weft_sync::Code::ResourceExhausted);
    /// assert_eq!(refused.operations.len(), 3);
    /// ```
    pub fn submit_all<P: Params>(
        &self,
        operations: Vec<Operation<P>>,
    ) -> std::result::Result<(), RefusedAll<P>> {
        let mut batch = self.batch();
        let mut rest = operations.into_iter();
        while let Some(operation) = rest.next() {
            if let Err(refused) = batch.add(operation) {
                let mut operations = back(batch);
                operations.push(refused.operation);
                operations.extend(rest);
                return Err(RefusedAll { why: refused.why, operations });
            }
        }
        batch.submit().map_err(|refused| RefusedAll { why: refused.why, operations: back(refused.batch) })
    }

    /// Asks an operation to end. It still ends exactly once: with `CANCELLED`, or naturally if that comes first. Of no
    /// effect on an operation that has ended, and harmless when asked twice; needs no room anywhere.
    ///
    /// `INVALID_ARGUMENT`: the ticket is of another proactor.
    pub fn cancel(&self, ticket: Ticket) -> Result<()> {
        if ticket.proactor != self.0.id {
            bail!(InvalidArgument, "the ticket is of another proactor");
        }
        // A list that is closed belongs to a proactor that is cancelling everything anyway.
        if self.0.table.cancel(ticket.key) && self.0.cancels.push(ticket.key.index).is_ok() {
            self.0.ring_after(bell::CANCEL);
        }
        Ok(())
    }

    /// Makes the poll under way, or else the next one, return. Several wakes before that count as one. May be called in
    /// a signal handler.
    pub fn wake(&self) {
        self.0.ring(bell::WAKE);
    }

    /// Hands 64 bits to the message callback. `RESOURCE_EXHAUSTED` if the mailbox is full: nothing was sent.
    pub fn send_message(&self, payload: u64) -> Result<()> {
        self.0.mailbox.put(payload)?;
        self.0.ring(bell::MESSAGE);
        Ok(())
    }

    /// Checks an operation and takes a slot for it.
    pub(crate) fn admit<P: Params>(
        &self,
        mut operation: Operation<P>,
    ) -> std::result::Result<(Key, Erased), Refused<P>> {
        let prepared = self.own(operation.proactor()).and_then(|()| operation.prepare(self.capabilities()));
        let why = match prepared {
            Ok(()) => match self.0.acquire() {
                Some(key) => return Ok((key, operation.erase())),
                None => self.exhausted(),
            },
            Err(why) => why,
        };
        operation.release();
        Err(Refused { why, operation })
    }

    /// Whether an operation that one proactor alone can carry out has come to that.
    pub(crate) fn own(&self, proactor: Option<u32>) -> Result<()> {
        match proactor {
            Some(id) if id != self.0.id => {
                bail!(InvalidArgument, "the memory is registered with another proactor")
            }
            _ => Ok(()),
        }
    }

    #[cold]
    fn exhausted(&self) -> Status {
        let count = self.0.table.count();
        status!(ResourceExhausted, "none of the {count} operation slots is free; poll, then submit again")
    }

    #[cold]
    fn take_back<P: Params>(&self, key: Key) -> Refused<P> {
        let erased = self.0.table.take(key.index).expect("put by this thread, and shown to nobody");
        self.0.table.release(key.index);
        let Ok(record) = erased.unerase() else { unreachable!("the same operation") };
        Refused { why: gone(), operation: Operation::from_record(record) }
    }
}

/// What a batch of one kind held.
fn back<P: Params>(batch: Batch<'_>) -> Vec<Operation<P>> {
    batch.into_steps().into_iter().filter_map(|step| step.into_operation().ok()).collect()
}

/// Operations that were not accepted, whole, in order, with their callbacks, and why. Nothing has happened.
#[must_use = "the operations come back here"]
pub struct RefusedAll<P: Params> {
    /// As in [`Refused`].
    pub why: Status,
    /// What was to be submitted.
    pub operations: Vec<Operation<P>>,
}

impl<P: Params> fmt::Debug for RefusedAll<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefusedAll({} of {:?}, {})", self.operations.len(), P::KIND, self.why)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({}, {})", self.0.id, self.0.description.backend)
    }
}

/// Operations that are submitted together: all of them or none.
///
/// [`Batch::add`] starts a chain, [`Batch::then`] continues it: such an operation starts when the one before it has ended
/// well, and ends with `CANCELLED` otherwise. Chains of one batch are independent of each other.
///
/// ```
/// use weft_io::{Config, Operation, ops::{Nop, Timer}, open_null};
/// use weft_sync::Deadline;
/// let mut poller = open_null(&Config::new()).into_poller()?;
/// let handle = poller.handle().clone();
/// let mut batch = handle.batch();
/// batch.add(Timer { deadline: Deadline::IMMEDIATE }).expect("there is room");
/// batch.then(Nop).expect("there is room");
/// batch.submit().expect("the proactor is there");
/// assert_eq!(poller.poll(Deadline::NEVER)?, 2);
/// # weft_sync::Result::Ok(())
/// ```
///
/// Dropped, it submits nothing and drops its operations, all of them: a panic in one of them goes on after the last.
#[must_use = "a batch is submitted as a whole, or not at all"]
pub struct Batch<'a> {
    handle: &'a Handle,
    /// Heads of chains, linked in the pending list's own links.
    oldest: u32,
    newest: u32,
    /// The operation added last; it is put into its slot when it is known what follows it.
    last: Option<(u32, Erased)>,
    count: usize,
}

/// A batch that was not accepted, whole, and why.
#[must_use = "the batch comes back here"]
pub struct RefusedBatch<'a> {
    /// `ABORTED`: the proactor is gone.
    pub why: Status,
    /// What was to be submitted.
    pub batch: Batch<'a>,
}

impl fmt::Debug for RefusedBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefusedBatch({}, {})", self.batch.count, self.why)
    }
}

impl<'a> Batch<'a> {
    /// Adds an operation that depends on none before it.
    pub fn add<P: Params>(
        &mut self,
        operation: impl Into<Operation<P>>,
    ) -> std::result::Result<Ticket, Refused<P>> {
        let (key, erased) = self.handle.admit(operation.into())?;
        self.settle();
        self.handle.0.pending.link(self.newest, key.index);
        if self.oldest == NONE {
            self.oldest = key.index;
        }
        self.newest = key.index;
        Ok(self.take_in(key, erased))
    }

    /// Adds an operation that starts when the one added last has ended well. `INVALID_ARGUMENT` if there is none, or one
    /// of the two is a sequence.
    pub fn then<P: Params>(
        &mut self,
        operation: impl Into<Operation<P>>,
    ) -> std::result::Result<Ticket, Refused<P>> {
        let operation = operation.into();
        let before = self.last.as_ref().map(|(_, erased)| erased.kind());
        if before.is_none() || before == Some(Kind::Sequence) || P::KIND == Kind::Sequence {
            let why = status!(InvalidArgument, "{:?} cannot be linked behind {before:?}", P::KIND);
            return Err(Refused { why, operation });
        }
        let (key, erased) = self.handle.admit(operation)?;
        if let Some((_, before)) = &self.last {
            before.next().set(key.index);
        }
        self.settle();
        Ok(self.take_in(key, erased))
    }

    /// How many operations it has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Submits them all. `ABORTED` if the proactor is gone.
    pub fn submit(mut self) -> std::result::Result<(), RefusedBatch<'a>> {
        self.settle();
        let shared = &*self.handle.0;
        if self.oldest == NONE {
            return Ok(());
        }
        if shared.show(self.oldest, self.newest).is_err() {
            return Err(RefusedBatch { why: gone(), batch: self });
        }
        self.oldest = NONE;
        Ok(())
    }

    /// Takes the operations out again, in the order in which they were added within each chain, and the chains in that of
    /// their heads. Their callbacks stay with them.
    pub fn into_steps(mut self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.count);
        self.unwind(|(chain, operation)| steps.push((chain, Step::from_erased(operation))));
        // Chains come out the newest first, each from its head.
        steps.sort_by_key(|(chain, _)| std::cmp::Reverse(*chain));
        steps.into_iter().map(|(_, step)| step).collect()
    }

    fn take_in(&mut self, key: Key, erased: Erased) -> Ticket {
        self.last = Some((key.index, erased));
        self.count += 1;
        Ticket { proactor: self.handle.0.id, key }
    }

    /// Puts the operation that was added last into its slot.
    fn settle(&mut self) {
        if let Some((index, erased)) = self.last.take() {
            self.handle.0.table.put(index, erased);
        }
    }

    /// Frees every slot: each operation goes to `each`, with the number of its chain counted from the newest.
    fn unwind(&mut self, mut each: impl FnMut((usize, Erased))) {
        self.settle();
        let shared = &*self.handle.0;
        let (mut head, mut chain) = (self.newest, 0);
        // The links of the heads run from the newest to the oldest, for they are not published.
        while self.oldest != NONE {
            let earlier = shared.pending.after(head);
            let mut member = head;
            while member != NONE {
                let Some(operation) = shared.table.take(member) else { break };
                shared.table.release(member);
                member = operation.next().replace(NONE);
                each((chain, operation));
            }
            if head == self.oldest {
                self.oldest = NONE;
            }
            (head, chain) = (earlier, chain + 1);
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let mut panics = Panics::default();
        // Each by itself: one that panics leaves the slots behind it neither taken nor lost.
        self.unwind(|operation| _ = panics.catch(|| drop(operation)));
        match std::thread::panicking() {
            true => panics.forget(),
            false => panics.let_out(),
        }
    }
}
