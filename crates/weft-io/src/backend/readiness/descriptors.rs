//! Who waits for which handle.
//!
//! What lives here: [`Descriptors`], from the number of a handle to those that wait for it. What does not: what they do when
//! it is ready (`mod.rs`, `attempt.rs`), how it becomes known that it is (`event_set.rs`).
//!
//! 1. **Waiters** are numbered: an operation's is that of its slot, a watch gets one above those. Their places are made with
//!    the map, or when more watches come than ever before; so a wait allocates nothing.
//! 2. **Three lines a handle**: those who take something out of it, those who put something in, and those who look. The
//!    first two are served in order, each until one finds nothing left; those who look are all told.
//! 3. **A generation a handle**: it moves on when the last waiter leaves. What is told of an earlier one is about a handle
//!    that nobody here waits for, perhaps closed, its number perhaps another's.
//! 4. **Changes are noted**, once a handle, and carried out together before the next wait: what comes and goes between two
//!    waits is never armed.
//! 5. **A handle that is ready for nothing rests**: after several reports in a row that nobody could do anything with, what
//!    was reported is left out for a moment, which doubles up to [`REST_MAX`], and begins anew with the first thing that
//!    somebody did. An error queue that nobody reads reports for ever, and a socket of messages without a peer can be
//!    written to for ever, also while the receiver has no room. Who waits for another direction does not notice, unless
//!    it is trouble that was reported, which cannot be left out alone.
//! 6. Numbers of handles are small, so they are indices: pages of entries, made when a number in them is first waited for,
//!    and kept.

use super::event_set::{Arming, Fired, Mask};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// No waiter.
pub(super) const NOBODY: u32 = u32::MAX;

/// Entries of a page.
const PAGE: usize = 256;

/// Reports of nothing in a row that mean no more than that others were faster.
const FRUITLESS_MAX: u32 = 4;

/// The first rest, and the longest: hardly anything of a processor, and soon enough for people.
const REST_MIN: Duration = Duration::from_millis(1);
const REST_MAX: Duration = Duration::from_millis(16);

/// Reports of nothing that are so far apart are not in a row.
const ROW: Duration = Duration::from_millis(100);

/// Where somebody waits at a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Takes out what there is.
    Readers = 0,
    /// Puts in what there is room for.
    Writers = 1,
    /// Wants to know.
    Observers = 2,
}

impl Line {
    /// What those who wait there are told of, beside trouble.
    pub(super) fn direction(self) -> Mask {
        match self {
            Line::Readers => Mask::IN,
            Line::Writers => Mask::OUT,
            Line::Observers => Mask::IN | Mask::OUT,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    lines: [List; 3],
    count: u32,
    generation: u32,
    /// What is armed.
    armed: Mask,
    /// Whether the event set may remember the number.
    is_known: bool,
    /// Whether it is among the changes.
    is_noted: bool,
    /// Whether the last receive left something. Of an earlier handle with the number it costs a call.
    has_more: bool,
    /// What rests (rule 5), how many reports of nothing there were in a row, and when the last of them came.
    resting: Mask,
    /// Directions in which a worker is at it (`streams.rs`), whoever waits there.
    occupied: Mask,
    fruitless: u32,
    last_fruitless: Option<Instant>,
}

const EMPTY: Entry = Entry {
    lines: [List { first: NOBODY, last: NOBODY }; 3],
    count: 0,
    generation: 0,
    armed: Mask::empty(),
    is_known: false,
    is_noted: false,
    has_more: false,
    resting: Mask::empty(),
    occupied: Mask::empty(),
    fruitless: 0,
    last_fruitless: None,
};

#[derive(Clone, Copy, Debug)]
struct Waiter {
    fd: RawFd,
    line: Line,
    /// What it waits for.
    mask: Mask,
    previous: u32,
    next: u32,
    is_waiting: bool,
}

const ABSENT: Waiter = Waiter {
    fd: -1,
    line: Line::Observers,
    mask: Mask::empty(),
    previous: NOBODY,
    next: NOBODY,
    is_waiting: false,
};

/// See the header.
#[derive(Debug)]
pub(super) struct Descriptors {
    pages: Vec<Option<Box<[Entry; PAGE]>>>,
    waiters: Vec<Waiter>,
    /// Places of watches that are free.
    free: Vec<u32>,
    /// Handles whose waiters have changed.
    changed: Vec<RawFd>,
    /// Handles with something armed.
    armed: usize,
    /// Ends of rests, each of a handle in a generation.
    rests: BinaryHeap<Reverse<(Instant, RawFd, u32)>>,
}

impl Descriptors {
    /// A map for the operations of so many slots, and for any number of watches.
    pub(super) fn new(slots: u32) -> Descriptors {
        Descriptors {
            pages: Vec::new(),
            waiters: vec![ABSENT; slots as usize],
            free: Vec::new(),
            changed: Vec::new(),
            armed: 0,
            rests: BinaryHeap::new(),
        }
    }

    /// A place for a watch.
    pub(super) fn new_watch(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.waiters.push(ABSENT);
            // Below the number of places in a table of slots and of watches, which memory bounds.
            (self.waiters.len() - 1) as u32
        })
    }

    /// Gives the place of a watch that waits no more back.
    pub(super) fn free_watch(&mut self, waiter: u32) {
        debug_assert!(!self.is_waiting(waiter), "it has left");
        self.free.push(waiter);
    }

    fn entry(&mut self, fd: RawFd) -> &mut Entry {
        let number = usize::try_from(fd).expect("a handle's number is not negative");
        let (page, place) = (number / PAGE, number % PAGE);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        &mut self.pages[page].get_or_insert_with(|| Box::new([EMPTY; PAGE]))[place]
    }

    fn known(&self, fd: RawFd) -> Option<&Entry> {
        let number = usize::try_from(fd).ok()?;
        Some(&self.pages.get(number / PAGE)?.as_ref()?[number % PAGE])
    }

    pub(super) fn is_waiting(&self, waiter: u32) -> bool {
        self.waiters[waiter as usize].is_waiting
    }

    /// What a waiter is there for.
    pub(super) fn mask(&self, waiter: u32) -> Mask {
        self.waiters[waiter as usize].mask
    }

    /// Puts somebody at the end of a line.
    pub(super) fn join(&mut self, waiter: u32, fd: RawFd, line: Line, mask: Mask) {
        let entry = self.entry(fd);
        entry.count += 1;
        let list = &mut entry.lines[line as usize];
        let previous = std::mem::replace(&mut list.last, waiter);
        if previous == NOBODY {
            list.first = waiter;
        } else {
            self.waiters[previous as usize].next = waiter;
        }
        let place = &mut self.waiters[waiter as usize];
        assert!(!place.is_waiting, "nobody waits in two lines");
        *place = Waiter { fd, line, mask, previous, next: NOBODY, is_waiting: true };
        self.note(fd);
    }

    /// Takes somebody out. `Some`: nobody is left there, but the handle is armed; the caller disarms it now.
    #[must_use = "a handle that nobody waits for may be closed, so it must not stay armed"]
    pub(super) fn leave(&mut self, waiter: u32) -> Option<RawFd> {
        let place = std::mem::replace(&mut self.waiters[waiter as usize], ABSENT);
        assert!(place.is_waiting, "whoever leaves was there");
        match place.previous {
            NOBODY => self.entry(place.fd).lines[place.line as usize].first = place.next,
            previous => self.waiters[previous as usize].next = place.next,
        }
        match place.next {
            NOBODY => self.entry(place.fd).lines[place.line as usize].last = place.previous,
            next => self.waiters[next as usize].previous = place.previous,
        }
        let entry = self.entry(place.fd);
        entry.count -= 1;
        if entry.count > 0 {
            return None;
        }
        // Rule 3.
        entry.generation = entry.generation.wrapping_add(1);
        entry.resting = Mask::empty();
        entry.fruitless = 0;
        if entry.armed.is_empty() {
            return None;
        }
        entry.armed = Mask::empty();
        // What is disarmed is taken out.
        entry.is_known = false;
        self.armed -= 1;
        Some(place.fd)
    }

    /// Whoever is first in a line.
    pub(super) fn first(&self, fd: RawFd, line: Line) -> u32 {
        self.known(fd).map_or(NOBODY, |entry| entry.lines[line as usize].first)
    }

    /// Whoever is behind.
    pub(super) fn after(&self, waiter: u32) -> u32 {
        self.waiters[waiter as usize].next
    }

    /// Rule 4.
    pub(super) fn note(&mut self, fd: RawFd) {
        let entry = self.entry(fd);
        if !std::mem::replace(&mut entry.is_noted, true) {
            self.changed.push(fd);
        }
    }

    /// One of the handles whose waiters have changed, and how it has to be armed, if it has to.
    pub(super) fn next_change(&mut self) -> Option<Option<Arming>> {
        let fd = self.changed.pop()?;
        let entry = self.entry(fd);
        entry.is_noted = false;
        let Entry { generation, armed, is_known, .. } = *entry;
        let resting = entry.resting | entry.occupied;
        let rest = self.wanted(fd) - resting;
        let is_some_awake = rest.contains(Mask::TROUBLE) && rest.intersects(Mask::IN | Mask::OUT);
        let mask = if resting.is_empty() || is_some_awake { rest } else { Mask::empty() };
        let has_all = armed.contains(mask);
        Some((!has_all).then_some(Arming { fd, generation, mask: mask | armed, armed, is_known }))
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What all who wait there want to know; empty if nobody does.
    fn wanted(&self, fd: RawFd) -> Mask {
        let Some(entry) = self.known(fd) else { return Mask::empty() };
        if entry.count == 0 {
            return Mask::empty();
        }
        let mut wanted = Mask::TROUBLE;
        wanted.set(Mask::IN, entry.lines[Line::Readers as usize].first != NOBODY);
        wanted.set(Mask::OUT, entry.lines[Line::Writers as usize].first != NOBODY);
        let mut observer = entry.lines[Line::Observers as usize].first;
        while observer != NOBODY && !wanted.contains(Mask::IN | Mask::OUT) {
            wanted |= self.mask(observer);
            observer = self.after(observer);
        }
        wanted
    }

    /// It was armed like this.
    pub(super) fn has_armed(&mut self, arming: &Arming) {
        let entry = self.entry(arming.fd);
        let was_armed = !entry.armed.is_empty();
        entry.armed = arming.mask;
        entry.is_known = true;
        self.armed += usize::from(!was_armed);
    }

    /// It could not be armed, and what the event set knows of it is not known.
    pub(super) fn has_not_armed(&mut self, fd: RawFd) {
        self.entry(fd).is_known = true;
    }

    /// Takes a report in. `false`: it is about an earlier use of the number (rule 3).
    pub(super) fn take(&mut self, fired: &Fired) -> bool {
        let is_current =
            self.known(fired.fd).is_some_and(|entry| entry.generation == fired.generation && entry.count > 0);
        if !is_current {
            return false;
        }
        let entry = self.entry(fired.fd);
        let was_armed = !entry.armed.is_empty();
        entry.armed -= fired.disarmed;
        // One filter is left where directions are armed one by one; trouble alone is none.
        if (entry.armed & (Mask::IN | Mask::OUT)).is_empty() {
            entry.armed = Mask::empty();
        }
        self.armed -= usize::from(was_armed && entry_is_idle(self.known(fired.fd)));
        self.note(fired.fd);
        true
    }

    /// Rule 5: this was reported, and whoever waits for it could do nothing.
    pub(super) fn was_fruitless(&mut self, fd: RawFd, ready: Mask) {
        let now = Instant::now();
        let entry = self.entry(fd);
        let is_row = entry.last_fruitless.is_some_and(|last| now.saturating_duration_since(last) < ROW);
        entry.last_fruitless = Some(now);
        entry.fruitless = if is_row { entry.fruitless.saturating_add(1) } else { 1 };
        if entry.fruitless <= FRUITLESS_MAX || entry.count == 0 {
            return;
        }
        let doublings = (entry.fruitless - FRUITLESS_MAX - 1).min(16);
        let rest = (REST_MIN * (1 << doublings)).min(REST_MAX);
        entry.resting |= if ready.intersects(Mask::TROUBLE) { Mask::all() } else { ready };
        let generation = entry.generation;
        self.rests.push(Reverse((now + rest, fd, generation)));
    }

    /// Somebody could do something.
    pub(super) fn was_fruitful(&mut self, fd: RawFd) {
        self.entry(fd).fruitless = 0;
    }

    /// Ends the rests that are over, and tells how long it is to the end of the next.
    pub(super) fn end_rests(&mut self) -> Option<Duration> {
        self.rests.peek()?;
        let now = Instant::now();
        while let Some(&Reverse((end, fd, generation))) = self.rests.peek() {
            if end > now {
                return Some(end - now);
            }
            self.rests.pop();
            let entry = self.entry(fd);
            if entry.generation == generation {
                entry.resting = Mask::empty();
                self.note(fd);
            }
        }
        None
    }

    /// A worker is at it in this direction, or no more.
    pub(super) fn set_occupied(&mut self, fd: RawFd, line: Line, is_occupied: bool) {
        self.entry(fd).occupied.set(line.direction(), is_occupied);
        self.note(fd);
    }

    /// Whether somebody's rest has to be ended.
    pub(super) fn has_rests(&self) -> bool {
        !self.rests.is_empty()
    }

    /// Whether there is probably something to be received.
    pub(super) fn has_more(&self, fd: RawFd) -> bool {
        self.known(fd).is_some_and(|entry| entry.has_more)
    }

    /// Says so.
    pub(super) fn set_more(&mut self, fd: RawFd, has_more: bool) {
        self.entry(fd).has_more = has_more;
    }

    /// Handles with something armed.
    pub(super) fn armed(&self) -> usize {
        self.armed
    }
}

fn entry_is_idle(entry: Option<&Entry>) -> bool {
    entry.is_none_or(|entry| entry.armed.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, VecDeque};

    const LINES: [Line; 3] = [Line::Readers, Line::Writers, Line::Observers];

    /// What is waited for, told the simple way.
    #[derive(Default)]
    struct Model {
        lines: BTreeMap<(RawFd, usize), VecDeque<(u32, Mask)>>,
        generations: BTreeMap<RawFd, u32>,
        armed: BTreeMap<RawFd, Mask>,
        places: BTreeMap<u32, (RawFd, usize)>,
    }

    impl Model {
        fn wanted(&self, fd: RawFd) -> Mask {
            let members = (0..3).filter_map(|line| self.lines.get(&(fd, line))).flatten();
            members.fold(Mask::empty(), |wanted, (_, mask)| wanted | *mask)
        }

        fn leave(&mut self, waiter: u32) -> Option<RawFd> {
            let (fd, line) = self.places.remove(&waiter).unwrap();
            self.lines.get_mut(&(fd, line)).unwrap().retain(|(member, _)| *member != waiter);
            if !self.wanted(fd).is_empty() {
                return None;
            }
            *self.generations.entry(fd).or_default() += 1;
            self.armed.remove(&fd).map(|_| fd)
        }
    }

    fn compare(map: &Descriptors, model: &Model, fd: RawFd) {
        for line in LINES {
            let (mut found, mut waiter) = (Vec::new(), map.first(fd, line));
            while waiter != NOBODY {
                found.push(waiter);
                waiter = map.after(waiter);
            }
            let expected = model.lines.get(&(fd, line as usize)).into_iter().flatten();
            assert_eq!(found, expected.map(|(waiter, _)| *waiter).collect::<Vec<_>>());
        }
    }

    /// [async-backends 207] A hundred thousand random changes, against a model: who waits, in which order, what has to be
    /// armed, in which generation. Numbers far apart are as good as near ones.
    #[test]
    fn whoever_waits_is_found() {
        let (mut map, mut model) = (Descriptors::new(64), Model::default());
        let numbers: [RawFd; 6] = [0, 3, 4, 255, 256, 70_000];
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        for _ in 0..100_000 {
            let fd = numbers[random(numbers.len())];
            match random(4) {
                0 | 1 => {
                    let waiter = random(64) as u32;
                    if let Some(&(at, _)) = model.places.get(&waiter) {
                        assert!(map.is_waiting(waiter));
                        assert_eq!(map.leave(waiter), model.leave(waiter));
                        compare(&map, &model, at);
                        continue;
                    }
                    let line = LINES[random(3)];
                    let mask = match line {
                        Line::Readers => Mask::IN,
                        Line::Writers => Mask::OUT,
                        Line::Observers => Mask::from_bits_truncate([1, 4, 5][random(3)]),
                    };
                    map.join(waiter, fd, line, mask | Mask::TROUBLE);
                    let members = model.lines.entry((fd, line as usize)).or_default();
                    members.push_back((waiter, mask | Mask::TROUBLE));
                    model.places.insert(waiter, (fd, line as usize));
                    compare(&map, &model, fd);
                }
                2 => {
                    while let Some(change) = map.next_change() {
                        let Some(arming) = change else { continue };
                        let armed = model.armed.get(&arming.fd).copied().unwrap_or_default();
                        assert_eq!(arming.armed, armed);
                        assert_eq!(arming.mask, armed | model.wanted(arming.fd));
                        assert_eq!(arming.generation, *model.generations.entry(arming.fd).or_default());
                        map.has_armed(&arming);
                        model.armed.insert(arming.fd, arming.mask);
                    }
                    let is_armed = |fd: &RawFd| {
                        model.armed.get(fd).is_some_and(|armed| armed.contains(model.wanted(*fd)))
                    };
                    assert!(numbers.iter().all(|fd| model.wanted(*fd).is_empty() || is_armed(fd)));
                }
                _ => {
                    let generation = *model.generations.entry(fd).or_default();
                    let report = Fired { fd, generation, ready: Mask::IN, disarmed: Mask::all() };
                    let earlier = Fired { generation: generation.wrapping_sub(1), ..report };
                    assert!(!map.take(&earlier), "it is about an earlier handle");
                    assert_eq!(map.take(&report), !model.wanted(fd).is_empty());
                    model.armed.remove(&fd);
                }
            }
            assert_eq!(map.armed(), model.armed.len());
        }
    }

    /// Places of watches come back, above those of slots; numbers of handles that nobody ever waited for are nobody's.
    #[test]
    fn watches_have_places_of_their_own() {
        let mut map = Descriptors::new(2);
        assert_eq!([map.new_watch(), map.new_watch()], [2, 3]);
        map.join(3, 9, Line::Observers, Mask::IN);
        assert_eq!(map.leave(3), None, "it was never armed");
        map.free_watch(3);
        assert_eq!(map.new_watch(), 3);
        assert_eq!([map.first(-1, Line::Readers), map.first(RawFd::MAX, Line::Readers)], [NOBODY; 2]);
        let report = Fired { fd: 1_000_000, generation: 0, ready: Mask::IN, disarmed: Mask::all() };
        assert!(!map.take(&report));
    }
}
