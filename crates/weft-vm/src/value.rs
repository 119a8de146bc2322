//! Values at the boundary between host and program: arguments, results, elements of variant lists.
//!
//! Lives here: [`Value`] and what it reads as in another value type.
//! Not here: registers, which are untyped (`stack.rs`); the type table (`type_table.rs`).

use crate::reference::Ref;

/// One argument, result or variant element.
///
/// ```
/// use weft_vm::Value;
/// let values = [Value::I32(1), Value::F64(0.5), Value::Ref(None)];
/// assert_eq!(values[0].kind(), "i32");
/// assert_eq!(values[2], Value::NULL);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing: an unset slot of a variant list.
    #[default]
    Empty,
    /// 8-bit integer; only ever read from a list.
    I8(i8),
    /// 16-bit integer; only ever read from a list.
    I16(i16),
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// binary32.
    F32(f32),
    /// binary64.
    F64(f64),
    /// A reference or null.
    Ref(Option<Ref>),
}

impl Value {
    /// The null reference.
    pub const NULL: Value = Value::Ref(None);

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Empty => "empty",
            Value::Ref(None) => "null",
            Value::Ref(Some(_)) => "ref",
            Value::I8(_) => "i8",
            Value::I16(_) => "i16",
            Value::I32(_) => "i32",
            Value::I64(_) => "i64",
            Value::F32(_) => "f32",
            Value::F64(_) => "f64",
        }
    }

    /// The integer that reading this value as an integer gives: floats read as 0 (§11.4). `None`: not a value.
    #[inline]
    pub fn to_i64(&self) -> Option<i64> {
        Some(match *self {
            Value::I8(value) => i64::from(value),
            Value::I16(value) => i64::from(value),
            Value::I32(value) => i64::from(value),
            Value::I64(value) => value,
            Value::F32(_) | Value::F64(_) => 0,
            Value::Empty | Value::Ref(_) => return None,
        })
    }

    /// The float that reading this value as a float gives: integers read as 0 (§11.4). `None`: not a value.
    #[inline]
    pub fn to_f64(&self) -> Option<f64> {
        Some(match *self {
            Value::F32(value) => f64::from(value),
            Value::F64(value) => value,
            Value::I8(_) | Value::I16(_) | Value::I32(_) | Value::I64(_) => 0.0,
            Value::Empty | Value::Ref(_) => return None,
        })
    }

    /// As [`to_f64`](Value::to_f64), keeping the bits of an f32.
    #[inline]
    pub fn to_f32(&self) -> Option<f32> {
        match *self {
            Value::F32(value) => Some(value),
            Value::F64(value) => Some(value as f32),
            _ => self.to_f64().map(|_| 0.0),
        }
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::I32(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::I64(value)
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Value {
        Value::F32(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::F64(value)
    }
}

impl From<Ref> for Value {
    fn from(value: Ref) -> Value {
        Value::Ref(Some(value))
    }
}

impl From<Option<Ref>> for Value {
    fn from(value: Option<Ref>) -> Value {
        Value::Ref(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [vm 98] The conversion matrix: integers among themselves, floats among themselves, nothing across.
    #[test]
    fn integers_and_floats_do_not_mix() {
        for value in [Value::I8(-3), Value::I16(-3), Value::I32(-3), Value::I64(-3)] {
            assert_eq!(value.to_i64(), Some(-3));
            assert_eq!(value.to_f64(), Some(0.0));
            assert_eq!(value.to_f32(), Some(0.0));
        }
        for value in [Value::F32(2.5), Value::F64(2.5)] {
            assert_eq!(value.to_i64(), Some(0));
            assert_eq!(value.to_f64(), Some(2.5));
            assert_eq!(value.to_f32(), Some(2.5));
        }
        for value in [Value::Empty, Value::NULL] {
            assert_eq!((value.to_i64(), value.to_f64(), value.to_f32()), (None, None, None));
        }
    }
}
