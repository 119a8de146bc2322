//! What everything has come to.

use std::collections::BTreeMap;
use weft_sync::Status;

/// Failures that are told one by one; the rest is counted.
const TOLD_MAX: usize = 20;

/// Bytes of one kind of connection, of those that are over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    pub opened: u64,
    /// What entered: what an end has sent. At a far end alone in its process: what it has received.
    pub entered: u64,
    /// What arrived at the other end, or came back. At a far end alone in its process: what it has sent back.
    pub arrived: u64,
    /// The difference, which only a connection that was broken has.
    pub lost: u64,
}

/// Connections open at the same time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open {
    /// With both ends in this process.
    pub inside: usize,
    /// With one end in another.
    pub outside: usize,
}

impl Open {
    pub fn all(self) -> usize {
        self.inside + self.outside
    }
}

impl std::fmt::Display for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Open { inside, outside } = self;
        write!(f, "{} ({inside} inside, {outside} outside)", self.all())
    }
}

/// What everything has come to.
#[derive(Debug, Default)]
pub struct Totals {
    pub opened: u64,
    pub refused: u64,
    pub late: u64,
    pub cancels: u64,
    pub bytes: u64,
    /// Sockets that the ring knew by a place in its table.
    pub registered: u64,
    /// How often something was received in which way.
    pub ways: BTreeMap<&'static str, u64>,
    pub inside: Sums,
    pub outside: Sums,
    /// The most that were seen open.
    pub most: Open,
    /// Of those with an end in another process, and of the others.
    pub fates: BTreeMap<(bool, String), u64>,
    pub failures: BTreeMap<String, u64>,
    unexpected: Vec<String>,
    unexpected_count: u64,
}

impl Totals {
    /// The sums of those with one end in another process, or of the others.
    pub fn sums(&mut self, is_outside: bool) -> &mut Sums {
        if is_outside { &mut self.outside } else { &mut self.inside }
    }

    /// Something that may be.
    pub fn failed(&mut self, why: &Status, what: &str) {
        *self.failures.entry(format!("{what}: {}", why.code())).or_default() += 1;
    }

    /// Something that may not be.
    pub fn unexpected(&mut self, what: String) {
        self.unexpected_count += 1;
        if self.unexpected.len() < TOLD_MAX {
            self.unexpected.push(what);
        }
    }

    /// So many are open now.
    pub fn see(&mut self, now: Open) {
        if now.all() > self.most.all() {
            self.most = now;
        }
    }

    /// Every byte is accounted for, or `unexpected` knows. At far ends alone in their process what enters is what is
    /// received; elsewhere it is what arrives.
    pub fn close_the_books(&mut self, is_alone: bool) {
        for Sums { entered, arrived, lost, .. } in [self.inside, self.outside] {
            if entered != arrived + lost {
                self.unexpected(format!("the sums do not agree: {entered} is not {arrived} + {lost}"));
            }
        }
        let received =
            if is_alone { self.outside.entered } else { self.inside.arrived + self.outside.arrived };
        if received != self.bytes {
            self.unexpected(format!("{received} bytes were received, and {} were seen", self.bytes));
        }
    }

    /// What may be, for people.
    pub fn told(&self) -> Vec<String> {
        let fates = self.fates.iter().map(|((is_outside, fate), count)| {
            let place = if *is_outside { "outside" } else { "inside" };
            format!("{:<64} {count:>9}", format!("{place}, {fate}"))
        });
        let ways =
            self.ways.iter().map(|(way, count)| format!("{:<64} {count:>9}", format!("received into {way}")));
        let failures = self.failures.iter().map(|(failure, count)| format!("{failure:<64} {count:>9}"));
        let registered = format!("{:<64} {:>9}", "registered sockets", self.registered);
        fates.chain(ways).chain(failures).chain([registered]).collect()
    }

    /// What may not be, for people.
    pub fn wrong(&mut self) -> Vec<String> {
        let mut wrong = std::mem::take(&mut self.unexpected);
        let untold = self.unexpected_count - wrong.len() as u64;
        if untold > 0 {
            wrong.push(format!("and {untold} more"));
        }
        wrong
    }
}
