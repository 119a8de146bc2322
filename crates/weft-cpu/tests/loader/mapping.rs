//! What the process's memory map shows while and after loading.

use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};

use weft_cpu::loader::elf::{EmbeddedElf, Image, Layout};
use weft_sync::Code;

use crate::patch::{follow, library_table, put32, put64};
use crate::samples::*;

fn maps() -> Vec<String> {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().map(str::to_owned).collect()
}

/// Access of the mapping that holds an address, such as `r-xp`.
fn access_at(address: u64) -> String {
    let holds = |line: &String| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let parse = |text| u64::from_str_radix(text, 16).unwrap();
        (parse(start)..parse(end)).contains(&address).then(|| rest[..4].to_owned())
    };
    maps().iter().find_map(holds).unwrap_or_else(|| panic!("nothing is mapped at {address:#x}"))
}

/// [exec 23]
#[test]
fn no_page_is_ever_writable_and_executable() {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let done = &done;
        for sample in [MULTIPLY, HANDMADE, SEVERAL] {
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    drop(load(sample).unwrap());
                }
            });
        }
        for _ in 0..200 {
            for line in maps() {
                let access = line.split(' ').nth(1).unwrap();
                assert!(!access.starts_with("rwx") && !access.starts_with("-wx"), "{line}");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// [exec 23]
#[test]
fn segments_have_their_protection_and_guards_around_them() {
    let target = EmbeddedElf::default().target().unwrap();
    let layout = Layout::parse(HANDMADE, &target).unwrap();
    let image = Image::load(&layout).unwrap();
    let plan = layout.segments();
    let access = |address| access_at(image.address_of(address));
    let (data, others) = plan.segments.split_last().unwrap();
    for segment in others {
        let expected = if segment.protection.execute { "r-xp" } else { "r--p" };
        assert_eq!(access(segment.memory.start), expected);
    }
    assert!(data.protection.write);
    let read_only = plan.read_only.clone().unwrap();
    assert_eq!(access(read_only.start), "r--p");
    assert_eq!(access(read_only.end - 1), "r--p");
    assert_eq!(access(read_only.end), "rw-p");
    assert_eq!(access(data.memory.end - 1), "rw-p");
    assert_eq!(access(plan.span.start.wrapping_sub(1)), "---p");
    assert_eq!(access(plan.span.end), "---p");
}

/// [exec 24]
#[test]
fn failed_loads_leave_nothing_mapped() {
    let mut sanitized = HANDMADE.to_vec();
    let header = follow(&sanitized, library_table(&sanitized));
    put32(&mut sanitized, header + 20, 1);
    let mut unfit = MULTIPLY.to_vec();
    let relocation = crate::patch::Elf::parse(&unfit).relocation(0);
    // A 32-bit absolute address: found out after mapping, when the bias is known.
    put64(&mut unfit, relocation + 8, 1 << 32 | 10);
    let before = maps().len();
    for _ in 0..2_500 {
        assert_eq!(load(&sanitized).unwrap_err().code(), Code::Unavailable);
        assert_eq!(load(&unfit).unwrap_err().code(), Code::OutOfRange);
        assert_eq!(load(HANDMADE_IMPORT).unwrap_err().code(), Code::Unavailable);
        assert_eq!(load(&MULTIPLY[..500]).unwrap_err().code(), Code::FailedPrecondition);
    }
    // Other tests of this process come and go; ten thousand leaks would show.
    let after = maps().len();
    assert!(after < before + 500, "{before} mappings before, {after} after");
    for _ in 0..2_500 {
        drop(load(MULTIPLY).unwrap());
    }
    let last = maps().len();
    assert!(last < before + 500, "{before} mappings before, {last} after releases");
}

const WRITE_TO_READ_ONLY: &str = "WEFT_TEST_WRITES_TO_READ_ONLY_PAGE";

/// [exec 23]
#[test]
#[allow(unsafe_code, reason = "writes where it must not, in a process of its own")]
fn writing_to_relocated_read_only_data_faults() {
    let name = "mapping::writing_to_relocated_read_only_data_faults";
    if std::env::var_os(WRITE_TO_READ_ONLY).is_none() {
        let status: ExitStatus = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(WRITE_TO_READ_ONLY, "1")
            .output()
            .unwrap()
            .status;
        assert!(!status.success(), "the write went through: {status}");
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        // A sanitizer turns the signal into an exit code.
        assert!(signal == Some(11) || status.code() == Some(1), "{status}");
        return;
    }
    let target = EmbeddedElf::default().target().unwrap();
    let layout = Layout::parse(HANDMADE, &target).unwrap();
    let image = Image::load(&layout).unwrap();
    let read_only = layout.segments().read_only.clone().unwrap();
    let address = std::ptr::with_exposed_provenance_mut::<u8>(image.address_of(read_only.start) as usize);
    // SAFETY: the write faults, which ends this process as the parent expects.
    unsafe { address.write_volatile(1) };
    std::process::exit(0);
}
