//! Vectors of comparing by ranges.

use serde_bytes::ByteArray;
use serde_json::{Value, json};

use super::refused::{Case, claiming, head, one, repeated, some_claim};
use super::{checked, log, show_heads};
use crate::sync::ranges::{Edge, Found, PARTS, SPANS_MAX, Said, Span, digest};
use crate::sync::wire::{Answer, Ask, Claim, Head};
use crate::vectors::encode::{blob, list, string};
use crate::vectors::{array, bytes, hex};

/// An edge between logs of the vectors.
fn edge(before: u8, after: u8) -> Edge {
    Edge::between(&log(before), &log(after))
}

pub(super) fn asks(claim: Claim) -> Vec<(&'static str, Ask)> {
    let digest = ByteArray::new([3; 16]);
    let spans = vec![
        (edge(0, 1), Said::All(digest)),
        (edge(1, 3), Said::Skip),
        (
            edge(3, 5),
            Said::Each(vec![checked(3, 4), checked(4, u64::MAX)], digest),
        ),
        (Edge::end(), Said::Each(vec![], digest)),
    ];
    let close = log(2).key_bytes().map(|byte| byte - u8::from(byte > 2));
    let mut next = close;
    next[31] += 1;
    let [close, next] = [close, next].map(threads_core::LogId::from_key_bytes);
    vec![
        ("no range", Ask::Ranges(claim, vec![])),
        (
            "all lines",
            Ask::Ranges(claim, vec![(Edge::end(), Said::All(digest))]),
        ),
        ("ranges of every kind", Ask::Ranges(claim, spans)),
        (
            "an edge between lines that are close",
            Ask::Ranges(claim, vec![(Edge::between(&close, &next), Said::Skip)]),
        ),
    ]
}

pub(super) fn answers() -> Vec<(&'static str, Answer)> {
    let digest = ByteArray::new([3; 16]);
    let parts = vec![(edge(1, 2), digest), (Edge::end(), digest)];
    vec![(
        "every answer about a range",
        Answer::Ranges(vec![
            Found::Same,
            Found::Each(vec![]),
            Found::Each(vec![checked(1, 2), checked(3, 4)]),
            Found::Parts(parts),
            Found::Later,
        ]),
    )]
}

pub(super) fn show_spans(spans: &[Span]) -> Value {
    let show = |(upto, said): &Span| {
        let said = match said {
            Said::Skip => json!("skip"),
            Said::All(digest) => json!({"all": hex(&digest[..])}),
            Said::Each(heads, digest) => json!({"each": [show_heads(heads), hex(&digest[..])]}),
        };
        json!([hex(&upto.0), said])
    };
    spans.iter().map(show).collect()
}

pub(super) fn show_found(found: &[Found]) -> Value {
    let show = |found: &Found| match found {
        Found::Same => json!("same"),
        Found::Later => json!("later"),
        Found::Each(heads) => json!({"each": show_heads(heads)}),
        Found::Parts(parts) => {
            let parts = parts.iter();
            let show = parts.map(|(upto, digest)| json!([hex(&upto.0), hex(&digest[..])]));
            json!({"parts": show.collect::<Value>()})
        }
    };
    found.iter().map(show).collect()
}

fn span(upto: &[u8], said: Vec<u8>) -> Vec<u8> {
    list(&[blob(upto), said])
}

fn skip(upto: &[u8]) -> Vec<u8> {
    span(upto, string("skip"))
}

fn each(heads: &[Vec<u8>]) -> Vec<u8> {
    one("each", list(&[list(heads), blob([3; 16])]))
}

pub(super) fn unsound_requests() -> Vec<Case> {
    let ranges = |spans: &[Vec<u8>]| claiming("ranges", list(spans));
    let all = |digest: usize| span(&[], one("all", blob(vec![3; digest])));
    vec![
        ("edges that descend", ranges(&[skip(&[2]), skip(&[1])])),
        ("an edge twice", ranges(&[skip(&[2]), skip(&[2])])),
        ("an edge behind the end", ranges(&[skip(&[]), skip(&[2])])),
        ("an edge before all lines", ranges(&[skip(&[0])])),
        ("an edge of 33 bytes", ranges(&[skip(&[1; 33])])),
        ("a range with a digest of 15 bytes", ranges(&[all(15)])),
        (
            "a range of which nothing known is said",
            ranges(&[span(&[], string("none"))]),
        ),
        (
            "a head behind its range",
            ranges(&[span(&[1], each(&[head(1, 1)]))]),
        ),
        (
            "a head before its range",
            ranges(&[skip(&[2]), span(&[], each(&[head(1, 1)]))]),
        ),
        (
            "a range with heads that descend",
            ranges(&[span(&[], each(&[head(2, 1), head(1, 1)]))]),
        ),
    ]
}

pub(super) fn too_many() -> Vec<(&'static str, &'static str, Value)> {
    let spans = list(&[some_claim(), list(&[])]);
    let spans = repeated(&one("ranges", spans), &skip(&[1]), SPANS_MAX + 1);
    let found = repeated(&one("ranges", list(&[])), &string("same"), SPANS_MAX + 1);
    let part = list(&[blob([1]), blob([3; 16])]);
    let parts = one("ranges", list(&[one("parts", list(&[]))]));
    vec![
        ("request", "too many ranges to compare", spans),
        ("reply", "too many answers about ranges", found),
        (
            "reply",
            "too many parts of a range",
            repeated(&parts, &part, PARTS + 1),
        ),
    ]
}

/// The digest of heads in a range.
pub(super) fn hashes() -> Vec<Value> {
    let heads = [checked(1, 1), checked(2, 1 << 40)];
    let vector = |(name, heads): (&str, &[Head])| {
        let digest = digest(heads);
        json!({"name": format!("the digest of a range {name}"), "kind": "range", "heads": show_heads(heads), "digest": hex(&digest[..])})
    };
    [("without lines", &heads[..0]), ("with two lines", &heads)]
        .map(vector)
        .to_vec()
}

pub(super) fn read_digest(vector: &Value) {
    let heads = vector["heads"].as_array().unwrap().iter();
    let head = |head: &Value| {
        let check = bytes(&head[2]).try_into().unwrap();
        let log = threads_core::LogId::from_key_bytes(array(&head[0]));
        (log, head[1].as_u64().unwrap(), ByteArray::new(check))
    };
    let heads: Vec<Head> = heads.map(head).collect();
    assert_eq!(hex(&digest(&heads)[..]), vector["digest"]);
}
