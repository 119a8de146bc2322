//! The frames of one invocation, and the memory of their registers.
//!
//! Lives here: [`Stack`], [`Frame`]; growth and the limit. Value registers lie in one vector, ref registers in
//! another, so frames push and pop by moving two ends. Every slot above the ends is zero-free garbage for values and
//! null for refs; pushing zeroes the values, popping releases the refs.
//! Not here: unchecked access to registers (`cpu.rs`), who pushes when (`machine.rs`, `ops/call.rs`).

use weft_sync::{Result, Status, status};

use crate::reference::Ref;

/// One bytecode function in progress. Indices, not addresses: growing moves the registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Index of the module in the context.
    pub module: u32,
    /// Internal ordinal of the function.
    pub function: u32,
    /// Where the function's code starts within the module's.
    pub code: u32,
    /// Registers of the function.
    pub size: FrameSize,
    /// First word of the value bank, even.
    pub values: u32,
    /// First slot of the ref bank.
    pub refs: u32,
    /// The instruction at hand. Kept up only while the frame is not running.
    pub pc: u32,
    /// While a call is out: where its list of result registers is.
    pub results: u32,
    /// Where the frame goes on after a call or suspension.
    pub next: u32,
}

/// What it costs to enter a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameSize {
    pub values: u16,
    pub refs: u16,
}

/// Frames and registers of one invocation.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    /// Two value registers each, so that pairs are aligned.
    values: Vec<u64>,
    refs: Vec<Option<Ref>>,
    frames: Vec<Frame>,
    /// Value registers in use.
    values_end: usize,
    /// Ref registers in use.
    refs_end: usize,
}

/// What the first frames find, and what an idle stack keeps: about 8 KiB.
const PAIRS_FIRST: usize = 512;
/// No limit may be higher: frames keep their positions in 32 bits.
const BYTES_MAX: usize = 1 << 31;
/// Pairs above the last frame that may be overwritten at will.
const PAIRS_SLACK: usize = 8;
const REFS_FIRST: usize = 128;
const FRAMES_FIRST: usize = 32;

/// Idle stacks larger than this are freed instead of kept.
const IDLE_BYTES_MAX: usize = 256 << 10;

impl Stack {
    /// Pushes a frame with zeroed values and null refs. RESOURCE_EXHAUSTED beyond `bytes_max`; then nothing changed.
    #[inline(always)]
    pub fn push(&mut self, frame: Frame, bytes_max: usize) -> Result<()> {
        let (values, refs) = (self.values_end, self.refs_end);
        let values_end = values + usize::from(frame.size.values).next_multiple_of(2);
        let refs_end = refs + usize::from(frame.size.refs);
        let bytes = 4 * values_end
            + size_of::<Option<Ref>>() * refs_end
            + size_of::<Frame>() * (self.frames.len() + 1);
        if bytes > bytes_max.min(BYTES_MAX) {
            return Err(overflow(self.frames.len(), bytes_max));
        }
        if values_end + 2 * PAIRS_SLACK > 2 * self.values.len() || refs_end > self.refs.len() {
            self.grow(values_end, refs_end);
        }
        self.zero(values / 2, values_end / 2);
        self.frames.push(Frame { values: values as u32, refs: refs as u32, ..frame });
        (self.values_end, self.refs_end) = (values_end, refs_end);
        Ok(())
    }

    /// Pops the last frame and releases what its ref registers hold, by ordinal.
    #[inline]
    pub fn pop(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        let (values, refs) = (frame.values as usize, frame.refs as usize);
        for slot in &mut self.refs[refs..self.refs_end] {
            *slot = None;
        }
        (self.values_end, self.refs_end) = (values, refs);
    }

    /// Pops all frames, innermost first.
    pub fn unwind(&mut self) {
        while !self.frames.is_empty() {
            self.pop();
        }
    }

    #[inline]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The frame that runs, or runs next.
    #[inline]
    pub fn top(&self) -> Option<&Frame> {
        self.frames.last()
    }

    #[inline]
    pub fn top_mut(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    /// Addresses of the two banks of a frame. Good until the next push, pop or other change of the stack.
    #[inline]
    pub fn banks(&mut self, frame: &Frame) -> (*mut u32, *mut Option<Ref>) {
        let (values, refs) = (frame.values as usize, frame.refs as usize);
        debug_assert!(values <= self.values_end && refs <= self.refs_end);
        let values = self.values.as_mut_ptr().cast::<u32>().wrapping_add(values);
        (values, self.refs.as_mut_ptr().wrapping_add(refs))
    }

    /// Whether the memory is small enough to keep for the next invocation.
    pub fn is_worth_keeping(&self) -> bool {
        8 * self.values.len() + size_of::<Option<Ref>>() * self.refs.len() <= IDLE_BYTES_MAX
    }

    /// Zeroes pairs. Most functions have few registers, and a block of fixed size is a store or two where a call of
    /// `memset` would cost as much as the rest of the call; so up to the slack above `end` is zeroed along.
    #[inline]
    fn zero(&mut self, start: usize, end: usize) {
        match self.values[start..].first_chunk_mut::<PAIRS_SLACK>() {
            Some(block) if end - start <= PAIRS_SLACK => *block = [0; PAIRS_SLACK],
            _ => self.values[start..end].fill(0),
        }
    }

    #[cold]
    fn grow(&mut self, values_end: usize, refs_end: usize) {
        let pairs = (values_end.div_ceil(2) + PAIRS_SLACK).max(PAIRS_FIRST);
        if pairs > self.values.len() {
            self.values.resize(pairs.max(2 * self.values.len()), 0);
        }
        let refs = refs_end.max(REFS_FIRST);
        if refs > self.refs.len() {
            self.refs.resize(refs.max(2 * self.refs.len()), None);
        }
        self.frames.reserve(FRAMES_FIRST);
    }
}

/// Innermost frames go first, whatever the reason.
impl Drop for Stack {
    fn drop(&mut self) {
        self.unwind();
    }
}

#[cold]
fn overflow(depth: usize, bytes_max: usize) -> Status {
    status!(ResourceExhausted, "stack overflow: {depth} frames fill the limit of {bytes_max} bytes")
}

const _: () = assert!(size_of::<Frame>() <= 40);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use weft_sync::Code;

    fn sized(values: u16, refs: u16) -> Frame {
        let size = FrameSize { values, refs };
        Frame { module: 0, function: 0, code: 0, size, values: 0, refs: 0, pc: 0, results: 0, next: 0 }
    }

    /// [vm 126] Push, query, pop; what is left in a frame is released; an unbalanced pop changes nothing.
    #[test]
    fn frames_come_and_go() {
        let object = Ref::new(Arc::new(()));
        let mut stack = Stack::default();
        stack.push(sized(3, 2), 1 << 20).expect("room");
        stack.push(sized(1, 1), 1 << 20).expect("room");
        assert_eq!(stack.frames().len(), 2);
        let top = *stack.top().expect("pushed");
        // The odd register is skipped so that the next frame's pairs are aligned.
        assert_eq!((top.values, top.refs), (4, 2));
        stack.refs[0] = Some(object.clone());
        stack.refs[2] = Some(object.clone());
        stack.pop();
        assert_eq!(object.count(), 2);
        stack.pop();
        assert_eq!(object.count(), 1);
        stack.pop();
        assert_eq!(stack.frames().len(), 0);
    }

    /// [vm 126]
    #[test]
    fn leaving_with_frames_alive_releases_them() {
        let object = Ref::new(Arc::new(()));
        let mut stack = Stack::default();
        for index in 0..3 {
            stack.push(sized(0, 1), 1 << 20).expect("room");
            stack.refs[index] = Some(object.clone());
        }
        drop(stack);
        assert_eq!(object.count(), 1);
    }

    /// [vm 126] [vm 79]
    #[test]
    fn the_limit_is_an_error_and_the_stack_stays_whole() {
        let mut stack = Stack::default();
        let frame = sized(10, 1);
        let status = loop {
            if let Err(status) = stack.push(frame, 1 << 20) {
                break status;
            }
        };
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(stack.frames().len() > 5000, "{}", stack.frames().len());
        let depth = stack.frames().len();
        stack.pop();
        stack.push(frame, 1 << 20).expect("room for one again");
        assert_eq!(stack.frames().len(), depth);
        stack.unwind();
        assert!(!stack.is_worth_keeping());
    }

    /// Registers of a new frame are zero even where an older frame wrote.
    #[test]
    fn values_are_zeroed() {
        let mut stack = Stack::default();
        for _ in 0..2 {
            stack.push(sized(7, 0), 1 << 20).expect("room");
            assert!(stack.values[..4].iter().all(|&pair| pair == 0));
            stack.values[..4].fill(u64::MAX);
            stack.pop();
        }
    }
}
