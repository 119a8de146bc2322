//! Registered memory where no memory may be locked. Alone in its process: limits are those of all of it.
#![cfg(target_os = "linux")]

mod support;

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use support::poll_until;
use weft_io::ops::{FileWrite, RecvPool};
use weft_io::{Access, BufferPool, Config, File, Operation, RegionKind, Slab, Socket, SocketKind, open};

/// [async 189] [async-backends 161] Registering succeeds, and pins nothing, wholly or in part; buffers are written to files
/// and received into all the same.
#[test]
fn memory_is_registered_where_none_may_be_locked() {
    // Whoever may lock whatever they like is not limited.
    let Ok(mut own) = capabilities(None) else { return println!("skipped: capabilities are not told") };
    own.effective -= CapabilitySet::IPC_LOCK;
    own.permitted -= CapabilitySet::IPC_LOCK;
    if set_capabilities(None, own).is_err() {
        return println!("skipped: capabilities are not given up");
    }
    let proactor = match open("uring", &Config::new()) {
        Ok(proactor) => proactor,
        Err(why) => return println!("skipped: {why}"),
    };
    let mut poller = proactor.into_poller().unwrap();
    let handle = poller.handle().clone();
    for limit in [0, 10 << 12] {
        setrlimit(Resource::Memlock, Rlimit { current: Some(limit), maximum: Some(10 << 12) }).unwrap();
        let slab = Slab::new(1 << 16, 16).unwrap();
        let region = handle.register_slab(&slab, Access::READ | Access::WRITE).unwrap();
        assert_eq!((region.kind(), region.is_pinned()), (RegionKind::Uring, false));
        let pool = BufferPool::new(&region).unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        let far =
            Socket::import(far.into(), SocketKind::UnixStream, false).map_err(|refused| refused.why).unwrap();
        let path = std::env::temp_dir().join(format!("weft-memory-limits-{}", std::process::id()));
        let file = File::import(std::fs::File::create(&path).unwrap()).unwrap();
        for round in 0..40_u8 {
            near.write_all(&[round; 1000]).unwrap();
            let slot = Arc::new(Mutex::new(None));
            let told = Arc::clone(&slot);
            let receive = Operation::new(RecvPool::new(far.clone(), pool.clone()));
            handle.submit(receive.on_done(move |done| *told.lock().unwrap() = Some(done.result))).unwrap();
            poll_until(&mut poller, || slot.lock().unwrap().is_some());
            let piece = slot.lock().unwrap().take().unwrap().unwrap();
            assert_eq!(piece.data(), [round; 1000]);
            let ended = Arc::new(Mutex::new(None));
            let told = Arc::clone(&ended);
            let write = Operation::new(FileWrite::new(file.clone(), 0, piece.lease.unwrap()));
            handle.submit(write.on_done(move |done| *told.lock().unwrap() = Some(done.result))).unwrap();
            poll_until(&mut poller, || ended.lock().unwrap().is_some());
            assert_eq!(ended.lock().unwrap().take().unwrap().unwrap(), 1 << 16);
            assert_eq!(std::fs::read(&path).unwrap()[..1000], [round; 1000]);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(pool.available(), 16);
    }
}
