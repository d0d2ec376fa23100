//! The text form of queries: what it means, where it breaks, and that it comes back the same.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like a test")]

mod query_support;

use std::error::Error as _;

use proptest::prelude::*;
use serde_json::{Value, json};
use threads_core::{ErrorKind, FieldPath};
use threads_db::query::{
    DEPTH_MAX, Filter, IN_MAX, NODES_MAX, Query, QueryError, TEXT_BYTES_MAX, field,
};

fn broken(text: &str) -> QueryError {
    let error = Filter::parse(text).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let place = error
        .source()
        .expect("a source")
        .downcast_ref::<QueryError>();
    place.expect("a query error").clone()
}

fn path<const N: usize>(segments: [&str; N]) -> FieldPath {
    FieldPath::new(segments).unwrap()
}

#[test]
fn the_papers_query_is_the_same_built_and_written() {
    let built = field("age")
        .ge(60)
        .and(field("age").lt(66))
        .or(field("age").eq(67));
    for text in [
        "age >= 60 and age < 66 or age == 67",
        "(age>=60 AND age<66) Or age=67",
        " ( ( age >= 60 ) and ( age < 66 ) ) or ( age = 67 ) ",
        "/age >= 60 and \"age\" < 66 or age = 67",
    ] {
        assert_eq!(Filter::parse(text).unwrap(), built, "{text}");
    }
    let ages = [59, 60, 65, 66, 67, 68].map(|age| built.matches(&json!({"age": age})));
    assert_eq!(ages, [false, true, true, false, true, false]);
}

#[test]
fn every_condition_parses_to_what_the_builder_makes() {
    let table: Vec<(&str, Filter)> = vec![
        ("a=1", field("a").eq(1)),
        ("a == 1", field("a").eq(1)),
        ("a != 1", field("a").ne(1)),
        ("a<>1", field("a").ne(1)),
        ("a<-1", field("a").lt(-1)),
        ("a <= 1.5", field("a").le(1.5)),
        ("a>1e3", field("a").gt(1000.0)),
        ("a >= -2.5E-1", field("a").ge(-0.25)),
        ("a = 18446744073709551615", field("a").eq(u64::MAX)),
        ("a = -9223372036854775808", field("a").eq(i64::MIN)),
        (
            "a = 18446744073709551616",
            field("a").eq(18_446_744_073_709_551_616.0),
        ),
        ("a = 007", field("a").eq(7)),
        ("a = 'it''s \\n'", field("a").eq("it's \\n")),
        ("a = ''", field("a").eq("")),
        ("a = TRUE", field("a").eq(true)),
        ("a = false", field("a").eq(false)),
        ("a = Null", field("a").eq(())),
        ("a = []", field("a").eq(json!([]))),
        (
            "a = [1, 'x', [null]]",
            field("a").eq(json!([1, "x", [null]])),
        ),
        (
            "a = {x: 1, \"y z\": {}}",
            field("a").eq(json!({"x": 1, "y z": {}})),
        ),
        ("a in [1, 'b']", field("a").is_in([json!(1), json!("b")])),
        ("a IN (1)", field("a").is_in([1])),
        ("a in []", field("a").is_in([] as [Value; 0])),
        ("a not in [1]", field("a").not_in([1])),
        ("a contains 'x'", field("a").contains("x")),
        ("a starts_with 'x'", field("a").starts_with("x")),
        ("a exists", field("a").exists()),
        ("a not exists", field("a").not_exists()),
        ("not a exists", field("a").not_exists()),
        ("not not a = 1", !!field("a").eq(1)),
        (
            "not a = 1 and b = 2",
            (!field("a").eq(1)).and(field("b").eq(2)),
        ),
        (
            "a = 1 or b = 2 and c = 3",
            field("a").eq(1).or(field("b").eq(2).and(field("c").eq(3))),
        ),
        (
            "(a = 1 or b = 2) and c = 3",
            field("a").eq(1).or(field("b").eq(2)).and(field("c").eq(3)),
        ),
        (
            "a = 1 and (b = 2 and c = 3)",
            Filter::all([field("a").eq(1), field("b").eq(2), field("c").eq(3)]),
        ),
        ("true", Filter::all([])),
        ("false", Filter::any([])),
        ("true and a = 1", field("a").eq(1)),
    ];
    for (text, filter) in table {
        assert_eq!(Filter::parse(text).expect(text), filter, "{text}");
        assert_eq!(
            Filter::parse(&filter.to_string()).unwrap(),
            filter,
            "{filter}"
        );
    }
}

#[test]
fn field_names_are_words_quoted_names_or_pointers() {
    let table = [
        ("address.city", path(["address", "city"])),
        ("tags.0.x", path(["tags", "0", "x"])),
        ("_id", path(["_id"])),
        ("first-name", path(["first-name"])),
        ("$ref", path(["$ref"])),
        ("größe", path(["größe"])),
        (
            "address.\"postal code\".x",
            path(["address", "postal code", "x"]),
        ),
        ("\"a.b\"", path(["a.b"])),
        ("\"say \"\"hi\"\"\"", path(["say \"hi\""])),
        ("\"in\"", path(["in"])),
        ("in.not", path(["in", "not"])),
        ("\"2fa\"", path(["2fa"])),
        ("\"\"", path([""])),
        ("/a/b~1c", path(["a", "b/c"])),
        ("/a.b/0", path(["a.b", "0"])),
    ];
    for (text, path) in table {
        let filter = Filter::parse(&format!("{text} exists")).expect(text);
        assert_eq!(filter, Filter::Exists { path });
        assert_eq!(
            Filter::parse(&filter.to_string()).unwrap(),
            filter,
            "{filter}"
        );
    }
}

#[test]
fn errors_name_the_column_and_what_was_expected() {
    let table = [
        (
            "",
            1,
            "expected a field name, 'not' or '(', but the query ends here",
        ),
        ("   ", 4, "expected a field name"),
        (
            "age >= ",
            8,
            "expected a value after '>=', but the query ends here",
        ),
        ("age >=) ", 7, "expected a value after '>=', found )"),
        ("größe == ", 10, "expected a value after '=='"),
        ("age", 4, "expected a comparison"),
        ("age 60", 5, "expected a comparison"),
        (
            "age >= 60 und age < 66",
            11,
            "expected 'and', 'or' or the end, found und",
        ),
        ("age >= 60 and", 14, "expected a field name"),
        ("(age = 1", 9, "expected ')', but the query ends here"),
        ("age = 1)", 8, "expected 'and', 'or' or the end, found )"),
        ("age ! 1", 5, "expected '!='"),
        ("age = 1 && b = 2", 9, "write 'and'"),
        ("age = 1 | b = 2", 9, "write 'or'"),
        ("age = ‘x’", 7, "straight quotes"),
        ("city = Paris", 8, "text goes in single quotes"),
        ("city = \"Paris\"", 8, "text goes in single quotes"),
        ("'city' = 1", 1, "expected a field name (in double quotes"),
        ("not = 1", 5, "expected a field name"),
        ("exists = 1", 1, "also a keyword"),
        ("city = 'Par", 8, "expected a closing '"),
        ("\"city = 1", 1, "expected a closing \""),
        ("a in 1", 6, "expected a list"),
        ("a in [1 2]", 9, "expected ',' or ']'"),
        ("a in [1,]", 9, "expected a value after ','"),
        ("a in (1]", 8, "expected ',' or ')'"),
        ("a not 1", 7, "expected 'in' or 'exists' after 'not'"),
        ("a starts_with 1", 15, "expected a text in single quotes"),
        ("a.", 3, "expected a name after '.'"),
        ("a..b = 1", 3, "expected a name after '.'"),
        ("2fa = 1", 2, "goes in double quotes"),
        ("a = 1.", 7, "expected a digit"),
        ("a = -", 6, "expected a digit"),
        ("a = 1e", 7, "expected a digit"),
        ("a = 1.2.3", 8, "ends in a letter or a dot"),
        ("a = 1e999", 5, "too large"),
        ("a = {1: 2}", 6, "expected a name, found 1"),
        ("a = {x 2}", 8, "expected ':'"),
        ("a = {x.y: 2}", 6, "expected one name"),
        ("a = #", 5, "unexpected character '#'"),
        ("a = 1; drop", 6, "unexpected character ';'"),
    ];
    for (text, column, message) in table {
        let error = broken(text);
        assert_eq!(error.column(), column, "{text}: {error}");
        assert!(error.message().contains(message), "{text}: {error}");
        assert!(
            Query::parse(text)
                .unwrap_err()
                .to_string()
                .contains(&format!("column {column}:"))
        );
    }
}

#[test]
fn limits_hold_exactly_and_name_the_column() {
    let many = |count: usize| vec!["a=1"; count].join(" or ");
    assert!(Filter::parse(&many(NODES_MAX - 1)).is_ok());
    assert_eq!(broken(&many(NODES_MAX)).column(), 7 * (NODES_MAX - 1) + 1);

    let deep = |count: usize| "(".repeat(count) + "a=1" + &")".repeat(count);
    assert!(Filter::parse(&deep(DEPTH_MAX)).is_ok());
    assert_eq!(broken(&deep(DEPTH_MAX + 1)).column(), DEPTH_MAX + 2);
    let nots = |count: usize| "not ".repeat(count) + "a=1";
    assert!(Filter::parse(&nots(DEPTH_MAX)).unwrap().check().is_ok());
    assert!(broken(&nots(DEPTH_MAX + 1)).message().contains("levels"));
    let lists = |count: usize| format!("a={}{}", "[".repeat(count), "]".repeat(count));
    assert!(Filter::parse(&lists(DEPTH_MAX)).unwrap().check().is_ok());
    assert!(broken(&lists(DEPTH_MAX + 1)).message().contains("levels"));

    let list = |count: usize| format!("a in [{}]", vec!["1"; count].join(","));
    assert!(Filter::parse(&list(IN_MAX)).is_ok());
    assert!(broken(&list(IN_MAX + 1)).message().contains("1000 values"));

    let long = |bytes: usize| format!("a='{}'", "é".repeat((bytes - 4) / 2));
    assert!(Filter::parse(&long(TEXT_BYTES_MAX)).is_ok());
    let error = broken(&long(TEXT_BYTES_MAX + 2));
    assert_eq!(error.column(), 3 + (TEXT_BYTES_MAX - 4) / 2 + 1);
    assert!(error.message().contains("16384 bytes"));
}

#[test]
fn built_filters_have_the_same_limits() {
    let many = |count: usize| Filter::any((0..count).map(|n| field("a").eq(n)));
    assert!(many(NODES_MAX - 1).check().is_ok());
    assert_eq!(
        many(NODES_MAX).check().unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert!(field("a").is_in(0..=IN_MAX).check().is_err());
    let deep = (0..DEPTH_MAX).fold(field("a").eq(1), |filter, _| !filter);
    assert!(deep.check().is_ok());
    assert!((!deep).check().is_err());
    let list = |depth| (0..depth).fold(json!(1), |value, _| json!([value]));
    assert!(field("a").eq(list(DEPTH_MAX)).check().is_ok());
    assert!(field("a").eq(list(DEPTH_MAX + 1)).check().is_err());
}

/// Text at a depth has filters at the same depth, so what parses can be run and written again.
#[test]
fn text_and_filters_count_depth_alike() {
    let table = [
        ("b=1 or b=2 and (", 1, "a=1 or a=2"),
        ("not (b=1 and c=1 and ", 2, "a=1"),
        ("not ", 1, "a not exists"),
        ("(b=1 or b=2) and not (", 2, "a = 1 or a=2 and a not exists"),
    ];
    for (before, levels, inner) in table {
        let text = |levels: usize| {
            let before = before.repeat(levels);
            let close = ")".repeat(before.matches('(').count() - before.matches(')').count());
            before + inner + &close
        };
        let most = DEPTH_MAX / levels;
        let filter = Filter::parse(&text(most)).expect(before);
        filter.check().expect(before);
        assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter);
        assert!(broken(&text(most + 1)).message().contains("levels"));
        let deeper = field("z").eq(1).or(field("z").eq(2)).and(!filter);
        assert!(deeper.check().is_err(), "{deeper}");
    }
}

#[test]
fn a_path_that_does_not_parse_is_reported_when_the_query_is_used() {
    for filter in [
        field("a..b").eq(1),
        field("x").eq(1).and(field("").exists()),
        field("").not_exists(),
        !field(".").is_in([1]),
    ] {
        assert_eq!(filter.check().unwrap_err().kind(), ErrorKind::Invalid);
        assert!(!filter.matches(&json!({"x": 1})));
    }
    assert!(Query::new().sort("a..b").check().is_err());
    assert!(Query::new().fields(["a", ""]).check().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_canonical_text_parses_back(filter in query_support::filter(query_support::leaf(any_path().boxed()))) {
        let text = filter.to_string();
        prop_assert_eq!(Filter::parse(&text).expect(&text), filter);
    }

    #[test]
    fn filters_put_together_by_hand_mean_what_their_text_does(
        parts in prop::collection::vec(query_support::leaf(query_support::path().boxed()), 0..3),
        document in query_support::document(),
    ) {
        let inner = Filter::Or(vec![Filter::And(parts.clone())]);
        let filter = Filter::And(vec![Filter::Not(Box::new(inner)), Filter::Or(parts)]);
        let parsed = Filter::parse(&filter.to_string()).unwrap();
        prop_assert_eq!(parsed.matches(&document), filter.matches(&document), "{}", filter);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _ = Filter::parse(&text);
    }

    #[test]
    fn no_text_of_words_panics(words in prop::collection::vec(word(), 0..20), gap in " ?") {
        let text = words.join(&gap);
        if let Ok(filter) = Filter::parse(&text) {
            prop_assert!(filter.check().is_ok(), "{}", text);
            prop_assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter);
        }
    }
}

fn any_path() -> impl Strategy<Value = FieldPath> {
    let plain = prop::sample::select(vec!["a", "in", "NOT", "0", "x-y", "-x", "a.b", "é", ""]);
    let segment = prop_oneof![plain.prop_map(str::to_owned), "\\PC{0,6}"];
    prop::collection::vec(segment, 1..4).prop_map(|segments| FieldPath::new(segments).unwrap())
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b.c",
        "\"x y\"",
        "/p/q",
        "=",
        "==",
        "!=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
        "and",
        "or",
        "not",
        "in",
        "contains",
        "starts_with",
        "exists",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "1",
        "-2.5",
        "'t'",
        "''",
        "'",
        "\"",
        "true",
        "false",
        "null",
        ".",
        "-",
        "é",
        "!",
    ])
}
