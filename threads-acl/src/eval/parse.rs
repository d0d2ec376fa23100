//! Words into events.

use std::collections::HashMap;

use threads_core::codec::ActionKind;
use threads_core::{Error, Result};

use super::Described;
use crate::{AclKind, Entity, Peer, Role, Scope, Who};

/// An event of a history.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step<'a> {
    pub(super) id: &'a str,
    pub(super) author: Peer,
    /// Sorted, each once.
    pub(super) deps: Vec<&'a str>,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Acl(AclKind),
    Data(Entity, ActionKind),
}

/// Numbers for names.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    peers: HashMap<&'a str, u32>,
    entities: HashMap<&'a str, u32>,
}

impl<'a> Names<'a> {
    fn peer(&mut self, name: &'a str) -> Peer {
        let next = self.peers.len() as u32;
        Peer(*self.peers.entry(name).or_insert(next))
    }

    fn entity(&mut self, name: &'a str) -> Entity {
        let next = self.entities.len() as u32;
        Entity(*self.entities.entry(name).or_insert(next))
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = (&'a str, Peer)> {
        self.peers
            .iter()
            .map(|(name, number)| (*name, Peer(*number)))
    }

    pub(super) fn entities(&self) -> impl Iterator<Item = (&'a str, Entity)> {
        self.entities
            .iter()
            .map(|(name, number)| (*name, Entity(*number)))
    }
}

/// The events in the order in which they are described, each once.
pub(super) fn parse(events: &[Described]) -> Result<(Names<'_>, Vec<Step<'_>>)> {
    let mut names = Names::default();
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut places = HashMap::new();
    for event in events {
        let step = step(&mut names, event).map_err(|error| error.with("event", &event.id))?;
        match places.get(step.id) {
            None => {
                places.insert(step.id, steps.len());
                steps.push(step);
            }
            Some(&place) if steps[place] == step => {}
            Some(_) => {
                let what = "two different events have one id: give each its own";
                return Err(Error::conflict(what).with("event", &event.id));
            }
        }
    }
    Ok((names, steps))
}

fn step<'a>(names: &mut Names<'a>, event: &'a Described) -> Result<Step<'a>> {
    if event.author == "*" {
        return Err(Error::invalid(
            "everyone is nobody who writes: name the author",
        ));
    }
    let author = names.peer(&event.author);
    let mut deps: Vec<_> = event.deps.iter().map(String::as_str).collect();
    deps.sort_unstable();
    deps.dedup();
    let what = match event.kind.as_str() {
        "genesis" => What::Acl(AclKind::Genesis),
        "checkpoint" => What::Acl(AclKind::Checkpoint),
        "grant" => {
            let (target, scope, role) = role(names, event)?;
            What::Acl(AclKind::Grant {
                target,
                scope,
                role,
            })
        }
        "revoke" => {
            let (target, scope, role) = role(names, event)?;
            What::Acl(AclKind::Revoke {
                target,
                scope,
                role,
            })
        }
        "restrict" => What::Acl(AclKind::Restrict(entity(names, event)?)),
        "create" => What::Data(entity(names, event)?, ActionKind::Create),
        "save" => What::Data(entity(names, event)?, ActionKind::Save),
        "delete" => What::Data(entity(names, event)?, ActionKind::Delete),
        kind => {
            let what = "there is no such kind: choose genesis, grant, revoke, restrict, checkpoint, \
                        create, save or delete";
            return Err(Error::invalid(what).with("kind", kind));
        }
    };
    Ok(Step {
        id: &event.id,
        author,
        deps,
        what,
    })
}

fn needed<'a>(
    event: &Described,
    member: &'static str,
    value: Option<&'a String>,
) -> Result<&'a str> {
    value.map(String::as_str).ok_or_else(|| {
        Error::invalid("an event of this kind needs another member")
            .with("kind", &event.kind)
            .with("member", member)
    })
}

fn entity<'a>(names: &mut Names<'a>, event: &'a Described) -> Result<Entity> {
    Ok(names.entity(needed(event, "entity", event.entity.as_ref())?))
}

fn role<'a>(names: &mut Names<'a>, event: &'a Described) -> Result<(Who, Scope, Role)> {
    let target = match needed(event, "target", event.target.as_ref())? {
        "*" => Who::Everyone,
        name => Who::Peer(names.peer(name)),
    };
    let scope = match event.scope.as_deref() {
        None | Some("thread") => Scope::Thread,
        Some("acl") => Scope::Acl,
        Some(text) => match text.strip_prefix("entity:") {
            Some(name) if !name.is_empty() => Scope::Entity(names.entity(name)),
            _ => {
                let what = "there is no such scope: choose thread, acl, or entity: and its id";
                return Err(Error::invalid(what).with("scope", text));
            }
        },
    };
    let role = match needed(event, "role", event.role.as_ref())? {
        "no-access" => {
            let what = "no-access is to have no role: revoke replicate";
            return Err(Error::invalid(what));
        }
        name => name.parse()?,
    };
    if scope == Scope::Acl && role != Role::Write {
        let what = "the list itself has the role write only";
        return Err(Error::invalid(what).with("role", role));
    }
    Ok((target, scope, role))
}
