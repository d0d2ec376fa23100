//! Skip links: where each points, and the paths they make.

use serde_json::{Value, json};
use threads_core::Result;
use threads_core::record::skip_target;

use crate::text;

pub(crate) fn make() -> Vec<Value> {
    let powers = (1..=40).map(|power| (3u64.pow(power) - 1) / 2);
    let seqs = (1..=121).chain(
        powers
            .flat_map(|end| [end, end + 1])
            .filter(|seq| *seq > 121),
    );
    let links = seqs.chain([1_000_000, 1 << 63, u64::MAX - 1]).map(|seq| {
        json!({
            "name": format!("record {seq}"),
            "kind": "link",
            "seq": seq.to_string(),
            "skip": skip_target(seq).map(|target| target.to_string()),
        })
    });
    let paths = [
        (14, 1),
        (40, 1),
        (1_000_000, 1),
        (1_000_000, 499_999),
        (797_161, 3),
    ];
    let paths = paths.map(|(from, to)| {
        json!({
            "name": format!("from {from} to {to}"),
            "kind": "path",
            "path": path(from, to).map(|seq| seq.to_string()).collect::<Vec<_>>(),
        })
    });
    links.chain(paths).collect()
}

/// The records on the shortest path: the skip link when it does not go too far.
fn path(from: u64, to: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(from), move |seq| {
        let skip = skip_target(*seq).filter(|target| *target >= to);
        (*seq > to).then(|| skip.unwrap_or(seq - 1))
    })
}

pub(crate) fn read(vector: &Value) -> Result<()> {
    let number = |value: &Value| text(value).parse::<u64>().unwrap();
    if vector["kind"] == "link" {
        let skip = vector["skip"].as_str().map(|skip| skip.parse().unwrap());
        assert_eq!(skip_target(number(&vector["seq"])), skip);
    } else {
        let steps: Vec<u64> = vector["path"]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .collect();
        assert!(path(steps[0], steps[steps.len() - 1]).eq(steps));
    }
    Ok(())
}
