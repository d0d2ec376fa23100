//! The keys of threads and logs (paper, "Keys & Encryption").

use std::borrow::Cow;
use std::fmt;

use zeroize::{Zeroize as _, Zeroizing};

use super::{clear, corrupt, log_key, rows, split_log, thread_key};
use crate::datastore::{Keyspace, ReadTxn, WriteTxn};
use crate::key::check_key;
use crate::{EpochKeys, Error, LogId, LogKey, ReadKey, ReplicaKey, Result, ThreadId};

/// What ends the key of each row. Before it a row of a thread has nothing, or the number of an epoch,
/// and one of a log has the log: the kinds of rows differ in length.
const REPLICA: u8 = b'r';
const READ: u8 = b'e';
const PUBLIC: u8 = b'p';
const SECRET: u8 = b's';
const MARK: u8 = b'm';

/// The bytes of an epoch's number in a key.
const EPOCH_BYTES: usize = 8;

fn thread_row(thread: &ThreadId, kind: u8) -> Vec<u8> {
    [&thread_key(thread)[..], &[kind]].concat()
}

fn epoch_row(thread: &ThreadId, epoch: u64, kind: u8) -> Vec<u8> {
    [&thread_key(thread)[..], &epoch.to_be_bytes(), &[kind]].concat()
}

fn log_row(thread: &ThreadId, log: &LogId, kind: u8) -> Vec<u8> {
    [&log_key(thread, log)[..], &[kind]].concat()
}

fn secret(txn: &dyn ReadTxn, row: &[u8]) -> Result<Option<Zeroizing<[u8; 32]>>> {
    let Some(bytes) = txn.get(Keyspace::Keys, row)? else {
        return Ok(None);
    };
    let key = <[u8; 32]>::try_from(&*bytes).map(Zeroizing::new);
    if let Cow::Owned(mut copy) = bytes {
        copy.zeroize();
    }
    Ok(Some(key.map_err(|_| corrupt("key"))?))
}

/// The keys of threads and logs, to read.
///
/// ```
/// use threads_core::{books::KeyBook, datastore::{Datastore, Memory}};
/// let store = Memory::new();
/// let snapshot = store.read().unwrap();
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// assert!(KeyBook::new(&*snapshot).replica_key(&thread).unwrap().is_none());
/// ```
#[derive(Clone, Copy)]
pub struct KeyBook<'a>(&'a dyn ReadTxn);

impl<'a> KeyBook<'a> {
    /// The book as `txn` sees it.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// let keys = KeyBook::new(&*txn);
    /// ```
    pub fn new(txn: &'a dyn ReadTxn) -> Self {
        Self(txn)
    }

    /// Whether the public key of `log`, which is its id, was added: the log is known.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert!(!KeyBook::new(&*txn).has_log(&thread, &log).unwrap());
    /// ```
    pub fn has_log(&self, thread: &ThreadId, log: &LogId) -> Result<bool> {
        Ok(self
            .0
            .get(Keyspace::Keys, &log_row(thread, log, PUBLIC))?
            .is_some())
    }

    /// The logs of `thread` that are known, in the order of their ids.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert!(KeyBook::new(&*txn).logs(&thread).unwrap().is_empty());
    /// ```
    pub fn logs(&self, thread: &ThreadId) -> Result<Vec<LogId>> {
        let rows = rows(self.0, Keyspace::Keys, thread)?;
        let logs = rows.iter().filter_map(|(key, _)| split_log(key));
        Ok(logs
            .filter(|(_, kind)| *kind == [PUBLIC])
            .map(|(log, _)| log)
            .collect())
    }

    /// The key that writes `log`; `None` for the logs of others.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert!(KeyBook::new(&*txn).log_key(&thread, &log).unwrap().is_none());
    /// ```
    pub fn log_key(&self, thread: &ThreadId, log: &LogId) -> Result<Option<LogKey>> {
        let key = secret(self.0, &log_row(thread, log, SECRET))?.map(|b| LogKey::from_bytes(&b));
        if key.as_ref().is_some_and(|key| key.log_id() != *log) {
            return Err(corrupt("log key"));
        }
        Ok(key)
    }

    /// The key that opens headers; `None` when this node only replicates.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert!(KeyBook::new(&*txn).read_key(&thread).unwrap().is_none());
    /// ```
    pub fn read_key(&self, thread: &ThreadId) -> Result<Option<ReadKey>> {
        let bytes = secret(self.0, &thread_row(thread, READ))?;
        Ok(bytes.map(|bytes| ReadKey::from_bytes(&bytes)))
    }

    /// The key that opens records (the paper's follow key).
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert!(KeyBook::new(&*txn).replica_key(&thread).unwrap().is_none());
    /// ```
    pub fn replica_key(&self, thread: &ThreadId) -> Result<Option<ReplicaKey>> {
        let bytes = secret(self.0, &thread_row(thread, REPLICA))?;
        Ok(bytes.map(|bytes| ReplicaKey::from_bytes(&bytes)))
    }

    /// The numbers of the epochs whose keys were added, ascending: not 0, that of the keys with which
    /// the thread begins, which are in [`KeyBook::replica_key`] and [`KeyBook::read_key`].
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let store = Memory::new();
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert!(KeyBook::new(&*txn).epochs(&thread).unwrap().is_empty());
    /// ```
    pub fn epochs(&self, thread: &ThreadId) -> Result<Vec<u64>> {
        let rows = rows(self.0, Keyspace::Keys, thread)?;
        let epochs = rows.iter().filter_map(|(key, _)| {
            let (number, kind) = key.split_first_chunk::<EPOCH_BYTES>()?;
            (kind == [REPLICA]).then_some(u64::from_be_bytes(*number))
        });
        Ok(epochs.collect())
    }

    /// The keys of an epoch after the first, as far as they are here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) when they are not those of this number.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let store = Memory::new();
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert!(KeyBook::new(&*txn).epoch_keys(&thread, 7).unwrap().is_none());
    /// ```
    pub fn epoch_keys(&self, thread: &ThreadId, epoch: u64) -> Result<Option<EpochKeys>> {
        let row = |kind| epoch_row(thread, epoch, kind);
        let Some(replica) = secret(self.0, &row(REPLICA))? else {
            return Ok(None);
        };
        let replica = ReplicaKey::from_bytes(&replica);
        let keys = match secret(self.0, &row(READ))? {
            Some(read) => EpochKeys::new(replica, ReadKey::from_bytes(&read)),
            None => {
                let mark = self.0.get(Keyspace::Keys, &row(MARK))?;
                let mark = mark.and_then(|mark| (&*mark).try_into().ok());
                EpochKeys::blind(replica, mark.ok_or_else(|| corrupt("mark of a read key"))?)
            }
        };
        let keys = keys.and_then(|keys| keys.of(epoch));
        Ok(Some(keys.map_err(|cause| {
            corrupt("keys of an epoch").caused_by(cause)
        })?))
    }
}

impl fmt::Debug for KeyBook<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBook")
    }
}

/// The keys of threads and logs, to write. A key that is there is never replaced.
///
/// ```
/// use threads_core::{ReadKey, books::KeyBookMut, datastore::{Datastore, Memory}};
///
/// let store = Memory::new();
/// let mut txn = store.write().unwrap();
/// let mut keys = KeyBookMut::new(&mut *txn);
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// keys.add_read_key(&thread, &ReadKey::from_bytes(&[1; 32])).unwrap();
/// keys.add_read_key(&thread, &ReadKey::from_bytes(&[1; 32])).unwrap();
/// assert!(keys.add_read_key(&thread, &ReadKey::from_bytes(&[2; 32])).is_err());
/// ```
pub struct KeyBookMut<'a>(&'a mut dyn WriteTxn);

impl<'a> KeyBookMut<'a> {
    /// The book as `txn` sees and changes it.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// let keys = KeyBookMut::new(&mut *txn);
    /// ```
    pub fn new(txn: &'a mut dyn WriteTxn) -> Self {
        Self(txn)
    }

    /// The same book, to read.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// assert!(KeyBookMut::new(&mut *txn).as_read().logs(&thread).unwrap().is_empty());
    /// ```
    pub fn as_read(&self) -> KeyBook<'_> {
        KeyBook(self.0.as_read())
    }

    /// Adds the public key of `log`, which is its id: the log is known from now on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) for a weak key.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// # let log = LogKey::from_bytes(&[1; 32]).log_id();
    /// let mut keys = KeyBookMut::new(&mut *txn);
    /// keys.add_log(&thread, &log).unwrap();
    /// assert_eq!(keys.as_read().logs(&thread).unwrap(), [log]);
    /// ```
    pub fn add_log(&mut self, thread: &ThreadId, log: &LogId) -> Result<()> {
        check_key(log.key_bytes())?;
        self.0
            .put(Keyspace::Keys, &log_row(thread, log, PUBLIC), &[])
    }

    /// Adds the key that writes a log, and with it the public key.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// let key = LogKey::from_bytes(&[1; 32]);
    /// let mut keys = KeyBookMut::new(&mut *txn);
    /// keys.add_log_key(&thread, &key).unwrap();
    /// assert_eq!(keys.as_read().log_key(&thread, &key.log_id()).unwrap(), Some(key));
    /// ```
    pub fn add_log_key(&mut self, thread: &ThreadId, key: &LogKey) -> Result<()> {
        let log = key.log_id();
        self.add_log(thread, &log)?;
        self.0.put(
            Keyspace::Keys,
            &log_row(thread, &log, SECRET),
            &*key.to_bytes(),
        )
    }

    /// Adds the key that opens headers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when the thread has another.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// let key = ReadKey::from_bytes(&[1; 32]);
    /// let mut keys = KeyBookMut::new(&mut *txn);
    /// keys.add_read_key(&thread, &key).unwrap();
    /// assert_eq!(keys.as_read().read_key(&thread).unwrap(), Some(key));
    /// ```
    pub fn add_read_key(&mut self, thread: &ThreadId, key: &ReadKey) -> Result<()> {
        let old = self.as_read().read_key(thread)?;
        check_same("read key", thread, old.is_none_or(|old| old == *key))?;
        self.0
            .put(Keyspace::Keys, &thread_row(thread, READ), &*key.to_bytes())
    }

    /// Adds the key that opens records.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when the thread has another.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// let key = ReplicaKey::from_bytes(&[1; 32]);
    /// let mut keys = KeyBookMut::new(&mut *txn);
    /// keys.add_replica_key(&thread, &key).unwrap();
    /// assert_eq!(keys.as_read().replica_key(&thread).unwrap(), Some(key));
    /// ```
    pub fn add_replica_key(&mut self, thread: &ThreadId, key: &ReplicaKey) -> Result<()> {
        let old = self.as_read().replica_key(thread)?;
        check_same("replica key", thread, old.is_none_or(|old| old == *key))?;
        self.0.put(
            Keyspace::Keys,
            &thread_row(thread, REPLICA),
            &*key.to_bytes(),
        )
    }

    /// Adds the keys of an epoch after the first. The read key may come later than the replica key;
    /// what is there already stays.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let store = Memory::new();
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// let epoch = EpochKeys::generate(&mut system_rng());
    /// let mut keys = KeyBookMut::new(&mut *txn);
    /// keys.add_epoch(&thread, &epoch.without_read()).unwrap();
    /// keys.add_epoch(&thread, &epoch).unwrap();
    /// assert_eq!(keys.as_read().epoch_keys(&thread, epoch.number()).unwrap(), Some(epoch));
    /// ```
    pub fn add_epoch(&mut self, thread: &ThreadId, keys: &EpochKeys) -> Result<()> {
        // A number has no other keys, so nothing is replaced.
        let row = |kind| epoch_row(thread, keys.number(), kind);
        let replica = keys.replica().to_bytes();
        self.0.put(Keyspace::Keys, &row(REPLICA), &*replica)?;
        match keys.read() {
            Some(read) => self.0.put(Keyspace::Keys, &row(READ), &*read.to_bytes()),
            None => self.0.put(Keyspace::Keys, &row(MARK), &keys.read_mark()),
        }
    }

    /// Forgets every key of `thread`. What it opened stays shut, unless there is a backup.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// KeyBookMut::new(&mut *txn).clear(&thread).unwrap();
    /// ```
    pub fn clear(&mut self, thread: &ThreadId) -> Result<()> {
        clear(self.0, Keyspace::Keys, thread)
    }
}

fn check_same(kind: &'static str, thread: &ThreadId, same: bool) -> Result<()> {
    if same {
        return Ok(());
    }
    Err(
        Error::conflict("the thread has another key already: was this one meant for it?")
            .with("kind", kind)
            .with("thread", thread),
    )
}

impl fmt::Debug for KeyBookMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBookMut")
    }
}
