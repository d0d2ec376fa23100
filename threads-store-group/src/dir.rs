//! The directory of a store: made for its owner alone, and locked while the store is open.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::Path;

use threads_core::{Error, Result};

use crate::fault::io_error;

/// The file that is locked. It may name the process that locked it.
const LOCK_FILE: &str = "threads.lock";
/// The longest process id read back, in bytes.
const PROCESS_ID_BYTES_MAX: u64 = 20;

/// The right to use a directory. The system takes it back when the process ends, however it ends.
///
/// ```
/// use threads_store_group::DirLock;
/// # let dir = tempfile::tempdir().unwrap();
/// let lock = DirLock::take(dir.path()).unwrap();
/// assert!(DirLock::take(dir.path()).unwrap_err().to_string().contains("in use"));
/// drop(lock);
/// assert!(DirLock::take(dir.path()).is_ok());
/// ```
#[derive(Debug)]
pub struct DirLock {
    file: File,
}

impl DirLock {
    /// Locks a directory that is there.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](threads_core::ErrorKind::Unavailable) when it is locked, here or by another
    /// process, which is named if the file has its id; [`NotFound`](threads_core::ErrorKind::NotFound)
    /// when there is no directory.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let lock = threads_store_group::DirLock::take(dir.path()).unwrap();
    /// ```
    pub fn take(dir: &Path) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(LOCK_FILE))
            .map_err(io_error("cannot open the lock file of the store"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(in_use(dir, &mut file)),
            Err(TryLockError::Error(error)) => Err(io_error("cannot lock the store")(error)),
        }
    }

    /// The file that is locked, at its beginning: a store may leave a word in it.
    ///
    /// ```
    /// use std::io::Write;
    /// use threads_store_group::DirLock;
    /// # let dir = tempfile::tempdir().unwrap();
    /// let mut lock = DirLock::take(dir.path()).unwrap();
    /// write!(lock.file(), "{}", std::process::id()).unwrap();
    /// assert!(DirLock::take(dir.path()).unwrap_err().to_string().contains("in use by process"));
    /// ```
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }
}

/// Given back in words: closing the file alone would leave it locked for as long as a child that was
/// just forked, and has not yet started its own program, holds its copy.
impl Drop for DirLock {
    fn drop(&mut self) {
        // Where this fails, the system gives the lock back when the last copy is closed.
        let _ = self.file.unlock();
    }
}

fn in_use(dir: &Path, file: &mut File) -> Error {
    let mut word = String::new();
    // The owner may be between locking and writing its id; then there is none to name.
    let known = file
        .take(PROCESS_ID_BYTES_MAX)
        .read_to_string(&mut word)
        .is_ok();
    let error = match word.parse::<u32>() {
        Ok(owner) if known => Error::unavailable(format!(
            "the store is in use by process {owner}: close it or use another directory"
        )),
        _ => Error::unavailable(
            "the store is in use, here or by another process: close it or use another directory",
        ),
    };
    error.with("directory", dir.display())
}

/// Makes the directory, if it is not there, for its owner alone.
///
/// # Errors
///
/// Those of the file system: [`Full`](threads_core::ErrorKind::Full),
/// [`Unavailable`](threads_core::ErrorKind::Unavailable).
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// let home = dir.path().join("a/store");
/// threads_store_group::dir::make(&home).unwrap();
/// assert!(home.is_dir());
/// ```
pub fn make(dir: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .map_err(io_error("cannot create the directory of the store"))
}

/// Makes a new name in the directory survive a power cut. Systems that cannot be asked for it make a
/// rename durable by themselves, or not at all.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// std::fs::write(dir.path().join("new"), b"rows").unwrap();
/// std::fs::rename(dir.path().join("new"), dir.path().join("data")).unwrap();
/// threads_store_group::dir::sync(dir.path()).unwrap();
/// ```
pub fn sync(dir: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// The error for a directory that had a store, whose data file is not there any more: it is not made
/// anew, for then all that was in it would be lost in silence.
///
/// ```
/// let error = threads_store_group::dir::data_gone("/store/data".as_ref());
/// assert_eq!(error.kind(), threads_core::ErrorKind::Corrupt);
/// ```
pub fn data_gone(file: &Path) -> Error {
    Error::corrupt(
        "the data file of this store is gone: put it back from a copy, or use another directory",
    )
    .with("file", file.display())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_lock_is_free_although_a_forked_child_still_has_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DirLock::take(dir.path()).unwrap();
        // What a child has between fork and exec: another descriptor of the same open file.
        let of_the_child = lock.file.try_clone().unwrap();
        drop(lock);
        let again = DirLock::take(dir.path()).unwrap();
        drop(of_the_child);
        assert!(DirLock::take(dir.path()).is_err(), "held by {again:?}");
    }

    #[test]
    fn who_has_it_is_named_if_the_file_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut lock = DirLock::take(dir.path()).unwrap();
        let message = || DirLock::take(dir.path()).unwrap_err().to_string();
        assert!(message().contains("here or by another process"));
        lock.file().write_all(b"4711").unwrap();
        assert!(message().contains("by process 4711: close it"));
        lock.file().write_all(b" made\n").unwrap();
        assert!(message().contains("here or by another process"));
    }
}
