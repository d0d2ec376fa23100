//! `collection add`, `collection ls`.

use std::path::Path;

use serde_json::json;
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::{Error, ErrorKind};

use crate::args::{CollectionAdd, OfThread};
use crate::commands::status;
use crate::exit::{Advise, Result};
use crate::input;
use crate::output::{Output, grouped};
use crate::paths::CompoundPath;
use crate::repo::{self, Repo, quoted};

pub(crate) fn add(repo: &Repo, args: CollectionAdd, out: &mut Output) -> Result {
    let name = args.target.collection;
    let mut spec = CollectionSpec::new(name.clone(), args.codec);
    if let Some(file) = &args.schema {
        spec = spec.with_schema(input::file(file, "the schema")?);
    }
    let index = |CompoundPath(paths), unique| IndexSpec { paths, unique };
    spec.indexes
        .extend(args.index.into_iter().map(|paths| index(paths, false)));
    spec.indexes
        .extend(args.unique.into_iter().map(|paths| index(paths, true)));
    spec.check()
        .advise_by(|error| schema_help(error, args.schema.as_deref()))?;
    let node = repo.writer()?;
    let db = repo::open(&node, &args.target.db)?;
    db.define(&spec)
        .advise_by(|error| schema_help(error, args.schema.as_deref()))
        .advise(ErrorKind::Unsupported, || {
            "leave --codec out, or use jsonpatch/1, lww/1 or automerge/1".to_owned()
        })
        .advise(ErrorKind::Conflict, || {
            format!(
                "`threads collection ls {}` shows what is there",
                quoted(db.name())
            )
        })?;
    out.done("the change is committed");
    if out.is_json() {
        return Ok(out.value(&json!({"thread": db.id(), "collection": name}))?);
    }
    let db = quoted(db.name());
    out.remark(format_args!(
        "{db} has the collection {name}; next: threads import {db} {name} FILE"
    ));
    Ok(())
}

pub(crate) fn list(repo: &Repo, args: &OfThread, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.db)?;
    let collections = db.collections()?;
    status::tell_missing(&db, out)?;
    if out.is_json() {
        return Ok(out.value(&collections)?);
    }
    if collections.is_empty() {
        let db = quoted(db.name());
        out.remark(format_args!(
            "no collections yet; next: threads collection add {db} NAME"
        ));
        return Ok(());
    }
    let rows: Vec<_> = collections
        .iter()
        .map(|collection| {
            let schema = match &collection.schema {
                Some(_) => format!("version {}", collection.schema_version),
                None => "none".to_owned(),
            };
            let indexes: Vec<String> = collection.indexes.iter().map(index_text).collect();
            [
                collection.name.to_string(),
                grouped(collection.entities),
                collection.codec.to_string(),
                schema,
                if indexes.is_empty() {
                    "none".to_owned()
                } else {
                    indexes.join(" ")
                },
            ]
        })
        .collect();
    Ok(out.table(["NAME", "ENTITIES", "CODEC", "SCHEMA", "INDEXES"], &rows)?)
}

/// What to do about a schema that is none. Only the words of the message tell.
fn schema_help(error: &Error, file: Option<&Path>) -> Option<String> {
    let about = |word| error.message().contains(word);
    let broken = error.kind() == ErrorKind::Invalid && (about("schema") || about("Schema"));
    let file = file.filter(|_| broken)?.display();
    Some(format!(
        "correct the schema in {file}; the thread is as it was"
    ))
}

/// The paths as `--index` takes them, with a word if they are unique.
fn index_text(index: &IndexSpec) -> String {
    let paths: Vec<String> = index.paths.iter().map(ToString::to_string).collect();
    format!(
        "{}{}",
        paths.join(","),
        if index.unique { " (unique)" } else { "" }
    )
}
