//! Who answers for a scope.
//!
//! What lives here: [`ParameterProvider`], [`IndexProvider`], the text of `--parameters=`, reading an archive of any format.
//! What does not: the formats themselves, and the VM module that asks providers (see `module.rs`).

use std::path::Path;
use std::sync::Arc;

use weft_sync::{Result, WhileDoing, bail};

use super::file::ParameterFile;
use super::index::{ParameterEntry, ParameterIndex};
use super::{archive, gguf, safetensors};

/// Gives parameters to programs. The first provider of a session that handles a scope answers for it.
pub trait ParameterProvider: Send + Sync {
    /// Whether parameters of this scope are found here. The global scope is the empty text.
    fn handles(&self, scope: &[u8]) -> bool;

    /// A parameter by name. NOT_FOUND if there is none.
    fn find(&self, scope: &[u8], key: &[u8]) -> Result<Arc<ParameterEntry>>;

    /// Memory is short, or a pause begins: give back what can be made again.
    fn trim(&self) {}
}

/// The parameters of exactly one scope, out of an index.
///
/// ```
/// use std::sync::Arc;
/// use weft::parameters::{IndexProvider, ParameterIndex, ParameterProvider};
/// let provider = IndexProvider::new("model", Arc::new(ParameterIndex::new()));
/// assert!(provider.handles(b"model"));
/// assert!(!provider.handles(b""));
/// ```
#[derive(Debug)]
pub struct IndexProvider {
    scope: String,
    index: Arc<ParameterIndex>,
}

impl IndexProvider {
    /// A provider for `scope`, which is empty for the global one.
    pub fn new(scope: impl Into<String>, index: Arc<ParameterIndex>) -> IndexProvider {
        IndexProvider { scope: scope.into(), index }
    }

    /// The scope.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The parameters.
    pub fn index(&self) -> &Arc<ParameterIndex> {
        &self.index
    }
}

impl ParameterProvider for IndexProvider {
    fn handles(&self, scope: &[u8]) -> bool {
        scope == self.scope.as_bytes()
    }

    fn find(&self, _scope: &[u8], key: &[u8]) -> Result<Arc<ParameterEntry>> {
        let named = || match &*self.scope {
            "" => "in the global scope".to_owned(),
            scope => format!("in scope `{scope}`"),
        };
        self.index.find(key).while_doing(named)
    }
}

/// A format of archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// `.irpa`, the one that programs are made with.
    Irpa,
    /// `.safetensors`.
    Safetensors,
    /// `.gguf`.
    Gguf,
}

impl ArchiveFormat {
    /// The format that a file name's extension stands for, in upper or lower case. UNIMPLEMENTED for others.
    ///
    /// ```
    /// use weft::parameters::ArchiveFormat;
    /// assert_eq!(ArchiveFormat::of_path("A.GGUF")?, ArchiveFormat::Gguf);
    /// assert!(ArchiveFormat::of_path("a.bin").is_err());
    /// # weft::Result::Ok(())
    /// ```
    pub fn of_path(path: impl AsRef<Path>) -> Result<ArchiveFormat> {
        let path = path.as_ref();
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_deref().and_then(std::ffi::OsStr::to_str) {
            Some("irpa") => Ok(ArchiveFormat::Irpa),
            Some("safetensors") => Ok(ArchiveFormat::Safetensors),
            Some("gguf") => Ok(ArchiveFormat::Gguf),
            _ => bail!(
                Unimplemented,
                "unknown format of parameter file `{}`: the extension is none of .irpa, .safetensors, .gguf",
                path.display()
            ),
        }
    }
}

/// The parameters of an archive, in the order in which they stand there.
///
/// Headers are read now and the rest when somebody asks for it. Anything wrong gives an error that names the file and
/// the place in it, and nothing else.
pub fn read_archive(file: &Arc<ParameterFile>, format: ArchiveFormat) -> Result<Vec<ParameterEntry>> {
    match format {
        ArchiveFormat::Irpa => archive::parse(file),
        ArchiveFormat::Safetensors => safetensors::parse(file),
        ArchiveFormat::Gguf => gguf::parse(file),
    }
    .while_doing(|| format!("reading parameter file `{}`", file.name()))
}

/// Archives by scope, in the order in which scopes were first named: files of one scope share an index.
#[derive(Debug, Default)]
pub struct ParameterScopes(Vec<IndexProvider>);

impl ParameterScopes {
    /// No scope yet.
    pub fn new() -> ParameterScopes {
        ParameterScopes::default()
    }

    /// Splits `[scope=]path` at the first `=`.
    ///
    /// ```
    /// use weft::parameters::ParameterScopes;
    /// assert_eq!(ParameterScopes::split("model=a=b.irpa"), ("model", "a=b.irpa"));
    /// assert_eq!(ParameterScopes::split("a.irpa"), ("", "a.irpa"));
    /// ```
    pub fn split(text: &str) -> (&str, &str) {
        text.split_once('=').unwrap_or(("", text))
    }

    /// Adds an archive to a scope; its extension says how it is read. Of parameters with one name the first counts.
    pub fn add(&mut self, scope: &str, path: &str, file: &Arc<ParameterFile>) -> Result<()> {
        let entries = read_archive(file, ArchiveFormat::of_path(path)?)?;
        self.index(scope).add(entries);
        Ok(())
    }

    /// The index of a scope, which begins empty.
    pub fn index(&mut self, scope: &str) -> &Arc<ParameterIndex> {
        let known = self.0.iter().position(|provider| provider.scope() == scope);
        let at = known.unwrap_or_else(|| {
            self.0.push(IndexProvider::new(scope, Arc::new(ParameterIndex::new())));
            self.0.len() - 1
        });
        self.0[at].index()
    }

    /// The scopes in their order.
    pub fn providers(&self) -> &[IndexProvider] {
        &self.0
    }

    /// The scopes as providers of a session.
    pub fn into_providers(self) -> Vec<Arc<dyn ParameterProvider>> {
        self.0.into_iter().map(|provider| Arc::new(provider) as Arc<dyn ParameterProvider>).collect()
    }
}
