//! Access policies: who may change what.
//!
//! # Contract
//!
//! * Asked twice, a policy gives the same verdict (PO-1): no clock, randomness or network. Verdicts,
//!   roles and rules follow from what was learned, whatever the order in which it came (PO-2).
//! * A candidate's signatures and links were checked before; its content was not applied.
//! * A verdict about a record whose changes cannot be read here ([`Candidate::changes`] is `None`)
//!   says whether its author may change anything at all (PO-3).
//! * An error in finding out whether a record was seen is given on, and is no verdict (PO-4).
//! * What a peer may do is what the rules say of it (PO-5).
//! * [`AccessPolicy::learn`] is shown every access record of a thread, each after all that it builds
//!   on, within the transaction that files it. Where what is learned changes what is to be said of
//!   records that were judged before, it names those, and they are judged again in the same
//!   transaction (PO-6). What was learned is learned once (PO-7).
//! * All that it keeps goes into its view: another instance goes on where it stopped (PO-8). What it has in
//!   memory besides is a copy that a transaction which was given up must not spoil (PO-9), nor another
//!   thread (PO-10).
//! * It tells what was stated as it was stated, by whom, and in which record (PO-11).
//! * Which purges count follows from what was learned, whatever the order in which it came (PO-12).
//! * `Defer` names records that are not here yet; the candidate is judged again when they are.
//! * `Defer` and `Quarantine` never block the log: later records of it are judged on their own.
//!
//! # For implementers
//!
//! A policy without rules of its own needs `judge` only, and may read what a
//! [`Reducer`](crate::reducer::Reducer) keeps. One that reads access statements implements `learn`
//! too, and tells what the rules are. Reasons are read by people: say which rule was broken.
//! `docs/writing-a-policy.md` leads there in an hour.
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
//!     fn judge(&self, candidate: &Candidate<'_>, _txn: &dyn ReadTxn) -> Result<Verdict> {
//!         let mut changes = candidate.changes.iter().copied().flatten();
//!         let deletes = changes.any(|change| change.action == ActionKind::Delete);
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

use crate::access::{EntityTag, Role, Rules, Scope, Stated, Statement};
use crate::codec::ActionKind;
use crate::datastore::ReadTxn;
use crate::record::Dep;
use crate::reducer::View;
use crate::{CollectionName, EntityId, LogId, PeerId, Result, ThreadId};

/// Where a policy keeps what it learned about a thread: for
/// [`View`] within [`AccessPolicy::learn`], and for
/// [`ReadView`](crate::reducer::ReadView) elsewhere.
///
/// ```
/// use threads_core::policy::policy_prefix;
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// assert!(policy_prefix(&thread).ends_with(&[0]));
/// ```
pub fn policy_prefix(thread: &ThreadId) -> Vec<u8> {
    // The names of reducers, whose length stands in this place, are not empty.
    let length = [thread.as_bytes().len() as u8];
    [&length, thread.as_bytes(), &[0]].concat()
}

/// Who may change what. See the [module](self) for its contract.
pub trait AccessPolicy: fmt::Debug + Send + Sync + 'static {
    /// Judges a record whose signatures and links were checked.
    ///
    /// # Errors
    ///
    /// Only those of the datastore: a candidate that breaks a rule is a verdict, not an error.
    fn judge(&self, candidate: &Candidate<'_>, txn: &dyn ReadTxn) -> Result<Verdict>;

    /// Takes in an access record that stands in its log now; all that it names was learned before.
    /// It may be shown again what it was shown.
    ///
    /// # Errors
    ///
    /// Those of the datastore, and [`ErrorKind::Full`](crate::ErrorKind::Full) when a bound of the
    /// policy is reached.
    fn learn(&self, _record: &AccessRecord<'_>, _view: &mut View<'_>) -> Result<Learned> {
        Ok(Learned::default())
    }

    /// What a peer may do in a scope of a thread; `None` where the policy has no rules about peers,
    /// as in threads that are not access-controlled.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    fn roles(
        &self,
        _thread: &ThreadId,
        _peer: &PeerId,
        _scope: &Scope,
        _txn: &dyn ReadTxn,
    ) -> Result<Option<Vec<Role>>> {
        Ok(None)
    }

    /// The rules of a thread as they stand; `None` as in [`AccessPolicy::roles`].
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    fn rules(&self, _thread: &ThreadId, _txn: &dyn ReadTxn) -> Result<Option<Rules>> {
        Ok(None)
    }

    /// The record by which a peer lost its part in a thread: that took it from this peer by name, so that it
    /// may not even replicate. `None` where it may, or was never removed.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    fn removal(
        &self,
        _thread: &ThreadId,
        _peer: &PeerId,
        _txn: &dyn ReadTxn,
    ) -> Result<Option<Cid>> {
        Ok(None)
    }

    /// All statements that were learned, in the order in which they came, and what became of each.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    fn statements(&self, _thread: &ThreadId, _txn: &dyn ReadTxn) -> Result<Vec<Stated>> {
        Ok(Vec::new())
    }

    /// Why it judges a candidate as it does, in plain words: the grants and removals that lead there,
    /// the deciding one last.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    fn explain(&self, candidate: &Candidate<'_>, txn: &dyn ReadTxn) -> Result<Vec<String>> {
        Ok(vec![self.judge(candidate, txn)?.to_string()])
    }
}

impl<T: AccessPolicy + ?Sized> AccessPolicy for Arc<T> {
    fn judge(&self, candidate: &Candidate<'_>, txn: &dyn ReadTxn) -> Result<Verdict> {
        (**self).judge(candidate, txn)
    }

    fn learn(&self, record: &AccessRecord<'_>, view: &mut View<'_>) -> Result<Learned> {
        (**self).learn(record, view)
    }

    fn roles(
        &self,
        thread: &ThreadId,
        peer: &PeerId,
        scope: &Scope,
        txn: &dyn ReadTxn,
    ) -> Result<Option<Vec<Role>>> {
        (**self).roles(thread, peer, scope, txn)
    }

    fn rules(&self, thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Option<Rules>> {
        (**self).rules(thread, txn)
    }

    fn removal(&self, thread: &ThreadId, peer: &PeerId, txn: &dyn ReadTxn) -> Result<Option<Cid>> {
        (**self).removal(thread, peer, txn)
    }

    fn statements(&self, thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Vec<Stated>> {
        (**self).statements(thread, txn)
    }

    fn explain(&self, candidate: &Candidate<'_>, txn: &dyn ReadTxn) -> Result<Vec<String>> {
        (**self).explain(candidate, txn)
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
#[derive(Clone, Copy)]
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
    /// The latest access records that its author knew, as this record or the last one before it in
    /// its log that names any says: the rules it claims to follow. After an access record of the log
    /// itself it is that one.
    pub acl: &'a [Cid],
    /// What it would change; `None` when that cannot be read here.
    pub changes: Option<&'a [Change]>,
    /// Whether it is a record that somebody has seen, or one before that in its log.
    pub within: &'a dyn Fn(&Dep) -> Result<bool>,
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("author", &self.author)
            .field("log", &self.log)
            .field("seq", &self.seq)
            .field("acl", &self.acl)
            .field("changes", &self.changes)
            .finish_non_exhaustive()
    }
}

/// A record with statements about access, to be learned.
///
/// ```
/// use threads_core::policy::AccessRecord;
/// fn count(record: &AccessRecord<'_>) -> usize {
///     record.statements.len()
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// The thread.
    pub thread: &'a ThreadId,
    /// Whose log it is in.
    pub author: PeerId,
    /// The record.
    pub id: Cid,
    /// The latest access records that its author knew: see [`Candidate::acl`].
    pub acl: &'a [Cid],
    /// What it says, in this order.
    pub statements: &'a [Statement],
}

/// What becomes of an access record, and of others by it.
///
/// ```
/// use threads_core::policy::Learned;
/// assert!(Learned::default().void.is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Why statements of the record do not count, in words, if some do not. A node does not write
    /// such a record itself.
    pub void: Option<Cow<'static, str>>,
    /// Whether what it says is of no effect for what others say, so that nobody needs to name it: say
    /// because its author has no right to it.
    pub passing: bool,
    /// Which records have to be judged again.
    pub again: Vec<Again>,
}

/// Records that have to be judged again: those of which all that is named here holds.
///
/// ```
/// use threads_core::policy::Again;
/// assert_eq!(Again::default(), Again { author: None, entity: None, beyond: vec![], within: None });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// Whose records they are.
    pub author: Option<PeerId>,
    /// Which entity they change.
    pub entity: Option<EntityTag>,
    /// Records that are not among these, nor before one of them in its log.
    pub beyond: Vec<Dep>,
    /// Only records that are among these, or before one of them in its log, if that is said.
    pub within: Option<Vec<Dep>>,
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

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("it is applied"),
            Self::Reject(why) | Self::Quarantine(why) => f.write_str(why),
            Self::Defer(_) => f.write_str("records that it builds on are not here yet"),
        }
    }
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
    fn judge(&self, _candidate: &Candidate<'_>, _txn: &dyn ReadTxn) -> Result<Verdict> {
        Ok(Verdict::Accept)
    }
}
