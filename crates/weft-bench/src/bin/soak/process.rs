//! What this process holds and may hold: handles and memory, as `/proc` says.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many handles this process may have, which are raised to so many if it may.
pub fn handles_allowed(need: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    for maximum in [limit.maximum.map(|maximum| maximum.max(need)), limit.maximum] {
        let current = Some(maximum.map_or(need, |maximum| maximum.min(need)));
        // The upper limit is raised by those who may.
        if setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok() {
            break;
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(need)
}

/// Handles that are open.
pub fn handles() -> usize {
    // One of them reads the folder.
    std::fs::read_dir("/proc/self/fd").map_or(0, |folder| folder.count().saturating_sub(1))
}

/// Bytes in memory.
pub fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// Whether memory has grown, by more than a twentieth and 8 MiB.
///
/// After the first third everything that is kept for good is there, pools included. What is in use beyond that at one time is
/// a matter of chance, of a small one: each end has at most one receive of up to 8 KiB under way, so the sum over 20,000 of
/// them strays by 0.4 MiB (its standard deviation), and few messages of 64 KiB are under way at one moment. The rest is what
/// an allocator cannot use again where sizes are mixed, which grows with what is in use, less and less: 2 or 3 MiB were seen,
/// with 1,000 connections and with 10,000. On the other hand 10,000 connections come and go a thousand times a second, so what
/// a connection leaves behind for good is found within a minute if it is 300 bytes, and within an hour if it is 5.
pub fn has_grown(warm: u64, end: u64) -> bool {
    end > warm + warm / 20 + (8 << 20)
}
