#![allow(unsafe_code, reason = "hands the bytes of pinned buffers to a proactor")]
//! Transfers between files and buffers by a proactor, without a thread that waits.
//!
//! What lives here: [`Transfers`], those of one queue, and [`Rest`], what is left of one for a thread that may block. What
//! does not: when a transfer begins and whom its end is told ([`TransferEnd`], which the queue is).
//!
//! 1. A transfer is cut into pieces of [`PIECE_BYTES_MAX`], of which up to [`LANES`] are under way. A piece that came back
//!    short is resumed behind what it moved; one that moved nothing is the end of the file.
//! 2. The first failure ends it: no piece is submitted any more, and those under way are cancelled. **The end is told when
//!    none is under way**, for until then the system may write to the buffer; the pin goes before it is told.
//! 3. Nothing is lost by a proactor that has no room: while a piece is under way, its end submits again. Otherwise, and
//!    when the proactor is gone, a thread that may block does the rest.
//! 4. Everything about a transfer is under its lock, submissions too: proactors call nobody back inside of them.
//! 5. Ends are told on the thread that polls. They must not block; [`is_ending`] says to whoever would wait for another
//!    end that he is on that thread.
//!
//! # Safety
//!
//! The kernel gets addresses in [`Piece::span_of`] alone. The bytes there are pinned for as long as a piece exists,
//! because its transfer lets the pin go when none is under way; they are initialised, as all memory of buffers is; and
//! that nobody else uses them meanwhile is what rule 2 of `buffer.rs` leaves to whoever submits.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use weft_io::ops::{FileRead, FileWrite};
use weft_io::{Done, Operation, Source, Span, Target, Ticket};
use weft_sync::atomic::{Mutex, MutexGuard, lock};
use weft_sync::{CancelToken, Code, Result, Status, Timepoint, WhileDoing};

use super::faults::Fault;
use super::{Direction, File};
use crate::buffer::{BufferRange, PinnedBuffer};

/// Most bytes of a piece.
const PIECE_BYTES_MAX: usize = 8 << 20;

/// Pieces of one transfer that may be under way.
const LANES: usize = 4;

/// Whom the end of a transfer is told.
pub trait TransferEnd: Send + Sized + 'static {
    /// It is over, and nobody uses its memory any more. Called once, on any thread, which must not be kept.
    fn ended(self, outcome: Result<()>);

    /// A thread that may block has to do the rest: to call [`Rest::run`].
    fn block(rest: Rest<Self>);
}

thread_local! {
    static IS_ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread polls a proactor and is telling the end of a transfer: waiting for another would take for ever.
pub fn is_ending() -> bool {
    IS_ENDING.get()
}

/// The transfers of a queue that are under way.
pub struct Transfers<E: TransferEnd>(Mutex<UnderWay<E>>);

struct UnderWay<E: TransferEnd> {
    by_number: HashMap<u64, Arc<Transfer<E>>>,
    last_number: u64,
    closed: Option<Status>,
}

impl<E: TransferEnd> Default for Transfers<E> {
    fn default() -> Transfers<E> {
        Transfers(Mutex::new(UnderWay { by_number: HashMap::new(), last_number: 0, closed: None }))
    }
}

impl<E: TransferEnd> Transfers<E> {
    /// Begins a transfer of a checked range, which the token cancels. The file has a proactor ([`File::is_polled`]).
    pub fn start(
        self: &Arc<Self>,
        direction: Direction,
        file: &Arc<File>,
        offset: u64,
        range: &BufferRange<'_>,
        cancel: Option<&CancelToken>,
        end: E,
    ) {
        let pinned = range.buffer.pin_retained(range.offset, range.length);
        let telling = || file.tell(direction, offset, usize::try_from(range.length).unwrap_or(usize::MAX));
        let (pin, base, length) = match pinned.while_doing(telling) {
            Ok(pinned) => pinned,
            Err(status) => return end.ended(Err(status)),
        };
        let mut under_way = lock(&self.0);
        if let Some(status) = under_way.closed.clone() {
            drop(under_way);
            return end.ended(Err(status));
        }
        under_way.last_number += 1;
        let number = under_way.last_number;
        let transfer = Arc::new(Transfer {
            among: Arc::clone(self),
            number,
            direction,
            file: Arc::clone(file),
            offset,
            base: Base(base),
            length,
            state: Mutex::new(State {
                next: 0,
                lanes: Default::default(),
                is_abandoned: false,
                failure: None,
                owned: Some((pin, end)),
                heeds: None,
            }),
        });
        under_way.by_number.insert(number, Arc::clone(&transfer));
        drop(under_way);
        if let Some(token) = cancel {
            transfer.heed(token);
        }
        transfer.go_on(lock(&transfer.state));
    }

    /// Cancels all, and fails those that come later. Each still ends when the proactor has let go of it.
    pub fn close(&self, why: &Status) {
        let mut under_way = lock(&self.0);
        under_way.closed = Some(why.clone());
        let all: Vec<_> = under_way.by_number.values().cloned().collect();
        drop(under_way);
        all.iter().for_each(|transfer| lock(&transfer.state).fail(transfer, why.clone()));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        lock(&self.0).by_number.len()
    }
}

/// The first byte of a pinned range.
struct Base(*mut u8);

// SAFETY: an address, used by whoever has the pin that goes with it.
unsafe impl Send for Base {}
// SAFETY: as above.
unsafe impl Sync for Base {}

struct Transfer<E: TransferEnd> {
    among: Arc<Transfers<E>>,
    number: u64,
    direction: Direction,
    file: Arc<File>,
    offset: u64,
    base: Base,
    length: usize,
    state: Mutex<State<E>>,
}

struct State<E> {
    /// First byte that no lane was given.
    next: usize,
    lanes: [Lane; LANES],
    /// The proactor is gone.
    is_abandoned: bool,
    failure: Option<Status>,
    /// Until the end is told, or left to a thread that may block.
    owned: Option<(PinnedBuffer, E)>,
    /// Where it is registered with the token that cancels it; withdrawn before its end is told.
    heeds: Option<Timepoint>,
}

/// A part of the bytes, which one piece after the other moves.
#[derive(Default)]
struct Lane {
    rest: Range<usize>,
    ticket: Option<Ticket>,
}

/// Part of a transfer's memory, and of the file.
struct Piece<E: TransferEnd> {
    of: Arc<Transfer<E>>,
    range: Range<usize>,
    lane: usize,
    fault: Option<Fault>,
}

impl<E: TransferEnd> Piece<E> {
    fn span_of(&self) -> Span {
        let address = self.of.base.0.wrapping_add(self.range.start);
        Span { address, length: self.range.len(), registered: None }
    }

    /// The proactor says what became of it.
    fn ended(self, result: Result<usize>) {
        let Piece { of, range, lane, fault } = self;
        let result = match fault {
            Some(Fault::Fails) => {
                Err(Status::new(Code::Unknown, "input/output failed: errno 5 (on purpose)"))
            }
            Some(Fault::Ends) => Ok(0),
            Some(Fault::IsShort(_)) | None => result,
        };
        let was_ending = IS_ENDING.replace(true);
        of.advance(lane, range, result);
        IS_ENDING.set(was_ending);
    }
}

// SAFETY: see the header: the bytes are pinned, initialised, and the submitter's to be read; the range never changes.
unsafe impl<E: TransferEnd> Source for Piece<E> {
    fn span(&self, index: usize) -> Span {
        assert_eq!(index, 0, "a piece has one span");
        self.span_of()
    }
}

// SAFETY: as for `Source`, and the front of the device has checked that the buffer may be written.
unsafe impl<E: TransferEnd> Target for Piece<E> {
    fn span(&mut self, index: usize) -> Span {
        assert_eq!(index, 0, "a piece has one span");
        self.span_of()
    }
}

impl<E> State<E> {
    fn is_under_way(&self) -> bool {
        self.lanes.iter().any(|lane| lane.ticket.is_some())
    }

    /// What a lane that is free has to do; empty if nothing is left.
    fn claim(&mut self, lane: usize, length: usize) -> Range<usize> {
        let Lane { rest, .. } = &mut self.lanes[lane];
        if rest.start == rest.end {
            let end = length.min(self.next + PIECE_BYTES_MAX);
            *rest = self.next..end;
            self.next = end;
        }
        rest.clone()
    }

    /// The first failure counts (rule 2).
    fn fail(&mut self, of: &Transfer<impl TransferEnd>, why: Status) {
        if self.failure.is_none() {
            self.failure = Some(why);
        }
        let Some(polled) = of.file.polled() else { return };
        for ticket in self.lanes.iter().filter_map(|lane| lane.ticket) {
            // Only a ticket of another proactor is refused.
            drop(polled.handle.cancel(ticket));
        }
    }
}

impl<E: TransferEnd> Transfer<E> {
    /// Registers with a token, before the first piece: from then on it may fail at any time (rule 2).
    fn heed(self: &Arc<Self>, token: &CancelToken) {
        let own = Arc::clone(self);
        let timepoint = token.on_cancel(move || {
            let why = CancelToken::status().while_doing(own.tell());
            lock(&own.state).fail(&own, why);
        });
        lock(&self.state).heeds = Some(timepoint);
    }

    /// A piece has ended.
    fn advance(self: &Arc<Self>, lane: usize, range: Range<usize>, result: Result<usize>) {
        let mut state = lock(&self.state);
        state.lanes[lane].ticket = None;
        match result {
            Ok(0) => {
                let at = self.offset + range.start as u64;
                let why = self.file.ended_early(self.direction, at, self.length - range.start);
                state.fail(self, why.while_doing(self.tell()));
            }
            Ok(moved) => state.lanes[lane].rest.start += moved.min(range.len()),
            // Nobody here cancels without having said why, tokens included: the proactor goes.
            Err(status) if status.code() == Code::Cancelled => state.is_abandoned = true,
            Err(status) => state.fail(self, status.while_doing(self.tell())),
        }
        self.go_on(state);
    }

    fn tell(&self) -> String {
        self.file.tell(self.direction, self.offset, self.length)
    }

    /// Submits what can be, and ends it if nothing is left.
    fn go_on(self: &Arc<Self>, mut state: MutexGuard<'_, State<E>>) {
        let mut has_room = !state.is_abandoned;
        for lane in 0..LANES {
            if !has_room || state.failure.is_some() {
                break;
            }
            if state.lanes[lane].ticket.is_some() {
                continue;
            }
            let range = state.claim(lane, self.length);
            if range.is_empty() {
                continue;
            }
            match self.submit(lane, range) {
                Ok(ticket) => state.lanes[lane].ticket = Some(ticket),
                // Rule 3.
                Err(why) if matches!(why.code(), Code::ResourceExhausted | Code::Aborted) => has_room = false,
                Err(why) => state.fail(self, why.while_doing(self.tell())),
            }
        }
        if state.is_under_way() {
            return;
        }
        let Some((pin, end)) = state.owned.take() else { return };
        if state.failure.is_none() && !has_room {
            drop(state);
            return E::block(Rest { of: Arc::clone(self), pin, end });
        }
        drop(state);
        self.end(pin, end);
    }

    fn submit(self: &Arc<Self>, lane: usize, range: Range<usize>) -> Result<Ticket> {
        let Some(polled) = self.file.polled() else {
            weft_sync::bail!(Internal, "a file without a proactor");
        };
        let fault = self.file.next_fault();
        let offset = self.offset + range.start as u64;
        let range = range.start..range.start + Fault::limit(fault, range.len());
        let piece = Piece { of: Arc::clone(self), range, lane, fault };
        let (handle, file) = (&polled.handle, polled.file.clone());
        match self.direction {
            Direction::Read => {
                let done = |done: Done<FileRead<Piece<E>>>| {
                    done.operation.into_params().target.ended(done.result);
                };
                let operation = Operation::new(FileRead::new(file, offset, piece)).on_done(done);
                handle.submit(operation).map_err(|refused| refused.why)
            }
            Direction::Write => {
                let done = |done: Done<FileWrite<Piece<E>>>| {
                    done.operation.into_params().source.ended(done.result);
                };
                let operation = Operation::new(FileWrite::new(file, offset, piece)).on_done(done);
                handle.submit(operation).map_err(|refused| refused.why)
            }
        }
    }

    /// Nothing is under way any more.
    fn end(&self, pin: PinnedBuffer, end: E) {
        drop(pin);
        lock(&self.among.0).by_number.remove(&self.number);
        let (failure, heeds) = {
            let mut state = lock(&self.state);
            (state.failure.take(), state.heeds.take())
        };
        // Under no lock: the callback may be running, and goes for this transfer's.
        if let Some(timepoint) = heeds {
            timepoint.cancel();
        }
        end.ended(failure.map_or(Ok(()), Err));
    }
}

/// What is left of a transfer that no proactor has room for.
#[must_use = "the transfer ends when this has been run"]
pub struct Rest<E: TransferEnd> {
    of: Arc<Transfer<E>>,
    pin: PinnedBuffer,
    end: E,
}

impl<E: TransferEnd> Rest<E> {
    /// Whom the end is told.
    pub fn owner(&self) -> &E {
        &self.end
    }

    /// Does it on this thread, and tells the end.
    pub fn run(self) {
        let Rest { of, pin, end } = self;
        for lane in 0.. {
            let mut state = lock(&of.state);
            if state.failure.is_some() {
                break;
            }
            let range = match state.lanes.get_mut(lane) {
                Some(lane) => std::mem::take(&mut lane.rest),
                None => state.claim(0, of.length),
            };
            if range.is_empty() && lane >= LANES {
                break;
            }
            drop(state);
            let moved = of.move_here(range.clone());
            let mut state = lock(&of.state);
            state.lanes[0].rest = 0..0;
            if let Err(status) = moved {
                state.fail(&of, status.while_doing(of.tell()));
            }
        }
        of.end(pin, end);
    }
}

impl<E: TransferEnd> Transfer<E> {
    /// Moves a part of it on this thread, which has the pin.
    fn move_here(&self, range: Range<usize>) -> Result<()> {
        let offset = self.offset + range.start as u64;
        let base = self.base.0.wrapping_add(range.start);
        match self.direction {
            Direction::Read => {
                // SAFETY: the range is checked, pinned, initialised and may be written; the submitter orders other users
                // of it before or after this operation.
                let bytes = unsafe { std::slice::from_raw_parts_mut(base, range.len()) };
                self.file.read_all(offset, bytes, None)
            }
            Direction::Write => {
                // SAFETY: as above, and nobody writes it.
                let bytes = unsafe { std::slice::from_raw_parts(base, range.len()) };
                self.file.write_rest(offset, bytes, None)
            }
        }
    }
}
