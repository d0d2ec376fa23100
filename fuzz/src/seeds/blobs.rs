//! Seeds of what strangers say of blobs.

use serde_json::Value;

use super::{hex, member, texts, vectors};

pub(crate) const MANIFEST: &[&str] = &["av", "dkeys", "dsize", "eparts"];
pub(crate) const REFERENCE: &[&str] = &[
    "blob_b",
    "blobkey_b",
    "bafyrei",
    "\"blob\":",
    "\"key\":",
    "\"size\":",
    "\"type\":",
];

/// Manifests of blobs behind their keys; of those that are refused, behind any.
pub(crate) fn manifest() -> Vec<Vec<u8>> {
    let vectors = vectors("blobs.json");
    let manifests = vectors
        .iter()
        .filter(|vector| member(vector, "kind") == Some("blob manifest"));
    let behind = |vector: &Value| {
        let key = hex(vector, "key").unwrap_or_else(|| vec![7; 32]);
        Some([key, hex(vector, "bytes")?].concat())
    };
    manifests.filter_map(behind).collect()
}

/// References of blobs, as words and as JSON.
pub(crate) fn reference() -> Vec<Vec<u8>> {
    let vectors = vectors("blobs.json");
    let json = vectors.iter().filter_map(|vector| vector.get("json"));
    let json = json.map(|json| json.to_string().into_bytes());
    [texts("blobs.json", &["blob reference"]), json.collect()].concat()
}
