//! One writer: a lock on a file beside the data, which names the process that has it.

use std::io::Write;
use std::path::Path;

use threads_core::Result;
use threads_store_group::DirLock;
use threads_store_group::fault::io_error;

/// Takes the right to write.
pub(crate) fn take(dir: &Path) -> Result<DirLock> {
    let mut lock = DirLock::take(dir)?;
    name_owner(&mut lock).map_err(io_error("cannot write the lock file of the store"))?;
    Ok(lock)
}

/// The id only helps a person who finds the store in use, so a full disk may keep it short.
fn name_owner(lock: &mut DirLock) -> std::io::Result<()> {
    let file = lock.file();
    file.set_len(0)?;
    match file.write_all(std::process::id().to_string().as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => Ok(()),
        done => done,
    }
}
