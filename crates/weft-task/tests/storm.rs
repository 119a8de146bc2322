//! Everything at once: start, stop, cancel, schedule again, change budgets, lend, report.
//!
//! A few seconds in the normal suite; `cargo xtask storm [minutes]` sets `WEFT_STORM_SECONDS`.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use support::{Watch, small, watched};
use weft_sync::{Code, Deadline, Semaphore};
use weft_task::{Drained, Executor, ExecutorOptions, KeepWarm, Process, ProcessOptions, Scope, ScopeOptions};

fn storm_time() -> Duration {
    let asked = std::env::var("WEFT_STORM_SECONDS").ok().and_then(|text| text.parse().ok());
    let usual = if cfg!(debug_assertions) { 3 } else { 10 };
    Duration::from_secs(asked.unwrap_or(usual))
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

/// A process that does some drains of every kind, and ends at the latest when told.
fn restless(draws: &Arc<Draws>, stop: &Arc<AtomicBool>) -> (Arc<Process>, Arc<Watch>) {
    let (draw, stop) = (Arc::clone(draws), Arc::clone(stop));
    let options = ProcessOptions {
        compute_slot: draws.below(2) == 0,
        wake_budget: draws.below(4) as u32,
        ..ProcessOptions::default()
    };
    let left = AtomicU32::new(draws.below(40) as u32);
    watched(options, move |worker| {
        let over =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
        match draw.below(12) {
            _ if over || stop.load(Ordering::Relaxed) => Drained::Finished,
            0 => Drained::Nothing,
            1 => Drained::Again,
            3 => {
                let epoch = worker.process().retention_epoch();
                Drained::KeepWarm(KeepWarm { epoch, retainers_max: 2 })
            }
            4 => {
                worker.set_wake_budget(1 + draw.below(4) as u32);
                Drained::Worked
            }
            5 => {
                worker.schedule(worker.process());
                Drained::Nothing
            }
            6 => Drained::Failed(weft_sync::Status::new(Code::DataLoss, "in the storm")),
            _ => Drained::Worked,
        }
    })
}

fn round(draws: &Arc<Draws>) {
    let options = ExecutorOptions {
        workers: 1 + draws.below(4) as usize,
        guests_max: 2,
        spin: Duration::from_micros(draws.below(2) * 20),
        ..small()
    };
    let executor = Executor::new(&options).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let all: Mutex<Vec<(Arc<Process>, Arc<Watch>)>> = Mutex::new(Vec::new());
    let scope = Scope::new("storm", ScopeOptions::default());
    thread::scope(|threads| {
        for _ in 0..3 {
            scope.begin();
            threads.spawn(|| {
                for _ in 0..50 {
                    match draws.below(10) {
                        0..6 => {
                            let (process, watch) = restless(draws, &stop);
                            executor.schedule(&process);
                            all.lock().unwrap().push((process, watch));
                        }
                        6 => {
                            let any = Arc::new(Semaphore::new(0));
                            let deadline = Deadline::after(Duration::from_micros(draws.below(100)));
                            executor.wait(&any, 1, deadline).unwrap_err();
                        }
                        7 => drop(executor.report().to_string()),
                        kind => {
                            let all = all.lock().unwrap();
                            let Some((process, _)) = all.get(draws.below(all.len().max(1) as u64) as usize)
                            else {
                                continue;
                            };
                            if kind == 8 { executor.cancel(process) } else { executor.schedule(process) }
                        }
                    }
                }
                scope.end();
            });
        }
        scope.wait_idle(Deadline::NEVER).unwrap();
    });
    let all = all.into_inner().unwrap();
    if draws.below(3) == 0 {
        // Stopped with everything in flight.
        drop(executor);
        return;
    }
    stop.store(true, Ordering::Relaxed);
    for (process, _) in &all {
        executor.schedule(process);
    }
    for (process, watch) in &all {
        watch.wait_until(&format!("ended: {process:?} {executor:?}"), Watch::is_released);
        let _ = watch.outcome();
    }
    drop(executor);
    // The watches check the rest: once completed, once released, nobody inside. Here: nobody holds on to a process.
    assert!(all.iter().all(|(process, _)| Arc::strong_count(process) == 1));
}

#[test]
fn the_executor_stands_the_storm() {
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos() as u64);
    println!("seed {seed}");
    let draws = Arc::new(Draws(AtomicU64::new(seed)));
    let start = Instant::now();
    let mut rounds = 0_u32;
    while start.elapsed() < storm_time() {
        round(&draws);
        rounds += 1;
    }
    println!("{rounds} rounds");
}
