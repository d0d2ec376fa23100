//! `snapshot`, `compact`: the state of a thread under a name, and dropping what it came from.

use serde_json::json;
use threads_core::ErrorKind;
use threads_db::{CompactOptions, Keep, Snapshot, SnapshotCheck};

use crate::args::{self, Compact, SnapshotCommand, SnapshotOf};
use crate::exit::{Advise, Result};
use crate::meter::Meter;
use crate::output::{Output, counted, size};
use crate::repo::{self, Repo, quoted};

pub(crate) fn run(repo: &Repo, args: args::Snapshot, out: &mut Output) -> Result {
    match (args.command, args.db) {
        (Some(SnapshotCommand::Ls(args)), _) => list(repo, &args.db, out),
        (Some(SnapshotCommand::Check(args)), _) => check(repo, &args, out),
        (Some(SnapshotCommand::Sign(args)), _) => sign(repo, &args, out),
        (None, Some(db)) => make(repo, &db, out),
        // One of the two is always given.
        (None, None) => Ok(()),
    }
}

fn make(repo: &Repo, db: &str, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, db)?;
    let made = db.snapshot()?;
    out.done("the snapshot is made and signed");
    show(&made, out)?;
    out.remark(format_args!(
        "`threads export {} FILE --snapshot` writes it to a file for a new device",
        quoted(db.name())
    ));
    Ok(())
}

fn list(repo: &Repo, db: &str, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, db)?;
    let snapshots = db.snapshots()?;
    if snapshots.is_empty() {
        out.remark(format_args!(
            "there is none: `threads snapshot {}` makes one",
            quoted(db.name())
        ));
    }
    snapshots
        .iter()
        .try_for_each(|snapshot| show(snapshot, out))
}

fn show(snapshot: &Snapshot, out: &mut Output) -> Result {
    if out.is_json() {
        return Ok(out.value(&json!(snapshot))?);
    }
    Ok(out.line(format_args!(
        "{}  {} of {}, {}, signed by {}",
        snapshot.id,
        counted(snapshot.entities, "entity"),
        counted(snapshot.covers(), "record"),
        size(snapshot.bytes),
        counted(snapshot.signers.len() as u64, "peer")
    ))?)
}

fn check(repo: &Repo, args: &SnapshotOf, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.db)?;
    let found = db
        .check_snapshot(&args.id)
        .advise(ErrorKind::NotFound, || list_help(db.name()))?;
    if out.is_json() {
        return Ok(out.value(&json!({"snapshot": args.id.to_string(), "check": found}))?);
    }
    let said = match found {
        SnapshotCheck::Agrees => "right: the records here give the same".to_owned(),
        SnapshotCheck::Differs(ours) => format!("wrong: the records here give {ours}"),
        SnapshotCheck::Unknown(why) => format!("unknown: {why}"),
        _ => "unknown".to_owned(),
    };
    Ok(out.line(said)?)
}

fn sign(repo: &Repo, args: &SnapshotOf, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let signed = db
        .sign_snapshot(&args.id)
        .advise(ErrorKind::NotFound, || list_help(db.name()))?;
    out.done("the snapshot is right, and signed");
    show(&signed, out)
}

fn list_help(db: &str) -> String {
    format!("`threads snapshot ls {}` lists them", quoted(db))
}

pub(crate) fn compact(repo: &Repo, args: &Compact, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let mut options = CompactOptions::new(args.keep);
    options.dry_run = args.dry_run;
    options.even_alone = args.even_alone;
    let report = {
        let meter = Meter::steps(out, "records");
        db.compact(&options, &mut |progress| {
            meter.set(progress.done, progress.total);
        })
    };
    let report = report.advise(ErrorKind::Unavailable, || {
        "where the thread is shared, or somebody is invited: see to it that a peer keeps all of it, and add --even-alone"
            .to_owned()
    })?;
    if report.snapshot.is_some() {
        out.done("old records are dropped");
    }
    if out.is_json() {
        return Ok(out.value(&json!({"dry_run": args.dry_run, "report": report}))?);
    }
    let verb = if args.dry_run {
        "would be dropped"
    } else {
        "dropped"
    };
    out.line(format_args!(
        "{} {verb}, {}; {} stay of what is covered",
        counted(report.dropped, "record"),
        size(report.bytes),
        report.kept
    ))?;
    if !report.alone.is_empty() {
        out.remark(format_args!(
            "the thread is shared, or somebody is invited: of {} peers may need that",
            counted(report.alone.len() as u64, "log")
        ));
    }
    if args.keep == Keep::All {
        out.remark("everything is kept: nothing was done");
    }
    Ok(())
}
