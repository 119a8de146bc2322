//! What functions take and give: numbers, tensors, buffers, other objects.
//!
//! What lives here: [`Value`], [`IntoArguments`] and [`FromResults`], which let calls be written with plain Rust types.
//! What does not: the call itself (see `function.rs`).

use crate::tensor::Tensor;
use std::fmt;
use std::sync::Arc;
use weft_hal::{Buffer, BufferView};
use weft_sync::{Code, Result, Status, bail};
use weft_vm::Ref;

/// One argument or result of a function.
#[derive(Clone, Debug)]
pub enum Value {
    /// 32-bit integer; truth values are 0 and 1.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// Single-precision float.
    F32(f32),
    /// Double-precision float.
    F64(f64),
    /// A tensor.
    Tensor(Tensor),
    /// Untyped device memory.
    Buffer(Arc<Buffer>),
    /// No object.
    Null,
    /// Any other object, such as a list.
    Object(Ref),
}

impl Value {
    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::I32(_) => "i32",
            Value::I64(_) => "i64",
            Value::F32(_) => "f32",
            Value::F64(_) => "f64",
            Value::Tensor(_) => "tensor",
            Value::Buffer(_) => "buffer",
            Value::Null => "null",
            Value::Object(_) => "object",
        }
    }

    /// The buffer behind a tensor or buffer.
    pub(crate) fn storage(&self) -> Option<&Buffer> {
        match self {
            Value::Tensor(tensor) => Some(tensor.view().buffer()),
            Value::Buffer(buffer) => Some(buffer),
            Value::Object(object) => {
                let view = object.get::<BufferView>();
                view.map(|view| &**view.buffer()).or_else(|| object.get::<Buffer>())
            }
            _ => None,
        }
    }

    /// The value as programs pass it.
    pub(crate) fn into_vm(self) -> weft_vm::Value {
        match self {
            Value::I32(value) => weft_vm::Value::I32(value),
            Value::I64(value) => weft_vm::Value::I64(value),
            Value::F32(value) => weft_vm::Value::F32(value),
            Value::F64(value) => weft_vm::Value::F64(value),
            Value::Tensor(tensor) => weft_vm::Value::Ref(Some(Ref::new(tensor.into_view()))),
            Value::Buffer(buffer) => weft_vm::Value::Ref(Some(Ref::new(buffer))),
            Value::Null => weft_vm::Value::NULL,
            Value::Object(object) => weft_vm::Value::Ref(Some(object)),
        }
    }

    /// A value as a program gave it.
    pub(crate) fn from_vm(value: weft_vm::Value) -> Value {
        match value {
            weft_vm::Value::I8(value) => Value::I32(value.into()),
            weft_vm::Value::I16(value) => Value::I32(value.into()),
            weft_vm::Value::I32(value) => Value::I32(value),
            weft_vm::Value::I64(value) => Value::I64(value),
            weft_vm::Value::F32(value) => Value::F32(value),
            weft_vm::Value::F64(value) => Value::F64(value),
            weft_vm::Value::Empty | weft_vm::Value::Ref(None) => Value::Null,
            weft_vm::Value::Ref(Some(object)) => match object.downcast::<BufferView>() {
                Ok(view) => Value::Tensor(view.into()),
                Err(object) => match object.downcast::<Buffer>() {
                    Ok(buffer) => Value::Buffer(buffer),
                    Err(object) => Value::Object(object),
                },
            },
        }
    }
}

impl fmt::Display for Value {
    /// Numbers as `i32=5`, tensors in text form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::I32(value) => write!(f, "i32={value}"),
            Value::I64(value) => write!(f, "i64={value}"),
            Value::F32(value) => write_scalar(f, "f32", f64::from(*value)),
            Value::F64(value) => write_scalar(f, "f64", *value),
            Value::Tensor(tensor) => fmt::Display::fmt(tensor, f),
            Value::Buffer(buffer) => write!(f, "buffer of {} bytes", buffer.byte_length()),
            Value::Null => f.write_str("(null)"),
            Value::Object(_) => f.write_str("(object)"),
        }
    }
}

fn write_scalar(f: &mut fmt::Formatter<'_>, name: &str, value: f64) -> fmt::Result {
    write!(f, "{name}=")?;
    weft_hal::text::format_float(f, value, weft_hal::text::NumberStyle::Lower)
}

macro_rules! value_from {
    ($($rust:ty, $value:ident => $made:expr);* $(;)?) => {$(
        impl From<$rust> for Value {
            fn from($value: $rust) -> Value {
                $made
            }
        }
    )*};
}

value_from! {
    i32, value => Value::I32(value);
    i64, value => Value::I64(value);
    f32, value => Value::F32(value);
    f64, value => Value::F64(value);
    bool, value => Value::I32(value.into());
    Tensor, tensor => Value::Tensor(tensor);
    &Tensor, tensor => Value::Tensor(tensor.clone());
    &Value, value => value.clone();
    Arc<Buffer>, buffer => Value::Buffer(buffer);
    Arc<BufferView>, view => Value::Tensor(view.into());
    Ref, object => Value::from_vm(weft_vm::Value::Ref(Some(object)));
    weft_vm::Value, value => Value::from_vm(value);
}

impl From<Value> for weft_vm::Value {
    fn from(value: Value) -> weft_vm::Value {
        value.into_vm()
    }
}

/// What can stand where a call wants its arguments: one value, an array, a slice or vector, a tuple, `()`.
pub trait IntoArguments {
    /// Appends the values in order.
    fn append_to(self, arguments: &mut Vec<Value>);
}

impl<T> IntoArguments for T
where
    Value: From<T>,
{
    fn append_to(self, arguments: &mut Vec<Value>) {
        arguments.push(self.into());
    }
}

impl<T: Into<Value>> IntoArguments for Vec<T> {
    fn append_to(self, arguments: &mut Vec<Value>) {
        arguments.extend(self.into_iter().map(Into::into));
    }
}

impl<T: Into<Value>, const N: usize> IntoArguments for [T; N] {
    fn append_to(self, arguments: &mut Vec<Value>) {
        arguments.extend(self.into_iter().map(Into::into));
    }
}

impl<T: Clone + Into<Value>> IntoArguments for &[T] {
    fn append_to(self, arguments: &mut Vec<Value>) {
        arguments.extend(self.iter().cloned().map(Into::into));
    }
}

impl<T: Clone + Into<Value>, const N: usize> IntoArguments for &[T; N] {
    fn append_to(self, arguments: &mut Vec<Value>) {
        self.as_slice().append_to(arguments);
    }
}

/// A type that one result can be taken as.
pub trait FromResult: Sized {
    /// What is expected, for messages.
    const EXPECTED: &'static str;

    /// Takes the value, or gives it back if it is of another kind.
    fn from_value(value: Value) -> std::result::Result<Self, Value>;
}

macro_rules! result_from {
    ($($rust:ty, $expected:literal, $pattern:pat => $taken:expr);* $(;)?) => {$(
        impl FromResult for $rust {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: Value) -> std::result::Result<Self, Value> {
                match value {
                    $pattern => Ok($taken),
                    other => Err(other),
                }
            }
        }
    )*};
}

result_from! {
    i32, "i32", Value::I32(value) => value;
    i64, "i64", Value::I64(value) => value;
    f32, "f32", Value::F32(value) => value;
    f64, "f64", Value::F64(value) => value;
    bool, "i32", Value::I32(value) => value != 0;
    Tensor, "tensor", Value::Tensor(tensor) => tensor;
    Arc<Buffer>, "buffer", Value::Buffer(buffer) => buffer;
}

impl FromResult for Value {
    const EXPECTED: &'static str = "value";

    fn from_value(value: Value) -> std::result::Result<Self, Value> {
        Ok(value)
    }
}

/// A type that all results of a call can be taken as: `()`, one type, a tuple, or `Vec<Value>`.
pub trait FromResults: Sized {
    /// Takes the results; an error names the one that is of another kind.
    fn from_results(results: Vec<Value>) -> Result<Self>;
}

impl FromResults for Vec<Value> {
    fn from_results(results: Vec<Value>) -> Result<Self> {
        Ok(results)
    }
}

impl FromResults for () {
    fn from_results(results: Vec<Value>) -> Result<Self> {
        check_count(0, &results)
    }
}

impl<T: FromResult> FromResults for T {
    fn from_results(results: Vec<Value>) -> Result<Self> {
        check_count(1, &results)?;
        take(&mut results.into_iter(), 0)
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt)*))*) => {$(
        impl<$($name: Into<Value>),*> IntoArguments for ($($name,)*) {
            fn append_to(self, arguments: &mut Vec<Value>) {
                arguments.extend([$(self.$index.into()),*]);
            }
        }

        impl<$($name: FromResult),*> FromResults for ($($name,)*) {
            fn from_results(results: Vec<Value>) -> Result<Self> {
                check_count([$($index),*].len(), &results)?;
                let mut values = results.into_iter();
                Ok(($(take::<$name>(&mut values, $index)?,)*))
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0 B 1)
    (A 0 B 1 C 2)
    (A 0 B 1 C 2 D 3)
    (A 0 B 1 C 2 D 3 E 4)
    (A 0 B 1 C 2 D 3 E 4 F 5)
    (A 0 B 1 C 2 D 3 E 4 F 5 G 6)
    (A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7)
}

impl IntoArguments for () {
    fn append_to(self, _: &mut Vec<Value>) {}
}

fn check_count(expected: usize, results: &[Value]) -> Result<()> {
    if results.len() != expected {
        bail!(InvalidArgument, "expected {expected} results but the function gave {}", results.len());
    }
    Ok(())
}

fn take<T: FromResult>(values: &mut impl Iterator<Item = Value>, index: usize) -> Result<T> {
    let value = values.next().unwrap_or(Value::Null);
    T::from_value(value).map_err(|other| unexpected(index, T::EXPECTED, &other))
}

#[cold]
fn unexpected(index: usize, expected: &str, found: &Value) -> Status {
    Status::new(
        Code::InvalidArgument,
        format!("result {index} was taken as {expected} but is {}", found.kind()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(from: impl IntoArguments) -> Vec<String> {
        let mut all = Vec::new();
        from.append_to(&mut all);
        all.iter().map(Value::to_string).collect()
    }

    #[test]
    fn arguments_can_be_written_in_many_ways() {
        let tensor = Tensor::new(&[2], &[1i32, 2]).unwrap();
        assert_eq!(arguments(()), Vec::<String>::new());
        assert_eq!(arguments(5i32), ["i32=5"]);
        assert_eq!(arguments(&tensor), ["2xi32=1 2"]);
        assert_eq!(arguments([1i64, 2]), ["i64=1", "i64=2"]);
        assert_eq!(arguments((&tensor, 0.5f32, true)), ["2xi32=1 2", "f32=0.5", "i32=1"]);
        assert_eq!(arguments(vec![Value::Null, Value::F64(1e20)]), ["(null)", "f64=1e+20"]);
        assert_eq!(arguments(&[tensor.clone(), tensor][..]).len(), 2);
    }

    #[test]
    fn a_result_of_another_kind_is_named() {
        let (number, tensor): (i32, Value) =
            FromResults::from_results(vec![Value::I32(1), Value::Null]).unwrap();
        assert_eq!((number, tensor.kind()), (1, "null"));
        let status = <(i32, Tensor)>::from_results(vec![Value::I32(1), Value::I64(2)]).unwrap_err();
        assert_eq!(status.message(), "result 1 was taken as tensor but is i64");
        let status = i32::from_results(vec![]).unwrap_err();
        assert_eq!(status.message(), "expected 1 results but the function gave 0");
        <()>::from_results(vec![]).unwrap();
    }
}
