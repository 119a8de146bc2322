//! What control groups allow: a share of processor time, a set of processors.
//!
//! What lives here: [`Limits`], read from versions 1 and 2, [`Quota`]. What does not: the affinity mask of the thread
//! (`pin.rs`), which the kernel keeps within the set of processors; the set is read all the same, for systems that do
//! not tell the mask.
//!
//! A group is limited by itself and by all groups around it, so files are read from the group up to the root. In a
//! container the path of the group may not exist below the mount: folders that are missing are passed over, which ends
//! at the container's own root.

use std::path::{Path, PathBuf};

use super::processors::ProcessorSet;
use super::text::Texts;

/// Processor time that may be used per time that passes.
///
/// ```
/// let quota = weft_task::Quota { microseconds: 150_000, period_microseconds: 100_000 };
/// assert_eq!(quota.workers(), 2, "a processor and a half keeps two workers busy");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Processor time of all threads together, in each period.
    pub microseconds: u64,
    /// The period; not zero.
    pub period_microseconds: u64,
}

impl Quota {
    /// How many workers the quota keeps busy, at least one.
    #[must_use]
    pub fn workers(&self) -> usize {
        let workers = self.microseconds.div_ceil(self.period_microseconds.max(1)).max(1);
        usize::try_from(workers).unwrap_or(usize::MAX)
    }

    /// Whether this one allows less than the other.
    fn is_below(&self, other: &Quota) -> bool {
        let cross =
            |one: &Quota, two: &Quota| u128::from(one.microseconds) * u128::from(two.period_microseconds);
        cross(self, other) < cross(other, self)
    }
}

/// What the control groups of this process allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// The tightest quota of the group and those around it.
    pub(super) quota: Option<Quota>,
    /// Processors; none if any.
    pub(super) processors: Option<ProcessorSet>,
}

impl Limits {
    /// Those of this process.
    #[cfg(target_os = "linux")]
    pub(super) fn read_system() -> Limits {
        let membership = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
        Limits::read(&membership, Path::new("/sys/fs/cgroup"))
    }

    /// Limits of the groups in `membership` (lines of `/proc/self/cgroup`) below `mount`.
    pub(super) fn read(membership: &str, mount: &Path) -> Limits {
        let mut limits = Limits::default();
        for line in membership.lines() {
            // hierarchy : controllers : path; version 2 names no controllers.
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
            let has = |controller| controllers.split(',').any(|word| word == controller);
            if controllers.is_empty() {
                for mount in [mount.to_owned(), mount.join("unified")] {
                    limits.tighten(quota_above(&mount, group, quota_v2));
                    limits.allow(processors_above(&mount, group, "cpuset.cpus.effective"));
                }
            }
            if has("cpu") {
                for mount in [mount.join("cpu"), mount.join("cpu,cpuacct"), mount.join(controllers)] {
                    limits.tighten(quota_above(&mount, group, quota_v1));
                }
            }
            if has("cpuset") {
                let mount = mount.join("cpuset");
                limits.allow(processors_above(&mount, group, "cpuset.effective_cpus"));
                limits.allow(processors_above(&mount, group, "cpuset.cpus"));
            }
        }
        limits
    }

    fn tighten(&mut self, quota: Option<Quota>) {
        if let Some(quota) = quota
            && self.quota.is_none_or(|before| quota.is_below(&before))
        {
            self.quota = Some(quota);
        }
    }

    fn allow(&mut self, processors: Option<ProcessorSet>) {
        let Some(processors) = processors else { return };
        self.processors = Some(match &self.processors {
            Some(before) => before.intersection(&processors),
            None => processors,
        });
    }
}

/// The folder of a group and of those around it, innermost first.
fn folders(mount: &Path, group: &str) -> Vec<PathBuf> {
    let mut folder = mount.to_owned();
    let mut folders = vec![folder.clone()];
    // A group outside the part of the tree that is visible here begins with `..`; its name leads nowhere.
    for name in group.split('/').filter(|name| !name.is_empty() && *name != "..") {
        folder.push(name);
        folders.push(folder.clone());
    }
    folders.reverse();
    folders
}

/// One file; there are few of them.
fn read(path: &Path) -> Option<String> {
    Texts::new().read(path).ok()
}

fn quota_above(mount: &Path, group: &str, read: impl Fn(&Path) -> Option<Quota>) -> Option<Quota> {
    let quotas = folders(mount, group).into_iter().filter_map(|folder| read(&folder));
    quotas.reduce(|tightest, quota| if quota.is_below(&tightest) { quota } else { tightest })
}

/// `cpu.max`: quota or `max`, and the period.
fn quota_v2(folder: &Path) -> Option<Quota> {
    let text = read(&folder.join("cpu.max"))?;
    let mut words = text.split_whitespace();
    let microseconds = words.next()?.parse().ok()?;
    let period_microseconds = words.next().unwrap_or("100000").parse().ok()?;
    (period_microseconds > 0).then_some(Quota { microseconds, period_microseconds })
}

/// Two files; a quota of -1 is none.
fn quota_v1(folder: &Path) -> Option<Quota> {
    let number = |name: &str| read(&folder.join(name))?.trim().parse::<u64>().ok();
    let (microseconds, period_microseconds) = (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?);
    (period_microseconds > 0).then_some(Quota { microseconds, period_microseconds })
}

/// The set of the innermost group that has one; an empty file inherits.
fn processors_above(mount: &Path, group: &str, file: &str) -> Option<ProcessorSet> {
    let set = |folder: PathBuf| -> Option<ProcessorSet> {
        read(&folder.join(file))?.parse().ok().filter(|set: &ProcessorSet| !set.is_empty())
    };
    folders(mount, group).into_iter().find_map(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A tree of files that goes away with the test.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Tree {
            let root = std::env::temp_dir().join(format!("weft-groups-{name}-{}", std::process::id()));
            for (path, content) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
            Tree(root)
        }

        fn quota(&self, membership: &str) -> Option<(u64, u64)> {
            let quota = Limits::read(membership, &self.0).quota?;
            Some((quota.microseconds, quota.period_microseconds))
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn version_2_takes_the_tightest_quota_of_all_groups_around() {
        let files = [
            ("a/cpu.max", "300000 100000\n"),
            ("a/b/cpu.max", "max 100000\n"),
            ("a/b/c/cpu.max", "400000 100000\n"),
            ("bad/cpu.max", "1 0\n"),
            ("a/cpuset.cpus.effective", "0-3,8\n"),
            ("a/b/cpuset.cpus.effective", "\n"),
        ];
        let tree = Tree::new("two", &files);
        assert_eq!(tree.quota("0::/a/b/c\n"), Some((300_000, 100_000)));
        assert_eq!(tree.quota("0::/a/b\n"), Some((300_000, 100_000)));
        assert_eq!(tree.quota("0::/bad\n"), None);
        assert_eq!(tree.quota("0::/\n"), None);
        assert_eq!(tree.quota("garbage\n\n"), None);
        let processors = Limits::read("0::/a/b/c\n", &tree.0).processors.unwrap();
        assert_eq!(processors.to_string(), "0-3,8");
    }

    #[test]
    fn version_1_reads_two_files_and_joins_sets() {
        let files = [
            ("cpu/job/cpu.cfs_quota_us", "150000\n"),
            ("cpu/job/cpu.cfs_period_us", "100000\n"),
            ("cpu/free/cpu.cfs_quota_us", "-1\n"),
            ("cpu/free/cpu.cfs_period_us", "100000\n"),
            ("cpuset/job/cpuset.cpus", "2-5\n"),
        ];
        let tree = Tree::new("one", &files);
        let membership = "4:cpu,cpuacct:/job\n3:cpuset:/job/inner\n2:memory:/job\n";
        assert_eq!(tree.quota(membership), Some((150_000, 100_000)));
        assert_eq!(tree.quota("4:cpu,cpuacct:/free\n"), None);
        assert_eq!(Limits::read(membership, &tree.0).processors.unwrap().to_string(), "2-5");
    }

    #[test]
    fn paths_of_other_namespaces_lead_to_the_mount() {
        let tree = Tree::new("namespace", &[("cpu.max", "50000 100000\n")]);
        assert_eq!(tree.quota("0::/docker/0123\n"), Some((50_000, 100_000)));
        assert_eq!(tree.quota("0::/../../other\n"), Some((50_000, 100_000)));
    }

    #[test]
    fn quotas_are_rounded_up_to_workers() {
        let workers = |microseconds| Quota { microseconds, period_microseconds: 100_000 }.workers();
        assert_eq!([1, 100_000, 100_001, 250_000].map(workers), [1, 1, 2, 3]);
    }
}
