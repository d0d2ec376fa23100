//! What a schema says of an entity.

use super::*;

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
