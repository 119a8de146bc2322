// Nothing to run is a success, and is said.
//! flags: --compile-mode=vm
vm.module @no_tests {
  vm.func private @unused() {
    vm.return
  }
}
