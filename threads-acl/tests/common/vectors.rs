//! The histories of the specification, each with its outcome.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use threads_acl::eval::{Described, Outcome};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) about: String,
    pub(crate) vectors: Vec<History>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    pub(crate) name: String,
    /// Always `history`.
    pub(crate) kind: String,
    pub(crate) events: Vec<Described>,
    pub(crate) outcome: Outcome,
}

/// Next to every crate that reads it.
fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/access.json")
}

pub(crate) fn read() -> File {
    serde_json::from_slice(&std::fs::read(path()).unwrap()).unwrap()
}

pub(crate) fn write(file: &File) {
    // By way of a value, whose members are sorted as in all other vectors.
    let value = serde_json::to_value(file).unwrap();
    let text = serde_json::to_string_pretty(&value).unwrap();
    std::fs::write(path(), text + "\n").unwrap();
}
