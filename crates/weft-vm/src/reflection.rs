//! What modules say about themselves: ordinals, names, attributes (§9.5).

use weft_sync::{Result, bail};

use crate::archive::Attribute;
use crate::debug_info;
use crate::module::Module;

/// How a function belongs to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Called in another module.
    Import,
    /// Visible by name.
    Export,
    /// Defined in the module.
    Internal,
}

impl Module {
    /// How many functions of a linkage there are. Native modules have exports only.
    pub fn function_count(&self, linkage: Linkage) -> usize {
        match (self, linkage) {
            (_, Linkage::Export) => self.export_count(),
            (Module::Bytecode(module), Linkage::Import) => module.archive().imports.len(),
            (Module::Bytecode(module), Linkage::Internal) => module.archive().functions.len(),
            (Module::Native(_), _) => 0,
        }
    }

    /// The internal ordinal behind a function that can be called: an export's function, or itself. Ordinals out of
    /// range, and imports, are INVALID_ARGUMENT.
    pub fn function_ordinal(&self, linkage: Linkage, ordinal: u32) -> Result<u32> {
        self.check_ordinal(linkage, ordinal)?;
        match (self, linkage) {
            (_, Linkage::Import) => {
                bail!(
                    InvalidArgument,
                    "import {ordinal} of module `{}` cannot be called from here",
                    self.name()
                )
            }
            (Module::Bytecode(module), Linkage::Export) => {
                Ok(module.archive().exports[ordinal as usize].function)
            }
            _ => Ok(ordinal),
        }
    }

    /// The name of a function for diagnostics; `None` for functions without one, which print as `module@ordinal`.
    pub fn function_name(&self, linkage: Linkage, ordinal: u32) -> Result<Option<String>> {
        self.check_ordinal(linkage, ordinal)?;
        let index = ordinal as usize;
        Ok(match (self, linkage) {
            (Module::Bytecode(module), Linkage::Import) => {
                Some(module.archive().imports[index].full_name.clone())
            }
            (Module::Bytecode(module), Linkage::Internal) => {
                debug_info::function_name(module.archive(), module.bytes(), ordinal)
            }
            _ => self.export_name(index).map(str::to_owned),
        })
    }

    /// The attributes of the module itself.
    pub fn attributes(&self) -> &[Attribute] {
        match self {
            Module::Bytecode(module) => &module.archive().attributes,
            Module::Native(_) => &[],
        }
    }

    /// The attributes of an export: those of the function that it maps to. Other linkages are INVALID_ARGUMENT.
    pub fn function_attributes(&self, linkage: Linkage, ordinal: u32) -> Result<&[Attribute]> {
        if linkage != Linkage::Export {
            bail!(InvalidArgument, "only exports have attributes, not {linkage:?} {ordinal}");
        }
        let function = self.function_ordinal(linkage, ordinal)?;
        Ok(match self {
            Module::Bytecode(module) => &module.archive().functions[function as usize].attributes,
            Module::Native(_) => &[],
        })
    }

    fn check_ordinal(&self, linkage: Linkage, ordinal: u32) -> Result<()> {
        let count = self.function_count(linkage);
        if ordinal as usize >= count {
            bail!(InvalidArgument, "{linkage:?} {ordinal} of module `{}`, which has {count}", self.name());
        }
        Ok(())
    }
}

/// Entry `index` as key and value: OUT_OF_RANGE past the end, FAILED_PRECONDITION for an entry without a key.
pub fn attribute_at(attributes: &[Attribute], index: usize) -> Result<(&str, &str)> {
    let Some(attribute) = attributes.get(index) else {
        bail!(OutOfRange, "attribute {index} of {}", attributes.len());
    };
    match attribute.key.as_deref() {
        Some(key) if !key.is_empty() => Ok((key, &attribute.value)),
        _ => bail!(FailedPrecondition, "attribute {index} has no key"),
    }
}

/// The value of the first entry with this key.
pub fn find_attribute<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key.as_deref() == Some(key));
    found.map(|attribute| &*attribute.value)
}
