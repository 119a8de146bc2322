//! Typed tensors of the host: made from slices or text, read back as vectors or text.
//!
//! What lives here: [`Tensor`] and [`Element`], the Rust types that elements can have.
//! What does not: arguments and results that are no tensors (see `value.rs`).

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use weft_hal::text::{TensorText, format_tensor};
use weft_hal::{
    Allocator, Buffer, BufferParams, BufferView, DeviceId, ElementType, Encoding, NumberFormat, Shape,
    WHOLE_BUFFER,
};
use weft_sync::{Result, Status, bail};

/// As many elements as the text form of a tensor shows.
const ELEMENTS_SHOWN: usize = 1024;

/// A Rust type that tensors can hold.
///
/// Signless integer types of programs (`i32`, ...) accept Rust's signed and unsigned types of the same width.
pub trait Element: Copy + sealed::Sealed {
    /// The element type that tensors of this Rust type get.
    const ELEMENT_TYPE: ElementType;

    /// Appends the bytes as programs store them.
    #[doc(hidden)]
    fn store(values: &[Self], bytes: &mut Vec<u8>);

    /// The values in bytes as programs store them.
    #[doc(hidden)]
    fn load(bytes: &[u8]) -> Vec<Self>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($rust:ty => $element:ident),* $(,)?) => {$(
        impl sealed::Sealed for $rust {}
        impl Element for $rust {
            const ELEMENT_TYPE: ElementType = ElementType::$element;

            fn store(values: &[Self], bytes: &mut Vec<u8>) {
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }

            fn load(bytes: &[u8]) -> Vec<Self> {
                let (whole, _) = bytes.as_chunks::<{ size_of::<$rust>() }>();
                whole.iter().map(|element| <$rust>::from_le_bytes(*element)).collect()
            }
        }
    )*};
}

elements! {
    i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => UI8, u16 => UI16, u32 => UI32, u64 => UI64,
    f32 => F32, f64 => F64,
}

impl sealed::Sealed for bool {}
impl Element for bool {
    const ELEMENT_TYPE: ElementType = ElementType::BOOL8;

    fn store(values: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend(values.iter().map(|value| u8::from(*value)));
    }

    fn load(bytes: &[u8]) -> Vec<Self> {
        bytes.iter().map(|byte| *byte != 0).collect()
    }
}

/// A tensor: shape, element type, and memory that a device can use. Immutable and cheap to clone.
///
/// ```
/// use weft::Tensor;
/// let tensor = Tensor::new(&[2, 2], &[1.0f32, 2.0, 3.0, 4.0])?;
/// assert_eq!(tensor.to_string(), "2x2xf32=[1 2][3 4]");
/// assert_eq!(tensor.to_vec::<f32>()?, [1.0, 2.0, 3.0, 4.0]);
/// assert_eq!("2x2xf32=1 2 3 4".parse::<Tensor>()?.to_bytes()?, tensor.to_bytes()?);
/// # weft::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Tensor(Arc<BufferView>);

impl Tensor {
    /// A tensor with these extents (outermost first) and values (last extent fastest).
    pub fn new<T: Element>(dims: &[u64], values: &[T]) -> Result<Tensor> {
        let shape = Shape::new(dims)?;
        let count = shape.element_count()?;
        if count != values.len() as u64 {
            bail!(
                InvalidArgument,
                "shape `{shape}` has {count} elements but {} values were given",
                values.len()
            );
        }
        let mut bytes = Vec::with_capacity(size_of_val(values));
        T::store(values, &mut bytes);
        Tensor::from_parts(&HOST, shape, T::ELEMENT_TYPE, &bytes)
    }

    /// A tensor of rank 0.
    pub fn scalar<T: Element>(value: T) -> Result<Tensor> {
        Tensor::new(&[], &[value])
    }

    /// A tensor of zeros.
    pub fn zeros<T: Element>(dims: &[u64]) -> Result<Tensor> {
        let shape = Shape::new(dims)?;
        let buffer = HOST.allocate(&BufferParams::device_local(), shape.byte_length(T::ELEMENT_TYPE)?)?;
        buffer.zero(0, WHOLE_BUFFER)?;
        Tensor::over(buffer, shape, T::ELEMENT_TYPE)
    }

    /// A tensor of any element type from bytes as programs store them: packed, little endian.
    pub fn from_bytes(dims: &[u64], element_type: ElementType, bytes: &[u8]) -> Result<Tensor> {
        Tensor::from_parts(&HOST, Shape::new(dims)?, element_type, bytes)
    }

    /// As [`Tensor::from_bytes`], in memory of a device of one's choice.
    pub fn from_bytes_in(
        allocator: &Allocator,
        dims: &[u64],
        element_type: ElementType,
        bytes: &[u8],
    ) -> Result<Tensor> {
        Tensor::from_parts(allocator, Shape::new(dims)?, element_type, bytes)
    }

    fn from_parts(
        allocator: &Allocator,
        shape: Shape,
        element_type: ElementType,
        bytes: &[u8],
    ) -> Result<Tensor> {
        let needed = shape.byte_length(element_type)?;
        if needed != bytes.len() as u64 {
            let have = bytes.len();
            bail!(
                InvalidArgument,
                "tensor `{shape}` of {element_type} has {needed} bytes but {have} were given"
            );
        }
        let buffer = allocator.allocate(&BufferParams::device_local(), needed)?;
        buffer.write(0, bytes)?;
        Tensor::over(buffer, shape, element_type)
    }

    fn over(buffer: Arc<Buffer>, shape: Shape, element_type: ElementType) -> Result<Tensor> {
        BufferView::new(buffer, shape, element_type, Encoding::DENSE_ROW_MAJOR).map(Tensor)
    }

    /// The extents, outermost first.
    pub fn dims(&self) -> &[u64] {
        self.shape().dims()
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        self.0.shape()
    }

    /// The element type.
    pub fn element_type(&self) -> ElementType {
        self.0.element_type()
    }

    /// All elements. INVALID_ARGUMENT if the tensor holds another type.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if !is_readable_as(self.element_type(), T::ELEMENT_TYPE) {
            let (have, want) = (self.element_type(), T::ELEMENT_TYPE);
            bail!(InvalidArgument, "tensor `{}` holds {have} and cannot be read as {want}", self.shape());
        }
        Ok(T::load(&self.to_bytes()?))
    }

    /// The only element of a tensor with one element.
    pub fn item<T: Element>(&self) -> Result<T> {
        match self.to_vec::<T>()?.as_slice() {
            [item] => Ok(*item),
            all => {
                bail!(InvalidArgument, "tensor `{}` has {} elements, expected one", self.shape(), all.len())
            }
        }
    }

    /// The elements as programs store them: packed, little endian.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let length = self.shape().byte_length(self.element_type())?;
        self.0.buffer().read_to_vec(0, length)
    }

    /// The text form with at most `elements_max` elements; the rest becomes dots.
    pub fn to_text(&self, elements_max: usize) -> Result<String> {
        format_tensor(self.shape(), self.element_type(), &self.to_bytes()?, elements_max)
    }

    /// The view that programs hold.
    pub fn view(&self) -> &Arc<BufferView> {
        &self.0
    }

    /// Unwraps the view that programs hold.
    pub fn into_view(self) -> Arc<BufferView> {
        self.0
    }
}

/// Host memory, which every device of this machine can use; belongs to none of them.
static HOST: LazyLock<Allocator> =
    LazyLock::new(|| Allocator::new(DeviceId::unique(), Arc::new(weft_cpu::HostMemory::new())));

/// The allocator of tensors that are made without a device: host memory, which every device of this machine can use.
pub fn host_allocator() -> &'static Allocator {
    &HOST
}

/// Equal types, or integers of one width of which at least one is signless.
fn is_readable_as(have: ElementType, want: ElementType) -> bool {
    let integer =
        |element_type: ElementType| matches!(NumberFormat::of(element_type), NumberFormat::Integer { .. });
    let signless = |element_type: ElementType| element_type.raw() >> 24 == ElementType::I8.raw() >> 24;
    have == want
        || (integer(have)
            && integer(want)
            && have.bit_count() == want.bit_count()
            && (signless(have) || signless(want)))
}

impl From<Arc<BufferView>> for Tensor {
    fn from(view: Arc<BufferView>) -> Tensor {
        Tensor(view)
    }
}

impl FromStr for Tensor {
    type Err = Status;

    /// Reads the text form: `2x2xf32=1 2 3 4`, `4xi32=7` (one value for all), `4xi32` (zeros).
    fn from_str(text: &str) -> Result<Tensor> {
        let parsed = TensorText::parse(text)?;
        let bytes = parsed.bytes()?;
        Tensor::from_parts(&HOST, parsed.shape, parsed.element_type, &bytes)
    }
}

impl fmt::Display for Tensor {
    /// The text form; the elements beyond 1024 become dots.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_text(ELEMENTS_SHOWN) {
            Ok(text) => f.write_str(&text),
            Err(status) => write!(f, "{}x{}=<{status}>", self.shape(), self.element_type()),
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
