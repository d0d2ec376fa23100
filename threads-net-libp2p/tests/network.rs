//! What the laws of transports do not see: relays, the hash table, strangers who do not keep to the
//! protocol.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId as TheirId};
use threads_core::transport::{FRAME_BYTES_MAX, Transport, TransportEvent, named_peer};
use threads_core::{ErrorKind, IdentityKey, PeerId, system_rng};
use threads_net_libp2p::{Builder, HashTable, IN_FLIGHT_MAX, Libp2p, Limits, QUEUED_MAX};

#[path = "network/nat.rs"]
mod nat;

const LOOPBACK: &str = "/ip4/127.0.0.1/tcp/0";

fn anybody() -> IdentityKey {
    IdentityKey::generate(&mut system_rng())
}

fn builder() -> Builder {
    Libp2p::builder(&anybody()).listen(LOOPBACK.parse().unwrap())
}

async fn start() -> Libp2p {
    builder().start().await.unwrap()
}

/// The next event that is no discovery.
async fn event(end: &Libp2p) -> TransportEvent {
    loop {
        match end.next_event().await.unwrap() {
            TransportEvent::Discovered { .. } => {}
            event => return event,
        }
    }
}

async fn connected(end: &Libp2p) -> PeerId {
    match event(end).await {
        TransportEvent::Connected(peer) => peer,
        other => panic!("expected a connection, got {other:?}"),
    }
}

async fn connect(caller: &Libp2p, called: &Libp2p) {
    caller.connect(&called.addresses()[0]).await.unwrap();
    assert_eq!(connected(caller).await, called.local_peer());
    assert_eq!(connected(called).await, caller.local_peer());
}

/// Answers everything with what was asked.
async fn echo(end: &Libp2p) {
    loop {
        if let TransportEvent::Request { token, frame, .. } = event(end).await {
            end.reply(token, frame).await.unwrap();
        }
    }
}

async fn asks(a: &Libp2p, b: &Libp2p) {
    tokio::select! {
        reply = a.request(b.local_peer(), b"hello".to_vec()) => assert_eq!(reply.unwrap(), b"hello"),
        () = echo(b) => {}
    }
}

fn socket(end: &Libp2p) -> SocketAddr {
    let address = end.addresses().remove(0);
    let mut parts = address.iter();
    match (parts.next(), parts.next()) {
        (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) => (ip, port).into(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_behind_a_relay_meet_through_it() {
    let relay = builder().relay(true).start().await.unwrap();
    // On loopback nobody can tell it its public address.
    let mut at = relay.addresses().remove(0);
    relay.announce(at.clone()).await.unwrap();
    let hidden = Libp2p::builder(&anybody()).hole_punching(false);
    let hidden = hidden.start().await.unwrap();
    assert!(hidden.addresses().is_empty());
    at.push(Protocol::P2pCircuit);
    let circuit = hidden.listen(at).await.unwrap();
    assert_eq!(named_peer(&circuit), Some(hidden.local_peer()));
    assert!(hidden.addresses().contains(&circuit));

    let caller = Libp2p::builder(&anybody()).hole_punching(false);
    let caller = caller.start().await.unwrap();
    assert_eq!(caller.connect(&circuit).await.unwrap(), hidden.local_peer());
    asks(&caller, &hidden).await;
    asks(&hidden, &caller).await;

    // The relay carries it, and sees no frame of it.
    assert_eq!(relay.counters().frames_in, 0);
    relay.close();
    loop {
        if let TransportEvent::Disconnected(peer) = event(&caller).await
            && peer == hidden.local_peer()
        {
            break;
        }
    }
}

#[tokio::test]
async fn without_a_relay_nobody_is_carried() {
    let no_relay = start().await;
    let mut at = no_relay.addresses().remove(0);
    at.push(Protocol::P2pCircuit);
    let hidden = Libp2p::builder(&anybody()).start().await.unwrap();
    let error = hidden.listen(at).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn what_one_provides_another_finds_through_a_third() {
    let server = builder()
        .hash_table(HashTable::Server)
        .start()
        .await
        .unwrap();
    let provider = builder()
        .hash_table(HashTable::Client)
        .start()
        .await
        .unwrap();
    let seeker = Libp2p::builder(&anybody()).hash_table(HashTable::Client);
    let seeker = seeker.start().await.unwrap();
    connect(&provider, &server).await;
    connect(&seeker, &server).await;
    let key = [7; 32];
    let found = loop {
        provider.provide(&key).await.unwrap();
        let found = seeker.find(&key).await.unwrap();
        if !found.is_empty() {
            break found;
        }
        asks(&seeker, &server).await;
    };
    assert!(
        found
            .iter()
            .all(|addr| named_peer(addr) == Some(provider.local_peer()))
    );
    assert_eq!(
        seeker.connect(&found[0]).await.unwrap(),
        provider.local_peer()
    );
    asks(&seeker, &provider).await;
    assert!(seeker.find(&[8; 32]).await.unwrap().is_empty());
}

#[tokio::test]
async fn without_a_hash_table_nobody_is_found() {
    let (a, b) = (start().await, start().await);
    connect(&a, &b).await;
    a.provide(&[7; 32]).await.unwrap();
    assert!(b.find(&[7; 32]).await.unwrap().is_empty());
}

#[tokio::test]
async fn peers_nearby_hear_where_they_listen() {
    let (a, b) = (start().await, start().await);
    a.connect(&b.addresses()[0]).await.unwrap();
    let (peer, addrs) = loop {
        if let TransportEvent::Discovered { peer, addrs } = b.next_event().await.unwrap() {
            break (peer, addrs);
        }
    };
    assert_eq!(peer, a.local_peer());
    let listened = a.addresses().remove(0);
    let listened: Multiaddr = listened.iter().take(2).collect();
    assert!(addrs.contains(&listened), "{addrs:?}");
    // What is known of a peer is enough to call it.
    a.disconnect(b.local_peer()).await.unwrap();
    loop {
        if let TransportEvent::Disconnected(_) = event(&b).await {
            break;
        }
    }
    let mut only_named = Multiaddr::empty();
    let id = TheirId::from_bytes(&a.local_peer().to_bytes()).unwrap();
    only_named.push(Protocol::P2p(id));
    assert_eq!(b.connect(&only_named).await.unwrap(), a.local_peer());
}

/// Whether this machine carries multicast from one process to another.
fn has_multicast() -> std::io::Result<()> {
    let group = Ipv4Addr::new(224, 0, 0, 250);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send_to(b"here", (group, socket.local_addr()?.port()))?;
    socket.recv(&mut [0; 8]).map(drop)
}

#[tokio::test]
async fn peers_in_one_network_discover_each_other() {
    if let Err(error) = has_multicast() {
        println!("skipped: no multicast here: {error}");
        return;
    }
    let listen = || {
        let builder = Libp2p::builder(&anybody()).mdns(true);
        builder.listen("/ip4/0.0.0.0/tcp/0".parse().unwrap())
    };
    let a = listen().start().await.unwrap();
    let b = listen().start().await.unwrap();
    loop {
        if let TransportEvent::Discovered { peer, addrs } = b.next_event().await.unwrap()
            && peer == a.local_peer()
        {
            assert_eq!(b.connect(&addrs[0]).await.unwrap(), a.local_peer());
            return;
        }
    }
}

#[tokio::test]
async fn a_burst_waits_for_its_turn() {
    let (a, b) = (start().await, start().await);
    connect(&a, &b).await;
    let count = QUEUED_MAX + IN_FLIGHT_MAX;
    let asking = async {
        let mut asking = tokio::task::JoinSet::new();
        let a = std::sync::Arc::new(a);
        for n in 0..count as u32 {
            let (a, to) = (std::sync::Arc::clone(&a), b.local_peer());
            asking.spawn(async move {
                let frame = n.to_be_bytes().to_vec();
                assert_eq!(a.request(to, frame.clone()).await.unwrap(), frame);
            });
        }
        let mut answered = 0;
        while let Some(asked) = asking.join_next().await {
            asked.unwrap();
            answered += 1;
        }
        answered
    };
    tokio::select! {
        answered = asking => assert_eq!(answered, count),
        () = echo(&b) => {}
    }
}

/// Callers that never pause are answered, and so is the network.
#[tokio::test]
async fn tireless_callers_do_not_starve_the_network() {
    let (a, b) = (start().await, start().await);
    connect(&a, &b).await;
    let tireless = async {
        loop {
            a.publish(b"news", vec![7]).await.unwrap();
        }
    };
    let many = async {
        tokio::join!(tireless, async {
            loop {
                a.publish(b"olds", vec![7]).await.unwrap()
            }
        })
    };
    tokio::select! {
        _ = many => {}
        () = asks(&b, &a) => {}
    }
}

#[tokio::test]
async fn row_37_who_says_nothing_is_cut_off() {
    let limits = Limits {
        handshake: Duration::from_millis(100),
        ..Limits::default()
    };
    let end = builder().limits(limits).start().await.unwrap();
    let at = socket(&end);
    // One byte at a time is no better than none: the stranger is told so by the end of the stream.
    let silent = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(&[0x13]).unwrap();
        let mut said = Vec::new();
        // Cut off in an orderly way, or not.
        let _reset = stream.read_to_end(&mut said);
        said
    });
    let said = silent.await.unwrap();
    // No more than the name of the first protocol.
    assert!(said.len() < 64, "{said:?}");
    assert_eq!(end.counters().connections, 0);
}

#[tokio::test]
async fn row_38_connections_from_one_address_are_bounded() {
    let limits = Limits {
        connections_from_ip: 2,
        ..Limits::default()
    };
    let end = builder().limits(limits).start().await.unwrap();
    let (a, b, c) = (start().await, start().await, start().await);
    connect(&a, &end).await;
    connect(&b, &end).await;
    // It hears of the refusal at once, or when it asks.
    let refused = c.connect(&end.addresses()[0]).await;
    if refused.is_ok() {
        let reply = c.request(end.local_peer(), vec![1]).await;
        assert_eq!(reply.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(end.counters().connections, 2);
    // When one goes, there is room.
    a.disconnect(end.local_peer()).await.unwrap();
    assert!(
        matches!(event(&end).await, TransportEvent::Disconnected(peer) if peer == a.local_peer())
    );
    connect(&c, &end).await;
    asks(&c, &end).await;
}

#[tokio::test]
async fn counters_count_frames_both_ways() {
    let (a, b) = (start().await, start().await);
    connect(&a, &b).await;
    asks(&a, &b).await;
    for end in [&a, &b] {
        let counters = end.counters();
        assert_eq!((counters.frames_in, counters.frames_out), (1, 1));
        assert_eq!((counters.bytes_in, counters.bytes_out), (5, 5));
        assert_eq!((counters.connections, counters.connections_made), (1, 1));
    }
    assert_eq!(
        a.request(PeerId::from_key_bytes([7; 32]), vec![])
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Unavailable
    );
    let long = a
        .request(b.local_peer(), vec![0; FRAME_BYTES_MAX + 1])
        .await;
    assert_eq!(long.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(a.counters().frames_out, 1);
}

#[tokio::test]
async fn addresses_that_cannot_be_used_are_invalid() {
    let end = start().await;
    for addr in ["/memory/7", "/unix/socket"] {
        let addr: Multiaddr = addr.parse().unwrap();
        assert_eq!(
            end.connect(&addr).await.unwrap_err().kind(),
            ErrorKind::Invalid,
            "{addr}"
        );
        assert_eq!(
            end.listen(addr).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let used = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    let error = end.listen(used.parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let nobody = PeerId::from_key_bytes([7; 32]);
    let only_named = format!("/p2p/{nobody}").parse().unwrap();
    assert_eq!(
        end.connect(&only_named).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[test]
fn without_a_runtime_it_does_not_start() {
    let mut start = std::pin::pin!(builder().start());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = start.as_mut().poll(&mut context) else {
        panic!("it started");
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_runtime_that_ends_ends_the_events() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let end = runtime.block_on(start());
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        assert_eq!(
            end.next_event().await.unwrap_err().kind(),
            ErrorKind::Unavailable
        );
        assert!(end.request(end.local_peer(), vec![]).await.is_err());
    });
}
