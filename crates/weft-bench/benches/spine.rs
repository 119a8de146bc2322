//! P0 to P5 of `docs/spec/hal.md`, *What to measure*, on local-sync: floor, weft and the reference in one run.
//!
//! `cargo bench -p weft-bench --bench spine`. The floor of a program is its own kernel in a bare loop. The reference's
//! row appears where its benchmark tool is installed (see `weft_bench::peer`); its modules are the same files.

use std::path::PathBuf;

use weft::{Function, Program, Result, Tensor, Value};
use weft_bench::kernel::{BareKernel, Memory};
use weft_bench::{Subject, Table, measure, peer};

/// One program of the table.
struct Row {
    title: &'static str,
    module: &'static str,
    function: &'static str,
    inputs: &'static [&'static str],
    /// The goal for weft, nanoseconds.
    mark_ns: Option<f64>,
}

const ROWS: &[Row] = &[
    Row { title: "P0 empty function", module: "p0_empty", function: "p0", inputs: &[], mark_ns: Some(540.0) },
    Row {
        title: "P1 one dispatch of 4 floats",
        module: "p1_absolute",
        function: "p1",
        inputs: &["4xf32=1"],
        mark_ns: Some(1_600.0),
    },
    Row {
        title: "P2 100 dependent dispatches",
        module: "p2_hundred_dispatches",
        function: "p2",
        inputs: &["4xf32=1"],
        mark_ns: None,
    },
    Row {
        title: "P3 1000 dependent dispatches",
        module: "p3_thousand_dispatches",
        function: "p3",
        inputs: &["4xf32=1"],
        mark_ns: Some(58_000.0),
    },
    Row {
        title: "P4 512x512x512 matmul",
        module: "p4_matmul",
        function: "p4",
        inputs: &["512x512xf32=1", "512x512xf32=2"],
        mark_ns: None,
    },
    Row {
        title: "P5 scale 16 Mi floats",
        module: "p5_scale",
        function: "p5",
        inputs: &["16777216xf32=1"],
        mark_ns: None,
    },
];

fn main() -> Result<()> {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let table = Table::begin("programs on local-sync, one call");
    for row in ROWS {
        if wanted.is_empty() || wanted.iter().any(|name| row.module.contains(name.as_str())) {
            run(&table, row)?;
        }
    }
    Ok(())
}

fn run(table: &Table, row: &Row) -> Result<()> {
    let path = module_path(row.module);
    let function = Program::load(&path)?.function(row.function)?;
    let inputs: Vec<Value> =
        row.inputs.iter().map(|text| tensor(text).map(Value::Tensor)).collect::<Result<_>>()?;
    let kernel = floor(row.module)?;
    let mut results = Vec::new();
    let mut handle_results = Vec::new();
    let handle_inputs = vm_inputs(&inputs);
    let mut subjects = Vec::new();
    match &kernel {
        Some((kernel, (workgroups, repeats))) => {
            subjects
                .push(Subject::new("floor: the kernel in a bare loop", || kernel.run(*workgroups, *repeats)));
        }
        None => subjects.push(Subject::new("floor: a call through a pointer", || {
            std::hint::black_box(nothing as fn())();
        })),
    }
    subjects.push(Subject::new("weft: Function::invoke", || call(&function, &inputs, &mut results)));
    subjects.push(Subject::new("weft VM alone, values prepared", || {
        function.handle().invoke(&handle_inputs, &mut handle_results).expect("the program runs");
    }));
    let mut figures = measure(subjects);
    if let Some(reference) = peer::reference_ns(&path, row.function, row.inputs) {
        figures.push(weft_bench::Figure {
            name: "reference: its benchmark tool, same module".into(),
            median_ns: reference,
            min_ns: reference,
            ratio: reference / figures[0].median_ns,
        });
    }
    table.group(row.title, &figures, row.mark_ns);
    Ok(())
}

fn nothing() {}

fn call(function: &Function, inputs: &[Value], results: &mut Vec<Value>) {
    function.invoke(inputs.to_vec(), results).expect("the program runs");
}

fn vm_inputs(inputs: &[Value]) -> Vec<weft_vm::Value> {
    let view = |value: &Value| match value {
        Value::Tensor(tensor) => weft_vm::Value::Ref(Some(weft_vm::Ref::new(tensor.view().clone()))),
        other => unreachable!("the programs of the table take tensors, not {}", other.kind()),
    };
    inputs.iter().map(view).collect()
}

/// A tensor of one repeated value from its text.
fn tensor(text: &str) -> Result<Tensor> {
    let parsed = weft_hal::text::TensorText::parse(text)?;
    Tensor::from_bytes(parsed.shape.dims(), parsed.element_type, &parsed.bytes()?)
}

/// The program's kernel with its workgroups and how often they run, where it has one.
fn floor(module: &str) -> Result<Option<(BareKernel, (u32, u32))>> {
    let small = || Memory::floats(64, 1.0);
    let square = || Memory::floats(512 * 512, 1.0);
    let (memory, constants, grid): (_, &[u32], _) = match module {
        "p1_absolute" => (vec![small(), small()], &[], (1, 1)),
        "p2_hundred_dispatches" => (vec![small(), small()], &[0, 64], (1, 100)),
        "p3_thousand_dispatches" => (vec![small(), small()], &[0, 64], (1, 1000)),
        "p4_matmul" => (vec![square(), square(), square()], &[], (64, 1)),
        "p5_scale" => (vec![Memory::floats(1 << 24, 1.0), Memory::floats(1 << 24, 0.0)], &[], (4096, 1)),
        _ => return Ok(None),
    };
    Ok(Some((BareKernel::load(&module_path(module), memory, constants)?, grid)))
}

fn module_path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/bench")).join(format!("{name}.vmfb"))
}
