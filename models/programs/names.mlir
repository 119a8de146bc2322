// Names that need care: an anonymous module, dots, dollars and underscores in function names, only one of them callable by default.
//! case name_with_dot: a.b.c(3)
//! case name_with_dollar: sum$i32(3)
//! failing case name_prefixed: module.plain(3)
//! error: NOT_FOUND
//! case name_default: (3)
func.func @a.b.c(%a: i32) -> i32 attributes {iree.hidden} {
  return %a : i32
}
func.func @sum$i32(%a: i32) -> i32 {
  %r = arith.addi %a, %a : i32
  return %r : i32
}
func.func @__internal(%a: i32) -> i32 {
  return %a : i32
}
