//! Whole configurations as tables (docs/spec/causal.md §12): every operation is submitted before anything runs, what it
//! is ordered after and which of its waits are left out are compared; then everything runs.

use std::collections::BTreeMap;
use weft_sync::elision::{Deferred, QueueContext, Resolution, SignalHistory, Submission, Wait, resolve};
use weft_sync::{
    Axis, Causality, Domain, Entry, Frontier, FrontierBuf, Machine, Semaphore, Tracker, TrackerOptions,
    WIRE_BYTES_MAX,
};

const CAPACITY: usize = 16;

struct Timeline {
    semaphore: Semaphore,
    history: SignalHistory<CAPACITY, 128>,
}

impl Timeline {
    fn new() -> Timeline {
        let semaphore = Semaphore::with_frontier(0, Semaphore::FRONTIER_CAPACITY);
        Timeline { semaphore, history: SignalHistory::new() }
    }
}

/// A configuration that operations are submitted to.
struct Configuration {
    axes: BTreeMap<String, Axis>,
    queues: BTreeMap<String, QueueContext<CAPACITY>>,
    timelines: BTreeMap<String, Timeline>,
    submitted: Vec<(Submission<CAPACITY>, Vec<(String, u64)>)>,
}

impl Configuration {
    /// Names of queues, separated by blanks; `*` marks a collective, `m0.` and `m1.` a machine.
    fn new(names: &str) -> Configuration {
        let mut axes = BTreeMap::new();
        for (index, name) in names.split_whitespace().enumerate() {
            let plain = name.trim_start_matches('*');
            let machine = Machine { session: 1, index: u8::from(plain.starts_with("m1.")) };
            let axis =
                if plain == name { machine.queue(index as u8, 0) } else { machine.collective(index as u64) };
            axes.insert(plain.to_owned(), axis);
        }
        let queues = axes.iter().map(|(name, axis)| (name.clone(), QueueContext::in_order(*axis)));
        Configuration { queues: queues.collect(), axes, timelines: BTreeMap::new(), submitted: Vec::new() }
    }

    /// Submits the rows of a table, `operation | queue | waits | signals | frontier`.
    ///
    /// A wait is `name >= value`, with `(e)` behind it if it has to be left out; `wire name >= value` takes up the
    /// frontier of a value through a message from another machine.
    fn submit_all(&mut self, table: &str) {
        for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [operation, queue, waits, signals, frontier] = cells[..] else { panic!("five cells: {row}") };
            self.submit(operation, queue, waits, signals, frontier);
        }
    }

    fn submit(&mut self, operation: &str, queue: &str, waits: &str, signals: &str, expected: &str) {
        let waiter = self.queues[queue].as_waiter();
        let mut imported: Vec<FrontierBuf<CAPACITY>> = Vec::new();
        for text in waits.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let (text, is_elided) = match text.strip_suffix("(e)") {
                Some(text) => (text, true),
                None => (text, false),
            };
            let (text, is_message) = match text.strip_prefix("wire ") {
                Some(text) => (text, true),
                None => (text, false),
            };
            let (name, value) = text.split_once(">=").expect("a wait is `name >= value`");
            let (name, value) = (name.trim(), value.trim().parse().expect("a value"));
            let timeline =
                self.timelines.get(name).unwrap_or_else(|| panic!("{operation}: nobody signals {name}"));
            let wait = timeline.history.wait(&timeline.semaphore, value);
            if is_message {
                imported.push(through_a_message(timeline.history.covering(value).and_then(|it| it.past())));
                continue;
            }
            let mut barriers = [Entry::NONE; 8];
            let is_waitable = |axis: Axis| axis.domain() == Some(Domain::Queue);
            let outcome = resolve(&wait, &waiter, is_waitable, &mut barriers);
            check(operation, outcome, is_elided);
            imported.extend(import(&wait, &waiter));
        }
        let past: Vec<&Frontier> = imported.iter().map(|frontier| frontier.as_frontier()).collect();
        let submission = self.queues.get_mut(queue).expect("a queue").submit(past);
        let known = submission.past().expect("everything fits");
        assert_eq!(*known, *self.frontier(expected), "{operation}");
        let mut signalled = Vec::new();
        for text in signals.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let (name, value) = text.split_once(' ').expect("a signal is `name value`");
            let value = value.parse().expect("a value");
            let timeline = self.timelines.entry(name.to_owned()).or_insert_with(Timeline::new);
            timeline.history.record(value, &submission);
            signalled.push((name.to_owned(), value));
        }
        self.submitted.push((submission, signalled));
    }

    /// `a:1 b:2` by names.
    fn frontier(&self, text: &str) -> FrontierBuf<CAPACITY> {
        let mut frontier = FrontierBuf::new();
        for entry in text.split_whitespace() {
            let (name, epoch) = entry.split_once(':').expect("an entry is `axis:epoch`");
            frontier.raise(self.axes[name], epoch.parse().expect("an epoch")).expect("it fits");
        }
        frontier
    }

    /// Runs everything in the order of submission, which is one of those that the frontiers allow, and compares what
    /// semaphores and a tracker know in the end.
    fn run(self) {
        let tracker = Tracker::new(TrackerOptions::default()).expect("a tracker");
        for axis in self.axes.values() {
            tracker.register(*axis, None).expect("a new axis");
        }
        for (submission, signalled) in &self.submitted {
            let past = submission.past().expect("known");
            for entry in past.entries().iter().filter(|entry| entry.axis != submission.at.axis) {
                assert!(tracker.query_epoch(entry.axis, entry.epoch), "{entry} ran before {}", submission.at);
            }
            for (name, value) in signalled {
                self.timelines[name].semaphore.signal_untainted(*value, past).expect("values rise");
            }
            tracker.advance(submission.at.axis, submission.at.epoch);
        }
        for (name, timeline) in &self.timelines {
            let last = timeline.history.last().expect("signalled");
            let known = timeline.semaphore.complete_frontier::<CAPACITY>(last.value()).expect("complete");
            assert_eq!(Some(&*known), last.past(), "{name}");
        }
    }
}

fn import(wait: &Wait<'_>, waiter: &weft_sync::elision::Waiter<'_>) -> Option<FrontierBuf<CAPACITY>> {
    wait.import(waiter).map(|past| FrontierBuf::copy_of(past).expect("it fits"))
}

fn check(operation: &str, outcome: Resolution, is_elided: bool) {
    match outcome {
        Resolution::Elide(_) => assert!(is_elided, "{operation}: left out"),
        // Devices cannot wait for collectives: held back until the value is reached, with the same past.
        Resolution::Barriers(_) | Resolution::Defer(Deferred::NotWaitable) => {
            assert!(!is_elided, "{operation}: {outcome:?} instead of being left out");
        }
        other => panic!("{operation}: {other:?}"),
    }
}

fn through_a_message(past: Option<&Frontier>) -> FrontierBuf<CAPACITY> {
    let mut bytes = [0; WIRE_BYTES_MAX];
    let length = past.expect("known").encode(&mut bytes).expect("room");
    let (received, rest) = FrontierBuf::decode(&bytes[..length]).expect("well formed");
    assert!(rest.is_empty());
    received
}

fn play(axes: &str, table: &str) {
    let mut configuration = Configuration::new(axes);
    configuration.submit_all(table);
    configuration.run();
}

/// A laptop: speech to text to speech without a round trip, embedding beside it. [causal 69]
#[test]
fn laptop() {
    let mut it = Configuration::new("cpu apu dma dgpu npu");
    it.submit_all(
        "audio prep | cpu  |             | audio 1   | cpu:1
         whisper    | apu  | audio >= 1  | whisper 1 | cpu:1 apu:1
         transfer   | dma  | whisper >= 1 | moved 1  | cpu:1 apu:1 dma:1
         prefill    | dgpu | moved >= 1  | phi 1     | cpu:1 apu:1 dma:1 dgpu:1
         decode     | dgpu | phi >= 1 (e) | phi 2    | cpu:1 apu:1 dma:1 dgpu:2
         embed      | npu  |             | embed 1   | npu:1",
    );
    let embed = it.frontier("npu:1");
    for (submission, _) in &it.submitted[..5] {
        assert_eq!(submission.past().expect("known").compare(&embed), Causality::Concurrent);
    }
    it.run();
}

/// Speculative decoding: the second draft does not know of the first verification. [causal 69]
#[test]
fn speculative_decoding() {
    let mut it = Configuration::new("cpu1 g1 x dr mn bge");
    it.submit_all(
        "audio prep | cpu1 |               | audio 1   | cpu1:1
         whisper    | g1   | audio >= 1    | whisper 1 | cpu1:1 g1:1
         to GPU 0   | x    | whisper >= 1  | x 1       | cpu1:1 g1:1 x:1
         draft 1    | dr   | x >= 1        | draft 1   | cpu1:1 g1:1 x:1 dr:1
         verify 1   | mn   | draft >= 1    | verify 1  | cpu1:1 g1:1 x:1 dr:1 mn:1
         draft 2    | dr   | draft >= 1 (e) | draft 2  | cpu1:1 g1:1 x:1 dr:2
         verify 2   | mn   | draft >= 2, verify >= 1 (e) | verify 2 | cpu1:1 g1:1 x:1 dr:2 mn:2
         to GPU 1   | x    | verify >= 2   | x 2       | cpu1:1 g1:1 x:2 dr:2 mn:2
         speech     | g1   | x >= 2        | tts 1     | cpu1:1 g1:2 x:2 dr:2 mn:2
         audio out  | cpu1 | tts >= 1      | out 1     | cpu1:2 g1:2 x:2 dr:2 mn:2
         gap filler | bge  |               | bge 1     | bge:1",
    );
    let round_2 = it.frontier("dr:2");
    let invalid: Vec<usize> = (0..it.submitted.len())
        .filter(|&index| it.submitted[index].0.past().expect("known").dominates(&round_2))
        .collect();
    assert_eq!(invalid, [5, 6, 7, 8, 9], "what a rejected first round makes void");
    it.run();
}

/// Pages of a session go out and come back beside another session. [causal 69]
#[test]
fn paging_of_sessions() {
    play(
        "ll nv",
        "decode session 3     | ll |                | llama 1 | ll:1
         page out             | nv | llama >= 1     | page 1  | ll:1 nv:1
         free its blocks      | nv |                | freed 2 | ll:1 nv:2
         decode other session | ll |                | llama 2 | ll:2
         grow into freed      | ll | freed >= 2     | llama 3 | ll:3 nv:2
         page in              | nv | page >= 1 (e)  | page 2  | ll:1 nv:3
         resume session 3     | ll | page >= 2      | llama 4 | ll:4 nv:3",
    );
}

/// The state of an optimizer is paged out and in beside two steps of training. [causal 69]
#[test]
fn paging_of_optimizer_state() {
    play(
        "tr nv",
        "forward 0   | tr |                           | train 1 | tr:1
         page out 0  | nv | train >= 1                | page 1  | tr:1 nv:1
         backward 0  | tr | train >= 1 (e)            | train 2 | tr:2
         page in 0   | nv | page >= 1 (e)             | page 2  | tr:1 nv:2
         optimizer 0 | tr | train >= 2 (e), page >= 2 | train 3 | tr:3 nv:2
         forward 1   | tr | train >= 3 (e)            | train 4 | tr:4 nv:2
         page out 1  | nv | train >= 4                | page 3  | tr:4 nv:3
         backward 1  | tr | train >= 4 (e)            | train 5 | tr:5 nv:2
         page in 1   | nv | page >= 3 (e)             | page 4  | tr:4 nv:4
         optimizer 1 | tr | train >= 5 (e), page >= 4 | train 6 | tr:6 nv:4",
    );
}

/// Retrieval, one semaphore for the chain; then with weights that are loaded first; then with a stage on the host.
/// [causal 69]
#[test]
fn retrieval() {
    play(
        "c0 g0 g1",
        "tokenize | c0 |          | rag 1 | c0:1
         embed    | g0 | rag >= 1 | rag 2 | c0:1 g0:1
         search   | c0 | rag >= 2 | rag 3 | c0:2 g0:1
         rerank   | g1 | rag >= 3 | rag 4 | c0:2 g0:1 g1:1
         generate | g0 | rag >= 4 | rag 5 | c0:2 g0:2 g1:1",
    );
    play(
        "c0 g0 g1 nv",
        "load     | nv |                     | load 1 | nv:1
         tokenize | c0 |                     | rag 1  | c0:1
         embed    | g0 | rag >= 1            | rag 2  | c0:1 g0:1
         search   | c0 | rag >= 2            | rag 3  | c0:2 g0:1
         rerank   | g1 | rag >= 3, load >= 1 | rag 4  | c0:2 g0:1 g1:1 nv:1
         generate | g0 | rag >= 4            | rag 5  | c0:2 g0:2 g1:1 nv:1",
    );
    play(
        "c0 g0",
        "tokenize | c0 |              | rag 1 | c0:1
         embed    | g0 | rag >= 1     | rag 2 | c0:1 g0:1
         search   | c0 | rag >= 2     | rag 3 | c0:2 g0:1
         rerank   | c0 | rag >= 3 (e) | rag 4 | c0:3 g0:1
         generate | g0 | rag >= 4     | rag 5 | c0:3 g0:2",
    );
}

/// Four devices behind one collective axis, second queues beside it. [causal 69]
#[test]
fn tensor_parallel() {
    let mut it = Configuration::new("*c1 f0 f1 f3");
    for layer in 1..=30_u64 {
        let (attention, network) = (2 * layer - 1, 2 * layer);
        let before = if layer == 1 { String::new() } else { format!("tp >= {} (e)", 2 * layer - 1) };
        it.submit("attention", "c1", &before, &format!("tp {network}"), &format!("c1:{attention}"));
        let wait = format!("tp >= {network} (e)");
        it.submit("network", "c1", &wait, &format!("tp {}", network + 1), &format!("c1:{network}"));
    }
    for filler in ["f0", "f1", "f3"] {
        it.submit("filler", filler, "", &format!("{filler} 1"), &format!("{filler}:1"));
        let other = it.frontier("c1:60");
        let (submission, _) = it.submitted.last().expect("submitted");
        assert_eq!(submission.past().expect("known").compare(&other), Causality::Concurrent);
    }
    it.run();
}

/// Two machines, half of the layers each; the frontier travels in the message. [causal 69]
#[test]
fn pipeline_over_two_machines() {
    play(
        "*m0.c1 m0.nic m1.nic *m1.c1",
        "first half  | m0.c1  |                | pipe 1 | m0.c1:1
         send        | m0.nic | pipe >= 1      | net 1  | m0.c1:1 m0.nic:1
         receive     | m1.nic | wire net >= 1  | net' 1 | m0.c1:1 m0.nic:1 m1.nic:1
         second half | m1.c1  | net' >= 1      | pipe 2 | m0.c1:1 m0.nic:1 m1.nic:1 m1.c1:1",
    );
}

/// Experts that are chosen at run time, one of them loaded first; then one of them on another machine. [causal 69]
#[test]
fn mixture_of_experts() {
    play(
        "g4 g5 nv",
        "route    | g4 |                       | moe 1  | g4:1
         expert a | g4 | moe >= 1 (e)          | ea 1   | g4:2
         load b   | nv | moe >= 1              | page 1 | g4:1 nv:1
         expert b | g5 | page >= 1             | eb 1   | g4:1 nv:1 g5:1
         combine  | g4 | ea >= 1 (e), eb >= 1  | moe 2  | g4:3 g5:1 nv:1",
    );
    play(
        "m0.g4 m0.nic m1.nic m1.g0",
        "route    | m0.g4  |                          | moe 1   | m0.g4:1
         expert a | m0.g4  | moe >= 1 (e)             | ea 1    | m0.g4:2
         send     | m0.nic | moe >= 1                 | out 1   | m0.g4:1 m0.nic:1
         arrive   | m1.nic | wire out >= 1            | in 1    | m0.g4:1 m0.nic:1 m1.nic:1
         expert b | m1.g0  | in >= 1                  | eb 1    | m0.g4:1 m0.nic:1 m1.nic:1 m1.g0:1
         reply    | m1.nic | eb >= 1                  | back 1  | m0.g4:1 m0.nic:1 m1.nic:2 m1.g0:1
         receive  | m0.nic | wire back >= 1           | home 1  | m0.g4:1 m0.nic:2 m1.nic:2 m1.g0:1
         combine  | m0.g4  | ea >= 1 (e), home >= 1   | moe 2   | m0.g4:3 m0.nic:2 m1.nic:2 m1.g0:1",
    );
}

/// One request through seven models. [causal 69]
#[test]
fn many_models() {
    play(
        "cpu A B *c1 *c2 C D",
        "audio decode | cpu |                        | audio 1  | cpu:1
         image decode | cpu |                        | image 1  | cpu:2
         transcribe   | A   | audio >= 1             | text 1   | cpu:1 A:1
         see          | B   | image >= 1             | vision 1 | cpu:2 B:1
         reason       | c1  | text >= 1, vision >= 1 | llama 1  | cpu:2 A:1 B:1 c1:1
         code         | c2  | llama >= 1             | code 1   | cpu:2 A:1 B:1 c1:1 c2:1
         image        | C   | code >= 1              | sdxl 1   | cpu:2 A:1 B:1 C:1 c1:1 c2:1
         voice        | D   | llama >= 1             | tts 1    | cpu:2 A:1 B:1 D:1 c1:1
         assemble     | cpu | code >= 1, sdxl >= 1, tts >= 1 | done 1 | cpu:3 A:1 B:1 C:1 D:1 c1:1 c2:1",
    );
}
