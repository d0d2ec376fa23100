//! `acl grant`, `revoke`, `restrict`, `default`: changing the rules.

use serde_json::{Map, json};
use threads_core::Error;
use threads_core::access::{Role, Rules, Scope, Statement, Subject};
use threads_db::{Db, WriteTransaction};

use super::{Names, in_words, or_none, rules, tag, who};
use crate::args::{AclDefault, AclGrant, AclRestrict, AclRevoke, EntityPath, Who};
use crate::exit::{Failure, Result};
use crate::output::Output;
use crate::repo::{self, Repo, quoted};

/// What was done, in case that it cannot be printed.
const DONE: &str = "the rules are changed";

pub(crate) fn grant(repo: &Repo, args: &AclGrant, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let before = rules(&db)?;
    let (scope, role) = about(&db, args.entity.as_ref(), args.acl, args.role)?;
    let to = args.peer.subject();
    db.write(|txn| {
        if let Who::Card(card) = &args.peer {
            txn.state(Statement::Card(*card))?;
        }
        if (scope, role) == (Scope::Thread, Role::Write) {
            // What is left when writing is taken.
            txn.grant(to, scope, Role::Read)?;
        }
        txn.grant(to, scope, role)
    })?;
    out.done(DONE);
    tell(&db, &to, out)?;
    if let (Some(entity), Scope::Entity(tag)) = (&args.entity, &scope)
        && !before.entities.get(tag).is_some_and(|of| of.restricted)
    {
        out.remark(format_args!(
            "whoever may write the thread may change {entity} too, until: threads acl restrict {} {}",
            quoted(db.name()),
            quoted(&entity.to_string())
        ));
    }
    if scope == Scope::Acl && may(&rules(&db)?, &to).is_empty() {
        out.remark("it has no role in the thread, so it gets no copy of it: give it read too");
    }
    Ok(())
}

pub(crate) fn revoke(repo: &Repo, args: &AclRevoke, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let before = rules(&db)?;
    let from = args.peer.subject();
    if from == Subject::Peer(before.root) {
        let error = Error::invalid("the root of a thread may do everything, always");
        return Err(error.with("root", before.root).into());
    }
    let taken = match args.all {
        true => everything(&before, &from),
        false => vec![about(&db, args.entity.as_ref(), args.acl, args.role)?],
    };
    db.write(|txn| {
        let mut taken = taken.iter();
        taken.try_for_each(|(scope, role)| txn.revoke(from, *scope, *role))
    })?;
    out.done(DONE);
    tell(&db, &from, out)?;
    if matches!(&from, Subject::Peer(peer) if *peer == node.peer_id()) {
        return Ok(());
    }
    out.remark(format_args!(
        "what it writes without knowing of this goes to quarantine: threads quarantine ls {}",
        quoted(db.name())
    ));
    Ok(())
}

pub(crate) fn restrict(repo: &Repo, args: &AclRestrict, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    rules(&db)?;
    let EntityPath { collection, id } = &args.entity;
    check_entity(&db, &args.entity)?;
    db.write(|txn| txn.restrict(collection, id))?;
    out.done(DONE);
    let (rules, tag) = (rules(&db)?, tag(&db, &args.entity));
    let roles = rules.entities.get(&tag).map(|of| of.roles.clone());
    let roles = roles.unwrap_or_default();
    if out.is_json() {
        let roles: Map<_, _> = roles
            .iter()
            .map(|(to, roles)| (to.to_string(), json!(roles)))
            .collect();
        let entity = args.entity.to_string();
        return Ok(out.value(&json!({"entity": entity, "restricted": true, "roles": roles}))?);
    }
    out.line(format_args!("{}: restricted", args.entity))?;
    for (to, roles) in &roles {
        out.line(format_args!("  {to}: {}", in_words(roles)))?;
    }
    out.remark(format_args!(
        "besides root only these change it; next: threads acl grant {} PEER write --entity {}",
        quoted(db.name()),
        quoted(&args.entity.to_string())
    ));
    Ok(())
}

pub(crate) fn default(repo: &Repo, args: &AclDefault, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let before = rules(&db)?.default;
    let wanted = args.role.0;
    let everybody = Subject::Everybody;
    let keeps = |role: &Role| wanted.is_some_and(|wanted| wanted.implies(*role));
    let too_much: Vec<_> = before.iter().filter(|role| !keeps(role)).copied().collect();
    db.write(|txn| {
        let mut too_much = too_much.iter();
        too_much.try_for_each(|role| txn.revoke(everybody, Scope::Thread, *role))?;
        match wanted {
            // What was implied by a role that is taken goes with it, so it is given again.
            Some(role) => give_all(txn, role),
            None => Ok(()),
        }
    })?;
    out.done(DONE);
    tell(&db, &everybody, out)
}

fn give_all(txn: &mut WriteTransaction<'_>, role: Role) -> Result<(), Error> {
    if role == Role::Write {
        txn.grant(Subject::Everybody, Scope::Thread, Role::Read)?;
    }
    txn.grant(Subject::Everybody, Scope::Thread, role)
}

/// Where a role holds, and which it is.
fn about(
    db: &Db,
    entity: Option<&EntityPath>,
    acl: bool,
    role: Option<Role>,
) -> Result<(Scope, Role)> {
    let role = role.unwrap_or(Role::Write);
    if acl && role != Role::Write {
        let error = Error::invalid("of these rules there is one role: write");
        return Err(error.with("role", role).into());
    }
    Ok(match entity {
        Some(entity) => {
            check_entity(db, entity)?;
            (Scope::Entity(tag(db, entity)), role)
        }
        None if acl => (Scope::Acl, role),
        None => (Scope::Thread, role),
    })
}

/// Refuses an entity that is not here: rules know it by a digest of its name, so a name that is mistyped
/// would be of no use to anybody.
fn check_entity(db: &Db, entity: &EntityPath) -> Result {
    let collection = repo::collection(db, &entity.collection)?;
    if collection.has(entity.id.as_str())? {
        return Ok(());
    }
    let error = Error::not_found("there is no such entity").with("entity", entity);
    let (name, collection) = (quoted(db.name()), &entity.collection);
    let help = format!("`threads find {name} {collection} --fields _id` lists those there are");
    Err(Failure::new(error, help))
}

/// All that may be taken from somebody.
fn everything(rules: &Rules, from: &Subject) -> Vec<(Scope, Role)> {
    let mut taken = vec![(Scope::Acl, Role::Write), (Scope::Thread, Role::Replicate)];
    let entities = rules.entities.iter();
    let named = entities.filter(|(_, of)| of.roles.contains_key(from));
    taken.extend(named.map(|(tag, _)| (Scope::Entity(*tag), Role::Replicate)));
    taken
}

fn may(rules: &Rules, subject: &Subject) -> Vec<Role> {
    match subject {
        Subject::Peer(peer) => rules.of(peer).thread,
        Subject::Everybody => rules.default.clone(),
    }
}

/// Says what somebody may do now.
fn tell(db: &Db, subject: &Subject, out: &mut Output) -> Result {
    let rules = rules(db)?;
    let thread = may(&rules, subject);
    let acl = match subject {
        Subject::Peer(peer) => rules.of(peer).acl,
        Subject::Everybody => Vec::new(),
    };
    let entities = rules.entities.iter();
    let own: Vec<_> = entities
        .filter_map(|(tag, of)| Some((*tag, of.roles.get(subject)?)))
        .collect();
    let names = Names::of(db, own.iter().map(|(tag, _)| *tag))?;
    if out.is_json() {
        let own = own.iter();
        let own: Map<_, _> = own
            .map(|(tag, roles)| (names.entity(tag), json!(roles)))
            .collect();
        return Ok(out.value(&json!({
            "target": subject.to_string(), "thread": or_none(&thread), "acl": acl, "entities": own,
        }))?);
    }
    let mut text = format!("{}: {}", who(subject), in_words(&thread));
    if !acl.is_empty() {
        text += ", write of these rules";
    }
    for (tag, roles) in own {
        text += &format!(", {} of {}", in_words(roles), names.entity(&tag));
    }
    Ok(out.line(text)?)
}
