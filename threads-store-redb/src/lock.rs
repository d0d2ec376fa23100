//! One process: a lock on a file beside the data, which also says that there is data.

use std::io::Write;
use std::path::Path;

use threads_core::Result;
use threads_store_group::DirLock;
use threads_store_group::fault::io_error;

/// The right to open the data.
#[derive(Debug)]
pub(crate) struct Lock(DirLock);

impl Lock {
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        DirLock::take(dir).map(Self)
    }

    /// Whether the data file was made once: then it is never made again.
    pub(crate) fn is_marked(&mut self) -> Result<bool> {
        let meta = self.0.file().metadata();
        Ok(meta
            .map_err(io_error("cannot read the lock file of the store"))?
            .len()
            > 0)
    }

    /// Remembers that the data file was made.
    pub(crate) fn mark(&mut self) -> Result<()> {
        let file = self.0.file();
        file.write_all(b"made\n")
            .and_then(|()| file.sync_all())
            .map_err(io_error("cannot write the lock file of the store"))
    }
}
