//! A peer that says anything at all, well-formed or not.

use proptest::prelude::*;
use serde_bytes::ByteArray;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::block::{DAG_CBOR, RAW, cid_of, decode, encode};
use threads_core::datastore::Memory;
use threads_core::module::CollectionSpec;
use threads_core::{
    Announcement, Cid, Error, IdentityKey, LogId, PeerId, Receipt, Whereabouts, system_rng,
};

use super::io::{Input, Output};
use super::machine::Machine;
use super::ranges::{Edge, Found, Said, Span};
use super::wire::{Answer, Ask, Claim, Head, Parcel, Range, Verdict, joint};
use crate::{Db, Node};

/// What a hostile peer does next.
#[derive(Clone, Debug)]
enum Deed {
    Ask(Ask),
    Bytes(Vec<u8>),
    Publish(Vec<u8>),
    /// To the oldest call that waits.
    Answer(Answer),
    Garbage(Vec<u8>),
    Silence,
    Later(u64),
    Leave,
    Come,
}

const LOGS: u8 = 4;
/// The secret of the peer.
const PEER: [u8; 32] = [7; 32];

fn claim(db: &Db, right: bool, from: &PeerId) -> Claim {
    let keys = &db.thread().replica;
    let to = db.node().peer_id();
    match right {
        true => Claim::new(keys, from, &to),
        false => Claim::new(keys, &to, from),
    }
}

fn seq() -> impl Strategy<Value = u64> {
    prop_oneof![1..4_u64, Just(1_000), Just(u64::MAX - 1), Just(u64::MAX)]
}

fn log() -> impl Strategy<Value = u8> {
    0..LOGS
}

fn heads() -> impl Strategy<Value = Vec<(u8, u64)>> {
    prop::collection::btree_map(log(), seq(), 0..4).prop_map(|heads| heads.into_iter().collect())
}

fn heads_answer(db: &Db, right: bool, peer: &PeerId, listed: Vec<(LogId, u64)>) -> Answer {
    let me = db.node().peer_id();
    let (from, to) = if right { (peer, &me) } else { (&me, peer) };
    let proof = joint([&db.thread().replica.proof(from, to)]);
    Answer::Heads(vec![Verdict::Differs(checked(listed))], proof)
}

/// The thread has many lines.
fn many(db: &Db, right: bool, peer: &PeerId) -> Answer {
    let me = db.node().peer_id();
    let (from, to) = if right { (peer, &me) } else { (&me, peer) };
    let proof = joint([&db.thread().replica.proof(from, to)]);
    Answer::Heads(vec![Verdict::Many], proof)
}

/// Ranges with a log each, and one behind them.
fn spans(listed: &[(LogId, u64)]) -> Vec<Span> {
    let digest = ByteArray::new([9; 16]);
    let logs = listed.windows(2);
    let each = logs.map(|two| {
        let upto = Edge::between(&two[0].0, &two[1].0);
        (upto, Said::Each(checked(two[..1].to_vec()), digest))
    });
    each.chain([(Edge::end(), Said::All(digest))]).collect()
}

/// What is found in one range, or two.
fn found(seq: u64, listed: &[(LogId, u64)]) -> Vec<Found> {
    let digest = ByteArray::new([9; 16]);
    let part = (Edge::begin(), digest);
    match seq % 4 {
        0 => vec![Found::Later],
        1 => vec![Found::Each(checked(listed.to_vec()))],
        2 => vec![Found::Parts(vec![part, (Edge::end(), digest)])],
        _ => vec![Found::Same, Found::Same],
    }
}

fn checked(listed: Vec<(LogId, u64)>) -> Vec<Head> {
    let listed = listed.into_iter();
    listed
        .map(|(log, seq)| (log, seq, ByteArray::new([9; 8])))
        .collect()
}

/// Receipts of the peer, or of somebody else.
fn receipts(db: &Db, right: bool, listed: Vec<(LogId, u64)>) -> Vec<Receipt> {
    let key = IdentityKey::from_bytes(&if right { PEER } else { [8; 32] });
    let head = cid_of(DAG_CBOR, b"a record");
    let places = listed.into_iter();
    places
        .map(|(log, seq)| Receipt::sign(&key, db.id(), log, seq, head).unwrap())
        .collect()
}

/// A word of the peer, or one that somebody else signed.
fn word(right: bool, seq: u64) -> Whereabouts {
    let key = IdentityKey::from_bytes(&PEER);
    let word = Whereabouts::sign(&key, seq, u64::MAX, &[]).unwrap();
    let mut bytes = encode(&word).unwrap();
    if !right {
        *bytes.last_mut().unwrap() ^= 1;
    }
    decode(&bytes).unwrap()
}

/// An announcement of the peer, or of somebody else.
fn announced(db: &Db, right: bool, listed: Option<(LogId, u64)>, seq: u64) -> Vec<u8> {
    let key = IdentityKey::from_bytes(&if right { PEER } else { [8; 32] });
    let (log, _) = listed.unwrap_or((LogId::from_key_bytes([3; 32]), seq));
    let head = cid_of(DAG_CBOR, b"a record");
    let announced = Announcement::sign(&key, db.id(), log, seq, &head).unwrap();
    announced.seal(&db.thread().replica).unwrap()
}

/// Blocks that are nowhere, and chunks that nobody wants.
fn blocks(heads: &[(u8, u64)]) -> Vec<Cid> {
    let heads = heads.iter();
    heads
        .map(|(log, seq)| cid_of(if *log > 1 { DAG_CBOR } else { RAW }, &seq.to_be_bytes()))
        .collect()
}

fn listed_blobs(heads: &[(u8, u64)]) -> Vec<(u64, Cid)> {
    let heads = heads.iter();
    heads
        .map(|(log, seq)| (u64::from(*log), cid_of(DAG_CBOR, &seq.to_be_bytes())))
        .collect()
}

/// A deed, with logs by number: 0 is the node's own.
fn deed() -> impl Strategy<Value = (u8, bool, Vec<(u8, u64)>, u64, Vec<u8>)> {
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    (0..30_u8, prop::bool::weighted(0.9), heads(), seq(), bytes)
}

fn build(
    db: &Db,
    logs: &[LogId],
    peer: &PeerId,
    (kind, right, heads, seq, bytes): (u8, bool, Vec<(u8, u64)>, u64, Vec<u8>),
) -> Deed {
    let claim = claim(db, right, peer);
    let mut listed: Vec<_> = heads
        .iter()
        .map(|(log, seq)| (logs[usize::from(*log)], *seq))
        .collect();
    listed.sort();
    let range = |(log, to): &(LogId, u64)| Range {
        log: *log,
        from: seq.min(*to),
        to: *to,
    };
    let parcel = Parcel::from(crate::chain::Blocks {
        record: bytes.clone(),
        event: bytes.clone(),
        body: bytes.clone(),
    });
    match kind {
        0 => Deed::Ask(Ask::Heads(vec![(claim, ByteArray::new([0; 16]))])),
        1 | 2 => Deed::Ask(Ask::Pull(claim, listed.iter().map(range).collect())),
        3 => Deed::Ask(Ask::Push(claim, vec![parcel])),
        4 | 5 => Deed::Ask(Ask::Have(claim, checked(listed))),
        6 => Deed::Ask(Ask::Join("x".into(), ByteArray::new([0; 16]), bytes.into())),
        7 => Deed::Bytes(bytes),
        8 => Deed::Answer(heads_answer(db, right, peer, listed)),
        9 => Deed::Answer(Answer::Page(vec![parcel], listed, true)),
        10 => Deed::Answer(Answer::Have(checked(listed))),
        11 => Deed::Garbage(bytes),
        12 => Deed::Silence,
        13 => Deed::Ask(Ask::Sign(claim, listed)),
        14 => Deed::Answer(Answer::Signed(receipts(db, right, listed))),
        15 => Deed::Ask(Ask::Where(claim, vec![(*peer, seq)])),
        16 => Deed::Answer(Answer::Where(vec![word(right, seq)])),
        17 => Deed::Ask(Ask::Ranges(claim, spans(&listed))),
        18 => Deed::Answer(many(db, right, peer)),
        19 | 20 => Deed::Answer(Answer::Ranges(found(seq, &listed))),
        21 => Deed::Publish(bytes),
        25 => Deed::Ask(Ask::Blobs(claim, (seq, 1), (2, seq))),
        26 => Deed::Ask(Ask::Blocks(claim, blocks(&heads))),
        27 => Deed::Answer(Answer::Blobs((seq, 4), listed_blobs(&heads))),
        28 | 29 => Deed::Answer(Answer::Blocks(vec![bytes.into(); heads.len()])),
        22 => Deed::Publish(announced(db, right, listed.first().copied(), seq)),
        _ if right => Deed::Later(seq.min(100_000)),
        _ if bytes.len() < 20 => Deed::Leave,
        _ => Deed::Come,
    }
}

struct Victim {
    node: Node,
    db: Db,
    machine: Machine,
    now: u64,
    calls: Vec<u64>,
    requests: u64,
    peer: PeerId,
}

impl Victim {
    fn new(peer: PeerId) -> Self {
        let node = Node::builder(Memory::new())
            .codec(JsonPatch::new())
            .open()
            .unwrap();
        let db = node.create("a").unwrap();
        let spec = CollectionSpec::new("C".parse().unwrap(), "jsonpatch/1".parse().unwrap());
        db.define(&spec).unwrap();
        db.share_with(&peer).unwrap();
        db.blobs().keep_all(true).unwrap();
        db.blobs().put(&b"a blob"[..]).unwrap();
        db.blobs().fetch(&cid_of(DAG_CBOR, b"another")).unwrap();
        let machine = Machine::new(node.peer_id());
        Self {
            node,
            db,
            machine,
            now: 0,
            calls: Vec::new(),
            requests: 0,
            peer,
        }
    }

    fn give(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for output in self.machine.handle(self.now, input, &mut system_rng()) {
                match output {
                    Output::Work(work) => inputs.push(Input::Worked(self.node.perform(work))),
                    Output::Call(_, call, _) => self.calls.push(call),
                    Output::Disconnect(peer) => inputs.push(Input::Disconnected(peer)),
                    _ => {}
                }
            }
        }
    }

    fn suffer(&mut self, deed: Deed) {
        let call = match &deed {
            Deed::Answer(_) | Deed::Garbage(_) | Deed::Silence if !self.calls.is_empty() => {
                Some(self.calls.remove(0))
            }
            _ => None,
        };
        self.requests += 1;
        let input = match (deed, call) {
            (Deed::Ask(ask), _) => Input::Request(self.peer, self.requests, ask.encode().unwrap()),
            (Deed::Publish(frame), _) => {
                let topic = self.db.thread().replica.topic().to_bytes();
                Input::Published(self.peer, self.requests, topic, frame)
            }
            (Deed::Bytes(bytes), _) => Input::Request(self.peer, self.requests, bytes),
            (Deed::Answer(answer), Some(call)) => Input::Reply(call, answer.encode()),
            (Deed::Garbage(bytes), Some(call)) => Input::Reply(call, Ok(bytes)),
            (Deed::Silence, Some(call)) => Input::Reply(call, Err(Error::unavailable("silent"))),
            (Deed::Later(ms), _) => {
                self.now += ms;
                Input::Woken
            }
            (Deed::Leave, _) => Input::Disconnected(self.peer),
            (Deed::Come, _) => Input::Connected(self.peer),
            _ => return,
        };
        self.give(input);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_that_a_peer_says_panics_or_piles_up(deeds in prop::collection::vec(deed(), 1..60)) {
        let peer = IdentityKey::from_bytes(&PEER).peer_id();
        let mut victim = Victim::new(peer);
        let own = victim.db.sync_status().unwrap().logs[0].log;
        let mut logs = vec![own];
        logs.extend((1..LOGS).map(|byte| LogId::from_key_bytes([byte; 32])));
        victim.give(Input::Connected(peer));
        victim.give(Input::Moved);
        for deed in deeds {
            let deed = build(&victim.db, &logs, &peer, deed);
            victim.suffer(deed);
            prop_assert!(victim.calls.len() <= 16, "{} calls at once", victim.calls.len());
        }
        prop_assert!(victim.db.verify(&mut |_| ()).unwrap().is_clean());
        prop_assert_eq!(victim.db.sync_status().unwrap().logs.iter().find(|log| log.log == own).unwrap().have, 1);
    }
}
