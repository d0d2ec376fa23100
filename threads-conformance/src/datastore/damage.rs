//! Laws of damage.

use std::fs;
use std::path::{Path, PathBuf};

use threads_core::datastore::Durability;
use threads_core::{Error, ErrorKind};

use super::rows::{all, get, put, rows};
use super::{DEPTH_MAX, Subject, unavailable};
use crate::law::{Checked, ensure};

/// What is looked for in the files. No store has a reason to write these bytes otherwise.
const VALUE: &[u8] = b"Franz jagt im komplett verwahrlosten Taxi quer durch Bayern: 7319";
/// Which of its bytes are damaged: some, and the first and last.
const PLACES: [usize; 4] = [0, 1, 31, VALUE.len() - 1];

/// Damages the value wherever it is in the files while the store is closed. A store that writes
/// something else than the value, such as a compressed form, is not checked by this.
pub(super) fn a_flipped_bit_is_found(subject: &Subject) -> Checked {
    let wanted = rows(&[(&b"k"[..], VALUE), (b"l", b"another")]);
    let store = subject.open()?;
    put(
        &*store,
        &[(b"k", VALUE), (b"l", b"another")],
        Durability::Immediate,
    )?;
    drop(store);
    for (place, bit) in PLACES.into_iter().zip([0u8, 3, 5, 7]) {
        let damaged = subject.after_crash()?;
        let places = damage(damaged.dir(), place, 1 << bit, DEPTH_MAX)?;
        let done = format!(
            "closed the store, flipped bit {bit} of byte {place} of a value in {places} \
                            places, and opened it again"
        );
        let seen = damaged.open().and_then(|store| {
            let txn = store.read()?;
            let seen = get(&*txn, b"k")?;
            // A store that finds the damage in one way of reading finds it in the other.
            Ok((seen, all(&*txn)?))
        });
        match seen {
            Err(error) => {
                let right = error.kind() == ErrorKind::Corrupt;
                ensure(
                    right,
                    done,
                    format_args!("an error of another kind: {error:?}"),
                )?;
            }
            Ok((_, seen)) => {
                let right = places == 0 && seen == wanted;
                ensure(right, done, format_args!("{seen:?}"))?;
            }
        }
    }
    Ok(())
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
