//! The row splitter: any text, cut anywhere, gives the same rows.

use std::io::{BufReader, Read};

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Hands out a text in pieces of the given sizes, over and over.
struct Pieces<'a> {
    text: &'a [u8],
    sizes: &'a [usize],
    turn: usize,
    ready: usize,
}

impl<'a> Pieces<'a> {
    fn new(text: &'a [u8], sizes: &'a [usize]) -> Self {
        Self {
            text,
            sizes,
            turn: 0,
            ready: 0,
        }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        unreachable!("rows are read through fill_buf")
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ready == 0 {
            self.ready = self.sizes[self.turn % self.sizes.len()].min(self.text.len());
            self.turn += 1;
        }
        Ok(&self.text[..self.ready])
    }

    fn consume(&mut self, taken: usize) {
        self.text = &self.text[taken..];
        self.ready -= taken;
    }
}

type Read1 = (Vec<Row>, Option<(u64, u64, String)>);

fn read(input: impl BufRead) -> Read1 {
    let mut rows = Rows::new(input);
    let mut found = Vec::new();
    loop {
        match rows.next() {
            Ok(Some(row)) => found.push(row),
            Ok(None) => return (found, None),
            Err(Stop::Broken {
                line,
                number,
                reason,
                ..
            }) => {
                assert!(
                    matches!(rows.next(), Ok(None)),
                    "nothing comes after a stop"
                );
                return (found, Some((line, number, reason)));
            }
            Err(Stop::Io(error)) => panic!("{error}"),
        }
    }
}

fn values(text: &str) -> Vec<(u64, u64, Value)> {
    let (rows, stop) = read(text.as_bytes());
    assert_eq!(stop, None);
    rows.into_iter()
        .map(|row| (row.line, row.number, row.value.unwrap()))
        .collect()
}

fn stop(text: &str) -> (usize, u64, u64, String) {
    let (rows, stop) = read(text.as_bytes());
    let (line, number, reason) = stop.unwrap();
    (rows.len(), line, number, reason)
}

#[test]
fn json_lines_skip_blank_lines_and_number_the_rest() {
    let found = values("\n {\"a\":1}\r\n\n{\"a\":2}");
    assert_eq!(found, [(2, 1, json!({"a": 1})), (4, 2, json!({"a": 2}))]);
}

#[test]
fn an_array_may_span_lines_and_nest() {
    let found = values("[\n{\"a\":\n[1,{\"b\":\"],}\\\"\"}]},\n\n{},3 ]\n");
    assert_eq!(
        found,
        [
            (2, 1, json!({"a": [1, {"b": "],}\""}]})),
            (5, 2, json!({})),
            (5, 3, json!(3))
        ]
    );
}

#[test]
fn nothing_is_no_rows() {
    for text in ["", " \n\t", "[]", " [ \n ] \n", "\u{feff}", "\u{feff}[]"] {
        assert_eq!(values(text), [], "{text:?}");
    }
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_row() {
    assert_eq!(values("\u{feff}{\"a\":1}"), [(1, 1, json!({"a": 1}))]);
}

#[test]
fn a_bad_line_costs_only_itself() {
    let (rows, stop) = read("{\"a\":1}\n{\"a\":\n\n\u{1}\n{\"a\":2} x\n{\"a\":3}\n".as_bytes());
    assert_eq!(stop, None);
    let lines: Vec<(u64, bool)> = rows
        .iter()
        .map(|row| (row.line, row.value.is_ok()))
        .collect();
    assert_eq!(
        lines,
        [(1, true), (2, false), (4, false), (5, false), (6, true)]
    );
    let reason = rows[1].value.as_ref().unwrap_err();
    assert_eq!(reason, "not JSON at column 5: EOF while parsing a value");
}

#[test]
fn a_broken_array_keeps_the_rows_before_and_names_the_line() {
    assert_eq!(stop("[{\"a\":1},\n{\"a\":2},\n{\"a\":\n:}]").0, 2);
    assert_eq!(stop("[{\"a\":1},\n{\"a\":2},\n{\"a\":\n:}]").1, 4);
    assert_eq!(
        stop("[{},\n{}\n"),
        (2, 3, 2, "the array does not end: a ']' is missing".into())
    );
    assert_eq!(stop("[{},\n").3, "the array does not end: a ']' is missing");
    assert_eq!(stop("[").3, "the array does not end: a ']' is missing");
    assert_eq!(
        stop("[{},\n]"),
        (1, 2, 1, "a ',' without a row after it: remove it".into())
    );
    assert_eq!(stop("[,{}]").3, "a ',' without a row before it: remove it");
    assert_eq!(
        stop("[{},,{}]").3,
        "a ',' without a row before it: remove it"
    );
    assert_eq!(stop("[1 2]").0, 0);
    assert_eq!(stop("[{}}").3, "expected ',' or ']' after a row");
    assert_eq!(
        stop("[{}]\n[{}]"),
        (
            1,
            2,
            1,
            "there is more text after the end of the array".into()
        )
    );
    assert_eq!(stop("[{\"a\":\"x}, {\"a\":\"y\"}]").0, 0);
}

#[test]
fn a_row_of_an_array_that_is_json_costs_only_itself() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let text =
        format!("[{{\"a\":1}},\n  {{\"a\":1e999}},\n{deep}, {{\"a\":\n2e999}},\n{{\"a\":2}}]");
    let (rows, stop) = read(text.as_bytes());
    assert_eq!(stop, None);
    let reasons: Vec<_> = rows.iter().map(|row| row.value.as_ref().err()).collect();
    assert_eq!((reasons[0], reasons[4]), (None, None));
    assert_eq!(
        reasons[1].unwrap(),
        "not JSON at column 12: number out of range"
    );
    assert!(reasons[2].unwrap().contains("recursion limit"));
    assert_eq!(
        reasons[3].unwrap(),
        "not JSON at line 4, column 5: number out of range"
    );
    assert_eq!(rows[4].line, 5);
}

#[test]
fn columns_count_from_the_beginning_of_their_line() {
    let column = |text: &str| match Rows::new(text.as_bytes()).next() {
        Err(Stop::Broken { line, column, .. }) => (line, column),
        other => panic!("{other:?}"),
    };
    assert_eq!(column("[\n {\"a\": x}]"), (2, 8));
    assert_eq!(column("[{\"a\":\n  x}]"), (2, 3));
    assert_eq!(column("\u{feff}[x]"), (1, 2));
    let (rows, _) = read("\n  {\"a\": x}".as_bytes());
    let reason = rows[0].value.as_ref().unwrap_err();
    assert_eq!(reason, "not JSON at column 9: expected value");
}

#[test]
fn deep_nesting_is_refused_and_not_recursed_into() {
    let deep = "[".repeat(100_000);
    assert!(stop(&deep).3.contains("recursion limit"));
    let (rows, _) = read(format!("{{\"a\":{deep}\n{{}}").as_bytes());
    assert!(rows[0].value.is_err());
    assert!(rows[1].value.is_ok());
}

#[test]
fn a_row_too_long_to_keep_is_not_kept() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(ROW_BYTES_MAX));
    let (rows, _) = read(BufReader::new(format!("{long}\n{{}}").as_bytes()));
    assert!(rows[0].value.as_ref().unwrap_err().contains("longer than"));
    assert!(rows[1].value.is_ok());
    let (rows, stop) = read(BufReader::new(format!("[{{}},{long}]").as_bytes()));
    assert_eq!(rows.len(), 1);
    assert!(stop.unwrap().2.contains("longer than"));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[\\]\\[{}\",\\\\\n é]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c\"\\]]{0,3}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_rows_in_any_pieces_read_back(
        rows in prop::collection::vec(any_value(), 0..8),
        sizes in prop::collection::vec(1_usize..9, 1..5),
        pretty: bool,
    ) {
        let array = Value::from(rows.clone());
        let text = if pretty { format!("{array:#}") } else { array.to_string() };
        let (found, stop) = read(Pieces::new(text.as_bytes(), &sizes));
        prop_assert_eq!(stop, None);
        let found: Vec<Value> = found.into_iter().map(|row| row.value.unwrap()).collect();
        prop_assert_eq!(&found, &rows);

        // The first row of a file of lines cannot be an array: that would make it one array.
        let rows: Vec<Value> = rows.into_iter().map(|row| json!({ "row": row })).collect();
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let (found, _) = read(Pieces::new(text.as_bytes(), &sizes));
        let found: Vec<Value> = found.into_iter().map(|row| row.value.unwrap()).collect();
        prop_assert_eq!(found, rows);
    }

    #[test]
    fn any_bytes_in_any_pieces_give_the_same_rows_and_no_panic(
        text in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            "[\\[\\]{}:,\"\\\\ \n01a]{0,64}".prop_map(String::into_bytes),
        ],
        sizes in prop::collection::vec(1_usize..9, 1..5),
    ) {
        prop_assert_eq!(read(Pieces::new(&text, &sizes)), read(&text[..]));
    }

    #[test]
    fn what_reads_whole_as_json_reads_as_rows(text in "[\\[\\]{}:,\"\\\\ \n01a]{0,24}") {
        let text = format!("[{text}]");
        let whole: Option<Vec<Value>> = serde_json::from_str(&text).ok();
        let (rows, stop) = read(text.as_bytes());
        match whole {
            Some(whole) => {
                prop_assert_eq!(stop, None);
                let rows: Vec<Value> = rows.into_iter().map(|row| row.value.unwrap()).collect();
                prop_assert_eq!(rows, whole);
            }
            None => prop_assert!(stop.is_some()),
        }
    }
}
