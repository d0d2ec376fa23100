//! `acl`: who may do what.

use serde_json::{Value, json};
use threads_core::access::{EntityTag, Role, Rules, Scope, Subject};
use threads_core::{Error, PeerId, Variant};
use threads_db::{Db, Node};

use crate::args::{AclCommand, EntityPath};
use crate::exit::{Failure, Result};
use crate::output::{Output, short};
use crate::repo::{self, Repo, quoted};

mod change;
pub(crate) mod eval;
mod history;
mod names;
mod show;

pub(crate) use names::Names;

pub(crate) fn run(repo: &Repo, command: AclCommand, out: &mut Output) -> Result {
    match command {
        AclCommand::Show(args) => show::run(repo, &args, out),
        AclCommand::Grant(args) => change::grant(repo, &args, out),
        AclCommand::Revoke(args) => change::revoke(repo, &args, out),
        AclCommand::Restrict(args) => change::restrict(repo, &args, out),
        AclCommand::Default(args) => change::default(repo, &args, out),
        AclCommand::History(args) => history::run(repo, &args, out),
        AclCommand::Eval(args) => eval::run(&args, out),
    }
}

/// The rules of a thread that has some.
pub(crate) fn rules(db: &Db) -> Result<Rules> {
    if let Some(rules) = db.rules()? {
        return Ok(rules);
    }
    let (error, help) = match db.id().variant() {
        Variant::AccessControlled => (
            Error::unavailable("the rules of this thread are not here yet"),
            format!("`threads sync {} --wait` brings them", quoted(db.name())),
        ),
        _ => (
            Error::unsupported(
                "this thread has no access rules: whoever has its keys may change it",
            ),
            "`threads create NAME --access-controlled` makes a thread with rules".to_owned(),
        ),
    };
    Err(Failure::new(error.with("thread", db.id()), help))
}

/// Has the node state what only root can, of what it learned when nothing was served: sync does it as it learns.
pub(crate) fn attend(node: &Node) -> Result {
    for thread in node.threads()? {
        if thread.can_read && thread.id.variant() == Variant::AccessControlled {
            repo::open(node, &thread.id.to_string())?.attend_access()?;
        }
    }
    Ok(())
}

/// What a peer may do, in a few words; `None` where there are no rules.
pub(crate) fn roles_of(db: &Db, peer: &PeerId) -> Result<Option<String>> {
    let Some(thread) = db.roles(peer, &Scope::Thread)? else {
        return Ok(None);
    };
    let acl = db.roles(peer, &Scope::Acl)?.unwrap_or_default();
    let rules = if acl.is_empty() { "" } else { ", acl" };
    Ok(Some(in_words(&thread) + rules))
}

/// What a peer may do, for a program; null where there are no rules.
pub(crate) fn roles_json(db: &Db, peer: &PeerId) -> Result<Value> {
    let thread = db.roles(peer, &Scope::Thread)?;
    let acl = db.roles(peer, &Scope::Acl)?;
    Ok(thread.map_or(Value::Null, |thread| json!({"thread": thread, "acl": acl})))
}

/// Roles without those that others imply.
pub(crate) fn in_words(roles: &[Role]) -> String {
    let implied = |role: &Role| {
        let mut others = roles.iter().filter(|other| *other != role);
        others.any(|other| other.implies(*role))
    };
    let names: Vec<_> = roles.iter().filter(|role| !implied(role)).collect();
    match names.is_empty() {
        true => "no-access".to_owned(),
        false => names
            .iter()
            .map(|role| role.name())
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn tag(db: &Db, entity: &EntityPath) -> EntityTag {
    EntityTag::of(db.id(), &entity.collection, &entity.id)
}

/// Whom a rule is about, in short.
fn who(subject: &Subject) -> String {
    match subject {
        Subject::Peer(peer) => short(peer),
        Subject::Everybody => "everybody".to_owned(),
    }
}

/// Roles for a program: as in the paper, none is `no-access`.
fn or_none(roles: &[Role]) -> Value {
    match roles.is_empty() {
        true => json!("no-access"),
        false => json!(roles),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_imply_is_not_said() {
        assert_eq!(in_words(&[]), "no-access");
        assert_eq!(in_words(&Role::ALL), "write, delete");
        assert_eq!(in_words(&[Role::Replicate, Role::Read]), "read");
        assert_eq!(in_words(&[Role::Replicate, Role::Delete]), "delete");
    }
}
