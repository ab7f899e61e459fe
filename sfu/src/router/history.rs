//! Recent packets of one encoding, in pages of a pool that all rooms of a shard share.

use crate::limits::HISTORY_PAGE_BYTES;

/// Pages that no history uses now, and how many are in use.
#[derive(Debug, Default)]
pub struct PagePool {
    free: Vec<Box<[u8]>>,
    in_use: usize,
}

impl PagePool {
    /// An empty pool; pages are made when first needed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Pages that histories hold.
    #[must_use]
    pub const fn in_use(&self) -> usize {
        self.in_use
    }

    pub(super) fn take(&mut self) -> Box<[u8]> {
        self.in_use += 1;
        self.free
            .pop()
            .unwrap_or_else(|| vec![0; HISTORY_PAGE_BYTES].into_boxed_slice())
    }

    pub(super) fn give(&mut self, page: Box<[u8]>) {
        self.in_use -= 1;
        self.free.push(page);
    }
}
