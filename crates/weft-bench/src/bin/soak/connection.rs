//! A connection and its two ends, and the greeting that makes its far end known. What they do is in `life.rs`.

use crate::totals::{Open, Sums};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::Instant;
use weft_bench::stream::Random;
use weft_io::{Socket, Ticket};

/// Bytes of a greeting.
pub const GREETING: usize = 16;
/// What a far end in another process has received, at most, when its fate is to close.
const FATE_BYTES_MAX: u64 = 4096;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Whoever has said and heard everything closes.
    GoodOrder,
    /// The near end, whose close is a reset, closes.
    NearCloses,
    /// The far end closes.
    FarCloses,
    /// The near end cancels everything and lets the socket go.
    NearGivesUp,
}

impl Fate {
    const ALL: [Fate; 4] = [Fate::GoodOrder, Fate::NearCloses, Fate::FarCloses, Fate::NearGivesUp];
}

/// One end.
#[derive(Debug)]
pub struct End {
    pub socket: Option<Socket>,
    pub recv: Option<Ticket>,
    pub send: Option<Ticket>,
    /// Until the next message.
    pub pause: Option<Ticket>,
    /// Operations under way, timers included.
    pub under_way: u32,
    pub sent: u64,
    pub received: u64,
    /// Messages that it has still to send.
    pub messages: u32,
    /// What it has received and has still to send back, if it is alone in its process.
    pub owed: Vec<u8>,
    /// Nothing more is sent, and the other end was told.
    pub is_shut: bool,
    /// The other end has nothing more to send.
    pub has_heard_end: bool,
    /// It is closed, or about to be.
    pub is_over: bool,
}

impl End {
    fn new(messages: u32) -> End {
        End {
            socket: None,
            recv: None,
            send: None,
            pause: None,
            under_way: 0,
            sent: 0,
            received: 0,
            messages,
            owed: Vec::new(),
            is_shut: false,
            has_heard_end: false,
            is_over: false,
        }
    }

    /// What the kernel says that its socket is ready for, whatever the proactor says.
    fn readiness(&self) -> String {
        let Some(socket) = &self.socket else { return "no socket".to_owned() };
        let mut asked = [PollFd::new(socket, PollFlags::IN | PollFlags::RDHUP)];
        match poll(&mut asked, Some(&Timespec::default())) {
            Ok(_) => format!("{:?} ready for {:?}", socket.kind(), asked[0].revents()),
            Err(errno) => format!("{errno}"),
        }
    }

    fn has_ended(&self) -> bool {
        self.is_over && self.under_way == 0 && self.socket.is_none()
    }
}

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Near = 0,
    Far = 1,
}

impl Side {
    pub fn other(self) -> Side {
        if self == Side::Near { Side::Far } else { Side::Near }
    }
}

/// What the near end says first. The far end is found by its place if it is in the same process; if it is not, it hears
/// instead what it needs to know of its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    Inside { place: usize, number: u64 },
    Outside { fate: Fate, fate_bytes: u64, number: u64 },
}

impl Greeting {
    pub fn to_bytes(self) -> Vec<u8> {
        let (first, number) = match self {
            Greeting::Inside { place, number } => (place as u64, number),
            Greeting::Outside { fate, fate_bytes, number } => (fate_bytes << 8 | fate as u64, number),
        };
        [first.to_le_bytes(), number.to_le_bytes()].concat()
    }

    /// What was said, where far ends are alone in their process or are not.
    pub fn read(said: &[u8], is_alone: bool) -> Option<Greeting> {
        let [first, number] = [said.get(..8)?, said.get(8..GREETING)?]
            .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
        if !is_alone {
            return Some(Greeting::Inside { place: usize::try_from(first).ok()?, number });
        }
        let fate = *Fate::ALL.get((first & 0xFF) as usize)?;
        Some(Greeting::Outside { fate, fate_bytes: first >> 8, number })
    }
}

/// See the header.
#[derive(Debug)]
pub struct Connection {
    /// 0 once it is over and none follows in its place.
    pub number: u64,
    pub fate: Fate,
    pub ends: [End; 2],
    /// The end that is in another process, which has nothing to say of its own: whatever the far end receives goes back.
    pub outside: Option<Side>,
    /// Since when it has to be over soon, or since when it has to receive what comes before the end.
    pub ending_since: Option<Instant>,
    /// Messages of the near end until its fate.
    pub messages_to_fate: u32,
    /// Bytes that the far end receives until its fate, if it is alone in its process.
    pub fate_bytes: u64,
    /// Whether the far end is known; if it is in another process, whether the near end has said who it is.
    pub is_known: bool,
}

impl Connection {
    /// By chance.
    pub fn new(number: u64, is_outside: bool, random: &mut Random) -> Connection {
        let fate = match random.below(10) {
            0..5 => Fate::GoodOrder,
            5..7 => Fate::NearCloses,
            7..9 => Fate::FarCloses,
            _ => Fate::NearGivesUp,
        };
        let messages = 1 + random.below(8) as u32;
        Connection {
            number,
            fate,
            ends: [End::new(messages), End::new(1 + random.below(8) as u32)],
            outside: is_outside.then_some(Side::Far),
            ending_since: None,
            messages_to_fate: random.below(u64::from(messages)) as u32,
            fate_bytes: 1 + random.below(FATE_BYTES_MAX),
            is_known: false,
        }
    }

    /// The far end of one whose near end is in another process.
    pub fn alone(number: u64, fate: Fate, fate_bytes: u64) -> Connection {
        Connection {
            number,
            fate,
            ends: [End::new(0), End::new(0)],
            outside: Some(Side::Near),
            ending_since: None,
            messages_to_fate: 0,
            fate_bytes,
            is_known: true,
        }
    }

    /// How its near end introduces itself.
    pub fn greeting(&self, place: usize) -> Greeting {
        let number = self.number;
        match self.outside {
            None => Greeting::Inside { place, number },
            Some(_) => Greeting::Outside { fate: self.fate, fate_bytes: self.fate_bytes, number },
        }
    }

    pub fn end(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }

    /// Whether the far end is alone in this process, and sends everything back.
    pub fn is_alone(&self) -> bool {
        self.outside == Some(Side::Near)
    }

    /// The seed of what this side sends. What comes from a far end in another process is what was sent there.
    pub fn seed(&self, side: Side) -> u64 {
        let whose = if self.outside.is_some() { Side::Near } else { side };
        self.number << 1 | whose as u64
    }

    /// Both ends are there, in this process or in another, and neither is about to end.
    pub fn is_open(&self) -> bool {
        let is_there = |side: Side| self.outside == Some(side) || self.ends[side as usize].socket.is_some();
        self.number != 0 && self.is_known && is_there(Side::Near) && is_there(Side::Far)
    }

    /// Whether all that there is of it in this process has ended.
    pub fn is_over(&self) -> bool {
        let [near, far] = &self.ends;
        match self.outside {
            Some(Side::Near) => far.has_ended(),
            Some(Side::Far) => near.has_ended(),
            None => {
                near.has_ended() && far.has_ended() || (!self.is_known && near.is_over && near.under_way == 0)
            }
        }
    }

    /// What went in and what came out, on each of its ways.
    pub fn ways(&self) -> Vec<(u64, u64, &'static str)> {
        let [near, far] = &self.ends;
        match self.outside {
            None => vec![(near.sent, far.received, "there"), (far.sent, near.received, "back")],
            Some(Side::Far) => vec![(near.sent, near.received, "back")],
            Some(Side::Near) => vec![(far.received, far.sent, "on")],
        }
    }

    /// Accounts for what is over; what is wrong with it.
    pub fn account(&self, sums: &mut Sums) -> Vec<String> {
        let is_whole = self.fate == Fate::GoodOrder && self.is_known;
        let mut wrong = Vec::new();
        for (entered, arrived, way) in self.ways() {
            sums.entered += entered;
            sums.arrived += arrived;
            match entered.checked_sub(arrived) {
                Some(lost) if lost == 0 || !is_whole => sums.lost += lost,
                _ => wrong.push(format!(
                    "{:?} {}: {arrived} of {entered} bytes came {way}",
                    self.fate, self.number
                )),
            }
        }
        wrong
    }

    /// Which end was shut, has heard the end, is over, with how much under way: for people.
    pub fn shown(&self) -> String {
        let end = |end: &End| {
            let End { is_shut, has_heard_end, is_over, under_way, messages, owed, sent, received, .. } = end;
            format!(
                "(shut {is_shut}, heard {has_heard_end}, over {is_over}, {under_way} under way, {messages} messages \
                 to send and {} bytes to send back, sent {sent}, received {received}, recv {}, send {}, {})",
                owed.len(),
                end.recv.is_some(),
                end.send.is_some(),
                end.readiness()
            )
        };
        let [near, far] = &self.ends;
        format!(
            "{} {:?} known {}, outside {:?}: near {} far {}",
            self.number,
            self.fate,
            self.is_known,
            self.outside,
            end(near),
            end(far)
        )
    }
}

/// How many of them are open.
pub fn count_open(connections: &[Connection]) -> Open {
    let mut open = Open::default();
    for connection in connections.iter().filter(|connection| connection.is_open()) {
        *if connection.outside.is_some() { &mut open.outside } else { &mut open.inside } += 1;
    }
    open
}
