//! The processors of a machine, read from sysfs.
//!
//! What lives here: [`Machine`], [`Processor`], [`Node`]. What does not: the choice of processors for workers
//! (`select.rs`), limits of control groups (`limits.rs`).
//!
//! 1. Only `cpu/present` must exist. Any other file that is missing or malformed makes one fact of one processor
//!    unknown, never the machine.
//! 2. Files are read whole: the list of a fragmented machine is longer than any fixed buffer. But neither without end,
//!    nor too many of them: see `text.rs`.
//! 3. A processor that is offline, or on which this thread may not run, is known but not usable.

use std::path::{Path, PathBuf};

use weft_sync::{Code, Result, Status, WhileDoing, bail};

use super::limits::{Limits, Quota};
use super::processors::{ProcessorSet, parse_bytes};
use super::text::{TEXTS_BYTES_MAX, Texts};

/// Where the system describes itself.
#[cfg(target_os = "linux")]
const SYSTEM_ROOT: &str = "/sys/devices/system";

/// More processors than any machine has; a snapshot that claims more is damaged.
const PROCESSORS_MAX: u64 = 65_536;

/// More nodes than the executor has queues.
const NODES_MAX: u64 = 64;

/// Entries of the cache folder that are looked at.
const CACHE_ENTRIES: u32 = 8;

/// Ids that mean "not known".
const UNKNOWN_ID: u32 = 65_535;

/// One cache, as one processor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cache {
    pub(super) level: u32,
    pub(super) bytes: u64,
    /// Who shares it; none if that is not known.
    pub(super) shared: Option<ProcessorSet>,
}

/// What says that two processors are one core.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum CoreKey {
    /// The first of the siblings that the system lists.
    Siblings(u32),
    /// Package and core; the core alone is counted anew in each package.
    Numbered(u32, u32),
    /// Nothing is known: a core of its own.
    Alone(u32),
}

/// One logical processor.
#[derive(Clone, Debug)]
pub(super) struct Processor {
    pub(super) id: u32,
    pub(super) core: CoreKey,
    pub(super) caches: Vec<Cache>,
    pub(super) capacity: Option<u64>,
    /// Online, and allowed for this thread.
    pub(super) usable: bool,
}

impl Processor {
    /// Bytes of the data cache of a level.
    pub(super) fn cache_bytes(&self, level: u32) -> Option<u64> {
        self.caches
            .iter()
            .find(|cache| cache.level == level)
            .map(|cache| cache.bytes)
            .filter(|bytes| *bytes > 0)
    }

    /// The processors that share the last cache with this one: third level, else second; itself if neither is known.
    pub(super) fn cache_domain(&self) -> ProcessorSet {
        let shared = |level| {
            let cache = self.caches.iter().find(|cache| cache.level == level)?;
            cache.shared.clone().filter(|shared| shared.contains(self.id))
        };
        shared(3).or_else(|| shared(2)).unwrap_or_else(|| ProcessorSet::single(self.id))
    }
}

/// A NUMA node that has processors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub id: u32,
    /// Its processors.
    pub processors: ProcessorSet,
}

/// The processors of a machine, and what this thread may use of them.
///
/// ```
/// use weft_task::{CoreSelection, Machine, Topology};
/// let machine = Machine::read_system()?;
/// let topology = Topology::from_physical_cores(&machine, &CoreSelection { count_max: 4, ..CoreSelection::default() })?;
/// assert!((1..=4).contains(&topology.len()));
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) processors: Vec<Processor>,
    pub(super) nodes: Vec<Node>,
    quota: Option<Quota>,
    is_snapshot: bool,
}

impl Machine {
    /// The machine on which this thread runs, with the limits of its affinity mask and control groups. Where the system
    /// does not describe itself: as many processors as it offers, about which nothing is known.
    pub fn read_system() -> Result<Machine> {
        cfg_select! {
            all(target_os = "linux", not(miri)) => {
                let mut machine = match Machine::read(Path::new(SYSTEM_ROOT)) {
                    Ok(machine) => machine,
                    // Some sandboxes show no sysfs.
                    Err(status) if status.code() == Code::NotFound => Machine::undescribed(),
                    Err(status) => return Err(status),
                };
                let limits = Limits::read_system();
                machine.is_snapshot = false;
                machine.quota = limits.quota;
                for allowed in [crate::pin::allowed_processors(), limits.processors].into_iter().flatten() {
                    machine.allow_only(&allowed);
                }
                Ok(machine)
            }
            _ => { Ok(Machine::undescribed()) }
        }
    }

    /// A machine from a folder in the shape of `/sys/devices/system`, all of whose online processors may be used.
    pub fn read(root: &Path) -> Result<Machine> {
        let folder = Sysfs { root: root.to_owned(), texts: Texts::new() };
        let present = match folder.texts.read(&root.join("cpu/present")) {
            Ok(present) => present,
            Err(why) => bail!(NotFound, "'{}' has no readable file 'cpu/present': {why}", root.display()),
        };
        let reading = || format!("reading '{}'", root.join("cpu/present").display());
        let present: ProcessorSet = present.parse().while_doing(reading)?;
        if present.count() > PROCESSORS_MAX {
            bail!(ResourceExhausted, "{} processors, the most are {PROCESSORS_MAX}", present.count());
        }
        let online = folder.set("cpu/online").filter(|online| !online.is_empty());
        let processors = present.iter().map(|id| {
            let usable = online.as_ref().is_none_or(|online| online.contains(id));
            folder.processor(id, usable)
        });
        let machine = Machine {
            processors: processors.collect(),
            nodes: folder.nodes(),
            quota: None,
            is_snapshot: true,
        };
        if folder.texts.is_exhausted() {
            let root = root.display();
            bail!(ResourceExhausted, "'{root}' describes a machine in more than {TEXTS_BYTES_MAX} bytes");
        }
        Ok(machine)
    }

    /// As many processors as the system offers.
    fn undescribed() -> Machine {
        let count = std::thread::available_parallelism().map_or(1, usize::from) as u32;
        let processor =
            |id| Processor { id, core: CoreKey::Alone(id), caches: Vec::new(), capacity: None, usable: true };
        let processors = (0..count).map(processor).collect();
        Machine { processors, nodes: Vec::new(), quota: None, is_snapshot: false }
    }

    /// Leaves only those processors usable that are in `allowed`.
    pub fn allow_only(&mut self, allowed: &ProcessorSet) {
        for processor in &mut self.processors {
            processor.usable &= allowed.contains(processor.id);
        }
    }

    /// Notes how much processor time may be used.
    pub fn limit_to(&mut self, quota: Quota) {
        self.quota = Some(quota);
    }

    /// The NUMA nodes that have processors; none if the machine does not tell.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All processors, usable or not.
    pub fn present(&self) -> ProcessorSet {
        self.processors.iter().map(|processor| processor.id).collect()
    }

    /// The processors that workers may be placed on.
    pub fn usable(&self) -> ProcessorSet {
        self.processors.iter().filter(|processor| processor.usable).map(|processor| processor.id).collect()
    }

    /// How much processor time the control group may use.
    pub fn quota(&self) -> Option<Quota> {
        self.quota
    }

    /// Whether this describes a folder and not the machine below.
    pub fn is_snapshot(&self) -> bool {
        self.is_snapshot
    }

    /// The node of a processor.
    pub fn node_of(&self, processor: u32) -> Option<u32> {
        self.nodes.iter().find(|node| node.processors.contains(processor)).map(|node| node.id)
    }

    /// The node on which this thread runs now; the first one if that is not known.
    pub fn current_node(&self) -> Option<u32> {
        let current = self.node_of(crate::processor::current());
        current.or_else(|| self.nodes.first().map(|node| node.id))
    }

    pub(super) fn processor(&self, id: u32) -> Option<&Processor> {
        let index = self.processors.binary_search_by_key(&id, |processor| processor.id).ok()?;
        Some(&self.processors[index])
    }
}

/// A folder in the shape of sysfs.
struct Sysfs {
    root: PathBuf,
    texts: Texts,
}

impl Sysfs {
    fn text(&self, path: &str) -> Option<String> {
        self.texts.read(&self.root.join(path)).ok()
    }

    fn set(&self, path: &str) -> Option<ProcessorSet> {
        self.text(path)?.parse().ok()
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }

    /// A number that names a package or a core; negative ones do not parse.
    fn identity(&self, path: &str) -> Option<u32> {
        self.number(path)?.try_into().ok().filter(|id| *id != UNKNOWN_ID && *id != u32::MAX)
    }

    fn processor(&self, id: u32, usable: bool) -> Processor {
        let topology = |file: &str| format!("cpu/cpu{id}/topology/{file}");
        let siblings = self
            .set(&topology("core_cpus_list"))
            .or_else(|| self.set(&topology("thread_siblings_list")))
            // A list without the processor itself is damaged.
            .filter(|siblings| siblings.contains(id));
        let package = self.identity(&topology("physical_package_id"));
        let core = self.identity(&topology("core_id"));
        let core = match (siblings.and_then(|siblings| siblings.first()), package, core) {
            (Some(first), _, _) => CoreKey::Siblings(first),
            (None, Some(package), Some(core)) => CoreKey::Numbered(package, core),
            (None, _, _) => CoreKey::Alone(id),
        };
        let capacity = self.number(&format!("cpu/cpu{id}/cpu_capacity"));
        Processor { id, core, caches: self.caches(id), capacity, usable }
    }

    /// Data and unified caches, up to the first entry that is missing.
    fn caches(&self, id: u32) -> Vec<Cache> {
        let mut caches = Vec::new();
        for index in 0..CACHE_ENTRIES {
            let file = |name: &str| format!("cpu/cpu{id}/cache/index{index}/{name}");
            let (level, kind) = (self.number(&file("level")), self.text(&file("type")));
            if level.is_none() && kind.is_none() {
                break;
            }
            let holds_data = kind.is_some_and(|kind| ["Data", "Unified"].contains(&kind.trim()));
            let level = level.and_then(|level| u32::try_from(level).ok());
            if let (Some(level), true) = (level, holds_data) {
                let bytes = self.text(&file("size")).and_then(|size| parse_bytes(&size).ok()).unwrap_or(0);
                caches.push(Cache { level, bytes, shared: self.set(&file("shared_cpu_list")) });
            }
        }
        caches
    }

    /// Nodes that have processors. Packages and clusters are no nodes: phones and hybrid processors have many of them
    /// before one memory.
    fn nodes(&self) -> Vec<Node> {
        let Some(online) = self.set("node/online").filter(|online| online.count() <= NODES_MAX) else {
            return Vec::new();
        };
        let node = |id| {
            let processors = self.set(&format!("node/node{id}/cpulist"))?;
            (!processors.is_empty()).then_some(Node { id, processors })
        };
        online.iter().filter_map(node).collect()
    }
}

/// What is said about a node that the machine does not have.
#[cold]
pub(super) fn node_not_present(machine: &Machine, id: u32) -> Status {
    let nodes: ProcessorSet = machine.nodes.iter().map(|node| node.id).collect();
    let has = if nodes.is_empty() { "no nodes".to_owned() } else { format!("nodes {nodes}") };
    Status::new(Code::InvalidArgument, format!("NUMA node {id} not present; the machine has {has}"))
}
