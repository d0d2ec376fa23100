#![doc = include_str!("../README.md")]

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use threads_core::Result;
use threads_core::module::{AclTemplate, IndexSpec, Module, ModuleCollection, Step, Version};

pub mod v1;

/// The name of the collection.
pub const PERSON: &str = "Person";

/// The module.
///
/// ```
/// use threads_core::module::Manifest;
/// use threads_module_person::People;
/// assert_eq!(Manifest::of(&People).unwrap().version(), 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct People;

/// A person in version 2.
///
/// ```
/// use threads_module_person::Person;
/// let ann = Person { born: Some("1961-02-03".into()), ..Person::named("Ann", "Lee") };
/// assert_eq!(serde_json::to_value(&ann).unwrap()["familyName"], "Lee");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Made by the database when there is none.
    #[serde(rename = "_id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What friends call somebody.
    pub given_name: String,
    /// What a family shares; blank where nobody has such a name.
    pub family_name: String,
    /// Addresses of electronic mail, the most important first.
    pub emails: Vec<String>,
    /// The day of birth, such as `1961-02-03`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<String>,
    /// Languages as BCP 47 names them, the best first.
    pub languages: Vec<String>,
}

impl Person {
    /// Somebody of whom only the name is known.
    ///
    /// ```
    /// assert!(threads_module_person::Person::named("Ann", "Lee").emails.is_empty());
    /// ```
    pub fn named(given: &str, family: &str) -> Self {
        Self {
            given_name: given.to_owned(),
            family_name: family.to_owned(),
            ..Self::default()
        }
    }
}

impl Module for People {
    fn id(&self) -> &str {
        "org.threads.person"
    }

    fn versions(&self) -> Result<Vec<Version>> {
        let all = [v1::collection()?, collection()?];
        Ok(all.map(|people| Version::new().with(people)).into())
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        Ok(None)
    }

    fn vectors(&self) -> Option<&str> {
        Some(include_str!("../vectors.json"))
    }
}

/// Version 2.
fn collection() -> Result<ModuleCollection> {
    let text = || json!({"type": "string", "maxLength": 1_000});
    let texts = || json!({"type": "array", "items": text(), "maxItems": 100});
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A person",
        "type": "object",
        "required": ["givenName", "familyName", "emails", "languages"],
        "properties": {
            "givenName": text(),
            "familyName": text(),
            "emails": texts(),
            "born": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
            "languages": texts(),
        },
    });
    Ok(ModuleCollection::new(PERSON, "jsonpatch/1", schema)?
        .with_step(Step::rename("firstName", "givenName")?)
        .with_step(Step::rename("lastName", "familyName")?)
        .with_step(Step::wrap("email", "emails")?)
        .with_step(Step::remove("age")?)
        .with_step(Step::add("born")?)
        .with_step(Step::add_with("languages", json!([]))?)
        .with_index(IndexSpec::on("familyName".parse()?))
        .with_invariant("a person has a name", |person| {
            has_name(person, ["givenName", "familyName"])
        })
        .with_fixture(json!({
            "givenName": "Ann", "familyName": "Lee", "emails": ["ann@example.org", "lee@example.org"],
            "born": "1961-02-03", "languages": ["nb", "en"],
        }))
        .with_fixture(json!({"givenName": "Bo", "familyName": "", "emails": [], "languages": []})))
}

/// Whether one of two members says something.
fn has_name(person: &Value, members: [&str; 2]) -> bool {
    let says = |name: &str| {
        person[name]
            .as_str()
            .is_some_and(|text| !text.trim().is_empty())
    };
    members.into_iter().any(says)
}
