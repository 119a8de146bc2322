//! Systems other than Linux: the proactor type-checks for macOS and FreeBSD, with its kqueue backend.
//!
//! What lives here: how the standard library of another system comes about. What does not: running anything there, for which
//! there is no machine.
//!
//! 1. **Any way will do**: the toolchain has the target already; rustup adds it; or the standard library is built from its
//!    source, with Debian's toolchain, which `sanitize` and `kernels` use too.
//! 2. What has to be installed is installed only where that is nobody's machine: as root, with Debian's tool. Elsewhere the
//!    error says what to install.

use std::process::{Command, Stdio};

use crate::{Outcome, source};

const TARGETS: [&str; 2] = ["x86_64-apple-darwin", "x86_64-unknown-freebsd"];

/// What others may depend on without Linux.
const PACKAGE: &str = "weft-io";

const DEBIAN: &str =
    "apt-get install -qy --no-install-recommends rustc-web cargo-web rust-web-src rust-web-clippy";

const WANTED: &str = "needs the standard library of other systems: `rustup target add x86_64-apple-darwin \
     x86_64-unknown-freebsd`; or Debian's rustc-web, cargo-web, rust-web-src and rust-web-clippy, and \
     `rustup toolchain link deb /usr`";

/// `systems`: every target, with the lints.
pub fn run(_arguments: &[String]) -> Outcome {
    attempt().unwrap_or_else(Err)
}

/// The same, where the targets can be had: a package server that is away says nothing about a change.
pub fn run_where_possible() -> Outcome {
    attempt().unwrap_or_else(|why| {
        println!("skipped: {why}");
        Ok(())
    })
}

/// What the check says; or why there can be none.
fn attempt() -> Result<Outcome, String> {
    if TARGETS.iter().all(|target| has_target(target))
        || is_quietly("rustup", &[&["target", "add"], &TARGETS[..]].concat())
    {
        return Ok(check(&[], &[], &[]));
    }
    if !has_debian() {
        install()?;
    }
    Ok(check(&["+deb"], &["-Zbuild-std=std,panic_unwind"], &[("RUSTC_BOOTSTRAP", "1")]))
}

fn check(toolchain: &[&str], options: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let mut arguments =
        [toolchain, &["clippy", "--package", PACKAGE, "--target-dir", "target/systems"], options].concat();
    TARGETS.iter().for_each(|target| arguments.extend(["--target", target]));
    arguments.extend(["--", "-D", "warnings"]);
    source::command("cargo", &arguments, environment)
}

/// Whether the toolchain in use has a standard library for it.
fn has_target(target: &str) -> bool {
    let arguments = ["--print", "target-libdir", "--target", target];
    source::output("rustc", &arguments).is_ok_and(|folder| std::path::Path::new(folder.trim()).is_dir())
}

/// Whether Debian's toolchain is there, with the source of its standard library.
fn has_debian() -> bool {
    let has_source = std::path::Path::new("/usr/lib/rustlib/src/rust/library/Cargo.lock").exists();
    has_source && is_quietly("cargo", &["+deb", "clippy", "--version"])
}

/// Rule 2.
fn install() -> Outcome {
    let script = format!(
        "test \"$(id -u)\" = 0 && apt-get update -q && DEBIAN_FRONTEND=noninteractive {DEBIAN} && \
         {{ rustup toolchain list | grep -q '^deb\\b' || rustup toolchain link deb /usr; }}"
    );
    source::command("sh", &["-c", &script], &[]).map_err(|why| format!("{WANTED} ({why})"))
}

fn is_quietly(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
