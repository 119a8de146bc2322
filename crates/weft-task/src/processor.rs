//! The processor on which the calling thread runs.

/// Its number; 0 where the system does not tell. A hint: the thread may be elsewhere by the time it is used.
pub(crate) fn current() -> u32 {
    cfg_select! {
        all(target_os = "linux", not(loom), not(miri)) => { rustix::thread::sched_getcpu() as u32 }
        _ => { 0 }
    }
}
