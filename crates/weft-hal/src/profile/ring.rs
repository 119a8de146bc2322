//! A bounded gathering place for records of one family.
//!
//! What does not live here: the lock around it and the sink (`profiler.rs`).

/// Records that wait for the next flush, oldest first.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    events: Vec<T>,
    capacity: usize,
    dropped: u64,
}

/// What a flush takes out of a ring.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    pub(crate) events: Vec<T>,
    /// Records that found no room before this batch was taken.
    pub(crate) dropped: u64,
}

impl<T> Batch<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.dropped == 0
    }
}

impl<T> Ring<T> {
    /// Room for so many, taken when they come.
    pub(crate) fn new(capacity: usize) -> Ring<T> {
        Ring { events: Vec::new(), capacity, dropped: 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.events.len() >= self.capacity
    }

    /// Keeps the record, or counts that there was no room.
    pub(crate) fn push(&mut self, event: T) {
        if self.is_full() {
            self.dropped = self.dropped.saturating_add(1);
        } else {
            self.events.push(event);
        }
    }

    pub(crate) fn take(&mut self) -> Batch<T> {
        Batch { events: std::mem::take(&mut self.events), dropped: std::mem::take(&mut self.dropped) }
    }

    /// Puts a batch back in front of what came meanwhile. The newest records give way if there is no room for all.
    pub(crate) fn restore(&mut self, mut batch: Batch<T>) {
        batch.events.append(&mut self.events);
        let excess = batch.events.len().saturating_sub(self.capacity);
        batch.events.truncate(self.capacity);
        self.events = batch.events;
        self.dropped = self.dropped.saturating_add(batch.dropped).saturating_add(excess as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [hal 166] the ring's part: what finds no room is counted, what comes back stays in front.
    #[test]
    fn full_rings_count_what_they_drop() {
        let mut ring = Ring::new(3);
        (0..5).for_each(|event| ring.push(event));
        let batch = ring.take();
        assert_eq!((batch.events.as_slice(), batch.dropped), (&[0, 1, 2][..], 2));
        ring.push(7);
        ring.push(8);
        ring.restore(batch);
        let batch = ring.take();
        assert_eq!((batch.events.as_slice(), batch.dropped), (&[0, 1, 2][..], 4));
        assert!(ring.take().is_empty());
    }
}
