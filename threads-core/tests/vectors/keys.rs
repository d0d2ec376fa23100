//! Keys: their texts, what is derived from them, sealing, signatures.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use threads_core::block::{DAG_CBOR, cid_of, decode, encode};
use threads_core::key::{check_key, verify, verify_batch};
use threads_core::transport::with_peer;
use threads_core::{
    AgreementKey, Announcement, ContentKey, Erased, Erasure, Error, IdentityKey, LogKey, Multiaddr,
    PeerCard, PeerId, ReadKey, Receipt, ReplicaKey, Result, ThreadId, Variant, Whereabouts,
    system_rng,
};

use crate::{TestRng, array, bytes, hex, text};

pub(crate) fn make() -> Vec<Value> {
    [
        texts(),
        derived(),
        sealed(),
        content_keys(),
        signatures(),
        cards(),
        claims(),
        receipts(),
        erasures(),
        whereabouts(),
        announcements(),
    ]
    .concat()
}

fn texts() -> Vec<Value> {
    let seed: [u8; 32] = TestRng::new("key texts").bytes();
    let replica = ReplicaKey::from_bytes(&seed).to_text();
    let texts = [
        ("identity", IdentityKey::from_bytes(&seed).to_text()),
        ("log", LogKey::from_bytes(&seed).to_text()),
        ("replica", replica.clone()),
        ("read", ReadKey::from_bytes(&seed).to_text()),
        ("content", ContentKey::from_bytes(&seed).to_text()),
    ];
    let texts = texts.iter().map(|(kind, text)| {
        json!({"name": format!("the text of a {kind} key"), "kind": "text", "of": kind, "key": hex(seed), "text": **text})
    });
    let refused = [
        ("read", "a replica key", replica.to_string()),
        ("read", "another tag", replica.replace("replica", "read")),
        ("replica", "a letter changed", replica.replacen('q', "r", 1)),
        (
            "replica",
            "a letter missing",
            replica[..replica.len() - 1].to_owned(),
        ),
        ("replica", "another base", replica.replace("_b", "_z")),
        ("replica", "no tag", replica[8..].to_owned()),
    ];
    assert!(replica.contains('q'));
    let refused = refused.iter().map(|(kind, name, text)| {
        json!({"name": format!("{name} for a {kind} key"), "kind": "text", "of": kind, "text": text, "reject": "invalid"})
    });
    texts.chain(refused).collect()
}

fn derived() -> Vec<Value> {
    let mut rng = TestRng::new("identities");
    let mut vectors = Vec::new();
    for number in 1..=3 {
        let key = IdentityKey::generate(&mut rng);
        let message: [u8; 20] = rng.bytes();
        let agreement = key.agreement_key();
        vectors.push(json!({
            "name": format!("identity {number}"), "kind": "identity", "seed": hex(*key.to_bytes()),
            "public": hex(key.peer_id().key_bytes()), "message": hex(message), "signature": hex(key.sign(&message)),
            "agreement": hex(*agreement.to_bytes()), "agreement_public": hex(agreement.public_key().to_bytes()),
        }));
    }
    vectors
}

fn sealed() -> Vec<Value> {
    let mut rng = TestRng::new("sealing");
    let key = ReplicaKey::generate(&mut rng);
    let mut vectors = Vec::new();
    for (name, aad, plaintext) in [
        ("some bytes", &b"where"[..], &b"what"[..]),
        ("no bytes", b"", b""),
        ("several blocks", &[7; 100], &[9; 200]),
        ("the same bytes, split elsewhere", b"wherew", b"hat"),
    ] {
        let synthetic = key.seal_synthetic(aad, plaintext).unwrap();
        let random = key.seal_random(aad, plaintext, &mut rng).unwrap();
        let vector = |kind: &str, sealed: &[u8]| json!({"name": format!("{name}, {kind}"), "kind": kind, "key": hex(*key.to_bytes()), "aad": hex(aad), "sealed": hex(sealed), "plaintext": hex(plaintext)});
        let refused = |kind: &str, name: &str, sealed: &[u8]| {
            let mut vector = vector(kind, sealed);
            vector["name"] = format!("{kind}: {name}").into();
            vector["reject"] = "rejected".into();
            vector
        };
        vectors.push(vector("synthetic", &synthetic));
        vectors.push(vector("random", &random));
        if aad == b"where" {
            let last = random.len() - 1;
            let flipped = [&random[..last], &[random[last] ^ 1]].concat();
            vectors.push(refused("synthetic", "sealed under a random nonce", &random));
            vectors.push(refused("random", "a bit flipped", &flipped));
            vectors.push(refused("random", "too short", &random[..39]));
        }
    }
    vectors
}

fn content_keys() -> Vec<Value> {
    let mut rng = TestRng::new("content keys");
    let recipient = IdentityKey::generate(&mut rng).agreement_key();
    let content = ContentKey::generate(&mut rng);
    let sealed = recipient
        .public_key()
        .seal(b"threads/example", &content, &mut rng)
        .unwrap();
    let vector = |name: &str, info: &[u8], sealed: &[u8]| json!({"name": name, "kind": "sealed-content-key", "secret": hex(*recipient.to_bytes()), "info": hex(info), "sealed": hex(sealed), "content": hex(*content.to_bytes())});
    let refused = |name: &str, info: &[u8], sealed: &[u8]| {
        let mut vector = vector(name, info, sealed);
        vector["reject"] = "rejected".into();
        vector
    };
    let mut flipped = sealed.clone();
    flipped[40] ^= 1;
    let weak = [&[0; 32], &sealed[32..]].concat();
    vec![
        vector(
            "a content key for one recipient",
            b"threads/example",
            &sealed,
        ),
        refused(
            "a content key for another purpose",
            b"threads/other",
            &sealed,
        ),
        refused(
            "a content key with a bit flipped",
            b"threads/example",
            &flipped,
        ),
        refused("a content key cut short", b"threads/example", &sealed[..79]),
        refused(
            "a content key under a weak point",
            b"threads/example",
            &weak,
        ),
    ]
}

fn cards() -> Vec<Value> {
    let mut rng = TestRng::new("cards");
    let [ann, bob] = [0; 2].map(|_| IdentityKey::generate(&mut rng));
    let card = ann.card();
    let good = card.to_bytes();
    let mut vectors = vec![json!({
        "name": "a card", "kind": "card", "seed": hex(*ann.to_bytes()), "peer": hex(card.peer().key_bytes()),
        "agreement": hex(card.agreement().to_bytes()), "bytes": hex(good), "text": card.to_string(),
    })];
    let agreement = bob.agreement_key().public_key().to_bytes();
    // Signed by bob, for ann's keys.
    let foreign = bob.sign(&[b"threads/card/1", &good[..64]].concat());
    // Signed by ann, for something else.
    let elsewhere = ann.sign(&[b"threads/cards/1", &good[..64]].concat());
    let refused = [
        (
            "another agreement key",
            [&good[..32], &agreement, &good[64..]].concat(),
            "BadSignature",
        ),
        (
            "signed by another",
            [&good[..64], &foreign].concat(),
            "BadSignature",
        ),
        (
            "signed for something else",
            [&good[..64], &elsewhere].concat(),
            "BadSignature",
        ),
        ("a byte short", good[..127].to_vec(), "invalid"),
        ("a byte too long", [&good[..], &[0]].concat(), "invalid"),
    ];
    vectors.extend(refused.map(|(name, bytes, word)| {
        json!({"name": format!("a card: {name}"), "kind": "card-bytes", "bytes": hex(bytes), "reject": word})
    }));
    let text = card.to_string();
    let texts = [
        ("a letter less", text[..text.len() - 1].to_owned()),
        ("another tag", text.replacen("peer", "invite", 1)),
        (
            "the text of an identity key",
            ann.to_text().as_str().to_owned(),
        ),
    ];
    vectors.extend(texts.map(|(name, text)| {
        json!({"name": format!("the text of a card: {name}"), "kind": "card-text", "text": text, "reject": "invalid"})
    }));
    vectors
}

fn claims() -> Vec<Value> {
    let mut rng = TestRng::new("claims");
    let key = ReplicaKey::generate(&mut rng);
    let [ann, bob] = [0; 2].map(|_| IdentityKey::generate(&mut rng).peer_id());
    let mut flipped = key.proof(&ann, &bob);
    flipped[15] ^= 1;
    let vector = |name: &str, proof: &[u8], reject: Option<&str>| {
        let mut vector = json!({
            "name": name, "kind": "claim", "replica": hex(*key.to_bytes()), "from": hex(ann.key_bytes()),
            "to": hex(bob.key_bytes()), "locator": hex(key.locator()),
            "rendezvous": hex(key.rendezvous()), "proof": hex(proof),
        });
        if let Some(word) = reject {
            vector["reject"] = word.into();
        }
        vector
    };
    let other = ReplicaKey::generate(&mut rng).proof(&ann, &bob);
    vec![
        vector("a claim", &key.proof(&ann, &bob), None),
        vector(
            "a claim turned round",
            &key.proof(&bob, &ann),
            Some("rejected"),
        ),
        vector("a claim with a bit flipped", &flipped, Some("rejected")),
        vector("a claim of another key", &other, Some("rejected")),
    ]
}

/// A signature under a chosen key, with small-order parts in key and nonce.
fn adversarial(key_part: usize, nonce_part: usize, nonce: u64) -> ([u8; 32], [u8; 64]) {
    let (secret, nonce) = (Scalar::from(7_u64), Scalar::from(nonce));
    let key = (B * secret + EIGHT_TORSION[key_part]).compress().to_bytes();
    let point = (B * nonce + EIGHT_TORSION[nonce_part])
        .compress()
        .to_bytes();
    let hash = Sha512::new().chain_update(point).chain_update(key);
    let k = Scalar::from_hash(hash.chain_update(b"message"));
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&point);
    signature[32..].copy_from_slice((nonce + k * secret).as_bytes());
    (key, signature)
}

fn signature_vector(
    name: &str,
    key: &[u8; 32],
    signature: &[u8; 64],
    reject: Option<&str>,
) -> Value {
    let mut vector = json!({
        "name": name, "kind": "signature", "key": hex(key), "message": hex("message"),
        "signature": hex(signature),
    });
    if let Some(word) = reject {
        vector["reject"] = word.into();
    }
    vector
}

fn signatures() -> Vec<Value> {
    let key = IdentityKey::from_bytes(&TestRng::new("signatures").bytes());
    let (id, good) = (key.peer_id(), key.sign(b"message"));
    let mut flipped = good;
    flipped[3] ^= 1;
    let mut high = good;
    add_group_order(&mut high);
    let (y_is_p, zero_y_is_p) = {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xed, 0x7f);
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&bytes);
        (bytes, signature)
    };
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    let mut vectors = vec![
        signature_vector("an honest signature", id.key_bytes(), &good, None),
        signature_vector(
            "a flipped bit",
            id.key_bytes(),
            &flipped,
            Some("BadSignature"),
        ),
        signature_vector(
            "s is not below the group's order",
            id.key_bytes(),
            &high,
            Some("BadSignature"),
        ),
        signature_vector(
            "a key off the curve",
            &off_curve,
            &good,
            Some("MalformedKey"),
        ),
        signature_vector(
            "a key with a shorter encoding",
            &y_is_p,
            &zero_y_is_p,
            Some("WeakKey"),
        ),
    ];
    for (order, point) in EIGHT_TORSION.iter().enumerate() {
        let key = point.compress().to_bytes();
        let mut any = [0; 64];
        any[0] = 1;
        let name = format!("small-order key {order}");
        vectors.push(signature_vector(&name, &key, &any, Some("WeakKey")));
        let mut negative = key;
        negative[31] ^= 0x80;
        let name = format!("small-order key {order}, its sign changed");
        vectors.push(signature_vector(&name, &negative, &any, Some("WeakKey")));
    }
    for (key_part, nonce_part, nonce) in [
        (0, 1, 11),
        (1, 0, 11),
        (1, 7, 11),
        (4, 4, 11),
        (3, 2, 0),
        (0, 0, 0),
    ] {
        let (key, signature) = adversarial(key_part, nonce_part, nonce);
        let name =
            format!("small-order parts {key_part} in the key, {nonce_part} in R, nonce {nonce}");
        vectors.push(signature_vector(&name, &key, &signature, None));
        let mut wrong = signature;
        wrong[32] ^= 1;
        vectors.push(signature_vector(
            &format!("{name}, s changed"),
            &key,
            &wrong,
            Some("BadSignature"),
        ));
    }
    vectors.push(other_encoding_of_r());
    vectors
}

fn receipts() -> Vec<Value> {
    let mut rng = TestRng::new("receipts");
    let key = IdentityKey::generate(&mut rng);
    let [thread, another] = [Variant::Raw, Variant::AccessControlled]
        .map(|variant| ThreadId::generate(variant, &mut rng));
    let log = LogKey::generate(&mut rng).log_id();
    let record: [u8; 40] = rng.bytes();
    let head = cid_of(DAG_CBOR, &record);
    let vector = |name: &str, signed: &Receipt, thread: &ThreadId, reject: Option<&str>| {
        let mut vector = json!({
            "name": format!("a receipt {name}"), "kind": "receipt", "peer": hex(key.peer_id().key_bytes()),
            "thread": hex(thread.as_bytes()), "bytes": hex(encode(signed).unwrap()),
            "log": hex(signed.log().key_bytes()), "seq": signed.seq().to_string(), "head": signed.head().to_string(),
        });
        if let Some(word) = reject {
            vector["reject"] = json!(word);
        }
        vector
    };
    let sign = |thread, seq| Receipt::sign(&key, thread, log, seq, head).unwrap();
    vec![
        vector("for one record", &sign(&thread, 1), &thread, None),
        vector(
            "for all there may be",
            &sign(&another, u64::MAX),
            &another,
            None,
        ),
        vector(
            "of another thread",
            &sign(&thread, 1),
            &another,
            Some("BadSignature"),
        ),
        vector(
            "of another number",
            &renumbered(&sign(&thread, 1)),
            &thread,
            Some("BadSignature"),
        ),
    ]
}

fn erasures() -> Vec<Value> {
    let mut rng = TestRng::new("erasures");
    let key = IdentityKey::generate(&mut rng);
    let [thread, another] =
        [(); 2].map(|()| ThreadId::generate(Variant::AccessControlled, &mut rng));
    let record: [u8; 40] = rng.bytes();
    let purge = cid_of(DAG_CBOR, &record);
    let vector = |name: &str, signed: &Erasure, thread: &ThreadId, reject: Option<&str>| {
        let erased = signed.erased();
        let counts = [erased.absent, erased.emptied, erased.living, erased.unread];
        let mut vector = json!({
            "name": format!("an erasure {name}"), "kind": "erasure", "peer": hex(key.peer_id().key_bytes()),
            "thread": hex(thread.as_bytes()), "bytes": hex(encode(signed).unwrap()),
            "purge": signed.purge().to_string(), "counts": counts.map(|count| count.to_string()),
        });
        if let Some(word) = reject {
            vector["reject"] = json!(word);
        }
        vector
    };
    let sign = |thread, counts: [u64; 4]| {
        let [absent, emptied, living, unread] = counts;
        let erased = Erased {
            absent,
            emptied,
            living,
            unread,
        };
        Erasure::sign(&key, thread, purge, erased).unwrap()
    };
    let some = sign(&thread, [1, 20, 3, 4]);
    let mut bytes = encode(&some).unwrap();
    let twenty = bytes.iter().position(|byte| *byte == 20).unwrap();
    bytes[twenty] = 21;
    let more: Erasure = decode(&bytes).unwrap();
    vec![
        vector("of some", &some, &thread, None),
        vector(
            "of all there may be",
            &sign(&another, [u64::MAX; 4]),
            &another,
            None,
        ),
        vector("in another thread", &some, &another, Some("BadSignature")),
        vector("of one more", &more, &thread, Some("BadSignature")),
    ]
}

fn whereabouts() -> Vec<Value> {
    let mut rng = TestRng::new("whereabouts");
    let [key, other] = [(); 2].map(|()| IdentityKey::generate(&mut rng));
    let at = |place: &str| with_peer(place.parse().unwrap(), key.peer_id());
    let addrs = [
        at("/ip4/192.0.2.7/tcp/4001"),
        at("/ip6/2001:db8::7/udp/4001/quic-v1"),
    ];
    let sign = |seq, addrs: &[Multiaddr]| Whereabouts::sign(&key, seq, 1_700_000_000_000, addrs);
    let (two, none) = (sign(1, &addrs).unwrap(), sign(u64::MAX, &[]).unwrap());
    let bytes = encode(&two).unwrap();
    // A list of five, 32 bytes with a head of two.
    let (mut renumbered, mut renamed) = (bytes.clone(), bytes.clone());
    assert_eq!(bytes[35], 1);
    renumbered[35] = 2;
    renamed[3..35].copy_from_slice(other.peer_id().key_bytes());
    let vector = |name: &str, bytes: &[u8], reject: Option<&str>| {
        let word: Whereabouts = decode(bytes).unwrap();
        let addrs: Vec<_> = word
            .addresses()
            .iter()
            .map(|addr| hex(addr.to_vec()))
            .collect();
        let mut vector = json!({
            "name": format!("whereabouts {name}"), "kind": "whereabouts", "bytes": hex(bytes),
            "peer": hex(word.peer().key_bytes()), "seq": word.seq().to_string(),
            "until": word.until_ms().to_string(), "addrs": addrs,
        });
        if let Some(word) = reject {
            vector["reject"] = json!(word);
        }
        vector
    };
    vec![
        vector("at two addresses", &bytes, None),
        vector("nowhere", &encode(&none).unwrap(), None),
        vector("of another number", &renumbered, Some("BadSignature")),
        vector("of another peer", &renamed, Some("BadSignature")),
    ]
}

fn announcements() -> Vec<Value> {
    let mut rng = TestRng::new("announcements");
    let [ann, bob] = [0; 2].map(|_| IdentityKey::generate(&mut rng));
    let [replica, other] = [0; 2].map(|_| ReplicaKey::generate(&mut rng));
    let [thread, another] = [Variant::Raw, Variant::AccessControlled]
        .map(|variant| ThreadId::generate(variant, &mut rng));
    let log = LogKey::generate(&mut rng).log_id();
    let record: [u8; 40] = rng.bytes();
    let head = cid_of(DAG_CBOR, &record);
    let vector = |name: &str, sealed: &[u8], thread: &ThreadId, reject: Option<&str>| {
        let mut vector = json!({
            "name": format!("an announcement {name}"), "kind": "announcement", "peer": hex(ann.peer_id().key_bytes()),
            "replica": hex(*replica.to_bytes()), "topic": hex(replica.topic().to_bytes()),
            "thread": hex(thread.as_bytes()), "bytes": hex(sealed),
        });
        match reject {
            Some(word) => vector["reject"] = json!(word),
            None => {
                let opened = Announcement::open(&replica, sealed).unwrap();
                vector["log"] = json!(hex(opened.log().key_bytes()));
                vector["seq"] = json!(opened.seq().to_string());
                vector["check"] = json!(hex(opened.check()));
            }
        }
        vector
    };
    let sealed = |by: &IdentityKey, under: &ReplicaKey, seq| {
        let announced = Announcement::sign(by, &thread, log, seq, &head).unwrap();
        announced.seal(under).unwrap()
    };
    let one = sealed(&ann, &replica, 1);
    let mut flipped = one.clone();
    flipped[80] ^= 1;
    vec![
        vector("of one record", &one, &thread, None),
        vector(
            "of all there may be",
            &sealed(&ann, &replica, u64::MAX),
            &thread,
            None,
        ),
        vector("of another thread", &one, &another, Some("BadSignature")),
        vector(
            "by another",
            &sealed(&bob, &replica, 1),
            &thread,
            Some("BadSignature"),
        ),
        vector(
            "under another key",
            &sealed(&ann, &other, 1),
            &thread,
            Some("CannotOpen"),
        ),
        vector("with a bit flipped", &flipped, &thread, Some("CannotOpen")),
        vector("a byte short", &one[1..], &thread, Some("Malformed")),
    ]
}

/// The same receipt for two records.
fn renumbered(receipt: &Receipt) -> Receipt {
    let mut bytes = encode(receipt).unwrap();
    // A list of four, 32 bytes with a head of two, and the number.
    assert_eq!(bytes[35], 1);
    bytes[35] = 2;
    decode(&bytes).unwrap()
}

/// R is the identity, written as p + 1: not the shortest encoding, and accepted.
fn other_encoding_of_r() -> Value {
    let secret = Scalar::from(7_u64);
    let key = (B * secret).compress().to_bytes();
    let mut point = [0xff; 32];
    (point[0], point[31]) = (0xee, 0x7f);
    let hash = Sha512::new().chain_update(point).chain_update(key);
    let k = Scalar::from_hash(hash.chain_update(b"message"));
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&point);
    signature[32..].copy_from_slice((k * secret).as_bytes());
    signature_vector("R is not in its shortest encoding", &key, &signature, None)
}

fn add_group_order(signature: &mut [u8; 64]) {
    let order = array::<32>(&json!(
        "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"
    ));
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

pub(crate) fn read(vector: &Value) -> Result<()> {
    let member = |name: &str| bytes(&vector[name]);
    match text(&vector["kind"]) {
        "text" => assert_eq!(
            hex(parse(text(&vector["of"]), text(&vector["text"]))?),
            vector["key"]
        ),
        "identity" => {
            let key = IdentityKey::from_bytes(&array(&vector["seed"]));
            check_key(key.peer_id().key_bytes())?;
            verify(
                &array(&vector["public"]),
                &member("message"),
                &array(&vector["signature"]),
            )?;
            assert_eq!(hex(key.peer_id().key_bytes()), vector["public"]);
            assert_eq!(hex(*key.agreement_key().to_bytes()), vector["agreement"]);
        }
        "synthetic" => {
            let key = ReplicaKey::from_bytes(&array(&vector["key"]));
            let opened = key.open_synthetic(&member("aad"), &member("sealed"))?;
            assert_eq!(opened, member("plaintext"));
        }
        "random" => {
            let key = ReadKey::from_bytes(&array(&vector["key"]));
            assert_eq!(
                key.open(&member("aad"), &member("sealed"))?,
                member("plaintext")
            );
        }
        "sealed-content-key" => {
            let key = AgreementKey::from_bytes(&array(&vector["secret"]));
            let content = key.open(&member("info"), &member("sealed"))?;
            assert_eq!(hex(*content.to_bytes()), vector["content"]);
        }
        "signature" => {
            let (key, signature) = (array(&vector["key"]), array(&vector["signature"]));
            let (message, rng) = (member("message"), &mut system_rng());
            let single = verify(&key, &message, &signature);
            let batch = verify_batch([(&key, message.as_slice(), &signature)], rng);
            assert_eq!(batch.is_ok(), single.is_ok());
            single?;
        }
        "card" => {
            let card = PeerCard::from_bytes(&member("bytes"))?;
            assert_eq!(text(&vector["text"]).parse::<PeerCard>()?, card);
            assert_eq!(hex(card.peer().key_bytes()), vector["peer"]);
            assert_eq!(hex(card.agreement().to_bytes()), vector["agreement"]);
        }
        "card-bytes" => drop(PeerCard::from_bytes(&member("bytes"))?),
        "card-text" => drop(text(&vector["text"]).parse::<PeerCard>()?),
        "receipt" => {
            let receipt: Receipt = decode(&member("bytes"))?;
            let peer = PeerId::from_key_bytes(array(&vector["peer"]));
            assert_eq!(receipt.head().to_string(), vector["head"]);
            receipt.verify(&peer, &ThreadId::from_bytes(&member("thread"))?)?;
        }
        "erasure" => {
            let erasure: Erasure = decode(&member("bytes"))?;
            let peer = PeerId::from_key_bytes(array(&vector["peer"]));
            assert_eq!(erasure.purge().to_string(), vector["purge"]);
            erasure.verify(&peer, &ThreadId::from_bytes(&member("thread"))?)?;
        }
        "whereabouts" => {
            let word: Whereabouts = decode(&member("bytes"))?;
            assert_eq!(hex(word.peer().key_bytes()), vector["peer"]);
            assert_eq!(word.seq().to_string(), vector["seq"]);
            assert_eq!(word.until_ms().to_string(), vector["until"]);
            word.verify()?;
        }
        "announcement" => {
            let replica = ReplicaKey::from_bytes(&array(&vector["replica"]));
            assert_eq!(hex(replica.topic().to_bytes()), vector["topic"]);
            let announced = Announcement::open(&replica, &member("bytes"))?;
            let peer = PeerId::from_key_bytes(array(&vector["peer"]));
            announced.verify(&peer, &ThreadId::from_bytes(&member("thread"))?)?;
            assert_eq!(hex(announced.log().key_bytes()), vector["log"]);
            assert_eq!(announced.seq().to_string(), vector["seq"]);
            assert_eq!(hex(announced.check()), vector["check"]);
        }
        "claim" => {
            let key = ReplicaKey::from_bytes(&array(&vector["replica"]));
            let [from, to] =
                ["from", "to"].map(|name| PeerId::from_key_bytes(array(&vector[name])));
            assert_eq!(hex(key.locator()), vector["locator"]);
            assert_eq!(hex(key.rendezvous()), vector["rendezvous"]);
            if !key.proves(&from, &to, &array(&vector["proof"])) {
                return Err(Error::rejected("it does not show the key"));
            }
        }
        other => panic!("unknown kind {other}"),
    }
    Ok(())
}

fn parse(kind: &str, text: &str) -> Result<[u8; 32]> {
    Ok(*match kind {
        "identity" => text.parse::<IdentityKey>()?.to_bytes(),
        "log" => text.parse::<LogKey>()?.to_bytes(),
        "replica" => text.parse::<ReplicaKey>()?.to_bytes(),
        "read" => text.parse::<ReadKey>()?.to_bytes(),
        _ => text.parse::<ContentKey>()?.to_bytes(),
    })
}
