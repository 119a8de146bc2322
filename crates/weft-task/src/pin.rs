//! Where threads run: processor, memory policy, name.
//!
//! What lives here: [`Placement`] and its application to the calling thread. Elsewhere than on Linux it does nothing:
//! those systems give threads no processor of their own, or not without handles that std does not lend.

#![allow(
    unsafe_code,
    reason = "set_mempolicy and affinity masks of more than 1024 processors have no safe wrapper"
)]

use weft_sync::Result;

use crate::topology::ProcessorSet;

/// Where one thread runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The processor; none: where the system likes.
    pub processor: Option<u32>,
    /// The NUMA node whose memory is preferred.
    pub node: Option<u32>,
    /// Also on the processor after it, which is its sibling on machines that number siblings in pairs.
    pub with_sibling: bool,
}

impl Placement {
    /// Where the system likes.
    pub const ANYWHERE: Placement = Placement { processor: None, node: None, with_sibling: false };

    /// Moves the calling thread there, and lets its memory come from there. A thread without a processor keeps the mask
    /// that it inherited, and its memory policy. A failure leaves the thread able to run: report it and go on.
    ///
    /// ```
    /// use weft_task::Placement;
    /// Placement::ANYWHERE.apply()?;
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn apply(&self) -> Result<()> {
        let Some(processor) = self.processor else { return Ok(()) };
        let last = if self.with_sibling { processor.saturating_add(1) } else { processor };
        let pinned = system::set_affinity(&(processor..=last).collect());
        // Also where pinning failed: the inherited mask may well be that of the node.
        let preferred = self.node.map_or(Ok(()), system::prefer_node);
        pinned.and(preferred)
    }
}

/// The processors on which the calling thread may run, if the system tells.
#[must_use]
pub fn allowed_processors() -> Option<ProcessorSet> {
    system::affinity()
}

/// Lets the calling thread run on these processors only, for tests and tools.
pub fn set_allowed_processors(processors: &ProcessorSet) -> Result<()> {
    system::set_affinity(processors)
}

/// Longest name that debuggers show.
pub const THREAD_NAME_BYTES_MAX: usize = 15;

/// The name of a worker, at most [`THREAD_NAME_BYTES_MAX`] bytes, whatever the index.
///
/// ```
/// assert_eq!(weft_task::worker_name(7), "weft-7");
/// assert!(weft_task::worker_name(usize::MAX).len() <= weft_task::THREAD_NAME_BYTES_MAX);
/// ```
#[must_use]
pub fn worker_name(index: usize) -> String {
    let mut name = format!("weft-{index}");
    name.truncate(THREAD_NAME_BYTES_MAX);
    name
}

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    use std::ffi::{c_long, c_ulong};
    use std::io;

    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    use weft_sync::{Result, bail};

    use crate::topology::ProcessorSet;

    const WORD_BITS: u32 = c_ulong::BITS;

    /// Larger masks than the kernel can be built for.
    const PROCESSORS_MAX: u32 = 1 << 20;

    /// Larger than any kernel's number of nodes.
    const NODES_MAX: u32 = 1 << 16;

    // Allocate on the given node while it has memory, on its neighbours after that.
    const MPOL_PREFERRED: c_long = 1;

    /// Numbers of system calls that the C library does not wrap; none on processors that are not listed.
    struct CallNumbers {
        sched_setaffinity: c_long,
        set_mempolicy: c_long,
    }

    const CALLS: Option<CallNumbers> = cfg_select! {
        all(target_arch = "x86_64", target_pointer_width = "64") => {
            Some(CallNumbers { sched_setaffinity: 203, set_mempolicy: 238 })
        }
        any(target_arch = "aarch64", target_arch = "riscv64") => {
            Some(CallNumbers { sched_setaffinity: 122, set_mempolicy: 237 })
        }
        _ => { None }
    };

    // SAFETY: the C library's own declaration; std links it.
    unsafe extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
    }

    pub(super) fn affinity() -> Option<ProcessorSet> {
        match sched_getaffinity(None) {
            Ok(set) => {
                let ids = (0..CpuSet::MAX_CPU).filter(|id| set.is_set(*id));
                Some(ids.map(|id| id as u32).collect())
            }
            // The kernel knows more processors than the set can hold; as text there is no bound.
            Err(_) => {
                let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
                let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
                line.parse().ok()
            }
        }
    }

    pub(super) fn set_affinity(processors: &ProcessorSet) -> Result<()> {
        let result = match processors.iter().last() {
            Some(last) if last as usize >= CpuSet::MAX_CPU => set_wide_affinity(processors, last),
            _ => {
                let mut set = CpuSet::new();
                for id in processors.iter() {
                    set.set(id as usize);
                }
                sched_setaffinity(None, &set)
                    .map_err(|error| io::Error::from_raw_os_error(error.raw_os_error()))
            }
        };
        match result {
            Ok(()) => Ok(()),
            Err(error) => bail!(Unavailable, "cannot run on processors {processors}: {error}"),
        }
    }

    /// With a mask as long as needed.
    fn set_wide_affinity(processors: &ProcessorSet, last: u32) -> io::Result<()> {
        let (Some(calls), true) = (CALLS, last < PROCESSORS_MAX) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let mask = mask(processors, last);
        let bytes = size_of_val(mask.as_slice());
        // SAFETY: the call reads `bytes` bytes at the address of `mask`, which lives until after it; 0 is this thread.
        let result = unsafe { syscall(calls.sched_setaffinity, 0 as c_long, bytes, mask.as_ptr()) };
        outcome(result)
    }

    pub(super) fn prefer_node(node: u32) -> Result<()> {
        let (Some(calls), true) = (CALLS, node < NODES_MAX) else { return Ok(()) };
        let mask = mask(&ProcessorSet::single(node), node);
        // The kernel takes one bit less than it is told.
        let bits = mask.len() as c_ulong * c_ulong::from(WORD_BITS) + 1;
        // SAFETY: the call reads `bits - 1` bits at the address of `mask`, which lives until after it; it changes where
        // pages of this thread come from and touches no memory that exists.
        let result = unsafe { syscall(calls.set_mempolicy, MPOL_PREFERRED, mask.as_ptr(), bits) };
        match outcome(result) {
            Ok(()) => Ok(()),
            // Kernels without NUMA, and sandboxes.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
            Err(error) => bail!(Unavailable, "cannot prefer memory of node {node}: {error}"),
        }
    }

    fn mask(bits: &ProcessorSet, last: u32) -> Vec<c_ulong> {
        let mut mask = vec![0; (last / WORD_BITS) as usize + 1];
        for bit in bits.iter() {
            mask[(bit / WORD_BITS) as usize] |= 1 << (bit % WORD_BITS);
        }
        mask
    }

    fn outcome(result: c_long) -> io::Result<()> {
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    use weft_sync::Result;

    use crate::topology::ProcessorSet;

    pub(super) fn affinity() -> Option<ProcessorSet> {
        None
    }

    pub(super) fn set_affinity(_processors: &ProcessorSet) -> Result<()> {
        Ok(())
    }

    pub(super) fn prefer_node(_node: u32) -> Result<()> {
        Ok(())
    }
}
