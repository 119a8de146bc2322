//! A ring as good as this kernel gives.
//!
//! What lives here: the ladder of flags, what is required, the trial. What does not: the ring in use (`mod.rs`), what the
//! kernel can do beyond that (`detect.rs`).
//!
//! 1. Rungs differ by what kernels learned over the years; the next is tried only after `EINVAL`, which is how a kernel
//!    says that it does not know a flag. Any other refusal is one of the environment and ends the ladder.
//! 2. A ring starts disabled where the kernel knows that. Whoever enables it is its owner, so a proactor may be made on
//!    one thread and polled on another.
//! 3. Filters may allow to make a ring and forbid to enter it, or to register anything, and so to enable it; and an old
//!    kernel may answer a read of an eventfd that is not set with an error instead of waiting. All of that is found out
//!    on a second ring, on the spot, while there is still another rung or backend to choose.
//! 4. Every refusal is `UNAVAILABLE`, with the number of the system.

use crate::capability::Capabilities;
use crate::config::Config;
use crate::errno::failure;
use crate::event::{new_eventfd, raise};
use io_uring::{Builder, IoUring, opcode, types};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, OwnedFd};
use weft_sync::{Code, Result, Status, bail};

/// Entries of a submission ring when nothing else is asked for.
const ENTRIES: u32 = 256;

/// One set of flags.
pub(super) struct Rung {
    pub(super) name: &'static str,
    apply: fn(&mut Builder),
    /// One thread owns the ring: the first to enter, or to enable.
    pub(super) is_single: bool,
    /// An empty completion queue proves nothing unless the flags say so.
    pub(super) tells_of_work: bool,
}

/// From the newest kernel to the oldest.
pub(super) const RUNGS: &[Rung] = &[
    Rung {
        name: "deferred, without index array",
        apply: |builder| {
            builder.setup_submit_all().setup_single_issuer().setup_defer_taskrun();
            builder.setup_taskrun_flag().setup_no_sqarray();
        },
        is_single: true,
        tells_of_work: true,
    },
    Rung {
        name: "deferred",
        apply: |builder| {
            builder.setup_submit_all().setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
        },
        is_single: true,
        tells_of_work: true,
    },
    Rung {
        name: "single issuer",
        apply: |builder| {
            builder.setup_submit_all().setup_single_issuer().setup_coop_taskrun().setup_taskrun_flag();
        },
        is_single: true,
        tells_of_work: true,
    },
    Rung {
        name: "cooperative",
        apply: |builder| {
            builder.setup_submit_all().setup_coop_taskrun().setup_taskrun_flag();
        },
        is_single: false,
        tells_of_work: true,
    },
    Rung {
        name: "submit all",
        apply: |builder| {
            builder.setup_submit_all();
        },
        is_single: false,
        tells_of_work: false,
    },
    Rung { name: "plain", apply: |_| {}, is_single: false, tells_of_work: false },
];

/// A ring, and what is known about it.
pub(super) struct Made {
    pub(super) ring: IoUring,
    pub(super) rung: &'static Rung,
    pub(super) detected: Capabilities,
}

/// The best ring to be had.
pub(super) fn ring(config: &Config) -> Result<Made> {
    let entries = if config.ring_entries == 0 { ENTRIES } else { config.ring_entries };
    // Neither more than the kernel takes: it would round down anyway, but the queue for completions is four times that.
    let entries = entries.min(32_768).next_power_of_two();
    if config.ring_rung >= RUNGS.len() {
        bail!(InvalidArgument, "rung {} of a ladder of {}", config.ring_rung, RUNGS.len());
    }
    let mut why = refusal(Errno::INVAL, "io_uring_setup, with no flags");
    for rung in &RUNGS[config.ring_rung..] {
        let attempt = build(rung, entries).and_then(|ring| build(rung, 4).map(|trial| (ring, trial)));
        let (ring, mut trial) = match attempt {
            Ok(both) => both,
            Err(Errno::INVAL) => continue,
            Err(errno) => return Err(refusal(errno, "io_uring_setup")),
        };
        require(&ring)?;
        if rung.is_single
            && let Err(error) = trial.submitter().register_enable_rings()
        {
            // The rungs without a single owner need no registration.
            why = refusal(number(&error), "enabling a ring by io_uring_register");
            continue;
        }
        try_out(&mut trial)?;
        let detected = super::detect::detect(&mut trial);
        return Ok(Made { ring, rung, detected });
    }
    Err(why)
}

/// A ring that is disabled if it will have a single owner.
fn build(rung: &Rung, entries: u32) -> std::result::Result<IoUring, Errno> {
    let mut builder = IoUring::builder();
    builder.setup_clamp().setup_cqsize(entries.saturating_mul(4));
    (rung.apply)(&mut builder);
    if rung.is_single {
        builder.setup_r_disabled();
    }
    builder.build(entries).map_err(|error| number(&error))
}

/// What cannot be done without.
fn require(ring: &IoUring) -> Result<()> {
    let parameters = ring.params();
    let missing = [
        (parameters.is_feature_fast_poll(), "fast poll (5.7)"),
        (parameters.is_feature_nodrop(), "completions that are never dropped (5.5)"),
        (parameters.is_feature_submit_stable(), "stable submissions (5.5)"),
        (parameters.is_feature_ext_arg(), "waits with a limit (5.11)"),
    ];
    match missing.iter().find(|(has, _)| !has) {
        Some((_, what)) => bail!(Unavailable, "this kernel's io_uring has no {what}"),
        None => Ok(()),
    }
}

/// Rule 3: something that does nothing, and a read that has to wait.
fn try_out(ring: &mut IoUring) -> Result<()> {
    let event = new_eventfd().map_err(|why| Status::new(Code::Unavailable, why.message().to_string()))?;
    super::ring::push_trial(ring, &opcode::Nop::new().build().user_data(1));
    enter(ring, 1)?;
    expect(ring, 1, 0)?;
    try_read(ring, &event)
}

/// A read that ends when, and only when, there is something to read.
fn try_read(ring: &mut IoUring, event: &OwnedFd) -> Result<()> {
    let word = Box::leak(Box::new(0_u64));
    let read = opcode::Read::new(types::Fd(event.as_raw_fd()), (&raw mut *word).cast(), 8);
    super::ring::push_trial(ring, &read.build().user_data(2));
    enter(ring, 0)?;
    if let Some(early) = ring.completion().next() {
        bail!(Unavailable, "reading an eventfd that is not set ends at once here, with {}", early.result());
    }
    raise(event);
    enter(ring, 1)?;
    expect(ring, 2, 8)?;
    // The kernel has answered, so it is not used any more.
    super::ring::unleak(word);
    Ok(())
}

fn enter(ring: &IoUring, want: usize) -> Result<()> {
    loop {
        match ring.submit_and_wait(want) {
            Ok(_) => return Ok(()),
            Err(error) if number(&error) == Errno::INTR => {}
            Err(error) => return Err(refusal(number(&error), "io_uring_enter")),
        }
    }
}

fn expect(ring: &mut IoUring, user_data: u64, result: i32) -> Result<()> {
    match ring.completion().next() {
        Some(entry) if entry.user_data() == user_data && entry.result() == result => Ok(()),
        other => bail!(Unavailable, "the first completions of a ring are wrong: {other:?}"),
    }
}

/// The number behind an error of the crate, which makes all of its errors from numbers.
pub(super) fn number(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}

/// Whatever keeps a ring from being made means that there is none here (rule 4).
#[cold]
pub(super) fn refusal(errno: Errno, what: &str) -> Status {
    let hint = match errno {
        Errno::PERM | Errno::ACCESS => {
            " (forbidden here: by a seccomp filter, or by kernel.io_uring_disabled)"
        }
        Errno::NOSYS => " (this kernel has none, or a filter hides it)",
        Errno::NOMEM => " (no memory, or the limit on locked memory is too low)",
        Errno::MFILE | Errno::NFILE => " (no handles left)",
        _ => "",
    };
    let told = failure(errno, what);
    Status::new(Code::Unavailable, format!("{}{hint}", told.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [async-backends 222] A read that does not wait, as of some old kernels, is found out when the ring is made. Here it is
    /// one of an eventfd that somebody has set.
    #[test]
    fn a_read_that_does_not_wait_is_found_out() {
        let ring = || IoUring::new(4).inspect_err(|why| println!("skipped: {why}")).ok();
        let (Some(mut good), Some(mut bad)) = (ring(), ring()) else { return };
        let event = new_eventfd().expect("there are handles left");
        try_read(&mut good, &event).expect("this kernel waits");
        raise(&event);
        let why = try_read(&mut bad, &event).expect_err("it did not wait");
        assert_eq!(why.code(), Code::Unavailable);
        assert!(why.message().contains("ends at once here, with 8"), "{why}");
    }
}
