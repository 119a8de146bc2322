//! What is recorded of submissions, of what runs for them, and of memory.

use std::sync::Arc;

use weft_hal::profile::{MemoryAction, OperationKind, ProfileFilter, ProfileLog, WaitStrategy};
use weft_hal::{
    CommandBuffer, CommandBufferMode, ExecutionStage, HostCall, HostCallEnd, HostCallFlags, Operand,
    WHOLE_BUFFER,
};
use weft_sync::{CancelToken, Code, Status};

use super::{everything, of_kind, profiled, profiled_with};
use crate::hal::cancel_running::{WORKGROUPS, cancel_in_the_middle};
use crate::hal::gate::Gate;
use crate::subject::{NOW, Subject, bytes_of, failed, fails_with, point, region, semaphore, whole, words};

const REUSABLE: CommandBufferMode = CommandBufferMode::empty();

/// [hal 165]
pub(super) fn fill_and_copy_are_one_event_each(subject: &Subject) {
    let (a, b) = (subject.buffer(1024), subject.buffer(1024));
    let profile = profiled(subject, || {
        subject.run(|at| subject.device.queue_fill(at, &region(&a, 0, 512), 7, 1)).unwrap();
        subject.run(|at| subject.device.queue_copy(at, &region(&a, 0, 256), &region(&b, 64, 256))).unwrap();
    });
    assert_eq!((profile.queue.len(), profile.executions.len()), (2, 2));
    let expected = [(OperationKind::Fill, 512), (OperationKind::Copy, 256)];
    for ((queue, host), (operation, bytes)) in profile.queue.iter().zip(&profile.executions).zip(expected) {
        assert_eq!((queue.operation, host.operation), (operation, operation));
        assert_eq!((queue.payload_bytes, host.payload_bytes), (bytes, bytes));
        assert_eq!(queue.submission, host.submission);
        assert_eq!((queue.failure, host.failure), (None, None));
        assert_eq!((queue.waits.count, queue.signals.count, queue.operation_count), (0, 1, 1));
        assert_eq!(queue.strategy, WaitStrategy::None);
        assert_eq!(queue.queue, host.queue);
        let times = [queue.submit_ns, queue.ready_ns, host.start_ns, host.end_ns, queue.end_ns];
        assert!(times.is_sorted() && times[0] >= profile.session.as_ref().unwrap().begin_ns, "{times:?}");
    }
    assert!(profile.queue[0].submission != profile.queue[1].submission && profile.queue[0].submission > 0);
    let session = profile.session.unwrap();
    assert_eq!((session.device, session.queue_count), (subject.device.id(), subject.device.queue_count()));
    assert_eq!(&*session.identifier, subject.device.identifier());
}

/// [hal 165]
pub(super) fn dispatches_are_described(subject: &Subject) {
    let output = subject.buffer(6 * 4);
    let operands = [whole(&output)];
    let counts = subject.buffer_with(&words(&[2, 3, 1]));
    let dispatch = subject.dispatch("write_ids", [3, 2, 1], &[], &operands);
    let indirect = weft_hal::Dispatch {
        workgroup_count: weft_hal::WorkgroupCount::IndirectDynamic(whole(&counts)),
        ..dispatch
    };
    let commands = subject.commands(REUSABLE, 0);
    commands.dispatch(&indirect).unwrap();
    commands.end().unwrap();
    let profile = profiled(subject, || {
        subject.run(|at| subject.device.queue_dispatch(at, &dispatch)).unwrap();
        subject.execute(&commands, None).unwrap();
    });
    let [direct, indirect] = of_kind(&profile, OperationKind::Dispatch)[..] else {
        panic!("two dispatches: {:?}", profile.executions);
    };
    assert_eq!((direct.command_buffer, direct.command_index), (0, None));
    assert_eq!((indirect.command_buffer, indirect.command_index), (commands.id(), Some(0)));
    for (event, queue) in [direct, indirect].into_iter().zip(&profile.queue) {
        assert_eq!(event.submission, queue.submission);
        assert_eq!(
            (event.executable, u64::from(event.function)),
            (subject.kernels.id(), dispatch.function.0)
        );
        assert_eq!(profile.function_name(event.executable, event.function), Some("write_ids"));
        assert_eq!((event.tile_count, event.failure), (6, None));
        assert!(event.start_ns <= event.end_ns && event.start_ns > 0);
        assert!(event.tile_ns <= (event.end_ns - event.start_ns) * u64::from(subject.workers));
    }
    let [whole_buffer] = of_kind(&profile, OperationKind::Execute)[..] else { panic!("one execution") };
    assert_eq!((whole_buffer.command_buffer, whole_buffer.command_index), (commands.id(), None));
    assert_eq!(profile.queue[1].operation, OperationKind::Execute);
    assert_eq!(profile.queue[1].operation_count, 1);
}

/// [hal 165]
pub(super) fn filters_exclude(subject: &Subject) {
    // Nothing orders the two commands, so each has a buffer of its own.
    let (buffer, filled) = (subject.buffer(64), subject.buffer(64));
    let operands = [whole(&buffer)];
    let record = |commands: &CommandBuffer| {
        commands.fill(&Operand::direct(&filled, 0, 4), 1, 4).unwrap();
        commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
        commands.dispatch(&subject.dispatch("nothing", [1; 3], &[], &[])).unwrap();
        commands.end().unwrap();
    };
    let (first, second) = (subject.commands(REUSABLE, 0), subject.commands(REUSABLE, 0));
    record(&first);
    record(&second);
    assert!(first.id() != second.id() && first.id() > 0);
    let kinds = |filter: ProfileFilter| {
        let profile = profiled_with(subject, filter, || {
            subject.execute(&first, None).unwrap();
            subject.execute(&second, None).unwrap();
        });
        assert_eq!(profile.queue.len(), 2, "submissions are not filtered");
        let mut kinds = [0; 3];
        for event in &profile.executions {
            match event.operation {
                OperationKind::Fill => kinds[0] += 1,
                OperationKind::Dispatch => kinds[1] += 1,
                OperationKind::Execute => kinds[2] += 1,
                other => panic!("nobody submitted a {other:?}"),
            }
        }
        kinds
    };
    let none = ProfileFilter::default;
    assert_eq!(kinds(none()), [2, 4, 2]);
    assert_eq!(kinds(ProfileFilter { function: Some("add?one".into()), ..none() }), [0, 2, 0]);
    assert_eq!(kinds(ProfileFilter { function: Some("*".into()), ..none() }), [0, 4, 0]);
    assert_eq!(kinds(ProfileFilter { function: Some("other".into()), ..none() }), [0, 0, 0]);
    assert_eq!(kinds(ProfileFilter { command_buffer: Some(second.id()), ..none() }), [1, 2, 1]);
    assert_eq!(kinds(ProfileFilter { command_index: Some(0), ..none() }), [2, 0, 0]);
    assert_eq!(kinds(ProfileFilter { queue: Some(40), ..none() }), [0, 0, 0]);
    let both = ProfileFilter { command_buffer: Some(first.id()), command_index: Some(2), ..none() };
    assert_eq!(kinds(both), [0, 1, 0]);
}

/// [hal 166]
pub(super) fn command_indices_count_everything(subject: &Subject) {
    let buffer = subject.buffer(64);
    let operands = [whole(&buffer)];
    let commands = subject.commands(REUSABLE, 0);
    for _ in 0..3 {
        commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
        commands.barrier(ExecutionStage::DISPATCH, ExecutionStage::DISPATCH).unwrap();
    }
    // What has no effect has its place too.
    commands.dispatch(&subject.dispatch("add_one", [0; 3], &[], &operands)).unwrap();
    commands.fill(&Operand::direct(&buffer, 0, 0), 0, 1).unwrap();
    commands.fill(&Operand::direct(&buffer, 0, 8), 0, 1).unwrap();
    commands.end().unwrap();
    let profile = profiled(subject, || subject.execute(&commands, None).unwrap());
    let indices = |kind| of_kind(&profile, kind).iter().map(|event| event.command_index).collect::<Vec<_>>();
    assert_eq!(indices(OperationKind::Dispatch), [Some(0), Some(2), Some(4)]);
    assert_eq!(indices(OperationKind::Fill), [Some(8)]);
    assert_eq!(profile.queue[0].operation_count, 9);
    let fill = of_kind(&profile, OperationKind::Fill)[0];
    assert_eq!((fill.payload_bytes, fill.tile_count), (8, 0));
}

/// [hal 165] commands that run while they are recorded belong to no submission, but are not lost.
pub(super) fn inline_commands_are_seen(subject: &Subject) {
    let buffer = subject.buffer(64);
    let operands = [whole(&buffer)];
    let mut id = 0;
    let profile = profiled(subject, || {
        let mode = CommandBufferMode::ONE_SHOT | CommandBufferMode::ALLOW_INLINE_EXECUTION;
        let commands = subject.commands(mode, 0);
        commands.fill(&whole(&buffer), 3, 4).unwrap();
        commands.barrier(ExecutionStage::TRANSFER, ExecutionStage::DISPATCH).unwrap();
        commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
        commands.end().unwrap();
        subject.execute(&commands, None).unwrap();
        id = commands.id();
    });
    assert_eq!(subject.read_words(&buffer), [4; 16]);
    let commands: Vec<_> = profile.executions.iter().filter(|event| event.command_index.is_some()).collect();
    assert!(commands.iter().all(|event| event.command_buffer == id && id > 0));
    let indices: Vec<_> = commands.iter().map(|event| event.command_index).collect();
    assert_eq!(indices, [Some(0), Some(2)]);
    assert_eq!((profile.queue.len(), profile.queue[0].operation_count), (1, 3));
}

/// [hal 166]
pub(super) fn executables_are_told_once(subject: &Subject) {
    let buffer = subject.buffer(64);
    let operands = [whole(&buffer)];
    let dispatch = subject.dispatch("add_one", [1; 3], &[], &operands);
    let log = Arc::new(ProfileLog::default());
    subject.device.profiling_begin(&everything(&log)).unwrap();
    for _ in 0..3 {
        subject.run(|at| subject.device.queue_dispatch(at, &dispatch)).unwrap();
        subject.device.profiling_flush().unwrap();
    }
    // One that is loaded meanwhile is told without being used.
    let params = weft_hal::ExecutableParams {
        format: "weft-native",
        data: crate::hal::kernels::LIBRARY.as_bytes(),
        constants: &[],
        caching_mode: weft_hal::CachingMode::empty(),
    };
    let other = subject.device.prepare_executable(&params).unwrap();
    subject.device.profiling_end().unwrap();
    let profile = log.take();
    let ids: Vec<u64> = profile.executables.iter().map(|record| record.executable).collect();
    assert_eq!(ids, [subject.kernels.id(), other.id()]);
    let functions = &profile.executables[0].functions;
    assert_eq!(functions.len(), subject.kernels.function_count());
    let scale_add = &functions[subject.function("scale_add").0 as usize];
    assert_eq!((scale_add.constant_count, scale_add.binding_count), (2, 2));
    let geometry = &functions[subject.function("write_geometry").0 as usize];
    assert_eq!((geometry.name.as_str(), geometry.workgroup_size), ("write_geometry", [4, 2, 0]));
    // Each session is told anew.
    let next = profiled(subject, || subject.run(|at| subject.device.queue_dispatch(at, &dispatch)).unwrap());
    assert_eq!(next.executables.len(), 1);
}

/// [hal 165] failures have a status; what a failed wait kept from running has no execution.
pub(super) fn failures_are_recorded(subject: &Subject) {
    let output = subject.buffer(64);
    let operands = [whole(&output)];
    let wait = [point(&failed(Code::DataLoss), 1)];
    let profile = profiled(subject, || {
        let dispatch = subject.dispatch("fail_at", [4, 1, 1], &[2], &operands);
        fails_with(subject.run(|at| subject.device.queue_dispatch(at, &dispatch)), Code::Internal);
        let fill = subject.run_after(&wait, |at| subject.device.queue_fill(at, &region(&output, 0, 4), 1, 1));
        fails_with(fill, Code::DataLoss);
    });
    let failures: Vec<_> = profile.queue.iter().map(|event| (event.operation, event.failure)).collect();
    let expected =
        [(OperationKind::Dispatch, Some(Code::Internal)), (OperationKind::Fill, Some(Code::DataLoss))];
    assert_eq!(failures, expected);
    assert!(of_kind(&profile, OperationKind::Fill).is_empty());
    let [dispatch] = of_kind(&profile, OperationKind::Dispatch)[..] else { panic!("one dispatch") };
    assert_eq!((dispatch.failure, dispatch.tile_count), (Some(Code::Internal), 4));
}

/// Before they begin, and while they run. The work on the device stops as it does when nobody watches.
pub(super) fn cancelled_operations_are_recorded(subject: &Subject) {
    let (buffer, gate, token) = (subject.buffer(64), Gate::closed_after(WORKGROUPS), CancelToken::new());
    let constants = [gate.number()];
    token.cancel();
    let profile = profiled(subject, || {
        let visit = subject.dispatch("visit", [WORKGROUPS, 1, 1], &constants, &[]);
        cancel_in_the_middle(subject, &gate, |at| drop(subject.device.queue_dispatch(at, &visit)));
        let signal = [point(&semaphore(0), 1)];
        let at = weft_hal::Submission { signal: &signal, ..NOW }.cancelled_by(Some(&token));
        let fill = subject.device.queue_fill(&at, &region(&buffer, 0, 64), 1, 1);
        subject.fails(fill, &signal, Code::Cancelled);
    });
    let failures: Vec<_> = profile.queue.iter().map(|event| (event.operation, event.failure)).collect();
    let cancelled = Some(Code::Cancelled);
    assert_eq!(failures, [(OperationKind::Dispatch, cancelled), (OperationKind::Fill, cancelled)]);
    assert!(of_kind(&profile, OperationKind::Fill).is_empty());
    assert_eq!(bytes_of(&buffer), [0; 64]);
}

/// [hal 165] waits and signals are counted, and the first of them named.
pub(super) fn waits_are_described(subject: &Subject) {
    let (done, next) = (semaphore(5), semaphore(0));
    let profile = profiled(subject, || {
        let wait = [point(&done, 3), point(&done, 5)];
        let signal = [1, 2, 3, 4, 5].map(|value| point(&next, value));
        let at = weft_hal::Submission { wait: &wait, signal: &signal, ..NOW };
        subject.device.queue_barrier(&at).unwrap();
        subject.reaches(&signal);
    });
    let [event] = &profile.queue[..] else { panic!("one barrier") };
    assert_eq!((event.operation, event.strategy), (OperationKind::Barrier, WaitStrategy::Inline));
    assert_eq!((event.waits.count, event.signals.count), (2, 5));
    assert_eq!(event.waits.kept().iter().map(|point| point.value).collect::<Vec<_>>(), [3, 5]);
    assert_eq!(event.signals.kept().iter().map(|point| point.value).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_ne!(event.waits.kept()[0].semaphore, event.signals.kept()[0].semaphore);
}

/// [hal 165] a submission that has to wait is put off, and its work begins after it is ready.
pub(super) fn deferred_waits_are_described(subject: &Subject) {
    let buffer = subject.buffer(64);
    let (gate, done) = (semaphore(0), semaphore(0));
    let profile = profiled(subject, || {
        let (wait, signal) = ([point(&gate, 1)], [point(&done, 1)]);
        let at = weft_hal::Submission { wait: &wait, signal: &signal, ..NOW };
        subject.device.queue_fill(&at, &region(&buffer, 0, 64), 1, 1).unwrap();
        subject.run(|at| subject.device.queue_barrier(at)).unwrap();
        gate.signal(1).unwrap();
        subject.reaches(&signal);
    });
    let fill = profile.queue.iter().find(|event| event.operation == OperationKind::Fill).unwrap();
    let barrier = profile.queue.iter().find(|event| event.operation == OperationKind::Barrier).unwrap();
    assert_eq!((fill.strategy, barrier.strategy), (WaitStrategy::SoftwareDefer, WaitStrategy::None));
    assert!(fill.submit_ns <= barrier.submit_ns && barrier.end_ns <= fill.ready_ns);
    assert!(fill.ready_ns <= profile.executions[0].start_ns);
}

/// The life of a queue allocation, in order, with its submission.
pub(super) fn memory_is_followed(subject: &Subject) {
    use MemoryAction::{Alloca, Dealloca, Materialize, Release, Reserve};
    let profile = profiled(subject, || {
        let buffer = subject.run(|at| subject.alloca(at, 16)).unwrap();
        subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
    });
    let actions: Vec<MemoryAction> = profile.memory.iter().map(|event| event.action).collect();
    assert_eq!(actions, [Reserve, Materialize, Alloca, Dealloca, Release]);
    let [alloca, dealloca] = &profile.queue[..] else { panic!("two submissions") };
    assert_eq!((alloca.operation, dealloca.operation), (OperationKind::Alloca, OperationKind::Dealloca));
    assert_eq!((alloca.payload_bytes, dealloca.payload_bytes), (16, 16));
    for (index, event) in profile.memory.iter().enumerate() {
        let submission = if index < 3 { alloca } else { dealloca };
        assert_eq!(event.submission, submission.submission);
        assert_eq!(event.allocation, profile.memory[0].allocation);
        assert_eq!((event.length, event.reserved_length), (16, 64));
        assert!(event.time_ns >= submission.submit_ns && event.time_ns <= submission.end_ns);
    }
    assert!(profile.memory[2].live_bytes > profile.memory[4].live_bytes);
}

/// Host calls are submissions with an execution, whoever signals.
pub(super) fn host_calls_are_recorded(subject: &Subject) {
    let profile = profiled(subject, || {
        for answer in [Ok(HostCallEnd::Done), Err(Status::new(Code::Aborted, "no"))] {
            let function = Box::new(move |_: &weft_hal::HostCallContext<'_>, _| answer);
            let call = HostCall { function, arguments: [0; 4], flags: HostCallFlags::empty() };
            // What became of it is in the records.
            let _ = subject.run(|at| subject.device.queue_host_call(at, call));
        }
    });
    let seen: Vec<_> = profile.queue.iter().map(|event| (event.operation, event.failure)).collect();
    let call = OperationKind::HostCall;
    assert_eq!(seen, [(call, None), (call, Some(Code::Aborted))]);
    assert_eq!(of_kind(&profile, call).len(), 2);
}

/// [hal 167] A chain of everything gives the same bytes and reaches its points in the same order, profiled or not; and
/// once the session is over, nothing is left of it.
pub(super) fn results_and_order_stay(subject: &Subject) {
    let chain = || {
        let (input, output) = (subject.buffer(64), subject.buffer(64));
        let operands = [whole(&input)];
        let timeline = semaphore(0);
        let commands = subject.commands(REUSABLE, 1);
        let slot = [Operand::slot(0, 0, WHOLE_BUFFER)];
        for _ in 0..3 {
            commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &slot)).unwrap();
            commands.barrier(ExecutionStage::DISPATCH, ExecutionStage::DISPATCH).unwrap();
        }
        commands.end().unwrap();
        let steps = [1, 2, 3, 4, 5].map(|value| [point(&timeline, value)]);
        let after = |index: usize| weft_hal::Submission {
            wait: if index == 0 { &[] } else { &steps[index - 1] },
            signal: &steps[index],
            ..NOW
        };
        let device = &subject.device;
        device.queue_fill(&after(0), &region(&input, 0, 64), 40, 4).unwrap();
        let table = [weft_hal::BindingEntry::whole(&input)];
        device
            .queue_execute(&after(1), Some(&commands), Some(&table), weft_hal::ExecuteFlags::empty())
            .unwrap();
        device.queue_dispatch(&after(2), &subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
        device.queue_update(&after(3), &words(&[7]), &input, 0).unwrap();
        device.queue_copy(&after(4), &region(&input, 0, 64), &region(&output, 0, 64)).unwrap();
        subject.reaches(&steps[4]);
        bytes_of(&output)
    };
    let before = chain();
    assert_eq!(before[..8], words(&[7, 44])[..]);
    let mut during = Vec::new();
    let profile = profiled(subject, || during = chain());
    let operations: Vec<OperationKind> = profile.queue.iter().map(|event| event.operation).collect();
    let kinds = [
        OperationKind::Fill,
        OperationKind::Execute,
        OperationKind::Dispatch,
        OperationKind::Update,
        OperationKind::Copy,
    ];
    assert_eq!(operations, kinds);
    assert!(profile.queue.windows(2).all(|pair| pair[0].end_ns <= pair[1].ready_ns), "each after the last");
    assert_eq!(of_kind(&profile, OperationKind::Dispatch).len(), 4);
    assert_eq!((&during, chain()), (&before, before.clone()));
}
