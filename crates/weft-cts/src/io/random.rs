//! Random chains, sequences and cancels against a model: each operation ends once, in order, as its kind, its
//! predecessor and the cancels allow, and with its effect exactly if it ended well.
//!
//! The model of a chain: a member whose predecessor did not end well ends cancelled, without effect. Any other ends as its
//! kind says; or cancelled, if it was asked to. What waits for nothing that comes is always asked to.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use weft_io::ops::{
    EventWait, FutexWait, Message, Nop, NotificationSignal, NotificationWait, SemaphoreSignal, SemaphoreWait,
    Sequence, Step,
};
use weft_io::{Batch, Capabilities, Event, Handle, Notification, Operation, Params, Ticket};
use weft_sync::{Code, Deadline, Semaphore, status};

use super::subject::{IoCaps, IoSubject, lock, point, poll_dry, poll_until, rounds, timeline, timer};

crate::cases! { $ RANDOM for_each_io_random_case of IoSubject {
    random_chains_follow_the_model: IoCaps::NONE;
    random_sequences_follow_the_model: IoCaps::NONE;
} }

/// A small generator, the same everywhere.
struct Random(u64);

impl Random {
    fn of_round(round: usize) -> Random {
        Random(0x9E37_79B9_7F4A_7C15 ^ (round as u64 + 1).wrapping_mul(0xD129_0D3B_3B1D_6C2B))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What one member does.
#[derive(Clone, Debug)]
enum Deed {
    Nop,
    Timer(u64),
    /// Moves its own timeline.
    Signal(Arc<Semaphore>),
    /// Moves a timeline that has moved already.
    BadSignal,
    /// Waits for what the driver reaches or fails.
    Gate(Arc<Semaphore>, bool),
    Set(Event),
    Stale,
    Tell(Arc<Notification>),
    Message(u64),
    OtherWord,
    Never,
}

impl Deed {
    fn draw(random: &mut Random, number: u64, has_kernel: bool, has_futex: bool) -> Deed {
        match random.below(16) {
            0..=3 => Deed::Nop,
            4 => Deed::Timer(random.below(800)),
            5 | 6 => Deed::Signal(timeline()),
            7 if random.below(3) == 0 => Deed::BadSignal,
            8 => Deed::Gate(timeline(), random.below(4) > 0),
            9 | 10 if has_kernel => Deed::Set(Event::new().unwrap()),
            11 => Deed::Stale,
            12 => Deed::Tell(Arc::new(Notification::new())),
            13 => Deed::Message(number),
            14 if has_futex => Deed::OtherWord,
            15 if random.below(3) == 0 => Deed::Never,
            _ => Deed::Nop,
        }
    }

    /// How it ends if nobody interferes; `None`: not at all.
    fn ends_with(&self) -> Option<Option<Code>> {
        match self {
            Deed::BadSignal => Some(Some(Code::InvalidArgument)),
            Deed::Gate(_, false) => Some(Some(Code::DataLoss)),
            Deed::Never => None,
            _ => Some(None),
        }
    }

    /// Whether its effect is there, if it has one that can be seen.
    fn effect(&self, arrived: &BTreeSet<u64>) -> Option<bool> {
        match self {
            Deed::Signal(moved) => Some(moved.query().unwrap() == 1),
            Deed::Tell(told) => Some(told.epoch() == 1),
            Deed::Message(payload) => Some(arrived.contains(payload)),
            _ => None,
        }
    }

    /// What the driver does for it.
    fn provoke(&self) {
        match self {
            Deed::Gate(gate, true) => gate.signal(1).unwrap(),
            Deed::Gate(gate, false) => gate.fail(status!(DataLoss, "gone")),
            Deed::Set(event) => event.set(),
            _ => {}
        }
    }

    /// Calls `take` with the operation that does this.
    fn operation<T: Take>(&self, handle: &Handle, take: T) -> T::Taken {
        match self {
            Deed::Nop => take.take(Operation::new(Nop)),
            Deed::Timer(microseconds) => {
                take.take(timer(Deadline::after(std::time::Duration::from_micros(*microseconds))))
            }
            Deed::Signal(moved) => take.take(Operation::new(SemaphoreSignal::new([point(moved, 1)]))),
            Deed::BadSignal => take.take(Operation::new(SemaphoreSignal::new([point(&timeline(), 0)]))),
            Deed::Gate(gate, _) => take.take(Operation::new(SemaphoreWait::all([point(gate, 1)]))),
            Deed::Set(event) => take.take(Operation::new(EventWait { event: event.clone() })),
            Deed::Stale => {
                let over = NotificationWait::since(Arc::new(Notification::new()), 7);
                take.take(Operation::new(over))
            }
            Deed::Tell(told) => {
                let tell = NotificationSignal { notification: Arc::clone(told), count: 1 };
                take.take(Operation::new(tell))
            }
            Deed::Message(payload) => {
                take.take(Operation::new(Message { target: handle.clone(), payload: *payload }))
            }
            Deed::OtherWord => {
                take.take(Operation::new(FutexWait { word: Arc::new(AtomicU32::new(0)), expected: 1 }))
            }
            Deed::Never => take.take(timer(Deadline::NEVER)),
        }
    }
}

/// Takes an operation of any kind.
trait Take {
    type Taken;
    fn take<P: Params>(self, operation: Operation<P>) -> Self::Taken;
}

/// How operations ended, in order: chain, member, and the code.
type Ends = Arc<Mutex<Vec<(usize, usize, Option<Code>)>>>;

/// Adds to a batch, with a callback that writes down the end.
struct Add<'b, 'h> {
    batch: &'b mut Batch<'h>,
    chain: usize,
    member: usize,
    ends: Ends,
}

impl Take for Add<'_, '_> {
    type Taken = Ticket;

    fn take<P: Params>(self, operation: Operation<P>) -> Ticket {
        let Add { batch, chain, member, ends } = self;
        let operation = operation.on_done(move |done| {
            let code = done.result.err().map(|status| status.code());
            lock(&ends).push((chain, member, code));
        });
        let added = if member == 0 { batch.add(operation) } else { batch.then(operation) };
        added.expect("there is room")
    }
}

/// Makes a step.
struct AsStep;

impl Take for AsStep {
    type Taken = Step;

    fn take<P: Params>(self, operation: Operation<P>) -> Step {
        Step::new(operation)
    }
}

/// Everything that the driver does, in any order, on its own thread.
fn drive(handle: &Handle, mut orders: Vec<Order>, mut random: Random) -> std::thread::JoinHandle<()> {
    let handle = handle.clone();
    std::thread::spawn(move || {
        while !orders.is_empty() {
            let index = random.below(orders.len() as u64) as usize;
            match orders.swap_remove(index) {
                Order::Cancel(ticket) => handle.cancel(ticket).unwrap(),
                Order::Provoke(deed) => deed.provoke(),
            }
            if random.below(6) == 0 {
                std::thread::yield_now();
            }
        }
    })
}

enum Order {
    Cancel(Ticket),
    Provoke(Deed),
}

/// What is asked for, at random, for a member; whether it is a cancel.
fn orders_for(deed: &Deed, ticket: Ticket, random: &mut Random, orders: &mut Vec<Order>) -> bool {
    let is_cancelled = deed.ends_with().is_none() || random.below(12) == 0;
    if is_cancelled {
        (0..=random.below(2)).for_each(|_| orders.push(Order::Cancel(ticket)));
    }
    orders.push(Order::Provoke(deed.clone()));
    is_cancelled
}

/// What kinds a subject has, and where its messages arrive.
fn prepare(poller: &mut weft_io::Poller, subject: &IoSubject) -> ([bool; 2], Rc<RefCell<BTreeSet<u64>>>) {
    let arrived = Rc::new(RefCell::new(BTreeSet::new()));
    let into = Rc::clone(&arrived);
    poller.on_message(move |payload| assert!(into.borrow_mut().insert(payload), "twice"));
    let has_futex = poller.handle().capabilities().contains(Capabilities::FUTEX_OPERATIONS);
    ([subject.has.contains(IoCaps::KERNEL), has_futex], arrived)
}

/// One chain: what its members do, and which were asked to end.
type Chain = Vec<(Deed, bool)>;

/// Compares what has ended with the model.
fn check(chains: &[Chain], ends: &[(usize, usize, Option<Code>)], arrived: &BTreeSet<u64>, round: usize) {
    let members: usize = chains.iter().map(Vec::len).sum();
    assert_eq!(ends.len(), members, "round {round}: each once");
    for (index, chain) in chains.iter().enumerate() {
        let of_chain: Vec<_> = ends.iter().filter(|(chain, ..)| *chain == index).collect();
        let mut goes_on = true;
        for (member, (deed, is_cancelled)) in chain.iter().enumerate() {
            let &(_, found, code) = of_chain[member];
            let told = format!("round {round}, chain {index}, member {member}, {deed:?}: {code:?}");
            assert_eq!(found, member, "{told}: in order");
            let may_be_cancelled = *is_cancelled || !goes_on;
            let is_right = match code {
                Some(Code::Cancelled) => may_be_cancelled,
                _ => goes_on && deed.ends_with() == Some(code),
            };
            assert!(is_right, "{told}, after a member that ended well: {goes_on}");
            if let Some(effect) = deed.effect(arrived) {
                assert_eq!(effect, code.is_none(), "{told}: the effect");
            }
            goes_on = code.is_none();
        }
    }
}

/// [async 47] [async 48] [async 52] [async-backends 58] [async-backends 60] [async-backends 64] [async-backends 79] Up to six
/// chains of up to twelve members in one batch, with cancels, failures and everything that waits decided by another
/// thread meanwhile.
fn random_chains_follow_the_model(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let ([has_kernel, has_futex], arrived) = prepare(&mut poller, subject);
    let mut number = 0;
    for round in 0..rounds(10_000) / 4 {
        let mut random = Random::of_round(round);
        let ends = Ends::default();
        let (mut chains, mut orders) = (Vec::new(), Vec::new());
        let mut batch = handle.batch();
        for chain in 0..1 + random.below(6) as usize {
            let mut members = Chain::new();
            for member in 0..1 + random.below(12) as usize {
                number += 1;
                let deed = Deed::draw(&mut random, number, has_kernel, has_futex);
                let add = Add { batch: &mut batch, chain, member, ends: Arc::clone(&ends) };
                let ticket = deed.operation(&handle, add);
                let is_cancelled = orders_for(&deed, ticket, &mut random, &mut orders);
                members.push((deed, is_cancelled));
            }
            chains.push(members);
        }
        let members: usize = chains.iter().map(Vec::len).sum();
        batch.submit().unwrap();
        if random.below(2) == 0 {
            drop(poller.poll(Deadline::IMMEDIATE));
        }
        let driver = drive(&handle, orders, random);
        poll_until(&mut poller, || lock(&ends).len() >= members);
        driver.join().unwrap();
        poll_dry(&mut poller);
        check(&chains, &lock(&ends), &arrived.borrow(), round);
        assert_eq!(poller.under_way(), 0);
    }
}

/// [async 65] [async 76] [async-backends 62] [async-backends 79] Sequences of random steps, several at a time: the first that
/// fails is the result, what is behind it has no effect, and a cancel ends it wherever it is.
fn random_sequences_follow_the_model(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let ([has_kernel, has_futex], arrived) = prepare(&mut poller, subject);
    let mut number = 0;
    for round in 0..rounds(10_000) / 4 {
        let mut random = Random::of_round(round + 1_000_000);
        let ends = Ends::default();
        let (mut sequences, mut orders) = (Vec::new(), Vec::new());
        for index in 0..1 + random.below(5) as usize {
            let deeds: Vec<Deed> = (0..random.below(9))
                .map(|_| {
                    number += 1;
                    Deed::draw(&mut random, number, has_kernel, has_futex)
                })
                .collect();
            let mut sequence =
                Sequence::new(deeds.iter().map(|deed| deed.operation(&handle, AsStep)).collect());
            if random.below(2) == 0 {
                sequence.advance = Some(Box::new(|_, _| Ok(())));
            }
            let home = Arc::clone(&ends);
            let sequence = Operation::new(sequence).on_done(move |done| {
                let code = done.result.err().map(|status| status.code());
                lock(&home).push((index, done.operation.ended(), code));
            });
            let ticket = handle.submit(sequence).unwrap();
            let is_cancelled = random.below(4) == 0 || deeds.iter().any(|deed| deed.ends_with().is_none());
            orders.extend(deeds.iter().cloned().map(Order::Provoke));
            if is_cancelled {
                orders.push(Order::Cancel(ticket));
            }
            sequences.push((deeds, is_cancelled));
        }
        let driver = drive(&handle, orders, random);
        poll_until(&mut poller, || lock(&ends).len() >= sequences.len());
        driver.join().unwrap();
        poll_dry(&mut poller);
        let mut ends = std::mem::take(&mut *lock(&ends));
        assert_eq!(ends.len(), sequences.len(), "round {round}: each once");
        ends.sort();
        for ((deeds, is_cancelled), (_, ended, code)) in sequences.iter().zip(ends) {
            check_sequence(deeds, *is_cancelled, ended, code, &arrived.borrow(), round);
        }
        assert_eq!(poller.under_way(), 0);
    }
}

/// Compares one sequence, of which `ended` steps ended, with the model.
fn check_sequence(
    deeds: &[Deed],
    is_cancelled: bool,
    ended: usize,
    code: Option<Code>,
    arrived: &BTreeSet<u64>,
    round: usize,
) {
    let told = format!("round {round}, {deeds:?}: {code:?} after {ended} steps");
    let failing = deeds.iter().position(|deed| deed.ends_with().is_some_and(|code| code.is_some()));
    match code {
        None => assert!(ended == deeds.len() && failing.is_none(), "{told}"),
        Some(Code::Cancelled) => assert!(is_cancelled, "{told}"),
        Some(code) => {
            let failing = failing.expect("one of them fails");
            assert_eq!(ended, failing + 1, "{told}");
            assert_eq!(deeds[failing].ends_with(), Some(Some(code)), "{told}");
        }
    }
    // The last of those that ended may be the one that was cancelled.
    let surely_ended = if code.is_none() { ended } else { ended.saturating_sub(1) };
    for (index, deed) in deeds.iter().enumerate() {
        let Some(effect) = deed.effect(arrived) else { continue };
        assert!(effect || index >= surely_ended, "{told}: step {index} ended");
        assert!(!effect || index < ended, "{told}: step {index} did not start");
    }
}
