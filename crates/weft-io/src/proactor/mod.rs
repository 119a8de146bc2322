//! The half of a proactor that belongs to its poll thread.
//!
//! | file           | what lives there                                                      |
//! |----------------|-----------------------------------------------------------------------|
//! | `poll.rs`      | [`Proactor`], [`Poller`]: who may poll, the loop                      |
//! | `core.rs`      | an operation from its start to its end: chains, cancels, back-pressure |
//! | `software.rs`  | kinds that no kernel sees: semaphores, notifications, messages        |
//! | `steps.rs`     | sequences                                                             |
//! | `socket.rs`    | operations on sockets: their turns, several answers for one, closing  |
//! | `lanes.rs`     | whose turn it is                                                      |
//! | `timers.rs`    | which timer ends next                                                 |
//! | `watch.rs`     | handles that are watched for something else than an operation         |
//! | `panics.rs`    | what becomes of panics of callbacks                                   |
//! | `progress.rs`  | callbacks that are run by every poll                                  |

mod core;
#[cfg(unix)]
mod lanes;
mod panics;
mod poll;
mod progress;
#[cfg(unix)]
mod socket;
mod software;
mod steps;
mod timers;
#[cfg(unix)]
mod watch;

pub(crate) use self::core::Core;
#[allow(unused_imports, reason = "for runners, relays and signals")]
pub(crate) use panics::{Panics, attempt, discard};
pub use poll::{Poller, Proactor};
pub use progress::{Progress, ProgressId, Progressed};
#[cfg(unix)]
#[allow(unused_imports, reason = "for relays, event sources and fences")]
pub(crate) use watch::{Verdict, Watching};
