//! Vectors: what a module's versions were when they were published.

use serde_json::{Map, Value, json};
use threads_core::Result;
use threads_core::module::{Manifest, Module};
use threads_db::schema::schema_id;

use super::Subject;
use super::fits::Side;
use crate::law::{Checked, Violation, ensure};

/// What a module's versions are now, as JSON text: keep it in a file beside the module when a
/// version is published, and give it as [`Module::vectors`].
///
/// # Errors
///
/// Those of [`Manifest::of`], and a fixture that its version cannot save.
///
/// ```
/// use threads_core::module::Module;
/// fn write_down(module: &dyn Module) -> threads_core::Result<()> {
///     println!("{}", threads_conformance::module::vectors(module)?);
///     Ok(())
/// }
/// ```
pub fn vectors(module: &dyn Module) -> Result<String> {
    let manifest = Manifest::of(module)?;
    let sides = Side::all(&manifest)?;
    let mut versions = Vec::new();
    for version in 1..=manifest.version() {
        let mut entities = Vec::new();
        for side in sides.iter().filter(|side| side.version == version) {
            for fixture in &side.collection.fixtures {
                let name = side.collection.spec.name.as_str();
                entities.push(entity(&sides, name, version, fixture)?);
            }
        }
        let definition = schema_id(&manifest.definition(version)?);
        versions.push(json!({"version": version, "definition": definition, "entities": entities}));
    }
    let all = json!({"module": manifest.id(), "versions": versions});
    Ok(format!("{all:#}\n"))
}

/// An entity as its version has it, as it is stored, and as every version sees it.
fn entity(sides: &[Side<'_>], name: &str, version: u32, entity: &Value) -> Result<Value> {
    let of = |side: &&Side<'_>| side.collection.spec.name.as_str() == name;
    let mut stored = Value::Null;
    for maker in sides
        .iter()
        .filter(of)
        .filter(|side| side.version == version)
    {
        stored = maker.lens.put(None, entity)?;
    }
    let seen = sides.iter().filter(of);
    let seen = seen.map(|side| (side.version.to_string(), side.lens.get(&stored)));
    let seen: Map<_, _> = seen.collect();
    Ok(json!({"collection": name, "entity": entity, "stored": stored, "seen": seen}))
}

pub(super) fn published_versions_stay(subject: &Subject) -> Checked {
    let module = subject.module();
    let manifest = Manifest::of(&*module)?;
    let sides = Side::all(&manifest)?;
    let text = module.vectors().unwrap_or_default();
    let pinned: Value = match serde_json::from_str(text) {
        Ok(pinned) => pinned,
        Err(error) => return Err(Violation::new("the vectors were read", error)),
    };
    let same = pinned["module"] == manifest.id();
    ensure(same, "the vectors were read", "they are of another module")?;
    let published = pinned["versions"].as_array().map_or(&[][..], |all| all);
    ensure(
        !published.is_empty(),
        "the vectors were read",
        "they have no version",
    )?;
    for (pinned, version) in published.iter().zip(1..) {
        let done = format_args!("version {version} was compared with what was published");
        let definition = schema_id(&manifest.definition(version)?);
        let there = version <= manifest.version() && pinned["version"] == version;
        ensure(there, done, "it is missing")?;
        let seen = "its schemas, steps, indexes or codecs are others: make it a later version";
        ensure(pinned["definition"] == *definition, done, seen)?;
        for known in pinned["entities"].as_array().into_iter().flatten() {
            let name = known["collection"].as_str().unwrap_or_default();
            let now = entity(&sides, name, version, &known["entity"])?;
            let as_before = |seen: &Map<String, Value>| {
                seen.iter()
                    .all(|(by, value)| now["seen"].get(by) == Some(value))
            };
            let kept = now["stored"] == known["stored"]
                && known["seen"].as_object().is_some_and(as_before);
            let done = format_args!("{} of version {version} was saved", known["entity"]);
            ensure(kept, done, format_args!("{now}; before: {known}"))?;
        }
    }
    Ok(())
}
