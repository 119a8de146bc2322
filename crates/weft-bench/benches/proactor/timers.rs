//! Ten thousand timers: armed, taken back, ended.

use crate::floor::Bare;
use crate::peers;
use crate::subject::{poll_dry, poll_until, poller_with};
use io_uring::types::Timespec;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};
use weft_bench::measure::busy_time;
use weft_bench::{Figure, Subject, Table, measure_busy};
use weft_io::{Config, Done, Handle, Operation, Poller, Ticket, ops::Timer};
use weft_sync::Deadline;

const COUNT: usize = 10_000;

/// Rounds that count; one more warms up.
const ROUNDS: usize = 11;

thread_local! {
    static POOL: RefCell<Vec<Operation<Timer>>> = const { RefCell::new(Vec::new()) };
}

/// What one subject took in each round: to arm, to take back, to end, in nanoseconds a timer.
#[derive(Default)]
struct Phases([Vec<f64>; 3]);

impl Phases {
    fn add(&mut self, phase: usize, body: impl FnOnce()) {
        let start = busy_time();
        body();
        self.0[phase].push((busy_time() - start).as_secs_f64() * 1e9 / COUNT as f64);
    }
}

/// When the timer of this index ends, from a time on: in no order, within a millisecond.
fn delay(index: usize) -> Duration {
    Duration::from_nanos((index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44)
}

/// Far enough away that nothing ends by itself.
const FAR: Duration = Duration::from_secs(100);

/// Long enough to arm all of them, and to go on then.
const SOON: Duration = Duration::from_millis(40);

fn spin_until(instant: Instant) {
    while Instant::now() < instant {
        std::hint::spin_loop();
    }
}

fn come_back(done: Done<Timer>) {
    POOL.with_borrow_mut(|pool| pool.push(done.operation));
}

fn arm(handle: &Handle, base: Duration) -> Vec<Ticket> {
    let start = weft_sync::Instant::now().checked_add(base).expect("within this century");
    let mut batch = handle.batch();
    let tickets = POOL.with_borrow_mut(|pool| {
        let add = |(index, mut operation): (usize, Operation<Timer>)| {
            operation.deadline = Deadline::at(start.checked_add(delay(index)).expect("within this century"));
            batch.add(operation.on_done(come_back)).expect("there is room")
        };
        pool.drain(..).enumerate().map(add).collect()
    });
    batch.submit().expect("the proactor is there");
    tickets
}

fn weft(phases: &mut Phases, poller: &mut Poller) {
    let mut tickets = Vec::new();
    phases.add(0, || {
        tickets = arm(poller.handle(), FAR);
        poll_dry(poller);
    });
    phases.add(1, || {
        tickets.iter().for_each(|&ticket| poller.handle().cancel(ticket).expect("its own"));
        poll_until(poller, COUNT);
    });
    let start = Instant::now();
    arm(poller.handle(), SOON);
    poll_dry(poller);
    spin_until(start + SOON + Duration::from_millis(2));
    phases.add(2, || poll_until(poller, COUNT));
}

fn bare(phases: &mut Phases, ring: &mut Bare) {
    let times = |base: Duration| -> Vec<Timespec> {
        (0..COUNT).map(|index| Timespec::from(base + delay(index))).collect()
    };
    phases.add(0, || ring.begin_timers(&times(FAR)));
    phases.add(1, || {
        ring.cancel_timers(COUNT);
        ring.drain();
    });
    let start = Instant::now();
    ring.begin_timers(&times(SOON));
    spin_until(start + SOON + Duration::from_millis(30));
    phases.add(2, || ring.drain());
}

fn compio(phases: &mut Phases, runtime: &compio::runtime::Runtime) {
    type Timers = Vec<Option<Pin<Box<dyn Future<Output = ()>>>>>;
    let armed = |base: Duration| -> Timers {
        let now = Instant::now();
        let timer =
            |index| Some(Box::pin(compio::time::sleep_until(now + base + delay(index))) as Pin<Box<_>>);
        (0..COUNT).map(timer).collect()
    };
    // One look at each of them; how many are not over.
    async fn look(timers: &mut Timers) -> usize {
        poll_fn(|context| {
            for slot in timers.iter_mut() {
                if slot.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready()) {
                    *slot = None;
                }
            }
            Poll::Ready(timers.iter().flatten().count())
        })
        .await
    }
    runtime.block_on(async {
        let mut timers = Timers::new();
        let start = busy_time();
        timers.extend(armed(FAR));
        look(&mut timers).await;
        phases.0[0].push((busy_time() - start).as_secs_f64() * 1e9 / COUNT as f64);
        phases.add(1, || timers.clear());
        let base = Instant::now();
        timers.extend(armed(SOON));
        look(&mut timers).await;
        spin_until(base + SOON + Duration::from_millis(2));
        let start = busy_time();
        poll_fn(|context| {
            let mut left = 0;
            for slot in &mut timers {
                let Some(timer) = slot else { continue };
                match timer.as_mut().poll(context) {
                    Poll::Ready(()) => *slot = None,
                    Poll::Pending => left += 1,
                }
            }
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        phases.0[2].push((busy_time() - start).as_secs_f64() * 1e9 / COUNT as f64);
    });
}

fn thousands(table: &Table) {
    let config = Config { operations_max: COUNT as u32 + 1, ..Config::new() };
    let mut poller = poller_with(&config);
    POOL.with_borrow_mut(|pool| {
        pool.clear();
        pool.extend((0..COUNT).map(|_| Operation::new(Timer { deadline: Deadline::NEVER })));
    });
    let mut ring = Bare::new(4096);
    let runtime = peers::compio();
    let mut all = [Phases::default(), Phases::default(), Phases::default()];
    for _ in 0..=ROUNDS {
        bare(&mut all[0], &mut ring);
        weft(&mut all[1], &mut poller);
        compio(&mut all[2], &runtime);
    }
    let names = ["floor: timers of the bare ring", "weft, callbacks", "compio, futures"];
    for (phase, what) in ["arm", "arm (not counted), cancel", "arm (not counted), end"].iter().enumerate() {
        let rounds = |subject: usize| &all[subject].0[phase][1..];
        let figures: Vec<Figure> =
            (0..3).map(|subject| Figure::of(names[subject], rounds(subject), rounds(0))).collect();
        table.group(&format!("10,000 timers, each: {what}"), &figures, None);
    }
}

/// One timer that comes and goes among others that stay.
fn among(table: &Table, armed: usize) {
    let config = Config { operations_max: COUNT as u32 + 1, ..Config::new() };
    let mut poller = poller_with(&config);
    for index in 0..armed {
        let timer = Timer { deadline: Deadline::after(FAR + delay(index)) };
        poller.handle().submit(timer).expect("there is room");
    }
    poll_dry(&mut poller);
    let mut kept = Some(Operation::new(Timer { deadline: Deadline::NEVER }));
    POOL.with_borrow_mut(Vec::clear);
    let mut one = |delay: Duration| {
        let mut operation = kept.take().expect("it has come back");
        operation.deadline = Deadline::after(delay);
        let ticket = poller.handle().submit(operation.on_done(come_back)).expect("there is room");
        if delay == FAR {
            poller.handle().cancel(ticket).expect("its own");
        }
        poll_until(&mut poller, 1);
        kept = POOL.with_borrow_mut(Vec::pop);
    };
    let one = RefCell::new(&mut one);
    table.group(
        &format!("one timer among {armed} that are armed"),
        &measure_busy(vec![
            Subject::new("weft, over at once", || one.borrow_mut()(Duration::ZERO)),
            Subject::new("weft, taken back", || one.borrow_mut()(FAR)),
        ]),
        None,
    );
}

pub fn run(table: &Table) {
    thousands(table);
    for armed in [1, 100, COUNT] {
        among(table, armed);
    }
}
