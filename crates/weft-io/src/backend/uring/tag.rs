//! What a completion is about, in the 64 bits that the kernel hands back.
//!
//! Numbers, never addresses: a completion that comes late finds another use of its slot, and no width of an address
//! space matters. Kind in the upper 8 bits; below a slot's use (24 bits) and index (32), or the number of a watch (56).

use crate::table::Key;

/// See the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// An operation.
    Operation(Key),
    /// The cancel of an operation.
    Cancel(Key),
    /// A watch.
    Watch(u64),
    /// The read of the wake.
    Wake,
    /// Nothing that anybody waits for.
    None,
}

const KIND_SHIFT: u32 = 56;
const PAYLOAD: u64 = (1 << KIND_SHIFT) - 1;

fn key_bits(key: Key) -> u64 {
    u64::from(key.generation) << 32 | u64::from(key.index)
}

impl Tag {
    #[inline]
    pub(super) fn pack(self) -> u64 {
        let (kind, payload) = match self {
            Tag::Operation(key) => (0_u64, key_bits(key)),
            Tag::Cancel(key) => (1, key_bits(key)),
            Tag::Watch(number) => (2, number),
            Tag::Wake => (3, 0),
            Tag::None => (4, 0),
        };
        kind << KIND_SHIFT | payload & PAYLOAD
    }

    #[inline]
    pub(super) fn unpack(bits: u64) -> Tag {
        let payload = bits & PAYLOAD;
        let key = Key { index: payload as u32, generation: (payload >> 32) as u32 };
        match bits >> KIND_SHIFT {
            0 => Tag::Operation(key),
            1 => Tag::Cancel(key),
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
            for generation in [0, 1, (1 << 24) - 1] {
                let key = Key { index, generation };
                for tag in [Tag::Operation(key), Tag::Cancel(key)] {
                    assert_eq!(Tag::unpack(tag.pack()), tag);
                }
            }
        }
        for tag in [Tag::Watch(0), Tag::Watch(PAYLOAD), Tag::Wake, Tag::None] {
            assert_eq!(Tag::unpack(tag.pack()), tag);
        }
    }
}
