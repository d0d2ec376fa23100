//! The LMDB environment: the only place that calls heed's unsafe functions.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use heed::types::Bytes;
use heed::{
    CommitOrAbort, CommitToken, Database, DatabaseOpener, Env, EnvFlags, EnvOpenOptions, OnCommit,
    RoTxn, RwTxn, WithoutTls,
};
use memmap2::{Mmap, MmapOptions};
use threads_core::datastore::{Keyspace, seal_row, unseal_row};
use threads_core::{Error, Result};
use threads_store_group::dir;
use threads_store_group::fault::io_error;

use crate::check::Tree;
use crate::fault::heed_error;
use crate::options::LmdbOptions;
use crate::reserve::RESERVE_FILE;

/// LMDB's name for its data file.
pub(crate) const DATA_FILE: &str = "data.mdb";
/// Where a new store is made before it appears whole under its own name.
const NURSERY: &str = "new";
/// The size of the map while a new store is made. The size at the next open replaces it.
const NURSERY_MAP_BYTES: usize = 1 << 20;
/// The key of the entry that says whose file this is, in LMDB's unnamed database.
pub(crate) const FORMAT_KEY: &[u8] = b"format";
const FORMAT_MAGIC: &[u8; 12] = b"threads/lmdb";
const FORMAT_VERSION: u32 = 1;
/// LMDB's name for the file with its locks and its table of readers.
const READERS_FILE: &str = "lock.mdb";
/// What one reader takes in that file, and what everything else takes at most, in bytes.
const READER_BYTES: u64 = 64;
const READERS_HEADER_BYTES: u64 = 4_096;
/// Room for keyspaces that a later version adds.
const SPARE_TABLES: u32 = 5;

/// One keyspace.
pub(crate) type Table<'e> = Database<'e, Bytes, Bytes>;

/// The database of each keyspace, and the unnamed one with the format entry.
pub(crate) struct Tables<'e> {
    spaces: BTreeMap<Keyspace, Table<'e>>,
    format: Table<'e>,
}

impl OnCommit for Tables<'_> {
    type Committed = Tables<'static>;

    fn on_commit(self, token: &CommitToken) -> Tables<'static> {
        let spaces = self.spaces.into_iter();
        Tables {
            spaces: spaces
                .map(|(space, table)| (space, table.on_commit(token)))
                .collect(),
            format: self.format.on_commit(token),
        }
    }
}

impl Tables<'static> {
    pub(crate) fn of(&self, space: Keyspace) -> Result<Table<'static>> {
        self.spaces.get(&space).copied().ok_or_else(|| {
            Error::unsupported("this version of the store does not know the keyspace")
                .with("keyspace", space.name())
        })
    }

    /// The root of a keyspace's tree as a transaction sees it.
    pub(crate) fn tree(&self, txn: &RoTxn<'_>, space: Keyspace) -> Result<Tree> {
        let entry = self.format.get(txn, space.name().as_bytes());
        Tree::of_entry(entry.map_err(heed_error)?.unwrap_or_default())
    }

    /// Writes the format entry, which names the transaction that wrote it. A file whose newest
    /// commit is not the one it claims to be gives itself away.
    pub(crate) fn stamp(&self, txn: &mut RwTxn<'_>) -> heed::Result<()> {
        stamp(&self.format, txn)
    }
}

fn stamp(format: &Table<'_>, txn: &mut RwTxn<'_>) -> heed::Result<()> {
    let mut entry = FORMAT_MAGIC.to_vec();
    entry.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    entry.extend_from_slice(&(txn.id() as u64).to_le_bytes());
    let mut sealed = Vec::new();
    seal_row("", FORMAT_KEY, &entry, &mut sealed);
    format.put(txn, FORMAT_KEY, &sealed)
}

/// Refuses an environment that another program made, or a version that this one cannot read.
fn check_stamp(format: &Table<'_>, txn: &RoTxn<'_>) -> Result<()> {
    let Some(sealed) = format.get(txn, FORMAT_KEY).map_err(heed_error)? else {
        return Err(foreign());
    };
    let entry = unseal_row("", FORMAT_KEY, sealed)?;
    let Some((version, written_by)) = entry
        .strip_prefix(FORMAT_MAGIC)
        .and_then(|rest| rest.split_first_chunk::<4>())
        .and_then(|(version, rest)| Some((version, rest.first_chunk::<8>()?)))
    else {
        return Err(foreign());
    };
    if u32::from_le_bytes(*version) != FORMAT_VERSION {
        return Err(Error::unsupported(
            "the store was written by another version of this program: use that one",
        )
        .with("version", u32::from_le_bytes(*version)));
    }
    if u64::from_le_bytes(*written_by) != txn.id() as u64 {
        return Err(Error::corrupt(
            "the newest commit of the store is not what was written: restore it from a copy or a peer",
        ));
    }
    Ok(())
}

pub(crate) fn foreign() -> Error {
    Error::invalid("the directory holds an LMDB database of another program: use another directory")
}

/// Opens the environment of an existing store for writing.
pub(crate) fn open(
    dir: &Path,
    options: &LmdbOptions,
) -> Result<(Env<WithoutTls>, Tables<'static>)> {
    let env = map(
        dir,
        options.map_bytes_initial,
        options.readers_max,
        EnvFlags::empty(),
    )?;
    env.clear_stale_readers().map_err(heed_error)?;
    let tables = match find_tables(&env)? {
        Some(tables) => tables,
        // A version with fewer keyspaces made this store.
        None => create_tables(&env)?,
    };
    Ok((env, tables))
}

/// Opens the environment of an existing store for reading.
pub(crate) fn open_read_only(
    dir: &Path,
    options: &LmdbOptions,
) -> Result<(Env<WithoutTls>, Tables<'static>)> {
    let env = map(
        dir,
        options.map_bytes_initial,
        options.readers_max,
        EnvFlags::READ_ONLY,
    )?;
    let tables = find_tables(&env)?.ok_or_else(|| {
        Error::unsupported(
            "the store lacks keyspaces of this version: open it once for writing, which adds them",
        )
    })?;
    Ok((env, tables))
}

/// Whether the directory holds what is left of a store without its data file. A store that was never
/// finished has none of it: the data file is the first to appear.
pub(crate) fn had_store(dir: &Path) -> bool {
    [READERS_FILE, RESERVE_FILE]
        .iter()
        .any(|file| dir.join(file).exists())
}

/// Makes a new store, which appears in `dir` whole or not at all.
pub(crate) fn create(dir: &Path) -> Result<()> {
    let nursery = dir.join(NURSERY);
    match fs::remove_dir_all(&nursery) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("cannot clear an unfinished store away")(error));
        }
        _ => {}
    }
    fs::create_dir(&nursery).map_err(io_error("cannot create the store"))?;
    let env = map(&nursery, NURSERY_MAP_BYTES, 1, EnvFlags::empty())?;
    create_tables(&env)?;
    drop(env);
    fs::rename(nursery.join(DATA_FILE), dir.join(DATA_FILE))
        .and_then(|()| fs::remove_dir_all(&nursery))
        .and_then(|()| dir::sync(dir))
        .map_err(io_error("cannot create the store"))
}

fn find_tables(env: &Env<WithoutTls>) -> Result<Option<Tables<'static>>> {
    let txn = env.read_txn().map_err(heed_error)?;
    let found = env.open_databases_and_commit(txn, |opener, txn| {
        let format = opener.open_database(txn, None).map_err(Stop::Heed)?;
        let format = format.ok_or_else(|| Stop::Refused(foreign()))?;
        check_stamp(&format, txn).map_err(Stop::Refused)?;
        let mut spaces = BTreeMap::new();
        for space in Keyspace::ALL {
            match opener
                .open_database(txn, Some(space.name()))
                .map_err(Stop::Heed)?
            {
                Some(table) => spaces.insert(*space, table),
                None => return Ok(CommitOrAbort::Abort(())),
            };
        }
        Ok(CommitOrAbort::Commit(Tables { spaces, format }))
    });
    Ok(found.map_err(Stop::into_error)?.commit())
}

fn create_tables(env: &Env<WithoutTls>) -> Result<Tables<'static>> {
    let txn = env.write_txn().map_err(heed_error)?;
    let made = env.create_databases_and_commit(txn, |opener: &DatabaseOpener<'_, _>, txn| {
        let format = opener.create_database(txn, None)?;
        let mut spaces = BTreeMap::new();
        for space in Keyspace::ALL {
            spaces.insert(*space, opener.create_database(txn, Some(space.name()))?);
        }
        stamp(&format, txn)?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, std::convert::Infallible>::Commit(
            Tables { spaces, format },
        ))
    });
    match made.map_err(heed_error)? {
        CommitOrAbort::Commit(tables) => Ok(tables),
        CommitOrAbort::Abort(never) => match never {},
    }
}

/// Why opening the tables stopped.
enum Stop {
    Heed(heed::Error),
    Refused(Error),
}

impl From<heed::Error> for Stop {
    fn from(error: heed::Error) -> Self {
        Self::Heed(error)
    }
}

impl Stop {
    fn into_error(self) -> Error {
        match self {
            Self::Heed(error) => heed_error(error),
            Self::Refused(error) => error,
        }
    }
}

/// Writes the table of readers out to its full length before LMDB maps it.
///
/// LMDB would make it of holes and fill them through the map, and that is a signal, not an error,
/// on a disk that is full by then. What is there already stays as it is.
fn lay_out_readers(dir: &Path, readers: u32) -> io::Result<()> {
    let path = dir.join(READERS_FILE);
    let needed = u64::from(readers) * READER_BYTES + READERS_HEADER_BYTES;
    let present = fs::metadata(&path).map_or(0, |file| file.len());
    let missing = needed.saturating_sub(present);
    if missing > 0 {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)?;
        io::copy(&mut io::repeat(0).take(missing), &mut file)?;
    }
    Ok(())
}

#[allow(unsafe_code, reason = "heed can open and map a file in no other way")]
fn map(dir: &Path, bytes: usize, readers: u32, flags: EnvFlags) -> Result<Env<WithoutTls>> {
    lay_out_readers(dir, readers).map_err(io_error("cannot write the store's table of readers"))?;
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options
        .map_size(bytes)
        .max_readers(readers)
        .max_dbs(Keyspace::ALL.len() as u32 + SPARE_TABLES);
    // SAFETY: the only flag ever passed is READ_ONLY, which takes no promise of LMDB away.
    let options = unsafe { options.flags(flags) };
    // SAFETY: the file must not change behind the map. Its one writer holds the writer lock of
    // the directory, and nobody but LMDB writes to it while it is mapped (the probe for a full
    // disk writes beyond its end). What LMDB reads must be what it once wrote: its headers, table
    // of tables and list of free pages were checked before, and every other page is, by plain
    // reads, before LMDB first meets it (see `check`).
    unsafe { options.open(dir) }.map_err(heed_error)
}

/// Changes the size of the map; zero adopts the size that another process gave it.
///
/// No transaction of this process may be open: the caller has waited for that and holds the
/// lock under which transactions begin. On an error the map is gone.
#[allow(
    unsafe_code,
    reason = "heed can change the size of the map in no other way"
)]
pub(crate) fn remap(env: &Env<WithoutTls>, bytes: usize) -> heed::Result<()> {
    // SAFETY: see above; the caller counts open transactions and has seen none.
    unsafe { env.resize(bytes) }
}

/// The first bytes of a file, to be read where they are.
#[allow(unsafe_code, reason = "a file can be mapped in no other way")]
pub(crate) fn map_file(file: &File, bytes: usize) -> io::Result<Mmap> {
    // SAFETY: LMDB maps the same file, and what it asks for is what this asks for: nobody cuts the
    // file while it is open, and pages that a snapshot can reach are not written while it lives.
    unsafe { MmapOptions::new().len(bytes).map(file) }
}
