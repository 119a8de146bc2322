//! Processes that are used again: one life after the other, and nobody of one life in the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::sync::atomic::AtomicU32;
use loom::thread;
use weft_sync::Result;
use weft_task::model::World;
use weft_task::{Drained, Process, ProcessOptions, Work, WorkerContext};

use crate::wide_model;

/// One life of a process: what there is to do, and what became of it.
struct Life {
    /// 1 while it lives. Relaxed throughout: without an edge from the renewal the model also tries the old value.
    task: AtomicU32,
    done: AtomicU32,
    inside: AtomicU32,
    completed: AtomicU32,
    released: AtomicU32,
}

impl Life {
    fn new(task: u32) -> Arc<Life> {
        let [done, inside, completed, released] = [(); 4].map(|()| AtomicU32::new(0));
        Arc::new(Life { task: AtomicU32::new(task), done, inside, completed, released })
    }

    fn is_over(&self) -> bool {
        self.released.load(Ordering::Relaxed) > 0
    }
}

/// The work of the process: its present life.
struct Lives(Arc<Life>);

impl Work for Lives {
    fn drain(&self, _: &WorkerContext<'_>) -> Drained {
        let life = &*self.0;
        assert!(!life.is_over(), "drained after its release");
        life.inside.fetch_add(1, Ordering::Relaxed);
        assert_eq!(life.task.load(Ordering::Relaxed), 1, "drained without having seen the renewal");
        let drained = match life.done.fetch_add(1, Ordering::Relaxed) {
            0 => Drained::Finished,
            _ => Drained::Nothing,
        };
        life.inside.fetch_sub(1, Ordering::Relaxed);
        drained
    }

    fn completed(&self, _: Result<()>) {
        assert_eq!(self.0.completed.fetch_add(1, Ordering::Relaxed), 0, "completed twice");
    }

    fn released(&self) {
        let life = &*self.0;
        assert_eq!(life.inside.load(Ordering::Relaxed), 0, "released while somebody is inside");
        assert_eq!(life.completed.load(Ordering::Relaxed), 1, "released before it was completed");
        assert_eq!(life.released.fetch_add(1, Ordering::Relaxed), 0, "released twice");
        life.task.store(2, Ordering::Relaxed);
    }
}

/// Three lives of one process under two workers, of which one may be late at any point: `renew` says whether that one
/// still holds it, and if not, it never touches the next life.
fn lives(options: fn() -> ProcessOptions) {
    wide_model(move || {
        let world = World::new(2, 0);
        let mut life = Life::new(1);
        let mut process = Process::new(Lives(Arc::clone(&life)), options());
        world.schedule(&process);
        let late = {
            let world = world.clone();
            thread::spawn(move || world.pass(1))
        };
        world.pass(0);
        let mut lives = 1;
        while lives < 2 && life.is_over() {
            let Some(work) = process.renew::<Lives>() else { break };
            life = Life::new(0);
            // As an execution is filled in before it is scheduled.
            life.task.store(1, Ordering::Relaxed);
            work.0 = Arc::clone(&life);
            lives += 1;
            world.schedule(&process);
            world.pass(0);
        }
        late.join().unwrap();
        world.pass(0);
        assert!(life.is_over());
        assert!(!world.is_occupied());
        assert!(process.renew::<Lives>().is_some(), "nobody holds it any more");
    });
}

/// [hal 157] [hal 158]
#[test]
fn a_compute_process_is_used_again() {
    lives(|| ProcessOptions { compute_slot: true, ..ProcessOptions::default() });
}

/// [hal 158]
#[test]
fn an_immediate_process_is_used_again() {
    lives(ProcessOptions::default);
}
