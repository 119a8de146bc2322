//! What the workers of an executor tell the profile of its device: drains, visits and sleeps, as worker events.
//!
//! An executor gets one of these as its observer when it is made, since later it takes none; the device, and with it the
//! profiler, comes later. It costs each span a call and a load; with a session of worker events, a look at the clock at
//! both ends.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use weft_hal::profile::{ProfileFamilies, Profiler, WorkerActivity, WorkerEvent, now_ns};
use weft_task::{Observer, Span};

/// Spans of one thread that have begun and not ended; they nest.
type Begun = Vec<(Span, u64)>;

thread_local! {
    static BEGUN: RefCell<Begun> = const { RefCell::new(Vec::new()) };
}

/// Turns the spans of one executor's workers into worker events.
///
/// ```
/// use std::sync::Arc;
/// use weft_cpu::WorkerSpans;
/// use weft_hal::profile::Profiler;
/// let spans = Arc::new(WorkerSpans::new(0));
/// let observer: Arc<dyn weft_task::Observer> = spans.clone(); // for the options of the executor
/// spans.attach(Arc::new(Profiler::new())); // of the device that the executor serves
/// observer.begin(1, weft_task::Span::Sleep);
/// observer.end(1, weft_task::Span::Sleep); // nobody asked: nothing is kept
/// ```
#[derive(Debug)]
pub struct WorkerSpans {
    profiler: OnceLock<Arc<Profiler>>,
    executor: u32,
}

impl WorkerSpans {
    /// For the executor with this ordinal among those of the device.
    pub fn new(executor: u32) -> WorkerSpans {
        WorkerSpans { profiler: OnceLock::new(), executor }
    }

    /// From now on this profiler is told. The first one stays.
    pub fn attach(&self, profiler: Arc<Profiler>) {
        let _ = self.profiler.set(profiler);
    }
}

impl Observer for WorkerSpans {
    fn begin(&self, _worker: usize, span: Span) {
        if self.profiler.get().is_some_and(|profiler| profiler.is_on(ProfileFamilies::WORKER_EVENTS)) {
            // A thread that is being torn down has no spans any more; that loses the last one.
            let _ = BEGUN.try_with(|begun| begun.borrow_mut().push((span, now_ns())));
        }
    }

    fn end(&self, worker: usize, span: Span) {
        let start_ns = BEGUN.try_with(|begun| ended(&mut begun.borrow_mut(), span));
        let (Ok(Some(start_ns)), Some(profiler)) = (start_ns, self.profiler.get()) else { return };
        let activity = match span {
            Span::Immediate(process) => WorkerActivity::Drain(process.0 as u64),
            Span::Compute(process) => WorkerActivity::Compute(process.0 as u64),
            Span::Sleep => WorkerActivity::Sleep,
        };
        profiler.record_workers([WorkerEvent {
            executor: self.executor,
            worker: u32::try_from(worker).unwrap_or(u32::MAX),
            activity,
            start_ns,
            end_ns: now_ns(),
        }]);
    }
}

/// When the innermost span like this began. Spans inside of it, which a panic left without an end, are forgotten.
fn ended(begun: &mut Begun, span: Span) -> Option<u64> {
    let at = begun.iter().rposition(|(known, _)| *known == span)?;
    let (_, start_ns) = begun[at];
    begun.truncate(at);
    Some(start_ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_task::ProcessId;

    #[test]
    fn spans_nest_and_survive_a_missing_end() {
        let (outer, inner) = (Span::Compute(ProcessId(1)), Span::Immediate(ProcessId(2)));
        let mut begun = vec![(outer, 5), (inner, 6)];
        assert_eq!(ended(&mut begun, Span::Sleep), None);
        assert_eq!(ended(&mut begun, outer), Some(5));
        assert_eq!(ended(&mut begun, inner), None);
    }
}
