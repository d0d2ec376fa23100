//! What laws do with ends again and again.

use std::future::pending;

use threads_core::transport::{ReplyToken, TransportEvent};
use threads_core::{ErrorKind, PeerId, Result};

use super::End;
use super::concurrent::race;
use crate::law::{Checked, Violation, ensure};

/// A request that was read.
pub(super) struct Asked {
    pub(super) from: PeerId,
    pub(super) token: ReplyToken,
    pub(super) frame: Vec<u8>,
}

/// The first address of an end.
pub(super) fn address(end: &End) -> Result<threads_core::Multiaddr, Violation> {
    let address = end.addresses().into_iter().next();
    address.ok_or_else(|| Violation::new("asked an end for its addresses", "it has none"))
}

/// Connects two ends, and reads the news of it on both.
pub(super) async fn connect(caller: &End, called: &End) -> Checked {
    let address = address(called)?;
    let there = caller.connect(&address).await?;
    ensure(
        there == called.local_peer(),
        format_args!("connected to {address}"),
        format_args!("connect says that {there} is there"),
    )?;
    connected(caller, called.local_peer()).await?;
    connected(called, caller.local_peer()).await
}

/// The next event that is no discovery: those come when they like.
pub(super) async fn event(end: &End) -> Result<TransportEvent, Violation> {
    loop {
        match end.next_event().await? {
            TransportEvent::Discovered { .. } => {}
            event => return Ok(event),
        }
    }
}

/// Reads that a peer is connected.
pub(super) async fn connected(end: &End, peer: PeerId) -> Checked {
    let event = event(end).await?;
    let right = matches!(event, TransportEvent::Connected(there) if there == peer);
    ensure(
        right,
        format_args!("{peer} connected"),
        format_args!("{event:?}"),
    )
}

/// Reads that two peers are connected, in whatever order.
pub(super) async fn all_connected(end: &End, others: [&End; 2]) -> Checked {
    let mut wanted: Vec<_> = others.iter().map(|other| other.local_peer()).collect();
    while !wanted.is_empty() {
        let event = event(end).await?;
        let right = matches!(event, TransportEvent::Connected(there) if wanted.contains(&there));
        let done = format_args!("connected {wanted:?}");
        ensure(right, done, format_args!("{event:?}"))?;
        wanted.retain(|peer| !matches!(event, TransportEvent::Connected(there) if there == *peer));
    }
    Ok(())
}

/// Reads that a peer is not connected any more.
pub(super) async fn disconnected(end: &End, peer: PeerId) -> Checked {
    let event = event(end).await?;
    let right = matches!(event, TransportEvent::Disconnected(gone) if gone == peer);
    ensure(
        right,
        format_args!("{peer} went away"),
        format_args!("{event:?}"),
    )
}

/// Reads a request.
pub(super) async fn asked(end: &End) -> Result<Asked, Violation> {
    match event(end).await? {
        TransportEvent::Request { from, token, frame } => Ok(Asked { from, token, frame }),
        other => Err(Violation::new("sent a request", format_args!("{other:?}"))),
    }
}

/// `a` asks `b`, which does something about it. Gives the reply.
pub(super) async fn asks(
    a: &End,
    b: &End,
    frame: Vec<u8>,
    answer: impl AsyncFnOnce(Asked) -> Checked,
) -> Result<Vec<u8>, Violation> {
    let asking = async { Ok(a.request(b.local_peer(), frame).await?) };
    let answering = async {
        answer(asked(b).await?).await?;
        pending().await
    };
    race(asking, answering).await
}

/// `a` asks `b` something and is answered. Gives what else `b` read, in its order.
pub(super) async fn round_trip(a: &End, b: &End) -> Result<Vec<TransportEvent>, Violation> {
    let mut others = Vec::new();
    let asking = async {
        a.request(b.local_peer(), b"and then?".to_vec()).await?;
        Ok::<_, Violation>(())
    };
    let answering = async {
        loop {
            match event(b).await? {
                TransportEvent::Request { token, frame, .. } => b.reply(token, frame).await?,
                other => others.push(other),
            }
        }
    };
    race(asking, answering).await?;
    Ok(others)
}

/// Fails a law unless something is an error of this kind.
#[track_caller]
pub(super) fn is_error<T>(result: &Result<T>, kind: ErrorKind, done: &str) -> Checked {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Violation::new(
            done,
            format_args!("another error: {error:?}"),
        )),
        Ok(_) => Err(Violation::new(done, "no error")),
    }
}

/// Fails a law unless something is an error of kind `Unavailable`.
#[track_caller]
pub(super) fn is_unavailable<T>(result: &Result<T>, done: &str) -> Checked {
    is_error(result, ErrorKind::Unavailable, done)
}

/// A frame in which every piece shows its place, and of other seeds every piece is another.
pub(super) fn frame(bytes: usize, seed: u32) -> Vec<u8> {
    const PAGE_BYTES: usize = 4096;
    let words = (0..PAGE_BYTES as u32 / 4).flat_map(|n| (n ^ seed).to_be_bytes());
    let page: Vec<u8> = words.collect();
    let mut frame = page.repeat(bytes.div_ceil(PAGE_BYTES));
    for (n, page) in frame.chunks_exact_mut(PAGE_BYTES).enumerate() {
        let place = (n as u32 ^ seed).to_le_bytes();
        page[..4].copy_from_slice(&place);
    }
    frame.truncate(bytes);
    frame
}
