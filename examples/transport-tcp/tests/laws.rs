//! The transport keeps every law that is not about finding peers, and strangers get nowhere.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use example_transport_tcp::Tcp;
use threads_conformance::transport::{LAWS, Subject};
use threads_core::ErrorKind::Invalid;
use threads_core::multiaddr::Protocol;
use threads_core::transport::{Transport, TransportEvent};
use threads_core::{IdentityKey, Multiaddr, system_rng};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap()
}

fn end() -> threads_core::Result<Tcp> {
    let identity = IdentityKey::generate(&mut system_rng());
    Tcp::listen(identity, "127.0.0.1:0".parse().unwrap())
}

fn subject() -> Subject {
    let runtime = Arc::new(runtime());
    let polls = Arc::clone(&runtime);
    let join = move || {
        let _within = runtime.enter();
        end()
    };
    Subject::new(join).with_block_on(move |task| polls.block_on(task))
}

threads_conformance::transport_laws!(subject());

#[test]
fn only_the_law_of_finding_is_skipped() {
    let line = threads_conformance::summary(LAWS, subject);
    let count = LAWS.len();
    let wanted = format!(
        "checked {} of {count} laws, skipped 1: TR-29 (discovery = none)",
        count - 1
    );
    assert_eq!(line, wanted);
}

fn socket(end: &Tcp) -> SocketAddr {
    let address = end.addresses().remove(0);
    match (address.iter().next(), address.iter().nth(1)) {
        (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) => (ip, port).into(),
        other => panic!("{other:?}"),
    }
}

/// A stranger that stands between two peers and repeats what they say cannot be either of them
/// later: the numbers are other ones each time.
#[test]
fn a_proof_is_good_for_one_connection() {
    let runtime = runtime();
    let (ann, bob) = runtime.block_on(async { (end().unwrap(), end().unwrap()) });
    let at = socket(&ann);
    // Bob calls Ann through the stranger, who writes down what he says.
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let stranger: Multiaddr = format!(
        "/ip4/127.0.0.1/tcp/{}",
        between.local_addr().unwrap().port()
    )
    .parse()
    .unwrap();
    let recorded = std::thread::spawn(move || {
        let (mut bob, _) = between.accept().unwrap();
        let mut ann = TcpStream::connect(at).unwrap();
        let (mut hello, mut answer, mut proof) = ([0; 64], [0; 128], [0; 64]);
        bob.read_exact(&mut hello).unwrap();
        ann.write_all(&hello).unwrap();
        ann.read_exact(&mut answer).unwrap();
        bob.write_all(&answer).unwrap();
        bob.read_exact(&mut proof).unwrap();
        (hello, proof)
    });
    runtime.block_on(bob.connect(&stranger)).unwrap();
    let (hello, proof) = recorded.join().unwrap();

    let mut replay = TcpStream::connect(at).unwrap();
    replay.write_all(&hello).unwrap();
    replay.read_exact(&mut [0; 128]).unwrap();
    replay.write_all(&proof).unwrap();
    // A minute is longer than Ann waits for anything.
    replay
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let hung_up = match replay.read(&mut [0; 1]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    assert!(hung_up, "Ann takes the stranger for Bob");

    // What Ann hears of first is somebody else.
    let carl = runtime.block_on(async { end().unwrap() });
    runtime.block_on(carl.connect(&ann.addresses()[0])).unwrap();
    let first = runtime.block_on(ann.next_event()).unwrap();
    assert!(matches!(first, TransportEvent::Connected(peer) if peer == carl.local_peer()));
}

#[test]
fn addresses_of_other_kinds_are_invalid() {
    let runtime = runtime();
    let end = runtime.block_on(async { end().unwrap() });
    for addr in [
        "/memory/1",
        "/ip4/127.0.0.1/udp/1",
        "/ip4/127.0.0.1/tcp/1/ws",
    ] {
        let connected = runtime.block_on(end.connect(&addr.parse().unwrap()));
        assert_eq!(connected.unwrap_err().kind(), Invalid, "{addr}");
    }
}
