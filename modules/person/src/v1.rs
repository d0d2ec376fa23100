//! Version 1, the whitepaper's: for applications that were written for it.
//!
//! ```
//! use threads_module_person::v1::Person;
//! let john = Person { age: Some(42), ..Person::named("John", "Doe") };
//! assert_eq!(serde_json::to_value(&john).unwrap()["firstName"], "John");
//! ```

use serde::{Deserialize, Serialize};
use serde_json::json;
use threads_core::Result;
use threads_core::module::{IndexSpec, ModuleCollection};

use super::{PERSON, has_name};

/// A person in version 1. See the example of the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Made by the database when there is none.
    #[serde(rename = "_id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
    /// How many years old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<u32>,
    /// An address of electronic mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl Person {
    /// Somebody of whom only the name is known. See the example of the [module](self).
    pub fn named(first: &str, last: &str) -> Self {
        Self {
            first_name: first.to_owned(),
            last_name: last.to_owned(),
            ..Self::default()
        }
    }
}

pub(super) fn collection() -> Result<ModuleCollection> {
    let text = || json!({"type": "string", "maxLength": 1_000});
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A person",
        "type": "object",
        "required": ["firstName", "lastName"],
        "properties": {
            "firstName": text(),
            "lastName": text(),
            "age": {"type": "integer", "minimum": 0},
            "email": text(),
        },
    });
    Ok(ModuleCollection::new(PERSON, "jsonpatch/1", schema)?
        .with_index(IndexSpec::on("lastName".parse()?))
        .with_invariant("a person has a name", |person| {
            has_name(person, ["firstName", "lastName"])
        })
        .with_fixture(
            json!({"firstName": "John", "lastName": "Doe", "age": 42, "email": "john@example.org"}),
        )
        .with_fixture(json!({"firstName": "Bo", "lastName": ""})))
}
