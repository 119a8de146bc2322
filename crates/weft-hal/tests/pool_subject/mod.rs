//! What the tests of pools have in common: a provider of slabs that counts, and refuses on demand.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::sync::Arc;

use weft_hal::pool::{
    Acquired, Pool, PoolSource, PooledBlock, Request, Requester, SlabProperties, SlabProvider, TlsfOptions,
};
use weft_hal::{
    BlockKeeper, Buffer, BufferMetadata, BufferParams, BufferUsage, DeviceId, HostBlock, MemoryAccess,
    MemoryType,
};
use weft_sync::atomic::{AtomicBool, AtomicU64, Ordering};
use weft_sync::{Axis, Code, Entry, FrontierBuf, Machine, Result, Status};

pub const A: Axis = Machine::LOCAL.queue(0, 0);
pub const B: Axis = Machine::LOCAL.queue(1, 0);
pub const C: Axis = Machine::LOCAL.queue(2, 0);

/// Slabs straight from the heap, counted.
#[derive(Default)]
pub struct Slabs {
    counts: Arc<Counts>,
    /// Refuses to provide.
    pub refuses: AtomicBool,
    /// Refuses to make buffers.
    pub refuses_to_wrap: AtomicBool,
    pub wrapped: AtomicU64,
}

#[derive(Default)]
struct Counts {
    provided: AtomicU64,
    returned: AtomicU64,
}

impl Slabs {
    pub fn new() -> Arc<Slabs> {
        Arc::new(Slabs::default())
    }

    /// How many slabs were provided.
    pub fn provided(&self) -> u64 {
        self.counts.provided.load(Ordering::Relaxed)
    }

    /// How many of them are out.
    pub fn out(&self) -> u64 {
        self.provided() - self.counts.returned.load(Ordering::Relaxed)
    }

    pub fn source(self: &Arc<Self>) -> PoolSource {
        PoolSource::new(Arc::clone(self) as Arc<dyn SlabProvider>)
    }

    /// A pool of ranges in slabs of so many bytes, in multiples of 16.
    pub fn tlsf(self: &Arc<Self>, slab_bytes: u64) -> Arc<Pool> {
        let options = TlsfOptions { slab_bytes, granularity: 16, ..TlsfOptions::default() };
        Pool::tlsf(self.source(), &options).expect("good options")
    }
}

impl BlockKeeper for Counts {
    fn returned(&self, _block: HostBlock) {
        self.returned.fetch_add(1, Ordering::Relaxed);
    }
}

impl SlabProvider for Slabs {
    fn properties(&self) -> SlabProperties {
        SlabProperties {
            memory_type: MemoryType::HOST_LOCAL | MemoryType::DEVICE_LOCAL,
            usage: BufferUsage::all(),
            alignment_max: 4096,
        }
    }

    fn acquire_slab(&self, size: u64, alignment: u64) -> Result<HostBlock> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Status::new(Code::Unavailable, "no slabs today"));
        }
        let block = HostBlock::from_heap(size as usize, alignment as usize)?;
        self.counts.provided.fetch_add(1, Ordering::Relaxed);
        Ok(block.lend(Arc::clone(&self.counts) as Arc<dyn BlockKeeper>))
    }

    fn wrap(&self, metadata: BufferMetadata, byte_length: u64, block: HostBlock) -> Result<Arc<Buffer>> {
        if self.refuses_to_wrap.load(Ordering::Relaxed) {
            return Err(Status::new(Code::Unavailable, "no buffers today"));
        }
        self.wrapped.fetch_add(1, Ordering::Relaxed);
        Ok(Buffer::resident(metadata, byte_length, block))
    }
}

pub fn frontier(entries: &[(Axis, u64)]) -> FrontierBuf<16> {
    let entries: Vec<Entry> = entries.iter().map(|&(axis, epoch)| Entry::new(axis, epoch)).collect();
    FrontierBuf::from_entries(&entries).expect("the entries are in order")
}

/// So many axes at an epoch: more than a pool keeps, if one likes.
pub fn many(count: u32, epoch: u64) -> FrontierBuf<32> {
    let entries: Vec<Entry> =
        (0..count).map(|queue| Entry::new(Machine::LOCAL.queue(3, queue as u8), epoch)).collect();
    FrontierBuf::from_entries(&entries).expect("the entries are in order")
}

/// A request that lets the pool grow.
pub fn growing(size: u64) -> Request {
    Request { can_grow: true, ..Request::new(size, 16) }
}

/// The memory, at once.
#[track_caller]
pub fn take(pool: &Arc<Pool>, size: u64) -> PooledBlock {
    let answer = pool.acquire(&growing(size), &Requester::unknown()).expect("a good request");
    let text = format!("{answer:?}");
    answer.usable().unwrap_or_else(|| panic!("{text}"))
}

#[track_caller]
pub fn assert_fresh(answer: Acquired) -> PooledBlock {
    match answer {
        Acquired::Fresh(block) => block,
        other => panic!("{other:?} is not fresh"),
    }
}

#[track_caller]
pub fn assert_ready(answer: Acquired) -> PooledBlock {
    match answer {
        Acquired::Ready(block) => block,
        other => panic!("{other:?} is not ready"),
    }
}

pub fn metadata() -> BufferMetadata {
    let params = BufferParams {
        usage: BufferUsage::DEFAULT | BufferUsage::MAPPING,
        access: MemoryAccess::ALL,
        memory_type: MemoryType::DEVICE_LOCAL | MemoryType::HOST_VISIBLE,
        ..BufferParams::default()
    };
    BufferMetadata::new(&params, DeviceId(7))
}

/// A small generator of numbers that look random; the same for the same seed.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit
    }
}
