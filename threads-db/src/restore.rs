//! Restoring a thread from a file.
//!
//! A file is read twice: once whole, to know that it is undamaged and complete, and once to take
//! its records in, each verified like a record from a peer. A thread that is new here becomes
//! visible with the last commit; a restore that was cut short is cleared by the next one.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use serde::Serialize;
use threads_core::block::decode;
use threads_core::datastore::{DatastoreExt, Direction, Durability, Keyspace};
use threads_core::{EpochKeys, Error, ReadKey, ReplicaKey, Result, ThreadId};
use zeroize::Zeroizing;

use crate::car::CarReader;
use crate::catalogue::Catalogue;
use crate::chain::{self, Blocks};
use crate::db::Db;
use crate::export::{CarriedKeys, MANIFEST_VERSION, Manifest, keys_context};
use crate::held;
use crate::ingest::{self, Intake};
use crate::kept;
use crate::layout::{self, Number, Prefix, meta, thread_prefix};
use crate::node::Node;
use crate::passphrase::SealedSecret;
use crate::progress::Progress;
use crate::snapshot;
use crate::sync::{Fresh, News};
use crate::thread::{Later, Thread, books};

/// How many records, and about how many bytes, one commit of a restore takes in.
const RECORDS_PER_COMMIT: usize = 256;
const BYTES_PER_COMMIT: u64 = 8 * 1024 * 1024;
/// How many rows of an abandoned restore one commit clears.
const CLEAR_ROWS: usize = 10_000;

/// How to restore.
///
/// ```
/// let options = threads_db::RestoreOptions::default();
/// assert!(options.name.is_none());
/// ```
#[derive(Default)]
pub struct RestoreOptions {
    /// Opens the keys in the file. Not needed when the thread is here already.
    pub passphrase: Option<Zeroizing<String>>,
    /// What to call the thread here; when absent, what it was called where it was exported.
    pub name: Option<String>,
}

impl std::fmt::Debug for RestoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreOptions")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a restore took in.
///
/// ```
/// fn line(report: &threads_db::RestoreReport) -> String { format!("{} records", report.records) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// The thread.
    pub thread: ThreadId,
    /// Its name on this node.
    pub name: String,
    /// How many records were new here.
    pub records: u64,
    /// How many were here already.
    pub present: u64,
    /// How many records of the thread are held now and not applied: [`Db::held`] says why.
    pub held: u64,
    /// How many would have had to wait and found no room. Restore the file again when what they
    /// wait for is here.
    pub dropped: u64,
    /// How many blocks the file holds, the manifest included.
    pub blocks: u64,
    /// How many bytes the file has.
    pub bytes: u64,
}

/// What the first reading of a file learns.
struct Survey {
    manifest: Manifest,
    blocks: u64,
    bytes: u64,
}

impl Node {
    /// Restores a thread from the file at `path`. Progress counts records.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a file that is not an export,
    /// has no keys, or does not open with the passphrase;
    /// [`ErrorKind::Corrupt`](threads_core::ErrorKind::Corrupt) when it is damaged or incomplete;
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the name is taken;
    /// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) when a record breaks a rule;
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) while another restore runs.
    /// Nothing of a new thread is visible then.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use threads_db::{ExportOptions, RestoreOptions};
    ///
    /// let passphrase = || Some("correct horse".to_owned().into());
    /// let path = std::env::temp_dir().join(format!("{}.car", db.id()));
    /// let file = std::fs::File::create(&path).unwrap();
    /// db.export(file, &ExportOptions { passphrase: passphrase() }, &mut |_| ()).unwrap();
    ///
    /// let other = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// let options = RestoreOptions { passphrase: passphrase(), name: None };
    /// let (copy, _) = other.restore(&path, &options, &mut |_| ()).unwrap();
    /// assert!(copy.collection("Person").unwrap().has("bob").unwrap());
    /// # std::fs::remove_file(path).unwrap();
    /// ```
    pub fn restore(
        &self,
        path: &Path,
        options: &RestoreOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Db, RestoreReport)> {
        let Ok(_alone) = self.inner.restoring.try_lock() else {
            return Err(Error::unavailable(
                "another restore is running on this node: wait for it",
            ));
        };
        self.clear_abandoned()?;
        let survey = survey(path)?;
        let id = &survey.manifest.thread;
        let known = layout::number(&*self.inner.store.read()?, &meta::thread_by_id(id))?;
        let (db, intake) = match known {
            Some(number) => {
                let db = self.db(number)?;
                let begins = db.base()?.is_some();
                let mut intake = take_all(db.thread(), path, &survey, progress)?;
                if begins {
                    intake.new += db.regain()?.applied;
                }
                (db, intake)
            }
            None => self.restore_new(path, &survey, options, progress)?,
        };
        let report = RestoreReport {
            thread: id.clone(),
            name: db.name().to_owned(),
            records: intake.new,
            present: intake.present,
            held: intake.held,
            dropped: intake.dropped,
            blocks: survey.blocks,
            bytes: survey.bytes,
        };
        Ok((db, report))
    }

    fn restore_new(
        &self,
        path: &Path,
        survey: &Survey,
        options: &RestoreOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Db, Intake)> {
        let id = &survey.manifest.thread;
        let keys = open_keys(&survey.manifest, options)?;
        let name = options.name.clone().unwrap_or_else(|| keys.name.clone());
        self.check_free(&name)?;
        let number = self.inner.store.transact(Durability::Group, |txn| {
            let number = layout::reserve(txn)?;
            txn.put(Keyspace::Meta, &meta::restoring(number), id.as_bytes())?;
            Ok(number)
        })?;
        let later = keys.later()?;
        let opens = (keys.replica(), keys.read(), later.clone());
        let thread = self.hidden(number, id, &name, opens);
        let opened = open_snapshot(&thread, path, survey);
        let restored = opened.and_then(|()| take_all(&thread, path, survey, progress));
        let restored = restored.and_then(|intake| {
            check_signed(&thread, survey)?;
            self.inner.store.transact(Durability::Immediate, |txn| {
                self.add_thread_at(
                    txn,
                    number,
                    id,
                    &name,
                    &keys.replica(),
                    keys.read().as_ref(),
                )?;
                books::put_epochs(txn, id, &later)?;
                txn.delete(Keyspace::Meta, &meta::restoring(number))
            })?;
            Ok((self.db(number)?, intake))
        });
        if restored.is_err() {
            // The error to report is the first one; what is left is cleared by the next restore.
            let _ = self.clear_abandoned();
        }
        restored
    }

    fn hidden(
        &self,
        number: Number,
        id: &ThreadId,
        name: &str,
        (replica, read, later): (ReplicaKey, Option<ReadKey>, Vec<EpochKeys>),
    ) -> Thread {
        let (node, id, name) = (Arc::clone(&self.inner), id.clone(), name.to_owned());
        Thread {
            node,
            number,
            id,
            name,
            replica,
            read: read.map(OnceLock::from).unwrap_or_default(),
            later: Later::new(later),
            choice: Mutex::default(),
            attended: Mutex::default(),
            log_key: Mutex::default(),
            catalogue: Catalogue::unread(),
        }
    }

    /// Clears what restores that were cut short left behind.
    fn clear_abandoned(&self) -> Result<()> {
        let mut abandoned = Vec::new();
        {
            let txn = self.inner.store.read()?;
            let prefix = Prefix::new(meta::RESTORING);
            for row in txn.scan(Keyspace::Meta, prefix.range(), Direction::Forward)? {
                let (key, id) = row?;
                let number = key[meta::RESTORING.len()..]
                    .try_into()
                    .map_err(|_| Error::corrupt("the mark of a restore is damaged"))?;
                abandoned.push((Number::from_be_bytes(number), ThreadId::from_bytes(&id)?));
            }
        }
        for (number, id) in abandoned {
            let prefix = thread_prefix(number);
            let store = &self.inner.store;
            store.transact(Durability::Group, |txn| held::forget(txn, number))?;
            for space in [
                Keyspace::Blocks,
                Keyspace::Links,
                Keyspace::History,
                Keyspace::Entities,
                Keyspace::Indexes,
                Keyspace::Feed,
                Keyspace::Held,
                Keyspace::Peers,
                Keyspace::Blobs,
            ] {
                self.clear_rows(space, &prefix)?;
            }
            self.inner.store.transact(Durability::Group, |txn| {
                txn.delete(Keyspace::Meta, &meta::base(number))?;
                books::clear(txn, &id)?;
                kept::forget(txn, number)?;
                txn.delete(Keyspace::Meta, &meta::restoring(number))
            })?;
        }
        Ok(())
    }

    /// Removes the rows under a prefix, a bounded number in each commit.
    fn clear_rows(&self, space: Keyspace, prefix: &[u8]) -> Result<()> {
        let bounds = Prefix::new(prefix);
        loop {
            // Ends: every turn removes at least one of finitely many rows.
            let cleared = self.inner.store.transact(Durability::Group, |txn| {
                let rows = txn.scan(space, bounds.range(), Direction::Forward)?;
                let keys = rows
                    .take(CLEAR_ROWS)
                    .map(|row| row.map(|(key, _)| key.into_owned()))
                    .collect::<Result<Vec<_>>>()?;
                for key in &keys {
                    txn.delete(space, key)?;
                }
                Ok(keys.len())
            })?;
            if cleared < CLEAR_ROWS {
                return Ok(());
            }
        }
    }
}

fn open_file(path: &Path) -> Result<CarReader<BufReader<File>>> {
    let file = File::open(path).map_err(|cause| {
        let kind = match cause.kind() {
            std::io::ErrorKind::NotFound => threads_core::ErrorKind::NotFound,
            _ => threads_core::ErrorKind::Unavailable,
        };
        Error::new(kind, "the file cannot be opened")
            .with("file", path.display())
            .caused_by(cause)
    })?;
    CarReader::new(BufReader::new(file))
}

/// Reads the file once: every block against its CID, and that everything the manifest names is
/// there.
fn survey(path: &Path) -> Result<Survey> {
    let mut car = open_file(path)?;
    let manifest = read_manifest(&mut car)?;
    let heads = manifest.logs.iter().map(|log| log.seq);
    let records = manifest.records;
    let records: u64 = records.unwrap_or_else(|| heads.fold(0, u64::saturating_add));
    let mut missing: HashSet<_> = match manifest.snapshot {
        // Some of them may be in it; that they are here is looked at when it is.
        Some(_) => HashSet::new(),
        None => manifest.logs.iter().map(|log| log.cid).collect(),
    };
    let pieces = manifest
        .snapshot
        .as_ref()
        .map_or(0, |carried| carried.pieces);
    let mut blocks = 1u64;
    for block in &mut car {
        missing.remove(block?.cid());
        blocks += 1;
    }
    let all = records.saturating_mul(3).saturating_add(1);
    if blocks != all.saturating_add(pieces) || !missing.is_empty() {
        return Err(
            Error::corrupt("the file does not hold all that it lists: export it again")
                .with("blocks", blocks)
                .with("records", records),
        );
    }
    Ok(Survey {
        manifest,
        blocks,
        bytes: car.position(),
    })
}

/// Fills a new thread with the snapshot in a file, if there is one.
fn open_snapshot(thread: &Thread, path: &Path, survey: &Survey) -> Result<()> {
    let Some(carried) = &survey.manifest.snapshot else {
        return Ok(());
    };
    let mut car = open_file(path)?;
    read_manifest(&mut car)?;
    let pieces = carried.unseal(thread, &mut car)?;
    snapshot::open(thread, pieces, &carried.id)
}

/// Refuses a snapshot that nobody signed in the records after it, and a file that lacks some of these.
fn check_signed(thread: &Thread, survey: &Survey) -> Result<()> {
    let Some(carried) = &survey.manifest.snapshot else {
        return Ok(());
    };
    let txn = thread.node.store.read()?;
    for head in &survey.manifest.logs {
        if chain::locate(&*txn, thread.number, &head.cid)?.is_none() {
            return Err(Error::corrupt(
                "the file does not hold all that it lists: export it again",
            )
            .with("record", head.cid));
        }
    }
    let mut signed = snapshot::signed(&*txn, thread)?.into_iter();
    match signed.find(|snapshot| snapshot.id == carried.id) {
        Some(_) => Ok(()),
        None => Err(Error::rejected(
            "nobody who takes part in the thread signed the snapshot in this file: do not trust it",
        )
        .with("snapshot", carried.id)),
    }
}

fn read_manifest(car: &mut CarReader<BufReader<File>>) -> Result<Manifest> {
    let foreign = || Error::invalid("a CAR file, but not an export of a thread");
    let root = match car.roots() {
        [root] => *root,
        _ => return Err(foreign()),
    };
    let block = car.next().ok_or_else(foreign)??;
    if *block.cid() != root {
        return Err(foreign());
    }
    let manifest: Manifest = decode(block.bytes()).map_err(|cause| foreign().caused_by(cause))?;
    if manifest.version != MANIFEST_VERSION {
        return Err(
            Error::unsupported("the export is of a later version: upgrade to restore it")
                .with("version", manifest.version),
        );
    }
    Ok(manifest)
}

fn open_keys(manifest: &Manifest, options: &RestoreOptions) -> Result<CarriedKeys> {
    let keys = manifest.keys.as_ref().ok_or_else(|| {
        Error::invalid(
            "the file holds no keys, and the thread is not here: export it with its keys",
        )
        .with("thread", &manifest.thread)
    })?;
    let passphrase = options.passphrase.as_ref().ok_or_else(|| {
        Error::invalid(
            "the keys in the file are under a passphrase: give the one it was exported with",
        )
    })?;
    let sealed = SealedSecret::decode(keys)?;
    let plain = sealed.open(passphrase, &keys_context(&manifest.thread))?;
    decode(&plain)
        .map_err(|cause| Error::corrupt("the keys in the file are damaged").caused_by(cause))
}

/// Takes in every record of a file that was surveyed.
fn take_all(
    thread: &Thread,
    path: &Path,
    survey: &Survey,
    progress: &mut dyn FnMut(Progress),
) -> Result<Intake> {
    let mut car = open_file(path)?;
    read_manifest(&mut car)?;
    let carried = survey.manifest.snapshot.as_ref();
    let pieces = carried.map_or(0, |carried| carried.pieces);
    for _ in 0..pieces {
        // `restore_new` has read them; who has the thread needs no snapshot of it.
        car.next().ok_or_else(incomplete)??;
    }
    let total = Some((survey.blocks - 1 - pieces) / 3);
    let (mut done, mut intake) = (0, Intake::default());
    let mut chunk = Vec::new();
    let mut bytes = 0;
    while let Some(record) = car.next() {
        let event = car.next().ok_or_else(incomplete)??;
        let body = car.next().ok_or_else(incomplete)??;
        let blocks = Blocks::from_blocks([record?, event, body]);
        bytes += blocks.bytes();
        chunk.push(blocks);
        if chunk.len() == RECORDS_PER_COMMIT || bytes >= BYTES_PER_COMMIT {
            done += chunk.len() as u64;
            intake.add(ingest::take_in(thread, &std::mem::take(&mut chunk))?);
            bytes = 0;
            progress(Progress { done, total });
        }
    }
    done += chunk.len() as u64;
    intake.add(ingest::take_in(thread, &chunk)?);
    let news = News(Fresh::Committed(thread.number));
    thread.node.notifier.notify_of(news);
    progress(Progress { done, total });
    Ok(intake)
}

fn incomplete() -> Error {
    Error::corrupt("the file ends within a record: export it again")
}
