//! Parameters by name: what one archive, or several, offer.
//!
//! 1. Entries keep the order in which they were added. Of entries with one key the first is the one that is found.
//! 2. Finding takes shared access only and costs the same however many entries there are; adding while others look up is
//!    safe.
//! 3. An archive is added as a whole or not at all.
//!
//! What lives here: [`ParameterEntry`], [`ParameterIndex`]. What does not: reading archives (see `archive.rs` and its
//! neighbours), scopes (see `provider.rs`).

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use weft_hal::MemoryAccess;
use weft_sync::{Result, bail};

use super::file::ParameterFile;

/// The longest pattern that a splat may have.
pub const PATTERN_BYTES_MAX: usize = 16;

/// A pattern of 1 to 16 bytes that is repeated over a parameter.
///
/// ```
/// use weft::parameters::SplatPattern;
/// let pattern = SplatPattern::new(&1.5f32.to_le_bytes())?;
/// assert_eq!(pattern.bytes(), [0, 0, 0xC0, 0x3F]);
/// assert!(SplatPattern::new(&[]).is_err());
/// # weft::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplatPattern {
    bytes: [u8; PATTERN_BYTES_MAX],
    length: u8,
}

impl SplatPattern {
    /// One zero byte.
    pub const ZERO: SplatPattern = SplatPattern { bytes: [0; PATTERN_BYTES_MAX], length: 1 };

    /// A pattern of these bytes. INVALID_ARGUMENT if there are none, or more than 16.
    pub fn new(pattern: &[u8]) -> Result<SplatPattern> {
        if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
            bail!(
                InvalidArgument,
                "pattern of {} bytes, 1 to {PATTERN_BYTES_MAX} are allowed",
                pattern.len()
            );
        }
        let mut bytes = [0; PATTERN_BYTES_MAX];
        bytes[..pattern.len()].copy_from_slice(pattern);
        Ok(SplatPattern { bytes, length: pattern.len() as u8 })
    }

    /// The bytes that repeat.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The shortest pattern that gives the same bytes from `offset` on.
    ///
    /// ```
    /// use weft::parameters::SplatPattern;
    /// let pattern = SplatPattern::new(&[1, 2, 3, 1, 2, 3])?;
    /// assert_eq!(pattern.from_offset(4).bytes(), [2, 3, 1]);
    /// # weft::Result::Ok(())
    /// ```
    #[must_use]
    pub fn from_offset(&self, offset: u64) -> SplatPattern {
        let mut turned = *self;
        // Less than 16 after the remainder.
        let phase = (offset % u64::from(self.length)) as usize;
        turned.bytes[..usize::from(self.length)].rotate_left(phase);
        let period = (1..=self.bytes().len()).find(|period| {
            let bytes = turned.bytes();
            bytes.len().is_multiple_of(*period) && bytes[*period..] == bytes[..bytes.len() - *period]
        });
        if let Some(period) = period {
            turned.bytes[period..].fill(0);
            turned.length = period as u8;
        }
        turned
    }
}

/// Where the bytes of a parameter come from.
#[derive(Clone, Debug)]
pub enum ParameterKind {
    /// From nowhere: a pattern that repeats.
    Splat(SplatPattern),
    /// From a file.
    File {
        /// The file.
        file: Arc<ParameterFile>,
        /// Where the parameter begins in it.
        offset: u64,
    },
}

/// One parameter.
#[derive(Clone, Debug)]
pub struct ParameterEntry {
    /// The name, as programs give it.
    pub key: Box<[u8]>,
    /// The name as it is spelt in the file, if that differs; found as well.
    pub spelling: Option<Box<[u8]>>,
    /// Whatever the archive says about it.
    pub metadata: Box<[u8]>,
    /// Bytes.
    pub length: u64,
    /// Where they come from.
    pub kind: ParameterKind,
}

impl ParameterEntry {
    /// A parameter without metadata.
    pub fn new(key: impl Into<Box<[u8]>>, length: u64, kind: ParameterKind) -> ParameterEntry {
        ParameterEntry { key: key.into(), spelling: None, metadata: Box::default(), length, kind }
    }

    /// The name for people.
    pub fn name(&self) -> String {
        key_text(&self.key)
    }

    /// What may be done with it: splats are read-only, the rest is what its file allows.
    pub fn access(&self) -> MemoryAccess {
        match &self.kind {
            ParameterKind::Splat(_) => MemoryAccess::READ,
            ParameterKind::File { file, .. } => file.access(),
        }
    }

    /// OUT_OF_RANGE unless the range lies within, and the whole entry at an offset that files can have.
    pub fn check_range(&self, offset: u64, length: u64) -> Result<()> {
        if let ParameterKind::File { offset: start, .. } = &self.kind
            && start.checked_add(self.length).is_none()
        {
            bail!(OutOfRange, "{} of {} bytes at {start}: files end before", self.place(), self.length);
        }
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            bail!(
                OutOfRange,
                "parameter `{}` range out of bounds (offset={offset}, length={length}, size={})",
                self.name(),
                self.length
            );
        }
        Ok(())
    }

    /// PERMISSION_DENIED unless this may be done.
    pub fn check_access(&self, wanted: MemoryAccess) -> Result<()> {
        if !self.access().contains(wanted) {
            let what = match &self.kind {
                ParameterKind::Splat(_) => "a splat".to_owned(),
                ParameterKind::File { file, .. } => format!("in file `{}`", file.name()),
            };
            let name = self.name();
            bail!(
                PermissionDenied,
                "parameter `{name}` is {what} and allows {}, not {wanted}",
                self.access()
            );
        }
        Ok(())
    }

    /// How messages name it: with its file, if it has one.
    pub(super) fn place(&self) -> String {
        match &self.kind {
            ParameterKind::Splat(_) => format!("parameter `{}`", self.name()),
            ParameterKind::File { file, .. } => format!("parameter `{}` of `{}`", self.name(), file.name()),
        }
    }
}

/// A key for people: bytes that are no text are shown as such.
pub(super) fn key_text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

/// An entry under one of its spellings.
struct Named {
    entry: Arc<ParameterEntry>,
    as_spelt: bool,
}

impl Borrow<[u8]> for Named {
    fn borrow(&self) -> &[u8] {
        match (&self.entry.spelling, self.as_spelt) {
            (Some(spelling), true) => spelling,
            _ => &self.entry.key,
        }
    }
}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let key: &[u8] = self.borrow();
        key.hash(state);
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Named) -> bool {
        let (left, right): (&[u8], &[u8]) = (self.borrow(), other.borrow());
        left == right
    }
}

impl Eq for Named {}

/// The parameters of one scope. Shared; see the header of this file for what may happen at the same time.
///
/// ```
/// use weft::parameters::{ParameterEntry, ParameterIndex, ParameterKind, SplatPattern};
/// let index = ParameterIndex::new();
/// index.add([ParameterEntry::new(*b"ones", 64, ParameterKind::Splat(SplatPattern::new(&[1])?))]);
/// assert_eq!(index.find(b"ones")?.length, 64);
/// assert_eq!(index.find(b"twos").unwrap_err().message(), "no parameter found in index with key 'twos'");
/// # weft::Result::Ok(())
/// ```
#[derive(Default)]
pub struct ParameterIndex(RwLock<Entries>);

#[derive(Default)]
struct Entries {
    ordered: Vec<Arc<ParameterEntry>>,
    by_key: HashSet<Named>,
}

impl ParameterIndex {
    /// An index without entries.
    pub fn new() -> ParameterIndex {
        ParameterIndex::default()
    }

    /// Adds entries at the end, all at once.
    pub fn add(&self, entries: impl IntoIterator<Item = ParameterEntry>) {
        let entries: Vec<Arc<ParameterEntry>> = entries.into_iter().map(Arc::new).collect();
        let mut shared = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            for as_spelt in [false, true] {
                // `insert` keeps what is there already: the first added wins.
                shared.by_key.insert(Named { entry: Arc::clone(&entry), as_spelt });
                if entry.spelling.is_none() {
                    break;
                }
            }
            shared.ordered.push(entry);
        }
    }

    /// The parameter with this key. NOT_FOUND if there is none.
    pub fn find(&self, key: &[u8]) -> Result<Arc<ParameterEntry>> {
        match self.read().by_key.get(key) {
            Some(named) => Ok(Arc::clone(&named.entry)),
            None => bail!(NotFound, "no parameter found in index with key '{}'", key_text(key)),
        }
    }

    /// All entries in their order, also those that are hidden by others with the same key.
    pub fn entries(&self) -> Vec<Arc<ParameterEntry>> {
        self.read().ordered.clone()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.read().ordered.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ParameterIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParameterIndex").field("entries", &self.len()).finish()
    }
}
