//! The vectors of frames, `spec/06-sync.md`.
//!
//! `THREADS_VECTORS=write cargo test -p threads-db --lib vectors` rewrites the files.

mod blobs;
mod ranges;
mod refused;

use serde_bytes::ByteArray;
use serde_json::{Value, json};
use threads_core::block::{Block, encode};
use threads_core::transport::with_peer;
use threads_core::{
    Cid, Erased, Erasure, IdentityKey, LogId, PeerId, Receipt, ReplicaKey, Result, ThreadId,
    Variant, Whereabouts,
};

use super::wire::{Answer, Ask, Claim, Digest, Head, Parcel, Range, Verdict, digest, joint};
use crate::chain::Blocks;
use crate::snapshot::Word;
use crate::vectors::{TestRng, array, bytes, check, hex, text};

#[test]
fn frames() {
    check(
        "frames.json",
        "Requests and replies of sync: spec/06-sync.md",
        [
            requests(),
            replies(),
            refused::make(),
            hashes(),
            ranges::hashes(),
        ]
        .concat(),
        read,
    );
}

fn log(byte: u8) -> LogId {
    LogId::from_key_bytes([byte; 32])
}

fn claim() -> Claim {
    let mut rng = TestRng::new("frames");
    let key = ReplicaKey::generate(&mut rng);
    let [ann, bob] = [1, 2].map(|n| PeerId::from_key_bytes([n; 32]));
    Claim::new(&key, &ann, &bob)
}

/// Of another thread.
fn other_claim() -> Claim {
    let mut rng = TestRng::new("another thread");
    let key = ReplicaKey::generate(&mut rng);
    let [ann, bob] = [1, 2].map(|n| PeerId::from_key_bytes([n; 32]));
    Claim::new(&key, &ann, &bob)
}

fn parcel(record: &[u8], event: &[u8], body: &[u8]) -> Parcel {
    let [record, event, body] = [record, event, body].map(<[u8]>::to_vec);
    Parcel::from(Blocks {
        record,
        event,
        body,
    })
}

fn receipt(of: u8, seq: u64) -> Receipt {
    let mut rng = TestRng::new("receipts");
    let key = IdentityKey::generate(&mut rng);
    let thread = ThreadId::generate(Variant::Raw, &mut rng);
    let head = *Block::cbor(vec![of]).cid();
    Receipt::sign(&key, &thread, log(of), seq, head).unwrap()
}

/// Two, in the order of the purges.
fn erasures() -> Vec<Erasure> {
    let mut rng = TestRng::new("erasures");
    let key = IdentityKey::generate(&mut rng);
    let thread = ThreadId::generate(Variant::AccessControlled, &mut rng);
    let mut purges = [1, 2].map(|of| *Block::cbor(vec![of]).cid());
    purges.sort();
    let erased = Erased {
        absent: 1,
        emptied: 20,
        living: 3,
        unread: 4,
    };
    let sign = |purge| Erasure::sign(&key, &thread, purge, erased).unwrap();
    purges.map(sign).to_vec()
}

fn snapshot(of: u8) -> Cid {
    *Block::raw(vec![of]).cid()
}

fn blob(of: u8) -> Cid {
    *Block::cbor(vec![of]).cid()
}

/// A record of which only the sealed record is left.
fn emptied() -> Parcel {
    let by = Block::cbor(vec![9]);
    Parcel::from(Blocks::emptied(b"a sealed record".to_vec(), by.cid()))
}

fn peer(byte: u8) -> PeerId {
    PeerId::from_key_bytes([byte; 32])
}

fn words(places: &[&str]) -> Vec<Whereabouts> {
    let mut rng = TestRng::new("whereabouts");
    let mut keys = [(); 2].map(|()| IdentityKey::generate(&mut rng));
    keys.sort_by_key(IdentityKey::peer_id);
    let word = |key: &IdentityKey| {
        let addrs = places.iter().map(|place| place.parse().unwrap());
        let addrs: Vec<_> = addrs.map(|addr| with_peer(addr, key.peer_id())).collect();
        Whereabouts::sign(key, 7, u64::MAX, &addrs).unwrap()
    };
    keys.iter().map(word).collect()
}

fn requests() -> Vec<Value> {
    let range = |log, from, to| Range { log, from, to };
    let asks = [
        ("no thread", Ask::Heads(vec![])),
        (
            "two threads",
            Ask::Heads(vec![
                (claim(), ByteArray::new([3; 16])),
                (other_claim(), ByteArray::new([4; 16])),
            ]),
        ),
        (
            "ranges of two logs, in the order of who asks",
            Ask::Pull(
                claim(),
                vec![range(log(2), 1, 1), range(log(1), 7, u64::MAX)],
            ),
        ),
        ("no range", Ask::Pull(claim(), vec![])),
        (
            "two records",
            Ask::Push(
                claim(),
                vec![parcel(b"r1", b"e1", b"b1"), parcel(b"r2", b"e2", b"")],
            ),
        ),
        (
            "how far two logs are",
            Ask::Have(claim(), vec![checked(1, 1), checked(2, u64::MAX)]),
        ),
        (
            "the use of a link",
            Ask::Join(
                "01JD".to_owned(),
                ByteArray::new([5; 16]),
                vec![6; 128].into(),
            ),
        ),
        (
            "two places to sign for",
            Ask::Sign(claim(), vec![(log(1), 1), (log(2), u64::MAX)]),
        ),
        (
            "where two peers are",
            Ask::Where(claim(), vec![(peer(1), 0), (peer(2), u64::MAX)]),
        ),
        (
            "what two purges erased",
            Ask::Erased(claim(), erasures().iter().map(Erasure::purge).collect()),
        ),
    ];
    let vector = |(name, ask): (&str, Ask)| {
        let frame = ask.encode().unwrap();
        json!({"name": format!("request: {name}"), "kind": "request", "bytes": hex(frame), "value": show_ask(&ask)})
    };
    let ranges = ranges::asks(claim());
    let asks = asks.into_iter().chain(blobs::asks());
    asks.chain(ranges).map(vector).collect()
}

fn checked(of: u8, seq: u64) -> Head {
    (log(of), seq, ByteArray::new([of; 8]))
}

fn replies() -> Vec<Value> {
    let verdicts = vec![
        Verdict::Unknown,
        Verdict::Same,
        Verdict::Differs(vec![]),
        Verdict::Differs(vec![checked(1, 2), checked(3, 4)]),
        Verdict::Many,
    ];
    let answers = [
        (
            "every verdict",
            Answer::Heads(verdicts, ByteArray::new([9; 16])),
        ),
        (
            "a page, and there is more",
            Answer::Page(vec![parcel(b"r", b"e", b"b")], vec![(log(1), 7)], true),
        ),
        ("an empty page", Answer::Page(vec![], vec![], false)),
        (
            "what was dropped of two logs",
            Answer::Short(vec![(log(1), 7), (log(2), u64::MAX)], snapshot(1)),
        ),
        ("how far a log is", Answer::Have(vec![checked(1, 7)])),
        (
            "how far a log is, and no further",
            Answer::Full(vec![checked(1, 7)]),
        ),
        ("nobody has decided", Answer::Waiting),
        (
            "keys",
            Answer::Admitted(b"key".to_vec().into(), b"keys".to_vec().into()),
        ),
        ("nothing to sign for", Answer::Signed(vec![])),
        (
            "two receipts",
            Answer::Signed(vec![receipt(1, 7), receipt(2, u64::MAX)]),
        ),
        ("nothing erased", Answer::Erased(vec![])),
        ("two erasures", Answer::Erased(erasures())),
        (
            "a record that was purged",
            Answer::Page(vec![emptied()], vec![(log(1), 1)], false),
        ),
        ("nothing new of anybody", Answer::Where(vec![])),
        (
            "where two peers are",
            Answer::Where(words(&[
                "/ip4/192.0.2.7/tcp/4001",
                "/dns4/example.org/tcp/4001",
            ])),
        ),
        ("not now", Answer::Busy(200)),
    ];
    let vector = |(name, answer): (&str, Answer)| {
        let frame = answer.encode().unwrap();
        json!({"name": format!("reply: {name}"), "kind": "reply", "bytes": hex(frame), "value": show_answer(&answer)})
    };
    let ranges = ranges::answers();
    let answers = answers.into_iter().chain(blobs::answers());
    answers.chain(ranges).map(vector).collect()
}

fn show_parcel(parcel: &Parcel) -> Value {
    let Blocks {
        record,
        event,
        body,
    } = parcel.clone().into();
    json!([hex(record), hex(event), hex(body)])
}

fn show_heads(heads: &[Head]) -> Value {
    let show = |(log, seq, check): &Head| json!([hex(log.key_bytes()), seq, hex(&check[..])]);
    heads.iter().map(show).collect()
}

fn show_places(heads: &[(LogId, u64)]) -> Value {
    let show = |(log, seq): &(LogId, u64)| json!([hex(log.key_bytes()), seq]);
    heads.iter().map(show).collect()
}

fn show_claim(claim: &Claim) -> String {
    hex([&claim.locator()[..], claim.proof()].concat())
}

fn show_ask(ask: &Ask) -> Value {
    match ask {
        Ask::Heads(claims) => {
            let show =
                |(claim, digest): &(Claim, Digest)| json!([show_claim(claim), hex(&digest[..])]);
            json!({"heads": claims.iter().map(show).collect::<Value>()})
        }
        Ask::Pull(claim, ranges) => {
            let show = |range: &Range| {
                let log = hex(range.log.key_bytes());
                json!({"log": log, "from": range.from, "to": range.to})
            };
            json!({"pull": [show_claim(claim), ranges.iter().map(show).collect::<Value>()]})
        }
        Ask::Push(claim, parcels) => {
            let parcels: Value = parcels.iter().map(show_parcel).collect();
            json!({"push": [show_claim(claim), parcels]})
        }
        Ask::Have(claim, heads) => json!({"have": [show_claim(claim), show_heads(heads)]}),
        Ask::Join(id, secret, card) => json!({"join": [id, hex(**secret), hex(card)]}),
        Ask::Sign(claim, places) => json!({"sign": [show_claim(claim), show_places(places)]}),
        Ask::Where(claim, known) => {
            let show = |(peer, seq): &(PeerId, u64)| json!([hex(peer.key_bytes()), seq]);
            json!({"where": [show_claim(claim), known.iter().map(show).collect::<Value>()]})
        }
        Ask::Blobs(claim, heard, ours) => json!({"blobs": [show_claim(claim), heard, ours]}),
        Ask::Snapshots(claim, known) => {
            let show = |(peer, seq): &(PeerId, u64)| json!([hex(peer.key_bytes()), seq]);
            json!({"snapshots": [show_claim(claim), known.iter().map(show).collect::<Value>()]})
        }
        Ask::Blocks(claim, cids) => {
            let cids: Vec<_> = cids.iter().map(|cid| hex(cid.to_bytes())).collect();
            json!({"blocks": [show_claim(claim), cids]})
        }
        Ask::Erased(claim, purges) => {
            let purges = purges.iter().map(|purge| hex(purge.to_bytes()));
            json!({"erased": [show_claim(claim), purges.collect::<Vec<_>>()]})
        }
        Ask::Ranges(claim, spans) => {
            json!({"ranges": [show_claim(claim), ranges::show_spans(spans)]})
        }
    }
}

fn show_answer(answer: &Answer) -> Value {
    match answer {
        Answer::Heads(verdicts, joint) => {
            let show = |verdict: &Verdict| match verdict {
                Verdict::Unknown => json!("unknown"),
                Verdict::Same => json!("same"),
                Verdict::Differs(heads) => json!({"differs": show_heads(heads)}),
                Verdict::Many => json!("many"),
            };
            json!({"heads": [verdicts.iter().map(show).collect::<Value>(), hex(&joint[..])]})
        }
        Answer::Page(parcels, upto, more) => {
            let parcels: Value = parcels.iter().map(show_parcel).collect();
            json!({"page": [parcels, show_places(upto), more]})
        }
        Answer::Short(logs, snapshot) => {
            json!({"short": [show_places(logs), hex(snapshot.to_bytes())]})
        }
        Answer::Have(heads) => json!({"have": show_heads(heads)}),
        Answer::Full(heads) => json!({"full": show_heads(heads)}),
        Answer::Ranges(found) => json!({"ranges": ranges::show_found(found)}),
        Answer::Waiting => json!("waiting"),
        Answer::Admitted(key, keys) => json!({"admitted": [hex(key), hex(keys)]}),
        Answer::Signed(receipts) => {
            let show = |one: &Receipt| {
                let log = hex(one.log().key_bytes());
                json!([
                    log,
                    one.seq(),
                    hex(one.head().to_bytes()),
                    hex(one.signature())
                ])
            };
            json!({"signed": receipts.iter().map(show).collect::<Value>()})
        }
        Answer::Erased(erasures) => {
            let show = |one: &Erasure| {
                let erased = serde_json::to_value(one.erased()).unwrap();
                json!([hex(one.purge().to_bytes()), erased, hex(one.signature())])
            };
            json!({"erased": erasures.iter().map(show).collect::<Value>()})
        }
        Answer::Blobs((list, end), blobs) => {
            let show = |(position, cid): &(u64, Cid)| json!([position, hex(cid.to_bytes())]);
            json!({"blobs": [[list, end], blobs.iter().map(show).collect::<Value>()]})
        }
        Answer::Blocks(blocks) => json!({"blocks": blocks.iter().map(hex).collect::<Vec<_>>()}),
        Answer::Where(words) => {
            let show = |word: &Whereabouts| {
                let addrs = word.addresses().into_iter();
                let addrs: Value = addrs.map(|addr| hex(addr.to_vec())).collect();
                let bytes = encode(word).unwrap();
                // The signature ends it.
                let sig = hex(&bytes[bytes.len() - 64..]);
                let peer = hex(word.peer().key_bytes());
                json!([peer, word.seq(), word.until_ms(), addrs, sig])
            };
            json!({"where": words.iter().map(show).collect::<Value>()})
        }
        Answer::Snapshots(words) => {
            let show = |word: &Word| {
                let (peer, blob) = (hex(word.peer().key_bytes()), hex(word.blob().to_bytes()));
                let (sealed, sig) = (hex(word.sealed()), hex(word.signature()));
                json!([peer, word.seq(), blob, word.epoch(), sealed, sig])
            };
            json!({"snapshots": words.iter().map(show).collect::<Value>()})
        }
        Answer::Busy(ms) => json!({"busy": ms}),
    }
}

fn hashes() -> Vec<Value> {
    let mut rng = TestRng::new("heads");
    let heads: Vec<(LogId, u64, Cid)> = (1..=2)
        .map(|n| {
            let record: [u8; 8] = rng.bytes();
            let cid = *Block::raw(record.to_vec()).cid();
            (log(n), u64::from(n) << 40, cid)
        })
        .collect();
    let mut vectors = Vec::new();
    for (name, heads) in [("of no log", &heads[..0]), ("of two logs", &heads[..])] {
        let shown: Value = heads
            .iter()
            .map(|(log, seq, cid)| json!([hex(log.key_bytes()), seq, cid.to_string()]))
            .collect();
        let digest = digest(heads.iter().map(|(log, seq, cid)| (log, *seq, cid)));
        vectors.push(json!({"name": format!("the digest {name}"), "kind": "digest", "heads": shown, "digest": hex(&digest[..])}));
    }
    let proofs = [rng.bytes(), rng.bytes()];
    for (name, proofs) in [
        ("of no thread", &proofs[..0]),
        ("of two threads", &proofs[..]),
    ] {
        let shown: Value = proofs.iter().map(hex).collect();
        vectors.push(json!({"name": format!("the joint proof {name}"), "kind": "joint", "proofs": shown, "joint": hex(&joint(proofs)[..])}));
    }
    vectors
}

fn read(vector: &Value) -> Result<()> {
    let listed = |name: &str| vector[name].as_array().unwrap().clone();
    match text(&vector["kind"]) {
        "request" => {
            let frame = bytes(&vector["bytes"]);
            let ask = Ask::decode(&frame)?;
            assert_eq!(show_ask(&ask), vector["value"]);
            assert_eq!(ask.encode()?, frame);
        }
        "reply" => {
            let frame = bytes(&vector["bytes"]);
            let answer = Answer::decode(&frame)?;
            assert_eq!(show_answer(&answer), vector["value"]);
            assert_eq!(answer.encode()?, frame);
        }
        "digest" => {
            let heads: Vec<(LogId, u64, Cid)> = listed("heads")
                .iter()
                .map(|head| {
                    let log = LogId::from_key_bytes(array(&head[0]));
                    (
                        log,
                        head[1].as_u64().unwrap(),
                        text(&head[2]).parse().unwrap(),
                    )
                })
                .collect();
            let digest = digest(heads.iter().map(|(log, seq, cid)| (log, *seq, cid)));
            assert_eq!(hex(&digest[..]), vector["digest"]);
        }
        "joint" => {
            let proofs: Vec<[u8; 16]> = listed("proofs").iter().map(array).collect();
            assert_eq!(hex(&joint(&proofs)[..]), vector["joint"]);
        }
        "range" => ranges::read_digest(vector),
        other => panic!("unknown kind {other}"),
    }
    Ok(())
}
