//! Functions from a production compiler, against what the reference's runner said.
//!
//! `tests/data/back/scalars.mlir` was compiled by the 3.13 compiler for the generic CPU target with
//! `--iree-vm-bytecode-module-strip-source-map`; `scalars.txt` holds a call a line, `function arguments = results`,
//! as the reference's runner printed them for seeded random arguments. Floats travel as bits.

use crate::support::*;
use weft_vm::isa::Kind;
use weft_vm::{BytecodeModule, Context, ModuleBytes, Value};

const MODULE: &[u8] = include_bytes!("../data/back/scalars.vmfb");
const CALLS: &str = include_str!("../data/back/scalars.txt");

fn compiled() -> std::sync::Arc<Context> {
    let instance = instance();
    let module = BytecodeModule::load(&instance, ModuleBytes::copy_of(MODULE)).expect("loads");
    Context::new(&instance, vec![module.into()]).expect("made")
}

/// Whether two results are equal where the specification asks for equality.
fn agree(name: &str, index: usize, arguments: &[i64], found: i64, recorded: i64) -> bool {
    let is_nan = |bits: i64| f32::from_bits(bits as u32).is_nan();
    match (name, index) {
        // "Ordered and not equal" is false for NaN here (§20, D6).
        ("float_compare", 1) if arguments.iter().any(|&bits| is_nan(bits)) => found == 0,
        // Sign and payload of a NaN that is computed are not specified.
        ("float_exact", _) if is_nan(recorded) => is_nan(found),
        _ => found == recorded,
    }
}

/// [vm 145]
#[test]
fn results_equal_the_references() {
    let mut calls = 0;
    for line in CALLS.lines().filter(|line| !line.starts_with('#')) {
        let (call, results) = line.split_once(" = ").expect("a call and its results");
        let mut words = call.split(' ');
        let name = words.next().expect("a function");
        let arguments: Vec<i64> = words.map(|word| word.parse().expect("a number")).collect();
        let recorded: Vec<i64> = results.split(' ').map(|word| word.parse().expect("a number")).collect();
        // A context of its own for each: one function counts its calls.
        let function = compiled().export("module", name).expect(name);
        let kinds = function.signature().argument_kinds().expect("no spans");
        let values = kinds.iter().zip(&arguments).map(|(kind, &argument)| match kind {
            Kind::I64 => l(argument),
            _ => i(argument as i32),
        });
        let found = function.call(&values.collect::<Vec<Value>>()).expect(line);
        assert_eq!(found.len(), recorded.len(), "{line}");
        for (index, (found, recorded)) in found.iter().zip(&recorded).enumerate() {
            let found = found.to_i64().expect("a number");
            assert!(agree(name, index, &arguments, found, *recorded), "{line}: result {index} is {found}");
        }
        calls += 1;
    }
    assert!(calls > 200, "{calls}");
}

/// [vm 11] A failed load keeps nothing of the archive; a successful one lets it go with the module.
#[test]
fn archives_are_released_exactly_once() {
    let live = Live::default();
    struct Owner(Vec<u8>, #[expect(dead_code, reason = "counts")] weft_vm::Ref);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let instance = instance();
    let load = |bytes: &[u8]| {
        let owner = Owner(bytes.to_vec(), live.token());
        BytecodeModule::load(&instance, ModuleBytes::shared(std::sync::Arc::new(owner)))
    };
    for length in [0, 100, MODULE.len() / 2] {
        assert_eq!(code(load(&MODULE[..length])), Code::InvalidArgument);
        assert_eq!(live.count(), 0);
    }
    let module = load(MODULE).expect("loads");
    assert_eq!(live.count(), 1);
    let context = Context::new(&instance, vec![module.into()]).expect("made");
    let function = context.function("module.count").expect("count");
    drop(context);
    assert_eq!((function.call(&[i(1)]).expect("called"), live.count()), (vec![i(8)], 1));
    drop(function);
    assert_eq!(live.count(), 0);
}

/// Two contexts of one compiled module count by themselves.
#[test]
fn compiled_globals_belong_to_the_context() {
    let (first, second) = (compiled(), compiled());
    let count = |context: &std::sync::Arc<Context>| {
        context.function("module.count").expect("count").call(&[i(1)]).expect("called")
    };
    assert_eq!([count(&first), count(&first), count(&second)], [[i(8)], [i(9)], [i(8)]]);
}
