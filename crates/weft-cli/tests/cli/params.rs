//! `weft params` and `--parameters=`: tables and archives as the reference's tools make them, and what goes wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Folder, data, finish, programs, run, weft};

fn archives() -> PathBuf {
    data().join("params")
}

fn text(name: &str) -> String {
    fs::read_to_string(archives().join(name)).expect("test data")
}

/// Scopes in the order in which they are named, files of one scope together, verbatim. [hal-module 57] [hal-module 58]
#[test]
fn tables_are_the_references() {
    let arguments = [
        "params",
        "dump",
        "--parameters=model=data/weights.irpa",
        "--parameters=data/state.irpa",
        "--parameters=data/weights.gguf",
        "--parameters=data/weights.safetensors",
    ];
    assert_eq!(weft(&arguments).success(), text("dump.txt"));
    for mode in ["preload", "mmap"] {
        let mode = format!("--parameter_mode={mode}");
        let arguments: Vec<&str> = arguments.into_iter().chain([&*mode]).collect();
        assert_eq!(weft(&arguments).success(), text("dump.txt"));
    }
}

/// Splats before data, alignments, tables: byte for byte. [hal-module 58]
#[test]
fn created_archives_are_the_references() {
    let folder = Folder::new();
    let output = folder.path("a.irpa");
    let flag = format!("--output={output}");
    let done = weft(&[
        "params",
        "create",
        "--splat=a=4xf32=2.5",
        "--data=c=4xi8",
        "--splat=b=2xi64=7",
        "--data=d=3x5xf32",
        &flag,
    ]);
    assert_eq!(done.success(), text("created.txt"));
    let same = |name: &str| {
        assert!(fs::read(&output).unwrap() == fs::read(archives().join(name)).unwrap(), "{name}")
    };
    same("created.irpa");
    let done =
        weft(&["params", "create", "--quiet", "--alignment=4096", "--data=a=1xi8", "--data=b=2xi8", &flag]);
    assert_eq!(done.success(), "");
    same("aligned.irpa");
}

/// Exclude, rename, splat, strip, several inputs in one output: byte for byte, then the table of the result again.
/// [hal-module 58]
#[test]
fn converted_archives_are_the_references() {
    let folder = Folder::new();
    let output = folder.path("a.irpa");
    let flag = format!("--output={output}");
    let input = format!("--parameters=other={}", archives().join("created.irpa").display());
    let done = weft(&[
        "params",
        "convert",
        "--parameters=data/weights.gguf",
        &input,
        "--exclude=c",
        "--rename=kernel=weights",
        "--splat=bias",
        "--splat=d=x32=CAFEF00D",
        &flag,
    ]);
    assert_eq!(done.success(), text("converted.txt"));
    let same = |name: &str| {
        assert!(fs::read(&output).unwrap() == fs::read(archives().join(name)).unwrap(), "{name}")
    };
    same("converted.irpa");
    assert_eq!(weft(&["params", "dump", &output]).success(), text("converted.txt"));
    weft(&["params", "convert", &input, "--strip", "--splat=a=f32=3", "--quiet", &flag]).success();
    same("stripped.irpa");
}

/// Bytes come out as they went in, whatever the format in between; checksums are those of the extracted files.
/// [hal-module 58]
#[test]
fn parameters_survive_every_format() {
    let folder = Folder::new();
    let mut sums = Vec::new();
    let mut input = "data/weights.safetensors".to_owned();
    for name in ["a.irpa", "b.gguf", "c.safetensors", "d.irpa"] {
        let output = folder.path(name);
        weft(&["params", "convert", &input, "--quiet", &format!("--output={output}")]).success();
        let table = weft(&["params", "dump", "--checksums", &output]).success();
        let rows: Vec<String> = table.lines().skip(5).map(|row| row.rsplit('|').take(2).collect()).collect();
        sums.push(rows);
        input = output;
    }
    assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "{sums:?}");
    let (bias, scope) = (folder.path("bias.bin"), folder.path("counter.bin"));
    let done = weft(&[
        "params",
        "dump",
        &input,
        "--parameters=s=data/state.irpa",
        &format!("--extract=bias={bias}"),
        &format!("--extract=s::counter={scope}"),
    ]);
    let out = done.success();
    assert!(out.contains(&format!("Extracting parameter `bias` (8b) to `{bias}`...\n")), "{out}");
    assert_eq!(fs::read(&bias).unwrap(), [0, 0, 0, 0x3F, 0, 0, 0, 0xBF]);
    assert_eq!(fs::read(&scope).unwrap(), [21, 0, 0, 0].repeat(4));
}

/// What is declared is written in the format that the name asks for, with the same bytes in each. [hal-module 58]
#[test]
fn created_files_have_the_format_of_their_name() {
    let folder = Folder::new();
    let mut sums = Vec::new();
    for (name, at, magic) in [("a.irpa", 0, b"IRPA"), ("b.gguf", 0, b"GGUF"), ("c.SAFETENSORS", 8, b"{\"s\"")]
    {
        let output = folder.path(name);
        let flag = format!("--output={output}");
        let shown =
            weft(&["params", "create", "--splat=s=3xf32=2.5", "--data=d=5xi8=7", "--data=z=4xi8", &flag]);
        let table = shown.success();
        assert_eq!(weft(&["params", "dump", &output]).success(), table, "{name}");
        assert_eq!(fs::read(&output).unwrap()[at..at + 4], *magic, "{name}");
        let table = weft(&["params", "dump", "--checksums", &output]).success();
        let rows: Vec<String> = table.lines().skip(5).map(|row| row.rsplit('|').take(2).collect()).collect();
        sums.push(rows);
    }
    assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "{sums:?}");
}

/// Files that others would refuse are not written: two parameters of one name, names that are no text.
#[test]
fn names_that_formats_cannot_have_are_refused() {
    let folder = Folder::new();
    let no_text = folder.path("no-text.irpa");
    let mut bytes = fs::read(programs().join("data/state.irpa")).unwrap();
    let name = bytes.windows(7).position(|window| window == b"counter").expect("the name of the parameter");
    bytes[name] = 0xFF;
    fs::write(&no_text, bytes).unwrap();
    for name in ["x.gguf", "x.safetensors"] {
        let output = folder.path(name);
        let flag = format!("--output={output}");
        let twice = weft(&["params", "convert", "data/state.irpa", "data/state.irpa", &flag]);
        twice.failure(1, "cannot have two parameters of the name `counter`");
        weft(&["params", "convert", &no_text, &flag]).failure(1, "ounter`, which is no UTF-8");
        assert!(!fs::exists(&output).unwrap());
    }
}

/// Pipes are refused at once, whoever asks: nobody waits for their other end.
#[cfg(unix)]
#[test]
fn pipes_are_no_files_of_parameters() {
    let folder = Folder::new();
    let pipe = folder.path("pipe.irpa");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for mode in ["file", "preload", "mmap"] {
        let mode = format!("--parameter_mode={mode}");
        weft(&["params", "dump", &mode, &pipe]).failure(1, "is not a regular file");
        let parameters = format!("--parameters=model={pipe}");
        run("tool_benchmarks", "seven", &[&parameters, &mode]).failure(1, "is not a regular file");
    }
    let output = format!("--output={pipe}");
    weft(&["params", "create", "--data=a=4xf32", &output]).failure(1, "is not a regular file");
    weft(&["params", "convert", "data/state.irpa", &output]).failure(1, "is not a regular file");
}

/// What goes wrong is said in one line that names the file; an output that fails leaves the old one. [hal-module 57]
#[test]
fn mistakes_are_named() {
    let folder = Folder::new();
    let old = folder.path("old.irpa");
    fs::write(&old, "old").unwrap();
    let output = format!("--output={old}");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["dump", "none.irpa"], 1, "NOT_FOUND; cannot open file `none.irpa`"),
        (&["dump", "data"], 1, "UNIMPLEMENTED; unknown format of parameter file `data`"),
        (&["dump", "--parameters=a=data/four_f32.bin"], 1, "opening --parameters=a=data/four_f32.bin"),
        (&["dump", "--parameter_mode=guess", "data/state.irpa"], 2, "expected one of file, preload, mmap"),
        (&["dump", "data/state.irpa", "--extract=none=x"], 1, "no parameter found in index with key 'none'"),
        (&["dump", "data/state.irpa", "--extract=none"], 2, "[scope::]key=file"),
        (&["dump", &old], 1, "3 bytes are too few for an archive"),
        (&["dump"], 2, "no file given"),
        (&["create", "--data=a=4xf32"], 1, "no output file specified"),
        (&["create", "--data=a=4xq32", &output], 1, "declaring --data=a=4xq32"),
        (&["create", "--splat=a=3xi4=1", &output], 1, "no whole bytes"),
        (&["create", "--data=a=4xf32", "--alignment=3", &output], 1, "alignment 3 is not a power of two"),
        (&["create", "--data=a=9223372036854775807xi8", &output], 1, "OUT_OF_RANGE"),
        (&["create", "--data=a=4xi8", "--data=a=2xi8", &output], 1, "`a` is declared more than once"),
        (&["create", "--data=a=4xi8", "--splat=a=2xi8", &output], 1, "`a` is declared more than once"),
        (&["create", "--data=a=4xi8", "--output=x.bin"], 1, "UNIMPLEMENTED"),
        (&["convert", "data/state.irpa", "--output=/none/x.irpa"], 1, "NOT_FOUND"),
        (&["convert", "data/state.irpa", "--output=x.bin"], 1, "UNIMPLEMENTED"),
        (&["convert", "data/state.irpa", "--splat=counter=4xf32=1", &output], 1, "no shape"),
        (&["convert", "data/state.irpa", "--rename=counter", &output], 2, "old=new"),
        (&["convert", &old, "--output=x.irpa"], 1, "too few for an archive"),
        (&["convert", &output], 2, "no input given"),
        (&["unpack"], 2, "unknown command 'params unpack'"),
        (&[], 2, "needs the name of a command"),
    ];
    for (arguments, code, message) in cases {
        let arguments: Vec<&str> = ["params"].into_iter().chain(arguments.iter().copied()).collect();
        weft(&arguments).failure(*code, message);
    }
    assert_eq!(fs::read(&old).unwrap(), b"old");
    let note = weft(&["params", "convert", "data/state.irpa", "--exclude=none", "--quiet", &output]);
    assert!(note.err.contains("--exclude= names 'none', which no input has"), "{}", note.err);
    // The output may be the input: it is replaced when the new one is whole.
    weft(&["params", "convert", &old, "--rename=counter=total", "--quiet", &output]).success();
    assert!(weft(&["params", "dump", &old]).success().contains("`total`"));
    assert_eq!(
        fs::read_dir(Path::new(&old).parent().expect("a folder")).unwrap().count(),
        1,
        "nothing else is left in the folder"
    );
    assert!(weft(&["params", "--help"]).success().contains("params convert"));
}

/// Writing that fails half-way, here because files may not be so long, leaves the old file whole and nothing beside it.
#[cfg(target_os = "linux")]
#[test]
fn writing_that_fails_leaves_the_old_file() {
    let folder = Folder::new();
    let input = folder.path("input.irpa");
    let data = "--data=d=300000xi8=7";
    weft(&["params", "create", data, "--quiet", &format!("--output={input}")]).success();
    let kept = Folder::new();
    for name in ["a.irpa", "b.gguf", "c.safetensors"] {
        let old = kept.file(name, b"old");
        // In blocks of 512 bytes; without the signal that would end the program before it can clean up.
        let script = "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\"";
        let weft = env!("CARGO_BIN_EXE_weft");
        let output = format!("--output={old}");
        let commands: [&[&str]; 2] =
            [&["params", "create", data, &output], &["params", "convert", &input, &output]];
        for arguments in commands {
            let done = finish(Command::new("sh").args(["-c", script, weft]).args(arguments));
            done.failure(1, &format!("OUT_OF_RANGE; cannot write file '{old}': File too large"));
            assert_eq!(fs::read(&old).unwrap(), b"old");
        }
        let done = finish(
            Command::new("sh")
                .args(["-c", script, weft])
                .args(["params", "dump", &input])
                .arg(format!("--extract=d={old}")),
        );
        assert_eq!(done.code, Some(1), "{done:?}");
        assert_eq!(fs::read(&old).unwrap(), b"old");
    }
    let mut names: Vec<_> =
        fs::read_dir(kept.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.irpa", "b.gguf", "c.safetensors"]);
}

/// A few bytes can claim a pattern without end: it is listed, but neither summed up nor written out.
#[test]
fn patterns_without_end_are_not_written_out() {
    let folder = Folder::new();
    let path = folder.path("endless.irpa");
    let splat = format!("--splat=s={}xi8=1", 1u64 << 60);
    weft(&["params", "create", &splat, "--quiet", &format!("--output={path}")]).success();
    assert!(weft(&["params", "dump", &path]).success().contains("1152921504606846976 | `s`"));
    let why = "parameter `s` is a pattern over 1152921504606846976 bytes";
    weft(&["params", "dump", "--checksums", &path]).failure(1, why);
    let extracted = folder.path("bytes");
    weft(&["params", "dump", &path, &format!("--extract=s={extracted}")]).failure(1, why);
    let converted = folder.path("converted.gguf");
    weft(&["params", "convert", &path, &format!("--output={converted}")]).failure(1, why);
    assert!(!fs::exists(&extracted).unwrap() && !fs::exists(&converted).unwrap());
}
