//! What a thread says of the modules in it: entities of `$modules`, one for each version.
//!
//! Nobody needs them to read or write entities: each application sees them through its own code. They
//! tell which modules are in use, also to those who do not have them, and find a publisher who
//! changed a version after it was published.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use threads_core::batch::EntityEvent;
use threads_core::datastore::Datastore;
use threads_core::module::{
    CollectionSpec, DEFINITION_BYTES_MAX, MODULE_COLLECTIONS_MAX, Manifest, Module, VERSIONS_MAX,
};
use threads_core::{CollectionName, Result, block};

use super::InstallOptions;
use crate::db::Db;
use crate::schema::schema_id;

/// The reserved collection.
pub(crate) const MODULES: &str = "$modules";

/// The most modules that [`Db::modules`] lists.
pub const MODULES_MAX: usize = 1_024;

/// An entity of `$modules`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ModuleEntity {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) module: String,
    version: u32,
    pub(super) collections: Vec<CollectionName>,
    pub(super) definition: Value,
}

impl ModuleEntity {
    pub(super) fn of(manifest: &Manifest, version: u32) -> Result<Self> {
        let collections = manifest.collections(version).iter();
        let mut entity = Self {
            id: String::new(),
            module: manifest.id().to_owned(),
            version,
            collections: collections
                .map(|collection| collection.spec.name.clone())
                .collect(),
            definition: manifest.definition(version)?,
        };
        entity.id = entity.own_id();
        Ok(entity)
    }

    /// The id that what it says gives it, so that nobody can change it.
    fn own_id(&self) -> String {
        let digest = schema_id(&self.definition);
        format!("{}@{}.{digest}", self.module, self.version)
    }

    /// Whether it says one thing, within the bounds: whoever reads them reads all there are.
    fn is_sound(&self) -> bool {
        let said = |name: &str| self.definition.get(name);
        let named = said("collections").and_then(Value::as_array);
        let named = named
            .into_iter()
            .flatten()
            .map(|collection| &collection["name"]);
        (1..=VERSIONS_MAX as u64).contains(&u64::from(self.version))
            && (1..=MODULE_COLLECTIONS_MAX).contains(&self.collections.len())
            && Manifest::check_id(&self.module).is_ok()
            && self.definition.to_string().len() <= DEFINITION_BYTES_MAX
            && self.id == self.own_id()
            && said("module").and_then(Value::as_str) == Some(&self.module)
            && said("version").and_then(Value::as_u64) == Some(self.version.into())
            && named.eq(self.collections.iter().map(CollectionName::as_str))
    }
}

/// As much of a [`ModuleEntity`] as it takes to tell modules apart.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Recorded {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) module: String,
    pub(super) version: u32,
    pub(super) collections: Vec<CollectionName>,
}

/// Whether an event of `$modules` says what its id promises.
pub(crate) fn is_sound(event: &EntityEvent) -> bool {
    let entity = block::decode::<ModuleEntity>(&event.payload);
    entity.is_ok_and(|entity| entity.is_sound() && entity.id == event.entity.as_str())
}

/// What a thread is told of the last version of a module.
pub(crate) fn told(module: &dyn Module) -> Result<Vec<u8>> {
    let manifest = Manifest::of(module)?;
    block::encode(&ModuleEntity::of(&manifest, manifest.version())?)
}

/// A module of which somebody installed a version in a thread.
///
/// ```
#[doc = include_str!("../../doc/example_module.txt")]
/// let info = &db.modules().unwrap()[0];
/// assert_eq!((info.id.as_str(), &info.versions[..]), ("org.example.notes", &[1][..]));
/// assert_eq!(info.collections[0].as_str(), "Note");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModuleInfo {
    /// Its id.
    pub id: String,
    /// The versions that were installed, ascending, with those before them.
    pub versions: Vec<u32>,
    /// The collections of all of these.
    pub collections: Vec<CollectionName>,
    /// The versions of which the thread has two that differ: one publisher changed a version, or two
    /// use one id.
    pub disputed: Vec<u32>,
}

impl Db {
    /// The modules of which somebody installed a version in this thread, by id, at most
    /// [`MODULES_MAX`]: also those that this program does not know.
    ///
    /// # Errors
    ///
    /// Those of the datastore.
    ///
    /// ```
    #[doc = include_str!("../../doc/example_module.txt")]
    /// assert_eq!(db.modules().unwrap().len(), 1);
    /// ```
    pub fn modules(&self) -> Result<Vec<ModuleInfo>> {
        let mut modules: BTreeMap<String, ModuleInfo> = BTreeMap::new();
        for entity in self.recorded_modules()? {
            let known = modules.len() < MODULES_MAX || modules.contains_key(&entity.module);
            if !known {
                continue;
            }
            let info = modules
                .entry(entity.module.clone())
                .or_insert_with(|| ModuleInfo {
                    id: entity.module,
                    versions: Vec::new(),
                    collections: Vec::new(),
                    disputed: Vec::new(),
                });
            let twice = info.versions.contains(&entity.version);
            let list = if twice {
                &mut info.disputed
            } else {
                &mut info.versions
            };
            list.push(entity.version);
            let names: BTreeSet<_> = info
                .collections
                .drain(..)
                .chain(entity.collections)
                .collect();
            info.collections = names.into_iter().collect();
        }
        let mut modules: Vec<_> = modules.into_values().collect();
        for info in &mut modules {
            for list in [&mut info.versions, &mut info.disputed] {
                list.sort_unstable();
                list.dedup();
            }
        }
        Ok(modules)
    }

    pub(super) fn recorded_modules(&self) -> Result<Vec<Recorded>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let catalogue = self.catalogue(&*txn)?;
        catalogue.entities(&*txn, thread.number, MODULES)
    }

    /// Writes down what a module says up to a version, and defines its collections, as far as the
    /// thread does not have that. Says whether it is on record.
    pub(super) fn record_module(
        &self,
        manifest: &Manifest,
        version: u32,
        options: &InstallOptions,
    ) -> Result<bool> {
        let known = self.recorded_modules()?;
        if !options.redefine {
            self.check_unhindered(manifest, version, options, &known)?;
        }
        let records = options.prefix.is_empty();
        let mut missing = Vec::new();
        for number in (1..=version).filter(|_| records) {
            let entity = ModuleEntity::of(manifest, number)?;
            if !known.iter().any(|known| known.id == entity.id) {
                missing.push(entity);
            }
        }
        let specs = self.specs(manifest, version, options)?;
        if missing.is_empty() && specs.is_empty() {
            return Ok(records);
        }
        self.write(|txn| {
            for spec in &specs {
                match options.redefine {
                    true => txn.redefine(spec)?,
                    false => txn.define(spec)?,
                }
            }
            for entity in &missing {
                txn.save_reserved(MODULES, &entity.id, entity)?;
            }
            Ok(())
        })?;
        Ok(records)
    }

    /// What collections are to be defined: all of them if one is not, or if they are to be made anew.
    fn specs(
        &self,
        manifest: &Manifest,
        version: u32,
        options: &InstallOptions,
    ) -> Result<Vec<CollectionSpec>> {
        let catalogue = {
            let txn = self.thread().node.store.read()?;
            self.catalogue(&*txn)?
        };
        let (mut specs, mut wanted) = (Vec::new(), options.redefine);
        for collection in manifest.collections(version) {
            let name = &collection.spec.name;
            let mut spec = manifest.stored_spec(version, name.as_str())?;
            spec.name = options.name(name)?;
            wanted |= catalogue.find(&spec.name).is_none();
            specs.push(spec);
        }
        specs.retain(|_| wanted);
        Ok(specs)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use threads_codec_jsonpatch::JsonPatch;
    use threads_core::codec::ActionKind;
    use threads_core::datastore::Memory;
    use threads_core::module::{AclTemplate, Module, ModuleCollection, Version};

    use super::*;
    use crate::catalogue::{admits, reserved};
    use crate::node::Node;
    use crate::whole::whole_id;

    #[derive(Debug)]
    struct Notes;

    impl Module for Notes {
        fn id(&self) -> &str {
            "org.example.notes"
        }
        fn versions(&self) -> Result<Vec<Version>> {
            let schema = json!({"properties": {"text": {"type": "string"}}});
            let note = ModuleCollection::new("Note", "jsonpatch/1", schema)?;
            Ok(vec![Version::new().with(note)])
        }
        fn acl_template(&self) -> Result<Option<AclTemplate>> {
            Ok(None)
        }
        fn vectors(&self) -> Option<&str> {
            None
        }
    }

    /// What somebody wrote, under the id that it gives itself.
    fn said(module: &str, version: u32, collection: &str, steps: Value) -> ModuleEntity {
        let collections = json!([{"name": collection, "codec": "jsonpatch/1", "steps": steps}]);
        let mut entity = ModuleEntity {
            id: String::new(),
            module: module.to_owned(),
            version,
            collections: vec![collection.parse().unwrap()],
            definition: json!({"module": module, "version": version, "collections": collections}),
        };
        entity.id = entity.own_id();
        entity
    }

    fn event(entity: &ModuleEntity, id: &str) -> EntityEvent {
        EntityEvent {
            collection: reserved(MODULES),
            entity: id.parse().unwrap(),
            codec: whole_id(),
            action: ActionKind::Create,
            payload: block::encode(entity).unwrap(),
        }
    }

    #[test]
    fn what_was_recorded_cannot_be_changed_and_is_bounded() {
        let good = said("org.example.notes", 3, "Note", json!([]));
        assert!(admits(&event(&good, &good.id)));
        let mut deletes = event(&good, &good.id);
        deletes.action = ActionKind::Delete;
        assert!(!admits(&deletes));
        let bad = |change: &dyn Fn(&mut ModuleEntity)| {
            let mut entity = good.clone();
            change(&mut entity);
            // Under its own id, and under that of the good one.
            let own = entity.own_id();
            assert!(!admits(&event(&entity, &good.id)), "{entity:?}");
            entity.id = own.clone();
            assert!(!admits(&event(&entity, &own)), "{entity:?}");
        };
        bad(&|entity| entity.module = "org.example.others".to_owned());
        bad(&|entity| entity.version = 4);
        bad(&|entity| entity.collections = vec!["Task".parse().unwrap()]);
        bad(&|entity| entity.collections.clear());
        bad(&|entity| entity.definition = json!({}));
        bad(&|entity| entity.definition["long"] = "x".repeat(DEFINITION_BYTES_MAX).into());
        for (module, version) in [("notes", 1), ("org.example.notes", 0), ("a.b", 257)] {
            let entity = said(module, version, "Note", json!([]));
            assert!(!admits(&event(&entity, &entity.id)), "{module} {version}");
        }
    }

    #[test]
    fn what_strangers_recorded_is_told_and_does_no_harm() {
        let node = Node::builder(Memory::new()).codec(JsonPatch::new());
        let db = node.open().unwrap().create("t").unwrap();
        let notes = db.install(&Notes).unwrap().collection("Note").unwrap();
        // A version of tomorrow with a step that nobody here knows, and two that are called the same.
        let later = said(
            "org.example.notes",
            2,
            "Note",
            json!([{"fold": {"path": "text"}}]),
        );
        let others = [1, 2].map(|n| said("org.example.tasks", 1, "Task", json!(n)));
        db.write(|txn| {
            for entity in others.iter().chain([&later]) {
                txn.save_reserved(MODULES, &entity.id, entity)?;
            }
            Ok(())
        })
        .unwrap();
        let modules = db.modules().unwrap();
        assert_eq!(
            (&modules[0].versions[..], modules[0].disputed.len()),
            (&[1, 2][..], 0)
        );
        assert_eq!(
            (&modules[1].versions[..], &modules[1].disputed[..]),
            (&[1][..], &[1][..])
        );
        // What the version of tomorrow keeps is kept.
        let plain = db.collection("Note").unwrap();
        plain
            .create(&json!({"_id": "a", "text": "Milk", "folded": [1]}))
            .unwrap();
        let again = db.install(&Notes).unwrap().collection("Note").unwrap();
        let mut note = again.get("a").unwrap().unwrap();
        assert_eq!(note, json!({"_id": "a", "text": "Milk"}));
        note["text"] = "Oat milk".into();
        notes.save(&note).unwrap();
        let stored = plain.get("a").unwrap().unwrap();
        assert_eq!(
            stored,
            json!({"_id": "a", "text": "Oat milk", "folded": [1]})
        );
    }
}
