//! The heads of a thread of many lines, compared range by range (`spec/06-sync.md`).
//!
//! Ranges are of line ids. Of each one peer says a digest, or lists what it has, and the other says whether
//! it has the same; if not, it gives the digests of the parts of the range, or lists what it has if that is
//! little. What a range is asked about follows from nothing but the heads, so who answers keeps nothing
//! from one request to the next. This is who answers; who asks is [`Comparison`](super::comparison).

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use threads_core::block::sha256;
use threads_core::{Error, LogId, Result};

use super::few::few;
use super::wire::{Digest, HEADS_MAX, Head, heads};

/// The most lines of a thread that are listed outright where its digests differ: 12 KB, in no more requests
/// than it takes to compare at all. With as many, of which ten differ, ranges cost a quarter of what two lists
/// do, and three requests more.
pub(crate) const LISTED_MAX: usize = 256;
/// The most ranges of one request, with those that it passes over.
pub(crate) const SPANS_MAX: usize = 4_096;
/// Into how many parts a range is split.
pub(crate) const PARTS: usize = 16;
/// The most lines of a range that are listed and not split: about what the digests of its parts cost.
const LEAF: usize = 16;
/// The most parts of which one reply gives the digests, over all its ranges.
pub(crate) const PARTS_MAX: usize = 16_384;

/// Where a range ends and the next one begins: before the first line whose id is not less. Empty, it comes
/// after all lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Edge(pub(super) ByteBuf);

impl Edge {
    /// Before all lines.
    pub(crate) fn begin() -> Self {
        Self(ByteBuf::from([0]))
    }

    /// After all lines.
    pub(crate) fn end() -> Self {
        Self(ByteBuf::new())
    }

    pub(crate) fn is_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The shortest one between two lines, the lesser first.
    pub(crate) fn between(before: &LogId, after: &LogId) -> Self {
        let (before, after) = (before.key_bytes(), after.key_bytes());
        let alike = before.iter().zip(after).take_while(|(a, b)| a == b).count();
        Self(ByteBuf::from(&after[..after.len().min(alike + 1)]))
    }

    /// The least id of a line behind it.
    pub(crate) fn first(&self) -> LogId {
        let mut id = [if self.is_end() { u8::MAX } else { 0 }; 32];
        let bytes = id.iter_mut().zip(&self.0);
        bytes.for_each(|(byte, own)| *byte = *own);
        LogId::from_key_bytes(id)
    }

    /// Whether a line comes before it.
    pub(crate) fn is_after(&self, line: &LogId) -> bool {
        self.is_end() || line.key_bytes()[..] < self.0[..]
    }
}

impl Ord for Edge {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.is_end(), &self.0).cmp(&(other.is_end(), &other.0))
    }
}

impl PartialOrd for Edge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What one who asks says of the lines from the last edge up to this one.
pub(crate) type Span = (Edge, Said);

/// What one who asks says of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Said {
    /// Nothing.
    Skip,
    /// What it has there has this digest. Have you the same?
    All(Digest),
    /// It has this there, and takes what the other has to have this digest.
    Each(
        #[serde(deserialize_with = "few::<HEADS_MAX, _, _>")] Vec<Head>,
        Digest,
    ),
}

/// What is answered about a range that was not passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Found {
    /// What is here has that digest.
    Same,
    /// It has not. This is here.
    Each(#[serde(deserialize_with = "few::<HEADS_MAX, _, _>")] Vec<Head>),
    /// It has not. What is here in each part of the range has this digest.
    Parts(#[serde(deserialize_with = "few::<PARTS, _, _>")] Vec<(Edge, Digest)>),
    /// The reply is full: ask again.
    Later,
}

/// The digest of the heads of a range, which ascend.
pub(crate) fn digest(heads: &[Head]) -> Digest {
    let mut bytes = Vec::with_capacity(heads.len() * 48);
    for (line, seq, check) in heads {
        bytes.extend_from_slice(line.key_bytes());
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(&check[..]);
    }
    // The first half of 32 bytes.
    ByteArray::new(*sha256(&bytes).first_chunk().expect("32 bytes"))
}

/// Those of ascending heads that are within a range.
pub(crate) fn within<'a>(heads: &'a [Head], from: &Edge, upto: &Edge) -> &'a [Head] {
    let begin = heads.partition_point(|head| from.is_after(&head.0));
    let end = heads.partition_point(|head| upto.is_after(&head.0));
    heads.get(begin..end).unwrap_or_default()
}

pub(super) fn malformed(why: &'static str) -> Error {
    Error::rejected("a comparison by ranges is malformed").with("why", why)
}

/// Whether edges, none longer than an id, ascend from one.
fn ascend<'a>(from: &Edge, edges: impl IntoIterator<Item = &'a Edge>) -> bool {
    let mut last = from;
    edges.into_iter().all(|edge| {
        let ascends = last < edge && edge.0.len() <= 32;
        last = edge;
        ascends
    })
}

/// Checks what a peer asks.
pub(crate) fn check_spans(spans: &[Span]) -> Result<()> {
    let mut from = &Edge::begin();
    if !ascend(from, spans.iter().map(|(upto, _)| upto)) {
        return Err(malformed("edges do not ascend"));
    }
    for (upto, said) in spans {
        if let Said::Each(listed, _) = said {
            check_listed(listed, from, upto)?;
        }
        from = upto;
    }
    Ok(())
}

/// Checks what a peer lists as its heads in a range.
pub(crate) fn check_listed(listed: &[Head], from: &Edge, upto: &Edge) -> Result<()> {
    heads(listed)?;
    match within(listed, from, upto).len() == listed.len() {
        true => Ok(()),
        false => Err(malformed("a head is not of its range")),
    }
}

/// Checks the parts that a peer makes of a range.
pub(crate) fn check_parts(parts: &[(Edge, Digest)], from: &Edge, upto: &Edge) -> Result<()> {
    let ends = parts.last().is_some_and(|(last, _)| last == upto);
    match ends && parts.len() > 1 && ascend(from, parts.iter().map(|(edge, _)| edge)) {
        true => Ok(()),
        false => Err(malformed("parts are not those of a range")),
    }
}

/// A range that was not passed over: what is here in it, what was said of it, and whether the two know
/// now that each knows what the other has there.
pub(crate) struct Met<'a> {
    pub(crate) from: Edge,
    pub(crate) upto: Edge,
    pub(crate) ours: &'a [Head],
    pub(crate) said: &'a Said,
    pub(crate) level: bool,
}

/// Answers about ranges with heads, which ascend. Each head is looked at three times at most, whatever is
/// asked.
pub(crate) fn answer<'a>(ours: &'a [Head], spans: &'a [Span]) -> (Vec<Found>, Vec<Met<'a>>) {
    let (mut found, mut met) = (Vec::new(), Vec::new());
    let (mut listable, mut divisible) = (HEADS_MAX, PARTS_MAX);
    let mut from = Edge::begin();
    for (upto, said) in spans {
        let here = within(ours, &from, upto);
        let begin = std::mem::replace(&mut from, upto.clone());
        let (Said::All(theirs) | Said::Each(_, theirs)) = said else {
            continue;
        };
        let level = digest(here) == *theirs;
        // Whoever has nothing there lacks all of it.
        let lists = here.len() <= LEAF || *said == Said::All(digest(&[]));
        found.push(match here.len() {
            _ if level => Found::Same,
            few if lists && few <= listable => {
                listable -= few;
                Found::Each(here.to_vec())
            }
            many if many > LEAF && PARTS <= divisible => {
                divisible -= PARTS;
                Found::Parts(split(here, upto))
            }
            _ => Found::Later,
        });
        met.push(Met {
            from: begin,
            upto: upto.clone(),
            ours: here,
            said,
            level,
        });
    }
    (found, met)
}

/// The parts of a range up to an edge, with about as many lines each.
fn split(here: &[Head], upto: &Edge) -> Vec<(Edge, Digest)> {
    let at = |part: usize| part * here.len() / PARTS;
    let part = |part: usize| {
        let (lines, rest) = (&here[at(part)..at(part + 1)], &here[at(part + 1)..]);
        let edge = match (lines.last(), rest.first()) {
            (Some(last), Some(next)) => Edge::between(&last.0, &next.0),
            _ => upto.clone(),
        };
        (edge, digest(lines))
    };
    // None is empty: there are more lines than parts.
    (0..PARTS).map(part).collect()
}
