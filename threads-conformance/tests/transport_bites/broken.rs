//! The transport of a process, which misbehaves in one way when it is told to.

use std::collections::BTreeSet;
use std::future::{Future, pending, poll_fn};
use std::mem::ManuallyDrop;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use async_trait::async_trait;
use threads_core::transport::memory::{Endpoint, Hub};
use threads_core::transport::{FRAME_BYTES_MAX, ReplyToken, Transport, TransportEvent, named_peer};
use threads_core::{Error, ErrorKind, IdentityKey, Multiaddr, PeerId, Result, system_rng};

/// What a transport does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    CutsLongFramesShort,
    CutsLongRepliesToFit,
    NamesWhoAskedBefore,
    RepliesWithWhatItSaidBefore,
    KeepsDroppedTokens,
    WaitsForStrangers,
    WaitsForTheGone,
    FailsOddlyOnDisconnect,
    CountsDroppedRequests,
    TakesAnyToken,
    HasANamelessAddress,
    TellsOfConnectionsAgain,
    ConnectsToNobody,
    ConnectsToAnybody,
    ConnectsToItself,
    SkipsWhatIsNoLongerSo,
    LosesNewsInAFlood,
    TakesEventsEarly,
    KeepsShortRequests,
    KeepsLongRequests,
    RefusesEverybodyInAFlood,
    NamesTheReaderAsPublisher,
    SubscribesUnasked,
    PublishesTwice,
    WaitsForSlowReaders,
    StaysSubscribed,
    TakesEveryTopic,
    ComesBackToLife,
    FindsNamelessAddresses,
}

/// From here on a frame is long.
const LONG_BYTES: usize = 1 << 20;
/// So many dropped requests are too many for one that counts them, and so many publications for one
/// that waits.
const MANY: usize = 1000;

/// The hub, and what the ends of it know of each other.
#[derive(Clone)]
pub(crate) struct Net {
    hub: Hub,
    fault: Option<Fault>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    joined: BTreeSet<PeerId>,
    closed: BTreeSet<PeerId>,
    /// Who was once too busy.
    busy: BTreeSet<PeerId>,
    /// Who disconnected whom, and did not connect again.
    parted: BTreeSet<(PeerId, PeerId)>,
    /// Who called whom.
    called: BTreeSet<(PeerId, PeerId)>,
}

fn pair(a: PeerId, b: PeerId) -> (PeerId, PeerId) {
    (a.min(b), a.max(b))
}

impl Net {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self {
            hub: Hub::new(),
            fault,
            known: Arc::default(),
        }
    }

    pub(crate) fn join(&self) -> Result<Broken> {
        let peer = IdentityKey::generate(&mut system_rng()).peer_id();
        self.known.lock().unwrap().joined.insert(peer);
        Ok(Broken {
            net: self.clone(),
            inner: self.hub.join(peer)?,
            seen: Mutex::default(),
            asked: AtomicUsize::new(0),
            published: AtomicUsize::new(0),
        })
    }
}

#[derive(Default)]
struct Seen {
    asker: Option<PeerId>,
    reply: Option<Vec<u8>>,
    /// News to tell again.
    again: Option<PeerId>,
    ends: usize,
}

pub(crate) struct Broken {
    net: Net,
    inner: Endpoint,
    seen: Mutex<Seen>,
    asked: AtomicUsize,
    published: AtomicUsize,
}

/// A token that is not dropped with what holds it.
struct Kept(ManuallyDrop<ReplyToken>);

impl Broken {
    fn has(&self, fault: Fault) -> bool {
        self.net.fault == Some(fault)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.net.known.lock().unwrap()
    }

    fn me(&self) -> PeerId {
        self.inner.local_peer()
    }

    /// What becomes of a request that failed, at once or under way.
    async fn failed(
        &self,
        peer: PeerId,
        long: bool,
        error: Error,
        under_way: bool,
    ) -> Result<Vec<u8>> {
        let busy = error.message().contains("busy");
        let (gone, parted) = {
            let mut known = self.known();
            if busy {
                known.busy.insert(peer);
            }
            let parted = known.parted.contains(&pair(self.me(), peer));
            (known.closed.contains(&peer), parted)
        };
        let waits = match self.net.fault {
            Some(Fault::WaitsForTheGone) => gone,
            Some(Fault::KeepsShortRequests) => busy && !long,
            Some(Fault::KeepsLongRequests) => busy && long,
            _ => false,
        };
        // All but the first that is too much: it is known to be.
        if waits && (gone || self.asked.fetch_add(1, SeqCst) > 0) {
            return pending().await;
        }
        if self.has(Fault::FailsOddlyOnDisconnect) && under_way && parted {
            return Err(Error::rejected("the connection ended"));
        }
        Err(error)
    }

    /// What the reader is told instead; `None` when nothing.
    fn told(&self, event: TransportEvent) -> Option<TransportEvent> {
        let mut seen = self.seen.lock().unwrap();
        match event {
            TransportEvent::Request { from, token, frame } => {
                let before = seen.asker.replace(from).unwrap_or(from);
                let from = match self.has(Fault::NamesWhoAskedBefore) && frame.len() > 1 {
                    true => before,
                    false => from,
                };
                let token = match self.has(Fault::KeepsDroppedTokens) {
                    true => ReplyToken::new(Kept(ManuallyDrop::new(token))),
                    false => token,
                };
                Some(TransportEvent::Request { from, token, frame })
            }
            TransportEvent::Published {
                topic,
                frame,
                token,
                ..
            } if self.has(Fault::NamesTheReaderAsPublisher) => {
                let from = self.me();
                Some(TransportEvent::Published {
                    from,
                    topic,
                    frame,
                    token,
                })
            }
            TransportEvent::Disconnected(peer) if self.has(Fault::SkipsWhatIsNoLongerSo) => {
                let known = self.known();
                let gone =
                    known.closed.contains(&peer) || known.parted.contains(&pair(self.me(), peer));
                gone.then_some(TransportEvent::Disconnected(peer))
            }
            TransportEvent::Connected(peer) if self.has(Fault::LosesNewsInAFlood) => {
                let flooded = self.known().busy.contains(&self.me());
                (!flooded).then_some(TransportEvent::Connected(peer))
            }
            other => Some(other),
        }
    }

    fn nameless(&self, address: &Multiaddr) -> Multiaddr {
        let mut address = address.clone();
        address.pop();
        address
    }
}

/// Lets others go first.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl Transport for Broken {
    fn local_peer(&self) -> PeerId {
        self.me()
    }

    fn addresses(&self) -> Vec<Multiaddr> {
        let mut addresses = self.inner.addresses();
        if self.has(Fault::HasANamelessAddress) {
            addresses.push(self.nameless(&addresses[0]));
        }
        addresses
    }

    async fn connect(&self, addr: &Multiaddr) -> Result<PeerId> {
        let result = match self.has(Fault::ConnectsToAnybody) {
            true => self.inner.connect(&self.nameless(addr)).await,
            false => self.inner.connect(addr).await,
        };
        let peer = match (&result, named_peer(addr)) {
            (Ok(peer), _) => *peer,
            (Err(_), Some(peer)) => {
                let gone = self.known().closed.contains(&peer);
                let lies = gone && self.has(Fault::ConnectsToNobody)
                    || peer == self.me() && self.has(Fault::ConnectsToItself);
                return if lies { Ok(peer) } else { result };
            }
            (Err(_), None) => return result,
        };
        let mut known = self.known();
        known.parted.remove(&pair(self.me(), peer));
        let again = !known.called.insert((self.me(), peer));
        if again && self.has(Fault::TellsOfConnectionsAgain) {
            self.seen.lock().unwrap().again = Some(peer);
        }
        result
    }

    async fn disconnect(&self, peer: PeerId) -> Result<()> {
        {
            let mut known = self.known();
            known.parted.insert(pair(self.me(), peer));
            known
                .called
                .retain(|(a, b)| pair(*a, *b) != pair(self.me(), peer));
        }
        self.inner.disconnect(peer).await
    }

    async fn request(&self, peer: PeerId, mut frame: Vec<u8>) -> Result<Vec<u8>> {
        if self.has(Fault::WaitsForStrangers) && !self.known().joined.contains(&peer) {
            return pending().await;
        }
        if self.has(Fault::RefusesEverybodyInAFlood) && self.known().busy.contains(&peer) {
            return Err(Error::unavailable("the peer is too busy"));
        }
        if self.has(Fault::CountsDroppedRequests) && self.asked.fetch_add(1, SeqCst) > MANY {
            return Err(Error::unavailable("too many requests wait"));
        }
        let long = frame.len() > LONG_BYTES;
        if self.has(Fault::CutsLongFramesShort) && frame.len() == FRAME_BYTES_MAX {
            frame.pop();
        }
        let mut asking = pin!(self.inner.request(peer, frame));
        let at_once = poll_fn(|context| match asking.as_mut().poll(context) {
            Poll::Ready(reply) => Poll::Ready(Some(reply)),
            Poll::Pending => Poll::Ready(None),
        });
        let (reply, under_way) = match at_once.await {
            Some(reply) => (reply, false),
            None => (asking.await, true),
        };
        if self.has(Fault::CountsDroppedRequests) {
            self.asked.fetch_sub(1, SeqCst);
        }
        match reply {
            Ok(reply) => Ok(reply),
            Err(error) => self.failed(peer, long, error, under_way).await,
        }
    }

    async fn reply(&self, token: ReplyToken, mut frame: Vec<u8>) -> Result<()> {
        let token = match self.has(Fault::KeepsDroppedTokens) {
            true => match token.into_inner::<Kept>() {
                Ok(kept) => ManuallyDrop::into_inner(kept.0),
                Err(error) => return Err(error),
            },
            false => token,
        };
        if self.has(Fault::CutsLongRepliesToFit) {
            frame.truncate(FRAME_BYTES_MAX);
        }
        if self.has(Fault::RepliesWithWhatItSaidBefore) && frame.len() == 4 {
            let before = self.seen.lock().unwrap().reply.replace(frame.clone());
            frame = before.unwrap_or(frame);
        }
        match self.inner.reply(token, frame).await {
            Err(error) if error.kind() == ErrorKind::Invalid && self.has(Fault::TakesAnyToken) => {
                match error.message().contains("token") {
                    true => Ok(()),
                    false => Err(error),
                }
            }
            result => result,
        }
    }

    async fn subscribe(&self, topic: &[u8]) -> Result<()> {
        if self.has(Fault::SubscribesUnasked) && topic == b"other" {
            self.inner.subscribe(b"other2").await?;
        }
        match self.inner.subscribe(topic).await {
            Err(error) if error.kind() == ErrorKind::Full && self.has(Fault::TakesEveryTopic) => {
                Ok(())
            }
            result => result,
        }
    }

    async fn unsubscribe(&self, topic: &[u8]) -> Result<()> {
        match self.has(Fault::StaysSubscribed) && topic == b"news" {
            true => Ok(()),
            false => self.inner.unsubscribe(topic).await,
        }
    }

    async fn publish(&self, topic: &[u8], frame: Vec<u8>) -> Result<()> {
        let many = frame.len() == 1024 && self.published.fetch_add(1, SeqCst) > MANY;
        if self.has(Fault::WaitsForSlowReaders) && many {
            return pending().await;
        }
        if self.has(Fault::PublishesTwice) && frame.len() == 5 {
            self.inner.publish(topic, frame.clone()).await?;
        }
        self.inner.publish(topic, frame).await
    }

    async fn next_event(&self) -> Result<TransportEvent> {
        if let Some(peer) = self.seen.lock().unwrap().again.take() {
            return Ok(TransportEvent::Connected(peer));
        }
        loop {
            let event = match self.inner.next_event().await {
                Ok(event) => event,
                Err(error) => {
                    let mut seen = self.seen.lock().unwrap();
                    seen.ends += 1;
                    let lives = seen.ends == 3 && self.has(Fault::ComesBackToLife);
                    return if lives {
                        Ok(TransportEvent::Connected(self.me()))
                    } else {
                        Err(error)
                    };
                }
            };
            if self.has(Fault::TakesEventsEarly) {
                yield_once().await;
            }
            if let Some(event) = self.told(event) {
                return Ok(event);
            }
        }
    }

    async fn provide(&self, key: &[u8; 32]) -> Result<()> {
        self.inner.provide(key).await
    }

    async fn find(&self, key: &[u8; 32]) -> Result<Vec<Multiaddr>> {
        let found = self.inner.find(key).await?;
        match self.has(Fault::FindsNamelessAddresses) {
            true => Ok(found.iter().map(|address| self.nameless(address)).collect()),
            false => Ok(found),
        }
    }

    fn close(&self) {
        self.known().closed.insert(self.me());
        self.inner.close();
    }
}

impl std::fmt::Debug for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Broken({:?})", self.net.fault)
    }
}
