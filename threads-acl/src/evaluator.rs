//! The rules of who may change the list, and what it says: R1 to R7, R9 and R10.

use std::collections::{HashMap, VecDeque};

use threads_core::{Error, Result};

use crate::crdt::{Dot, ORMap, RWORSet};
use crate::past::Past;
use crate::reason::{Refusal, Supporter};
use crate::{AclEvent, AclId, AclKind, Changes, Entity, Peer, Role, RoleSet, Scope, Who};

mod authority;
mod narrower;
mod room;
mod spoken;
mod support;

use room::Rooms;
pub use room::{LeftOut, Room};
use spoken::Spoken;
pub(crate) use support::{Claim, Test};

/// More than fit into any memory: numbers do not run out before.
const NUMBERS: usize = u32::MAX as usize - 1;

/// An event, and what it reaches.
#[derive(Clone, Debug)]
struct Known {
    author: Peer,
    kind: AclKind,
    past: Past,
    /// How long the longest chain of root's events in its past is.
    level: u32,
}

/// What was given and taken, by number: of one peer, or of everyone, in one scope.
#[derive(Clone, Debug, Default)]
struct Held {
    grants: Vec<(AclId, Role)>,
    removals: Vec<(AclId, Role)>,
}

/// Who may do what in a thread, by rules R1 to R13: see the [page of the crate](crate).
///
/// Its answers follow from the set of events alone, in whatever order they were inserted. Inserting is
/// incremental: an event that has seen all others costs as much as its own look-ups; one that comes late
/// settles what it touches again.
///
/// ```
/// use threads_acl::{AclEvent, AclId, AclKind, Evaluator, Peer, Role, Scope, Who};
///
/// let (root, ann, bob) = (Peer(0), Peer(1), Peer(2));
/// let mut evaluator = Evaluator::new(root);
/// let mut insert = |author, parents: &[AclId], kind| {
///     let event = AclEvent { author, parents: parents.to_vec(), kind };
///     evaluator.insert(event).unwrap().0
/// };
/// let list = |peer| (Who::Peer(peer), Scope::Acl, Role::Write);
/// let grant = |(target, scope, role)| AclKind::Grant { target, scope, role };
/// let revoke = |(target, scope, role)| AclKind::Revoke { target, scope, role };
///
/// let first = insert(root, &[], grant(list(ann)));
/// let second = insert(root, &[first], grant(list(bob)));
/// // Ann and Bob remove each other, and neither knows.
/// insert(ann, &[second], revoke(list(bob)));
/// insert(bob, &[second], revoke(list(ann)));
///
/// assert!(evaluator.roles(ann, Scope::Acl).is_empty());
/// assert!(evaluator.roles(bob, Scope::Acl).is_empty());
/// assert!(!evaluator.roles(root, Scope::Acl).is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Evaluator {
    root: Peer,
    known: Vec<Known>,
    /// Of each event, below which number everything is in its past: most questions end here, and it is
    /// little to look through.
    full: Vec<u32>,
    /// R3, by number.
    authorised: Vec<bool>,
    /// R15, by number.
    takes_part: Vec<bool>,
    rooms: Rooms,
    /// R5 and R6, by number.
    counts: Vec<bool>,
    by_author: HashMap<Peer, Vec<AclId>>,
    held: HashMap<(Who, Scope), Held>,
    restrictions: HashMap<Entity, Vec<AclId>>,
    /// Of whom and of what events speak that count.
    spoken: Spoken,
    /// Every removal of somebody's say in the list.
    list_removals: Vec<AclId>,
    /// Root's events that seal, and the seals of each removal (R4).
    sealers: Vec<AclId>,
    seals: HashMap<AclId, Vec<AclId>>,
}

impl Evaluator {
    /// The evaluator of a thread without events, whose root is this peer: the author of its genesis.
    ///
    /// ```
    /// use threads_acl::{Evaluator, Peer, Role, Scope};
    /// let evaluator = Evaluator::new(Peer(7));
    /// assert!(evaluator.roles(Peer(7), Scope::Thread).contains(Role::Delete));
    /// ```
    pub fn new(root: Peer) -> Self {
        Self::with_room(root, Room::default())
    }

    /// The same with room for more events, or for fewer, than the rules say: to try things out.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, LeftOut, Peer, Room};
    ///
    /// let room = Room { root: 1, ..Room::default() };
    /// let mut evaluator = Evaluator::with_room(Peer(0), room);
    /// let begin = AclEvent { author: Peer(0), parents: vec![], kind: AclKind::Genesis };
    /// let (first, _) = evaluator.insert(begin).unwrap();
    /// assert_eq!(evaluator.left_out(Peer(0), &[first]), Some(LeftOut::NoRoom));
    /// ```
    pub fn with_room(root: Peer, room: Room) -> Self {
        Self {
            root,
            known: Vec::new(),
            full: Vec::new(),
            authorised: Vec::new(),
            takes_part: Vec::new(),
            rooms: Rooms::new(room),
            counts: Vec::new(),
            by_author: HashMap::new(),
            held: HashMap::new(),
            restrictions: HashMap::new(),
            spoken: Spoken::default(),
            list_removals: Vec::new(),
            sealers: Vec::new(),
            seals: HashMap::new(),
        }
    }

    /// Takes in an event whose parents are here, gives it a number, and says what it changed.
    ///
    /// Inserting an event twice makes two of it; the caller knows it by its name.
    ///
    /// # Errors
    ///
    /// [`Invalid`](threads_core::ErrorKind::Invalid) when a parent is not here, or when it gives or takes
    /// another role of the list than write; [`Full`](threads_core::ErrorKind::Full) when there are
    /// so many that there are no numbers left. Nothing has changed then.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, Peer};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let genesis = AclEvent { author: Peer(0), parents: vec![], kind: AclKind::Genesis };
    /// let (first, _) = evaluator.insert(genesis).unwrap();
    /// let left = AclEvent { author: Peer(1), parents: vec![first], kind: AclKind::Leave };
    /// let (second, _) = evaluator.insert(left).unwrap();
    /// assert!(first < second);
    /// ```
    pub fn insert(&mut self, event: AclEvent) -> Result<(AclId, Changes)> {
        self.check(&event)?;
        let AclEvent {
            author,
            parents,
            kind,
        } = event;
        // `check` has seen that numbers stay below a bound that fits.
        let id = AclId(self.known.len() as u32);
        let (past, level) = self.reach(parents);
        self.index(id, author, &kind);
        self.full.push(past.full());
        self.known.push(Known {
            author,
            kind,
            past,
            level,
        });
        self.authorised.push(false);
        self.counts.push(false);
        let turned = self.enter(id);
        let settled = self.settle(id, turned);
        Ok((id, Changes { turned, ..settled }))
    }

    fn check(&self, event: &AclEvent) -> Result<()> {
        if self.known.len() >= NUMBERS {
            return Err(Error::full("there are no numbers left for more events"));
        }
        if let Some(missing) = event.parents.iter().find(|parent| !self.has(**parent)) {
            return Err(Error::invalid("a parent is not here: insert it first")
                .with("number", missing.number()));
        }
        match event.kind {
            AclKind::Grant {
                scope: Scope::Acl,
                role,
                ..
            }
            | AclKind::Revoke {
                scope: Scope::Acl,
                role,
                ..
            } if role != Role::Write => {
                Err(Error::invalid("the list itself has the role write only").with("role", role))
            }
            _ => Ok(()),
        }
    }

    fn has(&self, id: AclId) -> bool {
        id.index() < self.known.len()
    }

    /// The past of an event with these parents, and the longest chain of root's events in it.
    fn reach(&self, mut parents: Vec<AclId>) -> (Past, u32) {
        parents.sort_unstable_by(|a, b| b.cmp(a));
        let (mut past, mut level) = (Past::default(), 0);
        for parent in parents {
            if past.contains(parent.0) {
                continue;
            }
            let known = &self.known[parent.index()];
            past.unite(&known.past);
            past.insert(parent.0);
            level = level.max(known.level + u32::from(known.author == self.root));
        }
        (past, level)
    }

    fn index(&mut self, id: AclId, author: Peer, kind: &AclKind) {
        self.by_author.entry(author).or_default().push(id);
        if let AclKind::Grant {
            target,
            scope,
            role,
        } = *kind
        {
            self.held
                .entry((target, scope))
                .or_default()
                .grants
                .push((id, role));
        } else if let Some((target, scopes, role)) = kind.takes(author) {
            for scope in scopes.into_iter().flatten() {
                self.held
                    .entry((target, scope))
                    .or_default()
                    .removals
                    .push((id, role));
                if scope == Scope::Acl {
                    self.list_removals.push(id);
                }
            }
        } else if let AclKind::Restrict(entity) = *kind {
            self.restrictions.entry(entity).or_default().push(id);
        }
    }

    /// Whether an event is in the past of another.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, Peer};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let mut insert = |parents| {
    ///     let event = AclEvent { author: Peer(0), parents, kind: AclKind::Checkpoint };
    ///     evaluator.insert(event).unwrap().0
    /// };
    /// let first = insert(vec![]);
    /// let second = insert(vec![first]);
    /// assert!(evaluator.reaches(second, first) && !evaluator.reaches(first, second));
    /// ```
    pub fn reaches(&self, event: AclId, earlier: AclId) -> bool {
        let Some(full) = self.full.get(event.index()) else {
            return false;
        };
        earlier.0 < *full || self.known[event.index()].past.contains(earlier.0)
    }

    /// How many events there are.
    ///
    /// ```
    /// use threads_acl::{Evaluator, Peer};
    /// assert_eq!(Evaluator::new(Peer(0)).len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    ///
    /// ```
    /// use threads_acl::{Evaluator, Peer};
    /// assert!(Evaluator::new(Peer(0)).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Who wrote an event, and what it does; none for a number that was not given.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, Peer};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let event = AclEvent { author: Peer(3), parents: vec![], kind: AclKind::Leave };
    /// let (id, _) = evaluator.insert(event).unwrap();
    /// assert_eq!(evaluator.event(id), Some((Peer(3), AclKind::Leave)));
    /// ```
    pub fn event(&self, id: AclId) -> Option<(Peer, AclKind)> {
        let known = self.known.get(id.index())?;
        Some((known.author, known.kind))
    }

    /// Who is root (R1).
    ///
    /// ```
    /// use threads_acl::{Evaluator, Peer};
    /// assert_eq!(Evaluator::new(Peer(7)).root(), Peer(7));
    /// ```
    pub fn root(&self) -> Peer {
        self.root
    }

    /// Whether an event's author was entitled to it by what its past says (R3).
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Entity, Evaluator, Peer};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let stranger =
    ///     AclEvent { author: Peer(3), parents: vec![], kind: AclKind::Restrict(Entity(0)) };
    /// let (id, _) = evaluator.insert(stranger).unwrap();
    /// assert!(!evaluator.is_authorised(id));
    /// ```
    pub fn is_authorised(&self, id: AclId) -> bool {
        self.authorised.get(id.index()).is_some_and(|is| *is)
    }

    /// Whether an event counts: removals by R5, grants and restrictions by R6.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Entity, Evaluator, Peer};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let restrict =
    ///     AclEvent { author: Peer(0), parents: vec![], kind: AclKind::Restrict(Entity(0)) };
    /// let (id, _) = evaluator.insert(restrict).unwrap();
    /// assert!(evaluator.counts(id), "root's always do");
    /// ```
    pub fn counts(&self, id: AclId) -> bool {
        self.counts.get(id.index()).is_some_and(|is| *is)
    }

    /// The roles that were given to a peer, or to everyone, and stand (R7). [`RoleSet::may`] says what
    /// they imply.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, Peer, Role, Scope, Who};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let kind = AclKind::Grant { target: Who::Everyone, scope: Scope::Thread, role: Role::Read };
    /// evaluator.insert(AclEvent { author: Peer(0), parents: vec![], kind }).unwrap();
    /// let roles = evaluator.roles(Peer(9), Scope::Thread);
    /// assert!(roles.contains(Role::Read) && roles.may(Role::Replicate));
    /// ```
    pub fn roles(&self, peer: Peer, scope: Scope) -> RoleSet {
        let of_scope = |role: &Role| scope != Scope::Acl || *role == Role::Write;
        let has = |role: &Role| {
            peer == self.root
                || self.stands(Claim {
                    peer,
                    scope,
                    role: *role,
                })
        };
        Role::ALL.into_iter().filter(of_scope).filter(has).collect()
    }

    /// The roles that everyone has by default: those given to everyone that stand.
    ///
    /// ```
    /// use threads_acl::{Evaluator, Peer, Scope};
    /// assert!(Evaluator::new(Peer(0)).default_roles(Scope::Thread).is_empty(), "no-access");
    /// ```
    pub fn default_roles(&self, scope: Scope) -> RoleSet {
        let has = |role: &Role| self.standing(Who::Everyone, scope, *role).is_some();
        Role::ALL.into_iter().filter(has).collect()
    }

    /// Whether an entity was restricted, by an event that counts (R8).
    ///
    /// ```
    /// use threads_acl::{Entity, Evaluator, Peer};
    /// assert!(!Evaluator::new(Peer(0)).is_restricted(Entity(0)));
    /// ```
    pub fn is_restricted(&self, entity: Entity) -> bool {
        self.restrictions_of(entity)
            .iter()
            .any(|id| self.counts(*id))
    }

    pub(crate) fn restrictions_of(&self, entity: Entity) -> &[AclId] {
        self.restrictions
            .get(&entity)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The list as the paper draws it: a map of peers to sets of roles, both CRDTs.
    ///
    /// Everyone has what [`default_roles`](Self::default_roles) says, and each peer the roles that were given
    /// to it and stand. How the rules and the sets differ is told in [`crdt`](crate::crdt).
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, Peer, Role, Scope, Who};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let ann = Who::Peer(Peer(1));
    /// let kind = AclKind::Grant { target: ann, scope: Scope::Thread, role: Role::Write };
    /// evaluator.insert(AclEvent { author: Peer(0), parents: vec![], kind }).unwrap();
    ///
    /// let map = evaluator.map(Scope::Thread);
    /// assert!(map.get(&ann).unwrap().elements().eq([&Role::Write]));
    /// ```
    pub fn map(&self, scope: Scope) -> ORMap<Who, RWORSet<Role>> {
        let nothing = ORMap::default();
        let mut parts = VecDeque::new();
        for (who, _) in self.held.keys().filter(|(_, held)| *held == scope) {
            for role in Role::ALL {
                if let Some(grant) = self.standing(*who, scope, role) {
                    let author = self.known[grant.index()].author;
                    let dot = Dot::new(u64::from(author.0), u64::from(grant.0) + 1);
                    let added = |set: &RWORSet<Role>| set.added(dot, role);
                    parts.push_back(nothing.updated(*who, added));
                }
            }
        }
        // Two and two, so that much is merged few times.
        while parts.len() > 1 {
            if let (Some(mut one), Some(other)) = (parts.pop_front(), parts.pop_front()) {
                one.merge(&other);
                parts.push_back(one);
            }
        }
        parts.pop_front().unwrap_or_default()
    }

    /// Why an event counts, or why it does not.
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Entity, Evaluator, Peer, Supporter};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let restrict =
    ///     AclEvent { author: Peer(0), parents: vec![], kind: AclKind::Restrict(Entity(0)) };
    /// let (id, _) = evaluator.insert(restrict).unwrap();
    /// assert_eq!(evaluator.explain(id), Ok(Supporter::Root));
    /// ```
    ///
    /// # Errors
    ///
    /// What stands against it.
    pub fn explain(&self, id: AclId) -> Result<Supporter, Refusal> {
        self.explained(id)
    }

    /// The grants that lead from root to this event: the one that its author stands on, the one that
    /// the author of that stands on, and so on. The last is root's, or the event stands on nobody else. Of a
    /// removal they are grants that are authorised (R5), of others grants that count (R6).
    ///
    /// ```
    /// use threads_acl::{AclEvent, AclKind, Evaluator, Peer, Role, Scope, Who};
    ///
    /// let mut evaluator = Evaluator::new(Peer(0));
    /// let kind =
    ///     AclKind::Grant { target: Who::Peer(Peer(1)), scope: Scope::Acl, role: Role::Write };
    /// let (grant, _) =
    ///     evaluator.insert(AclEvent { author: Peer(0), parents: vec![], kind }).unwrap();
    /// let checkpoint =
    ///     AclEvent { author: Peer(1), parents: vec![grant], kind: AclKind::Checkpoint };
    /// let (id, _) = evaluator.insert(checkpoint).unwrap();
    /// assert_eq!(evaluator.chain(id), [grant]);
    /// ```
    pub fn chain(&self, id: AclId) -> Vec<AclId> {
        let mut chain = Vec::new();
        let Some(event) = self.known.get(id.index()) else {
            return chain;
        };
        let counting = matches!(event.kind, AclKind::Grant { .. } | AclKind::Restrict(_));
        let mut at = id;
        // Each is in the past of the one before, so that this ends.
        while let Some(grant) = self.stands_on(at, counting) {
            chain.push(grant);
            at = grant;
        }
        chain
    }
}
