//! The frames of sync: one peer asks, the other answers (`spec/06-sync.md`).
//!
//! Everything a peer may say of a thread begins with a [`Claim`], by which it shows that it holds
//! the thread's replica key. Records travel sealed, as they are kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use threads_core::blob::{CHUNK_BYTES, CHUNK_OVERHEAD_BYTES};
use threads_core::block::{self, DAG_CBOR, sha256};
use threads_core::{Cid, Erasure, Error, LogId, PeerId, Receipt, ReplicaKey, Result, Whereabouts};

use super::few::few;
use super::ranges::{self, Found, SPANS_MAX, Span};
use crate::chain::Blocks;
use crate::snapshot::{SIGNERS_MAX, Word};

mod samples;

#[cfg(test)]
pub(super) use samples::asks;
pub(crate) use samples::samples;

/// The most threads that one frame asks about.
pub(crate) const CLAIMS_MAX: usize = 8_192;
/// The most logs of which one frame lists the heads, over all its threads.
pub(crate) const HEADS_MAX: usize = 16_384;
/// The most ranges of one pull.
pub(crate) const RANGES_MAX: usize = 256;
/// The most logs that one request to sign is about.
pub(crate) const PLACES_MAX: usize = 64;
/// The most purges of which one request asks what was erased.
pub(crate) const PURGES_MAX: usize = 64;
/// The most peers of which one request asks where they are, and the most words in a reply.
pub(crate) const WHOM_MAX: usize = 1_000;
pub(crate) const WORDS_MAX: usize = 64;
/// The most records of one frame.
pub(crate) const PAGE_RECORDS_MAX: usize = 1_000;
/// The most blobs of one part of a list.
pub(crate) const BLOBS_LISTED_MAX: usize = 1_000;
/// The most blocks of blobs that one request asks for.
pub(crate) const BLOCKS_MAX: usize = 64;
/// The most bytes of blocks of blobs in one reply, unless it is one.
pub(crate) const BLOCKS_BYTES_MAX: usize = 4 * (CHUNK_BYTES + CHUNK_OVERHEAD_BYTES);
/// The longest id of an invite, in bytes.
const INVITE_ID_BYTES_MAX: usize = 64;
/// The most bytes of records in one frame, unless it holds a single record.
pub(crate) const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// How far logs have got: the sequence number of the last record, by log.
pub(crate) type Frontier = BTreeMap<LogId, u64>;

/// Names a thread, and shows that whoever says so holds its replica key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim(ByteArray<32>);

impl Claim {
    pub(crate) fn new(replica: &ReplicaKey, from: &PeerId, to: &PeerId) -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&replica.locator());
        bytes[16..].copy_from_slice(&replica.proof(from, to));
        Self(ByteArray::new(bytes))
    }

    pub(crate) fn locator(&self) -> &[u8; 16] {
        // The first half of 32 bytes.
        self.0.first_chunk().expect("32 bytes")
    }

    pub(crate) fn proof(&self) -> &[u8; 16] {
        self.0.last_chunk().expect("32 bytes")
    }
}

/// By which one peer shows another that it holds the key of a thread.
pub(crate) type Proof = [u8; 16];

/// What a reply ends in: whoever gives it holds the keys of all threads of which it says something,
/// whose proofs these are, in their order.
pub(crate) fn joint<'a>(proofs: impl IntoIterator<Item = &'a Proof>) -> ByteArray<16> {
    let proofs: Vec<u8> = proofs.into_iter().flatten().copied().collect();
    // The first half of 32 bytes.
    ByteArray::new(*sha256(&proofs).first_chunk().expect("32 bytes"))
}

/// What a thread's heads hash to: equal for peers that have the same records.
pub(crate) type Digest = ByteArray<16>;

/// The digest of a thread's heads, which ascend by log.
pub(crate) fn digest<'a>(heads: impl IntoIterator<Item = (&'a LogId, u64, &'a Cid)>) -> Digest {
    let mut bytes = Vec::new();
    for (log, seq, head) in heads {
        bytes.extend_from_slice(log.key_bytes());
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(head.hash().digest());
    }
    // The first half of 32 bytes.
    ByteArray::new(*sha256(&bytes).first_chunk().expect("32 bytes"))
}

/// The records of one log from one sequence number to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) log: LogId,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// A list of blobs: what tells it from others, and a position in it.
pub(crate) type BlobList = (u64, u64);

/// A record with its event and body, as they travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parcel(ByteBuf, ByteBuf, ByteBuf);

impl From<Blocks> for Parcel {
    fn from(blocks: Blocks) -> Self {
        let [record, event, body] = [blocks.record, blocks.event, blocks.body].map(ByteBuf::from);
        Self(record, event, body)
    }
}

impl From<Parcel> for Blocks {
    fn from(Parcel(record, event, body): Parcel) -> Self {
        let [record, event, body] = [record, event, body].map(ByteBuf::into_vec);
        Self {
            record,
            event,
            body,
        }
    }
}

/// What a peer asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ask {
    /// Do we have the same of these threads?
    Heads(#[serde(deserialize_with = "few::<CLAIMS_MAX, _, _>")] Vec<(Claim, Digest)>),
    /// Give me these records, oldest first, as many as go into a page.
    Pull(
        Claim,
        #[serde(deserialize_with = "few::<RANGES_MAX, _, _>")] Vec<Range>,
    ),
    /// Take these records.
    Push(
        Claim,
        #[serde(deserialize_with = "few::<PAGE_RECORDS_MAX, _, _>")] Vec<Parcel>,
    ),
    /// I have these logs so far, on disk. How far have you?
    Have(
        Claim,
        #[serde(deserialize_with = "few::<HEADS_MAX, _, _>")] Vec<Head>,
    ),
    /// This is what I have of the lines in these ranges. Have you the same?
    Ranges(
        Claim,
        #[serde(deserialize_with = "few::<SPANS_MAX, _, _>")] Vec<Span>,
    ),
    /// Let me take part: the id of a link, its secret, my card.
    Join(String, ByteArray<16>, ByteBuf),
    /// Sign that you have these logs so far, on disk.
    Sign(
        Claim,
        #[serde(deserialize_with = "few::<PLACES_MAX, _, _>")] Vec<(LogId, u64)>,
    ),
    /// Where are they? I know these words of theirs.
    Where(
        Claim,
        #[serde(deserialize_with = "few::<WHOM_MAX, _, _>")] Vec<(PeerId, u64)>,
    ),
    /// What have you erased by these purges?
    Erased(
        Claim,
        #[serde(deserialize_with = "few::<PURGES_MAX, _, _>")] Vec<Cid>,
    ),
    /// Which blobs have you behind this place of your list? Mine goes so far.
    Blobs(Claim, BlobList, BlobList),
    /// Give me these blocks of blobs, as many as go into a reply.
    Blocks(
        Claim,
        #[serde(deserialize_with = "few::<BLOCKS_MAX, _, _>")] Vec<Cid>,
    ),
    /// Which snapshots are kept there? I know these words of who signed them.
    Snapshots(
        Claim,
        #[serde(deserialize_with = "few::<SIGNERS_MAX, _, _>")] Vec<(PeerId, u64)>,
    ),
}

/// What a peer answers. A peer that does not answer at all may have any reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// To [`Ask::Heads`]: one verdict for each thread, and the [joint] proof for those it shares.
    Heads(
        #[serde(deserialize_with = "few::<CLAIMS_MAX, _, _>")] Vec<Verdict>,
        ByteArray<16>,
    ),
    /// To [`Ask::Pull`]: records, how far they bring each log, and whether there are more.
    Page(
        #[serde(deserialize_with = "few::<PAGE_RECORDS_MAX, _, _>")] Vec<Parcel>,
        #[serde(deserialize_with = "few::<RANGES_MAX, _, _>")] Vec<(LogId, u64)>,
        bool,
    ),
    /// To [`Ask::Pull`]: the records that are asked for first were dropped, of these logs up to these numbers, and
    /// this snapshot stands for them.
    Short(
        #[serde(deserialize_with = "few::<RANGES_MAX, _, _>")] Vec<(LogId, u64)>,
        Cid,
    ),
    /// To [`Ask::Push`] and [`Ask::Have`]: how far the logs concerned have got here, on disk.
    Have(#[serde(deserialize_with = "few::<HEADS_MAX, _, _>")] Vec<Head>),
    /// To the same: so far, and it takes no more of the thread.
    Full(#[serde(deserialize_with = "few::<HEADS_MAX, _, _>")] Vec<Head>),
    /// To [`Ask::Ranges`]: what there is about each range that was not passed over.
    Ranges(#[serde(deserialize_with = "few::<SPANS_MAX, _, _>")] Vec<Found>),
    /// To [`Ask::Join`]: nobody has decided yet.
    Waiting,
    /// To [`Ask::Join`]: a key sealed to the card, and the thread's keys sealed with it.
    Admitted(ByteBuf, ByteBuf),
    /// To [`Ask::Sign`]: receipts for those of the places where there is a record here.
    Signed(#[serde(deserialize_with = "few::<PLACES_MAX, _, _>")] Vec<Receipt>),
    /// To [`Ask::Where`]: later words of those peers.
    Where(#[serde(deserialize_with = "few::<WORDS_MAX, _, _>")] Vec<Whereabouts>),
    /// To [`Ask::Erased`]: what was erased by those of the purges that count here.
    Erased(#[serde(deserialize_with = "few::<PURGES_MAX, _, _>")] Vec<Erasure>),
    /// To [`Ask::Blobs`]: how far the list goes, and the next of the blobs in it.
    Blobs(
        BlobList,
        #[serde(deserialize_with = "few::<BLOBS_LISTED_MAX, _, _>")] Vec<(u64, Cid)>,
    ),
    /// To [`Ask::Blocks`]: the first ones, in the order in which they were asked for; nothing for each that is
    /// not here.
    Blocks(#[serde(deserialize_with = "few::<BLOCKS_MAX, _, _>")] Vec<ByteBuf>),
    /// To [`Ask::Snapshots`]: later words of those who signed snapshots whose content is here.
    Snapshots(#[serde(deserialize_with = "few::<SIGNERS_MAX, _, _>")] Vec<Word>),
    /// To anything: not now. Ask again after so many milliseconds.
    Busy(u64),
}

/// What a peer says of a thread it was asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It does not share it with who asks, for whatever reason.
    Unknown,
    /// It has the same heads.
    Same,
    /// It has these heads: of each line how far it has got, and a part of the last record's digest.
    Differs(#[serde(deserialize_with = "few::<HEADS_MAX, _, _>")] Vec<Head>),
    /// It has others, too many to list: they are to be compared by ranges.
    Many,
}

/// A line, how far it has got, and what tells its last record from others in its place.
pub(crate) type Head = (LogId, u64, Check);
/// The first bytes of a record's digest: enough to tell two records of one place apart.
pub(crate) type Check = ByteArray<8>;
/// Heads with what tells them from others in the same places.
pub(crate) type Heads = BTreeMap<LogId, (u64, Check)>;

pub(crate) fn check_of(record: &Cid) -> Check {
    // A digest of SHA-256 is longer.
    let check = record.hash().digest().first_chunk().copied();
    ByteArray::new(check.unwrap_or_default())
}

/// How far a peer's lines are those that are here: not to the last record where both have as many and it
/// has another one.
pub(crate) fn agreed(ours: &Heads, theirs: &Heads) -> Frontier {
    let theirs = theirs.iter();
    let agreed = theirs.map(|(log, (seq, check))| {
        let own = ours.get(log);
        let other = own.is_some_and(|(at, own)| at == seq && own != check);
        (*log, seq - u64::from(other))
    });
    agreed.collect()
}

pub(crate) fn numbers(heads: &Heads) -> Frontier {
    heads.iter().map(|(log, (seq, _))| (*log, *seq)).collect()
}

pub(crate) fn list(heads: &Heads) -> Vec<Head> {
    let heads = heads.iter();
    heads
        .map(|(log, (seq, check))| (*log, *seq, *check))
        .collect()
}

/// What a peer listed as heads: each log once, ascending, from 1.
pub(crate) fn heads(listed: &[Head]) -> Result<Heads> {
    let plain: Vec<_> = listed.iter().map(|(log, seq, _)| (*log, *seq)).collect();
    frontier(&plain)?;
    let listed = listed.iter();
    Ok(listed
        .map(|(log, seq, check)| (*log, (*seq, *check)))
        .collect())
}

pub(crate) fn listed(frontier: &Frontier) -> Vec<(LogId, u64)> {
    frontier.iter().map(|(log, seq)| (*log, *seq)).collect()
}

/// What a peer listed as a frontier: each log once, ascending, from 1.
pub(crate) fn frontier(listed: &[(LogId, u64)]) -> Result<Frontier> {
    let ascending = listed.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if !ascending || listed.iter().any(|(_, seq)| *seq == 0) {
        return Err(malformed("heads are not in order"));
    }
    Ok(listed.iter().copied().collect())
}

/// Each peer is listed once, in order.
fn ascending<'a>(peers: impl IntoIterator<Item = &'a PeerId>) -> Result<()> {
    match peers.into_iter().is_sorted_by(|one, next| one < next) {
        true => Ok(()),
        false => Err(malformed("peers are not in order")),
    }
}

/// Each purge is listed once, in order, by a sound link.
fn in_order(purges: &[Cid]) -> Result<()> {
    let sound = purges.iter().all(|purge| block::check_link(purge).is_ok());
    if !sound {
        return Err(malformed(
            "a purge is named by a link that records do not have",
        ));
    }
    match purges.is_sorted_by(|one, next| one < next) {
        true => Ok(()),
        false => Err(malformed("purges are not in order")),
    }
}

fn malformed(why: &'static str) -> Error {
    Error::rejected("a frame of sync is malformed").with("why", why)
}

impl Ask {
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        block::encode(self)
    }

    /// Decodes what a peer sent, within every bound.
    pub(crate) fn decode(frame: &[u8]) -> Result<Self> {
        let ask: Self = block::decode(frame)?;
        match &ask {
            Self::Pull(_, ranges) => {
                if ranges
                    .iter()
                    .any(|range| range.from == 0 || range.to < range.from)
                {
                    return Err(malformed("a range is empty"));
                }
            }
            Self::Have(_, listed) => drop(heads(listed)?),
            Self::Join(invite, ..) if invite.len() > INVITE_ID_BYTES_MAX => {
                return Err(malformed("the id of a link is too long"));
            }
            Self::Sign(_, places) => drop(frontier(places)?),
            Self::Where(_, known) | Self::Snapshots(_, known) => {
                ascending(known.iter().map(|(peer, _)| peer))?;
            }
            Self::Heads(claims) => {
                // What it costs to look at a thread is to be paid once.
                let threads: BTreeSet<_> =
                    claims.iter().map(|(claim, _)| claim.locator()).collect();
                if threads.len() < claims.len() {
                    return Err(malformed("a thread is asked about twice"));
                }
            }
            Self::Ranges(_, spans) => ranges::check_spans(spans)?,
            Self::Erased(_, purges) => in_order(purges)?,
            Self::Blocks(_, cids) => {
                if !cids.iter().all(|cid| block::check_link(cid).is_ok()) {
                    return Err(malformed(
                        "a block is named by a link that blobs do not have",
                    ));
                }
            }
            Self::Blobs(..) | Self::Push(..) | Self::Join(..) => {}
        }
        Ok(ask)
    }
}

impl Answer {
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        block::encode(self)
    }

    /// Decodes what a peer sent, within every bound.
    pub(crate) fn decode(frame: &[u8]) -> Result<Self> {
        let answer: Self = block::decode(frame)?;
        match &answer {
            Self::Heads(verdicts, _) => {
                for verdict in verdicts {
                    if let Verdict::Differs(listed) = verdict {
                        heads(listed)?;
                    }
                }
            }
            Self::Page(_, upto, _) => drop(frontier(upto)?),
            Self::Short(logs, snapshot) => {
                frontier(logs)?;
                let sound = block::check_link(snapshot).is_ok() && snapshot.codec() == block::RAW;
                if logs.is_empty() || !sound {
                    return Err(malformed("no log is short, or no snapshot is named"));
                }
            }
            Self::Have(listed) | Self::Full(listed) => drop(heads(listed)?),
            Self::Signed(receipts) => {
                let places = receipts.iter().map(|one| (one.log(), one.seq()));
                frontier(&places.collect::<Vec<_>>())?;
            }
            Self::Where(words) => {
                let peers: Vec<_> = words.iter().map(Whereabouts::peer).collect();
                ascending(&peers)?;
            }
            Self::Snapshots(words) => {
                let peers: Vec<_> = words.iter().map(Word::peer).collect();
                ascending(&peers)?;
                if !words.iter().all(Word::is_sound) {
                    return Err(malformed("a word for a snapshot breaks a bound"));
                }
            }
            Self::Erased(erasures) => {
                let purges: Vec<_> = erasures.iter().map(Erasure::purge).collect();
                in_order(&purges)?;
            }
            Self::Blobs(_, blobs) => {
                let sound = |cid: &Cid| block::check_link(cid).is_ok() && cid.codec() == DAG_CBOR;
                if !blobs.iter().all(|(_, cid)| sound(cid)) {
                    return Err(malformed("a blob is not named by its manifest"));
                }
                if !blobs.is_sorted_by(|(one, _), (next, _)| one < next) {
                    return Err(malformed("blobs are not in order"));
                }
            }
            // What else has to hold depends on what was asked.
            Self::Blocks(_)
            | Self::Ranges(_)
            | Self::Waiting
            | Self::Admitted(..)
            | Self::Busy(_) => {}
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ranges::{Edge, Said};
    use super::samples::all;
    use super::*;

    fn log(byte: u8) -> LogId {
        LogId::from_key_bytes([byte; 32])
    }

    fn claim() -> Claim {
        let (ann, bob) = (
            PeerId::from_key_bytes([1; 32]),
            PeerId::from_key_bytes([2; 32]),
        );
        Claim::new(&ReplicaKey::from_bytes(&[7; 32]), &ann, &bob)
    }

    #[test]
    fn frames_come_back_as_they_went() {
        let (asks, answers) = all();
        for ask in asks {
            assert_eq!(Ask::decode(&ask.encode().unwrap()).unwrap(), ask);
        }
        for answer in answers {
            assert_eq!(Answer::decode(&answer.encode().unwrap()).unwrap(), answer);
        }
    }

    #[test]
    fn a_link_that_records_do_not_have_is_a_fault_of_the_frame() {
        let other = Cid::new_v1(0x70, *block::cid_of(block::RAW, b"x").hash());
        let ask = Ask::Erased(claim(), vec![other]).encode().unwrap();
        let error = Ask::decode(&ask).unwrap_err();
        assert_eq!(error.kind(), threads_core::ErrorKind::Rejected);
    }

    #[test]
    fn a_thread_that_is_level_costs_at_most_64_bytes() {
        let ask = |threads| {
            let digest = ByteArray::new([3; 16]);
            Ask::Heads(vec![(claim(), digest); threads])
                .encode()
                .unwrap()
                .len()
        };
        let answer = |threads| {
            Answer::Heads(vec![Verdict::Same; threads], joint([]))
                .encode()
                .unwrap()
                .len()
        };
        let each = (ask(1_000) + answer(1_000)) / 1_000;
        assert!(each <= 64, "{each} bytes for each thread");
    }

    #[test]
    fn what_breaks_a_bound_or_an_order_is_rejected() {
        let range = |from, to| Range {
            log: log(1),
            from,
            to,
        };
        let head = |of, seq| (log(of), seq, ByteArray::new([0; 8]));
        let heads = vec![head(2, 1), head(1, 1)];
        let below = Edge::between(&log(1), &log(2));
        let asks = [
            Ask::Heads(vec![(claim(), ByteArray::new([3; 16])); CLAIMS_MAX + 1]),
            Ask::Pull(claim(), vec![range(1, 1); RANGES_MAX + 1]),
            Ask::Pull(claim(), vec![range(0, 1)]),
            Ask::Pull(claim(), vec![range(2, 1)]),
            Ask::Have(claim(), heads.clone()),
            Ask::Have(claim(), vec![head(1, 0)]),
            Ask::Heads(vec![(claim(), ByteArray::new([3; 16])); 2]),
            Ask::Ranges(claim(), vec![(Edge::end(), Said::Skip); 2]),
            Ask::Ranges(
                claim(),
                vec![(below.clone(), Said::Skip), (below.clone(), Said::Skip)],
            ),
            Ask::Ranges(
                claim(),
                vec![(below, Said::Each(vec![head(2, 1)], ByteArray::new([0; 16])))],
            ),
        ];
        for ask in asks {
            let refused = Ask::decode(&ask.encode().unwrap()).unwrap_err();
            assert_eq!(
                refused.kind(),
                threads_core::ErrorKind::Rejected,
                "{refused}"
            );
        }
        assert!(Answer::decode(&Answer::Have(heads).encode().unwrap()).is_err());
        assert!(Ask::decode(b"").is_err());
    }
}
