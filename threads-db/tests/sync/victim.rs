//! One node, and peers around it that say whatever a test wants them to.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::faulty::{Fails, Faulty};
use threads_core::block::{decode, encode};
use threads_core::datastore::{Datastore, Direction, Keyspace, Memory};
use threads_core::module::CollectionSpec;
use threads_core::transport::Acceptance;
use threads_core::{
    Error, IdentityKey, LogId, ManualClock, PeerId, ReadKey, ReplicaKey, ThreadId, Variant,
    system_rng,
};
use threads_db::sync::{CallId, Input, Machine, Output};
use threads_db::{Db, Node, ThreadKeys};

use crate::frames::{Answer, Ask, Claim, Parcel, Range, claim};

const BEGIN_MS: u64 = 1_700_000_000_000;

/// A thread of which the tests know the keys.
pub(crate) struct Known {
    pub(crate) id: ThreadId,
    pub(crate) replica: ReplicaKey,
    pub(crate) read: ReadKey,
}

impl Known {
    pub(crate) fn new() -> Self {
        let rng = &mut system_rng();
        Self {
            id: ThreadId::generate(Variant::Raw, rng),
            replica: ReplicaKey::generate(rng),
            read: ReadKey::generate(rng),
        }
    }

    pub(crate) fn keys(&self) -> ThreadKeys {
        ThreadKeys::new(self.id.clone(), self.replica.clone(), self.read.clone())
    }
}

/// Every row of a store.
pub(crate) type Stored = Vec<(Keyspace, Vec<u8>, Vec<u8>)>;

pub(crate) struct Victim {
    pub(crate) node: Node,
    pub(crate) store: Arc<Faulty<Memory>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) machine: Machine,
    pub(crate) now: u64,
    /// What it asks of peers, oldest first.
    pub(crate) calls: Vec<(PeerId, CallId, Ask)>,
    /// What it answered, by the number of the request; nothing when it refused.
    replies: BTreeMap<u64, Option<Vec<u8>>>,
    requests: u64,
    /// Whom it cut off.
    pub(crate) cut: Vec<PeerId>,
    /// What it made of publications, by their numbers.
    pub(crate) judged: BTreeMap<u64, Acceptance>,
    /// Whom it tried to connect to.
    pub(crate) dialled: Vec<PeerId>,
    /// Whether that fails at once; else it takes for ever.
    pub(crate) dials_fail: bool,
    publications: u64,
}

impl Victim {
    pub(crate) fn new() -> Self {
        let store = Arc::new(Faulty::new(Memory::new(), Fails::Reading));
        let clock = Arc::new(ManualClock::at(BEGIN_MS));
        let node = Node::builder(Arc::clone(&store))
            .clock(Arc::clone(&clock))
            .codec(JsonPatch::new())
            .open()
            .unwrap();
        node.news();
        Self {
            machine: Machine::new(node.peer_id()),
            node,
            store,
            clock,
            now: 0,
            calls: Vec::new(),
            replies: BTreeMap::new(),
            requests: 0,
            cut: Vec::new(),
            judged: BTreeMap::new(),
            dialled: Vec::new(),
            dials_fail: false,
            publications: 0,
        }
    }

    /// With a thread that holds some entities.
    pub(crate) fn with(known: &Known, entities: usize) -> (Self, Db) {
        let victim = Self::new();
        let db = victim.node.add_thread("shared", &known.keys()).unwrap();
        put(&db, entities);
        (victim, db)
    }

    pub(crate) fn me(&self) -> PeerId {
        self.node.peer_id()
    }

    pub(crate) fn give(&mut self, input: Input) {
        let mut inputs = vec![input];
        // Ends: work leads to calls, and these wait for the test.
        while let Some(input) = inputs.pop() {
            for output in self.machine.handle(self.now, input, &mut system_rng()) {
                match output {
                    Output::Work(work) => inputs.push(Input::Worked(self.node.perform(work))),
                    Output::Call(peer, call, frame) => {
                        self.calls.push((peer, call, decode(&frame).unwrap()));
                    }
                    Output::Reply(request, frame) => {
                        self.replies.insert(request, Some(frame));
                    }
                    Output::Refuse(request) => {
                        self.replies.insert(request, None);
                    }
                    Output::Disconnect(peer) => {
                        self.cut.push(peer);
                        inputs.push(Input::Disconnected(peer));
                    }
                    Output::Connect(peer, _) => {
                        self.dialled.push(peer);
                        if self.dials_fail {
                            let failed = Err(Error::unavailable("nobody answers there"));
                            inputs.push(Input::Dialled(peer, failed));
                        }
                    }
                    Output::Judge(number, fit) => {
                        self.judged.insert(number, fit);
                    }
                    Output::Subscribe(_) | Output::Unsubscribe(_) | Output::Publish(..) => {}
                    other => panic!("unexpected: {other:?}"),
                }
            }
            inputs.extend(self.node.news().into_iter().map(Input::News));
        }
    }

    /// What it makes of what somebody publishes.
    pub(crate) fn overhear(&mut self, from: PeerId, topic: &[u8], frame: &[u8]) -> Acceptance {
        self.publications += 1;
        let number = self.publications;
        self.give(Input::Published(
            from,
            number,
            topic.to_vec(),
            frame.to_vec(),
        ));
        self.judged.remove(&number).expect("it is judged")
    }

    pub(crate) fn connect(&mut self, peer: PeerId) {
        self.give(Input::Connected(peer));
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        for _ in 0..10_000 {
            let Some(at) = self.machine.wake_at().filter(|at| *at <= until) else {
                self.now = until;
                self.clock.set(BEGIN_MS + self.now);
                return self.give(Input::Woken);
            };
            self.now = self.now.max(at);
            self.clock.set(BEGIN_MS + self.now);
            self.give(Input::Woken);
        }
        panic!("there is always something left to be done");
    }

    /// A request, and the bytes of its answer; nothing when it is refused.
    pub(crate) fn ask_raw(&mut self, from: PeerId, frame: Vec<u8>) -> Option<Vec<u8>> {
        self.requests += 1;
        self.give(Input::Request(from, self.requests, frame));
        self.replies.remove(&self.requests).expect("an answer")
    }

    /// What a request is answered, and how often the store was read for it.
    pub(crate) fn price_of(&mut self, from: PeerId, frame: &[u8]) -> (Option<Vec<u8>>, u64) {
        for nth in 1..1_000 {
            self.store.arm(nth);
            let reply = self.ask_raw(from, frame.to_vec());
            if !self.store.disarm() {
                return (reply, nth - 1);
            }
        }
        panic!("it reads for ever");
    }

    pub(crate) fn ask(&mut self, from: PeerId, ask: &Ask) -> Option<Answer> {
        let reply = self.ask_raw(from, encode(ask).unwrap());
        reply.map(|frame| decode(&frame).unwrap())
    }

    /// Answers the oldest call.
    pub(crate) fn answer(&mut self, answer: &Answer) {
        let (_, call, _) = self.calls.remove(0);
        self.give(Input::Reply(call, Ok(encode(answer).unwrap())));
    }

    /// All records of this node's own log.
    pub(crate) fn records(&mut self, known: &Known) -> (LogId, Vec<Parcel>) {
        let reader = anybody();
        self.connect(reader);
        let log = self.node.open(&known.id.to_string()).unwrap();
        let log = log.sync_status().unwrap().logs[0].log;
        let range = Range {
            log,
            from: 1,
            to: u64::MAX,
        };
        let claim = self.claim(known, reader);
        match self.ask(reader, &Ask::Pull(claim, vec![range])) {
            Some(Answer::Page(parcels, _, false)) => (log, parcels),
            other => panic!("no page: {other:?}"),
        }
    }

    /// What `from` shows this node.
    pub(crate) fn claim(&self, known: &Known, from: PeerId) -> Claim {
        claim(&known.replica, from, self.me())
    }

    pub(crate) fn stored(&self) -> Stored {
        let txn = self.store.read().unwrap();
        let mut stored = Vec::new();
        for space in Keyspace::ALL {
            let all = (Bound::Unbounded, Bound::Unbounded);
            for row in txn.scan(*space, all, Direction::Forward).unwrap() {
                let (key, value) = row.unwrap();
                stored.push((*space, key.to_vec(), value.to_vec()));
            }
        }
        stored
    }
}

pub(crate) fn put(db: &Db, entities: usize) {
    let spec = CollectionSpec::new("Thing".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    db.define(&spec).unwrap();
    let things = db.collection("Thing").unwrap();
    for n in 0..entities {
        things.create(&json!({"_id": format!("x{n}")})).unwrap();
    }
}

pub(crate) fn anybody() -> PeerId {
    IdentityKey::generate(&mut system_rng()).peer_id()
}
