//! `keys`: the keys that a thread with rules is sealed under.

use serde_json::json;
use threads_core::ErrorKind;
use threads_db::{Db, EpochHeld, EpochInfo};

use super::acl::rules;
use crate::args::{KeysCommand, OfThread};
use crate::exit::{Advise, Result};
use crate::output::{Output, counted, short, time};
use crate::repo::{self, Repo, quoted};

pub(crate) fn run(repo: &Repo, command: &KeysCommand, out: &mut Output) -> Result {
    match command {
        KeysCommand::Rotate(args) => rotate(repo, args, out),
        KeysCommand::Epochs(args) => epochs(repo, args, out),
    }
}

/// An epoch's number, as people see and compare it.
fn name(number: u64) -> String {
    format!("{number:016x}")
}

fn rotate(repo: &Repo, args: &OfThread, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    // What is said about a thread without rules is said in the same words everywhere.
    rules(&db)?;
    let number = db.rotate_keys().advise(ErrorKind::Rejected, || {
        format!(
            "whoever has a say in the rules can: `threads acl show {}` lists them",
            quoted(db.name())
        )
    })?;
    let epoch = find(&db, number)?;
    let (readers, replicas) = (epoch.readers.len() as u64, epoch.replicas.len() as u64);
    if out.is_json() {
        return Ok(out.document(&json!({
            "epoch": name(number), "readers": epoch.readers, "replicas": epoch.replicas,
        }))?);
    }
    out.line(name(number))?;
    out.remark(format_args!(
        "what is written from now on is sealed under new keys, which {} and {} get",
        counted(readers, "reader"),
        counted(replicas, "replica"),
    ));
    Ok(())
}

fn find(db: &Db, number: u64) -> Result<EpochInfo> {
    let epochs = db.epochs()?.into_iter();
    let mut found = epochs.filter(|epoch| epoch.number == number);
    found.next().ok_or_else(|| {
        threads_core::Error::unavailable("the new keys are not among those of the thread").into()
    })
}

fn epochs(repo: &Repo, args: &OfThread, out: &mut Output) -> Result {
    let node = repo.live()?;
    let db = repo::open(&node, &args.db)?;
    rules(&db)?;
    let epochs = db.epochs()?;
    if out.is_json() {
        for epoch in &epochs {
            out.value(&json!({
                "epoch": name(epoch.number), "record": epoch.record.to_string(), "by": epoch.by,
                "made_ms": epoch.made_ms, "readers": epoch.readers, "replicas": epoch.replicas,
                "held": epoch.held, "in_use": epoch.in_use,
            }))?;
        }
        return Ok(());
    }
    let rows: Vec<_> = epochs.iter().map(row).collect();
    out.table(["EPOCH", "MADE (UTC)", "BY", "FOR", "HERE"], &rows)?;
    match epochs.iter().find(|epoch| epoch.in_use) {
        Some(epoch) => out.remark(format_args!("in use: {}", name(epoch.number))),
        None => out.remark(format_args!(
            "none can be written under: whoever was removed has them all; `threads keys rotate {}` makes new \
             ones",
            quoted(db.name())
        )),
    }
    Ok(())
}

fn row(epoch: &EpochInfo) -> [String; 5] {
    let whom = match (epoch.number, epoch.readers.len(), epoch.replicas.len()) {
        (0, ..) => "who was invited".to_owned(),
        (_, readers, replicas) => format!(
            "{}, {}",
            counted(readers as u64, "reader"),
            counted(replicas as u64, "replica")
        ),
    };
    let held = match epoch.held {
        EpochHeld::Nothing => "no key",
        EpochHeld::Replica => "the replica key",
        _ => "all keys",
    };
    [
        name(epoch.number),
        time(epoch.made_ms),
        short(epoch.by),
        whom,
        held.to_owned(),
    ]
}
