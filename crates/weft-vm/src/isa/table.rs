//! The opcode table: one row an instruction, three sets.
//!
//! A row is `byte Variant "mnemonic" "fields" [terminator] "meaning";`. The fields are written in the notation of
//! `docs/spec/vm-bytecode.md` §10.4, so that a row can be laid beside the specification's; a test does exactly
//! that. Everything else that weft knows about an opcode's shape is made from these rows by `isa.rs`.
//!
//! What an instruction *does* is not here: see `ops/`.

/// Calls `$callback!` with every row of the core set.
macro_rules! for_each_core_op {
    ($callback:ident) => {
        $callback! {
            0x00 GlobalLoadI32 "global.load.i32" "goff >i32"
                "res ← 4 bytes of rwdata at the immediate offset (verified)";
            0x01 GlobalStoreI32 "global.store.i32" "goff i32"
                "4 bytes of rwdata at the immediate offset ← value";
            0x02 GlobalLoadIndirectI32 "global.load.indirect.i32" "i32 >i32"
                "res ← 4 bytes of rwdata at u32(offset reg); OOB → OUT_OF_RANGE";
            0x03 GlobalStoreIndirectI32 "global.store.indirect.i32" "i32 i32"
                "4 bytes of rwdata at u32(offset reg) ← value; OOB → OUT_OF_RANGE";
            0x04 GlobalLoadI64 "global.load.i64" "goff >i64"
                "res ← 8 bytes of rwdata at the immediate offset (verified)";
            0x05 GlobalStoreI64 "global.store.i64" "goff i64"
                "8 bytes of rwdata at the immediate offset ← value";
            0x06 GlobalLoadIndirectI64 "global.load.indirect.i64" "i32 >i64"
                "res ← 8 bytes of rwdata at u32(offset reg); OOB → OUT_OF_RANGE";
            0x07 GlobalStoreIndirectI64 "global.store.indirect.i64" "i32 i64"
                "8 bytes of rwdata at u32(offset reg) ← value; OOB → OUT_OF_RANGE";
            0x08 GlobalLoadRef "global.load.ref" "gref type >refM"
                "res ← copy of ref global (MOVE on res: take, leaving null); type-checked";
            0x09 GlobalStoreRef "global.store.ref" "gref type refM"
                "ref global ← value (copy, or take if MOVE); old value released; type-checked";
            0x0A GlobalLoadIndirectRef "global.load.indirect.ref" "i32 type >refM"
                "as global.load.ref with u32(reg) as ordinal; OOB → OUT_OF_RANGE";
            0x0B GlobalStoreIndirectRef "global.store.indirect.ref" "i32 type refM"
                "as global.store.ref with u32(reg) as ordinal; OOB → OUT_OF_RANGE";
            0x0C ConstI32Zero "const.i32.zero" ">i32" "res ← 0";
            0x0D ConstI32 "const.i32" "imm32 >i32" "res ← immediate";
            0x0E ConstI64Zero "const.i64.zero" ">i64" "res ← 0";
            0x0F ConstI64 "const.i64" "imm64 >i64" "res ← immediate";
            0x10 ConstRefZero "const.ref.zero" ">refM" "res ← null (old value released)";
            0x11 ConstRefRodata "const.ref.rodata" "rod >refM" "res ← read-only buffer over rodata segment";
            0x12 ListAlloc "list.alloc" "type i32 >refM"
                "res ← new empty list of element type, capacity ≥ u32(capacity)";
            0x13 ListReserve "list.reserve" "ref i32" "ensure capacity ≥ u32(n); size unchanged";
            0x14 ListSize "list.size" "ref >i32" "res ← element count";
            0x15 ListResize "list.resize" "ref i32"
                "truncate (release tail) or extend with zero/null to u32(n)";
            0x16 ListGetI32 "list.get.i32" "ref i32 >i32" "res ← list[u32(index)] converted to i32";
            0x17 ListSetI32 "list.set.i32" "ref i32 i32"
                "list[u32(index)] ← value converted to the element type";
            0x18 ListGetI64 "list.get.i64" "ref i32 >i64" "res ← list[u32(index)] converted to i64";
            0x19 ListSetI64 "list.set.i64" "ref i32 i64"
                "list[u32(index)] ← value converted to the element type";
            0x1A ListGetRef "list.get.ref" "ref i32 type >refM"
                "res ← list[u32(index)] (MOVE on res: take); other type → null, no error";
            0x1B ListSetRef "list.set.ref" "ref i32 refM" "list[u32(index)] ← value (take if MOVE)";
            0x1C SelectI32 "select.i32" "i32 i32 i32 >i32" "res ← cond ≠ 0 ? 1st value : 2nd value";
            0x1D SelectI64 "select.i64" "i32 i64 i64 >i64" "res ← cond ≠ 0 ? 1st value : 2nd value";
            0x1E SelectRef "select.ref" "i32 type refM refM >refM"
                "cond, type, true, false: res ← chosen (type-checked)";
            0x1F SwitchI32 "switch.i32" "i32 i32 regs:i32 >i32"
                "index, default, values: res ← values[index] if 0 ≤ index < n, else default";
            0x20 SwitchI64 "switch.i64" "i32 i64 regs:i64 >i64"
                "index, default, values: res ← values[index] if 0 ≤ index < n, else default";
            0x21 SwitchRef "switch.ref" "i32 type refM regs:refM >refM"
                "index, type, default, values: res ← chosen (type-checked)";
            0x22 AddI32 "add.i32" "i32 i32 >i32" "wrapping add mod 2^32";
            0x23 SubI32 "sub.i32" "i32 i32 >i32" "1st − 2nd, wrapping";
            0x24 MulI32 "mul.i32" "i32 i32 >i32" "wrapping multiply";
            0x25 DivI32S "div.i32.s" "i32 i32 >i32"
                "signed quotient toward zero; division by zero is an error; MIN÷−1 = MIN";
            0x26 DivI32U "div.i32.u" "i32 i32 >i32" "unsigned quotient; division by zero is an error";
            0x27 RemI32S "rem.i32.s" "i32 i32 >i32"
                "signed remainder, sign of dividend; division by zero is an error; MIN rem −1 = 0";
            0x28 RemI32U "rem.i32.u" "i32 i32 >i32" "unsigned remainder; division by zero is an error";
            0x29 FmaI32 "fma.i32" "i32 i32 i32 >i32" "1st·2nd + 3rd, wrapping";
            0x2A AddI64 "add.i64" "i64 i64 >i64" "wrapping add mod 2^64";
            0x2B SubI64 "sub.i64" "i64 i64 >i64" "1st − 2nd, wrapping";
            0x2C MulI64 "mul.i64" "i64 i64 >i64" "wrapping multiply";
            0x2D DivI64S "div.i64.s" "i64 i64 >i64"
                "signed quotient toward zero; division by zero is an error; MIN÷−1 = MIN";
            0x2E DivI64U "div.i64.u" "i64 i64 >i64" "unsigned quotient; division by zero is an error";
            0x2F RemI64S "rem.i64.s" "i64 i64 >i64"
                "signed remainder, sign of dividend; division by zero is an error; MIN rem −1 = 0";
            0x30 RemI64U "rem.i64.u" "i64 i64 >i64" "unsigned remainder; division by zero is an error";
            0x31 FmaI64 "fma.i64" "i64 i64 i64 >i64" "1st·2nd + 3rd, wrapping";
            0x32 NotI32 "not.i32" "i32 >i32" "bitwise complement";
            0x33 AndI32 "and.i32" "i32 i32 >i32" "bitwise and";
            0x34 OrI32 "or.i32" "i32 i32 >i32" "bitwise or";
            0x35 XorI32 "xor.i32" "i32 i32 >i32" "bitwise xor";
            0x36 NotI64 "not.i64" "i64 >i64" "bitwise complement";
            0x37 AndI64 "and.i64" "i64 i64 >i64" "bitwise and";
            0x38 OrI64 "or.i64" "i64 i64 >i64" "bitwise or";
            0x39 XorI64 "xor.i64" "i64 i64 >i64" "bitwise xor";
            0x3A ShlI32 "shl.i32" "i32 i32 >i32" "operand << (amount & 31)";
            0x3B ShrI32S "shr.i32.s" "i32 i32 >i32" "arithmetic operand >> (amount & 31)";
            0x3C ShrI32U "shr.i32.u" "i32 i32 >i32" "logical operand >> (amount & 31)";
            0x3D ShlI64 "shl.i64" "i64 i32 >i64" "operand << (amount & 63)";
            0x3E ShrI64S "shr.i64.s" "i64 i32 >i64" "arithmetic operand >> (amount & 63)";
            0x3F ShrI64U "shr.i64.u" "i64 i32 >i64" "logical operand >> (amount & 63)";
            0x40 TruncI32I8 "trunc.i32.i8" "i32 >i32" "res ← operand & 0xFF (zero-extended)";
            0x41 TruncI32I16 "trunc.i32.i16" "i32 >i32" "res ← operand & 0xFFFF (zero-extended)";
            0x42 TruncI64I32 "trunc.i64.i32" "i64 >i32" "res ← low 32 bits";
            0x43 ExtI8I32S "ext.i8.i32.s" "i32 >i32" "sign-extend low 8 bits";
            0x44 ExtI8I32U "ext.i8.i32.u" "i32 >i32" "zero-extend low 8 bits";
            0x45 ExtI16I32S "ext.i16.i32.s" "i32 >i32" "sign-extend low 16 bits";
            0x46 ExtI16I32U "ext.i16.i32.u" "i32 >i32" "zero-extend low 16 bits";
            0x47 ExtI32I64S "ext.i32.i64.s" "i32 >i64" "sign-extend";
            0x48 ExtI32I64U "ext.i32.i64.u" "i32 >i64" "zero-extend";
            0x49 CmpEqI32 "cmp.eq.i32" "i32 i32 >i32" "res ← 1st = 2nd (1/0)";
            0x4A CmpNeI32 "cmp.ne.i32" "i32 i32 >i32" "res ← 1st ≠ 2nd (1/0)";
            0x4B CmpLtI32S "cmp.lt.i32.s" "i32 i32 >i32" "res ← signed 1st < 2nd (1/0)";
            0x4C CmpLtI32U "cmp.lt.i32.u" "i32 i32 >i32" "res ← unsigned 1st < 2nd (1/0)";
            0x4D CmpNzI32 "cmp.nz.i32" "i32 >i32" "res ← operand ≠ 0 (1/0)";
            0x4E CmpEqI64 "cmp.eq.i64" "i64 i64 >i32" "res ← 1st = 2nd (1/0)";
            0x4F CmpNeI64 "cmp.ne.i64" "i64 i64 >i32" "res ← 1st ≠ 2nd (1/0)";
            0x50 CmpLtI64S "cmp.lt.i64.s" "i64 i64 >i32" "res ← signed 1st < 2nd (1/0)";
            0x51 CmpLtI64U "cmp.lt.i64.u" "i64 i64 >i32" "res ← unsigned 1st < 2nd (1/0)";
            0x52 CmpNzI64 "cmp.nz.i64" "i64 >i32" "res ← operand ≠ 0 (1/0)";
            0x53 CmpEqRef "cmp.eq.ref" "ref ref >i32" "res ← same object, or both null (1/0)";
            0x54 CmpNeRef "cmp.ne.ref" "ref ref >i32" "res ← not cmp.eq.ref";
            0x55 CmpNzRef "cmp.nz.ref" "ref >i32" "res ← operand not null (1/0)";
            0x56 Br "br" "pc remap" terminator "remap, go to block";
            0x57 CondBr "cond_br" "i32 pc remap pc remap" terminator
                "cond ≠ 0 → 1st target with its remap, else 2nd";
            0x58 Call "call" "func regs >regs" "call internal function or import";
            0x59 CallVariadic "call.variadic" "func segs regs >regs" "call import with segment sizes";
            0x5A Return "return" "regs" terminator "return values in result order";
            0x5B Fail "fail" "i32 str" terminator "raise status code with message";
            0x5C ImportResolved "import.resolved" "func >i32"
                "res ← 1 if import is bound else 0; ordinal must carry the import bit";
            0x5D Yield "yield" "pc remap" terminator "remap, resume point := block, suspend the invocation";
            0x5E Trace "trace" "str regs" "no effect in the reference; operands with MOVE are released";
            0x5F Print "print" "str regs" "no effect in the reference; operands with MOVE are released";
            0x60 CondBreak "cond_break" "i32 pc remap" terminator
                "(debugger break if cond ≠ 0: no-op) remap and go to block";
            0x61 Break "break" "pc remap" terminator "(debugger break: no-op) remap and go to block";
            0x62 BufferLoadI8U "buffer.load.i8.u" "ref i64 >i32"
                "res ← zero-extended 8-bit element at u64(offset)";
            0x63 BufferLoadI8S "buffer.load.i8.s" "ref i64 >i32"
                "res ← sign-extended 8-bit element at u64(offset)";
            0x64 BufferLoadI16U "buffer.load.i16.u" "ref i64 >i32"
                "res ← zero-extended 16-bit element at u64(offset)";
            0x65 BufferLoadI16S "buffer.load.i16.s" "ref i64 >i32"
                "res ← sign-extended 16-bit element at u64(offset)";
            0x66 BufferLoadI32 "buffer.load.i32" "ref i64 >i32" "res ← 32-bit element at u64(offset)";
            0x67 BufferLoadI64 "buffer.load.i64" "ref i64 >i64" "res ← 64-bit element at u64(offset)";
            0x68 BufferStoreI8 "buffer.store.i8" "ref i64 i32"
                "element at u64(offset) ← low 8 bits of value";
            0x69 BufferStoreI16 "buffer.store.i16" "ref i64 i32"
                "element at u64(offset) ← low 16 bits of value";
            0x6A BufferStoreI32 "buffer.store.i32" "ref i64 i32"
                "element at u64(offset) ← 32 bits of value";
            0x6B BufferStoreI64 "buffer.store.i64" "ref i64 i64"
                "element at u64(offset) ← 64 bits of value";
            0x6C BufferAlloc "buffer.alloc" "i64 i32 >refM"
                "byte length, alignment: res ← new zeroed mutable buffer";
            0x6D BufferClone "buffer.clone" "ref i64 i64 i32 >refM"
                "source, byte offset, byte length, alignment: res ← new mutable copy";
            0x6E BufferLength "buffer.length" "ref >i64" "res ← byte length";
            0x6F BufferCopy "buffer.copy" "ref i64 ref i64 i64"
                "source, byte offset, target, byte offset, byte length";
            0x70 BufferCompare "buffer.compare" "ref i64 ref i64 i64 >i32"
                "lhs, byte offset, rhs, byte offset, byte length: res ← equal (1/0)";
            0x71 BufferFillI8 "buffer.fill.i8" "ref i64 i64 i32"
                "buffer, offset, length, value (element units): elements ← low 8 bits of value";
            0x72 BufferFillI16 "buffer.fill.i16" "ref i64 i64 i32"
                "buffer, offset, length, value (element units): elements ← low 16 bits of value";
            0x73 BufferFillI32 "buffer.fill.i32" "ref i64 i64 i32"
                "buffer, offset, length, value (element units): elements ← 32 bits of value";
            0x74 BufferFillI64 "buffer.fill.i64" "ref i64 i64 i64"
                "buffer, offset, length, value (element units): elements ← 64 bits of value";
            0x75 CtlzI32 "ctlz.i32" "i32 >i32" "leading zero bits; 0 → 32";
            0x76 CtlzI64 "ctlz.i64" "i64 >i64" "leading zero bits; 0 → 64";
            0x77 AbsI32 "abs.i32" "i32 >i32" "absolute value; MIN → MIN (wraps)";
            0x78 AbsI64 "abs.i64" "i64 >i64" "absolute value; MIN → MIN (wraps)";
            0x79 Block "<block>" "" "block marker; no-op when executed";
            0x7A MinI32S "min.i32.s" "i32 i32 >i32" "signed minimum";
            0x7B MinI32U "min.i32.u" "i32 i32 >i32" "unsigned minimum";
            0x7C MaxI32S "max.i32.s" "i32 i32 >i32" "signed maximum";
            0x7D MaxI32U "max.i32.u" "i32 i32 >i32" "unsigned maximum";
            0x7E MinI64S "min.i64.s" "i64 i64 >i64" "signed minimum";
            0x7F MinI64U "min.i64.u" "i64 i64 >i64" "unsigned minimum";
            0x80 MaxI64S "max.i64.s" "i64 i64 >i64" "signed maximum";
            0x81 MaxI64U "max.i64.u" "i64 i64 >i64" "unsigned maximum";
            0x82 CastAnyRef "cast.any.ref" "refM type >refM"
                "res ← operand if null or of `type`, else INVALID_ARGUMENT";
            0x83 BrTable "br_table" "i32 pc remap cases" terminator
                "index, default target+remap, cases: case[index] if 0 ≤ index < n else default";
            0x84 BufferHash "buffer.hash" "ref i64 i64 >i64"
                "source, byte offset, byte length: res ← SipHash-2-4";
            0x85 DiscardRefs "discard.refs" "regs"
                "release each listed ref register (MOVE bit not required)";
            0x86 AssignRef "assign.ref" "refM >refM" "res ← operand (copy, or take if MOVE)";
            0x87 CallYieldable "call.yieldable" "func regs pc >regs" terminator
                "call that may suspend; continues at the block with results set";
            0x88 CallVariadicYieldable "call.variadic.yieldable" "func segs regs pc >regs" terminator
                "as call.yieldable with segment sizes; imports only";
            0xE0 PrefixF32 "<ext_f32>" "" "prefix: the next byte is an opcode of the f32 set";
            0xE1 PrefixF64 "<ext_f64>" "" "prefix: the next byte is an opcode of the f64 set";
        }
    };
}

/// Calls `$callback!` with every row of the f32 set (prefix 0xE0).
macro_rules! for_each_f32_op {
    ($callback:ident) => {
        $callback! {
            0x00 GlobalLoadF32 "global.load.f32" "goff >f32"
                "res ← 4 bytes of rwdata at the immediate offset (verified)";
            0x01 GlobalStoreF32 "global.store.f32" "goff f32"
                "4 bytes of rwdata at the immediate offset ← value";
            0x02 GlobalLoadIndirectF32 "global.load.indirect.f32" "i32 >f32"
                "res ← 4 bytes of rwdata at u32(offset reg); OOB → OUT_OF_RANGE";
            0x03 GlobalStoreIndirectF32 "global.store.indirect.f32" "i32 f32"
                "4 bytes of rwdata at u32(offset reg) ← value; OOB → OUT_OF_RANGE";
            0x04 ConstF32Zero "const.f32.zero" ">f32" "res ← 0";
            0x05 ConstF32 "const.f32" "immf32 >f32" "res ← immediate";
            0x06 ListGetF32 "list.get.f32" "ref i32 >f32" "res ← list[u32(index)] converted to f32";
            0x07 ListSetF32 "list.set.f32" "ref i32 f32"
                "list[u32(index)] ← value converted to the element type";
            0x08 SelectF32 "select.f32" "i32 f32 f32 >f32" "res ← cond ≠ 0 ? 1st value : 2nd value";
            0x09 SwitchF32 "switch.f32" "i32 f32 regs:f32 >f32"
                "index, default, values: res ← values[index] if 0 ≤ index < n, else default";
            0x0A AddF32 "add.f32" "f32 f32 >f32" "1st + 2nd";
            0x0B SubF32 "sub.f32" "f32 f32 >f32" "1st − 2nd";
            0x0C MulF32 "mul.f32" "f32 f32 >f32" "1st · 2nd";
            0x0D DivF32 "div.f32" "f32 f32 >f32" "1st / 2nd (IEEE; no trap)";
            0x0E RemF32 "rem.f32" "f32 f32 >f32"
                "IEEE remainder 1st − n·2nd, n = quotient to nearest even; 2nd=0 or 1st=±∞ → NaN";
            0x0F FmaF32 "fma.f32" "f32 f32 f32 >f32" "1st·2nd + 3rd (two roundings)";
            0x10 AbsF32 "abs.f32" "f32 >f32" "clear sign bit";
            0x11 NegF32 "neg.f32" "f32 >f32" "flip sign bit";
            0x12 CeilF32 "ceil.f32" "f32 >f32" "round toward +∞";
            0x13 FloorF32 "floor.f32" "f32 >f32" "round toward −∞";
            0x14 CastSi32F32 "cast.si32.f32" "i32 >f32" "signed 32-bit integer → f32, nearest even";
            0x15 CastUi32F32 "cast.ui32.f32" "i32 >f32" "unsigned 32-bit integer → f32, nearest even";
            0x16 CastF32Si32 "cast.f32.si32" "f32 >i32" "f32 → signed 32-bit, nearest, ties away";
            0x17 CastF32Ui32 "cast.f32.ui32" "f32 >i32" "f32 → unsigned 32-bit, nearest, ties away";
            0x18 BitcastI32F32 "bitcast.i32.f32" "i32 >f32" "same bits";
            0x19 BitcastF32I32 "bitcast.f32.i32" "f32 >i32" "same bits";
            0x1A AtanF32 "atan.f32" "f32 >f32" "arc tangent";
            0x1B Atan2F32 "atan2.f32" "f32 f32 >f32" "fields y, x: angle of (x, y)";
            0x1C CosF32 "cos.f32" "f32 >f32" "cosine";
            0x1D SinF32 "sin.f32" "f32 >f32" "sine";
            0x1E ExpF32 "exp.f32" "f32 >f32" "e^x";
            0x1F Exp2F32 "exp2.f32" "f32 >f32" "2^x";
            0x20 Expm1F32 "expm1.f32" "f32 >f32" "e^x − 1";
            0x21 LogF32 "log.f32" "f32 >f32" "natural log";
            0x22 Log10F32 "log10.f32" "f32 >f32" "log base 10";
            0x23 Log1pF32 "log1p.f32" "f32 >f32" "ln(1+x)";
            0x24 Log2F32 "log2.f32" "f32 >f32" "log base 2";
            0x25 PowF32 "pow.f32" "f32 f32 >f32" "1st ^ 2nd";
            0x26 RsqrtF32 "rsqrt.f32" "f32 >f32" "1 / sqrt(x), two roundings";
            0x27 SqrtF32 "sqrt.f32" "f32 >f32" "square root (correctly rounded)";
            0x28 TanhF32 "tanh.f32" "f32 >f32" "hyperbolic tangent";
            0x29 ErfF32 "erf.f32" "f32 >f32" "error function";
            0x2A CmpEqF32O "cmp.eq.f32.o" "f32 f32 >i32" "res ← ordered and 1st = 2nd (1/0)";
            0x2B CmpEqF32U "cmp.eq.f32.u" "f32 f32 >i32" "res ← unordered or 1st = 2nd (1/0)";
            0x2C CmpNeF32O "cmp.ne.f32.o" "f32 f32 >i32" "res ← 1st ≠ 2nd; an unordered pair gives 0";
            0x2D CmpNeF32U "cmp.ne.f32.u" "f32 f32 >i32" "res ← unordered or 1st ≠ 2nd (1/0)";
            0x2E CmpLtF32O "cmp.lt.f32.o" "f32 f32 >i32" "res ← ordered and 1st < 2nd (1/0)";
            0x2F CmpLtF32U "cmp.lt.f32.u" "f32 f32 >i32" "res ← unordered or 1st < 2nd (1/0)";
            0x30 CmpLteF32O "cmp.lte.f32.o" "f32 f32 >i32" "res ← ordered and 1st ≤ 2nd (1/0)";
            0x31 CmpLteF32U "cmp.lte.f32.u" "f32 f32 >i32" "res ← unordered or 1st ≤ 2nd (1/0)";
            0x32 CmpNanF32 "cmp.nan.f32" "f32 >i32" "res ← operand is NaN (1/0)";
            0x33 BufferLoadF32 "buffer.load.f32" "ref i64 >f32" "res ← 32-bit element at u64(offset)";
            0x34 BufferStoreF32 "buffer.store.f32" "ref i64 f32"
                "element at u64(offset) ← 32 bits of value";
            0x35 BufferFillF32 "buffer.fill.f32" "ref i64 i64 f32"
                "buffer, offset, length, value (element units): elements ← 32 bits of value";
            0x36 RoundF32 "round.f32" "f32 >f32" "round to nearest, ties away from zero";
            0x37 MinF32 "min.f32" "f32 f32 >f32" "2nd < 1st ? 2nd : 1st (so: unordered → 1st; ±0 → 1st)";
            0x38 MaxF32 "max.f32" "f32 f32 >f32" "1st < 2nd ? 2nd : 1st (so: unordered → 1st; ±0 → 1st)";
            0x39 RoundF32Even "round.f32.even" "f32 >f32" "round to nearest, ties to even";
            0x3A CastF32Si64 "cast.f32.si64" "f32 >i64" "f32 → signed 64-bit, nearest, ties away";
            0x3B CastF32Ui64 "cast.f32.ui64" "f32 >i64" "f32 → unsigned 64-bit, nearest, ties away";
            0x3C CastSi64F32 "cast.si64.f32" "i64 >f32" "signed 64-bit integer → f32, nearest even";
            0x3D CastUi64F32 "cast.ui64.f32" "i64 >f32" "unsigned 64-bit integer → f32, nearest even";
        }
    };
}

/// Calls `$callback!` with every row of the f64 set (prefix 0xE1).
macro_rules! for_each_f64_op {
    ($callback:ident) => {
        $callback! {
            0x00 GlobalLoadF64 "global.load.f64" "goff >f64"
                "res ← 8 bytes of rwdata at the immediate offset (verified)";
            0x01 GlobalStoreF64 "global.store.f64" "goff f64"
                "8 bytes of rwdata at the immediate offset ← value";
            0x02 GlobalLoadIndirectF64 "global.load.indirect.f64" "i32 >f64"
                "res ← 8 bytes of rwdata at u32(offset reg); OOB → OUT_OF_RANGE";
            0x03 GlobalStoreIndirectF64 "global.store.indirect.f64" "i32 f64"
                "8 bytes of rwdata at u32(offset reg) ← value; OOB → OUT_OF_RANGE";
            0x04 ConstF64Zero "const.f64.zero" ">f64" "res ← 0";
            0x05 ConstF64 "const.f64" "immf64 >f64" "res ← immediate";
            0x06 ListGetF64 "list.get.f64" "ref i32 >f64" "res ← list[u32(index)] converted to f64";
            0x07 ListSetF64 "list.set.f64" "ref i32 f64"
                "list[u32(index)] ← value converted to the element type";
            0x08 SelectF64 "select.f64" "i32 f64 f64 >f64" "res ← cond ≠ 0 ? 1st value : 2nd value";
            0x09 SwitchF64 "switch.f64" "i32 f64 regs:f64 >f64"
                "index, default, values: res ← values[index] if 0 ≤ index < n, else default";
            0x0A AddF64 "add.f64" "f64 f64 >f64" "1st + 2nd";
            0x0B SubF64 "sub.f64" "f64 f64 >f64" "1st − 2nd";
            0x0C MulF64 "mul.f64" "f64 f64 >f64" "1st · 2nd";
            0x0D DivF64 "div.f64" "f64 f64 >f64" "1st / 2nd (IEEE; no trap)";
            0x0E RemF64 "rem.f64" "f64 f64 >f64"
                "IEEE remainder 1st − n·2nd, n = quotient to nearest even; 2nd=0 or 1st=±∞ → NaN";
            0x0F FmaF64 "fma.f64" "f64 f64 f64 >f64" "1st·2nd + 3rd (two roundings)";
            0x10 AbsF64 "abs.f64" "f64 >f64" "clear sign bit";
            0x11 NegF64 "neg.f64" "f64 >f64" "flip sign bit";
            0x12 CeilF64 "ceil.f64" "f64 >f64" "round toward +∞";
            0x13 FloorF64 "floor.f64" "f64 >f64" "round toward −∞";
            0x14 TruncF64F32 "trunc.f64.f32" "f64 >f32" "f64 → f32, nearest even";
            0x15 ExtF32F64 "ext.f32.f64" "f32 >f64" "f32 → f64, exact";
            0x16 CastSi32F64 "cast.si32.f64" "i32 >f64" "signed 32-bit integer → f64, nearest even";
            0x17 CastUi32F64 "cast.ui32.f64" "i32 >f64" "unsigned 32-bit integer → f64, nearest even";
            0x18 CastF64Si32 "cast.f64.si32" "f64 >i32" "f64 → signed 32-bit, nearest, ties away";
            0x19 CastF64Ui32 "cast.f64.ui32" "f64 >i32" "f64 → unsigned 32-bit, nearest, ties away";
            0x1A CastSi64F64 "cast.si64.f64" "i64 >f64" "signed 64-bit integer → f64, nearest even";
            0x1B CastUi64F64 "cast.ui64.f64" "i64 >f64" "unsigned 64-bit integer → f64, nearest even";
            0x1C CastF64Si64 "cast.f64.si64" "f64 >i64" "f64 → signed 64-bit, nearest, ties away";
            0x1D CastF64Ui64 "cast.f64.ui64" "f64 >i64" "f64 → unsigned 64-bit, nearest, ties away";
            0x1E BitcastI64F64 "bitcast.i64.f64" "i64 >f64" "same bits";
            0x1F BitcastF64I64 "bitcast.f64.i64" "f64 >i64" "same bits";
            0x20 AtanF64 "atan.f64" "f64 >f64" "arc tangent";
            0x21 Atan2F64 "atan2.f64" "f64 f64 >f64" "fields y, x: angle of (x, y)";
            0x22 CosF64 "cos.f64" "f64 >f64" "cosine";
            0x23 SinF64 "sin.f64" "f64 >f64" "sine";
            0x24 ExpF64 "exp.f64" "f64 >f64" "e^x";
            0x25 Exp2F64 "exp2.f64" "f64 >f64" "2^x";
            0x26 Expm1F64 "expm1.f64" "f64 >f64" "e^x − 1";
            0x27 LogF64 "log.f64" "f64 >f64" "natural log";
            0x28 Log10F64 "log10.f64" "f64 >f64" "log base 10";
            0x29 Log1pF64 "log1p.f64" "f64 >f64" "ln(1+x)";
            0x2A Log2F64 "log2.f64" "f64 >f64" "log base 2";
            0x2B PowF64 "pow.f64" "f64 f64 >f64" "1st ^ 2nd";
            0x2C RsqrtF64 "rsqrt.f64" "f64 >f64" "1 / sqrt(x), two roundings";
            0x2D SqrtF64 "sqrt.f64" "f64 >f64" "square root (correctly rounded)";
            0x2E TanhF64 "tanh.f64" "f64 >f64" "hyperbolic tangent";
            0x2F ErfF64 "erf.f64" "f64 >f64" "error function";
            0x30 CmpEqF64O "cmp.eq.f64.o" "f64 f64 >i32" "res ← ordered and 1st = 2nd (1/0)";
            0x31 CmpEqF64U "cmp.eq.f64.u" "f64 f64 >i32" "res ← unordered or 1st = 2nd (1/0)";
            0x32 CmpNeF64O "cmp.ne.f64.o" "f64 f64 >i32" "res ← 1st ≠ 2nd; an unordered pair gives 0";
            0x33 CmpNeF64U "cmp.ne.f64.u" "f64 f64 >i32" "res ← unordered or 1st ≠ 2nd (1/0)";
            0x34 CmpLtF64O "cmp.lt.f64.o" "f64 f64 >i32" "res ← ordered and 1st < 2nd (1/0)";
            0x35 CmpLtF64U "cmp.lt.f64.u" "f64 f64 >i32" "res ← unordered or 1st < 2nd (1/0)";
            0x36 CmpLteF64O "cmp.lte.f64.o" "f64 f64 >i32" "res ← ordered and 1st ≤ 2nd (1/0)";
            0x37 CmpLteF64U "cmp.lte.f64.u" "f64 f64 >i32" "res ← unordered or 1st ≤ 2nd (1/0)";
            0x38 CmpNanF64 "cmp.nan.f64" "f64 >i32" "res ← operand is NaN (1/0)";
            0x39 BufferLoadF64 "buffer.load.f64" "ref i64 >f64" "res ← 64-bit element at u64(offset)";
            0x3A BufferStoreF64 "buffer.store.f64" "ref i64 f64"
                "element at u64(offset) ← 64 bits of value";
            0x3B BufferFillF64 "buffer.fill.f64" "ref i64 i64 f64"
                "buffer, offset, length, value (element units): elements ← 64 bits of value";
            0x3C RoundF64 "round.f64" "f64 >f64" "round to nearest, ties away from zero";
            0x3D MinF64 "min.f64" "f64 f64 >f64" "2nd < 1st ? 2nd : 1st (so: unordered → 1st; ±0 → 1st)";
            0x3E MaxF64 "max.f64" "f64 f64 >f64" "1st < 2nd ? 2nd : 1st (so: unordered → 1st; ±0 → 1st)";
            0x3F RoundF64Even "round.f64.even" "f64 >f64" "round to nearest, ties to even";
        }
    };
}

pub(crate) use {for_each_core_op, for_each_f32_op, for_each_f64_op};
