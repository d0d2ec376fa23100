//! A lab of applications that share a module, in whichever version each of them is.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use threads_core::module::{Manifest, Module};
use threads_core::rand_core::CryptoRng;
use threads_core::{Error, ErrorKind, Result};
use threads_db::query::Query;
use threads_db::{Collection, Db, InstalledModule, NodeBuilder, WriteTransaction};

use super::{Lab, Watch};
use crate::sim::generate::{self, Also};
use crate::sim::script::Script;
use crate::sim::watch::Live;

/// How many entities of each collection there are: few, so that applications meet in them.
const ENTITIES: u32 = 4;

/// Peers whose applications know a module, each in one of its versions. They save, change and delete entities
/// that are like its fixtures. In the end each version must see the same on every peer, and saving what it sees
/// must change nothing.
///
/// ```
/// use serde_json::json;
/// use threads_codec_jsonpatch::JsonPatch;
/// use threads_conformance::sim::{lab::Applications, seeds};
/// use threads_core::Result;
/// use threads_core::module::{AclTemplate, Module, ModuleCollection, Version};
///
/// #[derive(Debug)]
/// struct Notes;
///
/// impl Module for Notes {
///     fn id(&self) -> &str { "org.example.notes" }
///     fn versions(&self) -> Result<Vec<Version>> {
///         let schema = json!({"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}});
///         let note = ModuleCollection::new("Note", "jsonpatch/1", schema)?.with_fixture(json!({"text": "Milk"}));
///         Ok(vec![Version::new().with(note)])
///     }
///     fn acl_template(&self) -> Result<Option<AclTemplate>> { Ok(None) }
///     fn vectors(&self) -> Option<&str> { None }
/// }
///
/// seeds::check(&Applications::new(Notes, |node| node.codec(JsonPatch::new())).unwrap(), 0..2);
/// ```
pub struct Applications {
    module: Arc<dyn Module>,
    manifest: Manifest,
    equip: Box<dyn Fn(NodeBuilder) -> NodeBuilder + Sync>,
}

impl fmt::Debug for Applications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Applications").field(&self.module).finish()
    }
}

impl Applications {
    /// Applications of this module; `equip` adds the codecs that it names.
    ///
    /// # Errors
    ///
    /// Those of [`Manifest::of`].
    ///
    /// ```
    /// use threads_conformance::sim::lab::Applications;
    /// use threads_core::{Result, module::Module};
    ///
    /// fn lab<M: Module + Default>() -> Result<Applications> {
    ///     Applications::new(M::default(), |node| node)
    /// }
    /// ```
    pub fn new(
        module: impl Module,
        equip: impl Fn(NodeBuilder) -> NodeBuilder + Sync + 'static,
    ) -> Result<Self> {
        Ok(Self {
            manifest: Manifest::of(&module)?,
            module: Arc::new(module),
            equip: Box::new(equip),
        })
    }

    /// The module in the version that the application of this peer was written for.
    fn own(&self, db: &Db) -> Result<InstalledModule> {
        let chance = db.node().peer_id().to_bytes();
        let chance: u32 = chance.into_iter().map(u32::from).sum();
        let version = 1 + chance % self.manifest.version();
        db.install_version(&self.module, version)
    }

    /// An entity that is like a fixture.
    fn like(
        &self,
        own: &InstalledModule,
        rng: &mut dyn CryptoRng,
    ) -> Option<(String, Map<String, Value>)> {
        let collections = self.manifest.collections(own.version());
        let collection = one_of(collections, rng)?;
        let mut members = Map::new();
        for fixture in [
            one_of(&collection.fixtures, rng)?,
            one_of(&collection.fixtures, rng)?,
        ] {
            for (name, value) in fixture.as_object()? {
                let keep = members.contains_key(name) && rng.next_u32().is_multiple_of(2);
                if !keep {
                    members.insert(name.clone(), varied(value, rng));
                }
            }
        }
        let id = format!("x{}", rng.next_u32() % ENTITIES);
        members.insert("_id".into(), id.into());
        Some((collection.spec.name.to_string(), members))
    }

    /// What every version sees on a peer; and that it can save what it sees, and nothing changes by it.
    fn seen(&self, db: &Db) -> Result<String> {
        let mut seen = String::new();
        for version in 1..=self.manifest.version() {
            let module = db.install_version(&self.module, version)?;
            let breaches = module.breaches()?;
            let broken: BTreeSet<_> = breaches
                .iter()
                .map(|it| (&it.collection, &it.entity))
                .collect();
            for collection in self.manifest.collections(version) {
                let name = &collection.spec.name;
                let view = module.collection(name.as_str())?;
                let mut whole = Vec::new();
                view.for_each(&Query::new(), &mut |entity| {
                    seen += &format!("{version} {name} {entity}\n");
                    let id = entity["_id"].as_str().unwrap_or_default().parse()?;
                    if !broken.contains(&(name, &id)) {
                        whole.push(entity);
                    }
                    Ok(true)
                })?;
                saves_what_it_sees(db, &view, &whole)?;
            }
            seen += &format!("{breaches:?}\n");
        }
        Ok(seen)
    }
}

fn one_of<'v, T>(values: &'v [T], rng: &mut dyn CryptoRng) -> Option<&'v T> {
    values.get(rng.next_u32() as usize % values.len().max(1))
}

/// A value that is perhaps a little different.
fn varied(value: &Value, rng: &mut dyn CryptoRng) -> Value {
    let (what, n) = (rng.next_u32() % 3, rng.next_u32() % 100);
    match value {
        Value::String(text) if what == 0 => format!("{text} {n}").into(),
        Value::Number(number) if what == 0 && number.is_u64() => n.into(),
        Value::Array(items) if what == 0 => {
            let some = items.iter().filter(|_| rng.next_u32().is_multiple_of(2));
            some.cloned().collect::<Vec<_>>().into()
        }
        value => value.clone(),
    }
}

/// What breaks the rules of the module, or of the thread as it is, is refused to applications.
fn allowed(result: Result<()>) -> Result<()> {
    use ErrorKind::{Conflict, Invalid, NotFound};
    match result {
        Err(error) if matches!(error.kind(), Conflict | Invalid | NotFound) => Ok(()),
        other => other,
    }
}

fn saves_what_it_sees(db: &Db, view: &Collection<Value>, entities: &[Value]) -> Result<()> {
    let mut txn = db.begin()?;
    for entity in entities {
        txn.save(view, entity)?;
        if txn.staged_events() > 0 {
            let error = Error::corrupt("saving what a version sees changes something");
            return Err(error.with("entity", entity).with("collection", view.name()));
        }
    }
    Ok(())
}

impl Lab for Applications {
    fn equip(&self, builder: NodeBuilder) -> NodeBuilder {
        (self.equip)(builder)
    }

    fn prepare(&self, db: &Db) -> Result<()> {
        self.own(db).map(drop)
    }

    fn write(
        &self,
        db: &Db,
        txn: &mut WriteTransaction<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<()> {
        let own = self.own(db)?;
        let Some((name, members)) = self.like(&own, rng) else {
            return Err(Error::invalid("the module has no fixtures"));
        };
        let (view, id) = (own.collection(&name)?, members["_id"].clone());
        let id = id.as_str().unwrap_or_default();
        allowed(match rng.next_u32() % 8 {
            0 => txn.delete(&view, id),
            1..5 if txn.has(&view, id)? => {
                let names: Vec<_> = members
                    .keys()
                    .filter(|name| *name != "_id")
                    .cloned()
                    .collect();
                let one = one_of(&names, rng).cloned().unwrap_or_default();
                let value = members.get(&one).cloned().unwrap_or_default();
                txn.patch(&view, id, &Value::Object(Map::from_iter([(one, value)])))
            }
            _ => txn.save(&view, &Value::Object(members)).map(drop),
        })
    }

    fn watch(&self, db: &Db) -> Result<Vec<Box<dyn Watch>>> {
        let mut watches: Vec<Box<dyn Watch>> = Vec::new();
        for version in 1..=self.manifest.version() {
            for collection in self.manifest.collections(version) {
                // A version is seen where it is recorded: looking writes nothing.
                let modules = db.modules()?;
                let mut versions = modules.iter().flat_map(|module| &module.versions);
                if versions.any(|recorded| *recorded == version) {
                    let module = db.install_version(&self.module, version)?;
                    let view = module.collection(collection.spec.name.as_str())?;
                    watches.push(Box::new(Live::new(
                        &view,
                        Query::new().sort("_id").limit(3),
                    )?));
                }
            }
        }
        Ok(watches)
    }

    fn check(&self, peers: &[&Db]) -> Result<()> {
        let Some((first, others)) = peers.split_first() else {
            return Ok(());
        };
        let due = self.seen(first)?;
        for other in others {
            let seen = self.seen(other)?;
            if seen != due {
                let error =
                    Error::corrupt("a version of a module does not see the same on two peers");
                return Err(error.with("here", seen).with("there", due));
            }
        }
        Ok(())
    }

    fn script(&self, seed: u64) -> Script {
        match seed % 2 {
            0 => generate::script(seed),
            _ => generate::with(seed, &[Also::Between]),
        }
    }
}
