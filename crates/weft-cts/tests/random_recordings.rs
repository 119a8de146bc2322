//! The same random recordings on local-sync and on workers: the same bytes. And shapes of work that stress tiles.

use std::sync::Arc;

use weft_cts::subject::{self, Subject, bytes_of, soon};
use weft_hal::{
    BindingEntry, Buffer, CommandBuffer, CommandBufferMode, ExecuteFlags, ExecutionStage, Operand,
    Submission, WHOLE_BUFFER, WorkgroupCount,
};
use weft_sync::{Point, Semaphore};

/// A small generator, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

const BUFFERS: usize = 4;
const BYTES: u64 = 200_000;

/// One command, drawn once and recorded on each device. Every command is followed by a barrier with the given odds;
/// without one it may only touch a stretch that no other command of its region touches.
#[derive(Clone, Debug)]
enum Step {
    Fill { buffer: usize, offset: u64, length: u64, bits: u64, pattern: u64 },
    Update { buffer: usize, offset: u64, length: usize, seed: u8 },
    Copy { from: usize, to: usize, offset: u64, to_offset: u64, length: u64 },
    AddOne { buffer: usize, offset: u64, length: u64 },
    WriteIds { buffer: usize, count: [u32; 3], indirect: bool },
    Barrier,
}

fn draw(random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..random.below(60) + 1 {
        let [buffer, other] = [random.below(4) as usize, random.below(4) as usize];
        let offset = random.below(BYTES / 64 - 1) * 64;
        let room = BYTES - offset;
        let bound = if random.below(4) == 0 { room } else { room.min(3000) };
        let length = 1 + random.below(bound);
        steps.push(match random.below(10) {
            0..=2 => {
                let pattern = 1 << random.below(3);
                let length = (length / 4).max(1) * 4;
                Step::Fill { buffer, offset, length, bits: random.next(), pattern }
            }
            3 => {
                Step::Update { buffer, offset, length: length.min(5000) as usize, seed: random.next() as u8 }
            }
            4..=5 if buffer != other => {
                let to_offset = random.below(BYTES - length);
                Step::Copy { from: buffer, to: other, offset, to_offset, length }
            }
            6..=7 => Step::AddOne { buffer, offset, length: length.max(4) },
            _ => {
                let count = [0, 1, 2].map(|_| random.below(9) as u32);
                Step::WriteIds { buffer, count, indirect: random.below(3) == 0 }
            }
        });
        // Without order between two commands that touch the same bytes there would be no one result.
        steps.push(Step::Barrier);
        if random.below(5) == 0 {
            steps.push(Step::Barrier);
        }
    }
    steps
}

struct Run {
    subject: Subject,
    buffers: Vec<Arc<Buffer>>,
    counts: Arc<Buffer>,
}

impl Run {
    fn new(subject: Subject) -> Run {
        let buffers = (0..BUFFERS).map(|_| subject.buffer(BYTES)).collect();
        let counts = subject.buffer(64 * 200);
        Run { subject, buffers, counts }
    }

    /// Records with buffers 0 and 1 as slots and the others directly.
    fn record(&self, steps: &[Step]) -> Arc<CommandBuffer> {
        let commands = self.subject.commands(CommandBufferMode::empty(), 2);
        let operand = |buffer: usize, offset, length| match buffer {
            0 | 1 => Operand::slot(buffer as u32, offset, length),
            _ => Operand::direct(&self.buffers[buffer], offset, length),
        };
        let mut counts_at = 0;
        for step in steps {
            let recorded = match *step {
                Step::Fill { buffer, offset, length, bits, pattern } => {
                    commands.fill(&operand(buffer, offset, length), bits, pattern)
                }
                Step::Update { buffer, offset, length, seed } => {
                    let bytes: Vec<u8> = (0..length).map(|index| seed.wrapping_add(index as u8)).collect();
                    commands.update(&bytes, &operand(buffer, offset, length as u64))
                }
                Step::Copy { from, to, offset, to_offset, length } => {
                    commands.copy(&operand(from, offset, length), &operand(to, to_offset, length))
                }
                Step::AddOne { buffer, offset, length } => {
                    let bindings = [operand(buffer, offset, length)];
                    commands.dispatch(&self.subject.dispatch("add_one", [1; 3], &[], &bindings))
                }
                Step::WriteIds { buffer, count, indirect } => {
                    let bindings = [operand(buffer, 0, WHOLE_BUFFER)];
                    let mut dispatch = self.subject.dispatch("write_ids", count, &[], &bindings);
                    if indirect {
                        self.counts.write(counts_at, &subject::words(&count)).unwrap();
                        let source = Operand::direct(&self.counts, counts_at, 12);
                        dispatch.workgroup_count = WorkgroupCount::IndirectStatic(source);
                        counts_at += 64;
                    }
                    commands.dispatch(&dispatch)
                }
                Step::Barrier => commands.barrier(ExecutionStage::all(), ExecutionStage::all()),
            };
            recorded.unwrap_or_else(|status| panic!("{step:?}: {status}"));
        }
        commands.end().unwrap();
        commands
    }

    fn execute(&self, commands: &CommandBuffer) -> Vec<Vec<u8>> {
        let done = Arc::new(Semaphore::new(0));
        let signal = [Point { semaphore: Arc::clone(&done), value: 1 }];
        let submission = Submission { signal: &signal, ..Submission::IMMEDIATE };
        let table = [BindingEntry::whole(&self.buffers[0]), BindingEntry::whole(&self.buffers[1])];
        self.subject
            .device
            .queue_execute(&submission, Some(commands), Some(&table), ExecuteFlags::empty())
            .unwrap();
        done.wait(1, soon()).unwrap();
        self.buffers.iter().map(|buffer| bytes_of(buffer)).collect()
    }
}

/// [hal 154] [hal 163] Random recordings, run several times: workers give what the inline device gives.
#[test]
fn random_recordings_give_the_same_bytes_on_every_device() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let runs: Vec<Run> =
        [subject::local_sync(), subject::task_1(), subject::task_2_lending(), subject::task_8_tiled()]
            .map(Run::new)
            .into();
    for round in 0..60 {
        let steps = draw(&mut random);
        let recorded: Vec<_> = runs.iter().map(|run| run.record(&steps)).collect();
        for repeat in 0..2 {
            let mut results = runs.iter().zip(&recorded).map(|(run, commands)| run.execute(commands));
            let expected = results.next().unwrap();
            for (index, result) in results.enumerate() {
                let same = result == expected;
                assert!(same, "round {round}, repeat {repeat}, device {}: {steps:?}", index + 1);
            }
        }
    }
}

/// Runs one recording and waits for it.
fn run(subject: &Subject, record: impl FnOnce(&CommandBuffer)) {
    let commands = subject.commands(CommandBufferMode::ONE_SHOT, 0);
    record(&commands);
    commands.end().unwrap();
    let done = Arc::new(Semaphore::new(0));
    let signal = [Point { semaphore: Arc::clone(&done), value: 1 }];
    let submission = Submission { signal: &signal, ..Submission::IMMEDIATE };
    subject.device.queue_execute(&submission, Some(&commands), None, ExecuteFlags::empty()).unwrap();
    done.wait(1, soon()).unwrap();
}

/// [hal 155] Each tile of a large dispatch runs exactly once, whatever the number of tiles and workers.
#[test]
fn each_tile_of_a_large_dispatch_runs_once() {
    let most = if cfg!(tsan) { 100_000 } else { 1_000_000 };
    for subject in [subject::task_1(), subject::task_2(), subject::task_8_tiled(), subject::task_64()] {
        for tiles in [1, 7, 8, 9, 1000, most] {
            let cells = subject.buffer(u64::from(tiles) * 4);
            for round in 1..=2 {
                run(&subject, |commands| {
                    let bindings = [Operand::direct(&cells, 0, WHOLE_BUFFER)];
                    commands
                        .dispatch(&subject.dispatch("count_each", [tiles, 1, 1], &[], &bindings))
                        .unwrap();
                });
                assert!(subject.read_words(&cells).iter().all(|&calls| calls == round), "{tiles} tiles");
            }
        }
    }
}

/// [hal 141] [hal 156] [hal 97] A thousand regions of random widths, empty ones among them: in order, each tile once.
#[test]
fn regions_of_random_widths_run_in_order() {
    let mut random = Random(77);
    let subjects =
        [subject::task_2(), subject::task_8_tiled(), subject::task_2_lending(), subject::task_64()];
    for subject in subjects {
        let bytes: u32 = 64 * 4;
        let cells = subject.buffer(u64::from(bytes));
        let mut expected = vec![0_u32; 64];
        run(&subject, |commands| {
            for _ in 0..1000 {
                let width = [0, 1, 1, 2, 3, 17, 64][random.below(7) as usize];
                let bindings = [Operand::direct(&cells, 0, WHOLE_BUFFER)];
                commands.dispatch(&subject.dispatch("count_each", [width, 1, 1], &[], &bindings)).unwrap();
                commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
                expected[..width as usize].iter_mut().for_each(|calls| *calls += 1);
                // Sees the dispatch before it, and is seen by the one after.
                let all = [Operand::direct(&cells, 0, WHOLE_BUFFER)];
                commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &all)).unwrap();
                commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
                expected.iter_mut().for_each(|calls| *calls += 1);
            }
        });
        assert_eq!(subject.read_words(&cells), expected);
    }
}
