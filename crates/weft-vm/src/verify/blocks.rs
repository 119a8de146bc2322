//! The blocks of one function: which pcs carry a marker and which are branched to.

use super::{Checked, Refusal};
use crate::isa::BLOCK_PC_MAX;

/// Markers and targets met in one walk over a function.
#[derive(Debug)]
pub(super) struct BlockList {
    declared: usize,
    /// Ascending, since the walk is.
    markers: Vec<u32>,
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    block: u32,
    /// The pc of the branch, to say where a wrong one is.
    branch: u32,
}

impl BlockList {
    /// For a function that declares this many blocks.
    pub fn new(declared: u16) -> BlockList {
        BlockList { declared: usize::from(declared), markers: Vec::new(), targets: Vec::new() }
    }

    /// A marker stands at `pc`.
    pub fn marker(&mut self, pc: usize) -> Checked {
        match u32::try_from(pc) {
            Ok(pc) if pc <= BLOCK_PC_MAX => self.markers.push(pc),
            _ => {
                return Err(Refusal::out_of_range(format_args!(
                    "block at 0x{pc:X}, at most 0x{BLOCK_PC_MAX:X} can be branched to"
                )));
            }
        }
        if self.markers.len() > self.declared {
            return Err(Refusal::invalid(format_args!(
                "more blocks than the {} that the function declares",
                self.declared
            )));
        }
        Ok(())
    }

    /// The instruction at `branch` names `block` as a target.
    pub fn target(&mut self, block: u32, branch: usize) -> Checked {
        if block > BLOCK_PC_MAX {
            return Err(Refusal::out_of_range(format_args!(
                "branch target 0x{block:X}, at most 0x{BLOCK_PC_MAX:X}"
            )));
        }
        // A branch lies within its function, whose length is an i32.
        self.targets.push(Target { block, branch: branch as u32 });
        Ok(())
    }

    /// All markers and targets are known. The pc in the failure is the branch's, or the function's start.
    pub fn finish(self) -> Result<(), (usize, Refusal)> {
        for target in &self.targets {
            if self.markers.binary_search(&target.block).is_err() {
                let refusal =
                    Refusal::invalid(format_args!("no block starts at branch target 0x{:X}", target.block));
                return Err((target.branch as usize, refusal));
            }
        }
        if self.markers.len() != self.declared {
            let refusal = Refusal::invalid(format_args!(
                "function has {} blocks but declares {}",
                self.markers.len(),
                self.declared
            ));
            return Err((0, refusal));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sync::Code;

    fn list(declared: u16, markers: &[usize], targets: &[u32]) -> Result<(), Code> {
        let mut blocks = BlockList::new(declared);
        for marker in markers {
            blocks.marker(*marker).map_err(|refusal| refusal.0.0)?;
        }
        for target in targets {
            blocks.target(*target, 1).map_err(|refusal| refusal.0.0)?;
        }
        blocks.finish().map_err(|(_, refusal)| refusal.0.0)
    }

    /// [vm 131]
    #[test]
    fn markers_and_targets_are_one_set_of_the_declared_size() {
        const INVALID: Result<(), Code> = Err(Code::InvalidArgument);
        const RANGE: Result<(), Code> = Err(Code::OutOfRange);
        assert_eq!(list(0, &[], &[]), Ok(()));
        assert_eq!(list(1, &[], &[]), INVALID, "fewer than declared");
        assert_eq!(list(0, &[0], &[]), INVALID, "overflow on empty");
        assert_eq!(list(3, &[0, 7, 20], &[7, 7, 20, 0]), Ok(()));
        assert_eq!(list(2, &[0, 7], &[8]), INVALID, "no marker at the target");
        assert_eq!(list(0, &[], &[8]), INVALID, "target without any block");
        assert_eq!(list(3, &[0, 7], &[7]), INVALID, "fewer than declared");
        assert_eq!(list(1, &[0, 7], &[7]), INVALID, "more than declared");
        let max = BLOCK_PC_MAX as usize;
        assert_eq!(list(2, &[0, max], &[BLOCK_PC_MAX]), Ok(()), "the largest pc");
        assert_eq!(list(2, &[0, max + 1], &[]), RANGE, "marker above the largest pc");
        assert_eq!(list(2, &[0, 7], &[BLOCK_PC_MAX + 1]), RANGE, "target above the largest pc");
        assert_eq!(list(2, &[0, 7], &[u32::MAX]), RANGE);
        assert_eq!(list(2, &[0, 7], &[BLOCK_PC_MAX]), INVALID, "target beyond the code");
        let many: Vec<usize> = (0..1000).map(|index| index * 5).collect();
        let targets: Vec<u32> = (0..1000).map(|index| (999 - index) * 5).collect();
        assert_eq!(list(1000, &many, &targets), Ok(()));
    }
}
