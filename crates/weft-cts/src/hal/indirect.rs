//! Dispatches whose counts are in buffers.

use weft_hal::{
    BindingEntry, Buffer, BufferMetadata, BufferUsage, CommandBufferMode, Dispatch, ExecutionStage,
    HostBlock, Operand, Submission, WHOLE_BUFFER, WorkgroupCount,
};
use weft_sync::{Code, Result};

use crate::case::Caps;
use crate::hal::dispatch::each_way;
use crate::subject::{NOW, Subject, fails_with, point, semaphore, whole, words};

const REUSABLE: CommandBufferMode = CommandBufferMode::empty();

crate::cases! { $ INDIRECT for_each_indirect_case {
    counts_come_from_buffers: Caps::WORK;
    counts_come_from_earlier_commands: Caps::WORK;
    counts_in_buffers_are_checked: Caps::NONE;
    counts_are_read_at_each_submission: Caps::WORK;
    bad_counts_in_buffers_fail_the_operation: Caps::WORK;
    counts_are_read_once_a_region: Caps::WORK;
    bad_counts_name_the_kernel: Caps::WORK;
    counts_have_no_sum: Caps::WORK;
} }

/// A dispatch of `count_calls` whose counts are at `source`.
fn indirect<'a>(
    subject: &'a Subject,
    source: Operand<'a>,
    is_static: bool,
    operands: &'a [Operand<'a>],
) -> Dispatch<'a> {
    let workgroup_count = if is_static {
        WorkgroupCount::IndirectStatic(source)
    } else {
        WorkgroupCount::IndirectDynamic(source)
    };
    Dispatch { workgroup_count, ..subject.dispatch("count_calls", [0; 3], &[], operands) }
}

/// [hal 92] [hal 111] [exec 62] [hal-module 27]
fn counts_come_from_buffers(subject: &Subject) {
    let counts = subject.buffer(64);
    subject.run(|at| subject.device.queue_update(at, &words(&[2, 3, 4]), &counts, 20)).unwrap();
    let part = counts.subspan(16, 40).unwrap();
    let output = subject.buffer(4);
    let operands = [whole(&output)];
    let sources = [
        Operand::direct(&counts, 20, 12),
        Operand::direct(&counts, 20, WHOLE_BUFFER),
        // The subspan's own offset counts.
        Operand::direct(&part, 4, WHOLE_BUFFER),
    ];
    for source in sources {
        for is_static in [false, true] {
            each_way(subject, &indirect(subject, source, is_static, &operands), |outcome| {
                outcome.unwrap();
                assert_eq!(subject.read_words(&output), [24]);
                output.zero(0, 4).unwrap();
            });
        }
    }
    let exact = subject.buffer_with(&words(&[5, 1, 1]));
    each_way(subject, &indirect(subject, whole(&exact), false, &operands), |outcome| {
        outcome.unwrap();
        assert_eq!(subject.read_words(&output), [5]);
        output.zero(0, 4).unwrap();
    });
}

/// [hal 92] [exec 62] [hal-module 27]
fn counts_come_from_earlier_commands(subject: &Subject) {
    type Write = fn(&Subject, &weft_hal::CommandBuffer, &Operand<'_>) -> Result<()>;
    let writers: [Write; 3] = [
        |_, commands, counts| commands.update(&words(&[2, 2, 2]), counts),
        |_, commands, counts| commands.fill(counts, 2, 4),
        |subject, commands, counts| {
            let counts = [*counts];
            commands.dispatch(&subject.dispatch("write_counts", [1; 3], &[2, 2, 2], &counts))
        },
    ];
    for write in writers {
        let commands = subject.commands(REUSABLE, 2);
        let (counts, operands) = (Operand::slot(0, 0, 12), [Operand::slot(1, 0, WHOLE_BUFFER)]);
        write(subject, &commands, &counts).unwrap();
        commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
        commands.dispatch(&indirect(subject, counts, false, &operands)).unwrap();
        commands.end().unwrap();
        for _ in 0..3 {
            let (counts, output) = (subject.buffer(12), subject.buffer(4));
            let table = [BindingEntry::whole(&counts), BindingEntry::whole(&output)];
            subject.execute(&commands, Some(&table)).unwrap();
            assert_eq!(subject.read_words(&output), [8]);
        }
    }
    // A kernel that overwrites its own counts keeps its grid.
    let counts = subject.buffer_with(&words(&[3, 1, 1]));
    let operands = [whole(&counts)];
    each_way(subject, &indirect(subject, whole(&counts), false, &operands), |outcome| {
        outcome.unwrap();
        assert_eq!(subject.read_words(&counts), [6, 1, 1]);
        counts.write(0, &words(&[3])).unwrap();
    });
}

/// [hal 93] [exec 62] [hal-module 27]
fn counts_in_buffers_are_checked(subject: &Subject) {
    let counts = subject.buffer(64);
    let output = subject.buffer(4);
    let operands = [whole(&output)];
    let wrong = [
        (Operand::direct(&counts, 2, 12), Code::InvalidArgument),
        (Operand::direct(&counts, 0, 8), Code::OutOfRange),
        (Operand::direct(&counts, 56, WHOLE_BUFFER), Code::OutOfRange),
        (Operand::direct(&counts, 60, 12), Code::OutOfRange),
        (Operand::direct(&counts, u64::MAX - 3, 12), Code::OutOfRange),
    ];
    for (source, code) in wrong {
        each_way(subject, &indirect(subject, source, true, &operands), |outcome| fails_with(outcome, code));
    }
    let metadata = BufferMetadata { usage: BufferUsage::DEFAULT, ..*counts.metadata() };
    let plain = Buffer::resident(metadata, 64, HostBlock::from_heap(64, 64).unwrap());
    each_way(subject, &indirect(subject, whole(&plain), false, &operands), |outcome| {
        fails_with(outcome, Code::PermissionDenied);
    });
    // Through a slot: the usage, the room and the alignment are the entry's.
    let commands = subject.commands(REUSABLE, 1);
    commands.dispatch(&indirect(subject, Operand::slot(0, 4, 12), false, &operands)).unwrap();
    commands.end().unwrap();
    let run = |buffer, offset, length| {
        subject.execute(&commands, Some(&[BindingEntry { buffer: Some(buffer), offset, length }]))
    };
    run(&counts, 8, 16).unwrap();
    fails_with(run(&counts, 8, 15), Code::OutOfRange);
    fails_with(run(&counts, 6, 32), Code::InvalidArgument);
    fails_with(run(&plain, 0, 64), Code::PermissionDenied);
    let missing = indirect(subject, Operand::slot(0, 0, 12), false, &operands);
    fails_with(subject.run(|at| subject.device.queue_dispatch(at, &missing)), Code::InvalidArgument);
}

/// [exec 62]
fn counts_are_read_at_each_submission(subject: &Subject) {
    let (counts, output) = (subject.buffer(12), subject.buffer(4));
    let commands = subject.commands(REUSABLE, 0);
    let operands = [whole(&output)];
    commands.dispatch(&indirect(subject, whole(&counts), true, &operands)).unwrap();
    commands.end().unwrap();
    let mut total = 0;
    for round in 0..4 {
        counts.write(0, &words(&[round, 2, 1])).unwrap();
        subject.execute(&commands, None).unwrap();
        total += round * 2;
        assert_eq!(subject.read_words(&output), [total]);
    }
}

/// [hal 94] [exec 59]
fn bad_counts_in_buffers_fail_the_operation(subject: &Subject) {
    let output = subject.buffer(4);
    let operands = [whole(&output)];
    for count in [[1, 1, 65536], [u32::MAX, 2, 1], [u32::MAX; 3]] {
        let counts = subject.buffer_with(&words(&count));
        let dispatch = indirect(subject, whole(&counts), false, &operands);
        each_way(subject, &dispatch, |outcome| fails_with(outcome, Code::OutOfRange));
        let signal = [point(&semaphore(0), 1)];
        let at = Submission { signal: &signal, ..NOW };
        subject.fails(subject.device.queue_dispatch(&at, &dispatch), &signal, Code::OutOfRange);
    }
    assert_eq!(subject.read_words(&output), [0]);
}

/// [hal 159] however late a worker of an earlier region looks: many regions follow each other closely, and each changes
/// the counts of the ones before it. Kernels of a region change them too, while others of it run.
fn counts_are_read_once_a_region(subject: &Subject) {
    const ROUNDS: u32 = 24;
    let (counts, output) = (Operand::slot(0, 0, 12), [Operand::slot(1, 0, WHOLE_BUFFER)]);
    let barrier = |commands: &weft_hal::CommandBuffer| {
        commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
    };
    let commands = subject.commands(REUSABLE, 2);
    for round in 0..ROUNDS {
        let tiles = 1 + round * 7 % 17;
        commands.update(&words(&[tiles, 1, 1]), &counts).unwrap();
        barrier(&commands);
        commands.dispatch(&indirect_each(subject, counts, &output)).unwrap();
        // In the same region as what reads them: they were read before it began.
        commands.update(&words(&[65536, 1, 1]), &counts).unwrap();
        barrier(&commands);
    }
    commands.end().unwrap();
    let mut expected = [0; 17];
    for round in 0..ROUNDS {
        expected[..(1 + round * 7 % 17) as usize].iter_mut().for_each(|count| *count += 1);
    }
    for _ in 0..10 {
        let (counts, output) = (subject.buffer(12), subject.buffer(65536 * 4));
        let table = [BindingEntry::whole(&counts), BindingEntry::whole(&output)];
        subject.execute(&commands, Some(&table)).unwrap();
        let seen = subject.read_words(&output);
        assert_eq!(seen[..17], expected);
        assert!(seen[17..].iter().all(|&count| count == 0));
    }
}

/// A dispatch of `count_each` whose counts are at `source`.
fn indirect_each<'a>(subject: &'a Subject, source: Operand<'a>, operands: &'a [Operand<'a>]) -> Dispatch<'a> {
    let workgroup_count = WorkgroupCount::IndirectDynamic(source);
    Dispatch { workgroup_count, ..subject.dispatch("count_each", [0; 3], &[], operands) }
}

/// Failures say which dispatch it was.
fn bad_counts_name_the_kernel(subject: &Subject) {
    let counts = subject.buffer_with(&words(&[u32::MAX; 3]));
    let output = subject.buffer(4);
    let operands = [whole(&output)];
    each_way(subject, &indirect(subject, whole(&counts), false, &operands), |outcome| {
        let status = outcome.expect_err("far too many");
        assert_eq!(status.code(), Code::OutOfRange);
        assert!(status.to_string().contains("count_calls"), "{status}");
    });
}

/// Dispatches between two barriers may have more workgroups together than one may have.
fn counts_have_no_sum(subject: &Subject) {
    let (one, most) = (subject.buffer_with(&words(&[1; 3])), subject.buffer_with(&words(&[u32::MAX, 1, 1])));
    let output = subject.buffer(64);
    let operands = [whole(&output)];
    // The first one fails, so that nothing takes long.
    let counted = |name, source, constants, bindings| Dispatch {
        workgroup_count: WorkgroupCount::IndirectDynamic(whole(source)),
        ..subject.dispatch(name, [1; 3], constants, bindings)
    };
    let first = counted("fail_at", &one, &[0], &operands);
    let others = counted("nothing", &most, &[], &[]);
    let outcome = subject.run_once(|commands| {
        commands.dispatch(&first)?;
        commands.dispatch(&others)?;
        commands.dispatch(&others)
    });
    fails_with(outcome, Code::Internal);
}
