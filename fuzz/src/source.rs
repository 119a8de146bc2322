//! Decisions drawn from the fuzzer's bytes. When they run out every draw is 0, so every input is a whole program.

/// The bytes that are left.
pub struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    /// Draws from these bytes.
    pub fn new(bytes: &'a [u8]) -> Source<'a> {
        Source(bytes)
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
            [] => 0,
        }
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let drawn = usize::from(self.byte());
        if bound > 256 { (drawn << 8 | usize::from(self.byte())) % bound } else { drawn % bound }
    }

    /// True once in `of` draws.
    pub fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    /// A number that is often small, sometimes at an edge, sometimes anything.
    pub fn number(&mut self) -> u64 {
        match self.byte() % 8 {
            0..4 => u64::from(self.byte() % 9),
            4 => u64::from(self.byte()),
            5 => (self.byte() as i8) as i64 as u64,
            6 => [0, 1 << 31, u64::from(u32::MAX), 1 << 63, u64::MAX, i64::MAX as u64][self.below(6)],
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// One of a list.
    pub fn pick<'b, T>(&mut self, of: &'b [T]) -> &'b T {
        &of[self.below(of.len())]
    }
}
