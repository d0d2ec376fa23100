//! The example runs, and prints what the paper's listing does.

use std::process::Command;

/// What the steps print, in their order. Ids differ from run to run.
const EXPECTED: &[&str] = &[
    "# A Store is accessed via a Client instance",
    "  client 12D3KooW",
    "# An empty Store is created: a new Thread under the hood",
    "  thread bafk",
    "# Register a Schema",
    "  Person",
    "# Create a Model Entity",
    "  John Doe, 21, _id ",
    "# Modify/mutate existing Entity",
    "  John Doe, 26, _id ",
    "# What does not fit the Schema never becomes an Event",
    "  refused: true",
    "# Check whether Entity exists",
    "  has: false",
    "# A write transaction: start",
    "  created; has inside: true",
    "  has outside: false",
    "  saved; age inside: 99",
    "  deleted; has inside: false",
    "# A write transaction: end",
    "  3 events in one record: true",
    "# Subscriptions monitor updates, right down to individual Entities",
    "  Entity modified: age 30",
    "  Entity modified: age 40",
    "  resumes from cursor ",
    "# Find or search for a specific Entity",
    "  age 40",
    "# Select all Persons where age is >= 60 and < 66, or equal to 67",
    "  3 found: ages [60, 65, 67]",
    "  the same query as text: true",
    "# Queries take advantage of indexes when possible",
    "# Every hash, signature, link and derived value is as it should be",
    "clean",
];

fn example() -> Command {
    Command::new(env!("CARGO_BIN_EXE_example-user-management"))
}

#[test]
fn it_prints_what_the_paper_does() {
    let output = example().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut rest = text.as_str();
    for expected in EXPECTED {
        let at = rest.find(expected);
        let at = at.unwrap_or_else(|| panic!("{expected:?} is missing, or out of order:\n{text}"));
        rest = &rest[at + expected.len()..];
    }
    assert_eq!(
        text.matches("Entity modified").count(),
        2,
        "only its own entity's changes"
    );
}

#[test]
fn a_directory_of_ones_own_stays_and_is_not_used_twice() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    assert!(example().arg(&dir).output().unwrap().status.success());
    assert!(dir.join("data.mdb").exists());
    let again = example().arg(&dir).output().unwrap();
    assert!(!again.status.success(), "its thread is there already");
}
