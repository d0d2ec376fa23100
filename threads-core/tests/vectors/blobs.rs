//! Blobs: chunks, manifests and references.

use serde_json::{Value, json};
use threads_core::blob::{BlobKey, BlobRef, BlobSecret, CHUNK_BYTES, Manifest, PARTS_MAX, Part};
use threads_core::block::{DAG_CBOR, RAW, cid_of, encode};
use threads_core::{Cid, ReadKey, Result};

use crate::forge::{link, list, map, uint};
use crate::{TestRng, array, bytes, hex, text};

fn secret() -> (ReadKey, BlobSecret) {
    let read = ReadKey::generate(&mut TestRng::new("blobs"));
    let secret = BlobSecret::of(&read);
    (read, secret)
}

pub(crate) fn make() -> Vec<Value> {
    let mut vectors: Vec<_> = [&b"a"[..], b"a chunk of a blob"].map(chunk).into();
    vectors.extend(manifests());
    vectors.extend(references());
    vectors.extend(refused());
    vectors
}

fn chunk(content: &[u8]) -> Value {
    let (read, secret) = secret();
    let (key, block) = secret.seal_chunk(content).unwrap();
    json!({
        "name": format!("a chunk of {} bytes", content.len()),
        "kind": "blob chunk",
        "read_key": hex(*read.to_bytes()),
        "content": hex(content),
        "key": hex(*key.to_bytes()),
        "bytes": hex(block.bytes()),
        "cid": block.cid().to_string(),
    })
}

fn part(codec: u64, of: u8) -> Part {
    Part::new(cid_of(codec, &[of]), BlobKey::from_bytes(&[of; 32]))
}

fn manifests() -> Vec<Value> {
    let chunk = CHUNK_BYTES as u64;
    let whole = chunk * PARTS_MAX as u64;
    let cases = [
        ("no content", 0, vec![]),
        ("one byte", 1, vec![part(RAW, 1)]),
        (
            "two chunks and a byte",
            2 * chunk + 1,
            [1, 2, 3].map(|of| part(RAW, of)).into(),
        ),
        (
            "the same chunk twice",
            2 * chunk,
            vec![part(RAW, 1), part(RAW, 1)],
        ),
        (
            "a byte more than one manifest holds",
            whole + 1,
            [1, 2].map(|of| part(DAG_CBOR, of)).into(),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, size, parts)| manifest(name, size, parts))
        .collect()
}

fn manifest(name: &str, size: u64, parts: Vec<Part>) -> Value {
    let (read, secret) = secret();
    let shown = parts
        .iter()
        .map(|part| json!([part.cid().to_string(), hex(*part.key().to_bytes())]));
    let shown: Vec<_> = shown.collect();
    let (manifest, key) = Manifest::new(&secret, size, parts).unwrap();
    let block = manifest.to_block().unwrap();
    json!({
        "name": format!("a manifest: {name}"),
        "kind": "blob manifest",
        "read_key": hex(*read.to_bytes()),
        "size": size,
        "parts": shown,
        "key": hex(*key.to_bytes()),
        "bytes": hex(block.bytes()),
        "cid": block.cid().to_string(),
    })
}

fn references() -> Vec<Value> {
    let make = |name: &str, media_type: &str| {
        let key = BlobKey::from_bytes(&[7; 32]);
        let named = BlobRef::new(cid_of(DAG_CBOR, b"manifest"), key, 9, media_type).unwrap();
        json!({"name": name, "kind": "blob reference", "json": named, "text": named.to_string()})
    };
    vec![
        make("a reference", "image/jpeg"),
        make("a reference without a type", ""),
    ]
}

/// Manifests that say what cannot be.
fn refused() -> Vec<Value> {
    let (raw, cbor) = (cid_of(RAW, b"x"), cid_of(DAG_CBOR, b"x"));
    let manifest = |keys: usize, parts: Vec<Cid>, size: u64, version: u64| {
        let keys = crate::forge::blob(vec![0; keys * 32 + 16]);
        let parts = list(&parts.iter().map(link).collect::<Vec<_>>());
        map(&[
            ("v", uint(version)),
            ("keys", keys),
            ("size", uint(size)),
            ("parts", parts),
        ])
    };
    let chunk = CHUNK_BYTES as u64;
    let whole = chunk * PARTS_MAX as u64;
    let cases = [
        ("another version", manifest(1, vec![raw], 1, 2)),
        ("a key too few", manifest(0, vec![raw], 1, 1)),
        ("a part too few", manifest(1, vec![raw], chunk + 1, 1)),
        ("a part too many", manifest(1, vec![raw], 0, 1)),
        ("a level too many", manifest(1, vec![cbor], whole, 1)),
        (
            "parts of both kinds",
            manifest(2, vec![cbor, raw], whole + 1, 1),
        ),
        (
            "no canonical form",
            [encode(&()).unwrap(), vec![0]].concat(),
        ),
    ];
    let refuse = |(name, bytes): (&str, Vec<u8>)| json!({"name": format!("a manifest: {name}"), "kind": "blob manifest", "bytes": hex(bytes), "reject": "rejected"});
    cases.into_iter().map(refuse).collect()
}

pub(crate) fn read(vector: &Value) -> Result<()> {
    let kind = text(&vector["kind"]);
    if kind == "blob reference" {
        let named: BlobRef = serde_json::from_value(vector["json"].clone()).unwrap();
        assert_eq!(text(&vector["text"]).parse::<BlobRef>()?, named);
        return Ok(());
    }
    let sealed = bytes(&vector["bytes"]);
    if kind == "blob manifest" {
        let manifest = Manifest::decode(&sealed)?;
        let parts = manifest.open(&BlobKey::from_bytes(&array(&vector["key"])))?;
        let shown = vector["parts"].as_array().unwrap();
        assert_eq!(
            (manifest.size(), parts.len()),
            (vector["size"].as_u64().unwrap(), shown.len())
        );
        for (part, shown) in parts.iter().zip(shown) {
            assert_eq!(part.cid().to_string(), text(&shown[0]));
            assert_eq!(*part.key().to_bytes(), array(&shown[1]));
        }
        assert_eq!(cid_of(DAG_CBOR, &sealed).to_string(), text(&vector["cid"]));
        return Ok(());
    }
    let key = BlobKey::from_bytes(&array(&vector["key"]));
    assert_eq!(key.open_chunk(&sealed)?, bytes(&vector["content"]));
    assert_eq!(cid_of(RAW, &sealed).to_string(), text(&vector["cid"]));
    Ok(())
}
