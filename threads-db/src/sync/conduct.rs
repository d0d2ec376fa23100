//! How peers behave: what is counted against them, and how much they may ask.

use std::collections::BTreeMap;

use threads_core::record::Rejection;
use threads_core::{Error, ErrorKind, PeerId};

use super::limits::{BANNED_MS, REMEMBERED_MAX, SCORE_HALF_LIFE_MS, SCORE_MIN};

/// What one fault costs the peer that sent it. Nothing for what honest peers may see differently:
/// access, forks, what is held back.
pub(crate) fn cost(error: &Error) -> i64 {
    if error.kind() != ErrorKind::Rejected {
        return 0;
    }
    match Rejection::of(error) {
        Some(Rejection::BadSignature | Rejection::WeakKey | Rejection::BadCommitment) => 100,
        Some(Rejection::CannotOpen | Rejection::WrongThread | Rejection::BadLink) => 100,
        Some(_) => 20,
        None => 0,
    }
}

/// The cost of a frame that does not decode.
pub(crate) const MALFORMED: i64 = 20;
/// The cost of a promise of records that are not there.
pub(crate) const STALE: i64 = 5;
/// The cost of asking for a thread without showing its key.
pub(crate) const PROBE: i64 = 5;

/// The cost of an announcement in another's name.
pub(crate) const FORGED: i64 = 100;

/// How one peer has behaved.
#[derive(Clone, Copy, Debug, Default)]
struct Conduct {
    score: i64,
    at_ms: u64,
    banned_until_ms: u64,
}

impl Conduct {
    fn settle(&mut self, now_ms: u64) {
        let halvings = now_ms.saturating_sub(self.at_ms) / SCORE_HALF_LIFE_MS;
        if halvings > 0 {
            self.score /= 1 << halvings.min(62);
            self.at_ms = now_ms;
        }
    }
}

/// How peers have behaved, connected or not.
#[derive(Debug, Default)]
pub(crate) struct Conducts(BTreeMap<PeerId, Conduct>);

impl Conducts {
    /// Counts a fault; says whether the peer is to be cut off now.
    pub(crate) fn fault(&mut self, peer: PeerId, cost: i64, now_ms: u64) -> bool {
        if cost == 0 {
            return false;
        }
        if self.0.len() >= REMEMBERED_MAX && !self.0.contains_key(&peer) {
            self.forget_the_best();
        }
        let conduct = self.0.entry(peer).or_insert(Conduct {
            at_ms: now_ms,
            ..Conduct::default()
        });
        conduct.settle(now_ms);
        conduct.score -= cost;
        let cut = conduct.score <= SCORE_MIN;
        if cut {
            conduct.banned_until_ms = now_ms.saturating_add(BANNED_MS);
            conduct.score = 0;
        }
        cut
    }

    pub(crate) fn is_banned(&self, peer: &PeerId, now_ms: u64) -> bool {
        let conduct = self.0.get(peer);
        conduct.is_some_and(|conduct| conduct.banned_until_ms > now_ms)
    }

    /// Room for one more: who has behaved best is remembered least.
    fn forget_the_best(&mut self) {
        let best = self
            .0
            .iter()
            .min_by_key(|(_, c)| (c.banned_until_ms, -c.score));
        if let Some(best) = best.map(|(peer, _)| *peer) {
            self.0.remove(&best);
        }
    }
}

/// How much may still come, of requests or publications: so many a second, and a burst of more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    per_second: u64,
    burst: u64,
    left: u64,
    at_ms: u64,
}

impl Allowance {
    pub(crate) fn new(per_second: u64, burst: u64, now_ms: u64) -> Self {
        Self {
            per_second,
            burst,
            left: burst,
            at_ms: now_ms,
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, now_ms: u64) -> bool {
        let gained = now_ms
            .saturating_sub(self.at_ms)
            .saturating_mul(self.per_second)
            / 1_000;
        if gained > 0 {
            self.left = self.left.saturating_add(gained).min(self.burst);
            self.at_ms = now_ms;
        }
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }

    /// When it was last filled up, which is when it is used.
    pub(crate) fn used_at(&self) -> u64 {
        self.at_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> PeerId {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        PeerId::from_key_bytes(key)
    }

    #[test]
    fn faults_add_up_and_fade_and_a_ban_ends() {
        let mut conducts = Conducts::default();
        for _ in 0..4 {
            assert!(!conducts.fault(peer(1), MALFORMED, 0));
        }
        assert!(conducts.fault(peer(1), MALFORMED, 0));
        assert!(conducts.is_banned(&peer(1), BANNED_MS - 1));
        assert!(!conducts.is_banned(&peer(1), BANNED_MS));
        assert!(!conducts.fault(peer(2), 99, 0));
        assert!(
            !conducts.fault(peer(2), 50, SCORE_HALF_LIFE_MS),
            "half is forgotten"
        );
        assert!(conducts.fault(peer(2), 1, SCORE_HALF_LIFE_MS));
    }

    #[test]
    fn what_honest_peers_may_see_differently_costs_nothing() {
        assert_eq!(cost(&Error::rejected("the log was forked")), 0);
        assert_eq!(cost(&Error::corrupt("a damaged disk")), 0);
        assert_eq!(cost(&Rejection::BadSignature.into()), 100);
    }

    #[test]
    fn the_memory_of_conduct_is_bounded_and_keeps_the_worst() {
        let mut conducts = Conducts::default();
        assert!(conducts.fault(peer(0), 100, 0));
        for n in 1..=REMEMBERED_MAX as u32 {
            conducts.fault(peer(n), 1, 0);
        }
        assert_eq!(conducts.0.len(), REMEMBERED_MAX);
        assert!(conducts.is_banned(&peer(0), 1));
    }

    #[test]
    fn a_burst_is_allowed_and_then_a_rate() {
        let mut allowance = Allowance::new(10, 40, 0);
        let burst = (0..80).filter(|_| allowance.take(0)).count();
        assert_eq!(burst, 40);
        let second = (0..80).filter(|_| allowance.take(1_000)).count();
        assert_eq!(second, 10);
    }
}
