//! The documents that are stored and found, the same in every run.

use serde::{Deserialize, Serialize};

use crate::Result;

/// How many documents each of the finds gives.
pub(crate) const FOUND: usize = 100;
/// What the filter's scores are below, and the score from which it matches: one in a hundred.
const SCORES: usize = 1_000;
pub(crate) const SCORE_WANTED: usize = SCORES - SCORES / 100;
/// A prime that scatters neighbours; it divides no size that is used.
const SCATTER: usize = 618_033_989;
/// The length of a small document, in bytes of JSON.
pub(crate) const SMALL_BYTES: usize = 100;

/// A document of about 180 bytes of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Document {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) name: String,
    /// Indexed: [`FOUND`] documents share each.
    pub(crate) group: String,
    /// Indexed: each document has its own, from 0 on, in no order.
    pub(crate) rank: usize,
    pub(crate) active: bool,
    pub(crate) address: Address,
    pub(crate) stats: Stats,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) city: String,
    pub(crate) zip: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// Not indexed.
    pub(crate) score: usize,
    pub(crate) visits: usize,
}

/// A document with one text, of [`SMALL_BYTES`] bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Small {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) text: String,
}

/// The document of a number below `all`.
pub(crate) fn document(number: usize, all: usize) -> Document {
    Document {
        id: format!("{number:010}"),
        name: format!("Member number {number}"),
        group: group(number % groups(all)),
        rank: number * SCATTER % all,
        active: number.is_multiple_of(3),
        address: Address {
            city: format!("City {}", number % 977),
            zip: 10_000 + number * 31 % 80_000,
        },
        stats: Stats {
            score: (number * 37 + number / SCORES) % SCORES,
            visits: number % 4_099,
        },
    }
}

/// The name of a group.
pub(crate) fn group(number: usize) -> String {
    format!("g-{number:06}")
}

/// How many groups `all` documents make.
pub(crate) fn groups(all: usize) -> usize {
    all / FOUND
}

/// Documents as lines of JSON.
pub(crate) fn lines(all: usize) -> Result<Vec<String>> {
    let line = |number| Ok(serde_json::to_string(&document(number, all))?);
    (0..all).map(line).collect()
}

pub(crate) fn small(number: usize) -> Small {
    sized(number, SMALL_BYTES)
}

/// A document with one text, of so many bytes of JSON.
pub(crate) fn sized(number: usize, bytes: usize) -> Small {
    let (id, frame) = (format!("{number:010}"), "{'_id':'','text':''}".len());
    let text = format!("{number:>width$}", width = bytes - frame - id.len());
    Small { id, text }
}

/// A number below `all` for the `turn`-th query, far from the one before.
pub(crate) fn scattered(turn: usize, all: usize) -> usize {
    turn * SCATTER % all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn documents_fall_into_groups_ranks_and_scores() {
        let all: Vec<_> = (0..2_000).map(|number| document(number, 2_000)).collect();
        let ranks: BTreeSet<_> = all.iter().map(|one| one.rank).collect();
        assert_eq!((ranks.len(), ranks.last()), (2_000, Some(&1_999)));
        let found = all.iter().filter(|one| one.group == group(7)).count();
        assert_eq!(found, FOUND);
        let matched = all.iter().filter(|one| one.stats.score >= SCORE_WANTED);
        assert_eq!(matched.count(), 20);
    }

    #[test]
    fn documents_have_the_size_they_claim() {
        let bytes = serde_json::to_string(&document(1_234, 1_000_000))
            .unwrap()
            .len();
        assert!((150..=200).contains(&bytes), "{bytes}");
        assert_eq!(serde_json::to_string(&small(7)).unwrap().len(), SMALL_BYTES);
    }
}
