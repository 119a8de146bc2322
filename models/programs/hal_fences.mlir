// Fences by hand: create, query, signal, join, await, fail.
//! flags: --compile-mode=vm
//! case fence_life: life()
//! case fence_joined: joined()
//! case fence_poll: poll()
//! case fence_timeout: timeout(20)
//! failing case fence_failed: failed(7)
//! error: PERMISSION_DENIED
//! failing case fence_signaled_twice: signaled_twice()
//! error: INVALID_ARGUMENT
//! case fence_none: none()
//! case fence_barrier: barrier()
vm.module @fences {
  vm.import private @hal.devices.get(%index : i32) -> !vm.ref<!hal.device>
  vm.import private @hal.fence.create(%device : !vm.ref<!hal.device>, %flags : i64) -> !vm.ref<!hal.fence>
  vm.import private @hal.fence.query(%fence : !vm.ref<!hal.fence>) -> i32
  vm.import private @hal.fence.signal(%fence : !vm.ref<!hal.fence>)
  vm.import private @hal.fence.fail(%fence : !vm.ref<!hal.fence>, %status : i32)
  vm.import private @hal.fence.join(%flags : i64, %fences : !vm.ref<!hal.fence>...) -> !vm.ref<!hal.fence>
  vm.import private @hal.fence.await(%timeout : i32, %flags : i64, %fences : !vm.ref<!hal.fence>...) -> i32 attributes {vm.yield}
  vm.import private @hal.device.queue.barrier(%device : !vm.ref<!hal.device>, %affinity : i64, %wait : !vm.ref<!hal.fence>, %signal : !vm.ref<!hal.fence>, %flags : i64)

  vm.func private @fresh() -> !vm.ref<!hal.fence> {
    %c0 = vm.const.i32.zero
    %none = vm.const.i64.zero
    %device = vm.call @hal.devices.get(%c0) : (i32) -> !vm.ref<!hal.device>
    %fence = vm.call @hal.fence.create(%device, %none) : (!vm.ref<!hal.device>, i64) -> !vm.ref<!hal.fence>
    vm.return %fence : !vm.ref<!hal.fence>
  }

  // 17 (not yet), then 0, and waiting for it gives 0.
  vm.export @life
  vm.func private @life() -> (i32, i32, i32) {
    %forever = vm.const.i32 -1
    %none = vm.const.i64.zero
    %fence = vm.call @fresh() : () -> !vm.ref<!hal.fence>
    %before = vm.call @hal.fence.query(%fence) : (!vm.ref<!hal.fence>) -> i32
    vm.call @hal.fence.signal(%fence) : (!vm.ref<!hal.fence>) -> ()
    %after = vm.call @hal.fence.query(%fence) : (!vm.ref<!hal.fence>) -> i32
    %status = vm.call.variadic @hal.fence.await(%forever, %none, [%fence]) : (i32, i64, !vm.ref<!hal.fence>...) -> i32
    vm.return %before, %after, %status : i32, i32, i32
  }

  // A joined fence is reached when both are.
  vm.export @joined
  vm.func private @joined() -> (i32, i32, i32) {
    %none = vm.const.i64.zero
    %a = vm.call @fresh() : () -> !vm.ref<!hal.fence>
    %b = vm.call @fresh() : () -> !vm.ref<!hal.fence>
    %null = vm.const.ref.zero : !vm.ref<!hal.fence>
    %both = vm.call.variadic @hal.fence.join(%none, [%a, %null, %b, %a]) : (i64, !vm.ref<!hal.fence>...) -> !vm.ref<!hal.fence>
    %0 = vm.call @hal.fence.query(%both) : (!vm.ref<!hal.fence>) -> i32
    vm.call @hal.fence.signal(%a) : (!vm.ref<!hal.fence>) -> ()
    %1 = vm.call @hal.fence.query(%both) : (!vm.ref<!hal.fence>) -> i32
    vm.call @hal.fence.signal(%b) : (!vm.ref<!hal.fence>) -> ()
    %2 = vm.call @hal.fence.query(%both) : (!vm.ref<!hal.fence>) -> i32
    vm.return %0, %1, %2 : i32, i32, i32
  }

  // Waiting without patience: 4 (deadline exceeded), which is a result and not a failure.
  vm.export @poll
  vm.func private @poll() -> i32 {
    %now = vm.const.i32.zero
    %none = vm.const.i64.zero
    %fence = vm.call @fresh() : () -> !vm.ref<!hal.fence>
    %status = vm.call.variadic @hal.fence.await(%now, %none, [%fence]) : (i32, i64, !vm.ref<!hal.fence>...) -> i32
    vm.return %status : i32
  }

  vm.export @timeout
  vm.func private @timeout(%milliseconds: i32) -> i32 {
    %none = vm.const.i64.zero
    %fence = vm.call @fresh() : () -> !vm.ref<!hal.fence>
    %status = vm.call.variadic @hal.fence.await(%milliseconds, %none, [%fence]) : (i32, i64, !vm.ref<!hal.fence>...) -> i32
    vm.return %status : i32
  }

  vm.export @failed
  vm.func private @failed(%code: i32) -> i32 {
    %forever = vm.const.i32 -1
    %none = vm.const.i64.zero
    %fence = vm.call @fresh() : () -> !vm.ref<!hal.fence>
    vm.call @hal.fence.fail(%fence, %code) : (!vm.ref<!hal.fence>, i32) -> ()
    %status = vm.call.variadic @hal.fence.await(%forever, %none, [%fence]) : (i32, i64, !vm.ref<!hal.fence>...) -> i32
    vm.return %status : i32
  }

  vm.export @signaled_twice
  vm.func private @signaled_twice() {
    %fence = vm.call @fresh() : () -> !vm.ref<!hal.fence>
    vm.call @hal.fence.signal(%fence) : (!vm.ref<!hal.fence>) -> ()
    vm.call @hal.fence.signal(%fence) : (!vm.ref<!hal.fence>) -> ()
    vm.return
  }

  // Nothing to wait for: a join of nothing is null, and waiting for null succeeds.
  vm.export @none
  vm.func private @none() -> (i32, i32) {
    %forever = vm.const.i32 -1
    %none = vm.const.i64.zero
    %null = vm.const.ref.zero : !vm.ref<!hal.fence>
    %joined = vm.call.variadic @hal.fence.join(%none, [%null, %null]) : (i64, !vm.ref<!hal.fence>...) -> !vm.ref<!hal.fence>
    %some = vm.cmp.nz.ref %joined : !vm.ref<!hal.fence>
    %status = vm.call.variadic @hal.fence.await(%forever, %none, [%joined]) : (i32, i64, !vm.ref<!hal.fence>...) -> i32
    vm.return %some, %status : i32, i32
  }

  // A queue passes a signal on.
  vm.export @barrier
  vm.func private @barrier() -> (i32, i32) {
    %c0 = vm.const.i32.zero
    %forever = vm.const.i32 -1
    %any = vm.const.i64 -1
    %none = vm.const.i64.zero
    %device = vm.call @hal.devices.get(%c0) : (i32) -> !vm.ref<!hal.device>
    %a = vm.call @fresh() : () -> !vm.ref<!hal.fence>
    %b = vm.call @fresh() : () -> !vm.ref<!hal.fence>
    vm.call @hal.fence.signal(%a) : (!vm.ref<!hal.fence>) -> ()
    vm.call @hal.device.queue.barrier(%device, %any, %a, %b, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, i64) -> ()
    %status = vm.call.variadic @hal.fence.await(%forever, %none, [%b]) : (i32, i64, !vm.ref<!hal.fence>...) -> i32
    %query = vm.call @hal.fence.query(%b) : (!vm.ref<!hal.fence>) -> i32
    vm.return %status, %query : i32, i32
  }
}
