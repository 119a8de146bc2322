#![allow(unsafe_code, reason = "the floor is the bare ring, whose entries name memory")]
//! Random reads of 4 KiB from a file, so many at once: past the kernel's cache and out of it.
//!
//! `cargo bench -p weft-bench --bench files`. Floor: a bare ring in the same run. Peers: `pread` on one thread, and fio at
//! the same depth where it is installed. The file is made where temporary files are, 256 MiB of it.
//!
//! A disk is not the same from one second to the next, and fio runs for a second at least: so everybody reads for that long
//! in turn, several times over, and medians are compared. The mark is 0.97 of fio's rate.

#[cfg(target_os = "linux")]
mod linux {
    use io_uring::{IoUring, opcode, types};
    use std::fs::OpenOptions;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};
    use weft_bench::{Figure, Table};
    use weft_io::ops::FileRead;
    use weft_io::{Access, BufferPool, Config, File, Handle, Lease, Operation, Region, Slab, open};
    use weft_sync::Deadline;

    const BLOCK: usize = 4096;
    const BLOCKS: u64 = 1 << 16;
    /// Reads of one call.
    const READS: usize = 8192;
    /// How long one subject reads before it is the next one's turn.
    const TURN: Duration = Duration::from_secs(1);
    /// Turns that count; one more warms up.
    const TURNS: usize = 5;
    /// Of fio's rate.
    const MARK: f64 = 0.97;

    /// Reads [`READS`] times.
    struct Subject<'a> {
        name: &'static str,
        run: Box<dyn FnMut() + 'a>,
    }

    impl<'a> Subject<'a> {
        fn new(name: &'static str, run: impl FnMut() + 'a) -> Subject<'a> {
            Subject { name, run: Box::new(run) }
        }

        /// Nanoseconds a read, over one turn.
        fn turn(&mut self) -> f64 {
            let (start, mut reads) = (Instant::now(), 0);
            while start.elapsed() < TURN {
                (self.run)();
                reads += READS;
            }
            start.elapsed().as_secs_f64() * 1e9 / reads as f64
        }
    }
    /// `O_DIRECT` of this architecture is asked of the library that knows it.
    const DIRECT: i32 = rustix::fs::OFlags::DIRECT.bits() as i32;

    /// The next place, of all those that there are.
    fn place(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*seed >> 33) % BLOCKS * BLOCK as u64
    }

    /// Reads that are under way, or wait for the next call.
    struct Shared {
        handle: Handle,
        seed: AtomicU64,
        left: AtomicUsize,
        idle: Mutex<Vec<Operation<FileRead<Lease>>>>,
    }

    fn submit(shared: &Arc<Shared>, mut read: Operation<FileRead<Lease>>) {
        // One thread does all of it.
        let mut seed = shared.seed.load(Ordering::Relaxed);
        read.offset = place(&mut seed);
        shared.seed.store(seed, Ordering::Relaxed);
        let again = Arc::clone(shared);
        let read = read.on_done(move |done| {
            assert_eq!(done.result.expect("it can be read"), BLOCK);
            let left = again.left.load(Ordering::Relaxed);
            if left == 0 {
                return again.idle.lock().expect("no panics").push(done.operation);
            }
            again.left.store(left - 1, Ordering::Relaxed);
            submit(&again, done.operation);
        });
        shared.handle.submit(read).expect("there is room");
    }

    /// What the ring knows beforehand.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Registered {
        Nothing,
        Memory,
        MemoryAndFile,
    }

    fn weft<'a>(
        name: &'static str,
        path: &Path,
        flags: i32,
        depth: usize,
        registered: Registered,
    ) -> Subject<'a> {
        let mut poller =
            open("uring", &Config::new()).and_then(|proactor| proactor.into_poller()).expect("io_uring");
        let handle = poller.handle().clone();
        let slab = Slab::new(BLOCK, depth as u32).expect("memory");
        let region = match registered {
            Registered::Nothing => Region::unregistered(&slab, Access::READ | Access::WRITE),
            _ => handle.register_slab(&slab, Access::READ | Access::WRITE),
        };
        let pool = BufferPool::new(&region.expect("memory")).expect("a pool");
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).expect("it was made");
        let file = File::try_from(file).expect("a file");
        if registered == Registered::MemoryAndFile {
            handle.register_file(&file).expect("it is open");
        }
        let read =
            |_| Operation::new(FileRead::new(file.clone(), 0, pool.acquire().expect("as many as reads")));
        let idle = Mutex::new((0..depth).map(read).collect());
        let shared = Arc::new(Shared { handle, seed: AtomicU64::new(1), left: AtomicUsize::new(0), idle });
        let run = move || {
            shared.left.store(READS - depth, Ordering::Relaxed);
            let reads = std::mem::take(&mut *shared.idle.lock().expect("no panics"));
            reads.into_iter().for_each(|read| submit(&shared, read));
            let mut ended = 0;
            while ended < READS {
                ended += poller.poll(Deadline::NEVER).expect("the kernel polls");
            }
        };
        Subject::new(name, run)
    }

    /// `IORING_ENTER_GETEVENTS`.
    const GET_EVENTS: u32 = 1;

    #[repr(C, align(4096))]
    struct Block([u8; BLOCK]);

    /// How a bare ring is told of new reads.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Entering {
        /// All that there are, with the wait for the next.
        Together,
        /// One by one, as fio does it: the disk begins with the first while the next is made.
        Singly,
    }

    fn floor<'a>(path: &Path, flags: i32, depth: usize, entering: Entering) -> Subject<'a> {
        let mut builder = IoUring::builder();
        builder.setup_submit_all().setup_single_issuer().setup_defer_taskrun();
        let mut ring = builder.build(256).expect("io_uring");
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).expect("it was made");
        let mut blocks: Vec<Block> = (0..depth).map(|_| Block([0; BLOCK])).collect();
        let mut seed = 1;
        let run = move || {
            let mut push = |ring: &mut IoUring, index: usize| {
                let into = blocks[index].0.as_mut_ptr();
                let read = opcode::Read::new(types::Fd(file.as_raw_fd()), into, BLOCK as u32);
                let entry = read.offset(place(&mut seed)).build().user_data(index as u64);
                // SAFETY: each block is in one read at a time, and all have ended when the closure returns.
                unsafe { ring.submission().push(&entry) }.expect("the ring has room");
                if entering == Entering::Singly {
                    // SAFETY: no argument is passed.
                    let entered = unsafe { ring.submitter().enter::<u64>(1, 0, GET_EVENTS, None) };
                    assert_eq!(entered.expect("the kernel takes entries"), 1);
                }
            };
            (0..depth).for_each(|index| push(&mut ring, index));
            let (mut begun, mut ended) = (depth, 0);
            while ended < READS {
                if entering == Entering::Together || ring.completion().is_empty() {
                    ring.submit_and_wait(1).expect("the kernel takes entries");
                }
                let free: Vec<usize> = ring
                    .completion()
                    .map(|answer| {
                        assert_eq!(answer.result(), BLOCK as i32);
                        answer.user_data() as usize
                    })
                    .collect();
                ended += free.len();
                for index in free {
                    if begun < READS {
                        begun += 1;
                        push(&mut ring, index);
                    }
                }
            }
        };
        let name = match entering {
            Entering::Together => "floor: bare ring",
            Entering::Singly => "bare ring, each read told alone",
        };
        Subject::new(name, run)
    }

    fn pread<'a>(path: &Path, flags: i32) -> Subject<'a> {
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).expect("it was made");
        let (mut block, mut seed) = (Box::new(Block([0; BLOCK])), 1);
        let run = move || {
            for _ in 0..READS {
                file.read_exact_at(&mut block.0, place(&mut seed)).expect("it can be read");
            }
        };
        Subject::new("pread, one thread, one at a time", run)
    }

    /// Nanoseconds a read, by fio.
    fn fio(path: &Path, is_direct: bool, depth: usize) -> Option<f64> {
        let output = Command::new("fio")
            .args([
                "--name=weft",
                "--rw=randread",
                "--bs=4k",
                "--ioengine=io_uring",
                "--runtime=1",
                "--time_based",
            ])
            .args(["--output-format=terse", "--terse-version=3", "--invalidate=0"])
            .arg(format!("--filename={}", path.display()))
            .arg(format!("--iodepth={depth}"))
            .arg(format!("--direct={}", u8::from(is_direct)))
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let rate: f64 = text.lines().find(|line| line.starts_with("3;"))?.split(';').nth(7)?.parse().ok()?;
        (rate > 0.0).then(|| 1e9 / rate)
    }

    /// Everybody's figures, and the mark if there is fio.
    fn in_turns(mut subjects: Vec<Subject<'_>>, fio: impl Fn() -> Option<f64>) -> (Vec<Figure>, Option<f64>) {
        let mut times = vec![Vec::new(); subjects.len()];
        let mut peer = Vec::new();
        let all = subjects.len() + 1;
        for turn in 0..=TURNS {
            // Nobody always follows the same one.
            for place in 0..all {
                let (time, times) = match (turn + place) % all {
                    own if own < subjects.len() => (Some(subjects[own].turn()), &mut times[own]),
                    _ => (fio(), &mut peer),
                };
                times.extend(time.filter(|_| turn > 0));
            }
        }
        let named = subjects.iter().zip(&times);
        let mut figures: Vec<Figure> =
            named.map(|(subject, taken)| Figure::of(subject.name, taken, &times[0])).collect();
        if peer.len() < TURNS {
            return (figures, None);
        }
        figures.push(Figure::of("fio", &peer, &times[0]));
        let mark = figures.last().map(|fio| fio.median_ns / MARK);
        (figures, mark)
    }

    struct Place(PathBuf);

    impl Drop for Place {
        fn drop(&mut self) {
            drop(std::fs::remove_file(&self.0));
        }
    }

    pub fn run() {
        let place = Place(std::env::temp_dir().join(format!("weft-bench-{}", std::process::id())));
        std::fs::write(&place.0, vec![7; BLOCKS as usize * BLOCK]).expect("256 MiB");
        drop(std::fs::File::open(&place.0).and_then(|file| file.sync_all()));
        let table = Table::begin("files: 4 KiB at random places");
        for (how, flags) in [("direct", DIRECT), ("buffered", 0)] {
            for depth in [1, 32, 128] {
                let subjects = vec![
                    floor(&place.0, flags, depth, Entering::Together),
                    floor(&place.0, flags, depth, Entering::Singly),
                    weft("weft", &place.0, flags, depth, Registered::Nothing),
                    weft("weft, registered memory", &place.0, flags, depth, Registered::Memory),
                    weft(
                        "weft, registered memory and file",
                        &place.0,
                        flags,
                        depth,
                        Registered::MemoryAndFile,
                    ),
                    pread(&place.0, flags),
                ];
                let (figures, mark) = in_turns(subjects, || fio(&place.0, flags != 0, depth));
                table.group(&format!("{how}, {depth} at once"), &figures, mark);
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn main() {
    linux::run();
}

#[cfg(not(target_os = "linux"))]
fn main() {}
