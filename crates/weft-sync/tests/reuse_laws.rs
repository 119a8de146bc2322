//! Random requests and releases against a naive account of every byte: who was the last to use it, and where it is.
//!
//! 1. Nothing is given out twice.
//! 2. What is given out at once may be touched at once: whoever used these bytes last is before the requester, or
//!    known to be complete.
//! 3. What has to be waited for is safe after that wait.
//! 4. No byte is lost.
//!
//! Whoever frees is ordered after what it had to be ordered after to use the bytes at all; and if its use is over, so is
//! that.

use proptest::prelude::*;
use std::cell::RefCell;
use weft_sync::reuse::{
    Acquired, Arena, BlockPool, RangeOptions, RangePool, Request, Requester, Reservation, Statistics,
};
use weft_sync::{Axis, FrontierBuf, Machine, Result};

const GRAIN: u64 = 16;
const SLAB: u64 = 16 * GRAIN;
const SLABS: u32 = 3;
const AXES: u8 = 4;

type Vector = [u64; AXES as usize];

fn axis(index: usize) -> Axis {
    Machine::LOCAL.queue(index as u8, 0)
}

fn frontier(vector: &Vector) -> FrontierBuf<8> {
    let mut frontier = FrontierBuf::new();
    for (index, &epoch) in vector.iter().enumerate() {
        frontier.raise(axis(index), epoch).expect("room for all");
    }
    frontier
}

/// The three pools as the account sees them.
trait Pool {
    fn acquire(&mut self, request: &Request, requester: &Requester<'_>) -> Result<Acquired<2>>;
    fn release(&mut self, reservation: Reservation, death: Option<&weft_sync::Frontier>) -> Result<()>;
    fn restore(&mut self, reservation: Reservation) -> Result<()>;
    fn assume_quiet(&mut self);
    fn statistics(&self) -> Statistics;
}

macro_rules! pool {
    ($type:ty) => {
        impl Pool for $type {
            fn acquire(&mut self, request: &Request, requester: &Requester<'_>) -> Result<Acquired<2>> {
                self.acquire(request, requester)
            }
            fn release(
                &mut self,
                reservation: Reservation,
                death: Option<&weft_sync::Frontier>,
            ) -> Result<()> {
                self.release(reservation, death)
            }
            fn restore(&mut self, reservation: Reservation) -> Result<()> {
                self.restore(reservation)
            }
            fn assume_quiet(&mut self) {
                self.assume_quiet();
            }
            fn statistics(&self) -> Statistics {
                self.statistics()
            }
        }
    };
}

pool!(BlockPool<2>);
pool!(RangePool<2>);
pool!(Arena<2>);

#[derive(Clone, Debug)]
enum Step {
    Acquire {
        request: Request,
        past: Option<Vector>,
    },
    Release {
        choice: usize,
        death: Option<Vector>,
    },
    Restore {
        choice: usize,
    },
    /// An axis comes to an epoch.
    Complete {
        axis: usize,
        epoch: u64,
    },
    Quiet,
}

fn vector() -> impl Strategy<Value = Vector> {
    prop::array::uniform4(prop_oneof![3 => Just(0_u64), 2 => 1..6_u64])
}

fn step() -> impl Strategy<Value = Step> {
    let request = (1..SLAB, 0..7_u32, any::<bool>(), any::<bool>()).prop_map(
        |(size, alignment, can_wait, can_grow)| Request {
            size,
            alignment: 1 << alignment,
            can_wait,
            can_grow,
        },
    );
    prop_oneof![
        8 => (request, prop::option::of(vector())).prop_map(|(request, past)| Step::Acquire { request, past }),
        6 => (0..8_usize, prop::option::of(vector()))
            .prop_map(|(choice, death)| Step::Release { choice, death }),
        1 => (0..8_usize).prop_map(|choice| Step::Restore { choice }),
        1 => (0..AXES as usize, 1..6_u64).prop_map(|(axis, epoch)| Step::Complete { axis, epoch }),
        1 => Just(Step::Quiet),
    ]
}

/// Every byte: what has to be over before it is touched, and whether somebody has it.
struct Account {
    bytes: Vec<(Vector, bool)>,
    live: Vec<Reservation>,
    /// By the same index: what the holder is ordered after, and whether it has to wait, hence has touched nothing yet.
    holders: Vec<(Vector, bool)>,
    complete: RefCell<Vector>,
}

impl Account {
    fn range(reservation: &Reservation) -> std::ops::Range<usize> {
        let begin = u64::from(reservation.slab()) * SLAB + reservation.offset();
        begin as usize..(begin + reservation.size()) as usize
    }

    fn acquired(&mut self, answer: Acquired<2>, past: Option<&Vector>) {
        let (reservation, wait) = match answer {
            Acquired::Ready(it) | Acquired::Fresh(it) => (it, None),
            Acquired::NeedsWait(it, wait) => (it, Some(wait)),
            Acquired::Exhausted { .. } | Acquired::OverBudget => return,
        };
        let complete = *self.complete.borrow();
        let holder = std::array::from_fn(|index| {
            let waited = wait.as_ref().map_or(0, |wait| wait.epoch_of(axis(index)));
            past.map_or(0, |past| past[index]).max(waited)
        });
        for (used, is_live) in &mut self.bytes[Account::range(&reservation)] {
            assert!(!*is_live, "given out twice");
            *is_live = true;
            for index in 0..AXES as usize {
                let known = complete[index].max(holder[index]);
                assert!(used[index] <= known, "used until {used:?}, known until {known} of axis {index}");
            }
        }
        self.live.push(reservation);
        self.holders.push((holder, wait.is_some()));
    }

    /// The last use of the bytes of a reservation ends; `None`: they were not touched.
    fn returned(&mut self, reservation: &Reservation, death: Option<&Vector>) {
        for (used, is_live) in &mut self.bytes[Account::range(reservation)] {
            *is_live = false;
            if let Some(death) = death {
                *used = *death;
            }
        }
    }
}

fn play(pool: &mut dyn Pool, steps: &[Step]) {
    let bytes = vec![([0; AXES as usize], false); (SLAB * u64::from(SLABS)) as usize];
    let mut account =
        Account { bytes, live: Vec::new(), holders: Vec::new(), complete: RefCell::new([0; AXES as usize]) };
    for step in steps {
        match step {
            Step::Acquire { request, past } => {
                let known = past.as_ref().map(frontier);
                let answer = {
                    let complete = *account.complete.borrow();
                    let is_reached = move |at: Axis, epoch: u64| {
                        (0..AXES as usize).any(|index| axis(index) == at && complete[index] >= epoch)
                    };
                    let requester = Requester { past: known.as_deref(), is_reached: &is_reached };
                    pool.acquire(request, &requester)
                };
                if let Ok(answer) = answer {
                    account.acquired(answer, past.as_ref());
                }
            }
            Step::Release { choice, death } if !account.live.is_empty() => {
                let index = choice % account.live.len();
                let reservation = account.live.swap_remove(index);
                let (holder, _) = account.holders.swap_remove(index);
                let later: Option<Vector> =
                    death.map(|death| std::array::from_fn(|index| death[index].max(holder[index])));
                if later.is_none() {
                    let mut complete = account.complete.borrow_mut();
                    *complete = std::array::from_fn(|index| complete[index].max(holder[index]));
                }
                let nothing = [0; AXES as usize];
                account.returned(&reservation, Some(later.as_ref().unwrap_or(&nothing)));
                pool.release(reservation, later.as_ref().map(frontier).as_deref()).expect("its own");
            }
            Step::Restore { choice } if !account.live.is_empty() => {
                let index = choice % account.live.len();
                // Only what was never touched may go back as it was.
                if !account.holders[index].1 {
                    continue;
                }
                let reservation = account.live.swap_remove(index);
                account.holders.swap_remove(index);
                account.returned(&reservation, None);
                pool.restore(reservation).expect("its own");
            }
            Step::Complete { axis, epoch } => {
                let mut complete = account.complete.borrow_mut();
                complete[*axis] = complete[*axis].max(*epoch);
            }
            Step::Quiet => {
                pool.assume_quiet();
                // Whatever was freed before is over. Who has bytes now says so when they come back.
                for (used, _) in &mut account.bytes {
                    *used = [0; AXES as usize];
                }
            }
            Step::Release { .. } | Step::Restore { .. } => {}
        }
        let statistics = pool.statistics();
        assert_eq!(statistics.live as usize, account.live.len());
        assert_eq!(statistics.reserved_bytes, account.live.iter().map(Reservation::size).sum::<u64>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// [causal 72] [causal 74] [causal 77] [causal 80] [causal 81]
    #[test]
    fn ranges_are_never_reused_too_early(steps in prop::collection::vec(step(), 1..80)) {
        let options = RangeOptions { granularity: GRAIN, slab_bytes: SLAB, slabs_max: SLABS, budget: u64::MAX };
        let mut pool = RangePool::new(options).expect("a pool");
        play(&mut pool, &steps);
        let rounded = pool.statistics().slabs * SLAB - pool.free_bytes();
        prop_assert!(rounded >= pool.statistics().reserved_bytes);
        prop_assert!(rounded < pool.statistics().reserved_bytes + (pool.statistics().live + 1) * GRAIN);
    }

    /// [causal 72] [causal 73] [causal 74] [causal 80]
    #[test]
    fn blocks_are_never_reused_too_early(steps in prop::collection::vec(step(), 1..80)) {
        let mut pool = BlockPool::new(6, SLAB / 2).expect("a pool");
        play(&mut pool, &steps);
    }

    /// [causal 78]
    #[test]
    fn arenas_are_never_reused_too_early(steps in prop::collection::vec(step(), 1..80)) {
        let mut arena = Arena::new(SLAB * 2);
        play(&mut arena, &steps);
    }
}
