#![doc = include_str!("../README.md")]

use serde::{Deserialize, Serialize};
use serde_json::json;
use threads_core::Result;
use threads_core::module::{AclTemplate, IndexSpec, Module, ModuleCollection, Step, Version};

/// The name of the collection.
pub const NOTE: &str = "Note";

/// The module.
///
/// ```
/// use threads_core::module::Manifest;
/// use threads_module_notes::TheModule;
/// assert_eq!(Manifest::of(&TheModule).unwrap().version(), 2);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TheModule;

/// An entity, as the last version has it.
///
/// ```
/// use threads_module_notes::Note;
/// let note = Note { text: "Milk".to_owned(), ..Note::default() };
/// assert!(note.tags.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Made by the database when there is none.
    #[serde(rename = "_id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it says.
    pub text: String,
    /// What it is about.
    pub tags: Vec<String>,
}

impl Module for TheModule {
    fn id(&self) -> &str {
        "org.example.notes"
    }

    fn versions(&self) -> Result<Vec<Version>> {
        // A published version stays as it is: add one after it.
        Ok(vec![
            Version::new().with(note_1()?),
            Version::new().with(note_2()?),
        ])
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        Ok(None)
    }

    fn vectors(&self) -> Option<&str> {
        // What was published: tests/laws.rs writes it, and before that it is empty.
        let published = include_str!("../vectors.json");
        (!published.is_empty()).then_some(published)
    }
}

/// Version 1.
fn note_1() -> Result<ModuleCollection> {
    let schema = json!({
        "type": "object",
        "required": ["text"],
        "properties": {"text": {"type": "string"}},
    });
    Ok(ModuleCollection::new(NOTE, "jsonpatch/1", schema)?
        .with_invariant("a note says something", |note| note["text"] != "")
        .with_fixture(json!({"text": "Milk"})))
}

/// Version 2 adds tags. Version 1 does not see them, and keeps them.
fn note_2() -> Result<ModuleCollection> {
    let schema = json!({
        "type": "object",
        "required": ["text", "tags"],
        "properties": {
            "text": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    });
    Ok(ModuleCollection::new(NOTE, "jsonpatch/1", schema)?
        .with_step(Step::add_with("tags", json!([]))?)
        .with_index(IndexSpec::on("tags".parse()?))
        .with_invariant("a note says something", |note| note["text"] != "")
        .with_fixture(json!({"text": "Milk", "tags": ["shop"]})))
}
