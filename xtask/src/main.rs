//! Checks that anybody can run.
fn main() {}
