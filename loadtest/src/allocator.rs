//! How many heap bytes live now, counted by the allocator itself.
//!
//! The counting wrapper comes from a crate, since a `GlobalAlloc` of our own would be `unsafe`.
//! A binary or a test that wants to count names it once:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: loadtest::allocator::Counting = loadtest::allocator::counting();
//! assert!(ALLOCATOR.allocated() > 0);
//! ```

use std::alloc::System;

/// The system's allocator, counting live bytes.
pub type Counting = cap::Cap<System>;

/// A counting allocator without a limit.
#[must_use]
pub const fn counting() -> Counting {
    cap::Cap::new(System, usize::MAX)
}
