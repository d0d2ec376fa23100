//! What is being asked for, and what was sent.

use threads_core::{LogId, PeerId};

use super::wire::{Frontier, Range};

/// The records of a log to ask for next, when those that came follow none that is here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(super) from: u64,
    pub(super) to: u64,
    /// How many in all; twice as many each time.
    pub(super) width: u64,
}

impl Probe {
    /// Asks for the record at `to`, and for more before it later.
    pub(crate) fn new(to: u64) -> Self {
        let (from, width) = (to, 1);
        Self { from, to, width }
    }

    pub(crate) fn wider(self, to: u64) -> Self {
        let width = self.width.saturating_mul(2);
        let from = to.saturating_sub(width - 1).max(1);
        Self { from, to, width }
    }
}

/// What a peer was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Records,
    Numbers,
}

/// A pull that is under way: from one peer at a time.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) from: PeerId,
    pub(crate) calling: bool,
    /// What it was asked for last.
    pub(crate) asked: Vec<Range>,
    /// How many pages are being stored.
    pub(crate) storing: usize,
    /// How far the pages that came so far reach.
    pub(crate) upto: Frontier,
}

impl Pull {
    /// Whether a page that ends so is of what was asked for.
    pub(crate) fn asked_for(&self, upto: &[(LogId, u64)]) -> bool {
        let asked = |(log, seq): &(LogId, u64)| {
            let mut asked = self.asked.iter();
            asked.any(|range| range.log == *log && (range.from..=range.to).contains(seq))
        };
        upto.iter().all(asked)
    }
}
