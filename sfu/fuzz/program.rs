//! Fuzzed bytes as the steps of a program: values are taken from the front, and where they end
//! there are zeros.

/// What is left of the program.
pub(crate) struct Program<'a> {
    bytes: std::cell::Cell<&'a [u8]>,
}

impl<'a> Program<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: std::cell::Cell::new(bytes),
        }
    }

    /// The next byte; none at the end.
    pub(crate) fn u8(&self) -> Option<u8> {
        let (first, rest) = self.bytes.get().split_first()?;
        self.bytes.set(rest);
        Some(*first)
    }

    pub(crate) fn or_zero(&self) -> u8 {
        self.u8().unwrap_or(0)
    }

    pub(crate) fn array<const N: usize>(&self) -> [u8; N] {
        std::array::from_fn(|_| self.or_zero())
    }

    /// As many bytes, or all that is left.
    pub(crate) fn take(&self, len: usize) -> &'a [u8] {
        let bytes = self.bytes.get();
        let (taken, rest) = bytes.split_at(len.min(bytes.len()));
        self.bytes.set(rest);
        taken
    }
}
