//! Two applications that know only the module share data: this one and `example-address-book`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::sync::{Arc, mpsc};
use std::time::Duration;

use example_address_book::AddressBook;
use example_birthday_list::{celebrate, news, people};
use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Memory;
use threads_core::transport::Transport;
use threads_core::{IdentityKey, Multiaddr, Timer, async_trait, system_rng};
use threads_db::sync::Service;
use threads_db::{ChangeFilter, Db, ExportOptions, Node, RestoreOptions};
use threads_net_libp2p::Libp2p;

/// Long enough that only a failure waits for it.
const LONG: Duration = Duration::from_secs(60);

fn node() -> Node {
    let builder = Node::builder(Memory::new()).codec(JsonPatch::new());
    builder.open().unwrap()
}

#[test]
fn two_applications_share_people_on_one_thread() {
    let db = node().create("friends").unwrap();
    let book = AddressBook::open(&db).unwrap();
    let list = people(&db).unwrap();
    let mut news = news(&list).unwrap();

    let ann = book.add("Ann", "Lee", &["ann@example.org"]).unwrap();
    let bob = json!({"firstName": "Bob", "lastName": "Lee", "age": 41, "email": "bob@example.org"});
    let bob = list.create(&bob).unwrap();
    celebrate(&list, bob.as_str()).unwrap();
    book.reach(bob.as_str(), "lee@example.org").unwrap();
    celebrate(&list, &ann).unwrap();
    list.patch(&ann, &json!({"email": "new@example.org"}))
        .unwrap();

    assert_eq!(
        book.lines().unwrap(),
        [
            "Lee, Ann: new@example.org",
            "Lee, Bob: bob@example.org, lee@example.org"
        ]
    );
    assert_eq!(book.family("Lee").unwrap().len(), 2);
    assert_eq!(
        news().unwrap(),
        [
            "Ann Lee does not tell",
            "Bob Lee is 41",
            "Bob Lee is 42",
            "Ann Lee is 1",
            "Ann Lee is 1"
        ]
    );
    // What one of them knows alone is kept by the other.
    assert_eq!(list.get(bob.as_str()).unwrap().unwrap()["age"], 42);
    assert_eq!(db.modules().unwrap()[0].versions, [1, 2]);
}

#[test]
fn on_two_nodes_that_meet_later_they_share_too() {
    let (hers, his) = (node(), node());
    let here = hers.create("friends").unwrap();
    let book = AddressBook::open(&here).unwrap();
    let ann = book.add("Ann", "Lee", &["ann@example.org"]).unwrap();
    let there = his.add_thread("friends", &here.keys()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let meet = || {
        for (from, to, name) in [(&here, &his, "a"), (&there, &hers, "b")] {
            let path = dir.path().join(name);
            let file = std::fs::File::create(&path).unwrap();
            from.export(file, &ExportOptions::default(), &mut |_| ())
                .unwrap();
            to.restore(&path, &RestoreOptions::default(), &mut |_| ())
                .unwrap();
        }
    };
    meet();
    let list = people(&there).unwrap();
    celebrate(&list, &ann).unwrap();
    book.reach(&ann, "lee@example.org").unwrap();
    meet();
    assert_eq!(
        book.lines().unwrap(),
        ["Lee, Ann: ann@example.org, lee@example.org"]
    );
    assert_eq!(
        list.get(&ann).unwrap().unwrap(),
        json!({"_id": ann, "firstName": "Ann", "lastName": "Lee", "age": 1, "email": "ann@example.org"})
    );
    assert!(book.lines().unwrap() == AddressBook::open(&there).unwrap().lines().unwrap());
}

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

/// Keeps a node in sync over TCP until the process ends, with whoever is at an address. Gives its own.
fn serve(node: &Node, identity: IdentityKey, with: Option<Multiaddr>) -> Multiaddr {
    let (node, (tell, told)) = (node.clone(), mpsc::sync_channel(1));
    std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let builder =
                Libp2p::builder(&identity).listen("/ip4/127.0.0.1/tcp/0".parse().unwrap());
            let net = builder.start().await.unwrap();
            tell.send(net.addresses().remove(0)).unwrap();
            if let Some(with) = with {
                net.connect(&with).await.unwrap();
            }
            let timer = Arc::new(Tokio(tokio::time::Instant::now()));
            let service = Service::new(&node, Arc::new(net), timer).unwrap();
            service.run().await
        })
    });
    told.recv_timeout(LONG).unwrap()
}

/// Waits for changes until it is so.
fn until(db: &Db, mut is_so: impl FnMut() -> bool) {
    let mut listener = db.listen(ChangeFilter::all()).unwrap();
    while !is_so() {
        assert!(
            listener.next_timeout(LONG).unwrap().is_some(),
            "nothing came"
        );
    }
}

#[test]
fn over_a_real_connection_they_share_too() {
    let identities = [(); 2].map(|()| IdentityKey::generate(&mut system_rng()));
    let [hers, his] = identities.clone().map(|identity| {
        let builder = Node::builder(Memory::new()).codec(JsonPatch::new());
        builder.identity(identity).open().unwrap()
    });
    let here = hers.create("friends").unwrap();
    here.share_with(&his.peer_id()).unwrap();
    let there = his.add_thread("friends", &here.keys()).unwrap();
    there.share_with(&hers.peer_id()).unwrap();
    // Each installs the version that it knows, and begins, before they ever meet.
    let book = AddressBook::open(&here).unwrap();
    let ann = book.add("Ann", "Lee", &["ann@example.org"]).unwrap();
    let list = people(&there).unwrap();
    let mut news = news(&list).unwrap();
    let bob = json!({"_id": "bob", "firstName": "Bob", "lastName": "Lee", "age": 41});
    list.create(&bob).unwrap();

    let [her_key, his_key] = identities;
    let at = serve(&hers, her_key, None);
    serve(&his, his_key, Some(at));
    until(&here, || book.family("Lee").unwrap().len() == 2);
    until(&there, || list.has(&ann).unwrap());
    book.reach("bob", "bob@example.org").unwrap();
    celebrate(&list, &ann).unwrap();
    let bob = json!({"_id": "bob", "firstName": "Bob", "lastName": "Lee", "age": 41, "email": "bob@example.org"});
    until(&there, || list.get("bob").unwrap().unwrap() == bob);
    let plain = here.collection("Person").unwrap();
    until(&here, || plain.get(&ann).unwrap().unwrap()["age"] == 1);
    assert_eq!(
        book.lines().unwrap(),
        ["Lee, Ann: ann@example.org", "Lee, Bob: bob@example.org"]
    );
    // Which of the last two came first is up to the network.
    let mut news = news().unwrap();
    news.sort();
    assert_eq!(
        news,
        [
            "Ann Lee does not tell",
            "Ann Lee is 1",
            "Bob Lee is 41",
            "Bob Lee is 41"
        ]
    );
    assert_eq!(here.modules().unwrap(), there.modules().unwrap());
}
