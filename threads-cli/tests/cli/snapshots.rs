//! Snapshots and compaction.

use crate::common::{Place, word};

/// A place with a thread in which one entity was edited often.
fn edited() -> Place {
    let place = Place::with_collection();
    for n in 0..40 {
        place.ok(["put", "t", "c", &format!(r#"{{"_id": "e", "n": {n}}}"#)]);
    }
    place
}

#[test]
fn a_snapshot_is_signed_checked_and_carried_to_a_new_device() {
    let here = edited();
    let made = here.ok(["--json", "snapshot", "t"]).json();
    let id = made["id"].as_str().unwrap();
    assert!(here.ok(["snapshot", "ls", "t"]).out.starts_with(id));
    assert!(
        here.ok(["snapshot", "check", "t", id])
            .out
            .starts_with("right")
    );
    here.ok(["snapshot", "sign", "t", id]);
    let other = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    assert_eq!(
        here.run(["snapshot", "check", "t", other]).code,
        3,
        "not found"
    );

    let secret = here.file("secret", "correct horse\n");
    let file = here.path("t.car");
    let keys = ["--with-keys", "--passphrase-file", word(&secret)];
    let export = ["export", "t", word(&file), "--snapshot"];
    here.ok(export.iter().chain(&keys));
    let there = Place::new();
    there.ok(["restore", word(&file), "--passphrase-file", word(&secret)]);
    assert_eq!(there.ok(["get", "t", "c", "e"]).json()["n"], 39);
    there.ok(["verify", "t"]);

    // It says who signed, and may ask for more.
    let there = Place::new();
    let restore = [
        "--json",
        "restore",
        word(&file),
        "--passphrase-file",
        word(&secret),
    ];
    let two = there.run(restore.iter().chain(&["--signers", "2"]));
    assert!(two.err.contains("--trust"), "{two:#?}");
    let whose = here.ok(["--json", "id"]).json();
    let whose = whose["peer"].as_str().unwrap();
    let trust = ["--trust", whose];
    let report = there.ok(restore.iter().chain(&trust)).json();
    assert_eq!(report["signers"], serde_json::json!([whose]));
    assert!(report["snapshot"].is_string());
}

#[test]
fn compacting_says_what_it_would_do_and_does_it() {
    let place = edited();
    let dry = place.ok(["--json", "compact", "t", "--dry-run"]).json();
    let dropped = dry["report"]["dropped"].as_u64().unwrap();
    assert!(dropped > 20, "{dry}");
    let did = place.ok(["compact", "t", "--keep", "latest"]);
    assert!(
        did.out.starts_with(&format!("{dropped} records dropped")),
        "{did:#?}"
    );
    assert_eq!(place.ok(["get", "t", "c", "e"]).json()["n"], 39);
    place.ok(["verify", "t"]);
    place.ok(["compact", "t", "--keep", "all"]);
    place.ok(["compact", "t", "--keep", "since:2020-01-01T00:00:00Z"]);
    assert_eq!(
        place.run(["compact", "t", "--keep", "some"]).code,
        2,
        "usage"
    );
}
