//! What a node has to tell its machine, when another process did it through this one's datastore.

use std::collections::BTreeSet;

use threads_core::PeerId;
use threads_core::datastore::{Datastore, Keyspace};

use super::io::{Fresh, News};
use super::shares;
use crate::layout::{Number, meta, peers};
use crate::node::Node;

fn number(key: &[u8]) -> Option<Number> {
    Some(Number::from_be_bytes(*key.first_chunk()?))
}

fn peer(key: &[u8]) -> Option<PeerId> {
    Some(PeerId::from_key_bytes(key.try_into().ok()?))
}

/// What the change of a row means for sync.
fn meaning(space: Keyspace, key: &[u8]) -> Option<Fresh> {
    match space {
        Keyspace::Feed => number(key).map(Fresh::Committed),
        Keyspace::Blobs => {
            let thread = number(key)?;
            let told = [
                crate::layout::blobs::list(thread),
                crate::layout::blobs::all_wanted(thread),
            ];
            let told = told.iter().any(|prefix| key.starts_with(prefix));
            told.then_some(Fresh::Blobs(thread))
        }
        Keyspace::Peers => {
            if let Some(addressed) = key.strip_prefix(&peers::all_addrs()[..]) {
                return peer(addressed).map(Fresh::Address);
            }
            let thread = number(key)?;
            let sharer = key.strip_prefix(&peers::of_thread(thread)[..])?;
            peer(sharer).map(|peer| Fresh::Shared(thread, peer))
        }
        _ => None,
    }
}

impl Node {
    /// Tells this node of rows that another process changed in its datastore: a process that commits
    /// through this one, which alone may write. Sync and listeners learn by it what is new.
    ///
    /// ```
    /// use threads_core::datastore::{Keyspace, Memory};
    /// let node = threads_db::Node::builder(Memory::new()).open().unwrap();
    /// node.note_changes([(Keyspace::Feed, &[0, 0, 0, 0, 1][..])]);
    /// ```
    pub fn note_changes<'a>(&self, changed: impl IntoIterator<Item = (Keyspace, &'a [u8])>) {
        let (mut asked, mut keys, mut touched) = (false, false, BTreeSet::new());
        for (space, key) in changed {
            keys |= space == Keyspace::Keys;
            if matches!(space, Keyspace::Feed | Keyspace::Held | Keyspace::Peers) {
                // The number of a row of another kind is that of no thread, or of one too many.
                touched.extend(number(key));
            }
            asked |= space == Keyspace::Meta && key.starts_with(meta::PENDING_JOINS);
            if let Some(fresh) = meaning(space, key) {
                let fresh = self.shared_still(fresh);
                self.inner.notifier.notify_of(News(fresh));
            }
        }
        if keys {
            // Of a thread that fails, whoever uses it is told.
            _ = self.take_up_keys();
        }
        // Which peers are asked stands in the rows.
        for peer in asked
            .then(|| self.awaited_inviters())
            .into_iter()
            .flatten()
            .flatten()
        {
            self.inner.notifier.notify_of(News(Fresh::Asked(peer)));
        }
        self.inner.notifier.notify_in(touched);
    }

    /// What the row of a peer that shares a thread means: it may be gone.
    fn shared_still(&self, fresh: Fresh) -> Fresh {
        let Fresh::Shared(thread, peer) = fresh else {
            return fresh;
        };
        let txn = self.inner.store.read();
        match txn.and_then(|txn| shares::has(&*txn, thread, &peer)) {
            Ok(true) => Fresh::Shared(thread, peer),
            // What cannot be read is looked at again with all others.
            Ok(false) | Err(_) => Fresh::Members(thread),
        }
    }
}
