//! What a submission to local-task costs the heap once it runs smoothly: nothing.

#![allow(unsafe_code, reason = "counts allocations by standing in for the allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weft_cts::subject::{self, Subject, point, semaphore, soon};
use weft_hal::{
    BindingEntry, CommandBufferMode, ExecuteFlags, ExecutionStage, Operand, QueueAffinity, Region,
    Submission, WHOLE_BUFFER,
};
use weft_sync::{Deadline, Semaphore};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands every call on unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(address, layout) }
    }

    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.realloc(address, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Submits in a row, each after the one before and waited for, and counts what 500 of them allocate in steady state.
fn allocations(subject: &Subject, mut submit: impl FnMut(&Submission<'_>)) -> u64 {
    let timeline: Arc<Semaphore> = semaphore(0);
    let mut value = 0;
    let mut points = [[point(&timeline, 0)], [point(&timeline, 1)]];
    let mut round = |submit: &mut dyn FnMut(&Submission<'_>)| {
        points[0][0].value = value;
        value += 1;
        points[1][0].value = value;
        let [wait, signal] = &points;
        subject.device.lending(|| {
            submit(&Submission { affinity: QueueAffinity::ANY, wait, signal });
            subject.device.wait_all(signal, Deadline::NEVER).unwrap();
        });
    };
    for _ in 0..200 {
        round(&mut submit);
    }
    // Spares are made as they are found to be missing, the last ones late: when threads happen to overlap.
    let mut least = u64::MAX;
    for _ in 0..20 {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..500 {
            round(&mut submit);
        }
        least = least.min(ALLOCATIONS.load(Ordering::Relaxed) - before);
        if least == 0 {
            break;
        }
    }
    least
}

/// [hal 146] [hal 140] Transfers, dispatches, and command buffers that are submitted again allocate nothing, whoever runs
/// them. One test: the count is of the whole process.
#[test]
fn submissions_allocate_nothing_in_steady_state() {
    for subject in [subject::task_1_lending(), subject::task_2_lending(), subject::task_8_tiled()] {
        let [source, target] = [0, 1].map(|_| subject.buffer(300_000));
        let (device, name) = (&subject.device, subject.name);
        // Threads allocate when they begin.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let region = |buffer, length| Region { buffer, offset: 0, length };
        let check = |what: &str, count| assert_eq!(count, 0, "{name}: 500 times {what}");

        check("a barrier", allocations(&subject, |at| device.queue_barrier(at).unwrap()));
        for length in [4, 1000, 300_000] {
            let filled = allocations(&subject, |at| {
                device.queue_fill(at, &region(&target, length), 7, 4).unwrap();
            });
            check(&format!("a fill of {length} bytes"), filled);
            let copied = allocations(&subject, |at| {
                device.queue_copy(at, &region(&source, length), &region(&target, length)).unwrap();
            });
            check(&format!("a copy of {length} bytes"), copied);
        }
        let updated = allocations(&subject, |at| device.queue_update(at, &[1; 100], &target, 8).unwrap());
        check("an update", updated);
        for tiles in [1, 64] {
            let bindings = [Operand::direct(&target, 0, WHOLE_BUFFER)];
            let dispatched = allocations(&subject, |at| {
                device
                    .queue_dispatch(at, &subject.dispatch("count_each", [tiles, 1, 1], &[], &bindings))
                    .unwrap();
            });
            check(&format!("a dispatch of {tiles} workgroups"), dispatched);
        }
        let commands = subject.commands(CommandBufferMode::empty(), 2);
        for width in [1, 40, 3] {
            let bindings = [Operand::slot(1, 0, WHOLE_BUFFER)];
            commands.dispatch(&subject.dispatch("count_each", [width, 1, 1], &[], &bindings)).unwrap();
            commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
            commands.copy(&Operand::slot(0, 0, 64), &Operand::slot(1, 64, 64)).unwrap();
        }
        commands.end().unwrap();
        let table = [BindingEntry::whole(&source), BindingEntry::whole(&target)];
        let executed = allocations(&subject, |at| {
            device.queue_execute(at, Some(&commands), Some(&table), ExecuteFlags::empty()).unwrap();
        });
        check("a command buffer", executed);
        device.wait_idle(soon()).unwrap();
    }
}
