//! One connection to a peer that has proven who it is.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use threads_core::transport::TOPICS_MAX;
use threads_core::{Error, PeerId, Result};
use tokio::io::BufWriter;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::wire::Message;

/// The most requests of one connection that wait for replies.
pub(crate) const REQUESTS_MAX: usize = 256;
/// The most messages that wait to be sent: requests, replies and topics always fit.
const OUTGOING_MAX: usize = 1024;
/// So many places are kept free of publications, which may be lost.
const RESERVED: usize = 768;
/// The most bytes that wait to be sent.
const OUTGOING_BYTES_MAX: usize = 32 * 1024 * 1024;

type Asker = oneshot::Sender<Vec<u8>>;

/// The end that others hold of a connection. Its other half is [`run`].
pub(crate) struct Link {
    pub(crate) peer: PeerId,
    outgoing: mpsc::Sender<Message>,
    outgoing_bytes: AtomicUsize,
    /// Whoever waits for a reply; `None` when the connection has ended.
    waiting: Mutex<Option<HashMap<u64, Asker>>>,
    requests: AtomicU64,
    /// What the other end subscribed to.
    topics: Mutex<BTreeSet<Vec<u8>>>,
    stopped: Notify,
}

fn ended() -> Error {
    Error::unavailable("the connection to the peer has ended")
}

fn busy() -> Error {
    Error::unavailable("too much waits for the peer already")
}

impl Link {
    pub(crate) fn new(peer: PeerId) -> (Arc<Self>, mpsc::Receiver<Message>) {
        let (outgoing, to_send) = mpsc::channel(OUTGOING_MAX);
        let link = Self {
            peer,
            outgoing,
            outgoing_bytes: AtomicUsize::new(0),
            waiting: Mutex::new(Some(HashMap::new())),
            requests: AtomicU64::new(0),
            topics: Mutex::default(),
            stopped: Notify::new(),
        };
        (Arc::new(link), to_send)
    }

    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u64, Asker>>> {
        // Changes under the lock are one insert or remove each.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn topics(&self) -> MutexGuard<'_, BTreeSet<Vec<u8>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message, without waiting.
    pub(crate) fn send(&self, message: Message) -> Result<()> {
        let bytes = message.bytes();
        if self.outgoing_bytes.fetch_add(bytes, Relaxed) + bytes > OUTGOING_BYTES_MAX {
            self.outgoing_bytes.fetch_sub(bytes, Relaxed);
            return Err(busy());
        }
        self.outgoing.try_send(message).map_err(|_| {
            self.outgoing_bytes.fetch_sub(bytes, Relaxed);
            busy()
        })
    }

    /// Queues what the other end must hear. If there is no room, the connection is no good.
    pub(crate) fn must_send(&self, message: Message) -> Result<()> {
        let sent = self.send(message);
        if sent.is_err() {
            self.stop();
        }
        sent
    }

    /// Queues a publication, or loses it.
    pub(crate) fn publish(&self, topic: &[u8], frame: &[u8]) {
        if self.outgoing.capacity() > RESERVED {
            let _lost = self.send(Message::Publication(topic.to_vec(), frame.to_vec()));
        }
    }

    pub(crate) fn has_subscribed_to(&self, topic: &[u8]) -> bool {
        self.topics().contains(topic)
    }

    /// Sends a request. Whoever drops what this gives waits no longer.
    pub(crate) fn ask(self: &Arc<Self>, frame: Vec<u8>) -> Result<Asked> {
        let number = self.requests.fetch_add(1, Relaxed);
        let (asker, reply) = oneshot::channel();
        match &mut *self.waiting() {
            None => return Err(ended()),
            Some(waiting) if waiting.len() >= REQUESTS_MAX => return Err(busy()),
            Some(waiting) => drop(waiting.insert(number, asker)),
        }
        let asked = Asked {
            link: Arc::clone(self),
            number,
            reply,
        };
        self.send(Message::Request(number, frame))?;
        Ok(asked)
    }

    /// What came for whoever waits: a reply, or none.
    pub(crate) fn answered(&self, number: u64, reply: Option<Vec<u8>>) {
        let asker = self
            .waiting()
            .as_mut()
            .and_then(|waiting| waiting.remove(&number));
        if let (Some(asker), Some(reply)) = (asker, reply) {
            let _nobody_waits = asker.send(reply);
        }
    }

    /// The other end subscribed, or did so no longer. Too many topics are its own fault.
    pub(crate) fn subscribed(&self, topic: Vec<u8>, on: bool) {
        let mut topics = self.topics();
        if !on {
            topics.remove(&topic);
        } else if topics.len() < TOPICS_MAX {
            topics.insert(topic);
        }
    }

    /// Ends it: requests fail now, and the socket closes soon.
    pub(crate) fn stop(&self) {
        drop(self.waiting().take());
        self.stopped.notify_one();
    }
}

/// A request that waits.
pub(crate) struct Asked {
    link: Arc<Link>,
    number: u64,
    reply: oneshot::Receiver<Vec<u8>>,
}

impl Asked {
    pub(crate) async fn reply(mut self) -> Result<Vec<u8>> {
        (&mut self.reply)
            .await
            .map_err(|_| Error::unavailable("the peer did not reply").with("peer", self.link.peer))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.link.answered(self.number, None);
    }
}

/// Sends and receives until the connection ends, or is stopped. `take_in` never waits.
pub(crate) async fn run(
    link: &Link,
    stream: TcpStream,
    mut to_send: mpsc::Receiver<Message>,
    mut take_in: impl FnMut(Message),
) {
    let (mut incoming, outgoing) = stream.into_split();
    let receiving = async {
        while let Ok(message) = Message::read(&mut incoming).await {
            take_in(message);
        }
    };
    let sending = async {
        let mut outgoing = BufWriter::new(outgoing);
        while let Some(message) = to_send.recv().await {
            let written = message.write(&mut outgoing).await;
            link.outgoing_bytes.fetch_sub(message.bytes(), Relaxed);
            let flushed = match to_send.is_empty() {
                true => tokio::io::AsyncWriteExt::flush(&mut outgoing).await,
                false => Ok(()),
            };
            if written.and(flushed).is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = receiving => {}
        () = sending => {}
        () = link.stopped.notified() => {}
    }
    link.stop();
}
