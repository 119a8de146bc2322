//! The fourteen scenarios of docs/spec/causal.md §14, read from its tables: operations on devices with lanes, ordered by
//! semaphores alone. A tracker says when each is ready, semaphores carry the frontiers.
//!
//! Every semaphore is an axis and its values are the epochs. A tick at a time: what is over signals; what a tracker calls
//! back is ready; what is ready takes the lowest free lane of its device, in the order of the table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use weft_sync::{Axis, Entry, Frontier, FrontierBuf, Machine, Semaphore, Tracker, TrackerOptions};

const SPECIFICATION: &str = include_str!("../../../docs/spec/causal.md");
const TICKS_MAX: u64 = 500;

/// `name:value` pairs.
type Values = BTreeMap<String, u64>;

struct Row {
    name: String,
    device: String,
    duration: u64,
    waits: Values,
    signals: Values,
    expected: Outcome,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    ready: u64,
    lane: String,
    start: u64,
    end: u64,
    frontier: Values,
}

struct Scenario {
    name: String,
    /// Lanes of each device; `None`: one, that bears the name of the device.
    lanes: BTreeMap<String, Option<u64>>,
    rows: Vec<Row>,
    /// By number of lanes of the device that has a count; under 0 if none has.
    makespans: BTreeMap<u64, u64>,
}

fn values(text: &str) -> Values {
    let pair = |pair: &str| -> Option<(String, u64)> {
        let (name, value) = pair.split_once(':')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.split_whitespace().filter_map(pair).collect()
}

fn scenarios() -> Vec<Scenario> {
    let (_, rest) = SPECIFICATION.split_once("## 14. The fourteen scenarios").expect("the section");
    let (section, _) = rest.split_once("\n## 15.").expect("the next section");
    section.split("\n### 14.").skip(1).map(scenario).collect()
}

fn scenario(text: &str) -> Scenario {
    let name = text.split('`').nth(1).expect("a name").to_owned();
    let prose = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, hardware) = prose.split_once("Hardware ").expect("hardware");
    let (hardware, _) = hardware.split_once("; semaphores").expect("semaphores");
    // `gpu ×2 (GPU), cpu (CPU)`: labels may have parentheses of their own.
    let device = |text: &str| -> (String, Option<u64>) {
        let mut words = text.split_whitespace();
        let id = words.next().expect("an id").to_owned();
        let count =
            words.next().and_then(|word| word.strip_prefix('×')).map(|count| count.parse().expect("a count"));
        (id, count)
    };
    let (_, spans) = prose.split_once("Makespan ").expect("a makespan");
    let makespans = match spans.strip_prefix("by lanes: ") {
        Some(list) => {
            let list = list.split('.').next().expect("a list");
            let pair = |pair: &str| -> Option<(u64, u64)> {
                let (lanes, span) = pair.split_once(" → ")?;
                Some((lanes.parse().ok()?, span.parse().ok()?))
            };
            list.split(", ").filter_map(pair).collect()
        }
        None => {
            let span = spans.split('.').next().expect("a number").parse().expect("a number");
            BTreeMap::from([(0, span)])
        }
    };
    Scenario {
        name,
        lanes: hardware.split("), ").map(device).collect(),
        rows: text.lines().filter_map(row).collect(),
        makespans,
    }
}

/// `| op | hw | dur | wait | signal | ready | lane | run | frontier |`; `None` for every other line.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
    let [name, device, duration, waits, signals, ready, lane, run, frontier] = cells[..] else { return None };
    let (start, end) = run.split_once('–')?;
    Some(Row {
        name: name.to_owned(),
        device: device.to_owned(),
        duration: duration.parse().ok()?,
        waits: values(waits),
        signals: values(signals),
        expected: Outcome {
            ready: ready.parse().ok()?,
            lane: lane.to_owned(),
            start: start.parse().ok()?,
            end: end.parse().ok()?,
            frontier: values(frontier),
        },
    })
}

struct Timeline {
    axis: Axis,
    semaphore: Semaphore,
    /// What each value is ordered after: a late waiter depends on the value that it waits for.
    pasts: BTreeMap<u64, FrontierBuf<16>>,
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    timelines: BTreeMap<String, Timeline>,
    tracker: Tracker,
    ready: Arc<Mutex<Vec<usize>>>,
    busy: BTreeMap<String, Vec<bool>>,
    states: Vec<State>,
}

enum State {
    Pending,
    Ready { at: u64 },
    Running { outcome: Outcome, past: Box<FrontierBuf<16>>, place: usize },
    Over(Outcome),
}

impl<'a> Simulation<'a> {
    /// `lanes` is for the device that has a count.
    fn new(scenario: &'a Scenario, lanes: u64) -> Simulation<'a> {
        let tracker = Tracker::new(TrackerOptions::default()).expect("a tracker");
        let mut timelines = BTreeMap::new();
        for name in scenario.rows.iter().flat_map(|row| row.signals.keys()) {
            let axis = Machine::LOCAL.host(timelines.len() as u64 + 1);
            let semaphore = Semaphore::with_frontier(0, 16);
            let made =
                timelines.entry(name.clone()).or_insert(Timeline { axis, semaphore, pasts: BTreeMap::new() });
            if made.axis == axis {
                tracker.register(axis, None).expect("a new axis");
            }
        }
        let count = |count: &Option<u64>| vec![false; count.map_or(1, |_| lanes) as usize];
        let busy = scenario.lanes.iter().map(|(device, lanes)| (device.clone(), count(lanes))).collect();
        let mut it = Simulation {
            scenario,
            timelines,
            tracker,
            ready: Arc::default(),
            busy,
            states: scenario.rows.iter().map(|_| State::Pending).collect(),
        };
        it.submit_all();
        it
    }

    /// Everything is submitted before anything runs.
    fn submit_all(&mut self) {
        for (index, row) in self.scenario.rows.iter().enumerate() {
            let mut waits: Vec<Entry> =
                row.waits.iter().map(|(name, value)| Entry::new(self.timelines[name].axis, *value)).collect();
            waits.sort_by_key(|entry| entry.axis);
            let ready = Arc::clone(&self.ready);
            let callback = move |outcome: weft_sync::Result<()>| {
                outcome.expect("nothing fails");
                ready.lock().expect("no panic under the lock").push(index);
            };
            self.tracker.wait(Frontier::new(&waits).expect("in order"), callback).expect("known axes");
        }
    }

    fn run(mut self) -> (Vec<Outcome>, u64) {
        for tick in 0..TICKS_MAX {
            self.retire(tick);
            for index in std::mem::take(&mut *self.ready.lock().expect("no panic under the lock")) {
                self.states[index] = State::Ready { at: tick };
            }
            self.issue(tick);
            if self.states.iter().all(|state| matches!(state, State::Over(_))) {
                return (self.states.into_iter().filter_map(State::outcome).collect(), tick);
            }
        }
        panic!("{}: {TICKS_MAX} ticks and not over", self.scenario.name);
    }

    fn retire(&mut self, tick: u64) {
        for index in 0..self.states.len() {
            let State::Running { outcome, past, place } = &self.states[index] else { continue };
            if outcome.end > tick {
                continue;
            }
            let (outcome, past, place) = (outcome.clone(), **past, *place);
            let row = &self.scenario.rows[index];
            self.busy.get_mut(&row.device).expect("a device")[place] = false;
            for (name, &value) in &row.signals {
                let timeline = self.timelines.get_mut(name).expect("a timeline");
                timeline.semaphore.signal_untainted(value, &past).expect("values rise");
                timeline.pasts.insert(value, past);
                self.tracker.advance(timeline.axis, value);
            }
            self.states[index] = State::Over(outcome);
        }
    }

    fn issue(&mut self, tick: u64) {
        for (index, row) in self.scenario.rows.iter().enumerate() {
            let State::Ready { at } = self.states[index] else { continue };
            let lanes = self.busy.get_mut(&row.device).expect("a device");
            let Some(place) = lanes.iter().position(|busy| !busy) else { continue };
            lanes[place] = true;
            let is_counted = self.scenario.lanes[&row.device].is_some() && lanes.len() > 1;
            let lane = if is_counted { format!("{}_{place}", row.device) } else { row.device.clone() };
            let past = self.past(row);
            let frontier = self.named(&past);
            let outcome = Outcome { ready: at, lane, start: tick, end: tick + row.duration, frontier };
            self.states[index] = State::Running { outcome, past: Box::new(past), place };
        }
    }

    /// What the values that it waits for are ordered after, and what it signals.
    fn past(&self, row: &Row) -> FrontierBuf<16> {
        let mut past = FrontierBuf::new();
        for (name, value) in &row.waits {
            let (_, of_value) = self.timelines[name].pasts.range(value..).next().expect("it was signalled");
            past.merge(of_value).expect("it fits");
        }
        for (name, value) in &row.signals {
            past.raise(self.timelines[name].axis, *value).expect("it fits");
        }
        past
    }

    fn named(&self, frontier: &Frontier) -> Values {
        let epoch = |(name, timeline): (&String, &Timeline)| (name.clone(), frontier.epoch_of(timeline.axis));
        self.timelines.iter().map(epoch).filter(|(_, epoch)| *epoch > 0).collect()
    }
}

impl State {
    fn outcome(self) -> Option<Outcome> {
        if let State::Over(outcome) = self { Some(outcome) } else { None }
    }
}

/// Ready, lane, start, end and frontier of every operation, and how long it all takes. [causal 57]
#[test]
fn every_scenario_is_as_its_table_says() {
    let scenarios = scenarios();
    assert_eq!(scenarios.len(), 14);
    for scenario in &scenarios {
        let lanes = scenario.lanes.values().flatten().copied().next();
        assert!(scenario.rows.len() > 2, "{} has a table", scenario.name);
        let (outcomes, makespan) = Simulation::new(scenario, lanes.unwrap_or(0)).run();
        for (row, outcome) in scenario.rows.iter().zip(&outcomes) {
            assert_eq!(*outcome, row.expected, "{} of {}", row.name, scenario.name);
        }
        assert_eq!(makespan, scenario.makespans[&lanes.unwrap_or(0)], "{}", scenario.name);
    }
}

/// More lanes change when things happen, and never what is ordered after what.
#[test]
fn lanes_are_no_causality() {
    let mut changed = 0;
    for scenario in &scenarios() {
        for (&lanes, &makespan) in scenario.makespans.iter().filter(|(lanes, _)| **lanes > 0) {
            let (outcomes, took) = Simulation::new(scenario, lanes).run();
            assert_eq!(took, makespan, "{} with {lanes} lanes", scenario.name);
            for (row, outcome) in scenario.rows.iter().zip(&outcomes) {
                assert_eq!(outcome.frontier, row.expected.frontier, "{} of {}", row.name, scenario.name);
                changed += usize::from(outcome.start != row.expected.start);
            }
        }
    }
    assert!(changed > 10, "lanes make a difference");
}
