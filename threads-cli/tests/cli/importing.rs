//! Loading rows: what goes in, what stays out, and what is said of it.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::common::{Place, Said, word};

fn count(place: &Place) -> u64 {
    place
        .ok(["find", "t", "c", "--count"])
        .out
        .trim()
        .parse()
        .unwrap()
}

fn lines(rows: impl IntoIterator<Item = Value>) -> String {
    rows.into_iter().fold(String::new(), |mut text, row| {
        writeln!(text, "{row}").unwrap();
        text
    })
}

#[test]
fn json_lines_lose_only_the_bad_ones() {
    let place = Place::with_collection();
    let text = "\u{feff}{\"_id\":\"a\"}\r\n\n{\"_id\":\n{\"_id\":7}\n[1]\n{\"_id\":\"b\"} {}\n{\"_id\":\"c\"}";
    let file = place.file("rows.jsonl", text);
    let said = place.run(["import", "t", "c", word(&file)]);
    assert_eq!(said.code, 5, "{said:#?}");
    for line in [
        "line 3, row 2: not JSON",
        "line 4, row 3: an entity's _id is a string",
        "line 5, row 4: an entity is a JSON object",
        "line 6, row 5: not JSON",
        "2 rows imported, 4 skipped: 1 record",
    ] {
        assert!(said.err.contains(line), "{line} in {said:#?}");
    }
    assert_eq!(
        place.ok(["find", "t", "c"]).rows(),
        [json!({"_id": "a"}), json!({"_id": "c"})]
    );
}

#[test]
fn complaints_are_bounded_and_counted() {
    let place = Place::with_collection();
    let said = place.fed(["import", "t", "c", "-"], "no\n".repeat(50));
    assert_eq!(said.code, 5);
    assert_eq!(said.err.matches("not JSON").count(), 20, "{said:#?}");
    assert!(said.err.contains("… and 30 more"));
    let said = place.fed(["import", "t", "c", "-", "--json"], "no\n".repeat(50));
    assert_eq!(said.json()["skipped"], 50);
    assert_eq!(said.json()["invalid"].as_array().unwrap().len(), 20);
    assert_eq!(said.json()["invalid"][1]["line"], 2);
    assert_eq!(said.error()["kind"], "invalid");
}

#[test]
fn strict_keeps_the_full_batches_before_the_bad_row() {
    let place = Place::with_collection();
    let text = "{\"_id\":\"a\"}\n{\"_id\":\"b\"}\n{\"_id\":\"c\"}\n{\"_id\":3}\n{\"_id\":\"e\"}\n";
    let said = place.fed(["import", "t", "c", "-", "--batch", "2", "--strict"], text);
    assert_eq!(said.code, 5, "{said:#?}");
    for part in [
        "  line: 4\n",
        "  rows_committed: 2\n",
        "help: correct the row",
        "2 rows imported",
    ] {
        assert!(said.err.contains(part), "{part} in {said:#?}");
    }
    assert_eq!(count(&place), 2);
    let said = place.fed(
        ["import", "t", "c", "-", "--batch", "2", "--strict"],
        "{}\n{}\nno\n{}",
    );
    assert_eq!(said.code, 5);
    assert!(
        said.err.contains("  line: 3\n") && said.err.contains("not JSON"),
        "{said:#?}"
    );
    assert_eq!(count(&place), 4);
}

#[test]
fn a_broken_array_is_read_up_to_where_it_breaks() {
    let place = Place::with_collection();
    let said = place.fed(
        ["import", "t", "c", "-"],
        "[{\"_id\":\"a\"},\n{\"_id\":\"b\"},\n{\"_id\":}\n]",
    );
    assert_eq!(said.code, 5, "{said:#?}");
    for part in [
        "read no further\n  line: 3\n  column: 8\n  row: 3\n",
        "rows_committed: 2",
        "help: correct the file",
    ] {
        assert!(said.err.contains(part), "{part} in {said:#?}");
    }
    assert_eq!(count(&place), 2);
    let said = place.fed(["import", "t", "c", "-", "--strict"], "[{}, {}");
    assert_eq!(said.code, 5);
    assert_eq!(count(&place), 2, "strict takes no part of a batch");
}

#[test]
fn the_id_can_come_from_a_field() {
    let place = Place::with_collection();
    let rows = lines([
        json!({"meta": {"key": "x"}}),
        json!({"meta": {"key": 7}}),
        json!({"meta": {"key": 1.5}}),
        json!({"meta": {}}),
    ]);
    let said = place.fed(["import", "t", "c", "-", "--id-field", "/meta/key"], rows);
    assert_eq!(said.code, 5, "{said:#?}");
    assert!(
        said.err
            .contains("row 3: meta.key is not text or an integer"),
        "{said:#?}"
    );
    assert!(said.err.contains("row 4: meta.key is missing"), "{said:#?}");
    let found = place.ok(["find", "t", "c", "--fields", "_id"]).rows();
    assert_eq!(found, [json!({"_id": "7"}), json!({"_id": "x"})]);
}

#[test]
fn loading_the_same_again_changes_nothing() {
    let place = Place::with_collection();
    let rows = lines((0..10).map(|n| json!({"_id": format!("{n}"), "n": n})));
    place.fed(["import", "t", "c", "-"], &rows);
    let said = place.fed(["import", "t", "c", "-", "--json"], &rows);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(said.json()["records"], 0);
    assert_eq!(count(&place), 10);
}

#[test]
fn a_duplicate_of_a_unique_value_does_not_cost_its_batch() {
    let place = Place::with_collection();
    place.ok(["collection", "add", "t", "c", "--unique", "a,b"]);
    let rows = lines([(1, 1), (1, 2), (1, 1), (2, 1)].map(|(a, b)| json!({"a": a, "b": b})));
    let said = place.fed(["import", "t", "c", "-"], rows);
    assert_eq!(said.code, 5, "{said:#?}");
    assert!(said.err.contains("line 3, row 3: "), "{said:#?}");
    assert_eq!(count(&place), 3);
}

#[test]
fn rows_that_fill_a_record_get_more_of_them() {
    let place = Place::with_collection();
    let row = |id: &str, bytes| json!({"_id": id, "text": "x".repeat(bytes)});
    let rows = lines([
        row("a", 300_000),
        row("b", 400_000),
        row("c", 900_000),
        row("d", 2_000_000),
        row("e", 10),
    ]);
    let said = place.fed(["import", "t", "c", "-", "--json"], rows);
    assert_eq!(said.code, 5, "{said:#?}");
    let summary = said.json();
    assert_eq!(
        (&summary["rows"], &summary["skipped"]),
        (&json!(4), &json!(1)),
        "{summary}"
    );
    assert_eq!(summary["invalid"][0]["line"], 4);
    assert!(summary["records"].as_u64().unwrap() >= 2);
    assert_eq!(count(&place), 4);
}

#[test]
fn numbers_that_grow_in_a_record_fit_all_the_same() {
    let place = Place::with_collection();
    let row = json!({"numbers": vec![0.5; 20_000]});
    let said = place.fed(["import", "t", "c", "-", "--json"], lines(vec![row; 12]));
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(said.json()["rows"], 12);
}

#[test]
fn nothing_to_load_is_no_mistake() {
    let place = Place::with_collection();
    for text in ["", "\n", "[]"] {
        let said = place.fed(["import", "t", "c", "-"], text);
        assert_eq!(said.code, 0, "{said:#?}");
        assert!(
            said.err
                .starts_with("0 rows imported, 0 skipped: 0 records"),
            "{said:#?}"
        );
    }
}

/// The heap may not grow with the input: it is limited to less than the input is long.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_input() {
    const LIMIT_KIB: &str = "16384";
    let place = Place::with_collection();
    let script = format!("ulimit -d {LIMIT_KIB} && exec \"$0\" import t c - --json");
    let mut child = std::process::Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_threads")])
        .env("THREADS_REPO", place.repo())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = std::io::BufWriter::new(child.stdin.take().unwrap());
    let row = json!({"text": "x".repeat(8_000)}).to_string();
    input.write_all(b"[").unwrap();
    for n in 0..2_500 {
        // If the program gives up, what it says tells more than the pipe does.
        let comma = if n > 0 { "," } else { "" };
        if write!(input, "{comma}{row}").is_err() {
            break;
        }
    }
    let _ = input.write_all(b"]").and_then(|()| input.flush());
    drop(input);
    let said = Said::of(child.wait_with_output().unwrap());
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(said.json()["rows"], 2_500);
}
