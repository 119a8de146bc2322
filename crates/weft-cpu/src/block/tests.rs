//! What the builder writes, read back word by word.

use std::sync::{Arc, Mutex};

use weft_hal::{
    CachingMode, Dispatch, DispatchFlags, Executable, ExecutableParams, FunctionId, Operand, Pattern, Place,
    WHOLE_BUFFER, WorkgroupCount,
};
use weft_sync::Code;

use super::builder::{BlockBuilder, BuilderLimits};
use super::isa::{
    COMMAND_BYTES_MAX, FIXUP_WORDS, FLAG_INDIRECT, FLAG_PREDICATED, FixupKind, Opcode, REGION_COMMANDS_MAX,
    UPDATE_COMMAND_BYTES_MAX, WORD_BYTES,
};
use super::recording::{BlockRecording, Blocks};
use super::storage::{Block, Command};
use crate::loader::{Bundled, LoaderOptions, Loaders};
use crate::native::{KernelError, KernelSpec, NativeKernel, NativeLibrary, Workgroup, writes};

struct Nothing;

impl NativeKernel for Nothing {
    type State = ();
    const SPEC: KernelSpec =
        KernelSpec { constant_count: 3, bindings: &[writes(4), writes(4)], ..KernelSpec::new("nothing") };

    fn run(_: &(), _: &mut Workgroup<'_>) -> Result<(), KernelError> {
        Ok(())
    }
}

fn executable() -> Arc<Executable> {
    let mut bundled = Bundled::new();
    let library = NativeLibrary::stateless("blocks").kernel::<Nothing>().unwrap().build();
    bundled.register(Arc::new(library)).unwrap();
    let loaders = Loaders::new(LoaderOptions { bundled, ..LoaderOptions::default() });
    let params = ExecutableParams {
        format: "weft-native",
        data: b"blocks",
        constants: &[],
        caching_mode: CachingMode::empty(),
    };
    Executable::new(Box::new(loaders.load(&params).unwrap()))
}

fn slot(slot: u32, offset: u64, length: u64) -> Place<'static> {
    Place::Slot { slot, offset, length }
}

fn small() -> BlockBuilder {
    BlockBuilder::new(BuilderLimits { first_words: 64, words_max: 64 })
}

fn pattern() -> Pattern {
    Pattern::new(0xABCD, 2).unwrap()
}

/// Walks every block as runners do, and checks what they take for granted.
fn check(blocks: &Blocks) -> Vec<Opcode> {
    let mut opcodes = Vec::new();
    let mut regions = 0;
    for (index, block) in blocks.blocks.iter().enumerate() {
        let mut end = 0;
        let mut commands = 0;
        for (at, header, command) in block.commands() {
            assert_eq!(at, end, "commands follow each other");
            end = at + usize::from(header.words);
            assert!(usize::from(header.words) * WORD_BYTES <= COMMAND_BYTES_MAX);
            opcodes.push(header.opcode);
            if let Command::Barrier(barrier) = command {
                assert_eq!(barrier.region as usize, regions);
                let region = &blocks.regions[regions];
                assert_eq!((region.block as usize, usize::from(region.first)), (index, end));
                regions += 1;
                commands = 0;
            }
            if header.opcode.is_work() {
                assert_eq!(usize::from(header.index), commands);
                commands += 1;
                assert!(commands <= usize::from(blocks.regions[regions - 1].commands));
            }
        }
        assert_eq!(end, block.end_of_commands());
        assert!(end * WORD_BYTES + block.fixup_count() * FIXUP_WORDS * WORD_BYTES <= block.bytes());
        let last = opcodes.last().copied();
        let is_last = index + 1 == blocks.blocks.len();
        assert_eq!(last, Some(if is_last { Opcode::Return } else { Opcode::Branch }));
        for number in 0..block.fixup_count() {
            let fixup = block.fixup(number);
            assert!(fixup.kind == FixupKind::Direct || (fixup.source as usize) < blocks.sources.len());
        }
    }
    assert_eq!(regions, blocks.regions.len());
    opcodes
}

/// [hal 153] Nothing recorded, and nothing but barriers: no block, no region.
#[test]
fn an_empty_recording_has_no_blocks() {
    let mut builder = small();
    for _ in 0..5 {
        builder.barrier();
    }
    let blocks = builder.finish();
    assert!(blocks.blocks.is_empty() && blocks.regions.is_empty() && blocks.is_narrow);
    // Half-way, it just goes.
    let mut builder = small();
    builder.fill(&slot(0, 0, 8), pattern()).unwrap();
    drop(builder);
}

/// [hal 151] [hal 153] Numbers of regions around every limit: each has commands, tables lie inside and in order.
#[test]
fn regions_and_blocks_are_consistent_at_every_size() {
    for count in [1, 2, 3, 7, 63, 64, 65, 200] {
        let mut builder = small();
        for index in 0..count {
            builder.fill(&slot(index % 5, 4 * u64::from(index), 4), pattern()).unwrap();
            builder.barrier();
            builder.barrier();
        }
        let blocks = builder.finish();
        let opcodes = check(&blocks);
        let of = |wanted| opcodes.iter().filter(|&&opcode| opcode == wanted).count();
        assert_eq!((of(Opcode::Fill), of(Opcode::Barrier)), (count as usize, count as usize));
        assert_eq!(blocks.regions.len(), count as usize);
        // What the largest of the fills reach.
        let extent = blocks.sources.iter().map(|source| source.extent).max();
        assert_eq!(extent, Some(4 * u64::from(count)));
    }
}

/// [hal 153] 255 work commands end a region; a full block ends one too, and bindings begin at 0 in the next.
#[test]
fn full_regions_and_full_blocks_are_split() {
    let mut builder = BlockBuilder::new(BuilderLimits { first_words: 4096, words_max: 4096 });
    for index in 0..600 {
        builder.fill(&slot(0, 4 * index, 4), pattern()).unwrap();
    }
    let blocks = builder.finish();
    check(&blocks);
    let commands: Vec<_> = blocks.regions.iter().map(|region| usize::from(region.commands)).collect();
    assert_eq!(commands, [REGION_COMMANDS_MAX, REGION_COMMANDS_MAX, 90]);

    let mut builder = small();
    for index in 0..50 {
        builder.copy(&slot(0, 4 * index, 4), &slot(1, 4 * index, 4)).unwrap();
    }
    let blocks = builder.finish();
    check(&blocks);
    assert!(blocks.blocks.len() > 3);
    for block in &blocks.blocks {
        let first = block.commands().find_map(|(_, _, command)| match command {
            Command::Copy(copy) => Some((copy.source, copy.target)),
            _ => None,
        });
        assert_eq!(first, Some((0, 1)));
    }
}

/// [hal 153] What is too large is refused and leaves no trace.
#[test]
fn commands_that_fit_no_block_are_refused() {
    let mut builder = small();
    builder.fill(&slot(0, 0, 4), pattern()).unwrap();
    let refused = builder.update(&[7; 1000], &slot(0, 0, 1000)).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let refused = builder.fill(&slot(0, u64::MAX - 4, 4), pattern());
    assert!(refused.is_ok(), "the end is just representable");
    let refused = builder.fill(&slot(0, u64::MAX - 3, 4), pattern()).unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    let refused = builder.fill(&slot(0, 0, u64::MAX - 1), pattern()).unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    let blocks = builder.finish();
    let fills = check(&blocks).iter().filter(|&&opcode| opcode == Opcode::Fill).count();
    assert_eq!(fills, 2);
}

/// Updates of any length are pieces that join, byte for byte. [hal 87]
#[test]
fn long_updates_are_several_commands() {
    for length in [1, 2, UPDATE_COMMAND_BYTES_MAX, UPDATE_COMMAND_BYTES_MAX + 1, 70_001] {
        let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let mut builder = BlockBuilder::new(BuilderLimits::default());
        builder.update(&bytes, &slot(3, 5, length as u64)).unwrap();
        let blocks = builder.finish();
        check(&blocks);
        let mut joined = Vec::new();
        for block in &blocks.blocks {
            for (_, _, command) in block.commands() {
                if let Command::Update(update, piece) = command {
                    let fixup = block.fixup(usize::from(update.target));
                    assert_eq!((fixup.offset, fixup.length), (5 + joined.len() as u64, piece.len() as u64));
                    joined.extend_from_slice(piece);
                }
            }
        }
        assert_eq!(joined, bytes);
        assert_eq!(blocks.sources[0].extent, 5 + length as u64);
    }
}

fn dispatch<'a>(
    executable: &'a Executable,
    count: WorkgroupCount<'a>,
    constants: &'a [u32],
    bindings: &'a [Operand<'a>],
) -> Dispatch<'a> {
    Dispatch {
        executable,
        function: FunctionId(0),
        workgroup_size: [0; 3],
        workgroup_count: count,
        local_memory_bytes: 100,
        constants,
        bindings,
        flags: DispatchFlags::empty(),
    }
}

/// [hal 151] Dispatches carry what they were given; equal operands are shared, other ones are not.
#[test]
fn dispatches_carry_what_they_were_given() {
    let executable = executable();
    let operands = |a, b| [Operand::slot(a, 16, 64), Operand::slot(b, 0, WHOLE_BUFFER)];
    let (one, two) = (operands(0, 1), operands(1, 0));
    let mut builder = BlockBuilder::new(BuilderLimits::default());
    for (index, bindings) in [&one, &two, &one, &two, &one].into_iter().enumerate() {
        let constants = [index as u32, 8, 9];
        let count = WorkgroupCount::Direct([2, 3, index as u32 + 1]);
        builder.dispatch(&dispatch(&executable, count, &constants, bindings)).unwrap();
    }
    let never = WorkgroupCount::Direct([0, 1, 1]);
    builder.dispatch(&dispatch(&executable, never, &[0; 3], &one)).unwrap();
    let counts = WorkgroupCount::IndirectDynamic(Operand::slot(2, 4, WHOLE_BUFFER));
    builder.dispatch(&dispatch(&executable, counts, &[0; 3], &one)).unwrap();
    let blocks = builder.finish();
    check(&blocks);
    let mut seen = Vec::new();
    for (_, header, command) in blocks.blocks[0].commands() {
        if let Command::Dispatch(dispatch, constants) = command {
            seen.push((header.flags, dispatch.bindings, dispatch.tiles, constants[0], dispatch.grid));
        }
    }
    let expected = [
        (0, 0, 6, 0, [2, 3, 1]),
        (0, 2, 12, 1, [2, 3, 2]),
        (0, 0, 18, 2, [2, 3, 3]),
        (0, 2, 24, 3, [2, 3, 4]),
        (0, 0, 30, 4, [2, 3, 5]),
        (FLAG_PREDICATED, 0, 0, 0, [0, 1, 1]),
        (FLAG_INDIRECT, 4, 1, 0, [6, 0, 0]),
    ];
    assert_eq!(seen, expected);
    assert_eq!(blocks.blocks[0].fixup_count(), 7);
    // Counts that are read later are in a region of their own.
    let regions: Vec<_> = blocks.regions.iter().map(|region| (region.tiles, region.is_dynamic)).collect();
    assert_eq!(regions, [(90, false), (0, true)]);
    assert_eq!((blocks.local_memory_bytes, blocks.indirect_count), (100, 1));
    let counts = blocks.blocks[0].fixup(6);
    assert_eq!((counts.offset, counts.length, counts.source), (4, 12, 2));
}

/// Regions never have 2^32 tiles: one more dispatch begins another. [hal 162]
#[test]
fn regions_with_too_many_tiles_are_split() {
    let executable = executable();
    let bindings = [Operand::slot(0, 0, 64), Operand::slot(1, 0, 64)];
    let mut builder = BlockBuilder::new(BuilderLimits::default());
    let half = WorkgroupCount::Direct([1 << 31, 1, 1]);
    for _ in 0..3 {
        builder.dispatch(&dispatch(&executable, half, &[0; 3], &bindings)).unwrap();
    }
    let beyond = WorkgroupCount::Direct([1 << 16, 1 << 16, 1]);
    let refused = builder.dispatch(&dispatch(&executable, beyond, &[0; 3], &bindings)).unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    let blocks = builder.finish();
    check(&blocks);
    let tiles: Vec<_> = blocks.regions.iter().map(|region| region.tiles).collect();
    assert_eq!(tiles, [1 << 31; 3]);
}

/// [hal 169] Rooms for recordings go from thread to thread: whatever was in one before, and however large it had grown,
/// the next recording in it is as in a new one. The first block stays, so small recordings allocate none.
#[test]
fn rooms_are_used_again() {
    let rooms = Mutex::new(Vec::new());
    let executable = executable();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (rooms, executable) = (&rooms, &executable);
            scope.spawn(move || {
                let mut builder = small();
                for round in 0..200_u64 {
                    let commands = 1 + (thread * 31 + round * 17) % 90;
                    let room = rooms.lock().unwrap().pop().unwrap_or_default();
                    let mut blocks = record_in(room, &mut builder, executable, commands);
                    let fresh = record_in(Blocks::default(), &mut small(), executable, commands);
                    assert_eq!(check(&blocks), check(&fresh));
                    assert_eq!(blocks.regions, fresh.regions);
                    assert_eq!(blocks.binding_starts, fresh.binding_starts);
                    assert!(blocks.is_for_one_use && blocks.sources.len() == fresh.sources.len());
                    let first = blocks.blocks.first().map(Block::bytes);
                    blocks.clear();
                    assert!(
                        blocks.regions.is_empty() && blocks.sources.is_empty() && blocks.kernels.is_empty()
                    );
                    let kept = blocks.blocks.first().map(Block::bytes);
                    assert_eq!((kept, blocks.blocks.len() <= 1), (first, true));
                    rooms.lock().unwrap().push(blocks);
                }
            });
        }
    });
    assert!(rooms.into_inner().unwrap().len() <= 4, "as many rooms as were in use at once");
}

/// Fills and dispatches in turn, a barrier behind each third.
fn record_in(
    room: Blocks,
    builder: &mut BlockBuilder,
    executable: &Arc<Executable>,
    commands: u64,
) -> Blocks {
    builder.begin_once(room);
    let bindings = [Operand::slot(0, 16, 64), Operand::slot(1, 0, WHOLE_BUFFER)];
    for index in 0..commands {
        if index % 2 == 0 {
            builder.fill(&slot(index as u32 % 3, 8 * index, 8), pattern()).unwrap();
        } else {
            let count = WorkgroupCount::Direct([index as u32, 1, 1]);
            builder.dispatch(&dispatch(executable, count, &[1, 2, 3], &bindings)).unwrap();
        }
        if index % 3 == 0 {
            builder.barrier();
        }
    }
    builder.end()
}

/// A recording as people see it.
#[test]
fn recordings_can_be_read() {
    let executable = executable();
    let bindings = [Operand::slot(0, 16, 64), Operand::slot(1, 0, WHOLE_BUFFER)];
    let mut builder = BlockBuilder::new(BuilderLimits::default());
    builder.fill(&slot(1, 0, 128), pattern()).unwrap();
    builder.barrier();
    let count = WorkgroupCount::Direct([4, 2, 1]);
    builder.dispatch(&dispatch(&executable, count, &[1, 2, 3], &bindings)).unwrap();
    builder.update(&[1, 2, 3], &slot(1, 0, 3)).unwrap();
    builder.copy(&slot(0, 0, 4), &slot(1, 4, 4)).unwrap();
    let text = BlockRecording(Arc::new(builder.finish())).to_string();
    let expected = "\
1 block, 1024 bytes, 2 regions, 6 fixups, 100 bytes of local memory
slot1: an entry of the table, bytes 0..128 used
slot0: an entry of the table, bytes 0..80 used
block 0: 144 of 1024 bytes are commands
      0  barrier  region 0: 1 tile
      8  fill     #0 slot1[0..128] with 0xABCD
     24  barrier  region 1: 10 tiles
     32  dispatch nothing, grid 4x2x1, constants [1, 2, 3], #1 slot0[16..80], #2 slot1[0..]
    112  update   3 bytes to #3 slot1[0..3]
    128  copy     #4 slot0[0..4] to #5 slot1[4..8]
    136  return
";
    assert_eq!(text, expected);
}
