//! A transport within one process: for tests, examples and simulations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{ReplyToken, Transport, TransportEvent, check_frame, check_topic};
use crate::queue::Queue;
use crate::{Error, PeerId, Result};

/// The most events that wait for one peer. Beyond it requests are refused and publications lost;
/// news of connections, at most one per peer, always fits.
pub const INBOX_EVENTS_MAX: usize = 1024;
/// The most requests of one hub that wait for a reply. Beyond it requests are refused.
pub const REQUESTS_MAX: usize = 4096;
/// The most peers of one hub.
pub const PEERS_MAX: usize = 256;

type Inbox = Queue<TransportEvent>;
/// At most one reply goes through it.
type Reply = Queue<Vec<u8>>;

/// Where the peers of one process meet. Everyone is connected to everyone, until cut.
///
/// ```
/// use threads_core::PeerId;
/// use threads_core::transport::{Transport, memory::Hub};
///
/// let hub = Hub::new();
/// let ann = hub.join(PeerId::from_key_bytes([1; 32])).unwrap();
/// assert_eq!(ann.local_peer(), PeerId::from_key_bytes([1; 32]));
/// ```
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<Peers>>);

/// Nothing of an inbox is dropped while this is locked: a reply token that is dropped locks it.
#[derive(Default)]
struct Peers {
    inboxes: BTreeMap<PeerId, Arc<Inbox>>,
    /// Pairs that cannot reach each other, the smaller id first.
    cut: BTreeSet<(PeerId, PeerId)>,
    /// Requests that wait, by the number in their token.
    waiting: BTreeMap<u64, Waiting>,
    requests: u64,
}

struct Waiting {
    from: PeerId,
    to: PeerId,
    reply: Arc<Reply>,
}

fn pair(a: PeerId, b: PeerId) -> (PeerId, PeerId) {
    (a.min(b), a.max(b))
}

impl Peers {
    /// Whether this inbox is in use: its end may have left, and its peer joined again.
    fn has(&self, peer: PeerId, inbox: &Arc<Inbox>) -> bool {
        self.inboxes
            .get(&peer)
            .is_some_and(|present| Arc::ptr_eq(present, inbox))
    }

    /// The inboxes of everyone whom `peer` reaches.
    fn reached_by(&self, peer: PeerId) -> impl Iterator<Item = (PeerId, &Arc<Inbox>)> {
        let others = self
            .inboxes
            .iter()
            .filter(move |(id, _)| **id != peer && !self.cut.contains(&pair(**id, peer)));
        others.map(|(id, inbox)| (*id, inbox))
    }

    /// Ends the requests that wait between two peers for whom `gone` holds.
    fn give_up(&mut self, gone: impl Fn(PeerId, PeerId) -> bool) {
        self.waiting.retain(|_, waiting| {
            let lost = gone(waiting.from, waiting.to);
            if lost {
                waiting.reply.close();
            }
            !lost
        });
    }

    /// Tells both, if both are there.
    fn tell(&self, (a, b): (PeerId, PeerId), news: fn(PeerId) -> TransportEvent) {
        if let (Some(to_a), Some(to_b)) = (self.inboxes.get(&a), self.inboxes.get(&b)) {
            push_news(to_a, b, news(b));
            push_news(to_b, a, news(a));
        }
    }
}

/// Queues news of the connection to `about`, in place of older news that nobody read.
fn push_news(inbox: &Inbox, about: PeerId, news: TransportEvent) {
    // A closed inbox has nobody to tell.
    inbox.edit(|events| {
        events.retain(|event| {
            !matches!(event,
            TransportEvent::Connected(peer) | TransportEvent::Disconnected(peer) if *peer == about)
        });
        events.push_back(news);
    });
}

/// Queues a frame; gives it back when too many wait or nobody reads.
fn push_frame(inbox: &Inbox, event: TransportEvent) -> Result<(), TransportEvent> {
    let mut event = Some(event);
    inbox.edit(|events| {
        if events.len() < INBOX_EVENTS_MAX {
            events.extend(event.take());
        }
    });
    event.map_or(Ok(()), Err)
}

impl Hub {
    /// A hub without peers.
    ///
    /// ```
    /// let hub = threads_core::transport::memory::Hub::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        // A panic under the lock can only be one of allocation; the maps are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of `peer`. It leaves when the end is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when the peer is there already,
    /// [`ErrorKind::Full`](crate::ErrorKind::Full) when the hub has [`PEERS_MAX`] peers.
    ///
    /// ```
    /// use threads_core::{PeerId, transport::memory::Hub};
    /// let hub = Hub::new();
    /// let ann = hub.join(PeerId::from_key_bytes([1; 32])).unwrap();
    /// assert!(hub.join(PeerId::from_key_bytes([1; 32])).is_err());
    /// ```
    pub fn join(&self, peer: PeerId) -> Result<Endpoint> {
        let mut peers = self.lock();
        if peers.inboxes.contains_key(&peer) {
            return Err(Error::conflict("this peer is at the hub already").with("peer", peer));
        }
        if peers.inboxes.len() >= PEERS_MAX {
            return Err(Error::full("the hub has no room for another peer").with("most", PEERS_MAX));
        }
        let inbox = Arc::new(Inbox::new());
        peers.inboxes.insert(peer, Arc::clone(&inbox));
        for (other, _) in peers.reached_by(peer) {
            peers.tell((peer, other), TransportEvent::Connected);
        }
        Ok(Endpoint {
            hub: self.clone(),
            peer,
            inbox,
        })
    }

    /// Cuts the connection of two peers: they are told, and their requests end.
    ///
    /// ```
    /// use threads_core::{PeerId, transport::memory::Hub};
    /// let hub = Hub::new();
    /// hub.cut(PeerId::from_key_bytes([1; 32]), PeerId::from_key_bytes([2; 32]));
    /// ```
    pub fn cut(&self, a: PeerId, b: PeerId) {
        let mut peers = self.lock();
        if peers.cut.insert(pair(a, b)) {
            peers.give_up(|from, to| pair(from, to) == pair(a, b));
            peers.tell((a, b), TransportEvent::Disconnected);
        }
    }

    /// Connects two peers again.
    ///
    /// ```
    /// use threads_core::{PeerId, transport::memory::Hub};
    /// let hub = Hub::new();
    /// hub.heal(PeerId::from_key_bytes([1; 32]), PeerId::from_key_bytes([2; 32]));
    /// ```
    pub fn heal(&self, a: PeerId, b: PeerId) {
        let mut peers = self.lock();
        if peers.cut.remove(&pair(a, b)) {
            peers.tell((a, b), TransportEvent::Connected);
        }
    }

    /// Ends a request, with or without a reply. Says whether it still waited.
    fn finish(&self, request: u64, frame: Option<Vec<u8>>) -> bool {
        let Some(waiting) = self.lock().waiting.remove(&request) else {
            return false;
        };
        waiting.reply.edit(|replies| replies.extend(frame));
        waiting.reply.close();
        true
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("peers", &self.lock().inboxes.len())
            .finish_non_exhaustive()
    }
}

/// A request that waits: it ends when the token or the waiting call is dropped.
struct Request {
    hub: Hub,
    number: u64,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.hub.finish(self.number, None);
    }
}

/// One peer's end of a [`Hub`]. Dropping it leaves the hub.
///
/// ```
/// use threads_core::{PeerId, transport::memory::Hub};
/// let ann = Hub::new().join(PeerId::from_key_bytes([1; 32])).unwrap();
/// assert!(format!("{ann:?}").contains("Endpoint"));
/// ```
pub struct Endpoint {
    hub: Hub,
    peer: PeerId,
    inbox: Arc<Inbox>,
}

impl Endpoint {
    /// Leaves the hub: others are told, waiting requests end, and so does `next_event`.
    ///
    /// ```
    /// use threads_core::{PeerId, transport::memory::Hub};
    /// let hub = Hub::new();
    /// let ann = hub.join(PeerId::from_key_bytes([1; 32])).unwrap();
    /// ann.close();
    /// assert!(hub.join(PeerId::from_key_bytes([1; 32])).is_ok());
    /// ```
    pub fn close(&self) {
        let unread = self.inbox.edit(std::mem::take);
        self.inbox.close();
        let mut peers = self.hub.lock();
        if peers.has(self.peer, &self.inbox) {
            peers.give_up(|from, to| from == self.peer || to == self.peer);
            for (_, inbox) in peers.reached_by(self.peer) {
                push_news(inbox, self.peer, TransportEvent::Disconnected(self.peer));
            }
            peers.inboxes.remove(&self.peer);
        }
        drop(peers);
        drop(unread);
    }

    fn check_present(&self, peers: &Peers) -> Result<()> {
        if peers.has(self.peer, &self.inbox) {
            return Ok(());
        }
        Err(Error::unavailable("this end has left the hub"))
    }

    /// Registers a request, so that a cut ends it.
    fn wait_for(&self, to: PeerId) -> Result<(Request, Arc<Inbox>, Arc<Reply>)> {
        let mut peers = self.hub.lock();
        self.check_present(&peers)?;
        let inbox = peers.reached_by(self.peer).find(|(id, _)| *id == to);
        let Some(inbox) = inbox.map(|(_, inbox)| Arc::clone(inbox)) else {
            return Err(Error::unavailable("the peer cannot be reached").with("peer", to));
        };
        if peers.waiting.len() >= REQUESTS_MAX {
            return Err(Error::unavailable("too many requests wait for replies"));
        }
        peers.requests += 1;
        let (number, reply) = (peers.requests, Arc::new(Reply::new()));
        let waiting = Waiting {
            from: self.peer,
            to,
            reply: Arc::clone(&reply),
        };
        peers.waiting.insert(number, waiting);
        Ok((
            Request {
                hub: self.hub.clone(),
                number,
            },
            inbox,
            reply,
        ))
    }
}

#[async_trait]
impl Transport for Endpoint {
    fn local_peer(&self) -> PeerId {
        self.peer
    }

    async fn request(&self, peer: PeerId, frame: Vec<u8>) -> Result<Vec<u8>> {
        check_frame(&frame)?;
        let (request, inbox, reply) = self.wait_for(peer)?;
        let token = ReplyToken::new(Request {
            hub: self.hub.clone(),
            number: request.number,
        });
        let event = TransportEvent::Request {
            from: self.peer,
            token,
            frame,
        };
        if push_frame(&inbox, event).is_err() {
            return Err(Error::unavailable("the peer is too busy").with("peer", peer));
        }
        let reply = reply.next().await;
        reply.ok_or_else(|| Error::unavailable("the peer did not reply").with("peer", peer))
    }

    async fn reply(&self, token: ReplyToken, frame: Vec<u8>) -> Result<()> {
        let request: Request = token.into_inner()?;
        check_frame(&frame)?;
        if !request.hub.finish(request.number, Some(frame)) {
            return Err(Error::unavailable("nobody waits for the reply any more"));
        }
        Ok(())
    }

    async fn publish(&self, topic: &[u8], frame: Vec<u8>) -> Result<()> {
        check_topic(topic)?;
        check_frame(&frame)?;
        let reached: Vec<_> = {
            let peers = self.hub.lock();
            self.check_present(&peers)?;
            peers
                .reached_by(self.peer)
                .map(|(_, inbox)| Arc::clone(inbox))
                .collect()
        };
        for inbox in reached {
            let (topic, frame) = (topic.to_vec(), frame.clone());
            // Best effort: what does not fit is lost.
            let _lost = push_frame(
                &inbox,
                TransportEvent::Published {
                    from: self.peer,
                    topic,
                    frame,
                },
            );
        }
        Ok(())
    }

    async fn next_event(&self) -> Result<TransportEvent> {
        let event = self.inbox.next().await;
        event.ok_or_else(|| Error::unavailable("this end has left the hub"))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.peer)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.close();
    }
}
