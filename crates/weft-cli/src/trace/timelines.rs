//! Names of semaphores. Records tell them apart by where they are, and a place is used again when a semaphore is gone;
//! values only rise, so one that does not is of a new semaphore.

use std::collections::HashMap;

use weft::hal::profile::{QueueEvent, TimelinePoint};

use super::Traced;

/// Names of the points that submissions wait for and signal, in the order of their records.
#[derive(Debug, Default)]
pub struct Timelines {
    /// By device and submission: names of waits, names of signals.
    names: HashMap<(usize, u64), (Vec<String>, Vec<String>)>,
    /// By place: the number, and the last value that was seen.
    known: HashMap<u64, (u64, u64)>,
    count: u64,
}

impl Timelines {
    /// Names everything in the profiles of all devices, which share semaphores.
    pub fn of(devices: &[Traced]) -> Timelines {
        let mut timelines = Timelines::default();
        let mut ended: Vec<(usize, &QueueEvent)> = Vec::new();
        for (ordinal, Traced { profile, .. }) in devices.iter().enumerate() {
            ended.extend(profile.queue.iter().map(|event| (ordinal, event)));
        }
        // In this order every semaphore is seen to rise.
        ended.sort_by_key(|(_, event)| event.end_ns);
        for (ordinal, event) in ended {
            let waits = event.waits.kept().iter().map(|point| timelines.awaited(point)).collect();
            let signals = event.signals.kept().iter().map(|point| timelines.signalled(point)).collect();
            timelines.names.insert((ordinal, event.submission), (waits, signals));
        }
        timelines
    }

    /// What a submission waited for.
    pub fn waits(&self, device: usize, submission: u64) -> &[String] {
        self.names.get(&(device, submission)).map_or(&[], |(waits, _)| waits)
    }

    /// What it signals.
    pub fn signals(&self, device: usize, submission: u64) -> &[String] {
        self.names.get(&(device, submission)).map_or(&[], |(_, signals)| signals)
    }

    fn awaited(&mut self, point: &TimelinePoint) -> String {
        let number = match self.known.get(&point.semaphore) {
            Some(&(number, _)) => number,
            // Signalled by somebody else, such as the host.
            None => self.new_number(point.semaphore, 0),
        };
        name(number, point.value)
    }

    fn signalled(&mut self, point: &TimelinePoint) -> String {
        let number = match self.known.get_mut(&point.semaphore) {
            Some((number, last)) if *last < point.value => {
                *last = point.value;
                *number
            }
            _ => self.new_number(point.semaphore, point.value),
        };
        name(number, point.value)
    }

    fn new_number(&mut self, semaphore: u64, value: u64) -> u64 {
        self.count += 1;
        self.known.insert(semaphore, (self.count, value));
        self.count
    }
}

fn name(number: u64, value: u64) -> String {
    format!("semaphore {number} = {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_does_not_rise_is_another_semaphore() {
        let mut timelines = Timelines::default();
        let point = |value| TimelinePoint { semaphore: 0x1000, value };
        assert_eq!(timelines.signalled(&point(1)), "semaphore 1 = 1");
        assert_eq!(timelines.awaited(&point(1)), "semaphore 1 = 1");
        assert_eq!(timelines.signalled(&point(2)), "semaphore 1 = 2");
        assert_eq!(timelines.signalled(&point(1)), "semaphore 2 = 1");
        assert_eq!(timelines.awaited(&TimelinePoint { semaphore: 0x2000, value: 7 }), "semaphore 3 = 7");
        assert_eq!(timelines.signalled(&TimelinePoint { semaphore: 0x2000, value: 7 }), "semaphore 3 = 7");
    }
}
