//! Tables that a library might publish, built by hand, good and corrupt. No code is involved: addresses are numbers.

use weft_cpu::loader::graph::{ImageMemory, ImageRange, Library, read_header, read_library};
use weft_sync::{Code, Result};

use crate::patch::{Numbers, put32, put64};

const BASE: u64 = 0x1000_0000;
const CODE: u64 = 0x2000_0000;
const SIZE: usize = 8192;

// Where each part of the good table stands.
const HEADER: usize = 128;
const FUNCTIONS: usize = 160;
const ATTRIBUTES: usize = 192;
const NAMES: usize = 320;
const PARAMETERS: usize = 336;
const PARAMETERS_0: usize = 352;
const PARAMETER_NAMES: usize = 368;
const TAGS: usize = 384;
const LOCATIONS: usize = 400;
const STAGES: usize = 432;
const STAGE_LOCATIONS: usize = 488;
const IMPORTS: usize = 504;
const TEXT: usize = 1024;
/// A run of letters up to the last byte of the image.
const ENDLESS: usize = 3000;

const TABLE_EXPORT_COUNT: usize = 24;

fn at(offset: usize) -> u64 {
    BASE + offset as u64
}

/// A table with two exports and two imports, each field in use.
fn good() -> Vec<u8> {
    let mut image = vec![0; SIZE];
    let strings = ["library", "alpha", "beta", "tag", "in", "hand.c", "needed", "?wanted"];
    let mut text = [0; 8];
    let mut cursor = TEXT;
    for (slot, string) in text.iter_mut().zip(strings) {
        *slot = at(cursor);
        image[cursor..cursor + string.len()].copy_from_slice(string.as_bytes());
        cursor += string.len() + 1;
    }
    image[ENDLESS..].fill(b'x');
    let [library, alpha, beta, tag, input, path, needed, wanted] = text;
    put64(&mut image, 0, at(HEADER));
    put32(&mut image, 8, 2);
    put64(&mut image, 16, at(IMPORTS));
    put32(&mut image, TABLE_EXPORT_COUNT, 2);
    let arrays = [FUNCTIONS, ATTRIBUTES, PARAMETERS, 0, NAMES, TAGS, PARAMETER_NAMES, LOCATIONS, STAGES];
    for (index, offset) in arrays.into_iter().enumerate() {
        put64(&mut image, 32 + 8 * index, if offset == 0 { 0 } else { at(offset) });
    }
    put32(&mut image, HEADER, 6);
    put64(&mut image, HEADER + 8, library);
    put64(&mut image, FUNCTIONS, CODE);
    put64(&mut image, FUNCTIONS + 8, CODE + 63);
    image[ATTRIBUTES + 10] = 64;
    image[ATTRIBUTES + 11] = 64;
    image[ATTRIBUTES + 22] = 2;
    put64(&mut image, NAMES, alpha);
    put64(&mut image, NAMES + 8, beta);
    put64(&mut image, PARAMETERS, at(PARAMETERS_0));
    image[PARAMETERS_0] = 1;
    image[PARAMETERS_0 + 12..PARAMETERS_0 + 14].fill(0xFF);
    put64(&mut image, PARAMETER_NAMES, input);
    put64(&mut image, TAGS, tag);
    for location in [LOCATIONS, LOCATIONS + 16, STAGE_LOCATIONS] {
        put32(&mut image, location, location as u32);
        put32(&mut image, location + 4, 6);
        put64(&mut image, location + 8, path);
    }
    put32(&mut image, STAGES, 1);
    put64(&mut image, STAGES + 16, at(STAGE_LOCATIONS));
    put64(&mut image, IMPORTS, needed);
    put64(&mut image, IMPORTS + 8, wanted);
    image
}

fn read_with(image: &[u8], verify: bool) -> Result<Library> {
    let code = [0xCC; 64];
    let memory = ImageMemory::new(vec![
        ImageRange { address: BASE, bytes: image, executable: false },
        ImageRange { address: CODE, bytes: &code, executable: true },
    ]);
    read_library(&memory, BASE, verify)
}

fn read(image: &[u8]) -> Result<Library> {
    read_with(image, true)
}

#[test]
fn a_good_table_is_read_whole() {
    let library = read(&good()).unwrap();
    assert_eq!((&*library.name, library.sanitizer, library.constant_count), ("library", 0, 0));
    assert_eq!(library.functions, [CODE, CODE + 63]);
    let imports: Vec<_> = library.imports.iter().map(|import| (&*import.name, import.optional)).collect();
    assert_eq!(imports, [("needed", false), ("wanted", true)]);
    let [alpha, beta] = &library.exports[..] else { panic!("two exports") };
    assert_eq!((&*alpha.name, &*beta.name), ("alpha", "beta"));
    assert_eq!((alpha.attributes.constant_count, alpha.attributes.binding_count), (64, 64));
    let names: Vec<_> = alpha.parameters.as_ref().unwrap().iter().map(|parameter| &*parameter.name).collect();
    assert_eq!(names, ["in", ""]);
    assert_eq!(beta.parameters, None);
    assert_eq!((alpha.tag.as_deref(), beta.tag.as_deref()), (Some("tag"), None));
    let line = |export: &weft_cpu::executable::Export| export.location.as_ref().unwrap().line;
    assert_eq!((line(alpha), line(beta)), (STAGE_LOCATIONS as u32, LOCATIONS as u32 + 16));
}

/// What is wrong, where, the 64-bit value that makes it so, and the answer.
type Row = (&'static str, usize, u64, Code);

const OUTSIDE: u64 = BASE + SIZE as u64;
/// Eight bytes from here on are half inside.
const ON_THE_EDGE: u64 = OUTSIDE - 4;

const CORRUPT: &[Row] = &[
    ("no header", 0, 0, Code::FailedPrecondition),
    ("header outside", 0, OUTSIDE, Code::FailedPrecondition),
    ("header half outside", 0, OUTSIDE - 16, Code::FailedPrecondition),
    ("header misaligned", 0, BASE + 129, Code::FailedPrecondition),
    ("header at the end of the address space", 0, u64::MAX - 7, Code::FailedPrecondition),
    ("older version", HEADER, 5, Code::FailedPrecondition),
    ("newer version", HEADER, 7, Code::FailedPrecondition),
    ("unknown features", HEADER + 16, 1, Code::Unavailable),
    ("name outside", HEADER + 8, OUTSIDE, Code::FailedPrecondition),
    ("name in unmapped space", HEADER + 8, 1, Code::FailedPrecondition),
    ("import count", 8, 4097, Code::ResourceExhausted),
    ("imports past the image", 8, 4096, Code::FailedPrecondition),
    ("import names outside", 16, OUTSIDE, Code::FailedPrecondition),
    ("import name outside", IMPORTS + 8, OUTSIDE, Code::FailedPrecondition),
    ("too many exports", TABLE_EXPORT_COUNT, 65536, Code::FailedPrecondition),
    ("exports past the image", TABLE_EXPORT_COUNT, 65535, Code::FailedPrecondition),
    ("no functions", 32, 0, Code::FailedPrecondition),
    ("functions outside", 32, OUTSIDE, Code::FailedPrecondition),
    ("functions misaligned", 32, BASE + 164, Code::FailedPrecondition),
    ("function missing", FUNCTIONS + 8, 0, Code::FailedPrecondition),
    ("function in data", FUNCTIONS + 8, BASE, Code::FailedPrecondition),
    ("function past the code", FUNCTIONS + 8, CODE + 64, Code::FailedPrecondition),
    ("no attributes", 40, 0, Code::FailedPrecondition),
    ("attributes outside", 40, OUTSIDE, Code::FailedPrecondition),
    ("attributes half outside", 40, OUTSIDE - 32, Code::FailedPrecondition),
    ("attributes wrap", 40, u64::MAX - 7, Code::FailedPrecondition),
    ("65 constants", ATTRIBUTES + 8, 65 << 16, Code::OutOfRange),
    ("65 bindings", ATTRIBUTES + 8, 65 << 24, Code::OutOfRange),
    ("parameters outside", 48, OUTSIDE, Code::FailedPrecondition),
    ("parameter array outside", PARAMETERS, OUTSIDE, Code::FailedPrecondition),
    ("parameter array half outside", PARAMETERS, OUTSIDE - 8, Code::FailedPrecondition),
    ("no names", 64, 0, Code::FailedPrecondition),
    ("names outside", 64, OUTSIDE, Code::FailedPrecondition),
    ("names half outside", 64, ON_THE_EDGE, Code::FailedPrecondition),
    ("name missing", NAMES, 0, Code::FailedPrecondition),
    ("name empty", NAMES, BASE + TEXT as u64 - 8, Code::FailedPrecondition),
    ("export name outside", NAMES + 8, OUTSIDE, Code::FailedPrecondition),
    ("export name unterminated", NAMES + 8, OUTSIDE - 1000, Code::FailedPrecondition),
    ("export name too long", NAMES + 8, BASE + ENDLESS as u64, Code::ResourceExhausted),
    ("tags outside", 72, OUTSIDE, Code::FailedPrecondition),
    ("tag outside", TAGS, OUTSIDE, Code::FailedPrecondition),
    ("parameter names outside", 80, OUTSIDE, Code::FailedPrecondition),
    ("parameter name outside", PARAMETER_NAMES, OUTSIDE, Code::FailedPrecondition),
    ("locations outside", 88, OUTSIDE, Code::FailedPrecondition),
    ("path outside", LOCATIONS + 24, OUTSIDE - 5, Code::FailedPrecondition),
    ("path too long", LOCATIONS + 16, 4097 << 32, Code::ResourceExhausted),
    ("stages outside", 96, OUTSIDE, Code::FailedPrecondition),
    ("stage locations outside", STAGES + 16, OUTSIDE, Code::FailedPrecondition),
    ("stage path outside", STAGE_LOCATIONS + 8, OUTSIDE, Code::FailedPrecondition),
];

/// [exec 2] [exec 8] [exec 9] [exec 25]
#[test]
fn corrupt_tables_are_refused() {
    for (what, offset, value, code) in CORRUPT {
        let mut image = good();
        put64(&mut image, *offset, *value);
        match read(&image) {
            Ok(_) => panic!("{what}: read"),
            Err(status) => assert_eq!(status.code(), *code, "{what}: {status}"),
        }
    }
    assert_eq!(read_with(&[], true).unwrap_err().code(), Code::FailedPrecondition);
}

/// [exec 8]
#[test]
fn without_verification_only_consistency_is_not_checked() {
    let let_pass = ["no attributes", "65 constants", "65 bindings", "no names", "name missing", "name empty"];
    for (what, offset, value, code) in CORRUPT {
        let mut image = good();
        put64(&mut image, *offset, *value);
        let outcome = read_with(&image, false);
        match let_pass.contains(what) {
            true => drop(outcome.unwrap_or_else(|status| panic!("{what}: {status}"))),
            false => assert_eq!(outcome.err().map(|status| status.code()), Some(*code), "{what}"),
        }
    }
}

/// [exec 10]
#[test]
fn pointers_of_empty_arrays_are_not_looked_at() {
    let mut image = good();
    put32(&mut image, 8, 0);
    put64(&mut image, 16, OUTSIDE);
    put32(&mut image, STAGES, 0);
    put64(&mut image, STAGES + 8, 3);
    put64(&mut image, STAGES + 16, OUTSIDE);
    put32(&mut image, 112, 0);
    put64(&mut image, 120, OUTSIDE);
    image[ATTRIBUTES + 22] = 0;
    put64(&mut image, PARAMETERS, OUTSIDE);
    let library = read(&image).unwrap();
    assert_eq!(library.imports, []);
    assert_eq!(library.exports[0].parameters.as_deref(), Some(&[][..]));
    put32(&mut image, TABLE_EXPORT_COUNT, 0);
    for index in 0..9 {
        put64(&mut image, 32 + 8 * index, OUTSIDE);
    }
    assert!(read(&image).unwrap().exports.is_empty());
}

/// [exec 26]
#[test]
fn shared_tables_cannot_blow_up_memory() {
    // Many exports that share one long parameter array and one long name: small in the image, large when copied.
    let mut image = vec![0; 8 << 20];
    image[..SIZE].copy_from_slice(&good());
    let count = 30_000_u32;
    put32(&mut image, TABLE_EXPORT_COUNT, count);
    let (functions, attributes, names, parameters, shared) =
        (0x10_000, 0x100_000, 0x400_000, 0x500_000, 0x600_000);
    for (field, offset) in [(32, functions), (40, attributes), (48, parameters), (64, names)] {
        put64(&mut image, field, at(offset));
    }
    for field in [72, 88, 96] {
        put64(&mut image, field, 0);
    }
    for index in 0..count as usize {
        put64(&mut image, functions + 8 * index, CODE);
        image[attributes + 64 * index + 22..attributes + 64 * index + 24].fill(0xFF);
        put64(&mut image, names + 8 * index, at(TEXT));
        put64(&mut image, parameters + 8 * index, at(shared));
    }
    assert_eq!(read(&image).unwrap_err().code(), Code::ResourceExhausted);
}

/// [exec 25] [exec 26]
#[test]
fn random_tables_never_panic() {
    let mut numbers = Numbers(0x0123_4567_89AB_CDEF);
    let good = good();
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut image = good.clone();
        for _ in 0..=numbers.below(3) {
            let offset = 8 * numbers.below(65);
            let value = match numbers.below(4) {
                0 => numbers.next(),
                1 => at(numbers.below(SIZE)),
                2 => OUTSIDE.wrapping_sub(numbers.below(128) as u64),
                _ => numbers.next() & 0xFFFF,
            };
            put64(&mut image, offset, value);
        }
        accepted += usize::from(read_with(&image, numbers.below(2) == 0).is_ok());
        let memory = ImageMemory::new(vec![ImageRange { address: BASE, bytes: &image, executable: false }]);
        drop(read_header(&memory, at(numbers.below(SIZE))));
    }
    assert!(accepted > 500, "{accepted} of 20000 accepted");
}
