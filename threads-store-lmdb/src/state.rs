//! What the store keeps beside the layers of what is not on disk yet, under the same lock.

use std::sync::Arc;

use threads_store_group::Fault;

use crate::check::Guard;

#[derive(Default)]
pub(crate) struct Own {
    /// The flight that an LMDB transaction took last, by their numbers.
    boarded: Option<(u64, usize)>,
    /// Open LMDB read transactions, writers' snapshots included.
    pub(crate) readers: usize,
    /// Whether the map waits for the readers to go, so that it can change its size.
    pub(crate) remapping: bool,
    /// Set when the map was lost while changing its size: no reads either.
    pub(crate) unmapped: Option<Fault>,
    /// What is known about the pages of the file. `None` when all of them are in order.
    pub(crate) guard: Option<Arc<Guard>>,
}

impl Own {
    pub(crate) fn new(guard: Option<Guard>) -> Self {
        Self {
            guard: guard.map(Arc::new),
            ..Self::default()
        }
    }

    /// The flight is in the hands of this LMDB transaction.
    pub(crate) fn board(&mut self, flight: u64, transaction: usize) {
        self.boarded = Some((flight, transaction));
    }

    /// The number of the last flight that an LMDB snapshot has. LMDB may have committed it while its
    /// leader has not come back to say so.
    pub(crate) fn carried(&self, snapshot: usize) -> u64 {
        // A transaction that was not committed gives its number to the next one: no snapshot has it.
        match self.boarded {
            Some((flight, transaction)) if transaction <= snapshot => flight,
            // Earlier ones landed, and are not laid over anything.
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_the_flight_once_its_transaction_is_committed() {
        let mut own = Own::default();
        assert_eq!(own.carried(6), 0);
        own.board(3, 7);
        assert_eq!(own.carried(6), 0);
        assert_eq!(own.carried(7), 3);
        // It failed, and the next flight gets its transaction's number.
        own.board(4, 7);
        assert_eq!(own.carried(6), 0);
        assert_eq!(own.carried(8), 4);
    }
}
