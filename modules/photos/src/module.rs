//! The module: schemas, indexes, invariants, examples.

use serde_json::{Value, json};
use threads_core::Result;
use threads_core::blob::BlobRef;
use threads_core::module::{AclTemplate, IndexSpec, Module, ModuleCollection, Version};

use crate::{ALBUM, PHOTO};

const CODEC: &str = "jsonpatch/1";

/// The module.
///
/// ```
/// use threads_core::module::Manifest;
/// use threads_module_photos::Photos;
/// assert_eq!(Manifest::of(&Photos).unwrap().version(), 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Photos;

impl Module for Photos {
    fn id(&self) -> &str {
        "org.threads.photos"
    }

    fn versions(&self) -> Result<Vec<Version>> {
        Ok(vec![Version::new().with(albums()?).with(photos()?)])
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        Ok(None)
    }

    fn vectors(&self) -> Option<&str> {
        Some(include_str!("../vectors.json"))
    }
}

fn text() -> Value {
    json!({"type": "string", "maxLength": 1_000})
}

fn number() -> Value {
    json!({"type": "number"})
}

fn is_blob(value: &Value) -> bool {
    serde_json::from_value::<BlobRef>(value.clone()).is_ok()
}

/// A reference to a blob.
fn blob() -> Value {
    json!({
        "type": "object",
        "required": ["blob", "key", "size"],
        "properties": {
            "blob": text(),
            "key": text(),
            "size": {"type": "integer", "minimum": 0},
            "type": {"type": "string", "maxLength": 255},
        },
    })
}

fn albums() -> Result<ModuleCollection> {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An album",
        "type": "object",
        "required": ["name"],
        "properties": {"name": text(), "about": text()},
    });
    Ok(ModuleCollection::new(ALBUM, CODEC, schema)?
        .with_index(IndexSpec::on("name".parse()?))
        .with_invariant("an album has a name", |album| {
            album["name"]
                .as_str()
                .is_some_and(|name| !name.trim().is_empty())
        })
        .with_fixture(json!({"name": "Iceland", "about": "a week in June"}))
        .with_fixture(json!({"name": "Others"})))
}

fn photos() -> Result<ModuleCollection> {
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    let pixels = || json!({"type": "integer", "minimum": 1, "maximum": 65_535});
    let mut place = object(json!({
        "latitude": {"type": "number", "minimum": -90, "maximum": 90},
        "longitude": {"type": "number", "minimum": -180, "maximum": 180},
    }));
    place["required"] = json!(["latitude", "longitude"]);
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A photograph",
        "type": "object",
        "required": ["original"],
        "properties": {
            "original": blob(),
            "thumbnail": blob(),
            "album": text(),
            "title": text(),
            "width": pixels(),
            "height": pixels(),
            "takenAt": {
                "type": "string",
                "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([+-][0-9]{2}:[0-9]{2})?$",
            },
            "camera": object(json!({"make": text(), "model": text(), "lens": text()})),
            "exposure": object(json!({
                "seconds": number(),
                "fNumber": number(),
                "iso": {"type": "integer", "minimum": 0},
                "focalLength": number(),
            })),
            "place": place,
        },
    });
    Ok(ModuleCollection::new(PHOTO, CODEC, schema)?
        .with_index(IndexSpec::on("album".parse()?))
        .with_index(IndexSpec::on("takenAt".parse()?))
        .with_invariant("the original is a blob", |photo| {
            is_blob(&photo["original"])
        })
        .with_invariant("the small picture is a blob", |photo| {
            photo.get("thumbnail").is_none_or(is_blob)
        })
        .with_fixture(json!({
            "original": reference("image/jpeg"),
            "thumbnail": reference("image/jpeg"),
            "album": "01JD", "title": "Skógafoss", "width": 4_000, "height": 6_000,
            "takenAt": "2024-06-21T23:59:01+00:00",
            "camera": {"make": "Example", "model": "One", "lens": "50 mm"},
            "exposure": {"seconds": 0.004, "fNumber": 8.0, "iso": 100, "focalLength": 50.0},
            "place": {"latitude": 63.532, "longitude": -19.511},
        }))
        .with_fixture(json!({"original": reference("")})))
}

/// A reference of a blob that is nowhere, for the examples.
fn reference(media_type: &str) -> Value {
    let mut named = json!({
        "blob": "bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        "key": "blobkey_ba4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4d4mora2m",
        "size": 3_500_000,
    });
    if !media_type.is_empty() {
        named["type"] = json!(media_type);
    }
    named
}
