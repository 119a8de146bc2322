//! Waiting for a notification and signalling one, in their turn.

use super::{Body, Kind};
use crate::notification::Announcement;
use crate::operation::{Params, sealed::Lower};
use crate::{Capabilities, Notification};
use std::sync::Arc;
use weft_sync::Result;

/// Ends once the notification has been signalled since `token` was taken; at once if it has. Never while its epoch is
/// the token. Observes the notification from its submission to its end, in a chain or a sequence too.
#[derive(Debug)]
pub struct NotificationWait {
    /// What is waited for.
    pub notification: Arc<Notification>,
    /// The epoch that is known; `None` takes the one at which this is submitted.
    pub token: Option<u32>,
    /// The token of the submission under way.
    captured: u32,
    /// By which it leaves the waiters of its listener.
    pub(crate) number: u64,
    /// Taken with the epoch at which this was submitted.
    announcement: Option<(Announcement, u32)>,
}

impl NotificationWait {
    /// Waits for the next signal after its submission.
    pub fn new(notification: Arc<Notification>) -> NotificationWait {
        NotificationWait { notification, token: None, captured: 0, number: 0, announcement: None }
    }

    /// Waits until the epoch is no longer `token`.
    pub fn since(notification: Arc<Notification>, token: u32) -> NotificationWait {
        NotificationWait { notification, token: Some(token), captured: token, number: 0, announcement: None }
    }

    pub(crate) fn captured(&self) -> u32 {
        self.captured
    }
}

impl Params for NotificationWait {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for NotificationWait {
    const KIND: Kind = Kind::NotificationWait;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        self.notification.check_waits()?;
        let epoch = match &self.announcement {
            Some((announcement, epoch)) if announcement.is_of(&self.notification) => *epoch,
            _ => {
                let (announcement, epoch) = Notification::announce(&self.notification);
                self.announcement = Some((announcement, epoch));
                epoch
            }
        };
        self.captured = self.token.unwrap_or(epoch);
        Ok(())
    }

    fn release(&mut self) {
        self.announcement = None;
    }

    fn body(&mut self) -> Body<'_> {
        Body::NotificationWait(self)
    }
}

/// Signals the notification when its turn comes. Ends with whether somebody observed it.
#[derive(Clone, Debug)]
pub struct NotificationSignal {
    /// What is signalled.
    pub notification: Arc<Notification>,
    /// How many waiters to wake, at most.
    pub count: u32,
}

impl Params for NotificationSignal {
    type Output = bool;

    fn output(&mut self, value: i64) -> bool {
        value != 0
    }
}

impl Lower for NotificationSignal {
    const KIND: Kind = Kind::NotificationSignal;

    fn body(&mut self) -> Body<'_> {
        Body::NotificationSignal(self)
    }
}
