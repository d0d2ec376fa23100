//! Which card of a peer counts, when several were stated: the same whatever the order in which they came.

use std::collections::BTreeMap;

use threads_core::{PeerCard, PeerId};

use crate::{AclId, Evaluator};

/// The cards that were stated, by whose they are.
#[derive(Debug, Default)]
pub(super) struct Cards(BTreeMap<PeerId, Shown>);

/// The cards of one peer.
#[derive(Debug, Default)]
struct Shown {
    /// Those that the peer stated itself, and has not stated another one after.
    own: Vec<(AclId, PeerCard)>,
    /// The greatest of those that others stated: they say nothing about which is newer.
    others: Option<PeerCard>,
}

impl Cards {
    /// Takes in a card that somebody else stated.
    pub(super) fn state(&mut self, card: &PeerCard) {
        let others = &mut self.0.entry(card.peer()).or_default().others;
        let greatest = others.is_none_or(|other| other.to_bytes() < card.to_bytes());
        if greatest {
            *others = Some(*card);
        }
    }

    /// Takes in a card that its peer stated in this event.
    pub(super) fn state_own(&mut self, evaluator: &Evaluator, event: AclId, card: &PeerCard) {
        let own = &mut self.0.entry(card.peer()).or_default().own;
        // Events come after those in their past, so that none of these has the new one in its own.
        own.retain(|(earlier, _)| !evaluator.reaches(event, *earlier));
        own.push((event, *card));
    }

    /// Whose cards were stated.
    pub(super) fn peers(&self) -> impl Iterator<Item = &PeerId> {
        self.0.keys()
    }

    /// The card that counts: by its peer, the latest; of such that were stated at once, the greatest.
    pub(super) fn of(&self, peer: &PeerId) -> Option<PeerCard> {
        let shown = self.0.get(peer)?;
        let own = shown.own.iter().map(|(_, card)| *card);
        own.max_by_key(PeerCard::to_bytes).or(shown.others)
    }
}
