//! Libraries that are part of the process: found by name, registered once.
#![allow(unsafe_code, reason = "a linked-in library as a C compiler would make it")]

use std::ffi::{CStr, c_char, c_int};
use std::sync::Arc;

use weft_cpu::abi::*;
use weft_cpu::loader::{Bundled, LoaderOptions, Loaders};
use weft_cpu::native::NativeLibrary;
use weft_hal::{ExecutableParams, FunctionId};
use weft_sync::Code;

use crate::samples::*;

/// Tables in static memory, as C has them: the pointers lead to other statics.
struct Static<T>(T);
// SAFETY: never written; what the pointers lead to are statics that are never written either.
unsafe impl<T> Sync for Static<T> {}

const NAME: &CStr = c"linked_in";
static HEADER: Static<LibraryHeader> =
    Static(LibraryHeader { version: 6, name: NAME.as_ptr(), features: 0, sanitizer: 0 });
static NAMES: Static<[*const c_char; 1]> = Static([c"store_seven".as_ptr()]);
static ATTRIBUTES: [DispatchAttributes; 1] = [DispatchAttributes {
    flags: 0,
    local_memory_pages: 0,
    constant_count: 0,
    binding_count: 1,
    workgroup_size_x: 0,
    workgroup_size_y: 0,
    workgroup_size_z: 0,
    parameter_count: 0,
    reserved: [0; 5],
}];
static FUNCTIONS: [Option<KernelFunction>; 1] = [Some(store_seven)];
static TABLE: Static<LibraryTable> = Static(LibraryTable {
    header: &raw const HEADER.0,
    imports: ImportTable { count: 0, symbols: std::ptr::null() },
    exports: ExportTable {
        count: 1,
        functions: &raw const FUNCTIONS as *const Option<KernelFunction>,
        attributes: &raw const ATTRIBUTES as *const DispatchAttributes,
        parameters: std::ptr::null(),
        occupancy: std::ptr::null(),
        names: &raw const NAMES.0 as *const *const c_char,
        tags: std::ptr::null(),
        parameter_names: std::ptr::null(),
        source_locations: std::ptr::null(),
        stage_locations: std::ptr::null(),
    },
    constants: ConstantTable { count: 0 },
    sources: SourceTable { count: 0, files: std::ptr::null() },
});
static NEWER_HEADER: Static<LibraryHeader> =
    Static(LibraryHeader { version: 7, name: NAME.as_ptr(), features: 0, sanitizer: 0 });
static NEWER_HEADER_POINTER: Static<[*const LibraryHeader; 16]> = Static([&raw const NEWER_HEADER.0; 16]);

macro_rules! psabi {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $body:block)*) => { $(
        #[cfg(target_arch = "x86_64")]
        unsafe extern "sysv64" fn $name($($argument: $type),*) -> $result $body
        #[cfg(not(target_arch = "x86_64"))]
        unsafe extern "C" fn $name($($argument: $type),*) -> $result $body
    )* };
}

psabi! {
    fn store_seven(_e: *const Environment, dispatch: *const DispatchState, _w: *const WorkgroupState) -> c_int {
        // SAFETY: the device's own structure.
        let bindings = unsafe { (*dispatch).binding_pointers };
        // SAFETY: one binding, as the attributes say.
        let binding = unsafe { *bindings };
        // SAFETY: the test's buffer has four bytes.
        unsafe { binding.cast::<u32>().write(7) };
        0
    }
    fn query(version: u32, _environment: *const Environment) -> *const LibraryTable {
        if version == 6 { &raw const TABLE.0 } else { std::ptr::null() }
    }
    fn query_nothing(_version: u32, _environment: *const Environment) -> *const LibraryTable {
        std::ptr::null()
    }
    fn query_newer(_version: u32, _environment: *const Environment) -> *const LibraryTable {
        (&raw const NEWER_HEADER_POINTER.0).cast()
    }
}

fn loaders(bundled: Bundled) -> Loaders {
    Loaders::new(LoaderOptions { bundled, ..LoaderOptions::default() })
}

/// [exec 34]
#[test]
fn linked_in_libraries_are_found_with_and_without_a_trailing_nul() {
    let mut bundled = Bundled::new();
    // SAFETY: a library in static memory.
    unsafe { bundled.register_query(query) }.unwrap();
    let loaders = loaders(bundled);
    for name in ["linked_in", "linked_in\0"] {
        let executable = front(loaders.load(&params("static", name.as_bytes())).unwrap());
        let mut bindings = [Bytes::zeroed(4)];
        Run::new("store_seven", [1, 1, 1]).on(&executable, &mut bindings).unwrap();
        assert_eq!(bindings[0].u32s(), [7]);
        assert_eq!(executable.parameters(FunctionId(0), 1).unwrap_err().code(), Code::Unavailable);
    }
    let status = loaders.load(&params("static", b"linked_in\0\0")).unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let status = loaders.load(&params("static", b"linked_on")).unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("linked_on") && status.message().contains("[linked_in]"), "{status}");
    assert_eq!(loaders.load(&params("static", &[0xFF])).unwrap_err().code(), Code::InvalidArgument);
}

/// [exec 34] [exec 2]
#[test]
fn names_are_registered_once_and_versions_must_fit() {
    let mut bundled = Bundled::new();
    // SAFETY: libraries in static memory.
    let mut register = |query| unsafe { bundled.register_query(query) };
    register(query).unwrap();
    assert_eq!(register(query).unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(register(query_nothing).unwrap_err().code(), Code::Unavailable);
    assert_eq!(register(query_newer).unwrap_err().code(), Code::FailedPrecondition);
    let native = Arc::new(NativeLibrary::stateless("linked_in").build());
    assert_eq!(bundled.register(native).unwrap_err().code(), Code::AlreadyExists);
    let native = Arc::new(NativeLibrary::stateless("other").build());
    bundled.register(native).unwrap();
    let loaders = loaders(bundled);
    for format in ["static", "weft-native"] {
        loaders.load(&params(format, b"other")).unwrap();
    }
}

/// [exec 55]
#[test]
fn linked_in_libraries_get_constants_that_they_do_not_declare() {
    let mut bundled = Bundled::new();
    // SAFETY: a library in static memory.
    unsafe { bundled.register_query(query) }.unwrap();
    let params = ExecutableParams { constants: &[4, 5], ..params("static", b"linked_in") };
    assert_eq!(loaders(bundled).load(&params).unwrap().constants(), [4, 5]);
}
