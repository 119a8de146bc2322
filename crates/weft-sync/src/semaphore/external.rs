//! The seam to primitives of the operating system: fences, events, handles of other processes.
//!
//! What lives here: what a timeline promises to whoever watches such a primitive ([`Import`]) and what it asks of
//! whoever sets one ([`ExportTarget`]). What does not: the primitives, and the threads that watch them.
//!
//! 1. **Import** owes the timeline an end: signalled, failed, or, when it is dropped with neither, `CANCELLED`.
//! 2. What comes from outside says nothing about what it is ordered after: the imported value is tainted, no frontier
//!    comes with it.
//! 3. **Export** sets its primitive once, when the value is reached, and never if the timeline fails first.

use super::{Semaphore, Timepoint};
use crate::{Status, status};
use std::sync::Arc;

/// A primitive that tells others that a value was reached.
///
/// Called on the thread that signals, outside every lock. It may not block; writing to an eventfd or setting an
/// event does not.
pub trait ExportTarget: Send + 'static {
    /// The value was reached: set the primitive.
    fn reached(self);

    /// The value will not be reached. The primitive stays unset; who can say why to its observers does so here.
    fn failed(self, status: Status)
    where
        Self: Sized,
    {
        drop((self, status));
    }
}

/// A value that something outside will signal. See [`Semaphore::import`].
#[must_use = "dropping it fails the semaphore"]
#[derive(Debug)]
pub struct Import {
    /// `None` once it has ended.
    semaphore: Option<Arc<Semaphore>>,
    value: u64,
}

impl Semaphore {
    /// Lets something outside signal `value`: whoever watches it keeps the [`Import`] and ends it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use weft_sync::{Code, Semaphore};
    /// let timeline = Arc::new(Semaphore::new(0));
    /// timeline.import(1).signalled();
    /// assert!(timeline.query()? == 1 && timeline.is_value_tainted(1));
    /// drop(timeline.import(2));
    /// assert_eq!(timeline.query().unwrap_err().code(), Code::Cancelled);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn import(self: &Arc<Self>, value: u64) -> Import {
        Import { semaphore: Some(Arc::clone(self)), value }
    }

    /// Sets `target` once the timeline has reached `value`; at once if it has. The returned [`Timepoint`] can take
    /// that back.
    ///
    /// ```
    /// use std::sync::{Arc, mpsc};
    /// use weft_sync::{ExportTarget, Semaphore};
    /// struct Told(mpsc::Sender<()>);
    /// impl ExportTarget for Told {
    ///     fn reached(self) {
    ///         self.0.send(()).expect("somebody listens");
    ///     }
    /// }
    /// let (timeline, (sender, receiver)) = (Arc::new(Semaphore::new(0)), mpsc::channel());
    /// timeline.export(1, Told(sender));
    /// timeline.signal(1)?;
    /// assert_eq!(receiver.recv(), Ok(()));
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn export(self: &Arc<Self>, value: u64, target: impl ExportTarget) -> Timepoint {
        self.on_reached(value, move |outcome| match outcome {
            Ok(()) => target.reached(),
            Err(status) => target.failed(status),
        })
    }
}

impl Import {
    /// The primitive was set. A timeline that refuses the value (it has passed it) fails with that refusal.
    pub fn signalled(mut self) {
        let Some(semaphore) = self.semaphore.take() else { return };
        if let Err(status) = semaphore.signal(self.value) {
            semaphore.fail(status.while_doing("signalling an imported value"));
        }
    }

    /// The primitive is gone or broken: the timeline fails.
    pub fn failed(mut self, status: Status) {
        if let Some(semaphore) = self.semaphore.take() {
            semaphore.fail(status);
        }
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        if let Some(semaphore) = self.semaphore.take() {
            semaphore.fail(status!(Cancelled, "nobody watches the imported value {} any more", self.value));
        }
    }
}
