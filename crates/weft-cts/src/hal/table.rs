//! Binding tables, and recordings that are submitted more than once.

use weft_hal::{
    AllocaFlags, BindingEntry, Buffer, BufferParams, CommandBufferMode, DeallocaFlags, ExecuteFlags,
    ExecutionStage, Fence, Operand, Submission, WHOLE_BUFFER,
};
use weft_sync::Code;

use crate::case::Caps;
use crate::subject::{Subject, bytes_of, fails_with, whole};

const REUSABLE: CommandBufferMode = CommandBufferMode::empty();

crate::cases! { $ TABLE for_each_table_case {
    recorded_copies_through_slots_are_checked: Caps::NONE;
    tables_are_checked: Caps::NONE;
    tables_choose_the_buffers: Caps::WORK;
    tables_may_be_longer_than_needed: Caps::WORK;
    whole_entries_reach_their_end: Caps::WORK;
    alignment_counts_the_entry: Caps::NONE;
    far_slots_cost_little: Caps::NONE;
    recordings_are_reused: Caps::WORK;
    recordings_run_concurrently: Caps::WORK;
    one_shot_is_once: Caps::NONE;
    pipelines_with_transients: Caps::WORK;
    recordings_keep_their_buffers: Caps::WORK;
} }

fn entry(buffer: &Buffer, offset: u64, length: u64) -> BindingEntry<'_> {
    BindingEntry { buffer: Some(buffer), offset, length }
}

/// [hal-module 23]
fn recorded_copies_through_slots_are_checked(subject: &Subject) {
    let (buffer, other) = (subject.buffer(64), subject.buffer(64));
    let commands = subject.commands(REUSABLE, 2);
    commands.copy(&Operand::slot(0, 0, 16), &Operand::slot(1, 8, 16)).unwrap();
    commands.end().unwrap();
    let run = |from, to| subject.execute(&commands, Some(&[from, to]));
    run(entry(&buffer, 0, 64), entry(&other, 0, 64)).unwrap();
    run(entry(&buffer, 0, 16), entry(&buffer, 8, 56)).unwrap();
    fails_with(run(entry(&buffer, 0, 64), entry(&buffer, 0, 64)), Code::InvalidArgument);
    fails_with(run(entry(&buffer, 8, 16), entry(&buffer, 0, 24)), Code::InvalidArgument);
    // "To the end" of the source may be too much for the target.
    let commands = subject.commands(REUSABLE, 2);
    commands.copy(&Operand::slot(0, 0, WHOLE_BUFFER), &Operand::slot(1, 0, WHOLE_BUFFER)).unwrap();
    commands.end().unwrap();
    let run = |from, to| subject.execute(&commands, Some(&[from, to]));
    run(entry(&buffer, 0, 16), entry(&other, 0, 17)).unwrap();
    fails_with(run(entry(&buffer, 0, 17), entry(&other, 0, 16)), Code::OutOfRange);
}

/// [hal 98] [hal-module 28]
fn tables_are_checked(subject: &Subject) {
    let buffer = subject.buffer(64);
    let commands = subject.commands(REUSABLE, 3);
    fails_with(commands.fill(&Operand::slot(3, 0, 4), 0, 1), Code::OutOfRange);
    commands.fill(&Operand::slot(0, 8, 24), 0, 1).unwrap();
    commands.fill(&Operand::slot(2, 0, 4), 0, 4).unwrap();
    commands.end().unwrap();
    let nothing = BindingEntry { buffer: None, offset: 0, length: 0 };
    let all = BindingEntry::whole(&buffer);
    let run = |table: &[BindingEntry<'_>]| subject.execute(&commands, Some(table));
    fails_with(subject.execute(&commands, None), Code::InvalidArgument);
    fails_with(run(&[]), Code::OutOfRange);
    fails_with(run(&[all, nothing]), Code::OutOfRange);
    fails_with(run(&[all, nothing, nothing]), Code::InvalidArgument);
    fails_with(run(&[nothing, all, all]), Code::InvalidArgument);
    run(&[all, nothing, all]).unwrap();
    run(&[entry(&buffer, 32, 32), nothing, entry(&subject.buffer(64), 60, 4)]).unwrap();
    for bad in [(32, 31), (33, WHOLE_BUFFER), (33, 32), (65, 0), (u64::MAX, 8), (8, u64::MAX - 1)] {
        fails_with(run(&[entry(&buffer, bad.0, bad.1), nothing, all]), Code::OutOfRange);
    }
}

/// [hal 98] [hal-module 28]
fn tables_choose_the_buffers(subject: &Subject) {
    let commands = subject.commands(REUSABLE, 2);
    commands.fill(&Operand::slot(1, 4, 8), 0xAA, 1).unwrap();
    commands.end().unwrap();
    let (a, b) = (subject.buffer(32), subject.buffer(32));
    let part = b.subspan(8, 24).unwrap();
    let unused = BindingEntry { buffer: None, offset: 0, length: 0 };
    subject.execute(&commands, Some(&[unused, entry(&a, 0, 12)])).unwrap();
    subject.execute(&commands, Some(&[unused, entry(&part, 2, WHOLE_BUFFER)])).unwrap();
    assert_eq!(a.read_to_vec(3, 10).unwrap(), [0, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0]);
    assert_eq!(b.read_to_vec(13, 10).unwrap(), [0, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0]);
}

/// [hal-module 28]
fn tables_may_be_longer_than_needed(subject: &Subject) {
    let buffers: Vec<_> = (0..100).map(|_| subject.buffer(8)).collect();
    let table: Vec<_> = buffers.iter().map(|buffer| BindingEntry::whole(buffer)).collect();
    let commands = subject.commands(REUSABLE, 200);
    for slot in 0..90 {
        commands.fill(&Operand::slot(slot, 0, 8), u64::from(slot), 1).unwrap();
    }
    commands.end().unwrap();
    subject.execute(&commands, Some(&table)).unwrap();
    for (slot, buffer) in buffers.iter().enumerate() {
        assert_eq!(bytes_of(buffer), [if slot < 90 { slot as u8 } else { 0 }; 8]);
    }
    // A table for commands that need none.
    let direct = subject.commands(REUSABLE, 4);
    direct.fill(&whole(&buffers[99]), 1, 1).unwrap();
    direct.end().unwrap();
    subject.execute(&direct, Some(&[BindingEntry { buffer: None, offset: 9, length: 9 }])).unwrap();
    assert_eq!(bytes_of(&buffers[99]), [1; 8]);
}

/// [hal-module 28]
fn whole_entries_reach_their_end(subject: &Subject) {
    let commands = subject.commands(REUSABLE, 1);
    commands.fill(&Operand::slot(0, 4, WHOLE_BUFFER), 1, 1).unwrap();
    commands.end().unwrap();
    let buffer = subject.buffer(32);
    subject.execute(&commands, Some(&[entry(&buffer, 8, 12)])).unwrap();
    let expected: Vec<u8> = (0..32).map(|index| u8::from((12..20).contains(&index))).collect();
    assert_eq!(bytes_of(&buffer), expected);
    subject.execute(&commands, Some(&[entry(&buffer, 28, WHOLE_BUFFER)])).unwrap();
    fails_with(subject.execute(&commands, Some(&[entry(&buffer, 29, WHOLE_BUFFER)])), Code::OutOfRange);
}

/// [hal 98] [hal-module 21]
fn alignment_counts_the_entry(subject: &Subject) {
    let buffer = subject.buffer(64);
    let commands = subject.commands(REUSABLE, 1);
    commands.fill(&Operand::slot(0, 4, 8), 0, 4).unwrap();
    commands.barrier(ExecutionStage::TRANSFER, ExecutionStage::TRANSFER).unwrap();
    commands.fill(&Operand::slot(0, 4, WHOLE_BUFFER), 0, 2).unwrap();
    commands.end().unwrap();
    let run = |offset, length| subject.execute(&commands, Some(&[entry(&buffer, offset, length)]));
    run(8, WHOLE_BUFFER).unwrap();
    fails_with(run(2, 60), Code::InvalidArgument);
    fails_with(run(4, 13), Code::InvalidArgument);
}

/// A program chooses slot numbers: a high one must not cost memory.
fn far_slots_cost_little(subject: &Subject) {
    let commands = subject.commands(REUSABLE, u32::MAX);
    commands.fill(&Operand::slot(u32::MAX - 1, 0, 4), 0, 1).unwrap();
    commands.end().unwrap();
    let buffer = subject.buffer(8);
    fails_with(subject.execute(&commands, Some(&[BindingEntry::whole(&buffer)])), Code::OutOfRange);
}

/// [hal 95] [hal-module 28]
fn recordings_are_reused(subject: &Subject) {
    let commands = subject.commands(REUSABLE, 2);
    commands.copy(&Operand::slot(0, 0, 8), &Operand::slot(1, 0, 8)).unwrap();
    commands.barrier(ExecutionStage::TRANSFER, ExecutionStage::TRANSFER).unwrap();
    commands.fill(&Operand::slot(0, 0, 8), 0xFF, 1).unwrap();
    commands.end().unwrap();
    let fixed = subject.buffer_with(&[9; 8]);
    for round in 0..5 {
        let (from, to) = (subject.buffer_with(&[round; 8]), subject.buffer(8));
        let table = [BindingEntry::whole(&from), BindingEntry::whole(&to)];
        subject.execute(&commands, Some(&table)).unwrap();
        assert_eq!((bytes_of(&from), bytes_of(&to)), (vec![0xFF; 8], vec![round; 8]));
    }
    subject
        .execute(&commands, Some(&[BindingEntry::whole(&fixed), BindingEntry::whole(&subject.buffer(8))]))
        .unwrap();
}

/// [hal 95] [hal-module 28]
fn recordings_run_concurrently(subject: &Subject) {
    let commands = subject.commands(REUSABLE, 2);
    for _ in 0..50 {
        let operands = [Operand::slot(0, 0, WHOLE_BUFFER)];
        commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
        commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
    }
    commands.copy(&Operand::slot(0, 0, 64), &Operand::slot(1, 64, 64)).unwrap();
    commands.end().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let commands = &commands;
            scope.spawn(move || {
                for round in 0..50 {
                    let start = thread * 1000 + round;
                    let (a, b) = (subject.buffer_with(&start.to_le_bytes().repeat(16)), subject.buffer(128));
                    let table = [BindingEntry::whole(&a), BindingEntry::whole(&b)];
                    subject.execute(commands, Some(&table)).unwrap();
                    assert_eq!(subject.read_words(&b)[16..], [start + 50; 16]);
                }
            });
        }
    });
}

/// [hal 106] [hal-module 29]
fn one_shot_is_once(subject: &Subject) {
    let commands = subject.commands(CommandBufferMode::ONE_SHOT, 1);
    commands.fill(&Operand::slot(0, 0, 4), 0, 1).unwrap();
    commands.end().unwrap();
    let buffer = subject.buffer(8);
    // A submission that was refused does not count.
    fails_with(subject.execute(&commands, None), Code::InvalidArgument);
    subject.execute(&commands, Some(&[BindingEntry::whole(&buffer)])).unwrap();
    fails_with(subject.execute(&commands, Some(&[BindingEntry::whole(&buffer)])), Code::FailedPrecondition);
}

/// [hal 102] [hal-module 34]
fn pipelines_with_transients(subject: &Subject) {
    let commands = subject.commands(REUSABLE, 2);
    commands.fill(&Operand::slot(0, 0, WHOLE_BUFFER), 4, 1).unwrap();
    commands.barrier(ExecutionStage::TRANSFER, ExecutionStage::TRANSFER).unwrap();
    commands.copy(&Operand::slot(0, 0, 64), &Operand::slot(1, 0, 64)).unwrap();
    commands.end().unwrap();
    let (result, second_result) = (subject.buffer(64), subject.buffer(64));
    for _ in 0..3 {
        let [allocated, done, freed] = [(); 3].map(|()| Fence::create());
        let device = &subject.device;
        let params = BufferParams::device_local();
        let between = |wait, signal| Submission::between(wait, Some(signal));
        let first =
            device.queue_alloca(&between(None, &allocated), &params, 64, AllocaFlags::empty()).unwrap();
        let second = subject.run(|at| subject.alloca(at, 256)).unwrap();
        result.zero(0, 64).unwrap();
        second_result.zero(0, 64).unwrap();
        let table = [BindingEntry::whole(&first), BindingEntry::whole(&result)];
        let at = between(Some(&*allocated), &done);
        device.queue_execute(&at, Some(&commands), Some(&table), ExecuteFlags::empty()).unwrap();
        let table = [BindingEntry::whole(&second), BindingEntry::whole(&second_result)];
        let borrow = ExecuteFlags::BORROW_BINDING_TABLE_LIFETIME;
        subject.run(|at| device.queue_execute(at, Some(&commands), Some(&table), borrow)).unwrap();
        device.queue_dealloca(&between(Some(&*done), &freed), &first, DeallocaFlags::empty()).unwrap();
        subject.run(|at| device.queue_dealloca(at, &second, DeallocaFlags::empty())).unwrap();
        subject.passes(&freed);
        assert_eq!((bytes_of(&result), bytes_of(&second_result)), (vec![4; 64], vec![4; 64]));
    }
    subject.comes_to_live_bytes(128);
}

/// A recording retains what it refers to, and lets it go with itself.
fn recordings_keep_their_buffers(subject: &Subject) {
    let commands = subject.commands(REUSABLE, 0);
    let (from, to) = (subject.buffer_with(&[8; 32]), subject.buffer(32));
    let part = from.subspan(0, 16).unwrap();
    commands.copy(&whole(&part), &Operand::direct(&to, 0, WHOLE_BUFFER)).unwrap();
    drop(part);
    commands.end().unwrap();
    drop(from);
    subject.execute(&commands, None).unwrap();
    assert_eq!(to.read_to_vec(14, 4).unwrap(), [8, 8, 0, 0]);
    assert_eq!(subject.device.allocator().statistics().device.live(), 64);
    drop(commands);
    subject.comes_to_live_bytes(32);
}
