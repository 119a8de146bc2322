//! Executables and dispatches: reflection, geometry, operands, failures.

use std::sync::Arc;

use weft_hal::{
    BindingEntry, Buffer, BufferMetadata, BufferUsage, CachingMode, CommandBufferMode, Dispatch,
    DispatchFlags, ExecutableParams, ExecutionStage, Fence, FunctionId, HostBlock, Operand, Submission,
    WHOLE_BUFFER, WorkgroupCount,
};
use weft_sync::{Code, Point, Result, Semaphore};

use crate::case::Caps;
use crate::hal::kernels;
use crate::subject::{Subject, bytes_of, eventually, fails_with, floats, whole, words};

crate::cases! { $ DISPATCH for_each_dispatch_case {
    formats_are_known_or_not: Caps::NONE;
    functions_are_described: Caps::NONE;
    kernels_compute: Caps::WORK;
    constants_and_bindings_arrive: Caps::WORK;
    every_workgroup_runs_once: Caps::WORK;
    operand_counts_are_checked: Caps::NONE;
    bindings_are_checked: Caps::NONE;
    misaligned_bindings_are_refused: Caps::WORK;
    short_bindings_are_refused: Caps::WORK;
    each_kernel_of_a_recording_has_its_bindings_checked: Caps::WORK;
    direct_and_indirect_bindings_mix: Caps::WORK;
    empty_grids_do_nothing: Caps::WORK;
    empty_grids_are_still_checked: Caps::NONE;
    oversized_grids_are_refused: Caps::NONE;
    workgroup_sizes_resolve: Caps::WORK;
    local_memory_is_provided: Caps::WORK;
    the_first_failure_stops_the_grid: Caps::WORK;
    failures_end_recordings: Caps::WORK;
    denormals_are_flushed_and_the_mode_restored: Caps::WORK;
    barriers_order_dispatches: Caps::WORK;
    chains_are_resubmitted: Caps::WORK;
    queue_dispatches_need_no_recording: Caps::WORK;
    unsupported_arguments_are_refused: Caps::NONE;
    released_executables_stay_until_the_recording_goes: Caps::WORK;
} }

const NOW: Submission<'static> = Submission::IMMEDIATE;
const REUSABLE: CommandBufferMode = CommandBufferMode::empty();

/// The ways to run a dispatch: recorded, recorded and run inline, straight on the queue.
pub(super) fn each_way(subject: &Subject, dispatch: &Dispatch<'_>, check: impl Fn(Result<()>)) {
    check(subject.run_once(|commands| commands.dispatch(dispatch)));
    let inline = CommandBufferMode::ONE_SHOT | CommandBufferMode::ALLOW_INLINE_EXECUTION;
    let commands = subject.commands(inline, 0);
    let recorded = commands.dispatch(dispatch);
    commands.end().unwrap();
    check(recorded.and_then(|()| subject.execute(&commands, None)));
    check(subject.run(|at| subject.device.queue_dispatch(at, dispatch)));
    let hints = DispatchFlags::BORROW_RESOURCE_LIFETIMES | DispatchFlags::ALLOW_INLINE_EXECUTION;
    check(subject.run(|at| {
        subject.device.queue_dispatch(at, &Dispatch { flags: dispatch.flags | hints, ..*dispatch })
    }));
}

/// [hal 83] [hal-module 43]
fn formats_are_known_or_not(subject: &Subject) {
    assert!(!subject.device.can_prepare("cuda-nvptx-fb"));
    let params = ExecutableParams {
        format: "cuda-nvptx-fb",
        data: &[],
        constants: &[],
        caching_mode: CachingMode::empty(),
    };
    let status = subject.device.prepare_executable(&params).unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("cuda-nvptx-fb"), "{status}");
    if subject.has.contains(Caps::WORK) {
        assert!(subject.device.can_prepare("weft-native"));
        let params = ExecutableParams { format: "weft-native", data: b"no such library", ..params };
        fails_with(subject.device.prepare_executable(&params), Code::NotFound);
        let constants = ExecutableParams { data: kernels::LIBRARY.as_bytes(), constants: &[1], ..params };
        fails_with(subject.device.prepare_executable(&constants), Code::InvalidArgument);
    }
}

/// [hal 84] [hal-module 43]
fn functions_are_described(subject: &Subject) {
    let executable = &subject.kernels;
    assert!(executable.function_count() > 10);
    let id = executable.lookup_function("scale_add").unwrap();
    let info = executable.function(id).unwrap();
    assert_eq!((info.name.as_str(), info.constant_count, info.binding_count), ("scale_add", 2, 2));
    for wrong in [FunctionId::INVALID, FunctionId(executable.function_count() as u64), FunctionId(1 << 33)] {
        fails_with(executable.function(wrong), Code::OutOfRange);
        fails_with(executable.parameters(wrong, 1), Code::OutOfRange);
    }
    fails_with(executable.lookup_function("scale"), Code::NotFound);
    fails_with(executable.lookup_global("table"), Code::Unimplemented);
    fails_with(executable.parameters(id, 0), Code::Unavailable);
    assert_ne!(executable.id(), 0);
}

/// [hal 89] [hal-module 25]
fn kernels_compute(subject: &Subject) {
    let input = subject.buffer_with(&floats(&[-1.0, 2.0, -3.5, 0.0]));
    let output = subject.buffer(16);
    let operands = [whole(&input), whole(&output)];
    each_way(subject, &subject.dispatch("absolute", [4, 1, 1], &[], &operands), |outcome| {
        outcome.unwrap();
        assert_eq!(subject.read_floats(&output), [1.0, 2.0, 3.5, 0.0]);
        output.zero(0, 16).unwrap();
    });
}

/// [hal 89] [hal 110] [hal-module 25]
fn constants_and_bindings_arrive(subject: &Subject) {
    let input = subject.buffer_with(&floats(&[1.0, 2.0, 3.0, 4.0]));
    let output = subject.buffer(16);
    let operands = [whole(&input), whole(&output)];
    let constants = [3.0_f32, 10.0].map(f32::to_bits);
    each_way(subject, &subject.dispatch("scale_add", [4, 1, 1], &constants, &operands), |outcome| {
        outcome.unwrap();
        assert_eq!(subject.read_floats(&output), [13.0, 16.0, 19.0, 22.0]);
        output.zero(0, 16).unwrap();
    });
    let constants = [1, u32::MAX, 3, 0x8000_0000];
    let operands = [whole(&output)];
    each_way(subject, &subject.dispatch("write_constants", [1; 3], &constants, &operands), |outcome| {
        outcome.unwrap();
        assert_eq!(subject.read_words(&output), constants);
    });
}

/// [hal 89] [exec 57] [hal-module 25]
fn every_workgroup_runs_once(subject: &Subject) {
    for [x, y, z] in [[32, 1, 1], [1024, 1, 1], [3, 5, 7], [1, 1, 200], [2, 100, 1]] {
        let total = x * y * z;
        let output = subject.buffer(u64::from(total) * 4);
        let operands = [whole(&output)];
        each_way(subject, &subject.dispatch("write_ids", [x, y, z], &[], &operands), |outcome| {
            outcome.unwrap();
            let expected = (0..total).map(|t| (t % x) | (t / x % y) << 8 | (t / (x * y)) << 16 | 1 << 24);
            assert!(subject.read_words(&output).into_iter().eq(expected));
            output.zero(0, WHOLE_BUFFER).unwrap();
        });
        let counter = subject.buffer(4);
        let operands = [whole(&counter)];
        subject
            .run(|at| {
                subject.device.queue_dispatch(at, &subject.dispatch("count_calls", [x, y, z], &[], &operands))
            })
            .unwrap();
        assert_eq!(subject.read_words(&counter), [total]);
    }
}

/// [hal 90] [exec 61] [hal-module 25] That constants have whole words is a fact of their type.
fn operand_counts_are_checked(subject: &Subject) {
    let (a, b) = (subject.buffer(16), subject.buffer(16));
    let two = [whole(&a), whole(&b)];
    let good = subject.dispatch("scale_add", [1; 3], &[0, 0], &two);
    let many = [whole(&a); 33];
    let wrong = [
        (Dispatch { constants: &[0], ..good }, Code::InvalidArgument),
        (Dispatch { constants: &[0, 0, 0], ..good }, Code::InvalidArgument),
        (Dispatch { bindings: &two[..1], ..good }, Code::InvalidArgument),
        (Dispatch { bindings: &many[..3], ..good }, Code::InvalidArgument),
        (Dispatch { bindings: &many, ..good }, Code::OutOfRange),
        (Dispatch { function: FunctionId(1000), ..good }, Code::OutOfRange),
        (Dispatch { function: FunctionId::INVALID, ..good }, Code::OutOfRange),
    ];
    for (dispatch, code) in wrong {
        each_way(subject, &dispatch, |outcome| fails_with(outcome, code));
    }
    each_way(subject, &good, |outcome| outcome.unwrap());
}

/// [hal 98] [hal-module 25]
fn bindings_are_checked(subject: &Subject) {
    let good = subject.buffer(64);
    let output = whole(&good);
    let with = |usage| {
        let metadata = BufferMetadata { usage, ..*good.metadata() };
        Buffer::resident(metadata, 64, HostBlock::from_heap(64, 64).unwrap())
    };
    let (transfer_only, storage) = (with(BufferUsage::TRANSFER), with(BufferUsage::DISPATCH_STORAGE));
    let refused = [whole(&transfer_only), output];
    each_way(subject, &subject.dispatch("absolute", [1; 3], &[], &refused), |outcome| {
        fails_with(outcome, Code::PermissionDenied);
    });
    let fine = [whole(&storage), output];
    each_way(subject, &subject.dispatch("absolute", [1; 3], &[], &fine), |outcome| outcome.unwrap());
    for (offset, length) in [(64, 1), (65, 0), (0, 65), (u64::MAX, 4), (4, u64::MAX - 1)] {
        let past = [Operand::direct(&good, offset, length), output];
        each_way(subject, &subject.dispatch("absolute", [1; 3], &[], &past), |outcome| {
            fails_with(outcome, Code::OutOfRange);
        });
    }
    let nowhere = [Operand::slot(0, 0, WHOLE_BUFFER), output];
    let dispatch = subject.dispatch("absolute", [1; 3], &[], &nowhere);
    fails_with(subject.run(|at| subject.device.queue_dispatch(at, &dispatch)), Code::FailedPrecondition);
    fails_with(subject.run_once(|commands| commands.dispatch(&dispatch)), Code::OutOfRange);
}

/// [exec 12] a kernel would fault on it.
fn misaligned_bindings_are_refused(subject: &Subject) {
    let (input, output) = (subject.buffer(256), subject.buffer(256));
    let fine = [Operand::direct(&input, 64, 64), whole(&output)];
    each_way(subject, &subject.dispatch("absolute", [1; 3], &[], &fine), |outcome| outcome.unwrap());
    let misaligned = [Operand::direct(&input, 4, 64), whole(&output)];
    each_way(subject, &subject.dispatch("absolute", [1; 3], &[], &misaligned), |outcome| {
        fails_with(outcome, Code::InvalidArgument);
    });
    let commands = subject.commands(REUSABLE, 1);
    let operands = [Operand::slot(0, 32, 64), whole(&output)];
    commands.dispatch(&subject.dispatch("absolute", [1; 3], &[], &operands)).unwrap();
    commands.end().unwrap();
    let at = |offset| {
        subject.execute(&commands, Some(&[BindingEntry { buffer: Some(&input), offset, length: 128 }]))
    };
    at(32).unwrap();
    fails_with(at(0), Code::InvalidArgument);
}

/// [exec 35] Rust kernels say how much they need.
fn short_bindings_are_refused(subject: &Subject) {
    let (input, output) = (subject.buffer(256), subject.buffer(256));
    let operands = [Operand::direct(&input, 0, 3), whole(&output)];
    each_way(subject, &subject.dispatch("absolute", [1; 3], &[], &operands), |outcome| {
        fails_with(outcome, Code::OutOfRange);
    });
    assert_eq!(bytes_of(&output), [0; 256]);
}

/// What is enough for one kernel need not be for the next one that gets the same.
fn each_kernel_of_a_recording_has_its_bindings_checked(subject: &Subject) {
    let output = subject.buffer_with(&[0; 256]);
    let table = [BindingEntry { buffer: Some(&output), offset: 0, length: 8 }];
    for operand in [Operand::direct(&output, 0, 8), Operand::slot(0, 0, WHOLE_BUFFER)] {
        for has_barrier in [false, true] {
            let commands = subject.commands(REUSABLE, 1);
            commands.dispatch(&subject.dispatch("write_ids", [1; 3], &[], &[operand])).unwrap();
            if has_barrier {
                commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
            }
            commands.dispatch(&subject.dispatch("write_geometry", [1; 3], &[], &[operand])).unwrap();
            commands.end().unwrap();
            fails_with(subject.execute(&commands, Some(&table)), Code::OutOfRange);
        }
    }
    assert_eq!(bytes_of(&output)[8..], [0; 248]);
}

/// [hal 91] [exec 64]
fn direct_and_indirect_bindings_mix(subject: &Subject) {
    let a = subject.buffer_with(&floats(&[1.0, 2.0]));
    let b = subject.buffer_with(&[floats(&[0.0; 16]), floats(&[10.0, 20.0])].concat());
    let output = subject.buffer(128);
    let commands = subject.commands(REUSABLE, 2);
    let operands = [whole(&a), Operand::slot(1, 64, WHOLE_BUFFER), Operand::slot(0, 0, 8)];
    commands.dispatch(&subject.dispatch("add", [2, 1, 1], &[], &operands)).unwrap();
    commands.end().unwrap();
    let table = [BindingEntry { buffer: Some(&output), offset: 64, length: 64 }, BindingEntry::whole(&b)];
    subject.execute(&commands, Some(&table)).unwrap();
    assert_eq!(subject.read_floats(&output)[16..18], [11.0, 22.0]);
}

/// [hal 110] [hal 93] [exec 58] [hal-module 25]
fn empty_grids_do_nothing(subject: &Subject) {
    let output = subject.buffer(4);
    let operands = [whole(&output)];
    for count in [[0, 1, 1], [1, 0, 1], [1, 1, 0], [0; 3]] {
        each_way(subject, &subject.dispatch("count_calls", count, &[], &operands), |outcome| {
            outcome.unwrap()
        });
        let (wait, signal) = (Fence::create(), Fence::create());
        wait.signal().unwrap();
        let at = Submission::between(Some(&wait), Some(&signal));
        subject.device.queue_dispatch(&at, &subject.dispatch("count_calls", count, &[], &operands)).unwrap();
        subject.passes(&signal);
        let counts = subject.buffer_with(&words(&count));
        let indirect = Dispatch {
            workgroup_count: WorkgroupCount::IndirectDynamic(whole(&counts)),
            ..subject.dispatch("count_calls", [9; 3], &[], &operands)
        };
        each_way(subject, &indirect, |outcome| outcome.unwrap());
    }
    assert_eq!(subject.read_words(&output), [0]);
}

/// [exec 58]
fn empty_grids_are_still_checked(subject: &Subject) {
    let good = subject.dispatch("nothing", [0; 3], &[], &[]);
    let no_function = Dispatch { function: FunctionId(999), ..good };
    each_way(subject, &no_function, |outcome| fails_with(outcome, Code::OutOfRange));
    let too_many = Dispatch { constants: &[1], ..good };
    each_way(subject, &too_many, |outcome| fails_with(outcome, Code::InvalidArgument));
}

/// [hal 94] [exec 59]
fn oversized_grids_are_refused(subject: &Subject) {
    for count in
        [[1, 1, 65536], [65536, 65536, 1], [u32::MAX, 2, 1], [u32::MAX; 3], [1 << 16, 1 << 8, 1 << 8]]
    {
        let dispatch = subject.dispatch("nothing", count, &[], &[]);
        each_way(subject, &dispatch, |outcome| fails_with(outcome, Code::OutOfRange));
    }
}

/// [exec 60] [exec 14]
fn workgroup_sizes_resolve(subject: &Subject) {
    let output = subject.buffer(32);
    let operands = [whole(&output)];
    let dispatch = subject.dispatch("write_geometry", [3, 2, 5], &[], &operands);
    for (asked, resolved) in [([0; 3], [4, 2, 1]), ([8, 0, 7], [8, 2, 7]), ([4, 6, 0], [4, 6, 1])] {
        each_way(subject, &Dispatch { workgroup_size: asked, ..dispatch }, |outcome| {
            outcome.unwrap();
            let seen = subject.read_words(&output);
            assert_eq!(seen[..3], resolved);
            assert_eq!(seen[3..6], [3, 2, 5], "the grid");
            // The last workgroup to write decides; each of them ran on one of so many threads.
            assert!((1..=subject.workers).contains(&seen[6]), "concurrency {}", seen[6]);
            assert!(seen[7] < subject.workers, "processor {} of {}", seen[7], subject.workers);
        });
    }
    let odd = Dispatch { workgroup_size: [6, 0, 0], ..dispatch };
    each_way(subject, &odd, |outcome| fails_with(outcome, Code::InvalidArgument));
    let deep = Dispatch { workgroup_size: [0, 0, 65536], ..dispatch };
    each_way(subject, &deep, |outcome| fails_with(outcome, Code::OutOfRange));
}

/// [hal 139] [exec 63]
fn local_memory_is_provided(subject: &Subject) {
    let output = subject.buffer(12);
    let operands = [whole(&output)];
    let dispatch = subject.dispatch("use_local", [3, 1, 1], &[], &operands);
    for (extra, total) in [(0, 8192), (1000, 9192)] {
        each_way(subject, &Dispatch { local_memory_bytes: extra, ..dispatch }, |outcome| {
            outcome.unwrap();
            assert_eq!(subject.read_words(&output), [total, 0, total * 3]);
        });
    }
    let absurd = Dispatch { local_memory_bytes: u32::MAX, ..dispatch };
    each_way(subject, &absurd, |outcome| fails_with(outcome, Code::OutOfRange));
}

/// [hal 139] [exec 11]
fn the_first_failure_stops_the_grid(subject: &Subject) {
    for (fails_at, [x, y, z]) in [(0_u32, [2, 2, 2]), (5, [4, 3, 2]), (7, [3, 3, 3])] {
        let output = subject.buffer(u64::from(x * y * z) * 4);
        let operands = [whole(&output)];
        let constants = [fails_at];
        each_way(subject, &subject.dispatch("fail_at", [x, y, z], &constants, &operands), |outcome| {
            let status = outcome.unwrap_err();
            assert_eq!(status.code(), Code::Internal);
            for part in ["fail_at", "code 7", "asked to fail"] {
                assert!(status.message().contains(part), "{status}");
            }
            let marks = subject.read_words(&output);
            if subject.has.contains(Caps::INLINE) {
                let expected = (0..x * y * z).map(|id| u32::from(id <= fails_at));
                assert!(marks.into_iter().eq(expected), "nothing starts after the first failure");
            } else {
                assert_eq!(marks[fails_at as usize], 1, "the workgroup that failed ran");
            }
            output.zero(0, WHOLE_BUFFER).unwrap();
        });
    }
}

/// [exec 11] [hal-module 33]
fn failures_end_recordings(subject: &Subject) {
    let output = subject.buffer(4);
    let operands = [whole(&output)];
    let commands = subject.commands(REUSABLE, 0);
    commands.dispatch(&subject.dispatch("fail_at", [1; 3], &[0], &operands)).unwrap();
    commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
    commands.fill(&whole(&output), 0x55, 1).unwrap();
    commands.end().unwrap();
    let signal = [(); 2].map(|()| Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 });
    let at = Submission { signal: &signal, ..NOW };
    let run = subject.device.queue_execute(&at, Some(&commands), None, weft_hal::ExecuteFlags::empty());
    subject.fails(run, &signal, Code::Internal);
    for point in &signal {
        let status = point.semaphore.query().unwrap_err();
        assert!(status.code() == Code::Internal && status.message().contains("fail_at"), "{status}");
    }
    assert_eq!(subject.read_words(&output), [1], "later commands do not run");
    subject.run(|at| subject.device.queue_barrier(at)).unwrap();
}

/// [exec 13]
fn denormals_are_flushed_and_the_mode_restored(subject: &Subject) {
    let tiny = std::hint::black_box(1e-40_f32);
    let input = subject.buffer_with(&floats(&[tiny, tiny]));
    let output = subject.buffer(4);
    let operands = [whole(&input), whole(&output)];
    output.write(0, &floats(&[1.0])).unwrap();
    each_way(subject, &subject.dispatch("add_denormals", [1; 3], &[], &operands), |outcome| {
        outcome.unwrap();
        let flushed = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
        assert_eq!(subject.read_floats(&output)[0] == 0.0, flushed);
        assert!(std::hint::black_box(tiny) + std::hint::black_box(tiny) > 0.0, "the caller's mode is back");
    });
}

/// [hal-module 26] [exec 64]
fn barriers_order_dispatches(subject: &Subject) {
    let barrier = |commands: &weft_hal::CommandBuffer| {
        commands.barrier(ExecutionStage::from_bits_retain(28), ExecutionStage::from_bits_retain(13)).unwrap();
    };
    let (a, b) = (subject.buffer(16), subject.buffer(16));
    let commands = subject.commands(REUSABLE, 0);
    let on_a = [whole(&a)];
    commands.update(&words(&[5, 6, 7, 8]), &whole(&a)).unwrap();
    barrier(&commands);
    for _ in 0..3 {
        commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &on_a)).unwrap();
        barrier(&commands);
    }
    commands.copy(&whole(&a), &whole(&b)).unwrap();
    barrier(&commands);
    commands.fill(&Operand::direct(&a, 0, 4), 0, 4).unwrap();
    commands.end().unwrap();
    subject.execute(&commands, None).unwrap();
    assert_eq!((subject.read_words(&a), subject.read_words(&b)), (vec![0, 9, 10, 11], vec![8, 9, 10, 11]));
}

/// [hal 97] [exec 64]
fn chains_are_resubmitted(subject: &Subject) {
    let commands = subject.commands(REUSABLE, 3);
    let slots = [0, 1, 2].map(|slot| Operand::slot(slot, 0, WHOLE_BUFFER));
    let constants = [2.0_f32, 0.0].map(f32::to_bits);
    commands.dispatch(&subject.dispatch("scale_add", [4, 1, 1], &constants, &slots[..2])).unwrap();
    commands.barrier(ExecutionStage::DISPATCH, ExecutionStage::DISPATCH).unwrap();
    commands.dispatch(&subject.dispatch("absolute", [4, 1, 1], &[], &slots[1..])).unwrap();
    commands.end().unwrap();
    for round in 0..5 {
        let value = -(round as f32) - 1.0;
        let buffers = [subject.buffer_with(&floats(&[value; 4])), subject.buffer(16), subject.buffer(16)];
        let table = [0, 1, 2].map(|slot| BindingEntry::whole(&buffers[slot]));
        subject.execute(&commands, Some(&table)).unwrap();
        assert_eq!(subject.read_floats(&buffers[1]), [value * 2.0; 4]);
        assert_eq!(subject.read_floats(&buffers[2]), [-value * 2.0; 4]);
    }
}

/// [hal 110]
fn queue_dispatches_need_no_recording(subject: &Subject) {
    let timeline = Arc::new(Semaphore::new(0));
    let points: Vec<[Point; 1]> =
        (0..=3).map(|value| [Point { semaphore: Arc::clone(&timeline), value }]).collect();
    let buffer = subject.buffer(16);
    let operands = [whole(&buffer)];
    for index in 0..3 {
        let at = Submission { wait: &points[index], signal: &points[index + 1], ..NOW };
        subject.device.queue_dispatch(&at, &subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
    }
    subject.reaches(&points[3]);
    assert_eq!(subject.read_words(&buffer), [3; 4]);
}

/// [hal 90] the flags' part.
fn unsupported_arguments_are_refused(subject: &Subject) {
    let good = subject.dispatch("nothing", [1; 3], &[], &[]);
    for bit in [4, 8, 16] {
        let flags = DispatchFlags::from_bits_retain(bit);
        each_way(subject, &Dispatch { flags, ..good }, |outcome| fails_with(outcome, Code::Unimplemented));
    }
    let unknown = DispatchFlags::from_bits_retain(1 << 40);
    each_way(subject, &Dispatch { flags: unknown, ..good }, |outcome| outcome.unwrap());
}

/// [exec 15]
fn released_executables_stay_until_the_recording_goes(subject: &Subject) {
    let params = ExecutableParams {
        format: "weft-native",
        data: kernels::LIBRARY.as_bytes(),
        constants: &[],
        caching_mode: CachingMode::empty(),
    };
    let executable = subject.device.prepare_executable(&params).unwrap();
    let (buffer, watch) = (subject.buffer(4), Arc::downgrade(&executable));
    let operands = [whole(&buffer)];
    let commands = subject.commands(REUSABLE, 0);
    let function = executable.lookup_function("add_one").unwrap();
    let dispatch =
        Dispatch { executable: &executable, function, ..subject.dispatch("add_one", [1; 3], &[], &operands) };
    commands.dispatch(&dispatch).unwrap();
    commands.end().unwrap();
    drop(executable);
    subject.execute(&commands, None).unwrap();
    assert_eq!(subject.read_words(&buffer), [1]);
    assert!(watch.upgrade().is_some());
    drop(commands);
    eventually("the executable is gone", || watch.upgrade().is_none());
}
