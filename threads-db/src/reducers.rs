//! Catching up reducers: one that is new, or whose version is, replays the feed.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use threads_core::datastore::{Datastore, Direction, Keyspace, ReadTxn, WriteTxn};
use threads_core::reducer::{DispatchedEvent, ReadView, Reducer, View, view_prefix};
use threads_core::{Error, ErrorKind, Result};

use crate::base::{self, Base};
use crate::db::Db;
use crate::feed::{Change, FeedReader};
use crate::layout::{self, meta};
use crate::thread::{Thread, Tip};

impl Db {
    /// Replays the thread for every reducer whose view is not of its present version, or did not see
    /// every record. A replay is one transaction: a view is of one version, whole, or of the one
    /// before. A reducer that cannot digest the thread leaves its view behind; the thread opens.
    pub(crate) fn catch_up_reducers(&self) -> Result<()> {
        let thread = self.thread();
        for reducer in &thread.node.reducers {
            if is_current(&*thread.node.store.read()?, thread, &**reducer)? {
                continue;
            }
            let Some(mut txn) = thread.node.writer()? else {
                return Ok(());
            };
            match replay(&mut *txn, thread, &**reducer) {
                Ok(()) => txn.commit(thread.node.durability)?,
                Err(error) if is_its_own(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what a reducer keeps for this thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when `reducer` is not a name,
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when the reducer failed
    /// on a record from elsewhere: its view is built anew when the node is opened again.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let found = db.view("ages", |view| Ok(view.get(b"42")?.is_some())).unwrap();
    /// assert!(!found, "no such reducer is registered");
    /// ```
    pub fn view<R>(
        &self,
        reducer: &str,
        read: impl FnOnce(&ReadView<'_>) -> Result<R>,
    ) -> Result<R> {
        let txn = self.thread().node.store.read()?;
        self.view_in(&*txn, reducer, read)
    }

    /// The same, as a transaction sees it.
    pub(crate) fn view_in<R>(
        &self,
        txn: &dyn ReadTxn,
        reducer: &str,
        read: impl FnOnce(&ReadView<'_>) -> Result<R>,
    ) -> Result<R> {
        let thread = self.thread();
        let prefix = view_prefix(&thread.id, reducer)?;
        if let Some(registered) = thread.node.reducers.iter().find(|r| r.name() == reducer)
            && !is_current(txn, thread, &**registered)?
        {
            return Err(Error::unavailable(
                "the view is behind, for its reducer failed: open the node again to build it anew",
            )
            .with("reducer", reducer));
        }
        read(&ReadView::new(txn, &prefix)?)
    }
}

/// What is wrong with a reducer's view: it is behind, or not what a replay gives. The replay is made in
/// a transaction that is dropped. Nothing is found where the store is only read.
pub(crate) fn check(thread: &Thread, reducer: &dyn Reducer) -> Result<Option<&'static str>> {
    let Some(mut txn) = thread.node.writer()? else {
        return Ok(None);
    };
    if !is_current(txn.as_read(), thread, reducer)? {
        return Ok(Some("it is behind: open the node again to build it anew"));
    }
    let kept = digest(txn.as_read(), thread, reducer)?;
    match replay(&mut *txn, thread, reducer) {
        Ok(()) => {}
        Err(error) if is_its_own(&error) => return Ok(Some("its reducer fails on the thread")),
        Err(error) => return Err(error),
    }
    let replayed = digest(txn.as_read(), thread, reducer)?;
    Ok((kept != replayed).then_some("its rows are not what its reducer gives"))
}

/// A digest of a view's rows, each key and value with its length.
fn digest(txn: &dyn ReadTxn, thread: &Thread, reducer: &dyn Reducer) -> Result<[u8; 32]> {
    let prefix = view_prefix(&thread.id, reducer.name())?;
    let mut hash = Sha256::new();
    for row in ReadView::new(txn, &prefix)?.scan(b"", Direction::Forward)? {
        let (key, value) = row?;
        for part in [key, value] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(&part);
        }
    }
    Ok(hash.finalize().into())
}

/// Whether a reducer's view is of its present version and saw every record.
fn is_current(txn: &dyn ReadTxn, thread: &Thread, reducer: &dyn Reducer) -> Result<bool> {
    is_at(txn, thread, reducer, Tip::get(txn, thread.number)?.position)
}

/// Whether a reducer's view is of its present version and saw every record up to a position.
pub(crate) fn is_at(
    txn: &dyn ReadTxn,
    thread: &Thread,
    reducer: &dyn Reducer,
    position: u64,
) -> Result<bool> {
    let row = txn.get(
        Keyspace::Meta,
        &meta::reducer(thread.number, reducer.name()),
    )?;
    Ok(row.as_deref() == Some(&position_row(reducer, position)[..]))
}

/// Notes that a reducer's view saw every record up to a position.
pub(crate) fn put_position(
    txn: &mut dyn WriteTxn,
    thread: &Thread,
    reducer: &dyn Reducer,
    position: u64,
) -> Result<()> {
    let key = meta::reducer(thread.number, reducer.name());
    txn.put(Keyspace::Meta, &key, &position_row(reducer, position))
}

fn position_row(reducer: &dyn Reducer, position: u64) -> [u8; 12] {
    let mut row = [0; 12];
    row[..4].copy_from_slice(&reducer.version().to_be_bytes());
    row[4..].copy_from_slice(&position.to_be_bytes());
    row
}

/// Whether an error says that the reducer cannot digest an event, rather than that the datastore
/// cannot be used now.
pub(crate) fn is_its_own(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::Corrupt
    )
}

fn replay(txn: &mut dyn WriteTxn, thread: &Thread, reducer: &dyn Reducer) -> Result<()> {
    let prefix = view_prefix(&thread.id, reducer.name())?;
    View::new(txn, &prefix)?.clear()?;
    let last = Tip::get(txn.as_read(), thread.number)?.position;
    let first = replay_base(txn, thread, reducer)?;
    let mut feed = FeedReader::default();
    for position in first..=last {
        let changes = feed.changes(txn.as_read(), thread, position)?;
        let events: Vec<_> = changes
            .into_iter()
            // Of what was purged it is only known that it is gone.
            .filter(|change| change.before.is_some() || change.after.is_some())
            .map(|change| event(thread, change))
            .collect();
        if !events.is_empty() {
            reducer
                .reduce(&mut View::new(txn, &prefix)?, &events)
                .map_err(|cause| {
                    Error::new(cause.kind(), "a reducer failed while replaying the thread")
                        .with("reducer", reducer.name())
                        .caused_by(cause)
                })?;
        }
    }
    put_position(txn, thread, reducer, last)
}

/// Shows a reducer what the thread begins with here, each entity as if it came to be just then. Gives the first
/// position of the feed after that.
fn replay_base(txn: &mut dyn WriteTxn, thread: &Thread, reducer: &dyn Reducer) -> Result<u64> {
    let Some(base) = Base::get(txn.as_read(), thread.number)? else {
        return Ok(1);
    };
    let prefix = view_prefix(&thread.id, reducer.name())?;
    for (number, collection) in layout::collections(txn.as_read(), thread.number)? {
        if collection.is_reserved() {
            continue;
        }
        let of = layout::collection_prefix(thread.number, number);
        let mut after = of.to_vec();
        // Ends: each turn gets on in the entities of a collection.
        while let Some((key, events)) =
            base::some_begin(txn.as_read(), thread, (&base, &collection), (&of, &after))?
        {
            if !events.is_empty() {
                reducer.reduce(&mut View::new(txn, &prefix)?, &events)?;
            }
            after = key;
        }
    }
    Ok(base.position + 1)
}

/// Makes all views again that saw every record, in a transaction that took something away which they may have
/// seen. Where a reducer cannot digest the thread, its view is behind.
pub(crate) fn replay_all(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<()> {
    for reducer in &thread.node.reducers {
        match replay(txn, thread, &**reducer) {
            Err(error) if is_its_own(&error) => {
                let key = meta::reducer(thread.number, reducer.name());
                txn.delete(Keyspace::Meta, &key)?;
            }
            replayed => replayed?,
        }
    }
    Ok(())
}

/// Notes that all views are behind, in a transaction that took something away which they may have seen, and
/// others will.
pub(crate) fn put_behind(txn: &mut dyn WriteTxn, thread: &Thread) -> Result<()> {
    for reducer in &thread.node.reducers {
        let key = meta::reducer(thread.number, reducer.name());
        txn.delete(Keyspace::Meta, &key)?;
    }
    Ok(())
}

/// What a reducer is given of a change.
pub(crate) fn event(thread: &Thread, change: Change) -> DispatchedEvent {
    DispatchedEvent {
        thread: thread.id.clone(),
        record: change.record,
        log: change.log,
        seq: change.seq,
        time: change.time,
        collection: change.collection,
        entity: change.entity,
        action: change.action,
        before: change.before.map(Arc::new),
        after: change.after.map(Arc::new),
    }
}
