//! Bytes that both ends can make, and chance that can be repeated.

/// A sequence of numbers that a seed decides.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Random {
        Random(mix(seed) | 1)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below this bound, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

/// Calls for each byte of a stream from an offset on.
fn each(seed: u64, offset: u64, count: usize, mut with: impl FnMut(usize, u8)) {
    let mut word = mix(seed ^ (offset / 8));
    for index in 0..count {
        let place = offset + index as u64;
        if place.is_multiple_of(8) {
            word = mix(seed ^ (place / 8));
        }
        with(index, (word >> (place % 8 * 8)) as u8);
    }
}

/// So many bytes of a stream.
pub fn bytes(seed: u64, offset: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    each(seed, offset, count, |index, byte| bytes[index] = byte);
    bytes
}

/// Whether these are the bytes of the stream from there on.
pub fn is_stream(seed: u64, offset: u64, bytes: &[u8]) -> bool {
    let mut is_same = true;
    each(seed, offset, bytes.len(), |index, byte| is_same &= bytes[index] == byte);
    is_same
}
