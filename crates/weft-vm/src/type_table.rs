//! Spellings in a module's type table (`docs/spec/vm-bytecode.md` §6).
//!
//! Not here: which ref types exist. A spelling such as `!hal.buffer` names a type; the registry of the instance
//! knows whether there is one (`types.rs`).

use weft_sync::{Result, bail};

/// A type that a list element or a register can have without being a ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// 8 bits, only in lists.
    I8,
    /// 16 bits, only in lists.
    I16,
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
}

/// What an entry of the type table means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TypeSpelling {
    /// `i8` … `f64`.
    Value(ValueType),
    /// `!vm.opaque`: any ref; as a list element, anything.
    Opaque,
    /// A ref type by its registered name, without the `!`. Every `!vm.list<…>` is `vm.list`.
    Ref(String),
}

impl TypeSpelling {
    /// Parses a spelling; one that no type can have is NOT_FOUND.
    ///
    /// ```
    /// use weft_vm::type_table::TypeSpelling;
    /// assert_eq!(TypeSpelling::parse("!vm.list<i32>").unwrap(), TypeSpelling::Ref("vm.list".into()));
    /// assert!(TypeSpelling::parse("i128").is_err());
    /// ```
    pub fn parse(spelling: &str) -> Result<TypeSpelling> {
        let value = match spelling {
            "i8" => ValueType::I8,
            "i16" => ValueType::I16,
            "i32" => ValueType::I32,
            "i64" => ValueType::I64,
            "f32" => ValueType::F32,
            "f64" => ValueType::F64,
            "!vm.opaque" => return Ok(TypeSpelling::Opaque),
            _ if spelling.starts_with("!vm.list") => return Ok(TypeSpelling::Ref("vm.list".to_owned())),
            _ => match spelling.strip_prefix('!') {
                Some(name) if !name.is_empty() => return Ok(TypeSpelling::Ref(name.to_owned())),
                _ => bail!(
                    NotFound,
                    "type `{spelling}`: expected a value type or `!` and the name of a ref type"
                ),
            },
        };
        Ok(TypeSpelling::Value(value))
    }

    /// Whether a ref may have this type: a ref type or `!vm.opaque`.
    pub fn is_ref(&self) -> bool {
        !matches!(self, TypeSpelling::Value(_))
    }
}
