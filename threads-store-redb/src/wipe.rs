//! Leaving behind what the file still holds of rows that were removed or replaced.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::Path;

use threads_core::datastore::{Datastore, DatastoreExt, Direction, Durability, Keyspace};
use threads_core::{Error, Result};
use threads_store_group::dir;
use threads_store_group::fault::io_error;

use crate::lock::Lock;
use crate::options::{DATA_FILE, NEW_FILE, RedbOptions, disk_of};
use crate::store::Redb;

/// How many bytes of rows are copied in one commit.
const COPY_BYTES: usize = 4 << 20;
/// What the old file is written over with, at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl RedbOptions {
    /// Puts a file in the place of the store's that has its rows and nothing else, and writes over the old
    /// one, so that nobody finds what was removed or replaced who reads either. The store in `dir` must be
    /// closed.
    ///
    /// It takes as long as writing every row anew, and as much room on the disk. Whenever it is cut short,
    /// the store has all of its rows; do it again then.
    ///
    /// # Errors
    ///
    /// [`Invalid`](threads_core::ErrorKind::Invalid) where no store is; [`Full`](threads_core::ErrorKind::Full)
    /// when the disk has no room for another file; and those of [`open`](Self::open).
    ///
    /// ```
    /// use threads_core::datastore::{DatastoreExt, Durability, Keyspace};
    /// use threads_store_redb::{Redb, RedbOptions};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = Redb::open(dir.path()).unwrap();
    /// store.transact(Durability::Group, |txn| txn.put(Keyspace::Views, b"k", b"forget me")).unwrap();
    /// store.transact(Durability::Group, |txn| txn.delete(Keyspace::Views, b"k")).unwrap();
    /// drop(store);
    /// RedbOptions::default().wipe(dir.path()).unwrap();
    /// let file = std::fs::read(dir.path().join("data.redb")).unwrap();
    /// assert!(!file.windows(9).any(|window| window == b"forget me"));
    /// ```
    pub fn wipe(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        let (data, new) = (dir.join(DATA_FILE), dir.join(NEW_FILE));
        if !data.is_file() {
            return Err(
                Error::invalid("no store is here: name the directory of one")
                    .with("directory", dir.display()),
            );
        }
        let _lock = Lock::take(dir)?;
        // To write over it when it has no name any more.
        let old = OpenOptions::new().write(true).open(&data);
        let old = old.map_err(io_error("cannot open the data file of the store"))?;
        {
            let from = self.open_disk(disk_of(&data, false)?)?;
            let to = self.open_disk(disk_of(&new, true)?)?;
            Keyspace::ALL
                .iter()
                .try_for_each(|space| copy(&from, &to, *space))?;
        }
        std::fs::rename(&new, &data)
            .and_then(|()| dir::sync(dir))
            .map_err(io_error("cannot name the data file of the store"))?;
        write_over(old).map_err(io_error("cannot write over the old file of the store"))
    }
}

/// Copies the rows of a keyspace, some at a time.
fn copy(from: &Redb, to: &Redb, space: Keyspace) -> Result<()> {
    let read = from.read()?;
    let mut rows = read.scan(
        space,
        (Bound::Unbounded, Bound::Unbounded),
        Direction::Forward,
    )?;
    loop {
        let copied = to.transact(Durability::Immediate, |txn| {
            let mut bytes = 0;
            while bytes < COPY_BYTES {
                let Some(row) = rows.next() else { break };
                let (key, value) = row?;
                bytes += key.len() + value.len();
                txn.put(space, &key, &value)?;
            }
            Ok(bytes)
        })?;
        if copied < COPY_BYTES {
            return Ok(());
        }
    }
}

fn write_over(mut file: File) -> io::Result<()> {
    let mut left = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    while left > 0 {
        let zeros = ZEROS
            .len()
            .min(usize::try_from(left).unwrap_or(ZEROS.len()));
        file.write_all(&ZEROS[..zeros])?;
        left -= zeros as u64;
    }
    file.sync_all()
}
