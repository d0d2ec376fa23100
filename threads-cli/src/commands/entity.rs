//! `get`, `put`, `patch`, `rm`: single entities.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use threads_core::{Error, ErrorKind};
use threads_db::Commit;

use crate::args::{Get, Patch, Put, Remove, Target};
use crate::exit::{Advise, Failure, Result};
use crate::input;
use crate::output::{Output, counted};
use crate::repo::{self, Repo, quoted};

pub(crate) fn get(repo: &Repo, args: &Get, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.target.db)?;
    let collection = repo::collection(&db, &args.target.collection)?;
    let entity = collection.get(&args.id)?.ok_or_else(|| {
        let error = Error::not_found("no entity of this _id")
            .with("collection", &args.target.collection)
            .with("_id", &args.id);
        Failure::new(error, list_help(&args.target))
    })?;
    Ok(out.document(&entity)?)
}

pub(crate) fn put(repo: &Repo, args: &Put, out: &mut Output) -> Result {
    let entity = input::argument(&args.value, "the entity")?;
    if entity.is_array() {
        let error = Error::invalid("this is a list, and put takes one entity");
        let (db, name) = (quoted(&args.target.db), &args.target.collection);
        return Err(Failure::new(
            error,
            format!("`threads import {db} {name} FILE` loads many"),
        ));
    }
    let node = repo.writer()?;
    let db = repo::open(&node, &args.target.db)?;
    let collection = repo::collection(&db, &args.target.collection)?;
    let mut txn = db.begin()?;
    let id = txn
        .save(&collection, &entity)
        .advise_by(|error| schema_help(error, &args.target))?;
    let commit = txn.commit()?;
    out.done("the change is committed");
    if out.is_json() {
        return Ok(out.value(&json!({"id": id, "record": record(commit)}))?);
    }
    Ok(out.line(id)?)
}

pub(crate) fn patch(repo: &Repo, args: &Patch, out: &mut Output) -> Result {
    let patch = input::argument(&args.patch, "the patch")?;
    let node = repo.writer()?;
    let db = repo::open(&node, &args.target.db)?;
    let collection = repo::collection(&db, &args.target.collection)?;
    let mut txn = db.begin()?;
    let done = if args.rfc6902 {
        txn.apply_patch(&collection, &args.id, &patch)
    } else {
        txn.patch(&collection, &args.id, &patch)
    };
    done.advise(ErrorKind::NotFound, || list_help(&args.target))
        .advise_by(|error| patch_help(error, &patch, args))?;
    let commit = txn.commit()?;
    out.done("the change is committed");
    if out.is_json() {
        return Ok(out.value(&json!({"id": args.id, "record": record(commit)}))?);
    }
    out.remark(if commit.is_some() {
        "changed"
    } else {
        "nothing to change: it is so already"
    });
    Ok(())
}

pub(crate) fn remove(repo: &Repo, args: &Remove, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.target.db)?;
    let collection = repo::collection(&db, &args.target.collection)?;
    let mut txn = db.begin()?;
    // One that is named twice is deleted once.
    let ids: BTreeSet<&String> = args.ids.iter().collect();
    for id in &ids {
        txn.delete(&collection, id)
            .advise(ErrorKind::NotFound, || {
                format!("nothing was deleted; {}", list_help(&args.target))
            })?;
    }
    let commit = txn.commit()?;
    out.done("the change is committed");
    if out.is_json() {
        return Ok(out.value(&json!({"removed": ids, "record": record(commit)}))?);
    }
    out.remark(format_args!(
        "deleted {}",
        counted(ids.len() as u64, "entity")
    ));
    Ok(())
}

/// The record of a commit; null when nothing changed.
fn record(commit: Option<Commit>) -> Value {
    commit.map_or(Value::Null, |commit| commit.record.to_string().into())
}

fn list_help(target: &Target) -> String {
    let (db, name) = (quoted(&target.db), &target.collection);
    format!("`threads find {db} {name} --fields _id` lists the ids")
}

/// Where to see the schema, when that is what the entity does not follow. Only the words of the
/// message tell; the other mistakes say themselves what to do.
fn schema_help(error: &Error, target: &Target) -> Option<String> {
    let broken = error.kind() == ErrorKind::Invalid && error.message().contains("its schema");
    let db = quoted(&target.db);
    broken.then(|| {
        format!("`threads --json collection ls {db}` shows the schema that entities must follow")
    })
}

fn patch_help(error: &Error, patch: &Value, args: &Patch) -> Option<String> {
    const LIST: &str = r#"write a list such as '[{"op": "replace", "path": "/age", "value": 62}]'"#;
    if error.kind() == ErrorKind::Invalid {
        if patch.is_array() && !args.rfc6902 {
            return Some("a list of operations needs --rfc6902".to_owned());
        }
        if args.rfc6902 && (!patch.is_array() || error.message().contains("malformed")) {
            return Some(LIST.to_owned());
        }
    }
    schema_help(error, &args.target)
}
