//! The keys of a thread: those it began with, and those of later epochs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use threads_core::access::Rekey;
use threads_core::books::{KeyBook, KeyBookMut};
use threads_core::datastore::{Datastore, Keyspace, ReadTxn, WriteTxn};
use threads_core::event::Event;
use threads_core::record::{Fields, SignedRecord};
use threads_core::{EpochKeys, Error, ErrorKind, ReadKey, ReplicaKey, Result, block};

use super::{Thread, Tip};
use crate::chain::{self, Blocks};
use crate::ingest::Unread;
use crate::layout::meta;
use crate::line;

/// How many epochs are remembered of which records came and no keys are here.
const LOCKED_MAX: usize = 16;
/// How many records of each log a new read key is tried with.
const TRIED_MAX: usize = 8;

/// Keys of later epochs as they were read. What is here is committed: another process may have added
/// more, which are read when they are looked for.
pub(crate) struct Later {
    keys: RwLock<BTreeMap<u64, Arc<EpochKeys>>>,
    came: AtomicU64,
}

impl Later {
    pub(crate) fn new(keys: impl IntoIterator<Item = EpochKeys>) -> Self {
        let keys = keys.into_iter().map(|keys| (keys.number(), Arc::new(keys)));
        Self {
            keys: RwLock::new(keys.collect()),
            came: AtomicU64::new(0),
        }
    }

    /// The committed keys of a thread.
    pub(crate) fn load(txn: &dyn ReadTxn, thread: &threads_core::ThreadId) -> Result<Self> {
        let book = KeyBook::new(txn);
        let mut keys = Vec::new();
        for epoch in book.epochs(thread)? {
            keys.extend(book.epoch_keys(thread, epoch)?);
        }
        Ok(Self::new(keys))
    }

    fn get(&self, epoch: u64) -> Option<Arc<EpochKeys>> {
        // Keys are put in whole, so a panic elsewhere broke nothing.
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(&epoch).cloned()
    }

    fn put(&self, keys: EpochKeys) -> Arc<EpochKeys> {
        let mut all = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let keys = Arc::new(keys);
        all.insert(keys.number(), Arc::clone(&keys));
        keys
    }

    /// Keys were committed that came with records.
    pub(crate) fn have_come(&self) {
        self.came.fetch_add(1, Ordering::Relaxed);
    }

    /// How often keys came.
    pub(crate) fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    fn any_read(&self) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().any(|keys| keys.read().is_some())
    }

    /// All that were read, ascending by number.
    fn all(&self) -> Vec<EpochKeys> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().map(|keys| (**keys).clone()).collect()
    }
}

impl Thread {
    /// The keys of all later epochs that were committed, ascending by number.
    pub(crate) fn all_later(&self, txn: &dyn ReadTxn) -> Result<Vec<EpochKeys>> {
        let committed = Later::load(txn, &self.id)?.all();
        for keys in &committed {
            self.later.put(keys.clone());
        }
        Ok(committed)
    }

    /// The keys of a later epoch, as far as they were committed and `enough` says that they do.
    fn later(&self, epoch: u64, enough: fn(&EpochKeys) -> bool) -> Result<Option<Arc<EpochKeys>>> {
        if let Some(keys) = self.later.get(epoch).filter(|keys| enough(keys)) {
            return Ok(Some(keys));
        }
        let txn = self.node.store.read()?;
        let keys = KeyBook::new(&*txn).epoch_keys(&self.id, epoch)?;
        let keys = keys.map(|keys| self.later.put(keys));
        Ok(keys.filter(|keys| enough(keys)))
    }

    /// The key that opens the records of an epoch, if it is here.
    pub(crate) fn replica_of(&self, epoch: u64) -> Result<Option<Cow<'_, ReplicaKey>>> {
        if epoch == 0 {
            return Ok(Some(Cow::Borrowed(&self.replica)));
        }
        let keys = self.later(epoch, |_| true)?;
        Ok(keys.map(|keys| Cow::Owned(keys.replica().clone())))
    }

    /// The key that opens the headers of an epoch, if it is here.
    pub(crate) fn read_of(&self, epoch: u64) -> Result<Option<Cow<'_, ReadKey>>> {
        if epoch == 0 {
            return Ok(self.read.get().map(Cow::Borrowed));
        }
        let keys = self.later(epoch, |keys| keys.read().is_some())?;
        let read = keys.and_then(|keys| keys.read().cloned());
        Ok(read.map(Cow::Owned))
    }

    /// What opens the header of a record's event, if it is here: that of an access record opens for all
    /// who have the replica key.
    pub(crate) fn header_key(&self, fields: &Fields) -> Result<Option<Cow<'_, ReadKey>>> {
        if !fields.access {
            return self.read_of(fields.epoch);
        }
        let replica = self.replica_of(fields.epoch)?;
        Ok(replica.map(|replica| Cow::Owned(replica.access_key())))
    }

    /// Adds keys that somebody handed to this node; says whether there was anything new in them. What
    /// came while they were not here is to be read then.
    pub(crate) fn add_keys(
        &self,
        txn: &mut dyn WriteTxn,
        (read, later): (Option<&ReadKey>, &[EpochKeys]),
    ) -> Result<bool> {
        let mut new = false;
        if let (Some(read), None) = (read, KeyBook::new(txn.as_read()).read_key(&self.id)?) {
            self.check_opens(txn.as_read(), read)?;
            KeyBookMut::new(&mut *txn).add_read_key(&self.id, read)?;
            Unread::note(txn, self.number, 0)?;
            new = true;
        }
        for keys in later {
            new |= self.add_epoch(txn, keys)?;
        }
        Ok(new)
    }

    /// Refuses a key that opens nothing of what is here. Some of what is here may open for nobody.
    fn check_opens(&self, txn: &dyn ReadTxn, read: &ReadKey) -> Result<()> {
        let mut tried = 0;
        for (line, head) in line::all(txn, self)? {
            for seq in (line.first..=head.seq).take(TRIED_MAX) {
                let blocks = chain::expect(txn, line.place(self.number, seq))?;
                let record = self.open_record(&blocks.record)?;
                let fields = record.fields();
                if fields.access || fields.epoch != 0 || blocks.is_emptied() {
                    continue;
                }
                let event = Event::decode(&blocks.event)?;
                if event.open_header(&self.position(fields), read).is_ok() {
                    return Ok(());
                }
                tried += 1;
            }
        }
        match tried {
            0 => Ok(()),
            _ => Err(Error::rejected(
                "the read key opens no record of the thread: ask for another invite",
            )
            .with("thread", &self.id)),
        }
    }

    /// Takes up keys that were committed since this thread was opened.
    pub(crate) fn take_up_keys(&self) -> Result<()> {
        let txn = self.node.store.read()?;
        if let (None, Some(read)) = (self.read.get(), KeyBook::new(&*txn).read_key(&self.id)?) {
            // Whoever was faster put in the same.
            _ = self.read.set(read);
        }
        self.all_later(&*txn)?;
        self.later.have_come();
        // A panic elsewhere broke nothing: it is chosen anew.
        *self.choice.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    /// Opens a record's block by the keys of its epoch.
    pub(crate) fn open_record(&self, block: &[u8]) -> Result<SignedRecord> {
        SignedRecord::open_with(block, &self.id, |epoch| {
            self.replica_of(epoch)?.ok_or_else(|| {
                Error::unsupported("a record is sealed under keys that are not here")
                    .with("epoch", epoch)
            })
        })
    }

    /// Whether this node keeps the thread without reading anything of it.
    pub(crate) fn is_blind(&self) -> bool {
        self.read.get().is_none() && !self.later.any_read()
    }

    /// Parts records into those that the keys here open and those that they do not, whose epochs are
    /// noted until their keys come. What is no record is for whoever opens it to refuse.
    pub(crate) fn unlocked<'b>(
        &self,
        blocks: Vec<&'b Blocks>,
    ) -> Result<(Vec<&'b Blocks>, Vec<&'b Blocks>)> {
        let (mut open, mut locked) = (Vec::new(), Vec::new());
        for blocks in blocks {
            match SignedRecord::epoch_of(&blocks.record) {
                Some(epoch) if self.replica_of(epoch)?.is_none() => locked.push(blocks),
                _ => open.push(blocks),
            }
        }
        Ok((open, locked))
    }

    /// The epochs of which records came that no keys here open.
    pub(crate) fn locked(&self, txn: &dyn ReadTxn) -> Result<Vec<u64>> {
        let Some(row) = txn.get(Keyspace::Meta, &meta::locked(self.number))? else {
            return Ok(Vec::new());
        };
        let damaged =
            |cause| Error::corrupt("the list of missing keys is damaged").caused_by(cause);
        let mut epochs: Vec<u64> = block::decode(&row).map_err(damaged)?;
        let book = KeyBook::new(txn);
        let mut here = Vec::new();
        for epoch in &epochs {
            here.extend(book.epoch_keys(&self.id, *epoch)?.map(|keys| keys.number()));
        }
        epochs.retain(|epoch| !here.contains(epoch));
        Ok(epochs)
    }

    /// Notes that records came which no keys here open.
    pub(crate) fn note_locked(&self, txn: &mut dyn WriteTxn, records: &[&Blocks]) -> Result<()> {
        let mut epochs = self.locked(txn.as_read())?;
        let before = epochs.clone();
        for blocks in records {
            let epoch = SignedRecord::epoch_of(&blocks.record).unwrap_or(0);
            if epoch != 0 && !epochs.contains(&epoch) && epochs.len() < LOCKED_MAX {
                epochs.push(epoch);
            }
        }
        if epochs == before {
            return Ok(());
        }
        txn.put(
            Keyspace::Meta,
            &meta::locked(self.number),
            &block::encode(&epochs)?,
        )
    }

    /// Stores the keys that a statement brings, if they are for this node; says whether any are new.
    /// What names this node and does not open is no keys, and the statement is learned all the same.
    pub(crate) fn learn_rekey(&self, txn: &mut dyn WriteTxn, rekey: &Rekey) -> Result<bool> {
        let (me, own) = (self.own_author(), &self.node.agreement.secret);
        let keys = match self.node.group_keys.open(&self.id, rekey, &me, own) {
            Ok(Some(keys)) => keys,
            Ok(None) => return Ok(false),
            Err(error) if matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Unsupported) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        self.add_epoch(txn, &keys)
    }

    /// Stores the keys of an epoch; says whether there was anything new in them.
    pub(crate) fn add_epoch(&self, txn: &mut dyn WriteTxn, keys: &EpochKeys) -> Result<bool> {
        let known = KeyBook::new(txn.as_read()).epoch_keys(&self.id, keys.number())?;
        if known
            .as_ref()
            .is_some_and(|known| known.read().is_some() || keys.read().is_none())
        {
            return Ok(false);
        }
        KeyBookMut::new(&mut *txn).add_epoch(&self.id, keys)?;
        if known.is_some() {
            Unread::note(txn, self.number, keys.number())?;
        } else {
            let since = Tip::get(txn.as_read(), self.number)?.position;
            let row = meta::epoch(self.number, keys.number());
            txn.put(Keyspace::Meta, &row, &since.to_be_bytes())?;
        }
        Ok(true)
    }

    /// After which position of the feed the records of an epoch came: no more of them are here than there
    /// are positions since.
    pub(crate) fn epoch_since(&self, txn: &dyn ReadTxn, epoch: u64) -> Result<u64> {
        let row = txn.get(Keyspace::Meta, &meta::epoch(self.number, epoch))?;
        let since = row.and_then(|row| (&*row).try_into().ok());
        Ok(since.map_or(0, u64::from_be_bytes))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use threads_core::datastore::{DatastoreExt, Durability, Memory};
    use threads_core::record::RECORDS_PER_EPOCH_MAX;
    use threads_core::system_rng;

    use super::*;
    use crate::Node;

    /// Row 45: keys wear out, and each epoch's are counted on their own.
    #[test]
    fn row_45_the_keys_of_an_epoch_seal_so_many_records_and_no_more() {
        let node = Node::builder(Memory::new())
            .codec(threads_codec_jsonpatch::JsonPatch::new())
            .open()
            .unwrap();
        let db = node.create("thread").unwrap();
        let codec = "jsonpatch/1".parse().unwrap();
        let spec = threads_core::module::CollectionSpec::new("Thing".parse().unwrap(), codec);
        db.define(&spec).unwrap();
        let (thread, things) = (db.thread(), db.collection("Thing").unwrap());
        let at = |position: u64| {
            let moved = node.inner.store.transact(Durability::Group, |txn| {
                let tip = Tip::get(txn.as_read(), thread.number)?;
                Tip { position, ..tip }.put(txn, thread.number)
            });
            moved.unwrap();
        };
        at(RECORDS_PER_EPOCH_MAX - 1);
        things.save(&json!({"_id": "last"})).unwrap();
        let error = things.save(&json!({"_id": "more"})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("rotate"), "{error}");
        // Keys that come now are counted from here.
        let keys = EpochKeys::generate(&mut system_rng());
        let added = |keys: &EpochKeys| {
            let store = &node.inner.store;
            store.transact(Durability::Group, |txn| thread.add_epoch(txn, keys))
        };
        assert!(added(&keys.without_read()).unwrap());
        at(RECORDS_PER_EPOCH_MAX + 7);
        assert!(added(&keys).unwrap(), "the read key is new");
        assert!(!added(&keys).unwrap() && !added(&keys.without_read()).unwrap());
        let txn = node.inner.store.read().unwrap();
        let since = thread.epoch_since(&*txn, keys.number()).unwrap();
        assert_eq!(since, RECORDS_PER_EPOCH_MAX);
    }
}
