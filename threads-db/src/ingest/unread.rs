//! What was taken in without the key to read it, and is read once that is here: a replica becomes a reader.

use serde::{Deserialize, Serialize};
use threads_core::datastore::{DatastoreExt, Durability, Keyspace, ReadTxn, WriteTxn};
use threads_core::record::{Record, SignedRecord, Verified};
use threads_core::{Error, ErrorKind, Hlc, Result, block};

use super::{Ingest, Intake, SETTLE_PER_COMMIT};
use crate::chain;
use crate::dispatcher::{self, Incoming};
use crate::feed::{FeedRow, Rejudged};
use crate::held::{self, Why};
use crate::kept;
use crate::layout::{self, Number, Place, meta};
use crate::line;
use crate::purge;
use crate::thread::Thread;

/// Which records are to be read, since their keys came: those of some epochs, at some positions of the feed. The
/// last of these is known once nobody can take in more without these keys.
#[derive(Serialize, Deserialize)]
pub(crate) struct Unread {
    epochs: Vec<u64>,
    next: u64,
    last: Option<u64>,
}

impl Unread {
    /// Notes that the keys of an epoch came, of which there may be records.
    pub(crate) fn note(txn: &mut dyn WriteTxn, thread: Number, epoch: u64) -> Result<()> {
        let before = Self::get(txn.as_read(), thread)?;
        let mut epochs = before.map_or(Vec::new(), |before| before.epochs);
        epochs.retain(|other| *other != epoch);
        epochs.push(epoch);
        let (next, last) = (1, None);
        Self { epochs, next, last }.put(txn, thread)
    }

    /// Whether there is anything to be read.
    pub(crate) fn is_left(txn: &dyn ReadTxn, thread: Number) -> Result<bool> {
        Self::get(txn, thread).map(|unread| unread.is_some())
    }

    fn get(txn: &dyn ReadTxn, thread: Number) -> Result<Option<Self>> {
        let damaged = |cause| {
            Error::corrupt("what is still to be read of a thread is damaged: restore the thread")
                .caused_by(cause)
        };
        let row = txn.get(Keyspace::Meta, &meta::unread(thread))?;
        row.map(|row| block::decode(&row).map_err(damaged))
            .transpose()
    }

    fn put(&self, txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
        let value = block::encode(self)?;
        txn.put(Keyspace::Meta, &meta::unread(thread), &value)
    }
}

/// Reads what is here and was not read yet, a bounded number of records in each commit. It goes on where it
/// was when it is interrupted.
pub(crate) fn read_on(thread: &Thread) -> Result<Intake> {
    let mut intake = Intake::default();
    if !Unread::is_left(&*thread.node.store.read()?, thread.number)? {
        return Ok(intake);
    }
    // Without the right to write, or within somebody's transaction, it is for the next one.
    match thread.node.writer() {
        Ok(Some(free)) => drop(free),
        _ => return Ok(intake),
    }
    thread.take_up_keys()?;
    // Ends: each turn gets on in a feed that has an end, which is noted in the first one.
    loop {
        let read = thread.node.store.transact(Durability::Group, |txn| {
            let Some(unread) = Unread::get(txn.as_read(), thread.number)? else {
                return Ok(None);
            };
            let mut ingest = Ingest::new(txn, thread)?;
            ingest.read_some(unread)?;
            ingest.finish().map(Some)
        })?;
        let Some((read, ready)) = read else {
            if intake.purges {
                purge::settle(thread)?;
            }
            return Ok(intake);
        };
        thread.node.notifier.notify_in([thread.number]);
        intake.add(read);
        intake.add(super::settle(thread, ready)?);
    }
}

impl Ingest<'_> {
    /// Reads the next records of those that are to be read.
    fn read_some(&mut self, mut unread: Unread) -> Result<()> {
        let thread = self.thread.number;
        let last = *unread.last.get_or_insert(self.tip.position);
        for _ in 0..SETTLE_PER_COMMIT {
            if unread.next > last {
                // Of what stood apart nothing is in the feed.
                self.ready
                    .extend(held::arrivals(self.txn.as_read(), thread)?);
                kept::forget(&mut *self.txn, thread)?;
                if self.purging {
                    purge::look_again(&mut *self.txn, self.thread)?;
                    self.intake.purges = true;
                }
                return self.txn.delete(Keyspace::Meta, &meta::unread(thread));
            }
            let position = layout::feed(thread, unread.next);
            let row = self.txn.get(Keyspace::Feed, &position)?;
            let row = row.map(|row| FeedRow::decode(thread, &row)).transpose()?;
            unread.next += 1;
            // What was undone is held, and judged with what stands apart.
            let undone = |row: &FeedRow| matches!(row.rejudged, Some(Rejudged::Reverted(_)));
            if let Some(row) = row.filter(|row| !undone(row)) {
                self.read(row.place, &unread.epochs)?;
            }
        }
        unread.put(&mut *self.txn, thread)
    }

    /// Judges and applies a record as far as it can be read now.
    fn read(&mut self, place: Place, epochs: &[u64]) -> Result<()> {
        if self
            .base
            .as_ref()
            .is_some_and(|base| base.covered.has(place))
        {
            return Ok(());
        }
        let blocks = chain::expect(self.txn.as_read(), place)?;
        let record = self.thread.open_record(&blocks.record)?;
        let fields = record.fields();
        // Access records say to all what they say, and what was purged says nothing.
        if fields.access || blocks.is_emptied() || !epochs.contains(&fields.epoch) {
            return Ok(());
        }
        let held = (&fields.log, fields.seq, &record.id());
        let arrival = held::find(self.txn.as_read(), self.thread.number, held)?;
        line::set_time(&mut *self.txn, self.thread, (place, &record), &blocks)?;
        let record = Verified::assume_stored(record);
        self.returns = arrival.is_none().then_some(Rejudged::Opened);
        let admitted = self.admit(record.clone(), &blocks, arrival);
        self.returns = None;
        match admitted {
            // As of any other that breaks a rule, in nobody's way.
            Err(error) if error.kind() == ErrorKind::Rejected => {
                self.hold(self.entry(&record, None), Why::quarantine(error), arrival)?;
            }
            admitted => admitted?,
        }
        match arrival {
            None => self.withdraw(record, place),
            Some(_) => Ok(()),
        }
    }

    /// A record that passed while nobody here could read it may be one not to apply: the feed says so.
    fn withdraw(&mut self, record: Verified<SignedRecord>, place: Place) -> Result<()> {
        let (fields, cause) = (record.fields(), record.id());
        let held = (&fields.log, fields.seq, &cause);
        if held::find(self.txn.as_read(), self.thread.number, held)?.is_none() {
            return Ok(());
        }
        // It was judged, and nothing of it was applied.
        let record = record.authorise(|_| Ok(()))?;
        let incoming = Incoming {
            record: &record,
            place,
            time: Hlc::ZERO,
            position: self.tip.position + 1,
            rejudged: Some(Rejudged::Reverted(cause)),
        };
        self.tip = dispatcher::publish(&mut *self.txn, self.thread, &incoming, &self.tip)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

    use std::sync::Arc;

    use serde_json::json;
    use threads_core::datastore::{Datastore, Memory};
    use threads_core::module::CollectionSpec;

    use super::*;
    use crate::{Db, ExportOptions, Node, RestoreOptions, ThreadKeys};

    /// More records than two commits read.
    const MANY: u64 = 2 * SETTLE_PER_COMMIT as u64 + 10;

    fn node(store: &Arc<Memory>) -> Node {
        Node::builder(Arc::clone(store))
            .codec(threads_codec_jsonpatch::JsonPatch::new())
            .open()
            .unwrap()
    }

    fn count(db: &Db) -> usize {
        let things = db.collection("Thing").unwrap();
        let ids = (0..MANY).filter(|n| things.has(&n.to_string()).unwrap());
        ids.count()
    }

    #[test]
    fn reading_goes_on_where_it_was_cut_short() {
        let writer = Node::builder(Memory::new())
            .codec(threads_codec_jsonpatch::JsonPatch::new())
            .open()
            .unwrap();
        let db = writer.create("t").unwrap();
        let codec = "jsonpatch/1".parse().unwrap();
        db.define(&CollectionSpec::new("Thing".parse().unwrap(), codec))
            .unwrap();
        let things = db.collection("Thing").unwrap();
        for n in 0..MANY {
            things.save(&json!({"_id": n.to_string()})).unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.car");
        let file = std::fs::File::create(&path).unwrap();
        db.export(file, &ExportOptions::default(), &mut |_| ())
            .unwrap();

        let store = Arc::new(Memory::new());
        let keeper = node(&store);
        let kept = keeper.add_thread("t", &db.keys().without_read()).unwrap();
        keeper
            .restore(&path, &RestoreOptions::default(), &mut |_| ())
            .unwrap();
        let thread = kept.thread();
        let wrong = threads_core::ReadKey::from_bytes(&[1; 32]);
        let wrong = ThreadKeys::new(db.id().clone(), thread.replica.clone(), wrong);
        let refused = keeper.add_thread("t", &wrong).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Rejected);
        let keys = db.thread().read.get();
        let new = store.transact(Durability::Group, |txn| thread.add_keys(txn, (keys, &[])));
        assert!(new.unwrap());
        thread.take_up_keys().unwrap();
        store
            .transact(Durability::Group, |txn| {
                let unread = Unread::get(txn.as_read(), thread.number)?.unwrap();
                Ingest::new(txn, thread)?.read_some(unread)
            })
            .unwrap();
        let some = count(&kept);
        assert!(some > 0 && some < MANY as usize, "{some}");
        drop((keeper, kept));
        let keeper = node(&store);
        let read = keeper.open("t").unwrap();
        assert_eq!(count(&read), MANY as usize);
        assert_eq!(read.verify(&mut |_| ()).unwrap().problems, []);
        assert!(
            Unread::get(&*store.read().unwrap(), read.thread().number)
                .unwrap()
                .is_none()
        );
    }
}
