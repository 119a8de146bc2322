//! A whole model with weights of its own: the small encoder of `models/encoder/tiny`, whose program has the structure of
//! the published one.

use std::path::Path;
use std::process::Stdio;

use crate::program::{Done, command, finish};

const DEVICES: [&[&str]; 3] = [
    &["--device=local-sync"],
    &["--device=local-task", "--task_topology_group_count=1"],
    &["--device=local-task", "--task_topology_group_count=2"],
];

/// Who reads files: the best there is, which is io_uring where it is allowed, and those below it.
const BACKENDS: &[Option<&str>] =
    if cfg!(target_os = "linux") { &[None, Some("epoll"), Some("poll")] } else { &[None, Some("poll")] };

/// One call of the encoder, beside what was computed in 64 bits.
fn embed(flags: &[&str], backend: Option<&str>) -> Done {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/encoder/tiny");
    let mut arguments = vec!["run", "--module=encoder.vmfb", "--parameters=encoder=encoder.safetensors"];
    arguments.extend(["--function=embed_8", "--input=@ids.npy", "--input=@count.npy"]);
    arguments.extend(["--expected_output=@expected.npy", "--expected_f32_threshold=1e-4"]);
    arguments.extend(flags);
    let mut command = command(&arguments);
    if let Some(backend) = backend {
        command.env("WEFT_IO_BACKEND", backend);
    }
    finish(command.current_dir(folder).stdin(Stdio::null()))
}

/// An embedding is what it should be, on each device, whoever reads the weights.
#[test]
fn an_encoder_finds_its_weights_and_is_right() {
    for device in DEVICES {
        for &backend in BACKENDS {
            let out = embed(device, backend).success();
            assert!(out.contains("[SUCCESS]"), "{device:?} with {backend:?}: {out}");
        }
    }
}

/// Weights that were read or mapped beforehand give the same.
#[test]
fn an_encoder_takes_weights_from_memory() {
    for mode in ["--parameter_mode=preload", "--parameter_mode=mmap"] {
        for device in DEVICES {
            let mut flags = device.to_vec();
            flags.push(mode);
            assert!(embed(&flags, None).success().contains("[SUCCESS]"), "{device:?} {mode}");
        }
    }
}
