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

/// Given back in words: closing the file alone would leave it locked for as long as a child that was
/// just forked, and has not yet started its own program, holds its copy.
impl Drop for Lock {
    fn drop(&mut self) {
        // Where this fails, the system gives the lock back when the last copy is closed.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_free_although_a_forked_child_still_has_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        // What a child has between fork and exec: another descriptor of the same open file.
        let of_the_child = lock.file.try_clone().unwrap();
        drop(lock);
        let again = Lock::take(dir.path()).unwrap();
        drop(of_the_child);
        assert!(Lock::take(dir.path()).is_err(), "held by {again:?}");
    }
}
