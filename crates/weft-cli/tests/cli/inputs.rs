//! `--input` in all its forms, modules from files and pipes, and choosing the function.

use std::fs::File;
use std::process::Stdio;

use crate::program::{Folder, command, finish, programs, run, weft};

fn echo(input: &str) -> String {
    let flag = format!("--input={input}");
    let out = run("tool_values", "echo", &[&flag]).success();
    out.strip_prefix("EXEC @echo\nresult[0]: ").unwrap_or_else(|| panic!("{out}")).to_owned()
}

/// [hal-module 47] Values of every element type pass through a program unchanged.
#[test]
fn tensors_of_every_type_come_back_as_they_went() {
    for text in [
        "3xi8=-128 0 127",
        "2xsi8=-1 1",
        "2xui8=0 255",
        "2xi16=-32768 32767",
        "2xui16=0 65535",
        "2xi32=-2147483648 2147483647",
        "2xui32=0 4294967295",
        "2xi64=-9223372036854775808 9223372036854775807",
        "2xui64=0 18446744073709551615",
        "5xf32=0.1 -0 INF -INF 1E+10",
        "2xf64=3.14159 1E-05",
        "2xf16=65504 6.10352E-05",
        "2xbf16=1 -2.5",
        "2xf8E4M3FN=448 NAN",
        "2xf8E5M2=57344 INF",
        "2xf8E5M2FNUZ=1 -2",
        "2xf8E4M3FNUZ=240 -0.5",
        "2xf8E8M0FNU=4 0.5",
        "2xi1=01 00",
        "2xcf64=0000803F00000040 0000404000008040",
        "2x*16=6162 6364",
        "8xi4=-8 -7 -1 0 1 2 6 7",
    ] {
        assert_eq!(echo(text), format!("hal.buffer_view\n{text}\n"));
    }
}

/// [hal-module 49] Floats print with six significant digits, as C's `%G`.
#[test]
fn floats_print_like_c() {
    for (given, printed) in [
        ("0.1", "0.1"),
        ("1e10", "1E+10"),
        ("1e-5", "1E-05"),
        ("999999.5", "1E+06"),
        ("123456789", "1.23457E+08"),
        ("1.4e-45", "1.4013E-45"),
        ("-0", "-0"),
        ("inf", "INF"),
        ("-inf", "-INF"),
        ("nan", "NAN"),
        ("-nan", "-NAN"),
    ] {
        assert_eq!(echo(&format!("f32={given}")), format!("hal.buffer_view\nf32={printed}\n"));
    }
    assert_eq!(echo("3xf16=65520 1e-8 0.1"), "hal.buffer_view\n3xf16=INF 0 0.0999756\n");
    assert_eq!(echo("3xf8E4M3FN=449 1000 nan"), "hal.buffer_view\n3xf8E4M3FN=448 NAN NAN\n");
}

/// [hal-module 50] Brackets nest by rank; a budget of elements is shared by all rows.
#[test]
fn nesting_and_elision_follow_the_rank() {
    for (given, printed) in [
        ("f32=5", "f32=5"),
        ("2x2xi32=1 2 3 4", "2x2xi32=[1 2][3 4]"),
        ("2x2x2xi32=1 2 3 4 5 6 7 8", "2x2x2xi32=[[1 2][3 4]][[5 6][7 8]]"),
        ("1x1x1x1x2xi8=1 2", "1x1x1x1x2xi8=[[[[1 2]]]]"),
        ("0xi32", "0xi32="),
        ("2x0xi32", "2x0xi32=[][]"),
    ] {
        assert_eq!(echo(given), format!("hal.buffer_view\n{printed}\n"));
    }
    for (limit, printed) in [
        (0, "[...][...][...]"),
        (4, "[7 7 7 7][...][...]"),
        (5, "[7 7 7 7][7...][...]"),
        (12, "[7 7 7 7][7 7 7 7][7 7 7 7]"),
    ] {
        let limit = format!("--output_max_element_count={limit}");
        let out = run("tool_values", "echo", &["--input=3x4xi32=7", &limit]).success();
        assert!(out.ends_with(&format!("\n3x4xi32={printed}\n")), "{out}");
    }
}

/// [hal-module 48] One value for all, or none, in tensors that are filled piece by piece.
#[test]
fn large_tensors_are_filled_with_one_value() {
    let folder = Folder::new();
    let path = folder.path("filled.bin");
    let output = format!("--output=@{path}");
    for (input, length, expected) in [
        ("1000001xi32=7", 4_000_004, &[7, 0, 0, 0][..]),
        ("3000001xi4=-3", 1_500_001, &[0xDD]),
        ("700001xf16=1", 1_400_002, &[0, 0x3C]),
        ("1000001xi32", 4_000_004, &[0]),
    ] {
        run("tool_values", "echo", &[&format!("--input={input}"), &output]).success();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), length, "{input}");
        // The last byte of packed elements is not full.
        let whole = bytes.len() - usize::from(input.contains("xi4"));
        assert!(bytes[..whole].chunks(expected.len()).all(|element| element == expected), "{input}");
    }
    assert_eq!(std::fs::read(&path).unwrap().last(), Some(&0));
    for input in ["9000000000000xi32=x", "9000000000000xi32=1 2", "9000000000000xi32"] {
        run("tool_values", "echo", &[&format!("--input={input}")]).failure(1, "parsing input");
    }
}

/// [hal-module 48] Malformed tensors are refused, and the message repeats the input on one line.
#[test]
fn malformed_tensors_are_refused() {
    for input in [
        "x",
        "x1",
        "1x",
        "1xx2",
        "x1x2",
        "0x-1",
        "abc",
        "4xq32",
        "4xi300",
        "1x*1234",
        "2xi8=1 2 3",
        "3xi8=1 2",
        "2xi8=1 300",
        "2xsi8=128 1",
        "2xui8=-1 1",
        "2xf32=1 z",
        "2xi32=\u{1F600}",
        "2xi1=1",
        "2xi1=012",
        "0xf32=1",
        "99999999999xi32x=1",
        "\"4xf32",
        "4xf32=\"1 2 3 4\"",
        "5",
        "f32",
        "",
    ] {
        let done = run("tool_values", "echo", &[&format!("--input={input}")]);
        let done = done.failure(1, "parsing function inputs");
        assert_eq!(done.out, "", "nothing was executed");
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    }
    let done = run("tool_values", "echo", &["--input=2xf32=1\n2\n3"]).failure(1, "OUT_OF_RANGE");
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    for input in ["a\nb", "1\n1xf32", "@a\nb.npy", "4xi\u{1b}[2J"] {
        let done = run("tool_values", "echo", &[&format!("--input={input}")]).failure(1, "parsing input");
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
        assert!(!done.err.contains('\u{1b}'), "control characters do not reach the terminal");
    }
    let long = format!("--input=2xf32={}", "1 ".repeat(10_000));
    assert!(run("tool_values", "echo", &[&long]).failure(1, "OUT_OF_RANGE").err.len() < 1000);
}

/// [hal-module 68] Scalars in the notation of C; null and ignored are zero; whatever is no number is refused.
#[test]
fn scalars_are_read_by_the_signature() {
    let kinds = |inputs: [&str; 4]| {
        let flags = inputs.map(|input| format!("--input={input}"));
        run("scalars", "kinds", &flags.each_ref().map(String::as_str))
    };
    let out = kinds(["0x7B", "-0x10", "-3.14", "1e20"]).success();
    assert!(out.starts_with("EXEC @kinds\nresult[0]: i32="), "{out}");
    for (inputs, text) in [
        (["abc", "1", "1", "1"], "parsing value `abc` as i32"),
        (["1", "99999999999999999999", "1", "1"], "as i64"),
        (["1", "9223372036854775808", "1", "1"], "as i64"),
        (["1", "1", "z", "1"], "as f32"),
        (["1", "1", "1", "1e-400"], "as f64"),
        (["1.5", "1", "1", "1"], "as i32"),
        (["2xi32=1", "1", "1", "1"], "as i32"),
        (["", "1", "1", "1"], "no value specified for input"),
        (["@data/scalar_i32.npy", "1", "1", "1"], "function signature mismatch"),
        (["&4xf32", "1", "1", "1"], "function signature mismatch"),
    ] {
        kinds(inputs).failure(1, text);
    }
    let out = run("tool_values", "fail", &["--input=(null)"]).success();
    assert!(out.ends_with("result[0]: i32=0\n"));
    // Wraps silently: 2^32 + 0 is 0.
    assert!(run("tool_values", "fail", &["--input=4294967296"]).success().ends_with("i32=0\n"));
}

/// [hal-module 68] [hal-module 70] Files: raw from the start or on, numpy one by one or all; positions are shared.
#[test]
fn files_are_read_in_every_form() {
    let folder = Folder::new();
    let numbers: Vec<u8> = (1..=8).flat_map(|number| (number as f32).to_le_bytes()).collect();
    let raw = folder.file("raw.bin", numbers);
    let add = |a: &str, b: &str| {
        let flags = [format!("--input={a}"), format!("--input={b}")];
        run("tool_benchmarks", "add", &[&flags[0], &flags[1]])
    };
    let sum = |a: &str, b: &str| {
        let out = add(a, b).success();
        out.rsplit_once("4xf32=").map(|(_, values)| values.trim().to_owned()).unwrap_or(out)
    };
    assert_eq!(sum(&format!("4xf32=@{raw}"), &format!("4xf32=+{raw}")), "6 8 10 12");
    assert_eq!(sum(&format!("4xf32=+{raw}"), &format!("4xf32=+{raw}")), "6 8 10 12");
    assert_eq!(sum(&format!("4xf32=@{raw}"), &format!("4xf32=@{raw}")), "2 4 6 8");
    let npy = folder.path("two.npy");
    let out = [format!("--output=@{npy}"), format!("--output=+{npy}")];
    for output in &out {
        let flags = ["--input=4xf32=1 2 3 4", "--input=4xf32=0", output];
        assert_eq!(run("tool_benchmarks", "add", &flags).success(), "EXEC @add\n");
    }
    assert_eq!(sum(&format!("@{npy}"), &format!("+{npy}")), "2 4 6 8");
    assert_eq!(sum(&format!("@{npy}"), "4xf32=1"), "2 3 4 5");
    let all = run("tool_benchmarks", "add", &[&format!("--input=*{npy}")]).success();
    assert!(all.ends_with("4xf32=2 4 6 8\n"));
    add(&format!("@{npy}"), &format!("*{npy}")).success();
    add(&format!("*{npy}"), "4xf32").failure(1, "function expected fewer input values");
    add(&format!("*{npy}"), &format!("+{npy}")).failure(1, "function expected fewer input values");
    add(&format!("@{npy}"), "@nothing.npy").failure(1, "NOT_FOUND; cannot open 'nothing.npy'");
    add(&format!("9xf32=@{raw}"), "4xf32").failure(1, "OUT_OF_RANGE; end-of-file");
    add(&format!("@{raw}"), "4xf32").failure(1, "UNIMPLEMENTED; only numpy");
    let empty = folder.file("empty.npy", "");
    add(&format!("@{empty}"), "4xf32").failure(1, "OUT_OF_RANGE; end-of-file");
    let none = run("tool_values", "kinds", &[&format!("--input=*{empty}")]);
    none.success();
}

/// [hal-module 69] numpy files: types, ranks, versions; what cannot be read is refused by name.
#[test]
fn numpy_files_are_read_as_numpy_wrote_them() {
    for (file, text) in [
        ("matrix_f32.npy", "f32="),
        ("u8.npy", "ui8="),
        ("bool.npy", "i1="),
        ("f16.npy", "f16="),
        ("complex64.npy", "cf64="),
        ("scalar_i32.npy", "si32="),
    ] {
        let out = echo(&format!("@data/{file}"));
        assert!(out.starts_with("hal.buffer_view\n") && out.contains(text), "{file}: {out}");
    }
    run("tool_values", "echo", &["--input=@data/fortran.npy"]).failure(1, "UNIMPLEMENTED; fortran order");
    run("tool_values", "echo", &["--input=@data/big_endian.npy"]).failure(1, "UNIMPLEMENTED; big-endian");
    let folder = Folder::new();
    for (bytes, text) in [
        (&b"\x93NUMPY"[..], "OUT_OF_RANGE"),
        (b"not numpy at all", "magic mismatch"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': '<U4' }", "UNIMPLEMENTED; unsupported data type U"),
        (b"\x93NUMPY\x09\x00\x10\x00{               ", "npy version 9.0"),
        (
            b"\x93NUMPY\x01\x00\x4A\x00{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }",
            "",
        ),
    ] {
        let path = folder.file("bad.npy", bytes);
        run("tool_values", "echo", &[&format!("--input=@{path}")]).failure(1, text);
    }
}

/// [hal-module 68] Counts that do not fit are named; the function's declaration ends the message.
#[test]
fn wrong_counts_are_named() {
    let done = run("tool_benchmarks", "add", &["--input=4xf32"]);
    let text = "input list and function mismatch; expected 2 arguments but passed 1; invoking function 'add'; `sync func @add(";
    assert_eq!(done.failure(1, text).out, "EXEC @add\n");
    let done = run("tool_benchmarks", "add", &["--input=4xf32", "--input=4xf32", "--input=4xf32"]);
    assert_eq!(done.failure(1, "function expected fewer input values").out, "");
}

/// [hal-module 68] The only export is called when none is named; several must be told apart.
#[test]
fn the_function_may_be_left_out_when_there_is_one() {
    assert!(weft(&["run", "--module=tool_benchmarks_async.vmfb"]).success().starts_with("EXEC @doubled\n"));
    weft(&["run", "--module=tool_benchmarks.vmfb"])
        .failure(1, "more than one exported function present; --function= must be specified explicitly");
    run("tool_benchmarks", "nope", &[]).failure(1, "NOT_FOUND; no function `nope` exported by module");
    run("tool_benchmarks", "@seven", &[]).failure(1, "NOT_FOUND; no function `@seven`");
    run("tool_benchmarks", "benchmarks.seven", &[]).failure(1, "NOT_FOUND");
    weft(&["run"]).failure(1, "INVALID_ARGUMENT; no user module specified");
}

/// [hal-module 68] Modules come from files read or mapped, and from standard input.
#[test]
fn modules_come_from_files_and_pipes() {
    for mode in ["preload", "mmap"] {
        let out = run("tool_benchmarks", "seven", &[&format!("--module_mode={mode}")]).success();
        assert!(out.ends_with("i32=7\n"));
        let missing = ["run", "--module=nothing.vmfb", &format!("--module_mode={mode}")];
        weft(&missing).failure(1, "NOT_FOUND; cannot open file 'nothing.vmfb'");
    }
    let module = File::open(programs().join("tool_benchmarks.vmfb")).unwrap();
    let mut piped = command(&["run", "--module=-", "--function=seven"]);
    assert!(finish(piped.stdin(Stdio::from(module))).success().ends_with("i32=7\n"));
    let mut twice = command(&["run", "--module=-", "--module=-", "--function=seven"]);
    let module = File::open(programs().join("tool_benchmarks.vmfb")).unwrap();
    finish(twice.stdin(Stdio::from(module))).failure(1, "loading bytecode module at '-'");
    weft(&["run", "--module=data"]).failure(1, "data");
}
