//! Gates that kernels stop at, so that cases know what is running.
//!
//! Kernels get nothing but bytes, so a gate has a number, which travels as a push constant. A gate notes who came and
//! how many were there at once. It opens when its owner says so or drops it: a case that fails holds up nobody.
//!
//! A device may ask for a second thread only when it has seen that there is work for one. So a gate can let the first
//! workgroups through, slowly, before it closes.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// Kernels give up after this time: the case has gone wrong by then, and says so by itself.
const PATIENCE: Duration = Duration::from_secs(15);

static GATES: LazyLock<Mutex<HashMap<u32, Arc<Shared>>>> = LazyLock::new(Mutex::default);

/// One workgroup that came to a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Linear workgroup id.
    pub workgroup: u32,
    /// What the device calls its worker.
    pub processor: u32,
    /// Where it really ran.
    pub thread: ThreadId,
}

/// The owner of a gate.
pub struct Gate {
    number: u32,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_open: bool,
    /// Workgroups that still pass a closed gate, each after a while.
    free: u32,
    inside: u32,
    /// Some workgroup was stopped.
    has_stopped: bool,
    /// What the device calls the workers inside.
    processors: Vec<u32>,
    /// Two workers inside had one name.
    is_ambiguous: bool,
    /// Workgroups that were turned away.
    refused: u32,
    inside_max: u32,
    visits: Vec<Visit>,
}

impl Gate {
    /// A gate that stops whoever comes.
    pub fn closed() -> Gate {
        let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (0..).find(|number| !gates.contains_key(number)).expect("there are enough numbers");
        let shared = Arc::default();
        gates.insert(number, Arc::clone(&shared));
        Gate { number, shared }
    }

    /// A gate that lets so many through before it stops whoever comes.
    pub fn closed_after(free: u32) -> Gate {
        let gate = Gate::closed();
        gate.shared.lock().free = free;
        gate
    }

    /// A gate that only takes notes.
    pub fn opened() -> Gate {
        let gate = Gate::closed();
        gate.open();
        gate
    }

    /// The constant that a kernel knows it by.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Lets everybody through from now on.
    pub fn open(&self) {
        self.shared.lock().is_open = true;
        self.shared.changed.notify_all();
    }

    /// Blocks until so many workgroups are inside at once.
    pub fn until_inside(&self, count: u32) {
        let state = self.shared.wait_while(|state| state.inside < count);
        assert!(state.inside >= count, "{} of {count} workgroups came", state.inside);
    }

    /// Workgroups inside now.
    pub fn inside(&self) -> u32 {
        self.shared.lock().inside
    }

    /// The most workgroups that were inside at once.
    pub fn inside_max(&self) -> u32 {
        self.shared.lock().inside_max
    }

    /// Blocks until a workgroup was turned away.
    pub fn until_refused(&self) {
        let state = self.shared.wait_while(|state| state.refused == 0);
        assert!(state.refused > 0, "no workgroup was turned away");
    }

    /// Two workers that were inside at the same time had the same name.
    pub fn is_ambiguous(&self) -> bool {
        self.shared.lock().is_ambiguous
    }

    /// Who came so far, in the order of coming.
    pub fn visits(&self) -> Vec<Visit> {
        self.shared.lock().visits.clone()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
        GATES.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// How long a workgroup takes that a closed gate lets through.
const FREE_PASSAGE: Duration = Duration::from_micros(200);

/// What a kernel does at a gate that stops it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Waits.
    Patient,
    /// Fails at once if another one waits already.
    Jealous,
}

/// For kernels: comes, waits until the gate is open, does `work`, leaves. The error says why it was not done.
pub(super) fn pass<T>(
    number: u32,
    visit: Visit,
    manner: Manner,
    work: impl FnOnce() -> T,
) -> Result<T, &'static str> {
    let gate = GATES.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned();
    let gate = gate.ok_or("there is no such gate")?;
    let goes_free = {
        let mut state = gate.lock();
        state.visits.push(visit);
        let goes_free = state.free > 0;
        state.free = state.free.saturating_sub(1);
        if manner == Manner::Jealous && !goes_free && !state.is_open && state.has_stopped {
            state.refused += 1;
            gate.changed.notify_all();
            return Err("somebody is here already");
        }
        state.is_ambiguous |= state.processors.contains(&visit.processor);
        state.processors.push(visit.processor);
        state.has_stopped |= !goes_free;
        state.inside += 1;
        state.inside_max = state.inside_max.max(state.inside);
        gate.changed.notify_all();
        goes_free
    };
    let is_open = if goes_free {
        let begin = Instant::now();
        while begin.elapsed() < FREE_PASSAGE {
            std::hint::spin_loop();
        }
        true
    } else {
        gate.wait_while(|state| !state.is_open).is_open
    };
    let outcome = is_open.then(work).ok_or("nobody opened the gate");
    let mut state = gate.lock();
    state.inside -= 1;
    let at = state.processors.iter().position(|&processor| processor == visit.processor);
    state.processors.swap_remove(at.expect("it was noted when it came"));
    outcome
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the condition is over, or the time.
    fn wait_while(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let end = Instant::now() + PATIENCE;
        let mut state = self.lock();
        while condition(&state) {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }
}
