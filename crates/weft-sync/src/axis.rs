//! The identity of one timeline, packed in 64 bits.
//!
//! What lives here: [`Axis`], its fields and its text form, and [`CompletionCounter`], which numbers the epochs
//! of an axis whose work completes out of order. What does not: what has been reached (`tracker.rs`), sets of
//! (axis, epoch) (`frontier`).
//!
//! | bits  | field         | notes                                              |
//! |-------|---------------|----------------------------------------------------|
//! | 63–56 | session       | generation of the causal domain, 1 unless told     |
//! | 55–48 | machine       | assigned when a machine joins the session          |
//! | 47–40 | domain        | queue, collective, epilogue, host                  |
//! | 39–0  | ordinal       | within the domain; wider values are masked         |
//!
//! The same logical topology gives the same axes on every machine and in every run of a session, so frontiers
//! travel between machines untranslated. Axes compare as numbers: by session, machine, domain, ordinal.

use crate::atomic::{AtomicU64, Ordering};
use std::fmt;

const SESSION_SHIFT: u32 = 56;
const MACHINE_SHIFT: u32 = 48;
const DOMAIN_SHIFT: u32 = 40;
const DEVICE_SHIFT: u32 = 32;
const QUEUE_SHIFT: u32 = 24;
const ORDINAL_MASK: u64 = (1 << DOMAIN_SHIFT) - 1;

/// What kind of timeline an axis names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Domain {
    /// A queue of a device; the ordinal holds device and queue index.
    Queue = 0,
    /// A collective channel: one axis for all queues that take part.
    Collective = 1,
    /// Work that runs after other work, under a free identity.
    Epilogue = 2,
    /// A thread or context of the host.
    Host = 3,
}

impl Domain {
    /// The domain with this number, if there is one.
    pub const fn from_raw(raw: u8) -> Option<Domain> {
        match raw {
            0 => Some(Domain::Queue),
            1 => Some(Domain::Collective),
            2 => Some(Domain::Epilogue),
            3 => Some(Domain::Host),
            _ => None,
        }
    }
}

/// The names of one timeline: one source of epochs that only rise.
///
/// Any 64 bits are an axis, since axes come from other machines too. Zero is never assigned (sessions count
/// from 1) and stands for "no axis" where tables need such a value.
///
/// ```
/// use weft_sync::{Axis, Domain, Machine};
/// let here = Machine { session: 1, index: 3 };
/// let axis = here.queue(1, 0);
/// assert_eq!(axis.raw(), 0x0103_0001_0000_0000);
/// assert_eq!((axis.domain(), axis.device_index()), (Some(Domain::Queue), 1));
/// assert_eq!(axis.to_string(), "s1.m3.q1:0");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Axis(u64);

impl Axis {
    /// The axis with these 64 bits.
    ///
    /// ```
    /// assert_eq!(weft_sync::Axis::from_raw(0x0103_0300_0000_0007).to_string(), "s1.m3.h7");
    /// ```
    #[inline]
    pub const fn from_raw(raw: u64) -> Axis {
        Axis(raw)
    }

    /// The 64 bits.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The session, which tells runs apart.
    pub const fn session(self) -> u8 {
        (self.0 >> SESSION_SHIFT) as u8
    }

    /// The machine on which the timeline lives.
    pub const fn machine_index(self) -> u8 {
        (self.0 >> MACHINE_SHIFT) as u8
    }

    /// Session and machine, from which further axes of the same place are made.
    pub const fn machine(self) -> Machine {
        Machine { session: self.session(), index: self.machine_index() }
    }

    /// The kind of timeline; `None` for a number that no domain has (another machine may be newer).
    pub const fn domain(self) -> Option<Domain> {
        Domain::from_raw(self.domain_raw())
    }

    /// The number of the domain.
    pub const fn domain_raw(self) -> u8 {
        (self.0 >> DOMAIN_SHIFT) as u8
    }

    /// The 40 bits that tell timelines of one domain apart.
    pub const fn ordinal(self) -> u64 {
        self.0 & ORDINAL_MASK
    }

    /// The device of a queue axis.
    pub const fn device_index(self) -> u8 {
        (self.0 >> DEVICE_SHIFT) as u8
    }

    /// The queue within its device, of a queue axis.
    pub const fn queue_index(self) -> u8 {
        (self.0 >> QUEUE_SHIFT) as u8
    }
}

/// `s1.m3.q1:0` (device and queue), `s1.m3.c42`, `s1.m3.e99`, `s1.m3.h7`.
impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}.m{}.", self.session(), self.machine_index())?;
        match self.domain() {
            Some(Domain::Queue) => {
                write!(f, "q{}:{}", self.device_index(), self.queue_index())?;
                match self.ordinal() & ((1 << QUEUE_SHIFT) - 1) {
                    0 => Ok(()),
                    reserved => write!(f, "+{reserved}"),
                }
            }
            Some(Domain::Collective) => write!(f, "c{}", self.ordinal()),
            Some(Domain::Epilogue) => write!(f, "e{}", self.ordinal()),
            Some(Domain::Host) => write!(f, "h{}", self.ordinal()),
            None => write!(f, "d{}:{}", self.domain_raw(), self.ordinal()),
        }
    }
}

impl fmt::Debug for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place from which axes are named: one machine in one session.
///
/// ```
/// use weft_sync::Machine;
/// let here = Machine::LOCAL;
/// assert_eq!(here.collective(42).to_string(), "s1.m0.c42");
/// assert!(here.queue(0, 1) < here.collective(0), "queues sort before collectives");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Machine {
    /// Generation of the causal domain; never 0 unless somebody asks for it.
    pub session: u8,
    /// Index of the machine in the session.
    pub index: u8,
}

impl Machine {
    /// Machine 0 of session 1: what a program that talks to no other machine uses.
    pub const LOCAL: Machine = Machine { session: 1, index: 0 };

    /// The axis of `ordinal` in `domain`; bits of the ordinal beyond the 40th are dropped.
    pub const fn axis(self, domain: Domain, ordinal: u64) -> Axis {
        Axis(
            (self.session as u64) << SESSION_SHIFT
                | (self.index as u64) << MACHINE_SHIFT
                | (domain as u64) << DOMAIN_SHIFT
                | ordinal & ORDINAL_MASK,
        )
    }

    /// The axis of queue `queue` of device `device`.
    pub const fn queue(self, device: u8, queue: u8) -> Axis {
        self.axis(Domain::Queue, (device as u64) << DEVICE_SHIFT | (queue as u64) << QUEUE_SHIFT)
    }

    /// The axis of a collective channel.
    pub const fn collective(self, channel: u64) -> Axis {
        self.axis(Domain::Collective, channel)
    }

    /// The axis of an epilogue.
    pub const fn epilogue(self, id: u64) -> Axis {
        self.axis(Domain::Epilogue, id)
    }

    /// The axis of a host context.
    pub const fn host(self, context: u64) -> Axis {
        self.axis(Domain::Host, context)
    }
}

/// Numbers completions of work that ends in any order, so that the numbers are epochs.
///
/// "Axis at epoch N" promises that all work numbered up to N is complete *and visible*. A queue that runs work
/// in order numbers it at submission; one that does not numbers it here, after the effects of the work:
///
/// 1. Each completion writes its effects, then takes a number by one acquire-release read-modify-write.
/// 2. The numbers form one chain of such writes, so whoever acquires number N, or any later one, sees the effects
///    of every completion up to N; so does whoever learns N from a thread that took one.
///
/// ```
/// let completions = weft_sync::CompletionCounter::new();
/// assert_eq!((completions.complete(), completions.complete()), (1, 2));
/// assert_eq!(completions.completed(), 2);
/// ```
#[derive(Debug)]
pub struct CompletionCounter(AtomicU64);

impl CompletionCounter {
    /// Nothing has completed.
    pub fn new() -> CompletionCounter {
        CompletionCounter(AtomicU64::new(0))
    }

    /// Takes the next epoch for work whose effects have been written.
    #[inline]
    pub fn complete(&self) -> u64 {
        // Release publishes the effects; Acquire takes in those of all earlier numbers, so that whoever is told
        // of this number by this thread has them too.
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The last epoch taken; the effects of all work up to it are visible to the caller.
    #[inline]
    pub fn completed(&self) -> u64 {
        // Pairs with the Release in `complete`.
        self.0.load(Ordering::Acquire)
    }
}

impl Default for CompletionCounter {
    fn default() -> CompletionCounter {
        CompletionCounter::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const HERE: Machine = Machine { session: 1, index: 3 };

    /// [causal 1] Every field comes back, also with all bits set.
    #[test]
    fn fields_survive_packing() {
        let fields = |axis: Axis| (axis.session(), axis.machine_index(), axis.domain(), axis.ordinal());
        let queue = HERE.queue(7, 9);
        assert_eq!(fields(queue), (1, 3, Some(Domain::Queue), 0x07_0900_0000));
        assert_eq!((queue.device_index(), queue.queue_index()), (7, 9));
        assert_eq!(fields(HERE.collective(42)), (1, 3, Some(Domain::Collective), 42));
        assert_eq!(fields(HERE.epilogue(99)), (1, 3, Some(Domain::Epilogue), 99));
        assert_eq!(fields(HERE.host(7)), (1, 3, Some(Domain::Host), 7));
        for axis in [queue, HERE.collective(42)] {
            assert_eq!(axis.machine(), HERE);
            assert_eq!(Axis::from_raw(axis.raw()), axis);
        }
        let full = Machine { session: 255, index: 255 };
        assert_eq!(fields(full.host(ORDINAL_MASK)), (255, 255, Some(Domain::Host), ORDINAL_MASK));
        let queue = full.queue(255, 255);
        assert_eq!((queue.device_index(), queue.queue_index()), (255, 255));
        assert_eq!(fields(Axis::from_raw(u64::MAX)), (255, 255, None, ORDINAL_MASK));
    }

    /// [causal 2] An ordinal that is too wide loses its upper bits and touches nothing else.
    #[test]
    fn wide_ordinals_are_masked() {
        for domain in [Domain::Queue, Domain::Collective, Domain::Epilogue, Domain::Host] {
            let axis = HERE.axis(domain, u64::MAX);
            assert_eq!((axis.domain(), axis.ordinal(), axis.machine()), (Some(domain), ORDINAL_MASK, HERE));
        }
        assert_eq!(HERE.collective(1 << 40 | 5), HERE.collective(5));
    }

    /// [causal 3] Axes sort by session, then machine, domain, ordinal.
    #[test]
    fn numeric_order_is_field_order() {
        let place = |session, index| Machine { session, index };
        let rising = [
            place(1, 0).queue(0, 0),
            place(1, 0).queue(0, 1),
            place(1, 0).queue(1, 0),
            place(1, 0).collective(0),
            place(1, 0).epilogue(0),
            place(1, 0).host(0),
            place(1, 1).queue(0, 0),
            place(2, 0).queue(0, 0),
        ];
        assert!(rising.is_sorted() && rising.map(Axis::raw).is_sorted());
    }

    /// [causal 4] The values that the specification spells out.
    #[test]
    fn example_values() {
        assert_eq!(HERE.queue(1, 0).raw(), 0x0103_0001_0000_0000);
        assert_eq!(HERE.collective(42).raw(), 0x0103_0100_0000_002A);
        assert_eq!(HERE.host(7).raw(), 0x0103_0300_0000_0007);
    }

    #[test]
    fn text_names_what_the_bits_say() {
        let text = |axis: Axis| axis.to_string();
        assert_eq!(text(HERE.queue(1, 0)), "s1.m3.q1:0");
        assert_eq!(text(HERE.collective(42)), "s1.m3.c42");
        assert_eq!(text(HERE.epilogue(99)), "s1.m3.e99");
        assert_eq!(format!("{:?}", HERE.host(7)), "s1.m3.h7");
        assert_eq!(text(HERE.axis(Domain::Queue, 5)), "s1.m3.q0:0+5");
        assert_eq!(text(Axis::from_raw(0x0103_0900_0000_0007)), "s1.m3.d9:7");
    }
}
