//! `sync`: exchanges what is new with whoever can be reached.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use threads_core::{Error, PeerId};
use threads_db::sync::SyncStatus;
use threads_db::{Db, Node};

use crate::args::Sync;
use crate::commands::acl;
use crate::exit::{Failure, Result};
use crate::link::control;
use crate::meter::Meter;
use crate::output::{Output, counted};
use crate::peer::{Online, Reach};
use crate::repo::{self, Repo};

/// How often it is looked whether peers agree.
const LOOK: Duration = Duration::from_millis(100);
/// How long to look without --wait.
const MOMENT: Duration = Duration::from_secs(5);

/// Who is connected now.
type Who<'a> = dyn Fn() -> Vec<PeerId> + 'a;

pub(crate) fn run(repo: &Repo, args: &Sync, out: &mut Output) -> Result {
    let wait = match args.wait {
        true => Duration::from_secs(args.timeout),
        false => MOMENT.min(Duration::from_secs(args.timeout)),
    };
    if control::about(repo.dir()).is_ok() {
        let node = repo.live()?;
        let who = || control::about(repo.dir()).unwrap_or_default().connected;
        return until_level(&node, args, wait, &who, out);
    }
    let node = repo.writer()?;
    acl::attend(&node)?;
    let online = Online::start(&node, &Reach::anywhere())?;
    let who = || online.connected.peers();
    let ended = until_level(&node, args, wait, &who, out);
    // The peers are to know what is here too, before this node is gone.
    let until = now() + MOMENT;
    while ended.is_ok() && !online.connected.is_settled() && now() < until {
        thread::park_timeout(LOOK);
    }
    online.close();
    ended
}

fn until_level(
    node: &Node,
    args: &Sync,
    wait: Duration,
    who: &Who<'_>,
    out: &mut Output,
) -> Result {
    let db = repo::open(node, &args.db)?;
    let meter = Meter::steps(out, "records");
    let end = now() + wait;
    loop {
        let (status, connected) = (db.sync_status()?, who());
        let level = is_level(&status, &connected);
        let have: u64 = status.logs.iter().map(|log| log.have).sum();
        let missing = status.peers.iter().map(|peer| peer.missing).max();
        // A peer may say that it has any number of records.
        let all = have.saturating_add(missing.unwrap_or(0));
        meter.set(have, Some(all));
        let late = now() >= end;
        if level || late {
            drop(meter);
            return tell(&db, &status, &connected, level, out);
        }
        thread::park_timeout(LOOK);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the program is where time comes from"
)]
fn now() -> Instant {
    Instant::now()
}

/// Whether somebody can be reached, and everybody who can agrees.
fn is_level(status: &SyncStatus, connected: &[PeerId]) -> bool {
    let mut reached = status
        .peers
        .iter()
        .filter(|peer| connected.contains(&peer.peer))
        .peekable();
    reached.peek().is_some() && reached.all(|peer| peer.is_level()) && status.held.pending == 0
}

fn tell(
    db: &Db,
    status: &SyncStatus,
    connected: &[PeerId],
    level: bool,
    out: &mut Output,
) -> Result {
    let reached = status
        .peers
        .iter()
        .filter(|peer| connected.contains(&peer.peer))
        .count();
    let have: u64 = status.logs.iter().map(|log| log.have).sum();
    if out.is_json() {
        out.value(&json!({
            "id": db.id(), "in_sync": level, "records": have, "reached": reached, "status": status,
        }))?;
    }
    if level {
        let (have, reached) = (counted(have, "record"), counted(reached as u64, "peer"));
        out.remark(format_args!("in sync: {have}, agreed with {reached}"));
        return Ok(());
    }
    let (why, help) = match (status.peers.is_empty(), reached) {
        (true, _) => (
            "the thread is shared with nobody",
            "`threads invite DB --role write` invites somebody",
        ),
        (false, 0) => (
            "no peer that shares the thread could be reached",
            "`threads peers` lists them; `threads connect ADDR` says where one is",
        ),
        _ => (
            "not in sync yet with a peer that was reached",
            "`threads status DB` says what is missing; --wait waits for it",
        ),
    };
    let error = Error::unavailable(why).with("reached", reached);
    Err(Failure::new(error, help))
}
