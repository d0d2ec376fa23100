//! Looks at the data file with plain reads before LMDB maps it.
//!
//! LMDB trusts its file: a page that is missing ends the process with a signal, and so may a page
//! that is damaged. So the header is checked always, and every page that LMDB could reach is
//! checked when the file is not too long for that, or is shorter than its header says.

use std::fs::File;
use std::io;
use std::path::Path;

use threads_core::{Error, ErrorKind, Result};

use crate::fault::io_error;

mod meta;
mod page;
mod tree;
mod walk;

use meta::Meta;
use walk::Walk;

/// How often a file that another process is writing is looked at again.
const LOOKS_MAX: u32 = 5;

/// Whether there is a data file. An error when there is one that LMDB must not map.
///
/// A file of at most `walk_bytes_max` bytes is checked page by page.
pub(crate) fn data_file(path: &Path, walk_bytes_max: u64) -> Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(io_error("cannot open the data file of the store")(error)),
    };
    for _ in 0..LOOKS_MAX {
        let length = file
            .metadata()
            .map_err(io_error("cannot read the data file"))?
            .len();
        let meta = Meta::read(&file, length)?;
        let Err(error) = look(&file, length, &meta, walk_bytes_max) else {
            return Ok(true);
        };
        // The pages of a commit are used again by later ones: if there was one, look again.
        if error.kind() != ErrorKind::Corrupt
            || Meta::read(&file, length)?.transaction == meta.transaction
        {
            return Err(error.with("file", path.display()));
        }
    }
    Err(Error::unavailable(
        "another process writes the store faster than it can be checked: try again",
    ))
}

fn look(file: &File, length: u64, meta: &Meta, walk_bytes_max: u64) -> Result<()> {
    // A file may rightly end before its last page, if no commit ever wrote the pages at its end.
    // Only a walk can tell that from a file that was cut.
    if length <= walk_bytes_max || !meta.fits(length) {
        Walk::new(file, length, meta).all()?;
    }
    Ok(())
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
#[cfg(not(unix))]
fn read_at(mut file: &File, offset: u64, buffer: &mut [u8]) -> Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(buffer))
        .map_err(read_error)
}

fn read_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("truncated"),
        _ => io_error("cannot read the data file of the store")(error),
    }
}
