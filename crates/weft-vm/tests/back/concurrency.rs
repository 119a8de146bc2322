//! Contexts shared between threads.

use std::sync::{Arc, Barrier};

use crate::support::*;
use weft_sync::{CancelToken, Code};
use weft_vm::native::NativeModule;
use weft_vm::{Buffer, InvokeOptions, Ref, Value};

/// [vm 93] Functions that only read run side by side: all threads are inside at once.
#[test]
fn readers_run_side_by_side() {
    const THREADS: usize = 4;
    let barrier = Arc::new(Barrier::new(THREADS));
    let meeting = barrier.clone();
    let module = NativeModule::builder("host", 0, |_| Ok(()))
        .export("meet", move |_: &(), (): ()| {
            meeting.wait();
            Ok(())
        })
        .build()
        .expect("built");
    let live = Live::default();
    let builder = crate::support::module()
        .import("host.meet", "0v_v")
        .global_refs(1)
        .function("set", "0r_v", "vm.global.store.ref %r0, .refs[0] : !test.token \n vm.return")
        .function(
            "get",
            "0v_r",
            "%r0 = vm.global.load.ref .refs[0] : !test.token \n vm.call @host.meet() \n vm.return %R0",
        );
    let context = context_of(vec![module.into()], builder);
    let token = live.token();
    context.function("m.set").expect("set").call(&[r(&token)]).expect("stored");
    let get = context.function("m.get").expect("get");
    assert!(!get.is_exclusive());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!(get.call(&[]).expect("loaded"), [r(&token)]);
                }
            });
        }
    });
    assert_eq!(token.count(), 2);
}

/// Functions that store have the context alone: no update is lost.
#[test]
fn writers_exclude_each_other() {
    let text = "
        %i0 = vm.global.load.i32 .rwdata[0]
        %i1 = vm.const.i32 1
        %i2 = vm.call @m.add(%i0, %i1)
        vm.global.store.i32 %i2, .rwdata[0]
        vm.return %i2";
    let context = context(
        module()
            .global_bytes(4)
            .internal_function("add", "0ii_i", "%i0 = vm.add.i32 %i0, %i1 \n vm.return %i0")
            .internal_function("bump", "0v_i", text)
            .function("outer", "0v_i", "%i0 = vm.call @m.bump() \n vm.return %i0")
            .function("read", "0v_i", "%i0 = vm.global.load.i32 .rwdata[0] \n vm.return %i0"),
    );
    let (outer, read) =
        (context.function("m.outer").expect("outer"), context.function("m.read").expect("read"));
    assert!(outer.is_exclusive(), "stores count through calls");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = -1;
                for _ in 0..500 {
                    outer.call(&[]).expect("bumped");
                    let [Value::I32(seen)] = read.call(&[]).expect("read")[..] else { panic!("one number") };
                    assert!(seen > last);
                    last = seen;
                }
            });
        }
    });
    assert_eq!(read.call(&[]).expect("read"), [i(2000)]);
}

/// [vm 93] References passed between threads through a program: the counts come out even.
#[test]
fn counts_survive_contention() {
    let text = "
        %i1 = vm.const.i32 1
        vm.br ^again()
      ^again:
        %r1 = vm.assign.ref %r0
        %r2 = vm.call @m.pass(%R1)
        %i0 = vm.sub.i32 %i0, %i1
        vm.cond_br %i0, ^again(), ^out()
      ^out:
        vm.return %R2";
    let context =
        context(module().internal_function("pass", "0r_r", "vm.return %R0").function("f", "0ir_r", text));
    let function = context.function("m.f").expect("f");
    let live = Live::default();
    let token = live.token();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(function.call(&[i(2000), r(&token)]).expect("run"), [r(&token)]));
        }
    });
    assert_eq!(token.count(), 1);
}

/// Buffers may be written by several threads: no access is torn below the element, none is undefined.
#[test]
fn buffers_are_shared() {
    let text = "
        %i10 = vm.const.i32 1
        %i4:5 = vm.const.i64 3
        vm.br ^again()
      ^again:
        vm.buffer.store.i64 %i2:3, %r0, %i4:5
        %i6:7 = vm.buffer.load.i64 %r0, %i4:5
        %i8:9 = vm.buffer.hash %r0, %i4:5, %i4:5
        vm.buffer.copy %r0, %i4:5, %r0, %i8:9, %i4:5
        %i0 = vm.sub.i32 %i0, %i10
        vm.cond_br %i0, ^again(), ^out()
      ^out:
        vm.return %i6:7"
        .replace("vm.buffer.copy %r0, %i4:5, %r0, %i8:9, %i4:5", "vm.buffer.fill.i8 %r0, %i4:5, %i4:5, %i0");
    let function = function("0iIr_I", &text);
    let buffer = Ref::new(Arc::new(Buffer::allocate(64, 0).expect("allocated")));
    std::thread::scope(|scope| {
        for value in [0x0101_0101_0101_0101, -1_i64] {
            let (function, buffer) = (&function, &buffer);
            scope.spawn(move || {
                let seen = function.call(&[i(5000), l(value), r(buffer)]).expect("run");
                let [Value::I64(seen)] = seen[..] else { panic!("one number") };
                assert!(seen == 0x0101_0101_0101_0101 || seen == -1, "{seen:x} is one of the two");
            });
        }
    });
}

/// Several contexts of one module, each on a thread of its own.
#[test]
fn contexts_are_independent() {
    let instance = instance();
    let text = "
        %i1 = vm.global.load.i32 .rwdata[0]
        %i1 = vm.add.i32 %i1, %i0
        vm.global.store.i32 %i1, .rwdata[0]
        vm.return %i1";
    let module = load(&instance, module().global_bytes(4).function("add", "0i_i", text));
    std::thread::scope(|scope| {
        for step in 1..=4 {
            let (instance, module) = (&instance, &module);
            scope.spawn(move || {
                let context = weft_vm::Context::new(instance, vec![module.clone()]).expect("made");
                let add = context.function("m.add").expect("add");
                for round in 1..=300 {
                    assert_eq!(add.call(&[i(step)]).expect("added"), [i(step * round)]);
                }
            });
        }
    });
}

/// Whoever waits for the globals is cancelled at once, whether it would store or not, and however many wait; whoever has
/// them, and who waits without a token, goes on.
#[test]
fn waiting_for_globals_is_cancelled() {
    let (inside, leave) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (theirs_inside, theirs_leave) = (inside.clone(), leave.clone());
    let host = NativeModule::builder("host", 0, |_| Ok(()))
        .export("stay", move |_: &(), (): ()| {
            theirs_inside.wait();
            theirs_leave.wait();
            Ok(())
        })
        .build()
        .expect("built");
    let set = "vm.call @host.stay() \n vm.global.store.i32 %i0, .rwdata[0] \n vm.return";
    let builder = crate::support::module()
        .import("host.stay", "0v_v")
        .global_bytes(4)
        .function("set", "0i_v", set)
        .function(
            "add",
            "0v_i",
            "%i0 = vm.global.load.i32 .rwdata[0] \n vm.global.store.i32 %i0, .rwdata[0] \n vm.return %i0",
        )
        .function("get", "0v_i", "%i0 = vm.global.load.i32 .rwdata[0] \n vm.return %i0");
    let context = context_of(vec![host.into()], builder);
    let [set, add, get] = ["m.set", "m.add", "m.get"].map(|name| context.function(name).expect(name));
    assert!(set.is_exclusive() && add.is_exclusive() && !get.is_exclusive());
    for round in 0..40 {
        let token = CancelToken::new();
        let options = InvokeOptions { cancel: Some(token.clone()), budget: None };
        std::thread::scope(|scope| {
            let holder = scope.spawn(|| set.call(&[Value::I32(round)]));
            inside.wait();
            let waiters = [&get, &add, &get].map(|function| {
                let options = &options;
                scope.spawn(move || function.invoke_with(options, &[], &mut Vec::new()))
            });
            let patient = [&get, &add].map(|function| scope.spawn(move || function.call(&[])));
            // Some rounds find them asleep, others on their way.
            std::thread::sleep(std::time::Duration::from_millis(if round % 8 == 0 { 20 } else { 0 }));
            token.cancel();
            for waiter in waiters {
                let status = waiter.join().expect("no panic").expect_err("nobody let it in");
                assert_eq!(status.code(), Code::Cancelled, "{status}");
            }
            assert!(patient.iter().all(|call| !call.is_finished()), "the globals are not theirs yet");
            leave.wait();
            holder.join().expect("no panic").expect("stored");
            for call in patient {
                assert_eq!(call.join().expect("no panic").expect("let in"), [Value::I32(round)]);
            }
        });
        // A refused thread is not inside.
        assert_eq!(get.call(&[]).expect("loaded"), [Value::I32(round)]);
    }
}
