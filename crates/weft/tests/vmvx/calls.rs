//! What kernels see of a dispatch, and what becomes of kernels that misbehave.

use std::sync::Arc;

use weft::Code;
use weft::vm::module_builder::ModuleBuilder;

use crate::harness::*;

/// Puts binding 0 in `%r3` and makes `%i20:21` 0.
const BINDING_0: &str = "%i22 = vm.const.i32.zero
    %i20:21 = vm.const.i64.zero
    %r3 = vm.list.get.ref %r2, %i22 : !vm.buffer\n";

/// [exec 57, 60] The nine integers are ids, sizes and counts; each workgroup runs once, x fastest.
#[test]
fn kernels_get_ids_sizes_and_counts() {
    // out[0] counts workgroups; each writes its nine integers at 9 * that + 1.
    let mut text = BINDING_0.to_owned()
        + "%i24 = vm.buffer.load.i32 %r3, %i20:21
           %i25 = vm.const.i32 1
           %i26 = vm.add.i32 %i24, %i25
           vm.buffer.store.i32 %i26, %r3, %i20:21
           %i27 = vm.const.i32 9
           %i27 = vm.mul.i32 %i24, %i27
           %i27 = vm.add.i32 %i27, %i25
           %i28:29 = vm.ext.i32.i64.u %i27
           %i30:31 = vm.const.i64 1\n";
    for register in 0..9 {
        text += &format!(
            "vm.buffer.store.i32 %i{register}, %r3, %i28:29\n%i28:29 = vm.add.i64 %i28:29, %i30:31\n"
        );
    }
    let executable = load_built(kernel(1, 0, &(text + "vm.return")));
    let mut bindings = [Bytes::zeroed(4 * (1 + 9 * 12))];
    Run { size: [5, 0, 7], count: [2, 3, 2], ..Run::default() }.on(&executable, &mut bindings).unwrap();
    let words = bindings[0].u32s();
    assert_eq!(words[0], 12);
    for (index, found) in words[1..].as_chunks::<9>().0.iter().enumerate() {
        let index = index as u32;
        assert_eq!(*found, [index % 2, index / 2 % 3, index / 6, 5, 1, 7, 2, 3, 2]);
    }
}

/// [exec 46] Lengths are those of the bindings.
#[test]
fn bindings_and_constants_have_their_lengths() {
    let text = BINDING_0.to_owned()
        + "%i24:25 = vm.buffer.length %r3
           %i26 = vm.const.i32 1
           %r4 = vm.list.get.ref %r2, %i26 : !vm.buffer
           %i28:29 = vm.buffer.length %r4
           %i30:31 = vm.buffer.length %r1
           vm.buffer.store.i64 %i24:25, %r3, %i20:21
           %i32:33 = vm.const.i64 1
           vm.buffer.store.i64 %i28:29, %r3, %i32:33
           %i32:33 = vm.const.i64 2
           vm.buffer.store.i64 %i30:31, %r3, %i32:33
           %i32:33 = vm.const.i64 3
           %i34 = vm.list.size %r2
           vm.buffer.store.i32 %i34, %r3, %i32:33
           vm.return";
    let executable = load_built(kernel(2, 3, &text));
    let mut bindings = [Bytes::zeroed(24), Bytes::zeroed(0)];
    let run = Run { constants: &[1, 2, 3], ..Run::default() };
    run.on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[0].u32s(), [24, 0, 0, 2, 12, 0]);
}

/// [exec 46] A kernel cannot leave its bindings, nor write its constants. The failure is that of the dispatch, and
/// names the export.
#[test]
fn wrong_accesses_fail_the_dispatch() {
    let code = |text: &str, expected: Code| {
        let executable = load_built(kernel(1, 1, &(BINDING_0.to_owned() + text + "\nvm.return")));
        let mut bindings = [Bytes::of_u32(&[1, 2])];
        let status = Run { constants: &[5], count: [4, 1, 1], ..Run::default() }
            .on(&executable, &mut bindings)
            .unwrap_err();
        assert_eq!(status.code(), expected, "{status}");
        assert!(status.to_string().contains("running kernel `run` (export 0)"), "{status}");
        assert_eq!(bindings[0].u32s(), [1, 2]);
    };
    let at = |index: u64| format!("%i24:25 = vm.const.i64 {index}\n");
    for index in [2, 1 << 62, u64::MAX] {
        let at = at(index);
        code(&(at.clone() + "%i26 = vm.buffer.load.i32 %r3, %i24:25"), Code::OutOfRange);
        code(&(at + "vm.buffer.store.i32 %i0, %r3, %i24:25"), Code::OutOfRange);
    }
    code(&(at(1) + "%i26 = vm.buffer.load.i32 %r1, %i24:25"), Code::OutOfRange);
    code("vm.buffer.store.i32 %i0, %r1, %i20:21", Code::PermissionDenied);
    code(&(at(4) + "vm.buffer.fill.i8 %r1, %i20:21, %i24:25, %i0"), Code::PermissionDenied);
    // No local memory was asked for.
    code("vm.buffer.store.i32 %i0, %r0, %i20:21", Code::OutOfRange);
}

/// A failure of the kernel's own, with its message; workgroups after it do not start.
#[test]
fn kernels_fail_with_their_own_status() {
    let text = BINDING_0.to_owned()
        + "vm.buffer.store.i32 %i0, %r3, %i20:21
           %i24 = vm.const.i32 2
           %i25 = vm.cmp.eq.i32 %i0, %i24
           %i26 = vm.const.i32 8
           vm.cond_br %i25, ^bad(), ^good()
         ^bad:
           vm.fail %i26, \"two is too many\"
         ^good:
           vm.return";
    let executable = load_built(kernel(1, 0, &text));
    let mut bindings = [Bytes::zeroed(4)];
    let status = Run { count: [9, 2, 1], ..Run::default() }.on(&executable, &mut bindings).unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("two is too many"), "{status}");
    assert_eq!(bindings[0].u32s(), [2]);
    // The executable is as good as before.
    Run { count: [2, 1, 1], ..Run::default() }.on(&executable, &mut bindings).unwrap();
}

/// [exec 47] Local memory has at least the bytes that were asked for, all of them usable.
#[test]
fn local_memory_has_what_was_asked_for() {
    let text = BINDING_0.to_owned()
        + "%i24:25 = vm.buffer.length %r0
           vm.buffer.store.i64 %i24:25, %r3, %i20:21
           %i26 = vm.const.i32 7
           vm.buffer.fill.i8 %r0, %i20:21, %i24:25, %i26
           %i28:29 = vm.const.i64 4999
           %i27 = vm.buffer.load.i8.u %r0, %i28:29
           %i28:29 = vm.const.i64 2
           vm.buffer.store.i32 %i27, %r3, %i28:29
           vm.return";
    let executable = load_built(kernel(1, 0, &text).function_attribute("local_memory", "5000"));
    for (more, expected) in [(0, 8192), (100, 8292)] {
        let mut bindings = [Bytes::zeroed(12)];
        Run { local_memory_bytes: more, ..Run::default() }.on(&executable, &mut bindings).unwrap();
        assert_eq!(bindings[0].u32s(), [expected, 0, 7]);
    }
}

/// [exec 51] What is lent for a call cannot be kept: the call fails, and what was kept is empty.
#[test]
fn kernels_that_keep_references_fail() {
    let keeper = |kept: &str| {
        let text = BINDING_0.to_owned()
            + "%r4 = vm.global.load.ref .refs[0] : !vm.buffer
               %i24 = vm.cmp.nz.ref %r4
               vm.cond_br %i24, ^again(), ^first()
             ^again:
               %i28:29 = vm.const.i64 1
               vm.buffer.store.i32 %i24, %r3, %i28:29
               vm.return
             ^first:\n"
            + kept
            + "\nvm.buffer.store.i32 %i0, %r3, %i20:21
               vm.return";
        load_built(kernel(1, 1, &text).global_refs(2))
    };
    let spared = |text: &str| format!("{text} : !vm.buffer");
    for kept in [
        spared("vm.global.store.ref %r3, .refs[0]"),
        spared("vm.global.store.ref %r0, .refs[0]"),
        spared("vm.global.store.ref %r1, .refs[0]"),
        "vm.global.store.ref %r2, .refs[1] : !vm.list<!vm.buffer>".to_owned(),
    ] {
        let executable = keeper(&kept);
        for _ in 0..3 {
            let mut bindings = [Bytes::of_u32(&[9, 9])];
            let status =
                Run { constants: &[0], ..Run::default() }.on(&executable, &mut bindings).unwrap_err();
            assert_eq!(status.code(), Code::Internal, "{kept}: {status}");
            assert!(status.message().contains("kept a reference"), "{status}");
            // Each time a context that has kept nothing yet: one that has is not used again.
            assert_eq!(bindings[0].u32s(), [0, 9], "{kept}");
        }
    }
}

/// What a context has kept is empty when its last function runs.
#[test]
fn what_was_kept_has_no_bytes() {
    let text = BINDING_0.to_owned()
        + "vm.global.store.ref %r3, .refs[0] : !vm.buffer
           vm.return";
    let module = kernel(1, 0, &text).global_refs(1).function(
        "__deinit",
        "0v_v",
        "%r0 = vm.global.load.ref .refs[0] : !vm.buffer
         %i0:1 = vm.const.i64.zero
         %i2 = vm.const.i32 1
         vm.buffer.store.i32 %i2, %r0, %i0:1
         vm.return",
    );
    let executable = load_built(module);
    let mut bindings = [Bytes::of_u32(&[9])];
    Run::default().on(&executable, &mut bindings).unwrap_err();
    drop(executable);
    assert_eq!(bindings[0].u32s(), [9]);
}

/// A kernel may do with the list of its bindings what it likes: the next workgroup finds it whole.
#[test]
fn the_list_of_bindings_is_put_right() {
    let store = "vm.buffer.store.i32 %i24, %r3, %i26:27\n";
    let spoil = [
        "%i25 = vm.const.i32 1
         %r4 = vm.list.get.ref %r2, %i25 : !vm.buffer
         vm.list.set.ref %r2, %i22, %r4
         vm.list.set.ref %r2, %i25, %r3",
        "vm.list.resize %r2, %i22",
        "%r4 = vm.const.ref.zero\n vm.list.set.ref %r2, %i22, %r4",
        "%R4 = vm.list.get.ref %r2, %i22 : !vm.buffer",
    ];
    for spoil in spoil {
        let text = BINDING_0.to_owned()
            + "%i24 = vm.const.i32 1\n%i26:27 = vm.ext.i32.i64.u %i0\n"
            + store
            + spoil
            + "\nvm.return";
        let executable = load_built(kernel(2, 0, &text));
        let mut bindings = [Bytes::zeroed(16), Bytes::zeroed(16)];
        Run { count: [4, 1, 1], ..Run::default() }.on(&executable, &mut bindings).unwrap();
        assert_eq!((bindings[0].u32s(), bindings[1].u32s()), (vec![1; 4], vec![0; 4]), "{spoil}");
    }
}

/// Nobody can wait for a kernel.
#[test]
fn kernels_that_suspend_fail() {
    let executable = load_built(kernel(0, 0, "vm.yield ^on()\n^on:\nvm.return"));
    for _ in 0..2 {
        let status = Run::default().on(&executable, &mut []).unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    }
}

/// State that a kernel counts in: without exclusion between workgroups on different threads it would be wrong.
fn meeting_kernel() -> ModuleBuilder {
    // out[id] = 1, then wait until all of constant 0 are 1. The store of the global has the context alone.
    let text = BINDING_0.to_owned()
        + "%i23 = vm.const.i32 1
           %i30 = vm.global.load.i32 .rwdata[0]
           %i30 = vm.add.i32 %i30, %i23
           vm.global.store.i32 %i30, .rwdata[0]
           %i24 = vm.buffer.load.i32 %r1, %i20:21
           %i34:35 = vm.const.i64 1
           %i36 = vm.buffer.load.i32 %r1, %i34:35
           %i26:27 = vm.ext.i32.i64.u %i36
           vm.buffer.store.i32 %i23, %r3, %i26:27
           vm.br ^wait()
         ^wait:
           %i28 = vm.const.i32.zero
           vm.br ^look()
         ^look:
           %i32 = vm.cmp.lt.i32.u %i28, %i24
           vm.cond_br %i32, ^more(), ^done()
         ^more:
           %i26:27 = vm.ext.i32.i64.u %i28
           %i33 = vm.buffer.load.i32 %r3, %i26:27
           %i28 = vm.add.i32 %i28, %i23
           vm.cond_br %i33, ^look(), ^wait()
         ^done:
           vm.return";
    kernel(1, 2, &text).global_bytes(4)
}

/// [exec 45] Workgroups that run at the same time each have a context: these wait for each other inside of one that
/// they have alone.
#[test]
fn concurrent_workgroups_have_contexts_of_their_own() {
    const THREADS: u32 = 4;
    let executable = Arc::new(load_built(meeting_kernel()));
    for _round in 0..50 {
        let meeting = Arc::new(Shared::new(THREADS as usize));
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (executable, meeting) = (executable.clone(), meeting.clone());
                scope.spawn(move || meeting.run(&executable, &[THREADS, thread]).unwrap());
            }
        });
        assert!(meeting.all_are_one());
    }
}
