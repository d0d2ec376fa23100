//! Restoring a thread from a file.
//!
//! A file is read twice: once whole, to know that it is undamaged and complete, and once to take
//! its records in, each verified like a record from a peer. A thread that is new here becomes
//! visible with the last commit; a restore that was cut short is cleared by the next one.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use serde::Serialize;
use threads_core::block::decode;
use threads_core::datastore::{DatastoreExt, Durability, Keyspace, ReadTxn};
use threads_core::{Cid, EpochKeys, Error, PeerId, ReadKey, ReplicaKey, Result, ThreadId};
use zeroize::Zeroizing;

use crate::blobs::carry::CarriedBlobs;
use crate::car::CarReader;
use crate::catalogue::Catalogue;
use crate::chain::{self, Blocks};
use crate::db::Db;
use crate::export::{CarriedKeys, MANIFEST_VERSION, Manifest, keys_context};
use crate::held;
use crate::ingest::{self, Intake};
use crate::layout::{self, Number, meta};
use crate::node::Node;
use crate::passphrase::SealedSecret;
use crate::progress::Progress;
use crate::snapshot::{self, Snapshot};
use crate::sync::{Fresh, News};
use crate::thread::{Later, Thread, books};

mod abandoned;

/// How many records, and about how many bytes, one commit of a restore takes in.
const RECORDS_PER_COMMIT: usize = 256;
const BYTES_PER_COMMIT: u64 = 8 * 1024 * 1024;

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
    /// How many peers must have signed for the snapshot that the file begins with, if it begins with one: at least
    /// one must, whatever this says. What they signed for is believed where the records are not here.
    pub signers_min: usize,
    /// Whose signatures count for that; where it is empty, those of all who write in the thread. In a thread without
    /// rules whoever has its keys can sign under as many names as it likes.
    pub trusted: BTreeSet<PeerId>,
}

impl std::fmt::Debug for RestoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreOptions")
            .field("name", &self.name)
            .field("signers_min", &self.signers_min)
            .field("trusted", &self.trusted)
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
    /// How many blobs the file names: what it did not have of them is asked for.
    pub blobs: u64,
    /// How many blocks of blobs were new here.
    pub blob_blocks: u64,
    /// How many blocks the file holds, the manifest included.
    pub blocks: u64,
    /// How many bytes the file has.
    pub bytes: u64,
    /// The snapshot that the thread begins with now, if it was new here and the file begins with one.
    #[serde(serialize_with = "crate::text::optional")]
    pub snapshot: Option<Cid>,
    /// Who signed for that, of those who are trusted: what was before its records is their word.
    pub signers: Vec<PeerId>,
}

/// What the first reading of a file learns.
struct Survey {
    manifest: Manifest,
    records: u64,
    blocks: u64,
    bytes: u64,
}

impl Survey {
    fn blobs(&self) -> CarriedBlobs {
        self.manifest.blobs.unwrap_or_default()
    }
}

/// What was taken in of a file.
#[derive(Default)]
struct Taken {
    records: Intake,
    blob_blocks: u64,
}

impl Node {
    /// Restores a thread from the file at `path`, with the blobs that it has. Progress counts records, and after
    /// them what there is of blobs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a file that is not an export,
    /// has no keys, or does not open with the passphrase;
    /// [`ErrorKind::Corrupt`](threads_core::ErrorKind::Corrupt) when it is damaged or incomplete;
    /// [`ErrorKind::Conflict`](threads_core::ErrorKind::Conflict) when the name is taken;
    /// [`ErrorKind::Rejected`](threads_core::ErrorKind::Rejected) when a record breaks a rule, or fewer signed for the
    /// snapshot than [`signers_min`](RestoreOptions::signers_min) of those who are
    /// [trusted](RestoreOptions::trusted);
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
    /// let options = ExportOptions { passphrase: passphrase(), ..Default::default() };
    /// db.export(file, &options, &mut |_| ()).unwrap();
    ///
    /// let other = threads_db::Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// let options = RestoreOptions { passphrase: passphrase(), ..RestoreOptions::default() };
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
        let (db, taken, begins) = match known {
            Some(number) => {
                let db = self.db(number)?;
                let begins = db.base()?.is_some();
                let mut taken = take_all(db.thread(), path, &survey, progress)?;
                if begins {
                    taken.records.new += db.regain()?.applied;
                }
                (db, taken, None)
            }
            None => self.restore_new(path, &survey, options, progress)?,
        };
        let (snapshot, signers) = begins.map(|begins| (begins.id, begins.signers)).unzip();
        let intake = taken.records;
        let report = RestoreReport {
            thread: id.clone(),
            name: db.name().to_owned(),
            records: intake.new,
            present: intake.present,
            held: intake.held,
            dropped: intake.dropped,
            blobs: survey.blobs().blobs,
            blob_blocks: taken.blob_blocks,
            blocks: survey.blocks,
            bytes: survey.bytes,
            snapshot,
            signers: signers.unwrap_or_default(),
        };
        Ok((db, report))
    }

    fn restore_new(
        &self,
        path: &Path,
        survey: &Survey,
        options: &RestoreOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Db, Taken, Option<Snapshot>)> {
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
        let restored = restored.and_then(|taken| {
            let begins = check_signed(&thread, survey, options)?;
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
            Ok((self.db(number)?, taken, begins))
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
    let more = manifest.blobs.unwrap_or_default().all_blocks();
    if blocks != all.saturating_add(pieces).saturating_add(more) || !missing.is_empty() {
        return Err(
            Error::corrupt("the file does not hold all that it lists: export it again")
                .with("blocks", blocks)
                .with("records", records),
        );
    }
    Ok(Survey {
        manifest,
        records,
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

/// The snapshot that a file begins with. Refuses one for which too few signed in the records after it, and a file
/// that lacks some of these.
fn check_signed(
    thread: &Thread,
    survey: &Survey,
    options: &RestoreOptions,
) -> Result<Option<Snapshot>> {
    if survey.manifest.snapshot.is_none() {
        return Ok(None);
    }
    let txn = thread.node.store.read()?;
    for head in &survey.manifest.logs {
        if chain::locate(&*txn, thread.number, &head.cid)?.is_none() {
            check_clock(&*txn, thread)?;
            return Err(Error::corrupt(
                "the file does not hold all that it lists: export it again",
            )
            .with("record", head.cid));
        }
    }
    let trust = (options.signers_min, &options.trusted);
    let vouched = snapshot::vouched(&*txn, thread, trust);
    if vouched.is_err() {
        // What is dated ahead may say so.
        check_clock(&*txn, thread)?;
    }
    vouched.map(Some)
}

/// Refuses what cannot be judged yet, as some of it is dated ahead of this machine's clock.
fn check_clock(txn: &dyn ReadTxn, thread: &Thread) -> Result<()> {
    for arrival in held::arrivals(txn, thread.number)? {
        let entry = held::get(txn, thread.number, arrival)?;
        if entry.is_some_and(|entry| entry.row.why.due_ms().is_some()) {
            return Err(Error::unavailable(
                "records in the file are dated ahead of this machine's clock: set the clock, and restore it again",
            ));
        }
    }
    Ok(())
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

/// Takes in every record of a file that was surveyed, and its blobs.
fn take_all(
    thread: &Thread,
    path: &Path,
    survey: &Survey,
    progress: &mut dyn FnMut(Progress),
) -> Result<Taken> {
    let mut car = open_file(path)?;
    read_manifest(&mut car)?;
    let carried = survey.manifest.snapshot.as_ref();
    let pieces = carried.map_or(0, |carried| carried.pieces);
    for _ in 0..pieces {
        // `restore_new` has read them; who has the thread needs no snapshot of it.
        car.next().ok_or_else(incomplete)??;
    }
    let total = Some(survey.records.saturating_add(survey.blobs().all_blocks()));
    let (mut done, mut intake) = (0, Intake::default());
    let mut chunk = Vec::new();
    let mut bytes = 0;
    // As many as the survey has counted.
    for _ in 0..survey.records {
        let mut next = || car.next().ok_or_else(incomplete)?;
        let blocks = Blocks::from_blocks([next()?, next()?, next()?]);
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
    let mut next = || car.next().ok_or_else(incomplete)?;
    let blob_blocks = survey.blobs().take_in(thread, &mut next, &mut || {
        done += 1;
        progress(Progress { done, total });
    })?;
    Ok(Taken {
        records: intake,
        blob_blocks,
    })
}

fn incomplete() -> Error {
    Error::corrupt("the file ends within a record: export it again")
}
