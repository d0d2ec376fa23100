//! One writer: a lock on a file beside the data, held while the store is open.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use threads_core::{Error, Result};

use crate::fault::io_error;

/// The file that is locked, and that names the process which locked it.
const LOCK_FILE: &str = "threads.lock";
/// The longest process id read back, in bytes.
const PROCESS_ID_BYTES_MAX: u64 = 20;

/// The right to write. The system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct WriterLock {
    file: File,
}

impl WriterLock {
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error("cannot open the lock file of the store"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(dir, &mut file)),
            Err(TryLockError::Error(error)) => {
                return Err(io_error("cannot lock the store")(error));
            }
        }
        name_owner(&mut file).map_err(io_error("cannot write the lock file of the store"))?;
        Ok(Self { file })
    }
}

/// Given back in words: closing the file alone would leave it locked for as long as a child that was
/// just forked, and has not yet started its own program, holds its copy.
impl Drop for WriterLock {
    fn drop(&mut self) {
        // Where this fails, the system gives the lock back when the last copy is closed.
        let _ = self.file.unlock();
    }
}

/// The id only helps a person who finds the store in use, so a full disk may keep it short.
fn name_owner(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    match file.write_all(std::process::id().to_string().as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => Ok(()),
        done => done,
    }
}

fn in_use(dir: &Path, file: &mut File) -> Error {
    let mut owner = String::new();
    // The owner may be between locking and writing its id; then there is none to name.
    let known = file
        .take(PROCESS_ID_BYTES_MAX)
        .read_to_string(&mut owner)
        .is_ok();
    let error = if known && !owner.is_empty() {
        Error::unavailable(format!(
            "the store is in use by process {owner}: close it or use another directory"
        ))
    } else {
        Error::unavailable(
            "the store is in use by another process: close it or use another directory",
        )
    };
    error.with("directory", dir.display())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_free_although_a_forked_child_still_has_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = WriterLock::take(dir.path()).unwrap();
        // What a child has between fork and exec: another descriptor of the same open file.
        let of_the_child = lock.file.try_clone().unwrap();
        drop(lock);
        let again = WriterLock::take(dir.path()).unwrap();
        drop(of_the_child);
        assert!(WriterLock::take(dir.path()).is_err(), "held by {again:?}");
    }
}
