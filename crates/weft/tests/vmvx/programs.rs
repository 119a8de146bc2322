//! Compiled programs whose kernels are bytecode, on every device that computes.

use std::path::Path;
use std::sync::Arc;

use weft::{Device, Program, Session, Tensor, drivers, open_device};

/// Every driver but the one that computes nothing.
fn devices() -> Vec<Arc<Device>> {
    let computing = drivers().iter().filter(|driver| driver.name != "null");
    computing.map(|driver| open_device(driver.name).unwrap()).collect()
}

fn load(device: &Arc<Device>, name: &str) -> Program {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/programs");
    let session = Session::builder().open_device(device.clone()).build().unwrap();
    session.load(folder.join(name).with_extension("vmfb")).unwrap()
}

/// Small whole numbers: their products and sums are exact.
fn values(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7 + index / 512 * 3 + seed) % 13) as f32 - 6.0).collect()
}

fn check_product(program: &Program, [m, k, n]: [usize; 3]) {
    let (lhs, rhs) = (values(m * k, 1), values(k * n, 5));
    let tensor = |rows: usize, columns: usize, values: &[f32]| {
        Tensor::new(&[rows as u64, columns as u64], values).unwrap()
    };
    let out: Tensor = program.call("any", (&tensor(m, k, &lhs), &tensor(k, n, &rhs))).unwrap();
    assert_eq!(out.dims(), [m as u64, n as u64]);
    let out = out.to_vec::<f32>().unwrap();
    for (row, out) in out.chunks_exact(n).enumerate() {
        for (column, &found) in out.iter().enumerate() {
            let terms = (0..k).map(|at| lhs[row * k + at] * rhs[at * n + column]);
            assert_eq!(found, terms.sum::<f32>(), "{m}x{k}x{n} at {row}, {column}");
        }
    }
}

/// [exec 44] Matrix products of 512 rows and columns: bytecode loops sum few products (they take their time), tiles
/// 64 (the compiler forgets those that come after). Sums of many elements, over many workgroups.
#[test]
fn programs_compute_on_every_device() {
    for device in devices() {
        check_product(&load(&device, "vmvx_bytecode"), [512, 2, 512]);
        check_product(&load(&device, "vmvx_microkernels"), [512, 2, 512]);
        check_product(&load(&device, "vmvx_data_tiled"), [512, 64, 512]);
        for name in ["vmvx_bytecode", "vmvx_microkernels"] {
            check_product(&load(&device, name), [33, 9, 17]);
        }

        let program = load(&device, "vmvx_bytecode");
        let (a, b) = (values(10_001, 2), values(10_001, 3));
        let tensor = |values: &[f32]| Tensor::new(&[10_001], values).unwrap();
        let sum: Tensor = program.call("add", (&tensor(&a), &tensor(&b))).unwrap();
        let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        assert_eq!(sum.to_vec::<f32>().unwrap(), expected, "{}", device.identifier());
    }
}

/// [exec 13] Kernels that are bytecode see denormals flushed as well.
#[test]
fn denormals_are_flushed() {
    for device in devices() {
        let program = load(&device, "vmvx_bytecode");
        let tiny = Tensor::new(&[1], &[1e-40_f32]).unwrap();
        let sum: Tensor = program.call("add", (&tiny, &tiny)).unwrap();
        assert_eq!(sum.to_vec::<f32>().unwrap(), [0.0], "{}", device.identifier());
    }
}

/// One program, called from several threads at once.
#[test]
fn programs_are_shared_between_threads() {
    for device in devices() {
        let program = load(&device, "vmvx_data_tiled");
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                let program = &program;
                scope.spawn(move || {
                    (0..20).for_each(|round| check_product(program, [thread * 5, 3 + round, 7]))
                });
            }
        });
    }
}
