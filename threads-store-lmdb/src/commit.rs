//! How what is committed gets to disk: the map that may have to grow, and the disk that may be full.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::sync::PoisonError;

use heed::{MdbError, RwTxn};
use threads_core::datastore::{Layer, seal_row};
use threads_core::{Error, ErrorKind, Result};
use threads_store_group::fault::is_full;
use threads_store_group::{Carrier, Fault, Flight};

use crate::check::Watch;
use crate::env::{self, DATA_FILE};
use crate::fault;
use crate::store::{Lmdb, READ_ONLY, Writing};

/// The most bytes that a commit which also removes something may put, to use the reserve.
const RESERVED_PUT_BYTES_MAX: usize = 256 * 1024;
/// How much is written beyond the end of the data to learn whether the disk is full.
const PROBE_BYTES: usize = 1 << 20;

impl Carrier for Lmdb {
    /// Writes the flight as one transaction of LMDB.
    fn carry(&self, flight: &Flight) -> Result<(), Fault> {
        let Some(writing) = &self.writing else {
            return Err(Fault::new(ErrorKind::Unsupported, READ_ONLY));
        };
        let reserved = flight.is_last() || may_use_reserve(flight.waiting());
        // Each turn either doubles the map up to its bound or gives the one reserve up.
        loop {
            match self.write_out(flight) {
                Ok(()) => {
                    writing.reserve.renew();
                    return Ok(());
                }
                Err(Unwritten::Refused(error)) => return Err(fault::of_check(&error)),
                Err(Unwritten::Heed(heed::Error::Mdb(MdbError::MapFull))) => {
                    self.grow(writing, reserved)?;
                }
                Err(Unwritten::Heed(error)) => {
                    let fault = self.diagnose(&error);
                    let relieved =
                        fault.kind() == ErrorKind::Full && reserved && writing.reserve.release();
                    if !relieved {
                        return Err(fault);
                    }
                }
            }
        }
    }
}

impl Lmdb {
    /// LMDB's transaction begins and ends here, on the leader's thread, to which it is bound.
    fn write_out(&self, flight: &Flight) -> Result<(), Unwritten> {
        let mut txn = self.env.write_txn()?;
        let mut state = self.lock();
        state.own.board(flight.number(), txn.id());
        let watch = self.watch(&mut state.own);
        drop(state);
        if let Some(watch) = watch {
            admit(&watch, &txn, flight).map_err(Unwritten::Refused)?;
        }
        let mut sealed = Vec::new();
        // Each key is written once: a long value that shrinks in the same transaction keeps pages
        // that it does not need, and that is what damage looks like.
        for (space, key, change) in flight.changes() {
            let Ok(table) = self.tables.of(space) else {
                continue;
            };
            match change {
                Some(value) => {
                    seal_row(space.name(), key, value, &mut sealed);
                    table.put(&mut txn, key, &sealed)?;
                }
                None => {
                    table.delete(&mut txn, key)?;
                }
            }
        }
        self.tables.stamp(&mut txn)?;
        Ok(txn.commit()?)
    }

    /// LMDB reports a write cut short by a full disk as an I/O error; this tells them apart.
    fn diagnose(&self, error: &heed::Error) -> Fault {
        let fault = fault::of(error);
        if fault.breaks() && matches!(error, heed::Error::Io(_)) && self.disk_is_full() {
            return Fault::disk_full();
        }
        fault
    }

    /// Tries to write beyond the end of the data file, where nothing is that anyone reads, so
    /// that every limit counts: of the disk, of a quota, and of a file's length.
    fn disk_is_full(&self) -> bool {
        let probe = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .open(self.dir.join(DATA_FILE))?;
            let end = file.seek(SeekFrom::End(0))?;
            let written = file
                .write_all(&vec![0; PROBE_BYTES])
                .and_then(|()| file.sync_data());
            file.set_len(end)?;
            written
        };
        probe().is_err_and(|error| is_full(&error))
    }

    /// Doubles the map. Beyond its largest size there is only what removals may use.
    fn grow(&self, writing: &Writing, reserved: bool) -> Result<(), Fault> {
        // A reader that was killed keeps pages from being used again until it is cleared away.
        let _ = self.env.clear_stale_readers();
        let headroom = if reserved {
            writing.reserve.bytes() as usize
        } else {
            0
        };
        let most = writing.map_bytes_max.saturating_add(headroom);
        let bytes = self.env.info().map_size;
        if bytes >= most {
            return Err(fault::of(&heed::Error::Mdb(MdbError::MapFull)));
        }
        self.remap(bytes.saturating_mul(2).min(most))
    }

    /// Changes the size of the map as soon as no snapshot is open, and waits for that in bounds.
    pub(crate) fn remap(&self, bytes: usize) -> Result<(), Fault> {
        let mut state = self.lock();
        state.own.remapping = true;
        let (mut state, _) = self
            .drained
            .wait_timeout_while(state, self.readers_wait, |state| state.own.readers > 0)
            .unwrap_or_else(PoisonError::into_inner);
        state.own.remapping = false;
        self.remapped.notify_all();
        if state.own.readers > 0 {
            return Err(Fault::new(
                ErrorKind::Unavailable,
                "the store must grow, and open read transactions keep it from growing: \
                 close them and try again",
            ));
        }
        env::remap(&self.env, bytes).map_err(|error| {
            let fault = fault::of(&error).breaking();
            state.own.unmapped = Some(fault.clone());
            fault
        })
    }
}

/// Why a flight was not written.
enum Unwritten {
    Heed(heed::Error),
    /// A page that it needs is damaged, or cannot be read.
    Refused(Error),
}

impl From<heed::Error> for Unwritten {
    fn from(error: heed::Error) -> Self {
        Self::Heed(error)
    }
}

/// Checks what the changes of a flight reach, before any of them is made.
fn admit(watch: &Watch<'_>, txn: &RwTxn<'_>, flight: &Flight) -> Result<()> {
    let mut changes: Vec<_> = flight
        .changes()
        .map(|(space, key, change)| (space, (key, change.is_none())))
        .collect();
    changes.sort_unstable();
    for of_one in changes.chunk_by(|a, b| a.0 == b.0) {
        let keys: Vec<_> = of_one.iter().map(|(_, change)| *change).collect();
        watch.changes(txn, of_one[0].0, &keys)?;
    }
    watch.sweep(txn);
    Ok(())
}

/// Who may use what is kept back for a full disk, unless it is the last flight: a small commit that
/// removes something.
fn may_use_reserve(queued: &Layer) -> bool {
    let removes = queued.iter().any(|(_, _, change)| change.is_none());
    removes && queued.bytes() <= RESERVED_PUT_BYTES_MAX
}
