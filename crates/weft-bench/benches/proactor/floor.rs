#![allow(unsafe_code, reason = "the floor is the bare ring, whose entries name memory")]
//! The bare ring: as little as it takes to have the kernel do the same.
//!
//! The same set-up as the first rung of weft's ladder: one owner, deferred work, registered handle. No tables, no
//! callbacks, no owners: what an entry names lives in [`Bare`] or with the caller, who waits for the answer.

use io_uring::{IoUring, opcode, squeue, types};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::AtomicU32;

/// See the header.
pub struct Bare {
    ring: IoUring,
    word: Box<u64>,
    /// Entries that were not answered.
    under_way: usize,
}

impl Bare {
    pub fn new(entries: u32) -> Bare {
        let mut builder = IoUring::builder();
        builder.setup_submit_all().setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
        builder.setup_no_sqarray().setup_cqsize(entries * 4);
        let ring = builder.build(entries).expect("the kernel has io_uring");
        // Saves the look-up of the handle in each call.
        drop(ring.submitter().register_ring_fd());
        Bare { ring, word: Box::new(0), under_way: 0 }
    }

    /// Adds an entry; nothing is handed over yet.
    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: entries are made in this file alone. They name no memory but `word`, which lives as long as the ring,
        // and timestamps and futexes of callers that wait.
        unsafe { self.ring.submission().push(&entry) }.expect("the ring has room");
        self.under_way += 1;
    }

    /// Hands everything over and waits for so many answers; the sum of what they say.
    pub fn wait(&mut self, count: usize) -> i64 {
        self.ring.submit_and_wait(count).expect("the kernel takes entries");
        let mut sum = 0;
        for answer in self.ring.completion() {
            sum += i64::from(answer.result()) + answer.user_data() as i64;
            self.under_way -= 1;
        }
        sum
    }

    /// Whether there is an answer, or a reason to ask the kernel: no call.
    pub fn peek(&mut self) -> bool {
        let is_due = self.ring.submission().taskrun();
        is_due || !self.ring.completion().is_empty()
    }

    /// So many operations that do nothing, independent of each other.
    pub fn nops(&mut self, count: usize) -> i64 {
        for index in 0..count {
            self.push(opcode::Nop::new().build().user_data(index as u64));
        }
        self.wait(count)
    }

    /// So many wakes of a futex that nobody waits on, each linked behind the one before.
    pub fn linked_wakes(&mut self, word: &AtomicU32, count: usize) -> i64 {
        for index in 0..count {
            let entry = wake(word).user_data(index as u64);
            let is_last = index + 1 == count;
            self.push(if is_last { entry } else { entry.flags(squeue::Flags::IO_LINK) });
        }
        self.wait(count)
    }

    /// So many, each handed over when the one before was answered.
    pub fn wakes_in_turn(&mut self, word: &AtomicU32, count: usize) -> i64 {
        (0..count).map(|_| (self.push(wake(word)), self.wait(1)).1).sum()
    }

    /// A read of eight bytes.
    pub fn read(&mut self, fd: BorrowedFd<'_>) {
        let word: *mut u64 = &raw mut *self.word;
        self.push(opcode::Read::new(types::Fd(fd.as_raw_fd()), word.cast(), 8).build().user_data(1));
    }

    /// A read of eight bytes, with the kernel already.
    pub fn begin_read(&mut self, fd: BorrowedFd<'_>) {
        self.read(fd);
        self.wait(0);
    }

    /// Asks the read to end, and waits for both answers.
    pub fn cancel_read(&mut self) -> i64 {
        self.push(opcode::AsyncCancel::new(1).build().user_data(2));
        self.wait(2)
    }

    /// A wait for the handle to be readable.
    pub fn poll(&mut self, fd: BorrowedFd<'_>) {
        const READABLE: u32 = 1;
        self.push(opcode::PollAdd::new(types::Fd(fd.as_raw_fd()), READABLE).build().user_data(1));
    }

    /// Timers of the kernel that end at such times from now on.
    pub fn begin_timers(&mut self, times: &[types::Timespec]) {
        for (index, time) in times.iter().enumerate() {
            self.push(opcode::Timeout::new(time).build().user_data(index as u64));
            self.flush_full();
        }
        self.wait(0);
    }

    /// Takes as many timers away.
    pub fn cancel_timers(&mut self, count: usize) {
        for index in 0..count {
            self.push(opcode::TimeoutRemove::new(index as u64).build());
            self.flush_full();
        }
        self.wait(0);
    }

    fn flush_full(&mut self) {
        if self.ring.submission().is_full() {
            self.wait(0);
        }
    }

    /// Waits until everything is answered.
    pub fn drain(&mut self) {
        while self.under_way > 0 {
            self.wait(1);
        }
    }
}

/// Wakes one of nobody. Such a wake reads no memory, and the callers wait for its answer.
fn wake(word: &AtomicU32) -> squeue::Entry {
    /// 32 bits, of this process; whoever waits, whatever for.
    const FLAGS: u32 = 2 | 128;
    opcode::FutexWake::new(word.as_ptr().cast_const(), 1, u64::from(u32::MAX), FLAGS).build()
}

/// Signals an eventfd, as little as it takes.
pub fn raise(fd: impl AsFd) {
    rustix::io::write(fd, &1_u64.to_ne_bytes()).expect("eight bytes fit");
}
