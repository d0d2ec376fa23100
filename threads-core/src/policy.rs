//! Access policies: who may change what.
//!
//! # Contract
//!
//! * A verdict follows from the candidate and the view alone: no clock, randomness, network or
//!   state of its own. Peers that hold the same records reach the same verdict.
//! * A candidate's signatures and links were checked before; its content was not applied.
//! * `Accept` and `Reject` are final for what the candidate itself cites. What becomes known
//!   later, such as a revocation, is judged by replaying what it touches.
//! * `Defer` names records that are not here yet; the candidate is judged again when they are.
//! * `Defer` and `Quarantine` never block the log: later records of it are judged on their own.
//!
//! # For implementers
//!
//! Keep your rules as entities of a collection of your own, so that they travel, are signed and
//! are replayed like everything else; a [`Reducer`](crate::reducer::Reducer) can keep a view of
//! them that `judge` reads. Reasons are read by people: say which rule was broken.
//!
//! # For users
//!
//! Pass one policy when the node is opened. [`OpenPolicy`] lets every writer of the thread write.
//!
//! # Example
//!
//! Only the author of a post may delete anything:
//!
//! ```
//! use threads_core::codec::ActionKind;
//! use threads_core::datastore::ReadTxn;
//! use threads_core::policy::{AccessPolicy, Candidate, Verdict};
//! use threads_core::{PeerId, Result};
//!
//! #[derive(Debug)]
//! struct DeletesBy(PeerId);
//!
//! impl AccessPolicy for DeletesBy {
//!     fn judge(&self, candidate: &Candidate<'_>, _view: &dyn ReadTxn) -> Result<Verdict> {
//!         let deletes = candidate.changes.iter().any(|c| c.action == ActionKind::Delete);
//!         if deletes && candidate.author != self.0 {
//!             return Ok(Verdict::Reject("only the owner deletes".into()));
//!         }
//!         Ok(Verdict::Accept)
//!     }
//! }
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use cid::Cid;

use crate::codec::ActionKind;
use crate::datastore::ReadTxn;
use crate::record::Dep;
use crate::{CollectionName, EntityId, LogId, PeerId, Result, ThreadId};

/// Who may change what. See the [module](self) for its contract.
pub trait AccessPolicy: fmt::Debug + Send + Sync + 'static {
    /// Judges a record whose signatures and links were checked.
    ///
    /// # Errors
    ///
    /// Only those of the datastore: a candidate that breaks a rule is a verdict, not an error.
    fn judge(&self, candidate: &Candidate<'_>, view: &dyn ReadTxn) -> Result<Verdict>;
}

impl<T: AccessPolicy + ?Sized> AccessPolicy for Arc<T> {
    fn judge(&self, candidate: &Candidate<'_>, view: &dyn ReadTxn) -> Result<Verdict> {
        (**self).judge(candidate, view)
    }
}

/// What is to be judged: one record, and what it would change.
///
/// ```
/// use threads_core::policy::Candidate;
/// fn is_first(candidate: &Candidate<'_>) -> bool {
///     candidate.seq == 1
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The thread.
    pub thread: &'a ThreadId,
    /// Whose log it is, proven by signatures both ways.
    pub author: PeerId,
    /// The log.
    pub log: LogId,
    /// The place in the log, from 1.
    pub seq: u64,
    /// The heads of other logs that its author had applied.
    pub deps: &'a [Dep],
    /// The latest access-control records that its author knew: the rules it claims to follow.
    pub acl: &'a [Cid],
    /// What it would change.
    pub changes: &'a [Change],
}

/// One change of a candidate.
///
/// ```
/// use threads_core::{codec::ActionKind, policy::Change};
/// let change = Change {
///     collection: "Person".parse().unwrap(),
///     entity: "alice".parse().unwrap(),
///     action: ActionKind::Create,
/// };
/// assert_eq!(change.action, ActionKind::Create);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The collection of the entity.
    pub collection: CollectionName,
    /// The entity.
    pub entity: EntityId,
    /// What would happen to it.
    pub action: ActionKind,
}

/// What becomes of a candidate.
///
/// ```
/// use threads_core::policy::Verdict;
/// let verdict = Verdict::Reject("only members write".into());
/// assert_ne!(verdict, Verdict::Accept);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is applied.
    Accept,
    /// It is kept and relayed, and never applied, for this reason.
    Reject(Cow<'static, str>),
    /// It stands in its log, is kept apart and not applied until it is accepted, for this reason.
    Quarantine(Cow<'static, str>),
    /// It stands in its log, and is judged again when these records are here.
    Defer(Vec<Cid>),
}

/// The policy without rules: whoever has a log in the thread may change everything.
///
/// ```
/// use threads_core::policy::{AccessPolicy, OpenPolicy};
/// let policy: Box<dyn AccessPolicy> = Box::new(OpenPolicy);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenPolicy;

impl AccessPolicy for OpenPolicy {
    fn judge(&self, _candidate: &Candidate<'_>, _view: &dyn ReadTxn) -> Result<Verdict> {
        Ok(Verdict::Accept)
    }
}
