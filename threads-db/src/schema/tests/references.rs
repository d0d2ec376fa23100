//! References: within the schema, in circles, and as many as are followed.

use super::*;

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
