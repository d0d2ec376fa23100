//! Starting redb over a disk, after a look at what is there.
//!
//! redb trusts what it reads, and repairs what a crash left behind. So every page is checked first,
//! while all that redb writes goes to an overlay: data that is refused stays as it is.

use redb::{Builder, Database, StorageBackend};
use threads_core::{Error, Result};
use threads_store_group::fault::io_error;

use crate::disk::{Disk, Overlay};
use crate::fault::{Failure, damaged, guarded};

/// What every file of redb begins with.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// Looks at the disk; checks all of it when it has at most `check_bytes_max` bytes.
pub(crate) fn look(disk: &Disk, cache_bytes: usize, check_bytes_max: u64) -> Result<()> {
    let len = disk
        .len()
        .map_err(io_error("cannot read the data file of the store"))?;
    if len == 0 {
        return Ok(());
    }
    let mut head = [0; MAGIC.len()];
    if len < head.len() as u64 {
        return Err(damaged("truncated").to_error());
    }
    disk.read(0, &mut head)
        .map_err(io_error("cannot read the data file of the store"))?;
    if head != MAGIC {
        return Err(Error::corrupt(
            "the data file is damaged, or no store: restore it, or use another directory",
        ));
    }
    if len <= check_bytes_max {
        try_out(disk, cache_bytes)?;
    }
    Ok(())
}

/// Opens and checks the file while nothing reaches it.
fn try_out(disk: &Disk, cache_bytes: usize) -> Result<()> {
    let overlay =
        Overlay::over(disk.clone()).map_err(io_error("cannot read the data file of the store"))?;
    let whole = start(overlay, cache_bytes).and_then(|mut db| {
        let whole = guarded(|| db.check_integrity());
        guarded(|| -> Result<(), redb::Error> {
            drop(db);
            Ok(())
        })?;
        whole
    });
    match whole {
        Ok(true) => Ok(()),
        Ok(false) => Err(damaged("its pages do not agree").to_error()),
        Err(failure) => Err(disk.fault(&failure).to_error()),
    }
}

/// Starts redb, which repairs what a crash left behind.
pub(crate) fn start(backend: impl StorageBackend, cache_bytes: usize) -> Result<Database, Failure> {
    guarded(|| {
        Builder::new()
            .set_cache_size(cache_bytes)
            .create_with_backend(backend)
    })
}
