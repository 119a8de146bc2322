//! What a completion is about, in the 64 bits that the kernel hands back.
//!
//! Numbers, never addresses: a completion that comes late finds another use of its slot, and no width of an address
//! space matters. Kind in the upper 8 bits; below a slot's use (24 bits) and index (32), or the number of a watch (56).

use crate::table::Key;

/// See the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// An operation.
    Operation(Use),
    /// The cancel of an operation.
    Cancel(Use),
    /// A watch.
    Watch(u64),
    /// The read of the wake.
    Wake,
    /// Nothing that anybody waits for.
    None,
}

/// One of the last 16 million uses of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) slot: u32,
    /// The lower 24 bits of its generation.
    generation: u32,
}

impl From<Key> for Use {
    #[inline]
    fn from(key: Key) -> Use {
        Use { slot: key.index, generation: key.generation as u32 & 0xFF_FFFF }
    }
}

const KIND_SHIFT: u32 = 56;
const PAYLOAD: u64 = (1 << KIND_SHIFT) - 1;

fn use_bits(of: Use) -> u64 {
    u64::from(of.generation) << 32 | u64::from(of.slot)
}

impl Tag {
    #[inline]
    pub(super) fn pack(self) -> u64 {
        let (kind, payload) = match self {
            Tag::Operation(of) => (0_u64, use_bits(of)),
            Tag::Cancel(of) => (1, use_bits(of)),
            Tag::Watch(number) => (2, number),
            Tag::Wake => (3, 0),
            Tag::None => (4, 0),
        };
        kind << KIND_SHIFT | payload & PAYLOAD
    }

    #[inline]
    pub(super) fn unpack(bits: u64) -> Tag {
        let payload = bits & PAYLOAD;
        let of = Use { slot: payload as u32, generation: (payload >> 32) as u32 };
        match bits >> KIND_SHIFT {
            0 => Tag::Operation(of),
            1 => Tag::Cancel(of),
            2 => Tag::Watch(payload),
            3 => Tag::Wake,
            _ => Tag::None,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// [async-backends 215] Every tag comes back as it went, at the ends of its range too.
    #[test]
    fn tags_come_back_as_they_went() {
        for index in [0, 1, u32::MAX] {
            for generation in [0, 1, (1 << 24) - 1, u64::MAX] {
                let of = Use::from(Key { index, generation });
                for tag in [Tag::Operation(of), Tag::Cancel(of)] {
                    assert_eq!(Tag::unpack(tag.pack()), tag);
                }
            }
        }
        for tag in [Tag::Watch(0), Tag::Watch(PAYLOAD), Tag::Wake, Tag::None] {
            assert_eq!(Tag::unpack(tag.pack()), tag);
        }
    }
}
