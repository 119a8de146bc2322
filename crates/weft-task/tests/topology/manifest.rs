//! Machines as text: one `relative/path=content` a line, expanded into a folder in the shape of sysfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use weft_task::Machine;

/// A folder that goes away with the test.
pub struct Folder(PathBuf);

impl Folder {
    /// An empty folder.
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("weft-machine-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// The files of a manifest.
    pub fn expand(manifest: &str) -> Folder {
        let folder = Folder::new();
        for line in manifest.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (path, content) = line.split_once('=').expect("lines are path=content");
            folder.write(path, &format!("{content}\n"));
        }
        folder
    }

    /// Writes one file.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The machine that a manifest describes.
pub fn machine(manifest: &str) -> Machine {
    Machine::read(Folder::expand(manifest).path()).unwrap()
}

/// A machine of this folder.
macro_rules! stored {
    ($name:literal) => {
        crate::manifest::machine(include_str!(concat!("machines/", $name, ".manifest")))
    };
}
pub(crate) use stored;
