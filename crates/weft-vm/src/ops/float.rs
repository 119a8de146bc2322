//! The two float sets (§11.2): one macro, instantiated for f32 and f64.
//!
//! The elementary functions are those of the C library that the standard library calls; `rem` and `erf`, which std
//! lacks, come from `libm`. Everything else is one IEEE operation, so results do not depend on the CPU: `fma` rounds
//! twice, `min` and `max` are the comparisons that the specification writes down.
//!
//! A step gets a [`Cpu`] that stands on the opcode after the prefix, and gives the bytes from there to the next
//! instruction.

use weft_sync::{Result, Status, status};

use super::convert;
use super::global::{Global, indirect};
use super::{FIRST, FOURTH, SECOND, list, memory};
use crate::cpu::Cpu;
use crate::isa::{F32Op, F64Op};
use crate::machine::Environment;
use crate::state::BytecodeState;

/// The lengths of a set's instructions by opcode, without the prefix, which is behind the pc already. 0: not fixed.
macro_rules! lengths {
    ($Op:ident) => {{
        let mut lengths = [0_u8; $Op::ALL.len()];
        let mut index = 0;
        while index < lengths.len() {
            if let Some(length) = $Op::ALL[index].info().fixed_length() {
                lengths[$Op::ALL[index] as usize] = length as u8 - 1;
            }
            index += 1;
        }
        lengths
    }};
}

macro_rules! float_step {
    (
        $step:ident, $Op:ident, $float:ty, $bits:ty, $read:ident,
        remainder $remainder:path, erf $erf:path,
        list $list_get:path, $list_set:path,
        $GlobalLoad:ident $GlobalStore:ident $GlobalLoadIndirect:ident $GlobalStoreIndirect:ident
        $ConstZero:ident $Const:ident $ListGet:ident $ListSet:ident $Select:ident $Switch:ident
        $Add:ident $Sub:ident $Mul:ident $Div:ident $Rem:ident $Fma:ident $Abs:ident $Neg:ident
        $Ceil:ident $Floor:ident $Round:ident $RoundEven:ident $Min:ident $Max:ident
        $Atan:ident $Atan2:ident $Cos:ident $Sin:ident $Exp:ident $Exp2:ident $Expm1:ident
        $Log:ident $Log10:ident $Log1p:ident $Log2:ident $Pow:ident $Rsqrt:ident $Sqrt:ident
        $Tanh:ident $Erf:ident
        $EqO:ident $EqU:ident $NeO:ident $NeU:ident $LtO:ident $LtU:ident $LteO:ident $LteU:ident
        $Nan:ident $BufferLoad:ident $BufferStore:ident $BufferFill:ident;
        $($own:ident => |$cpu:ident| $body:expr;)*
    ) => {
        #[doc = concat!("Runs one instruction of the ", stringify!($float), " set.")]
        #[inline(never)]
        pub(crate) fn $step(
            mut cpu: Cpu,
            environment: &Environment<'_>,
            state: &BytecodeState,
        ) -> Result<usize> {
            type F = $float;
            let Some(op) = $Op::from_byte(cpu.opcode()) else { return Err(unassigned(cpu.opcode())) };
            match op {
                $Op::$GlobalLoad => {
                    let bits = <$bits>::load(state, cpu.u32(FIRST))?;
                    cpu.set(FIRST + 4, bits);
                }
                $Op::$GlobalStore => {
                    cpu.get::<$bits>(FIRST + 4).store(environment, state, cpu.u32(FIRST))?;
                }
                $Op::$GlobalLoadIndirect => {
                    let bits = <$bits>::load(state, indirect(&cpu, FIRST))?;
                    cpu.set(SECOND, bits);
                }
                $Op::$GlobalStoreIndirect => {
                    cpu.get::<$bits>(SECOND).store(environment, state, indirect(&cpu, FIRST))?;
                }
                $Op::$ConstZero => cpu.set(FIRST, 0 as $bits),
                $Op::$Const => {
                    let bits: $bits = cpu.$read(FIRST);
                    cpu.set(FIRST + size_of::<F>(), bits);
                }
                $Op::$ListGet => $list_get(cpu)?,
                $Op::$ListSet => $list_set(cpu)?,
                // Chosen as bits: nothing may touch the payload of a NaN.
                $Op::$Select => cpu.select::<$bits>(),
                $Op::$Switch => return Ok(cpu.switch::<$bits>()),
                $Op::$Add => cpu.binary(|a: F, b: F| a + b),
                $Op::$Sub => cpu.binary(|a: F, b: F| a - b),
                $Op::$Mul => cpu.binary(|a: F, b: F| a * b),
                $Op::$Div => cpu.binary(|a: F, b: F| a / b),
                $Op::$Rem => cpu.binary(|a: F, b: F| $remainder(a, b)),
                $Op::$Fma => cpu.ternary(|a: F, b: F, c: F| a * b + c),
                $Op::$Abs => cpu.unary(F::abs),
                $Op::$Neg => cpu.unary(|a: F| -a),
                $Op::$Ceil => cpu.unary(F::ceil),
                $Op::$Floor => cpu.unary(F::floor),
                $Op::$Round => cpu.unary(F::round),
                $Op::$RoundEven => cpu.unary(F::round_ties_even),
                $Op::$Min => cpu.binary(|a: F, b: F| if b < a { b } else { a }),
                $Op::$Max => cpu.binary(|a: F, b: F| if a < b { b } else { a }),
                $Op::$Atan => cpu.unary(F::atan),
                $Op::$Atan2 => cpu.binary(F::atan2),
                $Op::$Cos => cpu.unary(F::cos),
                $Op::$Sin => cpu.unary(F::sin),
                $Op::$Exp => cpu.unary(F::exp),
                $Op::$Exp2 => cpu.unary(F::exp2),
                $Op::$Expm1 => cpu.unary(F::exp_m1),
                $Op::$Log => cpu.unary(F::ln),
                $Op::$Log10 => cpu.unary(F::log10),
                $Op::$Log1p => cpu.unary(F::ln_1p),
                $Op::$Log2 => cpu.unary(F::log2),
                $Op::$Pow => cpu.binary(F::powf),
                $Op::$Rsqrt => cpu.unary(|a: F| 1.0 / a.sqrt()),
                $Op::$Sqrt => cpu.unary(F::sqrt),
                $Op::$Tanh => cpu.unary(F::tanh),
                $Op::$Erf => cpu.unary(|a: F| $erf(a)),
                $Op::$EqO => cpu.binary(|a: F, b: F| a == b),
                $Op::$EqU => cpu.binary(|a: F, b: F| a == b || unordered(a.is_nan(), b.is_nan())),
                // "Ordered" in earnest: false for NaN, unlike the reference (D6).
                $Op::$NeO => cpu.binary(|a: F, b: F| a != b && !unordered(a.is_nan(), b.is_nan())),
                $Op::$NeU => cpu.binary(|a: F, b: F| a != b),
                $Op::$LtO => cpu.binary(|a: F, b: F| a < b),
                $Op::$LtU => cpu.binary(|a: F, b: F| a < b || unordered(a.is_nan(), b.is_nan())),
                $Op::$LteO => cpu.binary(|a: F, b: F| a <= b),
                $Op::$LteU => cpu.binary(|a: F, b: F| a <= b || unordered(a.is_nan(), b.is_nan())),
                $Op::$Nan => cpu.unary(F::is_nan),
                $Op::$BufferLoad => cpu.load(|bits: $bits| bits)?,
                $Op::$BufferStore => cpu.store(|bits: $bits| bits)?,
                $Op::$BufferFill => {
                    memory::fill::<$bits>(cpu, cpu.get::<$bits>(FOURTH).into())?;
                }
                $($Op::$own => {
                    let $cpu = &mut cpu;
                    $body
                })*
            }
            Ok(usize::from(const { lengths!($Op) }[op as usize]))
        }
    };
}

float_step! {
    step_f32, F32Op, f32, u32, u32,
    remainder libm::remainderf, erf libm::erff,
    list list::get_f32, list::set_f32,
    GlobalLoadF32 GlobalStoreF32 GlobalLoadIndirectF32 GlobalStoreIndirectF32
    ConstF32Zero ConstF32 ListGetF32 ListSetF32 SelectF32 SwitchF32
    AddF32 SubF32 MulF32 DivF32 RemF32 FmaF32 AbsF32 NegF32
    CeilF32 FloorF32 RoundF32 RoundF32Even MinF32 MaxF32
    AtanF32 Atan2F32 CosF32 SinF32 ExpF32 Exp2F32 Expm1F32
    LogF32 Log10F32 Log1pF32 Log2F32 PowF32 RsqrtF32 SqrtF32
    TanhF32 ErfF32
    CmpEqF32O CmpEqF32U CmpNeF32O CmpNeF32U CmpLtF32O CmpLtF32U CmpLteF32O CmpLteF32U
    CmpNanF32 BufferLoadF32 BufferStoreF32 BufferFillF32;
    CastSi32F32 => |cpu| cpu.unary(|a: i32| a as f32);
    CastUi32F32 => |cpu| cpu.unary(|a: u32| a as f32);
    CastF32Si32 => |cpu| cpu.unary(convert::f32_to_i32);
    CastF32Ui32 => |cpu| cpu.unary(convert::f32_to_u32);
    BitcastI32F32 => |cpu| cpu.unary(|a: u32| a);
    BitcastF32I32 => |cpu| cpu.unary(|a: u32| a);
    CastF32Si64 => |cpu| cpu.unary(convert::f32_to_i64);
    CastF32Ui64 => |cpu| cpu.unary(convert::f32_to_u64);
    CastSi64F32 => |cpu| cpu.unary(|a: i64| a as f32);
    CastUi64F32 => |cpu| cpu.unary(|a: u64| a as f32);
}

float_step! {
    step_f64, F64Op, f64, u64, u64,
    remainder libm::remainder, erf libm::erf,
    list list::get_f64, list::set_f64,
    GlobalLoadF64 GlobalStoreF64 GlobalLoadIndirectF64 GlobalStoreIndirectF64
    ConstF64Zero ConstF64 ListGetF64 ListSetF64 SelectF64 SwitchF64
    AddF64 SubF64 MulF64 DivF64 RemF64 FmaF64 AbsF64 NegF64
    CeilF64 FloorF64 RoundF64 RoundF64Even MinF64 MaxF64
    AtanF64 Atan2F64 CosF64 SinF64 ExpF64 Exp2F64 Expm1F64
    LogF64 Log10F64 Log1pF64 Log2F64 PowF64 RsqrtF64 SqrtF64
    TanhF64 ErfF64
    CmpEqF64O CmpEqF64U CmpNeF64O CmpNeF64U CmpLtF64O CmpLtF64U CmpLteF64O CmpLteF64U
    CmpNanF64 BufferLoadF64 BufferStoreF64 BufferFillF64;
    TruncF64F32 => |cpu| cpu.unary(|a: f64| a as f32);
    ExtF32F64 => |cpu| cpu.unary(|a: f32| f64::from(a));
    CastSi32F64 => |cpu| cpu.unary(|a: i32| f64::from(a));
    CastUi32F64 => |cpu| cpu.unary(|a: u32| f64::from(a));
    CastF64Si32 => |cpu| cpu.unary(convert::f64_to_i32);
    CastF64Ui32 => |cpu| cpu.unary(convert::f64_to_u32);
    CastSi64F64 => |cpu| cpu.unary(|a: i64| a as f64);
    CastUi64F64 => |cpu| cpu.unary(|a: u64| a as f64);
    CastF64Si64 => |cpu| cpu.unary(convert::f64_to_i64);
    CastF64Ui64 => |cpu| cpu.unary(convert::f64_to_u64);
    BitcastI64F64 => |cpu| cpu.unary(|a: u64| a);
    BitcastF64I64 => |cpu| cpu.unary(|a: u64| a);
}

/// Whether either operand of a comparison is NaN.
#[inline(always)]
fn unordered(left: bool, right: bool) -> bool {
    left | right
}

#[cold]
fn unassigned(byte: u8) -> Status {
    status!(Internal, "opcode 0x{byte:02X} after a float prefix passed the verifier")
}
