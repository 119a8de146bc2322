//! Every transfer of a file may go wrong, the first, the last, each in between: errors name file and range, nothing leaks,
//! and the device goes on. One test: descriptors are those of the whole process.
#![cfg(target_os = "linux")]

use std::sync::Arc;

use weft_cts::hal::polled_file::{Polled, with_every_proactor};
use weft_cts::subject::{self, Subject, eventually, point, semaphore};
use weft_hal::{Buffer, Fault, Faults, File, MemoryAccess, Region, Submission};
use weft_io::Config;
use weft_sync::Code;

/// Two pieces and some: three transfers, unless some are short.
const LENGTH: usize = (16 << 20) + 777;

/// Short transfers move so much.
const SHORT: usize = 3 << 20;

fn content() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..251).collect::<Vec<u8>>().repeat(LENGTH / 251 + 1);
    bytes.truncate(LENGTH);
    bytes
}

fn native(bytes: &[u8]) -> std::fs::File {
    let path = std::env::temp_dir().join(format!("weft-cts-faults-{}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("there is a /proc").count()
}

/// What is moved, and where to.
struct Setup<'a> {
    subject: &'a Subject,
    buffer: Arc<Buffer>,
    content: Vec<u8>,
    /// Makes the file anew, with these faults.
    open: &'a dyn Fn(Arc<Faults>) -> Arc<File>,
}

impl Setup<'_> {
    /// Moves everything once. How many transfers that took, and what came of it.
    fn attempt(&self, writes: bool, every: u64, fault: Fault) -> (u64, weft_sync::Result<()>) {
        let faults = Arc::new(Faults::every(every, fault));
        let file = (self.open)(Arc::clone(&faults));
        let signal = [point(&semaphore(0), 1)];
        let at = Submission { signal: &signal, ..Submission::IMMEDIATE };
        let (device, all) = (&self.subject.device, Region::whole(&self.buffer));
        let submitted = match writes {
            true => device.queue_write(&at, &all, &file, 0),
            false => device.queue_read(&at, &file, 0, &all),
        };
        // The inline device has done it by now, and says so.
        let outcome = submitted.and_then(|()| self.subject.device.wait_all(&signal, subject::soon()));
        (faults.count(), outcome)
    }

    fn check(&self, writes: bool) {
        let verb = if writes { "writing" } else { "reading" };
        let (count, outcome) = self.attempt(writes, 0, Fault::Ends);
        outcome.unwrap();
        for (fault, code) in [(Fault::Fails, Code::Unknown), (Fault::Ends, Code::OutOfRange)] {
            for every in 1..=count + 1 {
                let (_, outcome) = self.attempt(writes, every, fault);
                if every > count {
                    outcome.unwrap();
                    continue;
                }
                let status = outcome.unwrap_err();
                let text = status.to_string();
                assert_eq!(status.code(), code, "every {every}th: {text}");
                let wanted = format!("{verb} {LENGTH} bytes at 0 of file `faulty.bin`");
                assert!(text.contains(&wanted), "every {every}th: {text}");
            }
        }
        let (shorts, outcome) = self.attempt(writes, 1, Fault::IsShort(SHORT));
        outcome.unwrap();
        assert!(shorts > count, "{shorts} transfers of at most {SHORT}, {count} before");
        for every in 1..=shorts {
            self.buffer.write(0, &self.content).unwrap();
            if !writes {
                self.buffer.zero(0, LENGTH as u64).unwrap();
            }
            self.attempt(writes, every, Fault::IsShort(SHORT)).1.unwrap();
            assert!(self.buffer.read_to_vec(0, LENGTH as u64).unwrap() == self.content, "every {every}th");
        }
    }
}

fn check_all(subject: &Subject, open: &dyn Fn(Arc<Faults>) -> Arc<File>) {
    let content = content();
    let setup = Setup { subject, buffer: subject.buffer_with(&content), content, open };
    setup.check(false);
    setup.check(true);
    eventually("nobody holds the buffer", || Arc::strong_count(&setup.buffer) == 1);
    subject.device.wait_idle(subject::soon()).unwrap();
}

/// [hal 80] [hal 75] On both devices, for every backend, and for files without a proactor.
#[test]
fn every_transfer_may_go_wrong() {
    let bytes = content();
    for subject in [subject::task_1, subject::task_2, subject::local_sync] {
        let subject = subject();
        let native = native(&bytes);
        let both = MemoryAccess::READ | MemoryAccess::WRITE;
        let named = |file: File, faults| Arc::new(file.named("faulty.bin").with_faults(faults));
        check_all(&subject, &|faults| named(File::from_std(both, native.try_clone().unwrap()), faults));
        with_every_proactor(&Config::new(), |polled: Polled| {
            // Pools of threads and the like have been made after this.
            let open = |faults| named(polled.file(both, native.try_clone().unwrap()), faults);
            drop(open(Arc::new(Faults::every(0, Fault::Ends))));
            let before = open_descriptors();
            check_all(&subject, &open);
            eventually("all descriptors are closed", || open_descriptors() <= before);
            println!("{}: {}", subject.name, polled.backend);
        });
    }
}
