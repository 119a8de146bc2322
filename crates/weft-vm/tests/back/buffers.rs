//! Buffer instructions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::*;
use weft_vm::module_builder::ModuleBuilder;
use weft_vm::{Buffer, BufferOrigin, BytecodeModule, Instance, ModuleBytes, Ref, SharedBytes, Value};

fn buffer(bytes: &[u8]) -> Ref {
    let buffer = Buffer::allocate(bytes.len() as u64, 0).expect("allocated");
    buffer.write(0, bytes).expect("inside");
    Ref::new(Arc::new(buffer))
}

fn rodata(bytes: &[u8]) -> Ref {
    Ref::new(Arc::new(Buffer::from_bytes(bytes)))
}

fn bytes_of(reference: &Ref) -> Vec<u8> {
    reference.get::<Buffer>().expect("a buffer").bytes().into_owned()
}

/// Runs one instruction on buffers `%r0`, `%r1` and 64-bit numbers `%i0:1`, `%i2:3`, `%i4:5`.
fn op(text: &str, result: &str, buffers: [&Ref; 2], numbers: [i64; 3]) -> Result<Vec<Value>> {
    let letters: String = result
        .split(',')
        .filter(|part| !part.is_empty())
        .map(|part| match part {
            part if part.contains('r') => 'r',
            part if part.contains(':') => 'I',
            _ => 'i',
        })
        .collect();
    let cconv = format!("0rrIII_{}", if letters.is_empty() { "v" } else { &letters });
    let mut arguments = buffers.map(r).to_vec();
    arguments.extend(numbers.map(l));
    run(&cconv, &format!("{text} \n vm.return {result}"), &arguments)
}

/// [vm 102]
#[test]
fn compare_alloc_clone() {
    let (a, b) = (buffer(b"hello world"), buffer(b"hello there"));
    let compare = "%i6 = vm.buffer.compare %r0, %i0:1, %r1, %i2:3, %i4:5";
    for (numbers, equal) in [([0, 0, 6], 1), ([0, 0, 7], 0), ([6, 6, 0], 1), ([11, 11, 0], 1), ([2, 2, 3], 1)]
    {
        assert_eq!(op(compare, "%i6", [&a, &b], numbers).expect("compared"), [i(equal)], "{numbers:?}");
    }
    for numbers in [[0, 0, 12], [12, 0, 0], [0, 12, 0], [-1, 0, 2], [0, 11, 1]] {
        assert_eq!(code(op(compare, "%i6", [&a, &b], numbers)), Code::OutOfRange, "{numbers:?}");
    }
    let alloc = "%i6 = vm.const.i32 16 \n %r2 = vm.buffer.alloc %i0:1, %i6 \n %i8:9 = vm.buffer.length %r2";
    for length in [0, 1, 100, 5000] {
        let results = op(alloc, "%r2,%i8:9", [&a, &b], [length, 0, 0]).expect("allocated");
        let Value::Ref(Some(made)) = &results[0] else { panic!("{results:?}") };
        assert_eq!((bytes_of(made), &results[1]), (vec![0; length as usize], &l(length)));
        assert!(made.get::<Buffer>().is_some_and(|made| made.is_mutable() && made.access_bits() == 5));
    }
    let clone = "%i6 = vm.const.i32.zero \n %r2 = vm.buffer.clone %r0, %i0:1, %i2:3, %i6";
    for (offset, length) in [(0, 11), (6, 5), (11, 0), (3, 0)] {
        let results = op(clone, "%r2", [&rodata(b"hello world"), &b], [offset, length, 0]).expect("cloned");
        let Value::Ref(Some(made)) = &results[0] else { panic!("{results:?}") };
        assert_eq!(bytes_of(made), b"hello world"[offset as usize..][..length as usize]);
        assert!(made.get::<Buffer>().is_some_and(Buffer::is_mutable));
    }
    for (offset, length) in [(0, 12), (12, 0), (6, 6), (-1, 1), (1, -1)] {
        assert_eq!(code(op(clone, "%r2", [&a, &b], [offset, length, 0])), Code::OutOfRange);
    }
}

/// [vm 103] Also with offsets and lengths that would wrap.
#[test]
fn copies() {
    let copy = "vm.buffer.copy %r0, %i0:1, %r1, %i2:3, %i4:5";
    let source = buffer(b"0123456789abcdef");
    for (numbers, expected) in [
        ([0, 0, 16], "0123456789abcdef"),
        ([4, 0, 4], "4567............"),
        ([0, 12, 4], "............0123"),
        ([16, 16, 0], "................"),
        ([3, 5, 7], ".....3456789...."),
    ] {
        let target = buffer(b"................");
        op(copy, "", [&source, &target], numbers).expect("copied");
        assert_eq!(bytes_of(&target), expected.as_bytes(), "{numbers:?}");
    }
    for numbers in
        [[17, 0, 0], [8, 0, 9], [0, 17, 0], [0, 8, 9], [-1, 0, 12], [0, -1, 12], [0, 0, -1], [-8, 0, 8]]
    {
        let target = buffer(b"................");
        assert_eq!(code(op(copy, "", [&source, &target], numbers)), Code::OutOfRange, "{numbers:?}");
        assert_eq!(bytes_of(&target), b"................", "nothing is written");
    }
    let fixed = rodata(b"................");
    assert_eq!(code(op(copy, "", [&source, &fixed], [0, 0, 4])), Code::PermissionDenied);
    assert_eq!(code(op(copy, "", [&source, &fixed], [0, 99, 4])), Code::PermissionDenied);
}

/// [vm 103] Overlapping ranges of one buffer, both directions, larger than what is moved at once.
#[test]
fn overlapping_copies() {
    let copy = "vm.buffer.copy %r0, %i0:1, %r1, %i2:3, %i4:5";
    let original: Vec<u8> = (0..3000_u32).map(|index| (index * 7 % 251) as u8).collect();
    for (from, to, length) in [(0, 1, 2999), (1, 0, 2999), (100, 700, 2000), (700, 100, 2000), (5, 5, 100)] {
        let shared = buffer(&original);
        op(copy, "", [&shared, &shared], [from, to, length]).expect("copied");
        let mut expected = original.clone();
        expected.copy_within(from as usize..(from + length) as usize, to as usize);
        assert_eq!(bytes_of(&shared), expected, "{from} {to} {length}");
    }
}

/// [vm 104]
#[test]
fn fills_count_elements() {
    for (width, text, pattern) in [
        (1, "%i6 = vm.const.i32 0x1FF \n vm.buffer.fill.i8 %r0, %i0:1, %i2:3, %i6", vec![0xFF]),
        (2, "%i6 = vm.const.i32 0x11234 \n vm.buffer.fill.i16 %r0, %i0:1, %i2:3, %i6", vec![0x34, 0x12]),
        (
            4,
            "%i6 = vm.const.i32 0x12345678 \n vm.buffer.fill.i32 %r0, %i0:1, %i2:3, %i6",
            vec![0x78, 0x56, 0x34, 0x12],
        ),
        (
            8,
            "%i6:7 = vm.const.i64 0x102030405060708 \n vm.buffer.fill.i64 %r0, %i0:1, %i2:3, %i6:7",
            vec![8, 7, 6, 5, 4, 3, 2, 1],
        ),
        (4, "%i6 = vm.const.f32 1.0 \n vm.buffer.fill.f32 %r0, %i0:1, %i2:3, %i6", vec![0, 0, 0x80, 0x3F]),
        (
            8,
            "%i6:7 = vm.const.f64 1.0 \n vm.buffer.fill.f64 %r0, %i0:1, %i2:3, %i6:7",
            vec![0, 0, 0, 0, 0, 0, 0xF0, 0x3F],
        ),
    ] {
        let target = buffer(&[9; 8 * 9]);
        let elements = 72 / width;
        op(text, "", [&target, &target], [1, elements - 2, 0]).expect("filled");
        let mut expected = vec![9; width as usize];
        expected.extend(pattern.repeat(elements as usize - 2));
        expected.extend(vec![9; width as usize]);
        assert_eq!(bytes_of(&target), expected, "{text}");
        op(text, "", [&target, &target], [elements, 0, 0]).expect("nothing at the end");
        for (offset, length) in
            [(elements, 1), (0, elements + 1), (elements + 1, 0), (-1, 1), (1, -1), (1 << 61, 1)]
        {
            assert_eq!(
                code(op(text, "", [&target, &target], [offset, length, 0])),
                Code::OutOfRange,
                "{text}"
            );
        }
        let fixed = rodata(&[0; 16]);
        assert_eq!(code(op(text, "", [&fixed, &fixed], [0, 1, 0])), Code::PermissionDenied);
        assert_eq!(code(op(text, "", [&fixed, &fixed], [0, 99, 0])), Code::PermissionDenied);
        // Bytes after the last whole element cannot be reached.
        let odd = buffer(&[9; 21]);
        assert_eq!(code(op(text, "", [&odd, &odd], [21 / width, 1, 0])), Code::OutOfRange);
    }
}

/// [vm 105]
#[test]
fn loads_and_stores() {
    let source = buffer(&[0x80, 0xFF, 0x34, 0x92, 1, 2, 3, 4, 0, 0, 0xC0, 0x3F, 0, 0, 0x80, 0xBF]);
    for (text, result, index, expected) in [
        ("%i6 = vm.buffer.load.i8.u %r0, %i0:1", "%i6", 0, i(0x80)),
        ("%i6 = vm.buffer.load.i8.s %r0, %i0:1", "%i6", 0, i(-128)),
        ("%i6 = vm.buffer.load.i8.s %r0, %i0:1", "%i6", 15, i(0xBF - 256)),
        ("%i6 = vm.buffer.load.i16.u %r0, %i0:1", "%i6", 1, i(0x9234)),
        ("%i6 = vm.buffer.load.i16.s %r0, %i0:1", "%i6", 1, i(0x9234 - 0x10000)),
        ("%i6 = vm.buffer.load.i32 %r0, %i0:1", "%i6", 1, i(0x0403_0201)),
        ("%i6:7 = vm.buffer.load.i64 %r0, %i0:1", "%i6:7", 1, l(0xBF80_0000_3FC0_0000_u64 as i64)),
        ("%i8 = vm.buffer.load.f32 %r0, %i0:1 \n %i6 = vm.cast.f32.si32 %i8", "%i6", 2, i(2)),
        (
            "%i8:9 = vm.buffer.load.f64 %r0, %i0:1 \n %i6:7 = vm.bitcast.f64.i64 %i8:9",
            "%i6:7",
            1,
            l(0xBF80_0000_3FC0_0000_u64 as i64),
        ),
    ] {
        for source in [&source, &rodata(&bytes_of(&source))] {
            assert_eq!(
                op(text, result, [source, source], [index, 0, 0]).expect("loaded"),
                std::slice::from_ref(&expected),
                "{text}"
            );
        }
        let width = [("i8", 1), ("i16", 2), ("i32", 4), ("f32", 4), ("i64", 8), ("f64", 8)];
        let width = width.iter().find(|(kind, _)| text.contains(&format!("load.{kind}"))).expect("known").1;
        for outside in [16 / width, -1, i64::MAX, i64::MIN, 1 << 61] {
            assert_eq!(
                code(op(text, result, [&source, &source], [outside, 0, 0])),
                Code::OutOfRange,
                "{text} {outside}"
            );
        }
    }
    for (text, width) in [
        ("%i8 = vm.const.i32 0x11223344 \n vm.buffer.store.i8 %i8, %r0, %i0:1", 1),
        ("%i8 = vm.const.i32 0x11223344 \n vm.buffer.store.i16 %i8, %r0, %i0:1", 2),
        ("%i8 = vm.const.i32 0x11223344 \n vm.buffer.store.i32 %i8, %r0, %i0:1", 4),
        ("%i8:9 = vm.const.i64 0x5566778811223344 \n vm.buffer.store.i64 %i8:9, %r0, %i0:1", 8),
        (
            "%i8 = vm.const.i32 0x11223344 \n %i8 = vm.bitcast.i32.f32 %i8 \n vm.buffer.store.f32 %i8, %r0, %i0:1",
            4,
        ),
        (
            "%i8:9 = vm.const.i64 0x5566778811223344 \n %i8:9 = vm.bitcast.i64.f64 %i8:9 \n vm.buffer.store.f64 %i8:9, %r0, %i0:1",
            8,
        ),
    ] {
        let target = buffer(&[0; 16]);
        let last = 16 / width - 1;
        op(text, "", [&target, &target], [last, 0, 0]).expect("the last element");
        let mut expected = vec![0; 16 - width as usize];
        expected.extend(&[0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55][..width as usize]);
        assert_eq!(bytes_of(&target), expected, "{text}");
        for outside in [last + 1, -1, 1 << 61] {
            assert_eq!(code(op(text, "", [&target, &target], [outside, 0, 0])), Code::OutOfRange, "{text}");
        }
        let fixed = rodata(&[0; 16]);
        assert_eq!(code(op(text, "", [&fixed, &fixed], [0, 0, 0])), Code::PermissionDenied);
        assert_eq!(
            code(op(text, "", [&fixed, &fixed], [99, 0, 0])),
            Code::PermissionDenied,
            "rights come first"
        );
        assert_eq!(bytes_of(&target), expected, "nothing else is written");
    }
}

/// [vm 106]
#[test]
fn alignments_and_lengths() {
    let text = "%r2 = vm.buffer.alloc %i0:1, %i2";
    let any = buffer(b"");
    let alloc = |length: i64, alignment: i64| op(text, "%r2", [&any, &any], [length, alignment, 0]);
    for alignment in [0, 1, 16, 64, 1 << 20] {
        let results = alloc(100, alignment).expect("allocated");
        let Value::Ref(Some(made)) = &results[0] else { panic!("{results:?}") };
        let address = made.get::<Buffer>().expect("a buffer").base().addr().get() as i64;
        assert_eq!(address % alignment.max(16), 0);
    }
    for alignment in [3, 48, -1, -16] {
        assert_eq!(code(alloc(100, alignment)), Code::InvalidArgument, "{alignment}");
    }
    for length in [-1, 1 << 50, i64::MIN, i64::MAX] {
        assert_eq!(code(alloc(length, 0)), Code::ResourceExhausted, "{length}");
    }
    let clone = "%r2 = vm.buffer.clone %r0, %i0:1, %i0:1, %i2";
    assert_eq!(code(op(clone, "%r2", [&any, &any], [0, 3, 0])), Code::InvalidArgument);
}

/// [vm 107]
#[test]
fn hashes() {
    let text = "%i6:7 = vm.buffer.hash %r0, %i0:1, %i2:3";
    let counting: Vec<u8> = (0..2000).map(|index| index as u8).collect();
    let (mutable, fixed) = (buffer(&counting), rodata(&counting));
    for (length, hash) in [
        (0, 0x726F_DB47_DD0E_0E31),
        (5, 0x1876_5564_CD99_A68D),
        (16, 0x3F2A_CC7F_57C2_9BDB),
        (25, 0xBCE1_92DE_8A85_B8EA),
        (32, 0x7127_512F_72F2_7CCE_u64),
    ] {
        for source in [&mutable, &fixed] {
            let found = op(text, "%i6:7", [source, source], [0, length, 0]).expect("hashed");
            assert_eq!(found, [l(hash as i64)], "{length}");
        }
    }
    // A range is hashed as if it stood alone, at any offset and beyond what is moved at once.
    let alone = buffer(&counting[300..1900]);
    let whole = op(text, "%i6:7", [&alone, &alone], [0, 1600, 0]).expect("hashed");
    assert_eq!(op(text, "%i6:7", [&mutable, &mutable], [300, 1600, 0]).expect("hashed"), whole);
    for (offset, length) in [(0, 2001), (2001, 0), (-1, 1), (1, -1)] {
        assert_eq!(code(op(text, "%i6:7", [&mutable, &mutable], [offset, length, 0])), Code::OutOfRange);
    }
}

/// [vm 108]
#[test]
fn every_instruction_wants_a_buffer() {
    let good = buffer(b"0123456789abcdef");
    let token = Live::default().token();
    let texts = [
        "%i6 = vm.buffer.load.i8.u %r0, %i0:1",
        "%i6:7 = vm.buffer.load.i64 %r0, %i0:1",
        "%i8 = vm.buffer.load.f32 %r0, %i0:1",
        "vm.buffer.store.i16 %i0, %r0, %i0:1",
        "vm.buffer.store.f64 %i0:1, %r0, %i0:1",
        "vm.buffer.fill.i32 %r0, %i0:1, %i2:3, %i0",
        "%i6:7 = vm.buffer.length %r0",
        "%i6:7 = vm.buffer.hash %r0, %i0:1, %i2:3",
        "%r2 = vm.buffer.clone %r0, %i0:1, %i2:3, %i0",
        "vm.buffer.copy %r0, %i0:1, %r1, %i2:3, %i4:5",
        "vm.buffer.copy %r1, %i0:1, %r0, %i2:3, %i4:5",
        "%i6 = vm.buffer.compare %r0, %i0:1, %r1, %i2:3, %i4:5",
        "%i6 = vm.buffer.compare %r1, %i0:1, %r0, %i2:3, %i4:5",
    ];
    for text in texts {
        let function = function("0rrIII_v", &format!("{text} \n vm.return"));
        for bad in [Value::NULL, r(&token)] {
            let arguments = [bad, r(&good), l(99), l(99), l(99)];
            assert_eq!(code(function.call(&arguments)), Code::InvalidArgument, "{text}");
        }
    }
}

/// [vm 109] Bytes of the host are released once, after the last buffer.
#[test]
fn borrowed_bytes_are_released_once() {
    struct Owner(Vec<u8>, Arc<AtomicUsize>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Owner {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let released = Arc::new(AtomicUsize::new(0));
    let owner: SharedBytes = Arc::new(Owner(b"0123456789".to_vec(), released.clone()));
    assert_eq!(code(Buffer::shared(owner.clone(), 5..11, BufferOrigin::Host)), Code::OutOfRange);
    let buffer = Buffer::shared(owner, 2..6, BufferOrigin::Host).expect("inside");
    assert_eq!((buffer.bytes().into_owned(), buffer.access_bits()), (b"2345".to_vec(), 8));
    assert_eq!(code(buffer.write(0, b"x")), Code::PermissionDenied);
    let reference = Ref::new(Arc::new(buffer));
    let passed = run("0r_r", "vm.return %r0", &[r(&reference)]).expect("passed");
    drop(reference);
    assert_eq!(released.load(Ordering::SeqCst), 0);
    drop(passed);
    assert_eq!(released.load(Ordering::SeqCst), 1);
}

/// [vm 109] [vm 12] A constant keeps the archive's bytes, not the module; without one nothing does.
#[test]
fn constants_keep_their_archive() {
    struct Archive(Vec<u8>, Arc<AtomicUsize>);
    impl AsRef<[u8]> for Archive {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Archive {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let builder = ModuleBuilder::new("m").rodata(b"constant").function(
        "f",
        "0v_r",
        "%r0 = vm.const.ref.rodata 0 \n vm.return %r0",
    );
    let bytes = builder.build().expect("built");
    for take in [true, false] {
        let released = Arc::new(AtomicUsize::new(0));
        let shared = ModuleBytes::shared(Arc::new(Archive(bytes.clone(), released.clone())));
        let instance = Instance::new();
        let module = BytecodeModule::load(&instance, shared).expect("loads");
        let context = weft_vm::Context::new(&instance, vec![module.into()]).expect("made");
        let constant = take.then(|| context.function("m.f").expect("f").call(&[]).expect("taken"));
        drop(context);
        assert_eq!(released.load(Ordering::SeqCst), usize::from(!take));
        if let Some(constant) = constant {
            let [Value::Ref(Some(buffer))] = &constant[..] else { panic!("{constant:?}") };
            let buffer = buffer.get::<Buffer>().expect("a buffer");
            assert_eq!((&*buffer.bytes(), buffer.access_bits()), (&b"constant"[..], 2));
        }
        assert_eq!(released.load(Ordering::SeqCst), 1, "released with the last reference");
    }
}
