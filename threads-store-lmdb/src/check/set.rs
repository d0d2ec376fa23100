//! A set of page numbers of one file.

use std::sync::atomic::{AtomicU64, Ordering};

/// A bit for each page of the file. It only grows, and threads share it.
pub(super) struct PageSet(Box<[AtomicU64]>);

impl PageSet {
    pub(super) fn new(pages: u64) -> Self {
        let words = 0..pages.div_ceil(64);
        Self(words.map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn has(&self, number: u64) -> bool {
        let bits = self.0.get((number / 64) as usize);
        // What was done to the page before its bit was set is seen by whoever sees the bit.
        bits.is_some_and(|bits| bits.load(Ordering::Acquire) & bit(number) != 0)
    }

    /// `false` when it was there already, or cannot be.
    pub(super) fn insert(&self, number: u64) -> bool {
        let bits = self.0.get((number / 64) as usize);
        bits.is_some_and(|bits| bits.fetch_or(bit(number), Ordering::AcqRel) & bit(number) == 0)
    }
}

fn bit(number: u64) -> u64 {
    1 << (number % 64)
}
