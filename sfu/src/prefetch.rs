//! Memory is asked for before it is looked at. What is kept of a subscriber has left the cache when
//! its next frame comes; fetched one after the other, its lines take longer than the work on them.
//!
//! Only a hint: nothing depends on it, and where the processor has no such instruction it does nothing.

/// Of every processor this runs on.
const LINE: usize = 64;

/// Asks for the lines of `it`, not for what it points to.
#[inline]
pub(crate) fn prefetch<T>(it: &T) {
    let start: *const i8 = std::ptr::from_ref(it).cast();
    for offset in (0..size_of::<T>()).step_by(LINE) {
        line(start.wrapping_add(offset));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "the safe way, reading, waits for what is read")]
fn line(address: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing and never faults, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
const fn line(_address: *const i8) {}
