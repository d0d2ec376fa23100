//! `purge`: erasing what entities said.

use serde_json::json;
use threads_core::{ErrorKind, PeerId};
use threads_db::{Db, Purge, PurgeReport};

use crate::args;
use crate::exit::{Advise, Result};
use crate::output::{Output, counted, grouped, short};
use crate::repo::{self, Repo, quoted};

pub(crate) fn run(repo: &Repo, args: args::Purge, out: &mut Output) -> Result {
    if args.wipe {
        let wiped = wipe(repo, out)?;
        if out.is_json() {
            return Ok(out.value(&json!({ "wiped": wiped }))?);
        }
        return Ok(());
    }
    if args.entities.is_empty() {
        return list(repo, &args.db, out);
    }
    let entities: Vec<String> = args.entities.iter().map(ToString::to_string).collect();
    let (report, ruled, name) = {
        let node = repo.writer()?;
        let db = repo::open(&node, &args.db)?;
        let named = args.entities.into_iter();
        let report = db
            .purge(named.map(|path| (path.collection, path.id)))
            .advise(ErrorKind::NotFound, || {
                let name = quoted(db.name());
                format!("`threads find {name} COLLECTION --fields _id` lists the ids")
            })?;
        (report, db.rules()?.is_some(), quoted(db.name()))
    };
    out.done("the entities are purged");
    // The store is closed: what this process wrote before is written over too.
    let wiped = wipe(repo, out)?;
    if out.is_json() {
        let mut told = json!(report);
        told["purged"] = json!(entities);
        told["wiped"] = wiped.into();
        return Ok(out.value(&told)?);
    }
    tell(&report, &entities, out)?;
    match report.unnamed_blobs {
        Some(0) => {}
        Some(count) => out.remark(format_args!(
            "{} here named by nothing now: `threads blob gc {name} --older 0s` takes away what that is",
            counted(count, "blob")
        )),
        None => out.remark("a codec is missing here: which blobs nothing names any more is not known"),
    }
    match ruled {
        true => out.remark(format_args!(
            "peers that keep to the rules do the same when they hear of it; `threads purge {name}` lists who says so"
        )),
        false => out.remark(
            "this thread has no rules by which peers could be asked: each of them keeps what it has",
        ),
    }
    out.remark("exports, backups and snapshots of the disk keep what was in them");
    Ok(())
}

fn tell(report: &PurgeReport, entities: &[String], out: &mut Output) -> Result {
    for entity in entities {
        out.line(format_args!("{entity}: purged"))?;
    }
    Ok(out.line(format_args!(
        "{} emptied",
        counted(report.records, "record")
    ))?)
}

/// Writes over what the disk still holds, unless another process has the store; says whether it did.
fn wipe(repo: &Repo, out: &mut Output) -> Result<bool> {
    match repo.wipe() {
        Ok(()) => Ok(true),
        Err(failure) if failure.kind() == Some(ErrorKind::Unavailable) => {
            out.remark(
                "the process that serves the repository has the disk: what is free there is written over when \
                 `threads serve` is started again, or by: threads purge DB --wipe",
            );
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}

/// Lists the purges that were stated, with what became of them, and who claims to have followed.
fn list(repo: &Repo, name: &str, out: &mut Output) -> Result {
    let node = repo.live()?;
    let db = repo::open(&node, name)?;
    let purges = db.purges()?;
    if out.is_json() {
        for purge in &purges {
            out.value(purge)?;
        }
        return Ok(());
    }
    tell_emptied(&db, out)?;
    if purges.is_empty() {
        out.remark("no purge was stated here");
        return Ok(());
    }
    let rows: Vec<_> = purges.iter().map(row).collect();
    out.table(
        [
            "STATED IN",
            "BY",
            "RECORDS",
            "EMPTIED HERE",
            "AND THAT",
            "WHO SAYS IT ERASED",
        ],
        &rows,
    )?;
    out.remark("what others say of themselves is a claim, and no proof");
    Ok(())
}

fn row(purge: &Purge) -> [String; 6] {
    let said = purge.claims.iter();
    let said: Vec<_> = said.map(|(peer, claim)| claimed(peer, claim)).collect();
    [
        purge.record.to_string(),
        short(purge.author),
        grouped(purge.listed),
        grouped(purge.emptied),
        match &purge.void {
            None => "counts".to_owned(),
            Some(why) => why.clone(),
        },
        match said.is_empty() {
            true => "nobody yet".to_owned(),
            false => said.join(", "),
        },
    ]
}

fn claimed(peer: &PeerId, claim: &threads_db::Erased) -> String {
    let kept = claim.living + claim.unread;
    let more = match (kept, claim.absent) {
        (0, 0) => String::new(),
        (0, absent) => format!(", lacks {absent}"),
        (kept, _) => format!(", keeps {kept}"),
    };
    format!("{} ({}{more})", short(peer), claim.emptied)
}

/// How many records are emptied, and which came so that nobody here knows why.
pub(crate) fn tell_emptied(db: &Db, out: &mut Output) -> Result {
    let counts = db.sync_status()?.emptied;
    if counts.purged > 0 {
        out.remark(format_args!(
            "{} emptied by purges",
            counted(counts.purged, "record")
        ));
    }
    for (log, count) in &counts.stripped_of {
        out.remark(format_args!(
            "{} of log {log} came without what they said, for a reason that is not known here; a peer that has \
             them whole will be asked",
            counted(*count, "record"),
        ));
    }
    Ok(())
}
