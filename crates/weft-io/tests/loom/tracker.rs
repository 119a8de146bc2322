//! A wait for several timelines is decided once, whoever comes, and the poll thread learns of it by the list of the
//! fired: reports, failures, a cancel, the next use.

use super::bell::Bell;
use super::{Plain, model};
use loom::thread;
use std::sync::Arc;
use weft_io::model::{IndexList, NONE, Tracker, bell};
use weft_sync::{Code, Result};

/// One wait in slot 0, as its timepoints and the poll thread see it.
struct World {
    tracker: Tracker,
    fired: IndexList,
    bell: Bell,
    /// What came before a report, on its timeline.
    before: [Plain<bool>; 2],
    /// Who decided; 2 is nobody.
    decider: Plain<u8>,
}

impl World {
    fn new() -> Arc<World> {
        Arc::new(World {
            tracker: Tracker::default(),
            fired: IndexList::new(1),
            bell: Bell::default(),
            before: Default::default(),
            decider: Plain::new(2),
        })
    }

    /// A timepoint is reached, or its timeline fails.
    fn report(&self, generation: u32, index: u8, outcome: Result<()>) {
        self.before[usize::from(index)].set(true);
        if self.tracker.report(generation, index, outcome) {
            self.decider.set(index);
            self.fired.push(0).unwrap();
            self.bell.ring_after(bell::FIRED);
        }
    }

    fn report_elsewhere(
        self: &Arc<World>,
        generation: u32,
        index: u8,
        outcome: Result<()>,
    ) -> thread::JoinHandle<()> {
        let world = Arc::clone(self);
        thread::spawn(move || world.report(generation, index, outcome))
    }

    /// The poll thread, until the wait has fired; what it ends with.
    fn outcome(&self) -> Result<i64> {
        self.bell.poll_until(|bits| bits & bell::FIRED != 0 && self.has_fired());
        self.tracker.outcome()
    }

    /// The poll thread looks at the list.
    fn has_fired(&self) -> bool {
        let slot = self.fired.drain();
        assert!(slot == NONE || self.fired.after(slot) == NONE, "a slot fires once for each use");
        slot != NONE
    }
}

fn gone() -> Result<()> {
    Err(weft_sync::status!(DataLoss, "gone"))
}

/// Two reports, and the wait is for both: what came before either is visible to whoever ends the wait, and it ends with
/// the last. [async-backends 103]
#[test]
fn a_wait_for_all_comes_after_each_of_them() {
    model(|| {
        let world = World::new();
        let generation = world.tracker.begin(2);
        let threads = [0, 1].map(|index| world.report_elsewhere(generation, index, Ok(())));
        let last = world.outcome().unwrap();
        assert!(world.before.iter().all(Plain::get));
        assert_eq!(last, i64::from(world.decider.get()));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!world.has_fired());
        world.bell.assert_no_wake_is_left();
    });
}

/// Two reports, one of them a failure, and a cancel: one of them decides, and the wait ends by it.
/// [async 236] [async-backends 103] [async-backends 104]
#[test]
fn a_wait_is_decided_once() {
    for missing in [1, 2] {
        model(move || {
            let world = World::new();
            let generation = world.tracker.begin(missing);
            let threads = [
                world.report_elsewhere(generation, 0, Ok(())),
                world.report_elsewhere(generation, 1, gone()),
            ];
            if !world.tracker.decide_by_cancel() {
                let outcome = world.outcome();
                let decider = world.decider.get();
                assert!(world.before[usize::from(decider)].get());
                match outcome {
                    Ok(index) => assert!(decider == 0 && index == 0 && missing == 1),
                    Err(status) => assert!(decider == 1 && status.code() == Code::DataLoss),
                }
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert!(!world.has_fired());
            world.bell.assert_no_wake_is_left();
        });
    }
}

/// A report of an earlier use, a failure, comes while the next one is under way: it decides nothing, and leaves nothing
/// behind. [async-backends 105]
#[test]
fn a_late_report_decides_nothing() {
    model(|| {
        let world = World::new();
        let old = world.tracker.begin(1);
        let late = world.report_elsewhere(old, 0, gone());
        let is_cancelled = world.tracker.decide_by_cancel();
        if !is_cancelled {
            assert_eq!(world.outcome().unwrap_err().code(), Code::DataLoss);
        }
        let new = world.tracker.begin(1);
        let next = world.report_elsewhere(new, 1, Ok(()));
        assert_eq!(world.outcome().unwrap(), 1);
        assert!(world.before[1].get() && world.decider.get() == 1);
        late.join().unwrap();
        next.join().unwrap();
        assert!(!world.has_fired());
        world.bell.assert_no_wake_is_left();
    });
}
