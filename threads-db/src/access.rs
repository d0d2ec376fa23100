//! What a thread's records say about who may do what, on disk: which access records are the latest,
//! and which of them each record names.

use std::ops::Bound;

use threads_core::access::{Role, Scope};
use threads_core::block;
use threads_core::datastore::{Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::policy::AccessPolicy;
use threads_core::record::{Dep, Fields, LINKS_MAX};
use threads_core::{Cid, Error, ErrorKind, LogId, PeerId, Result, ThreadId};

use crate::base;
use crate::chain;
use crate::layout::{Number, Place, meta};
use crate::line;
use crate::sync::shares;
use crate::thread::Thread;

mod adopt;
mod attend;
mod back;
mod epochs;
mod farewell;
mod look;
mod removal;
mod rotate;
mod rotates;
mod rules;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use adopt::{ADOPTED, adopters, adopts};
pub(crate) use attend::Attended;
pub(crate) use epochs::Choice;
pub(crate) use farewell::{Farewell, owe, settle};
pub use removal::Removal;
pub(crate) use removal::{check, note as note_removal, refusal, removal};

fn damaged() -> Error {
    Error::corrupt("what is known of a thread's access records is damaged: verify the thread")
}

fn decode(value: &[u8]) -> Result<Vec<Cid>> {
    block::decode(value).map_err(|cause| damaged().caused_by(cause))
}

/// Notes what a record that stands in its log now says of access records: those that it names hold
/// for the records after it too.
pub(crate) fn note(
    txn: &mut dyn WriteTxn,
    place: Place,
    (cid, fields): (&Cid, &Fields),
) -> Result<()> {
    if fields.acl.is_empty() && !fields.access {
        return Ok(());
    }
    // After an access record of its own a log knows that one, and by it all that it names.
    let named = match fields.access {
        true => block::encode(&[cid])?,
        false => block::encode(&fields.acl)?,
    };
    let last = meta::known_access(place.thread, place.log);
    txn.put(Keyspace::Meta, &last, &named)?;
    let key = meta::named_access(place.thread, place.log, place.seq);
    txn.put(Keyspace::Meta, &key, &named)
}

/// Notes an access record that matters to others, and those that it knows of: it is one of the latest until
/// another names it.
pub(crate) fn enter(
    txn: &mut dyn WriteTxn,
    place: Place,
    (cid, before): (&Cid, &[Cid]),
) -> Result<()> {
    let mut latest = latest(txn.as_read(), place.thread)?;
    latest.retain(|other| !before.contains(other) && other != cid);
    latest.push(*cid);
    latest.sort();
    let value = block::encode(&latest)?;
    txn.put(Keyspace::Meta, &meta::latest_access(place.thread), &value)
}

/// The latest access records of a thread: those that no other one names.
pub(crate) fn latest(txn: &dyn ReadTxn, thread: Number) -> Result<Vec<Cid>> {
    let value = txn.get(Keyspace::Meta, &meta::latest_access(thread))?;
    value.map_or(Ok(Vec::new()), |value| decode(&value))
}

/// The access records that a record names at `place`, or that those before it in its log did.
pub(crate) fn named(txn: &dyn ReadTxn, place: Place, fields: &Fields) -> Result<Vec<Cid>> {
    if !fields.acl.is_empty() || place.seq <= 1 {
        return Ok(fields.acl.clone());
    }
    let seq = place.seq - 1;
    named_before(txn, Place { seq, ..place })
}

/// The access records that the record at `place` of a log knows of, or the last one before it that names any.
pub(crate) fn named_before(txn: &dyn ReadTxn, mut place: Place) -> Result<Vec<Cid>> {
    // Ends: a branch begins later than the one it comes from.
    loop {
        let Place { thread, log, seq } = place;
        let first = meta::named_access(thread, log, 0);
        let last = meta::named_access(thread, log, seq);
        let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        let mut rows = txn.scan(Keyspace::Meta, range, Direction::Reverse)?;
        if let Some((_, value)) = rows.next().transpose()? {
            return decode(&value);
        }
        match line::origin(txn, thread, log)? {
            Some((log, first)) if first > 1 => {
                let seq = seq.min(first - 1);
                place = Place { thread, log, seq };
            }
            _ => return Ok(Vec::new()),
        }
    }
}

/// The same of a record that is to be the next one at the end of its log, without looking for it.
pub(crate) fn named_next(txn: &dyn ReadTxn, place: Place, fields: &Fields) -> Result<Vec<Cid>> {
    if !fields.acl.is_empty() {
        return Ok(fields.acl.clone());
    }
    let known = meta::known_access(place.thread, place.log);
    match txn.get(Keyspace::Meta, &known)? {
        Some(value) => decode(&value),
        // A branch may not have said so itself.
        None => named(txn, place, fields),
    }
}

/// What the next record of a log that nobody forked names: the latest access records, when they are
/// others than those that the log knows of.
pub(crate) fn to_name(txn: &dyn ReadTxn, place: Place) -> Result<Vec<Cid>> {
    let known = meta::known_access(place.thread, place.log);
    let known = txn.get(Keyspace::Meta, &known)?;
    let latest = txn.get(Keyspace::Meta, &meta::latest_access(place.thread))?;
    if known == latest {
        return Ok(Vec::new());
    }
    let mut latest = latest.map_or(Ok(Vec::new()), |value| decode(&value))?;
    if latest.len() > LINKS_MAX {
        // What it names takes the place of what it named before: nothing of that is to be lost.
        let known = known.map_or(Ok(Vec::new()), |value| decode(&value))?;
        latest.sort_by_key(|cid| !known.contains(cid));
        latest.truncate(LINKS_MAX);
        latest.sort();
    }
    Ok(latest)
}

/// Whether the record at `place` of a log is one that somebody has seen, or before it.
pub(crate) fn is_within(txn: &dyn ReadTxn, log: &LogId, place: Place, seen: &Dep) -> Result<bool> {
    if seen.log != *log || place.seq > seen.seq {
        return Ok(false);
    }
    let Some(at) = chain::locate(txn, place.thread, &seen.cid)? else {
        return base::covers(txn, place.thread, seen);
    };
    Ok(at.seq == seen.seq && line::ancestor(txn, at, place.seq)? == place)
}

/// Whether a thread may be shared with a peer: it is a member, or there are no rules here.
pub(crate) fn may_share(
    policy: &dyn AccessPolicy,
    txn: &dyn ReadTxn,
    thread: &ThreadId,
    peer: &PeerId,
) -> Result<bool> {
    let roles = policy.roles(thread, peer, &Scope::Thread, txn)?;
    Ok(roles.is_none_or(|roles| roles.contains(&Role::Replicate)))
}

/// Shares a thread with a peer that may have it by the rules, and no more with one that may not. Says
/// whether that changed anything.
pub(crate) fn share(txn: &mut dyn WriteTxn, thread: &Thread, peer: &PeerId) -> Result<bool> {
    let policy = &*thread.node.policy;
    let ruled = policy
        .roles(&thread.id, peer, &Scope::Thread, txn.as_read())?
        .is_some();
    if !ruled || *peer == thread.own_author() {
        return Ok(false);
    }
    if !may_share(policy, txn.as_read(), &thread.id, peer)? {
        let shared = shares::has(txn.as_read(), thread.number, peer)?;
        // Who never showed the key is told nothing.
        if shares::last_contact(txn.as_read(), thread.number, peer)?.is_some() {
            owe(txn, thread.number, peer)?;
        }
        shares::remove(txn, thread.number, peer)?;
        return Ok(shared);
    }
    settle(txn, thread.number, peer)?;
    match shares::add(txn, thread.number, peer) {
        // More members than peers that a thread is shared with: others serve them.
        Err(error) if error.kind() == ErrorKind::Full => Ok(false),
        added => added,
    }
}
