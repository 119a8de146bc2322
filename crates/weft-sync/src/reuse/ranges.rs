//! Ranges of any size: free ones are split for a request and joined with their neighbours when they come back.
//!
//! What lives here: [`RangePool`]: which free range a request gets. What does not: ranges and their neighbours
//! (`chain.rs`).
//!
//! Free ranges are listed by size class, two bits of the size below the leading one (two-level segregated fit). A request
//! looks from its own class upward, in each class in the order in which ranges became free, for the first that is large
//! enough and that the requester may touch.

use super::chain::{Chain, NONE, Range};
use super::{Acquired, Coverage, Death, PoolId, Request, Requester, Reservation, Statistics};
use crate::Result;
use crate::frontier::Frontier;
use crate::{Status, bail, status};

/// Classes for each power of two, and below.
const STEPS: u32 = 4;
const CLASSES: usize = (64 * STEPS) as usize;

/// What a [`RangePool`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeOptions {
    /// Sizes and offsets are multiples of this power of two.
    pub granularity: u64,
    /// Bytes of one piece of backing memory. Larger requests are `OUT_OF_RANGE`.
    pub slab_bytes: u64,
    /// How many pieces there may be.
    pub slabs_max: u32,
    /// How many bytes may be reserved at a time.
    pub budget: u64,
}

/// A free range, as a place in the list of its class.
#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

/// Ranges of any size, in pieces of backing memory that are added on demand.
///
/// ```
/// use weft_sync::reuse::{Acquired, RangeOptions, RangePool, Request, Requester};
/// use weft_sync::{FrontierBuf, Machine};
/// let options = RangeOptions { granularity: 256, slab_bytes: 1 << 20, slabs_max: 4, budget: u64::MAX };
/// let mut pool = RangePool::<8>::new(options)?;
/// let queue = Machine::LOCAL.queue(0, 0);
/// let request = Request { can_grow: true, ..Request::new(1 << 20, 256) };
/// let Acquired::Fresh(all) = pool.acquire(&request, &Requester::unknown())? else { panic!("never used") };
/// pool.release(all, Some(&FrontierBuf::single(queue, 3)))?;
/// // A quarter of it, for somebody who is past that; the rest still waits for the same.
/// let quarter = Request::new(1 << 18, 256);
/// let later = FrontierBuf::single(queue, 3);
/// assert!(matches!(pool.acquire(&quarter, &Requester::after(&later))?, Acquired::Ready(_)));
/// assert!(matches!(pool.acquire(&quarter, &Requester::unknown())?, Acquired::Exhausted { could_grow: true, .. }));
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct RangePool<const DEATH: usize> {
    id: PoolId,
    options: RangeOptions,
    ranges: Chain<DEATH>,
    /// By index of the range.
    links: Vec<Link>,
    classes: [List; CLASSES],
    /// A bit for each class that is not empty.
    occupied: [u64; CLASSES / 64],
    /// One more than the highest number that a piece of backing memory ever had.
    slab_numbers: u32,
    /// Numbers of pieces that are gone, for the next ones.
    spare_numbers: Vec<u32>,
    statistics: Statistics,
}

/// What was found among the free ranges.
struct Search {
    covered: Option<(u32, Coverage)>,
    to_wait_for: Option<u32>,
    is_tainted: bool,
}

impl<const DEATH: usize> RangePool<DEATH> {
    /// A pool without backing memory as yet. `INVALID_ARGUMENT` for a granularity that is no power of two, or pieces that
    /// are no multiple of it.
    pub fn new(options: RangeOptions) -> Result<RangePool<DEATH>> {
        let RangeOptions { granularity, slab_bytes, .. } = options;
        if !granularity.is_power_of_two() {
            bail!(
                InvalidArgument,
                "a granularity of {granularity} was asked for; it should be a power of two"
            );
        }
        if slab_bytes == 0 || !slab_bytes.is_multiple_of(granularity) {
            bail!(
                InvalidArgument,
                "pieces of {slab_bytes} bytes are no multiple of the granularity, {granularity}"
            );
        }
        Ok(RangePool {
            id: PoolId::next(),
            options,
            ranges: Chain::new(),
            links: Vec::new(),
            classes: [List { first: NONE, last: NONE }; CLASSES],
            occupied: [0; CLASSES / 64],
            slab_numbers: 0,
            spare_numbers: Vec::new(),
            statistics: Statistics::default(),
        })
    }

    /// Reserves a range that `requester` may touch at once; failing that, takes another piece of backing memory if it
    /// may; failing that, if the requester can wait, one that it can wait for.
    ///
    /// `INVALID_ARGUMENT` for 0 bytes or an alignment that is no power of two, `OUT_OF_RANGE` for more bytes, or more
    /// alignment, than a piece has, `RESOURCE_EXHAUSTED` if there is no memory to keep account of it.
    pub fn acquire(&mut self, request: &Request, requester: &Requester<'_>) -> Result<Acquired<DEATH>> {
        request.check(self.options.slab_bytes)?;
        if request.alignment > self.options.slab_bytes {
            let (asked, most) = (request.alignment, self.options.slab_bytes);
            bail!(OutOfRange, "an alignment of {asked} was asked for; pieces of this pool have {most} bytes");
        }
        let answer = self.answer(request, requester)?;
        self.statistics.count(&answer);
        Ok(answer)
    }

    fn answer(&mut self, request: &Request, requester: &Requester<'_>) -> Result<Acquired<DEATH>> {
        let reserved = self.statistics.reserved_bytes.checked_add(request.size);
        if reserved.is_none_or(|bytes| bytes > self.options.budget) {
            return Ok(Acquired::OverBudget);
        }
        let found = self.search(request, requester);
        if let Some((index, coverage)) = found.covered {
            let reservation = self.reserve(index, request)?;
            return Ok(match coverage {
                Coverage::Fresh => Acquired::Fresh(reservation),
                _ => Acquired::Ready(reservation),
            });
        }
        let has_room = self.statistics.slabs < u64::from(self.options.slabs_max);
        if has_room && request.can_grow {
            let index = self.grow()?;
            return Ok(Acquired::Fresh(self.reserve(index, request)?));
        }
        if request.can_wait
            && let Some(index) = found.to_wait_for
            && let Some(frontier) = self.ranges.get(index).death.frontier().copied()
        {
            return Ok(Acquired::NeedsWait(self.reserve(index, request)?, frontier));
        }
        Ok(Acquired::Exhausted { could_grow: has_room, is_tainted: found.is_tainted })
    }

    fn search(&mut self, request: &Request, requester: &Requester<'_>) -> Search {
        let mut found = Search { covered: None, to_wait_for: None, is_tainted: false };
        let mut class = class_of(self.rounded(request.size));
        while let Some(occupied) = self.next_occupied(class) {
            let mut index = self.classes[occupied].first;
            while index != NONE {
                let range = self.ranges.get(index);
                if self.place_in(range, request).is_some() {
                    match range.death.coverage(requester) {
                        Coverage::Uncovered => self.statistics.misses += 1,
                        coverage => {
                            found.covered = Some((index, coverage));
                            return found;
                        }
                    }
                    if range.death.is_tainted() {
                        found.is_tainted = true;
                        self.statistics.tainted_misses += 1;
                    } else {
                        found.to_wait_for.get_or_insert(index);
                    }
                }
                index = self.links[index as usize].next;
            }
            class = occupied + 1;
        }
        found
    }

    /// Where in a range a request would begin, if it fits.
    fn place_in(&self, range: &Range<DEATH>, request: &Request) -> Option<u64> {
        let begin = range.offset.checked_next_multiple_of(request.alignment)?;
        let end = begin.checked_add(self.rounded(request.size))?;
        (end <= range.offset + range.bytes).then_some(begin)
    }

    /// Sizes up to a piece, which is a multiple: nothing overflows.
    fn rounded(&self, size: u64) -> u64 {
        size.next_multiple_of(self.options.granularity)
    }

    /// Cuts the request out of a free range. What is left on either side died when the whole did.
    fn reserve(&mut self, index: u32, request: &Request) -> Result<Reservation> {
        // Room for what is left on both sides first, so that nothing is half done without memory.
        self.make_room()?;
        let range = *self.ranges.get(index);
        let begin = self.place_in(&range, request).expect("the search found that it fits");
        self.unlist(index);
        let (before, middle) = self.ranges.split(index, begin - range.offset);
        let (middle, after) = self.ranges.split(middle, self.rounded(request.size));
        // `before` is the range itself; without anything before it, so is the middle.
        if before != middle {
            self.list(before);
        }
        if after != middle {
            self.list(after);
        }
        let range = self.ranges.get_mut(middle);
        range.is_free = false;
        Ok(Reservation {
            pool: self.id,
            slab: range.slab,
            index: middle,
            offset: range.offset,
            size: request.size,
        })
    }

    fn grow(&mut self) -> Result<u32> {
        self.make_room()?;
        let slab = self.spare_numbers.pop().unwrap_or_else(|| {
            // Fewer than `slabs_max`, a `u32`, for all of the lower numbers are taken.
            self.slab_numbers += 1;
            self.slab_numbers - 1
        });
        let index = self.ranges.add_slab(slab, self.options.slab_bytes);
        self.statistics.slabs += 1;
        self.list(index);
        Ok(index)
    }

    /// Makes sure that two more ranges can be kept.
    fn make_room(&mut self) -> Result<()> {
        let wanted = self.ranges.reserve().and_then(|capacity| {
            let missing = capacity.saturating_sub(self.links.len());
            self.links.try_reserve(missing).ok()?;
            self.links.resize(capacity.max(self.links.len()), Link { previous: NONE, next: NONE });
            Some(())
        });
        wanted.ok_or_else(no_memory)
    }

    /// Takes a range back from something ordered after `death`; `None` if all use of it is over. It is joined with its
    /// free neighbours.
    ///
    /// `INVALID_ARGUMENT` if it was not reserved here.
    pub fn release(&mut self, reservation: Reservation, death: Option<&Frontier>) -> Result<()> {
        self.release_dead(reservation, Death::after(death))
    }

    /// As [`RangePool::release`], for who has looked before at what fits.
    pub fn release_dead(&mut self, reservation: Reservation, death: Death<DEATH>) -> Result<()> {
        self.id.check(&reservation)?;
        self.statistics.tainted_releases += u64::from(death.is_tainted());
        self.ranges.get_mut(reservation.index).death = death;
        self.take_back(&reservation);
        Ok(())
    }

    /// Takes back a range that was not touched, as it was: for waits that are declined or fail.
    ///
    /// `INVALID_ARGUMENT` if it was not reserved here.
    pub fn restore(&mut self, reservation: Reservation) -> Result<()> {
        self.id.check(&reservation)?;
        self.take_back(&reservation);
        Ok(())
    }

    fn take_back(&mut self, reservation: &Reservation) {
        self.statistics.count_return(reservation);
        let mut index = reservation.index;
        self.ranges.get_mut(index).is_free = true;
        for neighbour in self.ranges.free_neighbours(index).into_iter().flatten() {
            self.unlist(neighbour);
            let (joined, fits) = self.ranges.join(index, neighbour);
            self.statistics.tainted_joins += u64::from(!fits);
            index = joined;
        }
        self.list(index);
    }

    /// Forgets what free memory died after, taint included. For an owner who knows that all use of what was released so
    /// far is over, as after waiting for every queue.
    pub fn assume_quiet(&mut self) {
        self.ranges.forget_deaths();
    }

    /// What happened so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Bytes of backing memory that are not reserved.
    pub fn free_bytes(&self) -> u64 {
        self.ranges.free_bytes()
    }

    /// Bytes of the largest free range, whatever it died after; 0 if there is none.
    pub fn largest_free_bytes(&self) -> u64 {
        let Some(word) = self.occupied.iter().rposition(|bits| *bits != 0) else { return 0 };
        let class = word * 64 + self.occupied[word].ilog2() as usize;
        // Every range of a higher class is larger than every range of a lower one.
        let (mut index, mut largest) = (self.classes[class].first, 0);
        while index != NONE {
            largest = largest.max(self.ranges.get(index).bytes);
            index = self.links[index as usize].next;
        }
        largest
    }

    /// Adds a piece of backing memory now, for who has it in hand, and says its number. `RESOURCE_EXHAUSTED` beyond the
    /// most that there may be, or without memory to keep account of it.
    pub fn add_slab(&mut self) -> Result<u32> {
        if self.statistics.slabs >= u64::from(self.options.slabs_max) {
            bail!(ResourceExhausted, "there are {} pieces of backing memory already", self.statistics.slabs);
        }
        let index = self.grow()?;
        Ok(self.ranges.get(index).slab)
    }

    /// Gives up the pieces of backing memory of which nothing is reserved and that `requester` may touch, as those who
    /// get them next will. Each is named once; its number may be that of a later piece.
    pub fn remove_idle_slabs(&mut self, requester: &Requester<'_>, mut each: impl FnMut(u32)) {
        for index in 0..self.ranges.indices() {
            let range = self.ranges.get(index);
            let is_idle = range.is_free && range.bytes == self.options.slab_bytes;
            if !is_idle || range.death.coverage(requester) == Coverage::Uncovered {
                continue;
            }
            let slab = range.slab;
            self.unlist(index);
            self.ranges.remove_slab(index);
            self.spare_numbers.push(slab);
            self.statistics.slabs -= 1;
            each(slab);
        }
    }

    fn list(&mut self, index: u32) {
        let class = class_of(self.ranges.get(index).bytes);
        let last = std::mem::replace(&mut self.classes[class].last, index);
        self.links[index as usize] = Link { previous: last, next: NONE };
        match self.links.get_mut(last as usize) {
            Some(link) => link.next = index,
            None => self.classes[class].first = index,
        }
        self.occupied[class / 64] |= 1 << (class % 64);
    }

    fn unlist(&mut self, index: u32) {
        let class = class_of(self.ranges.get(index).bytes);
        let Link { previous, next } = self.links[index as usize];
        match self.links.get_mut(previous as usize) {
            Some(link) => link.next = next,
            None => self.classes[class].first = next,
        }
        match self.links.get_mut(next as usize) {
            Some(link) => link.previous = previous,
            None => self.classes[class].last = previous,
        }
        if self.classes[class].first == NONE {
            self.occupied[class / 64] &= !(1 << (class % 64));
        }
    }

    /// The first class from `class` on that has a range.
    fn next_occupied(&self, class: usize) -> Option<usize> {
        let (word, bit) = (class / 64, class % 64);
        let first = self.occupied.get(word)? & (u64::MAX << bit);
        if first != 0 {
            return Some(word * 64 + first.trailing_zeros() as usize);
        }
        let later = self.occupied.iter().enumerate().skip(word + 1).find(|(_, bits)| **bits != 0);
        later.map(|(word, bits)| word * 64 + bits.trailing_zeros() as usize)
    }
}

/// The class of a size: its leading bit and the two below.
fn class_of(bytes: u64) -> usize {
    let leading = bytes.max(1).ilog2();
    let below = if leading >= 2 { (bytes >> (leading - 2)) & 3 } else { 0 };
    (leading * STEPS) as usize + below as usize
}

#[cold]
fn no_memory() -> Status {
    status!(ResourceExhausted, "no memory to keep account of another range")
}
