//! Two applications that know only the module share data: this one and `example-address-book`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use example_address_book::AddressBook;
use example_birthday_list::{celebrate, news, people};
use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Memory;
use threads_db::{ExportOptions, Node, RestoreOptions};

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
