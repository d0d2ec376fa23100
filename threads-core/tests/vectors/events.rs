//! Events: headers and bodies, each of the three kinds of content key.

use serde_json::{Value, json};
use threads_core::block::{Block, sha256};
use threads_core::event::{
    BODY_BYTES_MAX, EVENT_BYTES_MAX, Encryption, Event, Position, SealedEvent,
};
use threads_core::{
    AgreementKey, Cid, ContentKey, Hlc, IdentityKey, LogId, ReadKey, Result, ThreadId,
};

use crate::forge::{aad, blob, link, list, map, string, uint};
use crate::{TestRng, array, bytes, hex, text};

/// Where the events of these vectors stand, and the keys they are under.
struct Place {
    thread: ThreadId,
    log: LogId,
    read: ReadKey,
    recipient: AgreementKey,
}

impl Place {
    fn new(rng: &mut TestRng) -> Self {
        Self {
            thread: "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap(),
            log: LogId::from_key_bytes(rng.bytes()),
            read: ReadKey::generate(rng),
            recipient: IdentityKey::generate(rng).agreement_key(),
        }
    }

    fn position(&self) -> Position<'_> {
        Position {
            thread: &self.thread,
            log: self.log,
            seq: 7,
            epoch: 3,
        }
    }

    fn aad(&self, layer: u8) -> Vec<u8> {
        aad(layer, &self.thread, 3, Some((&self.log, 7)))
    }

    fn seal(&self, encryption: Encryption, body: &[u8], rng: &mut TestRng) -> SealedEvent {
        let time = Hlc {
            wall_ms: 1_600_000_000_000,
            counter: 2,
        };
        let format = "batch/1".parse().unwrap();
        SealedEvent::seal(
            &self.position(),
            &self.read,
            time,
            format,
            body,
            encryption,
            rng,
        )
        .unwrap()
    }

    fn vector(&self, name: &str, event: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Value {
        json!({
            "name": name, "kind": "event", "thread": hex(self.thread.as_bytes()), "log": hex(self.log.key_bytes()),
            "seq": 7, "epoch": 3, "read": hex(*self.read.to_bytes()), "recipient": hex(*self.recipient.to_bytes()),
            "event": hex(event), "body": hex(body),
        })
    }

    fn refused(&self, name: &str, sealed: (Vec<u8>, Vec<u8>), reject: &str) -> Value {
        let mut vector = self.vector(name, sealed.0, sealed.1);
        vector["reject"] = reject.into();
        vector
    }

    /// An event whose header holds any members.
    fn forge(
        &self,
        header: &[(&str, Vec<u8>)],
        body: &[u8],
        rng: &mut TestRng,
    ) -> (Vec<u8>, Vec<u8>) {
        self.forge_plain(&map(header), body, rng)
    }

    fn forge_plain(&self, header: &[u8], body: &[u8], rng: &mut TestRng) -> (Vec<u8>, Vec<u8>) {
        let header = self.read.seal_random(&self.aad(1), header, rng).unwrap();
        let body = Block::raw(body);
        let event = map(&[("header", blob(header)), ("body", link(body.cid()))]);
        (event, body.into_bytes())
    }
}

/// What an opened event shows.
pub(crate) fn describe(event: &Event, position: &Position<'_>, read: &ReadKey) -> Value {
    let header = event.open_header(position, read).unwrap();
    json!({
        "time": [header.time.wall_ms, header.time.counter], "format": header.format.as_str(),
        "recipient": header.recipient().map(|key| hex(key.to_bytes())), "body": event.body_id().to_string(),
    })
}

pub(crate) fn make() -> Vec<Value> {
    let rng = &mut TestRng::new("events");
    let place = Place::new(rng);
    let mut vectors = Vec::new();
    let kinds = [
        ("single-use", Encryption::SingleUse),
        ("sealed", Encryption::Sealed(place.recipient.public_key())),
        ("none", Encryption::None),
    ];
    for (name, kind) in kinds {
        for (size, body) in [
            ("a short body", &b"body"[..]),
            ("no bytes of body", b""),
            ("a longer body", &[5; 500]),
        ] {
            let sealed = place.seal(kind, body, rng);
            let mut vector = place.vector(
                &format!("{name}: {size}"),
                sealed.event.bytes(),
                sealed.body.bytes(),
            );
            let event = Event::decode(sealed.event.bytes()).unwrap();
            vector["header"] = describe(&event, &place.position(), &place.read);
            vector["encryption"] = name.into();
            vector["plaintext"] = hex(body).into();
            vectors.push(vector);
        }
    }
    vectors.extend(refused_events(&place, rng));
    vectors.extend(refused_headers(&place, rng));
    vectors.extend(refused_bodies(&place, rng));
    vectors
}

fn refused_events(place: &Place, rng: &mut TestRng) -> Vec<Value> {
    let sealed = place.seal(Encryption::SingleUse, b"body", rng);
    let (event, body) = (sealed.event.bytes().to_vec(), sealed.body.bytes().to_vec());
    let cid_v0 = Cid::new_v0(*sealed.body.cid().hash()).unwrap();
    let unsound = map(&[("header", blob([0; 60])), ("body", link(&cid_v0))]);
    let more = map(&[
        ("header", blob([0; 60])),
        ("body", link(sealed.body.cid())),
        ("more", uint(0)),
    ]);
    let long = map(&[
        ("header", blob([0; EVENT_BYTES_MAX])),
        ("body", link(sealed.body.cid())),
    ]);
    let mut vectors = vec![
        place.refused(
            "a body link that is no CIDv1",
            (unsound, body.clone()),
            "BadLink",
        ),
        place.refused(
            "an event with a member too many",
            (more, body.clone()),
            "Malformed",
        ),
        place.refused(
            "an event of another shape",
            (list(&[]), body.clone()),
            "Malformed",
        ),
        place.refused(
            "an event cut short",
            (event[..event.len() - 1].to_vec(), body.clone()),
            "Malformed",
        ),
        place.refused(
            "an event that is too large",
            (long, body.clone()),
            "TooLarge",
        ),
        place.refused(
            "a body that is not the block named",
            (event.clone(), b"other".to_vec()),
            "corrupt",
        ),
    ];
    for (name, member, value) in [
        ("an event moved to another place", "seq", json!(8)),
        ("an event of another epoch", "epoch", json!(4)),
        ("an event of another log", "log", json!(hex([1; 32]))),
        (
            "an event under another read key",
            "read",
            json!(hex([1; 32])),
        ),
    ] {
        let mut vector = place.refused(name, (event.clone(), body.clone()), "CannotOpen");
        vector[member] = value;
        vectors.push(vector);
    }
    let at = event
        .windows(6)
        .position(|window| window == b"header")
        .unwrap()
        + 40;
    let mut flipped = event;
    flipped[at] ^= 1;
    vectors.push(place.refused("a header with a bit flipped", (flipped, body), "CannotOpen"));
    vectors
}

fn refused_headers(place: &Place, rng: &mut TestRng) -> Vec<Value> {
    let sound = |hash: &[u8]| {
        vec![
            ("time", list(&[uint(1), uint(0)])),
            ("format", string("batch/1")),
            ("hash", blob(hash)),
        ]
    };
    let sound = sound(&sha256(b"body"));
    let with = |name: &'static str, value: Vec<u8>| {
        let mut members = sound.clone();
        members.retain(|(member, _)| *member != name);
        members.push((name, value));
        members
    };
    let cases = [
        ("no hash", sound[..2].to_vec()),
        ("a hash of 31 bytes", with("hash", blob([0; 31]))),
        ("a time of one number", with("time", list(&[uint(1)]))),
        (
            "a counter of 33 bits",
            with("time", list(&[uint(1), uint(1 << 32)])),
        ),
        (
            "a format that cannot be named so",
            with("format", string("Batch 1")),
        ),
        ("a key of 31 bytes", with("key", blob([0; 31]))),
        ("a recipient and nothing sealed", with("to", blob([0; 32]))),
        (
            "a sealed key without its recipient",
            with("sealed", blob([0; 80])),
        ),
        ("a member too many", with("more", uint(0))),
        ("no key, written as null", with("key", vec![0xf6])),
    ];
    let mut vectors: Vec<Value> = cases
        .iter()
        .map(|(name, members)| {
            let sealed = place.forge(members, b"body", rng);
            place.refused(&format!("a header with {name}"), sealed, "Malformed")
        })
        .collect();
    let both = [
        sound.clone(),
        vec![
            ("key", blob([0; 32])),
            ("to", blob([0; 32])),
            ("sealed", blob([0; 80])),
        ],
    ]
    .concat();
    vectors.push(place.refused(
        "a header with two keys",
        place.forge(&both, b"body", rng),
        "Malformed",
    ));
    let trailing = [map(&sound), vec![0]].concat();
    vectors.push(place.refused(
        "a header with a byte after its end",
        place.forge_plain(&trailing, b"body", rng),
        "Malformed",
    ));
    vectors
}

fn refused_bodies(place: &Place, rng: &mut TestRng) -> Vec<Value> {
    let header = |plaintext: &[u8]| {
        vec![
            ("time", list(&[uint(1), uint(0)])),
            ("format", string("batch/1")),
            ("hash", blob(sha256(plaintext))),
        ]
    };
    let content = ContentKey::generate(rng);
    let body = content.seal_random(&place.aad(2), b"body", rng).unwrap();
    let keyed = |plaintext, key: &ContentKey| {
        [header(plaintext), vec![("key", blob(*key.to_bytes()))]].concat()
    };
    let mut vectors = vec![
        place.refused(
            "a clear body that is not the one committed to",
            place.forge(&header(b"body"), b"other", rng),
            "BadCommitment",
        ),
        place.refused(
            "a sealed body that is not the one committed to",
            place.forge(&keyed(b"other", &content), &body, rng),
            "BadCommitment",
        ),
        place.refused(
            "a body under another content key",
            place.forge(
                &keyed(b"body", &ContentKey::from_bytes(&[1; 32])),
                &body,
                rng,
            ),
            "CannotOpen",
        ),
    ];
    let elsewhere = content.seal_random(&place.aad(1), b"body", rng).unwrap();
    vectors.push(place.refused(
        "a body sealed as a header",
        place.forge(&keyed(b"body", &content), &elsewhere, rng),
        "CannotOpen",
    ));
    let sealed = place.seal(
        Encryption::Sealed(place.recipient.public_key()),
        b"body",
        rng,
    );
    let (event, body) = (sealed.event.into_bytes(), sealed.body.into_bytes());
    let mut other = place.refused(
        "a body sealed to another",
        (event.clone(), body.clone()),
        "CannotOpen",
    );
    other["recipient"] = hex([1; 32]).into();
    let mut nobody = place.refused(
        "a body sealed to one, without a key of ours",
        (event, body),
        "CannotOpen",
    );
    nobody["recipient"] = Value::Null;
    vectors.extend([other, nobody]);
    let short = [
        header(b"body"),
        vec![("to", blob([9; 32])), ("sealed", blob([0; 79]))],
    ]
    .concat();
    vectors.push(place.refused(
        "a sealed content key cut short",
        place.forge(&short, b"body", rng),
        "CannotOpen",
    ));
    let long = vec![0; BODY_BYTES_MAX + 1];
    let (event, _) = place.forge(&header(&long), &long, rng);
    let mut long = place.refused("a body that is too large", (event, Vec::new()), "TooLarge");
    long["body"] = json!([["00", BODY_BYTES_MAX + 1]]);
    vectors.push(long);
    vectors
}

pub(crate) fn read(vector: &Value) -> Result<()> {
    let thread = ThreadId::from_bytes(&bytes(&vector["thread"])).unwrap();
    let position = Position {
        thread: &thread,
        log: LogId::from_key_bytes(array(&vector["log"])),
        seq: vector["seq"].as_u64().unwrap(),
        epoch: vector["epoch"].as_u64().unwrap(),
    };
    let read = ReadKey::from_bytes(&array(&vector["read"]));
    let recipient = vector["recipient"]
        .as_str()
        .map(|_| AgreementKey::from_bytes(&array(&vector["recipient"])));
    let event = Event::decode(&bytes(&vector["event"]))?;
    let body = Block::checked(event.body_id(), bytes(&vector["body"]))?;
    let header = event.open_header(&position, &read)?;
    let plaintext = header.open_body(&position, body.bytes(), recipient.as_ref())?;
    assert_eq!(hex(plaintext), text(&vector["plaintext"]));
    assert_eq!(describe(&event, &position, &read), vector["header"]);
    Ok(())
}
