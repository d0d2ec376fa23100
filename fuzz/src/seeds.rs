//! Where targets begin: the vectors of the specification, and a few lines by hand.

use std::path::Path;

use ipld_core::ipld::Ipld;
use serde_json::{Value, json};
use threads_core::block::{self, Block};
use threads_core::datastore::Memory;
use threads_core::multibase::Base::Base16Lower;
use threads_core::{IdentityKey, LogId, PeerId, ReadKey, ReplicaKey, ThreadId};
use threads_db::{Node, fuzzing};

use crate::bound::aad;
use crate::targets::automerge::{contents, events};

mod blobs;
mod snapshots;

pub(crate) use blobs::{MANIFEST, REFERENCE, manifest, reference};
pub(crate) use snapshots::{SNAPSHOT, device, snapshot};

/// What the sealed secret among the seeds was sealed with, and what it is.
pub(crate) const PASSPHRASE: &str = "pass";
pub(crate) const CONTEXT: &[u8] = b"here";
pub(crate) const SECRET: &[u8] = b"secret";
/// The first line of a keystore, and the hash of the rest.
const KEYSTORE_HEAD_BYTES: usize = 19 + 32;
const SEALED: &[u8] = include_bytes!("../seeds/secret");

pub(crate) const RECORD: &[&str] = &[
    "fthread", "clog", "cseq", "fauthor", "dprev", "dskip", "ddeps", "cacl", "eepoch", "dtags",
    "eevent", "csig", "av", "dpeer", "ccid",
];
pub(crate) const HEADER: &[&str] = &["dtime", "fformat", "ckey", "bto", "fsealed", "dhash"];
pub(crate) const BATCH: &[&str] = &["fcodecs", "kcollections", "fevents", "kexample/1"];
pub(crate) const PATCH: &[&str] = &[
    "\"op\"",
    "\"path\"",
    "\"from\"",
    "\"value\"",
    "\"add\"",
    "\"remove\"",
    "\"replace\"",
    "\"move\"",
    "\"copy\"",
    "\"test\"",
    "\"/tags/-\"",
    "\"/tags/2/c\"",
    "~0",
    "~1",
    "\"/_id\"",
];
pub(crate) const SCHEMA: &[&str] = &[
    "\"$ref\"",
    "\"$defs\"",
    "\"#/$defs/a\"",
    "\"$id\"",
    "\"$anchor\"",
    "\"$dynamicRef\"",
    "\"allOf\"",
    "\"anyOf\"",
    "\"oneOf\"",
    "\"not\"",
    "\"if\"",
    "\"properties\"",
    "\"patternProperties\"",
    "\"additionalProperties\"",
    "\"unevaluatedProperties\"",
    "\"items\"",
    "\"prefixItems\"",
    "\"contains\"",
    "\"pattern\"",
    "\"format\"",
    "\"type\"",
    "\"enum\"",
    "\"const\"",
    "\"multipleOf\"",
    "\"minLength\"",
    "\"required\"",
    "\"dependentSchemas\"",
    "\"$schema\"",
    "(a|b)*",
    "{1,1000}",
    "\\\\p{L}",
];
pub(crate) const QUERY: &[&str] = &[
    " and ",
    " or ",
    "not ",
    " in ",
    " contains ",
    " starts with ",
    " exists",
    " between ",
    "null",
    "true",
    "!=",
    "<=",
    ">=",
    "==",
    "\\u",
    "''",
    "\"\"",
    "[",
    "]",
    "(",
    ")",
    ".",
    " desc",
    "1e308",
];
pub(crate) const ADDRESS: &[&str] = &[
    "/ip4/",
    "/ip6/",
    "/dns/",
    "/tcp/",
    "/udp/",
    "/quic-v1",
    "/p2p/",
    "/thread/",
    "/p2p-circuit",
    "/ws",
    "/unix/",
    "/certhash/",
    "/http-path/",
    "/memory/",
    "/onion3/",
    "/garlic64/",
];
pub(crate) const KEYS: &[&str] = &["identity_b", "log_b", "replica_b", "read_b", "content_b"];
pub(crate) const KEYSTORE: &[&str] = &["gentries", "hidentity", "estore", "bid", "dlock", "dopen"];
pub(crate) const SECRET_WORDS: &[&str] =
    &["ckdf", "hargon2id", "em_kib", "dsalt", "echeck", "cbox"];

/// The vectors in a file of `spec/vectors`.
fn vectors(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../spec/vectors")
        .join(file);
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let list = document.get("vectors").unwrap_or(&document);
    list.as_array().unwrap().clone()
}

fn member<'a>(vector: &'a Value, name: &str) -> Option<&'a str> {
    vector.get(name)?.as_str()
}

fn hex(vector: &Value, name: &str) -> Option<Vec<u8>> {
    Base16Lower.decode(member(vector, name)?).ok()
}

/// A member of every vector that has it, after `prefix`.
fn all(file: &str, name: &str, prefix: &[u8]) -> Vec<Vec<u8>> {
    let vectors = vectors(file);
    let found = vectors.iter().filter_map(|vector| hex(vector, name));
    found.map(|bytes| [prefix, &bytes].concat()).collect()
}

/// The text of every vector that has one.
fn texts(file: &str, kinds: &[&str]) -> Vec<Vec<u8>> {
    let vectors = vectors(file);
    let of_kind = |vector: &&Value| {
        kinds
            .iter()
            .any(|kind| member(vector, "kind") == Some(kind))
    };
    let found = vectors
        .iter()
        .filter(of_kind)
        .filter_map(|vector| member(vector, "text"));
    found.map(|text| text.as_bytes().to_vec()).collect()
}

fn lines(text: &str) -> Vec<Vec<u8>> {
    text.lines().map(|line| line.as_bytes().to_vec()).collect()
}

/// The thread of the vectors of records.
pub(crate) fn thread() -> ThreadId {
    let text = "f01556696e944f5bfa901fdd2c3b184e4875a8d1d40574167ec3d47d7ec4b5f312907";
    text.parse().unwrap()
}

/// The replica key of the first of them.
pub(crate) fn replica() -> ReplicaKey {
    let text = "070dcfdc4fbc759d2ccc80cab1faa325761c5a170cb389fbcd2f4b64609a0238";
    ReplicaKey::from_bytes(&Base16Lower.decode(text).unwrap().try_into().unwrap())
}

pub(crate) fn record() -> Vec<Vec<u8>> {
    [
        all("records.json", "block", &[0]),
        all("records.json", "plain", &[1]),
    ]
    .concat()
}

pub(crate) fn event() -> Vec<Vec<u8>> {
    [
        all("events.json", "event", &[]),
        all("records.json", "event", &[]),
    ]
    .concat()
}

/// The headers of the vectors of events, opened.
pub(crate) fn header() -> Vec<Vec<u8>> {
    vectors("events.json")
        .iter()
        .filter_map(opened_header)
        .collect()
}

fn opened_header(vector: &Value) -> Option<Vec<u8>> {
    let key = |name| -> Option<[u8; 32]> { hex(vector, name)?.try_into().ok() };
    let thread = ThreadId::from_bytes(&hex(vector, "thread")?).ok()?;
    let log = LogId::from_key_bytes(key("log")?);
    let (seq, epoch) = (vector["seq"].as_u64()?, vector["epoch"].as_u64()?);
    let event: Ipld = block::decode(&hex(vector, "event")?).ok()?;
    let Ok(Some(Ipld::Bytes(header))) = event.get("header") else {
        return None;
    };
    let bound = aad(1, &thread, Some((&log, seq)), epoch);
    ReadKey::from_bytes(&key("read")?).open(&bound, header).ok()
}

pub(crate) fn batch() -> Vec<Vec<u8>> {
    all("batches.json", "bytes", &[])
}

pub(crate) fn change() -> Vec<Vec<u8>> {
    let file = "jsonpatch.json";
    [all(file, "event_hex", &[0]), all(file, "event_hex", &[1])].concat()
}

/// The contents of events of `automerge/1`, each for no entity and for one.
pub(crate) fn automerge() -> Vec<Vec<u8>> {
    let both = |event: &Vec<u8>| [0, 1].map(|mode| [&[mode], contents(event)].concat());
    events().iter().flat_map(both).collect()
}

/// Events of `lww/1`, each for no entity and for one.
pub(crate) fn lww() -> Vec<Vec<u8>> {
    let vectors = vectors("lww.json");
    let events = vectors
        .iter()
        .filter_map(|vector| vector.get("event")?.as_str());
    let both = |event: &str| [0, 1].map(|mode| [&[mode], event.as_bytes()].concat());
    events.flat_map(both).collect()
}

pub(crate) const LWW: &[&str] = &["{\"set\":{", "\"remove\":{", "18446744073709551615", "-0.0"];

/// Entities of every shape, a position, and the id of a key.
pub(crate) fn shapes() -> Vec<Vec<u8>> {
    let position =
        "000001748e0b3a0000000001-12D3KooWHFBSYrg59HGkJuCo5U1TiKdJ9wMDmMMwSQem3gyErqBB-0001";
    let entities = [
        json!({"_id": "ui/theme", "value": "dark"}),
        json!({"_id": "k", "value": {"base64": "m/w"}}),
        json!({"_id": position, "item": 9}),
        json!({"_id": "all 12D3KooWHFBSYrg59HGkJuCo5U1TiKdJ9wMDmMMwSQem3gyErqBB", "up": 3, "down": u64::MAX}),
        json!({"_id": "r", "n": -4, "next": "r"}),
    ];
    let entities = entities.map(|entity| entity.to_string().into_bytes());
    let texts = [position, "!00~ff", "a!20b"].map(|text| text.as_bytes().to_vec());
    entities.into_iter().chain(texts).collect()
}

pub(crate) const SHAPES: &[&str] = &[
    "\"_id\"",
    "\"value\"",
    "\"base64\"",
    "\"item\"",
    "\"up\"",
    "\"down\"",
    "\"next\"",
    "18446744073709551615",
];

pub(crate) fn definition() -> Vec<Vec<u8>> {
    let definitions = [
        json!({"_id": "Person", "codec": "jsonpatch/1", "schema": null, "version": 0}),
        json!({"_id": "x", "schema": {"items": {"enum": [1, -1.5, true, [["a"]]]}}}),
    ];
    definitions
        .map(|value| block::encode(&value).unwrap())
        .into()
}

/// The actions of one kind in the vectors of the codec.
fn actions(kind: &str) -> Vec<Vec<u8>> {
    let vectors = vectors("jsonpatch.json");
    let found = vectors
        .iter()
        .filter_map(|vector| vector.get("action")?.get(kind));
    found
        .map(|action| action.to_string().into_bytes())
        .collect()
}

pub(crate) fn patch() -> Vec<Vec<u8>> {
    let more = r#"[{"op":"add","path":"/tags/1","value":{"x":[]}}]
[{"op":"copy","from":"/tags","path":"/tags/0"},{"op":"copy","from":"/tags","path":"/tags/-"}]
[{"op":"move","from":"/a~1b/~0","path":"/age"},{"op":"remove","path":"/tags/2/c/0"}]
[{"op":"test","path":"/age","value":41},{"op":"replace","path":"/age","value":1e300}]"#;
    [actions("patch"), lines(more)].concat()
}

pub(crate) fn merge() -> Vec<Vec<u8>> {
    let more = r#"{"age":null,"tags":[1.5,-0.0],"a/b":{"~":null,"x":{"y":null}}}
{"_id":"bob","age":{"years":41}}"#;
    [actions("merge"), lines(more)].concat()
}

pub(crate) fn schema() -> Vec<Vec<u8>> {
    let seeds = r##"{"properties":{"a":{"type":"integer","minimum":0}},"additionalProperties":false}
{"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"}}}},"$ref":"#/$defs/n"}
{"$schema":"http://json-schema.org/draft-07/schema#","format":"email","pattern":"^a(b|c)*$"}
{"anyOf":[{"required":["a"]},{"not":{"oneOf":[true,{"const":{"b":1}}]}}],"if":{"minProperties":2},"then":false}
{"$id":"https://example.org/a","$defs":{"x":{"$anchor":"x","items":{"$dynamicRef":"#x"}}},"unevaluatedProperties":{"$ref":"#x"}}
{"patternProperties":{"^[a-z]{1,9}$":{"prefixItems":[{"multipleOf":0.1}],"contains":{"enum":[null,1]}}}}
true"##;
    let mut seeds = lines(seeds);
    seeds.push(b"{\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":3}}}\n{\"_id\":\"x\",\"a\":\"abcd\"}".to_vec());
    seeds
}

pub(crate) fn query() -> Vec<Vec<u8>> {
    lines(
        r#"age >= 60 and age < 66 or age == 67
address."postal code" in ['N1', 'N2'] and not (vip = true)
a contains 'x' or b not in [1, 2.5, -3e2, null]
name starts with "An" and b.c exists and not (d not exists)
a != null and (b = 'it''s' or c = "\u00e9\n")
a desc
-a.b"#,
    )
}

pub(crate) fn ids() -> Vec<Vec<u8>> {
    let kinds = [
        "thread-text",
        "peer",
        "peer-text",
        "entity",
        "ulid",
        "collection",
        "codec",
    ];
    let more = lines("bafkxd5bjgi6k4zivuoyxo4ua4mzyy\nf01556696e944f5bfa901fdd2c3b184e4875a");
    [
        all("ids.json", "bytes", &[]),
        texts("ids.json", &kinds),
        more,
    ]
    .concat()
}

pub(crate) fn address() -> Vec<Vec<u8>> {
    let bytes = all("ids.json", "bytes", &[]);
    [bytes, texts("ids.json", &["address", "address-text"])].concat()
}

pub(crate) fn cursor() -> Vec<Vec<u8>> {
    use threads_db::query::{Query, page};
    let rows = || (0..3).map(|n| Ok(serde_json::json!({"_id": n.to_string(), "n": [n, 1.5]})));
    let queries = [
        Query::new(),
        Query::new().sort("n"),
        Query::new().sort("m").sort_desc("n"),
    ];
    let cursors = queries
        .iter()
        .map(|query| page(rows(), &query.clone().limit(1)).unwrap().next);
    let cursors = cursors.map(|next| next.unwrap().to_string().into_bytes());
    [cursors.collect(), lines("0\n7.2\n18446744073709551615")].concat()
}

pub(crate) fn keys() -> Vec<Vec<u8>> {
    texts("keys.json", &["text"])
}

pub(crate) fn car() -> Vec<Vec<u8>> {
    let blocks = [
        Block::raw(*b"one"),
        Block::cbor([0xa0]),
        Block::raw(*b"root"),
    ];
    let file = fuzzing::write_car(*blocks[2].cid(), &blocks).unwrap();
    vec![[&[0], &file[..]].concat(), b"\nrone\ntwo\nroot".to_vec()]
}

pub(crate) fn secret() -> Vec<Vec<u8>> {
    vec![SEALED.to_vec()]
}

/// Files as they are, after a 0, and their bodies alone: no mutation finds a hash.
pub(crate) fn keystore() -> Vec<Vec<u8>> {
    let files = all("keystore.json", "bytes", &[]);
    let bodies = files
        .iter()
        .filter_map(|file| file.get(KEYSTORE_HEAD_BYTES..));
    let bodies = bodies.map(|body| [&[1], body].concat());
    bodies.chain(all("keystore.json", "bytes", &[0])).collect()
}

/// Whose identity is in the keystore without a passphrase among the seeds.
pub(crate) fn keystore_peer() -> PeerId {
    let first = vectors("keystore.json").remove(0);
    let seed = Base16Lower
        .decode(member(&first, "identity").unwrap())
        .unwrap();
    IdentityKey::from_bytes(&seed.try_into().unwrap()).peer_id()
}

pub(crate) const FRAME: &[&str] = &[
    "eheads",
    "dpull",
    "dpush",
    "dhave",
    "djoin",
    "dpage",
    "dbusy",
    "dsame",
    "gunknown",
    "gdiffers",
    "gwaiting",
    "hadmitted",
    "dfrom",
    "clog",
    "bto",
];

/// A frame of each kind.
pub(crate) fn frame() -> Vec<Vec<u8>> {
    fuzzing::frames().unwrap()
}

/// A card, and an invite of it, as bytes and as texts.
pub(crate) fn invite() -> Vec<Vec<u8>> {
    use threads_core::IdentityKey;
    use threads_db::{InviteOptions, Role};
    let card = IdentityKey::from_bytes(&[7; 32]).card();
    let node = Node::builder(Memory::new()).open().unwrap();
    let db = node.create("a").unwrap();
    let link = db
        .invite(&InviteOptions::new(Role::Read))
        .unwrap()
        .to_string();
    let sealed = db
        .invite(&InviteOptions::new(Role::Write).to(card))
        .unwrap()
        .to_string();
    let bytes = |shown: &str| threads_core::text::decode("invite", shown, 4096).unwrap();
    let mut seeds = vec![card.to_bytes().to_vec(), card.to_string().into_bytes()];
    for shown in [link, sealed] {
        seeds.push(bytes(&shown));
        seeds.push(shown.into_bytes());
    }
    seeds
}
