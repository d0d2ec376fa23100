//! Rotating keys: who gets new ones follows from the rules.

use threads_core::access::{PeerRules, Role, Rules};
use threads_core::datastore::ReadTxn;
use threads_core::{Error, PeerCard, Result, Variant};

use super::epochs::InUse;
use super::rotates::Rotates;
use crate::db::Db;
use crate::thread::{Thread, Tip};
use crate::txn::{Commit, WriteTransaction};

/// Root makes new keys when those in use are so old, in milliseconds: 30 days.
const ROTATE_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Or when so many records came since.
const ROTATE_RECORDS: u64 = 1 << 20;

impl Db {
    /// Makes new keys for what is written from now on, sealed to all who may read or keep the thread by its
    /// rules. Removing a reader does so by itself; do it now and then besides, so that keys which got lost are of
    /// no use for what is written later. Gives the number of the epoch.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](threads_core::ErrorKind::Unsupported) in a thread without rules,
    /// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) when this node may not change them.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.rotate_keys().is_err(), "it has no rules");
    /// ```
    pub fn rotate_keys(&self) -> Result<u64> {
        self.write(|txn| txn.rotate())
    }
}

/// Who gets which keys.
#[derive(Default)]
struct Members {
    readers: Vec<PeerCard>,
    replicas: Vec<PeerCard>,
}

impl Members {
    fn of(rules: &Rules) -> Self {
        let mut members = Self::default();
        for peer in rules.peers.keys() {
            let PeerRules { thread, card, .. } = rules.of(peer);
            // Whoever came without a card gets keys with an invite.
            let Some(card) = card else { continue };
            if thread.contains(&Role::Read) {
                members.readers.push(card);
            } else if thread.contains(&Role::Replicate) {
                members.replicas.push(card);
            }
        }
        members
    }
}

impl WriteTransaction<'_> {
    pub(super) fn rules(&self) -> Result<Option<Rules>> {
        let thread = self.thread();
        thread.node.policy.rules(&thread.id, self.txn.as_read())
    }

    /// States new keys for those who may have them by the rules.
    fn rotate(&mut self) -> Result<u64> {
        let rules = self.rules()?.ok_or_else(|| {
            Error::unsupported("this thread has no access rules, and so one set of keys for good")
        })?;
        let members = Members::of(&rules);
        self.rekey(&members.readers, &members.replicas)
    }

    /// Makes new keys, if they are due and this node is one to do it: so a removal and the keys that follow
    /// from it are committed together. They are due, too, when a reader `is_back`.
    pub(crate) fn rotate_if_due(&mut self, is_back: bool) -> Result<Option<Commit>> {
        let (thread, txn) = (self.thread(), self.txn.as_read());
        let is_due = thread.rotation_is_due(txn)? || is_back && thread.may_rotate(txn)?;
        if !is_due {
            return Ok(None);
        }
        self.rotate()?;
        self.dispatch_access().map(Some)
    }
}

impl Thread {
    /// Whether new keys are due that this node has to make: somebody has all keys that there are who may
    /// not read any more, or those in use have been in use for long.
    pub(crate) fn rotation_is_due(&self, txn: &dyn ReadTxn) -> Result<bool> {
        if self.id.variant() != Variant::AccessControlled || self.is_blind() {
            return Ok(false);
        }
        let Some(in_use) = self.epoch_in_use(txn)? else {
            return self.may_rotate(txn);
        };
        self.is_worn(txn, in_use)
    }

    /// Whether this node may state new keys, and would have them itself.
    fn may_rotate(&self, txn: &dyn ReadTxn) -> Result<bool> {
        let rules = self.node.policy.rules(&self.id, txn)?;
        let may = rules.and_then(|rules| Rotates::of(&rules, &self.own_author()));
        Ok(may.is_some())
    }

    /// Whether keys have been in use for as long as this node lets them.
    fn is_worn(&self, txn: &dyn ReadTxn, in_use: InUse) -> Result<bool> {
        let Some(rotates) = in_use.rotates else {
            return Ok(false);
        };
        let now = self.node.clock.now_ms();
        let age = in_use.made_ms.map(|made| now.saturating_sub(made));
        if age.is_some_and(|age| age >= rotates.longer(ROTATE_MS)) {
            return Ok(true);
        }
        let since = self.epoch_since(txn, in_use.number)?;
        let came = Tip::get(txn, self.number)?.position.saturating_sub(since);
        Ok(came >= rotates.longer(ROTATE_RECORDS))
    }
}

#[cfg(test)]
mod tests;
