//! The vectors of frames, `spec/06-sync.md`.
//!
//! `THREADS_VECTORS=write cargo test -p threads-db --lib vectors` rewrites the files.

use serde_bytes::ByteArray;
use serde_json::{Value, json};
use threads_core::block::{BLOCK_BYTES_MAX, Block, encode};
use threads_core::{
    Cid, IdentityKey, LogId, PeerId, Receipt, ReplicaKey, Result, ThreadId, Variant,
};

use super::wire::{
    Answer, Ask, CLAIMS_MAX, Claim, Digest, Head, PAGE_RECORDS_MAX, PLACES_MAX, Parcel, RANGES_MAX,
    Range, Verdict, digest, joint,
};
use crate::chain::Blocks;
use crate::vectors::encode::{blob, list, map, string, uint};
use crate::vectors::{TestRng, array, bytes, check, hex, text};

#[test]
fn frames() {
    check(
        "frames.json",
        "Requests and replies of sync: spec/06-sync.md",
        [requests(), replies(), refused(), hashes()].concat(),
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

fn requests() -> Vec<Value> {
    let range = |log, from, to| Range { log, from, to };
    let asks = [
        ("no thread", Ask::Heads(vec![])),
        (
            "two threads",
            Ask::Heads(vec![
                (claim(), ByteArray::new([3; 16])),
                (claim(), ByteArray::new([4; 16])),
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
    ];
    let vector = |(name, ask): (&str, Ask)| {
        let frame = ask.encode().unwrap();
        json!({"name": format!("request: {name}"), "kind": "request", "bytes": hex(frame), "value": show_ask(&ask)})
    };
    asks.map(vector).to_vec()
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
        ("not now", Answer::Busy(200)),
    ];
    let vector = |(name, answer): (&str, Answer)| {
        let frame = answer.encode().unwrap();
        json!({"name": format!("reply: {name}"), "kind": "reply", "bytes": hex(frame), "value": show_answer(&answer)})
    };
    answers.map(vector).to_vec()
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
    }
}

fn show_answer(answer: &Answer) -> Value {
    match answer {
        Answer::Heads(verdicts, joint) => {
            let show = |verdict: &Verdict| match verdict {
                Verdict::Unknown => json!("unknown"),
                Verdict::Same => json!("same"),
                Verdict::Differs(heads) => json!({"differs": show_heads(heads)}),
            };
            json!({"heads": [verdicts.iter().map(show).collect::<Value>(), hex(&joint[..])]})
        }
        Answer::Page(parcels, upto, more) => {
            let parcels: Value = parcels.iter().map(show_parcel).collect();
            json!({"page": [parcels, show_places(upto), more]})
        }
        Answer::Have(heads) => json!({"have": show_heads(heads)}),
        Answer::Full(heads) => json!({"full": show_heads(heads)}),
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
        Answer::Busy(ms) => json!({"busy": ms}),
    }
}

fn one(name: &str, value: Vec<u8>) -> Vec<u8> {
    map(&[(name, value)])
}

fn place(log: u8, seq: u64) -> Vec<u8> {
    list(&[blob([log; 32]), uint(seq)])
}

fn head(log: u8, seq: u64) -> Vec<u8> {
    list(&[blob([log; 32]), uint(seq), blob([7; 8])])
}

fn range(from: u64, to: u64) -> Vec<u8> {
    map(&[
        ("log", blob([1; 32])),
        ("from", uint(from)),
        ("to", uint(to)),
    ])
}

type Case = (&'static str, Vec<u8>);

fn some_claim() -> Vec<u8> {
    blob([2; 32])
}

/// A request of these members, the first of which is a claim.
fn claiming(name: &str, what: Vec<u8>) -> Vec<u8> {
    one(name, list(&[some_claim(), what]))
}

fn some_parcel() -> Vec<u8> {
    list(&[blob([1]), blob([2]), blob([3])])
}

fn misshapen_requests() -> Vec<Case> {
    let sound = claiming("have", list(&[head(1, 1)]));
    let short = list(&[blob([2; 31]), list(&[])]);
    let long = list(&[some_claim(), list(&[]), uint(1)]);
    let digest = list(&[some_claim(), blob([3; 15])]);
    vec![
        ("nothing", vec![]),
        ("cut short", sound[..sound.len() - 1].to_vec()),
        ("a byte after the end", [&sound[..], &[0]].concat()),
        ("a text", string("have")),
        ("no member", map(&[])),
        (
            "two members",
            map(&[("busy", uint(1)), ("have", list(&[]))]),
        ),
        ("a name that is none", one("give", list(&[]))),
        ("the name of a reply", one("page", list(&[]))),
        ("a claim of 31 bytes", one("have", short)),
        ("a member missing", one("have", list(&[some_claim()]))),
        ("a member too many", one("have", long)),
        (
            "a digest of 15 bytes",
            one("heads", list(&[list(&[digest])])),
        ),
    ]
}

fn unsound_requests() -> Vec<Case> {
    let pull = |range: Vec<u8>| claiming("pull", list(&[range]));
    let push = |parcel: Vec<u8>| claiming("push", list(&[parcel]));
    let have = |heads: &[Vec<u8>]| claiming("have", list(heads));
    let join = |id: &str, secret: usize| list(&[string(id), blob(vec![5; secret]), blob([6; 128])]);
    let endless = map(&[("log", blob([1; 32])), ("from", uint(1))]);
    let with_more = map(&[
        ("log", blob([1; 32])),
        ("from", uint(1)),
        ("to", uint(2)),
        ("by", uint(3)),
    ]);
    let texts = list(&[string("r"), blob([2]), blob([3])]);
    vec![
        ("a range from 0", pull(range(0, 1))),
        ("a range that is empty", pull(range(2, 1))),
        ("a range with a member too many", pull(with_more)),
        ("a range without its end", pull(endless)),
        (
            "a parcel of two blocks",
            push(list(&[blob([1]), blob([2])])),
        ),
        ("a parcel of texts", push(texts)),
        ("heads that descend", have(&[head(2, 1), head(1, 1)])),
        ("a log twice", have(&[head(1, 1), head(1, 2)])),
        ("a head of 0", have(&[head(1, 0)])),
        ("a head without a check", have(&[place(1, 1)])),
        (
            "a link's id that is too long",
            one("join", join(&"x".repeat(65), 16)),
        ),
        ("a link's secret of 15 bytes", one("join", join("x", 15))),
        ("a place of 0", claiming("sign", list(&[place(1, 0)]))),
    ]
}

fn verdicts(verdicts: &[Vec<u8>]) -> Vec<u8> {
    one("heads", list(&[list(verdicts), blob([9; 16])]))
}

/// A receipt for the number 1 of a log, with a signature of so many bytes.
fn signed(of: u8, signature: usize) -> Vec<u8> {
    let head = encode(Block::cbor(vec![of]).cid()).unwrap();
    list(&[blob([of; 32]), uint(1), head, blob(vec![8; signature])])
}

fn unsound_replies() -> Vec<Case> {
    let descending = one("differs", list(&[head(2, 1), head(1, 1)]));
    let short = list(&[blob([1; 32]), uint(1), blob([0; 7])]);
    let short = one("differs", list(&[short]));
    let to_nothing = list(&[list(&[]), list(&[place(1, 0)]), vec![0xf4]]);
    vec![
        ("a verdict that is none", verdicts(&[string("yes")])),
        ("a verdict with heads that descend", verdicts(&[descending])),
        ("a verdict with a check of 7 bytes", verdicts(&[short])),
        ("no joint proof", one("heads", list(&[list(&[])]))),
        (
            "a joint proof of 15 bytes",
            one("heads", list(&[list(&[]), blob([9; 15])])),
        ),
        (
            "a page that says neither more nor not",
            one("page", list(&[list(&[]), list(&[]), uint(1)])),
        ),
        ("a page that leads to 0", one("page", to_nothing)),
        (
            "a signature of 63 bytes",
            one("signed", list(&[signed(1, 63)])),
        ),
        (
            "receipts that descend",
            one("signed", list(&[signed(2, 64), signed(1, 64)])),
        ),
        ("a text that is none", string("busy")),
        ("waiting for something", one("waiting", uint(1))),
        ("a wait below nothing", one("busy", vec![0x20])),
    ]
}

fn too_many() -> Vec<(&'static str, &'static str, Value)> {
    let claimed = list(&[some_claim(), blob([3; 16])]);
    let threads = repeated(&one("heads", list(&[])), &claimed, CLAIMS_MAX + 1);
    let ranges = claiming("pull", list(&[]));
    let ranges = repeated(&ranges, &range(1, 1), RANGES_MAX + 1);
    let places = claiming("sign", list(&[]));
    let places = repeated(&places, &place(1, 1), PLACES_MAX + 1);
    let records = claiming("push", list(&[]));
    let records = repeated(&records, &some_parcel(), PAGE_RECORDS_MAX + 1);
    // A record of 2 MiB: all but the bytes of its body, which come last.
    let parcel = list(&[blob([1]), blob([2]), blob([])]);
    let mut long = claiming("push", list(&[parcel]));
    long.pop();
    long.push(0x5a);
    long.extend((BLOCK_BYTES_MAX as u32).to_be_bytes());
    let long = json!([[hex(long), 1], ["00", BLOCK_BYTES_MAX]]);
    let verdicts = repeated(&verdicts(&[]), &string("same"), CLAIMS_MAX + 1);
    vec![
        ("request", "too many threads", threads),
        ("request", "too many bytes", long),
        ("request", "too many ranges", ranges),
        ("request", "too many places", places),
        ("request", "too many records", records),
        ("reply", "too many verdicts", verdicts),
    ]
}

fn refused() -> Vec<Value> {
    let requests = [misshapen_requests(), unsound_requests()].concat();
    let requests = requests.into_iter().map(|case| ("request", case));
    let replies = unsound_replies().into_iter().map(|case| ("reply", case));
    let cases = requests.chain(replies);
    let cases = cases.map(|(kind, (name, frame))| (kind, name, json!(hex(frame))));
    let vector = |(kind, name, bytes): (&str, &str, Value)| json!({"name": format!("{kind}: {name}"), "kind": kind, "bytes": bytes, "reject": "rejected"});
    cases.chain(too_many()).map(vector).collect()
}

/// A frame whose last empty list is made one of so many items.
fn repeated(frame: &[u8], item: &[u8], count: usize) -> Value {
    let at = frame.iter().rposition(|byte| *byte == 0x80).unwrap();
    let (before, after) = (&frame[..at], &frame[at + 1..]);
    let head = match u8::try_from(count) {
        Ok(count) => vec![0x98, count],
        Err(_) => [&[0x99], &(count as u16).to_be_bytes()[..]].concat(),
    };
    json!([
        [hex([before, &head].concat()), 1],
        [hex(item), count],
        [hex(after), 1]
    ])
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
        other => panic!("unknown kind {other}"),
    }
    Ok(())
}
