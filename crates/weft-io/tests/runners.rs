//! Threads that poll, and pools of them.

mod support;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, Weak, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use support::{after_ms, soon};
use weft_io::ops::{Nop, Timer};
use weft_io::{
    ANY_NODE, BACKEND_VARIABLE, Config, Node, Operation, Proactor, ProactorPool, ProactorPoolOptions, Runner,
    RunnerOptions, VisitedPoller, open,
};
use weft_sync::{Code, Deadline, Result, status};

/// Calls `body` with each backend of this machine, by name.
fn each_backend(body: impl Fn(&'static str)) {
    for name in ["uring", "null"] {
        match open(name, &Config::new()) {
            Ok(_) => body(name),
            Err(why) => eprintln!("skipped: {name}: {why}"),
        }
    }
}

fn proactor(name: &str) -> Proactor {
    open(name, &Config { name: "weft-test".to_owned(), ..Config::new() }).unwrap()
}

fn runner(name: &str) -> Runner {
    Runner::start(proactor(name), RunnerOptions::new()).unwrap()
}

/// Ends when a NOP went through the thread.
fn ping(runner: &Runner) -> std::thread::Thread {
    let (sender, receiver) = mpsc::channel();
    let nop = Operation::new(Nop).on_done(move |done| {
        done.result.unwrap();
        sender.send(std::thread::current()).unwrap();
    });
    runner.handle().submit(nop).unwrap();
    receiver.recv_timeout(Duration::from_secs(10)).expect("a callback in ten seconds")
}

/// [async 246] [async-backends 10] [async-backends 11] [async-backends 235] Callbacks run on the thread, which has the
/// proactor's name; what was submitted before it was there, too. What others have of a proactor outlives its thread.
#[test]
fn a_runner_runs_callbacks() {
    each_backend(|name| {
        let proactor = proactor(name);
        let (sender, receiver) = mpsc::channel();
        let early = Operation::new(Nop).on_done(move |_| sender.send(()).unwrap());
        proactor.handle().submit(early).unwrap();
        let runner = Runner::start(proactor, RunnerOptions::new()).unwrap();
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        let thread = ping(&runner);
        assert_ne!(thread.id(), std::thread::current().id());
        assert_eq!(thread.name(), Some("weft-test"));
        assert!(!runner.is_stopped() && runner.consume_status().is_none());
        let other = runner.handle().clone();
        drop(runner);
        assert_eq!(other.submit(Nop).unwrap_err().why.code(), Code::Aborted);
    });
}

/// [async 246] A stop is asked any number of times, from callbacks too; it can be waited for again and again.
#[test]
fn a_runner_stops_and_is_joined() {
    each_backend(|name| {
        let runner = Arc::new(runner(name));
        let start = std::time::Instant::now();
        assert_eq!(runner.join(Deadline::IMMEDIATE).unwrap_err().code(), Code::DeadlineExceeded);
        assert_eq!(runner.join(after_ms(5)).unwrap_err().code(), Code::DeadlineExceeded);
        assert!(start.elapsed() >= Duration::from_millis(5));
        let (sender, receiver) = mpsc::channel();
        let inside = Arc::clone(&runner);
        let stop = Operation::new(Nop).on_done(move |_| {
            sender.send(inside.join(Deadline::NEVER).unwrap_err().code()).unwrap();
            inside.request_stop();
        });
        runner.handle().submit(stop).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)).unwrap(), Code::FailedPrecondition);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    runner.request_stop();
                    runner.join(soon()).unwrap();
                });
            }
        });
        runner.join(Deadline::IMMEDIATE).unwrap();
        runner.request_stop();
        assert!(runner.is_stopped() && runner.consume_status().is_none(), "it was asked");
    });
}

/// [async 246] What is under way when the thread stops stays so: it ends when somebody polls again.
#[test]
fn a_stop_leaves_what_is_under_way() {
    each_backend(|name| {
        let runner = runner(name);
        let (sender, receiver) = mpsc::channel();
        let timer = |deadline| {
            let sender = sender.clone();
            Operation::new(Timer { deadline }).on_done(move |done| sender.send(done.result).unwrap())
        };
        let handle = runner.handle();
        let never = handle.submit(timer(Deadline::NEVER)).unwrap();
        let past = Deadline::after(Duration::from_millis(10));
        handle.submit(timer(past)).unwrap();
        ping(&runner);
        runner.request_stop();
        runner.join(soon()).unwrap();
        let after_stop = handle.submit(timer(Deadline::IMMEDIATE)).unwrap();
        std::thread::sleep(Duration::from_millis(15));
        let before = receiver.try_iter().count();
        assert!(before <= 1, "one of them may have been in time");
        // A visitor polls.
        let under_way = runner.visit(|poller| poller.under_way()).unwrap();
        assert_eq!(under_way, 2 - before);
        let mut count = before;
        while count < 2 {
            runner.visit(|poller| drop(poller.poll(Deadline::IMMEDIATE))).unwrap();
            count += receiver.try_iter().inspect(|result| assert!(result.is_ok())).count();
        }
        assert!(runner.is_stopped());
        handle.cancel(after_stop).unwrap();
        // And the thread itself, when it goes on.
        runner.resume().unwrap();
        assert_eq!(runner.resume().unwrap_err().code(), Code::FailedPrecondition);
        ping(&runner);
        handle.cancel(never).unwrap();
        let result = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(result.unwrap_err().code(), Code::Cancelled);
        // What is left at the end is called back.
        handle.submit(timer(Deadline::NEVER)).unwrap();
        runner.request_stop();
        drop(runner);
        assert_eq!(receiver.try_recv().unwrap().unwrap_err().code(), Code::Cancelled);
    });
}

/// [async 246] What stops the thread is told once, and kept for one who asks; the thread can go on.
#[test]
fn an_error_is_told_once_and_kept_once() {
    each_backend(|name| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let on_error = Box::new(move |why: weft_sync::Status| tell.lock().unwrap().push(why.code()));
        let options = RunnerOptions { on_error: Some(on_error), ..RunnerOptions::new() };
        let runner = Runner::start(proactor(name), options).unwrap();
        for _ in 0..2 {
            let bad = Operation::new(Nop).on_done(|_| panic!("on purpose"));
            runner.handle().submit(bad).unwrap();
            runner.join(soon()).unwrap();
            assert_eq!(runner.consume_status().unwrap().code(), Code::Internal);
            assert!(runner.consume_status().is_none());
            runner.resume().unwrap();
            ping(&runner);
        }
        assert_eq!(*told.lock().unwrap(), [Code::Internal]);
    });
}

/// [async 246] Polls that find nothing in time are polls; the preparation is done on the thread; visits come in between.
#[test]
fn a_runner_is_prepared_and_visited() {
    each_backend(|name| {
        let (sender, inbox) = mpsc::channel();
        let prepare = move |poller: &mut VisitedPoller<'_>| {
            poller.on_message(move |payload| sender.send(payload).unwrap());
            Ok(())
        };
        let options = RunnerOptions {
            poll_limit: Some(Duration::from_millis(1)),
            name: "another".to_owned(),
            prepare: Some(Box::new(prepare)),
            ..RunnerOptions::new()
        };
        let runner = Arc::new(Runner::start(proactor(name), options).unwrap());
        assert_eq!(ping(&runner).name(), Some("another"));
        std::thread::sleep(Duration::from_millis(5));
        assert!(!runner.is_stopped());
        runner.handle().send_message(3).unwrap();
        assert_eq!(inbox.recv_timeout(Duration::from_secs(10)).unwrap(), 3);
        let (thread, count) = runner
            .visit(|poller| {
                poller.on_message(|_| {});
                (std::thread::current().id(), poller.under_way())
            })
            .unwrap();
        assert_eq!((thread, count), (ping(&runner).id(), 0));
        assert_eq!(runner.visit(|_| panic!("on purpose")).unwrap_err().code(), Code::Internal);
        let inside = Arc::clone(&runner);
        let refused = runner.visit(move |_| inside.visit(|_| ()).unwrap_err().code()).unwrap();
        assert_eq!(refused, Code::FailedPrecondition);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| runner.visit(|_| ()).unwrap()));
            }
        });
    });
}

/// The smallest executor: a thread that parks until it is woken.
fn park_on<F: Future + Send>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    let limit = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        assert!(std::time::Instant::now() < limit, "ready in ten seconds");
        std::thread::park_timeout(Duration::from_secs(10));
    }
}

/// [async 42] [async 246] Futures of other threads, each in an executor of its own, while a runner polls: they may be sent
/// there, and what they await outlives a stop.
#[test]
fn futures_are_awaited_beside_a_runner() {
    each_backend(|name| {
        let runner = runner(name);
        let count: usize = std::thread::scope(|scope| {
            let awaiting = |number: u64| {
                let handle = runner.handle();
                scope.spawn(move || {
                    park_on(async move {
                        let mut nop = Operation::new(Nop);
                        for _ in 0..100 {
                            let timer = handle.run(Timer { deadline: after_ms(number) });
                            nop = handle.run(nop).await.operation;
                            drop(timer);
                        }
                        handle.run(nop).await.result.map_or(0, |()| 1)
                    })
                })
            };
            let threads: Vec<_> = (1..=4).map(awaiting).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(count, 4);
        let timer = runner.handle().run(Timer { deadline: after_ms(5) });
        runner.request_stop();
        runner.join(soon()).unwrap();
        runner.resume().unwrap();
        park_on(timer).result.unwrap();
        let never = runner.handle().run(Timer { deadline: Deadline::NEVER });
        never.cancel();
        assert_eq!(park_on(never).result.unwrap_err().code(), Code::Cancelled);
    });
}

/// Two hundred runners and pools later there are as many descriptors open as before.
#[cfg(target_os = "linux")]
#[test]
fn runners_leave_no_descriptors() {
    let open_now = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Other tests of this file have some open meanwhile, too.
    let limit = open_now() + 150;
    for _ in 0..100 {
        each_backend(|name| {
            ping(&runner(name));
            ping(&pool_of(name, vec![node(0), node(1)]).get(1).unwrap());
        });
    }
    assert!(open_now() < limit, "{} descriptors", open_now());
}

/// A start that fails says why, and leaves no thread.
#[test]
fn a_start_that_fails_leaves_nothing() {
    each_backend(|name| {
        let (sender, receiver) = mpsc::channel();
        let failing = proactor(name);
        let nop = Operation::new(Nop).on_done(move |done| sender.send(done.result).unwrap());
        failing.handle().submit(nop).unwrap();
        let prepare = |_: &mut VisitedPoller<'_>| Err(status!(DataLoss, "no"));
        let options = RunnerOptions { prepare: Some(Box::new(prepare)), ..RunnerOptions::new() };
        assert_eq!(Runner::start(failing, options).unwrap_err().code(), Code::DataLoss);
        assert_eq!(receiver.try_recv().unwrap().unwrap_err().code(), Code::Cancelled);
        let options = RunnerOptions { processors: vec![u32::MAX], ..RunnerOptions::new() };
        let why = Runner::start(proactor(name), options).unwrap_err();
        assert!(matches!(why.code(), Code::InvalidArgument | Code::Unavailable), "{why}");
        let prepare = |_: &mut VisitedPoller<'_>| panic!("on purpose");
        let options = RunnerOptions { prepare: Some(Box::new(prepare)), ..RunnerOptions::new() };
        assert_eq!(Runner::start(proactor(name), options).unwrap_err().code(), Code::Internal);
    });
}

/// A thread that is kept to a processor is kept to it.
#[cfg(target_os = "linux")]
#[test]
fn a_runner_stays_on_its_processors() {
    // The last one that this thread may use.
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let list = |status: &str| {
        let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    let last = list(&status).rsplit([',', '-']).next().unwrap().to_owned();
    let options = RunnerOptions { processors: vec![last.parse().unwrap()], ..RunnerOptions::new() };
    let runner = Runner::start(proactor("null"), options).unwrap();
    let seen = runner.visit(|_| std::fs::read_to_string("/proc/thread-self/status").unwrap()).unwrap();
    assert_eq!(list(&seen), last);
    let other = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    assert_eq!(list(&other), list(&status), "the others are where they were");
}

/// A runner that goes away in its own callback goes away.
#[test]
fn a_runner_is_dropped_by_its_own_callback() {
    each_backend(|name| {
        let runner = Arc::new(Mutex::new(Some(runner(name))));
        let (sender, receiver) = mpsc::channel();
        let own = Arc::clone(&runner);
        let handle = runner.lock().unwrap().as_ref().unwrap().handle().clone();
        let result = sender.clone();
        let timer = Operation::new(Timer { deadline: Deadline::NEVER });
        handle.submit(timer.on_done(move |done| result.send(done.result.is_err()).unwrap())).unwrap();
        handle
            .submit(Operation::new(Nop).on_done(move |_| {
                drop(own.lock().unwrap().take());
                sender.send(false).unwrap();
            }))
            .unwrap();
        assert!(!receiver.recv_timeout(Duration::from_secs(10)).unwrap());
        assert!(receiver.recv_timeout(Duration::from_secs(10)).unwrap(), "called back at the end");
    });
}

fn pool_of(backend: &str, nodes: Vec<Node>) -> ProactorPool {
    let config = Config { operations_max: 16, ring_entries: 4, name: "p".to_owned(), ..Config::new() };
    let backend = Some(backend.to_owned());
    ProactorPool::new(ProactorPoolOptions { backend, ..ProactorPoolOptions::new(config, nodes) }).unwrap()
}

fn node(id: u32) -> Node {
    Node { id, processors: Vec::new() }
}

/// [async 245] [async-backends 14] No nodes, one, several; made when asked for, the same every time; found by number, or
/// the first.
#[test]
fn a_pool_makes_what_is_asked_for() {
    let none = ProactorPoolOptions::new(Config::new(), Vec::new());
    assert_eq!(ProactorPool::new(none).unwrap_err().code(), Code::InvalidArgument);
    each_backend(|name| {
        let single = pool_of(name, vec![Node::any()]);
        assert_eq!((single.nodes()[0].id, single.made()), (ANY_NODE, 0));
        ping(&single.get_for_node(7).unwrap());
        drop(pool_of(name, vec![node(0), node(1)]));
        let pool = pool_of(name, vec![node(4), node(2), node(9)]);
        assert_eq!(pool.nodes().iter().map(|node| node.id).collect::<Vec<u32>>(), [4, 2, 9]);
        let nine = pool.get_for_node(9).unwrap();
        assert_eq!(pool.made(), 1);
        assert!(Arc::ptr_eq(&nine, &pool.get(2).unwrap()));
        assert_eq!(ping(&nine).name(), Some("p-pro-2"));
        let first = pool.get(0).unwrap();
        assert!(Arc::ptr_eq(&first, &pool.get_for_node(3).unwrap()), "no such node");
        assert!(!Arc::ptr_eq(&first, &nine));
        assert_eq!(pool.made(), 2);
        assert_eq!(pool.get(3).unwrap_err().code(), Code::OutOfRange);
        assert_eq!(pool.get(usize::MAX).unwrap_err().code(), Code::OutOfRange);
        let kinds: BTreeSet<&str> =
            (0..3).map(|index| pool.get(index).unwrap().handle().describe().backend).collect();
        assert_eq!(kinds, BTreeSet::from([name]));
    });
}

/// [async 245] Eight threads ask at once: one is made, and all have it.
#[test]
fn a_pool_makes_one_for_all_who_ask() {
    each_backend(|name| {
        let pool = pool_of(name, vec![node(0), node(1)]);
        let start = Barrier::new(8);
        let runners: Vec<Arc<Runner>> = std::thread::scope(|scope| {
            let ask = |_| {
                scope.spawn(|| {
                    start.wait();
                    pool.get(1).unwrap()
                })
            };
            let threads: Vec<_> = (0..8).map(ask).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(runners.iter().all(|runner| Arc::ptr_eq(runner, &runners[0])));
        assert_eq!(pool.made(), 1);
    });
}

/// [async 245] [async-backends 14] Twenty nodes shut down together; a proactor that somebody still has outlives its pool.
#[test]
fn a_pool_stops_all_and_joins_each() {
    each_backend(|name| {
        let stopped = Arc::new(AtomicUsize::new(0));
        let pool = pool_of(name, (0..20).map(node).collect());
        let mut handles = Vec::new();
        for index in 0..20 {
            let runner = pool.get(index).unwrap();
            let count = Arc::clone(&stopped);
            let ended = move |done: weft_io::Done<Timer>| {
                assert_eq!(done.result.unwrap_err().code(), Code::Cancelled);
                count.fetch_add(1, Ordering::Relaxed);
            };
            let timer = Operation::new(Timer { deadline: Deadline::NEVER }).on_done(ended);
            runner.handle().submit(timer).unwrap();
            handles.push(runner.handle().clone());
        }
        let kept = pool.get(3).unwrap();
        drop(pool);
        assert!(kept.is_stopped());
        assert_eq!(stopped.load(Ordering::Relaxed), 19);
        kept.resume().unwrap();
        ping(&kept);
        drop(kept);
        assert_eq!(stopped.load(Ordering::Relaxed), 20);
        assert!(handles.iter().all(|handle| handle.submit(Nop).is_err()));
    });
}

/// [async 245] The thread of each runs as the pool's owner wants it.
#[test]
fn a_pool_has_its_own_way_to_run() {
    let config = Config::new();
    let mut options = ProactorPoolOptions::new(config, vec![node(0), node(1)]);
    options.backend = Some("null".to_owned());
    options.runner = Some(Box::new(|index, options| RunnerOptions {
        name: format!("mine-{index}"),
        poll_limit: Some(Duration::from_millis(1)),
        ..options
    }));
    let pool = ProactorPool::new(options).unwrap();
    assert_eq!(ping(&pool.get(1).unwrap()).name(), Some("mine-1"));
    if std::env::var_os(BACKEND_VARIABLE).is_none() && open("uring", &Config::new()).is_ok() {
        let pool = ProactorPool::new(ProactorPoolOptions::new(Config::new(), vec![Node::any()])).unwrap();
        assert_eq!(pool.get(0).unwrap().handle().describe().backend, "uring");
    }
}

/// A pool of two null proactors, whose second is made by this: it gets the pool.
fn pool_with(
    second: impl Fn(Arc<ProactorPool>, RunnerOptions) -> RunnerOptions + Send + Sync + 'static,
) -> Arc<ProactorPool> {
    let options = ProactorPoolOptions::new(Config::new(), vec![node(0), node(1)]);
    Arc::new_cyclic(|pool: &Weak<ProactorPool>| {
        let pool = pool.clone();
        let runner = move |index, options| match index {
            1 => second(pool.upgrade().expect("it is asked"), options),
            _ => options,
        };
        let backend = Some("null".to_owned());
        ProactorPool::new(ProactorPoolOptions { backend, runner: Some(Box::new(runner)), ..options }).unwrap()
    })
}

/// The same, prepared by this.
fn pool_preparing(second: fn(&ProactorPool) -> Result<()>) -> Arc<ProactorPool> {
    pool_with(move |pool, options| RunnerOptions {
        // The pool is gone from there when the preparation is over: it is not dropped on a thread of its own.
        prepare: Some(Box::new(move |_| second(&pool))),
        ..options
    })
}

/// Whoever is called while a proactor of a pool is made may ask for another, whether that is there or not.
#[test]
fn a_pool_may_be_asked_for_another_while_one_is_made() {
    let ask = |pool: &ProactorPool| pool.get(0).map(|runner| _ = ping(&runner));
    for is_there in [false, true] {
        let by_factory = pool_with(move |pool, options| {
            ask(&pool).unwrap();
            options
        });
        for pool in [by_factory, pool_preparing(ask)] {
            if is_there {
                ping(&pool.get(0).unwrap());
            }
            ping(&pool.get(1).unwrap());
            assert_eq!(pool.made(), 2);
        }
    }
}

/// One that would wait for itself is told so, and leaves nothing behind.
#[test]
fn a_proactor_of_a_pool_does_not_wait_for_itself() {
    let pool = pool_preparing(|pool| pool.get(1).map(drop));
    for _ in 0..2 {
        assert_eq!(pool.get(1).unwrap_err().code(), Code::FailedPrecondition);
    }
    assert_eq!(pool.made(), 0);
    let by_factory = pool_with(|pool, options| {
        assert_eq!(pool.get(1).unwrap_err().code(), Code::FailedPrecondition);
        options
    });
    ping(&by_factory.get(1).unwrap());
    // Nor by way of the other.
    let options = ProactorPoolOptions::new(Config::new(), vec![node(0), node(1)]);
    let circle = Arc::new_cyclic(|pool: &Weak<ProactorPool>| {
        let pool = pool.clone();
        let runner = move |index: usize, options| {
            let pool = pool.upgrade().expect("it is asked");
            let prepare = move |_: &mut VisitedPoller<'_>| pool.get(1 - index).map(drop);
            RunnerOptions { prepare: Some(Box::new(prepare)), ..options }
        };
        let backend = Some("null".to_owned());
        ProactorPool::new(ProactorPoolOptions { backend, runner: Some(Box::new(runner)), ..options }).unwrap()
    });
    assert_eq!(circle.get(0).unwrap_err().code(), Code::FailedPrecondition);
    std::thread::scope(|scope| {
        for index in [0, 1] {
            let circle = &circle;
            scope.spawn(move || (0..20).for_each(|_| assert!(circle.get(index).is_err())));
        }
    });
    assert_eq!(circle.made(), 0);
}

/// A factory that panics costs the one who asked, and whoever asks next tries again.
#[test]
fn a_factory_that_panics_leaves_nothing_behind() {
    let calls = AtomicUsize::new(0);
    let pool = pool_with(move |_, options| {
        assert_ne!(calls.fetch_add(1, Ordering::Relaxed), 0, "on purpose");
        options
    });
    assert!(catch_unwind(AssertUnwindSafe(|| pool.get(1).map(drop))).is_err());
    ping(&pool.get(0).unwrap());
    ping(&pool.get(1).unwrap());
}
