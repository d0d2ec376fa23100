//! Telling a store from its copies.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

use crate::block::sha256;

/// A number for the file that `about` describes, which a copy of the file does not have.
pub(super) fn of_file(about: &Metadata) -> Option<u64> {
    // Not every file system notes when a file was made.
    let made = about.created().ok();
    let made = made.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let made = made.map_or(0, |since| since.as_nanos());
    let number = file_number(about);
    if made == 0 && number == 0 {
        return None;
    }
    let digest = sha256(&[&made.to_be_bytes()[..], &number.to_be_bytes()].concat());
    digest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The number of the device is left out: it may be another one after every start of the machine.
#[cfg(unix)]
fn file_number(about: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(about)
}

/// Elsewhere the time alone has to do.
#[cfg(not(unix))]
fn file_number(_about: &Metadata) -> u64 {
    0
}
