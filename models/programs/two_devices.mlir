// One program over two devices: the second half of the work runs on the other one.
//! flags: --iree-hal-target-device=first=local[0] --iree-hal-target-device=second=local[1] --iree-hal-local-target-device-backends=llvm-cpu
//! run flags: --device=local-sync
//! case two_devices: run(4xf32=1 2 3 4)
//! run flags: none
//! failing case two_devices_one_given: run(4xf32=1 2 3 4)
//! error: INCOMPATIBLE
module @devices {
  func.func @run(%a: tensor<4xf32> {iree.abi.affinity = #hal.device.promise<@first>}) -> (tensor<4xf32> {iree.abi.affinity = #hal.device.promise<@second>}) {
    %b = arith.addf %a, %a : tensor<4xf32>
    %c = flow.tensor.transfer %b : tensor<4xf32> to #hal.device.promise<@second>
    %d = arith.mulf %c, %c : tensor<4xf32>
    return %d : tensor<4xf32>
  }
}
