//! A node that its peers can reach, for as long as a command runs.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use threads_core::transport::Transport;
use threads_core::{Error, Multiaddr, Result, Timer, async_trait};
use threads_db::Node;
use threads_db::sync::{Connected, Service};
use threads_net_libp2p::{HashTable, Libp2p};
use tokio::runtime::{Builder, Runtime};

/// How a peer is reached.
pub(crate) struct Reach {
    pub(crate) listen: Vec<Multiaddr>,
    pub(crate) mdns: bool,
    pub(crate) hash_table: HashTable,
}

impl Reach {
    /// Every interface, at ports that are free.
    pub(crate) fn anywhere() -> Self {
        let listen = ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"];
        Self {
            listen: listen.iter().filter_map(|addr| addr.parse().ok()).collect(),
            mdns: true,
            hash_table: HashTable::Client,
        }
    }
}

/// A node with its service running.
pub(crate) struct Online {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) connected: Connected,
    pub(crate) runtime: Runtime,
    service: JoinHandle<()>,
}

/// The time of tokio.
#[derive(Debug)]
struct Tokio(Instant);

#[async_trait]
impl Timer for Tokio {
    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn sleep_until(&self, at_ms: u64) {
        let at = self.0 + Duration::from_millis(at_ms);
        tokio::time::sleep_until(at.into()).await;
    }
}

impl Online {
    /// Starts to serve and to sync, on threads of its own.
    pub(crate) fn start(node: &Node, reach: &Reach) -> Result<Self> {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            Error::unavailable("the network cannot be used here").caused_by(error)
        })?;
        let transport: Arc<dyn Transport> = Arc::new(runtime.block_on(async {
            let mut builder = Libp2p::builder(node.identity()).mdns(reach.mdns);
            for addr in &reach.listen {
                builder = builder.listen(addr.clone());
            }
            builder.hash_table(reach.hash_table).start().await
        })?);
        #[expect(
            clippy::disallowed_methods,
            reason = "the program is where time comes from"
        )]
        let timer = Arc::new(Tokio(Instant::now()));
        let service = Service::new(node, Arc::clone(&transport), timer)?;
        let connected = service.connected();
        let handle = runtime.handle().clone();
        // It waits for the disk, so it is on no thread that others need.
        let service = thread::spawn(move || {
            // It ends when the transport does.
            _ = handle.block_on(service.run());
        });
        Ok(Self {
            transport,
            connected,
            runtime,
            service,
        })
    }

    /// Ends it. What peers said until then is on disk when it has ended.
    pub(crate) fn close(self) {
        self.transport.close();
        // If it panicked, that was said, and there is nothing to wait for.
        _ = self.service.join();
    }
}
