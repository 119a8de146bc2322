//! Operations that move in and come back, and the proactor that runs them.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.
//!
//! A proactor has no thread of its own: it makes progress inside [`Poller::poll`], and every completion calls the
//! operation's callback there. Any thread may submit, cancel and wake, through a [`Handle`].
//!
//! ```
//! use std::time::Duration;
//! use weft_io::{Config, Event, Operation, open_any, ops::{EventWait, Timer}};
//! use weft_sync::Deadline;
//!
//! let mut poller = open_any(&Config::new())?.into_poller()?;
//! let handle = poller.handle().clone();
//! let event = Event::new()?;
//! let (ring, again) = (event.clone(), handle.clone());
//! // After a millisecond the timer sets the event; whoever waits for it says so.
//! let timer = Operation::new(Timer { deadline: Deadline::after(Duration::from_millis(1)) });
//! handle.submit(timer.on_done(move |done| { done.result.unwrap(); ring.set() })).unwrap();
//! let wait = Operation::new(EventWait { event });
//! handle.submit(wait.on_done(move |done| { done.result.unwrap(); again.wake() })).unwrap();
//! let mut ended = 0;
//! while ended < 2 {
//!     ended += poller.poll(Deadline::NEVER)?;
//! }
//! # weft_sync::Result::Ok(())
//! ```
//!
//! A callback that panics interrupts nothing, whatever it was registered for: everything else that came with it is called
//! back, then the panic (the first of several) leaves the poll, and polling again is as good as ever. Operations still end
//! exactly once; event sources, signal subscriptions and progress callbacks that panicked are not called again. A poller that is dropped calls
//! everything back and lets no panic out. What returns a `Result` to the proactor, as the function of a sequence does,
//! fails with `INTERNAL` instead.
//!
//! | to                        | open                                                            |
//! |---------------------------|-----------------------------------------------------------------|
//! | submit, cancel, wake      | `handle.rs`, `operation.rs`                                     |
//! | know the kinds            | `ops`, one family a file                                        |
//! | await                     | `future.rs`                                                     |
//! | have a thread poll        | `runner.rs`, several of them `pool.rs`                          |
//! | be told of readiness      | `event_source.rs`; without a callback `relay`; signals `signal` |
//! | say "look again"          | `notification.rs`, across processes `shared_notification.rs`    |
//! | follow the poll loop      | `proactor/poll.rs`; chains `proactor/core.rs`                   |
//! | add a backend             | `backend/mod.rs`, then a line in `backend/open.rs`              |
//! | make a socket             | `socket`; where it is `address`                                 |
//! | watch a handle            | `proactor/watch.rs`; for instance `fence.rs`, `event_source.rs` |

#![cfg_attr(loom, allow(dead_code, reason = "what only kernels need is not modelled"))]
#![cfg_attr(
    all(unix, not(target_os = "linux")),
    allow(
        dead_code,
        unused_imports,
        unused_variables,
        reason = "what only a ring or shared memory needs is not used here"
    )
)]

#[cfg(unix)]
mod address;
mod alarm;
mod backend;
mod callback;
mod capability;
mod config;
mod describe;
#[cfg(all(unix, not(loom)))]
mod directory;
mod doorbell;
#[cfg(unix)]
mod end_of_input;
#[cfg(unix)]
mod errno;
#[cfg(unix)]
mod event;
#[cfg(unix)]
mod event_handle;
#[cfg(unix)]
mod event_pool;
#[cfg(unix)]
mod event_source;
#[cfg(target_os = "linux")]
mod fence;
#[cfg(unix)]
mod file;
#[cfg(unix)]
mod frame;
mod free_list;
mod free_stack;
mod future;
#[cfg(unix)]
mod gate;
mod handle;
mod handoff;
mod home;
mod listener;
#[cfg(all(unix, not(loom)))]
mod memory;
mod notification;
#[cfg(unix)]
mod open_handle;
mod operation;
pub mod ops;
mod parts;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod pool_making;
mod proactor;
mod record;
#[cfg(unix)]
mod registration;
#[cfg(unix)]
mod relay;
mod roster;
#[cfg(not(loom))]
mod runner;
mod shared;
#[cfg(all(target_os = "linux", not(loom)))]
mod shared_memory;
#[cfg(all(target_os = "linux", not(loom)))]
mod shared_notification;
#[cfg(all(target_os = "linux", not(loom)))]
mod signal;
#[cfg(unix)]
mod socket;
mod span;
mod table;

#[cfg(unix)]
pub use address::Address;
pub use backend::open::{BACKEND_VARIABLE, open, open_any, open_null};
pub use capability::Capabilities;
pub use config::Config;
pub use describe::Description;
#[cfg(unix)]
pub use event::Event;
#[cfg(unix)]
pub use event_pool::EventPool;
#[cfg(unix)]
pub use event_source::{EventSource, RefusedSource};
#[cfg(target_os = "linux")]
pub use fence::RefusedFence;
#[cfg(unix)]
pub use file::{DirectAlignment, File};
pub use future::Running;
pub use handle::{Batch, Handle, RefusedAll, RefusedBatch};
#[cfg(all(unix, not(loom)))]
pub use memory::{
    Access, BufferPool, Consumption, Lease, Pages, Region, RegionKind, RegionOptions, Slab, SlabOptions,
};
#[cfg(all(target_os = "linux", not(loom)))]
pub use memory::{RegionSpan, SharedLease, SharedPool, SharedPoolParts};
pub use notification::{Notification, Observation, WAKE_ALL};
pub use operation::{Done, Operation, Params, Refused, Ticket};
#[cfg(not(loom))]
pub use pool::{ANY_NODE, Node, ProactorPool, ProactorPoolOptions};
pub use proactor::{Poller, Proactor, Progress, ProgressId, Progressed};
#[cfg(unix)]
pub use relay::{RefusedRelay, Relay, RelayPlan, RelaySink, RelaySource, RelayState};
#[cfg(not(loom))]
pub use runner::{Runner, RunnerOptions, VisitedPoller};
#[cfg(all(target_os = "linux", not(loom)))]
pub use shared_memory::{SharedMemory, SharedWord};
#[cfg(all(target_os = "linux", not(loom)))]
pub use shared_notification::SharedEnds;
#[cfg(all(target_os = "linux", not(loom)))]
pub use signal::{Signal, SignalSubscription, block_default_signals, ignore_broken_pipe};
#[cfg(unix)]
pub use socket::{RefusedImport, Shutdown, Socket, SocketKind, SocketOptions, SocketState};
pub use span::{Exclusive, Measured, Part, Pieces, Registered, SPANS_MAX, Source, Span, Target};

/// The parts whose protocols the models of `tests/loom` explore, under the model checker's own primitives.
#[cfg(loom)]
pub mod model {
    pub use crate::doorbell::{Doorbell, bell};
    pub use crate::free_list::FreeList;
    pub use crate::free_stack::FreeStack;
    pub use crate::gate::Gate;
    pub use crate::handoff::{Finished, Handoff, Where};
    pub use crate::listener::Mark;
    pub use crate::ops::Tracker;
    pub use crate::parts::Parts;
    pub use crate::roster::Roster;
    pub use crate::table::{Closed, IndexList, Key, NONE, Table};
}
