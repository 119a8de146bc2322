//! `hal.device.*` and `hal.devices.*`.

use super::harness::{Hal, NULL, bytes, unwrap};
use weft::hal::{Allocator, Device};
use weft::vm::Value;
use weft::{Session, Status};

fn query(hal: &Hal, category: &str, key: &str) -> (i32, i64) {
    match hal.call("device.query.i64", &[hal.device(), bytes(category), bytes(key)])[..] {
        [Value::I32(found), Value::I64(value)] => (found, value),
        ref other => panic!("{other:?}"),
    }
}

/// Questions that programs ask. [hal-module 45]
#[test]
fn queries() {
    let hal = Hal::new();
    for pattern in ["local*", "*", "local-syn?", "local-sync", "l*l-s??c"] {
        assert_eq!(query(&hal, "hal.device.id", pattern), (1, 1), "{pattern}");
    }
    for pattern in ["cuda*", "local-task", "local-sync?", "", "?"] {
        assert_eq!(query(&hal, "hal.device.id", pattern), (1, 0), "{pattern}");
    }
    let native = if cfg!(target_arch = "x86_64") { "x86_64" } else { "arm_64" };
    assert_eq!(query(&hal, "hal.executable.format", &format!("embedded-elf-{native}")), (1, 1));
    for format in ["embedded-elf-riscv_64", "cuda-nvptx-fb", "", "system-dll-x86_64"] {
        assert_eq!(query(&hal, "hal.executable.format", format), (1, 0), "{format}");
    }
    assert_eq!(query(&hal, "hal.device", "concurrency"), (1, 1));
    assert_eq!(query(&hal, "hal.dispatch", "concurrency"), (1, 1));
    for (category, key) in
        [("hal.device", "nothing"), ("nothing", "concurrency"), ("", ""), ("hal.cpu", "nothing")]
    {
        assert_eq!(query(&hal, category, key), (0, 0), "{category} {key}");
    }
}

/// CPU features are known before any executable is loaded. [hal-module 45]
#[test]
#[cfg(target_arch = "x86_64")]
fn processor_features() {
    let hal = Hal::new();
    let features = [
        ("sse3", std::is_x86_feature_detected!("sse3")),
        ("sse4.2", std::is_x86_feature_detected!("sse4.2")),
        ("avx", std::is_x86_feature_detected!("avx")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
    ];
    for (name, is_there) in features {
        assert_eq!(query(&hal, "hal.cpu", name), (1, i64::from(is_there)), "{name}");
    }
}

/// Devices by ordinal. [hal-module 37]
#[test]
fn devices_by_ordinal() {
    let [first, second] = [(); 2].map(|()| weft::open_device("local-sync").unwrap());
    let builder =
        Session::builder().open_device(first.clone()).open_device(second.clone()).open_device(first.clone());
    let hal = Hal::with(builder, first.clone());
    assert_eq!(hal.call("devices.count", &[]), [Value::I32(3)]);
    let get = |index: i32| hal.call("devices.get", &[Value::I32(index)]).remove(0);
    let ids = [0, 1, 2].map(|index| unwrap::<Device>(&get(index)).id());
    assert_eq!(ids, [first.id(), second.id(), first.id()]);
    for index in [-1, 3, i32::MAX, i32::MIN] {
        assert_eq!(get(index), NULL);
    }
    let allocator = unwrap::<Allocator>(&hal.call("device.allocator", &[hal.device()])[0]);
    assert_eq!(allocator.device(), first.id());
}

/// Devices of a session by URI. [hal-module 37]
#[test]
fn devices_by_uri() {
    for uri in ["local-sync", "local-sync://", "local-sync://?anything=1&more"] {
        let session = Session::builder().device(uri).device(uri).build().unwrap();
        assert_eq!(session.devices().unwrap().len(), 2, "{uri}");
    }
    let fails = |uri: &str| -> Status { weft::open_device(uri).unwrap_err() };
    assert!(fails("bogus").message().contains("no driver 'bogus' registered"));
    assert!(fails("local-sync://0").message().contains("device paths"));
    let beyond = Session::builder().lead_device(1).build().unwrap();
    assert_eq!(beyond.devices().unwrap_err().code(), weft::Code::OutOfRange);
}
