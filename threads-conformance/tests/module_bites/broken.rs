//! A module with one fault at a time.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use threads_core::Result;
use threads_core::access::Role;
use threads_core::module::{AclTemplate, Module, ModuleCollection, Step, Version};

/// What a module does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    ChangesItsTemplate,
    UsesANameAgain,
    RefersElsewhere,
    HasAnUnfitFixture,
    WantsWhatWasNotThere,
    LeavesNothingForBefore,
    ForgetsAValue,
    TakesTextForGranted,
    ChangesWhatWasPublished,
}

pub(crate) const VECTORS: &str = include_str!("vectors.json");

#[derive(Debug)]
pub(crate) struct Broken {
    fault: Option<Fault>,
    asked: AtomicBool,
}

impl Broken {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        let asked = AtomicBool::new(false);
        Self { fault, asked }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn one(&self) -> Result<ModuleCollection> {
        let title = match self.has(Fault::ChangesWhatWasPublished) {
            true => "A task, or so",
            false => "A task",
        };
        let schema = json!({
            "title": title,
            "type": "object",
            "required": ["text", "done", "place"],
            "properties": {
                "text": {"type": "string"},
                "done": {"type": "boolean"},
                "place": {"type": "string"},
            },
        });
        let holds: fn(&Value) -> bool = match self.has(Fault::TakesTextForGranted) {
            true => |task| !task["text"].as_str().unwrap().is_empty(),
            false => |task| task["text"] != "",
        };
        let unfit = self
            .has(Fault::HasAnUnfitFixture)
            .then(|| json!({"text": 7}));
        let task = ModuleCollection::new("Task", "jsonpatch/1", schema)?
            .with_invariant("a task says something", holds)
            .with_fixture(json!({"text": "Milk", "done": false, "place": "shop"}));
        Ok(unfit.into_iter().fold(task, ModuleCollection::with_fixture))
    }

    fn two(&self) -> Result<ModuleCollection> {
        let due = match self.has(Fault::RefersElsewhere) {
            true => json!({"$ref": "https://example.org/due.json"}),
            false => json!({"type": "integer"}),
        };
        let schema = json!({
            "type": "object",
            "required": ["text", "state", "due"],
            "properties": {
                "text": {"type": "string"},
                "state": {"enum": ["open", "waiting", "done"]},
                "due": due,
            },
        });
        let mut states = vec![
            (json!(false), json!("open")),
            (json!(true), json!("done")),
            (json!(false), json!("waiting")),
        ];
        if self.has(Fault::ForgetsAValue) {
            states.truncate(2);
        }
        let add = match self.has(Fault::WantsWhatWasNotThere) {
            true => Step::add("due")?,
            false => Step::add_with("due", json!(0))?,
        };
        let remove = match self.has(Fault::LeavesNothingForBefore) {
            true => Step::remove("place")?,
            false => Step::remove_with("place", json!("somewhere"))?,
        };
        let again = match self.has(Fault::UsesANameAgain) {
            true => Some(Step::add("text")?),
            false => None,
        };
        let task = ModuleCollection::new("Task", "jsonpatch/1", schema)?
            .with_step(Step::map("done", "state", states)?)
            .with_step(add)
            .with_step(remove)
            .with_invariant("a task says something", |task| task["text"] != "")
            .with_fixture(json!({"text": "Milk", "state": "open", "due": 3}));
        Ok(again.into_iter().fold(task, ModuleCollection::with_step))
    }
}

impl Module for Broken {
    fn id(&self) -> &str {
        "org.example.tasks"
    }

    fn versions(&self) -> Result<Vec<Version>> {
        let versions = [self.one()?, self.two()?];
        Ok(versions.map(|tasks| Version::new().with(tasks)).into())
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        let again = self.asked.swap(true, Ordering::Relaxed);
        let other = again && self.has(Fault::ChangesItsTemplate);
        let role = if other { Role::Write } else { Role::Read };
        Ok(Some(AclTemplate::new().everybody(role)))
    }

    fn vectors(&self) -> Option<&str> {
        let pinned = matches!(
            self.fault,
            None | Some(Fault::ChangesItsTemplate | Fault::HasAnUnfitFixture)
                | Some(Fault::TakesTextForGranted | Fault::ChangesWhatWasPublished)
        );
        pinned.then_some(VECTORS)
    }
}
