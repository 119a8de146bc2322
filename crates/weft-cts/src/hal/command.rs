//! Command buffers: recording and transfers. Tables and reuse are in `table.rs`.

use std::sync::Arc;

use weft_hal::{
    AllocaFlags, BindingEntry, Buffer, BufferMetadata, BufferParams, BufferUsage, CommandBufferMode,
    CommandCategory, ExecuteFlags, ExecutionStage, Fence, HostBlock, MemoryAccess, MemoryType, Operand,
    Submission, WHOLE_BUFFER,
};
use weft_sync::{Code, Point, Semaphore};

use crate::case::Caps;
use crate::subject::{Subject, bytes_of, fails_with, whole};

crate::cases! { $ COMMAND for_each_command_case {
    recording_has_a_beginning_and_an_end: Caps::NONE;
    commands_keep_to_their_category: Caps::NONE;
    inline_execution_has_conditions: Caps::NONE;
    inline_commands_run_like_others: Caps::WORK;
    recorded_fills: Caps::WORK;
    recorded_fills_refuse_bad_patterns: Caps::NONE;
    recorded_updates: Caps::WORK;
    recorded_updates_are_bounded: Caps::NONE;
    recorded_copies: Caps::WORK;
    recorded_copies_refuse_overlap: Caps::NONE;
    nothing_to_transfer_is_not_checked: Caps::NONE;
    recorded_transfers_check_permissions: Caps::NONE;
    many_commands: Caps::WORK;
    uncommitted_transients_can_be_recorded: Caps::WORK;
    transients_as_operands: Caps::WORK;
    events_barriers_and_advice_are_harmless: Caps::WORK;
    debug_groups_balance: Caps::NONE;
    collectives_are_not_implemented: Caps::NONE;
    the_last_of_many_submissions_wins: Caps::WORK;
} }

const NOW: Submission<'static> = Submission::IMMEDIATE;
const REUSABLE: CommandBufferMode = CommandBufferMode::empty();

/// [hal 85] [hal-module 19]
fn recording_has_a_beginning_and_an_end(subject: &Subject) {
    let commands = subject.commands_not_begun(REUSABLE, CommandCategory::ANY, 0).unwrap();
    let buffer = subject.buffer(8);
    let record = || commands.fill(&whole(&buffer), 0, 1);
    fails_with(record(), Code::FailedPrecondition);
    fails_with(commands.end(), Code::FailedPrecondition);
    fails_with(subject.execute(&commands, None), Code::FailedPrecondition);
    commands.begin().unwrap();
    fails_with(commands.begin(), Code::FailedPrecondition);
    fails_with(subject.execute(&commands, None), Code::FailedPrecondition);
    record().unwrap();
    commands.end().unwrap();
    fails_with(record(), Code::FailedPrecondition);
    fails_with(commands.barrier(ExecutionStage::all(), ExecutionStage::all()), Code::FailedPrecondition);
    fails_with(commands.begin_debug_group("late"), Code::FailedPrecondition);
    fails_with(commands.end(), Code::FailedPrecondition);
    fails_with(commands.begin(), Code::FailedPrecondition);
    subject.execute(&commands, None).unwrap();
    // Nothing at all can be submitted too.
    subject.run_once(|_| Ok(())).unwrap();
}

/// [hal 85] [hal-module 19]
fn commands_keep_to_their_category(subject: &Subject) {
    let buffer = subject.buffer(64);
    let transfer = subject.commands_not_begun(REUSABLE, CommandCategory::TRANSFER, 0).unwrap();
    let dispatch = subject.commands_not_begun(REUSABLE, CommandCategory::DISPATCH, 0).unwrap();
    transfer.begin().unwrap();
    dispatch.begin().unwrap();
    let nothing = subject.dispatch("nothing", [1; 3], &[], &[]);
    fails_with(transfer.dispatch(&nothing), Code::FailedPrecondition);
    fails_with(dispatch.fill(&whole(&buffer), 0, 1), Code::FailedPrecondition);
    fails_with(dispatch.update(&[0; 4], &Operand::direct(&buffer, 0, 4)), Code::FailedPrecondition);
    let (from, to) = (Operand::direct(&buffer, 0, 8), Operand::direct(&buffer, 8, 8));
    fails_with(dispatch.copy(&from, &to), Code::FailedPrecondition);
    for commands in [&transfer, &dispatch] {
        commands.barrier(ExecutionStage::TRANSFER, ExecutionStage::DISPATCH).unwrap();
        commands.begin_debug_group("any category").unwrap();
        commands.advise(&whole(&buffer)).unwrap();
        commands.end_debug_group().unwrap();
    }
    transfer.fill(&whole(&buffer), 0, 1).unwrap();
    dispatch.dispatch(&nothing).unwrap();
}

/// [hal 85] [hal-module 20]
fn inline_execution_has_conditions(subject: &Subject) {
    let inline = CommandBufferMode::ALLOW_INLINE_EXECUTION;
    let once = CommandBufferMode::ONE_SHOT;
    let create = |mode, capacity| subject.commands_not_begun(mode, CommandCategory::ANY, capacity);
    fails_with(create(inline, 0), Code::InvalidArgument);
    fails_with(create(inline | once, 1), Code::InvalidArgument);
    let commands = create(inline | once, 0).unwrap();
    commands.begin().unwrap();
    commands.end().unwrap();
    // Even a wait that is over is a wait.
    let wait = [Point { semaphore: Arc::new(Semaphore::new(1)), value: 1 }];
    let waiting = Submission { wait: &wait, ..NOW };
    let execute =
        |at: &Submission<'_>| subject.device.queue_execute(at, Some(&commands), None, ExecuteFlags::empty());
    fails_with(execute(&waiting), Code::InvalidArgument);
    subject.run(execute).unwrap();
}

/// [hal-module 20]
fn inline_commands_run_like_others(subject: &Subject) {
    let mode = CommandBufferMode::ALLOW_INLINE_EXECUTION | CommandBufferMode::ONE_SHOT;
    let (a, b) = (subject.buffer(16), subject.buffer(16));
    let commands = subject.commands(mode, 0);
    let barrier = || commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
    commands.fill(&whole(&a), 5, 1).unwrap();
    barrier();
    commands.update(&[1, 2], &Operand::direct(&a, 3, 2)).unwrap();
    barrier();
    commands.copy(&whole(&a), &whole(&b)).unwrap();
    barrier();
    let operands = [whole(&b)];
    commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
    commands.end().unwrap();
    let fence = Fence::create();
    let at = Submission::between(None, Some(&fence));
    subject.device.queue_execute(&at, Some(&commands), None, ExecuteFlags::empty()).unwrap();
    subject.passes(&fence);
    assert_eq!(bytes_of(&a), [5, 5, 5, 1, 2, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5]);
    assert_eq!(bytes_of(&b), [6, 5, 5, 1, 3, 5, 5, 5, 6, 5, 5, 5, 6, 5, 5, 5]);
    fails_with(subject.execute(&commands, None), Code::FailedPrecondition);
}

/// [hal 86] [hal-module 21]
fn recorded_fills(subject: &Subject) {
    let size = (64 << 10) + 64;
    let mut ranges: Vec<(u64, u64, u64)> = (1..=16).map(|length| (2, length, 1)).collect();
    ranges.extend([
        (2, 2, 2),
        (4, 14, 2),
        (0, 4, 4),
        (4, 64 << 10, 4),
        (60, 4, 4),
        (7, 1, 1),
        (13, 65000, 1),
    ]);
    for (offset, length, pattern_length) in ranges {
        for indirect in [false, true] {
            let buffer = subject.buffer(size);
            let bits = 0x8765_4321_u64;
            let commands = subject.commands(REUSABLE, 1);
            let operand = if indirect {
                Operand::slot(0, offset, length)
            } else {
                Operand::direct(&buffer, offset, length)
            };
            commands.fill(&operand, bits, pattern_length).unwrap();
            commands.end().unwrap();
            subject.execute(&commands, Some(&[BindingEntry::whole(&buffer)])).unwrap();
            let bytes = bytes_of(&buffer);
            let (start, end) = (offset as usize, (offset + length) as usize);
            let pattern = &bits.to_le_bytes()[..pattern_length as usize];
            assert!(
                bytes[start..end].chunks(pattern.len()).all(|chunk| chunk == pattern),
                "{offset} {length}"
            );
            assert!(bytes[..start].iter().chain(&bytes[end..]).all(|&byte| byte == 0), "{offset} {length}");
        }
    }
}

/// [hal 86] [hal-module 21]
fn recorded_fills_refuse_bad_patterns(subject: &Subject) {
    let buffer = subject.buffer(64);
    let commands = subject.commands(REUSABLE, 1);
    for operand in [whole(&buffer), Operand::slot(0, 0, 64)] {
        for pattern_length in [0, 3, 5, 8, 16] {
            fails_with(commands.fill(&operand, 0, pattern_length), Code::InvalidArgument);
        }
        for (offset, length, pattern_length) in [(1, 4, 2), (2, 4, 4), (4, 6, 4), (0, 1, 2)] {
            let operand = Operand { offset, length, ..operand };
            fails_with(commands.fill(&operand, 0, pattern_length), Code::InvalidArgument);
        }
    }
    let odd = subject.buffer(6);
    fails_with(commands.fill(&whole(&odd), 0, 4), Code::InvalidArgument);
    fails_with(commands.fill(&Operand::direct(&buffer, 60, 8), 0, 4), Code::OutOfRange);
}

/// [hal 87] [hal-module 22]
fn recorded_updates(subject: &Subject) {
    for (length, offset) in [(4, 0), (256, 16), (2016, 3), (2017, 0), (64 << 10, 5), (1 << 20, 7)] {
        let buffer = subject.buffer(length as u64 + 32);
        let part = buffer.subspan(8, WHOLE_BUFFER).unwrap();
        let mut source: Vec<u8> = (0..length).map(|index| (index % 239) as u8 + 1).collect();
        let expected = source.clone();
        let commands = subject.commands(REUSABLE, 0);
        commands.update_any_length(&source, &Operand::direct(&part, offset, length as u64)).unwrap();
        commands.end().unwrap();
        source.fill(0);
        drop(source);
        subject.execute(&commands, None).unwrap();
        let (bytes, start) = (bytes_of(&buffer), offset as usize + 8);
        assert_eq!(bytes[start..start + length], expected);
        assert!(bytes[..start].iter().chain(&bytes[start + length..]).all(|&byte| byte == 0));
    }
}

/// [hal 87] [hal-module 22]
fn recorded_updates_are_bounded(subject: &Subject) {
    let buffer = subject.buffer(128 << 10);
    let commands = subject.commands(REUSABLE, 0);
    commands.update(&vec![0; 64 << 10], &Operand::direct(&buffer, 0, 64 << 10)).unwrap();
    let too_long = vec![0; (64 << 10) + 1];
    fails_with(commands.update(&too_long, &whole(&buffer)), Code::InvalidArgument);
    fails_with(commands.update(&[0; 8], &Operand::direct(&buffer, 0, 4)), Code::InvalidArgument);
    let past = Operand::direct(&buffer, (128 << 10) - 4, WHOLE_BUFFER);
    fails_with(commands.update(&[0; 8], &past), Code::OutOfRange);
}

/// [hal 88] [hal-module 23]
fn recorded_copies(subject: &Subject) {
    let content: Vec<u8> = (0..1 << 20).map(|index| (index % 233) as u8).collect();
    let source = subject.buffer_with(&content);
    for (length, from, to) in [(4_usize, 16, 8), (5, 1, 3), (4096, 8, 4), (65537, 4, 16), (1 << 20, 0, 0)] {
        for slots in 0..4 {
            let target = subject.buffer(1 << 20);
            let commands = subject.commands(REUSABLE, 2);
            let operand = |slot: u32, buffer, offset| match slots >> slot & 1 {
                0 => Operand::direct(buffer, offset, length as u64),
                _ => Operand::slot(slot, offset, length as u64),
            };
            commands.copy(&operand(0, &source, from), &operand(1, &target, to)).unwrap();
            commands.end().unwrap();
            let table = [BindingEntry::whole(&source), BindingEntry::whole(&target)];
            subject.execute(&commands, Some(&table)).unwrap();
            let (bytes, from, to) = (bytes_of(&target), from as usize, to as usize);
            assert_eq!(bytes[to..to + length], content[from..from + length]);
            assert!(bytes[..to].iter().chain(&bytes[to + length..]).all(|&byte| byte == 0));
        }
    }
}

/// [hal 88] [hal-module 23]
fn recorded_copies_refuse_overlap(subject: &Subject) {
    let buffer = subject.buffer(64);
    let part = buffer.subspan(8, 56).unwrap();
    let commands = subject.commands(REUSABLE, 0);
    for (from, to) in [(0, 4), (4, 0), (0, 0)] {
        let (from, to) = (Operand::direct(&buffer, from, 8), Operand::direct(&buffer, to, 8));
        fails_with(commands.copy(&from, &to), Code::InvalidArgument);
    }
    let overlapping = Operand::direct(&part, 0, 16);
    fails_with(commands.copy(&Operand::direct(&buffer, 0, 16), &overlapping), Code::InvalidArgument);
    let shorter = Operand::direct(&part, 0, 15);
    fails_with(commands.copy(&Operand::direct(&buffer, 32, 16), &shorter), Code::InvalidArgument);
    commands.copy(&Operand::direct(&buffer, 0, 8), &Operand::direct(&buffer, 8, 8)).unwrap();
    commands.copy(&Operand::direct(&buffer, 8, 8), &Operand::direct(&buffer, 0, 8)).unwrap();
}

/// [hal-module 21]
fn nothing_to_transfer_is_not_checked(subject: &Subject) {
    let read_only = BufferParams { access: MemoryAccess::READ, ..BufferParams::device_local() };
    let buffer = subject.device.allocator().allocate(&read_only, 8).unwrap();
    let commands = subject.commands(REUSABLE, 0);
    commands.fill(&Operand::direct(&buffer, 3 << 40, 0), 0, 4).unwrap();
    commands.fill(&Operand::slot(77, 1, 0), 0, 2).unwrap();
    commands.update(&[], &Operand::direct(&buffer, 1 << 50, 0)).unwrap();
    commands.copy(&Operand::direct(&buffer, 9, 0), &Operand::slot(5, 0, 0)).unwrap();
    commands.end().unwrap();
    subject.execute(&commands, None).unwrap();
}

/// [hal-module 25] [hal 98] the transfers' part; dispatches are in `dispatch.rs`.
fn recorded_transfers_check_permissions(subject: &Subject) {
    let allocator = subject.device.allocator();
    let good = subject.buffer(16);
    let read_only = BufferParams { access: MemoryAccess::READ, ..BufferParams::device_local() };
    let read_only = allocator.allocate(&read_only, 16).unwrap();
    let host_only = BufferParams { memory_type: MemoryType::HOST_LOCAL, ..BufferParams::default() };
    let host_only = allocator.allocate(&host_only, 16).unwrap();
    let metadata = BufferMetadata { usage: BufferUsage::DISPATCH_STORAGE, ..*good.metadata() };
    let no_transfer = Buffer::resident(metadata, 16, HostBlock::from_heap(16, 64).unwrap());
    for bad in [&read_only, &host_only, &no_transfer] {
        let commands = subject.commands(REUSABLE, 2);
        fails_with(commands.fill(&whole(bad), 0, 1), Code::PermissionDenied);
        fails_with(commands.update(&[0; 4], &Operand::direct(bad, 0, 4)), Code::PermissionDenied);
        fails_with(commands.copy(&whole(&good), &whole(bad)), Code::PermissionDenied);
        commands.copy(&Operand::slot(0, 0, 16), &Operand::slot(1, 0, 16)).unwrap();
        commands.end().unwrap();
        let table = [BindingEntry::whole(&good), BindingEntry::whole(bad)];
        fails_with(subject.execute(&commands, Some(&table)), Code::PermissionDenied);
    }
    for bad in [&host_only, &no_transfer] {
        let commands = subject.commands(REUSABLE, 0);
        fails_with(commands.copy(&whole(bad), &whole(&good)), Code::PermissionDenied);
    }
}

/// [hal 96]
fn many_commands(subject: &Subject) {
    for (count, barriers) in [(512, true), (300, false)] {
        let buffer = subject.buffer(count * 4);
        let commands = subject.commands(REUSABLE, 0);
        for index in 0..count {
            commands.fill(&Operand::direct(&buffer, index * 4, 4), index, 4).unwrap();
            if barriers {
                commands.barrier(ExecutionStage::TRANSFER, ExecutionStage::TRANSFER).unwrap();
            }
        }
        commands.end().unwrap();
        subject.execute(&commands, None).unwrap();
        assert!(subject.read_words(&buffer).into_iter().eq(0..count as u32));
    }
}

/// A transient whose alloca has failed: it will never be committed.
fn uncommitted(subject: &Subject, size: u64) -> Arc<Buffer> {
    let gate = Arc::new(Semaphore::new(0));
    gate.fail(weft_sync::Status::new(Code::Aborted, "never"));
    let wait = [Point { semaphore: gate, value: 1 }];
    let at = Submission { wait: &wait, ..NOW };
    subject.device.queue_alloca(&at, &BufferParams::device_local(), size, AllocaFlags::empty()).unwrap()
}

/// [hal 100] [hal-module 24] recording looks at metadata only; memory is looked for when the commands run.
fn uncommitted_transients_can_be_recorded(subject: &Subject) {
    let (never, source) = (uncommitted(subject, 64), subject.buffer(64));
    let commands = subject.commands(REUSABLE, 1);
    commands.fill(&whole(&never), 1, 1).unwrap();
    commands.update(&[1; 4], &Operand::direct(&never, 0, 4)).unwrap();
    commands.copy(&whole(&source), &whole(&never)).unwrap();
    let operands = [Operand::direct(&never, 0, 64)];
    commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
    commands.end().unwrap();
    let signal = [Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 }];
    let at = Submission { signal: &signal, ..NOW };
    let run = subject.device.queue_execute(&at, Some(&commands), None, ExecuteFlags::empty());
    subject.fails(run, &signal, Code::FailedPrecondition);
    let through_table = subject.commands(REUSABLE, 1);
    through_table.fill(&Operand::slot(0, 0, 8), 1, 1).unwrap();
    through_table.end().unwrap();
    let run = subject.execute(&through_table, Some(&[BindingEntry::whole(&never)]));
    fails_with(run, Code::FailedPrecondition);
}

/// [hal 101] [hal-module 24]
fn transients_as_operands(subject: &Subject) {
    let (transient, plain) =
        (subject.run(|at| subject.alloca(at, 64)).unwrap(), subject.buffer_with(&[3; 64]));
    let run = |record: &dyn Fn(&weft_hal::CommandBuffer) -> weft_sync::Result<()>| {
        subject.run_once(record).unwrap()
    };
    run(&|commands| commands.fill(&whole(&transient), 1, 1));
    assert_eq!(bytes_of(&transient), [1; 64]);
    run(&|commands| commands.fill(&Operand::direct(&transient, 8, 1), 2, 1));
    assert_eq!(transient.read_to_vec(7, 3).unwrap(), [1, 2, 1]);
    run(&|commands| commands.copy(&Operand::direct(&plain, 0, 4), &Operand::direct(&transient, 0, 4)));
    run(&|commands| {
        commands.fill(&Operand::direct(&transient, 32, 8), 7, 1)?;
        commands.barrier(ExecutionStage::TRANSFER, ExecutionStage::TRANSFER)?;
        commands.copy(&Operand::direct(&transient, 32, 8), &Operand::direct(&plain, 0, 8))
    });
    run(&|commands| commands.update(&[9, 9], &Operand::direct(&transient, 62, 2)));
    assert_eq!(transient.read_to_vec(0, 5).unwrap(), [3, 3, 3, 3, 1]);
    assert_eq!(transient.read_to_vec(61, 3).unwrap(), [1, 9, 9]);
    assert_eq!(plain.read_to_vec(0, 9).unwrap(), [7, 7, 7, 7, 7, 7, 7, 7, 3]);
}

/// [hal 103] [hal-module 30]
fn events_barriers_and_advice_are_harmless(subject: &Subject) {
    let (buffer, event) = (subject.buffer(8), subject.device.create_event());
    subject
        .run_once(|commands| {
            commands.reset_event(&event)?;
            commands.fill(&whole(&buffer), 1, 1)?;
            commands.signal_event(&event)
        })
        .unwrap();
    subject
        .run_once(|commands| {
            commands.wait_events(&[&event])?;
            commands.advise(&whole(&buffer))?;
            commands.advise(&Operand::slot(7, 0, 0))?;
            commands.barrier(ExecutionStage::from_bits_retain(28), ExecutionStage::from_bits_retain(13))?;
            commands.fill(&Operand::direct(&buffer, 0, 4), 2, 1)
        })
        .unwrap();
    assert_eq!(bytes_of(&buffer), [2, 2, 2, 2, 1, 1, 1, 1]);
}

/// [hal 104] [hal-module 19, 30]
fn debug_groups_balance(subject: &Subject) {
    let record = |record: &dyn Fn(&weft_hal::CommandBuffer)| {
        let commands = subject.commands(REUSABLE, 0);
        record(&commands);
        commands.end()
    };
    let begin = |commands: &weft_hal::CommandBuffer| commands.begin_debug_group("group").unwrap();
    let end = |commands: &weft_hal::CommandBuffer| commands.end_debug_group().unwrap();
    record(&|commands| {
        begin(commands);
        begin(commands);
        end(commands);
        end(commands);
    })
    .unwrap();
    fails_with(record(&begin), Code::FailedPrecondition);
    fails_with(record(&end), Code::FailedPrecondition);
    let backward = record(&|commands| {
        end(commands);
        begin(commands);
    });
    fails_with(backward, Code::FailedPrecondition);
}

/// [hal 103] [hal-module 30]
fn collectives_are_not_implemented(subject: &Subject) {
    fails_with(subject.device.create_channel(), Code::Unimplemented);
}

/// [hal 105]
fn the_last_of_many_submissions_wins(subject: &Subject) {
    let (buffer, target) = (subject.buffer(64), subject.buffer(64));
    let timeline = Arc::new(Semaphore::new(0));
    let points: Vec<[Point; 1]> =
        (0..=400).map(|value| [Point { semaphore: Arc::clone(&timeline), value }]).collect();
    let submit = |step: usize, record: &dyn Fn(&weft_hal::CommandBuffer) -> weft_sync::Result<()>| {
        let commands = subject.commands(CommandBufferMode::ONE_SHOT, 0);
        record(&commands).unwrap();
        commands.end().unwrap();
        let at = Submission { wait: &points[step], signal: &points[step + 1], ..NOW };
        subject.device.queue_execute(&at, Some(&commands), None, ExecuteFlags::empty()).unwrap();
    };
    for index in 0..200 {
        submit(2 * index, &|commands| commands.fill(&whole(&buffer), index as u64, 1));
        submit(2 * index + 1, &|commands| commands.copy(&whole(&buffer), &whole(&target)));
    }
    subject.reaches(&points[400]);
    assert_eq!((bytes_of(&buffer), bytes_of(&target)), (vec![199; 64], vec![199; 64]));
}
