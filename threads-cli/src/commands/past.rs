//! `history`, `blame`, `diff`, `at`: a thread as it was, and who changed what.

use serde_json::{Value, json};
use threads_core::{Error, ErrorKind};
use threads_db::{self as db, Db, DiffScope, Edit, EntityDiff, Fate, Moment};

use crate::args::{At, AtCommand, Blame, Diff, Get, History, Target};
use crate::commands::find::{self, Source};
use crate::exit::{Advise, Failure, Result};
use crate::output::{Output, short, time};
use crate::repo::{self, Repo, quoted};

/// The most of a value that a table shows, in characters.
const VALUE_CHARS_MAX: usize = 40;

pub(crate) fn history(repo: &Repo, args: &History, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.target.db)?;
    let collection = repo::collection(&db, &args.target.collection)?;
    let (mut moments, mut written) = (0, Ok(()));
    let purged = db.each_moment(&collection, &args.id, &mut |moment| {
        moments += 1;
        if written.is_ok() {
            written = moment_shown(&moment, out);
        }
        Ok(())
    })?;
    written?;
    if purged {
        match out.is_json() {
            true => out.value(&json!({ "purged": true }))?,
            false => {
                out.line("some of what it said was purged, and nobody here knows it any more")?
            }
        }
    } else if moments == 0 {
        let error = Error::not_found("there never was an entity of this _id");
        return Err(unknown(error, &args.target, &args.id));
    }
    Ok(())
}

fn unknown(error: Error, target: &Target, id: &str) -> Failure {
    let (db, name) = (quoted(&target.db), &target.collection);
    let error = error.with("collection", name).with("_id", id);
    let help = format!("`threads find {db} {name} --fields _id` lists the ids of those that live");
    Failure::new(error, help)
}

fn moment_shown(moment: &Moment, out: &mut Output) -> std::io::Result<()> {
    if out.is_json() {
        return out.value(moment);
    }
    let author = moment.author.as_ref();
    out.line(format_args!(
        "{}  {}  {}  {}",
        time(moment.time.wall_ms),
        author.map_or_else(|| "unknown".to_owned(), short),
        moment.action.as_str(),
        moment.record,
    ))?;
    edits(&moment.edits, out)?;
    if let Some(taken) = &moment.takes_back {
        out.line(format_args!("  takes back {taken}"))?;
    }
    match &moment.fate {
        Fate::Applied => Ok(()),
        fate => out.line(format_args!("  {fate}")),
    }
}

/// Edits, a line for each.
pub(crate) fn edits(edits: &[Edit], out: &mut Output) -> std::io::Result<()> {
    edits
        .iter()
        .try_for_each(|edit| out.line(format_args!("  {edit}")))
}

pub(crate) fn blame(repo: &Repo, args: &Blame, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.target.db)?;
    let collection = repo::collection(&db, &args.target.collection)?;
    let blames = match &args.field {
        None => db.blame(&collection, &args.id),
        Some(field) => db
            .blame_field(&collection, &args.id, field)
            .map(|blame| vec![blame]),
    };
    let blames = blames.advise(ErrorKind::NotFound, || {
        let (db, name) = (quoted(&args.target.db), &args.target.collection);
        format!("`threads history {db} {name} ID` shows all that was ever known of an entity")
    })?;
    if out.is_json() {
        blames.iter().try_for_each(|blame| out.value(blame))?;
        return Ok(());
    }
    let rows: Vec<_> = blames.iter().map(row).collect();
    let headings = ["FIELD", "VALUE", "TIME (UTC)", "AUTHOR", "RECORD"];
    Ok(out.table(headings, &rows)?)
}

fn row(blame: &db::Blame) -> [String; 5] {
    let value = blame.value.as_ref();
    let value = value.map_or_else(|| "removed".to_owned(), Value::to_string);
    let mut shown: String = value.chars().take(VALUE_CHARS_MAX).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    let author = blame.author.as_ref();
    [
        blame.path.to_string(),
        shown,
        time(blame.time.wall_ms),
        author.map_or_else(|| "unknown".to_owned(), short),
        blame.record.to_string(),
    ]
}

pub(crate) fn diff(repo: &Repo, args: &Diff, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.db)?;
    let scope = match (&args.collection, &args.id) {
        (None, _) => DiffScope::Thread,
        (Some(name), None) => DiffScope::Collection(name.clone()),
        (Some(name), Some(id)) => DiffScope::Entity(name.clone(), id.clone()),
    };
    if let Some(name) = &args.collection {
        repo::collection(&db, name)?;
    }
    let (mut differ, mut written) = (false, Ok(()));
    let done = db.each_diff(&args.from, &args.to, &scope, &mut |diff| {
        differ = true;
        written = diff_shown(&diff, out);
        Ok(written.is_ok())
    });
    point_advice(done, &db)?;
    written?;
    if !differ {
        out.remark("nothing differs");
    }
    Ok(())
}

fn diff_shown(diff: &EntityDiff, out: &mut Output) -> std::io::Result<()> {
    if out.is_json() {
        let mut shown = serde_json::to_value(diff)?;
        shown["patch"] = diff.json_patch();
        return out.value(&shown);
    }
    let action = diff.action.as_str();
    out.line(format_args!(
        "{}/{}: {action}",
        diff.collection, diff.entity
    ))?;
    edits(&diff.edits, out)
}

/// Adds where points come from.
fn point_advice<T>(result: threads_core::Result<T>, db: &Db) -> Result<T> {
    result.advise(ErrorKind::NotFound, || {
        let name = quoted(db.name());
        format!("`threads log {name}` lists the records with their times")
    })
}

pub(crate) fn at(repo: &Repo, args: At, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let target = match &args.what {
        AtCommand::Find(args) => &args.target,
        AtCommand::Get(args) => &args.target,
    };
    let db = repo::open(&node, &target.db)?;
    let collection = repo::collection(&db, &target.collection)?;
    let past = point_advice(db.as_of(&args.point), &db)?;
    match args.what {
        AtCommand::Find(args) => find::run_on(&Source::Past(&past, &collection), args, out),
        AtCommand::Get(Get { target, id }) => match past.get::<Value>(&collection, &id)? {
            Some(entity) => Ok(out.document(&entity)?),
            None => {
                let error = Error::not_found("no entity of this _id lived then")
                    .with("collection", &target.collection)
                    .with("_id", &id);
                let (db, name) = (quoted(&target.db), &target.collection);
                let help = format!("`threads history {db} {name} ID` shows when one did");
                Err(Failure::new(error, help))
            }
        },
    }
}
