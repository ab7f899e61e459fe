//! Memory is asked for before it is looked at. What is kept of a subscriber has left the cache when
//! its next frame comes; fetched one after the other, its lines take longer than the work on them.
//!
//! Only a hint: nothing depends on it. Other processors than x86-64 have such an instruction too, but
//! no stable way to it; there it does nothing.

/// Bytes of a cache line of every processor this is for.
const LINE: usize = 64;

/// Asks for the lines of `it`, not for what it points to.
#[inline]
pub(crate) fn prefetch<T: ?Sized>(it: &T) {
    let start: *const i8 = std::ptr::from_ref(it).cast();
    let skew = start.addr() % LINE;
    for offset in (0..skew + size_of_val(it)).step_by(LINE) {
        line(start.wrapping_add(offset));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(
    unsafe_code,
    reason = "reading, the safe way, waits for what is read: docs/performance.md has both measured"
)]
fn line(address: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing and never faults, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
const fn line(_address: *const i8) {}
