//! `weft run --dump_blocks`: recordings as the device keeps them.

use crate::program::{Done, run, weft};

const TWO_LAYERS: [&str; 2] = ["--input=1x16xf32=1", "--dump_blocks"];

fn two_layers(device: &str) -> Done {
    run("perceptron", "predict", &[&TWO_LAYERS[..], &[device]].concat())
}

/// [hal 153] The recording of two layers: its blocks with regions, dispatches by name, and where their operands lie.
/// It goes to standard error; standard output is that of a run without the flag.
#[test]
fn recordings_are_shown_as_blocks() {
    let plain = run("perceptron", "predict", &TWO_LAYERS[..1]).success();
    let done = two_layers("--device=local-task");
    assert_eq!(done.out, plain);
    let expected = "\
recording 0: mode NONE, table of 3
1 block, 1024 bytes, 2 regions, 6 fixups, 0 bytes of local memory
slot0: an entry of the table, bytes 0..64 used
slot2: an entry of the table, bytes 0..128 used
slot1: an entry of the table, bytes 0..16 used
block 0: 152 of 1024 bytes are commands
      0  barrier  region 0: 1 tile
      8  dispatch predict_dispatch_0_matmul_1x32x16_f32, grid 1x1x1, #0 slot0[0..64], #1 direct[2560], #2 slot2[0..128]
     72  barrier  region 1: 1 tile
     80  dispatch predict_dispatch_1_matmul_1x4x32_f32, grid 1x1x1, #3 slot2[0..128], #4 direct[2560], #5 slot1[0..16]
    144  return

";
    assert_eq!(done.err, expected);
}

/// [hal 92] [hal 153] What is known only when it runs: memory that comes late, and a grid that a kernel computes.
#[test]
fn late_memory_and_computed_grids_are_shown() {
    let flags = ["--device=local-task", "--dump_blocks", "--input=7", "--input=-1"];
    let done = run("dispatch_by_hand", "computed", &flags);
    assert_eq!(done.code, Some(0), "{}", done.err);
    let lines = [
        "recording 0: mode ONE_SHOT, table of 0",
        "late1: a buffer that is committed in queue order, bytes 0..64 used",
        "dispatch count, grid 1x1x1, constants [7], #0 late0[0..64]",
        "region 1: 0 tiles and what is read when it begins",
        "dispatch mark, grid at #2 late0[0..12], constants [4294967295], #1 late1[0..64]",
    ];
    for line in lines {
        assert!(done.err.contains(line), "no `{line}` in:\n{}", done.err);
    }
}

/// A device that keeps its recordings otherwise says so; `weft dump` says where they can be seen.
#[test]
fn what_has_no_blocks_says_so() {
    let done = two_layers("--device=local-sync");
    assert_eq!(
        done.err,
        "recording 0: mode NONE, table of 3\nnot kept as blocks: only local-task does that\n\n"
    );
    done.success();
    weft(&["dump", "--blocks", "perceptron.vmfb"]).failure(2, "weft run --dump_blocks");
    assert!(weft(&["run", "--help"]).success().contains("--dump_blocks=false"));
}
