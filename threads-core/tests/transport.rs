//! The transport within a process: whole frames, ends that are told, bounds that hold.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like a test")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use threads_core::transport::memory::{Endpoint, Hub, PEERS_MAX};
use threads_core::transport::{
    DISCOVERED_ADDRESSES_MAX, DISCOVERIES_MAX, FRAME_BYTES_MAX, Inbox, PEER_EVENTS_MAX, ReplyToken,
    TOPIC_BYTES_MAX, Transport, TransportEvent,
};
use threads_core::{ErrorKind, PeerId};

const _: () = {
    const fn usable<T: ?Sized + Send + Sync>() {}
    usable::<dyn Transport>();
};

fn peer(n: u8) -> PeerId {
    PeerId::from_key_bytes([n; 32])
}

/// Two peers that have read the news of each other.
async fn pair() -> (Hub, Endpoint, Endpoint) {
    let hub = Hub::new();
    let (a, b) = (hub.join(peer(1)).unwrap(), hub.join(peer(2)).unwrap());
    assert!(matches!(a.next_event().await.unwrap(), TransportEvent::Connected(p) if p == peer(2)));
    assert!(matches!(b.next_event().await.unwrap(), TransportEvent::Connected(p) if p == peer(1)));
    (hub, a, b)
}

async fn asked(end: &Endpoint) -> (PeerId, ReplyToken, Vec<u8>) {
    match end.next_event().await.unwrap() {
        TransportEvent::Request { from, token, frame } => (from, token, frame),
        other => panic!("expected a request, got {other:?}"),
    }
}

/// Polls once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_request_gets_its_own_reply() {
    let (_hub, a, b) = pair().await;
    let (mut first, mut second) = (
        pin!(a.request(peer(2), b"first".to_vec())),
        pin!(a.request(peer(2), b"second".to_vec())),
    );
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    let (from, one, frame) = asked(&b).await;
    assert_eq!((from, frame), (peer(1), b"first".to_vec()));
    let (_, two, _) = asked(&b).await;
    b.reply(two, b"to second".to_vec()).await.unwrap();
    b.reply(one, b"to first".to_vec()).await.unwrap();
    assert_eq!(first.await.unwrap(), b"to first");
    assert_eq!(second.await.unwrap(), b"to second");
}

#[tokio::test]
async fn it_works_across_tasks_and_as_a_trait_object() {
    let (_hub, a, b) = pair().await;
    let server: Arc<dyn Transport> = Arc::new(b);
    let serving = tokio::spawn(async move {
        for _ in 0..100 {
            if let TransportEvent::Request { token, frame, .. } = server.next_event().await.unwrap()
            {
                server.reply(token, frame).await.unwrap();
            }
        }
    });
    for i in 0..100_u32 {
        let frame = i.to_be_bytes().to_vec();
        assert_eq!(a.request(peer(2), frame.clone()).await.unwrap(), frame);
    }
    serving.await.unwrap();
}

#[tokio::test]
async fn a_dropped_token_is_an_error_and_not_a_wait() {
    let (_hub, a, b) = pair().await;
    let mut request = pin!(a.request(peer(2), vec![]));
    assert!(poll(request.as_mut()).is_pending());
    drop(asked(&b).await);
    assert_eq!(request.await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_request_ends_when_the_peer_leaves() {
    let (_hub, a, b) = pair().await;
    let mut unread = pin!(a.request(peer(2), vec![1]));
    assert!(poll(unread.as_mut()).is_pending());
    b.close();
    assert_eq!(unread.await.unwrap_err().kind(), ErrorKind::Unavailable);
    let gone = a.next_event().await.unwrap();
    assert!(matches!(gone, TransportEvent::Disconnected(p) if p == peer(2)));
    let error = a.request(peer(2), vec![]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_request_ends_when_the_peer_leaves_holding_the_token() {
    let (_hub, a, b) = pair().await;
    let mut request = pin!(a.request(peer(2), vec![1]));
    assert!(poll(request.as_mut()).is_pending());
    let (_, token, _) = asked(&b).await;
    b.close();
    assert_eq!(request.await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(
        b.reply(token, vec![]).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[tokio::test]
async fn an_end_that_left_stays_ended_and_may_join_again() {
    let (hub, a, b) = pair().await;
    let waiting = b.next_event();
    let (closed, _) = tokio::join!(waiting, async { b.close() });
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(b.next_event().await.is_err() && b.next_event().await.is_err());
    assert!(b.request(peer(1), vec![]).await.is_err());
    assert!(b.publish(b"t", vec![]).await.is_err());
    let again = hub.join(peer(2)).unwrap();
    again.subscribe(b"t").await.unwrap();
    // The old end, dropped, does not take the new one with it.
    drop(b);
    a.publish(b"t", b"hello".to_vec()).await.unwrap();
    assert!(matches!(
        again.next_event().await.unwrap(),
        TransportEvent::Connected(_)
    ));
    assert!(matches!(
        again.next_event().await.unwrap(),
        TransportEvent::Published { .. }
    ));
}

#[tokio::test]
async fn a_cut_ends_requests_and_a_heal_reconnects() {
    let (hub, a, b) = pair().await;
    let mut request = pin!(a.request(peer(2), vec![1]));
    assert!(poll(request.as_mut()).is_pending());
    let (_, token, _) = asked(&b).await;
    hub.cut(peer(2), peer(1));
    hub.cut(peer(1), peer(2));
    assert_eq!(request.await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(b.reply(token, vec![]).await.is_err());
    assert!(a.request(peer(2), vec![]).await.is_err());
    a.publish(b"t", vec![]).await.unwrap();
    for end in [&a, &b] {
        assert!(matches!(
            end.next_event().await.unwrap(),
            TransportEvent::Disconnected(_)
        ));
    }
    hub.heal(peer(1), peer(2));
    for end in [&a, &b] {
        assert!(matches!(
            end.next_event().await.unwrap(),
            TransportEvent::Connected(_)
        ));
        assert!(poll(pin!(end.next_event())).is_pending());
    }
}

#[tokio::test]
async fn waiting_for_an_event_can_be_cancelled() {
    let (_hub, a, b) = pair().await;
    b.subscribe(b"t").await.unwrap();
    for i in 0..100_u8 {
        {
            let mut waiting = pin!(b.next_event());
            assert!(poll(waiting.as_mut()).is_pending());
            a.publish(b"t", vec![i]).await.unwrap();
            // Woken, then dropped before it is polled again.
        }
        let event = b.next_event().await.unwrap();
        assert!(matches!(event, TransportEvent::Published { frame, .. } if frame == [i]));
    }
}

#[tokio::test]
async fn a_cancelled_request_leaves_nothing_behind() {
    let (_hub, a, b) = pair().await;
    for _ in 0..10_000 {
        assert!(poll(pin!(a.request(peer(2), vec![]))).is_pending());
        let (_, token, _) = asked(&b).await;
        assert_eq!(
            b.reply(token, vec![]).await.unwrap_err().kind(),
            ErrorKind::Unavailable
        );
    }
}

#[tokio::test]
async fn a_full_inbox_refuses_requests_loses_publications_and_keeps_news() {
    let (hub, a, b) = pair().await;
    b.subscribe(b"t").await.unwrap();
    for i in 0..PEER_EVENTS_MAX + 10 {
        a.publish(b"t", vec![(i % 256) as u8]).await.unwrap();
    }
    let error = a.request(peer(2), vec![]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("busy"));
    for _ in 0..100 {
        hub.cut(peer(1), peer(2));
        hub.heal(peer(1), peer(2));
    }
    hub.cut(peer(1), peer(2));
    for i in 0..PEER_EVENTS_MAX {
        let event = b.next_event().await.unwrap();
        let expected = [(i % 256) as u8];
        assert!(matches!(event, TransportEvent::Published { frame, .. } if frame == expected));
    }
    assert!(matches!(
        b.next_event().await.unwrap(),
        TransportEvent::Disconnected(_)
    ));
    assert!(poll(pin!(b.next_event())).is_pending());
}

#[tokio::test]
async fn a_cut_keeps_two_peers_from_connecting_and_a_disconnect_outlasts_it() {
    let (hub, a, b) = pair().await;
    hub.cut(peer(1), peer(2));
    let there = &b.addresses()[0];
    assert_eq!(
        a.connect(there).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    hub.heal(peer(1), peer(2));
    a.disconnect(peer(2)).await.unwrap();
    hub.cut(peer(1), peer(2));
    hub.heal(peer(1), peer(2));
    assert!(a.request(peer(2), vec![]).await.is_err());
    assert_eq!(a.connect(there).await.unwrap(), peer(2));
    let mut request = pin!(a.request(peer(2), vec![]));
    assert!(poll(request.as_mut()).is_pending());
}

#[tokio::test]
async fn discoveries_are_bounded_and_the_latest_stay() {
    let inbox = Inbox::new();
    let address: threads_core::Multiaddr = "/memory/1".parse().unwrap();
    for n in 0..DISCOVERIES_MAX + 10 {
        inbox.discovered(
            peer(n as u8),
            vec![address.clone(); DISCOVERED_ADDRESSES_MAX + 1],
        );
    }
    for n in 10..DISCOVERIES_MAX + 10 {
        let event = inbox.next().await.unwrap();
        let (wanted, most) = (peer(n as u8), DISCOVERED_ADDRESSES_MAX);
        assert!(
            matches!(event, TransportEvent::Discovered { peer, addrs } if peer == wanted && addrs.len() == most)
        );
    }
    assert!(poll(pin!(inbox.next())).is_pending());
}

#[tokio::test]
async fn a_publication_reaches_every_other_peer_that_subscribed() {
    let hub = Hub::new();
    let ends: Vec<_> = (1..5).map(|n| hub.join(peer(n)).unwrap()).collect();
    for end in &ends {
        end.subscribe(b"topic").await.unwrap();
    }
    ends[0].publish(b"topic", b"hello".to_vec()).await.unwrap();
    for end in &ends[1..] {
        loop {
            match end.next_event().await.unwrap() {
                TransportEvent::Connected(_) => {}
                TransportEvent::Published {
                    from, topic, frame, ..
                } => {
                    assert_eq!(
                        (from, &*topic, &*frame),
                        (peer(1), &b"topic"[..], &b"hello"[..])
                    );
                    break;
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        assert!(poll(pin!(end.next_event())).is_pending());
    }
    for _ in 0..3 {
        assert!(matches!(
            ends[0].next_event().await.unwrap(),
            TransportEvent::Connected(_)
        ));
    }
    assert!(poll(pin!(ends[0].next_event())).is_pending());
}

#[tokio::test]
async fn frames_and_topics_are_bounded() {
    let (_hub, a, b) = pair().await;
    let long = vec![0; FRAME_BYTES_MAX + 1];
    let kind = |result: threads_core::Result<()>| result.unwrap_err().kind();
    assert_eq!(
        kind(a.request(peer(2), long.clone()).await.map(drop)),
        ErrorKind::Invalid
    );
    assert_eq!(
        kind(a.publish(b"t", long.clone()).await),
        ErrorKind::Invalid
    );
    assert_eq!(
        kind(a.publish(&[0; TOPIC_BYTES_MAX + 1], vec![]).await),
        ErrorKind::Invalid
    );
    let mut request = pin!(a.request(peer(2), long[1..].to_vec()));
    assert!(poll(request.as_mut()).is_pending());
    let (_, token, _) = asked(&b).await;
    assert_eq!(kind(b.reply(token, long).await), ErrorKind::Invalid);
    // Who asked is not left waiting.
    assert_eq!(kind(request.await.map(drop)), ErrorKind::Unavailable);
    assert_eq!(
        kind(b.reply(ReplyToken::new(1_u8), vec![]).await),
        ErrorKind::Invalid
    );
}

#[tokio::test]
async fn nobody_asks_themselves_or_a_stranger() {
    let (_hub, a, _b) = pair().await;
    for to in [peer(1), peer(9)] {
        assert_eq!(
            a.request(to, vec![]).await.unwrap_err().kind(),
            ErrorKind::Unavailable
        );
    }
}

#[test]
fn a_hub_is_bounded() {
    let hub = Hub::new();
    let id = |n: usize| {
        PeerId::from_key_bytes([[n as u8, (n >> 8) as u8]; 16].concat().try_into().unwrap())
    };
    let ends: Vec<_> = (0..PEERS_MAX).map(|n| hub.join(id(n)).unwrap()).collect();
    assert_eq!(hub.join(id(PEERS_MAX)).unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(hub.join(id(0)).unwrap_err().kind(), ErrorKind::Conflict);
    drop(ends);
    hub.join(id(0)).unwrap();
}

#[test]
fn debug_shows_no_frame() {
    let event = TransportEvent::Published {
        from: peer(1),
        topic: vec![],
        frame: b"words".to_vec(),
        token: ReplyToken::new(()),
    };
    assert!(format!("{event:?}").starts_with("Published(5 bytes from "));
}
