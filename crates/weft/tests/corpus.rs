//! Every program of `models/programs` through the library: same text as the reference prints.
//!
//! What lives here: reading the manifest (`models/README.md` has its format), calling, printing results as
//! `weft run` does, comparing. What does not: cases with files or further flags, which `weft-cli` runs.

use std::path::{Path, PathBuf};
use weft::hal::BufferView;
use weft::task::{TaskOptions, TopologyRequest, WorkerChoice};
use weft::vm::List;
use weft::vm::isa::Kind;
use weft::vm::signature::Argument;
use weft::{Code, DeviceOptions, Function, Result, Session, Status, Tensor, Value};

#[derive(Default)]
struct Case {
    name: String,
    modules: Vec<String>,
    function: Option<String>,
    inputs: Vec<String>,
    flags: Vec<String>,
    tolerance: Option<(f64, f64)>,
    fails: bool,
    error: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/programs")
}

fn read_manifest() -> Vec<Case> {
    let text = std::fs::read_to_string(folder().join("manifest.txt")).expect("models/programs/manifest.txt");
    let blocks = text.split("\n\n").map(|block| block.lines().filter(|line| !line.starts_with('#')));
    blocks.map(read_case).filter(|case| !case.name.is_empty()).collect()
}

fn read_case<'a>(lines: impl Iterator<Item = &'a str>) -> Case {
    let mut case = Case::default();
    for line in lines {
        let Some((key, value)) =
            line.split_once(": ").or_else(|| line.strip_suffix(':').map(|key| (key, "")))
        else {
            continue;
        };
        let value = value.to_owned();
        match key {
            "case" => case.name = value,
            "module" => case.modules.push(value),
            "function" => case.function = Some(value),
            "input" => case.inputs.push(value),
            "flag" => case.flags.push(value),
            "expect_exit" => case.fails = value != "0",
            "error" => case.error = Some(value),
            "tolerance" => case.tolerance = read_tolerance(&value),
            "program" | "reference_differs" => {}
            other => panic!("unknown key `{other}` in manifest.txt"),
        }
    }
    case
}

fn read_tolerance(text: &str) -> Option<(f64, f64)> {
    let (absolute, relative) = text.split_once(' ')?;
    Some((absolute.parse().expect("a number"), relative.parse().expect("a number")))
}

/// A session on workers.
fn workers(count: usize) -> Result<Session> {
    let topology = TopologyRequest { workers: WorkerChoice::Count(count), ..TopologyRequest::default() };
    let task = TaskOptions { topology, ..TaskOptions::default() };
    let options = DeviceOptions { task, ..DeviceOptions::default() };
    Session::builder().device("local-task").device_options(options).build()
}

/// The text that `weft run` prints to stdout.
fn run(session: &Session, case: &Case) -> Result<String> {
    let function = load(session, case)?;
    call(&function, case)
}

fn load(session: &Session, case: &Case) -> Result<Function> {
    let mut program = session.program();
    for module in &case.modules {
        program = program.file(folder().join(module))?;
    }
    let program = program.load()?;
    match &case.function {
        Some(name) => program.function(name),
        None => program.default_function(),
    }
}

fn call(function: &Function, case: &Case) -> Result<String> {
    let arguments = read_arguments(function, &case.inputs)?;
    let mut results = Vec::new();
    function.invoke(arguments, &mut results)?;
    let mut text = format!("EXEC @{}\n", function.name());
    for (index, result) in results.iter().enumerate() {
        text.push_str(&format!("result[{index}]: {}\n", print(function, &result.clone().into())?));
    }
    Ok(text)
}

fn read_arguments(function: &Function, inputs: &[String]) -> Result<Vec<Value>> {
    let wanted = function.signature().arguments();
    let kind = |index: usize| match wanted.get(index) {
        Some(Argument::Value(kind)) => *kind,
        _ => Kind::Ref,
    };
    inputs.iter().enumerate().map(|(index, text)| read_argument(kind(index), text)).collect()
}

fn read_argument(kind: Kind, text: &str) -> Result<Value> {
    use weft::hal::text::{parse_f32, parse_f64, parse_integer};
    let bad = || Status::new(Code::InvalidArgument, format!("parsing value `{text}`"));
    let text = if text == "(ignored)" { "(null)" } else { text };
    let text = if text == "(null)" && !kind.is_ref() { "0" } else { text };
    Ok(match kind {
        Kind::I32 => Value::I32(parse_integer(text).ok_or_else(bad)? as i32),
        Kind::I64 => Value::I64(parse_integer(text).ok_or_else(bad)? as i64),
        Kind::F32 => Value::F32(parse_f32(text).ok_or_else(bad)?),
        Kind::F64 => Value::F64(parse_f64(text).ok_or_else(bad)?),
        Kind::Ref if text == "(null)" => Value::Null,
        Kind::Ref => match text.strip_prefix('&') {
            Some(text) => Value::Buffer(text.parse::<Tensor>()?.view().buffer().clone()),
            None => Value::Tensor(text.parse()?),
        },
    })
}

/// The text of a result, and of elements of lists, whose numbers may be narrower.
fn print(function: &Function, value: &weft::vm::Value) -> Result<String> {
    use weft::vm::Value as Raw;
    let object = match value {
        Raw::I8(value) => return Ok(format!("i8={value}")),
        Raw::I16(value) => return Ok(format!("i16={value}")),
        Raw::Ref(Some(object)) => object,
        scalar => return Ok(Value::from(scalar.clone()).to_string()),
    };
    if let Some(list) = object.get::<List>() {
        return print_list(function, list);
    }
    if let Some(view) = object.to_arc::<BufferView>() {
        return Ok(format!("hal.buffer_view\n{}", Tensor::from(view).to_text(1024)?));
    }
    let name = function.program().session().instance().type_name(object.type_id());
    Ok(format!("{}\n(no printer)", name.as_deref().unwrap_or("?")))
}

fn print_list(function: &Function, list: &List) -> Result<String> {
    let mut text = "vm.list\n".to_owned();
    for index in 0..list.len() {
        text.push_str(&format!("child_list[{index}]: {}\n", print(function, &list.get(index)?)?));
    }
    Ok(text)
}

/// Same words, numbers within the tolerance.
fn is_equal(actual: &str, expected: &str, tolerance: Option<(f64, f64)>) -> bool {
    let Some((absolute, relative)) = tolerance else { return actual == expected };
    let words = |text: &str| {
        let separators = [' ', '[', ']', '=', '\n'];
        text.split(separators).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (actual, expected) = (words(actual), words(expected));
    let same = |actual: &String, expected: &String| {
        if actual == expected {
            return true;
        }
        match (actual.parse::<f64>(), expected.parse::<f64>()) {
            (Ok(a), Ok(e)) => (a - e).abs() <= absolute + relative * e.abs(),
            _ => false,
        }
    };
    actual.len() == expected.len()
        && actual.iter().zip(&expected).all(|(actual, expected)| same(actual, expected))
}

fn check(session: &Session, case: &Case) -> std::result::Result<(), String> {
    check_text(run(session, case), case)
}

fn check_text(text: Result<String>, case: &Case) -> std::result::Result<(), String> {
    match (text, case.fails) {
        (Ok(text), false) => {
            let path = folder().join("expected").join(format!("{}.txt", case.name));
            let expected = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
            if is_equal(&text, &expected, case.tolerance) {
                return Ok(());
            }
            Err(format!("expected:\n{expected}actual:\n{text}"))
        }
        (Err(status), true) => match &case.error {
            Some(error) if !status.to_string().contains(error) => {
                Err(format!("expected an error with `{error}`, got: {status}"))
            }
            _ => Ok(()),
        },
        (Ok(text), true) => Err(format!("expected an error, got:\n{text}")),
        (Err(status), false) => Err(format!("failed: {status}")),
    }
}

fn is_plain(case: &Case) -> bool {
    case.flags.is_empty() && !case.inputs.iter().any(|input| input.contains(['@', '+', '*']))
}

fn check_all(session: &Session) {
    let cases = read_manifest();
    let mut failures = Vec::new();
    let mut count = 0;
    for case in cases.iter().filter(|case| is_plain(case)) {
        count += 1;
        if let Err(problem) = check(session, case) {
            failures.push(format!("{}: {problem}", case.name));
        }
    }
    println!("{count} of {} cases, {} failed", cases.len(), failures.len());
    assert!(count > 20, "only {count} cases were found");
    assert!(failures.is_empty(), "{} of {count} cases failed:\n\n{}", failures.len(), failures.join("\n\n"));
}

/// All programs give the text that the reference gives.
#[test]
fn programs_print_what_the_reference_prints() {
    check_all(&Session::new().unwrap());
}

/// The same on workers: all programs one after the other on one device.
#[test]
fn programs_print_the_same_on_one_worker() {
    check_all(&workers(1).unwrap());
}

#[test]
fn programs_print_the_same_on_two_workers() {
    check_all(&workers(2).unwrap());
}

#[test]
fn programs_print_the_same_on_eight_workers() {
    check_all(&workers(8).unwrap());
}

/// Calls of one function in a row; under the race detector as many as it takes to meet rare orders.
const REPEATS: usize = if cfg!(tsan) { 200 } else { 30 };

/// Programs of every shape: wide and narrow kernels, transients, control flow on results, asynchronous calls, updates,
/// indirect dispatches, bytecode kernels.
const CHOSEN: [&str; 12] = [
    "attention",
    "matmul_dynamic",
    "softmax",
    "reductions",
    "gather_scatter",
    "control_flow_tensors",
    "async_basic",
    "layer_norm",
    "dispatch_by_hand",
    "dynamic_shapes",
    "game_of_life",
    "vmvx_bytecode",
];

/// A dozen programs on workers, called again and again, also by several threads at once.
#[test]
fn chosen_programs_stay_right_when_they_are_repeated() {
    let cases = read_manifest();
    for count in [1, 2, 8] {
        let session = workers(count).unwrap();
        for name in CHOSEN {
            let module = format!("{name}.vmfb");
            let is_chosen = |case: &&Case| case.modules == [module.clone()] && is_plain(case) && !case.fails;
            let case = cases.iter().find(is_chosen).unwrap_or_else(|| panic!("no case of {name}"));
            let function = load(&session, case).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for repeat in 0..REPEATS {
                            let outcome = check_text(call(&function, case), case);
                            outcome.unwrap_or_else(|problem| {
                                panic!("{name}, {count} workers, {repeat}: {problem}")
                            });
                        }
                    });
                }
            });
        }
    }
}
