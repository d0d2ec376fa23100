//! Peers that were removed from a thread, or left it, and ask on: they are refused, for that thread, and not
//! blamed. Who was never in is told the same, and it counts as a probe.

use threads_core::datastore::{Datastore, DatastoreExt, Durability, ReadTxn, WriteTxn};
use threads_core::{PeerId, Result};

use super::blobs::{Blobbed, Blobbing};
use super::erasures::{Erase, ErasedBy};
use super::io::{Done, Fresh, News, Op};
use super::locate::{Locate, Located};
use super::vouch::{Vouch, Vouched};
use super::wire::Claim;
use super::words::{Worded, Wording};
use crate::access;
use crate::layout::Number;
use crate::node::{self, Node};

impl Op {
    /// Who asks of which thread.
    pub(super) fn asks(&self) -> Option<(PeerId, Claim)> {
        match self {
            Self::Serve(peer, claim, _)
            | Self::Receive(peer, claim, _)
            | Self::Heard(peer, claim, _)
            | Self::Ranges(peer, claim, _)
            | Self::Vouch(Vouch::Sign(peer, claim, _))
            | Self::Erase(Erase::Sign(peer, claim, _))
            | Self::Locate(Locate::Tell(peer, claim, _))
            | Self::Words(Wording::List(peer, claim, _))
            | Self::Blobs(Blobbing::List(peer, claim, ..) | Blobbing::Serve(peer, claim, _)) => {
                Some((*peer, *claim))
            }
            _ => None,
        }
    }
}

impl Done {
    /// Whether the peer has no right to ask.
    fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Served(None)
                | Self::Received(None)
                | Self::Heard(None)
                | Self::Ranges(None)
                | Self::Vouched(Vouched::Signed(None))
                | Self::Erased(ErasedBy::Signed(None))
                | Self::Located(Located::Told(None))
                | Self::Words(Worded::Listed(None))
                | Self::Blobs(Blobbed::Listed(None) | Blobbed::Served(None))
        )
    }
}

impl Node {
    /// What came of a question, of which it is known whether who asked was in once.
    pub(super) fn refused(&self, asks: Option<(PeerId, Claim)>, done: Done) -> Result<Done> {
        let Some((peer, claim)) = asks.filter(|_| done.is_refusal()) else {
            return Ok(done);
        };
        let txn = self.inner.store.read()?;
        let was_in = match self.proved(&*txn, &peer, &claim)? {
            Some((thread, _)) => self.was_in(&*txn, thread, &peer)?,
            None => false,
        };
        Ok(if was_in { Done::Removed } else { done })
    }

    /// Whether a peer was in a thread by name, by its rules, and is no more.
    pub(super) fn was_in(&self, txn: &dyn ReadTxn, thread: Number, peer: &PeerId) -> Result<bool> {
        let id = node::thread_id(txn, thread)?;
        Ok(self.inner.policy.removal(&id, peer, txn)?.is_some())
    }

    /// Threads of which a peer showed the key that was removed from them: it is told so.
    pub(super) fn say_removed(&self, peer: &PeerId, threads: &[Number]) -> Result<()> {
        let owe = |txn: &mut dyn WriteTxn| {
            let mut threads = threads.iter();
            threads.try_for_each(|thread| access::owe(txn, *thread, peer))
        };
        self.inner.store.transact(Durability::Relaxed, owe)?;
        self.inner.notifier.notify_of(News(Fresh::Removed(*peer)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
