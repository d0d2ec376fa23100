//! Where a thread stands, here and with its peers: from counters that peers sent, and from nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use threads_core::datastore::Datastore;
use threads_core::{Cid, LogId, PeerId, Result};

use super::overheard::{self, Announced};
use super::shares;
use super::short::{self, Dropped};
use super::standing::{self, FailedCheck};
use super::wire::Frontier;
use crate::access::{self, Removal};
use crate::db::Db;
use crate::held::{self, HeldCounts};
use crate::line;
use crate::purge::{self, EmptiedCounts};
use crate::snapshot::{FromSnapshot, Seek};

/// Where a thread stands.
///
/// ```
#[doc = include_str!("../../doc/example_read.txt")]
/// let status = db.sync_status().unwrap();
/// assert_eq!((status.logs.len(), status.peers.len()), (1, 0));
/// assert!(!status.is_in_sync(), "there is nobody to agree with");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SyncStatus {
    /// The logs that are here or that a peer says it has.
    pub logs: Vec<LogStatus>,
    /// The peers that share the thread.
    pub peers: Vec<PeerStatus>,
    /// Records that are here and not applied.
    pub held: HeldCounts,
    /// Records of which only the sealed record is here: those that were purged, and those that somebody handed
    /// on without what they said.
    pub emptied: EmptiedCounts,
    /// By whose word this node has no part in the thread any more, if so: see [`Db::removal`].
    pub removed: Option<Removal>,
    /// Epochs of which records came that no keys here open, some of them: somebody who may change the rules
    /// has given their keys to others, and not to this node.
    pub locked: Vec<u64>,
    /// Why what this node does for the rules by itself could not be done when records last came, if so: root's
    /// checkpoint, or new keys. It is tried again with the next ones; see [`Db::attend_access`].
    pub unattended: Option<String>,
    /// How far it is with the snapshot that the thread was to begin with here, if it was: see
    /// [`JoinOptions`](crate::JoinOptions).
    pub from_snapshot: Option<FromSnapshot>,
}

/// Where one log stands.
///
/// ```
/// fn line(log: &threads_db::sync::LogStatus) -> String { format!("{}: {}", log.log, log.have) }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogStatus {
    /// The log.
    pub log: LogId,
    /// Of a branch of a log that was forked, the CID of its first record; see [`Db::forks`]. What comes
    /// before a fork is the log itself.
    #[serde(serialize_with = "crate::text::optional")]
    pub branch: Option<Cid>,
    /// Who writes it, where that is known.
    pub author: Option<PeerId>,
    /// The number of its last record that is here; there are all before it.
    pub have: u64,
    /// The number of the last one that each peer said it has on its disk; none for a peer that said
    /// nothing.
    pub acked: BTreeMap<PeerId, u64>,
    /// How many of them each peer signed for. Only for logs that this node writes; whether its word
    /// counts is in [`PeerStatus::failed_check`].
    pub signed: BTreeMap<PeerId, u64>,
}

/// Where one peer stands.
///
/// ```
/// fn done(peer: &threads_db::sync::PeerStatus) -> bool { peer.lacks == 0 && peer.missing == 0 }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerStatus {
    /// The peer.
    pub peer: PeerId,
    /// When it was last heard of the thread, in milliseconds since 1970; none if never.
    pub last_contact_ms: Option<u64>,
    /// How many records that are here it has not acknowledged.
    pub lacks: u64,
    /// How many records that it said it has are not here.
    pub missing: u64,
    /// What it announced last, to all who take part, and is not here: a hint. It counts for nothing
    /// before the peer has said the same to this node itself.
    pub announced: Option<Announced>,
    /// Whether it said last that it takes no more: it keeps what it acknowledged, and has used up its room
    /// for threads of others.
    pub full: bool,
    /// What it said that it dropped of what is not here, if so. It gives none of that; another peer may, or its
    /// snapshot stands for it.
    pub dropped: Option<Dropped>,
    /// When it last showed a record that it had signed for, in milliseconds since 1970; none if it
    /// never did.
    pub shown_ms: Option<u64>,
    /// What it signed for and could not show. Its receipts count for nothing until it shows it.
    pub failed_check: Option<FailedCheck>,
}

impl PeerStatus {
    /// Whether the two have the same records, as far as the peer said. False for one that never said
    /// anything.
    ///
    /// ```
    /// fn tell(peer: &threads_db::sync::PeerStatus) -> &str {
    ///     if peer.is_level() { "has it all" } else { "is behind, or ahead" }
    /// }
    /// ```
    pub fn is_level(&self) -> bool {
        self.last_contact_ms.is_some() && self.lacks == 0 && self.missing == 0
    }
}

impl SyncStatus {
    /// Whether every peer that shares the thread has said that it has the same records, and nothing
    /// is held back here, nor was handed on without what it said.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// assert!(!db.sync_status().unwrap().is_in_sync());
    /// ```
    pub fn is_in_sync(&self) -> bool {
        let level = self.peers.iter().all(PeerStatus::is_level);
        let whole = self.held.pending == 0 && self.emptied.stripped == 0;
        !self.peers.is_empty() && level && whole
    }
}

impl Db {
    /// Where this thread stands, here and with its peers. Nothing in it is an estimate: what peers
    /// have is what they said they have on their disks.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_read.txt")]
    /// let peer = threads_core::PeerId::from_key_bytes([1; 32]);
    /// db.share_with(&peer).unwrap();
    /// let status = db.sync_status().unwrap();
    /// assert_eq!(status.peers[0].lacks, 2, "the definition and bob");
    /// assert!(!status.peers[0].is_level());
    /// ```
    pub fn sync_status(&self) -> Result<SyncStatus> {
        let thread = self.thread();
        let (txn, now_ms) = (thread.node.store.read()?, thread.node.clock.now_ms());
        let lines: BTreeMap<_, _> = line::all(&*txn, thread)?
            .into_iter()
            .map(|(line, head)| (line.id, (line, head.seq)))
            .collect();
        let have: BTreeMap<LogId, u64> = lines.iter().map(|(id, (_, seq))| (*id, *seq)).collect();
        let (mut acked, mut signed) = (BTreeMap::new(), BTreeMap::new());
        for peer in shares::of_thread(&*txn, thread.number)? {
            acked.insert(peer, shares::acked(&*txn, thread.number, &peer)?);
            let receipts = standing::receipts(&*txn, thread.number, &peer)?.into_iter();
            let by_log = receipts.map(|receipt| (receipt.log(), receipt.seq()));
            signed.insert(peer, by_log.collect());
        }
        let mut known: BTreeSet<LogId> = have.keys().copied().collect();
        known.extend(acked.values().flat_map(BTreeMap::keys));
        let mut logs = Vec::new();
        for id in known {
            let of_line = |all: &BTreeMap<PeerId, Frontier>| {
                let of = |(peer, of_peer): (&PeerId, &Frontier)| Some((*peer, *of_peer.get(&id)?));
                all.iter().filter_map(of).collect()
            };
            let line = lines.get(&id).map(|(line, _)| line);
            logs.push(LogStatus {
                log: line.map_or(id, |line| line.log),
                branch: match line {
                    Some(line) => line.branch(&*txn, thread.number)?,
                    None => None,
                },
                author: thread.author_of(&*txn, &id)?,
                have: have.get(&id).copied().unwrap_or(0),
                acked: of_line(&acked),
                signed: of_line(&signed),
            });
        }
        // A branch begins where its log was forked.
        let before = |id: &LogId| lines.get(id).map_or(0, |(line, _)| line.first - 1);
        let peers = acked.iter().map(|(peer, acked)| {
            let gap = |a: &BTreeMap<LogId, u64>, b: &BTreeMap<LogId, u64>| {
                let known = |id| b.get(id).copied().unwrap_or(0).max(before(id));
                let more = a.iter().map(|(id, seq)| seq.saturating_sub(known(id)));
                more.fold(0, u64::saturating_add)
            };
            let checked = standing::checked(&*txn, thread.number, peer)?;
            let announced = overheard::latest(&*txn, thread.number, peer, now_ms)?;
            let here = |log: &LogId| have.get(log).copied().unwrap_or(0);
            Ok(PeerStatus {
                peer: *peer,
                last_contact_ms: shares::last_contact(&*txn, thread.number, peer)?,
                lacks: gap(&have, acked),
                missing: gap(acked, &have),
                announced: announced.filter(|news| here(&news.log) < news.seq),
                full: shares::is_full(&*txn, thread.number, peer)?,
                dropped: short::dropped(&*txn, thread.number, peer, |log, last| here(log) < last)?,
                shown_ms: checked.shown_ms,
                failed_check: checked.failed,
            })
        });
        Ok(SyncStatus {
            logs,
            peers: peers.collect::<Result<_>>()?,
            held: held::counts(&*txn, thread.number)?,
            emptied: purge::counts(&*txn, thread)?,
            removed: access::removal(&*txn, thread)?,
            locked: thread.locked(&*txn)?,
            unattended: thread.unattended(),
            from_snapshot: Seek::get(&*txn, thread.number)?.map(|seek| seek.status()),
        })
    }
}
