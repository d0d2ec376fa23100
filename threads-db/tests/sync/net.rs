//! A network in memory that delivers at once, in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::block::decode;
use threads_core::datastore::{Datastore, Direction, Keyspace, Memory};
use threads_core::module::CollectionSpec;
use threads_core::transport::{Acceptance, with_peer};
use threads_core::{Error, ManualClock, Multiaddr, PeerId, ThreadId, system_rng};
use threads_db::query::Query;
use threads_db::sync::{Input, Machine, Output};
use threads_db::{Db, ExportOptions, Node, NodeBuilder};

use crate::frames::{Answer, Ask};
use crate::victim::Known;

const STEPS_MAX: usize = 100_000;

/// When the network begins, in milliseconds since 1970.
const BEGIN_MS: u64 = 1_700_000_000_000;

struct End {
    clock: Arc<ManualClock>,
    /// By how much its clock is ahead.
    ahead_ms: u64,
    /// By how much it is behind.
    behind_ms: u64,
    node: Node,
    store: Arc<Memory>,
    /// Every frame that was sent to it.
    frames: Vec<u8>,
    machine: Machine,
    db: Option<Db>,
    /// What it makes of its answers.
    answers: Option<Tamper>,
    /// What it reads of what others publish.
    topics: BTreeSet<Vec<u8>>,
}

/// Makes another reply of a request and its reply.
pub(crate) type Tamper = fn(&[u8], Reply) -> Reply;
pub(crate) type Reply = threads_core::Result<Vec<u8>>;

/// How a node is opened.
pub(crate) type How = fn(NodeBuilder) -> NodeBuilder;

/// A request, until it has its reply.
struct Asked {
    from: usize,
    call: u64,
    to: usize,
    frame: Vec<u8>,
}

/// What somebody published, and whom it has reached.
struct Publication {
    author: usize,
    topic: Vec<u8>,
    frame: Vec<u8>,
    reached: BTreeSet<usize>,
}

/// What happens next, of all that could: which one of so many, each time that there is a choice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    chosen: Vec<(usize, usize)>,
    /// How many choices were made.
    made: usize,
}

impl Order {
    fn choose(&mut self, of: usize) -> usize {
        if of < 2 {
            return 0;
        }
        if self.made == self.chosen.len() {
            self.chosen.push((0, of));
        }
        self.made += 1;
        self.chosen[self.made - 1].0
    }

    /// The next order, of those that differ in the first choices.
    pub(crate) fn next(&self, choices: usize) -> Option<Self> {
        let mut chosen = self.chosen.clone();
        chosen.truncate(choices);
        while let Some((choice, of)) = chosen.pop() {
            if choice + 1 < of {
                chosen.push((choice + 1, of));
                return Some(Self { chosen, made: 0 });
            }
        }
        None
    }
}

pub(crate) struct Net {
    ends: Vec<End>,
    now: u64,
    queue: VecDeque<(usize, Input)>,
    /// Frames on their way, by when they arrive.
    sent: BTreeMap<(u64, u64), (usize, Input)>,
    frames_take: u64,
    order: Option<Order>,
    /// What was asked, by the number of the request.
    requests: Vec<Asked>,
    received: Vec<u64>,
    /// How many records were sent to each, as often as they were.
    records: Vec<u64>,
    /// Who is connected to whom.
    links: BTreeSet<(usize, usize)>,
    publications: Vec<Publication>,
    /// What was made of publications, and by whom.
    judged: Vec<(usize, Acceptance)>,
    /// Whether those who are dialled can be reached.
    dialling: bool,
    /// Who cut off whom.
    cut_off: Vec<(usize, PeerId)>,
    /// Who dialled whom where.
    dialled: Vec<(usize, Multiaddr)>,
}

impl End {
    fn new(store: Memory, clock: Arc<ManualClock>) -> Self {
        Self::with(Arc::new(store), clock, |builder| builder)
    }

    fn with(store: Arc<Memory>, clock: Arc<ManualClock>, how: How) -> Self {
        let builder = Node::builder(Arc::clone(&store))
            .clock(Arc::clone(&clock))
            .codec(JsonPatch::new());
        let node = how(builder).open().unwrap();
        node.news();
        let mut machine = Machine::new(node.peer_id());
        // A test that is about this says so.
        machine.check_every(None);
        Self {
            clock,
            ahead_ms: 0,
            behind_ms: 0,
            node,
            store,
            frames: Vec::new(),
            machine,
            db: None,
            answers: None,
            topics: BTreeSet::new(),
        }
    }
}

impl Net {
    pub(crate) fn new(nodes: usize) -> Self {
        let ends = (0..nodes).map(|_| {
            let clock = Arc::new(ManualClock::at(BEGIN_MS));
            End::new(Memory::new(), clock)
        });
        Self {
            ends: ends.collect(),
            now: 0,
            queue: VecDeque::new(),
            sent: BTreeMap::new(),
            frames_take: 0,
            order: None,
            requests: Vec::new(),
            received: vec![0; nodes],
            records: vec![0; nodes],
            links: BTreeSet::new(),
            publications: Vec::new(),
            judged: Vec::new(),
            dialling: false,
            cut_off: Vec::new(),
            dialled: Vec::new(),
        }
    }

    /// One more node.
    pub(crate) fn add(&mut self, how: How) {
        let clock = Arc::new(ManualClock::at(BEGIN_MS));
        let store = Arc::new(Memory::new());
        self.ends.push(End::with(store, clock, how));
        self.received.push(0);
        self.records.push(0);
    }

    /// Closes a node, and opens it anew; it is connected to nobody then.
    pub(crate) fn reopen(&mut self, node: usize, how: How) {
        for other in (0..self.ends.len()).filter(|other| *other != node) {
            self.part(node, other);
        }
        self.run();
        let end = &self.ends[node];
        let (store, clock) = (Arc::clone(&end.store), Arc::clone(&end.clock));
        self.ends[node] = End::with(store, clock, how);
    }

    /// A thread of the first node that every node shares with every other.
    pub(crate) fn shared_thread(&mut self) -> ThreadId {
        let db = self.ends[0].node.create("shared").unwrap();
        let spec = CollectionSpec::new("Thing".parse().unwrap(), "jsonpatch/1".parse().unwrap());
        db.define(&spec).unwrap();
        let (id, keys) = (db.id().clone(), db.keys());
        self.ends[0].db = Some(db);
        let peers: Vec<_> = self.ends.iter().map(|end| end.node.peer_id()).collect();
        for end in &mut self.ends {
            let db = end
                .db
                .take()
                .unwrap_or_else(|| end.node.add_thread("shared", &keys).unwrap());
            for peer in peers.iter().filter(|peer| **peer != end.node.peer_id()) {
                db.share_with(peer).unwrap();
            }
            end.db = Some(db);
        }
        id
    }

    /// A thread of which the keys are known, that every node keeps without reading it and shares with every
    /// other.
    pub(crate) fn share(&mut self, known: &Known) {
        let peers: Vec<_> = self.ends.iter().map(|end| end.node.peer_id()).collect();
        for end in &mut self.ends {
            let keys = known.keys().without_read();
            let db = end.node.add_thread("shared", &keys).unwrap();
            for peer in peers.iter().filter(|peer| **peer != end.node.peer_id()) {
                db.share_with(peer).unwrap();
            }
            end.db = Some(db);
        }
    }

    /// The thread of a node that was opened anew.
    pub(crate) fn open_again(&mut self, node: usize) {
        let end = &mut self.ends[node];
        end.db = Some(end.node.open("shared").unwrap());
    }

    pub(crate) fn db(&self, node: usize) -> &Db {
        self.ends[node].db.as_ref().unwrap()
    }

    pub(crate) fn node(&self, node: usize) -> &Node {
        &self.ends[node].node
    }

    /// The thread in which [`Net::put`] and [`Net::get`] work on this node.
    pub(crate) fn use_thread(&mut self, node: usize, db: Db) {
        self.ends[node].db = Some(db);
    }

    pub(crate) fn machine(&self, node: usize) -> &Machine {
        &self.ends[node].machine
    }

    pub(crate) fn machine_mut(&mut self, node: usize) -> &mut Machine {
        &mut self.ends[node].machine
    }

    pub(crate) fn store(&self, node: usize) -> &Memory {
        &self.ends[node].store
    }

    /// What a node makes of its answers from now on.
    pub(crate) fn tamper(&mut self, node: usize, how: Option<Tamper>) {
        self.ends[node].answers = how;
    }

    /// Has somebody who is not of this network push records to a node.
    pub(crate) fn push_to(&mut self, node: usize, from: PeerId, frame: Vec<u8>) {
        let end = &mut self.ends[node];
        let mut inputs = VecDeque::from([
            Input::Connected(from),
            Input::Request(from, u64::MAX, frame),
            Input::Disconnected(from),
        ]);
        // Ends: what is asked of who pushes stays without an answer.
        while let Some(input) = inputs.pop_front() {
            for output in end.machine.handle(self.now, input, &mut system_rng()) {
                match output {
                    Output::Work(work) => {
                        inputs.push_front(Input::Worked(end.node.perform(work)));
                    }
                    Output::Call(peer, call, _) if peer == from => {
                        inputs.push_back(Input::Reply(call, Err(Error::unavailable("gone"))));
                    }
                    Output::Call(..) => panic!("{node} is connected"),
                    _ => {}
                }
            }
        }
    }

    /// Who has cut off whom.
    pub(crate) fn cut_off(&self) -> &[(usize, PeerId)] {
        &self.cut_off
    }

    /// Saves an entity; on a node that does not know the collection yet, defines it.
    pub(crate) fn put(&self, node: usize, entity: Value) {
        let db = self.db(node);
        let spec = CollectionSpec::new("Thing".parse().unwrap(), "jsonpatch/1".parse().unwrap());
        db.define(&spec).unwrap();
        db.collection("Thing").unwrap().save(&entity).unwrap();
    }

    pub(crate) fn get(&self, node: usize, id: &str) -> Option<Value> {
        let things = self.db(node).collection("Thing").unwrap();
        things.get(id).unwrap()
    }

    pub(crate) fn connect_all(&mut self) {
        let peers: Vec<_> = self.ends.iter().map(|end| end.node.peer_id()).collect();
        for at in 0..self.ends.len() {
            for (other, peer) in peers.iter().enumerate().filter(|(other, _)| *other != at) {
                self.links.insert((at.min(other), at.max(other)));
                self.queue.push_back((at, Input::Connected(*peer)));
            }
        }
    }

    /// What a node has on its disk, to be put back later.
    pub(crate) fn backup(&self, node: usize) -> Memory {
        self.ends[node].store.fork()
    }

    /// Puts a backup back in the place of what a node, which has to be parted from all others, has.
    pub(crate) fn put_back(&mut self, node: usize, backup: Memory) {
        let before = &self.ends[node];
        let id = before.db.as_ref().unwrap().id().to_string();
        let mut end = End::new(backup, Arc::clone(&before.clock));
        end.db = Some(end.node.open(&id).unwrap());
        self.ends[node] = end;
    }

    /// Connects two.
    pub(crate) fn connect(&mut self, a: usize, b: usize) {
        self.links.insert((a.min(b), a.max(b)));
        let (peer_a, peer_b) = (self.node(a).peer_id(), self.node(b).peer_id());
        self.queue.push_back((a, Input::Connected(peer_b)));
        self.queue.push_back((b, Input::Connected(peer_a)));
    }

    /// Parts two.
    pub(crate) fn part(&mut self, a: usize, b: usize) {
        self.links.remove(&(a.min(b), a.max(b)));
        let (peer_a, peer_b) = (self.node(a).peer_id(), self.node(b).peer_id());
        self.queue.push_back((a, Input::Disconnected(peer_b)));
        self.queue.push_back((b, Input::Disconnected(peer_a)));
    }

    /// All that a node has on its disk, and all that was sent to it.
    pub(crate) fn traces(&self, node: usize) -> Vec<u8> {
        let end = &self.ends[node];
        let txn = end.store.read().unwrap();
        let mut traces = end.frames.clone();
        for space in Keyspace::ALL {
            let all = (Bound::Unbounded, Bound::Unbounded);
            for row in txn.scan(*space, all, Direction::Forward).unwrap() {
                let (key, value) = row.unwrap();
                traces.extend_from_slice(&key);
                traces.extend_from_slice(&value);
            }
        }
        traces
    }

    /// Puts a node at another place, as it says itself.
    pub(crate) fn move_to(&mut self, node: usize, place: &str) -> Multiaddr {
        let end = &self.ends[node].node;
        let addr = with_peer(place.parse().unwrap(), end.peer_id());
        assert!(end.sign_addresses(std::slice::from_ref(&addr)).unwrap());
        self.queue.push_back((node, Input::Moved));
        addr
    }

    /// Whether a node has dialled there.
    pub(crate) fn has_dialled(&self, node: usize, addr: &Multiaddr) -> bool {
        self.dialled.contains(&(node, addr.clone()))
    }

    /// Every frame that was sent to a node.
    pub(crate) fn frames(&self, node: usize) -> &[u8] {
        &self.ends[node].frames
    }

    /// Runs a minute of time that passes at once.
    pub(crate) fn run(&mut self) {
        self.run_for(60_000);
    }

    pub(crate) fn run_for(&mut self, ms: u64) {
        let end = self.now + ms;
        for _ in 0..STEPS_MAX {
            for (at, end) in self.ends.iter().enumerate() {
                let news = end
                    .node
                    .news()
                    .into_iter()
                    .map(|news| (at, Input::News(news)));
                self.queue.extend(news);
            }
            let of = self.queue.len();
            let next = self.order.as_mut().map_or(0, |order| order.choose(of));
            if let Some((at, input)) = self.queue.remove(next) {
                self.step(at, input);
                continue;
            }
            let wake = self.ends.iter().enumerate();
            let wake = wake
                .filter_map(|(at, end)| Some((end.machine.wake_at()?, at)))
                .min();
            let arrives = self.sent.first_key_value().map(|((when, _), _)| *when);
            let first = wake.map(|(when, _)| when).into_iter().chain(arrives).min();
            let Some(when) = first.filter(|when| *when <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(when);
            if arrives == Some(when) {
                self.queue
                    .extend(self.sent.pop_first().map(|(_, sent)| sent));
            } else if let Some((_, at)) = wake {
                self.queue.push_back((at, Input::Woken));
            }
        }
        panic!("there is always something left to be done");
    }

    fn step(&mut self, at: usize, input: Input) {
        let (Input::Request(_, _, frame) | Input::Reply(_, Ok(frame))) = &input else {
            return self.handle(at, input);
        };
        self.received[at] += frame.len() as u64;
        self.records[at] += match &input {
            Input::Request(..) => match decode(frame) {
                Ok(Ask::Push(_, parcels)) => parcels.len() as u64,
                _ => 0,
            },
            _ => match decode(frame) {
                Ok(Answer::Page(parcels, ..)) => parcels.len() as u64,
                _ => 0,
            },
        };
        self.ends[at].frames.extend_from_slice(frame);
        self.handle(at, input);
    }

    /// Sets a node's clock ahead.
    pub(crate) fn set_ahead(&mut self, node: usize, ms: u64) {
        self.ends[node].ahead_ms = ms;
        self.ends[node].clock.set(BEGIN_MS + self.now + ms);
    }

    /// Sets a node's clock back.
    pub(crate) fn set_back(&mut self, node: usize, ms: u64) {
        self.ends[node].behind_ms = ms;
        self.ends[node].clock.set(BEGIN_MS + self.now - ms);
    }

    fn handle(&mut self, at: usize, input: Input) {
        let end = &mut self.ends[at];
        end.clock
            .set(BEGIN_MS + self.now + end.ahead_ms - end.behind_ms);
        let outputs = end.machine.handle(self.now, input, &mut system_rng());
        for output in outputs {
            match output {
                Output::Work(work) => {
                    let done = Input::Worked(self.ends[at].node.perform(work));
                    self.queue.push_back((at, done));
                }
                Output::Call(peer, call, frame) => {
                    let mut ends = self.ends.iter();
                    let to = ends.position(|end| end.node.peer_id() == peer).unwrap();
                    self.requests.push(Asked {
                        from: at,
                        call,
                        to,
                        frame: frame.clone(),
                    });
                    let (from, request) =
                        (self.ends[at].node.peer_id(), self.requests.len() as u64 - 1);
                    self.send(to, Input::Request(from, request, frame));
                }
                Output::Reply(request, frame) => self.reply(request, Ok(frame)),
                Output::Refuse(request) => self.reply(request, Err(Error::unavailable("refused"))),
                Output::Disconnect(peer) => {
                    self.cut_off.push((at, peer));
                    let mut ends = self.ends.iter();
                    let other = ends.position(|end| end.node.peer_id() == peer).unwrap();
                    self.part(at, other);
                }
                Output::Connect(peer, addr) => {
                    // It can be dialled, and answers when the test says so.
                    self.dialled.push((at, addr));
                    let to = self.number_of(&peer);
                    let ended = match self.dialling {
                        true => Ok(()),
                        false => Err(Error::unavailable("nobody answers there")),
                    };
                    if self.dialling && !self.links.contains(&(at.min(to), at.max(to))) {
                        self.connect(at, to);
                    }
                    self.queue.push_back((at, Input::Dialled(peer, ended)));
                }
                other => self.gossip(at, other),
            }
        }
    }

    pub(crate) fn number_of(&self, peer: &PeerId) -> usize {
        let mut ends = self.ends.iter();
        ends.position(|end| end.node.peer_id() == *peer).unwrap()
    }

    fn gossip(&mut self, at: usize, output: Output) {
        match output {
            Output::Subscribe(topic) => assert!(self.ends[at].topics.insert(topic)),
            Output::Unsubscribe(topic) => assert!(self.ends[at].topics.remove(&topic)),
            Output::Publish(topic, frame) => {
                self.publications.push(Publication {
                    author: at,
                    topic,
                    frame,
                    reached: [at].into(),
                });
                self.carry(at, self.publications.len() - 1);
            }
            Output::Judge(number, fit) => {
                self.judged.push((at, fit));
                if fit == Acceptance::Accept {
                    self.carry(at, number as usize);
                }
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Hands a publication on to the neighbours.
    fn carry(&mut self, at: usize, number: usize) {
        for to in 0..self.ends.len() {
            let publication = &mut self.publications[number];
            let reads = self.ends[to].topics.contains(&publication.topic);
            let linked = self.links.contains(&(at.min(to), at.max(to)));
            if reads && linked && publication.reached.insert(to) {
                let (topic, frame) = (publication.topic.clone(), publication.frame.clone());
                let author = self.ends[publication.author].node.peer_id();
                self.ends[to].frames.extend_from_slice(&frame);
                let input = Input::Published(author, number as u64, topic, frame);
                self.queue.push_back((to, input));
            }
        }
    }

    /// Lets those who are dialled be reached, or not.
    pub(crate) fn dialling(&mut self, reached: bool) {
        self.dialling = reached;
    }

    /// What was published: by whom, and whom it reached.
    pub(crate) fn publications(&self) -> Vec<(usize, Vec<usize>)> {
        let publications = self.publications.iter();
        publications
            .map(|one| (one.author, one.reached.iter().copied().collect()))
            .collect()
    }

    /// What a node made of publications.
    pub(crate) fn judged(&self, node: usize) -> Vec<Acceptance> {
        let judged = self.judged.iter().filter(|(at, _)| *at == node);
        judged.map(|(_, fit)| *fit).collect()
    }

    /// How many records were sent to a node, each as often as it was.
    pub(crate) fn records(&self, node: usize) -> u64 {
        self.records[node]
    }

    /// How many requests were made.
    pub(crate) fn requests(&self) -> usize {
        self.requests.len()
    }

    /// Under how many topics a node reads.
    pub(crate) fn topics(&self, node: usize) -> usize {
        self.ends[node].topics.len()
    }

    pub(crate) fn connected(&self, a: usize, b: usize) -> bool {
        self.links.contains(&(a.min(b), a.max(b)))
    }

    /// Has the machine of a node begin, as a service does.
    pub(crate) fn start(&mut self, node: usize) {
        self.queue.push_back((node, Input::Started));
    }

    fn reply(&mut self, request: u64, reply: Reply) {
        let asked = &self.requests[request as usize];
        let reply = match self.ends[asked.to].answers {
            Some(tamper) => tamper(&asked.frame, reply),
            None => reply,
        };
        let input = Input::Reply(asked.call, reply);
        self.send(asked.from, input);
    }

    fn send(&mut self, to: usize, input: Input) {
        if self.frames_take == 0 {
            return self.queue.push_back((to, input));
        }
        let number = self.sent.last_key_value().map_or(0, |((_, n), _)| n + 1);
        let arrives = (self.now + self.frames_take, number);
        self.sent.insert(arrives, (to, input));
    }

    /// Has frames take so many milliseconds from now on.
    pub(crate) fn frames_take(&mut self, ms: u64) {
        self.frames_take = ms;
    }

    /// Has things happen in an order, once those that wait have.
    pub(crate) fn in_order(&mut self, order: Order) {
        for _ in 0..self.queue.len() {
            if let Some((at, input)) = self.queue.pop_front() {
                self.step(at, input);
            }
        }
        self.order = Some(order);
    }

    /// The order in which things happened.
    pub(crate) fn order(&self) -> Order {
        self.order.clone().unwrap_or_default()
    }

    /// Makes a node that of another network, as it is on its disk.
    pub(crate) fn put_back_from(&mut self, node: usize, other: &Self) {
        self.now = other.now;
        self.ends[node].clock.set(BEGIN_MS + self.now);
        let db = other.db(node).id().to_string();
        let mut end = End::new(other.backup(node), Arc::clone(&self.ends[node].clock));
        end.db = Some(end.node.open(&db).unwrap());
        self.ends[node] = end;
    }

    /// The bytes that were sent to a node.
    pub(crate) fn received(&self, node: usize) -> u64 {
        self.received[node]
    }

    /// The bytes of an export of the thread, which holds every block once, with its CID.
    pub(crate) fn exported(&self, node: usize) -> u64 {
        let mut file = Vec::new();
        let options = ExportOptions::default();
        self.db(node)
            .export(&mut file, &options, &mut |_| {})
            .unwrap();
        file.len() as u64
    }

    pub(crate) fn assert_level(&self, id: &ThreadId) {
        let heads = |end: &End| {
            let db = end.node.open(&id.to_string()).unwrap();
            assert_eq!(db.held_counts().unwrap().pending, 0);
            let things = db.collection("Thing").unwrap();
            let rows = things.find(&Query::default()).unwrap().into_iter();
            let mut rows: Vec<_> = rows.map(|row| row.to_string()).collect();
            rows.sort();
            rows
        };
        let first = heads(&self.ends[0]);
        for end in &self.ends[1..] {
            assert_eq!(heads(end), first);
        }
    }
}
