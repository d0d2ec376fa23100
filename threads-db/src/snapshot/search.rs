//! The course of a search for a snapshot: how its content comes, what is waited for, what is tried next, and how it ends.

use threads_core::datastore::{Datastore, DatastoreExt, Durability};
use threads_core::{Cid, Error, ErrorKind, PeerId, Result};

use super::seek::{CONTENT_BYTES_MAX, Found, NotOpened, Progress, Seek, State, TRIES_MAX};
use super::shared::{forget, open};
use crate::base::Base;
use crate::db::Db;
use crate::sync::words::Sought;

/// For how many milliseconds nothing else was seen to, and the peers that were connected.
pub(super) type Passed<'a> = (u64, &'a [PeerId]);

/// Notes how far a search is. What is lost of it in a crash is found out again.
fn put(db: &Db, seek: &Seek) -> Result<()> {
    let (thread, store) = (db.thread().number, &db.thread().node.store);
    store.transact(Durability::Relaxed, |txn| seek.put(txn, thread))?;
    db.thread().node.notifier.notify_in([thread]);
    Ok(())
}

pub(super) fn begin_fetching(db: &Db, mut seek: Seek, found: Found) -> Result<Sought> {
    if found.content.size() > CONTENT_BYTES_MAX {
        let detail = format!("{} bytes", found.content.size());
        seek.state = State::Fetching(found, Progress::default());
        return give_up(db, seek, (NotOpened::TooLarge, detail));
    }
    db.blobs().fetch(found.content.cid())?;
    seek.state = State::Fetching(found, Progress::default());
    put(db, &seek)?;
    Ok(Sought::Fetch)
}

/// Sees how the content comes.
pub(super) fn fetch_on(
    db: &Db,
    mut seek: Seek,
    (found, progress): (Found, Progress),
    passed: Passed<'_>,
) -> Result<Sought> {
    let missing = match db.blobs().missing(found.content.cid()) {
        Ok(missing) if missing.is_nothing() => return open_found(db, seek, &found, passed),
        Ok(missing) => missing,
        Err(error) => return failed(db, seek, passed, &error),
    };
    if missing
        .size
        .is_some_and(|size| size != found.content.size())
    {
        let error = Error::rejected("it is not as long as was signed for");
        return failed(db, seek, passed, &error);
    }
    let left = (missing.blocks, missing.bytes);
    if left == progress.left {
        return wait(db, seek, passed, String::new());
    }
    let stalled_ms = 0;
    let progress = Progress {
        left,
        stalled_ms,
        ..progress
    };
    seek.state = State::Fetching(found, progress);
    put(db, &seek)?;
    Ok(Sought::Waits)
}

/// Goes on later, unless that was said for too long.
pub(super) fn wait(db: &Db, mut seek: Seek, passed: Passed<'_>, detail: String) -> Result<Sought> {
    match seek.waits(passed) {
        Some(why) => give_up(db, seek, (why, detail)),
        None => {
            put(db, &seek)?;
            Ok(Sought::Waits)
        }
    }
}

/// What passes is waited for; what was signed for and is wrong stays so.
fn failed(db: &Db, seek: Seek, passed: Passed<'_>, error: &Error) -> Result<Sought> {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::Conflict => {
            wait(db, seek, passed, error.to_string())
        }
        _ => give_up(db, seek, (NotOpened::Refused, error.to_string())),
    }
}

/// Does without this content. Another that was signed for is tried; when none is left the search ends.
fn give_up(db: &Db, mut seek: Seek, why: (NotOpened, String)) -> Result<Sought> {
    let State::Fetching(found, _) = seek.state.clone() else {
        return end(db, seek, why);
    };
    seek.tried.push((found.snapshot, found.content.clone()));
    let next = match seek.tried.len() < TRIES_MAX {
        true => seek.find(&*db.thread().node.store.read()?, db.thread())?,
        false => None,
    };
    let Some(next) = next else {
        return end(db, seek, why);
    };
    let is_other = next.content.cid() != found.content.cid();
    let begun = begin_fetching(db, seek, next)?;
    if is_other {
        forget(db, found.content.cid())?;
    }
    Ok(begun)
}

/// Ends a search without a snapshot.
pub(super) fn end(db: &Db, mut seek: Seek, (why, detail): (NotOpened, String)) -> Result<Sought> {
    let found = match &seek.state {
        State::Fetching(found, _) => Some(found.clone()),
        _ => None,
    };
    let snapshot = found.as_ref().map(|found| found.snapshot);
    seek.state = State::Not(why, snapshot, detail);
    put(db, &seek)?;
    if let Some(found) = found {
        forget(db, found.content.cid())?;
    }
    end_membership(db, seek)?;
    Ok(Sought::Ended)
}

/// Has this node say in the thread that it takes part, which waited for the end of the search.
pub(super) fn end_membership(db: &Db, mut seek: Seek) -> Result<()> {
    if let Some((role, invite)) = seek.member.take() {
        db.put_member(&db.node().peer_id(), role, invite.as_deref())?;
        put(db, &seek)?;
    }
    Ok(())
}

fn open_found(db: &Db, mut seek: Seek, found: &Found, passed: Passed<'_>) -> Result<Sought> {
    let node = db.node();
    let Ok(_alone) = node.inner.restoring.try_lock() else {
        return Ok(Sought::Waits);
    };
    if seek.attempts() {
        let detail = "opening it was cut short again and again".to_owned();
        return give_up(db, seek, (NotOpened::Refused, detail));
    }
    put(db, &seek)?;
    match open(db, &seek, found) {
        Ok(()) => opened(db, seek, found),
        Err(error) => {
            seek.attempt_ended();
            failed(db, seek, passed, &error)
        }
    }
}

/// Whether a thread begins with this snapshot here.
pub(super) fn begins_with(db: &Db, snapshot: &Cid) -> Result<bool> {
    let txn = db.thread().node.store.read()?;
    let base = Base::get(&*txn, db.thread().number)?;
    Ok(base.is_some_and(|base| base.snapshot == *snapshot))
}

/// Ends a search with the snapshot that the thread begins with now.
pub(super) fn opened(db: &Db, mut seek: Seek, found: &Found) -> Result<Sought> {
    seek.state = State::Opened(found.snapshot, found.signers.clone());
    put(db, &seek)?;
    db.catch_up_reducers()?;
    end_membership(db, seek)?;
    Ok(Sought::Ended)
}
