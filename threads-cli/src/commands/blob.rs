//! `blob`: large content, kept apart from records.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use threads_core::blob::BlobRef;
use threads_core::{Clock as _, Error, ErrorKind, FieldPath, SystemClock};
use threads_db::{BlobsChecked, Db};

use super::carry::{check_target, place};
use crate::args::{
    BlobAdd, BlobCheck, BlobCommand, BlobGc, BlobGet, BlobLs, BlobRm, EntityPath, RefOrEntity,
};
use crate::exit::{Advise, Failure, Result};
use crate::meter::Meter;
use crate::output::{Output, counted, size};
use crate::repo::{self, Repo, quoted};

/// How often it is looked whether more of a blob came that another process gets, in milliseconds.
const LOOK_MS: u64 = 200;

pub(crate) fn run(repo: &Repo, command: &BlobCommand, out: &mut Output) -> Result {
    match command {
        BlobCommand::Add(args) => add(repo, args, out),
        BlobCommand::Get(args) => get(repo, args, out),
        BlobCommand::Ls(args) => list(repo, args, out),
        BlobCommand::Gc(args) => clear(repo, args, out),
        BlobCommand::Rm(args) => remove(repo, args, out),
        BlobCommand::Check(args) => check(repo, args, out),
    }
}

fn add(repo: &Repo, args: &BlobAdd, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    for file in &args.files {
        let named = put(&db, file, out)?.of_type(&args.media_type)?;
        out.done("the blob is in");
        if out.is_json() {
            let told = json!({"file": file, "reference": named, "text": named.to_string()});
            out.value(&told)?;
        } else {
            out.line(&named)?;
            out.remark(format_args!(
                "{}: {}, {}",
                file.display(),
                size(named.size()),
                named.cid()
            ));
        }
    }
    Ok(())
}

fn put(db: &Db, file: &Path, out: &Output) -> Result<BlobRef> {
    let (reader, total): (Box<dyn Read>, _) = match file.as_os_str() == "-" {
        true => (Box::new(io::stdin().lock()), None),
        false => {
            let opened = File::open(file).map_err(|error| unreadable(file, error))?;
            let about = opened.metadata().map_err(|error| unreadable(file, error))?;
            let total = about.is_file().then_some(about.len());
            (Box::new(opened), total)
        }
    };
    let meter = Meter::bytes(out, total);
    let named = db
        .blobs()
        .put_with(reader, &mut |progress| meter.set(progress.done, total))?;
    Ok(named)
}

fn get(repo: &Repo, args: &BlobGet, out: &mut Output) -> Result {
    let node = repo.live()?;
    let db = repo::open(&node, &args.db)?;
    let named = match &args.what {
        RefOrEntity::Ref(named) => named.clone(),
        RefOrEntity::Entity(path) => named_in(&db, path, args.field.as_ref())?,
    };
    if let Some(file) = &args.output {
        check_target(file, args.force)?;
    }
    if !db.blobs().has(named.cid())? {
        drop(db);
        drop(node);
        fetch(repo, args, &named, out)?;
        return write(&repo::open(&repo.live()?, &args.db)?, args, &named, out);
    }
    write(&db, args, &named, out).advise(ErrorKind::Corrupt, || {
        let name = quoted(db.name());
        format!("`threads blob check {name} --repair` has what is damaged fetched again")
    })
}

/// Has the process that serves the repository get what is missing, and waits for it.
fn fetch(repo: &Repo, args: &BlobGet, named: &BlobRef, out: &Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let meter = Meter::bytes(out, Some(named.size()));
    let began = SystemClock.now_ms();
    loop {
        let waited = Duration::from_millis(SystemClock.now_ms().saturating_sub(began));
        let left = args.wait.saturating_sub(waited);
        let look = left.min(Duration::from_millis(LOOK_MS));
        let came = db.blobs().await_whole(named.cid(), look, &mut |missing| {
            let done = named.size().saturating_sub(missing.bytes);
            meter.set(
                if missing.size.is_some() { done } else { 0 },
                Some(named.size()),
            );
        });
        match came {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Unavailable && !left.is_zero() => {}
            late => {
                return late.advise(ErrorKind::Unavailable, || {
                    "peers are asked while `threads serve` runs; `threads status` says which can be \
                     reached"
                        .to_owned()
                });
            }
        }
    }
}

fn write(db: &Db, args: &BlobGet, named: &BlobRef, out: &mut Output) -> Result {
    let meter = Meter::bytes(out, Some(named.size()));
    let mut tell = |progress: threads_db::Progress| meter.set(progress.done, progress.total);
    let Some(file) = &args.output else {
        let mut bytes = BufWriter::new(io::stdout().lock());
        db.blobs().get_with(named, &mut bytes, &mut tell)?;
        return Ok(bytes.flush()?);
    };
    place(file, args.force, |into| {
        db.blobs().get_with(named, into, &mut tell)
    })?;
    out.done("the file is written");
    drop(meter);
    if out.is_json() {
        return Ok(out.value(&json!({"file": file, "reference": named}))?);
    }
    out.remark(format_args!(
        "wrote {}: {}",
        file.display(),
        size(named.size())
    ));
    Ok(())
}

/// The reference that an entity has, in a member of it or anywhere.
fn named_in(db: &Db, path: &EntityPath, field: Option<&FieldPath>) -> Result<BlobRef> {
    let collection = repo::collection(db, &path.collection)?;
    let missing = || Error::not_found("there is no such entity").with("entity", path);
    let entity = collection.get(path.id.as_str())?.ok_or_else(missing)?;
    let mut names = field.map_or(&[][..], FieldPath::segments).iter();
    let within = names.try_fold(&entity, |value, name| value.get(name));
    let mut found = Vec::new();
    find(within.unwrap_or(&Value::Null), &mut found);
    match &found[..] {
        [named] => Ok(named.clone()),
        [] => Err(Error::not_found("the entity names no blob there")
            .with("entity", path)
            .into()),
        _ => Err(Failure::new(
            Error::invalid("the entity names several blobs")
                .with("entity", path)
                .with("blobs", found.len()),
            "say which member: --field PATH",
        )),
    }
}

/// The references in a value, each once.
fn find(value: &Value, found: &mut Vec<BlobRef>) {
    let named = match value {
        Value::String(text) => text.parse().ok(),
        Value::Object(_) => serde_json::from_value(value.clone()).ok(),
        _ => None,
    };
    if let Some(named) = named {
        if !found.contains(&named) {
            found.push(named);
        }
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| find(item, found)),
        Value::Object(members) => members.values().for_each(|member| find(member, found)),
        _ => {}
    }
}

fn list(repo: &Repo, args: &BlobLs, out: &mut Output) -> Result {
    let node = repo.live()?;
    let db = repo::open(&node, &args.db)?;
    let blobs = db.blobs().list()?;
    if out.is_json() {
        for blob in &blobs {
            out.value(blob)?;
        }
        return Ok(());
    }
    if blobs.is_empty() {
        let name = quoted(db.name());
        out.remark(format_args!(
            "there are none; `threads blob add {name} FILE` puts one in"
        ));
        return Ok(());
    }
    let rows: Vec<_> = blobs
        .iter()
        .map(|blob| {
            let state = match (blob.whole, blob.pinned) {
                (false, _) => "asked for",
                (true, true) => "here, pinned",
                (true, false) => "here",
            };
            [blob.cid.to_string(), size(blob.size), state.to_owned()]
        })
        .collect();
    Ok(out.table(["BLOB", "SIZE", "STATE"], &rows)?)
}

fn clear(repo: &Repo, args: &BlobGc, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    if args.dry_run {
        for cid in db.blobs().unnamed(args.older)? {
            match out.is_json() {
                true => out.value(&json!({"blob": cid.to_string()}))?,
                false => out.line(cid)?,
            }
        }
        return Ok(());
    }
    let cleared = match args.all {
        true => db.blobs().clear_unread(args.older)?,
        false => db.blobs().clear(args.older)?,
    };
    out.done("what nothing names is cleared away");
    if !args.all && !db.keys().can_read() {
        let name = quoted(db.name());
        out.remark(format_args!(
            "what is named cannot be told here: `threads blob gc {name} --all --older 90d` takes away all that is older"
        ));
    }
    if out.is_json() {
        return Ok(out.value(&cleared)?);
    }
    Ok(out.line(format_args!(
        "{} and {} freed",
        counted(cleared.blobs, "blob"),
        size(cleared.bytes)
    ))?)
}

fn remove(repo: &Repo, args: &BlobRm, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let cleared = db
        .blobs()
        .remove(&args.blob)
        .advise(ErrorKind::NotFound, || {
            format!("`threads blob ls {}` lists them", quoted(db.name()))
        })?;
    out.done("the blob is gone here");
    if out.is_json() {
        return Ok(out.value(&cleared)?);
    }
    Ok(out.line(format_args!(
        "{} freed; peers keep theirs",
        size(cleared.bytes)
    ))?)
}

fn check(repo: &Repo, args: &BlobCheck, out: &mut Output) -> Result {
    let node = match args.repair {
        true => repo.writer()?,
        false => repo.live()?,
    };
    let db = repo::open(&node, &args.db)?;
    let found = {
        let meter = Meter::steps(out, "blocks");
        let mut tell = |progress: threads_db::Progress| meter.set(progress.done, progress.total);
        match args.repair {
            true => db.blobs().repair(&mut tell)?,
            false => db.blobs().check(&mut tell)?,
        }
    };
    if args.repair {
        out.done("what was damaged is taken away");
    }
    tell_checked(&found, out)?;
    if found.is_clean() || args.repair {
        return Ok(());
    }
    let error = Error::rejected("what is here of blobs is not what was put in")
        .with("thread", db.id())
        .with("damaged", found.damaged);
    let name = quoted(db.name());
    let help = format!("`threads blob check {name} --repair` has it fetched again, from peers");
    Err(Failure::new(error, help))
}

fn tell_checked(found: &BlobsChecked, out: &mut Output) -> Result {
    if out.is_json() {
        return Ok(out.value(found)?);
    }
    for blob in &found.blobs {
        out.line(format_args!("{blob}: not whole"))?;
    }
    if found.incomplete {
        out.line(format_args!(
            "the list of all blocks cannot be read to its end: those were looked at that blobs name"
        ))?;
    }
    Ok(out.line(format_args!(
        "{}, {}: {} damaged, {} not whole",
        counted(found.blocks, "block"),
        size(found.bytes),
        found.damaged,
        counted(found.broken, "blob")
    ))?)
}

fn unreadable(file: &Path, error: io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Unavailable,
    };
    let said = Error::new(kind, "the file cannot be read").with("file", file.display());
    said.with("cause", &error).caused_by(error).into()
}
