//! Runs the machine of sync over a transport.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::stream::{FuturesUnordered, Stream};
use threads_core::datastore::DatastoreExt;
use threads_core::transport::{ReplyToken, Transport, TransportEvent};
use threads_core::{PeerId, Result, Timer, system_rng};

use super::finding::{self, Finding};
use super::io::{CallId, Input, Output, PublicationId, RequestId, Work};
use super::limits::LOOK_EVERY_MS;
use super::machine::Machine;
use crate::db::Db;
use crate::node::Node;

/// How many calls to peers are under way at a time. More wait for their turn.
const CALLS_MAX: usize = 256;
/// How many requests of peers wait for an answer. More are refused.
const REQUESTS_MAX: usize = 1_024;
/// How many publications wait to be judged. More go no further.
const PUBLICATIONS_MAX: usize = 1_024;
/// How many threads stay open between two pieces of work.
const WARM_MAX: usize = 16;

/// What came of something that was sent, if anything does.
type Ended = Option<Input>;
type Sending = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// Keeps a node's threads in sync with its peers: the paper's *thread service*.
///
/// It spawns nothing and knows no runtime. Drive [`Service::run`] on a task of its own: it waits for
/// the disk when records are stored.
///
/// ```
/// async fn serve(service: threads_db::sync::Service) -> threads_core::Result<()> {
///     service.run().await
/// }
/// ```
pub struct Service {
    node: Node,
    transport: Arc<dyn Transport>,
    timer: Arc<dyn Timer>,
    machine: Machine,
    /// What happened and has not been taken in.
    inputs: VecDeque<Input>,
    sending: FuturesUnordered<Sending>,
    /// Calls that wait for their turn.
    calls: VecDeque<(PeerId, CallId, Vec<u8>)>,
    calling: usize,
    requests: HashMap<RequestId, ReplyToken>,
    next_request: RequestId,
    publications: HashMap<PublicationId, ReplyToken>,
    next_publication: PublicationId,
    connected: Connected,
    warm: VecDeque<Db>,
    finding: Finding,
    /// When to look where this node is.
    look_at: u64,
}

/// Says whose service it is.
impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("node", &self.node)
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}

/// Who is connected, as a [`Service`] sees it.
///
/// ```
/// fn alone(connected: &threads_db::sync::Connected) -> bool { connected.peers().is_empty() }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Connected(Arc<Mutex<Present>>);

#[derive(Debug, Default)]
struct Present {
    peers: BTreeSet<PeerId>,
    busy: bool,
    sent: u64,
}

impl Connected {
    /// The peers that are connected now.
    ///
    /// ```
    /// assert!(threads_db::sync::Connected::default().peers().is_empty());
    /// ```
    pub fn peers(&self) -> Vec<PeerId> {
        self.lock().peers.iter().copied().collect()
    }

    /// Whether nothing is left to be sent to them, or to be got from them, as far as is known.
    ///
    /// ```
    /// assert!(threads_db::sync::Connected::default().is_settled());
    /// ```
    pub fn is_settled(&self) -> bool {
        !self.lock().busy
    }

    /// How many records were sent to peers since the service began: each as often as it was sent.
    ///
    /// ```
    /// assert_eq!(threads_db::sync::Connected::default().records_sent(), 0);
    /// ```
    pub fn records_sent(&self) -> u64 {
        self.lock().sent
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        // A set is whole between any two of its operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the service waits for.
enum Woken {
    Event(Result<TransportEvent>),
    Sent(Ended),
    News,
    Time,
}

impl Service {
    /// The service of `node` over `transport`, whose local peer must be the node.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) when the transport is another's.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use threads_core::{Timer, async_trait, datastore::Memory, transport::memory::Hub};
    /// # use threads_db::{Node, sync::Service};
    /// # #[derive(Debug)] struct Never;
    /// # #[async_trait] impl Timer for Never {
    /// #     fn elapsed_ms(&self) -> u64 { 0 }
    /// #     async fn sleep_until(&self, _: u64) { std::future::pending().await }
    /// # }
    /// let node = Node::builder(Memory::new()).open().unwrap();
    /// let transport = Arc::new(Hub::new().join(node.peer_id()).unwrap());
    /// let service = Service::new(&node, transport, Arc::new(Never)).unwrap();
    /// ```
    pub fn new(node: &Node, transport: Arc<dyn Transport>, timer: Arc<dyn Timer>) -> Result<Self> {
        if transport.local_peer() != node.peer_id() {
            return Err(threads_core::Error::invalid(
                "the transport speaks for another peer than the node: open it with its identity",
            ));
        }
        // From here on the node remembers what it does.
        node.news();
        Ok(Self {
            machine: Machine::new(node.peer_id()),
            node: node.clone(),
            transport,
            timer,
            inputs: [Input::Started].into(),
            sending: FuturesUnordered::new(),
            calls: VecDeque::new(),
            calling: 0,
            requests: HashMap::new(),
            next_request: 0,
            publications: HashMap::new(),
            next_publication: 0,
            connected: Connected::default(),
            warm: VecDeque::new(),
            finding: Finding::default(),
            look_at: 0,
        })
    }

    /// Who is connected, to be asked while the service runs.
    ///
    /// ```
    /// fn watch(service: &threads_db::sync::Service) -> threads_db::sync::Connected { service.connected() }
    /// ```
    pub fn connected(&self) -> Connected {
        self.connected.clone()
    }

    /// Runs until the transport ends. Then all that it noted is on disk.
    ///
    /// # Errors
    ///
    /// The transport's last one.
    ///
    /// ```
    #[doc = include_str!("../../doc/timer.txt")]
    /// # use threads_core::{datastore::Memory, transport::memory::Hub};
    /// # use threads_db::{Node, sync::Service};
    /// # use threads_codec_jsonpatch::JsonPatch;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let node = || Node::builder(Memory::new()).codec(JsonPatch::new()).open().unwrap();
    /// let (ann, bob, hub) = (node(), node(), Hub::new());
    /// let theirs = ann.create("friends").unwrap();
    /// theirs.share_with(&bob.peer_id()).unwrap();
    /// let ours = bob.add_thread("friends", &theirs.keys()).unwrap();
    /// ours.share_with(&ann.peer_id()).unwrap();
    ///
    /// for node in [&ann, &bob] {
    ///     let transport = Arc::new(hub.join(node.peer_id()).unwrap());
    ///     tokio::spawn(Service::new(node, transport, timer()).unwrap().run());
    /// }
    /// # use threads_core::module::CollectionSpec;
    /// let spec = CollectionSpec::new("Person".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    /// theirs.define(&spec).unwrap();
    /// while ours.collection("Person").is_err() {
    ///     tokio::task::yield_now().await;
    /// }
    /// # });
    /// ```
    pub async fn run(mut self) -> Result<()> {
        loop {
            self.say_where();
            self.work_off();
            self.look_for_peers();
            self.connected.lock().busy = !self.machine.is_settled();
            match self.wait().await {
                Woken::Event(Ok(event)) => self.event(event),
                Woken::Event(Err(ended)) => {
                    // What peers said was noted without waiting for the disk. If that cannot be made good
                    // now, they are asked again.
                    _ = self.node.inner.store.sync();
                    return Err(ended);
                }
                Woken::Sent(ended) => self.sent(ended),
                Woken::News => {}
                Woken::Time => self.inputs.push_back(Input::Woken),
            }
        }
    }

    /// Takes in all that happened, and does what comes of it.
    fn work_off(&mut self) {
        // Ends: work leads to other work only as far as there are records and peers; whatever waits
        // for others is awaited outside.
        loop {
            let news = self.node.news().into_iter().map(Input::News);
            self.inputs.extend(news);
            let Some(input) = self.inputs.pop_front() else {
                return;
            };
            let now = self.timer.elapsed_ms();
            for output in self.machine.handle(now, input, &mut system_rng()) {
                self.act(output);
            }
        }
    }

    /// Signs where this node is, when that changed, for its peers.
    fn say_where(&mut self) {
        let now = self.timer.elapsed_ms();
        if now < self.look_at {
            return;
        }
        let begins = self.look_at == 0;
        self.look_at = now + LOOK_EVERY_MS;
        // What cannot be written now is the next time.
        let signed = self.node.sign_addresses(&self.transport.addresses());
        if begins || signed.unwrap_or(false) {
            self.inputs.push_back(Input::Moved);
        }
    }

    /// Looks for peers that are away, when it is time to.
    fn look_for_peers(&mut self) {
        if self.finding.is_due(self.timer.elapsed_ms()) {
            let (node, transport) = (self.node.clone(), Arc::clone(&self.transport));
            let connected = self.connected.lock().peers.clone();
            self.sending.push(Box::pin(async move {
                finding::find(node, &*transport, connected).await;
                None
            }));
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Call(peer, call, frame) => {
                self.calls.push_back((peer, call, frame));
                self.next_calls();
            }
            Output::Reply(request, frame) => {
                if let Some(token) = self.requests.remove(&request) {
                    let transport = Arc::clone(&self.transport);
                    self.sending.push(Box::pin(async move {
                        // Who waits no longer asks again.
                        _ = transport.reply(token, frame).await;
                        None
                    }));
                }
            }
            // Dropping the token is the refusal.
            Output::Refuse(request) => drop(self.requests.remove(&request)),
            Output::Work(work) => self.perform(work),
            Output::Connect(peer, addr) => {
                let transport = Arc::clone(&self.transport);
                self.sending.push(Box::pin(async move {
                    let connected = transport.connect(&addr).await;
                    Some(Input::Dialled(peer, connected.map(drop)))
                }));
            }
            Output::Disconnect(peer) => {
                let transport = Arc::clone(&self.transport);
                self.sending.push(Box::pin(async move {
                    // It may have gone by itself.
                    _ = transport.disconnect(peer).await;
                    None
                }));
            }
            gossip => self.gossip(gossip),
        }
    }

    /// What is published is a hint, so what cannot be is left.
    fn gossip(&mut self, output: Output) {
        let transport = Arc::clone(&self.transport);
        let token = match &output {
            Output::Judge(publication, _) => self.publications.remove(publication),
            _ => None,
        };
        self.sending.push(Box::pin(async move {
            _ = match (output, token) {
                (Output::Subscribe(topic), _) => transport.subscribe(&topic).await,
                (Output::Unsubscribe(topic), _) => transport.unsubscribe(&topic).await,
                (Output::Publish(topic, frame), _) => transport.publish(&topic, frame).await,
                (Output::Judge(_, fit), Some(token)) => transport.judge(token, fit).await,
                _ => Ok(()),
            };
            None
        }));
    }

    fn perform(&mut self, work: Work) {
        let (worked, db) = self.node.perform_on(work);
        self.connected.lock().sent += worked.records_to_send();
        self.inputs.push_back(Input::Worked(worked));
        if let Some(db) = db {
            self.warm.retain(|warm| warm.id() != db.id());
            self.warm.push_back(db);
            if self.warm.len() > WARM_MAX {
                self.warm.pop_front();
            }
        }
    }

    fn next_calls(&mut self) {
        while self.calling < CALLS_MAX
            && let Some((peer, call, frame)) = self.calls.pop_front()
        {
            let transport = Arc::clone(&self.transport);
            self.calling += 1;
            self.sending.push(Box::pin(async move {
                Some(Input::Reply(call, transport.request(peer, frame).await))
            }));
        }
    }

    fn sent(&mut self, ended: Ended) {
        if matches!(ended, Some(Input::Reply(..))) {
            self.calling -= 1;
            self.next_calls();
        }
        self.inputs.extend(ended);
    }

    fn event(&mut self, event: TransportEvent) {
        let input = match event {
            TransportEvent::Connected(peer) => {
                self.connected.lock().peers.insert(peer);
                self.finding.soon(self.timer.elapsed_ms());
                self.inputs.push_back(Input::Connected(peer));
                match self.transport.is_near(peer) {
                    true => Input::Near(peer),
                    false => return,
                }
            }
            TransportEvent::Disconnected(peer) => {
                self.connected.lock().peers.remove(&peer);
                Input::Disconnected(peer)
            }
            TransportEvent::Request { from, token, frame } => {
                if self.requests.len() >= REQUESTS_MAX {
                    return;
                }
                self.next_request += 1;
                self.requests.insert(self.next_request, token);
                Input::Request(from, self.next_request, frame)
            }
            TransportEvent::Published {
                from,
                topic,
                frame,
                token,
            } => {
                if self.publications.len() >= PUBLICATIONS_MAX {
                    return;
                }
                self.next_publication += 1;
                self.publications.insert(self.next_publication, token);
                Input::Published(from, self.next_publication, topic, frame)
            }
            TransportEvent::Discovered { peer, addrs } => {
                // What cannot be noted now is found again.
                _ = self.node.discovered(&peer, &addrs);
                return;
            }
            _ => return,
        };
        self.inputs.push_back(input);
    }

    /// Waits for whatever comes first.
    async fn wait(&mut self) -> Woken {
        let seen = self.node.inner.notifier.commits();
        if self.node.inner.notifier.has_news() {
            return Woken::News;
        }
        let (transport, timer) = (Arc::clone(&self.transport), Arc::clone(&self.timer));
        let find_at = self.finding.next_at().min(self.look_at);
        let wake_at = self.machine.wake_at().map_or(find_at, |at| at.min(find_at));
        let mut event = pin!(transport.next_event());
        let mut time = pin!(timer.sleep_until(wake_at));
        let (sending, node) = (&mut self.sending, &self.node);
        poll_fn(move |cx| {
            if let Poll::Ready(Some(ended)) = Pin::new(&mut *sending).poll_next(cx) {
                return Poll::Ready(Woken::Sent(ended));
            }
            if let Poll::Ready(event) = event.as_mut().poll(cx) {
                return Poll::Ready(Woken::Event(event));
            }
            if time.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Woken::Time);
            }
            if node.inner.notifier.commits() != seen {
                return Poll::Ready(Woken::News);
            }
            node.inner.notifier.register(seen, cx.waker());
            Poll::Pending
        })
        .await
    }
}
