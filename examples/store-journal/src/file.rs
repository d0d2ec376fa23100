//! The file: how far it is known to be on disk, then one record for each commit.
//!
//! ```text
//! file    known: u64 · sum of known: u64 · record …
//! record  bytes: u32 · sum of the payload: u64 · payload: change …
//! change  length and name of the keyspace · length and key · 1, length and value, or 0
//! ```
//!
//! What lies before `known` was synced: if it cannot be read, it is damaged. What lies behind was
//! written and perhaps not synced: it counts as far as it can be read, and a torn rest never was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use threads_core::datastore::{Capability, Keyspace};
use threads_core::{Error, Result};

use crate::Rows;

const HEADER_BYTES: usize = 16;
const RECORD_HEADER_BYTES: usize = 12;

/// A key gets a value, or goes.
pub(crate) struct Change {
    pub(crate) space: Keyspace,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Arc<[u8]>>,
}

impl Change {
    pub(crate) fn apply(&self, rows: &mut Rows) {
        let rows = rows.entry(self.space).or_default();
        match &self.value {
            Some(value) => drop(rows.insert(self.key.clone(), Arc::clone(value))),
            None => drop(rows.remove(&self.key)),
        }
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        let mut part = |part: &[u8]| {
            bytes.extend((part.len() as u32).to_be_bytes());
            bytes.extend(part);
        };
        part(self.space.name().as_bytes());
        part(&self.key);
        match &self.value {
            Some(value) => {
                part(b"1");
                part(value);
            }
            None => part(b"0"),
        }
    }

    /// Takes a change off the front; `None` when there is no whole one.
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let name = part(bytes)?;
        let space = Keyspace::ALL
            .iter()
            .find(|space| space.name().as_bytes() == name)?;
        let key = part(bytes)?.to_vec();
        let value = match part(bytes)? {
            b"1" => Some(part(bytes)?.into()),
            _ => None,
        };
        Some(Self {
            space: *space,
            key,
            value,
        })
    }
}

fn part<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u32::from_be_bytes(*bytes.split_off(..4)?.first_chunk()?);
    bytes.split_off(..length as usize)
}

/// Finds every flipped bit, and hardly misses anything else (FNV-1a).
fn sum(bytes: &[u8]) -> [u8; 8] {
    let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix).to_be_bytes()
}

fn header(known: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&known.to_be_bytes());
    header[8..].copy_from_slice(&sum(&known.to_be_bytes()));
    header
}

fn record(changes: &[Change]) -> Vec<u8> {
    let mut payload = Vec::new();
    changes
        .iter()
        .for_each(|change| change.encode(&mut payload));
    [
        &(payload.len() as u32).to_be_bytes()[..],
        &sum(&payload),
        &payload,
    ]
    .concat()
}

/// The journal, open for appending.
pub(crate) struct JournalFile {
    file: File,
    /// Where the next record goes.
    end: u64,
    bytes_max: u64,
    /// A write failed and could not be taken back: nobody knows what is on disk.
    broken: bool,
    /// Keeps other processes out while it is open.
    lock: File,
}

impl JournalFile {
    /// Reads the journal in `dir`, and writes what it comes to in a new one.
    pub(crate) fn open(dir: &Path, bytes_max: u64) -> Result<(Self, Rows)> {
        fs::create_dir_all(dir).map_err(failed)?;
        let lock = File::create(dir.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|error| {
            Error::unavailable("the store is in use: close it").caused_by(error)
        })?;
        let path = dir.join("journal");
        let rows = match fs::read(&path) {
            Ok(bytes) => replay(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Rows::new(),
            Err(error) => return Err(failed(error)),
        };
        let (file, end) = rewrite(dir, &path, &rows).map_err(failed)?;
        let journal = Self {
            file,
            end,
            bytes_max,
            broken: false,
            lock,
        };
        Ok((journal, rows))
    }

    /// The lock stays the same file; the journal is a new one whenever it is opened.
    pub(crate) fn capability(&self) -> Capability {
        match self.lock.metadata() {
            Ok(about) => Capability::durable().in_file(&about),
            Err(_) => Capability::durable(),
        }
    }

    /// Writes a commit and waits until it is on disk. After an error nothing of it is there.
    pub(crate) fn append(&mut self, changes: &[Change]) -> Result<()> {
        if self.broken {
            return Err(Error::unavailable("the disk failed: open the store again"));
        }
        let record = record(changes);
        let end = self.end + record.len() as u64;
        if end > self.bytes_max {
            return Err(Error::full("the journal has no room for the commit"));
        }
        if let Err(error) = self.write(&record, end) {
            self.broken = self.undo().is_err();
            return Err(failed(error));
        }
        self.end = end;
        Ok(())
    }

    fn write(&mut self, record: &[u8], end: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(record)?;
        self.file.sync_data()?;
        self.write_header(end)
    }

    fn write_header(&mut self, known: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(known))
    }

    fn undo(&mut self) -> io::Result<()> {
        self.write_header(self.end)?;
        self.file.set_len(self.end)?;
        self.file.sync_data()
    }
}

/// Given back in words: closing the file alone would leave it locked for as long as a child that was
/// just forked, and has not yet started its own program, holds its copy.
impl Drop for JournalFile {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// What the journal comes to.
fn replay(bytes: &[u8]) -> Result<Rows> {
    let damaged = || Error::corrupt("the journal is damaged: restore it from a copy");
    let (found, mut rest) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(damaged)?;
    let known = u64::from_be_bytes(*found.first_chunk().ok_or_else(damaged)?);
    if *found != header(known) {
        return Err(damaged());
    }
    let mut rows = Rows::new();
    while let Some(changes) = take_record(&mut rest) {
        changes.iter().for_each(|change| change.apply(&mut rows));
    }
    match ((bytes.len() - rest.len()) as u64) < known {
        true => Err(damaged()),
        false => Ok(rows),
    }
}

/// Takes a record off the front; `None` and nothing taken when there is no whole one.
fn take_record(bytes: &mut &[u8]) -> Option<Vec<Change>> {
    let (header, rest) = bytes.split_at_checked(RECORD_HEADER_BYTES)?;
    let length = u32::from_be_bytes(*header.first_chunk()?);
    let (mut payload, rest) = rest.split_at_checked(length as usize)?;
    if sum(payload) != header[4..] {
        return None;
    }
    let mut changes = Vec::new();
    while !payload.is_empty() {
        changes.push(Change::decode(&mut payload)?);
    }
    *bytes = rest;
    Some(changes)
}

/// Writes a new journal with these rows alone, and puts it in the place of the old one.
fn rewrite(dir: &Path, path: &Path, rows: &Rows) -> io::Result<(File, u64)> {
    let new = dir.join("journal.new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).open(&new)?;
    let change = |space: Keyspace| {
        move |(key, value): (&Vec<u8>, &Arc<[u8]>)| Change {
            space,
            key: key.clone(),
            value: Some(Arc::clone(value)),
        }
    };
    let mut bytes = Vec::new();
    for (space, rows) in rows {
        bytes.extend(record(&rows.iter().map(change(*space)).collect::<Vec<_>>()));
    }
    let end = (HEADER_BYTES + bytes.len()) as u64;
    file.write_all(&[&header(end)[..], &bytes].concat())?;
    file.sync_data()?;
    fs::rename(new, path)?;
    // The name is on disk when its directory is.
    File::open(dir)?.sync_all()?;
    Ok((file, end))
}

fn failed(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::full("the disk is full: free space and try again").caused_by(error)
        }
        _ => Error::unavailable("the journal cannot be read or written").caused_by(error),
    }
}
