//! Snapshots: the state of a thread, with the records it stands for, under one name that peers sign.
//!
//! What a snapshot says ([`content`]) follows from the records it covers alone, so that every peer that has these
//! makes the same bytes, and signs for the same name if it finds them right. Who signs says so in the thread, as
//! an entity of `$snapshots`: it is signed by being in a record of the signer's log.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use threads_core::codec::EntityState;
use threads_core::datastore::{Datastore, Direction, Keyspace, ReadTxn};
use threads_core::record::Dep;
use threads_core::{Cid, Error, ErrorKind, LogId, PeerId, Result};

use crate::base;
use crate::catalogue::{self, Catalogue};
use crate::db::Db;
use crate::history::{self, Events};
use crate::layout::{self, Prefix};
use crate::thread::Thread;

mod carry;
mod content;
mod cover;
mod covered;
mod make;
mod open;
#[cfg(test)]
mod tests;

pub(crate) use carry::Carried;
pub(crate) use cover::{check, covered_until, is_as_it_was, kept_here};
use cover::{covered_by, frontier_now};
pub(crate) use covered::Covered;
pub(crate) use make::{Content, life};
pub(crate) use open::open;

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
    /// Who signed that this is the state. Each of them may lie; that all of them do is less likely.
    pub signers: Vec<PeerId>,
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
    /// Makes a snapshot of what is here now, and signs it in a record of its own. Nothing is kept of it but its
    /// name: its content is made again from the records whenever somebody needs it.
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
        let made = {
            let txn = self.thread().node.store.read()?;
            let frontier = frontier_now(&*txn, self.thread())?;
            make(&*txn, self.thread(), &frontier)?
        };
        self.sign(made)
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
        let known = self.signed_snapshot(id)?;
        let txn = self.thread().node.store.read()?;
        match make(&*txn, self.thread(), &known.frontier) {
            Ok(made) if made.id == *id => Ok(SnapshotCheck::Agrees),
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
        match self.check_snapshot(id)? {
            SnapshotCheck::Agrees => self.sign(self.signed_snapshot(id)?),
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

    pub(crate) fn signed_snapshot(&self, id: &Cid) -> Result<Snapshot> {
        let known = self.snapshots()?;
        let known = known.into_iter().find(|snapshot| snapshot.id == *id);
        known.ok_or_else(|| {
            Error::not_found("nobody signed a snapshot of this name: list them")
                .with("snapshot", id)
        })
    }

    /// Says in the thread that this is its state, unless this node said so before.
    fn sign(&self, mut snapshot: Snapshot) -> Result<Snapshot> {
        let peer = self.node().peer_id();
        if snapshot.frontier.len() > LOGS_MAX {
            return Err(
                Error::unsupported("the thread has too many logs for a snapshot")
                    .with("most", LOGS_MAX),
            );
        }
        let id = snapshot.id;
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
        };
        self.write(|txn| txn.save_reserved(SNAPSHOTS, &entity.id, &entity).map(drop))?;
        let known = self.snapshots()?;
        let known = known.into_iter().find(|known| known.id == id);
        snapshot.signers = known.map_or_else(Vec::new, |known| known.signers);
        Ok(snapshot)
    }
}

/// Makes a snapshot that covers a frontier, and throws away what it says.
fn make(txn: &dyn ReadTxn, thread: &Thread, frontier: &[Dep]) -> Result<Snapshot> {
    make_of(txn, thread, covered_by(txn, thread, frontier)?)
}

fn make_of(txn: &dyn ReadTxn, thread: &Thread, covered: Covered) -> Result<Snapshot> {
    check(txn, thread, &covered)?;
    let mut content = Content::new(txn, thread, covered)?;
    let (id, bytes) = content.name()?;
    let [_, records, entities] = content.counts();
    Ok(Snapshot {
        id,
        frontier: content.frontier(),
        entities,
        records,
        bytes,
        signers: Vec::new(),
    })
}

/// The snapshots that somebody signed.
pub(crate) fn signed(txn: &dyn ReadTxn, thread: &Thread) -> Result<Vec<Snapshot>> {
    let catalogue = Catalogue::framework(txn, thread.number)?;
    let Some(definition) = catalogue.find(&catalogue::reserved(SNAPSHOTS)) else {
        return Ok(Vec::new());
    };
    let prefix = layout::collection_prefix(thread.number, definition.number);
    let bounds = Prefix::new(&prefix);
    // Of one name there is more than one only where somebody lies about what it covers.
    let mut found: BTreeMap<(Cid, Vec<Dep>), (Snapshot, BTreeSet<PeerId>)> = BTreeMap::new();
    for row in txn.scan(Keyspace::Entities, bounds.range(), Direction::Forward)? {
        let (key, _) = row?;
        let id = layout::entity_id(&key, prefix.len())?;
        let Some((author, state)) = said(txn, thread, &key, id.as_str())? else {
            continue;
        };
        let snapshot = read(definition, &state, id.as_str())?;
        let is_its = |snapshot: &Snapshot| id.as_str() == format!("{}.{author}", snapshot.id);
        let Some(snapshot) = snapshot.filter(is_its) else {
            continue;
        };
        let key = (snapshot.id, snapshot.frontier.clone());
        let (_, signers) = found
            .entry(key)
            .or_insert_with(|| (snapshot, BTreeSet::new()));
        signers.insert(author);
    }
    let mut snapshots: Vec<_> = found
        .into_values()
        .map(|(snapshot, signers)| Snapshot {
            signers: signers.into_iter().collect(),
            ..snapshot
        })
        .collect();
    let covers = |snapshot: &Snapshot| snapshot.frontier.iter().map(|dep| dep.seq).sum::<u64>();
    snapshots.sort_by_key(|snapshot| (std::cmp::Reverse(covers(snapshot)), snapshot.id));
    Ok(snapshots)
}

/// What the peer said last in an entity whom its id names. What others write there counts for nothing, and takes
/// nothing away.
fn said(
    txn: &dyn ReadTxn,
    thread: &Thread,
    key: &[u8],
    id: &str,
) -> Result<Option<(PeerId, EntityState)>> {
    let peer = id.rsplit_once('.').and_then(|(_, peer)| peer.parse().ok());
    let Some(peer) = peer else { return Ok(None) };
    let mut events = Events::new(txn, thread);
    let rows = history::rows(txn, thread, &[key, &[0]].concat())?;
    for row in rows.iter().rev() {
        if thread.author(txn, row.place.log)? == Some(peer) {
            // Of this codec an event is the state that it gives.
            let event = events.event(&row.place)?;
            return Ok(Some((peer, EntityState::new(event.payload))));
        }
    }
    let Some(begins) = base::of_entity(txn, thread.number, key)? else {
        return Ok(None);
    };
    let its = thread.author(txn, begins.last.log)? == Some(peer);
    let state = begins.life.state().filter(|_| its).cloned();
    Ok(state.map(|state| (peer, state)))
}

/// What an entity says, unless it makes no sense.
fn read(
    definition: &catalogue::Definition,
    state: &EntityState,
    id: &str,
) -> Result<Option<Snapshot>> {
    use threads_core::codec::EventCodecExt;
    let Ok(mut value) = definition.codec.value(state) else {
        return Ok(None);
    };
    if let Some(members) = value.as_object_mut() {
        members.insert("_id".to_owned(), id.into());
    }
    let Ok(entity) = serde_json::from_value::<SignedEntity>(value) else {
        return Ok(None);
    };
    let dep = |(log, seq, cid): (LogId, u64, String)| {
        let cid = cid.parse().ok()?;
        Some(Dep { log, seq, cid })
    };
    let frontier: Option<Vec<_>> = entity.logs.into_iter().map(dep).collect();
    let (Some(frontier), Ok(name)) = (frontier, entity.snapshot.parse()) else {
        return Ok(None);
    };
    Ok(Some(Snapshot {
        id: name,
        frontier,
        entities: entity.entities,
        records: entity.records,
        bytes: entity.bytes,
        signers: Vec::new(),
    }))
}
