//! Which parameters of a load share memory.
//!
//! Why: of the time that a load takes, what a page costs to have is the larger part, and a huge page costs half of the 512
//! small ones in its place, or less. Parameters of some 100 KiB, of which models have hundreds, lie in huge pages only
//! together.
//!
//! 1. Those below [`LENGTH_MAX`] share rooms of up to [`ROOM_BYTES`], in the order in which they come, if all of their kind
//!    need [`LENGTH_MAX`] or more together. All others have memory of their own.
//! 2. A room is given back when nobody uses any parameter in it. Programs that drop weights after they have rearranged them
//!    keep small ones (biases, scales): so those below [`LITTLE_MAX`] have rooms among themselves.
//!
//! What lives here: arithmetic. What does not: memory (see `batch.rs`).

use weft_hal::HOST_ALIGNMENT;

/// From this length on a parameter has huge pages of its own.
const LENGTH_MAX: u64 = 4 << 20;

/// What no program rearranges.
const LITTLE_MAX: u64 = 64 << 10;

/// The longest room, and so the most that one parameter keeps from going back.
const ROOM_BYTES: u64 = 16 << 20;

/// Where a parameter lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the room.
    pub(super) room: usize,
    /// Bytes before it.
    pub(super) offset: u64,
}

/// Rooms, and what lies where in them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rooms {
    /// By parameter; `None` for those with memory of their own.
    pub(super) places: Vec<Option<Place>>,
    /// Bytes of each room.
    pub(super) lengths: Vec<u64>,
}

impl Rooms {
    /// Places parameters of these lengths; `None` for those that need no memory, or want their own.
    pub(super) fn of(lengths: &[Option<u64>]) -> Rooms {
        let mut rooms = Rooms { places: vec![None; lengths.len()], lengths: Vec::new() };
        rooms.place(lengths, 1..LITTLE_MAX);
        rooms.place(lengths, LITTLE_MAX..LENGTH_MAX);
        rooms
    }

    fn place(&mut self, lengths: &[Option<u64>], kind: std::ops::Range<u64>) {
        let of_kind = || {
            let all = lengths.iter().enumerate();
            // Padded they have `LENGTH_MAX` at most, of which it takes 2^42 to overflow a sum.
            all.filter_map(|(index, length)| {
                length.filter(|length| kind.contains(length)).map(|length| (index, padded(length)))
            })
        };
        if of_kind().map(|(_, length)| length).sum::<u64>() < LENGTH_MAX {
            return;
        }
        let mut used = ROOM_BYTES;
        for (index, length) in of_kind() {
            if used + length > ROOM_BYTES {
                self.lengths.push(0);
                used = 0;
            }
            let room = self.lengths.len() - 1;
            self.places[index] = Some(Place { room, offset: used });
            used += length;
            self.lengths[room] = used;
        }
    }
}

fn padded(length: u64) -> u64 {
    length.next_multiple_of(HOST_ALIGNMENT as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    #[test]
    fn few_small_parameters_and_large_ones_are_on_their_own() {
        let lengths = [Some(100), None, Some(3 * MIB), Some(0), Some(4 * MIB), Some(u64::MAX), Some(1)];
        assert_eq!(Rooms::of(&lengths), Rooms { places: vec![None; 7], lengths: vec![] });
    }

    #[test]
    fn small_ones_share_rooms_that_nothing_of_theirs_leaves() {
        let mut lengths = Vec::new();
        for index in 0..300 {
            lengths.extend([
                Some(576 * KIB + index),
                Some(1536),
                Some(5 * MIB),
                None,
                Some(2304 * KIB),
                Some(33 * KIB),
            ]);
        }
        let rooms = Rooms::of(&lengths);
        let mut ends = vec![0; rooms.lengths.len()];
        for (index, (place, length)) in rooms.places.iter().zip(&lengths).enumerate() {
            let Some(Place { room, offset }) = *place else {
                assert!(length.is_none_or(|length| length >= LENGTH_MAX), "{index}");
                continue;
            };
            assert_eq!(offset % HOST_ALIGNMENT as u64, 0);
            assert!(offset >= ends[room], "{index} begins before the end of another");
            ends[room] = offset + length.unwrap();
        }
        assert!(rooms.lengths.iter().zip(&ends).all(|(length, end)| end <= length && *length <= ROOM_BYTES));
        let is_little = |index: usize| lengths[index].unwrap() < LITTLE_MAX;
        for (one, other) in (0..lengths.len()).flat_map(|one| [(one, one + 1), (one, one + 4)]) {
            if let (Some(Some(a)), Some(Some(b))) = (rooms.places.get(one), rooms.places.get(other)) {
                assert!(a.room != b.room || is_little(one) == is_little(other), "{one} and {other}");
            }
        }
        // Little is lost: what the next one needed at most.
        let full = rooms.lengths.iter().filter(|&&length| length > ROOM_BYTES - 2305 * KIB).count();
        assert!(full + 2 >= rooms.lengths.len(), "{:?}", rooms.lengths);
    }
}
