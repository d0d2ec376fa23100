//! Blocks: CIDs, and the one form of each value.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use threads_core::block::{Block, DAG_CBOR, RAW, cid_of, decode};
use threads_core::{Cid, Result};

use crate::forge::{blob, link, list, map, string, uint, unsorted};
use crate::{bytes, hex, text};

pub(crate) fn make() -> Vec<Value> {
    let mut vectors = cids();
    vectors.extend(canonical().into_iter().map(|(name, bytes, value)| {
        json!({"name": name, "kind": "cbor", "bytes": hex(bytes), "value": value})
    }));
    vectors.extend(refused().into_iter().map(|(name, bytes)| {
        json!({"name": name, "kind": "cbor", "bytes": hex(bytes), "reject": "rejected"})
    }));
    vectors
}

fn cids() -> Vec<Value> {
    let block = |name: &str, codec: u64, bytes: &[u8], cid: Cid| json!({"name": name, "kind": "cid", "codec": codec, "bytes": hex(bytes), "cid": cid.to_string(), "cid_bytes": hex(cid.to_bytes())});
    let reject = |mut vector: Value, word: &str| {
        vector["reject"] = word.into();
        vector
    };
    let raw = cid_of(RAW, b"hello");
    let v0 = Cid::new_v0(*raw.hash()).unwrap();
    let sha512 = Cid::try_from([&[1, 0x55, 0x13, 64][..], &[7; 64]].concat()).unwrap();
    let identity = Cid::try_from([&[1, 0x55, 0, 5][..], b"hello"].concat()).unwrap();
    let short = Cid::try_from([&[1, 0x55, 0x12, 20][..], &[7; 20]].concat()).unwrap();
    let protobuf = Cid::new_v1(0x70, *raw.hash());
    vec![
        block("raw bytes", RAW, b"hello", raw),
        block("no bytes", RAW, b"", cid_of(RAW, b"")),
        block("an empty map", DAG_CBOR, &[0xa0], cid_of(DAG_CBOR, &[0xa0])),
        reject(
            block("bytes of another block", RAW, b"hallo", raw),
            "corrupt",
        ),
        reject(
            block("another codec", DAG_CBOR, b"hello", protobuf),
            "invalid",
        ),
        reject(block("version 0", RAW, b"hello", v0), "invalid"),
        reject(block("sha2-512", RAW, b"hello", sha512), "invalid"),
        reject(
            block("the identity hash", RAW, b"hello", identity),
            "invalid",
        ),
        reject(block("a truncated hash", RAW, b"hello", short), "invalid"),
    ]
}

fn canonical() -> Vec<(&'static str, Vec<u8>, Value)> {
    let cid = cid_of(RAW, b"hello");
    vec![
        ("zero", uint(0), json!(0)),
        ("the largest in one byte", uint(23), json!(23)),
        ("the smallest in two", uint(24), json!(24)),
        ("two bytes of number", uint(0x100), json!(256)),
        ("four bytes of number", uint(0x1_0000), json!(65_536)),
        ("eight bytes of number", uint(1 << 32), json!(1u64 << 32)),
        ("the largest number", uint(u64::MAX), json!(u64::MAX)),
        ("a negative number", vec![0x38, 0x63], json!(-100)),
        (
            "a fraction",
            bytes(&json!("fb3ff8000000000000")),
            json!(1.5),
        ),
        ("truth", vec![0xf5], json!(true)),
        ("nothing", vec![0xf6], json!(null)),
        ("text", string("Grüße"), json!("Grüße")),
        ("bytes", blob([1, 2, 3]), json!({"/": {"bytes": "010203"}})),
        ("a link", link(&cid), json!({"/": cid.to_string()})),
        ("a list", list(&[uint(1), string("a")]), json!([1, "a"])),
        (
            "a map, shorter keys first",
            map(&[("aa", uint(1)), ("b", uint(2)), ("a", list(&[]))]),
            json!({"aa": 1, "b": 2, "a": []}),
        ),
    ]
}

fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let plain = |text: &str| bytes(&json!(text));
    let cid = cid_of(RAW, b"hello").to_bytes();
    vec![
        ("no bytes at all", vec![]),
        ("1 in two bytes", plain("1801")),
        ("1 in nine bytes", plain("1b0000000000000001")),
        ("a length in two bytes", plain("580101")),
        ("a list of indefinite length", plain("9f01ff")),
        ("a map of indefinite length", plain("bf616101ff")),
        ("text of indefinite length", plain("7f6161ff")),
        (
            "keys out of order",
            unsorted(&[("b", uint(1)), ("a", uint(2))]),
        ),
        (
            "keys in order of bytes, not of length",
            unsorted(&[("aa", uint(1)), ("b", uint(2))]),
        ),
        ("a key twice", unsorted(&[("a", uint(1)), ("a", uint(1))])),
        ("a key that is a number", plain("a10101")),
        ("a byte after the end", plain("0000")),
        ("cut short", plain("8201")),
        ("a length of 2^63", plain("9b8000000000000000")),
        ("a half float", plain("f93e00")),
        ("a single float", plain("fa3fc00000")),
        ("not a number", plain("fb7ff8000000000000")),
        ("infinity", plain("fb7ff0000000000000")),
        ("undefined", plain("f7")),
        ("an unassigned simple value", plain("e0")),
        ("a tag that is not 42", plain("c100")),
        (
            "a link without its zero",
            [vec![0xd8, 42], blob(&cid)].concat(),
        ),
        ("a link that is text", plain("d82a6161")),
        ("text that is not UTF-8", plain("61ff")),
    ]
}

/// Decodes a value of any of the shapes that Threads uses.
fn decode_any(bytes: &[u8]) -> Result<Value> {
    if let Ok(cid) = decode::<Cid>(bytes) {
        return Ok(json!({"/": cid.to_string()}));
    }
    if let Ok(blob) = decode::<serde_bytes::ByteBuf>(bytes) {
        return Ok(json!({"/": {"bytes": hex(blob)}}));
    }
    // A key twice is last-one-wins to this shape, and found by encoding again.
    decode::<BTreeMap<String, Value>>(bytes)
        .map(|map| json!(map))
        .or_else(|_| decode::<Value>(bytes))
}

pub(crate) fn read(vector: &Value) -> Result<()> {
    let found = bytes(&vector["bytes"]);
    if vector["kind"] == "cbor" {
        assert_eq!(decode_any(&found)?, vector["value"]);
        return Ok(());
    }
    let cid: Cid = text(&vector["cid"]).parse().unwrap();
    assert_eq!(cid.to_bytes(), bytes(&vector["cid_bytes"]));
    let block = Block::checked(cid, found)?;
    assert_eq!(
        block.cid(),
        &cid_of(vector["codec"].as_u64().unwrap(), block.bytes())
    );
    Ok(())
}
