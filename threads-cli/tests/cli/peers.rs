//! Several repositories, each its own processes, over loopback.

use serde_json::{Value, json};

use crate::common::Place;
use crate::common::serving::{Following, Serving, TCP, card, until};

fn invite(place: &Place, more: &[&str]) -> String {
    let words = ["invite", "t", "--role", "write"];
    let said = place.ok(words.iter().chain(more));
    said.out.trim().to_owned()
}

#[test]
fn two_share_a_thread_and_agree_after_both_wrote_alone() {
    let (ann, bob) = (Place::with_collection(), Place::new());
    ann.ok(["put", "t", "c", r#"{"_id": "a", "n": 1}"#]);
    let serving = Serving::start(&ann, TCP);
    let invite = invite(&ann, &["--to", &card(&bob)]);
    bob.ok(["join", &invite, "--name", "theirs"]);
    bob.ok(["sync", "theirs", "--wait"]);
    assert_eq!(bob.ok(["get", "theirs", "c", "a"]).json()["n"], 1);

    // Each alone: bob without the network, ann through the process that serves.
    bob.ok(["patch", "theirs", "c", "a", r#"{"by": "bob"}"#]);
    ann.ok(["patch", "t", "c", "a", r#"{"n": 2}"#]);
    ann.ok(["put", "t", "c", r#"{"_id": "b"}"#]);
    bob.ok(["sync", "theirs", "--wait"]);
    let rows = |place: &Place, name: &str| place.ok(["find", name, "c"]).out;
    assert_eq!(rows(&ann, "t"), rows(&bob, "theirs"));
    assert!(rows(&ann, "t").contains("bob"));
    for (place, name) in [(&ann, "t"), (&bob, "theirs")] {
        let status = place.ok(["--json", "status", name]).json();
        assert_eq!(status["in_sync"], true, "{status}");
        place.ok(["verify", name]);
    }
    drop(serving);
    // Nobody is there: that is said, and is no success.
    let said = bob.fails(8, ["sync", "theirs", "--timeout", "1"]);
    assert!(
        said.contains("no peer that shares the thread could be reached"),
        "{said}"
    );
}

#[test]
fn status_follows_what_peers_say_and_sign() {
    let (ann, bob) = (Place::with_collection(), Place::new());
    let alone = ann.ok(["--json", "status", "t", "--follow", "--count", "1"]);
    assert_eq!(alone.json()["peers"], json!([]));
    let all = ann.ok(["--json", "status", "--follow", "--count", "1"]);
    assert_eq!(all.json(), alone.json());
    let serving = Serving::start(&ann, TCP);
    let invite = invite(&ann, &["--to", &card(&bob)]);
    bob.ok(["join", &invite]);
    let following = Following::start(&ann, ["--json", "status", "t", "--follow"]);
    let all = Following::start(&ann, ["--json", "status", "--follow"]);
    let bobs = Serving::start(&bob, TCP);
    let me = ann.ok(["--json", "id"]).json()["peer"].clone();
    let own = |status: &Value| {
        let logs = status["logs"].as_array().unwrap().iter();
        logs.clone()
            .find(|log| log["author"] == me)
            .cloned()
            .unwrap()
    };
    let records = || own(&ann.ok(["--json", "status", "t"]).json())["have"].clone();
    let signed = |status: &Value, have: &Value| {
        let signed = own(status)["signed"].clone();
        signed.as_object().unwrap().values().any(|n| n == have)
    };
    let before = records();
    following.until("bob signs for all of it", |status| signed(status, &before));
    ann.ok(["put", "t", "c", r#"{"_id": "a"}"#]);
    let after = records();
    assert_ne!(before, after);
    for following in [following, all] {
        following.until("bob signs for the new record", |status| {
            signed(status, &after)
        });
    }
    drop((serving, bobs));
    let shown = ann.ok(["status", "t"]).out;
    assert!(shown.contains("SIGNED"), "{shown}");
}

#[test]
fn a_replica_with_a_quota_takes_no_more_than_it_and_says_so() {
    let (ann, replica) = (Place::with_collection(), Place::new());
    let _ann = Serving::start(&ann, TCP);
    let words = [
        "invite",
        "t",
        "--role",
        "replicate",
        "--to",
        &card(&replica),
    ];
    let invite = ann.ok(words).out;
    replica.ok(["join", invite.trim()]);
    let mut command = Serving::command(&replica, TCP);
    command.args(["--replica-quota", "10K"]);
    let _replica = Serving::of(command);
    let peer = || ann.ok(["--json", "status", "t"]).json()["peers"][0].clone();
    until("the first sync", || peer()["lacks"] == json!(0));
    for n in 0..20 {
        let entity = json!({"_id": n.to_string(), "text": "x".repeat(2_000)});
        ann.ok(["put", "t", "c", &entity.to_string()]);
    }
    until("it says that it is full", || peer()["full"] == json!(true));
    assert!(peer()["lacks"].as_u64().unwrap() > 5, "{}", peer());
    assert!(ann.ok(["status", "t"]).out.contains(", full"));
    replica.ok(["verify", "t"]);
    replica.fails(2, ["serve", "--replica-quota", "much"]);
}

#[test]
fn a_link_asks_and_a_member_lets_in() {
    let (ann, eve) = (Place::with_collection(), Place::new());
    let _ann = Serving::start(&ann, TCP);
    let link = invite(&ann, &[]);
    let _eve = Serving::start(&eve, TCP);
    eve.ok(["join", &link, "--name", "theirs"]);
    let asking = || ann.ok(["--json", "invites", "t"]).json()["requests"].clone();
    until("a request", || {
        asking().as_array().is_some_and(|asking| asking.len() == 1)
    });
    assert!(eve.ok(["ls"]).out.is_empty(), "nobody has let her in");

    let peer = asking()[0]["peer"].as_str().unwrap().to_owned();
    ann.ok(["accept", "t", &peer]);
    until("joining", || eve.ok(["ls"]).out.contains("theirs"));
    eve.ok(["sync", "theirs", "--wait"]);
    assert!(ann.ok(["members", "t"]).out.contains(&peer));
}

#[test]
fn commands_change_a_repository_that_is_served() {
    let place = Place::with_collection();
    let _serving = Serving::start(&place, TCP);
    let rows: String = (0..2_500)
        .map(|n| format!("{{\"_id\": \"{n}\"}}\n"))
        .collect();
    let said = place.fed(["import", "t", "c", "-", "--batch", "100"], rows);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(place.ok(["find", "t", "c", "--count"]).out.trim(), "2500");
    place.ok(["rm", "t", "c", "7"]);
    place.fails(3, ["get", "t", "c", "7"]);
    place.ok(["create", "another"]);
    place.ok(["verify", "t"]);
    // It is one process still that changes it.
    place.fails(8, ["serve", "--no-mdns"]);
}

#[test]
fn only_its_owner_reaches_a_served_repository() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with_collection();
    let _serving = Serving::start(&place, TCP);
    let socket = place.repo().join("serve.sock").metadata().unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_was_acknowledged_outlives_the_process_that_served() {
    let place = Place::with_collection();
    let serving = Serving::start(&place, TCP);
    place.ok(["put", "t", "c", r#"{"_id": "a"}"#]);
    drop(serving);
    place.ok(["get", "t", "c", "a"]);
    // What it left behind is in nobody's way.
    place.ok(["put", "t", "c", r#"{"_id": "b"}"#]);
    let _again = Serving::start(&place, TCP);
    place.ok(["get", "t", "c", "b"]);
}

#[test]
fn invites_are_listed_and_revoked_and_mistakes_explained() {
    let (ann, bob) = (Place::with_collection(), Place::new());
    let link = invite(
        &ann,
        &[
            "--expires",
            "1h",
            "--addr",
            &format!("/ip4/127.0.0.1/tcp/9/p2p/{}", peer(&ann)),
        ],
    );
    let listed = ann.ok(["--json", "invites", "t"]).json();
    let id = listed["invites"][0]["id"].as_str().unwrap();
    ann.ok(["revoke-invite", "t", id]);
    assert!(ann.ok(["invites", "t"]).out.contains("was revoked"));
    ann.fails(3, ["revoke-invite", "t", "nothing"]);
    ann.fails(5, ["join", &link]);
    let cut = bob.run(["join", &link[..link.len() - 2]]);
    assert_eq!(cut.code, 2, "{cut:#?}");
    assert!(cut.err.contains("cut short or mistyped"), "{cut:#?}");
    let said = bob.fails(5, ["connect", "/ip4/127.0.0.1/tcp/9"]);
    assert!(said.contains("/p2p/"), "{said}");
}

fn peer(place: &Place) -> String {
    place.ok(["--json", "id"]).json()["peer"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn peers_that_moved_find_each_other_through_a_replica() {
    let (ann, bob, rep) = (Place::with_collection(), Place::new(), Place::new());
    let serving = Serving::start(&ann, TCP);
    let role = |role: &str, to: &Place| {
        let words = ["invite", "t", "--role", role, "--to", &card(to)];
        ann.ok(words).out.trim().to_owned()
    };
    bob.ok(["join", &role("write", &bob)]);
    rep.ok(["join", &role("replicate", &rep)]);
    let mut replica = Serving::command(&rep, TCP);
    replica.args(["--hash-table", "server"]);
    let replica = Serving::of(replica);
    let bobs = Serving::start(&bob, TCP);
    let id = |place: &Place| place.ok(["--json", "id"]).json()["peer"].clone();
    let peers = [id(&ann), id(&bob), id(&rep)];
    // Bob hears of the replica from the thread.
    let knows = |place: &Place, peer: &Value| {
        let status = place.ok(["--json", "status", "t"]).json();
        let known = status["peers"].as_array().unwrap();
        known.iter().any(|known| known["peer"] == *peer)
    };
    until("bob shares it with the replica", || knows(&bob, &peers[2]));
    for place in [&ann, &bob] {
        place.ok(["connect", &replica.addresses[0]]);
    }
    drop((serving, bobs));

    // Both are somewhere else now, and know where the replica is.
    let moved = [&ann, &bob].map(|place| Serving::start(place, TCP));
    until("bob is connected to ann", || {
        let status = bob.ok(["--json", "status", "t"]).json();
        let connected = status["connected"].as_array().unwrap();
        connected.contains(&peers[0])
    });
    drop((moved, replica));
}
