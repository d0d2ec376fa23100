//! Modules in threads: versions side by side, queries through a lens, the past as a version sees it, and what
//! strangers write.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod attacks;
mod crowds;
mod past;
mod unknown;
mod versions;

use serde_json::{Value, json};
use threads_acl::Acl;
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;
use threads_core::access::Role;
use threads_core::datastore::Memory;
use threads_core::module::{AclTemplate, IndexSpec, Module, ModuleCollection, Step, Version};
use threads_core::{Clock, IdentityKey, Result, SystemClock, system_rng};
use threads_db::{Collection, Db, ExportOptions, InstalledModule, Node, RestoreOptions};

/// People, as far as one application knows the module.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) known: usize,
    pub(crate) id: &'static str,
}

pub(crate) const PEOPLE: People = People {
    known: 2,
    id: "org.example.people",
};

impl Module for People {
    fn id(&self) -> &str {
        self.id
    }

    fn versions(&self) -> Result<Vec<Version>> {
        let one = json!({
            "type": "object",
            "required": ["name", "adult"],
            "properties": {
                "name": {"type": "string"},
                "adult": {"type": "boolean"},
                "email": {"type": "string"},
                "fax": {"type": "string"},
                "phones": {"type": "array", "items": {"properties": {"number": {"type": "string"}}}},
            },
        });
        let two = json!({
            "type": "object",
            "required": ["fullName", "stage", "emails", "tags"],
            "properties": {
                "fullName": {"type": "string"},
                "stage": {"enum": ["child", "teen", "adult"]},
                "emails": {"type": "array", "items": {"type": "string"}},
                "tags": {"type": "array", "items": {"type": "string"}},
                "phones": {
                    "type": "array",
                    "items": {"properties": {"number": {"type": "string"}, "kind": {"type": "string"}}},
                },
            },
        });
        let stages = [
            (json!(true), json!("adult")),
            (json!(false), json!("child")),
            (json!(false), json!("teen")),
        ];
        let one = ModuleCollection::new("Person", "jsonpatch/1", one)?
            .with_index(IndexSpec::on("name".parse()?))
            .with_invariant("a name is not blank", |person| person["name"] != "");
        let two = ModuleCollection::new("Person", "jsonpatch/1", two)?
            .with_step(Step::rename("name", "fullName")?)
            .with_step(Step::map("adult", "stage", stages)?)
            .with_step(Step::wrap("email", "emails")?)
            .with_step(Step::add_with("tags", json!([]))?)
            .with_step(Step::remove_with("fax", json!("none"))?)
            .with_index(IndexSpec::on("fullName".parse()?))
            .with_index(IndexSpec::on("tags".parse()?))
            .with_invariant("a name is not blank", |person| person["fullName"] != "");
        let versions = [one, two].map(|people| Version::new().with(people));
        Ok(versions.into_iter().take(self.known).collect())
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        let shared = AclTemplate::new().everybody(Role::Write);
        Ok(Some(shared.restrict("Person".parse()?, "root".parse()?)))
    }

    fn vectors(&self) -> Option<&str> {
        None
    }
}

pub(crate) fn node() -> Node {
    node_at(SystemClock)
}

/// A node that takes its time from this clock.
pub(crate) fn node_at(clock: impl Clock) -> Node {
    let identity = IdentityKey::generate(&mut system_rng());
    let builder = Node::builder(Memory::new())
        .codec(JsonPatch::new())
        .codec(Lww::new())
        .clock(clock)
        .policy(Acl::new());
    builder.identity(identity).open().unwrap()
}

pub(crate) fn installed() -> InstalledModule {
    let db = node().create("t").unwrap();
    db.install(&PEOPLE).unwrap()
}

/// An application that was written when there was one version.
pub(crate) fn old(db: &Db) -> Collection<Value> {
    let known = People { known: 1, ..PEOPLE };
    db.install(&known).unwrap().collection("Person").unwrap()
}

pub(crate) fn new(db: &Db) -> Collection<Value> {
    db.install(&PEOPLE).unwrap().collection("Person").unwrap()
}

/// Gives one all that the other has.
pub(crate) fn hand_over(from: &Db, to: &Node) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.car");
    let file = std::fs::File::create(&path).unwrap();
    from.export(file, &ExportOptions::default(), &mut |_| ())
        .unwrap();
    to.restore(&path, &RestoreOptions::default(), &mut |_| ())
        .unwrap();
}
