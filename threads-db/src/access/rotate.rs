//! Rotating keys: who gets new ones follows from the rules.

use threads_core::access::{PeerRules, Role, Rules};
use threads_core::datastore::ReadTxn;
use threads_core::{Error, ErrorKind, PeerCard, PeerId, Result};

use crate::db::Db;
use crate::txn::{Commit, WriteTransaction};

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

/// Whether a peer may state new keys, and would have them itself.
fn may_rotate(rules: &Rules, peer: &PeerId) -> bool {
    let own = rules.of(peer);
    let reads = own.thread.contains(&Role::Read) && own.card.is_some();
    own.acl.contains(&Role::Write) && reads
}

impl WriteTransaction<'_> {
    fn rules(&self) -> Result<Option<Rules>> {
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

    /// After rules changed: makes new keys, if somebody has those in use who may not read any more, and this
    /// node is one to do it. The removal and the keys are committed together.
    pub(crate) fn rotate_if_due(&mut self) -> Result<Option<Commit>> {
        let thread = self.thread();
        match thread.writing_epoch(self.txn.as_read()) {
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            Ok(_) => return Ok(None),
            Err(error) => return Err(error),
        }
        let rules = self.rules()?;
        if !rules.is_some_and(|rules| may_rotate(&rules, &thread.own_author())) {
            return Ok(None);
        }
        self.rotate()?;
        self.dispatch_access().map(Some)
    }
}

/// Whether new keys are due that this node has to make.
pub(crate) fn is_due(db: &Db, rules: &Rules, txn: &dyn ReadTxn) -> Result<bool> {
    let thread = db.thread();
    if !may_rotate(rules, &thread.own_author()) {
        return Ok(false);
    }
    match thread.writing_epoch(txn) {
        Err(error) if error.kind() == ErrorKind::Unavailable => Ok(true),
        Err(error) => Err(error),
        Ok(_) => Ok(false),
    }
}
