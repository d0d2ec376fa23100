//! The official JavaScript package reads what the codec stored, and the codec applies what it
//! writes.
//!
//! It needs `node`, `npm` and the registry, and says so and passes where one of them is missing.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so, and why it did not begin"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;
use serde_json::{Value, json};
use threads_codec_automerge::{Automerge, Counter, Text};
use threads_core::codec::{Action, EntityState, EventCodec, EventCodecExt};

const PACKAGE: &str = "@automerge/automerge@3";

/// Runs a program; the reason if that is not possible here.
fn run(place: &Path, program: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(words)
        .current_dir(place)
        .output()
        .map_err(|error| format!("{program} does not start: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("{program} ends with {}: {said}", output.status))
        }
    }
}

fn install(place: &Path) -> Result<(), String> {
    run(place, "node", &["--version"])?;
    fs::write(place.join("package.json"), "{\"private\":true}").unwrap();
    let words = [
        "install",
        PACKAGE,
        "--silent",
        "--ignore-scripts",
        "--no-audit",
        "--fetch-retries=1",
    ];
    run(place, "npm", &words).map(drop)
}

#[derive(Serialize)]
struct Note {
    _id: &'static str,
    title: &'static str,
    body: Text,
    likes: Counter,
    tags: Vec<&'static str>,
    n: i64,
}

fn note(body: &str, likes: i64) -> Note {
    Note {
        _id: "e",
        title: "Tea",
        body: body.into(),
        likes: likes.into(),
        tags: vec!["a", "b"],
        n: 1 << 40,
    }
}

fn apply(codec: &Automerge, state: Option<&EntityState>, change: &[u8]) -> EntityState {
    let event = Automerge::event(change).unwrap();
    codec.apply(state, &event).unwrap()
}

#[test]
fn javascript_reads_what_is_stored_and_writes_what_is_applied() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    if let Err(reason) = install(place) {
        // Where everything is tested, nothing that could be is left out.
        let ci = std::env::var_os("CI").is_some() && run(place, "npm", &["--version"]).is_ok();
        assert!(!ci, "npm install {PACKAGE} fails: {reason}");
        println!("skipped: npm install {PACKAGE} is not possible here: {reason}");
        return;
    }
    let codec = Automerge::of("ann");
    let created = codec.encode(None, &Action::Create(&note("Boil water.", 7)));
    let state = codec.apply(None, &created.unwrap().unwrap()).unwrap();
    let ours = codec.encode(Some(&state), &Action::Save(&note("Boil fresh water.", 8)));
    let ours = ours.unwrap().unwrap();
    fs::write(place.join("stored"), Automerge::document(&state).unwrap()).unwrap();
    fs::write(place.join("ours"), &ours).unwrap();
    fs::write(place.join("script.mjs"), include_str!("interop.mjs")).unwrap();
    let said: Value = serde_json::from_str(&run(place, "node", &["script.mjs"]).unwrap()).unwrap();

    let wanted = json!({
        "title": "Tea", "titleIsOneValue": true,
        "body": "Boil water.", "bodyIsText": true,
        "likes": 7, "likesIsCounter": true,
        "tags": ["a", "b"], "n": 1_i64 << 40,
    });
    assert_eq!(said["seen"], wanted);

    // Theirs, on top of ours that they had not seen; as a patch of a database the first time.
    let read = |name: &str| fs::read(place.join(name)).unwrap();
    let state = codec.apply(Some(&state), &ours).unwrap();
    let patch = Automerge::patch(&read("small")).unwrap();
    let event = codec.encode(Some(&state), &Action::Patch(&patch)).unwrap();
    let state = codec.apply(Some(&state), &event.unwrap()).unwrap();
    let again = codec.encode(Some(&state), &Action::Patch(&patch));
    assert_eq!(again.unwrap(), None);
    let state = apply(&codec, Some(&state), &read("large"));
    let seen = codec.value(&state).unwrap();
    let merged = &said["merged"];
    assert_eq!(seen["body"], "Read: Boil fresh water.");
    assert_eq!(seen["likes"], 10);
    assert_eq!(
        seen["inner"],
        json!({"at": 1234, "bytes": [1, 2], "big": 1_i64 << 40, "half": 0.5})
    );
    assert_eq!(seen.get("n"), None);
    for same in ["body", "likes", "long", "tags"] {
        assert_eq!(seen[same], merged[same]);
    }

    // Theirs from the beginning, the last first.
    let mut state = None;
    for at in (0..said["changes"].as_u64().unwrap()).rev() {
        state = Some(apply(&codec, state.as_ref(), &read(&format!("born{at}"))));
    }
    assert_eq!(codec.value(&state.unwrap()).unwrap(), said["born"]);
}
