//! All relays of a proactor.
//!
//! What lives here: [`Hub`], joining and leaving. What does not: what the sources do (`source.rs`).
//!
//! 1. The hub owns every relay that is registered, also those that nobody holds: it is where the proactor ends them.
//! 2. Relays of one handle are one [`Group`], by the handle's number: each keeps the handle open, so the number means the
//!    same file for all of them. A group that is empty is out of the hub at once, so that the next relay of that handle
//!    begins a new one, with a watch of its own.
//! 3. Locks: first the hub, then the members of a group. Nothing is fired, told or dropped under either.
//! 4. What a relay has may panic when it is dropped: that ends no other relay's end.

use super::source::{Group, Heard, Input, Member, RelaySource, Source, Watch};
use super::{DONE, Node};
use crate::Handle;
use crate::proactor::Panics;
use crate::shared::{Shared, gone};
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use weft_sync::Status;
use weft_sync::atomic::{Mutex, lock};

/// See the header.
#[derive(Debug)]
pub(crate) struct Hub(Mutex<Option<Relays>>);

#[derive(Debug, Default)]
struct Relays {
    groups: HashMap<RawFd, Arc<Group>>,
    heard: Vec<Arc<Heard>>,
}

/// Where a registered relay is.
#[derive(Debug)]
pub(super) enum Place {
    Group(Arc<Group>),
    Heard(Arc<Heard>),
}

impl Hub {
    pub(crate) fn new() -> Hub {
        Hub(Mutex::new(Some(Relays::default())))
    }

    /// The proactor goes: every relay is done, and none is taken any more.
    pub(crate) fn close(&self) {
        let Some(relays) = lock(&self.0).take() else { return };
        let mut panics = Panics::default();
        for group in relays.groups.into_values() {
            for member in group.take_all() {
                member.node.end(DONE);
                panics.catch(|| member.node.let_go());
                panics.catch(|| drop(member));
            }
        }
        for heard in relays.heard {
            heard.node.end(DONE);
            heard.leave();
            panics.catch(|| heard.node.let_go());
            panics.catch(|| drop(heard));
        }
        panics.let_out();
    }

    /// The members that have ended are out, and the caller's. What is to be watched for the others; `None`: so is the group.
    pub(super) fn sweep(&self, group: &Arc<Group>) -> (Vec<Member>, Option<Arc<Input>>) {
        let mut hub = lock(&self.0);
        let over = group.take_if(|member| member.node.is_over());
        let input = group.input();
        if input.is_none() {
            forget(&mut hub, group);
        }
        (over, input)
    }

    /// Nothing more will come from the handle of a group; whoever was in it.
    pub(super) fn disband(&self, group: &Arc<Group>) -> Vec<Member> {
        let mut hub = lock(&self.0);
        forget(&mut hub, group);
        group.take_all()
    }

    /// A relay that listened is out.
    pub(super) fn let_go(&self, heard: &Heard) {
        let found = {
            let mut hub = lock(&self.0);
            let Some(relays) = &mut *hub else { return };
            let place = relays.heard.iter().position(|other| std::ptr::eq(&**other, heard));
            place.map(|index| relays.heard.swap_remove(index))
        };
        drop(found);
    }
}

/// Takes a group off the map, if it is the one that is there.
fn forget(hub: &mut Option<Relays>, group: &Arc<Group>) {
    if let Some(relays) = hub
        && relays.groups.get(&group.number).is_some_and(|found| Arc::ptr_eq(found, group))
    {
        relays.groups.remove(&group.number);
    }
}

pub(super) fn register(
    handle: &Handle,
    source: RelaySource,
    node: &Arc<Node>,
) -> Result<Place, (Status, RelaySource)> {
    match source.0 {
        Source::Input(input) => {
            let joined = join(&handle.0, &input, node).map(Place::Group);
            joined.map_err(|why| (why, RelaySource(Source::Input(input))))
        }
        Source::Notification(notification) => {
            let heard = Arc::new(Heard::new(&handle.0, &notification, node));
            match &mut *lock(&handle.0.relays.0) {
                Some(relays) => relays.heard.push(Arc::clone(&heard)),
                None => return Err((gone(), RelaySource(Source::Notification(notification)))),
            }
            heard.listen();
            Ok(Place::Heard(heard))
        }
    }
}

/// Joins the group of the handle, or begins it.
fn join(shared: &Arc<Shared>, input: &Arc<Input>, node: &Arc<Node>) -> Result<Arc<Group>, Status> {
    let number = input.as_fd().as_raw_fd();
    let member = Member { node: Arc::clone(node), input: Arc::clone(input) };
    let mut hub = lock(&shared.relays.0);
    let Some(relays) = &mut *hub else { return Err(gone()) };
    if let Some(group) = relays.groups.get(&number) {
        group.push(member);
        return Ok(Arc::clone(group));
    }
    let group = Arc::new(Group::new(number));
    let watch = Watch::new(shared, &group, input);
    match shared.watch(Box::new(watch)) {
        Ok(watch) => group.is_watched_by(watch),
        Err((why, _watching)) => return Err(why),
    }
    // The poll thread looks at the members under the lock that is held here.
    group.push(member);
    relays.groups.insert(number, Arc::clone(&group));
    Ok(group)
}

/// Takes a relay out.
pub(super) fn leave(handle: &Handle, node: &Arc<Node>, place: &Place) {
    let shared = &handle.0;
    match place {
        Place::Heard(heard) => {
            heard.leave();
            shared.relays.let_go(heard);
        }
        Place::Group(group) => {
            let (left, is_empty) = {
                let mut hub = lock(&shared.relays.0);
                let left = group.take_if(|member| Arc::ptr_eq(&member.node, node));
                let is_last = !left.is_empty() && group.is_empty();
                if is_last {
                    forget(&mut hub, group);
                }
                (left, is_last)
            };
            if is_empty {
                shared.unwatch(group.watch());
            }
            // What it brought stays open until the watch is over, if it is the one that is watched.
            drop(left);
        }
    }
}
