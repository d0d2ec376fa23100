//! Schemas: what is allowed, what is refused and why, and what it says of an entity.

use proptest::prelude::*;
use serde_json::json;
use threads_core::ErrorKind;

use super::*;

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

/// A chain of definitions, each made from a reference to the next, and the last.
fn chain(length: usize, link: impl Fn(Value) -> Value, last: Value) -> Value {
    let mut parts = Map::new();
    for i in 0..length {
        parts.insert(
            format!("d{i}"),
            link(json!({"$ref": format!("#/$defs/d{}", i + 1)})),
        );
    }
    parts.insert(format!("d{length}"), last);
    json!({"$ref": "#/$defs/d0", "$defs": parts})
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
fn row_40_references_stay_within_the_schema() {
    for reference in [
        "http://127.0.0.1:1/schema",
        "https://example.org/schema#/a",
        "//example.org/schema",
        "file:///etc/passwd",
        "file:schema.json",
        "schema.json",
        "urn:example:schema",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2020-12/schema",
        "https://json-schema.org/draft/2020-12/meta/core",
    ] {
        for schema in [
            json!({"$ref": reference}),
            json!({"properties": {"a": {"$ref": reference}}}),
            json!({"$defs": {"unused": {"$ref": reference}}}),
            json!({"$id": "https://example.com/root", "items": {"$ref": reference}}),
            json!({"$dynamicRef": reference}),
            json!({"$schema": DRAFTS[3], "allOf": [{"$recursiveRef": reference}]}),
            json!({"$schema": DRAFTS[0], "items": [{"$ref": reference}]}),
        ] {
            let error = refusal(&schema);
            assert!(
                error.contains("only references within the schema itself"),
                "{schema}: {error}"
            );
            let file = reference.trim_end_matches('#').rsplit('/').next().unwrap();
            assert!(error.contains(file), "names the reference: {error}");
        }
    }
}

#[test]
fn references_within_the_schema_work() {
    let text = json!({"type": "string"});
    for schema in [
        json!({"$ref": "#/$defs/t", "$defs": {"t": text}}),
        json!({"$ref": "#t", "$defs": {"t": {"$anchor": "t", "type": "string"}}}),
        json!({"$ref": "t.json", "$defs": {"t": {"$id": "t.json", "type": "string"}}}),
        json!({"$id": "https://example.org/a/root.json", "$ref": "t.json",
            "$defs": {"t": {"$id": "https://example.org/a/t.json", "type": "string"}}}),
        json!({"$id": "https://example.org/root", "$ref": "https://example.org/root#/$defs/t",
            "$defs": {"t": text}}),
        json!({"$id": "root.json", "$ref": "#/$defs/t", "$defs": {"t": text}}),
        json!({"$id": "dir/root.json", "$ref": "#/$defs/t", "$defs": {"t": text}}),
        json!({"$id": "urn:example:root", "$ref": "#/$defs/t", "$defs": {"t": text}}),
        json!({"$dynamicRef": "#t", "$defs": {"t": {"$dynamicAnchor": "t", "type": "string"}}}),
        json!({"$schema": DRAFTS[2], "$ref": "#/definitions/t", "definitions": {"t": text}}),
        json!({"$schema": DRAFTS[0], "allOf": [{"$ref": "#t"}],
            "definitions": {"t": {"id": "#t", "type": "string"}}}),
        json!({"$ref": "#/x-shared/0/a~1b%25", "x-shared": [{"a/b%": text}]}),
    ] {
        assert!(accepts(&schema, &json!("yes")), "{schema}");
        assert!(!accepts(&schema, &json!(5)), "{schema}");
    }
    let error = refusal(&json!({"$ref": "#/$defs/missing"}));
    assert!(
        error.contains("does not resolve") && error.contains("#/$defs/missing"),
        "{error}"
    );
}

#[test]
fn circles_that_look_no_deeper_are_refused() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"not": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}}),
        json!({"if": {"$ref": "#"}}),
        json!({"dependentSchemas": {"a": {"$ref": "#"}}}),
        json!({"$schema": DRAFTS[2], "dependencies": {"a": {"$ref": "#"}}}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
        json!({"$dynamicAnchor": "a", "oneOf": [{"$dynamicRef": "#a"}]}),
        json!({"$schema": DRAFTS[3], "$recursiveAnchor": true, "anyOf": [{"$recursiveRef": "#"}]}),
    ] {
        let error = refusal(&schema);
        assert!(error.contains("go round in a circle"), "{schema}: {error}");
    }
}

#[test]
fn circles_that_look_deeper_are_followed_to_the_deepest_entity() {
    let own = json!({"type": "object", "properties": {"a": {"$ref": "#"}}});
    let mutual = json!({
        "$defs": {
            "odd": {"type": "object", "properties": {"a": {"$ref": "#/$defs/even"}}},
            "even": {"type": "object", "additionalProperties": {"$ref": "#/$defs/odd"}},
        },
        "$ref": "#/$defs/odd",
    });
    let extensible = json!({
        "$dynamicAnchor": "node",
        "type": "object",
        "properties": {"a": {"$dynamicRef": "#node"}},
    });
    for schema in [own, mutual, extensible] {
        assert!(accepts(&schema, &nested(ENTITY_DEPTH_MAX)));
        let mut wrong = nested(ENTITY_DEPTH_MAX);
        *wrong
            .pointer_mut(&"/a".repeat(ENTITY_DEPTH_MAX - 1))
            .unwrap() = json!(1);
        let error = complaint(&schema, &wrong);
        assert!(
            error.message().contains("must be object, not integer"),
            "{error}"
        );
        let error = complaint(&schema, &nested(ENTITY_DEPTH_MAX + 1));
        assert!(error.message().contains("nested too deeply"), "{error}");
    }
}

#[test]
fn the_longest_way_fits_a_small_stack() {
    // Sixteen steps per level, times 64 levels: the longest that is allowed, or nearly.
    let round = |steps: usize| {
        let parts = steps / 2 - 1;
        let mut schema = chain(
            parts,
            |next| json!({"allOf": [next]}),
            json!({"properties": {"a": {"$ref": "#/$defs/d0"}}, "required": ["b"]}),
        );
        schema["$defs"]["d0"]["type"] = json!("object");
        schema
    };
    let longest = (2..64)
        .rev()
        .find(|n| CompiledSchema::compile(&round(*n)).is_ok())
        .unwrap();
    assert!(longest >= 12, "{longest}");
    let check = move || {
        let schema = compile(&round(longest));
        schema.validate(&nested(ENTITY_DEPTH_MAX)).unwrap_err();
    };
    // What a thread gets that asks for nothing, less what its application may have used.
    let thread = std::thread::Builder::new()
        .stack_size(1536 * 1024)
        .spawn(check)
        .unwrap();
    thread.join().unwrap();

    let error = refusal(&round(64));
    assert!(error.contains("too long a chain"), "{error}");
}

#[test]
fn references_that_multiply_are_refused() {
    for (name, schema) in [
        (
            "twice",
            chain(14, |next| json!({"allOf": [next.clone(), next]}), json!({})),
        ),
        (
            "unevaluated",
            chain(
                10,
                |next| json!({"anyOf": [next], "unevaluatedProperties": false}),
                json!({}),
            ),
        ),
    ] {
        let error = refusal(&schema);
        assert!(error.contains("multiply"), "{name}: {error}");
    }
    // A few times is fine.
    compile(&chain(
        5,
        |next| json!({"allOf": [next.clone(), next]}),
        json!({}),
    ));
}

#[test]
fn entities_that_multiply_the_steps_are_refused() {
    let fork = |next: Value| json!({"allOf": [{"properties": {"a": next.clone()}}, {"properties": {"a": next}}]});
    // Two checks per level, recursive and not: 2^63 steps for an entity of 400 bytes.
    for schema in [
        fork(json!({"$ref": "#"})),
        chain(
            64,
            fork,
            json!({"properties": {"a": {"$ref": "#/$defs/d0"}}}),
        ),
    ] {
        let error = complaint(&schema, &nested(ENTITY_DEPTH_MAX));
        assert!(
            error.message().contains("recursive alternatives"),
            "{error}"
        );
        assert!(accepts(&schema, &nested(10)));
    }
    // A tree that branches in the entity, not in the schema, goes as deep as any.
    let tree = json!({"properties": {"kids": {"items": {"$ref": "#"}}}});
    let deep = (0..31).fold(json!({}), |kid, _| json!({"kids": [kid, {}, {}]}));
    assert!(accepts(&tree, &deep));
}

#[test]
fn a_large_entity_is_fine() {
    let schema = json!({"properties": {"list": {"items": {"type": "integer", "minimum": 0}}}});
    let mut entity = json!({"_id": "a", "list": vec![1; 500_000]});
    assert!(accepts(&schema, &entity));
    entity["list"][77_777] = json!(-1);
    let error = complaint(&schema, &entity);
    assert!(
        error.message().contains("too large to say where"),
        "{error}"
    );
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
fn keywords_keep_their_meaning() {
    for (schema, good, bad) in [
        (json!({"minimum": 0}), json!(0), json!(-1)),
        (
            json!({"minimum": 0.5, "maximum": 1.5}),
            json!(1),
            json!(0.25),
        ),
        (json!({"exclusiveMinimum": 0.5}), json!(0.75), json!(0.5)),
        (
            json!({"minLength": 0, "maxLength": 0}),
            json!(""),
            json!("a"),
        ),
        (json!({"const": {"a": 0}}), json!({"a": 0}), json!({"a": 1})),
        (
            json!({"if": {"type": "string"}, "then": {"minLength": 1}}),
            json!(1),
            json!(""),
        ),
        (json!({"contains": {"const": 1}}), json!([0, 1]), json!([0])),
        (json!({"type": ["string", "null"]}), json!(null), json!(1)),
        (json!({"multipleOf": 0.1}), json!(0.3), json!(0.35)),
        (json!({"uniqueItems": true}), json!([1, 2]), json!([1, 1.0])),
        (json!({"enum": [null, false, 0]}), json!(0), json!("0")),
        (json!({"maxLength": 1}), json!("é"), json!("éé")),
        (
            json!({"unevaluatedProperties": false, "anyOf": [{"properties": {"a": {}}}]}),
            json!({"a": 1}),
            json!({"b": 1}),
        ),
        (
            json!({"$schema": DRAFTS[2], "format": "date"}),
            json!("2024-02-29"),
            json!("2023-02-29"),
        ),
    ] {
        assert!(accepts(&schema, &good), "{schema} {good}");
        assert!(!accepts(&schema, &bad), "{schema} {bad}");
    }
    assert!(
        accepts(&json!({"format": "date"}), &json!("never")),
        "a remark in 2020-12"
    );
}

#[test]
fn an_entity_may_have_an_id_that_its_schema_does_not_mention() {
    let entity = json!({"_id": "a", "name": "Ada"});
    let name = json!({"name": {"type": "string"}});
    for schema in [
        json!({"properties": name, "additionalProperties": false}),
        json!({"properties": name, "unevaluatedProperties": false}),
        json!({"propertyNames": {"pattern": "^[a-z]+$"}, "maxProperties": 1}),
        json!({"$ref": "#/$defs/p", "$defs": {"p": {"properties": name, "additionalProperties": false}}}),
        json!({"properties": {"name": {"properties": {"_id": false}}}, "additionalProperties": false,
            "required": ["name"]}),
    ] {
        assert!(accepts(&schema, &entity), "{schema}");
    }
}

#[test]
fn an_id_that_the_schema_mentions_is_checked() {
    let id = json!({"properties": {"_id": {"pattern": "^p-"}}});
    for schema in [
        id.clone(),
        json!({"allOf": [id]}),
        json!({"$ref": "#/$defs/p", "$defs": {"p": id}}),
    ] {
        assert!(accepts(&schema, &json!({"_id": "p-1"})), "{schema}");
        assert!(!accepts(&schema, &json!({"_id": "a"})), "{schema}");
    }
    assert!(accepts(&json!({"required": ["_id"]}), &json!({"_id": "a"})));
    assert!(!accepts(&json!({"required": ["_id"]}), &json!({})));
    // Whoever mentions it and closes the door, lists it.
    let closed = json!({"required": ["_id"], "additionalProperties": false});
    assert!(!accepts(&closed, &json!({"_id": "a"})));
}

#[test]
fn violations_say_where_and_why() {
    let schema = json!({
        "properties": {
            "age": {"type": "integer", "minimum": 0},
            "tags": {"items": {"type": ["string", "null"], "maxLength": 3}},
            "a/b": {"const": 1},
        },
        "required": ["name"],
        "additionalProperties": false,
    });
    for (entity, at, why) in [
        (json!({"name": 1}), "/name", "/name is not a known member"),
        (json!({}), "/name", "/name is required"),
        (
            json!({"age": "x"}),
            "/age",
            "/age must be integer, not string",
        ),
        (json!({"age": -1}), "/age", "/age must be at least 0"),
        (
            json!({"tags": ["a", 1]}),
            "/tags/1",
            "/tags/1 must be null or string, not integer",
        ),
        (
            json!({"tags": ["long"]}),
            "/tags/0",
            "/tags/0 must have at most 3 characters",
        ),
        (json!({"a/b": 2}), "/a~1b", "/a~1b must be 1"),
    ] {
        let error = complaint(&schema, &entity);
        assert!(error.message().contains(why), "{error}");
        let mut at_first = error.context().filter(|(name, _)| *name == "at");
        let first = at_first.next().unwrap().1;
        assert!(error.message().contains(&format!(": {first} ")), "{error}");
        assert!(
            first == at || error.message().contains(&format!("; {at} ")),
            "{error}"
        );
        assert!(at_first.next().is_none());
    }
    let error = complaint(&json!({"type": "object"}), &json!([]));
    assert!(
        error.message().ends_with("it must be object, not array"),
        "{error}"
    );
}

#[test]
fn violations_are_few_and_short() {
    let secret = "s3cret".repeat(10_000);
    let schema = json!({"items": {"type": "integer"}});
    let error = complaint(&schema, &json!(vec![&secret; 10]));
    assert!(
        error
            .message()
            .contains("/2 must be integer, not string; and 7 more"),
        "{error}"
    );

    let long = "n".repeat(10_000);
    let schema = json!({
        "additionalProperties": false,
        "properties": {"p": {"enum": vec![&long; 2]}, "q": {"pattern": "^x*$"}, "r": {"not": {}}},
    });
    let entity = json!({"p": secret, "q": secret, "r": secret, &long: 1});
    let error = complaint(&schema, &entity);
    assert!(!error.to_string().contains("s3cret"), "{error}");
    assert!(
        error.to_string().len() < 1_200,
        "{}",
        error.to_string().len()
    );
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
