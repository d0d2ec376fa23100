//! Carrying a thread as a file: a CAR of ciphertext blocks, with the keys only on request.
//!
//! The root block, the **manifest**, is DAG-CBOR: `{version, thread, logs: [{log, seq, cid}], records?}` and,
//! when asked for, `keys`: the thread's name, replica key and read key under a passphrase. After it
//! come the records in the order of their times, each as three blocks: record, event, body; of one that was
//! purged, the record, `{purged: CID}` and an empty body. Where the manifest has `snapshot: {id, pieces, epoch}`, the
//! sealed pieces of a snapshot come first, and only the records that it does not cover. Where it has `blobs:
//! {blobs, blocks, lists}`, so many lists of blobs follow the records, and then the blocks of these.

use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use threads_core::block::{Block, encode};
use threads_core::datastore::ReadTxn;
use threads_core::record::Dep;
use threads_core::{Cid, EpochKeys, Error, Hlc, LogId, ReadKey, ReplicaKey, Result, ThreadId};
use zeroize::{Zeroize, Zeroizing};

use crate::base::Base;
use crate::blobs::carry::{self, CarriedBlobs};
use crate::car::CarWriter;
use crate::chain;
use crate::db::Db;
use crate::layout::Place;
use crate::line;
use crate::passphrase::SealedSecret;
use crate::progress::Progress;
use crate::sharing::{HandedEpoch, hand_epochs, take_epochs};
use crate::snapshot::{self, Carried, Content, Covered};
use crate::thread::Thread;

/// The version of the manifest.
pub(crate) const MANIFEST_VERSION: u64 = 1;
const KEYS_DOMAIN: &[u8] = b"threads/export/1";

/// What an export contains besides the records.
///
/// ```
/// let passphrase = Some("correct horse".to_owned().into());
/// let options = threads_db::ExportOptions { passphrase, ..Default::default() };
/// assert!(!format!("{options:?}").contains("horse"));
/// ```
#[derive(Default)]
pub struct ExportOptions {
    /// Puts the thread's keys into the file, under this passphrase. Whoever has both can read it.
    pub passphrase: Option<Zeroizing<String>>,
    /// Puts in what is here of blobs too: all that are whole or asked for, with their blocks.
    pub blobs: bool,
}

impl std::fmt::Debug for ExportOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportOptions")
            .field("with_keys", &self.passphrase.is_some())
            .field("blobs", &self.blobs)
            .finish()
    }
}

/// What an export wrote.
///
/// ```
/// fn line(report: &threads_db::ExportReport) -> String { format!("{} records", report.records) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// How many records.
    pub records: u64,
    /// How many blobs.
    pub blobs: u64,
    /// How many blocks, the manifest included.
    pub blocks: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The manifest's CID: the root of the file.
    #[serde(serialize_with = "crate::text::display")]
    pub root: Cid,
}

/// The root block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) version: u64,
    pub(crate) thread: ThreadId,
    /// The head of each log, and of each branch of a log that was forked.
    pub(crate) logs: Vec<Dep>,
    /// How many records there are, where the heads do not tell because a log was forked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) records: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keys: Option<ByteBuf>,
    /// The snapshot that comes before the records, which begin after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<Carried>,
    /// The blobs that come after the records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) blobs: Option<CarriedBlobs>,
}

/// What the passphrase covers.
#[derive(Serialize, Deserialize)]
pub(crate) struct CarriedKeys {
    pub(crate) name: String,
    replica: ByteArray<32>,
    /// None in the export of a blind replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read: Option<ByteArray<32>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    epochs: Vec<HandedEpoch>,
}

impl CarriedKeys {
    /// The keys of later epochs.
    pub(crate) fn later(&self) -> Result<Vec<EpochKeys>> {
        take_epochs(&self.epochs)
    }

    pub(crate) fn replica(&self) -> ReplicaKey {
        ReplicaKey::from_bytes(&self.replica)
    }

    pub(crate) fn read(&self) -> Option<ReadKey> {
        self.read.as_ref().map(|read| ReadKey::from_bytes(read))
    }
}

impl Drop for CarriedKeys {
    fn drop(&mut self) {
        self.replica.zeroize();
        if let Some(read) = &mut self.read {
            read.zeroize();
        }
    }
}

/// What the sealed keys are bound to.
pub(crate) fn keys_context(thread: &ThreadId) -> Vec<u8> {
    [KEYS_DOMAIN, thread.as_bytes()].concat()
}

impl Db {
    /// Writes the whole thread to `output`, as it is now. Progress counts records, and after them what there is of
    /// blobs. Of a thread that was compacted,
    /// or opened from a snapshot, it writes the snapshot that it begins with here, and the records after that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) or
    /// [`ErrorKind::Full`](threads_core::ErrorKind::Full) when `output` cannot be written,
    /// [`ErrorKind::Corrupt`](threads_core::ErrorKind::Corrupt) when a record or a block of a blob cannot be read,
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for an empty passphrase.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use threads_db::ExportOptions;
    /// let mut file = Vec::new();
    /// let report = db.export(&mut file, &ExportOptions::default(), &mut |_| ()).unwrap();
    /// assert_eq!(report.bytes, file.len() as u64);
    /// ```
    pub fn export(
        &self,
        output: impl Write,
        options: &ExportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ExportReport> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let base = Base::get(&*txn, thread.number)?;
        let base = base.filter(|base| !base.covered.last.is_empty());
        let covered = base.map(|base| (base.covered, base.snapshot));
        write(&*txn, thread, (output, options), covered, progress)
    }

    /// Writes the thread to `output` as a snapshot of what is here now, which this node signs, with the records
    /// that stay needed and no others: whoever restores it has the state at once, and no history before it.
    ///
    /// # Errors
    ///
    /// Those of [`Db::export`] and [`Db::snapshot`].
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// use threads_db::ExportOptions;
    /// let mut file = Vec::new();
    /// let report = db.export_snapshot(&mut file, &ExportOptions::default(), &mut |_| ()).unwrap();
    /// assert_eq!(report.records, 1, "the one that says who signed it");
    /// ```
    pub fn export_snapshot(
        &self,
        output: impl Write,
        options: &ExportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ExportReport> {
        let thread = self.thread();
        let covered = snapshot::covered_until(&*thread.node.store.read()?, thread, None)?;
        let signed = self.sign_covered(&covered)?;
        let txn = thread.node.store.read()?;
        let covered = Some((covered, signed));
        write(&*txn, thread, (output, options), covered, progress)
    }
}

/// Writes a thread, or a snapshot of what is covered and the records after that.
fn write(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (output, options): (impl Write, &ExportOptions),
    covered: Option<(Covered, Cid)>,
    progress: &mut dyn FnMut(Progress),
) -> Result<ExportReport> {
    let keys = options
        .passphrase
        .as_ref()
        .map(|passphrase| seal_keys(txn, thread, passphrase));
    let lines = line::all(txn, thread)?;
    let carried = match &covered {
        Some((covered, id)) => Some(carry_snapshot(txn, thread, (covered, id))?),
        None => None,
    };
    let last = covered
        .iter()
        .flat_map(|(covered, _)| covered.last.values());
    let total = line::records(&lines).saturating_sub(last.sum());
    let blobs = match options.blobs {
        true => Some(CarriedBlobs::count(txn, thread.number)?),
        false => None,
    };
    let more = blobs.map_or(0, |blobs| blobs.all_blocks());
    let is_part = carried.is_some() || line::any_forked(txn, thread.number)?;
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        thread: thread.id.clone(),
        records: is_part.then_some(total),
        logs: line::head_links(lines),
        keys: keys.transpose()?,
        snapshot: carried,
        blobs,
    };
    let root = Block::cbor(encode(&manifest)?);
    let mut car = CarWriter::new(output, *root.cid())?;
    car.write(&root)?;
    let (mut records, mut pieces) = (0, 0);
    if let (Some((covered, _)), Some(carried)) = (covered.clone(), &manifest.snapshot) {
        let content = Content::new(txn, thread, covered)?;
        pieces = carried.pieces;
        carried.seal(thread, content, |piece| car.write(&piece))?;
    }
    let mut order = ByTime::after(txn, thread, covered.map(|(covered, _)| covered).as_ref())?;
    while let Some(place) = order.next(txn, thread)? {
        for block in chain::expect(txn, place)?.into_blocks()? {
            car.write(&block)?;
        }
        records += 1;
        progress(Progress {
            done: records,
            total: Some(total + more),
        });
    }
    if options.blobs {
        write_blobs(txn, thread, &mut car, (records, total + more), progress)?;
    }
    let bytes = car.position();
    car.finish()?;
    Ok(ExportReport {
        records,
        blobs: blobs.map_or(0, |blobs| blobs.blobs),
        blocks: 1 + pieces + 3 * records + more,
        bytes,
        root: *root.cid(),
    })
}

/// Writes the blobs behind so many records.
fn write_blobs(
    txn: &dyn ReadTxn,
    thread: &Thread,
    car: &mut CarWriter<impl Write>,
    (mut done, total): (u64, u64),
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let total = Some(total);
    carry::write(txn, thread.number, &mut |block| {
        done += 1;
        progress(Progress { done, total });
        car.write(block)
    })
}

/// Makes the content of the snapshot to carry once, to know its name and how long it is.
fn carry_snapshot(
    txn: &dyn ReadTxn,
    thread: &Thread,
    (covered, id): (&Covered, &Cid),
) -> Result<Carried> {
    snapshot::check(txn, thread, covered)?;
    let mut content = Content::new(txn, thread, covered.clone())?;
    let made = content.name()?;
    match made.0 == *id {
        true => Carried::new(txn, thread, made),
        false => Err(Error::unavailable(
            "what the thread begins with here cannot be given to others any more: some of it was purged",
        )
        .with("snapshot", id)),
    }
}

fn seal_keys(txn: &dyn ReadTxn, thread: &Thread, passphrase: &str) -> Result<ByteBuf> {
    let keys = CarriedKeys {
        name: thread.name.clone(),
        replica: ByteArray::new(*thread.replica.to_bytes()),
        read: thread
            .read
            .get()
            .map(|read| ByteArray::new(*read.to_bytes())),
        epochs: hand_epochs(&thread.all_later(txn)?, true),
    };
    let plain = Zeroizing::new(encode(&keys)?);
    let context = keys_context(&thread.id);
    let sealed = SealedSecret::seal(&plain, passphrase, &context, &mut **thread.node.rng())?;
    Ok(ByteBuf::from(sealed.encode()?))
}

/// The next record of a line.
#[derive(Clone, Copy)]
struct Next {
    /// What puts it before others: its time, log, sequence number and, on a branch, its CID.
    order: (Hlc, LogId, u64, Option<Cid>),
    place: Place,
    /// The sequence number of the line's last record.
    last: u64,
    /// The record that a branch is off, until that was given.
    after: Option<Place>,
}

/// The records of a thread in the order of events, (time, log id, sequence number): the order in
/// which a reader applies them without going back. A branch of a forked log comes after what it
/// branches off. Of what the thread [begins](crate::base) with here there are none.
pub(crate) struct ByTime {
    /// The next record of each line that has one.
    next: Vec<Next>,
}

impl ByTime {
    pub(crate) fn new(txn: &dyn ReadTxn, thread: &Thread) -> Result<Self> {
        let base = Base::get(txn, thread.number)?;
        Self::after(txn, thread, base.map(|base| base.covered).as_ref())
    }

    /// The same of those that are not covered.
    fn after(txn: &dyn ReadTxn, thread: &Thread, covered: Option<&Covered>) -> Result<Self> {
        let mut next = Vec::new();
        for (line, head) in line::all(txn, thread)? {
            let last = covered.map_or(0, |covered| covered.last(line.number));
            let first = line.first.max(last + 1);
            if first > head.seq {
                continue;
            }
            let place = line.place(thread.number, first);
            let (time, cid) = time_of(txn, thread, place, Hlc::ZERO)?;
            let cid = line.parent.map(|_| cid);
            let after = match line.first {
                1 => None,
                _ if first > line.first => None,
                first => Some(line::ancestor(txn, place, first - 1)?),
            };
            next.push(Next {
                order: (time, line.log, first, cid),
                place,
                last: head.seq,
                after,
            });
        }
        Ok(Self { next })
    }

    /// The place of the next record, and a step forward.
    pub(crate) fn next(&mut self, txn: &dyn ReadTxn, thread: &Thread) -> Result<Option<Place>> {
        let entries = self.next.iter().enumerate();
        // Of some records the time is not known here: a branch comes after what it is off all the same.
        let earliest = entries.min_by_key(|(_, next)| (next.after.is_some(), next.order));
        let Some((index, next)) = earliest.map(|(index, next)| (index, *next)) else {
            return Ok(None);
        };
        for other in &mut self.next {
            other.after = other.after.filter(|after| *after != next.place);
        }
        if next.place.seq == next.last {
            self.next.swap_remove(index);
            return Ok(Some(next.place));
        }
        let seq = next.place.seq + 1;
        let place = Place { seq, ..next.place };
        let (before, log, _, branch) = next.order;
        // With one line there is nothing to compare.
        let order = match self.next.len() {
            1 => (Hlc::ZERO, log, seq, branch),
            _ => {
                let (time, cid) = time_of(txn, thread, place, before)?;
                (time, log, seq, branch.map(|_| cid))
            }
        };
        self.next[index] = Next {
            order,
            place,
            ..next
        };
        Ok(Some(next.place))
    }
}

/// The time of a record, and its CID. One that was purged has that of the one before it.
fn time_of(txn: &dyn ReadTxn, thread: &Thread, place: Place, before: Hlc) -> Result<(Hlc, Cid)> {
    let blocks = chain::expect(txn, place)?;
    if blocks.is_emptied() {
        return Ok((before, blocks.record_id()));
    }
    let time = match thread.is_blind() {
        // It knows the times of access records alone: by those a branch would come before what it is off.
        true => Hlc::ZERO,
        false => thread.time(&blocks)?,
    };
    Ok((time, blocks.record_id()))
}

/// Writes what is covered as a snapshot that may not be signed.
#[cfg(test)]
pub(crate) fn write_covered(
    db: &Db,
    to: (impl Write, &ExportOptions),
    covered: (Covered, Cid),
) -> Result<ExportReport> {
    let thread = db.thread();
    let txn = thread.node.store.read()?;
    write(&*txn, thread, to, Some(covered), &mut |_| ())
}
