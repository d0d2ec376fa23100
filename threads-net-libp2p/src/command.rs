//! What the handle asks of the background task.

use libp2p::Multiaddr;
use libp2p::gossipsub::MessageId;
use libp2p::request_response::ResponseChannel;
use threads_core::transport::Acceptance;
use threads_core::{PeerId, Result};
use tokio::sync::oneshot;

use crate::frames::Frame;

/// Where the outcome goes. Dropped, it means that the task has ended.
pub(crate) type Done<T> = oneshot::Sender<Result<T>>;

/// The way back to a peer that asks.
pub(crate) struct Way(pub(crate) PeerId, pub(crate) ResponseChannel<Frame>);

/// A publication that waits to be judged, and who handed it on.
pub(crate) struct Overheard(pub(crate) MessageId, pub(crate) libp2p::PeerId);

pub(crate) enum Command {
    Listen(Multiaddr, Done<Multiaddr>),
    Announce(Multiaddr, Done<()>),
    Connect(Multiaddr, Done<PeerId>),
    Disconnect(PeerId, Done<()>),
    Request(PeerId, Vec<u8>, Done<Vec<u8>>),
    Reply(Way, Vec<u8>, Done<()>),
    Subscribe(Vec<u8>, Done<()>),
    Unsubscribe(Vec<u8>, Done<()>),
    Publish(Vec<u8>, Vec<u8>, Done<()>),
    Judge(Overheard, Acceptance, Done<()>),
    Provide([u8; 32], Done<()>),
    Find([u8; 32], Done<Vec<Multiaddr>>),
}
