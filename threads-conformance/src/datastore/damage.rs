//! Laws of damage.

use std::fs;
use std::path::{Path, PathBuf};

use threads_core::datastore::Durability;
use threads_core::{Error, ErrorKind};

use super::rows::{all, get, put};
use super::{DEPTH_MAX, Subject, unavailable};
use crate::law::{Checked, Violation, ensure};

/// What is looked for in the files. No store has a reason to write these bytes otherwise.
const VALUE: &[u8] = b"Franz jagt im komplett verwahrlosten Taxi quer durch Bayern: 7319";
/// Which of its bytes are damaged: some, and the first and last.
const PLACES: [usize; 4] = [0, 1, 31, VALUE.len() - 1];

fn put_value(subject: &Subject) -> Result<(), Error> {
    let store = subject.open()?;
    put(
        &*store,
        &[(b"k", VALUE), (b"l", b"another")],
        Durability::Immediate,
    )
}

/// Whether a value that was put is found in the files of the store when it is closed.
pub(super) fn is_findable(subject: &Subject) -> Result<bool, Error> {
    let subject = subject.fresh()?;
    put_value(&subject)?;
    Ok(damage(subject.dir(), 0, 0, DEPTH_MAX)? > 0)
}

/// Damages the value wherever it is in the files while the store is closed.
pub(super) fn a_flipped_bit_is_found(subject: &Subject) -> Checked {
    put_value(subject)?;
    for (place, bit) in PLACES.into_iter().zip([0u8, 3, 5, 7]) {
        let damaged = subject.after_crash()?;
        let places = damage(damaged.dir(), place, 1 << bit, DEPTH_MAX)?;
        let done = format!(
            "closed the store, flipped bit {bit} of byte {place} of a value, in {places} places, \
             and opened it again"
        );
        let store = match damaged.open() {
            Ok(store) => store,
            Err(error) => {
                is_corrupt(error, &done)?;
                continue;
            }
        };
        let txn = store.read()?;
        match get(&*txn, b"k") {
            Ok(seen) => return Err(Violation::new(done, format_args!("get gives {seen:?}"))),
            Err(error) => is_corrupt(error, &done)?,
        }
        match all(&*txn) {
            Ok(seen) => return Err(Violation::new(done, format_args!("a scan gives {seen:?}"))),
            Err(error) => is_corrupt(error, &done)?,
        }
    }
    Ok(())
}

fn is_corrupt(error: Error, done: &str) -> Checked {
    let right = error.kind() == ErrorKind::Corrupt;
    ensure(
        right,
        done,
        format_args!("an error of another kind: {error:?}"),
    )
}

/// Flips bits of one byte of every [`VALUE`] in the files of a directory; gives how many.
fn damage(dir: &Path, place: usize, bits: u8, depth: usize) -> Result<usize, Error> {
    if depth == 0 {
        return Ok(0);
    }
    let mut places = 0;
    let entries: Result<Vec<PathBuf>, _> = fs::read_dir(dir)
        .map_err(unavailable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    for path in entries.map_err(unavailable)? {
        if path.is_dir() {
            places += damage(&path, place, bits, depth - 1)?;
            continue;
        }
        let mut bytes = fs::read(&path).map_err(unavailable)?;
        let found: Vec<_> = bytes
            .windows(VALUE.len())
            .enumerate()
            .filter_map(|(at, window)| (window == VALUE).then_some(at))
            .collect();
        found.iter().for_each(|at| bytes[at + place] ^= bits);
        if !found.is_empty() {
            fs::write(&path, bytes).map_err(unavailable)?;
        }
        places += found.len();
    }
    Ok(places)
}
