//! Identifiers and addresses.

use multibase::Base;
use serde_json::{Value, json};
use threads_core::{
    CodecId, CollectionName, EntityId, IdentityKey, LogId, PeerId, Result, ThreadAddr, ThreadId,
};

use crate::{TestRng, array, bytes, hex, text};

const ID: &str = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy";

const BASES: [(&str, Base); 6] = [
    ("base16", Base::Base16Lower),
    ("base32", Base::Base32Lower),
    ("base32upper", Base::Base32Upper),
    ("base36", Base::Base36Lower),
    ("base58btc", Base::Base58Btc),
    ("base64url", Base::Base64Url),
];

pub(crate) fn make() -> Vec<Value> {
    [threads(), peers(), names(), addresses()].concat()
}

fn threads() -> Vec<Value> {
    let random: [u8; 64] = TestRng::new("thread ids").bytes();
    let with = |prefix: &[u8], length: usize| hex([prefix, &random[..length]].concat());
    let good = [
        (
            "the paper's raw id",
            ID.parse::<ThreadId>().map(|id| hex(id.as_bytes())).unwrap(),
        ),
        ("an access-controlled id", with(&[1, 0x70], 16)),
        ("an id of 32 random bytes", with(&[1, 0x55], 32)),
        ("the longest id", with(&[1, 0x70], 64)),
        ("an id of zeros", hex([&[1, 0x55][..], &[0; 16]].concat())),
    ];
    let good = good.into_iter().map(|(name, id)| {
        let id = ThreadId::from_bytes(&bytes(&json!(id))).unwrap();
        let texts = BASES.map(|(name, base)| (name.to_owned(), id.encode(base).into()));
        json!({
            "name": name, "kind": "thread", "bytes": hex(id.as_bytes()),
            "text": Value::Object(texts.into_iter().collect()),
            "version": id.version(), "variant": id.variant().code(), "random": hex(&id.as_bytes()[2..]),
        })
    });
    let refused = [
        ("15 random bytes", with(&[1, 0x55], 15), "invalid"),
        ("no random bytes", with(&[1, 0x55], 0), "invalid"),
        ("no bytes", String::new(), "invalid"),
        ("version 2", with(&[2, 0x55], 32), "unsupported"),
        ("variant 0x71", with(&[1, 0x71], 32), "unsupported"),
        (
            "a version in two bytes",
            with(&[0x81, 0, 0x55], 32),
            "invalid",
        ),
        ("a variant in two bytes", with(&[1, 0xd5, 0], 32), "invalid"),
        ("65 random bytes", with(&[1, 0x55, 7], 64), "invalid"),
    ];
    let refused = refused.map(
        |(name, id, reject)| json!({"name": format!("an id with {name}"), "kind": "thread-bytes", "bytes": id, "reject": reject}),
    );
    let texts = [
        ("no text", ""),
        (
            "a letter outside the base",
            "bafykrq5i25vd64ghamtgus6lue74k-acl",
        ),
        ("an unknown base", "!afkxd5bjgi6k4zivuoyxo4ua4mzyy"),
        ("text cut short", "bafk"),
    ];
    let texts = texts.map(
        |(name, id)| json!({"name": format!("{name} for an id"), "kind": "thread-text", "text": id, "reject": "invalid"}),
    );
    good.chain(refused).chain(texts).collect()
}

fn peers() -> Vec<Value> {
    let good = (1..=2u8).map(|seed| {
        let id = IdentityKey::from_bytes(&[seed; 32]).peer_id();
        let cid = [&[1, 0x72][..], &id.to_bytes()].concat();
        json!({
            "name": format!("peer {seed}"), "kind": "peer", "key": hex(id.key_bytes()),
            "bytes": hex(id.to_bytes()), "text": id.to_string(),
            "cid": multibase::encode(Base::Base36Lower, cid),
        })
    });
    let refused = [
        (
            "an RSA peer",
            "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
        ),
        (
            "a peer id with a letter missing",
            "12D3KooWAcB6uoHuAPyfsYcwnYTqGNt2biPmSmvbBam9cwmawgz",
        ),
        (
            "a peer id with a letter of no base",
            "12D3KooWAcB6uoHuAPyfsYcwnYTqGNt2biPmSmvbBam9cwmawg0K",
        ),
        (
            "a CID of another codec",
            "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
        ),
        ("no peer id", ""),
    ];
    let refused = refused.map(
        |(name, id)| json!({"name": name, "kind": "peer-text", "text": id, "reject": "invalid"}),
    );
    good.chain(refused).collect()
}

fn names() -> Vec<Value> {
    let long = |letter: &str, length: usize| letter.repeat(length);
    let cases = [
        ("entity", "alice@example.org".to_owned(), true),
        ("entity", "é/.. 名前".to_owned(), true),
        ("entity", long("x", 256), true),
        ("entity", long("é", 128), true),
        ("entity", long("x", 257), false),
        ("entity", String::new(), false),
        ("entity", "a\nb".to_owned(), false),
        ("entity", "a\u{85}b".to_owned(), false),
        ("collection", "Person_2-b".to_owned(), true),
        ("collection", "$collections".to_owned(), true),
        ("collection", long("x", 64), true),
        ("collection", long("x", 65), false),
        ("collection", format!("${}", long("x", 64)), false),
        ("collection", "$".to_owned(), false),
        ("collection", "$$a".to_owned(), false),
        ("collection", "../etc".to_owned(), false),
        ("collection", "naïve".to_owned(), false),
        ("codec", "jsonpatch/1".to_owned(), true),
        ("codec", "a.b-c_d/2".to_owned(), true),
        ("codec", "JSONPatch/1".to_owned(), false),
        ("codec", long("x", 65), false),
        ("codec", String::new(), false),
    ];
    let mut vectors: Vec<Value> = cases
        .iter()
        .enumerate()
        .map(|(at, (kind, text, fine))| {
            let mut vector =
                json!({"name": format!("{kind} {}", at + 1), "kind": kind, "text": text});
            if !fine {
                vector["reject"] = "invalid".into();
            }
            vector
        })
        .collect();
    for now_ms in [0, 1_600_000_000_000, (1 << 48) - 1] {
        let random: [u8; 16] = TestRng::new("ulid").bytes();
        let id = EntityId::generate(now_ms, &mut TestRng::new("ulid"));
        vectors.push(json!({
            "name": format!("ULID of {now_ms}"), "kind": "ulid", "now_ms": now_ms,
            "random": hex(random), "text": id.as_str(),
        }));
    }
    vectors
}

fn addresses() -> Vec<Value> {
    let peer = IdentityKey::from_bytes(&[1; 32]).peer_id();
    let relay = IdentityKey::from_bytes(&[2; 32]).peer_id();
    let bases = [
        ("of a peer", format!("/ip4/127.0.0.1/tcp/4006/p2p/{peer}")),
        (
            "without a peer",
            "/ip4/192.0.2.1/udp/443/quic-v1".to_owned(),
        ),
        (
            "through a relay",
            format!("/dns4/example.org/tcp/443/p2p/{relay}/p2p-circuit/p2p/{peer}"),
        ),
        ("of nothing but a peer", format!("/p2p/{peer}")),
    ];
    let good = bases.into_iter().map(|(name, base)| {
        let addr: ThreadAddr = format!("{base}/thread/{ID}").parse().unwrap();
        json!({
            "name": format!("an address {name}"), "kind": "address", "text": addr.to_string(),
            "bytes": hex(addr.to_bytes()), "thread": hex(addr.thread().as_bytes()),
            "base": hex(addr.base()), "peer": addr.peer().map(|peer| peer.to_string()),
        })
    });
    let good: Vec<Value> = good.collect();
    let sound = bytes(&good[0]["bytes"]);
    let id = sound.len() - 18;
    let refused = [
        ("that ends early", sound[..sound.len() - 1].to_vec()),
        ("with a byte too many", [&sound[..], &[0]].concat()),
        (
            "with a length in two bytes",
            [&sound[..id - 1], &[0x92, 0], &sound[id..]].concat(),
        ),
        ("without a thread", sound[..id - 3].to_vec()),
        (
            "with a thread twice",
            [&sound[..], &sound[id - 3..]].concat(),
        ),
    ];
    let refused = refused.map(|(name, bytes)| {
        json!({"name": format!("an address {name}"), "kind": "address-bytes", "bytes": hex(bytes), "reject": "invalid"})
    });
    good.into_iter().chain(refused).collect()
}

pub(crate) fn read(vector: &Value) -> Result<()> {
    let text_of = || text(&vector["text"]);
    match text(&vector["kind"]) {
        "thread" => {
            let id = ThreadId::from_bytes(&bytes(&vector["bytes"]))?;
            for (name, base) in BASES {
                assert_eq!(id.encode(base), vector["text"][name]);
                assert_eq!(text(&vector["text"][name]).parse::<ThreadId>()?, id);
            }
            assert_eq!(id.variant().code(), vector["variant"].as_u64().unwrap());
        }
        "thread-bytes" => drop(ThreadId::from_bytes(&bytes(&vector["bytes"]))?),
        "thread-text" => drop(text_of().parse::<ThreadId>()?),
        "peer" => {
            let id = PeerId::from_key_bytes(array(&vector["key"]));
            assert_eq!(text_of().parse::<PeerId>()?, id);
            assert_eq!(text(&vector["cid"]).parse::<PeerId>()?, id);
            assert_eq!(
                LogId::from_bytes(&bytes(&vector["bytes"]))?.key_bytes(),
                id.key_bytes()
            );
        }
        "peer-text" => drop(text_of().parse::<PeerId>()?),
        "entity" => drop(text_of().parse::<EntityId>()?),
        "collection" => drop(text_of().parse::<CollectionName>()?),
        "codec" => drop(text_of().parse::<CodecId>()?),
        "ulid" => {
            let now_ms = vector["now_ms"].as_u64().unwrap();
            let id = EntityId::generate(now_ms, &mut TestRng::new("ulid"));
            assert_eq!(id.as_str(), text_of());
        }
        "address" => {
            let addr = ThreadAddr::from_bytes(&bytes(&vector["bytes"]))?;
            assert_eq!(text_of().parse::<ThreadAddr>()?, addr);
            assert_eq!(addr.to_string(), text_of());
        }
        "address-bytes" => drop(ThreadAddr::from_bytes(&bytes(&vector["bytes"]))?),
        other => panic!("unknown kind {other}"),
    }
    Ok(())
}
