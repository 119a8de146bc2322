//! `--output` in all its forms, and `--print_statistics`.

use std::fs;

use crate::program::{Folder, run};

/// [hal-module 68] Results are printed, discarded, or written, one by one.
#[test]
fn each_result_has_its_own_place() {
    let folder = Folder::new();
    let raw = folder.path("result.bin");
    let places =
        ["--output=-", "--output=", "--output=-", &format!("--output=@{raw}"), "--output=-", "--output="];
    let mut flags = places.to_vec();
    flags.push("--output=-");
    let out = run("tool_values", "kinds", &flags).success();
    let printed = "EXEC @kinds\ni32=-7\nf32=0.1\n(null)\nvm.list\nchild_list[0]: i32=-7\n";
    assert!(out.starts_with(printed), "{out}");
    assert_eq!(fs::read(&raw).unwrap(), 1.0e20f64.to_le_bytes());
}

/// [hal-module 68] The number of places must be that of the results.
#[test]
fn the_number_of_places_must_fit() {
    for places in [&["--output=-"][..], &["--output="; 8]] {
        let text = format!(
            "OUT_OF_RANGE; {} outputs specified but the provided variant list only has 7 elements",
            places.len()
        );
        assert_eq!(run("tool_values", "kinds", places).failure(1, &text).out, "EXEC @kinds\n");
    }
    run("tool_benchmarks", "seven", &["--output=foo"]).failure(1, "UNIMPLEMENTED; unsupported output mode");
    let done = run("tool_values", "narrow", &["--output=@/tmp/never-written.bin"]);
    done.failure(1, "unsupported output source type vm.list");
}

/// [hal-module 70] Raw files hold the bytes alone; `@` begins anew, `+` appends, and what was written reads back.
#[test]
fn raw_files_are_written_appended_and_read_back() {
    let folder = Folder::new();
    let path = folder.path("values.bin");
    let write = |place: &str, input: &str| {
        let flags = [format!("--input={input}"), format!("--output={place}{path}")];
        assert_eq!(run("tool_values", "echo", &[&flags[0], &flags[1]]).success(), "EXEC @echo\n");
    };
    write("@", "2xi32=1 2");
    write("+", "2xi16=3 4");
    assert_eq!(fs::read(&path).unwrap(), [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4, 0]);
    write("@", "3xui8=7 8 9");
    assert_eq!(fs::read(&path).unwrap(), [7, 8, 9]);
    write("+", "&2xi8=1 2");
    assert_eq!(fs::read(&path).unwrap(), [7, 8, 9, 1, 2]);
    let flags = [format!("--input=3xui8=@{path}"), "--output=-".into()];
    let out = run("tool_values", "echo", &[&flags[0], &flags[1]]).success();
    assert_eq!(out, "EXEC @echo\nhal.buffer_view\n3xui8=7 8 9\n");
    run("tool_values", "echo", &[&format!("--input=6xui8=@{path}")]).failure(1, "OUT_OF_RANGE; end-of-file");
}

/// [hal-module 69] numpy files have numpy's header: version 1.0, padded, and scalars are arrays of shape `()`.
#[test]
fn numpy_files_are_written_as_numpy_reads_them() {
    let folder = Folder::new();
    let path = folder.path("result.npy");
    for (input, dictionary, data) in [
        ("2x2xf32=1 2 3 4", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 16),
        ("4xi8=1", "{'descr': '|i1', 'fortran_order': False, 'shape': (4,), }", 4),
        ("i1=01", "{'descr': '|b1', 'fortran_order': False, 'shape': (), }", 1),
        ("&4xf32=1", "{'descr': '|i1', 'fortran_order': False, 'shape': (16,), }", 16),
        ("2xbf16=1 2", "{'descr': '<V2', 'fortran_order': False, 'shape': (2,), }", 4),
    ] {
        let flags = [format!("--input={input}"), format!("--output=@{path}")];
        run("tool_values", "echo", &[&flags[0], &flags[1]]).success();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes[..8], *b"\x93NUMPY\x01\x00");
        let text = String::from_utf8_lossy(&bytes[10..bytes.len() - data]);
        assert_eq!(text.trim_end(), dictionary);
        assert!((bytes.len() - data).is_multiple_of(64) && text.ends_with('\n'));
    }
    let scalar = folder.path("scalar.npy");
    run("tool_benchmarks", "seven", &[&format!("--output=@{scalar}")]).success();
    let bytes = fs::read(&scalar).unwrap();
    assert!(
        String::from_utf8_lossy(&bytes).contains("'descr': '<i4', 'fortran_order': False, 'shape': (), }")
    );
    assert_eq!(bytes[128..], 7i32.to_le_bytes());
    let out = run("tool_values", "echo", &[&format!("--input=@{scalar}")]).success();
    assert!(out.ends_with("\nsi32=7\n"), "{out}");
    run("tool_values", "echo", &["--input=2xi4=1 2", &format!("--output=@{path}")])
        .failure(1, "UNIMPLEMENTED");
}

/// [hal-module 75] Statistics have one format, on standard error, and nothing is live at the end.
#[test]
fn statistics_have_their_format() {
    let flags = ["--input=4xf32=1 2 3 4", "--input=4xf32=10", "--print_statistics"];
    let done = run("tool_benchmarks", "add", &flags);
    let lines: Vec<&str> = done.err.lines().collect();
    assert_eq!(lines[..2], ["Device: local-sync", "[[ iree_hal_allocator_t memory statistics ]]"]);
    for (line, name) in lines[2..4].iter().zip(["  HOST_LOCAL:", "DEVICE_LOCAL:"]) {
        let fields: Vec<&str> = line.strip_prefix(name).unwrap().split('/').collect();
        let words: Vec<&str> = fields.iter().map(|field| field.trim().split_once("B ").unwrap().1).collect();
        assert_eq!(words, ["peak", "allocated", "freed", "live"]);
        assert_eq!(fields[0].find("B peak"), Some(13), "right-aligned in twelve: {line}");
        assert!(line.ends_with(" 0B live"));
    }
    assert!(lines[3].contains("48B peak"), "two inputs and a result of 16 bytes: {}", lines[3]);
    assert_eq!(done.success(), "EXEC @add\nresult[0]: hal.buffer_view\n4xf32=11 12 13 14\n");
}
