//! Noting on a node's store what peers have.

use threads_core::datastore::{DatastoreExt, Durability, WriteTxn};
use threads_core::{PeerId, Result};

use super::io::{Done, Room};
use super::shares;
use super::wire::Frontier;
use crate::layout::Number;
use crate::node::Node;

impl Node {
    /// Notes something of these threads.
    pub(super) fn note(
        &self,
        threads: impl IntoIterator<Item = Number>,
        what: impl FnOnce(&mut dyn WriteTxn) -> Result<()>,
    ) -> Result<Done> {
        // What is lost of it in a crash is heard again.
        self.inner.store.transact(Durability::Relaxed, what)?;
        // It may change how a thread stands, which somebody may watch.
        self.inner.notifier.notify_in(threads);
        Ok(Done::Noted)
    }

    /// A peer said in a reply that it has this.
    pub(super) fn acked(
        &self,
        thread: Number,
        peer: &PeerId,
        heads: &Frontier,
        room: Option<Room>,
    ) -> Result<Done> {
        let now_ms = self.inner.clock.now_ms();
        self.note([thread], |txn| {
            shares::note_room(txn, thread, peer, room)?;
            shares::acknowledge(txn, thread, peer, heads, now_ms)
        })
    }

    /// A peer has all of this on its disk, and nothing more.
    pub(super) fn same(&self, peer: &PeerId, threads: &[(Number, Frontier)]) -> Result<Done> {
        let now_ms = self.inner.clock.now_ms();
        self.note(threads.iter().map(|(thread, _)| *thread), |txn| {
            let mut threads = threads.iter();
            threads.try_for_each(|(thread, heads)| {
                shares::acknowledge_all(txn, *thread, peer, heads, now_ms)
            })
        })
    }

    /// A peer had all of this on its disk. It may have said since that it has more.
    pub(super) fn level(&self, peer: &PeerId, threads: &[(Number, Frontier)]) -> Result<Done> {
        let now_ms = self.inner.clock.now_ms();
        self.note(threads.iter().map(|(thread, _)| *thread), |txn| {
            for (thread, heads) in threads {
                let mut known = heads.clone();
                for (log, seq) in &mut known {
                    let before = shares::acked_of(txn.as_read(), *thread, peer, log)?;
                    *seq = before.unwrap_or(0).max(*seq);
                }
                shares::acknowledge(txn, *thread, peer, &known, now_ms)?;
            }
            Ok(())
        })
    }
}
