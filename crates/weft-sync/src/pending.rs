//! Who waits for which value of one semaphore.
//!
//! What lives here: [`Pending`], the records of one semaphore, lowest value first. What does not: when a record
//! may be taken out (`semaphore.rs`) and how it is fired (`dispatch.rs`).

use crate::callback::Callback;
use crate::semaphore::Forward;
use crate::sleeper::Wake;
use std::collections::VecDeque;
use std::collections::vec_deque::Drain;

/// What happens when a record is fired.
pub(crate) enum Action {
    /// Foreign code runs.
    Call(Callback),
    /// A blocked thread goes on.
    Wake(Wake),
    /// Another semaphore is signalled.
    Forward(Box<Forward>),
}

/// One record: fire `action` once the semaphore has reached `value`.
pub(crate) struct Record {
    pub(crate) value: u64,
    /// Unique within the semaphore; rises, so that records of one value stay in the order of their arrival.
    ticket: u64,
    pub(crate) action: Action,
}

/// The records of one semaphore, ordered by value and then by arrival.
///
/// A ring, because timelines are mostly waited for in rising order: records then come in at one end and leave
/// at the other, and the storage is reused.
#[derive(Default)]
pub(crate) struct Pending {
    records: VecDeque<Record>,
    tickets: u64,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Keeps a record and returns the ticket by which it can be removed again.
    pub(crate) fn insert(&mut self, value: u64, action: Action) -> u64 {
        let ticket = self.tickets;
        self.tickets += 1;
        let record = Record { value, ticket, action };
        // Timelines are mostly waited for in rising order.
        if self.records.back().is_none_or(|last| last.value <= value) {
            self.records.push_back(record);
            return ticket;
        }
        let place = self.records.partition_point(|record| record.value <= value);
        self.records.insert(place, record);
        ticket
    }

    /// Takes one record out; `None` if it has left already.
    pub(crate) fn remove(&mut self, value: u64, ticket: u64) -> Option<Record> {
        let place = self.records.binary_search_by_key(&(value, ticket), |it| (it.value, it.ticket)).ok()?;
        self.records.remove(place)
    }

    /// Whether some record's value is at most `value`.
    pub(crate) fn is_due(&self, value: u64) -> bool {
        self.records.front().is_some_and(|record| record.value <= value)
    }

    /// Takes out every record whose value is at most `value`.
    pub(crate) fn drain_reached(&mut self, value: u64) -> Drain<'_, Record> {
        let count = self.records.partition_point(|record| record.value <= value);
        self.records.drain(..count)
    }

    /// Takes out every record.
    pub(crate) fn drain_all(&mut self) -> Drain<'_, Record> {
        self.records.drain(..)
    }
}
