//! A store on the group that keeps its rows in a file, which each flight writes anew.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use threads_core::datastore::{
    Capability, Datastore, DatastoreExt, Direction, Durability, KeyRange, Keyspace, ReadTxn, Scan,
    WriteTxn, seal_row, unseal_row,
};
use threads_core::{Error, ErrorKind, Result};
use threads_store_group::fault::io_error;
use threads_store_group::{
    Carrier, Counts, DirLock, Fault, Flight, Group, Snapshot, View, Writer, dir,
};

type Spaces = BTreeMap<Keyspace, BTreeMap<Vec<u8>, Vec<u8>>>;

/// Rows as of one flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    of: Arc<Spaces>,
    carried: u64,
}

impl ReadTxn for Rows {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let value = self.of.get(&space).and_then(|rows| rows.get(key));
        Ok(value.map(|value| Cow::Borrowed(&**value)))
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        let Some(rows) = self.of.get(&space) else {
            return Ok(Box::new(std::iter::empty()));
        };
        let rows = rows
            .range::<[u8], _>(range)
            .map(|(key, value)| Ok((key.into(), value.into())));
        Ok(match direction {
            Direction::Forward => Box::new(rows),
            Direction::Reverse => Box::new(rows.rev()),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Shelf {
    group: Group<Rows>,
    path: PathBuf,
    capability: Capability,
    /// The longest file.
    bytes_max: usize,
    /// Makes the next flights fail, in a way that leaves what is on disk in doubt.
    pub(crate) broken: AtomicBool,
    _lock: DirLock,
}

impl Shelf {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        Self::open_with_room(dir, usize::MAX)
    }

    pub(crate) fn open_with_room(dir: &Path, bytes_max: usize) -> Result<Self> {
        dir::make(dir)?;
        let mut lock = DirLock::take(dir)?;
        let about = lock.file().metadata();
        let path = dir.join("rows");
        let spaces = match fs::read(&path) {
            Ok(bytes) => decode(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Spaces::new(),
            Err(error) => return Err(io_error("cannot read the rows")(error)),
        };
        Ok(Self {
            group: Group::new(Rows {
                of: Arc::new(spaces),
                carried: 0,
            }),
            path,
            capability: Capability::durable().in_file(&about.map_err(io_error("no lock file"))?),
            bytes_max,
            broken: AtomicBool::new(false),
            _lock: lock,
        })
    }

    pub(crate) fn counts(&self) -> Counts {
        self.group.lock().counts()
    }

    pub(crate) fn verify(&self) -> u64 {
        self.snapshot(View::Reader).verify().unwrap()
    }

    fn snapshot(&self, view: View) -> Snapshot<Rows> {
        let state = self.group.lock();
        state.snapshot(state.own.clone(), state.own.carried, view)
    }

    fn save(&self, bytes: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        dir::sync(self.path.parent().unwrap())
    }
}

impl Carrier for Shelf {
    fn carry(&self, flight: &Flight) -> std::result::Result<(), Fault> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(Fault::broken());
        }
        let mut rows = self.group.lock().own.clone();
        let spaces = Arc::make_mut(&mut rows.of);
        for (space, key, change) in flight.changes() {
            let of_space = spaces.entry(space).or_default();
            match change {
                Some(value) => of_space.insert(key.into(), value.into()),
                None => of_space.remove(key),
            };
        }
        let bytes = encode(spaces);
        if bytes.len() > self.bytes_max {
            return Err(Fault::disk_full());
        }
        self.save(&bytes)
            .map_err(|error| Fault::broken().because(error))?;
        rows.carried = flight.number();
        self.group.lock().own = rows;
        Ok(())
    }
}

impl Datastore for Shelf {
    fn capability(&self) -> Capability {
        self.capability
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        Ok(Box::new(self.snapshot(View::Reader)))
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        let turn = self.group.turn()?;
        let snapshot = self.snapshot(View::Writer);
        Ok(Box::new(Writer::new(self, snapshot, turn)))
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.group.close(self);
    }
}

/// Each row with its lengths, all of them under one checksum.
fn encode(spaces: &Spaces) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (space, rows) in spaces {
        for (key, value) in rows {
            for part in [space.name().as_bytes(), key, value] {
                bytes.extend((part.len() as u32).to_be_bytes());
                bytes.extend(part);
            }
        }
    }
    let mut sealed = Vec::new();
    seal_row("shelf", b"rows", &bytes, &mut sealed);
    sealed
}

fn decode(sealed: &[u8]) -> Result<Spaces> {
    let mut rest = unseal_row("shelf", b"rows", sealed)?;
    let mut part = || -> Option<Vec<u8>> {
        let (length, after) = rest.split_first_chunk()?;
        let (part, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after;
        Some(part.to_vec())
    };
    let mut spaces = Spaces::new();
    while let Some(name) = part() {
        let space = Keyspace::ALL
            .iter()
            .find(|space| space.name().as_bytes() == name);
        let row = space.zip(part()).zip(part());
        let ((space, key), value) = row.ok_or_else(|| Error::corrupt("a row is cut short"))?;
        spaces.entry(*space).or_default().insert(key, value);
    }
    Ok(spaces)
}

pub(crate) fn put(store: &Shelf, key: &[u8], value: &[u8], durability: Durability) -> Result<()> {
    store.transact(durability, |txn| txn.put(Keyspace::Meta, key, value))
}

pub(crate) fn get(store: &Shelf, key: &[u8]) -> Option<Vec<u8>> {
    let read = store.read().unwrap();
    let value = read.get(Keyspace::Meta, key).unwrap();
    value.map(Cow::into_owned)
}

#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    error.to_string()
}
