//! Nodes on a network of loopback: each has its transport, its service and its threads of the system,
//! as in a process of its own.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use threads_core::transport::{Transport as _, TransportEvent};
use threads_core::{IdentityKey, Multiaddr, Timer, async_trait, system_rng};
use threads_db::sync::{Connected, Service};
use threads_db::{Db, Node};
use threads_net_libp2p::{Counters, Libp2p};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::Result;
use crate::clock::waited;

/// Loopback, at a free port.
pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub(crate) const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
/// How long anything here may take, in seconds.
const PATIENCE: f64 = 300.0;
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(2);

/// The time of tokio.
#[derive(Debug)]
struct Tokio(Instant);

#[async_trait]
impl Timer for Tokio {
    fn elapsed_ms(&self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    async fn sleep_until(&self, at_ms: u64) {
        tokio::time::sleep_until((self.0 + Duration::from_millis(at_ms)).into()).await;
    }
}

/// A transport, and the threads that it runs on.
pub(crate) struct Wire {
    pub(crate) net: Arc<Libp2p>,
    runtime: Runtime,
}

impl Wire {
    fn start(identity: &IdentityKey, listen: &str) -> Result<Self> {
        let runtime = Runtime::new()?;
        let builder = Libp2p::builder(identity).listen(listen.parse()?);
        let net = Arc::new(runtime.block_on(builder.start())?);
        Ok(Self { net, runtime })
    }

    /// A transport for a floor, of nobody's.
    pub(crate) fn bare(listen: &str) -> Result<Self> {
        Self::start(&IdentityKey::generate(&mut system_rng()), listen)
    }

    pub(crate) fn connect(&self, other: &Self) -> Result<()> {
        let addr = other.net.addresses().into_iter().next();
        self.call(&addr.ok_or("a peer listens nowhere")?)
    }

    pub(crate) fn call(&self, addr: &Multiaddr) -> Result<()> {
        self.runtime.block_on(self.net.connect(addr))?;
        Ok(())
    }

    /// Replies to every request from now on.
    pub(crate) fn answer(
        &self,
        mut reply: impl FnMut(Vec<u8>) -> Result<Vec<u8>> + Send + 'static,
    ) {
        let net = Arc::clone(&self.net);
        self.runtime.spawn(async move {
            while let Ok(event) = net.next_event().await {
                if let TransportEvent::Request { token, frame, .. } = event
                    && let Ok(frame) = reply(frame)
                {
                    // Who asked has gone: nothing is measured any more.
                    _ = net.reply(token, frame).await;
                }
            }
        });
    }

    /// One request and its reply.
    pub(crate) fn ask(&self, other: &Self, frame: Vec<u8>) -> Result<Vec<u8>> {
        let asked = self.net.request(other.net.local_peer(), frame);
        Ok(self.runtime.block_on(asked)?)
    }

    /// The replies to these requests, each asked for while the one before is still being used.
    pub(crate) fn stream(&self, other: &Self, asks: Vec<Vec<u8>>) -> mpsc::Receiver<Vec<u8>> {
        let (replies, stream) = mpsc::channel(1);
        let (net, peer) = (Arc::clone(&self.net), other.net.local_peer());
        self.runtime.spawn(async move {
            for ask in asks {
                let Ok(reply) = net.request(peer, ask).await else {
                    return;
                };
                if replies.send(reply).await.is_err() {
                    return;
                }
            }
        });
        stream
    }
}

/// A node that its peers reach, until it is dropped.
pub(crate) struct Peer {
    pub(crate) node: Node,
    pub(crate) wire: Wire,
    connected: Connected,
    service: Option<JoinHandle<()>>,
}

impl Peer {
    #[allow(
        clippy::disallowed_methods,
        reason = "nothing here is replayed: the program is where time comes from"
    )]
    pub(crate) fn start(node: &Node, listen: &str) -> Result<Self> {
        let wire = Wire::start(node.identity(), listen)?;
        let (net, timer) = (Arc::clone(&wire.net), Arc::new(Tokio(Instant::now())));
        let service = Service::new(node, net, timer)?;
        let (connected, runtime) = (service.connected(), wire.runtime.handle().clone());
        // It ends with the transport, and says so.
        let run = move || drop(runtime.block_on(service.run()));
        Ok(Self {
            node: node.clone(),
            wire,
            connected,
            service: Some(thread::spawn(run)),
        })
    }

    pub(crate) fn counters(&self) -> Counters {
        self.wire.net.counters()
    }

    /// Whether nothing is left to be done, as far as it knows.
    pub(crate) fn is_settled(&self) -> bool {
        self.connected.is_settled()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.wire.net.close();
        if let Some(service) = self.service.take() {
            // One that panicked has said so.
            _ = service.join();
        }
    }
}

/// Has two nodes share a thread that `from` has; gives the other's.
pub(crate) fn share(from: &Db, to: &Node) -> Result<Db> {
    from.share_with(&to.peer_id())?;
    let theirs = to.add_thread(from.name(), &from.keys())?;
    theirs.share_with(&from.node().peer_id())?;
    Ok(theirs)
}

/// How many records of a thread are here.
pub(crate) fn records(db: &Db) -> Result<u64> {
    Ok(db.sync_status()?.logs.iter().map(|log| log.have).sum())
}

/// Whether every peer said that it has what this one has.
pub(crate) fn is_level(db: &Db) -> Result<bool> {
    Ok(db.sync_status()?.is_in_sync())
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let mut waited = 0.0;
    while !is_so()? {
        if waited > PATIENCE {
            return Err(format!("{what} did not happen").into());
        }
        waited += pause(LOOK)?;
    }
    Ok(())
}

/// Waits so long; gives how long it was, in seconds.
pub(crate) fn pause(time: Duration) -> Result<f64> {
    let (seconds, ()) = waited(|| {
        thread::park_timeout(time);
        Ok(())
    })?;
    Ok(seconds)
}
