//! `status`: where threads stand with their peers, what is here and not applied, and what the next
//! change will do.

use std::collections::BTreeSet;

use serde_json::json;
use threads_core::PeerId;
use threads_db::sync::{PeerStatus, SyncStatus};
use threads_db::{Db, Fork, FromSnapshot, HeldReason, HeldRecord, Node};

use crate::args::Status;
use crate::commands::{acl, purge};
use crate::exit::Result;
use crate::interrupt;
use crate::link::control;
use crate::output::{Output, grouped, time};
use crate::repo::{self, POLL, Repo, quoted};

/// What is said of roles where there are no rules.
const NO_RULES: &str = "all";

pub(crate) fn run(repo: &Repo, args: &Status, out: &mut Output) -> Result {
    let node = repo.live()?;
    let connected = control::about(repo.dir()).unwrap_or_default().connected;
    if let Some(name) = &args.db {
        let db = repo::open(&node, name)?;
        return match args.follow {
            true => follow(repo, &db, args.count.unwrap_or(u64::MAX), out),
            false => one(&db, &connected, out),
        };
    }
    if args.follow {
        return follow_all(repo, &node, args.count.unwrap_or(u64::MAX), out);
    }
    let mut rows = Vec::new();
    let mut copies = Vec::new();
    let mut apart = Vec::new();
    for thread in node.threads()? {
        let db = repo::open(&node, &thread.id.to_string())?;
        let sync = db.sync_status()?;
        let roles = acl::roles_of(&db, &node.peer_id())?;
        if out.is_json() {
            out.value(&json!({
                "id": db.id(), "name": db.name(), "records": thread.records, "held": sync.held,
                "roles": acl::roles_json(&db, &node.peer_id())?, "access": by_rules(&db, &sync)?, "copy": db.is_copy()?, "in_sync": sync.is_in_sync(), "peers": sync.peers, "removed": sync.removed,
            }))?;
            continue;
        }
        if db.is_copy()? {
            copies.push(quoted(db.name()));
        }
        tell_removed(&db, &sync, out);
        if by_rules(&db, &sync)? > 0 {
            apart.push(quoted(db.name()));
        }
        rows.push([
            thread.name,
            grouped(thread.records),
            roles.unwrap_or_else(|| NO_RULES.to_owned()),
            grouped(sync.held.pending),
            grouped(sync.held.quarantined),
            in_words(&sync),
        ]);
    }
    if out.is_json() {
        return Ok(());
    }
    if rows.is_empty() {
        out.remark("no threads yet; next: threads create NAME");
        return Ok(());
    }
    out.table(
        [
            "NAME",
            "RECORDS",
            "YOU MAY",
            "WAITING",
            "QUARANTINED",
            "PEERS",
        ],
        &rows,
    )?;
    for name in apart {
        tell_apart(&name, out);
    }
    tell_copies(&copies, out);
    super::keystore::hint(repo, out)
}

/// How many records the rules keep from being applied.
fn by_rules(db: &Db, sync: &SyncStatus) -> Result<usize> {
    if sync.held.quarantined == 0 {
        return Ok(0);
    }
    Ok(db.held()?.iter().filter(|held| is_by_rules(held)).count())
}

fn is_by_rules(held: &HeldRecord) -> bool {
    matches!(held.reason, HeldReason::Access(_))
}

fn tell_apart(name: &str, out: &mut Output) {
    out.remark(format_args!(
        "the rules keep records of {name} from being applied: `threads quarantine ls {name}` lists them, \
         `threads why {name} RECORD` says why"
    ));
}

/// Where a thread stands with its peers, in a few words.
fn in_words(sync: &SyncStatus) -> String {
    let level = sync.peers.iter().filter(|peer| peer.is_level()).count();
    match sync.peers.len() {
        0 => "not shared".to_owned(),
        all => format!("{level} of {all} have it all"),
    }
}

/// Tells how a thread stands with its peers, whenever that has changed.
fn follow(repo: &Repo, db: &Db, count: u64, out: &mut Output) -> Result {
    interrupt::notice();
    let mut changes = db.sync_changes();
    let mut told = 0;
    while told < count && !interrupt::came() {
        // Another process may be the one that serves.
        let Some(sync) = changes.next_timeout(POLL)? else {
            continue;
        };
        let connected = control::about(repo.dir()).unwrap_or_default().connected;
        if out.is_json() {
            out.value(&in_json(db, &sync, &connected)?)?;
        } else {
            if told > 0 {
                out.line("")?;
            }
            tell_peers(db, &sync, &connected, out)?;
        }
        // Someone waits for it.
        out.flush()?;
        told += 1;
    }
    Ok(())
}

/// Tells how each thread stands with its peers, and each again whenever that has changed.
fn follow_all(repo: &Repo, node: &Node, count: u64, out: &mut Output) -> Result {
    interrupt::notice();
    let mut changes = node.sync_changes();
    let mut told = 0;
    while told < count && !interrupt::came() {
        // Another process may be the one that serves.
        let Some((db, sync)) = changes.next_timeout(POLL)? else {
            continue;
        };
        let connected = control::about(repo.dir()).unwrap_or_default().connected;
        match out.is_json() {
            true => out.value(&in_json(&db, &sync, &connected)?)?,
            false => out.line(format_args!("{}: {}", quoted(db.name()), in_words(&sync)))?,
        }
        // Someone waits for it.
        out.flush()?;
        told += 1;
    }
    Ok(())
}

fn in_json(db: &Db, sync: &SyncStatus, connected: &[PeerId]) -> Result<serde_json::Value> {
    Ok(json!({
        "id": db.id(), "name": db.name(), "held": db.held()?, "copy": db.is_copy()?,
        "in_sync": sync.is_in_sync(), "logs": sync.logs, "peers": sync.peers,
        "connected": connected, "missing_codecs": db.missing_codecs()?, "removed": sync.removed, "forks": db.forks()?, "access": by_rules(db, sync)?,
        "roles": acl::roles_json(db, &db.node().peer_id())?, "base": db.base()?, "from_snapshot": sync.from_snapshot,
    }))
}

fn one(db: &Db, connected: &[PeerId], out: &mut Output) -> Result {
    let (held, sync, forks) = (db.held()?, db.sync_status()?, db.forks()?);
    if out.is_json() {
        return Ok(out.value(&in_json(db, &sync, connected)?)?);
    }
    tell_peers(db, &sync, connected, out)?;
    if held.is_empty() {
        out.remark("every record that is here is applied");
    } else {
        let rows: Vec<_> = held.iter().map(row).collect();
        out.table(["RECORD", "SINCE (UTC)", "WHY"], &rows)?;
        out.remark("any command that changes the repository tries them again");
        if held.iter().any(is_by_rules) {
            tell_apart(&quoted(db.name()), out);
        }
    }
    tell_from_snapshot(&sync, out);
    tell_base(db, out)?;
    tell_missing(db, out)?;
    purge::tell_emptied(db, out)?;
    if !forks.is_empty() {
        let rows: Vec<_> = forks.iter().map(fork_row).collect();
        out.table(["FORKED LOG OF", "AT RECORD", "BRANCHES"], &rows)?;
        out.remark("two records were signed for one place; both, and what follows them, are kept");
    }
    if db.is_copy()? {
        tell_copies(&[quoted(db.name())], out);
    }
    Ok(())
}

/// How far it is with a snapshot that the thread was to begin with.
fn tell_from_snapshot(sync: &SyncStatus, out: &mut Output) {
    match &sync.from_snapshot {
        Some(FromSnapshot::Looking) => {
            out.remark("looks for a snapshot to begin with, and takes no records meanwhile");
        }
        Some(FromSnapshot::Fetching { snapshot, missing }) => out.remark(format_args!(
            "gets snapshot {snapshot} to begin with: {} bytes are missing",
            grouped(*missing),
        )),
        Some(FromSnapshot::Opened { snapshot, signers }) => {
            let signers: Vec<_> = signers.iter().map(PeerId::to_string).collect();
            out.remark(format_args!(
                "was opened from snapshot {snapshot}, by the word of {}",
                signers.join(", "),
            ));
        }
        Some(FromSnapshot::Not {
            snapshot,
            why,
            detail,
        }) => {
            let which =
                snapshot.map_or_else(|| "a snapshot".to_owned(), |id| format!("snapshot {id}"));
            let detail = match detail.is_empty() {
                true => String::new(),
                false => format!(" ({detail})"),
            };
            out.remark(format_args!(
                "was not opened from {which}: {why}{detail}; all records are got instead"
            ));
        }
        Some(_) | None => {}
    }
}

/// That the thread begins with a snapshot here, and what that leaves open.
fn tell_base(db: &Db, out: &mut Output) -> Result {
    let Some(base) = db.base()? else {
        return Ok(());
    };
    out.remark(format_args!(
        "begins with snapshot {} of what was known until {}: {} older records are not here",
        base.snapshot,
        time(base.until_ms),
        grouped(base.dropped),
    ));
    if base.waiting > 0 {
        out.remark(format_args!(
            "{} records wait for older ones: they are got from a peer that has them, or by \
             `threads restore` from a file that does",
            grouped(base.waiting),
        ));
    }
    if let Some(owes) = base.owes {
        out.remark(format_args!(
            "by record {owes}, which came later, older records would be judged again: what they did stands here \
             until they are here",
        ));
    }
    Ok(())
}

/// That the thread needs codecs which this build does not have.
pub(crate) fn tell_missing(db: &Db, out: &mut Output) -> Result {
    for missing in db.missing_codecs()? {
        let text = format!("{missing}; a build that has it applies what is here");
        out.note(text, &json!({"missing_codec": missing}));
    }
    Ok(())
}

/// That this node has no part in a thread any more, and why.
fn tell_removed(db: &Db, sync: &SyncStatus, out: &mut Output) {
    let Some(removed) = &sync.removed else {
        return;
    };
    let (name, record) = (quoted(db.name()), removed.record);
    match removed.by == db.node().peer_id() {
        true => out.remark(format_args!(
            "you have left the thread {name}, by record {record}: what is here stays, and nothing new comes"
        )),
        false => out.remark(format_args!(
            "you were removed from the thread {name} by {}, by record {record}: what is here stays, and nothing \
             new comes",
            removed.by
        )),
    }
}

fn tell_peers(db: &Db, sync: &SyncStatus, connected: &[PeerId], out: &mut Output) -> Result {
    tell_removed(db, sync, out);
    if sync.peers.is_empty() {
        out.remark(format_args!(
            "shared with nobody; `threads invite {} --role write` invites somebody",
            quoted(db.name())
        ));
    } else {
        let mut rows = Vec::new();
        for peer in &sync.peers {
            let roles = acl::roles_of(db, &peer.peer)?;
            rows.push(peer_row(peer, roles, sync, connected));
        }
        out.table(
            [
                "PEER",
                "MAY",
                "STATE",
                "LACKS",
                "HAS MORE",
                "SIGNED",
                "LAST HEARD (UTC)",
            ],
            &rows,
        )?;
        tell_failed(sync, out);
        tell_dropped(sync, out);
    }
    Ok(())
}

/// Names those who could not show what they signed for.
fn tell_failed(sync: &SyncStatus, out: &mut Output) {
    for peer in &sync.peers {
        if let Some(failed) = &peer.failed_check {
            out.remark(format_args!(
                "{} signed for record {} of log {}, and {}: what it signed counts for nothing until it shows it",
                peer.peer,
                grouped(failed.seq),
                failed.log,
                if failed.answered { "could not show it" } else { "does not show it" },
            ));
        }
    }
}

/// Names those who dropped records that are not here.
fn tell_dropped(sync: &SyncStatus, out: &mut Output) {
    for peer in &sync.peers {
        for (log, last) in peer.dropped.iter().flat_map(|dropped| &dropped.logs) {
            out.remark(format_args!(
                "{} keeps a snapshot in place of records up to {} of log {log}, and has none of those to give: \
                 another peer may",
                peer.peer,
                grouped(*last),
            ));
        }
    }
}

/// For how many records of this node's logs a peer signed.
fn signed(peer: &PeerStatus, sync: &SyncStatus) -> String {
    if peer.failed_check.is_some() {
        return "not shown".to_owned();
    }
    let signed = sync
        .logs
        .iter()
        .filter_map(|log| log.signed.get(&peer.peer));
    grouped(signed.sum())
}

fn fork_row(fork: &Fork) -> [String; 3] {
    let authors: BTreeSet<_> = fork
        .branches
        .iter()
        .filter_map(|branch| branch.author)
        .collect();
    let authors: Vec<_> = authors.iter().map(PeerId::to_string).collect();
    let author = match authors.is_empty() {
        true => fork.log.to_string(),
        false => authors.join(" "),
    };
    let firsts: Vec<_> = fork
        .branches
        .iter()
        .map(|branch| branch.first.to_string())
        .collect();
    [author, grouped(fork.at), firsts.join(" ")]
}

/// What one peer has, as far as it said.
fn peer_row(
    peer: &PeerStatus,
    roles: Option<String>,
    sync: &SyncStatus,
    connected: &[PeerId],
) -> [String; 7] {
    let state = if connected.contains(&peer.peer) {
        "connected"
    } else {
        "away"
    };
    let state = match peer.full {
        true => format!("{state}, full"),
        false => state.to_owned(),
    };
    let state = match peer.announced.is_some() {
        true => format!("{state}, has news"),
        false => state,
    };
    [
        peer.peer.to_string(),
        roles.unwrap_or_else(|| NO_RULES.to_owned()),
        state,
        grouped(peer.lacks),
        grouped(peer.missing),
        signed(peer, sync),
        peer.last_contact_ms.map_or("never".to_owned(), time),
    ]
}

fn row(held: &HeldRecord) -> [String; 3] {
    [
        held.record.to_string(),
        time(held.since_ms),
        held.reason.to_string(),
    ]
}

fn tell_copies(names: &[String], out: &mut Output) {
    if names.is_empty() {
        return;
    }
    out.remark(format_args!(
        "this repository was copied or moved since it last changed {}; the next change begins a log \
         of its own, so that the copies never contradict each other",
        names.join(", ")
    ));
}
