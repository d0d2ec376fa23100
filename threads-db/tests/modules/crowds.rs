//! Much that strangers say at once, and names that modules have in common.

use serde_json::json;
use threads_core::module::{AclTemplate, Module, ModuleCollection, Version};
use threads_core::{ErrorKind, Result};
use threads_db::{InstallOptions, ModuleConflictKind};

use super::attacks::{Peers, SAME_ID, SAME_NAME, Stranger, context, pat};
use super::{PEOPLE, People, hand_over, node};

#[test]
fn as_many_conflicts_as_a_stranger_likes_are_told_within_a_bound() {
    let peers = Peers::new();
    for n in 0..80 {
        let id: &'static str = Box::leak(format!("org.example.s{n}").into_boxed_str());
        let stranger = Stranger {
            id,
            versions: 1,
            edition: 0,
        };
        let taken = InstallOptions::new().redefine();
        peers.dbs[2].install_with(&stranger, &taken).unwrap();
    }
    hand_over(&peers.dbs[2], &peers.nodes[0]);
    let conflicts = peers.dbs[0].module_conflicts(&PEOPLE, &InstallOptions::new());
    assert_eq!(conflicts.unwrap().len(), threads_db::MODULE_CONFLICTS_MAX);
    let taken = InstallOptions::new().redefine();
    peers.dbs[0].install_with(&PEOPLE, &taken).unwrap();
    assert!(peers.dbs[0].install(&PEOPLE).unwrap().is_recorded());
    // A later version is not hindered by who has the name, either.
    let known = People { known: 1, ..PEOPLE };
    let alone = node().create("t").unwrap();
    alone.install(&known).unwrap();
    alone.install_with(&SAME_NAME, &taken).unwrap();
    assert!(alone.install(&PEOPLE).unwrap().is_recorded());
}

/// What is said of a version that is on record hinders nobody, however often it is said, and hides nothing that does.
#[test]
fn as_much_as_a_stranger_likes_hides_nothing_that_hinders() {
    let db = node().create("t").unwrap();
    db.install(&People { known: 1, ..PEOPLE }).unwrap();
    let taken = InstallOptions::new().redefine();
    for edition in 0..=threads_db::MODULE_CONFLICTS_MAX as u32 {
        let versions = 1 + usize::from(edition == 0);
        let stranger = Stranger {
            edition,
            versions,
            ..SAME_ID
        };
        db.install_with(&stranger, &taken).unwrap();
    }
    let told = db
        .module_conflicts(&PEOPLE, &InstallOptions::new())
        .unwrap();
    assert_eq!(told.len(), threads_db::MODULE_CONFLICTS_MAX);
    let hinders: Vec<_> = told.iter().map(|told| told.hinders).collect();
    assert!(hinders[0] && !hinders[1..].contains(&true), "{hinders:?}");
    assert_eq!(told[0].kind, ModuleConflictKind::Version);
    let error = db.install(&PEOPLE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

/// A module whose collection is called as one of the people under the prefix `P`.
#[derive(Debug)]
struct Short;

impl Module for Short {
    fn id(&self) -> &str {
        "org.example.short"
    }

    fn versions(&self) -> Result<Vec<Version>> {
        let person = ModuleCollection::new("erson", "jsonpatch/1", json!({"properties": {}}))?;
        Ok(vec![Version::new().with(person)])
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        Ok(None)
    }

    fn vectors(&self) -> Option<&str> {
        None
    }
}

#[test]
fn under_a_prefix_nobody_gets_into_the_collection_of_another_module() {
    let db = node().create("t").unwrap();
    let people = db.install(&PEOPLE).unwrap();
    people.collection("Person").unwrap().create(&pat()).unwrap();
    let into = InstallOptions::new().prefix("P");
    let error = db.install_with(&Short, &into).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(context(&error, "collection"), "Person", "{error}");
    let told = db.module_conflicts(&Short, &into).unwrap();
    let kinds: Vec<_> = told.iter().map(|told| (told.kind, told.hinders)).collect();
    let taken = (ModuleConflictKind::Name, true);
    assert_eq!(kinds, [taken; 2], "both versions on record have it");
    let beside = InstallOptions::new().prefix("mine-");
    assert!(db.install_with(&Short, &beside).is_ok());
    assert!(db.install_with(&Short, &into.redefine()).is_ok());
}
