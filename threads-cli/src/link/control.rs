//! What commands ask of the process that serves the repository, besides its datastore.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use threads_core::transport::Transport;
use threads_core::{Error, Multiaddr, PeerId, Result};
use threads_db::sync::Connected;
use tokio::runtime::Handle;

use super::client::Line;
use super::wire::{Frame, answer, ask};

/// What is asked.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wish {
    /// Who is connected, and where this node listens.
    About,
    /// Connect to an address.
    Connect(Multiaddr),
}

/// What a process that serves tells of itself.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) connected: Vec<PeerId>,
    pub(crate) addresses: Vec<Multiaddr>,
}

/// Answers for the process that serves.
pub(crate) struct Control {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) connected: Connected,
    pub(crate) runtime: Handle,
}

fn not_json(error: serde_json::Error) -> Error {
    super::wire::garbled().caused_by(error)
}

impl Control {
    pub(super) fn answer(&self, wish: &[u8]) -> Result<String> {
        let mut parts = super::wire::Parts::of(wish);
        let wish = serde_json::from_slice(parts.string()?).map_err(not_json)?;
        match wish {
            Wish::About => serde_json::to_string(&self.about()),
            Wish::Connect(addr) => {
                let peer = self.runtime.block_on(self.transport.connect(&addr))?;
                serde_json::to_string(&peer)
            }
        }
        .map_err(not_json)
    }

    pub(crate) fn about(&self) -> About {
        About {
            connected: self.connected.peers(),
            addresses: self.transport.addresses(),
        }
    }
}

fn wish<T: for<'de> Deserialize<'de>>(dir: &Path, wish: &Wish) -> Result<T> {
    let text = serde_json::to_vec(wish).map_err(not_json)?;
    let told = Line::open(dir)?.ask(&Frame::of(ask::CONTROL).string(&text))?;
    let mut told = answer(&told)?;
    serde_json::from_slice(told.string()?).map_err(not_json)
}

/// What the process that serves tells of itself; an error when there is none.
pub(crate) fn about(dir: &Path) -> Result<About> {
    wish(dir, &Wish::About)
}

/// Has the process that serves connect to an address.
pub(crate) fn connect(dir: &Path, addr: Multiaddr) -> Result<PeerId> {
    wish(dir, &Wish::Connect(addr))
}
