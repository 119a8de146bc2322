//! Calls that are cancelled: they end soon, nothing of them is left, and no other call is harmed.
//!
//! What lives here: programs that last (`models/library/cancellable.mlir`), who cancels them when. What does not:
//! cancelling on queues without programs (`weft-cts`), transfers of parameters (`../parameters/cancelled.rs`).

mod blocking;
mod fences;
mod many;
mod outputs;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use weft::{CancelToken, Code, ElementType, Program, Result, Session, Status, Tensor};

/// Every device that runs programs.
pub const DEVICES: [&str; 2] = ["local-sync", "local-task"];
/// Functions that run to their end, and the same for callers that do not wait.
pub const PROGRAMS: [&str; 2] = ["cancellable", "cancellable_async"];
/// Rounds of `steps` and `look` that nobody waits for.
pub const FOREVER: i64 = 1 << 30;
/// Rounds of `grind` that take half a minute, but a millisecond in each of its many workgroups.
pub const LONG: i64 = 8000;
/// The extent of what `grind` takes, in both directions.
pub const SIDE: u64 = 1024;

/// Soon enough for a machine that does many things at once, and far too soon for work that goes on to its end.
pub const SOON: Duration = Duration::from_secs(if cfg!(tsan) { 60 } else { 5 });

/// A program of the library on a device of its own.
pub fn load(uri: &str, name: &str) -> Program {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/library").join(format!("{name}.vmfb"));
    let session = Session::builder().device(uri).build().unwrap();
    session.load(path).unwrap_or_else(|status| panic!("{name}: {status}"))
}

/// Both programs on both devices.
pub fn everywhere(mut body: impl FnMut(&Program)) {
    for uri in DEVICES {
        for name in PROGRAMS {
            body(&load(uri, name));
        }
    }
}

/// A tensor of rank 1.
pub fn floats(values: &[f32]) -> Tensor {
    Tensor::new(&[values.len() as u64], values).unwrap()
}

/// What `grind` works on.
pub fn ground(value: f32) -> Tensor {
    Tensor::from_bytes(&[SIDE, SIDE], ElementType::F32, &ground_bytes(value)).unwrap()
}

/// The bytes of that.
pub fn ground_bytes(value: f32) -> Vec<u8> {
    value.to_le_bytes().repeat((SIDE * SIDE) as usize)
}

/// What `rounds` of `steps`, `look` and `grind` make of a number.
pub fn stepped(value: f32, rounds: i64) -> f32 {
    (0..rounds).fold(value, |value, _| value * 0.5 + 1.0)
}

/// A short call gives what it should.
pub fn check_others(program: &Program, value: f32) {
    let sum: Tensor = program.call("add", (floats(&[value; 4]), floats(&[1.0; 4]))).unwrap();
    assert_eq!(sum.to_vec::<f32>().unwrap(), [value + 1.0; 4]);
    let result: Tensor = program.call("steps", (floats(&[value; 4]), 5i64)).unwrap();
    assert_eq!(result.to_vec::<f32>().unwrap(), [stepped(value, 5); 4]);
}

/// Makes the call on another thread, lets it run for a while, and cancels it: it ends soon, with CANCELLED.
pub fn cancelled_while<R: Send + std::fmt::Debug>(
    token: &CancelToken,
    running: Duration,
    call: impl FnOnce() -> Result<R> + Send,
) -> Status {
    std::thread::scope(|scope| {
        let call = scope.spawn(call);
        std::thread::sleep(running);
        assert!(!call.is_finished(), "it was to last longer: {:?}", call.join().unwrap());
        let asked = Instant::now();
        token.cancel();
        let status = call.join().unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Cancelled, "{status}");
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        status
    })
}

/// Calls of others, one after the other, until it is dropped.
pub struct Others<'a>(&'a AtomicBool);

impl<'a> Others<'a> {
    /// Begins them; `is_over` is false.
    pub fn begin<'scope>(
        scope: &'scope std::thread::Scope<'scope, 'a>,
        program: &'a Program,
        is_over: &'a AtomicBool,
    ) -> Others<'a> {
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                check_others(program, 4.0);
            }
        });
        Others(is_over)
    }
}

impl Drop for Others<'_> {
    /// Also when the test has failed: the scope waits for them.
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Nothing that carries the token is left, and the device holds no memory of calls.
pub fn assert_nothing_is_left(program: &Program, token: &CancelToken) {
    token.wait_idle(weft::Deadline::after(SOON)).unwrap();
    assert_eq!(token.work_count(), 0);
    let device = program.session().lead_device().unwrap();
    device.wait_idle(weft::Deadline::after(SOON)).unwrap();
    assert_eq!(live(program), 0);
}

/// Bytes that the device has given out.
pub fn live(program: &Program) -> u64 {
    let statistics = program.session().lead_device().unwrap().allocator().statistics();
    statistics.device.live() + statistics.host.live()
}
