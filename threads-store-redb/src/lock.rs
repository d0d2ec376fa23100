//! One process: a lock on a file beside the data, held while the store is open.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;

use threads_core::{Error, Result};

use crate::fault::io_error;

const LOCK_FILE: &str = "threads.lock";

/// The right to open the data. The system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(LOCK_FILE))
            .map_err(io_error("cannot open the lock file of the store"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(Error::unavailable(
                "the store is in use, here or by another process: close it or use another directory",
            )
            .with("directory", dir.display())),
            Err(TryLockError::Error(error)) => Err(io_error("cannot lock the store")(error)),
        }
    }

    /// Whether the data file was made once: then it is never made again.
    pub(crate) fn is_marked(&self) -> Result<bool> {
        let meta = self.file.metadata();
        Ok(meta
            .map_err(io_error("cannot read the lock file of the store"))?
            .len()
            > 0)
    }

    /// Remembers that the data file was made.
    pub(crate) fn mark(&mut self) -> Result<()> {
        self.file
            .write_all(b"made\n")
            .and_then(|()| self.file.sync_all())
            .map_err(io_error("cannot write the lock file of the store"))
    }
}
