//! What several tests need.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::io;
use std::ops::Bound::Unbounded;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace};
use threads_core::{ErrorKind, Result};
use threads_store_redb::{Redb, RedbOptions, StorageBackend};

/// Every row of a store.
pub(crate) type Rows = Vec<(Keyspace, Vec<u8>, Vec<u8>)>;

pub(crate) fn all_rows(store: &Redb, direction: Direction) -> Result<Rows> {
    let txn = store.read()?;
    let mut all = Vec::new();
    for space in Keyspace::ALL {
        for row in txn.scan(*space, (Unbounded, Unbounded), direction)? {
            let (key, value) = row?;
            all.push((*space, key.into_owned(), value.into_owned()));
        }
    }
    Ok(all)
}

pub(crate) fn put(store: &Redb, key: &[u8], value: &[u8], durability: Durability) -> Result<()> {
    store.transact(durability, |txn| txn.put(Keyspace::Meta, key, value))
}

pub(crate) fn get(store: &Redb, key: &[u8]) -> Option<Vec<u8>> {
    let read = store.read().unwrap();
    let value = read.get(Keyspace::Meta, key).unwrap();
    value.map(std::borrow::Cow::into_owned)
}

#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    error.to_string()
}

pub(crate) fn options() -> RedbOptions {
    let mut options = RedbOptions::default();
    options.cache_bytes = 1 << 20;
    options
}

/// A small generator of numbers, so that a failure can be repeated.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What redb asks of its storage that changes something.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
    /// A commit returned; noted by the test.
    Acknowledged(u64),
}

/// Storage in memory that outlives its store, remembers what was done to it, and fails on demand.
/// Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    pub(crate) image: Arc<Mutex<Vec<u8>>>,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    /// How many changes until one that fails, and all after it until it is relieved;
    /// 0 for none.
    left: Arc<AtomicU64>,
    fails: Arc<Mutex<Fails>>,
    /// The length it cannot outgrow; 0 for none.
    bytes_max: Arc<AtomicU64>,
}

/// How storage fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fails {
    /// No room: writes and growth fail, syncs work.
    #[default]
    Full,
    /// Writes fail otherwise.
    Writing,
    /// Syncs fail.
    Syncing,
}

impl Storage {
    pub(crate) fn of(image: Vec<u8>) -> Self {
        let storage = Self::default();
        *storage.image.lock().unwrap() = image;
        storage
    }

    pub(crate) fn open(&self) -> Result<Redb> {
        options().open_backend(self.clone())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.image.lock().unwrap().clone()
    }

    /// From the `nth` change of its kind on, changes fail.
    pub(crate) fn fail(&self, fails: Fails, nth: u64) {
        *self.fails.lock().unwrap() = fails;
        self.left.store(nth, Ordering::SeqCst);
    }

    /// Fails no more.
    pub(crate) fn relieve(&self) {
        self.left.store(0, Ordering::SeqCst);
    }

    /// Lets it grow to this length and no further.
    pub(crate) fn limit(&self, bytes_max: u64) {
        self.bytes_max.store(bytes_max, Ordering::SeqCst);
    }

    fn pass(&self, sync: bool) -> io::Result<()> {
        let fails = *self.fails.lock().unwrap();
        if sync != (fails == Fails::Syncing) {
            return Ok(());
        }
        // It stays at one: nothing works any more.
        let count_down = |left: u64| (left > 1).then(|| left - 1);
        let left = &self.left;
        match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down) {
            Err(1) if fails == Fails::Full => Err(io::ErrorKind::StorageFull.into()),
            Err(1) => Err(io::Error::other("the disk was made to fail")),
            _ => Ok(()),
        }
    }

    fn record(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

/// Does to an image what was done to storage; what lies beyond its end is lost.
pub(crate) fn write_to(image: &mut [u8], offset: u64, data: &[u8]) {
    let start = (offset as usize).min(image.len());
    let end = (offset as usize + data.len()).min(image.len());
    image[start..end].copy_from_slice(&data[..end - start]);
}

impl StorageBackend for Storage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.image.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let image = self.image.lock().unwrap();
        let end = offset.checked_add(out.len() as u64);
        match end.filter(|end| *end <= image.len() as u64) {
            Some(end) => out.copy_from_slice(&image[offset as usize..end as usize]),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut image = self.image.lock().unwrap();
        if len > image.len() as u64 {
            self.pass(false)?;
            let most = self.bytes_max.load(Ordering::SeqCst);
            if most > 0 && len > most {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        image.resize(len as usize, 0);
        self.record(Event::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.pass(true)?;
        self.record(Event::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.pass(false)?;
        let mut image = self.image.lock().unwrap();
        assert!(offset as usize + data.len() <= image.len());
        write_to(&mut image, offset, data);
        self.record(Event::Write(offset, data.to_vec()));
        Ok(())
    }
}
