//! Other processes at the ends of the pipes, and at the same repository.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::common::{Place, Said};

const ROWS: usize = 5_000;

fn many() -> Place {
    let place = Place::with_collection();
    let said = place.fed(
        ["import", "t", "c", "-"],
        "{\"text\":\"some text to fill pipes\"}\n".repeat(ROWS),
    );
    assert_eq!(said.code, 0, "{said:#?}");
    place
}

/// Reads lines of JSON from a child as they come.
struct Lines(std::io::Lines<BufReader<std::process::ChildStdout>>);

impl Lines {
    fn of(child: &mut Child) -> Self {
        Self(BufReader::new(child.stdout.take().unwrap()).lines())
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.0.next().unwrap().unwrap()).unwrap()
    }
}

/// Waits for a line on standard error, which says that the child is ready.
fn wait_for(child: &mut Child, part: &str) {
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.contains(part), "{line}");
}

#[test]
fn a_reader_that_leaves_ends_a_query_quietly() {
    let place = many();
    for words in [
        &["find", "t", "c"][..],
        &["--json", "log", "t"],
        &["watch", "t", "--since", "start"],
    ] {
        let mut child = place.spawn(words);
        let mut line = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with('{'));
        if words[0] == "watch" {
            // It only finds out when it has something to say.
            place.ok(["put", "t", "c", "{}"]);
        }
        let said = Said::of(child.wait_with_output().unwrap());
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{words:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let place = many();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let said = Said::of(
        place
            .command(["find", "t", "c"])
            .stdout(full)
            .output()
            .unwrap(),
    );
    assert_eq!(said.code, 9, "{said:#?}");
    assert!(
        said.err.starts_with("error: cannot write the results"),
        "{said:#?}"
    );
}

#[test]
fn watching_sees_what_another_process_writes() {
    let place = Place::with_collection();
    let mut watch = place.spawn(["watch", "t", "c", "n > 1", "--count", "3"]);
    wait_for(&mut watch, "watching from cursor");
    place.ok(["put", "t", "c", r#"{"_id": "a", "n": 1}"#]);
    place.ok(["put", "t", "c", r#"{"_id": "a", "n": 2}"#]);
    let mut lines = Lines::of(&mut watch);
    let change = lines.next();
    assert_eq!(change["action"], "save");
    assert_eq!(
        (&change["before"]["n"], &change["after"]["n"]),
        (&1.into(), &2.into())
    );
    place.ok(["put", "t", "c", r#"{"_id": "b", "n": 3}"#]);
    assert_eq!(lines.next()["entity"], "b");
    place.ok(["rm", "t", "c", "a"]);
    assert_eq!(lines.next()["action"], "delete");
    assert_eq!(Said::of(watch.wait_with_output().unwrap()).code, 0);

    let cursor = change["cursor"].as_str().unwrap();
    let rest = place
        .ok(["watch", "t", "--since", cursor, "--count", "2"])
        .rows();
    assert_eq!(
        (&rest[0]["entity"], &rest[1]["entity"]),
        (&"b".into(), &"a".into())
    );
    let first = place
        .ok(["watch", "t", "c", "--since", "start", "--count", "1"])
        .rows();
    assert_eq!(first[0]["action"], "create");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_watching_well() {
    let place = Place::with_collection();
    let mut watch = place.spawn(["watch", "t"]);
    wait_for(&mut watch, "Ctrl-C ends it");
    let killed = Command::new("kill")
        .args(["-INT", &watch.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let said = Said::of(watch.wait_with_output().unwrap());
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:#?}");
}

#[test]
fn one_process_writes_and_others_read_meanwhile() {
    let place = Place::with_collection();
    place.ok(["put", "t", "c", "{\"_id\":\"before\"}"]);
    let mut import = place.spawn(["import", "t", "c", "-", "--batch", "1"]);
    let mut input = import.stdin.take().unwrap();
    let mut watch = place.spawn(["watch", "t", "--since", "start"]);
    let mut lines = Lines::of(&mut watch);
    assert_eq!(lines.next()["entity"], "before");
    input.write_all(b"{\"_id\":\"first\"}\n").unwrap();
    input.flush().unwrap();
    assert_eq!(lines.next()["entity"], "first");

    // The import has the repository now, and waits for more rows.
    assert_eq!(place.ok(["find", "t", "c"]).rows().len(), 2);
    place.ok(["ls"]);
    place.ok(["verify", "t"]);
    let error = place.fails(8, ["put", "t", "c", "{}"]);
    assert!(
        error.contains("in use") && error.contains("help: one process at a time"),
        "{error}"
    );
    drop(input);
    assert_eq!(Said::of(import.wait_with_output().unwrap()).code, 0);
    watch.kill().unwrap();
    watch.wait().unwrap();
    place.ok(["put", "t", "c", "{}"]);
}

#[test]
fn a_write_that_was_killed_leaves_whole_batches() {
    let place = Place::with_collection();
    let mut import = place.command(["import", "t", "c", "-", "--batch", "10"]);
    let mut import = import
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = import.stdin.take().unwrap();
    let mut watch = place.spawn(["watch", "t", "--since", "start", "--count", "10"]);
    for n in 0..15 {
        writeln!(input, "{{\"_id\":\"{n:02}\"}}").unwrap();
    }
    input.flush().unwrap();
    // The first batch is committed, and the second waits for its rows.
    let mut lines = Lines::of(&mut watch);
    for _ in 0..10 {
        lines.next();
    }
    import.kill().unwrap();
    import.wait().unwrap();
    watch.wait().unwrap();
    assert_eq!(place.ok(["find", "t", "c", "--count"]).out, "10\n");
    place.ok(["verify", "t"]);
    place.ok(["put", "t", "c", "{}"]);
}
