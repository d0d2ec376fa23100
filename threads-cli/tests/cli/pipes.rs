//! Other processes at the ends of the pipes, and at the same repository.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command};

use serde_json::{Value, json};

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

/// A command that runs beside the test, and not longer than it.
struct Running(Option<Child>);

impl Running {
    fn start(place: &Place, words: &[&str]) -> Self {
        Self(Some(place.spawn(words)))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    fn input(&mut self) -> ChildStdin {
        self.child().stdin.take().unwrap()
    }

    /// The lines of JSON that it prints, as they come.
    fn lines(&mut self) -> impl FnMut() -> Value + use<> {
        let mut lines = BufReader::new(self.child().stdout.take().unwrap()).lines();
        move || {
            let line = lines
                .next()
                .expect("it ended before it said everything")
                .unwrap();
            serde_json::from_str(&line).unwrap()
        }
    }

    /// Waits for a line on standard error, which says that it is ready.
    fn ready(&mut self, part: &str) {
        let mut line = String::new();
        BufReader::new(self.child().stderr.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains(part), "{line}");
    }

    fn end(mut self) -> Said {
        Said::of(self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended by itself.
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

#[test]
fn a_reader_that_leaves_ends_a_command_quietly() {
    let place = many();
    let some: [&[&str]; 3] = [
        &["find", "t", "c"],
        &["--json", "log", "t"],
        &["watch", "t", "--since", "start"],
    ];
    for words in some {
        let mut command = Running::start(&place, words);
        let mut line = String::new();
        let output = command.child().stdout.take().unwrap();
        BufReader::with_capacity(1, output)
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with('{'));
        if words[0] == "watch" {
            // It only finds out when it has something to say.
            place.ok(["put", "t", "c", "{}"]);
        }
        let said = command.end();
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
    let mut watch = Running::start(&place, &["watch", "t", "c", "n > 1", "--count", "3"]);
    watch.ready("watching from cursor");
    let mut next = watch.lines();
    place.ok(["put", "t", "c", r#"{"_id": "a", "n": 1}"#]);
    place.ok(["put", "t", "c", r#"{"_id": "a", "n": 2}"#]);
    let change = next();
    assert_eq!(change["action"], "save");
    assert_eq!(
        (&change["before"]["n"], &change["after"]["n"]),
        (&1.into(), &2.into())
    );
    place.ok(["put", "t", "c", r#"{"_id": "b", "n": 3}"#]);
    assert_eq!(next()["entity"], "b");
    place.ok(["rm", "t", "c", "a"]);
    assert_eq!(next()["action"], "delete");
    assert_eq!(watch.end().code, 0);

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

#[test]
fn a_result_follows_what_another_process_writes() {
    let place = Place::with_collection();
    place.ok(["put", "t", "c", r#"{"_id": "a", "n": 1}"#]);
    let words = ["find", "t", "c", "n > 0", "--sort", "n", "--limit", "2"];
    let watching = [&["--json"][..], &words, &["--watch", "--updates", "4"]].concat();
    let mut watch = Running::start(&place, &watching);
    let mut next = watch.lines();
    let row = |id: &str, n: u64| json!({"_id": id, "n": n});
    let reset = json!({"reset": {"why": "first", "rows": [row("a", 1)]}});
    assert_eq!(next(), reset);
    place.ok(["put", "t", "c", r#"{"_id": "b", "n": 3}"#]);
    let added =
        |at: u64, id: &str, n| json!({"change": "added", "at": at, "id": id, "row": row(id, n)});
    assert_eq!(next(), json!({"changes": [added(1, "b", 3)]}));
    place.ok(["put", "t", "c", r#"{"_id": "c", "n": 2}"#]);
    let pushed_out = json!({"change": "removed", "from": 1, "id": "b"});
    assert_eq!(next(), json!({"changes": [pushed_out, added(1, "c", 2)]}));
    place.ok(["put", "t", "c", r#"{"_id": "a", "n": 9}"#]);
    let left = json!({"change": "removed", "from": 0, "id": "a"});
    assert_eq!(next(), json!({"changes": [left, added(1, "b", 3)]}));
    assert_eq!(watch.end().code, 0);

    let read = place.ok([&words[..], &["--watch", "--updates", "1"]].concat());
    assert_eq!(
        read.out,
        "= 2 (first)\n  0 {\"_id\":\"c\",\"n\":2}\n  1 {\"_id\":\"b\",\"n\":3}\n"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn row_55_a_crash_writes_no_memory_to_disk() {
    let place = Place::with_collection();
    let mut watch = Running::start(&place, &["watch", "t"]);
    watch.ready("Ctrl-C ends it");
    let limits = format!("/proc/{}/limits", watch.child().id());
    let limits = std::fs::read_to_string(limits).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{limits}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_watching_well() {
    let place = Place::with_collection();
    let mut watch = Running::start(&place, &["watch", "t"]);
    watch.ready("Ctrl-C ends it");
    let process = watch.child().id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &process])
            .status()
            .unwrap()
            .success()
    );
    let said = watch.end();
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:#?}");
}

#[test]
fn one_process_writes_and_others_read_meanwhile() {
    let place = Place::with_collection();
    place.ok(["put", "t", "c", "{\"_id\":\"before\"}"]);
    let mut import = Running::start(&place, &["import", "t", "c", "-", "--batch", "1"]);
    let mut input = import.input();
    let mut watch = Running::start(&place, &["watch", "t", "--since", "start"]);
    let mut next = watch.lines();
    assert_eq!(next()["entity"], "before");
    input.write_all(b"{\"_id\":\"first\"}\n").unwrap();
    input.flush().unwrap();
    assert_eq!(next()["entity"], "first");

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
    assert_eq!(import.end().code, 0);
    place.ok(["put", "t", "c", "{}"]);
}

#[test]
fn an_import_that_was_killed_leaves_whole_batches() {
    let place = Place::with_collection();
    let mut import = Running::start(&place, &["import", "t", "c", "-", "--batch", "10"]);
    let mut input = import.input();
    for n in 0..15 {
        writeln!(input, "{{\"_id\":\"{n:02}\"}}").unwrap();
    }
    input.flush().unwrap();
    let mut watch = Running::start(&place, &["watch", "t", "--since", "start"]);
    let mut next = watch.lines();
    for _ in 0..10 {
        next();
    }
    // The first batch is committed, and the second waits for its rows.
    drop(import);
    assert_eq!(place.ok(["find", "t", "c", "--count"]).out, "10\n");
    place.ok(["verify", "t"]);
    place.ok(["put", "t", "c", "{}"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_an_import_between_two_batches() {
    let place = Place::with_collection();
    let mut import = Running::start(&place, &["import", "t", "c", "-", "--batch", "10"]);
    let mut input = import.input();
    for n in 0..15 {
        writeln!(input, "{{\"_id\":\"{n:02}\"}}").unwrap();
    }
    input.flush().unwrap();
    let mut watch = Running::start(&place, &["watch", "t", "--since", "start"]);
    let mut next = watch.lines();
    for _ in 0..10 {
        next();
    }
    let process = import.child().id().to_string();
    let sent = Command::new("kill").args(["-INT", &process]).status();
    assert!(sent.unwrap().success());
    let said = import.end();
    assert_eq!(said.code, 130, "{said:#?}");
    assert!(said.err.contains("rows_committed: 10"), "{said:#?}");
    assert_eq!(place.ok(["find", "t", "c", "--count"]).out, "10\n");
    drop(input);
}
