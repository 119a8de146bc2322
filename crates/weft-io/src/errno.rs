//! What the system's error numbers mean to callers.
//!
//! What lives here: the table of the specification, and its use. What does not: what a result means to an operation
//! before it counts as an error (`backend/*/lower.rs`).
#![cfg(unix)]

use rustix::io::Errno;
use weft_sync::{Code, Status};

/// Numbers by code; whatever is in none of the tables is `UNKNOWN`.
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
            Errno::NOTSOCK,
            Errno::NOTTY,
            Errno::PROTOTYPE,
            Errno::SPIPE,
        ],
    ),
    (Code::DeadlineExceeded, &[Errno::TIMEDOUT]),
    (Code::NotFound, &[Errno::NODEV, Errno::NOENT, Errno::NXIO, Errno::SRCH]),
    (Code::AlreadyExists, &[Errno::EXIST, Errno::ADDRNOTAVAIL, Errno::ALREADY]),
    (Code::PermissionDenied, &[Errno::PERM, Errno::ACCESS, Errno::ROFS]),
    (
        Code::ResourceExhausted,
        &[
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::MFILE,
            Errno::MLINK,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
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
            Errno::BUSY,
            Errno::CHILD,
            Errno::ISCONN,
            Errno::NOTBLK,
            Errno::NOTCONN,
            Errno::PIPE,
            Errno::SHUTDOWN,
            Errno::TXTBSY,
        ],
    ),
    (Code::Aborted, &[Errno::DEADLK, Errno::STALE]),
    (Code::OutOfRange, &[Errno::FBIG, Errno::OVERFLOW, Errno::RANGE]),
    (
        Code::Unimplemented,
        &[
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
        ],
    ),
];

/// Numbers of streams, which not every system has.
#[cfg(not(target_os = "freebsd"))]
const STREAM_CODES: &[(Code, &[Errno])] = &[
    (Code::InvalidArgument, &[Errno::NOSTR]),
    (Code::DeadlineExceeded, &[Errno::TIME]),
    (Code::ResourceExhausted, &[Errno::NODATA, Errno::NOSR]),
];
#[cfg(target_os = "freebsd")]
const STREAM_CODES: &[(Code, &[Errno])] = &[];

/// Numbers that only Linux has.
#[cfg(target_os = "linux")]
const LINUX_CODES: &[(Code, &[Errno])] = &[
    (Code::NotFound, &[Errno::NOMEDIUM]),
    (Code::AlreadyExists, &[Errno::NOTUNIQ]),
    (Code::PermissionDenied, &[Errno::NOKEY]),
    (Code::FailedPrecondition, &[Errno::BADFD, Errno::ISNAM, Errno::UNATCH]),
    (Code::OutOfRange, &[Errno::CHRNG]),
    (Code::Unimplemented, &[Errno::NOPKG]),
    (Code::Unavailable, &[Errno::COMM, Errno::NONET]),
];
#[cfg(not(target_os = "linux"))]
const LINUX_CODES: &[(Code, &[Errno])] = &[];

/// The code of an error number.
pub(crate) fn code(errno: Errno) -> Code {
    let mut tables = [CODES, STREAM_CODES, LINUX_CODES].into_iter().flatten();
    let named = tables.find(|(_, numbers)| numbers.contains(&errno));
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
