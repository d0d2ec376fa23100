//! Peers that speak libp2p and do not keep to the protocol; and topics, which gossip can lose without
//! a word.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::io;
use std::time::Duration;

use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::gossipsub::{self, IdentTopic};
use libp2p::request_response::{self, Codec, ProtocolSupport};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder, noise, tcp, yamux};
use threads_core::transport::{
    Acceptance, FRAME_BYTES_MAX, PUBLICATION_BYTES_MAX, TOPIC_BYTES_MAX, TOPICS_MAX, Transport,
    TransportEvent,
};
use threads_core::{IdentityKey, system_rng};
use threads_net_libp2p::{Libp2p, Limits, QUEUED_BYTES_MAX};

async fn start() -> Libp2p {
    let identity = IdentityKey::generate(&mut system_rng());
    let builder = Libp2p::builder(&identity).listen("/ip4/127.0.0.1/tcp/0".parse().unwrap());
    builder.start().await.unwrap()
}

/// Sends bytes as they are, and reads whatever comes; or leaves one of the two.
#[derive(Clone, Copy, Default, PartialEq)]
enum Raw {
    #[default]
    Whole,
    /// It reads no reply.
    Deaf,
    /// It goes on with a byte at a time for ever.
    Endless,
}

impl Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await.map(|_| bytes)
    }

    async fn read_response<T>(&mut self, to: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        if *self == Self::Deaf {
            std::future::pending::<()>().await;
        }
        self.read_request(to, io).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&bytes).await?;
        if *self != Self::Endless {
            return Ok(());
        }
        loop {
            io.write_all(&[7]).await?;
            io.flush().await?;
            tokio::task::yield_now().await;
        }
    }

    async fn write_response<T>(
        &mut self,
        to: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Self::Whole.write_request(to, io, bytes).await
    }
}

#[derive(NetworkBehaviour)]
struct Parts {
    frames: request_response::Behaviour<Raw>,
    gossip: gossipsub::Behaviour,
}

fn frames(raw: Raw) -> request_response::Behaviour<Raw> {
    let protocol = [(StreamProtocol::new("/threads/1"), ProtocolSupport::Full)];
    // Longer than what it is to be refused by.
    let patient =
        request_response::Config::default().with_request_timeout(Duration::from_secs(120));
    request_response::Behaviour::with_codec(raw, protocol, patient)
}

fn stranger(gossip: gossipsub::Config) -> Swarm<Parts> {
    strange(gossip, Raw::Whole)
}

fn strange(gossip: gossipsub::Config, raw: Raw) -> Swarm<Parts> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|key| {
            let author = gossipsub::MessageAuthenticity::Signed(key.clone());
            Ok(Parts {
                frames: frames(raw),
                gossip: gossipsub::Behaviour::new(author, gossip)?,
            })
        })
        .unwrap()
        .build()
}

/// What became of a request of raw bytes: the raw reply.
async fn send_raw(stranger: &mut Swarm<Parts>, to: &Libp2p, bytes: Vec<u8>) -> Option<Vec<u8>> {
    let peer = libp2p::PeerId::from_bytes(&to.local_peer().to_bytes()).unwrap();
    stranger.behaviour_mut().frames.send_request(&peer, bytes);
    loop {
        match stranger.select_next_some().await {
            SwarmEvent::Behaviour(PartsEvent::Frames(request_response::Event::Message {
                message: request_response::Message::Response { response, .. },
                ..
            })) => return Some(response),
            SwarmEvent::Behaviour(PartsEvent::Frames(
                request_response::Event::OutboundFailure { .. },
            )) => {
                return None;
            }
            _ => {}
        }
    }
}

async fn echo(end: &Libp2p) {
    loop {
        match end.next_event().await.unwrap() {
            TransportEvent::Request { token, frame, .. } => end.reply(token, frame).await.unwrap(),
            TransportEvent::Disconnected(peer) => panic!("{peer} was not to go"),
            _ => {}
        }
    }
}

/// The length that is said, and so many bytes.
fn wire(said: usize, bytes: usize) -> Vec<u8> {
    [&(said as u32).to_be_bytes()[..], &vec![7; bytes]].concat()
}

#[tokio::test]
async fn row_32_a_frame_over_the_bound_is_refused_and_the_next_one_is_read() {
    let end = start().await;
    let mut stranger = stranger(gossipsub::Config::default());
    stranger.dial(end.addresses()[0].clone()).unwrap();
    let trying = async {
        for (said, bytes) in [
            (FRAME_BYTES_MAX + 1, FRAME_BYTES_MAX + 1),
            (u32::MAX as usize, 0),
            (8, 7),
            (FRAME_BYTES_MAX, 0),
        ] {
            let reply = send_raw(&mut stranger, &end, wire(said, bytes)).await;
            // It is closed, with nothing on it.
            assert!(
                reply.is_none_or(|reply| reply.is_empty()),
                "{said} said, {bytes} sent"
            );
        }
        let reply = send_raw(&mut stranger, &end, wire(3, 3)).await;
        assert_eq!(reply, Some(wire(3, 3)));
    };
    tokio::select! {
        () = trying => {}
        () = echo(&end) => {}
    }
    assert_eq!(end.counters().frames_in, 1);
}

#[tokio::test]
async fn a_reply_over_the_bound_is_an_error() {
    let end = start().await;
    let mut stranger = stranger(gossipsub::Config::default());
    let peer = threads_core::PeerId::from_bytes(&stranger.local_peer_id().to_bytes()).unwrap();
    stranger.dial(end.addresses()[0].clone()).unwrap();
    let answering = async {
        loop {
            if let SwarmEvent::Behaviour(PartsEvent::Frames(request_response::Event::Message {
                message: request_response::Message::Request { channel, .. },
                ..
            })) = stranger.select_next_some().await
            {
                let long = wire(FRAME_BYTES_MAX + 1, 16);
                let _gone = stranger.behaviour_mut().frames.send_response(channel, long);
            }
        }
    };
    let asking = async {
        while !matches!(
            end.next_event().await.unwrap(),
            TransportEvent::Connected(_)
        ) {}
        end.request(peer, b"hello".to_vec()).await
    };
    let reply = tokio::select! {
        reply = asking => reply,
        () = answering => unreachable!(),
    };
    assert_eq!(
        reply.unwrap_err().kind(),
        threads_core::ErrorKind::Unavailable
    );
}

/// Every topic of the longest kind, told again in one message when peers meet again.
#[tokio::test]
async fn all_topics_come_back_after_a_reconnect() {
    let (a, b) = (start().await, start().await);
    let topic = |n: usize| [n as u8; TOPIC_BYTES_MAX];
    for n in 0..TOPICS_MAX {
        b.subscribe(&topic(n)).await.unwrap();
    }
    for _ in 0..2 {
        a.connect(&b.addresses()[0]).await.unwrap();
        let mut missing: Vec<usize> = (0..TOPICS_MAX).collect();
        while !missing.is_empty() {
            for n in &missing {
                a.publish(&topic(*n), b"news".to_vec()).await.unwrap();
            }
            let asking = a.request(b.local_peer(), vec![]);
            let reading = async {
                loop {
                    match b.next_event().await.unwrap() {
                        TransportEvent::Request { token, .. } => {
                            b.reply(token, vec![]).await.unwrap()
                        }
                        TransportEvent::Published { topic, .. } => {
                            missing.retain(|n| *n != usize::from(topic[0]));
                        }
                        _ => {}
                    }
                }
            };
            tokio::select! {
                reply = asking => drop(reply.unwrap()),
                () = reading => {}
            }
        }
        a.disconnect(b.local_peer()).await.unwrap();
        while !matches!(
            b.next_event().await.unwrap(),
            TransportEvent::Disconnected(_)
        ) {}
    }
}

/// Subscribes as the others do, and publishes something signed, sound for gossip, and too long.
#[tokio::test]
async fn row_39_what_is_not_sound_goes_no_further() {
    let (a, b) = (start().await, start().await);
    a.connect(&b.addresses()[0]).await.unwrap();
    for end in [&a, &b] {
        end.subscribe(b"news").await.unwrap();
    }
    let mut stranger = stranger(gossipsub::Config::default());
    let name = stranger.local_peer_id().to_string();
    let address: Multiaddr = a.addresses().remove(0);
    stranger.dial(address).unwrap();
    let publishing = async {
        let topic = || IdentTopic::new("6e657773");
        loop {
            match stranger.select_next_some().await {
                SwarmEvent::Behaviour(PartsEvent::Gossip(gossipsub::Event::Subscribed {
                    ..
                })) => {
                    let long = vec![7; PUBLICATION_BYTES_MAX + 1];
                    stranger
                        .behaviour_mut()
                        .gossip
                        .publish(topic(), long)
                        .unwrap();
                    // Sent after it on the same way: two that their reader finds unfit, and one that is
                    // right.
                    for frame in [&b"forged"[..], b"much", b"short"] {
                        stranger
                            .behaviour_mut()
                            .gossip
                            .publish(topic(), frame.to_vec())
                            .unwrap();
                    }
                }
                SwarmEvent::ConnectionClosed { .. } => panic!("it was not to go"),
                _ => {}
            }
        }
    };
    let reading = async |end: &Libp2p, expected: &[&[u8]]| {
        let mut read: Vec<Vec<u8>> = Vec::new();
        while read.len() < expected.len() {
            if let TransportEvent::Published {
                from, frame, token, ..
            } = end.next_event().await.unwrap()
            {
                assert_eq!(from.to_string(), name);
                let fit = match &*frame {
                    b"forged" => Acceptance::Reject,
                    b"much" => Acceptance::Ignore,
                    _ => Acceptance::Accept,
                };
                end.judge(token, fit).await.unwrap();
                read.push(frame);
            }
        }
        assert_eq!(read, expected);
    };
    let all: [&[u8]; 3] = [b"forged", b"much", b"short"];
    // The one it is connected to, and the one behind it.
    tokio::select! {
        _ = async { tokio::join!(reading(&a, &all), reading(&b, &all[2..])) } => {}
        () = publishing => {}
    }
}

#[tokio::test]
async fn row_37_a_frame_that_never_ends_is_given_up() {
    let identity = IdentityKey::generate(&mut system_rng());
    let limits = Limits {
        request: Duration::from_millis(200),
        ..Limits::default()
    };
    let builder = Libp2p::builder(&identity).limits(limits);
    let builder = builder.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap());
    let end = builder.start().await.unwrap();
    let mut slow = strange(gossipsub::Config::default(), Raw::Endless);
    slow.dial(end.addresses()[0].clone()).unwrap();
    tokio::select! {
        // It goes on until the stream is closed, which it is after 200 ms.
        reply = send_raw(&mut slow, &end, wire(FRAME_BYTES_MAX, 0)) => {
            assert!(reply.is_none_or(|reply| reply.is_empty()));
        }
        () = echo(&end) => {}
    }
    assert_eq!(end.counters().frames_in, 0);
}

#[tokio::test]
async fn row_37_a_connection_that_nobody_uses_ends() {
    let identity = IdentityKey::generate(&mut system_rng());
    let limits = Limits {
        idle: Duration::from_millis(200),
        ..Limits::default()
    };
    let builder = Libp2p::builder(&identity).limits(limits);
    let builder = builder.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap());
    let end = builder.start().await.unwrap();
    // It speaks frames alone, and none.
    let mut stranger = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|_| frames(Raw::Whole))
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::MAX))
        .build();
    stranger.dial(end.addresses()[0].clone()).unwrap();
    let closed = async {
        loop {
            if let SwarmEvent::ConnectionClosed { .. } = stranger.select_next_some().await {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), closed)
        .await
        .unwrap();
}

#[tokio::test]
async fn row_38_replies_that_nobody_reads_are_bounded_and_others_get_theirs() {
    const UNREAD: usize = 16;
    let end = start().await;
    let mut deaf = strange(gossipsub::Config::default(), Raw::Deaf);
    let peer = libp2p::PeerId::from_bytes(&end.local_peer().to_bytes()).unwrap();
    deaf.dial(end.addresses()[0].clone()).unwrap();
    for _ in 0..UNREAD {
        deaf.behaviour_mut().frames.send_request(&peer, wire(0, 0));
    }
    let replying = async {
        let (mut sent, mut refused) = (0, 0);
        while sent + refused < UNREAD {
            if let TransportEvent::Request { token, .. } = end.next_event().await.unwrap() {
                match end.reply(token, vec![7; FRAME_BYTES_MAX]).await {
                    Ok(()) => sent += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), threads_core::ErrorKind::Unavailable);
                        refused += 1;
                    }
                }
            }
        }
        sent
    };
    let sent = tokio::select! {
        sent = replying => sent,
        _ = async { loop { deaf.select_next_some().await; } } => unreachable!(),
    };
    assert_eq!(sent * FRAME_BYTES_MAX, QUEUED_BYTES_MAX);
    let other = start().await;
    other.connect(&end.addresses()[0]).await.unwrap();
    tokio::select! {
        reply = other.request(end.local_peer(), vec![1; FRAME_BYTES_MAX]) => {
            assert_eq!(reply.unwrap().len(), FRAME_BYTES_MAX);
        }
        () = echo(&end) => {}
        _ = async { loop { deaf.select_next_some().await; } } => unreachable!(),
    }
}

#[tokio::test]
async fn row_38_topics_of_one_peer_are_bounded() {
    let end = start().await;
    let mut stranger = stranger(gossipsub::Config::default());
    stranger.dial(end.addresses()[0].clone()).unwrap();
    while !matches!(
        stranger.select_next_some().await,
        SwarmEvent::ConnectionEstablished { .. }
    ) {}
    let names: Vec<String> = (0..=TOPICS_MAX).map(|n| format!("{n:02x}")).collect();
    let too_long = "ab".repeat(TOPIC_BYTES_MAX + 1);
    for name in [&too_long].into_iter().chain(&names) {
        let gossip = &mut stranger.behaviour_mut().gossip;
        gossip.subscribe(&IdentTopic::new(name)).unwrap();
    }
    let publishing = async {
        loop {
            // The last that there is room for, and the one after it.
            for topic in [TOPICS_MAX as u8 - 1, TOPICS_MAX as u8] {
                end.publish(&[topic], b"news".to_vec()).await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let hearing = async {
        let mut heard = Vec::new();
        while heard.len() < 20 {
            if let SwarmEvent::Behaviour(PartsEvent::Gossip(gossipsub::Event::Message {
                message,
                ..
            })) = stranger.select_next_some().await
            {
                heard.push(message.topic.into_string());
            }
        }
        heard
    };
    let heard = tokio::select! {
        heard = hearing => heard,
        () = publishing => unreachable!(),
    };
    assert_eq!(heard, vec![names[TOPICS_MAX - 1].clone(); 20]);
}

#[tokio::test]
async fn row_38_connections_of_one_peer_and_in_all_are_bounded() {
    let identity = IdentityKey::generate(&mut system_rng());
    let limits = Limits {
        connections: 2,
        connections_of_peer: 1,
        ..Limits::default()
    };
    let builder = Libp2p::builder(&identity).limits(limits);
    let builder = builder.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap());
    let end = builder.start().await.unwrap();
    let peer = libp2p::PeerId::from_bytes(&end.local_peer().to_bytes()).unwrap();
    let mut twice = stranger(gossipsub::Config::default());
    for _ in 0..2 {
        let dial = DialOpts::peer_id(peer).condition(PeerCondition::Always);
        let dial = dial.addresses(vec![end.addresses()[0].clone()]);
        twice.dial(dial.build()).unwrap();
    }
    // One of the two is refused, when it is made or right after.
    loop {
        match twice.select_next_some().await {
            SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. } => {
                break;
            }
            _ => {}
        }
    }
    assert_eq!(end.counters().connections, 1);
    let others = [start().await, start().await];
    let mut refused = 0;
    for other in &others {
        let connected = other.connect(&end.addresses()[0]).await;
        let asked = async { other.request(end.local_peer(), vec![1]).await };
        let reply = tokio::select! {
            reply = asked => reply,
            () = echo(&end) => unreachable!(),
            _ = async { loop { twice.select_next_some().await; } } => unreachable!(),
        };
        refused += usize::from(connected.is_err() || reply.is_err());
    }
    assert_eq!((refused, end.counters().connections), (1, 2));
}
