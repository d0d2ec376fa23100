//! What would be: the rules applied to a history that somebody describes.
//!
//! Events have names, and so have peers and entities; an event says what it depends on. They may come in
//! any order and more than once. An event that depends on something that is not there is
//! [pending](Evaluation::pending) and has no effect.
//!
//! ```
//! use threads_acl::eval::{Described, evaluate};
//!
//! let event = |id, author, kind, deps: &[&str]| Described::new(id, author, kind, deps);
//! let history = vec![
//!     event("g", "root", "genesis", &[]),
//!     event("g1", "root", "grant", &["g"]).target("ann").role("write"),
//!     event("e1", "ann", "create", &["g1"]).entity("note"),
//!     // Root has seen e1 only.
//!     event("r1", "root", "revoke", &["e1"]).target("ann").role("write"),
//!     event("e2", "ann", "save", &["e1"]).entity("note"),
//! ];
//! let outcome = evaluate(&history).unwrap().outcome;
//! assert_eq!((outcome.applied, outcome.quarantined), (vec!["e1".into()], vec!["e2".into()]));
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use threads_core::codec::ActionKind;
use threads_core::{Error, Result};

use crate::{AclId, AclKind, Data, Entity, Evaluator, Peer, Role, Room, Scope};

mod deliver;
mod parse;

use deliver::Delivered;
use parse::{Names, Step, What};

/// The most events of a history.
///
/// ```
/// assert_eq!(threads_acl::eval::EVENTS_MAX, 250_000);
/// ```
pub const EVENTS_MAX: usize = 250_000;

/// An event, in words. Which members it needs follows from its kind; others are not looked at.
///
/// ```
/// use threads_acl::eval::Described;
///
/// let text = r#"{"id": "e", "author": "ann", "kind": "save", "deps": ["g"], "entity": "note"}"#;
/// let event: Described = serde_json::from_str(text).unwrap();
/// assert_eq!(event, Described::new("e", "ann", "save", &["g"]).entity("note"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Described {
    /// What others call it.
    pub id: String,
    /// Who wrote it.
    pub author: String,
    /// `genesis`, `grant`, `revoke`, `restrict`, `checkpoint`, `create`, `save` or `delete`.
    pub kind: String,
    /// The latest events that its author had seen, of any kind.
    #[serde(default)]
    pub deps: Vec<String>,
    /// Of a grant or revoke: `thread`, which is the default, `acl`, or `entity:` and the entity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Of a grant or revoke: a peer, or `*` for everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Of a grant or revoke: `replicate`, `read`, `write` or `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Of a restrict, create, save or delete: the entity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
}

impl Described {
    /// An event without its optional members.
    ///
    /// ```
    /// use threads_acl::eval::Described;
    /// assert_eq!(Described::new("g", "root", "genesis", &[]).author, "root");
    /// ```
    pub fn new(id: &str, author: &str, kind: &str, deps: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            author: author.to_owned(),
            kind: kind.to_owned(),
            deps: deps.iter().map(|&dep| dep.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// The same event in this scope.
    ///
    /// ```
    /// use threads_acl::eval::Described;
    /// assert!(Described::new("g", "root", "grant", &[]).scope("acl").scope.is_some());
    /// ```
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        Self {
            scope: Some(scope.to_owned()),
            ..self
        }
    }

    /// The same event, of this peer, or of everyone.
    ///
    /// ```
    /// use threads_acl::eval::Described;
    /// assert!(Described::new("g", "root", "grant", &[]).target("*").target.is_some());
    /// ```
    #[must_use]
    pub fn target(self, target: &str) -> Self {
        Self {
            target: Some(target.to_owned()),
            ..self
        }
    }

    /// The same event, of this role.
    ///
    /// ```
    /// use threads_acl::eval::Described;
    /// assert!(Described::new("g", "root", "grant", &[]).role("read").role.is_some());
    /// ```
    #[must_use]
    pub fn role(self, role: &str) -> Self {
        Self {
            role: Some(role.to_owned()),
            ..self
        }
    }

    /// The same event, of this entity.
    ///
    /// ```
    /// use threads_acl::eval::Described;
    /// assert!(Described::new("g", "root", "restrict", &[]).entity("note").entity.is_some());
    /// ```
    #[must_use]
    pub fn entity(self, entity: &str) -> Self {
        Self {
            entity: Some(entity.to_owned()),
            ..self
        }
    }
}

/// The roles that were given to a peer and stand, sorted.
///
/// ```
/// assert!(threads_acl::eval::Roles::default().thread.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Roles {
    /// Of the thread.
    pub thread: Vec<String>,
    /// Of the list: `write`, or none.
    pub acl: Vec<String>,
}

/// What follows from a history. Every list is sorted.
///
/// ```
/// use threads_acl::eval::{Described, evaluate};
/// let history = [Described::new("g", "root", "genesis", &[])];
/// assert_eq!(evaluate(&history).unwrap().outcome.root, "root");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The author of the genesis.
    pub root: String,
    /// Of every peer that occurs as author or target.
    pub roles: BTreeMap<String, Roles>,
    /// The access-control events that are authorised (R3), the genesis among them.
    pub authorised: Vec<String>,
    /// The grants that count (R6).
    pub counted: Vec<String>,
    /// The changes that are applied (R8).
    pub applied: Vec<String>,
    /// The changes that are not.
    pub quarantined: Vec<String>,
    /// The entities that were created or saved, and not deleted (R12).
    pub alive: Vec<String>,
}

/// An event that waits.
///
/// ```
/// use threads_acl::eval::{Described, evaluate};
/// let events = [
///     Described::new("g", "root", "genesis", &[]),
///     Described::new("c", "root", "checkpoint", &["lost"]),
/// ];
/// assert_eq!(evaluate(&events).unwrap().pending[0].missing, ["lost"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pending {
    /// Which.
    pub id: String,
    /// For what: events that are not described, or that are pending themselves.
    pub missing: Vec<String>,
}

/// What follows from a history, and what in it had no effect.
///
/// ```
/// use threads_acl::eval::{Described, evaluate};
/// let history = [Described::new("g", "root", "genesis", &[])];
/// assert!(evaluate(&history).unwrap().pending.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// What follows.
    pub outcome: Outcome,
    /// The events that depend on something that is not there, sorted.
    pub pending: Vec<Pending>,
}

/// Applies the rules to a history: events in any order, each once or more.
///
/// # Errors
///
/// [`Invalid`](threads_core::ErrorKind::Invalid) for a history without a genesis or with two, for more than
/// [`EVENTS_MAX`] events, and for an event that lacks what its kind needs, or has an unknown kind, scope or
/// role; [`Conflict`](threads_core::ErrorKind::Conflict) when two different events have one id. The error names the
/// event.
///
/// ```
/// use threads_acl::eval::{Described, evaluate};
/// let nobody = [Described::new("c", "ann", "checkpoint", &[])];
/// assert!(evaluate(&nobody).is_err(), "there is no genesis");
/// ```
pub fn evaluate(events: &[Described]) -> Result<Evaluation> {
    evaluate_within(events, Room::default())
}

/// The same, with room for other numbers of events than the rules say (R15).
///
/// # Errors
///
/// Those of [`evaluate`].
///
/// ```
/// use threads_acl::Room;
/// use threads_acl::eval::{Described, evaluate_within};
///
/// let begin = Described::new("g", "root", "genesis", &[]);
/// let grant = Described::new("a", "root", "grant", &["g"]).target("ann").role("write");
/// let room = Room { root: 1, ..Room::default() };
/// let outcome = evaluate_within(&[begin, grant], room).unwrap().outcome;
/// assert_eq!(outcome.authorised, ["g"]);
/// ```
pub fn evaluate_within(events: &[Described], room: Room) -> Result<Evaluation> {
    if events.len() > EVENTS_MAX {
        return Err(
            Error::invalid("the history has too many events: describe fewer")
                .with("events", events.len())
                .with("most", EVENTS_MAX),
        );
    }
    let (names, steps) = parse::parse(events)?;
    let root = root_of(&steps)?;
    let delivered = deliver::deliver(Evaluator::with_room(root, room), &steps)?;
    let mut outcome = roles(&names, root, &delivered.evaluator);
    list_events(&mut outcome, &steps, &delivered);
    judge_data(&mut outcome, &names, &steps, &delivered);
    let pending = pending(&steps, &delivered);
    Ok(Evaluation { outcome, pending })
}

fn root_of(steps: &[Step<'_>]) -> Result<Peer> {
    let mut all = steps
        .iter()
        .filter(|step| step.what == What::Acl(AclKind::Genesis));
    let Some(genesis) = all.next() else {
        return Err(Error::invalid(
            "the history has no event of kind genesis: its author is root",
        ));
    };
    if let Some(other) = all.next() {
        return Err(
            Error::invalid("the history has two events of kind genesis: leave one")
                .with("event", genesis.id)
                .with("other", other.id),
        );
    }
    if let Some(dep) = genesis.deps.first() {
        return Err(
            Error::invalid("the genesis depends on nothing: leave its deps empty")
                .with("event", genesis.id)
                .with("dep", dep),
        );
    }
    Ok(genesis.author)
}

fn roles(names: &Names<'_>, root: Peer, evaluator: &Evaluator) -> Outcome {
    let of = |peer, scope| {
        let names = evaluator.roles(peer, scope).iter().map(Role::name);
        let sorted: BTreeSet<_> = names.collect();
        sorted.into_iter().map(str::to_owned).collect()
    };
    let peers = names.peers().map(|(name, peer)| {
        let roles = Roles {
            thread: of(peer, Scope::Thread),
            acl: of(peer, Scope::Acl),
        };
        (name.to_owned(), roles)
    });
    let root = names.peers().find(|(_, peer)| *peer == root);
    let root = root.map(|(name, _)| name.to_owned()).unwrap_or_default();
    Outcome {
        root,
        roles: peers.collect(),
        ..Outcome::default()
    }
}

fn list_events(outcome: &mut Outcome, steps: &[Step<'_>], delivered: &Delivered) {
    let evaluator = &delivered.evaluator;
    for (step, place) in delivered.places(steps) {
        let (Some(id), What::Acl(kind)) = (place.acl, step.what) else {
            continue;
        };
        if evaluator.is_authorised(id) {
            outcome.authorised.push(step.id.to_owned());
        }
        if matches!(kind, AclKind::Grant { .. }) && evaluator.counts(id) {
            outcome.counted.push(step.id.to_owned());
        }
    }
    outcome.authorised.sort_unstable();
    outcome.counted.sort_unstable();
}

fn judge_data(outcome: &mut Outcome, names: &Names<'_>, steps: &[Step<'_>], delivered: &Delivered) {
    let (mut written, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    for (step, place) in delivered.places(steps) {
        let What::Data(entity, action) = step.what else {
            continue;
        };
        let data = Data {
            author: step.author,
            past: &place.frontier,
            entity,
            action,
        };
        let covered = |id: AclId| delivered.reaches(id, place.number);
        if !delivered.evaluator.judge(&data, &covered).is_applied() {
            outcome.quarantined.push(step.id.to_owned());
            continue;
        }
        outcome.applied.push(step.id.to_owned());
        match action {
            ActionKind::Delete => deleted.insert(entity),
            _ => written.insert(entity),
        };
    }
    outcome.applied.sort_unstable();
    outcome.quarantined.sort_unstable();
    let alive =
        |(_, entity): &(&str, Entity)| written.contains(entity) && !deleted.contains(entity);
    let alive = names.entities().filter(alive);
    outcome.alive = alive.map(|(name, _)| name.to_owned()).collect();
    outcome.alive.sort_unstable();
}

fn pending(steps: &[Step<'_>], delivered: &Delivered) -> Vec<Pending> {
    let waiting = steps.iter().filter(|step| !delivered.has(step.id));
    let mut pending: Vec<_> = waiting
        .map(|step| {
            let missing = step.deps.iter().filter(|dep| !delivered.has(dep));
            let missing = missing.map(|&dep| dep.to_owned()).collect();
            Pending {
                id: step.id.to_owned(),
                missing,
            }
        })
        .collect();
    pending.sort_unstable();
    pending
}
