//! A proactor for each part of the machine, made when it is first asked for.
//!
//! What lives here: [`ProactorPool`], [`ProactorPoolOptions`], [`Node`]. What does not: who waits for whom while they are
//! made (`pool_making.rs`), the thread that polls each (`runner.rs`), finding out which nodes and processors there are.
//!
//! 1. **All or nothing like the first**: the backend that the first proactor got is the only one that the others may get.
//!    Were two to differ, what works between some of them would not work between others.
//!    The first is the first that the system has given, of those that are there or being made: one that came to nothing
//!    after that binds nobody.
//! 2. **Each is made once**, by whoever asks first; others wait for it. Asking for one that is there takes no lock. No lock
//!    is held while one is made, for that calls what the user gave, which may ask for others.
//! 3. **The end**: all are asked to stop, then each is waited for. One that somebody else still has stays, stopped, with
//!    everything that is under way; see [`Runner::resume`].

use crate::backend::open::{open, open_any};
use crate::config::Config;
use crate::pool_making::Making;
use crate::proactor::Proactor;
use crate::runner::{Runner, RunnerOptions};
use std::fmt;
use std::sync::{Arc, OnceLock};
use weft_sync::atomic::{Mutex, lock};
use weft_sync::{Deadline, Result, bail};

/// The number of a node that stands for any.
pub const ANY_NODE: u32 = u32::MAX;

/// A part of the machine with memory and processors of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The number that the system gives it; or [`ANY_NODE`].
    pub id: u32,
    /// The processors that its thread may use; none leaves it to the system.
    pub processors: Vec<u32>,
}

impl Node {
    /// Anywhere on the machine.
    pub fn any() -> Node {
        Node { id: ANY_NODE, processors: Vec::new() }
    }
}

/// Called for each proactor that is made, with its index: how its thread runs. See [`ProactorPool::get`] for what it may
/// ask of the pool.
type RunnerFactory = Box<dyn Fn(usize, RunnerOptions) -> RunnerOptions + Send + Sync>;

/// What a [`ProactorPool`] is made of.
pub struct ProactorPoolOptions {
    /// How each proactor is made. The name is that of the pool: threads are called `<name>-pro-<index>`.
    pub config: Config,
    /// One proactor each; at least one.
    pub nodes: Vec<Node>,
    /// The one backend that all may use; `None` takes what the first one finds.
    pub backend: Option<String>,
    /// May change how a thread runs; it gets the name and the processors of the node.
    pub runner: Option<RunnerFactory>,
}

impl ProactorPoolOptions {
    /// One proactor for each of these nodes.
    pub fn new(config: Config, nodes: Vec<Node>) -> ProactorPoolOptions {
        ProactorPoolOptions { config, nodes, backend: None, runner: None }
    }
}

impl fmt::Debug for ProactorPoolOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProactorPoolOptions")
            .field("config", &self.config)
            .field("nodes", &self.nodes)
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

/// Opens the backend of this name, or the best one.
type Open = fn(Option<&str>, &Config) -> Result<Proactor>;

fn open_named(name: Option<&str>, config: &Config) -> Result<Proactor> {
    name.map_or_else(|| open_any(config), |name| open(name, config))
}

/// Proactors with a thread each, by node. Every method may be called from any thread.
///
/// ```
/// use weft_io::{Config, Node, ProactorPool, ProactorPoolOptions};
/// let nodes = vec![Node { id: 0, processors: vec![] }, Node { id: 1, processors: vec![] }];
/// let pool = ProactorPool::new(ProactorPoolOptions::new(Config::new(), nodes))?;
/// # if weft_io::open_any(&Config::new()).is_err() { return Ok(()) }
/// let near = pool.get_for_node(1)?; // Made here; the other one is not.
/// near.handle().wake();
/// # weft_sync::Result::Ok(())
/// ```
pub struct ProactorPool {
    options: ProactorPoolOptions,
    runners: Box<[OnceLock<Arc<Runner>>]>,
    making: Arc<Making>,
    choice: Mutex<Choice>,
    open: Open,
}

/// Rule 1.
struct Choice {
    /// The one backend, once there is one.
    backend: Option<String>,
    /// How many keep it: the options, and each proactor that has it.
    users: usize,
}

/// A proactor's part in the choice, unless it comes to nothing.
struct Vote<'a>(&'a Mutex<Choice>);

impl Vote<'_> {
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Vote<'_> {
    fn drop(&mut self) {
        let mut choice = lock(self.0);
        choice.users -= 1;
        if choice.users == 0 {
            choice.backend = None;
        }
    }
}

impl ProactorPool {
    /// A pool in which nothing is made yet. `INVALID_ARGUMENT`: no nodes.
    pub fn new(options: ProactorPoolOptions) -> Result<ProactorPool> {
        ProactorPool::with(options, open_named)
    }

    fn with(options: ProactorPoolOptions, open: Open) -> Result<ProactorPool> {
        if options.nodes.is_empty() {
            bail!(InvalidArgument, "a pool of proactors for no nodes");
        }
        let runners = options.nodes.iter().map(|_| OnceLock::new()).collect();
        let making = Arc::new(Making::new(options.nodes.len()));
        let backend = options.backend.clone();
        let choice = Mutex::new(Choice { users: usize::from(backend.is_some()), backend });
        Ok(ProactorPool { options, runners, making, choice, open })
    }

    /// The nodes, one proactor each, by index.
    pub fn nodes(&self) -> &[Node] {
        &self.options.nodes
    }

    /// How many proactors have been made.
    pub fn made(&self) -> usize {
        self.runners.iter().filter(|runner| runner.get().is_some()).count()
    }

    /// The proactor of this index; the first call makes it. `OUT_OF_RANGE`: there is no such index. A failure to make one
    /// leaves nothing behind; the next call tries again.
    ///
    /// What is called while one is made, [`ProactorPoolOptions::runner`] and [`RunnerOptions::prepare`], may ask for others
    /// of the pool. `FAILED_PRECONDITION`: one that is made would wait for itself, at once or by way of others. (That is
    /// not noticed if it waits through another pool, or through a thread of its own.)
    pub fn get(&self, index: usize) -> Result<Arc<Runner>> {
        let Some(place) = self.runners.get(index) else {
            bail!(OutOfRange, "proactor {index} of a pool of {}", self.runners.len());
        };
        if let Some(runner) = place.get() {
            return Ok(Arc::clone(runner));
        }
        let turn = self.making.begin(index, || place.get().is_some())?;
        // Somebody else may have been faster.
        if let Some(runner) = place.get() {
            return Ok(Arc::clone(runner));
        }
        let runner = Arc::new(self.make(index)?);
        let runner = Arc::clone(place.get_or_init(|| runner));
        drop(turn);
        Ok(runner)
    }

    /// The proactor of the node of this number; if there is none, that of index 0.
    pub fn get_for_node(&self, id: u32) -> Result<Arc<Runner>> {
        self.get(self.nodes().iter().position(|node| node.id == id).unwrap_or(0))
    }

    fn make(&self, index: usize) -> Result<Runner> {
        let name = format!("{}-pro-{index}", self.options.config.name);
        let config = Config { name: name.clone(), ..self.options.config.clone() };
        let (proactor, vote) = self.choose(&config)?;
        let processors = self.options.nodes[index].processors.clone();
        let options = RunnerOptions { name, processors, ..RunnerOptions::new() };
        let mut options = match &self.options.runner {
            Some(change) => self.making.within(index, || change(index, options)),
            None => options,
        };
        if let Some(prepare) = options.prepare.take() {
            let making = Arc::clone(&self.making);
            options.prepare = Some(Box::new(move |poller| making.within(index, || prepare(poller))));
        }
        let runner = Runner::start(proactor, options)?;
        vote.keep();
        Ok(runner)
    }

    /// Rule 1. The system alone is asked under the lock.
    fn choose(&self, config: &Config) -> Result<(Proactor, Vote<'_>)> {
        let mut choice = lock(&self.choice);
        let proactor = (self.open)(choice.backend.as_deref(), config)?;
        choice.backend.get_or_insert_with(|| proactor.handle().describe().backend.to_owned());
        choice.users += 1;
        Ok((proactor, Vote(&self.choice)))
    }
}

impl Drop for ProactorPool {
    fn drop(&mut self) {
        let made = || self.runners.iter().filter_map(OnceLock::get);
        made().for_each(|runner| runner.request_stop());
        for runner in made() {
            // A pool that is dropped in a callback cannot wait for the thread that it is on.
            drop(runner.join(Deadline::NEVER));
        }
    }
}

impl fmt::Debug for ProactorPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProactorPool({} of {} made)", self.made(), self.runners.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::open::open_null;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use weft_sync::{Code, status};

    static CALLS: AtomicUsize = AtomicUsize::new(0);

    /// Fails once, then finds one backend, and another one every time after that, unless it is asked for the first.
    fn fickle(name: Option<&str>, config: &Config) -> Result<Proactor> {
        match (CALLS.fetch_add(1, Ordering::Relaxed), name) {
            (0, None) => Err(status!(Unavailable, "not today")),
            (1, None) | (_, Some("null")) => Ok(open_null(config)),
            (call, name) => panic!("call {call} asks for {name:?}"),
        }
    }

    /// [async-backends 15] Whatever the second one would find, it gets the backend of the first.
    #[test]
    fn all_of_a_pool_have_one_backend() {
        let options = ProactorPoolOptions::new(Config::new(), vec![Node::any(); 3]);
        let pool = ProactorPool::with(options, fickle).unwrap();
        assert_eq!(pool.get(2).unwrap_err().code(), Code::Unavailable);
        assert_eq!(pool.made(), 0);
        for index in [2, 0, 1] {
            assert_eq!(pool.get(index).unwrap().handle().describe().backend, "null");
        }
    }
}
