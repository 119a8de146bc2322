//! Pools of buffers that several processes take from.
#![cfg(target_os = "linux")]

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command, Stdio};
use weft_io::{SharedLease, SharedMemory, SharedPool, SharedPoolParts};
use weft_sync::{Code, Result};

const SIZE: usize = 64;
const COUNT: u32 = 8;

fn memory(bytes: usize) -> SharedMemory {
    SharedMemory::create(bytes.div_ceil(4)).unwrap()
}

fn parts<'a>(list: &'a SharedMemory, buffers: &'a SharedMemory) -> SharedPoolParts<'a> {
    SharedPoolParts {
        list,
        list_offset: 0,
        buffers,
        buffers_offset: 0,
        buffer_size: SIZE,
        buffer_count: COUNT,
    }
}

fn both() -> (SharedMemory, SharedMemory) {
    (memory(SharedPool::storage_size(COUNT)), memory(SIZE * COUNT as usize))
}

fn code(pool: Result<SharedPool>) -> Code {
    pool.unwrap_err().code()
}

/// The same memory, mapped once more, as another process would.
fn again(memory: &SharedMemory) -> SharedMemory {
    SharedMemory::open(memory.as_fd().try_clone_to_owned().unwrap()).unwrap()
}

fn word(memory: &SharedMemory, index: usize, value: u32) {
    // What other processes could do: the words of the list's memory are the first of the file.
    let file = std::fs::File::from(memory.as_fd().try_clone_to_owned().unwrap());
    std::os::unix::fs::FileExt::write_all_at(&file, &value.to_le_bytes(), 4 * index as u64).unwrap();
}

/// [async 184] [async-backends 164] The list takes four bytes more for each buffer, in the layout that every process knows.
#[test]
fn the_layout_is_as_specified() {
    for count in [0, 1, 7, 65_534] {
        assert_eq!(SharedPool::storage_size(count + 1), SharedPool::storage_size(count) + 4);
    }
    assert_eq!(SharedPool::storage_size(1), 132);
    let (list, buffers) = both();
    drop(SharedPool::create(parts(&list, &buffers)).unwrap());
    let words: Vec<u32> = (0..32 + 8).map(|index| list.word(index).unwrap().load()).collect();
    assert_eq!(words[..5], [0x5042_5249, 1, SIZE as u32, 0, COUNT]);
    assert!(words[5..16].iter().all(|&word| word == 0));
    assert_eq!(words[16..18], [COUNT << 16, 0], "the first is the newest, none was taken");
    assert_eq!(words[32..], [1, 2, 3, 4, 5, 6, 7, 0xFFFF]);
}

/// [async 184] [async 186] [async-backends 164] What is no pool, or another one, is not opened; what can be none is not
/// made.
#[test]
fn pools_of_others_are_not_opened() {
    let (list, buffers) = both();
    let good = parts(&list, &buffers);
    assert_eq!(code(SharedPool::open(good)), Code::InvalidArgument, "nobody has made it yet");
    drop(SharedPool::create(good).unwrap());
    SharedPool::open(good).unwrap();
    let short = memory(SharedPool::storage_size(COUNT) - 4);
    let bad = [
        SharedPoolParts { list_offset: 4, ..good },
        SharedPoolParts { list_offset: usize::MAX & !63, ..good },
        SharedPoolParts { list: &short, ..good },
        SharedPoolParts { buffers_offset: 1, ..good },
        SharedPoolParts { buffer_size: SIZE / 2, ..good },
        SharedPoolParts { buffer_size: usize::MAX, ..good },
        SharedPoolParts { buffer_count: COUNT - 1, ..good },
        SharedPoolParts { buffer_count: 0, ..good },
        SharedPoolParts { buffer_size: 0, ..good },
        SharedPoolParts { buffer_count: 65_535, ..good },
        SharedPoolParts { buffers: &list, buffer_size: 8, ..good },
    ];
    for parts in bad {
        assert_eq!(code(SharedPool::open(parts)), Code::InvalidArgument, "{parts:?}");
    }
    for (index, value) in [(0, 0x5042_5248), (1, 2), (3, 1)] {
        drop(SharedPool::create(good).unwrap());
        word(&list, index, value);
        assert_eq!(code(SharedPool::open(good)), Code::InvalidArgument, "word {index}");
    }
}

/// [async 185] [async-backends 164] What one handle has leased no other gets, until it comes back; what is written under a
/// lease in one mapping is read under a lease in the other.
#[test]
fn handles_see_one_pool() {
    let (list, buffers) = both();
    let here = SharedPool::create(parts(&list, &buffers)).unwrap();
    let (list, buffers) = (again(&list), again(&buffers));
    let there = SharedPool::open(parts(&list, &buffers)).unwrap();
    let mut leases: Vec<SharedLease> = Vec::new();
    for round in 0..COUNT {
        let pool = if round % 2 == 0 { &here } else { &there };
        leases.push(pool.acquire().unwrap());
        assert_eq!([here.available(), there.available()], [COUNT - round - 1; 2]);
    }
    let mut indices: Vec<u16> = leases.iter().map(SharedLease::index).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..8).collect::<Vec<_>>());
    for pool in [&here, &there] {
        assert_eq!(pool.acquire().unwrap_err().code(), Code::ResourceExhausted);
    }
    let lease = leases.pop().unwrap();
    lease.write(60, b"data").unwrap();
    assert_eq!(lease.write(61, b"data").unwrap_err().code(), Code::OutOfRange);
    assert_eq!(lease.read(usize::MAX, &mut [0]).unwrap_err().code(), Code::OutOfRange);
    let index = lease.index();
    drop(lease);
    let lease = here.acquire().unwrap();
    assert_eq!(lease.index(), index);
    let mut data = [0; 4];
    lease.read(60, &mut data).unwrap();
    assert_eq!(&data, b"data");
    // The handle that made it is gone, with leases of it here and elsewhere.
    drop(here);
    drop((lease, leases));
    assert_eq!(there.available(), COUNT);
}

/// A list that another process has destroyed is told, and harms nobody.
#[test]
fn a_destroyed_list_is_told() {
    let (list, buffers) = both();
    let pool = SharedPool::create(parts(&list, &buffers)).unwrap();
    word(&list, 16, u32::from(u16::MAX - 1));
    assert_eq!(pool.acquire().unwrap_err().code(), Code::DataLoss);
    word(&list, 17, u32::MAX);
    word(&list, 16, 0x1_0003);
    let lease = pool.acquire().unwrap();
    assert_eq!(lease.index(), 3);
    drop(lease);
    assert!(pool.available() <= COUNT);
}

const LIST: &str = "WEFT_IO_SHARED_LIST";
const BUFFERS: &str = "WEFT_IO_SHARED_BUFFERS";
const ROUNDS: u32 = if cfg!(tsan) { 2_000 } else { 50_000 };

/// Takes buffers, marks them, sees that nobody else does, and gives them back.
fn churn(pool: &SharedPool, who: u8) {
    let mut bytes = [0; SIZE];
    for round in 0..ROUNDS {
        let Ok(lease) = pool.acquire() else { continue };
        let mark = [who ^ round as u8; SIZE];
        lease.write(0, &mark).unwrap();
        lease.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, mark, "somebody else has the same buffer");
    }
}

fn spawn(list: &SharedMemory, buffers: &SharedMemory, test: &str) -> Child {
    // The parent waits for the child, so its handles can be found by number.
    let path =
        |memory: &SharedMemory| format!("/proc/{}/fd/{}", std::process::id(), memory.as_fd().as_raw_fd());
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(LIST, path(list))
        .env(BUFFERS, path(buffers))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The memories that the other process was given; `None`: this is not that process.
fn inherited() -> Option<[SharedMemory; 2]> {
    let take = |name| {
        let path = std::env::var_os(name)?;
        let handle = std::fs::File::options().read(true).write(true).open(path).unwrap();
        Some(SharedMemory::open(handle.into()).unwrap())
    };
    Some([take(LIST)?, take(BUFFERS)?])
}

/// [async 185] [async-backends 164] Two processes, two threads each, take and give back at once: no buffer is in two
/// hands, and all are there in the end.
#[test]
fn two_processes_share_a_pool() {
    let (list, buffers) = both();
    let pool = SharedPool::create(parts(&list, &buffers)).unwrap();
    let mut child = spawn(&list, &buffers, "the_other_process_takes_part");
    std::thread::scope(|scope| {
        scope.spawn(|| churn(&pool, 1));
        scope.spawn(|| churn(&pool, 2));
    });
    assert!(child.wait().unwrap().success());
    assert_eq!(pool.available(), COUNT);
}

/// The other side of the test above; by itself it does nothing.
#[test]
fn the_other_process_takes_part() {
    let Some([list, buffers]) = inherited() else { return };
    let pool = SharedPool::open(parts(&list, &buffers)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| churn(&pool, 4));
        scope.spawn(|| churn(&pool, 8));
    });
}

/// [async 186] A process that is killed while it takes and gives back costs the others what it had at that moment, and
/// nothing else.
#[test]
fn a_killed_process_loses_its_leases_alone() {
    let (list, buffers) = both();
    let pool = SharedPool::create(parts(&list, &buffers)).unwrap();
    for round in 0..20 {
        let before = pool.available();
        let mut child = spawn(&list, &buffers, "the_other_process_is_killed");
        let mut told = [0];
        // Skips what the harness prints before.
        while told != *b"!" {
            child.stdout.as_mut().unwrap().read_exact(&mut told).unwrap();
        }
        std::thread::sleep(std::time::Duration::from_micros(137 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let left: Vec<SharedLease> = std::iter::from_fn(|| pool.acquire().ok()).collect();
        assert!(left.len() as u32 + 1 >= before, "it had one at a time");
        let mut indices: Vec<u16> = left.iter().map(SharedLease::index).collect();
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), left.len(), "round {round}");
        drop(left);
        if pool.available() < 2 {
            drop(SharedPool::create(parts(&list, &buffers)).unwrap());
        }
    }
}

/// The other side of the test above; by itself it does nothing.
#[test]
fn the_other_process_is_killed() {
    let Some([list, buffers]) = inherited() else { return };
    let pool = SharedPool::open(parts(&list, &buffers)).unwrap();
    println!("!");
    // For longer than the other side waits, and not for ever should that be gone.
    for _ in 0..100 {
        churn(&pool, 1);
    }
}
