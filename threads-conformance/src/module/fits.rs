//! Entities of one version as another sees them.

use serde_json::{Map, Value, json};
use threads_core::module::{Lens, Manifest, ModuleCollection};
use threads_core::{Error, Result};
use threads_db::schema::CompiledSchema;

use super::Subject;
use crate::law::{Checked, Violation, ensure};

/// A collection in one version, ready to look at entities.
pub(super) struct Side<'m> {
    pub(super) version: u32,
    pub(super) collection: &'m ModuleCollection,
    pub(super) lens: Lens,
    schema: CompiledSchema,
}

impl<'m> Side<'m> {
    pub(super) fn all(manifest: &'m Manifest) -> Result<Vec<Self>> {
        let mut sides = Vec::new();
        for version in 1..=manifest.version() {
            for collection in manifest.collections(version) {
                let schema = collection.spec.schema.clone().unwrap_or(Value::Bool(true));
                sides.push(Self {
                    version,
                    collection,
                    lens: manifest.lens(version, collection.spec.name.as_str())?,
                    schema: CompiledSchema::compile(&schema)?,
                });
            }
        }
        Ok(sides)
    }

    fn fits(&self, entity: &Value) -> Result<()> {
        self.schema.validate(entity)?;
        let mut invariants = self.collection.invariants.iter();
        match invariants.find(|invariant| !(invariant.holds)(entity)) {
            Some(broken) => Err(Error::invalid(format!(
                "it is not true that {}",
                broken.name
            ))),
            None => Ok(()),
        }
    }

    /// Entities that fit: the fixtures, and what is like them but for one member.
    fn entities(&self) -> Vec<Value> {
        let mut entities = Vec::new();
        for fixture in &self.collection.fixtures {
            let Value::Object(members) = fixture else {
                continue;
            };
            let schema = self.collection.spec.schema.as_ref();
            let properties = schema.and_then(|schema| schema["properties"].as_object());
            let mut like = vec![members.clone()];
            for (name, schema) in properties.into_iter().flatten() {
                let mut without = members.clone();
                without.remove(name);
                like.push(without);
                let values = schema.get("enum").and_then(Value::as_array);
                let some = [json!(null), json!(true), json!(false), json!([]), json!("")];
                for value in values.into_iter().flatten().chain(&some) {
                    let mut other = members.clone();
                    other.insert(name.clone(), value.clone());
                    like.push(other);
                }
            }
            entities.extend(like.into_iter().map(with_id));
        }
        entities.retain(|entity| self.fits(entity).is_ok());
        entities
    }

    fn name(&self) -> String {
        format!("{} in version {}", self.collection.spec.name, self.version)
    }
}

fn with_id(mut members: Map<String, Value>) -> Value {
    members.entry("_id").or_insert_with(|| "an-id".into());
    Value::Object(members)
}

pub(super) fn every_collection_has_fixtures_that_fit(subject: &Subject) -> Checked {
    let manifest = Manifest::of(&*subject.module())?;
    for side in Side::all(&manifest)? {
        let fixtures = &side.collection.fixtures;
        let done = format_args!("the fixtures of {} were counted", side.name());
        ensure(!fixtures.is_empty(), done, "there is none")?;
        for fixture in fixtures {
            if let Err(error) = side.fits(fixture) {
                let done = format_args!("{fixture}, a fixture of {}, was checked", side.name());
                return Err(Violation::new(done, error));
            }
        }
    }
    Ok(())
}

pub(super) fn what_an_earlier_version_made_fits_later_ones(subject: &Subject) -> Checked {
    each_sees_the_other(subject, |maker, reader| maker < reader)
}

pub(super) fn what_a_later_version_made_fits_earlier_ones(subject: &Subject) -> Checked {
    each_sees_the_other(subject, |maker, reader| maker > reader)
}

fn each_sees_the_other(subject: &Subject, which: fn(u32, u32) -> bool) -> Checked {
    let manifest = Manifest::of(&*subject.module())?;
    let sides = Side::all(&manifest)?;
    for maker in &sides {
        let name = &maker.collection.spec.name;
        let same = sides
            .iter()
            .filter(|side| side.collection.spec.name == *name);
        for reader in same.filter(|reader| which(maker.version, reader.version)) {
            for entity in maker.entities() {
                // That it can be saved is for another law.
                let Ok(stored) = maker.lens.put(None, &entity) else {
                    continue;
                };
                let seen = reader.lens.get(&stored);
                if let Err(error) = reader.fits(&seen) {
                    let done = format_args!(
                        "{entity} was made as {}, and is {seen} as {}",
                        maker.name(),
                        reader.name()
                    );
                    return Err(Violation::new(done, error));
                }
            }
        }
    }
    Ok(())
}

pub(super) fn a_version_sees_what_it_saved(subject: &Subject) -> Checked {
    let manifest = Manifest::of(&*subject.module())?;
    for side in Side::all(&manifest)? {
        let entities = side.entities();
        let mut before: Option<Value> = None;
        for entity in entities.iter().chain(&entities) {
            let done = format_args!("{entity} was saved as {} over {before:?}", side.name());
            let stored = match side.lens.put(before.as_ref(), entity) {
                Ok(stored) => stored,
                Err(error) => return Err(Violation::new(done, error)),
            };
            let seen = side.lens.get(&stored);
            let members = entity.as_object().into_iter().flatten();
            let kept = members
                .clone()
                .all(|(name, value)| seen.get(name) == Some(value));
            ensure(kept, done, format_args!("it is {seen}"))?;
            before = Some(stored);
        }
    }
    Ok(())
}

pub(super) fn invariants_are_pure(subject: &Subject) -> Checked {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0.5),
        json!("é"),
        json!([[]]),
        json!({"": {}}),
    ];
    let manifest = Manifest::of(&*subject.module())?;
    let all = (1..=manifest.version()).flat_map(|version| manifest.collections(version));
    for collection in all {
        let mut values: Vec<Value> = odd.to_vec();
        for fixture in &collection.fixtures {
            values.push(fixture.clone());
            for name in fixture
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name)
            {
                values.extend(odd.iter().map(|value| {
                    let mut other = fixture.clone();
                    other[name] = value.clone();
                    other
                }));
            }
        }
        for invariant in &collection.invariants {
            for value in &values {
                let answer = (invariant.holds)(value);
                let done = format_args!("{} was asked twice of {value}", invariant.name);
                ensure((invariant.holds)(value) == answer, done, "another answer")?;
            }
        }
    }
    Ok(())
}
