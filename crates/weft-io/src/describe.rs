//! What a proactor says about itself.
//!
//! What lives here: [`Description`]. What does not: how the backend was chosen (`backend/open.rs`).

use crate::Capabilities;
use std::fmt;
use weft_sync::Status;

/// Which backend runs, what it can do, and why others do not.
///
/// ```
/// let proactor = weft_io::open_null(&weft_io::Config::new());
/// assert_eq!(proactor.handle().describe().backend, "null");
/// ```
#[derive(Clone, Debug)]
pub struct Description {
    /// The name given in the configuration.
    pub name: String,
    /// The backend that runs: `uring`, `epoll`, `poll`, `kqueue` or `null`.
    pub backend: &'static str,
    /// How it was set up, for those who compare.
    pub details: String,
    /// Detected and allowed.
    pub capabilities: Capabilities,
    /// Backends that were tried before, and why they cannot be had.
    pub refused: Vec<(&'static str, Status)>,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.backend, self.details)?;
        for (name, why) in &self.refused {
            write!(f, "; not {name}: {why}")?;
        }
        Ok(())
    }
}

/// The first 32 bytes of a name, at a character's boundary, without what would end a C string.
pub(crate) fn short_name(name: &str) -> String {
    let name = name.split('\0').next().unwrap_or("");
    let mut end = name.len().min(32);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}
