//! What a thread says otherwise than a module, and who said it.
//!
//! In a thread without rules anybody may define any collection and record any module. What that comes to is
//! the same on every peer, because definitions are entities; who is first gains nothing but that others have
//! to say what they want done about it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use threads_core::datastore::Datastore;
use threads_core::module::Manifest;
use threads_core::{Cid, CollectionName, Error, ErrorKind, Hlc, PeerId, Result};

use super::InstallOptions;
use super::record::{MODULES, ModuleEntity, Recorded};
use crate::catalogue::{COLLECTIONS, Catalogue, CollectionEntity, reserved};
use crate::collection::Collection;
use crate::db::Db;
use crate::travel::edits;

/// The most conflicts that [`Db::module_conflicts`] tells, those that hinder before others.
pub const MODULE_CONFLICTS_MAX: usize = 64;
/// How much of what others wrote is shown, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Something that a thread says otherwise than a module.
///
/// ```
#[doc = include_str!("../../doc/example_module.txt")]
/// use threads_core::module::CollectionSpec;
/// use threads_db::ModuleConflictKind;
/// let note = CollectionSpec::new("Note".parse().unwrap(), "jsonpatch/1".parse().unwrap());
/// db.define(&note.with_schema(serde_json::json!({"maxProperties": 0}))).unwrap();
/// let conflict = &db.module_conflicts(&Notes, &Default::default()).unwrap()[0];
/// assert_eq!((conflict.kind, conflict.author), (ModuleConflictKind::Schema, Some(node.peer_id())));
/// assert!(conflict.hinders);
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModuleConflict {
    /// What it is about.
    pub kind: ModuleConflictKind,
    /// Whether the module is not installed because of it, unless the application says what to do.
    pub hinders: bool,
    /// The collection in the thread; none where it is about a version as a whole.
    pub collection: Option<CollectionName>,
    /// What the thread has, in words; at most a few hundred characters of it are somebody else's.
    pub what: String,
    /// The record that brought it; none where that is not here any more.
    #[serde(serialize_with = "crate::text::optional")]
    pub record: Option<Cid>,
    /// Who wrote that record.
    pub author: Option<PeerId>,
    /// When, by the author's clock.
    pub time: Option<Hlc>,
}

/// What a [`ModuleConflict`] is about.
///
/// ```
/// use threads_db::ModuleConflictKind;
/// assert_eq!(ModuleConflictKind::Codec.as_str(), "codec");
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModuleConflictKind {
    /// The collection has another codec.
    Codec,
    /// The collection has a schema, or one that nobody here can read: no module gives any to what is stored.
    Schema,
    /// Another definition is recorded under the id and the number of a version.
    Version,
    /// Another module is recorded that has a collection of the same name.
    Name,
}

impl ModuleConflictKind {
    /// A word for it.
    ///
    /// ```
    /// assert_eq!(threads_db::ModuleConflictKind::Name.as_str(), "name");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Schema => "schema",
            Self::Version => "version",
            Self::Name => "name",
        }
    }

    /// What is said when a module is not installed because of it.
    fn message(self) -> &'static str {
        match self {
            Self::Codec => {
                "the collection has another codec than the module gives it: redefine it, or install \
                 the module under a prefix"
            }
            Self::Schema => {
                "the collection has a schema that no module gave it: redefine it, or install the \
                 module under a prefix"
            }
            Self::Version => {
                "the thread knows another module of this id and version. A published version never \
                 changes: make it a later one, or redefine it if it is the other one that is wrong"
            }
            Self::Name => {
                "the collection belongs to another module in this thread: install this one under a \
                 prefix of its own, or redefine it"
            }
        }
    }
}

impl fmt::Display for ModuleConflictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in the framework's own collections somebody said something.
struct Said {
    kind: ModuleConflictKind,
    hinders: bool,
    collection: Option<CollectionName>,
    what: String,
    entity: (&'static str, String, &'static str),
}

impl Db {
    /// What the thread says otherwise than a version of a module, and who said it, at most
    /// [`MODULE_CONFLICTS_MAX`]. [`Db::install`] refuses the module because of those that hinder; what can be done
    /// about them is in [`InstallOptions`]. Once a version is on record, nobody keeps it from being installed
    /// by recording something else.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](threads_core::ErrorKind::Invalid) for a module that is not sound;
    /// [`ErrorKind::NotFound`](threads_core::ErrorKind::NotFound) when it has no such version.
    ///
    /// See the example of [`ModuleConflict`].
    ///
    /// ```
    #[doc = include_str!("../../doc/example_module.txt")]
    /// assert!(db.module_conflicts(&Notes, &Default::default()).unwrap().is_empty());
    /// ```
    pub fn module_conflicts(
        &self,
        module: &dyn threads_core::module::Module,
        options: &InstallOptions,
    ) -> Result<Vec<ModuleConflict>> {
        let manifest = Manifest::of(module)?;
        let version = super::version_of(&manifest, options)?;
        let known = self.recorded_modules()?;
        let said = self.said_otherwise(&manifest, version, options, &known)?;
        said.into_iter().map(|said| self.attributed(said)).collect()
    }

    /// Refuses to install a module because of what hinders.
    pub(super) fn check_unhindered(
        &self,
        manifest: &Manifest,
        version: u32,
        options: &InstallOptions,
        known: &[Recorded],
    ) -> Result<()> {
        let said = self.said_otherwise(manifest, version, options, known)?;
        let hindering = said.iter().filter(|said| said.hinders).count();
        let Some(first) = said.into_iter().next().filter(|first| first.hinders) else {
            return Ok(());
        };
        let first = self.attributed(first)?;
        let mut error = Error::conflict(first.kind.message())
            .with("module", manifest.id())
            .with("version", version);
        if let Some(name) = &first.collection {
            error = error.with("collection", name);
        }
        error = error.with("there", &first.what);
        if let Some(author) = &first.author {
            error = error.with("written_by", author);
        }
        if let Some(record) = &first.record {
            error = error.with("record", record);
        }
        if hindering > 1 {
            error = error.with("others_like_it", hindering - 1);
        }
        Err(error)
    }

    fn said_otherwise(
        &self,
        manifest: &Manifest,
        version: u32,
        options: &InstallOptions,
        known: &[Recorded],
    ) -> Result<Vec<Said>> {
        let mut said = self.defined_otherwise(manifest, version, options)?;
        said.extend(match options.prefix.is_empty() {
            true => self.recorded_otherwise(manifest, version, known)?,
            false => taken_names(manifest, version, options, known)?,
        });
        said.sort_by_key(|said| (!said.hinders, said.kind));
        said.truncate(MODULE_CONFLICTS_MAX);
        Ok(said)
    }

    fn defined_otherwise(
        &self,
        manifest: &Manifest,
        version: u32,
        options: &InstallOptions,
    ) -> Result<Vec<Said>> {
        let thread = self.thread();
        let txn = thread.node.store.read()?;
        let catalogue = self.catalogue(&*txn)?;
        let defined: Vec<CollectionEntity> =
            catalogue.entities(&*txn, thread.number, COLLECTIONS)?;
        let mut said = Vec::new();
        for collection in manifest.collections(version) {
            let name = options.name(&collection.spec.name)?;
            let Some(there) = defined.iter().find(|there| there.name == name) else {
                continue;
            };
            let codec = &collection.spec.codec;
            let otherwise = match there.codec == *codec {
                true => schema_of(&catalogue, there)
                    .map(|what| (ModuleConflictKind::Schema, what, "schema")),
                false => {
                    let what = format!("{}, where the module has {codec}", there.codec);
                    Some((ModuleConflictKind::Codec, what, "codec"))
                }
            };
            said.extend(otherwise.map(|(kind, what, field)| Said {
                kind,
                hinders: true,
                what,
                entity: (COLLECTIONS, name.to_string(), field),
                collection: Some(name),
            }));
        }
        Ok(said)
    }

    fn recorded_otherwise(
        &self,
        manifest: &Manifest,
        version: u32,
        known: &[Recorded],
    ) -> Result<Vec<Said>> {
        let mut said = Vec::new();
        for number in 1..=version {
            let own = ModuleEntity::of(manifest, number)?;
            let is_recorded = known.iter().any(|known| known.id == own.id);
            for other in known {
                let differs =
                    other.module == own.module && other.version == number && other.id != own.id;
                if differs && has_room(&said, !is_recorded) {
                    said.push(Said {
                        kind: ModuleConflictKind::Version,
                        hinders: !is_recorded,
                        collection: None,
                        what: self.difference(&own, other)?,
                        entity: (MODULES, other.id.clone(), "definition"),
                    });
                }
                let name = own
                    .collections
                    .iter()
                    .find(|name| other.collections.contains(*name));
                if let Some(name) = name.filter(|_| other.module != own.module && number == version)
                {
                    let hinders = !claimed(manifest, known, name)?;
                    if has_room(&said, hinders) {
                        said.push(taken(name, other, hinders));
                    }
                }
                // What is harmless hides nothing that hinders.
                if !has_room(&said, true) {
                    return Ok(said);
                }
            }
        }
        Ok(said)
    }

    /// In which way another definition differs from one's own.
    fn difference(&self, own: &ModuleEntity, other: &Recorded) -> Result<String> {
        let modules: Collection<Value> = Collection::new(self.clone(), reserved(MODULES));
        let other = modules.get(&other.id)?.unwrap_or_default();
        let edits = edits(Some(&own.definition), other.get("definition"));
        let first = edits.first().map(ToString::to_string).unwrap_or_default();
        Ok(match edits.len() {
            0 | 1 => shown(&first),
            more => format!("{}, and {} more differences", shown(&first), more - 1),
        })
    }

    /// The same with who said it.
    fn attributed(&self, said: Said) -> Result<ModuleConflict> {
        let (collection, id, field) = said.entity;
        let collection: Collection<Value> = Collection::new(self.clone(), reserved(collection));
        let blame = match self.blame_field(&collection, &id, &field.parse()?) {
            Ok(blame) => Some(blame),
            // Older records are not here any more.
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::NotFound) => {
                None
            }
            Err(error) => return Err(error),
        };
        Ok(ModuleConflict {
            kind: said.kind,
            hinders: said.hinders,
            collection: said.collection,
            what: said.what,
            record: blame.as_ref().map(|blame| blame.record),
            time: blame.as_ref().map(|blame| blame.time),
            author: blame.and_then(|blame| blame.author),
        })
    }
}

/// Whether more is to be told of what hinders, or of what does not.
fn has_room(said: &[Said], hinders: bool) -> bool {
    let alike = said.iter().filter(|said| said.hinders == hinders);
    alike.count() < MODULE_CONFLICTS_MAX
}

/// What is said of a collection that another module has.
fn taken(name: &CollectionName, by: &Recorded, hinders: bool) -> Said {
    Said {
        kind: ModuleConflictKind::Name,
        hinders,
        collection: Some(name.clone()),
        what: shown(&format!("a collection of {} {}", by.module, by.version)),
        entity: (MODULES, by.id.clone(), "definition"),
    }
}

/// The collections under a prefix that a recorded module has. Of those that are under one nothing is recorded.
fn taken_names(
    manifest: &Manifest,
    version: u32,
    options: &InstallOptions,
    known: &[Recorded],
) -> Result<Vec<Said>> {
    let mut said = Vec::new();
    for collection in manifest.collections(version) {
        let name = options.name(&collection.spec.name)?;
        let others = known
            .iter()
            .filter(|other| other.collections.contains(&name));
        let left = MODULE_CONFLICTS_MAX - said.len();
        said.extend(others.take(left).map(|other| taken(&name, other, true)));
    }
    Ok(said)
}

/// The schema of a collection that should have none, in words.
fn schema_of(catalogue: &Catalogue, there: &CollectionEntity) -> Option<String> {
    there.schema.as_ref()?;
    match catalogue.get(&there.name) {
        Ok(definition) => match definition.schema_text.as_ref()? {
            Value::Bool(true) => None,
            schema => Some(shown(&schema.to_string())),
        },
        Err(error) => Some(shown(&error.to_string())),
    }
}

/// Whether a version of the module is on record that has the collection.
fn claimed(manifest: &Manifest, known: &[Recorded], name: &CollectionName) -> Result<bool> {
    for number in 1..=manifest.version() {
        let own = ModuleEntity::of(manifest, number)?;
        let has = own.collections.contains(name);
        if has && known.iter().any(|known| known.id == own.id) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// As much of what somebody else wrote as is shown, on one line.
fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().map(plain).take(SHOWN_CHARS_MAX).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
