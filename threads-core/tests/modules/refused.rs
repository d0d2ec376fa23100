//! Steps, schemas and manifests that do not fit.

use serde_json::{Map, Value, json};
use threads_core::module::{
    AclTemplate, DEFINITION_BYTES_MAX, IndexSpec, Lens, MAP_VALUES_MAX, Manifest, Module,
    ModuleCollection, STEP_LEVELS_MAX, STEP_VALUE_BYTES_MAX, STEPS_MAX, Step, VERSIONS_MAX,
    Version,
};
use threads_core::{ErrorKind, Result};

use super::versions::versions;

/// A schema that lists these members.
fn listed(names: &[&str]) -> Value {
    let members = names.iter().map(|name| ((*name).to_owned(), json!({})));
    json!({"properties": members.collect::<Map<_, _>>()})
}

fn assert_refused(one: &[&str], steps: &[Step], two: &[&str], said: &str) {
    let (one, two) = (listed(one), listed(two));
    let error = Lens::of(&[(&one, &[]), (&two, steps)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains(said), "{said}: {error}");
}

#[test]
fn steps_that_do_not_fit_are_refused() {
    let (add, remove) = (
        |path: &str| Step::add(path).unwrap(),
        Step::remove("a").unwrap(),
    );
    let rename = |from: &str, to: &str| Step::rename(from, to).unwrap();
    assert_refused(&["a"], &[], &["a", "b"], "no step brings");
    assert_refused(&["a", "b"], &[], &["a"], "does not list");
    assert_refused(&["a"], &[add("a")], &["a"], "used already");
    assert_refused(&["a"], &[add("_id")], &["a"], "used already");
    assert_refused(&["a"], &[remove.clone(), add("a")], &["a"], "used already");
    let again = [remove, rename("b", "a")];
    assert_refused(&["a", "b"], &again, &["a"], "a name that is used already");
    assert_refused(&["a"], &[rename("x", "b")], &["b"], "begins with a member");
    assert_refused(&["a"], &[add("x.b")], &["a", "x"], "into an object");
    assert_refused(&["a"], &[rename("a", "a.b")], &["a"], "into itself");
    let mapped = Step::map("a", "b", [(json!(1), json!("one"))]).unwrap();
    let lost = Step::remove_with("b", json!("two")).unwrap();
    assert_refused(
        &["a"],
        &[mapped.clone(), lost],
        &[],
        "no value for this one",
    );
    assert_refused(&["a"], &[mapped, add("b.c")], &["b"], "reaches into");
    let wrapped = Step::wrap("b", "bs").unwrap();
    let shown = Step::add_with("b", json!(1)).unwrap();
    assert_refused(
        &["a"],
        &[shown, wrapped],
        &["a", "bs"],
        "cannot become a list",
    );
    // A place that something removed has is not free, whatever leads there now.
    let address = |members: &[&str]| json!({"properties": {"address": listed(members)}});
    let home = json!({"properties": {"home": listed(&["city", "zip"])}});
    let steps = [
        Step::remove("address.zip").unwrap(),
        rename("address", "home"),
        add("home.zip"),
    ];
    let error = Lens::of(&[(&address(&["city", "zip"]), &[]), (&home, &steps)]).unwrap_err();
    assert!(
        error.to_string().contains("needs a place that is used"),
        "{error}"
    );
}

#[test]
fn what_is_too_large_is_refused() {
    let add = |path: &str| Step::add(path).unwrap();
    let long = Step::add_with("b", "x".repeat(STEP_VALUE_BYTES_MAX).into()).unwrap();
    assert_refused(&["a"], &[long], &["a", "b"], "too long");
    let deep = add(&["b"; STEP_LEVELS_MAX + 1].join("."));
    assert_refused(&["a"], &[deep], &["a", "b"], "too deep");
    let many = vec![(json!(1), json!(1)); MAP_VALUES_MAX + 1];
    let many = Step::map("a", "b", many).unwrap();
    assert_refused(&["a"], &[many], &["b"], "too many values");
    assert_refused(
        &["a"],
        &vec![add("b"); STEPS_MAX + 1],
        &["a", "b"],
        "too many steps",
    );
    let wide: Vec<_> = (0..1_001).map(|n| n.to_string()).collect();
    let wide: Vec<_> = wide.iter().map(|name| &**name).collect();
    assert!(Lens::of(&[(&listed(&wide), &[])]).is_err());
}

#[test]
fn schemas_that_list_nothing_or_never_end_are_refused() {
    let a = listed(&["a"]);
    let open = json!({"properties": {"a": {}}, "additionalProperties": {}});
    for schema in [
        json!({}),
        json!(true),
        open,
        json!({"$ref": "#"}),
        json!({"$ref": "#/x"}),
    ] {
        let error = Lens::of(&[(&schema, &[])]).unwrap_err();
        assert!(error.to_string().contains("lists its members"), "{error}");
    }
    assert!(Lens::of(&[(&a, &[Step::add("b").unwrap()])]).is_err());
    assert!(Lens::of(&[]).is_err());
    // One that goes round ends, and an entity may be as deep as it likes.
    let round = json!({"properties": {"a": {"$ref": "#"}}});
    let lens = Lens::of(&[(&round, &[])]).unwrap();
    let deep = (0..60).fold(json!({"b": 1}), |inner, _| json!({"a": inner}));
    assert!(!lens.get(&deep).to_string().contains('b'));
    let forks = json!({"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"$ref": "#"}}});
    assert!(Lens::of(&[(&forks, &[])]).is_err());

    let lens = Lens::of(&[(&a, &[])]).unwrap();
    assert!(lens.put(None, &json!([])).is_err());
    let error = lens.put(None, &json!({"a": 1, "b": 2})).unwrap_err();
    assert!(error.to_string().contains("/b"), "{error}");
}

/// A module with whatever id, versions and template a test gives it.
#[derive(Debug)]
struct Odd(&'static str, Vec<Version>, Option<AclTemplate>);

impl Module for Odd {
    fn id(&self) -> &str {
        self.0
    }
    fn versions(&self) -> Result<Vec<Version>> {
        Ok(self.1.clone())
    }
    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        Ok(self.2.clone())
    }
    fn vectors(&self) -> Option<&str> {
        None
    }
}

#[test]
fn a_manifest_is_checked() {
    let note = |codec: &str| {
        ModuleCollection::new("Note", codec, json!({"properties": {"text": {}}})).unwrap()
    };
    let plain = || Version::new().with(note("jsonpatch/1"));
    let other = || {
        let task = ModuleCollection::new("Task", "jsonpatch/1", json!({"properties": {}}));
        Version::new().with(task.unwrap())
    };
    let of = |versions: Vec<Version>| Manifest::of(&Odd("org.example.notes", versions, None));
    assert_eq!(of(vec![plain()]).unwrap().version(), 1);
    let long = "x".repeat(DEFINITION_BYTES_MAX);
    let large = ModuleCollection::new(
        "Note",
        "jsonpatch/1",
        json!({"properties": {"text": {"description": long}}}),
    );
    let mapped = note("jsonpatch/1")
        .with_step(Step::wrap("text", "texts").unwrap())
        .with_index(IndexSpec::on("texts".parse().unwrap()));
    let mut wrapped = mapped;
    wrapped.spec.schema = Some(json!({"properties": {"texts": {"items": {}}}}));
    let reserved = ModuleCollection::new("$modules", "jsonpatch/1", json!({"properties": {}}));
    for (versions, said) in [
        (vec![], "at least one version"),
        (vec![plain(); VERSIONS_MAX + 1], "not too many"),
        (vec![Version::new()], "at least one collection"),
        (vec![plain().with(note("jsonpatch/1"))], "name of its own"),
        (
            vec![Version::new().with(reserved.unwrap())],
            "name of its own",
        ),
        (
            vec![plain(), Version::new().with(note("other/1"))],
            "keeps the codec",
        ),
        (vec![plain(), other(), plain()], "does not come back"),
        (vec![Version::new().with(large.unwrap())], "too long"),
        (
            vec![plain(), Version::new().with(wrapped)],
            "not stored as it is",
        ),
    ] {
        let error = of(versions).unwrap_err().to_string();
        assert!(
            error.contains(said) && error.contains("org.example.notes"),
            "{said}: {error}"
        );
    }
    for id in [
        "",
        "notes",
        "org..notes",
        "Org.example",
        "org.example/notes",
        &*"a.".repeat(100),
    ] {
        let id: &'static str = id.to_owned().leak();
        assert!(Manifest::of(&Odd(id, vec![plain()], None)).is_err(), "{id}");
    }
    let strange = AclTemplate::new().restrict("Task".parse().unwrap(), "x".parse().unwrap());
    let error = Manifest::of(&Odd("org.example.notes", vec![plain()], Some(strange))).unwrap_err();
    assert!(error.to_string().contains("does not have"), "{error}");
}

#[test]
fn steps_are_data_and_what_is_no_step_is_refused() {
    for (_, steps) in versions() {
        let text = serde_json::to_string(&steps).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Step>>(&text).unwrap(), steps);
    }
    let null = Step::add_with("a", Value::Null).unwrap();
    let text = serde_json::to_string(&null).unwrap();
    assert_eq!(serde_json::from_str::<Step>(&text).unwrap(), null);
    for unknown in [
        "{\"split\":{\"from\":\"a\"}}",
        "{\"add\":{\"path\":\"a\",\"since\":2}}",
        "{\"add\":{}}",
    ] {
        assert!(serde_json::from_str::<Step>(unknown).is_err(), "{unknown}");
    }
}
