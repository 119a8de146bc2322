//! C layouts of the executable library interface, version 6 (`docs/spec/executables.md` §1).
//!
//! What lives here: every structure that compiled kernels read or publish, with its size and offsets asserted, and the
//! function types that cross the border. What does not: reading such structures from a loaded image (`loader/graph.rs`)
//! and calling kernels (`dispatch.rs`).
//!
//! Rules that the machine code relies on (§1.9):
//! 1. The three arguments of a kernel are non-null, 16-byte aligned, readable as a whole and do not overlap anything
//!    that the kernel may write. [`CacheLine`] gives each a line of its own.
//! 2. They do not change during a call.

use std::ffi::{c_char, c_int, c_void};
use std::mem::offset_of;

/// The one version of the interface that is spoken: the query function must be asked for exactly this number.
pub const LIBRARY_VERSION: u32 = 6;
/// Versions that may be asked for, newest first.
pub const LIBRARY_VERSIONS: [u32; 1] = [LIBRARY_VERSION];
/// Symbol of the query function in shared objects.
pub const QUERY_SYMBOL: &str = "iree_hal_executable_library_query";
/// Bytes in one page of workgroup local memory.
pub const LOCAL_MEMORY_PAGE_BYTES: u32 = 4096;
/// Push constants that one dispatch may carry.
pub const CONSTANT_COUNT_MAX: usize = 64;
/// Bindings that one dispatch may carry.
pub const BINDING_COUNT_MAX: usize = 64;
/// Alignment of every binding pointer: code generation emits aligned 512-bit accesses.
pub const BINDING_ALIGNMENT: usize = 64;
/// Feature words that kernels are told.
pub const PROCESSOR_WORD_COUNT: usize = 8;

/// Declares function pointer types in the convention of the embedded ELF psABI: System V on x86-64 whatever the host,
/// the platform convention elsewhere (there they agree).
macro_rules! psabi_types {
    ($($(#[$doc:meta])* $name:ident = fn($($argument:ty),*) -> $result:ty;)*) => { $(
        $(#[$doc])*
        #[cfg(target_arch = "x86_64")]
        pub type $name = unsafe extern "sysv64" fn($($argument),*) -> $result;
        $(#[$doc])*
        #[cfg(not(target_arch = "x86_64"))]
        pub type $name = unsafe extern "C" fn($($argument),*) -> $result;
    )* };
}

/// Defines a function in that convention.
macro_rules! psabi_fn {
    ($(#[$doc:meta])* $visibility:vis unsafe fn $name:ident $([$($generics:tt)*])? (
        $($argument:ident: $type:ty),* $(,)?
    ) -> $result:ty $body:block) => {
        $(#[$doc])*
        #[cfg(target_arch = "x86_64")]
        $visibility unsafe extern "sysv64" fn $name $(<$($generics)*>)? ($($argument: $type),*) -> $result $body
        $(#[$doc])*
        #[cfg(not(target_arch = "x86_64"))]
        $visibility unsafe extern "C" fn $name $(<$($generics)*>)? ($($argument: $type),*) -> $result $body
    };
}
pub(crate) use psabi_fn;

psabi_types! {
    /// Runs one workgroup. 0 = done; anything else fails the dispatch and is never read as a status code.
    KernelFunction = fn(*const Environment, *const DispatchState, *const WorkgroupState) -> c_int;
    /// Answers with the library table for exactly the version asked for, or null.
    QueryFunction = fn(u32, *const Environment) -> *const LibraryTable;
    /// The function through which kernels make all import calls: `(import, params, context, reserved)`.
    ImportThunk = fn(ImportFunction, *mut c_void, *const c_void, *mut c_void) -> c_int;
}

/// A function that kernels import: `(params, context, reserved) -> 0 or failure`, in the platform's C convention.
pub type ImportFunction = unsafe extern "C" fn(*mut c_void, *const c_void, *mut c_void) -> c_int;

/// What all kernels of one executable share. Its address is stable for the executable's life.
///
/// * `constants` – specialization constants, owned by the executable; null if there are none.
/// * `import_*`  – parallel arrays by import ordinal, owned by the executable; a null function is an absent optional import.
/// * `processor` – feature words (`features.rs`), all zero = unknown.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Environment {
    /// Specialization constants.
    pub constants: *const u32,
    /// Null if the executable imports nothing.
    pub import_thunk: Option<ImportThunk>,
    /// Import functions by ordinal.
    pub import_functions: *const Option<ImportFunction>,
    /// Import contexts by ordinal.
    pub import_contexts: *const *const c_void,
    /// Feature words.
    pub processor: [u64; PROCESSOR_WORD_COUNT],
}

/// What all workgroups of one dispatch share.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug)]
pub struct DispatchState {
    /// Resolved workgroup size, never 0.
    pub workgroup_size_x: u32,
    /// Resolved workgroup size, never 0.
    pub workgroup_size_y: u32,
    /// Resolved workgroup size, never 0.
    pub workgroup_size_z: u16,
    /// Number of push constants.
    pub constant_count: u16,
    /// Grid.
    pub workgroup_count_x: u32,
    /// Grid.
    pub workgroup_count_y: u32,
    /// Grid.
    pub workgroup_count_z: u16,
    /// Estimate of concurrent workgroups, at least 1, saturated at 255.
    pub max_concurrency: u8,
    /// Number of bindings.
    pub binding_count: u8,
    /// Push constants; may be null if there are none.
    pub constants: *const u32,
    /// Data pointers of the bindings, each 64-byte aligned and non-null.
    pub binding_pointers: *const *mut c_void,
    /// Lengths of the bindings in bytes; always valid.
    pub binding_lengths: *const usize,
}

/// What one workgroup is told; private to the call.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug)]
pub struct WorkgroupState {
    /// `0..count_x`
    pub workgroup_id_x: u32,
    /// `0..count_y`
    pub workgroup_id_y: u32,
    /// `0..count_z`
    pub workgroup_id_z: u16,
    /// Zero.
    pub reserved: u16,
    /// Logical processor of the calling thread; advisory.
    pub processor_id: u32,
    /// Scratch, 64-byte aligned; null if none was asked for.
    pub local_memory: *mut c_void,
    /// Bytes of scratch, at least what was asked for.
    pub local_memory_size: u32,
    /// Zero; named so that the whole structure is initialised.
    pub padding: u32,
}

/// Start of a library table.
#[repr(C)]
#[derive(Debug)]
pub struct LibraryHeader {
    /// One of [`LIBRARY_VERSIONS`].
    pub version: u32,
    /// NUL-terminated name.
    pub name: *const c_char,
    /// No bit is defined; unknown bits fail the load.
    pub features: u32,
    /// 0 none, 1 address, 2 memory, 3 thread, 4 undefined.
    pub sanitizer: u32,
}

/// What the query function publishes.
#[repr(C)]
#[derive(Debug)]
pub struct LibraryTable {
    /// Header.
    pub header: *const LibraryHeader,
    /// Imports.
    pub imports: ImportTable,
    /// Exports, as arrays by ordinal.
    pub exports: ExportTable,
    /// Specialization constants.
    pub constants: ConstantTable,
    /// Embedded source files.
    pub sources: SourceTable,
}

/// Specialization constants. Padded to 8 bytes, as the next table starts aligned.
#[repr(C, align(8))]
#[derive(Debug)]
pub struct ConstantTable {
    /// How many are read. Compilers declare 0 even when the code reads some.
    pub count: u32,
}

/// Embedded source files.
#[repr(C)]
#[derive(Debug)]
pub struct SourceTable {
    /// Number of files.
    pub count: u32,
    /// Files.
    pub files: *const SourceFile,
}

/// Names of imports.
#[repr(C)]
#[derive(Debug)]
pub struct ImportTable {
    /// Number of names.
    pub count: u32,
    /// NUL-terminated names; a leading `?` marks an optional import.
    pub symbols: *const *const c_char,
}

/// Exports by ordinal. Pointers of unused tables may be null.
#[repr(C)]
#[derive(Debug)]
pub struct ExportTable {
    /// Number of exports.
    pub count: u32,
    /// Functions; required.
    pub functions: *const Option<KernelFunction>,
    /// Attributes; required.
    pub attributes: *const DispatchAttributes,
    /// For each export null or its parameters.
    pub parameters: *const *const Parameter,
    /// Reserved.
    pub occupancy: *const u32,
    /// Names; required.
    pub names: *const *const c_char,
    /// For each export null or text for traces.
    pub tags: *const *const c_char,
    /// Strings by parameter name ordinal.
    pub parameter_names: *const *const c_char,
    /// Where each export comes from.
    pub source_locations: *const SourceLocation,
    /// Where each export comes from, by compilation stage.
    pub stage_locations: *const StageLocations,
}

/// How an export wants to be dispatched.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DispatchAttributes {
    /// [`SEQUENTIAL`](Self::SEQUENTIAL), [`WORKGROUP_SIZE_DYNAMIC`](Self::WORKGROUP_SIZE_DYNAMIC).
    pub flags: u64,
    /// Static local memory in pages of [`LOCAL_MEMORY_PAGE_BYTES`].
    pub local_memory_pages: u16,
    /// Push constants, at most 64.
    pub constant_count: u8,
    /// Bindings, at most 64.
    pub binding_count: u8,
    /// 0 = unspecified.
    pub workgroup_size_x: u32,
    /// 0 = unspecified.
    pub workgroup_size_y: u32,
    /// 0 = unspecified.
    pub workgroup_size_z: u16,
    /// Entries of the parameter table.
    pub parameter_count: u16,
    /// Zero.
    pub reserved: [u64; 5],
}

impl DispatchAttributes {
    /// Neighbouring workgroups touch neighbouring data.
    pub const SEQUENTIAL: u64 = 1;
    /// `workgroup_size_*` is a minimum and a granularity.
    pub const WORKGROUP_SIZE_DYNAMIC: u64 = 2;

    /// The declared workgroup size, 0 where unspecified.
    pub fn workgroup_size(&self) -> [u32; 3] {
        [self.workgroup_size_x, self.workgroup_size_y, u32::from(self.workgroup_size_z)]
    }
}

/// One logical parameter of an export.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// 0 constant, 1 binding, 2 raw pointer in the constants.
    pub kind: u8,
    /// Bytes without padding.
    pub size: u8,
    /// None defined.
    pub flags: u16,
    /// Ordinal in the parameter names; [`UNNAMED`](Self::UNNAMED) if it has none.
    pub name: u16,
    /// Byte offset in the constants, or binding ordinal.
    pub offset: u16,
}

impl Parameter {
    /// `name` of a parameter without a name.
    pub const UNNAMED: u16 = 0xFFFF;
}

/// A line in a source file.
#[repr(C)]
#[derive(Debug)]
pub struct SourceLocation {
    /// Line number.
    pub line: u32,
    /// Bytes of the path without the NUL.
    pub path_length: u32,
    /// Path.
    pub path: *const c_char,
}

/// Source locations of one export by compilation stage.
#[repr(C)]
#[derive(Debug)]
pub struct StageLocations {
    /// Number of stages.
    pub count: u32,
    /// Stage names, ascending.
    pub names: *const *const c_char,
    /// Locations, one for each name.
    pub locations: *const SourceLocation,
}

/// An embedded source file.
#[repr(C)]
#[derive(Debug)]
pub struct SourceFile {
    /// Bytes of the path without the NUL.
    pub path_length: u32,
    /// Path.
    pub path: *const c_char,
    /// Bytes of the content.
    pub content_length: u32,
    /// Content, any bytes.
    pub content: *const u8,
}

/// A value on a cache line (or several) of its own.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct CacheLine<T>(pub T);

/// Asserts the size of a structure and the offsets of its fields.
macro_rules! assert_layout {
    ($type:ty, $size:literal, $($field:ident @ $offset:literal),* $(,)?) => {
        #[cfg(target_pointer_width = "64")]
        const _: () = {
            assert!(size_of::<$type>() == $size);
            $(assert!(offset_of!($type, $field) == $offset);)*
        };
    };
}

assert_layout!(Environment, 96, constants @ 0, import_thunk @ 8, import_functions @ 16, import_contexts @ 24,
    processor @ 32);
assert_layout!(DispatchState, 48, workgroup_size_x @ 0, workgroup_size_y @ 4, workgroup_size_z @ 8,
    constant_count @ 10, workgroup_count_x @ 12, workgroup_count_y @ 16, workgroup_count_z @ 20,
    max_concurrency @ 22, binding_count @ 23, constants @ 24, binding_pointers @ 32, binding_lengths @ 40);
assert_layout!(WorkgroupState, 32, workgroup_id_x @ 0, workgroup_id_y @ 4, workgroup_id_z @ 8, reserved @ 10,
    processor_id @ 12, local_memory @ 16, local_memory_size @ 24, padding @ 28);
assert_layout!(LibraryHeader, 24, version @ 0, name @ 8, features @ 16, sanitizer @ 20);
assert_layout!(LibraryTable, 128, header @ 0, imports @ 8, exports @ 24, constants @ 104, sources @ 112);
assert_layout!(ConstantTable, 8, count @ 0);
assert_layout!(SourceTable, 16, count @ 0, files @ 8);
assert_layout!(ImportTable, 16, count @ 0, symbols @ 8);
assert_layout!(ExportTable, 80, count @ 0, functions @ 8, attributes @ 16, parameters @ 24, occupancy @ 32,
    names @ 40, tags @ 48, parameter_names @ 56, source_locations @ 64, stage_locations @ 72);
assert_layout!(DispatchAttributes, 64, flags @ 0, local_memory_pages @ 8, constant_count @ 10, binding_count @ 11,
    workgroup_size_x @ 12, workgroup_size_y @ 16, workgroup_size_z @ 20, parameter_count @ 22, reserved @ 24);
assert_layout!(Parameter, 8, kind @ 0, size @ 1, flags @ 2, name @ 4, offset @ 6);
assert_layout!(SourceLocation, 16, line @ 0, path_length @ 4, path @ 8);
assert_layout!(StageLocations, 24, count @ 0, names @ 8, locations @ 16);
assert_layout!(SourceFile, 32, path_length @ 0, path @ 8, content_length @ 16, content @ 24);
const _: () = assert!(align_of::<Environment>() >= 16);
const _: () = assert!(align_of::<DispatchState>() >= 16);
const _: () = assert!(align_of::<WorkgroupState>() >= 16);
const _: () = assert!(align_of::<CacheLine<WorkgroupState>>() == 64);
