//! Snapshots: the state of a thread, with the records it stands for, under one name that peers sign.
//!
//! What a snapshot says ([`content`]) follows from the records it covers alone, so that every peer that has these
//! makes the same bytes, and signs for the same name if it finds them right. Who signs says so in the thread, as
//! an entity of `$snapshots`: it is signed by being in a record of the signer's log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use threads_core::blob::BlobRef;
use threads_core::datastore::{Datastore, ReadTxn};
use threads_core::record::Dep;
use threads_core::{Cid, Error, ErrorKind, LogId, PeerId, Result};

use crate::compact;
use crate::db::Db;
use crate::thread::Thread;

mod carry;
mod content;
mod cover;
mod covered;
mod make;
mod open;
mod search;
mod seek;
mod shared;
mod signed;
mod stored;
#[cfg(test)]
mod tests;
mod trust;
#[cfg(test)]
mod vectors;
mod word;

pub(crate) use carry::Carried;
use content::{Name, Reader};
use cover::covered_by;
pub(crate) use cover::{check, covered_until, is_as_it_was, kept_here, latest_access};
pub(crate) use covered::{Apart, Covered};
pub(crate) use make::{Content, life};
pub(crate) use open::open;
pub use seek::{FromSnapshot, NotOpened, SnapshotTrust, TRUSTED_MAX};
pub(crate) use seek::{Seek, is_sought, sought_content};
pub(crate) use signed::{rows, signed};
pub(crate) use stored::kept_blobs;
pub(crate) use trust::vouched;
pub(crate) use word::{SIGNERS_MAX, Word, forget as forget_words};

/// The reserved collection of who signed which snapshot.
pub(crate) const SNAPSHOTS: &str = "$snapshots";
/// The most logs of a thread of which there are snapshots: who signs names all of them in one record.
const LOGS_MAX: usize = 4_096;

/// An entity of `$snapshots`; its id is the snapshot's name and the signer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SignedEntity {
    #[serde(rename = "_id")]
    id: String,
    snapshot: String,
    logs: Vec<(LogId, u64, String)>,
    entities: u64,
    records: u64,
    bytes: u64,
    /// How many of the records that it covers were purged where it was signed.
    #[serde(default, skip_serializing_if = "is_zero")]
    emptied: u64,
    /// The blob that has its content, where its signer keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<BlobRef>,
}

// As serde asks for it.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A snapshot of a thread: what was true once these records were known, and who signed for that.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// let snapshot = db.snapshot().unwrap();
/// assert_eq!(db.snapshots().unwrap(), [snapshot.clone()]);
/// assert_eq!(snapshot.signers, [node.peer_id()]);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Its name: the CID of all that it says.
    #[serde(serialize_with = "crate::text::display")]
    pub id: Cid,
    /// The last record of each log that it covers: all up to these are in it.
    #[serde(serialize_with = "frontier")]
    pub frontier: Vec<Dep>,
    /// How many entities it has, the framework's own and those that were deleted among them.
    pub entities: u64,
    /// How many records it carries, as they stay needed.
    pub records: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// How many of the records that it covers were purged where it was signed, as its signers say: what these said is
    /// not in it, nor what quarantined ones among them were.
    pub emptied: u64,
    /// Who signed that this is the state. Each of them may lie; that all of them do is less likely.
    pub signers: Vec<PeerId>,
    /// The blobs that hold its content, by who signed for each and keeps it. Under one read key they are one.
    #[serde(skip)]
    pub(crate) contents: BTreeMap<PeerId, BlobRef>,
}

impl Snapshot {
    /// How many records it stands for, as its signers say, who may say any number: at most `u64::MAX`.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert_eq!(db.snapshot().unwrap().covers(), 2);
    /// ```
    pub fn covers(&self) -> u64 {
        let last = self.frontier.iter().map(|dep| dep.seq);
        last.fold(0, u64::saturating_add)
    }
}

fn frontier<S: serde::Serializer>(deps: &[Dep], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        deps.iter()
            .map(|dep| (dep.log, dep.seq, dep.cid.to_string())),
    )
}

/// What this node finds of a snapshot when it makes it again from its own records.
///
/// ```
#[doc = include_str!("../doc/example_read.txt")]
/// use threads_db::SnapshotCheck;
/// let snapshot = db.snapshot().unwrap();
/// assert_eq!(db.check_snapshot(&snapshot.id).unwrap(), SnapshotCheck::Agrees);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotCheck {
    /// It is what the records give.
    Agrees,
    /// It is not: those who signed it lie, or have codecs that differ. This is what the records give.
    Differs(#[serde(serialize_with = "crate::text::display")] Cid),
    /// Nobody can tell here, for this reason: records that it covers are missing, say.
    Unknown(String),
}

impl Db {
    /// Makes a snapshot of what is here now, and signs it in a record of its own. Its content is kept as a
    /// [blob](Db::blobs), sealed, for peers that [begin with it](crate::JoinOptions) and replicas that keep what they
    /// cannot read: that of the newest two, and older ones of this node are cleared here, unless something names them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] in a thread of which a log was forked, of which this node can read nothing, or
    /// with entities whose codec is not installed; [`ErrorKind::Unavailable`] while records are here that could
    /// not be read or applied yet; and those of a commit.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let snapshot = db.snapshot().unwrap();
    /// assert_eq!((snapshot.frontier.len(), snapshot.frontier[0].seq), (1, 2));
    /// ```
    pub fn snapshot(&self) -> Result<Snapshot> {
        let covered = covered_until(&*self.thread().node.store.read()?, self.thread(), None)?;
        self.keep_covered(covered)
    }

    /// The snapshots of this thread that somebody signed, those that cover most first.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// assert!(db.snapshots().unwrap().is_empty());
    /// ```
    pub fn snapshots(&self) -> Result<Vec<Snapshot>> {
        signed(&*self.thread().node.store.read()?, self.thread())
    }

    /// Makes a snapshot that others signed again from the records that are here, and says whether it is the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when nobody signed a snapshot of this name; those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let other = db.log(Some(1)).unwrap()[0].record;
    /// assert!(db.check_snapshot(&other).is_err(), "that is no snapshot");
    /// ```
    pub fn check_snapshot(&self, id: &Cid) -> Result<SnapshotCheck> {
        self.checked(id).map(|(check, _)| check)
    }

    /// The same, with the one that it is about: of one name there is more than one where somebody lies about what it
    /// covers, and if one is right, those who signed that do not lie.
    fn checked(&self, id: &Cid) -> Result<(SnapshotCheck, Snapshot)> {
        let mut found: Option<(SnapshotCheck, Snapshot)> = None;
        let known = self.snapshots()?.into_iter();
        for known in known.filter(|known| known.id == *id) {
            let check = self.check_one(&known)?;
            let better = match (&check, &found) {
                (SnapshotCheck::Agrees, _) => return Ok((check, known)),
                (_, None) => true,
                (_, Some((found, _))) => matches!(found, SnapshotCheck::Differs(_)),
            };
            if better {
                found = Some((check, known));
            }
        }
        found.ok_or_else(|| unsigned(id))
    }

    fn check_one(&self, known: &Snapshot) -> Result<SnapshotCheck> {
        let txn = self.thread().node.store.read()?;
        let purged = "some of what it covers was purged, here or where it was signed, so that it cannot be made again";
        match make(&*txn, self.thread(), &known.frontier) {
            Ok(made) if made.id == known.id => Ok(SnapshotCheck::Agrees),
            // Whoever purged something finds another name than who did not, and neither of them lies.
            Ok(made) if made.emptied > 0 || known.emptied > 0 => {
                Ok(SnapshotCheck::Unknown(purged.to_owned()))
            }
            Ok(made) => Ok(SnapshotCheck::Differs(made.id)),
            Err(error) => match error.kind() {
                ErrorKind::Unavailable | ErrorKind::Unsupported | ErrorKind::Rejected => {
                    Ok(SnapshotCheck::Unknown(error.to_string()))
                }
                _ => Err(error),
            },
        }
    }

    /// Signs a snapshot that others signed, once this node has found the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when the records that are here give another state,
    /// [`ErrorKind::Unavailable`] when that cannot be told; those of
    /// [`Db::check_snapshot`] and of a commit.
    ///
    /// ```
    #[doc = include_str!("../doc/example_read.txt")]
    /// let snapshot = db.snapshot().unwrap();
    /// assert_eq!(db.sign_snapshot(&snapshot.id).unwrap(), snapshot, "it is signed already");
    /// ```
    pub fn sign_snapshot(&self, id: &Cid) -> Result<Snapshot> {
        let (check, known) = self.checked(id)?;
        match check {
            SnapshotCheck::Agrees => self.keep_and_sign(&known.frontier),
            SnapshotCheck::Differs(ours) => Err(Error::conflict(
                "the records that are here give another state than this snapshot: do not trust who signed it",
            )
            .with("snapshot", id)
            .with("ours", ours)),
            SnapshotCheck::Unknown(why) => Err(Error::unavailable(
                "whether this snapshot is right cannot be told here yet",
            )
            .with("why", why)),
        }
    }

    /// Signs a snapshot of what is to be covered; gives its name.
    pub(crate) fn sign_covered(&self, covered: &Covered) -> Result<Cid> {
        let made = {
            let txn = self.thread().node.store.read()?;
            make_of(&*txn, self.thread(), covered.clone())?
        };
        self.sign(made).map(|snapshot| snapshot.id)
    }

    /// The same, and keeps its content for others.
    pub(crate) fn keep_covered(&self, covered: Covered) -> Result<Snapshot> {
        let (made, content) = {
            let txn = self.thread().node.store.read()?;
            stored::make_and_keep(&*txn, self, covered)?
        };
        let signed = self.sign_kept(made, Some(content.clone()))?;
        self.tell_of(signed.id, &content)?;
        Ok(signed)
    }

    /// The same of what is up to these records.
    fn keep_and_sign(&self, frontier: &[Dep]) -> Result<Snapshot> {
        let covered = covered_by(&*self.thread().node.store.read()?, self.thread(), frontier)?;
        self.keep_covered(covered)
    }

    /// Says in the thread that this is its state, unless this node said so before.
    fn sign(&self, snapshot: Snapshot) -> Result<Snapshot> {
        self.sign_kept(snapshot, None)
    }

    /// The same of one whose content is kept, if it is.
    fn sign_kept(&self, mut snapshot: Snapshot, content: Option<BlobRef>) -> Result<Snapshot> {
        let peer = self.node().peer_id();
        if snapshot.frontier.len() > LOGS_MAX {
            return Err(
                Error::unsupported("the thread has too many logs for a snapshot")
                    .with("most", LOGS_MAX),
            );
        }
        let id = snapshot.id;
        let content = match content {
            Some(content) => Some(content),
            // It may be kept since it was signed before.
            None => {
                let known = self.snapshots()?;
                let mut known = known.into_iter().filter(|known| known.id == id);
                known.find_map(|mut known| known.contents.remove(&peer))
            }
        };
        let logs = snapshot.frontier.iter();
        let entity = SignedEntity {
            id: format!("{id}.{peer}"),
            snapshot: id.to_string(),
            logs: logs
                .map(|dep| (dep.log, dep.seq, dep.cid.to_string()))
                .collect(),
            entities: snapshot.entities,
            records: snapshot.records,
            bytes: snapshot.bytes,
            emptied: snapshot.emptied,
            content,
        };
        self.write(|txn| txn.save_reserved(SNAPSHOTS, &entity.id, &entity).map(drop))?;
        let known = self.snapshots()?;
        let is_it = |known: &Snapshot| (known.id, &known.frontier) == (id, &snapshot.frontier);
        if let Some(known) = known.into_iter().find(is_it) {
            (snapshot.signers, snapshot.contents) = (known.signers, known.contents);
        }
        Ok(snapshot)
    }
}

fn unsigned(id: &Cid) -> Error {
    Error::not_found("nobody signed a snapshot of this name: list them").with("snapshot", id)
}

/// The name that content has.
pub(crate) fn name_of(content: &[u8]) -> Cid {
    let mut name = Name::default();
    name.update(content);
    name.finish().0
}

/// The items of content as bytes again.
pub(crate) fn recode(content: &[u8]) -> Result<Vec<u8>> {
    let (mut reader, mut bytes) = (Reader::new(content), Vec::new());
    // Ends: each turn reads some of what is finite.
    while let Some(item) = reader.next()? {
        bytes.extend(item.encode()?);
    }
    Ok(bytes)
}

/// The content of a snapshot of what is here now.
pub(crate) fn content_now(thread: &Thread) -> Result<Vec<u8>> {
    let txn = thread.node.store.read()?;
    let covered = covered_until(&*txn, thread, None)?;
    check(&*txn, thread, &covered)?;
    let (mut content, mut bytes) = (Content::new(&*txn, thread, covered)?, Vec::new());
    // Ends: each turn gets on among the items.
    while let Some(item) = content.next()? {
        bytes.extend(item.encode()?);
    }
    Ok(bytes)
}

/// Makes a snapshot that covers a frontier, and throws away what it says.
fn make(txn: &dyn ReadTxn, thread: &Thread, frontier: &[Dep]) -> Result<Snapshot> {
    make_of(txn, thread, covered_by(txn, thread, frontier)?)
}

fn make_of(txn: &dyn ReadTxn, thread: &Thread, covered: Covered) -> Result<Snapshot> {
    check(txn, thread, &covered)?;
    let emptied = emptied_of(txn, thread, &covered)?;
    let mut content = Content::new(txn, thread, covered)?;
    let name = content.name()?;
    Ok(made(&content, name, emptied))
}

/// How many of the records that are covered were purged here.
fn emptied_of(txn: &dyn ReadTxn, thread: &Thread, covered: &Covered) -> Result<u64> {
    let emptied = compact::emptied(txn, thread)?;
    let is_covered = |(log, seq): &&(u32, u64)| *seq <= covered.last(*log);
    Ok(emptied.iter().filter(is_covered).count() as u64)
}

/// The snapshot whose content was made to its end, which nobody has signed yet.
fn made(content: &Content<'_>, (id, bytes): (Cid, u64), emptied: u64) -> Snapshot {
    let [_, records, entities] = content.counts();
    Snapshot {
        id,
        frontier: content.frontier(),
        entities,
        records,
        bytes,
        emptied,
        signers: Vec::new(),
        contents: BTreeMap::new(),
    }
}
