//! What the system's error numbers mean to callers.
//!
//! What lives here: the table of the specification, and its use. What does not: what a result means to an operation
//! before it counts as an error (`backend/*/lower.rs`).
#![cfg(target_os = "linux")]

use rustix::io::Errno;
use weft_sync::{Code, Status};

/// Numbers by code; whatever is not here is `UNKNOWN`.
const CODES: &[(Code, &[Errno])] = &[
    (Code::Cancelled, &[Errno::CANCELED]),
    (
        Code::InvalidArgument,
        &[
            Errno::INVAL,
            Errno::NAMETOOLONG,
            Errno::TOOBIG,
            Errno::DESTADDRREQ,
            Errno::DOM,
            Errno::FAULT,
            Errno::ILSEQ,
            Errno::NOPROTOOPT,
            Errno::NOSTR,
            Errno::NOTSOCK,
            Errno::NOTTY,
            Errno::PROTOTYPE,
            Errno::SPIPE,
        ],
    ),
    (Code::DeadlineExceeded, &[Errno::TIMEDOUT, Errno::TIME]),
    (Code::NotFound, &[Errno::NODEV, Errno::NOENT, Errno::NOMEDIUM, Errno::NXIO, Errno::SRCH]),
    (Code::AlreadyExists, &[Errno::EXIST, Errno::ADDRNOTAVAIL, Errno::ALREADY, Errno::NOTUNIQ]),
    (Code::PermissionDenied, &[Errno::PERM, Errno::ACCESS, Errno::NOKEY, Errno::ROFS]),
    (
        Code::ResourceExhausted,
        &[
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::MFILE,
            Errno::MLINK,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NODATA,
            Errno::NOMEM,
            Errno::NOSR,
            Errno::USERS,
        ],
    ),
    (
        Code::FailedPrecondition,
        &[
            Errno::NOTEMPTY,
            Errno::ISDIR,
            Errno::NOTDIR,
            Errno::ADDRINUSE,
            Errno::BADF,
            Errno::BADFD,
            Errno::BUSY,
            Errno::CHILD,
            Errno::ISCONN,
            Errno::ISNAM,
            Errno::NOTBLK,
            Errno::NOTCONN,
            Errno::PIPE,
            Errno::SHUTDOWN,
            Errno::TXTBSY,
            Errno::UNATCH,
        ],
    ),
    (Code::Aborted, &[Errno::DEADLK, Errno::STALE]),
    (Code::OutOfRange, &[Errno::CHRNG, Errno::FBIG, Errno::OVERFLOW, Errno::RANGE]),
    (
        Code::Unimplemented,
        &[
            Errno::NOPKG,
            Errno::NOSYS,
            Errno::OPNOTSUPP,
            Errno::AFNOSUPPORT,
            Errno::PFNOSUPPORT,
            Errno::PROTONOSUPPORT,
            Errno::SOCKTNOSUPPORT,
            Errno::XDEV,
        ],
    ),
    (
        Code::Unavailable,
        &[
            Errno::AGAIN,
            Errno::COMM,
            Errno::CONNREFUSED,
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::INTR,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::NETDOWN,
            Errno::NETRESET,
            Errno::NETUNREACH,
            Errno::NOLCK,
            Errno::NOLINK,
            Errno::NONET,
        ],
    ),
];

/// The code of an error number.
pub(crate) fn code(errno: Errno) -> Code {
    let named = CODES.iter().find(|(_, numbers)| numbers.contains(&errno));
    named.map_or(Code::Unknown, |&(code, _)| code)
}

/// A failure that says what was being done and which number came back.
#[cold]
pub(crate) fn failure(errno: Errno, what: &str) -> Status {
    Status::new(code(errno), format!("{what}: errno {} ({errno})", errno.raw_os_error()))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_map_as_the_specification_says() {
        assert_eq!(code(Errno::ADDRINUSE), Code::FailedPrecondition);
        assert_eq!(code(Errno::CONNREFUSED), Code::Unavailable);
        assert_eq!(code(Errno::BADF), Code::FailedPrecondition);
        assert_eq!(code(Errno::IO), Code::Unknown);
        assert_eq!(code(Errno::CANCELED), Code::Cancelled);
        let status = failure(Errno::PERM, "io_uring_setup");
        assert!(status.to_string().contains("errno 1"), "{status}");
    }
}
