//! Which crate may name which: the table of ARCHITECTURE.md, checked against the manifests.
//!
//! Only `[dependencies]` count. Tests may name more (a crate's test may use a neighbour as its subject).

use crate::{Outcome, source};

/// Crate, and the weft crates that it may name.
pub const LAYERS: &[(&str, &[&str])] = &[
    ("weft-sync", &[]),
    ("weft-io", &["weft-sync"]),
    ("weft-task", &["weft-sync"]),
    ("weft-hal", &["weft-sync", "weft-io"]),
    ("weft-cpu", &["weft-sync", "weft-hal", "weft-task"]),
    ("weft-vm", &["weft-sync"]),
    ("weft", &["weft-sync", "weft-io", "weft-task", "weft-hal", "weft-cpu", "weft-vm"]),
    ("weft-cli", &["weft"]),
    ("weft-cts", &["weft", "weft-sync", "weft-io", "weft-task", "weft-hal", "weft-cpu", "weft-vm"]),
    ("weft-bench", &["weft", "weft-sync", "weft-io", "weft-task", "weft-hal", "weft-cpu", "weft-vm"]),
    ("xtask", &[]),
];

/// Fails with every edge that the table does not allow, and every crate that it does not know.
pub fn run(_arguments: &[String]) -> Outcome {
    let mut wrong = Vec::new();
    for manifest in source::files(&source::root(), &["Cargo.toml"]) {
        let folder = source::shown(manifest.parent().expect("a manifest lies in a folder"));
        if folder.is_empty() || folder == "fuzz" {
            continue;
        }
        let name = folder.rsplit('/').next().unwrap_or(&folder).to_owned();
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
            wrong.push(format!("{folder} is not in the table"));
            continue;
        };
        for dependency in dependencies(&source::read(&manifest)?) {
            if !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{name} may not name {dependency}"));
            }
        }
    }
    if wrong.is_empty() {
        println!("layers: {} crates, every edge allowed", LAYERS.len());
        Ok(())
    } else {
        Err(wrong.join("; "))
    }
}

/// The weft crates under `[dependencies]` or a target's dependencies.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[dependencies]"
                || (line.starts_with("[target.") && line.ends_with(".dependencies]"));
            continue;
        }
        let name: String = line.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        if inside && (name == "weft" || name.starts_with("weft-")) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_dependencies_count() {
        let manifest = "[dependencies]\nweft-sync.workspace = true\nbitflags = \"2\"\n\
                        [target.'cfg(unix)'.dependencies]\nweft-hal = { path = \"x\" }\n\
                        [dev-dependencies]\nweft-vm.workspace = true\n";
        assert_eq!(dependencies(manifest), ["weft-sync", "weft-hal"]);
    }
}
