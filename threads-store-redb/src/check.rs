//! Starting redb over a disk, after a look at what is there.
//!
//! redb repairs what a crash left behind: of its two commit slots it takes the newest that is whole.
//! On a file that was closed in order, the same kindness would hide damage and bring old data
//! back. So that file is not repaired but refused; and every page of it is checked while all that
//! redb writes goes to an overlay, so that even a refused file stays as it is.

use redb::{Builder, Database, StorageBackend};
use threads_core::{Error, Result};

use crate::disk::{Disk, Overlay};
use crate::fault::{Failure, Fault, guarded, io_error};

/// What every file of redb begins with.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// In the byte after that: the file was not closed in order.
const UNCLEAN: u8 = 2;

/// What is on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// A file that was closed in order.
    Clean,
    /// A file that a crash left behind.
    Unclean,
}

/// Looks at the disk; checks all of it when it has at most `check_bytes_max` bytes.
pub(crate) fn look(disk: &Disk, cache_bytes: usize, check_bytes_max: u64) -> Result<Found> {
    let len = disk
        .len()
        .map_err(io_error("cannot read the data file of the store"))?;
    if len == 0 {
        return Ok(Found::Nothing);
    }
    let mut head = [0; MAGIC.len() + 1];
    if len < head.len() as u64 {
        return Err(Fault::damaged("truncated").to_error());
    }
    disk.read(0, &mut head)
        .map_err(io_error("cannot read the data file of the store"))?;
    let Some([flags]) = head.strip_prefix(MAGIC) else {
        return Err(Error::corrupt(
            "the data file is damaged, or no store: restore it, or use another directory",
        ));
    };
    let found = if flags & UNCLEAN == 0 {
        Found::Clean
    } else {
        Found::Unclean
    };
    if len <= check_bytes_max {
        try_out(disk, cache_bytes, found)?;
    }
    Ok(found)
}

/// Opens and checks the file while nothing reaches it.
fn try_out(disk: &Disk, cache_bytes: usize, found: Found) -> Result<()> {
    let overlay =
        Overlay::over(disk.clone()).map_err(io_error("cannot read the data file of the store"))?;
    let whole = start(overlay, cache_bytes, found).and_then(|mut db| {
        let whole = guarded(|| db.check_integrity());
        guarded(|| -> Result<(), redb::Error> {
            drop(db);
            Ok(())
        })?;
        whole
    });
    match whole {
        Ok(true) => Ok(()),
        Ok(false) => Err(Fault::damaged("its pages do not agree").to_error()),
        Err(failure) => Err(disk.fault(&failure).to_error()),
    }
}

/// Starts redb. A file that was closed in order and still needs repair is damaged.
pub(crate) fn start(
    backend: impl StorageBackend,
    cache_bytes: usize,
    found: Found,
) -> Result<Database, Failure> {
    guarded(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes);
        if found == Found::Clean {
            builder.set_repair_callback(|repair| repair.abort());
        }
        builder.create_with_backend(backend)
    })
}
