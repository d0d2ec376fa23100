//! What is to be looked at again, and when.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::PeerId;

use crate::layout::Number;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Ask a peer that should have asked by then.
    Greet(PeerId),
    /// Ask a peer again to take part.
    Join(PeerId),
    /// Connect to a peer.
    Dial(PeerId),
    /// Try again what a thread holds.
    Held(Number),
    /// See what a thread needs.
    Thread(Number),
    /// Ask a peer to sign for what it has of a thread.
    Receipt(Number, PeerId),
    /// Ask a peer to show something that it signed for.
    Check(PeerId),
    /// Ask a peer for what came without what it said.
    Refill(PeerId),
    /// Ask a peer where others are.
    Locate(PeerId),
    /// Announce what is new in a thread.
    Announce(Number),
    /// Look for what was announced.
    Seek(Number),
    /// Tell a peer of the blobs here.
    BlobList(Number, PeerId),
    /// See what is to be got of blobs.
    Blobs(Number),
    /// Tell a peer of snapshots, or ask it for some.
    Words(Number, PeerId),
    /// See how a snapshot stands that a thread is to begin with.
    Sought(Number),
}

/// Each timer once, at the earliest time that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(u64, Timer)>,
    times: BTreeMap<Timer, u64>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at_ms: u64) {
        match self.times.get(&timer) {
            Some(earlier) if *earlier <= at_ms => return,
            Some(later) => _ = self.by_time.remove(&(*later, timer)),
            None => {}
        }
        self.times.insert(timer, at_ms);
        self.by_time.insert((at_ms, timer));
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<u64> {
        self.by_time.first().map(|(at_ms, _)| *at_ms)
    }

    /// Takes one that is due.
    pub(crate) fn due(&mut self, now_ms: u64) -> Option<Timer> {
        let (at_ms, timer) = *self.by_time.first()?;
        if at_ms > now_ms {
            return None;
        }
        self.by_time.pop_first();
        self.times.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_due_once_and_at_its_earliest_time() {
        let mut timers = Timers::default();
        timers.set(Timer::Thread(1), 20);
        timers.set(Timer::Thread(1), 10);
        timers.set(Timer::Thread(1), 30);
        timers.set(Timer::Thread(2), 15);
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.due(9), None);
        assert_eq!(timers.due(40), Some(Timer::Thread(1)));
        assert_eq!(timers.due(40), Some(Timer::Thread(2)));
        assert_eq!(timers.due(40), None);
    }
}
