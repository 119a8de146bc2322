//! Whether a process is wanted, waiting or being drained: one word.
//!
//! | word                 | state                                                     |
//! |----------------------|-----------------------------------------------------------|
//! | 0                    | IDLE: nobody wants it, nobody has it                      |
//! | `NEEDS`              | QUEUED: in the list, or in a slot and not yet looked at   |
//! | `DRAINING`           | a worker (immediate) or a slot (compute) has it           |
//! | `DRAINING \| NEEDS`  | as above, and somebody published since                    |
//! | `RETIRED`, with any  | terminal: nothing happens any more                        |
//!
//! 1. **Schedule: publish, then raise `NEEDS`** (release). Who finds the word 0 owes the enqueueing; nobody else does.
//! 2. **Drain: take `NEEDS` down, then look** (acquire). What was published before is seen by this drain.
//! 3. **Rest: `DRAINING` → 0 by compare-exchange** (release). It fails if `NEEDS` was raised: drain again.
//! 4. **Neither misses the other.** Publication and rest read-modify-write one word. If the raise comes first, the rest
//!    fails; if the rest comes first, the raise finds 0 and enqueues. Two words would need four sequentially consistent
//!    accesses for the same (Dekker's pattern); one needs none, and the model checker sees the protocol as it is.
//! 5. Each change is a read-modify-write, so it continues the release sequences of those before it: who takes `NEEDS`
//!    down sees everything that was published by whoever raised it, and everything that earlier drains did.

use weft_sync::atomic::{AtomicU32, Ordering};

const NEEDS: u32 = 1;
const DRAINING: u32 = 2;
const RETIRED: u32 = 4;

/// What a schedule owes.
#[must_use = "whoever finds the process idle has to enqueue it"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// It was idle: put it where workers look.
    Enqueue,
    /// Somebody has it, or will get it, and will see what was published.
    Seen,
    /// It is over.
    Retired,
}

/// The word of one process.
#[derive(Debug)]
pub struct Activity(AtomicU32);

impl Activity {
    /// Idle.
    pub fn new() -> Activity {
        Activity(AtomicU32::new(0))
    }

    /// Says that something was published (rule 1).
    #[inline]
    pub fn schedule(&self) -> Schedule {
        // Release pairs with the Acquire in `begin`: what was published before is seen by the drain after it.
        match self.0.fetch_or(NEEDS, Ordering::Release) {
            0 => Schedule::Enqueue,
            before if before & RETIRED != 0 => Schedule::Retired,
            _ => Schedule::Seen,
        }
    }

    /// Says the same from inside: whoever has the process must look again before it may rest.
    #[inline]
    pub fn raise(&self) {
        // Release as in `schedule`; what this drain did is seen by the one that looks again.
        self.0.fetch_or(NEEDS, Ordering::Release);
    }

    /// Whether something was published that no drain has taken up.
    #[inline]
    pub fn is_needed(&self) -> bool {
        // Relaxed: only decides whether to `begin`; a raise that is not seen makes `rest` fail.
        self.0.load(Ordering::Relaxed) & NEEDS != 0
    }

    /// Takes up what was published; the process is being drained from here on (rule 2).
    #[inline]
    pub fn begin(&self) {
        // Acquire pairs with the Release in `schedule`, `raise`, `rest` and `yield_turn`.
        self.0.swap(DRAINING, Ordering::Acquire);
    }

    /// Lets go, unless something was published since `begin`: then `false`, and the caller still has it (rule 3).
    #[inline]
    #[must_use]
    pub fn rest(&self) -> bool {
        // Release pairs with the Acquire in `begin`, through the raise in between: the next drain sees this one.
        // Acquire on failure pairs with the Release in `schedule`: with what was published may come another budget.
        self.0.compare_exchange(DRAINING, 0, Ordering::Release, Ordering::Acquire).is_ok()
    }

    /// From draining back to queued: the caller puts it at the end of the list.
    #[inline]
    pub fn yield_turn(&self) {
        // A read-modify-write, not a store: it keeps what others published since (rule 5).
        self.0.swap(NEEDS, Ordering::AcqRel);
    }

    /// Retires it if nobody wants it and nobody has it. Whether that was so; then nobody ever will.
    #[must_use = "where it fails, a worker has the process or will get it"]
    pub fn retire_idle(&self) -> bool {
        // Relaxed: nothing was published by anybody, and nothing is read on the strength of it.
        self.0.compare_exchange(0, RETIRED | DRAINING, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// It is over: it never becomes idle again, so nobody enqueues it a second time.
    #[inline]
    pub fn retire(&self) {
        // Relaxed: nothing is read on the strength of it.
        self.0.fetch_or(RETIRED | DRAINING, Ordering::Relaxed);
    }

    /// The state by name, for reports.
    pub fn name(&self) -> &'static str {
        match self.0.load(Ordering::Relaxed) {
            0 => "idle",
            word if word & RETIRED != 0 => "retired",
            NEEDS => "queued",
            DRAINING => "draining",
            _ => "draining, needed",
        }
    }
}

impl Default for Activity {
    fn default() -> Activity {
        Activity::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    //! Every interleaving of two schedulers and a worker, step by step. One word is changed by read-modify-writes only, so
    //! their order is all there is; what orderings do between words is for the models in `tests/loom`.

    use super::*;
    use std::collections::HashSet;

    /// What is taken apart or left out, to see that it would be noticed.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Mutation {
        None,
        /// The raise is a load and a store.
        RaiseInTwoSteps,
        /// The rest is a load and a store.
        RestInTwoSteps,
        /// The rest does not look whether something was published.
        RestAlways,
        /// `NEEDS` is taken down after the look.
        LookBeforeBegin,
    }

    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct World {
        word: u32,
        queued: u32,
        /// Published and not yet seen.
        items: [bool; 2],
        schedulers: [u8; 2],
        /// What the split step of a scheduler, or of the worker, has read.
        read: [u32; 3],
        worker: u8,
    }

    impl World {
        fn on_word<R>(&mut self, step: impl FnOnce(&Activity) -> R) -> R {
            let activity = Activity(AtomicU32::new(self.word));
            let result = step(&activity);
            self.word = activity.0.load(Ordering::Relaxed);
            result
        }

        /// One step of scheduler `index`; `None` when it is done.
        fn schedule(mut self, index: usize, mutation: Mutation) -> Option<World> {
            let step = self.schedulers[index];
            self.schedulers[index] += 1;
            match (step, mutation) {
                (0, _) => self.items[index] = true,
                (1, Mutation::RaiseInTwoSteps) => self.read[index] = self.word,
                (2, Mutation::RaiseInTwoSteps) => {
                    self.word = self.read[index] | NEEDS;
                    self.queued += u32::from(self.read[index] == 0);
                }
                (1, _) => {
                    let schedule = self.on_word(Activity::schedule);
                    self.queued += u32::from(schedule == Schedule::Enqueue);
                }
                _ => return None,
            }
            Some(self)
        }

        /// One step of the worker; `None` while nothing is queued.
        fn work(mut self, mutation: Mutation) -> Option<World> {
            const POP: u8 = 0;
            const BEGIN: u8 = 1;
            const LOOK: u8 = 2;
            const REST: u8 = 3;
            const REST_LATER: u8 = 4;
            let swapped = mutation == Mutation::LookBeforeBegin;
            let step = self.worker;
            self.worker = match step {
                POP if self.queued == 0 => return None,
                POP => {
                    self.queued -= 1;
                    if swapped { LOOK } else { BEGIN }
                }
                BEGIN => {
                    self.on_word(Activity::begin);
                    if swapped { REST } else { LOOK }
                }
                LOOK => {
                    self.items = [false; 2];
                    if swapped { BEGIN } else { REST }
                }
                REST if mutation == Mutation::RestInTwoSteps => {
                    self.read[2] = self.word;
                    REST_LATER
                }
                REST if mutation == Mutation::RestAlways => {
                    self.word = 0;
                    POP
                }
                REST if self.on_word(Activity::rest) => POP,
                REST_LATER if self.read[2] == DRAINING => {
                    self.word = 0;
                    POP
                }
                _ => {
                    if swapped {
                        LOOK
                    } else {
                        BEGIN
                    }
                }
            };
            Some(self)
        }

        fn is_right(&self) -> bool {
            self.items == [false; 2] && self.word == 0 && self.queued == 0
        }
    }

    /// Whether every interleaving ends with everything seen and the process idle, never queued twice.
    fn holds(mutation: Mutation) -> bool {
        let start =
            World { word: 0, queued: 0, items: [false; 2], schedulers: [0; 2], read: [0; 3], worker: 0 };
        let (mut seen, mut open) = (HashSet::new(), vec![start]);
        while let Some(world) = open.pop() {
            if world.queued > 1 {
                return false;
            }
            if !seen.insert(world.clone()) {
                continue;
            }
            let before = open.len();
            open.extend([0, 1].into_iter().filter_map(|index| world.clone().schedule(index, mutation)));
            open.extend(world.clone().work(mutation));
            if open.len() == before && !world.is_right() {
                return false;
            }
        }
        true
    }

    /// [task 36]
    #[test]
    fn no_interleaving_ends_with_unseen_work() {
        assert!(holds(Mutation::None));
    }

    /// [task 37]
    #[test]
    fn each_way_to_weaken_it_is_noticed() {
        for mutation in [
            Mutation::RaiseInTwoSteps,
            Mutation::RestInTwoSteps,
            Mutation::RestAlways,
            Mutation::LookBeforeBegin,
        ] {
            assert!(!holds(mutation), "{mutation:?}");
        }
    }
}
