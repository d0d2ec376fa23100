//! Every row runs and gives a number. How large it is, is nobody's business here.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::process::{Command, Output};

use serde_json::Value;

/// The rows, in the order of the table.
const ROWS: [&str; 44] = [
    "durable-many",
    "durable-one",
    "durable-floor",
    "import",
    "relaxed",
    "find-equal",
    "find-range",
    "filter",
    "live-top",
    "live-filtered",
    "live-all",
    "open",
    "disk",
    "heap",
    "blob",
    "blob-heap",
    "rekey",
    "sync-first",
    "sync-quic",
    "sync-catch-up",
    "sync-level",
    "sync-level-trips",
    "sync-visible",
    "sync-mesh",
    "sync-idle",
    "sync-replica",
    "acl-settle",
    "acl-late",
    "acl-commit",
    "acl-receive",
    "merging",
    "merging-long",
    "late",
    "travel-as-of",
    "travel-heap",
    "travel-history",
    "travel-blame",
    "shape-kv",
    "shape-feed",
    "shape-counter",
    "shape-table",
    "shape-docs",
    "snapshot-open",
    "compact-size",
];

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_threads-benches"))
        .args(arguments)
        .output()
        .unwrap()
}

fn report(arguments: &[&str]) -> Value {
    let output = run(arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_row_gives_a_number() {
    let report = report(&["--json", "--divide", "10000", "--rounds", "1"]);
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<_> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ROWS);
    for row in rows {
        for figure in [
            &row["ours"]["value"],
            &row["theirs"]["value"],
            &row["ratio"],
        ] {
            let figure = figure.as_f64().unwrap_or_default();
            assert!(figure > 0.0 && figure.is_finite(), "{row}");
        }
    }
    assert!(report["machine"]["sync_us"].as_f64().unwrap() > 0.0);
}

#[test]
fn rows_are_picked_and_an_unknown_one_is_refused() {
    let report = report(&["--json", "--divide", "10000", "--only", "relaxed"]);
    assert_eq!(report["rows"].as_array().unwrap().len(), 1);
    let refused = run(&["--only", "fast"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("durable-many"));
}
