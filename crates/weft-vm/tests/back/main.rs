//! Behaviours of the runtime half of the VM: values, instructions, calls, linking, suspension, errors.
//!
//! One binary, a module a family. Programs are assembly text (`weft_vm::assemble`); what they print or look like
//! in an archive is tested elsewhere (`front_*.rs`).

mod support;

mod buffers;
mod choices;
mod compiled;
mod concurrency;
mod control;
mod debug;
mod floats;
mod futures;
mod globals;
mod integers;
mod invoke;
mod lifecycle;
mod link;
mod list_host;
mod lists;
mod references;
mod reflection;
mod releases;
mod suspend;
mod waits;
