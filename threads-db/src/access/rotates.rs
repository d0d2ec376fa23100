//! Who makes new keys, and how long each waits with it.

use threads_core::PeerId;
use threads_core::access::{Role, Rules};

/// Whoever is not root waits longer than root, each by another part of a quarter of that, so that not all of them do it.
const SPREAD: u64 = 4;

/// A peer that may state new keys, and would have them itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rotates {
    /// How much longer than root it waits with it, from 0 to 255.
    pub(super) patience: u64,
}

impl Rotates {
    /// `None` for a peer that may not.
    pub(crate) fn of(rules: &Rules, peer: &PeerId) -> Option<Self> {
        let own = rules.of(peer);
        let reads = own.thread.contains(&Role::Read) && own.card.is_some();
        let may = own.acl.contains(&Role::Write) && reads;
        let patience = match *peer == rules.root {
            true => 0,
            false => u64::from(peer.key_bytes()[0]),
        };
        may.then_some(Self { patience })
    }

    pub(super) fn longer(self, wait: u64) -> u64 {
        wait + wait / SPREAD * self.patience / u64::from(u8::MAX)
    }
}
