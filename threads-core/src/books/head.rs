//! Where each log has got to.

use std::fmt;

use cid::Cid;

use super::{clear, corrupt, log_key, rows, rows_from, split_log};
use crate::datastore::{Keyspace, ReadTxn, WriteTxn};
use crate::{Error, Hlc, LogId, Result, ThreadId};

/// The last record of a log that is here.
///
/// ```
/// use threads_core::{Hlc, block::Block, books::Head};
/// let head = Head { seq: 1, record: *Block::raw(*b"x").cid(), time: Hlc::ZERO };
/// assert_eq!(head.seq, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its place in the log, from 1.
    pub seq: u64,
    /// Its CID.
    pub record: Cid,
    /// Its time; [`Hlc::ZERO`] for who cannot read headers.
    pub time: Hlc,
}

impl Head {
    fn encode(&self) -> Vec<u8> {
        [
            &self.seq.to_be_bytes()[..],
            &self.time.to_bytes(),
            &self.record.to_bytes(),
        ]
        .concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (seq, rest) = bytes.split_first_chunk::<8>()?;
        let (time, cid) = rest.split_first_chunk::<12>()?;
        Some(Self {
            seq: u64::from_be_bytes(*seq),
            record: Cid::try_from(cid).ok()?,
            time: Hlc::from_bytes(time)?,
        })
    }
}

/// The heads of logs, to read.
///
/// ```
/// use threads_core::{LogId, books::HeadBook, datastore::{Datastore, Memory}};
/// let store = Memory::new();
/// let snapshot = store.read().unwrap();
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// let log = LogId::from_key_bytes([1; 32]);
/// assert!(HeadBook::new(&*snapshot).get(&thread, &log).unwrap().is_none());
/// ```
#[derive(Clone, Copy)]
pub struct HeadBook<'a>(&'a dyn ReadTxn);

impl<'a> HeadBook<'a> {
    /// The book as `txn` sees it.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// let heads = HeadBook::new(&*txn);
    /// ```
    pub fn new(txn: &'a dyn ReadTxn) -> Self {
        Self(txn)
    }

    /// The head of `log`; `None` when nothing of it is here.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert_eq!(HeadBook::new(&*txn).get(&thread, &log).unwrap(), None);
    /// ```
    pub fn get(&self, thread: &ThreadId, log: &LogId) -> Result<Option<Head>> {
        let Some(bytes) = self.0.get(Keyspace::Heads, &log_key(thread, log))? else {
            return Ok(None);
        };
        Head::decode(&bytes)
            .map(Some)
            .ok_or_else(|| corrupt("head"))
    }

    /// The heads of every log of `thread`, in the order of their ids.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert!(HeadBook::new(&*txn).all(&thread).unwrap().is_empty());
    /// ```
    pub fn all(&self, thread: &ThreadId) -> Result<Vec<(LogId, Head)>> {
        let rows = rows(self.0, Keyspace::Heads, thread)?;
        rows.into_iter().map(listed).collect()
    }

    /// The heads of those logs of `thread` whose ids are not before `from`, and before `upto` if there is one.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert!(HeadBook::new(&*txn).within(&thread, &log, None).unwrap().is_empty());
    /// ```
    pub fn within(
        &self,
        thread: &ThreadId,
        from: &LogId,
        upto: Option<&LogId>,
    ) -> Result<Vec<(LogId, Head)>> {
        let rows = rows_from(self.0, Keyspace::Heads, thread, from, upto)?;
        rows.into_iter().map(listed).collect()
    }
}

fn listed((key, value): (Vec<u8>, Vec<u8>)) -> Result<(LogId, Head)> {
    let head = split_log(&key).and_then(|(log, _)| Some((log, Head::decode(&value)?)));
    head.ok_or_else(|| corrupt("head"))
}

impl fmt::Debug for HeadBook<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadBook")
    }
}

/// The heads of logs, to write.
///
/// ```
/// use threads_core::books::{Head, HeadBookMut};
/// use threads_core::datastore::{Datastore, Memory};
/// use threads_core::{Hlc, LogId, block::Block};
///
/// let store = Memory::new();
/// let mut txn = store.write().unwrap();
/// let mut heads = HeadBookMut::new(&mut *txn);
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// let log = LogId::from_key_bytes([1; 32]);
/// let head = Head { seq: 2, record: *Block::raw(*b"x").cid(), time: Hlc::ZERO };
/// heads.set(&thread, &log, &head).unwrap();
/// assert!(heads.set(&thread, &log, &Head { seq: 1, ..head }).is_err());
/// ```
pub struct HeadBookMut<'a>(&'a mut dyn WriteTxn);

impl<'a> HeadBookMut<'a> {
    /// The book as `txn` sees and changes it.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// let heads = HeadBookMut::new(&mut *txn);
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
    /// assert_eq!(HeadBookMut::new(&mut *txn).as_read().get(&thread, &log).unwrap(), None);
    /// ```
    pub fn as_read(&self) -> HeadBook<'_> {
        HeadBook(self.0.as_read())
    }

    /// Sets the head of `log`, which only ever moves forward.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when the log has got further, or has
    /// another record at the same place.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// # let head = Head { seq: 1, record: Cid::default(), time: Hlc::ZERO };
    /// let mut heads = HeadBookMut::new(&mut *txn);
    /// heads.set(&thread, &log, &head).unwrap();
    /// assert_eq!(heads.as_read().get(&thread, &log).unwrap(), Some(head));
    /// ```
    pub fn set(&mut self, thread: &ThreadId, log: &LogId, head: &Head) -> Result<()> {
        let old = self.as_read().get(thread, log)?;
        if old.is_some_and(|old| old != *head && old.seq >= head.seq) {
            return Err(Error::conflict("the head of a log moves forward only")
                .with("log", log)
                .with("seq", head.seq));
        }
        self.0
            .put(Keyspace::Heads, &log_key(thread, log), &head.encode())
    }

    /// Sets the head of `log` back to `head`, or to none: the log was forked after it, and what comes
    /// later is kept as branches.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when the log has not got so far.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// # let head = Head { seq: 1, record: Cid::default(), time: Hlc::ZERO };
    /// let mut heads = HeadBookMut::new(&mut *txn);
    /// heads.set(&thread, &log, &Head { seq: 2, ..head }).unwrap();
    /// heads.cut(&thread, &log, Some(&head)).unwrap();
    /// assert_eq!(heads.as_read().get(&thread, &log).unwrap(), Some(head));
    /// heads.cut(&thread, &log, None).unwrap();
    /// assert_eq!(heads.as_read().get(&thread, &log).unwrap(), None);
    /// ```
    pub fn cut(&mut self, thread: &ThreadId, log: &LogId, head: Option<&Head>) -> Result<()> {
        let old = self.as_read().get(thread, log)?;
        if let Some(head) = head
            && old.is_none_or(|old| old.seq < head.seq)
        {
            return Err(Error::conflict("a log is cut where it has got to")
                .with("log", log)
                .with("seq", head.seq));
        }
        let key = log_key(thread, log);
        match head {
            Some(head) => self.0.put(Keyspace::Heads, &key, &head.encode()),
            None => self.0.delete(Keyspace::Heads, &key),
        }
    }

    /// Forgets the heads of `thread`.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// # let head = Head { seq: 1, record: Cid::default(), time: Hlc::ZERO };
    /// let mut heads = HeadBookMut::new(&mut *txn);
    /// heads.set(&thread, &log, &head).unwrap();
    /// heads.clear(&thread).unwrap();
    /// assert_eq!(heads.as_read().get(&thread, &log).unwrap(), None);
    /// ```
    pub fn clear(&mut self, thread: &ThreadId) -> Result<()> {
        clear(self.0, Keyspace::Heads, thread)
    }
}

impl fmt::Debug for HeadBookMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadBookMut")
    }
}
