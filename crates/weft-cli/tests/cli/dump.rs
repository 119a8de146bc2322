//! `weft dump`: the texts of the reference's dump tool, JSON, refusals.

use std::fs;

use crate::program::{data, programs, weft};

/// [hal-module 73] Recorded texts of the reference, byte for byte.
#[test]
fn texts_equal_those_of_the_reference() {
    let mut seen = 0;
    for entry in fs::read_dir(data().join("dump")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let (module, output) = name.strip_suffix(".txt").unwrap().split_once('.').unwrap();
        let module = format!("{module}.vmfb");
        let output_flag = format!("--output={output}");
        let flags = match output {
            "pretty" => vec!["--output=flatbuffer-json", "--pretty"],
            "sum_with_offsets" => vec!["--output=disassembly", "--bytecode_offsets", "--function=sum"],
            _ => vec![output_flag.as_str()],
        };
        let mut arguments = vec!["dump"];
        arguments.extend(flags);
        arguments.push(&module);
        let out = weft(&arguments).success();
        let expected = fs::read_to_string(&path).unwrap();
        if let Some((ours, theirs)) = out.lines().zip(expected.lines()).find(|(ours, theirs)| ours != theirs)
        {
            panic!("{name}:\n  ours   {ours}\n  theirs {theirs}");
        }
        assert_eq!(out.len(), expected.len(), "{name}");
        seen += 1;
    }
    assert!(seen >= 14, "only {seen} texts");
}

/// [hal-module 73] Every module of the corpus can be shown in every way, and its JSON parses.
#[test]
fn the_whole_corpus_can_be_shown() {
    for entry in fs::read_dir(programs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "vmfb") {
            continue;
        }
        let name = path.to_str().unwrap();
        let metadata = weft(&["dump", "--output=metadata", name]).success();
        assert!(metadata.starts_with("//===---") && metadata.contains("\n// Bytecode : version "), "{name}");
        let code = weft(&["dump", "--output=disassembly", name]).success();
        assert!(code.starts_with("vm.module @") && !code.contains("// error"), "{name}");
        assert_eq!(weft(&["dump", name]).success(), format!("{metadata}\n{code}"));
        for pretty in ["--pretty=false", "--pretty"] {
            let json = weft(&["dump", "--output=flatbuffer-json", pretty, name]).success();
            let rest = skip_value(json.as_bytes()).unwrap_or_else(|| panic!("{name} gives no JSON"));
            assert!(rest.iter().all(u8::is_ascii_whitespace), "{name} gives more than JSON");
        }
    }
}

/// [hal-module 73] The tables as bytes are those of the file, wherever they lie in it.
#[test]
fn the_tables_are_given_as_they_are() {
    for module in ["tool_benchmarks", "flat_archive"] {
        let path = programs().join(format!("{module}.vmfb"));
        let output = crate::program::command(&["dump", "--output=flatbuffer-binary", path.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout[4..8], *b"IREE");
        let file = fs::read(&path).unwrap();
        assert!(file.windows(output.stdout.len()).any(|window| window == output.stdout));
    }
}

/// [hal-module 73] What cannot be shown is refused.
#[test]
fn what_cannot_be_shown_is_refused() {
    weft(&["dump", "--output=bogus", "tool_values.vmfb"])
        .failure(2, "INVALID_ARGUMENT; unrecognized --output=");
    weft(&["dump", "nothing.vmfb"]).failure(1, "NOT_FOUND; cannot open file 'nothing.vmfb'");
    weft(&["dump", "tool_values.mlir"]).failure(1, "INVALID_ARGUMENT");
    weft(&["dump"]).failure(2, "no module specified");
    weft(&["dump", "a", "b"]).failure(2, "expected one module, found 2");
    for name in ["nope", "99"] {
        let done = weft(&["dump", &format!("--function={name}"), "tool_values.vmfb"]);
        assert_eq!(done.failure(1, "NOT_FOUND; no function").out, "");
    }
    let by_name = weft(&["dump", "--output=disassembly", "--function=narrow", "tool_values.vmfb"]).success();
    let by_ordinal = weft(&["dump", "--output=disassembly", "--function=2", "tool_values.vmfb"]).success();
    assert_eq!(by_name, by_ordinal);
    assert_eq!(by_name.matches("vm.func @").count(), 1);
}

/// What follows a JSON value; `None` if there is none.
fn skip_value(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii_start();
    match text.first()? {
        b'{' => skip_list(&text[1..], b'}', |text| {
            let text = skip_string(text.trim_ascii_start())?.trim_ascii_start();
            skip_value(text.strip_prefix(b":")?)
        }),
        b'[' => skip_list(&text[1..], b']', skip_value),
        b'"' => skip_string(text),
        b'n' => text.strip_prefix(b"null"),
        _ => {
            let length = text.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
            (length > 0).then(|| &text[length..])
        }
    }
}

fn skip_list(mut text: &[u8], end: u8, skip: impl Fn(&[u8]) -> Option<&[u8]>) -> Option<&[u8]> {
    text = text.trim_ascii_start();
    if let Some(rest) = text.strip_prefix(&[end]) {
        return Some(rest);
    }
    loop {
        text = skip(text)?.trim_ascii_start();
        match text.split_first()? {
            (b',', rest) => text = rest,
            (byte, rest) => return (*byte == end).then_some(rest),
        }
    }
}

fn skip_string(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        match rest {
            [b'\\', _, more @ ..] => rest = more,
            [b'"', more @ ..] => return Some(more),
            [0..0x20, ..] | [] => return None,
            [_, more @ ..] => rest = more,
        }
    }
}
