//! `init`, `create`, `ls`: the repository and its threads.

use serde_json::json;
use threads_core::{ErrorKind, Variant};

use crate::args::{Begin as BeginArgs, Create};
use crate::exit::{Advise, Result};
use crate::output::{Output, grouped, time};
use crate::repo::{Begin, Repo, quoted};

pub(crate) fn init(repo: &Repo, args: &BeginArgs, out: &mut Output) -> Result {
    // What is there stays as it is.
    let passphrase = match repo.is_new() {
        true => args.passphrase()?,
        false => None,
    };
    let identity = None;
    begin(
        repo,
        &Begin {
            identity,
            passphrase,
        },
        out,
    )
}

/// Makes the repository, unless there is one.
pub(crate) fn begin(repo: &Repo, begin: &Begin, out: &mut Output) -> Result {
    let (node, new) = repo.init(begin)?;
    let peer = node.peer_id().to_string();
    if new {
        out.done("the repository is made");
    }
    if out.is_json() {
        return Ok(out.value(&json!({"repo": repo.dir(), "peer": peer, "created": new}))?);
    }
    out.line(peer)?;
    let dir = repo.dir().display();
    if new {
        out.remark(format_args!(
            "made a repository in {dir}; next: threads create NAME"
        ));
    } else {
        out.remark(format_args!(
            "there was a repository in {dir} already; it is as it was"
        ));
    }
    Ok(())
}

pub(crate) fn create(repo: &Repo, args: &Create, out: &mut Output) -> Result {
    let (variant, word) = if args.access_controlled {
        (Variant::AccessControlled, "access-controlled")
    } else {
        (Variant::Raw, "raw")
    };
    let db = repo
        .writer()?
        .create_with(&args.name, variant)
        .advise(ErrorKind::Conflict, || {
            "`threads ls` lists the threads: use that one, or choose another name".to_owned()
        })?;
    out.done("the thread is made");
    let id = db.id().to_string();
    if out.is_json() {
        let root = args.access_controlled.then(|| db.node().peer_id());
        let made = json!({"id": id, "name": db.name(), "variant": word, "root": root});
        return Ok(out.value(&made)?);
    }
    out.line(id)?;
    if args.access_controlled {
        let name = quoted(db.name());
        out.remark(format_args!(
            "this repository's identity is its root: it may do everything, always, and nobody else anything \
             yet; next: threads invite {name} --role read --to CARD; threads acl show {name}"
        ));
    }
    Ok(())
}

pub(crate) fn list(repo: &Repo, out: &mut Output) -> Result {
    let threads = repo.reader()?.threads()?;
    if out.is_json() {
        return Ok(out.value(&threads)?);
    }
    if threads.is_empty() {
        out.remark("no threads yet; next: threads create NAME");
        return Ok(());
    }
    let rows: Vec<_> = threads
        .iter()
        .map(|thread| {
            [
                thread.name.clone(),
                grouped(thread.collections),
                grouped(thread.logs),
                grouped(thread.records),
                time(thread.created_ms),
                thread.id.to_string(),
            ]
        })
        .collect();
    Ok(out.table(
        [
            "NAME",
            "COLLECTIONS",
            "LOGS",
            "RECORDS",
            "SINCE (UTC)",
            "ID",
        ],
        &rows,
    )?)
}
