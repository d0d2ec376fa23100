//! Records: two logs of one thread with every layer, and what is refused.

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;
use serde_json::{Value, json};
use threads_core::batch::Batch;
use threads_core::block::{Block, RAW, cid_of};
use threads_core::codec::ActionKind;
use threads_core::event::{Encryption, Event, Position, SealedEvent};
use threads_core::record::{
    DEPS_MAX, Dep, Fields, LINKS_MAX, RECORD_BYTES_MAX, Record as _, Rejection, SignedRecord,
    Verified, skip_target,
};
use threads_core::{
    AgreementKey, Cid, Hlc, IdentityKey, LogId, LogKey, ReadKey, ReplicaKey, Result, ThreadId,
    Variant,
};

use crate::batches::event;
use crate::events::describe;
use crate::forge::{Forged, author_member, blob, dep, envelope, link, list, map, uint, unsorted};
use crate::{TestRng, array, bytes, hex, text};

/// Two writers of one thread, and the keys of its two epochs.
struct World {
    rng: TestRng,
    thread: ThreadId,
    writers: [Writer; 2],
    epochs: [(ReplicaKey, ReadKey); 2],
}

struct Writer {
    identity: IdentityKey,
    log: LogKey,
    cids: Vec<Cid>,
    seen: usize,
}

/// The writer of each record of the chain, in the order in which they are written.
const CHAIN: &[u8] = b"ababaaabaabaaaabaabb";
/// The record of the chain from which on the second keys are used.
const ROTATED: usize = 12;

impl World {
    fn new() -> Self {
        let mut rng = TestRng::new("records");
        let thread = ThreadId::generate(Variant::Raw, &mut rng);
        let mut writer = || Writer {
            identity: IdentityKey::generate(&mut rng),
            log: LogKey::generate(&mut rng),
            cids: Vec::new(),
            seen: 0,
        };
        let writers = [writer(), writer()];
        let mut keys = || (ReplicaKey::generate(&mut rng), ReadKey::generate(&mut rng));
        let epochs = [keys(), keys()];
        Self {
            rng,
            thread,
            writers,
            epochs,
        }
    }

    /// The fields of the next record of a writer, but for its event.
    fn fields(&self, who: usize, epoch: u64) -> Fields {
        let (own, other) = (&self.writers[who], &self.writers[1 - who]);
        let seq = own.cids.len() as u64 + 1;
        let moved = (other.cids.len() > own.seen).then(|| Dep {
            log: other.log.log_id(),
            seq: other.cids.len() as u64,
            cid: other.cids[other.cids.len() - 1],
        });
        Fields {
            thread: self.thread.clone(),
            log: own.log.log_id(),
            seq,
            prev: own.cids.last().copied(),
            skip: skip_target(seq).map(|target| own.cids[target as usize - 1]),
            deps: moved.into_iter().collect(),
            acl: Vec::new(),
            access: false,
            epoch,
            tags: Vec::new(),
            event: cid_of(RAW, b""),
        }
    }

    fn encryption(&self, at: usize) -> (&'static str, Encryption) {
        let recipient = self.writers[1].identity.agreement_key().public_key();
        match at % 5 {
            3 => ("sealed", Encryption::Sealed(recipient)),
            4 => ("none", Encryption::None),
            _ => ("single-use", Encryption::SingleUse),
        }
    }

    /// Writes record `at` of the chain, with its event and body.
    fn write(&mut self, at: usize) -> Value {
        let who = usize::from(CHAIN[at] == b'b');
        let epoch = u64::from(at >= ROTATED);
        let mut fields = self.fields(who, epoch);
        let batch = batch(at).encode().unwrap();
        let (kind, encryption) = self.encryption(at);
        let (replica, read) = &self.epochs[epoch as usize];
        let position = Position {
            thread: &fields.thread,
            log: fields.log,
            seq: fields.seq,
            epoch,
        };
        let time = Hlc {
            wall_ms: 1_600_000_000_000 + (at as u64) / 2,
            counter: (at % 2) as u32,
        };
        let format = "batch/1".parse().unwrap();
        let sealed = SealedEvent::seal(
            &position,
            read,
            time,
            format,
            &batch,
            encryption,
            &mut self.rng,
        )
        .unwrap();
        let opened = Event::decode(sealed.event.bytes()).unwrap();
        let header = describe(&opened, &position, read);
        fields.event = *sealed.event.cid();
        decorate(&mut fields, at);
        let writer = &self.writers[who];
        let author = (fields.seq == 1).then_some(&writer.identity);
        let record = SignedRecord::seal(fields.clone(), &writer.log, author, replica).unwrap();
        // The encoder written from the specification makes the same bytes.
        let forged = Forged::new(&fields, author).sign(&writer.log);
        assert_eq!(forged.seal(replica), record.block());
        let recipient = self.writers[1].identity.agreement_key();
        let vector = json!({
            "name": format!("log {} record {}", ["a", "b"][who], fields.seq), "kind": "record",
            "thread": hex(self.thread.as_bytes()), "replica": hex(*replica.to_bytes()), "read": hex(*read.to_bytes()),
            "recipient": hex(*recipient.to_bytes()), "block": hex(record.block()), "cid": record.id().to_string(),
            "plain": hex(forged.plain()), "fields": show(&record), "event": hex(sealed.event.bytes()),
            "body": hex(sealed.body.bytes()), "header": header, "encryption": kind, "plaintext": hex(batch),
        });
        let seen = self.writers[1 - who].cids.len();
        self.writers[who].seen = seen;
        self.writers[who].cids.push(record.id());
        vector
    }
}

/// What only some records have.
fn decorate(fields: &mut Fields, at: usize) {
    if at == 5 {
        fields.tags = vec![ByteBuf::from([7; 32]), ByteBuf::from([1, 2])];
    }
    if at == 6 {
        fields.acl = vec![cid_of(RAW, b"a grant"), cid_of(RAW, b"a removal")];
        fields.acl.sort();
    }
}

fn batch(at: usize) -> Batch {
    let name = format!("entity-{}", at / 3);
    let action = [ActionKind::Create, ActionKind::Save, ActionKind::Delete][at % 3];
    let payload: &[u8] = if action == ActionKind::Delete {
        b""
    } else {
        b"{}"
    };
    let mut events = vec![event("Person", &name, action, payload)];
    if at.is_multiple_of(4) {
        events.push(event("Photo", &name, ActionKind::Save, &[at as u8; 10]));
    }
    Batch { events }
}

fn show(record: &SignedRecord) -> Value {
    let fields = record.fields();
    let cid = |cid: &Cid| json!(cid.to_string());
    json!({
        "log": hex(fields.log.key_bytes()), "seq": fields.seq, "epoch": fields.epoch,
        "author": record.author().map(|peer| hex(peer.key_bytes())),
        "prev": fields.prev.as_ref().map(cid), "skip": fields.skip.as_ref().map(cid),
        "deps": fields.deps.iter().map(|dep| json!([hex(dep.log.key_bytes()), dep.seq, cid(&dep.cid)])).collect::<Vec<_>>(),
        "acl": fields.acl.iter().map(cid).collect::<Vec<_>>(), "tags": fields.tags.iter().map(hex).collect::<Vec<_>>(),
        "event": cid(&fields.event), "sig": hex(record.sig()),
    })
}

pub(crate) fn make() -> Vec<Value> {
    let mut world = World::new();
    let mut vectors: Vec<Value> = (0..CHAIN.len()).map(|at| world.write(at)).collect();
    let fresh = World::new();
    vectors.extend(refused_blocks(&fresh));
    vectors.extend(refused_maps(&fresh));
    vectors.extend(refused_links(&fresh));
    vectors.extend(refused_signatures(&fresh));
    vectors.extend(refused_places(&world));
    vectors
}

impl World {
    fn refused(&self, name: &str, block: &[u8], reject: &str) -> Value {
        json!({
            "name": name, "kind": "refused", "thread": hex(self.thread.as_bytes()),
            "replica": hex(*self.epochs[0].0.to_bytes()), "block": hex(block), "reject": reject,
        })
    }

    /// The first record of the first log, not signed yet.
    fn first(&self) -> Forged {
        Forged::new(&self.fields(0, 0), Some(&self.writers[0].identity))
    }

    /// Signs with the log key and seals: what a malicious writer can do.
    fn finish(&self, forged: Forged) -> Vec<u8> {
        forged.sign(&self.writers[0].log).seal(&self.epochs[0].0)
    }
}

fn refused_blocks(world: &World) -> Vec<Value> {
    let replica = &world.epochs[0].0;
    let sound = world.finish(world.first());
    let signed = world.first().sign(&world.writers[0].log);
    let mut flipped = sound.clone();
    flipped[100] ^= 1;
    let mut nonce = sound.clone();
    nonce[10] ^= 1;
    let aad = crate::forge::aad(0, &world.thread, 0, None);
    let resealed = replica
        .seal_random(&aad, &signed.plain(), &mut TestRng::new("again"))
        .unwrap();
    let sealed = &replica.seal_synthetic(&aad, &signed.plain()).unwrap()[..];
    let other_aad = replica
        .seal_synthetic(&aad[..aad.len() - 1], &signed.plain())
        .unwrap();
    let mut vectors = vec![
        world.refused("a bit flipped", &flipped, "CannotOpen"),
        world.refused("a bit of the nonce flipped", &nonce, "CannotOpen"),
        world.refused(
            "sealed again under another nonce",
            &envelope(1, 0, &resealed),
            "CannotOpen",
        ),
        world.refused(
            "bound to something else",
            &envelope(1, 0, &other_aad),
            "CannotOpen",
        ),
        world.refused(
            "another epoch in the envelope",
            &envelope(1, 1, sealed),
            "CannotOpen",
        ),
        world.refused(
            "an envelope of version 2",
            &envelope(2, 0, sealed),
            "UnknownVersion",
        ),
        world.refused(
            "an envelope of version 0",
            &envelope(0, 0, sealed),
            "UnknownVersion",
        ),
        world.refused(
            "an envelope without epoch",
            &list(&[uint(1), blob(sealed)]),
            "Malformed",
        ),
        world.refused(
            "an envelope with a member too many",
            &list(&[uint(1), uint(0), blob(sealed), uint(0)]),
            "Malformed",
        ),
        world.refused(
            "an envelope whose version is not in its shortest form",
            &[&[0x83, 0x18, 1][..], &sound[2..]].concat(),
            "Malformed",
        ),
        world.refused(
            "a byte after the envelope",
            &[&sound[..], &[0]].concat(),
            "Malformed",
        ),
        world.refused(
            "an envelope cut short",
            &sound[..sound.len() - 1],
            "Malformed",
        ),
        world.refused(
            "sealed bytes that are too short",
            &envelope(1, 0, &[0; 39]),
            "CannotOpen",
        ),
        world.refused("no bytes", b"", "Malformed"),
    ];
    let mut large = world.refused("a block that is too large", b"", "TooLarge");
    large["block"] = json!([["00", RECORD_BYTES_MAX + 1]]);
    let mut key = world.refused("under another replica key", &sound, "CannotOpen");
    key["replica"] = hex([1; 32]).into();
    let mut thread = world.refused("served in another thread", &sound, "CannotOpen");
    thread["thread"] =
        hex(ThreadId::generate(Variant::Raw, &mut TestRng::new("other thread")).as_bytes()).into();
    vectors.extend([large, key, thread]);
    vectors
}

fn refused_maps(world: &World) -> Vec<Value> {
    let replica = &world.epochs[0].0;
    let other = ThreadId::generate(Variant::Raw, &mut TestRng::new("other thread"));
    let first = || world.first();
    let plain = |bytes: &[u8]| first().seal_plain(replica, bytes);
    let signed = first().sign(&world.writers[0].log).plain();
    let cases = [
        (
            "another thread inside",
            first().set("thread", blob(other.as_bytes())),
            "WrongThread",
        ),
        (
            "another epoch inside",
            first().set("epoch", uint(1)),
            "WrongThread",
        ),
        (
            "version 2 inside",
            first().set("v", uint(2)),
            "UnknownVersion",
        ),
        (
            "a member that is not known",
            first().set("more", uint(0)),
            "Malformed",
        ),
        (
            "a list written though empty",
            first().set("deps", list(&[])),
            "Malformed",
        ),
        (
            "an absent link written as null",
            first().set("prev", vec![0xf6]),
            "Malformed",
        ),
        ("no event", first().without("event"), "Malformed"),
        (
            "a log of 31 bytes",
            first().set("log", blob([1; 31])),
            "Malformed",
        ),
        (
            "a thread id of an unknown version",
            first().set("thread", blob([2; 34])),
            "Malformed",
        ),
        (
            "a sequence number that is negative",
            first().set("seq", vec![0x20]),
            "Malformed",
        ),
        (
            "a tag of 33 bytes",
            first().set("tags", list(&[blob([0; 33])])),
            "Malformed",
        ),
        (
            "a number not in its shortest form",
            first().set("epoch", vec![0x18, 0]),
            "Malformed",
        ),
        (
            "no author in a first record",
            first().without("author"),
            "AuthorMismatch",
        ),
    ];
    let cases =
        cases.map(|(name, forged, reject)| world.refused(name, &world.finish(forged), reject));
    let unsigned = first().seal(replica);
    let short = first().set("sig", blob([0; 63])).seal(replica);
    let plains = [
        world.refused("no signature", &unsigned, "Malformed"),
        world.refused("a signature of 63 bytes", &short, "Malformed"),
        world.refused(
            "a record map with keys out of order",
            &plain(&unsorted(&[("seq", uint(1)), ("v", uint(1))])),
            "Malformed",
        ),
        world.refused(
            "a record map with a byte after its end",
            &plain(&[&signed[..], &[0]].concat()),
            "Malformed",
        ),
        world.refused("nothing sealed", &plain(b""), "Malformed"),
    ];
    cases.into_iter().chain(plains).collect()
}

fn refused_links(world: &World) -> Vec<Value> {
    let first = || world.first();
    let sound = cid_of(RAW, b"hello");
    let v0 = Cid::new_v0(*sound.hash()).unwrap();
    let mut many: Vec<Cid> = (0..=DEPS_MAX.max(LINKS_MAX) as u8)
        .map(|n| cid_of(RAW, &[n]))
        .collect();
    many.sort();
    let links = |cids: &[Cid]| list(&cids.iter().map(link).collect::<Vec<_>>());
    let deps = |deps: &[([u8; 32], u64)]| {
        let one = |(log, seq): &([u8; 32], u64)| {
            dep(&Dep {
                log: LogId::from_key_bytes(*log),
                seq: *seq,
                cid: sound,
            })
        };
        list(&deps.iter().map(one).collect::<Vec<_>>())
    };
    let numbered: Vec<_> = (0..=DEPS_MAX as u8).map(|n| ([n; 32], 1)).collect();
    let own = *world.writers[0].log.log_id().key_bytes();
    let cases = [
        ("sequence number 0", first().set("seq", uint(0)), "BadLink"),
        (
            "a predecessor of a first record",
            first().set("prev", link(&sound)),
            "BadLink",
        ),
        (
            "a skip link where there is none",
            first().set("skip", link(&sound)),
            "BadLink",
        ),
        (
            "no predecessor of a second record",
            first().set("seq", uint(2)).without("author"),
            "BadLink",
        ),
        (
            "no skip link of a fourth record",
            first()
                .set("seq", uint(4))
                .set("prev", link(&sound))
                .without("author"),
            "BadLink",
        ),
        (
            "an event named by CIDv0",
            first().set("event", link(&v0)),
            "BadLink",
        ),
        (
            "an ACL link by CIDv0",
            first().set("acl", links(&[v0])),
            "BadLink",
        ),
        (
            "an author in a second record",
            first().set("seq", uint(2)).set("prev", link(&sound)),
            "AuthorMismatch",
        ),
        (
            "too many ACL links",
            first().set("acl", links(&many)),
            "TooManyLinks",
        ),
        (
            "too many deps",
            first().set("deps", deps(&numbered)),
            "TooManyLinks",
        ),
        (
            "too many tags",
            first().set("tags", list(&vec![blob([]); LINKS_MAX + 1])),
            "TooManyLinks",
        ),
        (
            "ACL links out of order",
            first().set("acl", links(&[many[1], many[0]])),
            "Malformed",
        ),
        (
            "an ACL link twice",
            first().set("acl", links(&[many[0], many[0]])),
            "Malformed",
        ),
        (
            "deps out of order",
            first().set("deps", deps(&[([2; 32], 1), ([1; 32], 1)])),
            "Malformed",
        ),
        (
            "a dep twice",
            first().set("deps", deps(&[([1; 32], 1), ([1; 32], 1)])),
            "Malformed",
        ),
        (
            "a dep on its own log",
            first().set("deps", deps(&[(own, 1)])),
            "Malformed",
        ),
        (
            "a dep on record 0",
            first().set("deps", deps(&[([1; 32], 0)])),
            "Malformed",
        ),
    ];
    cases
        .map(|(name, forged, reject)| world.refused(name, &world.finish(forged), reject))
        .into()
}

fn refused_signatures(world: &World) -> Vec<Value> {
    let replica = &world.epochs[0].0;
    let fields = world.fields(0, 0);
    let (own, other) = (&world.writers[0], &world.writers[1]);
    let signed = || world.first().sign(&own.log);
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    let swapped = map(&[
        ("peer", blob(other.identity.peer_id().key_bytes())),
        ("sig", blob(own.identity.sign(b"threads/author/1"))),
    ]);
    let mut elsewhere = fields.clone();
    elsewhere.log = other.log.log_id();
    let cases = [
        (
            "signed by another log key",
            world.first().sign(&other.log),
            "BadSignature",
        ),
        (
            "a tag added after signing",
            signed().set("tags", list(&[blob([1])])),
            "BadSignature",
        ),
        (
            "another event after signing",
            signed().set("event", link(&cid_of(RAW, b"x"))),
            "BadSignature",
        ),
        (
            "an ACL link added after signing",
            signed().set("acl", list(&[link(&cid_of(RAW, b"x"))])),
            "BadSignature",
        ),
        (
            "a signature of zeros",
            signed().set("sig", blob([0; 64])),
            "BadSignature",
        ),
        (
            "a log key off the curve",
            signed().set("log", blob(off_curve)),
            "BadSignature",
        ),
        (
            "a log key of small order",
            signed().set("log", blob(identity_point)),
            "WeakKey",
        ),
        (
            "an author who did not sign",
            world.first().set("author", swapped).sign(&own.log),
            "AuthorMismatch",
        ),
        (
            "an author bound to another log",
            world
                .first()
                .set("author", author_member(&own.identity, &elsewhere))
                .sign(&own.log),
            "AuthorMismatch",
        ),
    ];
    let mut vectors: Vec<Value> = cases
        .iter()
        .map(|(name, forged, reject)| world.refused(name, &forged.seal(replica), reject))
        .collect();
    let mut log = world.refused(
        "served as a record of another log",
        &signed().seal(replica),
        "WrongLog",
    );
    log["log"] = hex(other.log.log_id().key_bytes()).into();
    vectors.push(log);
    vectors
}

/// Sound records that do not follow the head they are offered for.
fn refused_places(world: &World) -> Vec<Value> {
    let own = &world.writers[1];
    let sealed = |fields: &Fields| {
        let forged = Forged::new(fields, None).sign(&own.log);
        forged.seal(&world.epochs[1].0)
    };
    let mut next = world.fields(1, 1);
    let head = own.cids[own.cids.len() - 1];
    let vector = |name: &str, fields: &Fields, seq: u64, cid: &Cid| {
        let mut vector = world.refused(name, &sealed(fields), "BrokenChain");
        vector["replica"] = hex(*world.epochs[1].0.to_bytes()).into();
        vector["after"] = json!({"seq": seq, "cid": cid.to_string()});
        vector
    };
    let seq = next.seq;
    let mut vectors = vec![
        vector(
            "a record left out",
            &next,
            seq - 2,
            &own.cids[own.cids.len() - 2],
        ),
        vector(
            "another predecessor than the head",
            &next,
            seq - 1,
            &own.cids[0],
        ),
        vector("a record that is behind the head", &next, seq, &head),
    ];
    next.skip = next.skip.map(|_| own.cids[1]);
    vectors.push(vector(
        "a skip link to another record",
        &next,
        seq - 1,
        &head,
    ));
    vectors
}

/// The heads and records of the logs read so far.
#[derive(Default)]
pub(crate) struct Logs(BTreeMap<LogId, Vec<Cid>>);

pub(crate) fn read(vector: &Value, logs: &mut Logs) -> Result<()> {
    let thread = ThreadId::from_bytes(&bytes(&vector["thread"])).unwrap();
    let replica = ReplicaKey::from_bytes(&array(&vector["replica"]));
    let record = SignedRecord::open(&bytes(&vector["block"]), &thread, &replica)?;
    if vector.get("log").is_some() {
        record.verify(&LogId::from_key_bytes(array(&vector["log"])))?;
    }
    let alone = Verified::check(record.clone());
    let batch = Verified::check_all(vec![record], &mut TestRng::new("batch"));
    assert_eq!(alone.is_ok(), batch.is_ok());
    let record = alone?;
    let log = logs.0.entry(record.fields().log).or_default();
    if let Some(after) = vector.get("after") {
        let cid: Cid = text(&after["cid"]).parse().unwrap();
        record.follows(after["seq"].as_u64().unwrap(), Some(&cid))?;
    } else {
        record.follows(log.len() as u64, log.last())?;
    }
    let skip = skip_target(record.fields().seq).map(|seq| log[seq as usize - 1]);
    if skip != record.fields().skip {
        return Err(Rejection::BrokenChain.into());
    }
    log.push(record.id());
    assert_eq!(show(&record), vector["fields"]);
    assert_eq!(record.id(), text(&vector["cid"]).parse().unwrap());
    read_event(vector, &record)
}

fn read_event(vector: &Value, record: &SignedRecord) -> Result<()> {
    let fields = record.fields();
    let position = Position {
        thread: &fields.thread,
        log: fields.log,
        seq: fields.seq,
        epoch: fields.epoch,
    };
    let read = ReadKey::from_bytes(&array(&vector["read"]));
    let recipient = AgreementKey::from_bytes(&array(&vector["recipient"]));
    let block = Block::checked(fields.event, bytes(&vector["event"]))?;
    let event = Event::decode(block.bytes())?;
    let body = Block::checked(event.body_id(), bytes(&vector["body"]))?;
    let header = event.open_header(&position, &read)?;
    let plaintext = header.open_body(&position, body.bytes(), Some(&recipient))?;
    assert_eq!(hex(&plaintext), text(&vector["plaintext"]));
    assert_eq!(describe(&event, &position, &read), vector["header"]);
    Batch::decode(&plaintext).map(drop)
}
