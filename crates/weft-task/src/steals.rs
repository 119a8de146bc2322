//! How often the system took the processor from a worker that had not given it away.
//!
//! What lives here: [`WorkerThreads`]. A worker that loses its processor in the middle of a tile keeps everybody waiting who
//! waits for that tile, and nothing in the executor shows it. The system counts it, for each thread, as involuntary switches:
//! so the count costs workers nothing, and a few microseconds a worker whoever asks for it.

use std::sync::atomic::{AtomicU32, Ordering};

/// The threads of workers as the system numbers them; 0 for one that does not run.
#[derive(Debug)]
pub(crate) struct WorkerThreads(Box<[AtomicU32]>);

impl WorkerThreads {
    pub(crate) fn new(workers: usize) -> WorkerThreads {
        WorkerThreads((0..workers).map(|_| AtomicU32::new(0)).collect())
    }

    /// The calling thread is this worker from now on.
    pub(crate) fn enter(&self, worker: usize) {
        self.0[worker].store(current_thread(), Ordering::Relaxed);
    }

    /// The worker ends: another thread may get its number.
    pub(crate) fn leave(&self, worker: usize) {
        self.0[worker].store(0, Ordering::Relaxed);
    }

    /// What the system has counted for a seat; 0 for guests, whose threads belong to others.
    pub(crate) fn steals(&self, seat: usize) -> u64 {
        match self.0.get(seat).map(|thread| thread.load(Ordering::Relaxed)) {
            None | Some(0) => 0,
            Some(thread) => involuntary_switches(thread).unwrap_or(0),
        }
    }
}

fn current_thread() -> u32 {
    cfg_select! {
        all(target_os = "linux", not(loom), not(miri)) => {
            rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
        }
        _ => { 0 }
    }
}

/// Of a thread of this program, if the system tells.
fn involuntary_switches(thread: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).ok()?;
    count_in(&status)
}

fn count_in(status: &str) -> Option<u64> {
    let count = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))?;
    count.trim().parse().ok()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_among_others() {
        let status = "Name:\tweft-0\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t42\n";
        assert_eq!(count_in(status), Some(42));
        for damaged in ["", "nonvoluntary_ctxt_switches:\n", "nonvoluntary_ctxt_switches:\t-1\n", "Name:\tx"]
        {
            assert_eq!(count_in(damaged), None);
        }
    }

    /// Two threads on one processor take it from each other.
    #[cfg(all(target_os = "linux", not(miri)))]
    #[test]
    fn who_shares_a_processor_is_stolen_from() {
        use std::time::{Duration, Instant};
        let threads = WorkerThreads::new(2);
        let allowed = crate::pin::allowed_processors().unwrap_or_default();
        let Some(processor) = allowed.first() else { return };
        let stolen = std::thread::scope(|scope| {
            let spinners = [0, 1].map(|worker| {
                let threads = &threads;
                scope.spawn(move || {
                    // Where pinning is refused the two have a processor each, and this shows nothing.
                    let pinned = crate::pin::set_allowed_processors(&[processor].into_iter().collect());
                    threads.enter(worker);
                    let start = Instant::now();
                    while threads.steals(worker) == 0 && start.elapsed() < Duration::from_secs(10) {
                        (0..10_000).for_each(|_| std::hint::spin_loop());
                    }
                    let stolen = threads.steals(worker) > 0;
                    threads.leave(worker);
                    stolen || pinned.is_err()
                })
            });
            spinners.map(|spinner| spinner.join().unwrap())
        });
        assert!(stolen.contains(&true));
        assert_eq!((threads.steals(0), threads.steals(7)), (0, 0));
    }
}
