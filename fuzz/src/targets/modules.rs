//! Modules: what versions see of what anybody stored, and what threads are told of modules.

use std::sync::OnceLock;

use ipld_core::ipld::Ipld;
use serde_json::{Value, json};
use threads_core::ErrorKind;
use threads_core::block;
use threads_core::module::{Lens, Manifest, Module};
use threads_db::fuzzing;
use threads_module_messages::Messages;
use threads_module_person::People;

use crate::check::{canonical, refused};

/// The lenses of every version of two modules, with a fixture for each.
fn lenses() -> &'static [(Lens, Value)] {
    static LENSES: OnceLock<Vec<(Lens, Value)>> = OnceLock::new();
    LENSES.get_or_init(|| {
        let modules: [&dyn Module; 2] = [&People, &Messages];
        let mut lenses = Vec::new();
        for module in modules {
            let manifest = Manifest::of(module).unwrap();
            for version in 1..=manifest.version() {
                for collection in manifest.collections(version) {
                    let lens = manifest
                        .lens(version, collection.spec.name.as_str())
                        .unwrap();
                    lenses.push((lens, collection.fixtures[0].clone()));
                }
            }
        }
        lenses
    })
}

/// What is stored and what is saved over it, for every lens.
pub(crate) fn lens_seeds() -> Vec<Vec<u8>> {
    let pairs = lenses().iter().map(|(lens, fixture)| {
        let mut saved = fixture.clone();
        saved["_id"] = "x".into();
        let stored = lens.put(None, &saved).unwrap();
        json!([stored, saved]).to_string().into_bytes()
    });
    pairs.collect()
}

/// Two entities as JSON: one is stored, the other one is saved over it, by every version.
pub(crate) fn lens(input: &[u8]) {
    let Ok([stored, saved]) = serde_json::from_slice::<[Value; 2]>(input) else {
        return;
    };
    if !stored.is_object() || !saved.is_object() {
        return;
    }
    for (lens, _) in lenses() {
        let seen = lens.get(&stored);
        assert_eq!(seen, lens.get(&stored), "looking twice shows the same");
        match lens.put(Some(&stored), &saved) {
            Ok(after) => {
                assert!(after.is_object());
                lens.get(&after);
            }
            Err(error) => refused(&error, &[ErrorKind::Invalid]),
        }
    }
}

/// What threads are told of a version of two modules.
pub(crate) fn module_seeds() -> Vec<Vec<u8>> {
    let modules: [&dyn Module; 2] = [&People, &Messages];
    modules
        .map(|module| fuzzing::module_told(module).unwrap())
        .into()
}

/// What a thread is told of a module: [`fuzzing::module_is_sound`] says whether it is taken.
pub(crate) fn module(event: &[u8]) {
    let Ok(Ipld::Map(said)) = block::decode::<Ipld>(event) else {
        assert!(!fuzzing::module_is_sound("x", event));
        return;
    };
    let Some(Ipld::String(id)) = said.get("_id") else {
        return;
    };
    if fuzzing::module_is_sound(id, event) {
        canonical(event);
        assert!(matches!(said.get("version"), Some(Ipld::Integer(1..))));
        assert!(!fuzzing::module_is_sound("x", event), "it has one id");
    }
}
