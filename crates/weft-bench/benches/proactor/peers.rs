#![allow(unsafe_code, reason = "compio has no operation that does nothing, and its own are unsafe to write")]
//! The same shapes on other runtimes over io_uring.

use compio::buf::IntoInner;
use compio::driver::{OpCode, OpEntry};
use std::future::{Future, poll_fn};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

/// compio's ring, as large as weft's.
pub fn compio() -> compio::runtime::Runtime {
    let mut driver = compio::driver::ProactorBuilder::new();
    driver.capacity(256);
    let mut builder = compio::runtime::Runtime::builder();
    builder.with_proactor(driver);
    builder.build().expect("the kernel has io_uring")
}

/// tokio-uring's ring, as large as weft's and with the flags that it can be given.
pub fn tokio_uring() -> tokio_uring::Runtime {
    let mut builder = tokio_uring::builder();
    builder.entries(256);
    tokio_uring::Runtime::new(&builder).expect("the kernel has io_uring")
}

/// What weft calls `Nop`.
struct CompioNop;

// SAFETY: the entry names no memory.
unsafe impl OpCode for CompioNop {
    type Control = ();

    fn create_entry(&mut self, (): &mut ()) -> OpEntry {
        io_uring::opcode::Nop::new().build().into()
    }
}

pub fn compio_nops(runtime: &compio::runtime::Runtime, count: usize) {
    runtime.block_on(async {
        let nops = (0..count).map(|_| compio::runtime::submit(CompioNop)).collect();
        for outcome in all(nops).await {
            outcome.0.expect("it does nothing");
        }
    });
}

/// One after the other, in one go.
pub fn compio_in_turn(runtime: &compio::runtime::Runtime, count: usize) {
    runtime.block_on(async {
        for _ in 0..count {
            compio::runtime::submit(CompioNop).await.0.expect("it does nothing");
        }
    });
}

/// One after the other, in one go.
pub fn tokio_in_turn(runtime: &tokio_uring::Runtime, count: usize) {
    runtime.block_on(async {
        for _ in 0..count {
            tokio_uring::no_op().await.expect("it does nothing");
        }
    });
}

/// Takes the signal of an eventfd.
pub fn compio_read(runtime: &compio::runtime::Runtime, fd: &Arc<OwnedFd>) -> [u8; 8] {
    runtime.block_on(async {
        let read = compio::driver::op::Read::new(Arc::clone(fd), [0_u8; 8]);
        let outcome = compio::runtime::submit(read).await;
        outcome.0.expect("eight bytes");
        outcome.1.into_inner()
    })
}

pub fn tokio_nops(runtime: &tokio_uring::Runtime, count: usize) {
    runtime.block_on(async {
        for outcome in all((0..count).map(|_| tokio_uring::no_op()).collect()).await {
            outcome.expect("it does nothing");
        }
    });
}

/// All of these at once. One allocation for the futures, one for what they gave.
pub fn all<F: Future>(mut futures: Vec<F>) -> impl Future<Output = Vec<F::Output>> {
    let mut outcomes: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(move |context| {
        let mut is_over = true;
        for (future, outcome) in futures.iter_mut().zip(&mut outcomes) {
            if outcome.is_some() {
                continue;
            }
            // SAFETY: the futures are dropped where they lie, in memory of the vector, which nobody else can reach and
            // which never grows.
            let future = unsafe { Pin::new_unchecked(future) };
            match future.poll(context) {
                Poll::Ready(value) => *outcome = Some(value),
                Poll::Pending => is_over = false,
            }
        }
        if !is_over {
            return Poll::Pending;
        }
        Poll::Ready(outcomes.iter_mut().map(|outcome| outcome.take().expect("all are over")).collect())
    })
}
