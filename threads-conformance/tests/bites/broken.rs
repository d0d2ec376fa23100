//! A durable store with one fault at a time: [`Memory`], and one file that is written whole.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::{self, ThreadId};
use std::{fs, mem};

use threads_core::datastore::{
    Capability, Datastore, DatastoreExt, Direction, Durability, KeyRange, Keyspace, Memory,
    ReadTxn, Scan, WriteTxn, check_key,
};
use threads_core::{Error, Result};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    OrdersByLength,
    TakesAnyKey,
    RefusesToLookForOddKeys,
    TakesEmptyForAbsent,
    CutsLargeValues,
    WritesOverInPlace,
    DeletesTheNextKeyToo,
    MissesWhatItDeletes,
    MixesTwoKeyspaces,
    ExcludesIncludedEnds,
    ExcludesIncludedEndsInReverse,
    PanicsOnEmptyRanges,
    StopsAfterOnePage,
    LooksUpMissesInThePresent,
    ScansOnInThePresent,
    HidesRelaxedCommitsFromReaders,
    GetsPastItsOwnWrites,
    ScansPastItsOwnWrites,
    HidesRelaxedCommitsFromWriters,
    ShowsWhatIsNotCommitted,
    CommitsOnDrop,
    ForgetsAllOnARefusal,
    ReadsThePastAsRead,
    RefusesASecondWriterWrongly,
    TakesItsTurnAtTheFirstWrite,
    TakesItsSnapshotBeforeItsTurn,
    CommitsInTwoHalves,
    LeavesImmediateForLater,
    LeavesGroupForLater,
    WritesOnlyTheLastCommit,
    WritesRelaxedOutOfOrder,
    TakesAnEmptyCommitForNothing,
    ForgetsRelaxedWhenClosed,
    WritesBeforeTheCommit,
    ChecksNothing,
    /// Of the store that fails, which is not this one.
    TornCommit,
    KeepsTheFirstOfTwoPuts,
    IsTheSameInACopy,
    /// For the law that is checked within a time.
    WaitsForItself,
}

/// A value, or none after a delete.
type Change = (Keyspace, Vec<u8>, Option<Vec<u8>>);
type Map = BTreeMap<(Keyspace, Vec<u8>), Vec<u8>>;

const PAGE_ROWS: usize = 1_000;
const SMALL_PAGE_ROWS: usize = 10;
const CUT_BYTES: usize = 1 << 17;
const FILE: &str = "rows";
const IDENTITY: &str = "identity";

#[derive(Debug)]
pub(crate) struct Broken {
    live: Memory,
    /// What readers see that lag behind.
    lagging: Memory,
    file: PathBuf,
    /// Of a file that stays where it is.
    about: fs::Metadata,
    fault: Option<Fault>,
    disk: Mutex<Disk>,
    /// Changes of the open transaction, for readers that see too much.
    dirty: Mutex<Vec<Change>>,
    /// Threads that write, as far as the live store does not know.
    writers: Mutex<Vec<ThreadId>>,
}

/// What is in the file, and what is not yet.
#[derive(Debug, Default)]
struct Disk {
    rows: Map,
    pending: Vec<Vec<Change>>,
}

impl Broken {
    pub(crate) fn open(dir: &Path, fault: Option<Fault>) -> Result<Self> {
        let file = dir.join(FILE);
        let mut options = fs::OpenOptions::new();
        let identity = options
            .append(true)
            .create(true)
            .open(dir.join(IDENTITY))
            .unwrap();
        let rows = match fs::read(&file) {
            Ok(bytes) => decode(&bytes, fault != Some(Fault::ChecksNothing))?,
            Err(_) => Map::new(),
        };
        let (live, lagging) = (Memory::new(), Memory::new());
        for memory in [&live, &lagging] {
            memory.transact(Durability::Group, |txn| {
                let mut rows = rows.iter();
                rows.try_for_each(|((space, key), value)| txn.put(*space, key, value))
            })?;
        }
        let disk = Disk {
            rows,
            pending: Vec::new(),
        };
        Ok(Self {
            live,
            lagging,
            file,
            about: identity.metadata().unwrap(),
            fault,
            disk: Mutex::new(disk),
            dirty: Mutex::default(),
            writers: Mutex::default(),
        })
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// What the file holds after a commit of these changes.
    fn persist(&self, changes: Vec<Change>, durability: Durability) {
        let mut disk = self.disk.lock().unwrap();
        let disk = &mut *disk;
        let (empty, own) = (changes.is_empty(), changes.clone());
        if empty && self.is(Fault::TakesAnEmptyCommitForNothing) {
            return;
        }
        disk.pending.push(changes);
        let late = match durability {
            Durability::Immediate => self.is(Fault::LeavesImmediateForLater),
            Durability::Group => self.is(Fault::LeavesGroupForLater),
            _ => {
                if self.is(Fault::WritesRelaxedOutOfOrder) && disk.pending.len().is_multiple_of(8) {
                    apply_all(&mut disk.rows, &own);
                    self.save(&disk.rows);
                }
                return;
            }
        };
        if self.is(Fault::WritesOnlyTheLastCommit) && !empty {
            disk.pending.pop();
            apply_all(&mut disk.rows, &own);
        } else {
            let kept = if late && !empty {
                disk.pending.pop()
            } else {
                None
            };
            for changes in mem::take(&mut disk.pending) {
                apply_all(&mut disk.rows, &changes);
            }
            disk.pending.extend(kept);
        }
        self.save(&disk.rows);
    }

    fn save(&self, rows: &Map) {
        fs::write(&self.file, encode(rows)).unwrap();
    }

    /// A transaction on a copy of what is there now, for writers that began too early.
    fn on_a_copy(&self) -> Result<Box<dyn WriteTxn>> {
        // Leaked, for it has to outlive the transaction on it, and a test may.
        let copy: &'static Memory = Box::leak(Box::default());
        let mut txn = copy.write()?;
        for space in Keyspace::ALL {
            for row in self.live.read()?.scan(*space, ALL, Direction::Forward)? {
                let (key, value) = row?;
                txn.put(*space, &key, &value)?;
            }
        }
        Ok(txn)
    }
}

const ALL: KeyRange<'static> = (Unbounded, Unbounded);

fn apply_all(rows: &mut Map, changes: &[Change]) {
    for (space, key, value) in changes.iter().cloned() {
        match value {
            Some(value) => drop(rows.insert((space, key), value)),
            None => drop(rows.remove(&(space, key))),
        }
    }
}

fn put_all(txn: &mut dyn WriteTxn, changes: &[Change]) -> Result<()> {
    changes
        .iter()
        .try_for_each(|(space, key, value)| match value {
            Some(value) => txn.put(*space, key, value),
            None => txn.delete(*space, key),
        })
}

fn sum(bytes: &[u8]) -> [u8; 8] {
    let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix).to_be_bytes()
}

fn encode(rows: &Map) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ((space, key), value) in rows {
        let space = Keyspace::ALL.iter().position(|one| one == space).unwrap();
        bytes.extend([space as u8]);
        for part in [key, value] {
            bytes.extend((part.len() as u32).to_be_bytes());
            bytes.extend(part);
        }
    }
    [&sum(&bytes)[..], &bytes].concat()
}

fn decode(bytes: &[u8], checked: bool) -> Result<Map> {
    let (found, mut bytes) = bytes.split_at(8);
    if checked && found != sum(bytes) {
        return Err(Error::corrupt("the file is not what was written"));
    }
    let mut rows = Map::new();
    while let Some((space, rest)) = bytes.split_first() {
        bytes = rest;
        let mut part = || {
            let (len, rest) = bytes.split_at(4);
            let (part, rest) = rest.split_at(u32::from_be_bytes(len.try_into().unwrap()) as usize);
            bytes = rest;
            part.to_vec()
        };
        let (key, value) = (part(), part());
        rows.insert((Keyspace::ALL[usize::from(*space)], key), value);
    }
    Ok(rows)
}

impl Drop for Broken {
    fn drop(&mut self) {
        if !self.is(Fault::ForgetsRelaxedWhenClosed) {
            let disk = self.disk.get_mut().unwrap();
            for changes in mem::take(&mut disk.pending) {
                apply_all(&mut disk.rows, &changes);
            }
            fs::write(&self.file, encode(&disk.rows)).unwrap();
        }
    }
}

impl Datastore for Broken {
    fn capability(&self) -> Capability {
        let mut capability = Capability::durable().in_file(&self.about);
        if self.is(Fault::IsTheSameInACopy) {
            capability.instance = Some(7);
        }
        capability
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        let lags = self.is(Fault::HidesRelaxedCommitsFromReaders);
        let inner = if lags {
            self.lagging.read()?
        } else {
            self.live.read()?
        };
        Ok(Box::new(Reader {
            store: self,
            inner,
            writer: false,
        }))
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        let me = thread::current().id();
        let mut turn = None;
        let inner: Box<dyn WriteTxn + '_> = if self.is(Fault::TakesItsTurnAtTheFirstWrite) {
            if self.writers.lock().unwrap().contains(&me) {
                return Err(Error::invalid("this thread writes already"));
            }
            self.on_a_copy()?
        } else if self.is(Fault::TakesItsSnapshotBeforeItsTurn) {
            let copy = self.on_a_copy()?;
            turn = Some(self.live.write()?);
            copy
        } else {
            match self.live.write() {
                Err(_) if self.is(Fault::RefusesASecondWriterWrongly) => {
                    return Err(Error::unavailable("somebody writes"));
                }
                Err(_) if self.is(Fault::WaitsForItself) => loop {
                    thread::park();
                },
                inner => inner?,
            }
        };
        self.writers.lock().unwrap().push(me);
        let lags = self.is(Fault::HidesRelaxedCommitsFromWriters);
        let before = if lags {
            self.lagging.read()?
        } else {
            self.live.read()?
        };
        Ok(Box::new(Writer {
            reader: Reader {
                store: self,
                inner,
                writer: true,
            },
            before: Reader {
                store: self,
                inner: before,
                writer: true,
            },
            turn,
            changes: Vec::new(),
            me,
        }))
    }
}

struct Reader<'a, T: ?Sized> {
    store: &'a Broken,
    inner: Box<T>,
    writer: bool,
}

fn space_of(store: &Broken, space: Keyspace) -> Keyspace {
    match space {
        Keyspace::Links if store.is(Fault::MixesTwoKeyspaces) => Keyspace::Addresses,
        space => space,
    }
}

impl<T: ReadTxn + ?Sized> Reader<'_, T> {
    fn rows(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Rows> {
        let rows = self.inner.scan(space, range, direction)?;
        rows.map(|row| row.map(|(key, value)| (key.into_owned(), value.into_owned())))
            .collect()
    }

    /// The range that is scanned instead.
    fn range<'r>(&self, range: KeyRange<'r>, direction: Direction) -> KeyRange<'r> {
        let excludes = match direction {
            Direction::Forward => self.store.is(Fault::ExcludesIncludedEnds),
            Direction::Reverse => {
                self.store.is(Fault::ExcludesIncludedEnds)
                    || self.store.is(Fault::ExcludesIncludedEndsInReverse)
            }
        };
        match range {
            (start, Included(end)) if excludes => (start, Excluded(end)),
            (Included(start), Included(end) | Excluded(end)) if start > end => {
                assert!(
                    !self.store.is(Fault::PanicsOnEmptyRanges),
                    "start after end"
                );
                range
            }
            range => range,
        }
    }
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

impl<T: ReadTxn + ?Sized> ReadTxn for Reader<'_, T> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        if self.store.is(Fault::RefusesToLookForOddKeys) {
            check_key(key)?;
        }
        let space = space_of(self.store, space);
        let mut value = self.inner.get(space, key)?.map(Cow::into_owned);
        if value.is_none() && !self.writer && self.store.is(Fault::LooksUpMissesInThePresent) {
            value = self
                .store
                .live
                .read()?
                .get(space, key)?
                .map(Cow::into_owned);
        }
        let absent = self.store.is(Fault::TakesEmptyForAbsent);
        Ok(value
            .filter(|value| !absent || !value.is_empty())
            .map(Cow::Owned))
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        let space = space_of(self.store, space);
        let mut rows = self.rows(space, self.range(range, direction), direction)?;
        if self.store.is(Fault::OrdersByLength) {
            rows.sort_by_key(|row| row.0.len());
        }
        if self.store.is(Fault::StopsAfterOnePage) {
            rows.truncate(PAGE_ROWS);
        }
        let forward = direction == Direction::Forward;
        if self.store.is(Fault::ShowsWhatIsNotCommitted) && !self.writer && forward {
            let mut map: BTreeMap<_, _> = rows.into_iter().collect();
            for (_, key, value) in self.store.dirty.lock().unwrap().clone() {
                match value {
                    Some(value) => map.insert(key, value),
                    None => map.remove(&key),
                };
            }
            rows = map.into_iter().collect();
        }
        let later = forward && !self.writer && self.store.is(Fault::ScansOnInThePresent);
        let store = self.store;
        let mut seen = 0;
        let mut last = Vec::new();
        let mut rows = rows.into_iter();
        Ok(Box::new(std::iter::from_fn(move || {
            if later && seen == SMALL_PAGE_ROWS {
                let inner = store.live.read().unwrap();
                let present = Reader {
                    store,
                    inner,
                    writer: true,
                };
                let range = (Excluded(&last[..]), Unbounded);
                rows = present.rows(space, range, direction).unwrap().into_iter();
            }
            seen += 1;
            let (key, value) = rows.next()?;
            last.clone_from(&key);
            Some(Ok((Cow::Owned(key), Cow::Owned(value))))
        })))
    }
}

struct Writer<'a> {
    reader: Reader<'a, dyn WriteTxn + 'a>,
    before: Reader<'a, dyn ReadTxn + 'a>,
    /// The turn, when what is changed is a copy.
    turn: Option<Box<dyn WriteTxn + 'a>>,
    changes: Vec<Change>,
    me: ThreadId,
}

impl Writer<'_> {
    fn store(&self) -> &Broken {
        self.reader.store
    }

    fn refuse(&mut self, key: &[u8]) -> Result<()> {
        let refusal = check_key(key);
        if refusal.is_err() && self.store().is(Fault::ForgetsAllOnARefusal) {
            for (space, key, _) in mem::take(&mut self.changes) {
                self.reader.inner.delete(space, &key)?;
            }
        }
        refusal
    }

    fn change(&mut self, change: Change) -> Result<()> {
        let store = self.reader.store;
        put_all(&mut *self.reader.inner, std::slice::from_ref(&change))?;
        if self.changes.is_empty() && store.is(Fault::WritesBeforeTheCommit) {
            let mut rows = store.disk.lock().unwrap().rows.clone();
            apply_all(&mut rows, std::slice::from_ref(&change));
            store.save(&rows);
        }
        store.dirty.lock().unwrap().push(change.clone());
        self.changes.push(change);
        Ok(())
    }

    fn finish(&mut self, durability: Durability) -> Result<()> {
        let store = self.reader.store;
        let changes = mem::take(&mut self.changes);
        let on_a_copy = store.is(Fault::TakesItsTurnAtTheFirstWrite) || self.turn.is_some();
        // While it is still this writer's turn.
        let mut lagging = Vec::new();
        if durability != Durability::Relaxed {
            lagging = store.disk.lock().unwrap().pending.concat();
            lagging.extend(changes.iter().cloned());
        }
        store
            .lagging
            .transact(durability, |txn| put_all(txn, &lagging))?;
        // In place of the transaction that is committed, one that is not.
        let scratch: &'static Memory = Box::leak(Box::default());
        let inner = mem::replace(&mut self.reader.inner, scratch.write()?);
        if on_a_copy {
            drop(inner);
            let mut live = match self.turn.take() {
                Some(turn) => turn,
                None => store.live.write()?,
            };
            put_all(&mut *live, &changes)?;
            live.commit(durability)?;
        } else if store.is(Fault::CommitsInTwoHalves) && changes.len() > 1 {
            drop(inner);
            for half in changes.chunks(changes.len().div_ceil(2)) {
                store.live.transact(durability, |txn| put_all(txn, half))?;
                (0..100).for_each(|_| thread::yield_now());
            }
        } else {
            inner.commit(durability)?;
        }
        store.persist(changes, durability);
        Ok(())
    }
}

impl ReadTxn for Writer<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let lags =
            self.changes.is_empty() && self.store().is(Fault::HidesRelaxedCommitsFromWriters);
        match self.store().is(Fault::GetsPastItsOwnWrites) || lags {
            true => self.before.get(space, key),
            false => self.reader.get(space, key),
        }
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        match self.store().is(Fault::ScansPastItsOwnWrites) {
            true => self.before.scan(space, range, direction),
            false => self.reader.scan(space, range, direction),
        }
    }
}

impl WriteTxn for Writer<'_> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) -> Result<()> {
        if self.store().is(Fault::TakesAnyKey) && check_key(key).is_err() {
            return Ok(());
        }
        self.refuse(key)?;
        let space = space_of(self.store(), space);
        let mut value = value.to_vec();
        let old = self.reader.inner.get(space, key)?.map(Cow::into_owned);
        if let Some(old) = old.filter(|old| old.len() > value.len())
            && self.store().is(Fault::WritesOverInPlace)
        {
            value.extend(&old[value.len()..]);
        }
        if self.store().is(Fault::CutsLargeValues) {
            value.truncate(CUT_BYTES);
        }
        let second = |change: &Change| change.0 == space && change.1 == key && change.2.is_some();
        if self.store().is(Fault::KeepsTheFirstOfTwoPuts) && self.changes.iter().any(second) {
            return Ok(());
        }
        self.change((space, key.to_vec(), Some(value)))
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) -> Result<()> {
        if self.store().is(Fault::TakesAnyKey) && check_key(key).is_err() {
            return Ok(());
        }
        self.refuse(key)?;
        let space = space_of(self.store(), space);
        let there = self.reader.inner.get(space, key)?.is_some();
        if !there && self.store().is(Fault::MissesWhatItDeletes) {
            return Err(Error::not_found("no such key"));
        }
        if there && self.store().is(Fault::DeletesTheNextKeyToo) {
            let mut next = key.to_vec();
            *next.last_mut().unwrap() = next.last().unwrap().wrapping_add(1);
            self.change((space, next, None))?;
        }
        self.change((space, key.to_vec(), None))
    }

    fn commit(mut self: Box<Self>, durability: Durability) -> Result<()> {
        self.finish(durability)
    }

    fn as_read(&self) -> &dyn ReadTxn {
        match self.store().is(Fault::ReadsThePastAsRead) {
            true => &self.before,
            false => &self.reader,
        }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        let store = self.reader.store;
        if store.is(Fault::CommitsOnDrop) && !self.changes.is_empty() {
            self.finish(Durability::Group).unwrap();
        }
        if store.is(Fault::WritesBeforeTheCommit) {
            store.save(&store.disk.lock().unwrap().rows);
        }
        store.dirty.lock().unwrap().clear();
        store
            .writers
            .lock()
            .unwrap()
            .retain(|thread| *thread != self.me);
    }
}
