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
    /// Those that the peer stated itself.
    own: Vec<(AclId, PeerCard)>,
    /// Those that others stated: they say nothing about which is newer.
    others: Vec<(AclId, PeerCard)>,
}

impl Cards {
    /// Takes in a card that its peer stated in this event, or somebody else.
    pub(super) fn state(&mut self, event: AclId, (card, is_own): (&PeerCard, bool)) {
        let shown = self.0.entry(card.peer()).or_default();
        let cards = if is_own {
            &mut shown.own
        } else {
            &mut shown.others
        };
        cards.push((event, *card));
    }

    /// Whose cards were stated.
    pub(super) fn peers<'a>(
        &'a self,
        evaluator: &'a Evaluator,
    ) -> impl Iterator<Item = &'a PeerId> {
        let peers = self.0.keys();
        peers.filter(|peer| self.of(evaluator, peer).is_some())
    }

    /// The card that counts: by its peer, the latest; of such that were stated at once, the greatest. What
    /// takes no part is not looked at.
    pub(super) fn of(&self, evaluator: &Evaluator, peer: &PeerId) -> Option<PeerCard> {
        let shown = self.0.get(peer)?;
        let takes_part = |(event, _): &&(AclId, PeerCard)| evaluator.why_left_out(*event).is_none();
        let mut latest: Vec<(AclId, PeerCard)> = Vec::new();
        // Events come after those in their past, so that the last one has most of them in its own.
        for (event, card) in shown.own.iter().rev().filter(takes_part) {
            let is_before = |later: &(AclId, PeerCard)| evaluator.reaches(later.0, *event);
            if !latest.iter().any(is_before) {
                latest.push((*event, *card));
            }
        }
        let greatest =
            |cards: &mut dyn Iterator<Item = PeerCard>| cards.max_by_key(PeerCard::to_bytes);
        let own = greatest(&mut latest.into_iter().map(|(_, card)| card));
        let mut others = shown
            .others
            .iter()
            .filter(takes_part)
            .map(|(_, card)| *card);
        own.or_else(|| greatest(&mut others))
    }
}
