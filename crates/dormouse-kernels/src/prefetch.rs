//! Hints to the processor of what is read soon. Apart, as they alone depend on the machine without computing anything.

/// Bytes that the caches move at a time.
pub(crate) const LINE: usize = 64;

/// Begins to fetch the line of an address into the first-level cache. Any address will do, as nothing is read.
#[inline(always)]
pub(crate) fn line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint, which no address makes fail.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Begins to fetch so many bytes from an address on.
#[inline]
pub(crate) fn lines(address: *const u8, bytes: usize) {
    for offset in (0..bytes).step_by(LINE) {
        line(address.wrapping_add(offset));
    }
}
