//! Which backend runs, and why not another.
//!
//! What lives here: the ladder, the override, [`open`], [`open_any`], [`open_null`]. What does not: how a backend is set
//! up (its folder).
//!
//! 1. Backends are found by trying, for each proactor anew: what was possible a minute ago may not be now.
//! 2. Every refusal is kept, in one line, and told: by the status if nothing is left, else by the description.
//! 3. The null backend does nothing, so it is never tried; it has to be asked for.

use super::{Backend, Waker, null};
use crate::capability::Capabilities;
use crate::config::Config;
use crate::describe::{Description, short_name};
use crate::proactor::Proactor;
use crate::shared::Shared;
use std::ffi::OsStr;
use weft_sync::{Result, Status, bail, status};

/// Names the one backend that [`open_any`] may use: `uring`, `epoll`, `kqueue`, `poll`, or `null`.
pub const BACKEND_VARIABLE: &str = "WEFT_IO_BACKEND";

/// A backend that was opened, and what it says about itself.
pub(super) struct Opened {
    pub(super) backend: Backend,
    pub(super) waker: Waker,
    pub(super) details: String,
    pub(super) detected: Capabilities,
}

type Try = fn(&Config) -> Result<Opened>;

/// Every backend that can be asked for.
const BACKENDS: &[(&str, Try)] = cfg_select! {
    all(target_os = "linux", not(loom)) => {
        &[
            ("uring", super::uring::open),
            ("epoll", super::readiness::open_epoll),
            ("kqueue", super::readiness::open_kqueue),
            ("poll", super::readiness::open_poll),
            ("null", try_null),
        ]
    }
    all(unix, not(loom)) => {
        &[
            ("epoll", super::readiness::open_epoll),
            ("kqueue", super::readiness::open_kqueue),
            ("poll", super::readiness::open_poll),
            ("null", try_null),
        ]
    }
    _ => { &[("null", try_null)] }
};

/// What is tried by itself, in order.
const OPEN_ORDER: &[&str] = cfg_select! {
    all(target_os = "linux", not(loom)) => { &["uring", "epoll", "poll"] }
    all(unix, not(loom)) => { &["kqueue", "poll"] }
    _ => { &[] }
};

/// Opens the backend of this name. `INVALID_ARGUMENT`: there is none, or the configuration makes no sense.
/// `UNAVAILABLE`: this system does not let it run.
///
/// ```
/// use weft_io::{Config, open};
/// assert_eq!(open("null", &Config::new())?.handle().describe().backend, "null");
/// assert!(open("carrier pigeon", &Config::new()).is_err());
/// # weft_sync::Result::Ok(())
/// ```
pub fn open(name: &str, config: &Config) -> Result<Proactor> {
    let Some(&(name, attempt)) = BACKENDS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = BACKENDS.iter().map(|(known, _)| *known).collect();
        bail!(InvalidArgument, "no backend is called `{name}`; there are {}", known.join(", "));
    };
    check(config)?;
    Ok(finish(name, attempt(config)?, config, Vec::new()))
}

/// Opens the best backend that this system lets run; or the one that `WEFT_IO_BACKEND` names, and no other.
pub fn open_any(config: &Config) -> Result<Proactor> {
    match std::env::var_os(BACKEND_VARIABLE) {
        Some(name) if !name.is_empty() => open_named(&name, config)
            .map_err(|status| status.while_doing(format!("opening what {BACKEND_VARIABLE} names"))),
        _ => open_in_order(OPEN_ORDER, config),
    }
}

/// What is no text names nothing, and must not pass for nothing.
fn open_named(name: &OsStr, config: &Config) -> Result<Proactor> {
    match name.to_str() {
        Some(name) => open(name, config),
        None => bail!(InvalidArgument, "no backend is called {name:?}, which is not even text"),
    }
}

fn open_in_order(order: &[&str], config: &Config) -> Result<Proactor> {
    check(config)?;
    let mut refused: Vec<(&'static str, Status)> = Vec::new();
    for &(name, attempt) in order.iter().filter_map(|name| BACKENDS.iter().find(|(known, _)| known == name)) {
        match attempt(config) {
            Ok(opened) => return Ok(finish(name, opened, config, refused)),
            Err(why) => refused.push((name, why)),
        }
    }
    let reasons: Vec<String> = refused.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    Err(status!(Unavailable, "no backend can be opened here; {}", reasons.join("; ")))
}

/// A proactor whose kernel operations end at once: for programs that want to be checked without a kernel. Numbers beyond
/// their limits are taken as the limits.
pub fn open_null(config: &Config) -> Proactor {
    finish("null", null_backend(), config, Vec::new())
}

fn try_null(_config: &Config) -> Result<Opened> {
    Ok(null_backend())
}

fn null_backend() -> Opened {
    let (backend, waker) = null::Null::new();
    let detected =
        Capabilities::LINKED_OPERATIONS | Capabilities::ABSOLUTE_TIMEOUT | Capabilities::FUTEX_OPERATIONS;
    Opened { backend: Backend::Null(backend), waker, details: "does nothing".to_owned(), detected }
}

fn check(config: &Config) -> Result<()> {
    let Config { operations_max, messages_max, .. } = *config;
    if !(1..=Config::LIMIT).contains(&operations_max) {
        bail!(
            InvalidArgument,
            "a proactor for {operations_max} operations; 1 to {} are possible",
            Config::LIMIT
        );
    }
    if messages_max > Config::LIMIT {
        bail!(InvalidArgument, "a mailbox for {messages_max} messages; up to {} are possible", Config::LIMIT);
    }
    Ok(())
}

fn finish(
    name: &'static str,
    opened: Opened,
    config: &Config,
    refused: Vec<(&'static str, Status)>,
) -> Proactor {
    let description = Description {
        name: short_name(&config.name),
        backend: name,
        details: opened.details,
        capabilities: opened.detected & config.allowed,
        refused,
    };
    // Within the limits already, unless nobody could be told.
    let operations = config.operations_max.clamp(1, Config::LIMIT);
    let messages = config.messages_max.min(Config::LIMIT);
    let shared = Shared::new(
        operations,
        messages,
        opened.waker,
        description,
        #[cfg(all(unix, not(loom)))]
        opened.backend.registry(),
        #[cfg(all(target_os = "linux", not(loom)))]
        opened.backend.files(),
    );
    Proactor::new(shared, opened.backend)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use weft_sync::Code;

    /// [async 1] Numbers that no machine has memory for are refused, not tried.
    #[test]
    fn absurd_sizes_are_refused() {
        for (operations_max, messages_max) in
            [(0, 1), (Config::LIMIT + 1, 1), (u32::MAX, 1), (1, Config::LIMIT + 1), (1, u32::MAX)]
        {
            let config = Config { operations_max, messages_max, ..Config::new() };
            for refused in BACKENDS.iter().map(|(name, _)| open(name, &config)) {
                assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
            }
        }
    }
}
