//! That this node was removed from a thread, and by whom.

use serde::Serialize;
use threads_core::access::{Role, Scope, Statement, Subject};
use threads_core::block;
use threads_core::datastore::{Datastore, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Cid, Error, PeerId, Result};

use crate::chain;
use crate::db::Db;
use crate::dispatcher;
use crate::layout::meta;
use crate::thread::Thread;

/// The record by which a peer lost its part in a thread.
///
/// ```
/// fn tell(removal: &threads_db::Removal) -> String { format!("you were removed by {}", removal.by) }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Who stated it; this node itself, if it left.
    pub by: PeerId,
    /// The record that states it.
    #[serde(serialize_with = "crate::text::display")]
    pub record: Cid,
}

impl Db {
    /// That this node may have the thread no more, and by whose word: as far as it has heard itself, or as a
    /// peer has shown it by the signed record. Nothing comes here then that others write. `None` where it has
    /// a part, and where there are no rules.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(db.removal().unwrap().is_none());
    /// ```
    pub fn removal(&self) -> Result<Option<Removal>> {
        let thread = self.thread();
        removal(&*thread.node.store.read()?, thread)
    }
}

pub(crate) fn removal(txn: &dyn ReadTxn, thread: &Thread) -> Result<Option<Removal>> {
    let (policy, me) = (&thread.node.policy, thread.own_author());
    let Some(roles) = policy.roles(&thread.id, &me, &Scope::Thread, txn)? else {
        return Ok(None);
    };
    if roles.contains(&Role::Replicate) {
        return told(txn, thread);
    }
    let Some(record) = policy.removal(&thread.id, &me, txn)? else {
        return told(txn, thread);
    };
    let Some(place) = chain::locate(txn, thread.number, &record)? else {
        return Ok(None);
    };
    let by = thread.author(txn, place.log)?;
    let by = by.ok_or_else(|| Error::corrupt("a log's author is missing"))?;
    Ok(Some(Removal { by, record }))
}

/// What a peer showed, unless the record has taken its place here since: then the rules know it. It is believed of
/// somebody who has a say now, who could take this node's part by the rules as well; nobody has that say over root.
fn told(txn: &dyn ReadTxn, thread: &Thread) -> Result<Option<Removal>> {
    let Some(value) = txn.get(Keyspace::Meta, &meta::removal(thread.number))? else {
        return Ok(None);
    };
    let (by, record) = block::decode(&value).map_err(|cause| {
        Error::corrupt("what is known of this node's removal is damaged").caused_by(cause)
    })?;
    let known = chain::locate(txn, thread.number, &record)?.is_some();
    let believed = !known && may_remove(txn, thread, &by)?;
    Ok(believed.then_some(Removal { by, record }))
}

/// Whether a peer may take this node's part, as far as is known here.
fn may_remove(txn: &dyn ReadTxn, thread: &Thread, by: &PeerId) -> Result<bool> {
    let (policy, id) = (&thread.node.policy, &thread.id);
    let may = policy.roles(id, by, &Scope::Acl, txn)?;
    let is_root = || -> Result<bool> {
        let rules = policy.rules(id, txn)?;
        Ok(rules.is_some_and(|rules| rules.root == thread.own_author()))
    };
    Ok(may.is_some_and(|roles| roles.contains(&Role::Write)) && !is_root()?)
}

/// Notes a record that cannot stand in its log here, for what comes before it is not sent to this node any
/// more, if it takes this node's part in the thread and its author may do that as far as is known here. Says
/// whether it does.
pub(crate) fn note(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    (record, by): (&Cid, &PeerId),
    statements: &[Statement],
) -> Result<bool> {
    let me = thread.own_author();
    let takes_part = |statement: &Statement| {
        matches!(
            statement,
            Statement::Revoke { from: Subject::Peer(peer), scope: Scope::Thread, role: Role::Replicate, .. }
                if *peer == me
        )
    };
    if !statements.iter().any(takes_part) || *by == me {
        return Ok(false);
    }
    if !may_remove(txn.as_read(), thread, by)? {
        return Ok(false);
    }
    let value = block::encode(&(by, record))?;
    txn.put(Keyspace::Meta, &meta::removal(thread.number), &value)?;
    Ok(true)
}

/// The error for a change by this node where it has no part any more.
pub(crate) fn refusal(txn: &dyn ReadTxn, thread: &Thread) -> Result<Option<Error>> {
    let removal = removal(txn, thread)?;
    let why = removal.map(|Removal { by, record }| match by == thread.own_author() {
        true => format!("you have left the thread, by record {record}"),
        false => format!("you were removed from the thread by {by}, by record {record}"),
    });
    Ok(why.map(dispatcher::refused))
}

/// Refuses a change where a peer has shown that this node has no part any more; what is known here the
/// policy says.
pub(crate) fn check(txn: &dyn ReadTxn, thread: &Thread) -> Result<()> {
    if txn
        .get(Keyspace::Meta, &meta::removal(thread.number))?
        .is_none()
    {
        return Ok(());
    }
    refusal(txn, thread)?.map_or(Ok(()), Err)
}
