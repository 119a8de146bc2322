//! What the modules of one process share: the names of reference types, limits, and the host's hooks.
//!
//! Lives here: [`Instance`], [`RefType`], [`TypeSpec`]. Types are registered by name before modules that mention
//! them are loaded; `vm.buffer` and `vm.list` are always there.
//! Not here: the objects themselves (`reference.rs`, `buffer.rs`, `list.rs`).

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, RwLock};

use weft_sync::{Result, bail};

use crate::buffer::Buffer;
use crate::list::List;
use crate::type_table::{TypeSpelling, ValueType};
use crate::value::Value;

/// A registered reference type: the name that programs use and the Rust type behind it.
#[derive(Clone)]
pub struct RefType {
    id: TypeId,
    name: Arc<str>,
}

impl RefType {
    /// The identity that objects are compared with.
    #[inline]
    pub fn id(&self) -> TypeId {
        self.id
    }

    /// The name without the leading `!`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The built-in `vm.list`.
    pub fn list() -> RefType {
        RefType { id: TypeId::of::<List>(), name: "vm.list".into() }
    }

    /// The built-in `vm.buffer`.
    pub fn buffer() -> RefType {
        RefType { id: TypeId::of::<Buffer>(), name: "vm.buffer".into() }
    }
}

impl PartialEq for RefType {
    fn eq(&self, other: &RefType) -> bool {
        self.id == other.id
    }
}

impl Eq for RefType {}

impl fmt::Debug for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "!{}", self.name)
    }
}

/// What an entry of a module's type table means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeSpec {
    /// A value type.
    Value(ValueType),
    /// A registered reference type.
    Ref(RefType),
    /// `!vm.opaque`: any reference, or an element of a variant list.
    Any,
    /// A name nobody registered, kept so that a module can be looked at. Such a module refuses to run.
    Placeholder(Box<str>),
}

impl TypeSpec {
    /// Whether fields that need a reference type may name it.
    pub fn is_ref(&self) -> bool {
        !matches!(self, TypeSpec::Value(_))
    }
}

/// What a program asks to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintKind {
    /// The `print` instruction.
    Print,
    /// The `trace` instruction.
    Trace,
}

/// Receives what programs print: the text (bytes, usually UTF-8) and the values named with it.
pub type PrintHook = Box<dyn Fn(PrintKind, &[u8], &[Value]) + Send + Sync>;

/// Bounds and hooks of an [`Instance`].
pub struct InstanceOptions {
    /// How many distinct reference types may be registered.
    pub types_max: usize,
    /// Bytes of stack that one invocation may use before it fails with RESOURCE_EXHAUSTED.
    pub stack_bytes_max: usize,
    /// Bytes of value globals and 16 times the number of ref globals that one module may ask for.
    pub state_bytes_max: usize,
    /// Called for `print` and `trace`. Nothing is shown without it.
    pub print: Option<PrintHook>,
}

impl Default for InstanceOptions {
    fn default() -> InstanceOptions {
        InstanceOptions { types_max: 32, stack_bytes_max: 1 << 20, state_bytes_max: 1 << 30, print: None }
    }
}

impl fmt::Debug for InstanceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceOptions")
            .field("types_max", &self.types_max)
            .field("stack_bytes_max", &self.stack_bytes_max)
            .field("state_bytes_max", &self.state_bytes_max)
            .field("print", &self.print.is_some())
            .finish()
    }
}

struct Registered {
    ref_type: RefType,
    count: usize,
}

/// What all modules and contexts of a host share. Thread-safe.
///
/// ```
/// use weft_vm::{Instance, TypeSpec};
/// struct Camera;
/// let instance = Instance::new();
/// instance.register::<Camera>("my.camera").unwrap();
/// assert!(matches!(instance.resolve("!my.camera").unwrap(), TypeSpec::Ref(_)));
/// assert!(instance.resolve("!my.lens").is_err());
/// ```
pub struct Instance {
    types: RwLock<Vec<Registered>>,
    options: InstanceOptions,
}

impl Instance {
    /// An instance with default limits.
    pub fn new() -> Arc<Instance> {
        Instance::with_options(InstanceOptions::default())
    }

    /// An instance with chosen limits and hooks.
    pub fn with_options(options: InstanceOptions) -> Arc<Instance> {
        // Never unregistered, however often somebody tries.
        let built_in = |ref_type| Registered { ref_type, count: usize::MAX / 2 };
        let types = vec![built_in(RefType::buffer()), built_in(RefType::list())];
        Arc::new(Instance { types: RwLock::new(types), options })
    }

    /// The limits and hooks.
    pub fn options(&self) -> &InstanceOptions {
        &self.options
    }

    /// Gives a Rust type the name by which programs know it. Registering the same pair again counts.
    ///
    /// Fails with ALREADY_EXISTS when name or type belongs to another registration, with RESOURCE_EXHAUSTED when
    /// there are too many types.
    pub fn register<T: Any + Send + Sync>(&self, name: &str) -> Result<RefType> {
        let id = TypeId::of::<T>();
        let mut types = self.types.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        for entry in types.iter_mut() {
            match (entry.ref_type.id == id, &*entry.ref_type.name == name) {
                (true, true) => {
                    entry.count += 1;
                    return Ok(entry.ref_type.clone());
                }
                (false, false) => {}
                _ => bail!(
                    AlreadyExists,
                    "cannot register `{name}` for {}: `{}` is registered already",
                    std::any::type_name::<T>(),
                    entry.ref_type.name
                ),
            }
        }
        if types.len() >= self.options.types_max {
            bail!(ResourceExhausted, "cannot register `{name}`: all {} types in use", self.options.types_max);
        }
        let ref_type = RefType { id, name: name.into() };
        types.push(Registered { ref_type: ref_type.clone(), count: 1 });
        Ok(ref_type)
    }

    /// Takes one registration back; the last one frees the name. Returns whether there was one. Modules that were
    /// loaded before keep working.
    pub fn unregister<T: Any + Send + Sync>(&self) -> bool {
        let mut types = self.types.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(index) = types.iter().position(|entry| entry.ref_type.id == TypeId::of::<T>()) else {
            return false;
        };
        types[index].count -= 1;
        if types[index].count == 0 {
            types.remove(index);
        }
        true
    }

    /// The type that a spelling in a module's type table means; NOT_FOUND for unknown ones (§6).
    pub fn resolve(&self, full_name: &str) -> Result<TypeSpec> {
        let name = match TypeSpelling::parse(full_name)? {
            TypeSpelling::Value(value_type) => return Ok(TypeSpec::Value(value_type)),
            TypeSpelling::Opaque => return Ok(TypeSpec::Any),
            TypeSpelling::Ref(name) => name,
        };
        let types = self.types.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        match types.iter().find(|entry| *entry.ref_type.name == name) {
            Some(entry) => Ok(TypeSpec::Ref(entry.ref_type.clone())),
            None => bail!(NotFound, "reference type `{full_name}` is not registered"),
        }
    }

    /// The name under which a type is registered, for messages.
    pub fn type_name(&self, id: TypeId) -> Option<Arc<str>> {
        let types = self.types.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        types.iter().find(|entry| entry.ref_type.id == id).map(|entry| entry.ref_type.name.clone())
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = self.types.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let names: Vec<_> = types.iter().map(|entry| &entry.ref_type).collect();
        f.debug_struct("Instance").field("types", &names).field("options", &self.options).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sync::Code;

    struct First;
    struct Second;

    /// [vm 22]
    #[test]
    fn spellings_resolve() {
        let instance = Instance::new();
        let values = [
            ("i8", ValueType::I8),
            ("i16", ValueType::I16),
            ("i32", ValueType::I32),
            ("i64", ValueType::I64),
            ("f32", ValueType::F32),
            ("f64", ValueType::F64),
        ];
        for (name, value_type) in values {
            assert_eq!(instance.resolve(name).expect(name), TypeSpec::Value(value_type));
        }
        assert_eq!(instance.resolve("!vm.opaque").expect("opaque"), TypeSpec::Any);
        assert_eq!(instance.resolve("!vm.buffer").expect("buffer"), TypeSpec::Ref(RefType::buffer()));
        for list in ["!vm.list<i32>", "!vm.list<!vm.ref<?>>", "!vm.list", "!vm.list<anything at all"] {
            assert_eq!(instance.resolve(list).expect(list), TypeSpec::Ref(RefType::list()));
        }
        for unknown in ["", "!", "i1", "vm.buffer", "!hal.buffer", "index"] {
            assert_eq!(instance.resolve(unknown).expect_err(unknown).code(), Code::NotFound);
        }
    }

    /// [vm 23]
    #[test]
    fn registration_is_idempotent_counted_and_bounded() {
        let options = InstanceOptions { types_max: 3, ..InstanceOptions::default() };
        let instance = Instance::with_options(options);
        let first = instance.register::<First>("a.first").expect("registered");
        assert_eq!(instance.register::<First>("a.first").expect("again"), first);
        let full = instance.register::<Second>("a.second").expect_err("full");
        assert_eq!(full.code(), Code::ResourceExhausted);
        let taken = instance.register::<Second>("a.first").expect_err("name in use");
        assert_eq!(taken.code(), Code::AlreadyExists);
        let renamed = instance.register::<First>("a.other").expect_err("type in use");
        assert_eq!(renamed.code(), Code::AlreadyExists);

        assert!(instance.unregister::<First>());
        assert!(instance.resolve("!a.first").is_ok());
        assert!(instance.unregister::<First>());
        assert_eq!(instance.resolve("!a.first").expect_err("gone").code(), Code::NotFound);
        assert!(!instance.unregister::<First>());
        instance.register::<Second>("a.second").expect("room again");
        assert_eq!(instance.type_name(TypeId::of::<Second>()).as_deref(), Some("a.second"));
    }
}
