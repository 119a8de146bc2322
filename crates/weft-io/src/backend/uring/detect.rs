#![allow(
    unsafe_code,
    reason = "entries and registrations that name memory are made here, to see what becomes of them"
)]
//! What this kernel has of what can be done without.
//!
//! What lives here: one function for each capability, and the ring that they are tried on. What does not: what cannot be
//! done without (`setup.rs`), how an operation uses what was found (`lower.rs`).
//!
//! 1. **Found by trying**: numbers of versions lie, and the kernel's own list knows opcodes, not flags, and nothing of
//!    filters. Each function does the thing once, in the smallest way there is, and looks at the answer.
//! 2. **A failure is an answer.** Whatever cannot be had leaves its capability out, for whatever reason, and the ring works.
//! 3. Every request that is made here ends by itself, and nothing waits for longer than [`PATIENCE`]. A request without
//!    an answer ends the trial: what it names is leaked, and nothing more is asked.
//! 4. A capability that no operation of this backend makes use of is not told of: `PROACTOR_MESSAGING` is never set.
//!    `DMABUF` follows from `REGISTERED_BUFFERS`, see `mod.rs`.
//! 5. Nothing leaves the machine, and no network is needed: the sockets are a pair without names.
//!
//! # Safety
//!
//! Requests name statics, which live for ever, or [`Group`], which is freed when its ring of buffers is not registered
//! and every request has been answered, and leaked otherwise.

use crate::capability::Capabilities;
use crate::event::{new_eventfd, raise};
use io_uring::types::{Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, Submitter, cqueue, opcode, squeue};
use rustix::io::Errno;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use weft_sync::atomic::AtomicU32;

/// How long an answer may take that comes at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// What nobody waits on and nobody changes, for requests that have to name memory.
static WORD: AtomicU32 = AtomicU32::new(0);

/// `IORING_SEND_ZC_REPORT_USAGE`: the answer is to say whether the kernel has copied after all.
const REPORT_USAGE: u16 = 1 << 3;

/// What the kernel behind this ring has. The ring is enabled, has nothing under way, and is for trials alone.
pub(super) fn detect(ring: &mut IoUring) -> Capabilities {
    let mut trial = Trial { ring, asked: 0, is_lost: false };
    // Deadlines are absolute in the proactor's heap, whatever is below.
    let mut found = Capabilities::ABSOLUTE_TIMEOUT;
    let mut note = |capability, has| found.set(capability, has);
    note(Capabilities::LINKED_OPERATIONS, has_links(&mut trial));
    note(Capabilities::DEVICE_FENCE, has_fences(&mut trial));
    note(Capabilities::FUTEX_OPERATIONS, has_futexes(&mut trial));
    note(Capabilities::REGISTERED_BUFFERS, has_registered_buffers(&trial));
    note(Capabilities::FIXED_FILES, has_fixed_files(&mut trial));
    note(Capabilities::ZERO_COPY_SEND, has_zero_copy(&mut trial));
    note(Capabilities::ZERO_COPY_REPORT, has_zero_copy_report(&mut trial));
    let mut group = Some(Group::new());
    found |= of_buffer_rings(&mut |flags, bytes, requests| trial.receive(&mut group, flags, bytes, requests));
    found
}

/// 5.3. Whatever follows a failure does not run.
fn has_links(trial: &mut Trial<'_>) -> bool {
    let failing = opcode::Read::new(Fd(-1), std::ptr::null_mut(), 0).build();
    let answers = trial.ask(&[failing.flags(squeue::Flags::IO_LINK), opcode::Nop::new().build()]);
    matches!(answers[..], [Answer { result, .. }, behind] if result < 0 && behind.is(Errno::CANCELED))
}

/// Fences of other parties are waited for as handles; any handle will do to see whether that can be.
fn has_fences(trial: &mut Trial<'_>) -> bool {
    let Ok(event) = new_eventfd() else { return false };
    raise(&event);
    let readable = u32::from(libc::POLLIN.unsigned_abs());
    let answers = trial.ask(&[opcode::PollAdd::new(Fd(event.as_raw_fd()), readable).build()]);
    matches!(answers[..], [Answer { result, .. }] if result >= 0 && result as u32 & readable != 0)
}

/// 6.7. Nobody waits, so nobody is woken; and whoever expects another value does not wait.
fn has_futexes(trial: &mut Trial<'_>) -> bool {
    let word = AtomicU32::as_ptr(&WORD).cast_const();
    let (any, flags) = (super::lower::FUTEX_ANY, super::lower::FUTEX_FLAGS);
    let woken = trial.ask(&[opcode::FutexWake::new(word, 1, any, flags).build()]);
    let waited = trial.ask(&[opcode::FutexWait::new(word, 1, any, flags).build()]);
    matches!((&woken[..], &waited[..]), ([woken], [waited]) if woken.result == 0 && waited.is(Errno::AGAIN))
}

/// 5.1. Pins a page, which the limit on locked memory may forbid.
fn has_registered_buffers(trial: &Trial<'_>) -> bool {
    let memory = libc::iovec { iov_base: AtomicU32::as_ptr(&WORD).cast(), iov_len: size_of::<AtomicU32>() };
    let submitter = trial.ring.submitter();
    // SAFETY: a static lives for ever.
    let registered = unsafe { submitter.register_buffers(&[memory]) };
    registered.is_ok() && submitter.unregister_buffers().is_ok()
}

/// 6.13. Tables are older, but before that a file whose place was emptied stayed open until all requests were over that
/// had begun by then, on whatever file of a table; and some may never be. So here is such a request, of one socket, while
/// the place of another is emptied, whose other end has to see that at once.
fn has_fixed_files(trial: &mut Trial<'_>) -> bool {
    let (Ok((near, far)), Ok((waiting, mut other))) = (UnixStream::pair(), UnixStream::pair()) else {
        return false;
    };
    let submitter = trial.ring.submitter();
    if trial.is_lost || submitter.register_files_sparse(2).is_err() {
        return false;
    }
    let both = [near.as_raw_fd(), waiting.as_raw_fd()];
    let is_in = submitter.register_files_update(0, &both).is_ok_and(|count| count == 2);
    drop(near);
    let readable = u32::from(libc::POLLIN.unsigned_abs());
    let mut has_gone = false;
    let answers = trial.ask_and(&[opcode::PollAdd::new(Fixed(1), readable).build()], |submitter| {
        let is_early = has_hung_up(&far);
        let is_out = submitter.register_files_update(0, &[-1]).is_ok_and(|count| count == 1);
        has_gone = is_out && !is_early && has_hung_up(&far);
        // It ends in any case.
        let _ = other.write_all(b"1");
    });
    let is_answered =
        matches!(answers[..], [Answer { result, .. }] if result >= 0 && result as u32 & readable != 0);
    trial.ring.submitter().unregister_files().is_ok() && is_in && has_gone && is_answered
}

/// Whether the other end is gone.
fn has_hung_up(socket: &UnixStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut sockets = [PollFd::new(socket, PollFlags::IN)];
    let told = poll(&mut sockets, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    told.is_ok() && sockets[0].revents().contains(PollFlags::HUP)
}

/// 6.0, and 6.1 for several pieces. Sockets without names have no such way and say so; what is asked here is whether the
/// kernel understands. Whether it copies is up to each send: to the other end of a loopback it does.
fn has_zero_copy(trial: &mut Trial<'_>) -> bool {
    let pieces = opcode::SendMsgZc::new(Fd(-1), std::ptr::null()).build();
    let understands = |answers: &[Answer]| matches!(answers, [first, ..] if !first.is(Errno::INVAL));
    send_zero_copy(trial, 0) && understands(&trial.ask(&[pieces]))
}

/// 6.2.
fn has_zero_copy_report(trial: &mut Trial<'_>) -> bool {
    send_zero_copy(trial, REPORT_USAGE)
}

fn send_zero_copy(trial: &mut Trial<'_>, flags: u16) -> bool {
    let Ok((here, _there)) = UnixStream::pair() else { return false };
    let byte = AtomicU32::as_ptr(&WORD).cast::<u8>().cast_const();
    let answers = trial.ask(&[opcode::SendZc::new(Fd(here.as_raw_fd()), byte, 1).zc_flags(flags).build()]);
    matches!(answers[..], [first, ..] if first.result == 1 || first.is(Errno::OPNOTSUPP))
}

/// Receives these bytes, and then the end, into buffers that were registered with these flags, by these requests.
type Receive<'a> = dyn FnMut(u16, &[u8], &dyn Fn(Fd) -> Vec<squeue::Entry>) -> Vec<Answer> + 'a;

/// Receives one byte in two ways, and then as much as all buffers hold.
fn of_buffer_rings(receive: &mut Receive<'_>) -> Capabilities {
    let one = |fd| {
        let into = opcode::Recv::new(fd, std::ptr::null_mut(), 0).buf_group(GROUP);
        vec![into.build().flags(squeue::Flags::BUFFER_SELECT)]
    };
    let is_in_buffer = |first: &Answer| first.result == 1 && cqueue::buffer_select(first.flags) == Some(0);
    let first = |answers: &[Answer]| answers.first().copied().filter(is_in_buffer);
    // The byte, with more to come, and the end.
    let is_many = |answers: &[Answer]| {
        let goes_on = first(answers).is_some_and(|first| cqueue::more(first.flags));
        goes_on && matches!(answers, [_, last] if last.result == 0)
    };
    let mut found = Capabilities::empty();
    // 5.19.
    if first(&receive(0, b"1", &one)).is_none() {
        return found;
    }
    found |= Capabilities::PROVIDED_BUFFERS;
    // 6.0; that accepting knew it before, with 5.19, is not asked.
    let many = |fd| vec![opcode::RecvMulti::new(fd, GROUP).build()];
    found.set(Capabilities::MULTISHOT, is_many(&receive(0, b"1", &many)));
    // 6.10 for connections to elsewhere, 6.17 for the pairs of this machine that are tried here; those before 6.16 may leave a
    // gap between two buffers of a bundle, and do not pass.
    let bundle = |fd| vec![opcode::RecvMultiBundle::new(fd, GROUP).build()];
    let message = [1; BUFFERS * BUFFER_BYTES];
    let is_bundle = |first: &Answer| {
        first.result == message.len() as i32 && cqueue::buffer_select(first.flags) == Some(0)
    };
    found.set(Capabilities::RECEIVE_BUNDLES, receive(0, &message, &bundle).first().is_some_and(is_bundle));
    // 6.12. Where pieces begin is known from the order of the answers. Before 6.16 an answer of one of several could overtake
    // the only one to another request, as it would here.
    let behind = |fd| vec![opcode::Nop::new().build(), opcode::RecvMulti::new(fd, GROUP).build()];
    let goes_on = super::ring::flag::BUFFER_GOES_ON;
    let is_piece = |answers: &[Answer]| {
        let is_first = |answer: &Answer| is_in_buffer(answer) && answer.flags & goes_on != 0;
        matches!(answers, [nothing, piece, ..] if nothing.flags == 0 && is_first(piece))
    };
    let pieces = receive(super::register::INCREMENTAL, b"1", &behind);
    found.set(Capabilities::INCREMENTAL_BUFFERS, is_piece(&pieces));
    found
}

/// An answer of the kernel to a trial.
#[derive(Clone, Copy, Debug)]
struct Answer {
    result: i32,
    flags: u32,
}

impl Answer {
    fn is(self, errno: Errno) -> bool {
        self.result == errno.raw_os_error().wrapping_neg()
    }
}

/// A ring to try things on.
struct Trial<'ring> {
    ring: &'ring mut IoUring,
    /// Requests that were made; each has the next number.
    asked: u64,
    /// Rule 3.
    is_lost: bool,
}

impl Trial<'_> {
    /// Makes requests, a few at most, and returns all answers in order; none, if one does not come.
    fn ask(&mut self, entries: &[squeue::Entry]) -> Vec<Answer> {
        self.push(entries);
        self.collect(entries.len())
    }

    /// The same, and does something when the kernel has them.
    fn ask_and(&mut self, entries: &[squeue::Entry], meanwhile: impl FnOnce(&Submitter<'_>)) -> Vec<Answer> {
        self.push(entries);
        // What the kernel does not take now it takes in the end; then this is no trial of anything.
        let _ = self.ring.submit();
        meanwhile(&self.ring.submitter());
        self.collect(entries.len())
    }

    fn push(&mut self, entries: &[squeue::Entry]) {
        for entry in entries.iter().filter(|_| !self.is_lost) {
            self.asked += 1;
            super::ring::push_trial(self.ring, &entry.clone().user_data(self.asked));
        }
    }

    /// Waits for so many last answers.
    fn collect(&mut self, mut missing: usize) -> Vec<Answer> {
        let mut answers = Vec::new();
        if self.is_lost {
            return answers;
        }
        while missing > 0 {
            let limit = Timespec::from(PATIENCE);
            let outcome = self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&limit));
            let is_interrupted =
                outcome.as_ref().is_err_and(|error| super::setup::number(error) == Errno::INTR);
            let before = answers.len();
            for entry in self.ring.completion() {
                missing -= usize::from(!cqueue::more(entry.flags()));
                answers.push(Answer { result: entry.result(), flags: entry.flags() });
            }
            if answers.len() == before && !is_interrupted {
                self.is_lost = true;
                return Vec::new();
            }
        }
        answers
    }

    /// Receives bytes and the end of a stream by these requests, into a group of buffers.
    fn receive(
        &mut self,
        place: &mut Option<Box<Group>>,
        flags: u16,
        bytes: &[u8],
        requests: &dyn Fn(Fd) -> Vec<squeue::Entry>,
    ) -> Vec<Answer> {
        let (Some(mut group), Ok((mut near, far))) = (place.take(), UnixStream::pair()) else {
            return Vec::new();
        };
        group.fill();
        // The memory is the kernel's from here on.
        let group = Box::into_raw(group);
        let address = group.expose_provenance() as u64;
        let submitter = self.ring.submitter();
        // SAFETY: the group stays where it is until it is not registered any more, or for ever.
        let registered =
            unsafe { submitter.register_buf_ring_with_flags(address, BUFFERS as u16, GROUP, flags) };
        let mut answers = Vec::new();
        if registered.is_ok() && near.write_all(bytes).is_ok() {
            // Closed, so that every kind of request ends.
            drop(near);
            answers = self.ask(&requests(Fd(far.as_raw_fd())));
        }
        let is_free = registered.is_err() || self.ring.submitter().unregister_buf_ring(GROUP).is_ok();
        if is_free && !self.is_lost {
            // SAFETY: it came from a box, and the kernel has neither the ring of buffers nor a request any more.
            *place = Some(unsafe { Box::from_raw(group) });
        }
        answers
    }
}

/// The number of the group of buffers.
const GROUP: u16 = 0;
/// How many buffers are in it.
const BUFFERS: usize = 2;
/// How long each is.
const BUFFER_BYTES: usize = 64;

/// A ring of buffers and the buffers. A ring begins with a page, which has up to 64 KiB.
#[repr(C, align(65536))]
struct Group {
    ring: [Buffer; BUFFERS],
    memory: [[u8; BUFFER_BYTES]; BUFFERS],
}

/// `io_uring_buf`. The last word of the first is the ring's: how many buffers were ever added.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Buffer {
    address: u64,
    length: u32,
    number: u16,
    added: u16,
}

const _: () = assert!(size_of::<Buffer>() == 16);

impl Group {
    fn new() -> Box<Group> {
        Box::new(Group { ring: [Buffer::default(); BUFFERS], memory: [[0; BUFFER_BYTES]; BUFFERS] })
    }

    /// Adds all buffers, to a ring that is registered next.
    fn fill(&mut self) {
        let buffers = self.ring.iter_mut().zip(&mut self.memory).zip(0..);
        for ((buffer, memory), number) in buffers {
            let address = memory.as_mut_ptr().expose_provenance() as u64;
            *buffer = Buffer { address, length: memory.len() as u32, number, added: 0 };
        }
        self.ring[0].added = BUFFERS as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use io_uring::register::Probe;

    fn ring() -> Option<IoUring> {
        IoUring::new(4).inspect_err(|why| println!("skipped: {why}")).ok()
    }

    /// [async-backends 2] Tried twice, or on another ring, it is the same; and what the kernel does not list by its number
    /// is not found.
    #[test]
    fn trials_find_what_the_kernel_lists() {
        let (Some(mut ring), Some(mut other)) = (ring(), ring()) else { return };
        let found = detect(&mut ring);
        assert_eq!((detect(&mut ring), detect(&mut other)), (found, found));
        assert!(ring.completion().is_empty() && ring.submission().is_empty());
        let mut listed = Probe::new();
        if ring.submitter().register_probe(&mut listed).is_err() {
            return println!("skipped: no list");
        }
        for (capability, code) in [
            (Capabilities::FUTEX_OPERATIONS, opcode::FutexWait::CODE),
            (Capabilities::FUTEX_OPERATIONS, opcode::FutexWake::CODE),
            (Capabilities::ZERO_COPY_SEND, opcode::SendZc::CODE),
            (Capabilities::ZERO_COPY_SEND, opcode::SendMsgZc::CODE),
        ] {
            assert!(listed.is_supported(code) || !found.contains(capability), "{code}: {found:?}");
        }
        // A kernel of 6.0 lists both, and nothing but locked memory and sockets is needed.
        if listed.is_supported(opcode::SendMsgZc::CODE) {
            assert!(found.contains(Capabilities::ZERO_COPY_SEND | Capabilities::MULTISHOT), "{found:?}");
        }
        // Listed since 6.15.
        assert!(!listed.is_supported(opcode::RecvZc::CODE) || found.contains(Capabilities::FIXED_FILES));
    }

    /// [async-backends 6] A ring that answers nothing has no capability that needs an answer, and detection ends.
    #[test]
    fn no_answer_is_no_capability() {
        let Some(mut ring) = ring() else { return };
        let disabled = IoUring::builder().setup_r_disabled().build(4);
        let Ok(mut disabled) = disabled else { return println!("skipped: rings cannot be disabled") };
        let found = detect(&mut disabled);
        let needs_none = Capabilities::ABSOLUTE_TIMEOUT | Capabilities::REGISTERED_BUFFERS;
        assert_eq!(found - needs_none, Capabilities::empty());
        assert!(detect(&mut ring).contains(Capabilities::LINKED_OPERATIONS));
    }
}
