//! News by gossip, over libp2p: from peer to peer through one that has no part in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Memory;
use threads_core::module::CollectionSpec;
use threads_core::transport::Transport;
use threads_core::{
    IdentityKey, ReadKey, ReplicaKey, ThreadId, Timer, Variant, async_trait, system_rng,
};
use threads_db::sync::Service;
use threads_db::{Db, Node, ThreadKeys};
use threads_net_libp2p::Libp2p;

use crate::common::serving::until;

#[derive(Debug)]
struct Tokio(Instant);

#[async_trait]
impl Timer for Tokio {
    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }

    async fn sleep_until(&self, at_ms: u64) {
        let at = self.0 + Duration::from_millis(at_ms);
        tokio::time::sleep_until(at.into()).await;
    }
}

/// A node that serves on loopback.
async fn serve() -> (Node, Arc<Libp2p>) {
    let node = Node::builder(Memory::new()).codec(JsonPatch::new());
    let node = node.open().unwrap();
    let transport = Libp2p::builder(node.identity()).mdns(false);
    let transport = transport.listen("/ip4/127.0.0.1/tcp/0".parse().unwrap());
    let transport = Arc::new(transport.start().await.unwrap());
    #[expect(clippy::disallowed_methods, reason = "a real network takes real time")]
    let timer = Arc::new(Tokio(Instant::now()));
    let service = Service::new(&node, Arc::clone(&transport) as _, timer).unwrap();
    tokio::spawn(service.run());
    (node, transport)
}

fn keys(replica: ReplicaKey) -> ThreadKeys {
    let rng = &mut system_rng();
    ThreadKeys::new(
        ThreadId::generate(Variant::Raw, rng),
        replica,
        ReadKey::generate(rng),
    )
}

/// A key whose thread has the same topic.
fn beside(replica: &ReplicaKey) -> ReplicaKey {
    let keys = std::iter::repeat_with(|| ReplicaKey::generate(&mut system_rng()));
    let mut same = keys.filter(|key| key.topic() == replica.topic());
    same.next().unwrap()
}

fn write(db: &Db, id: &str) {
    db.collection("c")
        .unwrap()
        .save(&json!({"_id": id}))
        .unwrap();
}

#[test]
fn news_comes_through_a_peer_that_has_no_part_in_the_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let [(ann, at_ann), (eve, at_eve), (bob, at_bob)] =
        runtime.block_on(async { [serve().await, serve().await, serve().await] });
    let replica = ReplicaKey::generate(&mut system_rng());
    let other = keys(beside(&replica));
    let shared = keys(replica);
    let theirs = ann.add_thread("t", &shared).unwrap();
    let spec = CollectionSpec::new("c".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    theirs.define(&spec).unwrap();
    let ours = bob.add_thread("t", &shared).unwrap();
    theirs.share_with(&bob.peer_id()).unwrap();
    ours.share_with(&ann.peer_id()).unwrap();
    // Between them somebody who shares something else with somebody else.
    let hers = eve.add_thread("other", &other).unwrap();
    let nobody = IdentityKey::generate(&mut system_rng()).peer_id();
    hers.share_with(&nobody).unwrap();
    runtime.block_on(async {
        for end in [&at_ann, &at_bob] {
            end.connect(&at_eve.addresses()[0]).await.unwrap();
        }
    });

    // Again, should one of them not have told her in time what it reads.
    let (mut changes, mut written) = (ours.sync_changes(), 0);
    until("bob hears that there is news", || {
        written += 1;
        write(&theirs, &format!("x{written}"));
        let now = changes.next_timeout(Duration::from_secs(2)).unwrap();
        now.is_some_and(|status| status.peers[0].announced.is_some())
    });
    assert!(
        ours.sync_status().unwrap().logs.is_empty(),
        "and no more than that"
    );
    bob.add_address(&at_ann.addresses()[0]).unwrap();
    until("he asks ann for it", || {
        let [here, there] = [&ours, &theirs].map(|db| db.sync_status().unwrap());
        here.peers[0].announced.is_none() && here.is_in_sync() && there.is_in_sync()
    });
    let have = |db: &Db| db.sync_status().unwrap().logs[0].have;
    assert_eq!(have(&ours), have(&theirs));
    assert!(hers.sync_status().unwrap().logs.is_empty());
}
