//! Calling conventions: what parses, what it counts, where values go.

use weft_sync::Code;
use weft_vm::isa::Kind::{self, F32, F64, I32, I64, Ref};
use weft_vm::signature::{Argument, PACKED_BYTES_MAX, Signature};

fn parse(text: &str) -> Signature {
    Signature::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// [vm 27]
#[test]
fn fragments() {
    for text in ["", "0", "0v_v", "0v", "0_", "0_v", "0v_"] {
        let signature = parse(text);
        assert!(signature.arguments().is_empty() && signature.results().is_empty(), "{text}");
        assert_eq!(signature.text(), text);
    }
    assert_eq!(parse("0i").argument_kinds(), Some(vec![I32]));
    assert_eq!(parse("0_i").results(), [I32]);
    let all = parse("0iIfFr_rFfIi");
    assert_eq!(all.argument_kinds(), Some(vec![I32, I64, F32, F64, Ref]));
    assert_eq!(all.results(), [Ref, F64, F32, I64, I32]);
    let spans = parse("0iICrDCiIDf_r");
    let expected = [
        Argument::Value(I32),
        Argument::Value(I64),
        Argument::Span(vec![Ref]),
        Argument::Span(vec![I32, I64]),
        Argument::Value(F32),
    ];
    assert_eq!(spans.arguments(), expected);
    for text in ["1", "1v_v", "v", "i", "9ii_i", "_", " 0v"] {
        assert_eq!(Signature::parse(text).unwrap_err().code(), Code::Unimplemented, "{text}");
    }
    for text in [
        "0x", "0i_x", "0vv", "0vi", "0iv", "0v_iv", "0i_i_i", "0C", "0Ci", "0D", "0iD", "0CCiDD", "0CiDD",
        "0CD", "0_CiD", "0CvD", "0i i", "0é", "0i_CrD", "00",
    ] {
        assert_eq!(Signature::parse(text).unwrap_err().code(), Code::InvalidArgument, "{text}");
    }
}

/// [vm 28]
#[test]
fn counting() {
    for (text, arguments, results, variadic) in [
        ("", 0, 0, false),
        ("0v_v", 0, 0, false),
        ("0rr_rI", 2, 2, false),
        ("0iICrD_i", 3, 1, true),
        ("0rIrrrICrIID_v", 7, 0, true),
        ("0rrIiiiICiDCiirIID_v", 9, 0, true),
    ] {
        let signature = parse(text);
        assert_eq!(signature.arguments().len(), arguments, "{text}");
        assert_eq!(signature.results().len(), results, "{text}");
        assert_eq!(signature.is_variadic(), variadic, "{text}");
        assert_eq!(signature.argument_kinds().is_none(), variadic, "{text}");
        assert_eq!(signature.entry_registers().is_none(), variadic, "{text}");
    }
}

/// [vm 29]
#[test]
fn packed_sizes() {
    let size = |text: &str, segments: &[u16]| parse(text).packed_arguments_size(segments);
    assert_eq!(size("0Ii", &[]).unwrap(), 16);
    assert_eq!(size("0iI", &[]).unwrap(), 16);
    assert_eq!(size("0iri", &[]).unwrap(), 32);
    for (count, bytes) in [(0, 4), (1, 8), (2, 12)] {
        assert_eq!(size("0CfD", &[count]).unwrap(), bytes);
    }
    assert_eq!(size("0CiriD", &[2]).unwrap(), 64);
    assert_eq!(size("0", &[]).unwrap(), 0);
    assert_eq!(parse("0_iI").packed_results_size().unwrap(), 16);
    assert_eq!(parse("0_v").packed_results_size().unwrap(), 0);
    for short in [&[][..], &[0xFFFF], &[0xFFFF, 0xFFFF]] {
        assert_eq!(size("0iICrD_i", short).unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(size("0iICrD_i", &[0xFFFF, 0xFFFF, 2]).unwrap(), 16 + 8 + 32);
    let most = (PACKED_BYTES_MAX - 4) / 4;
    assert_eq!(size("0CfD", &[most as u16]).unwrap(), PACKED_BYTES_MAX);
    assert_eq!(size("0CfD", &[most as u16 + 1]).unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(size("0CrDCrDCrD", &[0xFFFE; 3]).unwrap_err().code(), Code::ResourceExhausted);
    let wide = format!("0_{}", "I".repeat(PACKED_BYTES_MAX / 8));
    assert_eq!(parse(&wide).packed_results_size().unwrap(), PACKED_BYTES_MAX);
    assert_eq!(parse(&(wide + "i")).packed_results_size().unwrap_err().code(), Code::ResourceExhausted);
}

/// [vm 30]
#[test]
fn entry_registers() {
    let registers = |text: &str| -> Vec<(Kind, u32)> { parse(text).entry_registers().unwrap().registers };
    assert_eq!(registers("0iIrfI"), [(I32, 0), (I64, 2), (Ref, 0), (F32, 4), (I64, 6)]);
    // The register skipped to make a pair even stays unused.
    assert_eq!(registers("0iIiI"), [(I32, 0), (I64, 2), (I32, 4), (I64, 6)]);
    assert_eq!(registers("0fFf"), [(F32, 0), (F64, 2), (F32, 4)]);
    assert_eq!(registers("0rrir"), [(Ref, 0), (Ref, 1), (I32, 0), (Ref, 2)]);
    let entry = parse("0iIrfI").entry_registers().unwrap();
    assert_eq!((entry.value_count, entry.ref_count), (8, 1));
    let none = parse("0v_iI").entry_registers().unwrap();
    assert_eq!((none.value_count, none.ref_count), (0, 0));
}

/// [vm 31]
#[test]
fn packed_spans_do_not_overlap() {
    let offsets = |text: &str, segments: &[u16]| {
        let layout = parse(text).packed_arguments(segments).unwrap();
        (layout.offsets, layout.size)
    };
    // A count, then tuples of 4 (+4) and 16 bytes.
    assert_eq!(offsets("0CriD", &[2]), (vec![8, 24, 32, 48], 56));
    assert_eq!(offsets("0CiID", &[2]), (vec![8, 16, 24, 32], 40));
    assert_eq!(offsets("0CiID", &[3]), (vec![8, 16, 24, 32, 40, 48], 56));
    assert_eq!(offsets("0CiriD", &[2]), (vec![8, 16, 32, 36, 40, 56], 64));
    for text in ["0CriD", "0CiID", "0CirFiD", "0iCIiDf"] {
        for count in 0..9 {
            let signature = parse(text);
            let segments: Vec<u16> = signature
                .arguments()
                .iter()
                .map(|argument| if matches!(argument, Argument::Span(_)) { count } else { 0xFFFF })
                .collect();
            let layout = signature.packed_arguments(&segments).unwrap();
            let kinds = flattened(&signature, count);
            assert_eq!(kinds.len(), layout.offsets.len());
            let mut end = 0;
            for (kind, offset) in kinds.iter().zip(&layout.offsets) {
                let (size, align) = match kind {
                    I32 | F32 => (4, 4),
                    I64 | F64 => (8, 8),
                    Ref => (16, 8),
                };
                assert!(*offset >= end && offset % align == 0, "{text} × {count}: {layout:?}");
                end = offset + size;
            }
            assert!(layout.size >= end);
        }
    }
}

fn flattened(signature: &Signature, count: u16) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for argument in signature.arguments() {
        match argument {
            Argument::Value(kind) => kinds.push(*kind),
            Argument::Span(tuple) => (0..count).for_each(|_| kinds.extend(tuple)),
        }
    }
    kinds
}
