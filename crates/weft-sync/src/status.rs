//! Failure values: a code, a message, and the trail of steps that led there.
//!
//! What lives here: [`Code`], [`Status`], [`Result`]. The numbers of the codes are visible to compiled
//! programs (`fail`, `hal.fence.await`), so they are fixed.
//! What does not: success. A `Status` always is a failure; success is `Ok`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The kind of a failure. Numbers are part of the program ABI (`docs/spec/vm-bytecode.md` §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Code {
    /// The asker withdrew.
    Cancelled = 1,
    /// A failure that no other code describes.
    Unknown = 2,
    /// The input is wrong whatever the state of the system.
    InvalidArgument = 3,
    /// The deadline passed first.
    DeadlineExceeded = 4,
    /// The named thing does not exist.
    NotFound = 5,
    /// The thing to be made exists already.
    AlreadyExists = 6,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// A limit was reached: memory, slots, quota.
    ResourceExhausted = 8,
    /// The system is not in the state that the operation needs.
    FailedPrecondition = 9,
    /// The operation was given up, for example by a concurrent abort.
    Aborted = 10,
    /// A position or count lies outside the valid range.
    OutOfRange = 11,
    /// Not supported.
    Unimplemented = 12,
    /// An invariant of the system is broken.
    Internal = 13,
    /// The service cannot be had now or here.
    Unavailable = 14,
    /// Data is lost or corrupt.
    DataLoss = 15,
    /// The caller is not identified.
    Unauthenticated = 16,
    /// "Not yet": a control signal of programs, never an error of this library.
    Deferred = 17,
    /// Two parts do not fit together.
    Incompatible = 18,
}

const CODES: [(Code, &str); 18] = [
    (Code::Cancelled, "CANCELLED"),
    (Code::Unknown, "UNKNOWN"),
    (Code::InvalidArgument, "INVALID_ARGUMENT"),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (Code::NotFound, "NOT_FOUND"),
    (Code::AlreadyExists, "ALREADY_EXISTS"),
    (Code::PermissionDenied, "PERMISSION_DENIED"),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (Code::FailedPrecondition, "FAILED_PRECONDITION"),
    (Code::Aborted, "ABORTED"),
    (Code::OutOfRange, "OUT_OF_RANGE"),
    (Code::Unimplemented, "UNIMPLEMENTED"),
    (Code::Internal, "INTERNAL"),
    (Code::Unavailable, "UNAVAILABLE"),
    (Code::DataLoss, "DATA_LOSS"),
    (Code::Unauthenticated, "UNAUTHENTICATED"),
    (Code::Deferred, "DEFERRED"),
    (Code::Incompatible, "INCOMPATIBLE"),
];

impl Code {
    /// The number that programs see.
    pub const fn raw(self) -> u32 {
        self as u32
    }

    /// The code with this number; `None` for 0 (success) and unassigned numbers.
    pub fn from_raw(raw: u32) -> Option<Code> {
        let index = usize::try_from(raw.checked_sub(1)?).ok()?;
        CODES.get(index).map(|&(code, _)| code)
    }

    /// The canonical spelling, such as `INVALID_ARGUMENT`.
    pub fn name(self) -> &'static str {
        CODES[self as usize - 1].1
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `Result` with a [`Status`] as its error.
pub type Result<T> = std::result::Result<T, Status>;

/// Why something failed: code, message, and a trail of the steps that were being done, innermost first.
///
/// One word wide, cheap to clone (every waiter of a failed semaphore gets a clone).
///
/// ```
/// use weft_sync::{Code, Status};
/// let status = Status::new(Code::NotFound, "no file `a.vmfb`").while_doing("loading modules");
/// assert_eq!(status.code(), Code::NotFound);
/// assert_eq!(status.to_string(), "NOT_FOUND; no file `a.vmfb`; loading modules");
/// ```
#[derive(Clone)]
pub struct Status(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    /// Bytes, not text: a program's `fail` message may be any bytes and must survive unchanged.
    message: Cow<'static, [u8]>,
    trail: Vec<Cow<'static, str>>,
}

impl Status {
    /// A failure with a message. The message says what was wrong with which input.
    #[cold]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Status {
        let message = match message.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Status(Arc::new(Inner { code, message, trail: Vec::new() }))
    }

    /// A failure whose message is arbitrary bytes, kept byte for byte.
    #[cold]
    pub fn from_bytes(code: Code, message: impl Into<Vec<u8>>) -> Status {
        Status(Arc::new(Inner { code, message: Cow::Owned(message.into()), trail: Vec::new() }))
    }

    /// Adds the step during which the failure happened. Steps accumulate from the inside out.
    #[cold]
    #[must_use]
    pub fn while_doing(mut self, step: impl Into<Cow<'static, str>>) -> Status {
        Arc::make_mut(&mut self.0).trail.push(step.into());
        self
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The message as text; bytes that are not UTF-8 appear as replacement characters.
    pub fn message(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0.message)
    }

    /// The message exactly as it was given.
    pub fn message_bytes(&self) -> &[u8] {
        &self.0.message
    }

    /// The steps that were being done, innermost first.
    pub fn trail(&self) -> &[Cow<'static, str>] {
        &self.0.trail
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code().name())?;
        if !self.0.message.is_empty() {
            write!(f, "; {}", self.message())?;
        }
        for step in &self.0.trail {
            write!(f, "; {step}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Status {}

/// Adds a step to the trail of a failing result, without cost when it succeeds.
pub trait WhileDoing: Sized {
    /// Calls `step` only on failure.
    #[must_use]
    fn while_doing<S: Into<Cow<'static, str>>>(self, step: impl FnOnce() -> S) -> Self;
}

impl<T> WhileDoing for Result<T> {
    fn while_doing<S: Into<Cow<'static, str>>>(self, step: impl FnOnce() -> S) -> Self {
        self.map_err(|status| status.while_doing(step()))
    }
}

/// Makes a [`Status`]: `status!(InvalidArgument, "expected {} bytes, found {}", want, have)`.
#[macro_export]
macro_rules! status {
    ($code:ident, $($format:tt)+) => {
        $crate::Status::new($crate::Code::$code, ::std::format!($($format)+))
    };
}

/// Returns early with a [`Status`] as the error: `bail!(NotFound, "no export `{name}`")`.
#[macro_export]
macro_rules! bail {
    ($code:ident, $($format:tt)+) => {
        return ::std::result::Result::Err($crate::status!($code, $($format)+))
    };
}

const _: () = assert!(size_of::<Status>() == size_of::<usize>());
const _: () = assert!(size_of::<Option<Status>>() == size_of::<usize>());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_their_numbers_and_names() {
        for (index, (code, name)) in CODES.iter().enumerate() {
            assert_eq!(code.raw() as usize, index + 1);
            assert_eq!(Code::from_raw(code.raw()), Some(*code));
            assert_eq!(code.name(), *name);
        }
        assert_eq!(Code::from_raw(0), None);
        assert_eq!(Code::from_raw(19), None);
        assert_eq!(Code::from_raw(u32::MAX), None);
    }

    #[test]
    fn trail_grows_from_the_inside_out() {
        let status = Status::new(Code::Internal, "lost").while_doing("reading").while_doing("loading");
        assert_eq!(status.trail(), ["reading", "loading"]);
        assert_eq!(status.to_string(), "INTERNAL; lost; reading; loading");
    }

    #[test]
    fn message_bytes_survive() {
        let status = Status::from_bytes(Code::Unknown, [0xFF, b'a']);
        assert_eq!(status.message_bytes(), [0xFF, b'a']);
        assert_eq!(status.message(), "\u{FFFD}a");
    }

    #[test]
    fn a_clone_does_not_share_its_later_trail() {
        let first = Status::new(Code::Aborted, "stop");
        let second = first.clone().while_doing("waiting");
        assert!(first.trail().is_empty());
        assert_eq!(second.trail().len(), 1);
    }
}
