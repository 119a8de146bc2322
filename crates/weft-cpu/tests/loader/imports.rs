//! Functions that compiled kernels import: who provides them, and what a call passes.
#![allow(unsafe_code, reason = "functions that kernels call by address")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use weft_cpu::imports::{Import, ImportProvider, ImportProviders, ImportRequest};
use weft_cpu::loader::{LoaderOptions, Loaders};
use weft_hal::Executable;
use weft_sync::{Code, Result, Status, bail};

use crate::samples::*;

/// What the `call` kernel of the handmade library passes.
#[repr(C)]
struct Parameters {
    result: i32,
    argument: i32,
}

/// result = argument + the number that the context points at.
unsafe extern "C" fn add_context(
    parameters: *mut c_void,
    context: *const c_void,
    reserved: *mut c_void,
) -> c_int {
    if !reserved.is_null() {
        return 99;
    }
    // SAFETY: called by `call` of the handmade library only.
    let parameters = unsafe { &mut *parameters.cast::<Parameters>() };
    // SAFETY: every import below has a number that lives in its provider.
    let context = unsafe { &*context.cast::<AtomicU32>() };
    parameters.result = parameters.argument + context.load(Ordering::Relaxed) as i32;
    0
}

unsafe extern "C" fn fail(
    _parameters: *mut c_void,
    _context: *const c_void,
    _reserved: *mut c_void,
) -> c_int {
    77
}

/// Knows some names; the number is what its functions add.
struct Provider {
    names: &'static [&'static str],
    number: Arc<AtomicU32>,
    asked: Arc<AtomicUsize>,
    answer: fn() -> Result<()>,
}

impl Provider {
    fn new(names: &'static [&'static str], number: u32) -> Provider {
        Provider {
            names,
            number: Arc::new(AtomicU32::new(number)),
            asked: Arc::new(AtomicUsize::new(0)),
            answer: || Ok(()),
        }
    }
}

impl ImportProvider for Provider {
    fn resolve(&self, request: &mut ImportRequest<'_>) -> Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let context = Arc::as_ptr(&self.number).cast();
        request.provide_by_name(|name| {
            // SAFETY: the context lives in the provider, the function takes the parameters of `call`.
            self.names.contains(&name).then(|| unsafe { Import::new(add_context, context) })
        });
        (self.answer)()
    }
}

fn providers(list: Vec<Provider>) -> Arc<ImportProviders> {
    let providers = ImportProviders::default();
    for provider in list {
        providers.register(Arc::new(provider)).unwrap();
    }
    Arc::new(providers)
}

fn load_with(imports: Arc<ImportProviders>) -> Result<Arc<Executable>> {
    let loaders = Loaders::new(LoaderOptions { imports, ..LoaderOptions::default() });
    loaders.load(&params(EMBEDDED, HANDMADE_IMPORT)).map(front)
}

/// Results of the required and the optional import for argument 10.
fn call(executable: &Executable) -> Result<[i32; 2]> {
    let mut bindings = [Bytes::zeroed(8)];
    Run { constants: &[10], ..Run::new("call", [1, 1, 1]) }.on(executable, &mut bindings)?;
    let words = bindings[0].u32s();
    Ok([words[0] as i32, words[1] as i32])
}

/// [exec 36]
#[test]
fn a_missing_required_import_is_named() {
    let status = load_with(providers(vec![])).unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("alpha_v1"), "{status}");
    assert!(status.to_string().contains("handmade"), "{status}");
    let status = load_with(providers(vec![Provider::new(&["beta_v1", "?alpha_v1"], 1)])).unwrap_err();
    assert!(status.message().contains("alpha_v1") && !status.message().contains("beta_v1"), "{status}");
}

/// [exec 37]
#[test]
fn a_missing_optional_import_is_null() {
    let executable = load_with(providers(vec![Provider::new(&["alpha_v1"], 1)])).unwrap();
    assert_eq!(call(&executable).unwrap(), [11, -1]);
}

/// [exec 37]
#[test]
fn only_optional_imports_need_no_provider() {
    let mut data = HANDMADE_IMPORT.to_vec();
    let at = data.windows(8).position(|window| window == b"alpha_v1").unwrap();
    data[at] = b'?';
    let loaders = Loaders::new(LoaderOptions::default());
    loaders.load(&params(EMBEDDED, &data)).unwrap();
}

/// [exec 38]
#[test]
fn later_providers_win_and_partial_ones_combine() {
    let list = vec![Provider::new(&["alpha_v1", "beta_v1"], 100), Provider::new(&["alpha_v1"], 1)];
    assert_eq!(call(&load_with(providers(list)).unwrap()).unwrap(), [11, 110]);
    // A complete answer ends the scan.
    let first = Provider::new(&[], 0);
    let asked = Arc::clone(&first.asked);
    let list = vec![first, Provider::new(&["alpha_v1", "beta_v1"], 2)];
    assert_eq!(call(&load_with(providers(list)).unwrap()).unwrap(), [12, 12]);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

/// [exec 38]
#[test]
fn not_found_goes_on_and_other_failures_stop() {
    let not_found: fn() -> Result<()> = || bail!(NotFound, "not all of it");
    let partial = Provider { answer: not_found, ..Provider::new(&["beta_v1"], 5) };
    let list = vec![Provider::new(&["alpha_v1"], 3), partial];
    assert_eq!(call(&load_with(providers(list)).unwrap()).unwrap(), [13, 15]);
    // NOT_FOUND from every provider, but everything required is there in the end.
    let partial = Provider { answer: not_found, ..Provider::new(&["alpha_v1"], 5) };
    assert_eq!(call(&load_with(providers(vec![partial])).unwrap()).unwrap(), [15, -1]);

    let untouched = Provider::new(&["alpha_v1"], 3);
    let asked = Arc::clone(&untouched.asked);
    let broken = Provider { answer: || bail!(DataLoss, "the table is gone"), ..Provider::new(&[], 5) };
    let status = load_with(providers(vec![untouched, broken])).unwrap_err();
    assert_eq!(status.code(), Code::DataLoss);
    assert!(status.message().contains("the table is gone"), "{status}");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

/// [exec 39]
#[test]
fn a_failing_import_fails_the_kernel_with_its_number() {
    struct Failing;
    impl ImportProvider for Failing {
        fn resolve(&self, request: &mut ImportRequest<'_>) -> Result<()> {
            assert_eq!(request.count(), 2);
            let missing: Vec<_> = request.missing().map(|(at, name)| (at, name.to_owned())).collect();
            assert_eq!(missing, [(0, "alpha_v1".to_owned()), (1, "beta_v1".to_owned())]);
            // SAFETY: touches nothing.
            request.provide(0, unsafe { Import::new(fail, std::ptr::null()) });
            // SAFETY: as above.
            request.provide(2, unsafe { Import::new(fail, std::ptr::null()) });
            Ok(())
        }
    }
    let imports = ImportProviders::default();
    imports.register(Arc::new(Failing)).unwrap();
    let executable = load_with(Arc::new(imports)).unwrap();
    let status = call(&executable).unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().ends_with("code 77"), "{status}");
}

/// Notes its name when it is released.
struct Noted(&'static str, Arc<Mutex<Vec<&'static str>>>);
impl ImportProvider for Noted {
    fn resolve(&self, request: &mut ImportRequest<'_>) -> Result<()> {
        static NUMBER: AtomicU32 = AtomicU32::new(4);
        let context = (&raw const NUMBER).cast();
        // SAFETY: the context is static.
        request.provide_by_name(|_| Some(unsafe { Import::new(add_context, context) }));
        Ok(())
    }
}
impl Drop for Noted {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// [exec 41]
#[test]
fn providers_outlive_executables_and_are_released_in_reverse_order() {
    let released = Arc::new(Mutex::new(Vec::new()));
    let imports = ImportProviders::default();
    for name in ["first", "second", "third"] {
        imports.register(Arc::new(Noted(name, Arc::clone(&released)))).unwrap();
    }
    let executable = load_with(Arc::new(imports)).unwrap();
    assert_eq!(*released.lock().unwrap(), [] as [&str; 0]);
    assert_eq!(call(&executable).unwrap(), [14, 14]);
    drop(executable);
    assert_eq!(*released.lock().unwrap(), ["third", "second", "first"]);
}

/// [exec 41]
#[test]
fn more_providers_than_fit_are_refused() {
    let imports = ImportProviders::with_capacity(2);
    for _ in 0..2 {
        imports.register(Arc::new(Provider::new(&[], 0))).unwrap();
    }
    let refused: Status = imports.register(Arc::new(Provider::new(&[], 0))).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
}

/// [exec 41]
#[test]
fn registering_and_resolving_at_the_same_time_is_fine() {
    let imports = Arc::new(ImportProviders::with_capacity(200));
    imports.register(Arc::new(Provider::new(&["alpha_v1"], 1))).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..50 {
                    imports.register(Arc::new(Provider::new(&["beta_v1"], 1))).unwrap();
                }
            });
            scope.spawn(|| {
                for _ in 0..50 {
                    let [required, optional] = call(&load_with(Arc::clone(&imports)).unwrap()).unwrap();
                    assert_eq!(required, 11);
                    assert!([-1, 11].contains(&optional));
                }
            });
        }
    });
}

#[cfg(target_arch = "x86_64")]
mod compiled {
    use super::*;
    use weft_cpu::features::ProcessorWords;

    /// What the compiler passes to `simple_mul_workgroup`: the result, then three buffers with element offsets, two indices, and
    /// the two extra fields that were asked for.
    #[repr(C)]
    struct MultiplyParameters {
        result: i32,
        buffers: [(*mut f32, i64); 3],
        length: i64,
        workgroup: i64,
        processor_id: u32,
        processor_data: *const ProcessorWords,
    }

    static SEEN: Mutex<Option<(u32, ProcessorWords, bool)>> = Mutex::new(None);

    unsafe extern "C" fn multiply(
        parameters: *mut c_void,
        context: *const c_void,
        reserved: *mut c_void,
    ) -> c_int {
        // SAFETY: the parameters of the compiled caller.
        let parameters = unsafe { &mut *parameters.cast::<MultiplyParameters>() };
        let start = parameters.workgroup * 64;
        for index in start..parameters.length.min(start + 64) {
            let [a, b, out] =
                parameters.buffers.map(|(base, offset)| base.wrapping_offset((offset + index) as isize));
            // SAFETY: below `length`, which is that of the buffers.
            let product = unsafe { *a } * unsafe { *b };
            // SAFETY: as above.
            unsafe { *out = product };
        }
        // SAFETY: points at the kernel's copy of the words.
        let words = unsafe { *parameters.processor_data };
        let nothing = context.is_null() && reserved.is_null();
        *SEEN.lock().unwrap() = Some((parameters.processor_id, words, nothing));
        parameters.result = 0;
        0
    }

    /// [exec 40]
    #[test]
    fn a_compiled_kernel_passes_results_arguments_and_extras_in_order() {
        struct Multiplier;
        impl ImportProvider for Multiplier {
            fn resolve(&self, request: &mut ImportRequest<'_>) -> Result<()> {
                // SAFETY: `multiply` takes the parameters of the sample.
                let import = unsafe { Import::new(multiply, std::ptr::null()) };
                request.provide_by_name(|name| (name == "simple_mul_workgroup").then_some(import));
                Ok(())
            }
        }
        let imports = ImportProviders::default();
        imports.register(Arc::new(Multiplier)).unwrap();
        let processor = Some([11, 22, 33, 44, 55, 66, 77, 88]);
        let loaders =
            Loaders::new(LoaderOptions { imports: Arc::new(imports), processor, ..LoaderOptions::default() });
        let executable = front(loaders.load(&params(EMBEDDED, IMPORT_X86)).unwrap());
        let a: Vec<f32> = (0..100).map(|i| i as f32).collect();
        let mut bindings = [Bytes::of_f32(&a), Bytes::of_f32(&[3.0; 100]), Bytes::zeroed(400)];
        Run { constants: &[100], ..Run::new("simple_mul", [2, 1, 1]) }
            .on(&executable, &mut bindings)
            .unwrap();
        let expected: Vec<f32> = a.iter().map(|x| 3.0 * x).collect();
        assert_eq!(bindings[2].f32s(), expected);
        let (processor_id, words, nothing) = SEEN.lock().unwrap().take().unwrap();
        assert!(nothing, "context and reserved are null");
        assert_eq!(processor_id, 3);
        // Word 0 is what the code was compiled for: a generic processor. The others are passed through.
        assert_eq!(words, [0, 22, 33, 44, 55, 66, 77, 88]);
    }
}
