//! SipHash-2-4 with 64 bits of output, under the fixed key that programs rely on (§11.3).
//!
//! Written out because the standard library's keyed variant is 1-3 and not stable in its output.

/// A hash in progress.
pub(crate) struct SipHash24 {
    state: [u64; 4],
    /// Bytes not yet mixed in, little-endian; `length % 8` of them count.
    pending: u64,
    length: u64,
}

const KEY_LOW: u64 = 0x0706_0504_0302_0100;
const KEY_HIGH: u64 = 0x0F0E_0D0C_0B0A_0908;

impl SipHash24 {
    pub fn new() -> SipHash24 {
        let state = [
            KEY_LOW ^ 0x736F_6D65_7073_6575,
            KEY_HIGH ^ 0x646F_7261_6E64_6F6D,
            KEY_LOW ^ 0x6C79_6765_6E65_7261,
            KEY_HIGH ^ 0x7465_6462_7974_6573,
        ];
        SipHash24 { state, pending: 0, length: 0 }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.pending |= u64::from(byte) << (8 * (self.length % 8));
            self.length += 1;
            if self.length.is_multiple_of(8) {
                self.mix(self.pending);
                self.pending = 0;
            }
        }
    }

    pub fn finish(mut self) -> u64 {
        // The last word carries the length modulo 256 in its top byte.
        self.mix(self.pending | self.length << 56);
        self.state[2] ^= 0xFF;
        for _ in 0..4 {
            self.round();
        }
        self.state.iter().fold(0, |hash, word| hash ^ word)
    }

    fn mix(&mut self, word: u64) {
        self.state[3] ^= word;
        self.round();
        self.round();
        self.state[0] ^= word;
    }

    fn round(&mut self) {
        let [a, b, c, d] = &mut self.state;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [vm 107] The check values of the specification, written whole and in odd parts.
    #[test]
    fn check_values() {
        let expected = [
            (0, 0x726F_DB47_DD0E_0E31),
            (5, 0x1876_5564_CD99_A68D),
            (16, 0x3F2A_CC7F_57C2_9BDB),
            (25, 0xBCE1_92DE_8A85_B8EA),
            (32, 0x7127_512F_72F2_7CCE),
        ];
        for (length, hash) in expected {
            let bytes: Vec<u8> = (0..length).collect();
            for part in [1, 3, 8, 32] {
                let mut hasher = SipHash24::new();
                bytes.chunks(part).for_each(|chunk| hasher.write(chunk));
                assert_eq!(hasher.finish(), hash, "{length} bytes by {part}");
            }
        }
    }
}
