//! The proactor suite on another kernel and on another processor.
//!
//! What lives here: a guest with Linux 6.1, emulated, also with a slow network, and aarch64 without io_uring by qemu-user.
//! What does not: the suite (`weft-cts`).
//!
//! 1. A guest is a kernel of Debian's, a busybox, the suite linked statically, and a first process that runs it and
//!    switches off. The verdict is what it prints: an emulator that ends says nothing about its guest.
//! 2. Packages are fetched into `target/kernels` and unpacked there; nothing of them is installed. The emulators are,
//!    by whoever runs this; the commands are in the error.
//! 3. **A slow network** is loopback that delays each packet. Kernels that people run in a container often lack what does
//!    that (`sch_netem`), so it is the guest's. Lost packets are for `netns`: cases of the suite count on those that they send.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Outcome, source};

const WANTED: &str = "apt-get install --no-install-recommends qemu-system-x86 qemu-system-data seabios cpio iproute2 qemu-user \
     gcc-aarch64-linux-gnu libc6-dev-arm64-cross";

/// The races are shortened so much: an emulated processor is some 20 times slower.
const FEWER_ROUNDS: &str = "100";
/// After this many seconds a guest hangs.
const GUEST_SECONDS: &str = "2400";

/// What runs first in the guest. It has no shell's path, no network but loopback, and little of `/dev`.
const FIRST_PROCESS: &str = r#"#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev 2>/dev/null
$b mount -t tmpfs tmp /tmp
$b mkdir -p /dev/shm && $b mount -t tmpfs shm /dev/shm
$b mkdir -p /dev/pts && $b mount -t devpts pts /dev/pts
$b ip link set lo up
$b uname -r
export HOME=/tmp TMPDIR=/tmp WEFT_CTS_FEWER_ROUNDS=@ROUNDS@
# As on machines that people use; the kernel itself gives 1,024.
ulimit -n 65536
# Spans of 4 GiB, of which hardly a page is touched, in a guest that has 3.
echo 1 > /proc/sys/vm/overcommit_memory
cd /tmp
@NETWORK@for suite in /bin/suite-*; do
    $suite --test-threads=4 @FILTERS@ 2>&1 || echo "suite failed: $suite"
done
echo "the guest is done"
$b poweroff -f
"#;

/// Families in which something goes over loopback.
const NETWORKED: &[&str] = &["socket_", "buffer_receive", "transfer_chain", "::load::"];
/// Both ways together the next town; a case with 600 connections ends within its 30 s.
const DELAY: &str = "netem delay 3ms";

/// `kernels [guest|delay|aarch64] [filter]`: all, or one of them; of the suite what the filter matches.
pub fn run(arguments: &[String]) -> Outcome {
    let which = arguments.first().map(String::as_str);
    let filter = arguments.get(1).map_or("", String::as_str);
    match which {
        None => guest(filter).and_then(|()| delay(filter)).and_then(|()| aarch64(filter)),
        Some("guest") => guest(filter),
        Some("delay") => delay(filter),
        Some("aarch64") => aarch64(filter),
        Some(other) => Err(format!("expected `guest`, `delay` or `aarch64`, found `{other}`")),
    }
}

/// The suite on Linux 6.1: an older io_uring, the real one.
fn guest(filter: &str) -> Outcome {
    let filters = if filter.is_empty() { &[][..] } else { &[filter][..] };
    in_guest(None, filters)
}

/// Rule 3.
fn delay(filter: &str) -> Outcome {
    let filters = if filter.is_empty() { NETWORKED } else { &[filter][..] };
    in_guest(Some(DELAY), filters)
}

/// The suite, or what the filters match of it, with loopback as it is, or as this makes it.
fn in_guest(network: Option<&str>, filters: &[&str]) -> Outcome {
    wanted("qemu-system-x86_64")?;
    wanted("cpio")?;
    let folder = source::root().join("target/kernels");
    let kernel = kernel(&folder)?;
    let suites = suites("x86_64-unknown-linux-gnu", "-Ctarget-feature=+crt-static", &[], "target/static")?;
    let image = image(&folder, &suites, network, filters)?;
    let arguments = [
        &[GUEST_SECONDS, "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi"][..],
        &["-cpu", "max", "-smp", "2", "-m", "3072", "-nographic", "-no-reboot"],
        &["-kernel", &kernel.display().to_string(), "-initrd", &image.display().to_string()],
        &["-append", "console=ttyS0 quiet panic=-1"],
    ];
    let printed = shown_and_kept("timeout", &arguments.concat())?;
    verdict(&printed)
}

/// The suite on aarch64, where the emulator has no io_uring.
fn aarch64(filter: &str) -> Outcome {
    wanted("qemu-aarch64")?;
    wanted("aarch64-linux-gnu-gcc")?;
    let target = "aarch64-unknown-linux-gnu";
    let environment = [
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc"),
        ("RUSTC_BOOTSTRAP", "1"),
    ];
    for suite in suites(target, "", &environment, "target/aarch64")? {
        let suite = suite.display().to_string();
        let mut arguments = vec!["-L", "/usr/aarch64-linux-gnu", &suite, "--test-threads=4"];
        arguments.extend((!filter.is_empty()).then_some(filter));
        source::command("qemu-aarch64", &arguments, &[("WEFT_CTS_FEWER_ROUNDS", FEWER_ROUNDS)])?;
    }
    Ok(())
}

fn wanted(program: &str) -> Outcome {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.map(drop).map_err(|_| format!("needs {program}: {WANTED}"))
}

/// Rule 2.
fn kernel(folder: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let unpacked = folder.join("guest");
    if find(&unpacked.join("boot"), "vmlinuz-").is_none() {
        let depends = source::output("apt-cache", &["depends", "linux-image-cloud-amd64"])?;
        let name = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
        let name = name.ok_or("apt knows no linux-image-cloud-amd64")?;
        let script = format!(
            "cd '{}' && apt-get download {name} busybox-static:amd64 && for package in *.deb; do dpkg -x $package guest; done",
            folder.display()
        );
        source::command("sh", &["-c", &script], &[])?;
    }
    find(&unpacked.join("boot"), "vmlinuz-").ok_or_else(|| "the package has no kernel".to_owned())
}

fn find(folder: &Path, prefix: &str) -> Option<PathBuf> {
    let mut entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
}

/// Builds the suites for a target and says where they are.
fn suites(
    target: &str,
    flags: &str,
    environment: &[(&str, &str)],
    folder: &str,
) -> Result<Vec<PathBuf>, String> {
    let build_std: &[&str] =
        if target.starts_with("x86_64") { &[] } else { &["+nightly", "-Zbuild-std=std,panic_unwind"] };
    let (toolchain, build_std) = build_std.split_at(build_std.len().min(1));
    let arguments = [
        toolchain,
        &["test", "--release", "--no-run", "--package", "weft-cts", "--test", "io", "--test", "io_leaks"],
        &["--target", target, "--target-dir", folder],
        build_std,
    ]
    .concat();
    source::test_programs(&arguments, &[&[("RUSTFLAGS", flags)], environment].concat())
}

/// The file system of the guest, which it has in memory.
fn image(
    folder: &Path,
    suites: &[PathBuf],
    network: Option<&str>,
    filters: &[&str],
) -> Result<PathBuf, String> {
    let root = folder.join("root");
    let failed = |error: std::io::Error| format!("making the guest's files: {error}");
    if root.exists() {
        fs::remove_dir_all(&root).map_err(failed)?;
    }
    for name in ["bin", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(root.join(name)).map_err(failed)?;
    }
    fs::copy(folder.join("guest/bin/busybox"), root.join("bin/busybox")).map_err(failed)?;
    for (index, suite) in suites.iter().enumerate() {
        fs::copy(suite, root.join(format!("bin/suite-{index}"))).map_err(failed)?;
    }
    let is_odd = |letter: char| !letter.is_ascii_alphanumeric() && !"_:-".contains(letter);
    if let Some(odd) = filters.iter().find(|filter| filter.contains(is_odd)) {
        return Err(format!("`{odd}` is no name of a test"));
    }
    let mut lines = String::new();
    if let Some(network) = network {
        slow_network(folder, &root)?;
        lines = format!(
            "$b insmod /bin/sch_netem.ko\n/bin/tc qdisc add dev lo root {network} || echo 'suite failed: no {network}'\n\
             echo 'loopback: {network}'\n$b ping -c 5 127.0.0.1\n"
        );
    }
    let first = FIRST_PROCESS.replace("@ROUNDS@", FEWER_ROUNDS).replace("@NETWORK@", &lines);
    let first = first.replace("@FILTERS@", &filters.join(" "));
    fs::write(root.join("init"), first).map_err(failed)?;
    let script = format!(
        "cd '{}' && chmod +x init && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1 > ../image.gz",
        root.display()
    );
    source::command("sh", &["-c", &script], &[])?;
    Ok(folder.join("image.gz"))
}

/// What makes the guest's network slow: the module of its kernel, and the program that tells it to.
fn slow_network(folder: &Path, root: &Path) -> Outcome {
    let script = format!(
        "cp $(find '{guest}/lib/modules' -name sch_netem.ko) '{root}/bin/' && tool=$(command -v tc || echo /usr/sbin/tc) && \
         cp $tool '{root}/bin/tc' && for library in $(ldd $tool | grep -o '/[^ ]*'); do \
         mkdir -p \"{root}$(dirname $library)\" && cp -L $library \"{root}$library\"; done",
        guest = folder.join("guest").display(),
        root = root.display()
    );
    source::command("sh", &["-c", &script], &[]).map_err(|why| format!("needs tc: {WANTED}: {why}"))
}

/// Runs a program, shows what it prints and keeps it.
fn shown_and_kept(program: &str, arguments: &[&str]) -> Result<String, String> {
    println!("$ {program} {}", arguments.join(" "));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    let mut printed = String::new();
    let mut lines = std::io::BufReader::new(child.stdout.take().ok_or("no output of the guest")?);
    let mut line = Vec::new();
    loop {
        line.clear();
        match std::io::BufRead::read_until(&mut lines, b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                if !text.contains("... ok") {
                    print!("{text}");
                }
                printed.push_str(&text);
            }
            Err(error) => return Err(format!("reading what the guest prints: {error}")),
        }
    }
    child.wait().map_err(|error| format!("waiting for the guest: {error}"))?;
    Ok(printed)
}

/// Rule 1.
fn verdict(printed: &str) -> Outcome {
    if !printed.contains("the guest is done") {
        return Err(format!("the guest did not come to its end within {GUEST_SECONDS} s"));
    }
    if printed.contains("suite failed") {
        return Err("the suite fails in the guest".to_owned());
    }
    match printed.matches("test result: ok").count() {
        0 => Err("the guest ran no suite".to_owned()),
        _ => Ok(()),
    }
}
