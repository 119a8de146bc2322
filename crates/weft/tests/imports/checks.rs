//! `check.*`.

use super::harness::{Hal, NULL, object, wrapper};
use std::path::Path;
use weft::hal::ElementType;
use weft::vm::signature::Signature;
use weft::vm::{ModuleBytes, Value};
use weft::{CheckLog, Code, Program, Result, Session, Tensor};

struct Checks {
    hal: Hal,
    log: CheckLog,
}

impl Checks {
    fn new() -> Checks {
        Checks { hal: Hal::new(), log: CheckLog::default() }
    }

    /// Calls an export; gives the messages of failed expectations.
    fn call(&self, export: &str, signature: &str, arguments: &[Value]) -> Result<Vec<String>> {
        let bytes = wrapper("check", export, &Signature::parse(signature)?, &[])?;
        let builder = self.hal.session.program().check(self.log.clone())?;
        let program = builder.bytes(ModuleBytes::copy_of(&bytes))?.load()?;
        program.function("call")?.handle().call(arguments)?;
        Ok(self.log.take())
    }

    fn all_true(&self, tensor: &str) -> Result<Vec<String>> {
        self.call("expect_all_true", "0rr_v", &[self.hal.device(), view(tensor)])
    }

    fn equal(&self, lhs: Value, rhs: Value) -> Vec<String> {
        self.call("expect_eq", "0rrr_v", &[self.hal.device(), lhs, rhs]).unwrap()
    }

    fn almost(&self, lhs: &str, rhs: &str, atol: f32, rtol: f32) -> Result<Vec<String>> {
        let tolerance = [Value::F32(atol), Value::F32(rtol)];
        let arguments = [&[self.hal.device(), view(lhs), view(rhs)][..], &tolerance].concat();
        self.call("expect_almost_eq", "0rrrff_v", &arguments)
    }

    fn is_almost(&self, lhs: &str, rhs: &str, atol: f32, rtol: f32) -> bool {
        self.almost(lhs, rhs, atol, rtol).unwrap().is_empty()
    }
}

fn view(text: &str) -> Value {
    object(text.parse::<Tensor>().unwrap().into_view())
}

fn expectations(log: Option<CheckLog>) -> Program {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/library/expectations.vmfb");
    let builder = Session::new().unwrap().program();
    let builder = log.into_iter().fold(builder, |builder, log| builder.check(log).unwrap());
    builder.file(path).unwrap().load().unwrap()
}

/// Compiled expectations: texts, and all failures of one function. [hal-module 59]
#[test]
fn compiled_expectations() {
    let log = CheckLog::default();
    let program = expectations(Some(log.clone()));
    for name in ["scalars", "all_true", "equal", "almost_equal"] {
        program.call::<()>(name, ()).unwrap();
        assert_eq!(log.take(), Vec::<String>::new(), "{name}");
    }
    program.call::<()>("failing_scalars", ()).unwrap();
    assert_eq!(log.take(), ["Expected 0 to be nonzero.", "Expected 42 to be zero."]);
    program.call::<()>("failing_tensors", ()).unwrap();
    let messages = log.take();
    assert_eq!(messages.len(), 3);
    // The compiler is free to reorder expectations.
    let has = |message: &str| messages.iter().any(|found| found.contains(message));
    let tensors = "\n  lhs:\n    4xf32=1 2 3 4\n  rhs:\n    4xf32=1 2 3 42";
    assert!(has(&format!(
        "Expected near equality of these values. Contents does not match to tolerance parameters atol=0.1, rtol=0. \
         The first failure occurs at index 3 as the lhs value 4 differs from the rhs value 42 by 3.800e+01.{tensors}"
    )));
    assert!(has(&format!("Expected equality of these values. Contents does not match.{tensors}")));
    assert!(has("element #3 doesn't match"));
}

/// Without the module expectations are skipped. [hal-module 63]
#[test]
fn expectations_without_the_module() {
    let program = expectations(None);
    for name in ["scalars", "almost_equal", "failing_scalars", "failing_tensors"] {
        program.call::<()>(name, ()).unwrap();
    }
}

/// The rule of near equality on tensors. [hal-module 60]
#[test]
fn almost_equal() {
    let checks = Checks::new();
    assert!(checks.is_almost("2xf32=inf -inf", "2xf32=inf -inf", 0.0, 0.0));
    assert!(!checks.is_almost("f32=inf", "f32=-inf", 1e30, 1.0));
    assert!(checks.is_almost("f64=nan", "f64=nan", 0.0, 0.0));
    assert!(!checks.is_almost("f64=nan", "f64=1", 1e30, 1.0));
    assert!(!checks.is_almost("f64=1", "f64=nan", 1e30, 1.0));
    assert!(checks.is_almost("f32=1.5", "f32=1", 0.5, 0.0));
    assert!(!checks.is_almost("f32=1.5001", "f32=1", 0.5, 0.0));
    assert!(checks.is_almost("f32=5", "f32=4", 0.0, 0.25));
    assert!(!checks.is_almost("f32=4", "f32=3", 0.0, 0.25));
    assert!(checks.is_almost("f16=10000.0", "f16=10000.1", 0.0, 1e-4));
    for types in ["f16", "bf16", "f8E4M3FN", "f8E4M3FNUZ", "f8E5M2", "f8E5M2FNUZ", "f8E8M0FNU"] {
        assert!(checks.is_almost(&format!("2x{types}=1 2"), &format!("2x{types}=1 2"), 0.0, 0.0), "{types}");
        assert!(!checks.is_almost(&format!("2x{types}=1 2"), &format!("2x{types}=1 4"), 0.1, 0.0), "{types}");
    }
    let shapes = checks.almost("2xf32=1", "3xf32=1", 1.0, 1.0).unwrap();
    assert!(
        shapes[0].starts_with("Expected near equality of these values. Shapes do not match.\n"),
        "{shapes:?}"
    );
    let both = checks.almost("3xf32=1", "2xf64=1", 1.0, 1.0).unwrap();
    assert!(both[0].contains(" Element types do not match. Shapes do not match.\n"), "{both:?}");
    for unsupported in ["i32=1", "i1=01", "cf64=0000000000000000"] {
        let status = checks.almost(unsupported, unsupported, 0.0, 0.0).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{unsupported}");
    }
}

/// Equality of bytes, and truth of elements. [hal-module 61]
#[test]
fn equality_and_truth() {
    let checks = Checks::new();
    let passes = |lhs: &str, rhs: &str| checks.equal(view(lhs), view(rhs)).is_empty();
    assert!(passes("0xf32=", "0xf32="));
    assert!(passes("2xf32=nan 1", "2xf32=nan 1"));
    assert!(passes("2xcf64=0000803F00000040", "2xcf64=0000803F00000040"));
    assert!(!passes("f32=0", "f32=-0"));
    assert!(!passes("i32=1", "si32=1"));
    assert!(!passes("2x1xi32=1", "1x2xi32=1"));
    let both = view("2xf32=1 2");
    assert!(checks.equal(both.clone(), both).is_empty());
    let texts = checks.equal(view("2xi32=1 2"), view("2xi32=1 3"));
    assert_eq!(
        texts,
        [
            "Expected equality of these values. Contents does not match.\n  lhs:\n    2xi32=1 2\n  rhs:\n    2xi32=1 3"
        ]
    );
    for types in ["i8", "i16", "i32", "i64", "ui8", "si64", "f32", "f64"] {
        assert!(checks.all_true(&format!("1x2x2x{types}=1 2 3 4")).unwrap().is_empty(), "{types}");
        let message = checks.all_true(&format!("1x2x2x{types}=1 2 3 0")).unwrap();
        assert!(message[0].contains("element #3 doesn't match"), "{message:?}");
    }
    assert!(checks.all_true("2xf32=nan -1").unwrap().is_empty());
    assert!(checks.all_true("0xi32=").unwrap().is_empty());
    for unsupported in ["i1=01", "f16=1", "bf16=1"] {
        assert_eq!(checks.all_true(unsupported).unwrap_err().code(), Code::InvalidArgument, "{unsupported}");
    }
    let null = checks.call("expect_eq", "0rrr_v", &[checks.hal.device(), NULL, NULL]).unwrap_err();
    assert_eq!(null.code(), Code::InvalidArgument);
    let _ = ElementType::F32;
}
