//! Ranges of any size: cutting, joining, what the parts died after; and a million steps beside a model.

mod pool_subject;

use std::sync::Arc;

use pool_subject::{A, B, Numbers, Slabs, assert_fresh, assert_ready, frontier, growing, many, take};
use weft_hal::pool::{Acquired, Pool, Remedy, Request, Requester, TlsfOptions};
use weft_sync::reuse::{self, RangeOptions, RangePool, Reservation};
use weft_sync::{Code, Entry, Frontier, FrontierBuf, Machine};

/// The algebra alone, with one piece of backing memory.
fn ranges(granularity: u64, slab_bytes: u64) -> RangePool<8> {
    let options = RangeOptions { granularity, slab_bytes, slabs_max: 1, budget: u64::MAX };
    let mut pool = RangePool::new(options).expect("good options");
    assert_eq!(pool.add_slab().expect("the first"), 0);
    pool
}

fn get(pool: &mut RangePool<8>, size: u64) -> Reservation {
    get_aligned(pool, size, 16)
}

fn get_aligned(pool: &mut RangePool<8>, size: u64, alignment: u64) -> Reservation {
    let answer = pool.acquire(&Request::new(size, alignment), &Requester::unknown()).expect("a good request");
    let text = format!("{answer:?}");
    answer.into_reservation().unwrap_or_else(|| panic!("{text}"))
}

fn is_exhausted(pool: &mut RangePool<8>, size: u64) -> bool {
    let answer = pool.acquire(&Request::new(size, 16), &Requester::unknown()).expect("a good request");
    matches!(answer, reuse::Acquired::Exhausted { .. })
}

/// What is asked of a pool at its creation. [hal 35]
#[test]
fn creation() {
    let slabs = Slabs::new();
    let defaults = TlsfOptions::default();
    assert_eq!((defaults.slab_bytes, defaults.granularity, defaults.slabs_max), (64 << 20, 64, 65535));
    let small = TlsfOptions { slab_bytes: 4096, granularity: 16, ..defaults };
    let wrong = [
        TlsfOptions { slab_bytes: 0, ..small },
        TlsfOptions { granularity: 0, ..small },
        TlsfOptions { granularity: 48, ..small },
        TlsfOptions { granularity: 8, ..small },
        TlsfOptions { slab_bytes: 15, ..small },
        TlsfOptions { slab_bytes: 4096, granularity: 8192, ..small },
        TlsfOptions { alignment_max: 100, ..small },
        TlsfOptions { alignment_max: 1 << 40, ..small },
        TlsfOptions { slabs_max: 65536, ..small },
    ];
    for options in wrong {
        let refused = Pool::tlsf(slabs.source(), &options).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{options:?}");
    }
    let rounded = Pool::tlsf(slabs.source(), &TlsfOptions { slab_bytes: 4096 + 15, ..small }).unwrap();
    assert_eq!(rounded.capabilities().size_max, 4096);
    assert_eq!(take(&rounded, 4096).length(), 4096);
    assert_eq!(rounded.statistics().committed_bytes, 4096);
    assert_eq!(slabs.provided(), 1, "nothing before the first request");
}

/// One, many, all of it, the least, far aligned, nearly everything that can be counted; none and too much. [hal 36]
#[test]
fn sizes() {
    let mut pool = ranges(16, 4096);
    let one = get(&mut pool, 100);
    assert_eq!((one.offset(), pool.largest_free_bytes()), (0, 4096 - 112));
    pool.release(one, None).unwrap();
    let all = get(&mut pool, 4096);
    assert!(is_exhausted(&mut pool, 1));
    assert_eq!(pool.largest_free_bytes(), 0);
    pool.release(all, None).unwrap();
    let mut offsets: Vec<u64> = Vec::new();
    let least: Vec<Reservation> = (0..256).map(|_| get(&mut pool, 1)).collect();
    offsets.extend(least.iter().map(Reservation::offset));
    offsets.sort_unstable();
    assert!(offsets.iter().enumerate().all(|(index, offset)| *offset == index as u64 * 16));
    assert!(is_exhausted(&mut pool, 1));
    least.into_iter().for_each(|it| pool.release(it, None).unwrap());
    let [first, far] = [get(&mut pool, 16), get_aligned(&mut pool, 16, 2048)];
    assert_eq!((first.offset(), far.offset(), pool.largest_free_bytes()), (0, 2048, 2032));
    let code = |pool: &mut RangePool<8>, size| {
        pool.acquire(&Request::new(size, 16), &Requester::unknown()).unwrap_err().code()
    };
    assert_eq!(code(&mut pool, 0), Code::InvalidArgument);
    assert_eq!(code(&mut pool, 4097), Code::OutOfRange);
    assert_eq!(code(&mut pool, u64::MAX), Code::OutOfRange);

    let mut least = ranges(16, 16);
    let only = get(&mut least, 3);
    assert!(is_exhausted(&mut least, 1));
    least.release(only, None).unwrap();

    let most = u64::MAX - 15;
    let mut huge = ranges(16, most);
    let all = get(&mut huge, most - 3);
    assert!(is_exhausted(&mut huge, 1));
    huge.release(all, None).unwrap();
    let [first, half] = [get(&mut huge, 1), get_aligned(&mut huge, 1, 1 << 63)];
    assert_eq!((first.offset(), half.offset(), huge.largest_free_bytes()), (0, 1 << 63, (1 << 63) - 16));
    assert_eq!(code(&mut huge, most + 1), Code::OutOfRange);
}

/// Ranges are joined on either side, on both, on none; what was freed is given again; holes do not add up. [hal 37]
#[test]
fn joining() {
    let mut pool = ranges(16, 4096);
    let quarter = |pool: &mut RangePool<8>| get(pool, 1024);
    let [a, b, c, d] = [quarter(&mut pool), quarter(&mut pool), quarter(&mut pool), quarter(&mut pool)];
    pool.release(b, None).unwrap();
    assert_eq!(pool.largest_free_bytes(), 1024, "no neighbour is free");
    pool.release(d, None).unwrap();
    assert_eq!((pool.largest_free_bytes(), pool.free_bytes()), (1024, 2048));
    assert!(is_exhausted(&mut pool, 1025), "enough bytes, but not in one piece");
    let again = quarter(&mut pool);
    assert!([1024, 3072].contains(&again.offset()));
    pool.release(again, None).unwrap();
    pool.release(a, None).unwrap();
    assert_eq!(pool.largest_free_bytes(), 2048, "joined with the one to the right");
    pool.release(c, None).unwrap();
    assert_eq!(pool.largest_free_bytes(), 4096, "joined on both sides");
    let [first, second] = [get(&mut pool, 2048), get(&mut pool, 2048)];
    pool.release(first, None).unwrap();
    pool.release(second, None).unwrap();
    assert_eq!(pool.largest_free_bytes(), 4096, "joined with the one to the left");
    // The accounts grow with the number of ranges.
    let mut many = ranges(16, 16 * 5000);
    let all: Vec<Reservation> = (0..5000).map(|_| get(&mut many, 16)).collect();
    assert!(is_exhausted(&mut many, 1));
    for (index, reservation) in all.into_iter().enumerate().rev() {
        many.release(reservation, None).unwrap();
        assert_eq!(many.largest_free_bytes(), 16 * (5000 - index as u64));
    }
}

/// The death that a range has now, as somebody sees who can wait.
fn death_of(pool: &mut RangePool<8>, size: u64) -> Option<FrontierBuf<8>> {
    let request = Request { can_wait: true, ..Request::new(size, 16) };
    match pool.acquire(&request, &Requester::unknown()).expect("a good request") {
        reuse::Acquired::NeedsWait(reservation, frontier) => {
            pool.restore(reservation).expect("its own");
            Some(frontier)
        }
        reuse::Acquired::Fresh(reservation) => {
            pool.restore(reservation).expect("its own");
            Some(FrontierBuf::new())
        }
        _ => None,
    }
}

/// Ranges keep what they died after; joined, they died after all of it, the later epoch of each axis. [hal 38] [causal 77]
#[test]
fn deaths_go_with_ranges() {
    let mut pool = ranges(16, 128);
    let [left, right] = [get(&mut pool, 64), get(&mut pool, 64)];
    pool.release(left, Some(&frontier(&[(A, 3), (B, 9)]))).unwrap();
    assert_eq!(death_of(&mut pool, 64).as_deref(), Some(&*frontier(&[(A, 3), (B, 9)])));
    pool.release(right, Some(&frontier(&[(A, 5), (B, 2)]))).unwrap();
    assert_eq!(death_of(&mut pool, 128).as_deref(), Some(&*frontier(&[(A, 5), (B, 9)])));
    // A part has what the whole has; and without a frontier there is none.
    assert_eq!(death_of(&mut pool, 16).as_deref(), Some(&*frontier(&[(A, 5), (B, 9)])));
    let past = frontier(&[(A, 5), (B, 9)]);
    let all = pool.acquire(&Request::new(128, 16), &Requester::after(&past)).unwrap();
    assert!(matches!(all, reuse::Acquired::Ready(_)));
    pool.release(all.into_reservation().unwrap(), None).unwrap();
    assert_eq!(death_of(&mut pool, 128).as_deref(), Some(Frontier::EMPTY));
    let all = get(&mut pool, 128);
    pool.release(all, Some(&many(8, 4))).unwrap();
    assert_eq!(death_of(&mut pool, 128).as_deref(), Some(&*many(8, 4)), "as many axes as there is room for");
}

/// What cannot be known taints: by too long a frontier, by joining, from either side; it survives that somebody declines,
/// and ends when the memory is used again. [hal 39] [causal 76] [causal 77]
#[test]
fn taint() {
    let third = |pool: &mut RangePool<8>| get(pool, 64);
    let queues = |first: u8, count: u8| -> FrontierBuf<8> {
        let entry = |queue| Entry::new(Machine::LOCAL.queue(3, queue), 1);
        FrontierBuf::from_entries(&(first..first + count).map(entry).collect::<Vec<_>>()).unwrap()
    };
    for from_left in [true, false] {
        let mut pool = ranges(16, 192);
        let mut three = [third(&mut pool), third(&mut pool), third(&mut pool)];
        if !from_left {
            three.reverse();
        }
        let [near, middle, far] = three;
        pool.release(near, Some(&many(9, 1))).unwrap();
        assert_eq!(pool.statistics().tainted_releases, 1);
        let past = many(9, 1);
        let refused = pool.acquire(&Request::new(64, 16), &Requester::after(&past)).unwrap();
        assert!(
            matches!(refused, reuse::Acquired::Exhausted { is_tainted: true, .. }),
            "also to who is past it"
        );
        pool.release(middle, Some(&frontier(&[(A, 1)]))).unwrap();
        assert_eq!(death_of(&mut pool, 64), None, "it spread to its neighbour");
        pool.restore(far).unwrap();
        assert_eq!((death_of(&mut pool, 64), pool.largest_free_bytes()), (None, 192));
        pool.assume_quiet();
        let all = get(&mut pool, 192);
        pool.release(all, Some(&frontier(&[(A, 2)]))).unwrap();
        assert_eq!(death_of(&mut pool, 192).as_deref(), Some(&*frontier(&[(A, 2)])), "cleared");
    }
    let mut pool = ranges(16, 128);
    let [left, right] = [get(&mut pool, 64), get(&mut pool, 64)];
    pool.release(left, Some(&queues(0, 5))).unwrap();
    pool.release(right, Some(&queues(5, 4))).unwrap();
    assert_eq!((pool.statistics().tainted_joins, death_of(&mut pool, 16)), (1, None), "nine axes do not fit");
}

/// A pool whose memory is tainted takes another slab rather than give it out. [hal 39]
#[test]
fn tainted_ranges_are_passed_over() {
    let slabs = Slabs::new();
    let pool = slabs.tlsf(64);
    take(&pool, 64).release(Some(&many(9, 1)));
    let past = many(9, 1);
    let answer = pool.acquire(&Request::new(64, 16), &Requester::after(&past)).unwrap();
    assert!(matches!(answer, Acquired::Exhausted { growth_required: true, remedy: Remedy::Nothing }));
    let block = assert_fresh(pool.acquire(&growing(64), &Requester::after(&past)).unwrap());
    assert_eq!(block.slab(), 1);
    block.release(Some(&many(8, 1)));
    assert_ready(pool.acquire(&growing(64), &Requester::after(&past)).unwrap()).release(None);
}

const AXES: usize = 12;
type Epochs = [u64; AXES];

#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    slab: u32,
    offset: u64,
    bytes: u64,
    /// By axis; 0: does not name it.
    death: Epochs,
    is_tainted: bool,
}

impl Part {
    fn is_covered(&self, past: &Epochs, reached: &Epochs) -> bool {
        !self.is_tainted && (0..AXES).all(|axis| self.death[axis] <= past[axis].max(reached[axis]))
    }

    fn begin_of(&self, size: u64, alignment: u64) -> Option<u64> {
        let begin = self.offset.next_multiple_of(alignment);
        (begin + size.next_multiple_of(64) <= self.offset + self.bytes).then_some(begin)
    }

    fn join(&mut self, other: &Part) {
        for (mine, others) in self.death.iter_mut().zip(other.death) {
            *mine = others.max(*mine);
        }
        let axes = self.death.iter().filter(|epoch| **epoch > 0).count();
        self.is_tainted |= other.is_tainted || axes > 8;
        if self.is_tainted {
            self.death = [0; AXES];
        }
        self.offset = self.offset.min(other.offset);
        self.bytes += other.bytes;
    }
}

fn axis(index: usize) -> weft_sync::Axis {
    Machine::LOCAL.queue(index as u8, 0)
}

fn epochs(epochs: &Epochs) -> FrontierBuf<16> {
    let entries = epochs.iter().enumerate().filter(|(_, epoch)| **epoch > 0);
    let entries: Vec<Entry> = entries.map(|(index, epoch)| Entry::new(axis(index), *epoch)).collect();
    FrontierBuf::from_entries(&entries).expect("in order")
}

const SLAB: u64 = 64 << 10;

/// Lists, where the pool has classes and links.
#[derive(Default)]
struct Model {
    free: Vec<Part>,
    held: Vec<(Reservation, Part)>,
    slabs: u64,
}

impl Model {
    /// Judges an answer and does the same.
    fn check(&mut self, request: &Request, past: &Epochs, reached: &Epochs, answer: reuse::Acquired<8>) {
        let fits: Vec<&Part> = self
            .free
            .iter()
            .filter(|part| part.begin_of(request.size, request.alignment).is_some())
            .collect();
        let some_covered = fits.iter().any(|part| part.is_covered(past, reached));
        let some_known = fits.iter().any(|part| !part.is_tainted);
        let (reservation, wait) = match answer {
            reuse::Acquired::Exhausted { could_grow, is_tainted } => {
                assert!(!some_covered && (!request.can_wait || !some_known));
                assert_eq!(is_tainted, fits.iter().any(|part| part.is_tainted));
                assert_eq!(could_grow, self.slabs < 3);
                return;
            }
            reuse::Acquired::Ready(it) => (it, Some(None)),
            reuse::Acquired::Fresh(it) => (it, None),
            reuse::Acquired::NeedsWait(it, frontier) => {
                assert!(!some_covered && request.can_wait);
                (it, Some(Some(frontier)))
            }
            reuse::Acquired::OverBudget => panic!("there is no budget"),
        };
        let holds = |part: &Part| {
            part.slab == reservation.slab()
                && (part.offset..part.offset + part.bytes).contains(&reservation.offset())
        };
        let index = self.free.iter().position(holds).expect("only free memory is given out");
        let part = self.free.swap_remove(index);
        assert_eq!(part.begin_of(request.size, request.alignment), Some(reservation.offset()));
        match wait {
            None => assert!(!part.is_tainted && part.death == [0; AXES]),
            Some(None) => assert!(part.is_covered(past, reached) && part.death != [0; AXES]),
            Some(Some(frontier)) => assert!(*frontier == *epochs(&part.death) && !part.is_tainted),
        }
        let middle = Part { offset: reservation.offset(), bytes: request.size.next_multiple_of(64), ..part };
        let (begin, end) = (middle.offset, middle.offset + middle.bytes);
        for (offset, bytes) in [(part.offset, begin - part.offset), (end, part.offset + part.bytes - end)] {
            if bytes > 0 {
                let mut rest = part;
                (rest.offset, rest.bytes) = (offset, bytes);
                self.free.push(rest);
            }
        }
        self.held.push((reservation, middle));
    }

    fn take_back(&mut self, mut part: Part) {
        while let Some(index) = self.free.iter().position(|other| {
            other.slab == part.slab
                && (other.offset + other.bytes == part.offset || part.offset + part.bytes == other.offset)
        }) {
            let neighbour = self.free.swap_remove(index);
            part.join(&neighbour);
        }
        self.free.push(part);
    }

    fn largest(&self) -> u64 {
        self.free.iter().map(|part| part.bytes).max().unwrap_or(0)
    }
}

fn some_epochs(numbers: &mut Numbers, axes: u64, epoch_max: u64) -> Epochs {
    let mut made = [0; AXES];
    for _ in 0..numbers.below(axes + 1) {
        made[numbers.below(AXES as u64) as usize] = 1 + numbers.below(epoch_max);
    }
    made
}

/// One step of pool and model.
fn step(pool: &mut RangePool<8>, model: &mut Model, numbers: &mut Numbers) {
    let choice = numbers.below(100);
    if choice < 50 && model.held.len() < 64 {
        let magnitude = 1 + numbers.below(15);
        let size = 1 + numbers.below(1 << magnitude);
        let alignment = 1 << numbers.below(13);
        let request = Request { can_wait: numbers.below(3) == 0, ..Request::new(size, alignment) };
        let (past, reached) = (some_epochs(numbers, 12, 24), some_epochs(numbers, 12, 24));
        let is_reached =
            |asked, epoch| (0..AXES).any(|index| axis(index) == asked && epoch <= reached[index]);
        let buffer = epochs(&past);
        let requester = Requester { past: Some(&buffer), is_reached: &is_reached };
        let answer = pool.acquire(&request, &requester).expect("a good request");
        model.check(&request, &past, &reached, answer);
    } else if choice < 98 && !model.held.is_empty() {
        let index = numbers.below(model.held.len() as u64) as usize;
        let (reservation, mut part) = model.held.swap_remove(index);
        if numbers.below(4) == 0 {
            pool.restore(reservation).expect("its own");
        } else {
            part.death = some_epochs(numbers, 3, 16);
            part.is_tainted = false;
            pool.release(reservation, Some(&epochs(&part.death))).expect("its own");
        }
        model.take_back(part);
    } else if choice == 98 && model.slabs < 3 {
        let slab = pool.add_slab().expect("fewer than the most");
        assert!(
            model.free.iter().chain(model.held.iter().map(|(_, part)| part)).all(|part| part.slab != slab)
        );
        model.slabs += 1;
        model.free.push(Part { slab, offset: 0, bytes: SLAB, death: [0; AXES], is_tainted: false });
    } else if numbers.below(40) == 0 {
        pool.assume_quiet();
        for part in &mut model.free {
            (part.death, part.is_tainted) = ([0; AXES], false);
        }
        pool.remove_idle_slabs(&Requester::unknown(), |slab| {
            let index = model.free.iter().position(|part| part.slab == slab && part.bytes == SLAB);
            model.free.swap_remove(index.expect("only whole slabs go"));
            model.slabs -= 1;
        });
        assert!(model.free.iter().all(|part| part.bytes < SLAB), "all of them go");
    }
}

/// A million steps of asking, releasing, declining, growing and trimming, beside a model that keeps lists. [hal 40]
#[test]
fn a_million_steps_beside_a_model() {
    let options = RangeOptions { granularity: 64, slab_bytes: SLAB, slabs_max: 3, budget: u64::MAX };
    let mut pool = RangePool::<8>::new(options).unwrap();
    let (mut model, mut numbers) = (Model::default(), Numbers(0x5EED_0001));
    for number in 0..1_000_000 {
        step(&mut pool, &mut model, &mut numbers);
        assert_eq!(pool.largest_free_bytes(), model.largest(), "step {number}");
        if number % 1000 == 0 {
            assert_eq!(pool.free_bytes(), model.free.iter().map(|part| part.bytes).sum::<u64>());
            assert_eq!(pool.statistics().live, model.held.len() as u64);
        }
    }
    for outcome in [pool.statistics().reused, pool.statistics().waits, pool.statistics().tainted_joins] {
        assert!(outcome > 1000, "{:?}", pool.statistics());
    }
}

/// Many threads ask and release at once: what two hold never overlaps, and everything comes back. [hal 37]
#[test]
fn threads_never_share_memory() {
    let slabs = Slabs::new();
    let pool = slabs.tlsf(1 << 16);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let pool = Arc::clone(&pool);
            scope.spawn(move || {
                let mut numbers = Numbers(thread + 1);
                let mut held = Vec::new();
                for step in 0..3000 {
                    if held.len() < 8 && numbers.below(2) == 0 {
                        let mut block = take(&pool, 1 + numbers.below(4000)).into_host_block();
                        block.fill(thread as u8 + 1);
                        held.push(block);
                    } else if !held.is_empty() {
                        let index = numbers.below(held.len() as u64) as usize;
                        let block: weft_hal::HostBlock = held.swap_remove(index);
                        let buffer = weft_hal::Buffer::resident(
                            pool_subject::metadata(),
                            block.length() as u64,
                            block,
                        );
                        let mut bytes = vec![0; buffer.byte_length() as usize];
                        buffer.read(0, &mut bytes).unwrap();
                        assert!(bytes.iter().all(|byte| *byte == thread as u8 + 1), "step {step}");
                    }
                }
            });
        }
    });
    let statistics = pool.statistics();
    assert_eq!((statistics.live, statistics.reserved_bytes), (0, 0));
    assert_eq!(statistics.reservations, statistics.releases);
    pool.trim();
    assert_eq!(slabs.out(), 0);
}
