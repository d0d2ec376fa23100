//! The addresses of logs (paper, "Multi-addressed Event Logs").

use std::fmt;
use std::time::Duration;

use multiaddr::Multiaddr;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{clear, corrupt, log_key, rows, split_log};
use crate::address::ADDRESS_BYTES_MAX;
use crate::datastore::{Keyspace, ReadTxn, WriteTxn};
use crate::{Error, LogId, Result, ThreadId};

/// The most addresses of one log.
pub const ADDRS_PER_LOG_MAX: usize = 16;
/// The most addresses of the logs of one thread.
pub const ADDRS_PER_THREAD_MAX: usize = 1_000;
/// The longest time to live.
pub const TTL_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// One address, as kept: its bytes, its time to live, and when that ends; both in milliseconds.
#[derive(Clone, Serialize, Deserialize)]
struct Row(ByteBuf, u64, u64);

#[derive(Clone)]
struct Entry {
    addr: Multiaddr,
    ttl_ms: u64,
    expires_ms: u64,
}

fn decode(bytes: &[u8]) -> Result<Vec<Entry>> {
    let rows: Vec<Row> = serde_ipld_dagcbor::from_slice(bytes).map_err(|_| corrupt("addresses"))?;
    let entry = |Row(addr, ttl_ms, expires_ms)| {
        let addr = Multiaddr::try_from(addr.into_vec()).map_err(|_| corrupt("addresses"))?;
        Ok(Entry {
            addr,
            ttl_ms,
            expires_ms,
        })
    };
    rows.into_iter().map(entry).collect()
}

fn encode(entries: &[Entry]) -> Result<Vec<u8>> {
    let row = |e: &Entry| Row(ByteBuf::from(e.addr.to_vec()), e.ttl_ms, e.expires_ms);
    serde_ipld_dagcbor::to_vec(&entries.iter().map(row).collect::<Vec<_>>())
        .map_err(|cause| Error::invalid("addresses cannot be written").caused_by(cause))
}

fn entries(txn: &dyn ReadTxn, thread: &ThreadId, log: &LogId) -> Result<Vec<Entry>> {
    let bytes = txn.get(Keyspace::Addresses, &log_key(thread, log))?;
    bytes.map_or(Ok(Vec::new()), |bytes| decode(&bytes))
}

fn contains(entries: &[Entry], addr: &Multiaddr) -> bool {
    entries.iter().any(|entry| entry.addr == *addr)
}

/// The addresses of logs, to read. What has expired is not there.
///
/// ```
/// use threads_core::{LogId, books::AddrBook, datastore::{Datastore, Memory}};
/// let store = Memory::new();
/// let snapshot = store.read().unwrap();
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// let log = LogId::from_key_bytes([1; 32]);
/// assert!(AddrBook::new(&*snapshot, 1_000).addrs(&thread, &log).unwrap().is_empty());
/// ```
#[derive(Clone, Copy)]
pub struct AddrBook<'a> {
    txn: &'a dyn ReadTxn,
    now_ms: u64,
}

impl<'a> AddrBook<'a> {
    /// The book as `txn` sees it at the time `now_ms`, of a [`Clock`](crate::Clock).
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// let book = AddrBook::new(&*txn, SystemClock.now_ms());
    /// ```
    pub fn new(txn: &'a dyn ReadTxn, now_ms: u64) -> Self {
        Self { txn, now_ms }
    }

    fn live(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        entries.retain(|entry| entry.expires_ms > self.now_ms);
        entries
    }

    /// The addresses of `log`, oldest first.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert!(AddrBook::new(&*txn, 1_000).addrs(&thread, &log).unwrap().is_empty());
    /// ```
    pub fn addrs(&self, thread: &ThreadId, log: &LogId) -> Result<Vec<Multiaddr>> {
        let live = self.live(entries(self.txn, thread, log)?);
        Ok(live.into_iter().map(|entry| entry.addr).collect())
    }

    /// The addresses of every log of `thread`, in the order of the logs' ids.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let txn = store.read().unwrap();
    /// assert!(AddrBook::new(&*txn, 1_000).all(&thread).unwrap().is_empty());
    /// ```
    pub fn all(&self, thread: &ThreadId) -> Result<Vec<(LogId, Multiaddr)>> {
        let mut all = Vec::new();
        for (key, value) in rows(self.txn, Keyspace::Addresses, thread)? {
            let (log, _) = split_log(&key).ok_or_else(|| corrupt("addresses"))?;
            all.extend(
                self.live(decode(&value)?)
                    .into_iter()
                    .map(|entry| (log, entry.addr)),
            );
        }
        Ok(all)
    }
}

impl fmt::Debug for AddrBook<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddrBook")
            .field("now_ms", &self.now_ms)
            .finish_non_exhaustive()
    }
}

/// What a transaction changed about the addresses of one log: for those who watch it.
///
/// ```
/// use threads_core::books::AddrChange;
/// fn grew(change: &AddrChange) -> bool {
///     change.added.len() > change.removed.len()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddrChange {
    /// The thread.
    pub thread: ThreadId,
    /// The log.
    pub log: LogId,
    /// What is there now and was not before.
    pub added: Vec<Multiaddr>,
    /// What was there before, or expired since, and is not there now.
    pub removed: Vec<Multiaddr>,
}

/// The addresses of logs, to write.
///
/// Every time to live is at most [`TTL_MAX`]; a log has at most [`ADDRS_PER_LOG_MAX`] addresses
/// and a thread [`ADDRS_PER_THREAD_MAX`]. A call that would exceed a limit fails whole, with kind
/// [`Full`](crate::ErrorKind::Full) for the numbers and [`Invalid`](crate::ErrorKind::Invalid)
/// for the time.
///
/// ```
/// use std::time::Duration;
/// use threads_core::{LogId, Multiaddr, books::AddrBookMut, datastore::{Datastore, Memory}};
///
/// let store = Memory::new();
/// let mut txn = store.write().unwrap();
/// let mut book = AddrBookMut::new(&mut *txn, 1_000);
/// let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
/// let log = LogId::from_key_bytes([1; 32]);
/// let addr: Multiaddr = "/ip4/192.0.2.1/tcp/4006".parse().unwrap();
/// book.add(&thread, &log, &[addr.clone()], Duration::from_secs(60)).unwrap();
/// assert_eq!(book.as_read().addrs(&thread, &log).unwrap(), [addr]);
/// assert_eq!(book.into_changes().len(), 1);
/// ```
pub struct AddrBookMut<'a> {
    txn: &'a mut dyn WriteTxn,
    now_ms: u64,
    changes: Vec<AddrChange>,
}

impl<'a> AddrBookMut<'a> {
    /// The book as `txn` sees and changes it at the time `now_ms`, of a [`Clock`](crate::Clock).
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// let book = AddrBookMut::new(&mut *txn, SystemClock.now_ms());
    /// ```
    pub fn new(txn: &'a mut dyn WriteTxn, now_ms: u64) -> Self {
        Self {
            txn,
            now_ms,
            changes: Vec::new(),
        }
    }

    /// The same book, to read.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// let book = AddrBookMut::new(&mut *txn, 1_000);
    /// assert!(book.as_read().addrs(&thread, &log).unwrap().is_empty());
    /// ```
    pub fn as_read(&self) -> AddrBook<'_> {
        AddrBook::new(self.txn.as_read(), self.now_ms)
    }

    /// Adds addresses. One that is there already lives on for the longer of both times.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// # let addr: Multiaddr = "/ip4/192.0.2.1/tcp/4006".parse().unwrap();
    /// # let hour = std::time::Duration::from_secs(3600);
    /// let mut book = AddrBookMut::new(&mut *txn, 1_000);
    /// book.add(&thread, &log, &[addr], hour).unwrap();
    /// assert_eq!(book.as_read().addrs(&thread, &log).unwrap().len(), 1);
    /// ```
    pub fn add(
        &mut self,
        thread: &ThreadId,
        log: &LogId,
        addrs: &[Multiaddr],
        ttl: Duration,
    ) -> Result<()> {
        self.write(thread, log, addrs, ttl, |old, new| {
            old.expires_ms < new.expires_ms
        })
    }

    /// Gives addresses exactly this time to live, adding those that are not there. No time
    /// removes them. Other addresses of the log stay.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// # let addr: Multiaddr = "/ip4/192.0.2.1/tcp/4006".parse().unwrap();
    /// # let hour = std::time::Duration::from_secs(3600);
    /// let mut book = AddrBookMut::new(&mut *txn, 1_000);
    /// book.set(&thread, &log, &[addr.clone()], hour).unwrap();
    /// book.set(&thread, &log, &[addr], std::time::Duration::ZERO).unwrap();
    /// assert!(book.as_read().addrs(&thread, &log).unwrap().is_empty());
    /// ```
    pub fn set(
        &mut self,
        thread: &ThreadId,
        log: &LogId,
        addrs: &[Multiaddr],
        ttl: Duration,
    ) -> Result<()> {
        self.write(thread, log, addrs, ttl, |_, _| true)
    }

    /// Gives the addresses of a log that were given the time to live `old_ttl` a new one, from
    /// now on. No time removes them.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// # let addr: Multiaddr = "/ip4/192.0.2.1/tcp/4006".parse().unwrap();
    /// # let hour = std::time::Duration::from_secs(3600);
    /// let mut book = AddrBookMut::new(&mut *txn, 1_000);
    /// book.add(&thread, &log, &[addr], hour).unwrap();
    /// book.update_ttl(&thread, &log, hour, hour * 2).unwrap();
    /// ```
    pub fn update_ttl(
        &mut self,
        thread: &ThreadId,
        log: &LogId,
        old_ttl: Duration,
        new_ttl: Duration,
    ) -> Result<()> {
        let (old_ms, (ttl_ms, expires_ms)) = (millis(old_ttl)?, self.lifetime(new_ttl)?);
        self.change(thread, log, |entries| {
            for entry in entries.iter_mut().filter(|entry| entry.ttl_ms == old_ms) {
                (entry.ttl_ms, entry.expires_ms) = (ttl_ms, expires_ms);
            }
        })
    }

    /// Removes every address of `log`.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// # let addr: Multiaddr = "/ip4/192.0.2.1/tcp/4006".parse().unwrap();
    /// # let hour = std::time::Duration::from_secs(3600);
    /// let mut book = AddrBookMut::new(&mut *txn, 1_000);
    /// book.add(&thread, &log, &[addr], hour).unwrap();
    /// book.clear(&thread, &log).unwrap();
    /// assert!(book.as_read().addrs(&thread, &log).unwrap().is_empty());
    /// ```
    pub fn clear(&mut self, thread: &ThreadId, log: &LogId) -> Result<()> {
        self.change(thread, log, Vec::clear)
    }

    /// Removes every address of `thread`. Watchers are not told: the thread is going.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// AddrBookMut::new(&mut *txn, 1_000).clear_thread(&thread).unwrap();
    /// ```
    pub fn clear_thread(&mut self, thread: &ThreadId) -> Result<()> {
        clear(self.txn, Keyspace::Addresses, thread)
    }

    /// Removes the addresses of `thread` that have expired, and tells their watchers.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// AddrBookMut::new(&mut *txn, 1_000).expire(&thread).unwrap();
    /// ```
    pub fn expire(&mut self, thread: &ThreadId) -> Result<()> {
        for (key, _) in rows(self.txn.as_read(), Keyspace::Addresses, thread)? {
            let (log, _) = split_log(&key).ok_or_else(|| corrupt("addresses"))?;
            self.change(thread, &log, |_| ())?;
        }
        Ok(())
    }

    /// What changed: to be given to [`AddrWatch::notify`](super::AddrWatch::notify) after the
    /// commit.
    ///
    /// ```
    /// # use threads_core::{books::*, datastore::{Datastore, Memory}, *};
    /// # let (store, log) = (Memory::new(), LogId::from_key_bytes([1; 32]));
    /// # let thread: ThreadId = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    /// # let mut txn = store.write().unwrap();
    /// # let addr: Multiaddr = "/ip4/192.0.2.1/tcp/4006".parse().unwrap();
    /// # let hour = std::time::Duration::from_secs(3600);
    /// let mut book = AddrBookMut::new(&mut *txn, 1_000);
    /// book.add(&thread, &log, &[addr.clone()], hour).unwrap();
    /// assert_eq!(book.into_changes()[0].added, [addr]);
    /// ```
    pub fn into_changes(self) -> Vec<AddrChange> {
        self.changes
    }

    fn lifetime(&self, ttl: Duration) -> Result<(u64, u64)> {
        let ttl_ms = millis(ttl)?;
        Ok((ttl_ms, self.now_ms.saturating_add(ttl_ms)))
    }

    fn write(
        &mut self,
        thread: &ThreadId,
        log: &LogId,
        addrs: &[Multiaddr],
        ttl: Duration,
        replace: impl Fn(&Entry, &Entry) -> bool,
    ) -> Result<()> {
        if addrs.len() > ADDRS_PER_LOG_MAX {
            return Err(too_many("log", ADDRS_PER_LOG_MAX));
        }
        if let Some(long) = addrs.iter().find(|addr| addr.len() > ADDRESS_BYTES_MAX) {
            return Err(Error::invalid("an address is too long").with("bytes", long.len()));
        }
        let (ttl_ms, expires_ms) = self.lifetime(ttl)?;
        self.change(thread, log, |entries| {
            for addr in addrs {
                let new = Entry {
                    addr: addr.clone(),
                    ttl_ms,
                    expires_ms,
                };
                match entries.iter_mut().find(|old| old.addr == *addr) {
                    Some(old) if replace(old, &new) => *old = new,
                    Some(_) => {}
                    None => entries.push(new),
                }
            }
        })
    }

    /// Changes the live addresses of a log, within the limits, and notes what changed.
    fn change(
        &mut self,
        thread: &ThreadId,
        log: &LogId,
        change: impl FnOnce(&mut Vec<Entry>),
    ) -> Result<()> {
        let stored = entries(self.txn.as_read(), thread, log)?;
        let before = self.as_read().live(stored.clone());
        let mut after = before.clone();
        change(&mut after);
        let after = self.as_read().live(after);
        if after.len() > before.len() {
            let others = self.as_read().all(thread)?.len() - before.len();
            if after.len() > ADDRS_PER_LOG_MAX {
                return Err(too_many("log", ADDRS_PER_LOG_MAX));
            }
            if others + after.len() > ADDRS_PER_THREAD_MAX {
                return Err(too_many("thread", ADDRS_PER_THREAD_MAX));
            }
        }
        let row = log_key(thread, log);
        if after.is_empty() {
            self.txn.delete(Keyspace::Addresses, &row)?;
        } else {
            self.txn.put(Keyspace::Addresses, &row, &encode(&after)?)?;
        }
        let missing = |from: &[Entry], of: &[Entry]| {
            let missing = of.iter().filter(|entry| !contains(from, &entry.addr));
            missing.map(|entry| entry.addr.clone()).collect::<Vec<_>>()
        };
        let (added, removed) = (missing(&before, &after), missing(&after, &stored));
        if !added.is_empty() || !removed.is_empty() {
            self.changes.push(AddrChange {
                thread: thread.clone(),
                log: *log,
                added,
                removed,
            });
        }
        Ok(())
    }
}

fn millis(ttl: Duration) -> Result<u64> {
    if ttl > TTL_MAX {
        return Err(
            Error::invalid("an address lives for 30 days at most; add it again later")
                .with("days", ttl.as_secs() / 86_400),
        );
    }
    // 30 days are less than 2^32 milliseconds.
    Ok(ttl.as_millis() as u64)
}

fn too_many(of: &'static str, most: usize) -> Error {
    Error::full("there are too many addresses: clear some or let them expire")
        .with("of_one", of)
        .with("most", most)
}

impl fmt::Debug for AddrBookMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddrBookMut")
            .field("now_ms", &self.now_ms)
            .finish_non_exhaustive()
    }
}
