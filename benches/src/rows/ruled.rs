//! What access rules cost: commits and records received under them, against the same without.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use threads_acl::Acl;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::access::{Role, Scope, Subject};
use threads_core::datastore::Durability;
use threads_core::{PeerId, Variant};
use threads_db::{Collection, ExportOptions, Node, RestoreOptions};
use threads_store_lmdb::Lmdb;

use crate::Result;
use crate::bench::Bench;
use crate::clock::timed;
use crate::documents::{Small, sized};
use crate::engine::{COLLECTION, SHARED_BYTES, THREAD, spec};
use crate::report::{Reach, Row};

/// How many peers were given a role.
const GRANTS: u32 = 1_000;
/// How many of them one record names.
const AT_ONCE: u32 = 100;
const COMMITS: usize = 5_000;
const RECORDS: usize = 100_000;

fn node(dir: &Path) -> Result<Node> {
    let builder = Node::builder(Lmdb::open(dir)?).codec(JsonPatch::new());
    let builder = builder.durability(Durability::Relaxed);
    Ok(builder.policy(Acl::new()).open()?)
}

/// A thread with an empty collection, and as many grants as there are peers if it has rules.
fn thread(dir: &Path, variant: Variant) -> Result<Collection<Small>> {
    let db = node(dir)?.create_with(THREAD, variant)?;
    db.define(&spec(&[])?)?;
    let grants = match variant {
        Variant::AccessControlled => GRANTS,
        _ => 0,
    };
    for first in (0..grants).step_by(AT_ONCE as usize) {
        db.write(|txn| {
            (first..first + AT_ONCE).try_for_each(|number| {
                let mut key = [0; 32];
                key[..4].copy_from_slice(&number.to_be_bytes());
                let to = Subject::Peer(PeerId::from_key_bytes(key));
                txn.grant(to, Scope::Thread, Role::Write)
            })
        })?;
    }
    Ok(db.typed(COLLECTION)?)
}

fn fill(collection: &Collection<Small>, records: usize) -> Result<()> {
    (0..records).try_for_each(|number| {
        let entity = sized(number, SHARED_BYTES);
        Ok(collection.create(&entity).map(drop)?)
    })
}

pub(crate) fn commit(bench: &Bench) -> Result<Row> {
    let count = bench.size(COMMITS);
    let one = |variant| {
        let dir = bench.fresh()?;
        let collection = thread(dir.path(), variant)?;
        let (seconds, ()) = timed(|| fill(&collection, count))?;
        Ok(seconds * 1e6 / count as f64)
    };
    let figures = bench.in_turns(|| one(Variant::AccessControlled), || one(Variant::Raw))?;
    let what = (
        format!("a commit where {GRANTS} peers were given roles, not synced"),
        "the same in a thread without rules",
    );
    Ok(Row::new(
        "acl-commit",
        what,
        figures,
        "us",
        Reach::AtMost(1.15),
    ))
}

/// A thread as a file, in a directory of its own.
fn exported(bench: &Bench, variant: Variant, records: usize) -> Result<(TempDir, PathBuf)> {
    let dir = bench.fresh()?;
    let collection = thread(&dir.path().join("store"), variant)?;
    fill(&collection, records)?;
    let path = dir.path().join("thread.car");
    let passphrase = Some(String::from("benchmark").into());
    let options = ExportOptions {
        passphrase,
        ..Default::default()
    };
    let db = collection.db();
    db.export(File::create(&path)?, &options, &mut |_| ())?;
    Ok((dir, path))
}

pub(crate) fn receive(bench: &Bench) -> Result<Row> {
    let count = bench.size(RECORDS);
    let (_ruled, with) = exported(bench, Variant::AccessControlled, count)?;
    let (_raw, without) = exported(bench, Variant::Raw, count)?;
    let one = |path: &Path| {
        let dir = bench.fresh()?;
        let node = node(dir.path())?;
        let passphrase = Some(String::from("benchmark").into());
        let name = None;
        let options = RestoreOptions {
            passphrase,
            name,
            ..RestoreOptions::default()
        };
        let (seconds, _) = timed(|| Ok(node.restore(path, &options, &mut |_| ())?))?;
        Ok(seconds)
    };
    let figures = bench.in_turns(|| one(&with), || one(&without))?;
    let what = (
        format!("taking in {count} one-entity records under {GRANTS} grants"),
        "the same without rules",
    );
    Ok(Row::new(
        "acl-receive",
        what,
        figures,
        "s",
        Reach::AtMost(1.2),
    ))
}
