//! Registered memory: slabs, regions, pools of buffers, and memory of devices. Receiving into pools: `buffer_receive.rs`.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use weft_io::ops::{FileRead, FileWrite, Nop, Recv, RecvFrom};
use weft_io::{
    Access, BufferPool, Capabilities, Handle, Lease, Operation, Part, Pieces, Poller, Region, RegionKind,
    SharedMemory, Slab,
};
use weft_sync::{Code, Result};

use super::subject::{IoCaps, IoSubject, Log, lock, poll_until, rounds, submit};

crate::cases! { $ BUFFER for_each_io_buffer_case of IoSubject {
    registered_buffers_are_leased_once: IoCaps::NONE;
    odd_counts_are_taken_or_refused: IoCaps::NONE;
    pieces_of_memory_are_registered_one_by_one: IoCaps::NONE;
    several_slabs_are_read_or_one_at_a_time: IoCaps::NONE;
    slabs_to_be_written_are_any_number: IoCaps::NONE;
    registrations_come_and_go: IoCaps::NONE;
    any_thread_registers: IoCaps::NONE;
    callbacks_register: IoCaps::NONE;
    regions_outlive_their_proactor: IoCaps::NONE;
    large_slabs_have_the_right_addresses: IoCaps::NONE;
    operations_use_registered_memory: IoCaps::KERNEL;
    an_operation_keeps_its_memory_registered: IoCaps::KERNEL;
    memory_of_devices_is_registered: IoCaps::NONE;
    operations_use_memory_of_devices: IoCaps::KERNEL;
    memory_that_may_only_be_read_is_no_target: IoCaps::NONE;
} }

const BOTH: Access = Access::READ.union(Access::WRITE);

fn region(handle: &Handle, size: usize, count: u32, access: Access) -> Region {
    handle.register_slab(&Slab::new(size, count).unwrap(), access).unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code()
}

/// [async 174] [async 175] [async 176] [async-backends 164] Every buffer is leased once, can be written and read, and lies
/// apart from the others; when all are out there is none, until one comes back, on whatever thread.
fn registered_buffers_are_leased_once(subject: &IoSubject) {
    let poller = subject.open();
    let pool = BufferPool::new(&region(poller.handle(), 100, 8, BOTH)).unwrap();
    assert!(pool.region().is_of(poller.handle()));
    for round in 0..3_u8 {
        let mut leases: Vec<Lease> = (0..8).map(|_| pool.acquire().unwrap()).collect();
        assert_eq!(code(pool.acquire()), Code::ResourceExhausted);
        for (index, lease) in (0..).zip(&mut leases) {
            lease.fill(index ^ round);
        }
        for (index, lease) in (0..).zip(&leases) {
            assert!(lease.len() == 100 && lease.iter().all(|&byte| byte == index ^ round));
        }
        let mut indices: Vec<u16> = leases.iter().map(Lease::index).collect();
        indices.sort_unstable();
        assert_eq!(indices, (0..8).collect::<Vec<_>>());
        let one = leases.swap_remove(3);
        std::thread::spawn(move || drop(one)).join().unwrap();
        assert_eq!(pool.available(), 1);
        leases.push(pool.acquire().unwrap());
        drop(leases);
        assert_eq!(pool.available(), 8);
    }
    assert_eq!(code(Slab::new(0, 8)), Code::InvalidArgument);
    assert_eq!(code(Slab::new(100, 0)), Code::InvalidArgument);
}

/// [async 177] [async-backends 152] A kernel that picks buffers itself wants a power of two of them, up to 32,768, and
/// whoever wants that always does; for others any number will do.
fn odd_counts_are_taken_or_refused(subject: &IoSubject) {
    let poller = subject.open();
    let handle = poller.handle();
    let native = Capabilities::MULTISHOT | Capabilities::PROVIDED_BUFFERS;
    let is_strict = handle.describe().backend == "uring" && handle.capabilities().contains(native);
    for (count, is_good) in [(1, true), (32_768, true), (3, false), (65_534, false)] {
        let slab = Slab::new(64, count).unwrap();
        for access in [Access::WRITE, BOTH] {
            match handle.register_slab(&slab, access) {
                Ok(region) => {
                    assert!(is_good || !is_strict, "{count}");
                    assert_eq!(BufferPool::new(&region).unwrap().capacity(), count);
                }
                Err(why) => {
                    assert!(is_strict && !is_good, "{count}: {why}");
                    assert_eq!(why.code(), Code::InvalidArgument);
                }
            }
        }
        drop(handle.register_slab(&slab, Access::READ).unwrap());
    }
    let slab = Slab::new(1, 65_536).unwrap();
    assert_eq!(code(handle.register_slab(&slab, Access::READ)), Code::InvalidArgument);
    assert_eq!(code(handle.register_slab(&Slab::new(1, 1).unwrap(), Access::empty())), Code::InvalidArgument);
}

/// [async 179] [async-backends 157] Pieces of memory that the caller had are registered, one or many; a list of them that is
/// cleared lets go of all, but for those that somebody else holds.
fn pieces_of_memory_are_registered_one_by_one(subject: &IoSubject) {
    let poller = subject.open();
    let handle = poller.handle();
    let mut list = Vec::new();
    for size in 1..=10_usize {
        // A kernel that knows one at a time is given the others to be written.
        let access = if size == 1 { Access::READ } else { Access::WRITE };
        list.push(handle.register_buffer(vec![size as u8; 100 * size], access).unwrap());
    }
    let retained = list[4].clone();
    list.clear();
    assert_eq!((retained.bytes(), retained.access()), (500, Access::WRITE));
    let pool = BufferPool::new(&retained).unwrap();
    assert!(pool.acquire().unwrap().iter().all(|&byte| byte == 5));
    assert_eq!(code(handle.register_buffer(Vec::new(), Access::READ)), Code::InvalidArgument);
    assert_eq!(code(handle.register_buffer([vec![0; 1], vec![0; 1]], Access::READ)), Code::InvalidArgument);
}

/// [async 182] [async-backends 159] Several slabs to be read; or one at a time, and the next when that is gone.
fn several_slabs_are_read_or_one_at_a_time(subject: &IoSubject) {
    let poller = subject.open();
    let handle = poller.handle();
    let is_one = handle.describe().backend == "uring"
        && handle.capabilities().contains(Capabilities::REGISTERED_BUFFERS)
        && !handle.capabilities().contains(Capabilities::MULTISHOT);
    for _ in 0..3 {
        let first = region(handle, 4096, 4, Access::READ);
        let second = handle.register_slab(&Slab::new(64, 3).unwrap(), Access::READ);
        match &second {
            Err(why) => assert!(is_one && why.code() == Code::AlreadyExists, "{why}"),
            Ok(second) => {
                assert!(!is_one, "pinned both");
                assert_eq!(first.is_pinned(), second.is_pinned());
            }
        }
        drop((first, second));
    }
}

/// [async 182] Slabs to be written are any number, each a registration of its own; one slab may have several.
fn slabs_to_be_written_are_any_number(subject: &IoSubject) {
    let poller = subject.open();
    let slab = Slab::new(64, 4).unwrap();
    let regions: Vec<Region> =
        (0..50).map(|_| poller.handle().register_slab(&slab, Access::WRITE).unwrap()).collect();
    let pool = BufferPool::new(&regions[7]).unwrap();
    assert_eq!(code(BufferPool::new(&regions[8])), Code::FailedPrecondition, "one pool at a time");
    drop(pool);
    assert_eq!(BufferPool::new(&regions[8]).unwrap().available(), 4);
}

/// [async 187] [async-backends 153] Many registrations in a row (optimised: more than there are numbers for rings of buffers); never do two
/// that are alive share one, for each works.
fn registrations_come_and_go(subject: &IoSubject) {
    let poller = subject.open();
    let handle = poller.handle();
    let slab = Slab::new(64, 1).unwrap();
    let kept: Vec<Region> = (0..3).map(|_| handle.register_slab(&slab, Access::WRITE).unwrap()).collect();
    for _ in 0..rounds(70_000) {
        handle.register_slab(&slab, Access::WRITE).unwrap();
    }
    drop(kept);
    for _ in 0..rounds(1000) {
        handle.register_slab(&slab, Access::READ).unwrap();
    }
}

/// [async-backends 162] Any thread registers and lets go, before the first poll and while another thread polls, and so do
/// several at once.
fn any_thread_registers(subject: &IoSubject) {
    let proactor = subject.proactor();
    let early = region(proactor.handle(), 64, 4, BOTH);
    let elsewhere = {
        let handle = proactor.handle().clone();
        std::thread::spawn(move || region(&handle, 64, 4, Access::WRITE)).join().unwrap()
    };
    let mut poller = proactor.into_poller().unwrap();
    let handle = poller.handle().clone();
    let is_over = Arc::new(AtomicBool::new(false));
    let work = {
        let (handle, is_over) = (handle.clone(), Arc::clone(&is_over));
        std::thread::spawn(move || {
            let churn = || {
                for count in [1, 2, 4].into_iter().cycle().take(rounds(300).min(300)) {
                    let pool = BufferPool::new(&region(&handle, 64, count, Access::WRITE)).unwrap();
                    assert_eq!(pool.acquire().unwrap().len(), 64);
                }
            };
            std::thread::scope(|scope| {
                scope.spawn(churn);
                scope.spawn(churn);
            });
            drop((early, elsewhere));
            let late = region(&handle, 64, 4, BOTH);
            is_over.store(true, Ordering::Release);
            handle.wake();
            late
        })
    };
    poll_until(&mut poller, || is_over.load(Ordering::Acquire));
    let late = work.join().unwrap();
    drop(poller);
    assert_eq!(code(handle.register_slab(late.slab().unwrap(), BOTH)), Code::Aborted);
}

/// [async-backends 162] A callback, which must not wait for its own thread, does not.
fn callbacks_register(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (send, receive) = channel();
    let nop = Operation::new(Nop).on_done(move |done| {
        done.result.unwrap();
        let region = region(&handle, 64, 4, BOTH);
        drop(handle.register_slab(region.slab().unwrap(), Access::WRITE).unwrap());
        send.send(region).unwrap();
    });
    poller.handle().submit(nop).unwrap();
    let mut region = None;
    poll_until(&mut poller, || {
        region = receive.try_recv().ok();
        region.is_some()
    });
    assert_eq!(region.unwrap().bytes(), 256);
}

/// [async-backends 150] Regions, pools and leases are good for as long as somebody holds them, whatever has
/// become of the proactor; what comes to an end after it harms nobody.
fn regions_outlive_their_proactor(subject: &IoSubject) {
    let poller = subject.open();
    let pool = BufferPool::new(&region(poller.handle(), 64, 4, BOTH)).unwrap();
    let mut lease = pool.acquire().unwrap();
    drop(poller);
    lease.fill(9);
    let another = pool.acquire().unwrap();
    drop((pool, another));
    assert!(lease.iter().all(|&byte| byte == 9));
    let other = subject.open();
    assert!(!lease.pool().region().is_of(other.handle()));
}

/// [async 188] [async-backends 152] Buffers beyond four gigabytes lie where they should: the memory is only touched there.
fn large_slabs_have_the_right_addresses(subject: &IoSubject) {
    const SIZE: usize = 1 << 20;
    let poller = subject.open();
    let Ok(slab) = Slab::new(SIZE, 8192) else { return println!("skipped: no eight gigabytes of addresses") };
    let pool = BufferPool::new(&poller.handle().register_slab(&slab, Access::WRITE).unwrap()).unwrap();
    let mut leases: Vec<Lease> = std::iter::from_fn(|| pool.acquire().ok()).collect();
    assert_eq!(leases.len(), 8192);
    leases.sort_unstable_by_key(Lease::index);
    let first = leases[0].as_ptr().addr();
    for index in [1, 4095, 4096, 4097, 8191] {
        assert_eq!(leases[index].as_ptr().addr(), first + index * SIZE);
    }
    let (low, high) = leases.split_at_mut(4096);
    (low[0][0], high[0][0]) = (1, 2);
    assert_eq!([low[0][0], high[0][0]], [1, 2], "four gigabytes apart");
}

fn memory_file(bytes: usize) -> (File, SharedMemory) {
    let memory = SharedMemory::create(bytes / 4).unwrap();
    (File::from(memory.as_fd().try_clone_to_owned().unwrap()), memory)
}

/// What an operation on a file ended with, and its memory.
fn done<M: Send + 'static>(poller: &mut Poller, slot: &Arc<Mutex<Option<M>>>) -> M {
    let mut found = None;
    poll_until(poller, || {
        found = lock(slot).take();
        found.is_some()
    });
    found.expect("polled until it is there")
}

/// [async 176] [async-backends 164] Registered buffers are written to a file and read from it, whole and in parts, by this
/// proactor, which knows them, and by another, which does not.
fn operations_use_registered_memory(subject: &IoSubject) {
    let mut poller = subject.open();
    let mut other = subject.open();
    let pool = BufferPool::new(&region(poller.handle(), 5000, 8, BOTH)).unwrap();
    for poller in [&mut poller, &mut other] {
        let (file, _memory) = memory_file(8192);
        let file = weft_io::File::import(file).unwrap();
        let slot = Arc::new(Mutex::new(None));
        let mut lease = pool.acquire().unwrap();
        for (index, byte) in lease.iter_mut().enumerate() {
            *byte = index as u8;
        }
        let told = Arc::clone(&slot);
        let part = Part::new(lease, 100..4900).unwrap();
        let write = Operation::new(FileWrite::new(file.clone(), 50, part)).on_done(move |done| {
            *lock(&told) = Some((done.result.unwrap(), done.operation.into_params().source));
        });
        poller.handle().submit(write).unwrap();
        let (bytes, part) = done(poller, &slot);
        assert_eq!(bytes, 4800);
        let read_slot = Arc::new(Mutex::new(None));
        let told = Arc::clone(&read_slot);
        let read = Operation::new(FileRead::new(file, 50, pool.acquire().unwrap())).on_done(move |done| {
            *lock(&told) = Some((done.result.unwrap(), done.operation.into_params().target));
        });
        poller.handle().submit(read).unwrap();
        let (bytes, lease) = done(poller, &read_slot);
        assert!(bytes >= 4800);
        assert_eq!(lease[..4800], part.into_inner()[100..4900]);
    }
    assert_eq!(pool.available(), 8);
}

/// [async 190] [async-backends 163] The caller lets go of everything while an operation has a lease: the memory stays
/// registered, and mapped, until the operation has ended.
fn an_operation_keeps_its_memory_registered(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    for round in 0..20 {
        let (file, _memory) = memory_file(1 << 16);
        let file = weft_io::File::import(file).unwrap();
        let region = region(&handle, 1 << 14, 4, BOTH);
        let pool = BufferPool::new(&region).unwrap();
        for index in 0..4_u8 {
            let mut lease = pool.acquire().unwrap();
            lease.fill(index + 1);
            let offset = u64::from(index) << 14;
            submit(&handle, FileWrite::new(file.clone(), offset, lease), &log, "written");
        }
        drop((region, pool));
        poll_until(&mut poller, || log.len() == 4);
        assert_eq!(log.take_names(), ["written"; 4], "round {round}");
        let mut read = vec![0; 1 << 16];
        let file = File::from(file.as_fd().try_clone_to_owned().unwrap());
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read.chunks(1 << 14).zip(1..).all(|(chunk, mark)| chunk.iter().all(|&byte| byte == mark)));
    }
}

/// [async 180] [async-backends 158] Pieces of a memory file, as those of a device, at any offset, several and beside slabs; a
/// backend that cannot says so.
fn memory_of_devices_is_registered(subject: &IoSubject) {
    let poller = subject.open();
    let handle = poller.handle();
    let (file, _memory) = memory_file(16_384);
    let register = |offset, length, access| handle.register_dmabuf(file.as_fd(), offset, length, access);
    if !handle.capabilities().contains(Capabilities::DMABUF) {
        let why = register(0, 4096, BOTH).unwrap_err();
        assert_eq!(why.code(), Code::Unavailable);
        assert!(why.message().contains(handle.describe().backend), "{why}");
        return;
    }
    let slab = region(handle, 64, 4, Access::WRITE);
    let all: Vec<Region> = [(0, 16_384), (4096, 4096), (1, 16_383), (5000, 100), (16_383, 1)]
        .into_iter()
        .map(|(offset, length)| register(offset, length, BOTH).unwrap())
        .collect();
    assert!(all.iter().all(|region| region.kind() == RegionKind::Dmabuf && region.is_of(handle)));
    assert_eq!(all[3].bytes(), 100);
    assert_eq!(code(BufferPool::new(&all[0])), Code::InvalidArgument);
    assert_eq!(code(all[3].device_span(0..101)), Code::OutOfRange);
    assert_eq!(code(slab.device_span(0..1)), Code::InvalidArgument);
    for (offset, length) in [(0, 16_385), (16_384, 1), (u64::MAX - 1, 1), (1 << 40, 1)] {
        assert_eq!(code(register(offset, length, BOTH)), Code::OutOfRange, "{offset} {length}");
    }
    assert_eq!(code(register(u64::MAX, 1, BOTH)), Code::InvalidArgument);
    assert_eq!(code(register(0, 0, BOTH)), Code::InvalidArgument);
    assert_eq!(code(register(0, 1, Access::empty())), Code::InvalidArgument);
    let (pipe, _end) = std::io::pipe().unwrap();
    assert_eq!(code(handle.register_dmabuf(pipe.as_fd(), 0, 1, Access::READ)), Code::InvalidArgument);
}

/// [async 180] What a device has written goes to a file, and what comes from one is there for the device.
fn operations_use_memory_of_devices(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    if !handle.capabilities().contains(Capabilities::DMABUF) {
        return println!("skipped: no memory of devices");
    }
    let (device, _memory) = memory_file(8192);
    device.write_all_at(b"from the device", 1001).unwrap();
    let region = handle.register_dmabuf(device.as_fd(), 1000, 4000, BOTH).unwrap();
    let (mut file, _other) = memory_file(64);
    let target = weft_io::File::import(file.try_clone().unwrap()).unwrap();
    let log = Log::default();
    submit(&handle, FileWrite::new(target.clone(), 0, region.device_span(1..16).unwrap()), &log, "written");
    poll_until(&mut poller, || log.len() == 1);
    let mut read = [0; 15];
    file.read_exact_at(&mut read, 0).unwrap();
    assert_eq!(&read, b"from the device");
    file.write_all(b"back to it").unwrap();
    submit(&handle, FileRead::new(target, 0, region.device_span(3990..4000).unwrap()), &log, "read");
    drop(region);
    poll_until(&mut poller, || log.len() == 2);
    assert_eq!(log.take_names(), ["written", "read"]);
    let mut read = [0; 10];
    device.read_exact_at(&mut read, 4990).unwrap();
    assert_eq!(&read, b"back to it");
}

/// What was registered to be read alone is not written to: whoever submits that is told which region and which bytes, also
/// where it is one of several pieces. Reading it goes on.
fn memory_that_may_only_be_read_is_no_target(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    if !handle.capabilities().contains(Capabilities::DMABUF) {
        return println!("skipped: no memory of devices");
    }
    let (device, _memory) = memory_file(4096);
    let register = |access| handle.register_dmabuf(device.as_fd(), 0, 4096, access).unwrap();
    let (read, written) = (register(Access::READ), register(Access::WRITE));
    let span = |region: &Region| region.device_span(100..200).unwrap();
    let check = |why: weft_sync::Status| {
        assert_eq!(why.code(), Code::PermissionDenied, "{why}");
        assert!(why.message().contains("100..200") && why.message().contains("Dmabuf"), "{why}");
    };
    let (_near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let socket = weft_io::Socket::import(far.into(), weft_io::SocketKind::UnixStream, false).unwrap();
    let udp = weft_io::Socket::new(weft_io::SocketKind::Udp, weft_io::SocketOptions::empty()).unwrap();
    let (file, _other) = memory_file(4096);
    let file = weft_io::File::import(file).unwrap();
    check(handle.submit(Recv::new(socket.clone(), span(&read))).unwrap_err().why);
    check(handle.submit(Recv::new(socket.clone(), [span(&written), span(&read)])).unwrap_err().why);
    check(handle.submit(Recv::new(socket, Pieces(vec![span(&read)]))).unwrap_err().why);
    check(handle.submit(RecvFrom::new(udp, span(&read))).unwrap_err().why);
    check(handle.submit(FileRead::new(file.clone(), 0, span(&read))).unwrap_err().why);
    let mut batch = handle.batch();
    check(batch.add(FileRead::new(file.clone(), 0, Part::new(span(&read), ..).unwrap())).unwrap_err().why);
    drop(batch);
    let log = Log::default();
    submit(&handle, FileRead::new(file.clone(), 0, span(&written)), &log, "read");
    submit(&handle, FileWrite::new(file, 0, span(&read)), &log, "written");
    poll_until(&mut poller, || log.len() == 2);
    log.take_names();
}
