//! Peers who cannot be called, or do not know whether they can.

use super::*;
use threads_core::transport::named_peer;

/// A relay, and where others listen at it.
async fn relay() -> (Libp2p, Multiaddr) {
    let relay = builder().relay(true).start().await.unwrap();
    // On loopback nobody can tell it its public address.
    let mut at = relay.addresses().remove(0);
    relay.announce(at.clone()).await.unwrap();
    at.push(Protocol::P2pCircuit);
    (relay, at)
}

/// Lets others run until it is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn two_behind_a_relay_replace_it_by_a_direct_connection() {
    let (relay, at) = relay().await;
    // Each has an address of its own, which the other is not told.
    let (hidden, caller) = (start().await, start().await);
    let circuit = hidden.listen(at).await.unwrap();
    assert_eq!(named_peer(&circuit), Some(hidden.local_peer()));
    assert_eq!(caller.connect(&circuit).await.unwrap(), hidden.local_peer());
    asks(&caller, &hidden).await;
    asks(&hidden, &caller).await;
    // Each is connected to the relay, and to the other twice until nothing goes through the relay.
    until(|| {
        let left = [&hidden, &caller].map(|end| end.counters());
        left.iter().any(|end| end.relays_left > 0) && left.iter().all(|end| end.connections == 2)
    })
    .await;
    relay.close();
    until(|| caller.counters().connections == 1 && hidden.counters().connections == 1).await;
    asks(&caller, &hidden).await;
    asks(&hidden, &caller).await;
}

#[tokio::test]
async fn an_address_that_works_is_confirmed_and_no_other() {
    let server = builder().relay(true).start().await.unwrap();
    let elsewhere = "/ip4/127.0.0.2/tcp/0".parse().unwrap();
    let asking = builder()
        .listen(elsewhere)
        .autonat(true)
        .start()
        .await
        .unwrap();
    assert_eq!(asking.external_addresses(), []);
    connect(&asking, &server).await;
    until(|| !asking.external_addresses().is_empty()).await;
    // Only where it was seen: its other port is none of that address, and nobody answered there.
    let confirmed = asking.external_addresses();
    let seen = |addr: &&Multiaddr| addr.to_string().starts_with("/ip4/127.0.0.1/");
    let listens = asking.addresses();
    let listens: Vec<_> = listens.iter().filter(seen).cloned().collect();
    assert_eq!(confirmed, listens);
    assert_eq!(asking.addresses().len(), 2);
}
