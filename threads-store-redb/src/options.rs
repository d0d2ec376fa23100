//! How to open a store.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use redb::StorageBackend;
use redb::backends::FileBackend;
use threads_core::Result;
use threads_store_group::dir;
use threads_store_group::fault::io_error;

use crate::check;
use crate::disk::Disk;
use crate::fault::{Failure, damaged, guarded};
use crate::lock::Lock;
use crate::store::Redb;
use crate::table::{self, Tables};

pub(crate) const DATA_FILE: &str = "data.redb";
/// The data file until it is whole.
pub(crate) const NEW_FILE: &str = "new.redb";

/// How to open a store. The defaults suit most; each field says what it is for.
///
/// ```
/// use threads_store_redb::RedbOptions;
///
/// # let dir = tempfile::tempdir().unwrap();
/// let mut options = RedbOptions::default();
/// options.cache_bytes = 16 << 20;
/// let store = options.open(dir.path()).unwrap();
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct RedbOptions {
    /// The memory that redb uses for pages, in bytes: 64 MiB.
    pub cache_bytes: usize,
    /// Up to this length, in bytes, the data is checked page by page when it is opened: 1 GiB.
    /// Of longer data only what a crash left behind is checked.
    pub check_bytes_max: u64,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            check_bytes_max: 1 << 30,
        }
    }
}

impl RedbOptions {
    /// Opens the store in `dir`, or makes one there.
    ///
    /// # Errors
    ///
    /// As [`Redb::open`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = threads_store_redb::RedbOptions::default().open(dir.path()).unwrap();
    /// ```
    pub fn open(&self, dir: impl AsRef<Path>) -> Result<Redb> {
        let dir = dir.as_ref();
        dir::make(dir)?;
        let mut lock = Lock::take(dir)?;
        let data = dir.join(DATA_FILE);
        let there = data
            .try_exists()
            .map_err(io_error("cannot look for the data file of the store"))?;
        if !there {
            if lock.is_marked()? {
                return Err(dir::data_gone(&data));
            }
            self.make(dir)?;
        }
        forget_new(dir)?;
        if !lock.is_marked()? {
            lock.mark()?;
        }
        let disk = disk_of(&data, false)?;
        if disk
            .len()
            .map_err(io_error("cannot read the data file of the store"))?
            == 0
        {
            return Err(damaged("the data file is empty").to_error());
        }
        let mut store = self.open_disk(disk)?;
        store.lock = Some(lock);
        // What cannot be told is left open.
        if let Ok(about) = std::fs::metadata(&data) {
            store.capability = store.capability.in_file(&about);
        }
        Ok(store)
    }

    /// Opens the store in `backend`, or makes one there if it has no bytes: for places that are
    /// no files, and for tests that make storage fail.
    ///
    /// It is the caller's to see that nobody else uses the same storage.
    ///
    /// # Errors
    ///
    /// As [`Redb::open`].
    ///
    /// ```
    /// use threads_core::datastore::{DatastoreExt, Durability, Keyspace};
    /// use threads_store_redb::{RedbOptions, StorageBackend};
    ///
    /// fn put(storage: impl StorageBackend) -> threads_core::Result<()> {
    ///     let store = RedbOptions::default().open_backend(storage)?;
    ///     store.transact(Durability::Group, |txn| txn.put(Keyspace::Meta, b"k", b"v"))
    /// }
    /// put(redb::backends::InMemoryBackend::new()).unwrap();
    /// ```
    pub fn open_backend(&self, backend: impl StorageBackend) -> Result<Redb> {
        self.open_disk(Disk::new(backend))
    }

    /// Makes the data file under another name first: under its own it is always whole.
    fn make(&self, dir: &Path) -> Result<()> {
        let new = dir.join(NEW_FILE);
        drop(self.open_disk(disk_of(&new, true)?)?);
        std::fs::rename(&new, dir.join(DATA_FILE))
            .and_then(|()| dir::sync(dir))
            .map_err(io_error("cannot name the data file of the store"))
    }

    pub(crate) fn open_disk(&self, disk: Disk) -> Result<Redb> {
        check::look(&disk, self.cache_bytes, self.check_bytes_max)?;
        let failed = |failure: Failure| disk.fault(&failure).to_error();
        let db = check::start(disk.clone(), self.cache_bytes).map_err(failed)?;
        if let Err(error) = table::prepare(&db, &disk) {
            // Dropping it may write, and what was refused stays as it is.
            disk.kill();
            return Err(error);
        }
        let tables = Tables::read(&db).map_err(failed)?;
        Ok(Redb::new(db, tables, disk, self.cache_bytes))
    }
}

pub(crate) fn disk_of(path: &Path, new: bool) -> Result<Disk> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(new)
        .truncate(new)
        .open(path)
        .map_err(io_error("cannot open the data file of the store"))?;
    let backend =
        guarded(|| FileBackend::new(file)).map_err(|failure| failure.to_fault().to_error())?;
    Ok(Disk::new(backend))
}

/// Removes what was left when a [wipe](RedbOptions::wipe) was cut short: it has rows that are to be forgotten
/// some day.
fn forget_new(dir: &Path) -> Result<()> {
    match std::fs::remove_file(dir.join(NEW_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("cannot remove a file that is half made")(error))
        }
        _ => Ok(()),
    }
}
