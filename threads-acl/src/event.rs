//! Access-control events, with numbers for everything that has a name elsewhere.

use crate::Role;

/// A peer, by a number that the caller chose for it.
///
/// ```
/// assert_eq!(threads_acl::Peer(3), threads_acl::Peer(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u32);

impl Peer {
    /// Who says nothing, and is let in by nobody, also not where everyone is: the number of no peer.
    pub(crate) const NOBODY: Self = Self(u32::MAX - 1);
}

/// An entity, by a number that the caller chose for it.
///
/// ```
/// assert_ne!(threads_acl::Entity(1), threads_acl::Entity(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity(pub u32);

/// An access-control event, by the number that the evaluator gave it: from 0, without gaps, and
/// greater than those of all events in its past.
///
/// ```
/// use threads_acl::{AclEvent, AclKind, Evaluator, Peer};
///
/// let mut evaluator = Evaluator::new(Peer(0));
/// let genesis = AclEvent { author: Peer(0), parents: vec![], kind: AclKind::Genesis };
/// let (id, _) = evaluator.insert(genesis).unwrap();
/// assert_eq!(id.number(), 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclId(pub(crate) u32);

impl AclId {
    /// The number, from 0.
    ///
    /// ```
    /// # use threads_acl::AclId;
    /// fn slot(events: &[String], id: AclId) -> &str {
    ///     &events[id.number() as usize]
    /// }
    /// ```
    pub fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whom a grant or a removal means.
///
/// ```
/// use threads_acl::{Peer, Who};
/// assert_ne!(Who::Everyone, Who::Peer(Peer(0)));
/// ```
#[allow(clippy::exhaustive_enums, reason = "a rule says what each means")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// Every peer: the default.
    Everyone,
    /// One peer.
    Peer(Peer),
}

/// Of what a role is a role.
///
/// ```
/// use threads_acl::{Entity, Scope};
/// assert_ne!(Scope::Thread, Scope::Entity(Entity(0)));
/// ```
#[allow(clippy::exhaustive_enums, reason = "a rule says what each means")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The thread.
    Thread,
    /// The access-control list, itself included: it has the role write only.
    Acl,
    /// An entity. It matters where a restriction of that entity does.
    Entity(Entity),
}

/// What an access-control event does.
///
/// ```
/// use threads_acl::{AclKind, Peer, Role, Scope, Who};
///
/// let ann_writes =
///     AclKind::Grant { target: Who::Peer(Peer(1)), scope: Scope::Thread, role: Role::Write };
/// # let _ = ann_writes;
/// ```
#[allow(clippy::exhaustive_enums, reason = "a rule says what each means")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AclKind {
    /// The beginning. Its author is root; it changes nothing.
    Genesis,
    /// Gives a role.
    Grant {
        /// To whom.
        target: Who,
        /// Of what.
        scope: Scope,
        /// Which.
        role: Role,
    },
    /// Takes a role, and every role that implies it. Of everyone, it takes what was given to everyone and
    /// no more.
    Revoke {
        /// From whom.
        target: Who,
        /// Of what.
        scope: Scope,
        /// Which.
        role: Role,
    },
    /// From here on an entity may be changed only by who has a role of that entity as well.
    Restrict(Entity),
    /// By root: every removal that it has seen is sealed (R4). By others: nothing.
    Checkpoint,
    /// Its author gives back all its roles of thread and list.
    Leave,
}

/// An access-control event, as the evaluator takes it in.
///
/// ```
/// use threads_acl::{AclEvent, AclKind, Peer};
/// let event = AclEvent { author: Peer(2), parents: vec![], kind: AclKind::Leave };
/// assert!(event.parents.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclEvent {
    /// Who wrote it.
    pub author: Peer,
    /// The access-control frontier of its author: the latest events it had seen, in any order. What these
    /// have in their past need not be named, and may be.
    pub parents: Vec<AclId>,
    /// What it does.
    pub kind: AclKind,
}

impl AclKind {
    /// Of a removal by `author`: from whom it takes which role of what. Leaving takes all roles.
    pub(crate) fn takes(&self, author: Peer) -> Option<(Who, [Option<Scope>; 2], Role)> {
        match *self {
            Self::Revoke {
                target,
                scope,
                role,
            } => Some((target, [Some(scope), None], role)),
            Self::Leave => {
                let scopes = [Some(Scope::Thread), Some(Scope::Acl)];
                Some((Who::Peer(author), scopes, Role::Replicate))
            }
            _ => None,
        }
    }

    /// Whether it takes something from its own author only.
    pub(crate) fn is_leaving(&self, author: Peer) -> bool {
        matches!(self.takes(author), Some((target, ..)) if target == Who::Peer(author))
    }

    /// Whose say in the list it gives or takes.
    pub(crate) fn concerns_list_of(&self, author: Peer) -> Option<Who> {
        match *self {
            Self::Grant {
                target,
                scope: Scope::Acl,
                ..
            } => Some(target),
            _ => {
                let (target, scopes, _) = self.takes(author)?;
                scopes.contains(&Some(Scope::Acl)).then_some(target)
            }
        }
    }
}
