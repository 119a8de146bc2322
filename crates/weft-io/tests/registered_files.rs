//! Files that rings know, where few handles are allowed. Alone in its process: limits, and counts of handles, are of all of it.
#![cfg(target_os = "linux")]

mod support;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::mpsc::channel;
use support::{handles, poll_until};
use weft_io::ops::FileRead;
use weft_io::{Capabilities, Config, File, Operation, open};

/// [async-backends 160] [async 3] A table has no more places than handles are allowed when it is made. Who finds none is read
/// like the others, and none of them stays open.
#[test]
fn a_table_fits_into_the_limit_of_handles() {
    let proactor = match open("uring", &Config::new()) {
        Ok(proactor) => proactor,
        Err(why) => return println!("skipped: {why}"),
    };
    let mut poller = proactor.into_poller().unwrap();
    let handle = poller.handle().clone();
    let has_table = handle.capabilities().contains(Capabilities::FIXED_FILES);
    let before = getrlimit(Resource::Nofile);
    let limit = |current| setrlimit(Resource::Nofile, Rlimit { current, ..before }).unwrap();
    // The file that takes the place of closed ones stays open.
    let first = File::import(std::fs::File::open("Cargo.toml").unwrap()).unwrap();
    let (open_before, mut files) = (handles() - 1, vec![first]);
    limit(Some(40));
    handle.register_file(&files[0]).unwrap();
    limit(before.current);
    files.extend((0..49).map(|_| File::import(std::fs::File::open("Cargo.toml").unwrap()).unwrap()));
    files.iter().for_each(|file| handle.register_file(file).unwrap());
    let known = files.iter().filter(|file| file.is_registered(&handle)).count();
    assert_eq!(known, if has_table { 32 } else { 0 });
    let (told, ended) = channel();
    for file in &files {
        let told = told.clone();
        let read = Operation::new(FileRead::new(file.clone(), 1, vec![0; 7]));
        let read = read.on_done(move |done| told.send(done.operation.into_params().target).unwrap());
        handle.submit(read).unwrap();
    }
    let mut count = 0;
    poll_until(&mut poller, || {
        count += ended.try_iter().inspect(|bytes| assert_eq!(bytes, b"package")).count();
        count == files.len()
    });
    drop(files);
    assert_eq!(handles(), open_before);
}
