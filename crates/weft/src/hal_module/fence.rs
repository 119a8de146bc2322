//! `hal.fence.*`: points in time that work waits for and signals.
//!
//! What lives here: the exports. What does not: semaphores (`weft-sync`), sets of points (`weft-hal/src/fence.rs`).

use super::HalState;
use std::sync::Arc;
use std::time::Duration;
use weft_hal::{Device, FENCE_POINTS_MAX, Fence, FenceBuilder, query_code};
use weft_sync::{Code, Deadline, Point, Result, Status};
use weft_vm::native::{Object, Span, Step, Wait};

/// `rI_r`
pub(super) fn create(_: &HalState, (_device, _flags): (&Device, u64)) -> Result<Arc<Fence>> {
    Ok(Fence::create())
}

/// `ICrD_r`
pub(super) fn join(
    _: &HalState,
    (_flags, fences): (u64, Span<'_, Option<Object<'_, Fence>>>),
) -> Result<Option<Arc<Fence>>> {
    let mut first = None;
    let mut rest = fences.iter();
    for fence in rest.by_ref() {
        first = fence?;
        if first.is_some() {
            break;
        }
    }
    let Some(first) = first else { return Ok(None) };
    let mut joined: Option<FenceBuilder> = None;
    for fence in rest {
        let Some(fence) = fence? else { continue };
        let set = match &mut joined {
            Some(set) => set,
            None => {
                let mut set = FenceBuilder::new(FENCE_POINTS_MAX)?;
                set.extend(&first)?;
                joined.insert(set)
            }
        };
        set.extend(&fence)?;
    }
    // One fence joined with nothing is that fence.
    Ok(Some(joined.map_or_else(|| first.to_arc(), FenceBuilder::build)))
}

/// `r_i`
pub(super) fn query(_: &HalState, fence: &Fence) -> Result<u32> {
    Ok(query_code(fence))
}

/// `r_v`
pub(super) fn signal(_: &HalState, fence: &Fence) -> Result<()> {
    fence.signal()
}

/// `ri_v`
pub(super) fn fail(_: &HalState, (fence, code): (&Fence, u32)) -> Result<()> {
    let masked = code & 31;
    if masked != 0 {
        let code = Code::from_raw(masked).unwrap_or(Code::Unknown);
        fence.fail(Status::new(code, "the program failed the fence"));
    }
    Ok(())
}

/// `iICrD_i`, may suspend: gives 0 when all fences are reached, 4 when the timeout passes first, and fails with the
/// failure of a fence.
pub(super) fn await_all(
    _: &HalState,
    (timeout_ms, _flags, fences): (i32, u64, Span<'_, Option<&Fence>>),
) -> Result<Step<i32>> {
    let mut missing = Vec::new();
    for fence in fences.iter() {
        let Some(fence) = fence? else { continue };
        for point in fence.points() {
            if !point.semaphore.is_reached(point.value)? {
                add_point(&mut missing, point);
            }
        }
    }
    if missing.is_empty() {
        return Ok(Step::Done(0));
    }
    let deadline = match u64::try_from(timeout_ms) {
        Ok(0) => return Ok(Step::Done(Code::DeadlineExceeded.raw() as i32)),
        Ok(milliseconds) => Deadline::after(Duration::from_millis(milliseconds)),
        Err(_) => Deadline::NEVER,
    };
    let watched = missing.clone();
    Ok(Step::wait(Wait::all(missing, deadline), move |outcome| match outcome {
        Ok(()) => Ok(Step::Done(0)),
        Err(status) if is_timeout(&status, &watched) => Ok(Step::Done(Code::DeadlineExceeded.raw() as i32)),
        Err(status) => Err(status),
    }))
}

/// Keeps the highest value of each semaphore.
fn add_point(missing: &mut Vec<Point>, point: &Point) {
    match missing.iter_mut().find(|known| Arc::ptr_eq(&known.semaphore, &point.semaphore)) {
        Some(known) => known.value = known.value.max(point.value),
        None => missing.push(point.clone()),
    }
}

/// The wait ran out of time, as opposed to a semaphore that failed with that very code.
fn is_timeout(status: &Status, watched: &[Point]) -> bool {
    status.code() == Code::DeadlineExceeded && watched.iter().all(|point| point.semaphore.query().is_ok())
}
