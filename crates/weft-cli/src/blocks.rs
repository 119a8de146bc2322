//! `weft run --dump_blocks`: what the device made of each command buffer.
//!
//! What does not live here: the text itself, which the device writes (`weft-cpu/src/block/disassemble.rs`).

use std::io::{Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weft::hal_module::RecordingSink;

use crate::plain_text::PlainText;

/// Prints every recording on standard error, with a number in the order in which they are finished.
pub fn printer() -> RecordingSink {
    let count = AtomicU64::new(0);
    Arc::new(move |commands| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let params = commands.params();
        let text = commands.describe();
        let text = text.as_deref().unwrap_or("not kept as blocks: only local-task does that\n");
        // One write, so that recordings of several threads stay in one piece. Names come from the program's file.
        let mut bytes = Vec::new();
        let written = write!(
            PlainText::new(&mut bytes),
            "recording {number}: mode {}, table of {}\n{text}\n",
            params.mode,
            params.binding_capacity
        );
        // It is an addition: a closed standard error does not fail the run.
        let _ = written.and_then(|()| stderr().write_all(&bytes));
    })
}
