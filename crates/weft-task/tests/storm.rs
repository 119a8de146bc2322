//! Everything at once: start, stop, cancel, fail, suspend, schedule again, change budgets, depend, lend, report.
//!
//! Ten seconds in the normal suite; `cargo xtask storm [minutes]` sets `WEFT_STORM_SECONDS`. What happened too rarely to have
//! been tested fails the test too: each kind of thing is counted.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use support::{Watch, small, watched};
use weft_sync::{Code, Deadline, Semaphore, Status};
use weft_task::{Drained, Executor, ExecutorOptions, KeepWarm, Process, ProcessOptions, Scope, ScopeOptions};

/// Most workers of a round; there are far fewer processors.
const WORKERS_MAX: u64 = 16;

/// Threads that do things to an executor.
const THREADS: u64 = 3;

/// What each thread does in a round.
const ACTIONS: u32 = 50;

fn storm_time() -> Duration {
    let asked = std::env::var("WEFT_STORM_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(10))
}

/// A small generator of numbers: which way a storm goes is not what it tests.
struct Draws(AtomicU64);

impl Draws {
    fn below(&self, bound: u64) -> u64 {
        let mut x = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % bound
    }
}

/// How often what happened.
#[derive(Debug, Default)]
struct Tally {
    rounds: AtomicU32,
    stopped_in_flight: AtomicU32,
    finished: AtomicU32,
    failed: AtomicU32,
    cancelled: AtomicU32,
    resuspended: AtomicU32,
    resumed: AtomicU32,
    dependents: AtomicU32,
    raised: AtomicU32,
    lowered: AtomicU32,
    waits: AtomicU32,
    reports: AtomicU32,
    workers_most: AtomicU32,
}

impl Tally {
    fn count(&self, what: fn(&Tally) -> &AtomicU32) {
        what(self).fetch_add(1, Ordering::Relaxed);
    }

    /// Everything happened.
    fn check(&self) {
        let Tally { rounds, stopped_in_flight, finished, failed, cancelled, .. } = self;
        let Tally { resuspended, resumed, dependents, raised, lowered, waits, reports, .. } = self;
        let ends = [rounds, stopped_in_flight, finished, failed, cancelled];
        let ways = [resuspended, resumed, dependents, raised, lowered, waits, reports];
        let all = ends.iter().chain(&ways).all(|count| count.load(Ordering::Relaxed) > 0);
        assert!(all && self.workers_most.load(Ordering::Relaxed) > 1, "{self:?}");
    }
}

/// What the processes of a round share.
struct Weather {
    draws: Arc<Draws>,
    tally: Arc<Tally>,
    /// Every process ends at its next drain.
    stop: AtomicBool,
    /// Processes go to rest, and come back when somebody schedules them.
    lull: AtomicBool,
}

/// A process of the storm: what waits for it, and how many wakes it waits for itself.
struct Member {
    process: Arc<Process>,
    watch: Arc<Watch>,
    wakes_left: AtomicU32,
}

impl Member {
    /// One wake less to wait for; whoever gives the last one schedules.
    fn wake(&self, executor: &Executor, tally: &Tally) {
        let one_less = |left: u32| left.checked_sub(1);
        let took = self.wakes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok();
        if took && self.process.wake() {
            tally.count(|tally| &tally.resumed);
            executor.schedule(&self.process);
        }
    }
}

/// Options of a process, some of whose kind wait for wakes; `dependents` are those that wait for it.
fn options(draws: &Draws, suspend_count: u32, dependents: Vec<Arc<Process>>) -> ProcessOptions {
    ProcessOptions {
        suspend_count,
        compute_slot: draws.below(2) == 0,
        wake_budget: draws.below(WORKERS_MAX) as u32,
        dependents,
    }
}

/// A process that does some drains of every kind, and ends at the latest when told.
fn restless(weather: &Arc<Weather>, options: ProcessOptions) -> (Arc<Process>, Arc<Watch>) {
    let weather = Arc::clone(weather);
    let left = AtomicU32::new(weather.draws.below(40) as u32);
    watched(options, move |worker| {
        let Weather { draws, tally, .. } = &*weather;
        if weather.lull.load(Ordering::Relaxed) && !weather.stop.load(Ordering::Relaxed) {
            tally.count(|tally| &tally.resuspended);
            return Drained::Nothing;
        }
        let over =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
        match draws.below(12) {
            _ if over || weather.stop.load(Ordering::Relaxed) => Drained::Finished,
            0 => Drained::Nothing,
            1 => Drained::Again,
            3 => {
                let epoch = worker.process().retention_epoch();
                Drained::KeepWarm(KeepWarm { epoch, retainers_max: 2 })
            }
            4 => {
                let (before, now) = (worker.process().wake_budget(), 1 + draws.below(WORKERS_MAX) as u32);
                worker.set_wake_budget(now);
                tally.count(if now < before { |tally| &tally.lowered } else { |tally| &tally.raised });
                Drained::Worked
            }
            5 => {
                worker.schedule(worker.process());
                Drained::Nothing
            }
            6 => Drained::Failed(Status::new(Code::DataLoss, "in the storm")),
            7 => {
                worker.call_for(draws.below(4) as u32);
                Drained::Worked
            }
            _ => Drained::Worked,
        }
    })
}

/// One that may run at once, or waits for wakes, or has others that wait for it: those come back too.
fn fall(weather: &Arc<Weather>) -> Vec<Member> {
    let draws = &weather.draws;
    let member = |(process, watch), wakes| Member { process, watch, wakes_left: AtomicU32::new(wakes) };
    match draws.below(4) {
        0 => {
            let wakes = 1 + draws.below(3) as u32;
            vec![member(restless(weather, options(draws, wakes, Vec::new())), wakes)]
        }
        1 => {
            // A diamond: the last one waits for both in the middle, and those for the first one.
            let last = restless(weather, options(draws, 2, Vec::new()));
            let middle = [(); 2].map(|()| {
                weather.tally.count(|tally| &tally.dependents);
                restless(weather, options(draws, 1, vec![Arc::clone(&last.0)]))
            });
            let dependents = middle.iter().map(|(process, _)| Arc::clone(process)).collect();
            let first = restless(weather, options(draws, 0, dependents));
            [first, last].into_iter().chain(middle).map(|it| member(it, 0)).collect()
        }
        _ => vec![member(restless(weather, options(draws, 0, Vec::new())), 0)],
    }
}

/// One thing to do to an executor, or to one of its processes.
fn act(weather: &Arc<Weather>, executor: &Executor, all: &Mutex<Vec<Member>>) {
    let Weather { draws, tally, .. } = &**weather;
    let kind = draws.below(14);
    match kind {
        0..5 => {
            let fallen = fall(weather);
            executor.schedule(&fallen[0].process);
            all.lock().unwrap().extend(fallen);
        }
        5 => {
            tally.count(|tally| &tally.waits);
            let any = Arc::new(Semaphore::new(0));
            let deadline = Deadline::after(Duration::from_micros(draws.below(100)));
            executor.wait(&any, 1, deadline).unwrap_err();
        }
        6 => {
            tally.count(|tally| &tally.reports);
            drop(executor.report().to_string());
        }
        7 => weather.lull.store(draws.below(2) == 0, Ordering::Relaxed),
        _ => {
            let all = all.lock().unwrap();
            let Some(one) = all.get(draws.below(all.len().max(1) as u64) as usize) else { return };
            match kind {
                8 => executor.cancel(&one.process),
                9 => executor.fail(&one.process, Status::new(Code::Aborted, "from outside")),
                10 => _ = one.process.set_wake_budget(draws.below(WORKERS_MAX) as u32),
                11 => one.wake(executor, tally),
                _ => executor.schedule(&one.process),
            }
        }
    }
}

/// An executor from its start to its stop.
fn round(draws: &Arc<Draws>, tally: &Arc<Tally>) {
    let options = ExecutorOptions {
        workers: 1 + draws.below(WORKERS_MAX) as usize,
        guests_max: 2,
        spin: Duration::from_micros(draws.below(2) * 20),
        ..small()
    };
    let executor = Executor::new(&options).unwrap();
    tally.workers_most.fetch_max(options.workers as u32, Ordering::Relaxed);
    let weather = Arc::new(Weather {
        draws: Arc::clone(draws),
        tally: Arc::clone(tally),
        stop: AtomicBool::new(false),
        lull: AtomicBool::new(false),
    });
    let all: Mutex<Vec<Member>> = Mutex::new(Vec::new());
    let scope = Scope::new("storm", ScopeOptions::default());
    thread::scope(|threads| {
        for _ in 0..THREADS {
            scope.begin();
            threads.spawn(|| {
                (0..ACTIONS).for_each(|_| act(&weather, &executor, &all));
                scope.end();
            });
        }
        scope.wait_idle(Deadline::NEVER).unwrap();
    });
    let all = all.into_inner().unwrap();
    if draws.below(3) == 0 {
        // Stopped with everything in flight: nothing that was dropped had been let go before.
        tally.count(|tally| &tally.stopped_in_flight);
        drop(executor);
        all.iter().for_each(|one| one.watch.check());
        return;
    }
    end(&weather, executor, all);
}

/// Lets everything end, and looks at how it did.
fn end(weather: &Weather, executor: Executor, all: Vec<Member>) {
    weather.stop.store(true, Ordering::Relaxed);
    for one in &all {
        while one.wakes_left.load(Ordering::Relaxed) > 0 {
            one.wake(&executor, &weather.tally);
        }
        executor.schedule(&one.process);
    }
    for Member { process, watch, .. } in &all {
        watch.wait_until(&format!("ended: {process:?} {executor:?}"), Watch::is_released);
    }
    drop(executor);
    // By now nothing comes late: each was told once, and released once.
    for Member { watch, .. } in &all {
        assert_eq!(watch.released.load(Ordering::Acquire), 1);
        weather.tally.count(match watch.outcome().map_err(|status| status.code()) {
            Ok(()) => |tally| &tally.finished,
            Err(Code::Cancelled) => |tally| &tally.cancelled,
            Err(_) => |tally| &tally.failed,
        });
    }
    let gone: Vec<Weak<Process>> = all.iter().map(|one| Arc::downgrade(&one.process)).collect();
    drop(all);
    assert!(gone.iter().all(|process| process.strong_count() == 0), "somebody holds on to a process");
}

#[test]
fn the_executor_stands_the_storm() {
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos() as u64);
    println!("seed {seed}");
    let (draws, tally) = (Arc::new(Draws(AtomicU64::new(seed))), Arc::new(Tally::default()));
    let start = Instant::now();
    while start.elapsed() < storm_time() {
        round(&draws, &tally);
        tally.count(|tally| &tally.rounds);
    }
    println!("{tally:?}");
    tally.check();
}
