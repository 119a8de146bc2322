#![allow(unsafe_code, reason = "maps a file, as whoever asks for mapped parameters does")]
//! How much memory parameters take, as the system counts it: read, preloaded, mapped.
//!
//! One test, in a program of its own, which runs itself once for each figure: the memory counted is that of the whole
//! process, and what was given back may stay with it.
#![cfg(target_os = "linux")]

#[path = "../parameters/build.rs"]
#[allow(dead_code, reason = "only archives are built here")]
mod build;
#[path = "../parameters/harness.rs"]
#[allow(dead_code, reason = "only loads are made here")]
mod harness;
#[path = "../imports/harness.rs"]
#[allow(dead_code, reason = "only values and the module around a call are used here")]
mod imports;

use std::fs;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use build::{Entry, irpa};
use harness::{DEFAULT, IMMUTABLE, NULL, Span, TemporaryFile, World};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use weft::hal::Buffer;
use weft::parameters::ParameterFile;
use weft::{Deadline, Fence};

const PARAMETER: usize = 16 << 20;
const SPANS: [Span<'static>; 4] = [
    ("a", 0, 0, PARAMETER as u64),
    ("b", 0, 0, PARAMETER as u64),
    ("c", 0, 0, PARAMETER as u64),
    ("d", 0, 0, PARAMETER as u64),
];
const ALL: u64 = 4 * PARAMETER as u64;
/// What a few threads and buffers may take besides.
const SLACK: u64 = 6 << 20;

/// A file in memory, page by page.
struct Mapping(NonNull<u8>, usize);

impl Mapping {
    fn new(file: &fs::File) -> Mapping {
        let length = file.metadata().unwrap().len() as usize;
        // SAFETY: no address is asked for, so nothing that exists is replaced.
        let base = unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, file, 0) };
        Mapping(NonNull::new(base.unwrap().cast()).unwrap(), length)
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: readable for its length until it is dropped, and nobody changes the file of this test meanwhile.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), self.1) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `mmap` with this length, unmapped once; every slice of it borrowed this value.
        unsafe { munmap(self.0.as_ptr().cast(), self.1) }.unwrap();
    }
}

// SAFETY: memory that is only read, without thread affinity.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// A line of what the system says about this process, in bytes.
fn memory(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// What keeps loaded parameters alive.
type Held = (World, Vec<Arc<Buffer>>);

fn load(uri: &str, file: &Arc<ParameterFile>, usage: i32) -> Held {
    let world = World::of(uri, file);
    let signal = Fence::create();
    let buffers = world.load_between(None, Some(&signal), NULL, usage, &SPANS).unwrap();
    signal.wait(Deadline::NEVER).unwrap();
    (world, buffers)
}

/// Names the device, the way and the file to whom they are for.
const TASK: &str = "WEFT_TEST_PARAMETER_MEMORY";

/// One load in a process of its own, where nothing else has taken or kept memory. Says how much more it has at the peak,
/// and how much of its own in the end.
fn measure(uri: &str, way: &str, file: &str) {
    // Threads, modules and caches are there from now on.
    let small = irpa(&["a", "b", "c", "d"].map(|name| Entry::Splat(name, ALL, &[1])));
    let world = World::of(uri, &ParameterFile::from_memory("small", Arc::new(small)));
    world.load(NULL, DEFAULT, &[("a", 0, 0, 64)]).unwrap();
    let (before, own) = (memory("VmRSS"), memory("RssAnon"));
    let _held = match way {
        "streamed" => load(uri, &ParameterFile::open(file).unwrap(), DEFAULT),
        "preloaded" => load(uri, &ParameterFile::preload(file).unwrap(), IMMUTABLE),
        _ => {
            let handle = fs::File::open(file).unwrap();
            let mapping = Arc::new(Mapping::new(&handle));
            let file = ParameterFile::from_mapping(file, handle, mapping).unwrap();
            let held = load(uri, &file, IMMUTABLE);
            assert_eq!(held.1[3].read_to_vec(PARAMETER as u64 - 4, 4).unwrap(), [5; 4]);
            held
        }
    };
    let peak = memory("VmHWM").saturating_sub(before);
    println!("measured {peak} {}", memory("RssAnon").saturating_sub(own));
}

/// The figures of a process that does it.
fn measured(uri: &str, way: &str, file: &TemporaryFile) -> (u64, u64) {
    let done = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "parameters_take_no_more_than_their_size", "--nocapture"])
        .env(TASK, format!("{uri} {way} {}", file.0.display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let (_, figures) = text.split_once("measured ").unwrap_or_else(|| panic!("{done:?}"));
    let mut figures = figures.split_whitespace().map(|figure| figure.parse().unwrap());
    (figures.next().unwrap(), figures.next().unwrap())
}

/// Streamed parameters take their own size and hardly more, preloaded ones are there once, mapped ones take nothing.
/// [hal-module 55]
#[test]
fn parameters_take_no_more_than_their_size() {
    if let Ok(task) = std::env::var(TASK) {
        let mut words = task.splitn(3, ' ');
        let mut next = || words.next().unwrap();
        return measure(next(), next(), next());
    }
    // Sanitizers keep what was given back, and books about all of it.
    if cfg!(tsan) || std::env::var_os("ASAN_OPTIONS").is_some() {
        return println!("skipped: memory is not what it is without a sanitizer");
    }
    let data = vec![5; PARAMETER];
    let archive = irpa(&["a", "b", "c", "d"].map(|name| Entry::Data(name, &data)));
    let file = TemporaryFile::new("memory.irpa", &archive);
    drop((archive, data));
    for uri in harness::DEVICES {
        for way in ["streamed", "preloaded", "mapped"] {
            let (peak, own) = measured(uri, way, &file);
            let told = format!("{uri}, {way}: {} MiB at the peak, {} of its own", peak >> 20, own >> 20);
            println!("{told}");
            if way == "mapped" {
                assert!(own < SLACK, "{told}");
            } else {
                assert!(peak < ALL + ALL / 10 + SLACK && own + SLACK > ALL, "{told}");
            }
        }
    }
}
