//! Commits that wait until replicas have signed for them, with services over a transport.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::sim::store::Disk;
use threads_core::books::HeadBook;
use threads_core::datastore::{Datastore, Durability, Memory};
use threads_core::module::CollectionSpec;
use threads_core::transport::{Transport, memory::Hub};
use threads_core::{Cid, ErrorKind, Result, Timer, async_trait};
use threads_db::sync::Service;
use threads_db::{Commit, Db, Node};

/// Long enough that only a failure waits for it.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Long enough that what is to come has come on any machine, and short enough to wait for it.
const SHORT: Duration = Duration::from_millis(1_500);

#[derive(Debug)]
struct Tokio(tokio::time::Instant);

#[async_trait]
impl Timer for Tokio {
    fn elapsed_ms(&self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    async fn sleep_until(&self, at_ms: u64) {
        tokio::time::sleep_until(self.0 + Duration::from_millis(at_ms)).await;
    }
}

/// Runs a node's service until the process ends.
pub(crate) fn serve(node: &Node, hub: &Hub) {
    let (node, hub) = (node.clone(), hub.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let transport = Arc::new(hub.join(node.peer_id()).unwrap());
            let timer = Arc::new(Tokio(tokio::time::Instant::now()));
            Service::new(&node, transport, timer).unwrap().run().await
        })
    });
}

fn commit(db: &Db, id: &str, replicas: usize, wait: Duration) -> Result<Commit> {
    let things = db.collection("Thing").unwrap();
    let mut txn = db.begin().unwrap();
    txn.create(&things, &json!({"_id": id})).unwrap();
    txn.commit_replicated(replicas, wait)
        .map(|commit| commit.unwrap())
}

/// A writer, and two replicas that cannot read, each shared with the writer alone.
pub(crate) fn nodes(hub: &Hub) -> (Db, [Db; 2]) {
    let node = || {
        let builder = Node::builder(Memory::new());
        builder.codec(JsonPatch::new()).open().unwrap()
    };
    let ann = node();
    let db = ann.create("shared").unwrap();
    let spec = CollectionSpec::new("Thing".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    db.define(&spec).unwrap();
    let replicas = [node(), node()].map(|replica| {
        let kept = replica.add_thread("kept", &db.keys().without_read());
        let kept = kept.unwrap();
        kept.share_with(&ann.peer_id()).unwrap();
        db.share_with(&replica.peer_id()).unwrap();
        kept
    });
    serve(&ann, hub);
    (db, replicas)
}

#[test]
fn a_commit_waits_until_replicas_have_signed_for_it() {
    let hub = Hub::new();
    let (db, replicas) = nodes(&hub);
    for replica in &replicas {
        serve(&replica.node(), &hub);
    }
    let commit = commit(&db, "a", 2, LONG).unwrap();
    for replica in &replicas {
        let logs = replica.sync_status().unwrap().logs;
        let log = logs.iter().find(|log| log.log == commit.log).unwrap();
        assert!(log.have >= commit.seq, "it signed for {log:?}");
    }
    let mut both = replicas.map(|replica| replica.node().peer_id());
    both.sort();
    assert_eq!(db.replicas_of(&commit.record).unwrap(), both);
}

#[test]
fn too_few_replicas_are_an_error_that_says_what_stands() {
    let hub = Hub::new();
    let (db, [near, far]) = nodes(&hub);
    serve(&near.node(), &hub);
    let late = commit(&db, "a", 2, SHORT).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Unavailable, "{late}");
    let said = late.to_string();
    assert!(
        said.contains("on disk here") && said.contains("signed: 1, wanted: 2"),
        "{said}"
    );
    let things = db.collection("Thing").unwrap();
    assert!(things.get("a").unwrap().is_some(), "it was committed");

    // Once the other one comes, waiting again is all there is to do.
    serve(&far.node(), &hub);
    let record = late
        .context()
        .find(|(name, _)| *name == "record")
        .unwrap()
        .1;
    let record: Cid = record.parse().unwrap();
    assert_eq!(db.await_replicas(&record, 2, LONG).unwrap().len(), 2);
}

#[test]
fn what_was_noted_is_on_disk_when_a_service_has_ended() {
    let disk = Arc::new(Disk::new());
    let builder = Node::builder(Arc::clone(&disk)).codec(JsonPatch::new());
    let node = builder.open().unwrap();
    let db = node.create("alone").unwrap();
    let transport = Arc::new(Hub::new().join(node.peer_id()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    let heads = |store: &Memory| {
        let heads = HeadBook::new(&*store.read().unwrap()).all(db.id()).unwrap();
        heads.len()
    };
    runtime.block_on(async {
        let timer = Arc::new(Tokio(tokio::time::Instant::now()));
        let service = Service::new(&node, Arc::clone(&transport) as _, timer).unwrap();
        // It has begun when this is polled.
        let ends = async {
            let spec = CollectionSpec::new("C".parse().unwrap(), "jsonpatch/1".parse().unwrap());
            let mut txn = db.begin().unwrap();
            txn.define(&spec).unwrap();
            txn.commit_with(Durability::Relaxed).unwrap();
            assert_eq!(heads(&disk.synced()), 0, "nothing waited for the disk");
            transport.close();
        };
        let (ended, ()) = futures_util::future::join(service.run(), ends).await;
        assert!(ended.is_err());
    });
    assert_eq!(heads(&disk.synced()), 1);
}
