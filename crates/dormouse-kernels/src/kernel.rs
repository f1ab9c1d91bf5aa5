//! What a kernel is: tiles in phases, the buffers they run on, and what they may say went wrong.

use std::fmt;
use std::ops::Range;

use dormouse_value::{DType, Dims, Element, element_count};
use smallvec::SmallVec;

/// Runs an expression with the type alias `$T` bound to the float that a dtype is, or another for other dtypes.
macro_rules! with_float {
    ($dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        match $dtype {
            ::dormouse_value::DType::F32 => {
                type $T = f32;
                $body
            }
            ::dormouse_value::DType::F64 => {
                type $T = f64;
                $body
            }
            ::dormouse_value::DType::I32
            | ::dormouse_value::DType::I64
            | ::dormouse_value::DType::U8
            | ::dormouse_value::DType::Bool
            | ::dormouse_value::DType::F16
            | ::dormouse_value::DType::Bf16
            | ::dormouse_value::DType::I8
            | ::dormouse_value::DType::I16
            | ::dormouse_value::DType::U16
            | ::dormouse_value::DType::U32
            | ::dormouse_value::DType::U64 => $other,
        }
    };
}
pub(crate) use with_float;

/// Dtype and concrete shape of an operand or a result. Its buffer is row-major without gaps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// The elements' type.
    pub dtype: DType,
    /// The extents, outermost first.
    pub dims: Dims,
}

impl Spec {
    /// A dtype and extents.
    pub fn new(dtype: DType, dims: &[usize]) -> Self {
        Spec { dtype, dims: dims.iter().copied().collect() }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        element_count(&self.dims).unwrap_or(usize::MAX)
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.dims.contains(&0)
    }

    /// Bytes of the buffer.
    pub fn bytes(&self) -> usize {
        self.len().saturating_mul(self.dtype.size())
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.dims.as_slice())
    }
}

/// What a kernel is expected to take, on one core.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations (a fused multiply-add is two).
    pub flops: f64,
    /// Bytes read and written.
    pub bytes: f64,
    /// Nanoseconds.
    pub nanos: f64,
}

/// What went wrong with the numbers: an index outside, a NaN where none may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KernelError {
    message: String,
}

impl KernelError {
    /// An error of one line, lower case, without a full stop.
    pub fn new(message: impl Into<String>) -> Self {
        KernelError { message: message.into() }
    }
}

/// The buffers of one execution, as one worker sees them.
///
/// Operands that are shape-only hold a dangling pointer. All pointers are aligned to their element type; an operand
/// may be the result's own buffer where the kernel's [`Kernel::in_place`] allows it.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    /// One pointer an operand.
    pub inputs: &'a [*const u8],
    /// One pointer a result.
    pub outputs: &'a [*mut u8],
    /// [`Kernel::shared`] bytes for all tiles of this execution, aligned to 64.
    pub shared: *mut u8,
    /// [`Kernel::local`] bytes for this worker alone, aligned to 64, with whatever an earlier tile left there.
    pub local: *mut u8,
}

impl<'a> Args<'a> {
    /// `len` elements of operand `index`.
    ///
    /// # Safety
    /// The operand holds at least `len` elements of `T`, and nobody writes them meanwhile.
    pub unsafe fn input<T: Element>(&self, index: usize, len: usize) -> &'a [T] {
        // SAFETY: the caller's contract; buffers of `Args` are aligned to their element type.
        unsafe { std::slice::from_raw_parts(self.inputs[index].cast::<T>(), len) }
    }

    /// Elements `start .. start + len` of result `index`.
    ///
    /// # Safety
    /// The range lies within the result, and this tile alone touches it; no operand shares its memory.
    pub unsafe fn output<T: Element>(&self, index: usize, start: usize, len: usize) -> &'a mut [T] {
        // SAFETY: the caller's contract; buffers of `Args` are aligned to their element type.
        unsafe { std::slice::from_raw_parts_mut(self.outputs[index].cast::<T>().add(start), len) }
    }
}

/// The code of a kernel, with the shapes it was compiled for.
pub trait Body: Send + Sync + fmt::Debug {
    /// Runs one tile of one phase.
    ///
    /// # Safety
    /// The buffers are those of the specs the kernel was compiled for. Every tile of a phase runs once, on any
    /// worker; all tiles of a phase end before one of the next begins.
    ///
    /// # Errors
    /// When the numbers do not allow a result. The execution is then given up: outputs are left in part.
    unsafe fn run(&self, args: &Args<'_>, phase: usize, tile: usize) -> Result<(), KernelError>;

    /// Gives out the elements of result 0 that a tile of the last phase completes, in ranges; all tiles together complete each
    /// once. `false`, without any, where that is not known.
    fn completes(&self, tile: usize, range: &mut dyn FnMut(Range<usize>)) -> bool {
        let _ = (tile, range);
        false
    }
}

/// A compiled operation: how many tiles, how much scratch, at what cost, and the code.
#[derive(Debug)]
pub struct Kernel {
    /// Tiles of each phase; phases run one after the other. Empty where there is nothing to do.
    pub phases: SmallVec<[usize; 2]>,
    /// Bytes of scratch that all tiles share during one execution.
    pub shared: usize,
    /// Bytes of scratch that each worker has for itself.
    pub local: usize,
    /// What it takes.
    pub cost: Cost,
    /// Operands whose buffer may be that of result 0: element i of the result depends on element i alone of them.
    pub in_place: SmallVec<[usize; 2]>,
    /// Whether a run may give an error.
    pub fallible: bool,
    /// The code.
    pub body: Box<dyn Body>,
}

impl Kernel {
    /// A kernel of one phase without scratch that cannot fail.
    pub fn new(tiles: usize, cost: Cost, body: impl Body + 'static) -> Self {
        Kernel {
            phases: SmallVec::from_slice(&[tiles]),
            shared: 0,
            local: 0,
            cost,
            in_place: SmallVec::new(),
            fallible: false,
            body: Box::new(body),
        }
    }
}
