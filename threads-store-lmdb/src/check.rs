//! Looks at the data file with plain reads before LMDB touches it.
//!
//! LMDB trusts its file: a page that is missing ends the process with a signal, and so may a page
//! that is damaged. So every page is checked before LMDB meets it, once: a short file as a whole
//! when it is opened, a longer one page by page, as transactions first need them.
//!
//! * [`guard`]: which pages are checked, and what that means.
//! * [`path`]: the way from a root to a leaf.
//! * [`admit`]: what a lookup or a commit needs checked.
//! * [`ahead`]: what a scan needs checked, a leaf ahead of it.
//! * [`sweep`]: gets to the end of the file in small steps.
//! * [`watch`]: one snapshot under its guard.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use threads_core::{Error, ErrorKind, Result};
use threads_store_group::fault::io_error;

mod admit;
mod ahead;
mod guard;
mod meta;
mod page;
mod path;
mod set;
mod sweep;
mod tree;
mod watch;

pub(crate) use guard::Guard;
pub(crate) use tree::Tree;
pub(crate) use watch::{Scan, Watch};

use meta::Meta;

/// How often a file that another process is writing is looked at again.
const LOOKS_MAX: u32 = 5;

/// The guard of a data file, or `None` when there is no file. An error when there is one that LMDB
/// must not map.
///
/// A file of at most `whole_bytes_max` bytes is checked to its end.
pub(crate) fn data_file(path: &Path, whole_bytes_max: u64) -> Result<Option<Guard>> {
    let file = match File::open(path) {
        Ok(file) => Arc::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("cannot open the data file of the store")(error)),
    };
    for _ in 0..LOOKS_MAX {
        let length = length_of(&file)?;
        let meta = Meta::newest(&file, length)?;
        let error = match look(&file, length, &meta, whole_bytes_max) {
            Ok(guard) => return Ok(Some(guard)),
            Err(error) => error,
        };
        // The pages of a commit are used again by later ones: if there was one, look again.
        if error.kind() != ErrorKind::Corrupt
            || Meta::newest(&file, length)?.transaction == meta.transaction
        {
            return Err(error.with("file", path.display()));
        }
    }
    Err(Error::unavailable(
        "another process writes the store faster than it can be checked: try again",
    ))
}

fn look(file: &Arc<File>, length: u64, meta: &Meta, whole_bytes_max: u64) -> Result<Guard> {
    let guard = Guard::new(file, length, meta)?;
    if length <= whole_bytes_max {
        guard.check_whole()?;
    }
    Ok(guard)
}

fn length_of(file: &File) -> Result<u64> {
    let metadata = file.metadata();
    Ok(metadata
        .map_err(io_error("cannot read the data file"))?
        .len())
}

/// The error for a data file that is not what LMDB wrote.
fn damaged(what: &'static str) -> Error {
    Error::corrupt("the store is damaged: restore it from a copy or a peer").with("damage", what)
}

/// Fills `buffer` from `offset`; an end before that is damage.
#[cfg(unix)]
fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset).map_err(read_error)
}

/// Fills `buffer` from `offset`; an end before that is damage.
#[cfg(windows)]
fn read_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> Result<()> {
    use std::os::windows::fs::FileExt;
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset) {
            Ok(0) => return Err(damaged("truncated")),
            Ok(read) => {
                offset += read as u64;
                buffer = &mut buffer[read..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(read_error(error)),
        }
    }
    Ok(())
}

fn read_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("truncated"),
        _ => io_error("cannot read the data file of the store")(error),
    }
}
