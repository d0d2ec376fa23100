//! Which events are authorised (R3 to R5) and which count (R6), and what a new one changes of that.

use std::collections::BTreeSet;

use super::support::{Claim, Lack};
use crate::reason::{Cause, Refusal, Supporter};
use crate::{AclId, AclKind, Changes, Evaluator, Peer, Role, Scope, Who};

/// A say in the list.
fn say(peer: Peer) -> Claim {
    Claim {
        peer,
        scope: Scope::Acl,
        role: Role::Write,
    }
}

impl Evaluator {
    /// R3. It follows from the past of the event and from root's seals.
    fn authority(&self, id: AclId) -> Result<Supporter, Lack> {
        let event = &self.known[id.index()];
        if !self.takes_part[id.index()] {
            return Err(Lack::NoPart);
        }
        if event.author == self.root {
            return Ok(Supporter::Root);
        }
        if event.kind.is_leaving(event.author) {
            return Ok(Supporter::Own);
        }
        let saw = |other: AclId| event.past.contains(other.0);
        let grants = |grant| saw(grant) && self.authorised[grant.index()];
        let binds = |removal| {
            (saw(removal) && self.authorised[removal.index()]) || self.is_left_out(id, removal)
        };
        self.support(say(event.author), &grants, &binds)
            .map(Supporter::Grant)
    }

    /// Whether a seal of this removal does not have the event in its past.
    fn is_left_out(&self, id: AclId, removal: AclId) -> bool {
        let seals = self.seals.get(&removal);
        seals.is_some_and(|seals| {
            let mut seals = seals.iter();
            seals.any(|seal| !self.reaches(*seal, id))
        })
    }

    /// R6, for an event that is authorised.
    fn backing(&self, id: AclId) -> Result<Supporter, Lack> {
        let event = &self.known[id.index()];
        if event.author == self.root {
            return Ok(Supporter::Root);
        }
        let grants = |grant: AclId| event.past.contains(grant.0) && self.counts[grant.index()];
        let binds = |removal: AclId| self.authorised[removal.index()] && !self.reaches(removal, id);
        self.support(say(event.author), &grants, &binds)
            .map(Supporter::Grant)
    }

    /// R5 and R6.
    fn standing_of(&self, id: AclId) -> Result<Supporter, Lack> {
        let authority = self.authority(id)?;
        match self.known[id.index()].kind {
            AclKind::Grant { .. } | AclKind::Restrict(_) => self.backing(id),
            _ => Ok(authority),
        }
    }

    /// The grant that an event stands on: one that counts, or one that is authorised.
    pub(super) fn stands_on(&self, id: AclId, counting: bool) -> Option<AclId> {
        let found = if counting {
            self.backing(id)
        } else {
            self.authority(id)
        };
        match found {
            Ok(Supporter::Grant(grant)) => Some(grant),
            _ => None,
        }
    }

    pub(super) fn explained(&self, id: AclId) -> Result<Supporter, Refusal> {
        let Some(event) = self.known.get(id.index()) else {
            return Err(Refusal::of(
                Scope::Acl,
                Role::Write,
                Cause::NoGrant { void: None },
            ));
        };
        let saw = |other: AclId| event.past.contains(other.0);
        self.standing_of(id)
            .map_err(|lack| self.refusal(say(event.author), lack, &saw))
    }

    /// Settles everything after the last event, of number `id`, came in, and all of it anew if others `turned`
    /// up by that, or away.
    pub(super) fn settle(&mut self, id: AclId, turned: bool) -> Changes {
        let mut work = BTreeSet::from([id]);
        if self.is_sealer(id) {
            let level = |id: &AclId| self.known[id.index()].level;
            let is_last = self
                .sealers
                .last()
                .is_none_or(|last| level(last) < level(&id));
            self.sealers.push(id);
            if !is_last || turned {
                return self.resettle(id);
            }
            work.extend(self.seal(&[id]));
        } else if turned {
            return self.resettle(id);
        }
        let flipped = self.authorise(work);
        self.recount(id, &flipped)
    }

    /// Root's checkpoints and removals of somebody's say in the list.
    fn is_sealer(&self, id: AclId) -> bool {
        let event = &self.known[id.index()];
        let takes_say = || {
            let taken = event.kind.takes(event.author);
            taken.is_some_and(|(_, scopes, _)| scopes.contains(&Some(Scope::Acl)))
        };
        event.author == self.root && (event.kind == AclKind::Checkpoint || takes_say())
    }

    /// R4, for seals of one level: seals what they seal, and gives what that may leave out.
    fn seal(&mut self, sealers: &[AclId]) -> BTreeSet<AclId> {
        let mut sealed = Vec::new();
        for &seal in sealers {
            if self.known[seal.index()].kind == AclKind::Checkpoint {
                let removals = self.list_removals.iter().copied();
                let new = removals.filter(|removal| self.is_sealed_first_at(*removal, seal));
                sealed.extend(new.map(|removal| (removal, seal)));
            } else {
                sealed.push((seal, seal));
            }
        }
        let mut left_out = BTreeSet::new();
        for (removal, seal) in sealed {
            self.seals.entry(removal).or_default().push(seal);
            left_out.extend(self.beyond(removal, seal));
        }
        left_out
    }

    /// Whether a checkpoint seals a removal that no seal in its past has sealed.
    fn is_sealed_first_at(&self, removal: AclId, seal: AclId) -> bool {
        let seals = self
            .seals
            .get(&removal)
            .map(Vec::as_slice)
            .unwrap_or_default();
        self.authorised[removal.index()]
            && self.reaches(seal, removal)
            && !seals.iter().any(|earlier| self.reaches(seal, *earlier))
    }

    /// The events of whom a removal means that are not in the past of `limit`.
    fn beyond(&self, removal: AclId, limit: AclId) -> Vec<AclId> {
        let event = &self.known[removal.index()];
        let past = &self.known[limit.index()].past;
        let Some(who) = event.kind.concerns_list_of(event.author) else {
            return Vec::new();
        };
        let mut events = self.events_of(who, past.full());
        events.retain(|id| !past.contains(id.0));
        events
    }

    /// The events of a peer, or of everyone, from a number on.
    fn events_of(&self, who: Who, from: u32) -> Vec<AclId> {
        match who {
            Who::Everyone => (from..self.known.len() as u32).map(AclId).collect(),
            Who::Peer(peer) => {
                let all = self
                    .by_author
                    .get(&peer)
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                all[all.partition_point(|id| id.0 < from)..].to_vec()
            }
        }
    }

    /// Looks again at whether these events are authorised, and at what hangs on them; gives those of
    /// which it is otherwise now. An event hangs on earlier ones only, so that each is looked at once.
    fn authorise(&mut self, mut work: BTreeSet<AclId>) -> Vec<AclId> {
        let mut flipped = Vec::new();
        while let Some(id) = work.pop_first() {
            let is = self.authority(id).is_ok();
            if is == self.authorised[id.index()] {
                continue;
            }
            self.authorised[id.index()] = is;
            flipped.push(id);
            let event = &self.known[id.index()];
            if let Some(who) = event.kind.concerns_list_of(event.author) {
                work.extend(self.events_of(who, id.0 + 1));
            }
        }
        flipped
    }

    /// Looks again at what counts, after these events came to be authorised or ceased to be.
    fn recount(&mut self, new: AclId, flipped: &[AclId]) -> Changes {
        let mut work = BTreeSet::from([new]);
        for id in flipped {
            work.insert(*id);
            let event = &self.known[id.index()];
            // What a removal has in its past it leaves alone (R9).
            if event.kind.takes(event.author).is_some() {
                work.extend(self.beyond(*id, *id));
            }
        }
        let mut changes = Changes::default();
        changes
            .events
            .extend(flipped.iter().filter(|id| **id != new));
        while let Some(id) = work.pop_first() {
            let counts = self.authorised[id.index()] && self.standing_of(id).is_ok();
            if counts == self.counts[id.index()] {
                continue;
            }
            self.counts[id.index()] = counts;
            self.note_spoken(id, counts);
            let event = &self.known[id.index()];
            changes.note(id, event.author, &event.kind, id == new);
            if let AclKind::Grant {
                target,
                scope: Scope::Acl,
                ..
            } = event.kind
            {
                work.extend(self.events_of(target, id.0 + 1));
            }
        }
        changes
    }

    /// Settles everything anew: root forked its chain, and the new seal stands before or beside another; or
    /// earlier events take part now, or do no more.
    fn resettle(&mut self, new: AclId) -> Changes {
        let before = std::mem::take(&mut self.authorised);
        self.authorised = vec![false; before.len()];
        self.seals.clear();
        let all = || (0..before.len() as u32).map(AclId);
        for id in all() {
            self.authorised[id.index()] = self.authority(id).is_ok();
        }
        let mut sealers = self.sealers.clone();
        sealers.sort_by_key(|id| self.known[id.index()].level);
        let level = |evaluator: &Self, id: &AclId| evaluator.known[id.index()].level;
        let groups: Vec<Vec<AclId>> = sealers
            .chunk_by(|a, b| level(self, a) == level(self, b))
            .map(<[AclId]>::to_vec)
            .collect();
        for group in groups {
            let left_out = self.seal(&group);
            self.authorise(left_out);
        }
        self.sealers = sealers;
        let flipped: Vec<_> = all()
            .filter(|id| before[id.index()] != self.authorised[id.index()])
            .collect();
        self.recount(new, &flipped)
    }
}
