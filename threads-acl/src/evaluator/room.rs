//! Who has a part in the rules, and how much of what it says there is room for: R15.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::{AclId, AclKind, Evaluator, Peer, Scope, Who};

/// How many access-control events take part (R15). [`Default`] is what the rules say; others are for
/// trying things out, as peers that differ in it do not agree.
///
/// ```
/// let room = threads_acl::Room::default();
/// assert_eq!((room.root, room.own, room.guests), (100_000, 20_000, 20_000));
/// assert_eq!((room.member, room.everyone), (100, 1_000));
/// ```
#[allow(clippy::exhaustive_structs, reason = "a rule says what there is")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// In the longest chain of root's own.
    pub root: u32,
    /// By each whom root let in.
    pub own: u32,
    /// By all together who have a say through one whom root let in.
    pub guests: u32,
    /// By each who has no say, and was let in by name.
    pub member: u32,
    /// By all together who have what one gave to everyone, and no more.
    pub everyone: u32,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            root: 100_000,
            own: 20_000,
            guests: 20_000,
            member: 100,
            everyone: 1_000,
        }
    }
}

/// Why an event takes no part.
///
/// ```
/// assert_ne!(threads_acl::LeftOut::Stranger, threads_acl::LeftOut::NoRoom);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// Nobody who has a say ever gave its author anything, as far as it knew. That stays so.
    Stranger,
    /// There is no room for what its author says, until an event by root has it in its past.
    NoRoom,
}

/// Who uses a room, of those who are in by way of one whom root let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    /// That one itself.
    Own,
    /// Who has a say.
    Guests,
    Member(Peer),
    Everyone,
}

type Key = (Who, Kind);

/// Grants to one, or to everyone, that come from the same.
#[derive(Clone, Debug)]
struct Given {
    from: Arc<[Who]>,
    says: bool,
    grants: Vec<AclId>,
}

/// Whom root let in, who is in by way of them, and how much they said.
#[derive(Clone, Debug)]
pub(super) struct Rooms {
    pub(super) most: Room,
    taken: HashMap<Key, u32>,
    given: HashMap<Who, Vec<Given>>,
    /// The rooms of each event, by number.
    of: Vec<Arc<[Key]>>,
    /// Those that have rooms, and are in the past of no event by root.
    unseen: Vec<AclId>,
    nowhere: Arc<[Key]>,
}

/// By way of whom somebody is in, in which room, and whether it has a say by that.
type Ways = BTreeMap<Who, (Kind, bool)>;

impl Rooms {
    pub(super) fn new(most: Room) -> Self {
        Self {
            most,
            taken: HashMap::new(),
            given: HashMap::new(),
            of: Vec::new(),
            unseen: Vec::new(),
            nowhere: Arc::from([]),
        }
    }

    /// The ways in which an author is in, by the grants that it `saw`.
    fn ways(&self, author: Peer, saw: &dyn Fn(AclId) -> bool) -> Ways {
        let mut ways = Ways::new();
        if author == Peer::NOBODY {
            return ways;
        }
        for who in [Who::Peer(author), Who::Everyone] {
            for given in self.given.get(&who).into_iter().flatten() {
                if !given.grants.iter().any(|grant| saw(*grant)) {
                    continue;
                }
                for from in given.from.iter() {
                    let kind = match (who, given.says) {
                        _ if *from == Who::Peer(author) => Kind::Own,
                        (_, true) => Kind::Guests,
                        (Who::Peer(_), false) => Kind::Member(author),
                        (Who::Everyone, false) => Kind::Everyone,
                    };
                    let way = ways.entry(*from).or_insert((kind, given.says));
                    *way = (way.0.min(kind), way.1 || given.says);
                }
            }
        }
        ways
    }

    fn has_more(&self, key: Key, most: u32) -> bool {
        self.taken.get(&key).is_some_and(|taken| *taken > most)
    }

    /// Whether more was said than there is room for: here, or by those through whom one is here.
    fn is_full(&self, (by, kind): Key) -> bool {
        let most = self.most;
        let own = || self.has_more((by, Kind::Own), most.own);
        let guests = || own() || self.has_more((by, Kind::Guests), most.guests);
        match kind {
            Kind::Own => own(),
            Kind::Guests => guests(),
            Kind::Member(_) => guests() || self.has_more((by, kind), most.member),
            Kind::Everyone => guests() || self.has_more((by, kind), most.everyone),
        }
    }

    fn has_room(&self, rooms: &[Key]) -> bool {
        rooms.iter().any(|key| !self.is_full(*key))
    }

    /// Takes up room; says whether that made a room full.
    fn take(&mut self, rooms: &[Key]) -> bool {
        let mut filled = false;
        for key in rooms {
            let before = self.is_full(*key);
            *self.taken.entry(*key).or_default() += 1;
            filled |= !before && self.is_full(*key);
        }
        filled
    }

    fn give(&mut self, target: Who, says: bool, from: Arc<[Who]>, grant: AclId) {
        let all = self.given.entry(target).or_default();
        let same = |given: &&mut Given| given.says == says && given.from == from;
        match all.iter_mut().find(same) {
            Some(given) => given.grants.push(grant),
            None => all.push(Given {
                from,
                says,
                grants: vec![grant],
            }),
        }
    }

    /// The list of rooms, shared with the event before if that has the same.
    fn shared(&self, rooms: Vec<Key>, before: Option<AclId>) -> Arc<[Key]> {
        let before = before.map_or(&self.nowhere, |id| &self.of[id.index()]);
        match **before == *rooms {
            true => Arc::clone(before),
            false => rooms.into(),
        }
    }
}

impl Evaluator {
    /// Why an event by this author that has seen these would take no part, if it would not. A
    /// [`Stranger`](LeftOut::Stranger) need never be inserted: whatever else comes, its event has no effect.
    /// Nor one for which there is no [room](LeftOut::NoRoom), before an event by root has it in its past.
    /// Parents that are not here are none.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, LeftOut, Peer, Role, Scope, Who};
    ///
    /// let (root, ann, eve) = (Peer(0), Peer(1), Peer(2));
    /// let mut evaluator = Evaluator::new(root);
    /// let kind = AclKind::Grant { target: Who::Peer(ann), scope: Scope::Thread, role: Role::Read };
    /// let (grant, _) = evaluator.insert(AclEvent { author: root, parents: vec![], kind }).unwrap();
    /// assert_eq!(evaluator.left_out(ann, &[grant]), None);
    /// assert_eq!(evaluator.left_out(eve, &[grant]), Some(LeftOut::Stranger));
    /// ```
    pub fn left_out(&self, author: Peer, parents: &[AclId]) -> Option<LeftOut> {
        if author == self.root {
            let above = parents.iter().filter_map(|id| {
                let known = self.known.get(id.index())?;
                Some(known.level + u32::from(known.author == self.root))
            });
            let fits = above.max().unwrap_or_default() < self.rooms.most.root;
            return (!fits).then_some(LeftOut::NoRoom);
        }
        let saw = |grant| {
            let mut parents = parents.iter();
            parents.any(|id| *id == grant || self.reaches(*id, grant))
        };
        let ways = self.rooms.ways(author, &saw);
        let mut rooms = ways.iter().map(|(by, (kind, _))| (*by, *kind));
        match ways.is_empty() {
            true => Some(LeftOut::Stranger),
            false if rooms.any(|key| !self.rooms.is_full(key)) => None,
            false => Some(LeftOut::NoRoom),
        }
    }

    /// Why an event takes no part (R15), if it takes none.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, LeftOut, Peer};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let leaves = AclEvent { author: Peer(9), parents: vec![], kind: AclKind::Leave };
    /// let (id, _) = evaluator.insert(leaves).unwrap();
    /// assert_eq!(evaluator.why_left_out(id), Some(LeftOut::Stranger));
    /// ```
    pub fn why_left_out(&self, id: AclId) -> Option<LeftOut> {
        let takes_part = *self.takes_part.get(id.index())?;
        let rooms = self.rooms.of.get(id.index())?;
        match rooms.is_empty() && self.known[id.index()].author != self.root {
            _ if takes_part => None,
            true => Some(LeftOut::Stranger),
            false => Some(LeftOut::NoRoom),
        }
    }

    /// Finds the rooms of the last event, of number `id`. Says whether others take part now that did not,
    /// or the other way round.
    pub(super) fn enter(&mut self, id: AclId) -> bool {
        let event = &self.known[id.index()];
        let (author, kind) = (event.author, event.kind);
        if author == self.root {
            let nowhere = Arc::clone(&self.rooms.nowhere);
            self.rooms.of.push(nowhere);
            self.takes_part.push(event.level < self.rooms.most.root);
            self.lets_in(id, kind, None);
            return self.sees(id);
        }
        let ways = self
            .rooms
            .ways(author, &|grant| event.past.contains(grant.0));
        let rooms = ways.iter().map(|(by, (kind, _))| (*by, *kind)).collect();
        let own = self.by_author.get(&author).map(Vec::as_slice);
        let before = own.and_then(|own| own.iter().rev().nth(1)).copied();
        let rooms = self.rooms.shared(rooms, before);
        let filled = self.rooms.take(&rooms);
        self.takes_part.push(self.rooms.has_room(&rooms));
        if !rooms.is_empty() {
            self.rooms.unseen.push(id);
        }
        self.rooms.of.push(rooms);
        self.lets_in(id, kind, Some(&ways));
        filled && self.put_out(id)
    }

    /// Notes whom a grant lets in, and by way of whom: of root, by that of whoever it names.
    fn lets_in(&mut self, id: AclId, kind: AclKind, ways: Option<&Ways>) {
        let AclKind::Grant { target, scope, .. } = kind else {
            return;
        };
        let says = scope == Scope::Acl;
        let from: Arc<[Who]> = match ways {
            None => Arc::from([target]),
            Some(ways) => {
                let with_say = ways.iter().filter(|(_, (_, says))| *says);
                with_say.map(|(by, _)| *by).collect()
            }
        };
        if !from.is_empty() {
            self.rooms.give(target, says, from, id);
        }
    }

    /// What an event by root has in its past takes part, whatever room there is.
    fn sees(&mut self, id: AclId) -> bool {
        let past = &self.known[id.index()].past;
        let mut turned = false;
        let takes_part = &mut self.takes_part;
        self.rooms.unseen.retain(|unseen| {
            let seen = past.contains(unseen.0);
            if seen {
                turned |= !std::mem::replace(&mut takes_part[unseen.index()], true);
            }
            !seen
        });
        turned
    }

    /// What is in full rooms, and root has not seen, takes no part.
    fn put_out(&mut self, new: AclId) -> bool {
        let mut turned = false;
        for id in &self.rooms.unseen {
            let takes_part = &mut self.takes_part[id.index()];
            if *takes_part && !self.rooms.has_room(&self.rooms.of[id.index()]) {
                *takes_part = false;
                turned |= *id != new;
            }
        }
        turned
    }
}
