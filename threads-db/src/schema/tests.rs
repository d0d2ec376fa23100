//! Schemas: what is allowed, and what is refused and why.

use proptest::prelude::*;
use serde_json::json;
use threads_core::ErrorKind;

use super::*;

mod entities;
mod references;

fn compile(schema: &Value) -> CompiledSchema {
    CompiledSchema::compile(schema).unwrap_or_else(|error| panic!("{schema}: {error}"))
}

fn accepts(schema: &Value, entity: &Value) -> bool {
    compile(schema).validate(entity).is_ok()
}

/// The error of a schema that is refused, as a person sees it.
fn refusal(schema: &Value) -> String {
    let error = CompiledSchema::compile(schema).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error.to_string()
}

fn complaint(schema: &Value, entity: &Value) -> Error {
    let error = compile(schema).validate(entity).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(json!({}), |inner, _| json!({"a": inner}))
}

#[test]
fn every_draft_is_known() {
    let by_draft = [
        // What only this draft, and those of its time, understand.
        (
            DRAFTS[0],
            json!({"maximum": 3, "exclusiveMaximum": true}),
            json!(3),
        ),
        (
            DRAFTS[1],
            json!({"exclusiveMaximum": 3, "contains": {}}),
            json!(3),
        ),
        (
            DRAFTS[2],
            json!({"if": {"type": "number"}, "then": false}),
            json!(3),
        ),
        (
            DRAFTS[3],
            json!({"dependentRequired": {"a": ["b"]}}),
            json!({"a": 1}),
        ),
        (DRAFTS[4], json!({"prefixItems": [false]}), json!([1])),
    ];
    for (draft, mut schema, refused) in by_draft {
        schema["$schema"] = json!(draft);
        assert!(!accepts(&schema, &refused), "{draft}");
        assert!(accepts(&schema, &json!("else")), "{draft}");
        for spelling in [draft.replace("http:", "https:"), draft.replace('#', "")] {
            schema["$schema"] = json!(spelling);
            assert!(!accepts(&schema, &refused), "{spelling}");
        }
    }
    assert!(
        !accepts(&json!({"prefixItems": [false]}), &json!([1])),
        "2020-12 without $schema"
    );
}

#[test]
fn an_unknown_draft_is_refused_with_the_known_ones() {
    for unknown in [
        json!("https://example.org/meta"),
        json!("draft-07"),
        json!(7),
    ] {
        let error = refusal(&json!({"$schema": unknown}));
        for draft in DRAFTS {
            assert!(error.contains(draft), "{error}");
        }
    }
    let error = refusal(&json!({"properties": {"a": {"$schema": "urn:x", "$id": "a"}}}));
    assert!(error.contains("at: /properties/a/$schema"), "{error}");
}

#[test]
fn only_objects_and_booleans_are_schemas() {
    for other in [json!(null), json!(1), json!("string"), json!([])] {
        assert!(
            refusal(&other).starts_with("a schema must be an object"),
            "{other}"
        );
    }
    assert!(accepts(&json!(true), &json!({"_id": "a"})));
    assert!(!accepts(&json!(false), &json!({"_id": "a"})));
    assert!(accepts(&json!({}), &json!({"_id": "a"})));
}

#[test]
fn a_malformed_schema_is_refused_where_it_is_wrong() {
    let error = refusal(&json!({"properties": {"a": {"type": "text"}}}));
    assert!(error.starts_with("not a JSON Schema"), "{error}");
    assert!(error.contains("at: /properties/a/type"), "{error}");
    for malformed in [
        json!({"minimum": "0"}),
        json!({"required": "a"}),
        json!({"properties": []}),
        json!({"$ref": 5}),
        json!({"$id": 5}),
        json!({"pattern": "("}),
        json!({"patternProperties": {"[": {}}}),
        json!({"allOf": {}}),
    ] {
        assert!(CompiledSchema::compile(&malformed).is_err(), "{malformed}");
    }
}

#[test]
fn patterns_run_without_backtracking() {
    // With backtracking this takes 2^100000 steps; the engine has none, so it ends.
    let schema = json!({"pattern": "^(a+)+$"});
    let long = "a".repeat(100_000);
    assert!(accepts(&schema, &json!(long)));
    assert!(!accepts(&schema, &json!(long + "!")));
}

#[test]
fn row_41_patterns_that_need_backtracking_are_refused() {
    for (pattern, construct) in [
        (r"^(a)\1$", "a back-reference"),
        (r"(?<n>a)\k<n>", "a back-reference"),
        ("a(?=b)", "look-around"),
        ("a(?!b)", "look-around"),
        ("(?<=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
    ] {
        for schema in [
            json!({"properties": {"p": {"pattern": pattern}}}),
            json!({"patternProperties": {pattern: {}}}),
            json!({"propertyNames": {"pattern": pattern}}),
            json!({"$defs": {"unused": {"pattern": pattern}}}),
        ] {
            let error = refusal(&schema);
            assert!(
                error.contains(construct) && error.contains(pattern),
                "{schema}: {error}"
            );
        }
    }
    // A comment hides the look-ahead from us, and not from the engine.
    let hidden = json!({"pattern": "(?x)#[\n(?=a)a"});
    assert!(CompiledSchema::compile(&hidden).is_err());
    for fine in [
        r"\\1",
        r"[(?=]",
        r"\(?=",
        "(?:a|b)",
        r"[\]\\]",
        r"^\p{L}+$",
        r"\u0041\d\w\/",
    ] {
        compile(&json!({"pattern": fine}));
    }
}

#[test]
fn sizes_are_bounded() {
    let deep = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({"not": inner}));
    compile(&deep(SCHEMA_DEPTH_MAX));
    assert!(refusal(&deep(SCHEMA_DEPTH_MAX + 1)).contains("nested too deeply"));
    assert!(refusal(&deep(500)).contains("nested too deeply"));

    let long = json!({"description": "x".repeat(SCHEMA_BYTES_MAX)});
    assert!(refusal(&long).contains("too large"));

    let names = |count: usize| -> Map<String, Value> {
        (0..count).map(|i| (format!("p{i}"), json!({}))).collect()
    };
    compile(&json!({"properties": names(SCHEMA_PROPERTIES_MAX)}));
    let many = json!({"properties": names(600), "items": {"properties": names(401)}});
    assert!(refusal(&many).contains("too many properties"));

    compile(&json!({"pattern": "x".repeat(PATTERN_BYTES_MAX)}));
    let long = json!({"pattern": "x".repeat(PATTERN_BYTES_MAX + 1)});
    assert!(refusal(&long).contains("longer than 512 bytes"));
    let heavy = json!({"pattern": r"(\w{200}){200}"});
    assert!(
        CompiledSchema::compile(&heavy).is_err(),
        "compiles to more than a mebibyte"
    );
    let many: Vec<Value> = (0..129)
        .map(|i| json!({"pattern": format!("{i}$")}))
        .collect();
    assert!(refusal(&json!({"anyOf": many})).contains("128 different patterns"));

    let parts = vec![json!({}); 4096];
    assert!(refusal(&json!({"anyOf": parts})).contains("too many parts"));
}

#[test]
fn the_id_of_a_schema_is_that_of_its_canonical_text() {
    let text = r#"{"a":[1,1.5,"é\n"],"b":{"c":true,"d":null}}"#;
    let schema: Value =
        serde_json::from_str(r#"{ "b": {"d": null, "c": true}, "a": [1, 1.5, "\u00e9\n"] }"#)
            .unwrap();
    let expected = multibase::encode(multibase::Base::Base32Lower, sha256(text.as_bytes()));
    assert_eq!(schema_id(&schema), expected);
    assert_ne!(schema_id(&json!({"a": 1})), schema_id(&json!({"a": 2})));
}

#[test]
fn the_schema_of_a_type_compiles() {
    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Node {
        name: String,
        size: Option<u8>,
        kids: Vec<Self>,
    }
    let schema = schema_for::<Node>();
    assert_eq!(schema["$schema"], DRAFTS[4]);
    assert!(accepts(
        &schema,
        &json!({"_id": "a", "name": "x", "kids": [{"name": "y", "kids": []}]})
    ));
    assert!(!accepts(
        &schema,
        &json!({"name": "x", "kids": [{"name": 1, "kids": []}]})
    ));
    assert!(!accepts(
        &schema,
        &json!({"name": "x", "kids": [], "size": 256})
    ));
}

/// Something like a schema: keywords, references and rubbish.
fn schema_like() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-2..3_i64).prop_map(Value::from),
        "(object|string|#|#/\\$defs/a|#/properties/a|a\\(|)".prop_map(Value::from),
    ];
    let keyword = prop::sample::select(vec![
        "$ref",
        "$defs",
        "$id",
        "$anchor",
        "$dynamicRef",
        "$dynamicAnchor",
        "allOf",
        "anyOf",
        "not",
        "if",
        "items",
        "prefixItems",
        "properties",
        "additionalProperties",
        "patternProperties",
        "unevaluatedProperties",
        "type",
        "const",
        "minimum",
        "required",
        "pattern",
        "a",
        "definitions",
    ]);
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keyword.clone(), inner), 0..5).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect()
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn anything_compiles_or_is_refused(schema in schema_like(), entity in schema_like()) {
        match CompiledSchema::compile(&schema) {
            Ok(compiled) => {
                let _ = compiled.validate(&entity);
                let _ = compiled.validate(&nested(ENTITY_DEPTH_MAX));
            }
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Invalid),
        }
    }
}
