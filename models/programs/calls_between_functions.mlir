// Functions that call each other with tensors and scalars, kept apart by forbidding inlining.
//! case calls_pipeline: pipeline(3xi32=1 2 3)
//! case calls_pure: pure(3xi32=1 2 3)
//! case calls_many_arguments: many(1; 2; 3; 4; 5; 6; 7; 8; 9; 10; 11; 12)
module @calls {
  util.func private @double(%a: tensor<3xi32>) -> tensor<3xi32> attributes {inlining_policy = #util.inline.never} {
    %r = arith.addi %a, %a : tensor<3xi32>
    util.return %r : tensor<3xi32>
  }
  util.func private @first(%a: tensor<3xi32>) -> i32 attributes {inlining_policy = #util.inline.never} {
    %c0 = arith.constant 0 : index
    %r = tensor.extract %a[%c0] : tensor<3xi32>
    util.return %r : i32
  }
  util.func public @pipeline(%a: tensor<3xi32>) -> (tensor<3xi32>, i32) {
    %b = util.call @double(%a) : (tensor<3xi32>) -> tensor<3xi32>
    %c = util.call @double(%b) : (tensor<3xi32>) -> tensor<3xi32>
    %d = util.call @first(%c) : (tensor<3xi32>) -> i32
    util.return %c, %d : tensor<3xi32>, i32
  }
  util.func public @pure(%a: tensor<3xi32>) -> tensor<3xi32> {
    %b = util.call @double(%a) : (tensor<3xi32>) -> tensor<3xi32>
    util.return %b : tensor<3xi32>
  }
  util.func public @many(%a: i32, %b: i64, %c: i32, %d: i64, %e: f32, %f: i32, %g: i64, %h: i32, %i: i64, %j: f32, %k: i32, %l: i64) -> (i64, f32) {
    %0 = util.call @weigh(%a, %b, %c, %d, %f, %g, %h, %i, %k, %l) : (i32, i64, i32, i64, i32, i64, i32, i64, i32, i64) -> i64
    %1 = arith.mulf %e, %j : f32
    util.return %0, %1 : i64, f32
  }
  util.func private @weigh(%a: i32, %b: i64, %c: i32, %d: i64, %f: i32, %g: i64, %h: i32, %i: i64, %k: i32, %l: i64) -> i64 attributes {inlining_policy = #util.inline.never} {
    %a64 = arith.extsi %a : i32 to i64
    %c64 = arith.extsi %c : i32 to i64
    %f64 = arith.extsi %f : i32 to i64
    %h64 = arith.extsi %h : i32 to i64
    %k64 = arith.extsi %k : i32 to i64
    %ten = arith.constant 10 : i64
    %0 = arith.muli %a64, %ten : i64
    %1 = arith.addi %0, %b : i64
    %2 = arith.muli %1, %ten : i64
    %3 = arith.addi %2, %c64 : i64
    %4 = arith.muli %3, %ten : i64
    %5 = arith.addi %4, %d : i64
    %6 = arith.muli %5, %ten : i64
    %7 = arith.addi %6, %f64 : i64
    %8 = arith.muli %7, %ten : i64
    %9 = arith.addi %8, %g : i64
    %10 = arith.muli %9, %ten : i64
    %11 = arith.addi %10, %h64 : i64
    %12 = arith.muli %11, %ten : i64
    %13 = arith.addi %12, %i : i64
    %14 = arith.muli %13, %ten : i64
    %15 = arith.addi %14, %k64 : i64
    %16 = arith.muli %15, %ten : i64
    %17 = arith.addi %16, %l : i64
    util.return %17 : i64
  }
}
