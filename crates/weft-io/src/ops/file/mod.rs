//! Files: opening, reading and writing at a place, waiting for the device, closing.
//!
//! What lives here: what the kinds share. What does not: the file itself (`file.rs`), how kernels are asked
//! (`backend/*/lower.rs`).
//!
//! | file           | what lives there                                                        |
//! |----------------|---------------------------------------------------------------------------|
//! | `open.rs`      | [`FileOpen`]; unsafe                                                       |
//! | `transfer.rs`  | [`FileRead`], [`FileWrite`]                                                |
//! | `close.rs`     | [`FileSync`], [`FileClose`]                                                |
//! | `carry_out.rs` | the same by system calls, on the thread that asks; unsafe                  |
//!
//! 1. An operation enters its file when it is submitted and leaves when it has ended, so that closing finds out who is
//!    there; see `file.rs`.
//! 2. Nothing is longer than [`TRANSFER_MAX`]: what is, is carried out as far as that, which the result says.
#![cfg(unix)]

mod carry_out;
mod close;
mod open;
mod transfer;

#[allow(unused_imports, reason = "backends without operations for files carry them out on threads")]
pub(crate) use carry_out::carry_out;
pub use close::{FileClose, FileSync};
pub use open::{FileFlags, FileOpen};
pub(crate) use transfer::Transfer;
pub use transfer::{FileRead, FileWrite};

use super::Body;
use crate::file::{File, direct_alignment};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;
use weft_sync::{Result, Status};

/// What one transfer moves, at most: the kernel's own limit, two gibibytes less a page.
pub const TRANSFER_MAX: usize = 0x7FFF_F000;

/// A file that an operation works on, and whether it has entered.
#[derive(Debug)]
struct Used {
    file: File,
    has_entered: bool,
}

impl Used {
    fn new(file: File) -> Used {
        Used { file, has_entered: false }
    }

    /// May be called again.
    fn enter(&mut self) -> Result<()> {
        if !self.has_entered {
            self.file.enter()?;
            self.has_entered = true;
        }
        Ok(())
    }

    /// May be called again.
    fn leave(&mut self) {
        if std::mem::take(&mut self.has_entered) {
            self.file.leave();
        }
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Says more about a failure than the number does: which path, which alignment.
#[cold]
pub(crate) fn explain(why: Status, errno: Errno, body: &Body<'_>) -> Status {
    match body {
        Body::FileOpen(open) => why.while_doing(format!("opening {}", open.path().display())),
        Body::FileRead(transfer) | Body::FileWrite(transfer) if errno == Errno::INVAL => {
            let place = format!("{} bytes at {}", transfer.spans.length(), transfer.offset);
            match alignment_of(transfer.file.fd) {
                Some(rule) => why.while_doing(format!("a direct transfer of {place}, {rule}")),
                None => why.while_doing(format!("a transfer of {place}")),
            }
        }
        _ => why,
    }
}

/// What direct transfers of this file must be multiples of, if it was opened for them.
fn alignment_of(file: BorrowedFd<'_>) -> Option<String> {
    let told = |rule: crate::DirectAlignment| {
        format!("where memory must be aligned to {} and place and length to {}", rule.memory, rule.offset)
    };
    let unknown = || "whose alignment the system does not tell".to_owned();
    crate::file::is_direct(file).then(|| direct_alignment(file).map_or_else(unknown, told))
}
