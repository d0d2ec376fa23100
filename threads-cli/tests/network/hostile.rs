//! Peers that send whatever comes to their mind, with the keys of the thread and without, while two
//! honest ones go on.
//!
//! `THREADS_HOSTILE_SECONDS` says for how long; 60 is what the documents speak of.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde_bytes::ByteArray;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::block::{BLOCK_BYTES_MAX, encode};
use threads_core::module::CollectionSpec;
use threads_core::multiaddr::Protocol;
use threads_core::rand_core::Rng;
use threads_core::transport::{FRAME_BYTES_MAX, Transport, TransportEvent};
use threads_core::{
    IdentityKey, LogId, Multiaddr, PeerId, ReadKey, ReplicaKey, ThreadId, Variant, system_rng,
};
use threads_db::{Node, ThreadKeys};
use threads_net_libp2p::{HashTable, Libp2p};
use threads_store_lmdb::Lmdb;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::common::Place;
use crate::common::serving::{Serving, TCP, card, until};
use crate::frames::{Answer, Ask, Head, Parcel, Places, Range, Verdict, claim, head, joint};

const SECONDS: u64 = 3;
/// By how much the memory of who is attacked may grow at its highest.
const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How many hostile peers there are at a time, with the key and without.
const INSIDERS: usize = 3;
const OUTSIDERS: usize = 3;
/// Requests that one of them makes at a time.
const REQUESTS: usize = 8;
/// Connections that are begun and left so.
const HALF_OPEN: u16 = 64;
/// How long a hostile peer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a hostile peer knows.
struct Known {
    replica: ReplicaKey,
    victim: Multiaddr,
    peer: PeerId,
    /// Logs that are there.
    logs: Vec<LogId>,
    /// Frames that were sound once, to be sent again.
    seen: Mutex<Vec<Vec<u8>>>,
    sent: AtomicU64,
}

/// A thread `t` with a collection `c` at a place, and its keys.
fn make_thread(place: &Place) -> (ThreadKeys, ReplicaKey) {
    let rng = &mut system_rng();
    let replica = ReplicaKey::generate(rng);
    let id = ThreadId::generate(Variant::Raw, rng);
    let keys = ThreadKeys::new(id, replica.clone(), ReadKey::generate(rng));
    let store = Lmdb::open(place.repo().join("store")).unwrap();
    let builder = Node::builder(store).codec(JsonPatch::new());
    let node = builder.keystore(&place.keystore()).open().unwrap();
    let db = node.add_thread("t", &keys).unwrap();
    let spec = CollectionSpec::new("c".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    db.define(&spec).unwrap();
    (keys, replica)
}

fn below(most: u64) -> u64 {
    system_rng().next_u64() % most
}

fn bytes(most: u64) -> Vec<u8> {
    let mut bytes = vec![0; below(most + 1) as usize];
    system_rng().fill_bytes(&mut bytes);
    bytes
}

fn array<const N: usize>() -> [u8; N] {
    let mut array = [0; N];
    system_rng().fill_bytes(&mut array);
    array
}

impl Known {
    fn log(&self) -> LogId {
        match below(2) {
            0 => LogId::from_key_bytes(array()),
            _ => self.logs[below(self.logs.len() as u64) as usize],
        }
    }

    fn seq() -> u64 {
        [1, 2, 1_000, u64::MAX][below(4) as usize]
    }

    fn places(&self) -> Places {
        let places = (0..below(4)).map(|_| (self.log(), Self::seq()));
        let places: std::collections::BTreeMap<_, _> = places.collect();
        places.into_iter().collect()
    }

    fn heads(&self) -> Vec<Head> {
        let places = self.places().into_iter();
        places.map(|(log, seq)| head(log, seq)).collect()
    }

    fn parcels() -> Vec<Parcel> {
        let parcel = |_| (bytes(64).into(), bytes(64).into(), bytes(64).into());
        (0..below(8)).map(parcel).collect()
    }

    /// A claim of who says it: one that is right, or any.
    fn claim(&self, me: PeerId, right: bool) -> ByteArray<32> {
        match right {
            true => claim(&self.replica, me, self.peer),
            false => ByteArray::new(array()),
        }
    }

    fn request(&self, me: PeerId, right: bool) -> Vec<u8> {
        let claim = || self.claim(me, right);
        let ask = match below(64) {
            0 => return bytes(FRAME_BYTES_MAX as u64),
            // As many of the smallest as fit.
            1 => Ask::Push(claim(), vec![Parcel::default(); BLOCK_BYTES_MAX / 4 - 64]),
            2 => {
                let claims = (0..below(2_000)).map(|_| (claim(), ByteArray::new(array())));
                Ask::Heads(claims.collect())
            }
            3 | 4 => return bytes(64),
            5..12 => return self.replayed(),
            12..20 => Ask::Push(claim(), Self::parcels()),
            20..26 => Ask::Have(claim(), self.heads()),
            26 | 27 => Ask::Sign(claim(), self.places()),
            28..32 => {
                let id = "x".repeat(below(65) as usize);
                Ask::Join(id, ByteArray::new(array()), bytes(200).into())
            }
            // Without an end.
            _ => {
                let range = |log| Range {
                    log,
                    from: 1,
                    to: u64::MAX,
                };
                let logs = (0..1 + below(64)).map(|_| self.log());
                Ask::Pull(claim(), logs.map(range).collect())
            }
        };
        self.remember(&ask)
    }

    fn replayed(&self) -> Vec<u8> {
        let seen = self.seen.lock().unwrap();
        match seen.len() as u64 {
            0 => Vec::new(),
            len => seen[below(len) as usize].clone(),
        }
    }

    /// What it says when it is asked; nothing when it lets others wait.
    fn reply(&self, me: PeerId, right: bool) -> Option<Vec<u8>> {
        let answer = match below(16) {
            0 => return None,
            1 => return Some(bytes(FRAME_BYTES_MAX as u64)),
            2 => Answer::Page(Self::parcels(), self.places(), true),
            3 => Answer::Have(self.heads()),
            4 => Answer::Busy(below(1_000)),
            5 => Answer::Admitted(bytes(100).into(), bytes(100).into()),
            6 => Answer::Signed(vec![]),
            _ => {
                let joint = match right {
                    true => joint(&self.replica, me, self.peer),
                    false => ByteArray::new(array()),
                };
                Answer::Heads(vec![Verdict::Differs(self.heads())], joint)
            }
        };
        Some(encode(&answer).unwrap())
    }

    fn remember(&self, ask: &impl Serialize) -> Vec<u8> {
        const SEEN_MAX: usize = 64;
        let frame = encode(ask).unwrap();
        let mut seen = self.seen.lock().unwrap();
        if seen.len() == SEEN_MAX {
            seen.remove(below(SEEN_MAX as u64) as usize);
        }
        seen.push(frame.clone());
        frame
    }

    /// One identity after another: each goes on until it is cut off.
    async fn attack(&self, right: bool) {
        loop {
            // Whoever stops this stops it here.
            tokio::task::yield_now().await;
            let me = IdentityKey::generate(&mut system_rng());
            let builder = Libp2p::builder(&me).hash_table(HashTable::Off).mdns(false);
            let Ok(end) = builder.start().await else {
                continue;
            };
            if end.connect(&self.victim).await.is_ok() {
                tokio::select! {
                    () = self.ask_on(&end, right) => {}
                    () = self.answer_on(&end, right) => {}
                }
            }
            end.close();
        }
    }

    /// Until a request cannot even be sent.
    async fn ask_on(&self, end: &Libp2p, right: bool) {
        let ask = async || {
            loop {
                let frame = self.request(end.local_peer(), right);
                self.sent.fetch_add(1, Ordering::Relaxed);
                // A refusal is an answer too.
                _ = tokio::time::timeout(PATIENCE, end.request(self.peer, frame)).await;
                tokio::task::yield_now().await;
            }
        };
        let mut asking: Vec<_> = (0..REQUESTS).map(|_| Box::pin(ask())).collect();
        std::future::poll_fn(|cx| {
            for one in &mut asking {
                _ = one.as_mut().poll(cx);
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Until it is cut off.
    async fn answer_on(&self, end: &Libp2p, right: bool) {
        let mut kept = Vec::new();
        loop {
            match end.next_event().await {
                Ok(TransportEvent::Request { token, .. }) => {
                    match self.reply(end.local_peer(), right) {
                        Some(frame) => _ = end.reply(token, frame).await,
                        None => kept.push(token),
                    }
                }
                Ok(TransportEvent::Disconnected(_)) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Connections that are begun, with a few bytes or none, and begun again when they are cut.
    async fn half_open(&self, number: u16) {
        let mut parts = self.victim.iter();
        let (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) = (parts.next(), parts.next())
        else {
            panic!("not loopback");
        };
        // From another address than honest peers: each has its own bound.
        let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0);
        loop {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(from).unwrap();
            let Ok(mut stream) = socket.connect((ip, port).into()).await else {
                tokio::task::yield_now().await;
                continue;
            };
            let some = &b"\x13/multistream/1.0.0\n"[..usize::from(number % 20)];
            if stream.write_all(some).await.is_ok() {
                closed(&stream).await;
            }
        }
    }
}

/// Until the other end closes it.
async fn closed(stream: &TcpStream) {
    let mut some = [0; 64];
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut some) {
            Ok(0) => return,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

async fn attack_from_all_sides(known: Arc<Known>) {
    let mut attackers = tokio::task::JoinSet::new();
    for number in 0..INSIDERS + OUTSIDERS {
        let known = Arc::clone(&known);
        attackers.spawn(async move { known.attack(number < INSIDERS).await });
    }
    for number in 0..HALF_OPEN {
        let known = Arc::clone(&known);
        attackers.spawn(async move { known.half_open(number).await });
    }
    while attackers.join_next().await.is_some() {}
}

#[test]
fn row_38_hostile_peers_take_bounded_memory_and_honest_ones_stay_in_sync() {
    let seconds = std::env::var("THREADS_HOSTILE_SECONDS").map(|said| said.parse().unwrap());
    let seconds = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let (ann, bob) = (Place::new(), Place::new());
    let (_, replica) = make_thread(&ann);
    let (serving, theirs) = (Serving::start(&ann, TCP), Serving::start(&bob, TCP));
    let invite = ann.ok(["invite", "t", "--role", "write", "--to", &card(&bob)]);
    bob.ok(["join", invite.out.trim(), "--name", "t"]);
    bob.ok(["connect", &serving.addresses[0]]);
    let rows = |place: &Place| place.run(["find", "t", "c", "--sort", "_id"]).out;
    let agree = |count: usize| {
        let seen = rows(&ann);
        seen.lines().count() == count && seen == rows(&bob)
    };
    ann.ok(["put", "t", "c", r#"{"_id": "first"}"#]);
    until("the first entity", || agree(1));

    let status = ann.ok(["--json", "status", "t"]).json();
    let logs = status["logs"].as_array().unwrap().iter();
    let victim: Multiaddr = serving.addresses[0].parse().unwrap();
    let known = Arc::new(Known {
        replica,
        peer: threads_core::transport::named_peer(&victim).unwrap(),
        victim,
        logs: logs
            .map(|log| log["log"].as_str().unwrap().parse().unwrap())
            .collect(),
        seen: Mutex::default(),
        sent: AtomicU64::new(0),
    });
    let before = serving.memory("VmRSS");
    let attack = {
        let known = Arc::clone(&known);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let attack =
                async { tokio::time::timeout(seconds, attack_from_all_sides(known)).await };
            assert!(runtime.block_on(attack).is_err(), "it goes on to the end");
        })
    };
    let mut written = 1;
    while !attack.is_finished() {
        for place in [&ann, &bob] {
            written += 1;
            let text = format!(r#"{{"_id": "x{written}"}}"#);
            place.ok(["put", "t", "c", &text]);
        }
        until("agreement under attack", || agree(written));
    }
    attack.join().unwrap();
    let (most, sent) = (serving.memory("VmHWM"), known.sent.load(Ordering::Relaxed));
    let mib = |bytes: u64| bytes / (1024 * 1024);
    println!(
        "{sent} hostile requests in {seconds:?}; memory: {} MiB before, {} MiB at most; {written} entities",
        mib(before),
        mib(most)
    );
    assert!(sent > 20, "only {sent} requests: no attack");
    assert!(most <= before + MEMORY_BYTES_MAX, "{} MiB", mib(most));
    until("agreement in the end", || agree(written));
    for place in [&ann, &bob] {
        place.ok(["verify", "t"]);
    }
    drop((serving, theirs));
}
