//! `weft run`: calls one function and prints, writes or compares its results.
//!
//! The order of steps is that of the reference's tool (`docs/spec/hal-module.md` §13.4), so that outputs can be
//! compared line by line even when something fails.

use std::io::{BufWriter, Write};

use weft::sync::{Result, WhileDoing};
use weft::vm::isa::Kind;
use weft::{Function, Value};

use crate::compare::{Equality, Expected, compare_all};
use crate::failure::{Failure, Outcome};
use crate::flags::Flags;
use crate::inputs::{Input, Reader, argument_kinds};
use crate::results::Shown;
use crate::trace::Trace;
use crate::{outputs, setup};

/// Runs the command.
pub fn run(flags: &Flags) -> Outcome {
    if setup::listed_instead(flags)? {
        return Ok(());
    }
    setup::mention_ignored(flags, "weft run");
    Trace::check(flags)?;
    let session = setup::session(flags)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let outcome = call(flags, &session, &mut out);
    // What was printed before a failure belongs before its message.
    let flushed = out.flush();
    let used_devices = outcome?;
    flushed?;
    setup::print_statistics(&session, flags, used_devices)?;
    Ok(())
}

/// Loads, calls and shows; everything of the program is gone when it returns. `true` if devices were used.
fn call(flags: &Flags, session: &weft::Session, out: &mut dyn Write) -> Outcome<bool> {
    let program = setup::program(session, flags, None)?;
    let function = setup::function(&program, flags).while_doing(|| "creating run context")?;
    let device = setup::input_device(&program)?;
    let used_devices = device.is_some();
    let kinds = argument_kinds(&function)?;
    let mut reader = Reader::new(device);
    let arguments = read_arguments(&mut reader, &flags.list("input"), &kinds)
        .while_doing(|| "parsing function inputs")
        .map_err(|status| setup::with_declaration(status, &function))?;

    writeln!(out, "EXEC @{}", function.name())?;
    // Whoever watches sees what is running, however long it takes.
    out.flush()?;
    let mut results = Vec::new();
    let trace = Trace::begin(session, flags, used_devices)?;
    let outcome = function.invoke(arguments, &mut results);
    let traced = trace.map_or(Ok(()), |trace| trace.finish(function.name(), &outcome));
    // Of two failures the call's is the one to know about, and results do not depend on a trace.
    outcome?;
    show(out, flags, &function, results, &mut reader)?;
    traced?;
    Ok(used_devices)
}

/// The values that a function is called with.
pub fn read_arguments(reader: &mut Reader, texts: &[&str], kinds: &[Kind]) -> Result<Vec<Value>> {
    let inputs = reader.read_all(texts, kinds)?;
    Ok(inputs.into_iter().zip(kinds).map(|(input, kind)| input.into_argument(*kind)).collect())
}

/// Prints, writes or compares results as the flags say.
pub fn show(
    out: &mut dyn Write,
    flags: &Flags,
    function: &Function,
    results: Vec<Value>,
    reader: &mut Reader,
) -> Outcome {
    let annotate = |failure: Failure| match failure {
        Failure::Failed(status) => {
            let status = status.while_doing("processing function outputs");
            Failure::Failed(setup::with_declaration(status, function))
        }
        other => other,
    };
    let instance = function.program().session().instance();
    let read = |value: &Value| Shown::read(value, instance);
    let read_all = || results.iter().map(read).collect::<Result<Vec<Shown>>>();
    let elements_max = usize::try_from(flags.count("output_max_element_count")).unwrap_or(usize::MAX);
    let expected = flags.list("expected_output");
    let places = flags.list("output");
    if !expected.is_empty() {
        let prepared = read_expected(reader, &expected, function).and_then(|all| Ok((all, read_all()?)));
        let (expected, shown) = prepared.map_err(|status| annotate(status.into()))?;
        compare(out, flags, &expected, &shown)
    } else if !places.is_empty() {
        outputs::write_all(out, &results, &read, &places, elements_max).map_err(annotate)
    } else {
        let shown = read_all().map_err(|status| annotate(status.into()))?;
        for (index, result) in shown.iter().enumerate() {
            write!(out, "result[{index}]: ")?;
            result.print(out, elements_max)?;
        }
        Ok(())
    }
}

fn read_expected(reader: &mut Reader, texts: &[&str], function: &Function) -> Result<Vec<Expected>> {
    let doing = || "parsing expected function outputs";
    let inputs = reader.read_all(texts, function.signature().results()).while_doing(doing)?;
    let instance = function.program().session().instance();
    let expected = |input: Input| match input {
        Input::Nothing => Ok(Expected::Ignored),
        Input::Given(value) => Shown::read(&value, instance).map(Expected::Exactly),
    };
    inputs.into_iter().map(expected).collect()
}

fn compare(out: &mut dyn Write, flags: &Flags, expected: &[Expected], shown: &[Shown]) -> Outcome {
    let report = compare_all(expected, shown, &Equality::from_flags(flags));
    if report.is_empty() {
        writeln!(out, "[SUCCESS] all function outputs matched their expected values.")?;
        return Ok(());
    }
    out.write_all(report.as_bytes())?;
    Err(Failure::Reported)
}
