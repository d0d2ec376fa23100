//! A thread that is to begin with a snapshot that peers have: who must have signed it, and how far that is.
//!
//! While it is sought no records are taken in, as a snapshot opens a thread that holds none. It is opened by what
//! its signers signed for. Where something is wrong with one, another is tried; when none is left the search ends, and the
//! thread is synced as any other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use threads_core::access::Role;
use threads_core::blob::BlobRef;
use threads_core::block;
use threads_core::datastore::{Keyspace, ReadTxn, WriteTxn};
use threads_core::{Cid, Error, PeerId, Result};

use super::word;
use crate::layout::{Number, meta};
use crate::thread::Thread;

/// The most peers whose signatures a newcomer counts.
pub const TRUSTED_MAX: usize = 64;
/// How long a fit snapshot is looked for while peers are connected of whom any is trusted, and while none is, and how long
/// its content may stand still, in milliseconds.
const LOOK_MS_MAX: u64 = 10_000;
const LOOK_ELSEWHERE_MS_MAX: u64 = 60_000;
const STALL_MS_MAX: u64 = 60_000;
/// How many contents are tried, of all that those who are trusted signed for.
pub(super) const TRIES_MAX: usize = 16;
/// The largest content that is got, in bytes.
pub(super) const CONTENT_BYTES_MAX: u64 = 64 << 30;
/// How often opening it is begun, if it is cut short.
const ATTEMPTS_MAX: u64 = 3;

/// Whose word a newcomer takes for the state of a thread, in place of all its records.
///
/// ```
/// use threads_core::PeerId;
/// use threads_db::SnapshotTrust;
/// let admins = [1, 2, 3].map(|n| PeerId::from_key_bytes([n; 32]));
/// let two_of_them = SnapshotTrust::peers(admins).at_least(2);
/// assert_ne!(two_of_them, SnapshotTrust::inviter());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTrust {
    trusted: Vec<PeerId>,
    signers_min: u64,
}

impl SnapshotTrust {
    /// That of who invited: it gave the keys, so it might as well have made the thread up.
    ///
    /// ```
    /// assert_eq!(threads_db::SnapshotTrust::inviter(), threads_db::SnapshotTrust::inviter().at_least(1));
    /// ```
    pub fn inviter() -> Self {
        Self::peers([])
    }

    /// That of one of these peers, at most [`TRUSTED_MAX`]; of who invited, if there is none.
    ///
    /// ```
    /// let none = threads_db::SnapshotTrust::peers([]);
    /// assert_eq!(none, threads_db::SnapshotTrust::inviter());
    /// ```
    pub fn peers(trusted: impl IntoIterator<Item = PeerId>) -> Self {
        let mut trusted: Vec<_> = trusted.into_iter().collect();
        trusted.sort();
        trusted.dedup();
        Self {
            trusted,
            signers_min: 1,
        }
    }

    /// So many of them have to say the same.
    ///
    /// ```
    /// use threads_db::SnapshotTrust;
    /// assert_ne!(SnapshotTrust::inviter().at_least(2), SnapshotTrust::inviter());
    /// ```
    #[must_use]
    pub fn at_least(self, signers: usize) -> Self {
        let signers_min = signers as u64;
        Self {
            signers_min,
            ..self
        }
    }

    /// The same with who invited in place of nobody.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when no snapshot could ever do.
    pub(crate) fn of(mut self, inviter: PeerId) -> Result<Self> {
        if self.trusted.is_empty() {
            self.trusted.push(inviter);
        }
        let most = self.trusted.len().min(TRUSTED_MAX) as u64;
        if self.trusted.len() > TRUSTED_MAX || !(1..=most).contains(&self.signers_min) {
            return Err(Error::invalid(
                "of 1 to 64 trusted peers at least one has to sign a snapshot, and no more than there are",
            )
            .with("trusted", self.trusted.len())
            .with("signers", self.signers_min));
        }
        Ok(self)
    }
}

/// Why a thread was not opened from a snapshot, though that was asked for.
///
/// ```
/// assert!(threads_db::NotOpened::NoneOffered.to_string().contains("no snapshot"));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotOpened {
    /// No peer that was connected has one that those signed who are trusted.
    NoneOffered,
    /// The thread holds records already.
    HasRecords,
    /// Its content did not come.
    DidNotCome,
    /// It is larger than any that is got.
    TooLarge,
    /// It is not what was signed for, or is none, or too few of its signers may write.
    Refused,
}

impl std::fmt::Display for NotOpened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoneOffered => "no snapshot was offered that those signed who are trusted",
            Self::HasRecords => "the thread holds records already",
            Self::DidNotCome => "its content did not come",
            Self::TooLarge => "it is too large",
            Self::Refused => "it is not what it has to be",
        })
    }
}

/// How far a thread is that was to begin with a snapshot that peers have.
///
/// ```
/// fn done(from: &threads_db::FromSnapshot) -> bool {
///     matches!(from, threads_db::FromSnapshot::Opened { .. } | threads_db::FromSnapshot::Not { .. })
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum FromSnapshot {
    /// Peers are asked for one.
    Looking,
    /// It is on its way.
    Fetching {
        /// Which one.
        #[serde(serialize_with = "crate::text::display")]
        snapshot: Cid,
        /// How many bytes of it are missing, as far as that is known.
        missing: u64,
    },
    /// The thread begins with it.
    Opened {
        /// Which one.
        #[serde(serialize_with = "crate::text::display")]
        snapshot: Cid,
        /// Who of those that are trusted signed it.
        signers: Vec<PeerId>,
    },
    /// It does not: all records are got, as far as peers have them.
    Not {
        /// Which one it was, if there was one.
        #[serde(serialize_with = "crate::text::optional")]
        snapshot: Option<Cid>,
        /// Why it was not opened.
        why: NotOpened,
        /// The same in more words.
        detail: String,
    },
}

/// A snapshot that enough signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) snapshot: Cid,
    pub(super) signers: Vec<PeerId>,
    pub(super) content: BlobRef,
}

/// How far a search is, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// For so many milliseconds with peers who are trusted, and for so many with others alone.
    Looking(u64, u64),
    Fetching(Found, Progress),
    Opened(Cid, Vec<PeerId>),
    Not(NotOpened, Option<Cid>, String),
}

/// How a snapshot comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// How many blocks and bytes are missing.
    pub(super) left: (u64, u64),
    /// For how long nothing came, in milliseconds.
    pub(super) stalled_ms: u64,
    /// How often it was begun to be opened.
    pub(super) attempts: u64,
}

/// A search, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seek {
    pub(super) trust: SnapshotTrust,
    /// The role and the invite of this node, which it is to note as a member when the search has ended.
    pub(super) member: Option<(Role, Option<String>)>,
    pub(super) state: State,
    /// What was tried in vain: as which snapshot, and what it was kept as.
    pub(super) tried: Vec<(Cid, BlobRef)>,
}

/// What a snapshot is kept as by those who signed it.
#[derive(Default)]
struct Offer {
    signers: Vec<PeerId>,
    /// The newest word of it.
    seq: u64,
    contents: Vec<BlobRef>,
}

impl Seek {
    pub(crate) fn new(trust: SnapshotTrust, member: Option<(Role, Option<String>)>) -> Self {
        Self {
            trust,
            member,
            state: State::Looking(0, 0),
            tried: Vec::new(),
        }
    }

    pub(crate) fn get(txn: &dyn ReadTxn, thread: Number) -> Result<Option<Self>> {
        let row = txn.get(Keyspace::Meta, &meta::sought(thread))?;
        let damaged = |cause| {
            Error::corrupt("what a thread is to begin with is damaged: join it again")
                .caused_by(cause)
        };
        row.map(|row| block::decode(&row).map_err(damaged))
            .transpose()
    }

    pub(crate) fn put(&self, txn: &mut dyn WriteTxn, thread: Number) -> Result<()> {
        txn.put(Keyspace::Meta, &meta::sought(thread), &block::encode(self)?)
    }

    pub(super) fn is_sought(&self) -> bool {
        matches!(self.state, State::Looking(..) | State::Fetching(..))
    }

    pub(super) fn trusts(&self, peer: &PeerId) -> bool {
        self.trust.trusted.contains(peer)
    }

    pub(super) fn signers_min(&self) -> u64 {
        self.trust.signers_min
    }

    /// How far it is, for users.
    pub(crate) fn status(&self) -> FromSnapshot {
        match &self.state {
            State::Looking(..) => FromSnapshot::Looking,
            State::Fetching(found, progress) => FromSnapshot::Fetching {
                snapshot: found.snapshot,
                missing: progress.left.1,
            },
            State::Opened(snapshot, signers) => FromSnapshot::Opened {
                snapshot: *snapshot,
                signers: signers.clone(),
            },
            State::Not(why, snapshot, detail) => FromSnapshot::Not {
                snapshot: *snapshot,
                why: *why,
                detail: detail.clone(),
            },
        }
    }

    /// The newest snapshot that enough of those signed who are trusted, of the words that are here, with a content that was
    /// not tried yet.
    pub(super) fn find(&self, txn: &dyn ReadTxn, thread: &Thread) -> Result<Option<Found>> {
        let mut offered: BTreeMap<Cid, Offer> = BTreeMap::new();
        for (peer, words) in word::of_thread(txn, thread.number)? {
            if !self.trusts(&peer) {
                continue;
            }
            for word in words {
                // One that is sealed under a key that is not here is for others.
                let Some(key) = thread.read_of(word.epoch())? else {
                    continue;
                };
                let Ok((snapshot, content)) = word.open(&thread.id, &key) else {
                    continue;
                };
                let offer = offered.entry(snapshot).or_default();
                if !offer.signers.contains(&peer) {
                    offer.signers.push(peer);
                }
                offer.seq = offer.seq.max(word.seq());
                offer.contents.push(content);
            }
        }
        let mut fit = Vec::new();
        for (snapshot, offer) in offered {
            let Offer {
                signers,
                seq,
                contents,
            } = offer;
            // One signer's lie about what it is kept as is no reason to do without what another said.
            let new = |content: &BlobRef| {
                let was = |(of, tried): &(Cid, BlobRef)| *of == snapshot && tried == content;
                !self.tried.iter().any(was)
            };
            if signers.len() as u64 >= self.signers_min()
                && let Some(content) = contents.into_iter().find(new)
            {
                let rank = (seq, signers.len(), snapshot);
                fit.push((
                    rank,
                    Found {
                        snapshot,
                        signers,
                        content,
                    },
                ));
            }
        }
        let newest = fit.into_iter().max_by_key(|(rank, _)| *rank);
        Ok(newest.map(|(_, found)| found))
    }

    /// So many milliseconds more were spent in vain with these peers; says whether that is too long.
    pub(super) fn waits(&mut self, (ms, peers): (u64, &[PeerId])) -> Option<NotOpened> {
        let trusted = peers.iter().any(|peer| self.trusts(peer));
        match &mut self.state {
            State::Looking(looked_ms, elsewhere_ms) => {
                match trusted {
                    true => *looked_ms += ms,
                    // Those who are trusted may be on their way.
                    false => *elsewhere_ms += ms,
                }
                let over = *looked_ms >= LOOK_MS_MAX || *elsewhere_ms >= LOOK_ELSEWHERE_MS_MAX;
                over.then_some(NotOpened::NoneOffered)
            }
            State::Fetching(_, progress) => {
                progress.stalled_ms += ms;
                (progress.stalled_ms >= STALL_MS_MAX).then_some(NotOpened::DidNotCome)
            }
            State::Opened(..) | State::Not(..) => None,
        }
    }

    /// It is about to be opened; says whether that was tried too often.
    pub(super) fn attempts(&mut self) -> bool {
        let State::Fetching(_, progress) = &mut self.state else {
            return false;
        };
        progress.attempts += 1;
        progress.attempts > ATTEMPTS_MAX
    }

    /// It could not be opened, and was not cut short.
    pub(super) fn attempt_ended(&mut self) {
        if let State::Fetching(_, progress) = &mut self.state {
            progress.attempts = progress.attempts.saturating_sub(1);
        }
    }
}

/// Whether a thread is to begin with a snapshot that is not here yet: it takes in no records then.
pub(crate) fn is_sought(txn: &dyn ReadTxn, thread: Number) -> Result<bool> {
    Ok(Seek::get(txn, thread)?.is_some_and(|seek| seek.is_sought()))
}

/// The blob that is got to begin a thread with.
pub(crate) fn sought_content(txn: &dyn ReadTxn, thread: Number) -> Result<Option<Cid>> {
    Ok(match Seek::get(txn, thread)?.map(|seek| seek.state) {
        Some(State::Fetching(found, _)) => Some(*found.content.cid()),
        _ => None,
    })
}
