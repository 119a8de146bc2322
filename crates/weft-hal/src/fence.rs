//! Fences: sets of (semaphore, value) to wait for or to signal.
//!
//! A fence is built, then shared and never changed. A missing fence (`None`, or no points) is reached already.
//! What does not live here: the semaphores themselves, see `weft-sync`.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use weft_sync::{Code, Deadline, Point, Result, Semaphore, Status, bail, wait_all};

/// A fence holds at most as many points.
pub const FENCE_POINTS_MAX: usize = 65535;

/// An immutable set of points; reached when all are reached, failed when any failed.
pub struct Fence(Points);

/// One or two points, the usual case, need no further allocation.
enum Points {
    None([Point; 0]),
    One([Point; 1]),
    Two([Point; 2]),
    Many(Vec<Point>),
}

impl Fence {
    /// A fence over one fresh semaphore at 0, reached at 1.
    pub fn create() -> Arc<Fence> {
        Arc::new(Fence(Points::One([Point { semaphore: Arc::new(Semaphore::new(0)), value: 1 }])))
    }

    /// A fence over one point.
    pub fn at(semaphore: Arc<Semaphore>, value: u64) -> Arc<Fence> {
        Arc::new(Fence(Points::One([Point { semaphore, value }])))
    }

    /// A fence over these points; a semaphore that occurs more than once keeps its maximum.
    pub fn new(points: impl IntoIterator<Item = Point>) -> Result<Arc<Fence>> {
        let mut set = FenceBuilder::new(FENCE_POINTS_MAX)?;
        points.into_iter().try_for_each(|point| set.insert(point))?;
        Ok(set.build())
    }

    /// The union of fences; missing ones are skipped, and none left is no fence. One fence joined is that fence.
    pub fn join<'a>(fences: impl IntoIterator<Item = Option<&'a Arc<Fence>>>) -> Result<Option<Arc<Fence>>> {
        let mut present = fences.into_iter().flatten();
        let Some(first) = present.next() else { return Ok(None) };
        let Some(second) = present.next() else { return Ok(Some(Arc::clone(first))) };
        let mut set = FenceBuilder::new(FENCE_POINTS_MAX)?;
        for fence in [first, second].into_iter().chain(present) {
            set.extend(fence)?;
        }
        Ok(Some(set.build()))
    }

    /// The points.
    #[inline]
    pub fn points(&self) -> &[Point] {
        match &self.0 {
            Points::None(points) => points,
            Points::One(points) => points,
            Points::Two(points) => points,
            Points::Many(points) => points,
        }
    }

    /// The points of a fence that may be missing.
    #[inline]
    pub fn points_of(fence: Option<&Fence>) -> &[Point] {
        fence.map_or(&[], Fence::points)
    }

    /// True once all points are reached; the failure if any failed.
    pub fn query(&self) -> Result<bool> {
        all_reached(self.points())
    }

    /// Advances every semaphore to its value, in order; stops at the first error.
    pub fn signal(&self) -> Result<()> {
        signal_all(self.points())
    }

    /// Fails every semaphore. The first failure of each wins.
    pub fn fail(&self, status: Status) {
        fail_all(self.points(), status);
    }

    /// Waits for all points. DEADLINE_EXCEEDED when time is up, the failure's own status when one fails.
    pub fn wait(&self, deadline: Deadline) -> Result<()> {
        wait_all(self.points(), deadline)
    }
}

impl std::fmt::Debug for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values = self.points().iter().map(|point| (Arc::as_ptr(&point.semaphore), point.value));
        f.debug_list().entries(values).finish()
    }
}

/// Collects points; bounded.
pub struct FenceBuilder {
    points: Vec<Point>,
    capacity: usize,
    /// Where each semaphore stands, by address; filled once there are too many points to look through.
    places: HashMap<usize, usize>,
}

/// Up to this many points are looked through one by one.
const POINTS_SEARCHED_MAX: usize = 32;

impl FenceBuilder {
    /// Room for up to `capacity` semaphores, at most 65535.
    pub fn new(capacity: usize) -> Result<FenceBuilder> {
        if capacity > FENCE_POINTS_MAX {
            bail!(ResourceExhausted, "fence capacity {capacity} > {FENCE_POINTS_MAX}");
        }
        Ok(FenceBuilder { points: Vec::new(), capacity, places: HashMap::new() })
    }

    /// Adds a point; for a semaphore that is there already the larger value stays.
    pub fn insert(&mut self, point: Point) -> Result<()> {
        if let Some(place) = self.find(&point.semaphore) {
            let known = &mut self.points[place];
            known.value = known.value.max(point.value);
            return Ok(());
        }
        if self.points.len() == self.capacity {
            bail!(ResourceExhausted, "fence holds its {} points already", self.capacity);
        }
        if self.points.len() >= POINTS_SEARCHED_MAX {
            self.places.insert(address(&point), self.points.len());
        }
        self.points.push(point);
        Ok(())
    }

    fn find(&self, semaphore: &Arc<Semaphore>) -> Option<usize> {
        let searched = &self.points[..self.points.len().min(POINTS_SEARCHED_MAX)];
        let found = searched.iter().position(|known| Arc::ptr_eq(&known.semaphore, semaphore));
        found.or_else(|| self.places.get(&Arc::as_ptr(semaphore).addr()).copied())
    }

    /// Adds all points of a fence.
    pub fn extend(&mut self, fence: &Fence) -> Result<()> {
        fence.points().iter().try_for_each(|point| self.insert(point.clone()))
    }

    /// The finished fence.
    pub fn build(self) -> Arc<Fence> {
        let points = self.points;
        let points = match points.len() {
            0 => Points::None([]),
            1 => points.try_into().map_or_else(Points::Many, Points::One),
            2 => points.try_into().map_or_else(Points::Many, Points::Two),
            _ => Points::Many(points),
        };
        Arc::new(Fence(points))
    }
}

fn address(point: &Point) -> usize {
    Arc::as_ptr(&point.semaphore).addr()
}

/// True once all points are reached; the first failure found otherwise.
#[inline]
pub fn all_reached(points: &[Point]) -> Result<bool> {
    let mut reached = true;
    for point in points {
        reached &= point.semaphore.is_reached(point.value)?;
    }
    Ok(reached)
}

/// Advances every semaphore to its value, in order; stops at the first error. A panic of a callback goes on when all have
/// been signalled.
#[inline]
pub fn signal_all(points: &[Point]) -> Result<()> {
    each_point(points, |point| point.semaphore.signal(point.value))
}

/// Fails every semaphore with the same status. A panic of a callback goes on when all have failed.
#[cold]
pub fn fail_all(points: &[Point], status: Status) {
    let _ = each_point(points, |point| {
        point.semaphore.fail(status.clone());
        Ok(())
    });
}

/// Calls `body` for every point, in order, up to the first error. It may call whoever waits for a point, and those may
/// panic: the other points have their turn all the same, and then the first panic goes on.
#[inline]
pub fn each_point(points: &[Point], mut body: impl FnMut(&Point) -> Result<()>) -> Result<()> {
    match points {
        [point] => return body(point),
        [] => return Ok(()),
        _ => {}
    }
    let mut panic = None;
    let outcome = points.iter().try_for_each(|point| {
        // Sound to assert: the panic is not swallowed.
        catch_unwind(AssertUnwindSafe(|| body(point))).unwrap_or_else(|payload| {
            panic.get_or_insert(payload);
            Ok(())
        })
    });
    match panic {
        Some(payload) => resume_unwind(payload),
        None => outcome,
    }
}

/// DEFERRED as programs see it: 0 reached, 17 not yet, else the failure's code.
pub fn query_code(fence: &Fence) -> u32 {
    match fence.query() {
        Ok(true) => 0,
        Ok(false) => Code::Deferred.raw(),
        Err(status) => status.code().raw(),
    }
}
