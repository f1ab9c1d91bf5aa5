//! Buffers: memory of one alignment, for variables, arenas and scratch. One of the two places of this crate that hold
//! `unsafe` code, the other being `execute`.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use dormouse_kernels::Spec;
use dormouse_value::{Element, Value, with_dtype};

use crate::error::{Kind, Result};

/// The alignment of every buffer: a cache line, and the widest vector register.
pub(crate) const ALIGNMENT: usize = 64;

/// Bytes of a huge page, and from how many of them on a buffer asks for such pages. A product walks hundreds of rows at a time,
/// more than there are entries for small pages.
const HUGE_PAGE: usize = 2 << 20;

/// A block of bytes, zeroed when made, written through its pointer by whoever may.
#[derive(Debug)]
pub(crate) struct Buffer {
    pointer: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory belongs to the buffer alone and holds plain numbers; who writes it, and when, is settled by the
// store (variables) and the plan (arenas), which give out its pointer.
unsafe impl Send for Buffer {}
// SAFETY: as above; a shared buffer is read through `bytes`, and written only by the one run that may.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A buffer of at least one byte.
    ///
    /// # Errors
    /// When the system has not so many bytes to give.
    pub(crate) fn new(bytes: usize) -> Result<Buffer> {
        let refused = || Kind::TooLarge { bytes: bytes as u128 };
        let layout = layout(bytes).ok_or_else(refused)?;
        if bytes < HUGE_PAGE {
            // SAFETY: the layout has a size of at least one byte.
            let pointer = unsafe { alloc_zeroed(layout) };
            return Ok(Buffer { pointer: NonNull::new(pointer).ok_or_else(refused)?, bytes });
        }
        // SAFETY: as above; the bytes are the new block's own.
        let pointer = unsafe {
            let pointer = NonNull::new(alloc(layout)).ok_or_else(refused)?;
            advise_huge_pages(pointer, bytes);
            pointer.write_bytes(0, bytes);
            pointer
        };
        Ok(Buffer { pointer, bytes })
    }

    /// A buffer of a value's elements.
    ///
    /// # Errors
    /// As [`Buffer::new`].
    pub(crate) fn of(value: &Value) -> Result<Buffer> {
        let value = value.to_standard_layout();
        let bytes = value.as_bytes().unwrap_or_default();
        let buffer = Buffer::new(bytes.len())?;
        // SAFETY: the buffer is new, has as many bytes, and nobody else has its pointer.
        unsafe { buffer.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(buffer)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.pointer.as_ptr()
    }

    /// The elements as a value, copied.
    ///
    /// # Safety
    /// Nobody writes the buffer meanwhile, and it holds elements of this spec.
    #[allow(clippy::cast_ptr_alignment, reason = "buffers are aligned to a cache line")]
    pub(crate) unsafe fn to_value(&self, spec: &Spec) -> Value {
        debug_assert!(spec.bytes() <= self.bytes);
        let len = spec.len();
        with_dtype!(spec.dtype, T => {
            // SAFETY: the caller's contract; the buffer is aligned for every element type, and its bytes were written
            // as elements of this type (zeroed memory is a valid element of each).
            let elements = unsafe { std::slice::from_raw_parts(self.as_ptr().cast::<T>(), len) };
            value_of::<T>(&spec.dims, elements.to_vec())
        })
    }
}

/// Memory of a value that will be handed back, to be written through its pointer first.
#[derive(Debug)]
pub(crate) struct Output {
    spec: Spec,
    pointer: NonNull<u8>,
    capacity: usize,
}

impl Output {
    /// Memory for the elements of a spec.
    ///
    /// # Errors
    /// As [`Buffer::new`].
    pub(crate) fn new(spec: &Spec) -> Result<Output> {
        with_dtype!(spec.dtype, T => {
            let mut elements = Vec::<T>::new();
            elements.try_reserve_exact(spec.len()).map_err(|_| Kind::TooLarge { bytes: spec.bytes() as u128 })?;
            let mut elements = ManuallyDrop::new(elements);
            let pointer = NonNull::new(elements.as_mut_ptr()).unwrap_or(NonNull::dangling());
            Ok(Output { spec: spec.clone(), pointer: pointer.cast(), capacity: elements.capacity() })
        })
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.pointer.as_ptr()
    }

    /// The value, once its elements are written.
    #[allow(clippy::cast_ptr_alignment, reason = "the pointer is that of a vector of the type")]
    pub(crate) fn into_value(self) -> Value {
        let output = ManuallyDrop::new(self);
        let spec = &output.spec;
        let value = with_dtype!(spec.dtype, T => {
            // SAFETY: the parts are those of the vector that `new` made; a run hands it back only when its steps have
            // written all elements.
            let elements = unsafe { Vec::from_raw_parts(output.pointer.as_ptr().cast::<T>(), spec.len(), output.capacity) };
            value_of::<T>(&spec.dims, elements)
        });
        // The dims of a spec may be on the heap.
        // SAFETY: the spec is not used again, and the output is never dropped.
        drop(unsafe { std::ptr::read(&raw const output.spec) });
        value
    }
}

impl Drop for Output {
    #[allow(clippy::cast_ptr_alignment, reason = "the pointer is that of a vector of the type")]
    fn drop(&mut self) {
        with_dtype!(self.spec.dtype, T => {
            // SAFETY: the parts are those of the vector that `new` made; of its elements none is taken to be written.
            drop(unsafe { Vec::from_raw_parts(self.pointer.as_ptr().cast::<T>(), 0, self.capacity) });
        });
    }
}

/// A value of elements that are as many as the extents say.
pub(crate) fn value_of<T: Element>(dims: &[usize], elements: Vec<T>) -> Value {
    Value::from_elements(dims, elements).expect("a spec has as many elements as its extents say")
}

/// The layout of a buffer, if there can be one: big ones begin with a huge page.
fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.max(1), if bytes < HUGE_PAGE { ALIGNMENT } else { HUGE_PAGE }).ok()
}

/// Asks the system for huge pages, before the bytes are first touched; it may not have any.
///
/// # Safety
/// The bytes at the pointer belong to the caller.
unsafe fn advise_huge_pages(pointer: NonNull<u8>, bytes: usize) {
    #[cfg(target_os = "linux")]
    // SAFETY: advice on whole pages of the caller's memory, which keep what they hold.
    unsafe {
        libc::madvise(pointer.as_ptr().cast(), bytes - bytes % HUGE_PAGE, libc::MADV_HUGEPAGE);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (pointer, bytes);
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let layout = layout(self.bytes).expect("checked when it was made");
        // SAFETY: allocated in `new` with this layout, and freed once.
        unsafe { dealloc(self.pointer.as_ptr(), layout) };
    }
}
