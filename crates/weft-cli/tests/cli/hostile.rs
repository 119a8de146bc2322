//! Whatever comes in, the program ends with an exit code and a line that says why: no panic, no signal, no hang.

use std::fs::{self, File, OpenOptions};
use std::process::Stdio;

use weft::vm::module_builder::ModuleBuilder;

use crate::program::{Done, Folder, command, finish, programs, run, wait, weft};

/// Ended by itself, without a panic, and said something if it failed.
#[track_caller]
fn ended_decently(done: &Done, what: &str) {
    let code = done.code.unwrap_or_else(|| panic!("{what}: ended by a signal: {}", done.err));
    assert!(code <= 2, "{what}: exit code {code}: {}", done.err);
    assert!(!done.err.contains("panicked"), "{what}: {}", done.err);
    assert!(code == 0 || !done.err.is_empty() || done.out.contains("[FAILED]"), "{what}: failed silently");
}

/// [hal-module 80] Nobody reads standard output: an error exit, no message, no hang.
#[test]
fn a_closed_pipe_ends_the_program() {
    for arguments in [
        &["dump", "constants.vmfb"][..],
        &[
            "run",
            "--module=tool_values.vmfb",
            "--function=echo",
            "--input=100000xi32=1",
            "--output_max_element_count=100000",
        ],
        &["bench", "--module=tool_benchmarks.vmfb", "--benchmark_min_time=0.01s"],
        &["check", "--module=../check/passing.vmfb"],
        &["help", "run"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = command(arguments).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
        assert_eq!(wait(&mut child), Some(1), "{arguments:?}");
    }
}

/// [hal-module 80] Output that cannot be written: an error exit that says so.
#[cfg(target_os = "linux")]
#[test]
fn unwritable_output_is_an_error() {
    for arguments in [
        &["dump", "tool_values.vmfb"][..],
        &["run", "--module=tool_benchmarks.vmfb", "--function=seven"],
        &["devices"],
        &["run", "--help"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut child = command(arguments).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let code = wait(&mut child);
        let mut err = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut err).unwrap();
        assert_eq!(code, Some(1), "{arguments:?}: {err}");
        assert!(err.contains("cannot write to standard output"), "{arguments:?}: {err}");
    }
    let echo = |place: &str| run("tool_values", "echo", &["--input=4xf32=1", &format!("--output={place}")]);
    echo("@/dev/full").failure(1, "cannot write '/dev/full'");
    echo("@/nonexistent/x.npy").failure(1, "NOT_FOUND; cannot open '/nonexistent/x.npy'");
    echo("@/").failure(1, "cannot open '/'");
    echo("@").failure(1, "cannot open ''");
}

/// Truncated modules, at every length class: a clear error.
#[test]
fn truncated_modules_are_refused() {
    let folder = Folder::new();
    let module = fs::read(programs().join("tool_benchmarks.vmfb")).unwrap();
    for length in (0..64).step_by(7).chain((64..module.len()).step_by(311)) {
        let path = folder.file("cut.vmfb", &module[..length]);
        let done = weft(&["run", &format!("--module={path}"), "--function=doubled"]);
        ended_decently(&done, &format!("{length} bytes"));
        if done.code == Some(1) {
            assert_eq!(done.err.lines().count(), 1, "{length} bytes: {}", done.err);
        }
    }
}

/// Modules with one byte changed, all over: loaded and run, or refused, never worse.
#[test]
fn altered_modules_do_no_harm() {
    let folder = Folder::new();
    for (name, function) in [("tool_values", "kinds"), ("tool_benchmarks", "doubled")] {
        let module = fs::read(programs().join(format!("{name}.vmfb"))).unwrap();
        // The kernels' machine code cannot be checked, so only what weft interprets is altered: the tables and the
        // bytecode, which precede the kernels.
        let end = module.windows(4).position(|bytes| bytes == b"\x7FELF").unwrap_or(module.len());
        for (step, bits) in [(37, 0xFF), (53, 0x01), (71, 0x80)] {
            for position in (64..end).step_by(step) {
                let mut altered = module.clone();
                altered[position] ^= bits;
                let path = folder.file("altered.vmfb", altered);
                let done = weft(&["run", &format!("--module={path}"), &format!("--function={function}")]);
                ended_decently(&done, &format!("{name}: byte {position} ^ {bits:#x}"));
            }
        }
    }
}

/// Files that lie about their size, are no files, or are something else.
#[test]
fn strange_files_are_refused() {
    let folder = Folder::new();
    let sparse = folder.path("sparse.vmfb");
    File::create(&sparse).unwrap().set_len(1 << 43).unwrap();
    for mode in ["preload", "mmap"] {
        let done = weft(&["run", &format!("--module={sparse}"), &format!("--module_mode={mode}")]);
        done.failure(1, "sparse.vmfb");
    }
    weft(&["dump", &sparse]).failure(1, "sparse.vmfb");
    for path in ["/", "/dev/null", "tool_values.mlir", "data/u8.npy", ""] {
        for arguments in
            [vec!["dump".to_owned(), path.to_owned()], vec!["run".into(), format!("--module={path}")]]
        {
            let done = weft(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
            done.failure(1, "weft");
        }
    }
    let npy = folder.path("huge.npy");
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1024), }\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    fs::write(&npy, bytes).unwrap();
    run("tool_values", "echo", &[&format!("--input=@{npy}")]).failure(1, "parsing input");
    run("tool_values", "echo", &["--input=99999999999999xf64"]).failure(1, "parsing input");
}

/// Standard input that is closed, a word that is no text, a very long word.
#[test]
fn strange_arguments_are_refused() {
    finish(command(&["run", "--module=-"]).stdin(Stdio::null())).failure(1, "loading bytecode module at '-'");
    // What never ends is not read to its end.
    #[cfg(unix)]
    {
        finish(&mut command(&["run", "--module=/dev/zero"])).failure(1, "not a module");
        finish(&mut command(&["run", "--flagfile=/dev/zero"])).failure(2, "has more than 1048576 bytes");
    }
    let long = "x".repeat(100_000);
    assert!(weft(&["run", &format!("--{long}")]).failure(2, "not recognized").err.len() < 110_000);
    weft(&[&long]).failure(2, "unknown command");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let word = std::ffi::OsStr::from_bytes(b"--module=\xFF");
        finish(command(&["run"]).arg(word)).failure(2, "is not UTF-8");
    }
}

/// A list of two thousand million elements; a few lists that stand for more than there are atoms.
#[test]
fn lists_too_large_to_show_are_refused() {
    let folder = Folder::new();
    let long = "
      %i0 = vm.const.i32 100000000
      %r0 = vm.list.alloc %i0 : !vm.list<i8>
      vm.list.resize %r0, %i0
      vm.return %r0";
    let shared = "
      %i0 = vm.const.i32 12
      %i1 = vm.const.i32 1
      %i3 = vm.const.i32 64
      %r0 = vm.list.alloc %i3 : !vm.list<!vm.opaque>
      vm.br ^level()
     ^level:
      %r1 = vm.list.alloc %i3 : !vm.list<!vm.opaque>
      vm.list.resize %r1, %i3
      %i4 = vm.const.i32.zero
      vm.br ^child()
     ^child:
      vm.list.set.ref %r1, %i4, %r0
      %i4 = vm.add.i32 %i4, %i1
      %i5 = vm.cmp.lt.i32.s %i4, %i3
      vm.cond_br %i5, ^child(), ^done()
     ^done:
      %r0 = vm.const.ref.zero
      vm.br ^next(%r1->%r0)
     ^next:
      %i0 = vm.sub.i32 %i0, %i1
      %i5 = vm.cmp.nz.i32 %i0
      vm.cond_br %i5, ^level(), ^end()
     ^end:
      vm.return %r0";
    for (name, text) in [("long", long), ("shared", shared)] {
        let module = ModuleBuilder::new("m").function("f", "0v_r", text).build().unwrap();
        let path = folder.file(name, module);
        weft(&["run", &format!("--module={path}"), "--function=f"]).failure(1, "elements cannot be shown");
    }
}

/// What a module calls things does not reach the terminal as commands.
#[test]
fn dumps_do_not_move_the_cursor() {
    let module = ModuleBuilder::new("m")
        .attribute("key", "\x1b]0;title\x07\x1b[31m")
        .function("f\x1b[2J", "0i_v", "vm.fail %i0, \"\x1b[31mred\"")
        .build()
        .unwrap();
    let folder = Folder::new();
    let done = weft(&["dump", &folder.file("escapes", module)]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(!done.out.chars().any(|it| it.is_control() && it != '\n'), "{:?}", done.out);
    assert!(done.out.contains("\\u{1b}[31mred"), "{}", done.out);
}
