//! `kv put`, `kv get`, `kv del`, `kv ls`.

use std::io::{self, IsTerminal};
use std::ops::Bound;

use serde_json::{Value, json};
use threads_core::multibase::{self, Base};
use threads_core::{Error, ErrorKind};
use threads_db::Db;
use threads_shapes::Kv;
use threads_shapes::kv::PAIRS_MAX;

use crate::args::{KvCommand, KvDel, KvGet, KvLs, KvPut, Pairs};
use crate::exit::{Advise, Failure, Result};
use crate::input;
use crate::output::{Output, counted};
use crate::repo::{self, Repo, quoted};

pub(crate) fn run(repo: &Repo, command: &KvCommand, out: &mut Output) -> Result {
    match command {
        KvCommand::Put(args) => put(repo, args, out),
        KvCommand::Get(args) => get(repo, args, out),
        KvCommand::Del(args) => del(repo, args, out),
        KvCommand::Ls(args) => list(repo, args, out),
    }
}

fn put(repo: &Repo, args: &KvPut, out: &mut Output) -> Result {
    let value = match args.value.as_str() {
        "-" => input::bytes("the value")?,
        value => value.as_bytes().to_vec(),
    };
    let node = repo.writer()?;
    let db = repo::open(&node, &args.pairs.db)?;
    let kv = Kv::open(&db, args.pairs.collection.as_str())?;
    kv.put(&args.key, value).advise(ErrorKind::Invalid, || {
        "a key has at most 256 letters, or 85 bytes of any kind, and a value 1 MiB".to_owned()
    })?;
    out.done("the change is committed");
    if out.is_json() {
        out.value(&json!({"key": args.key}))?;
    }
    Ok(())
}

/// The pairs to read: those that are there, for reading makes no collection.
fn there(db: &Db, pairs: &Pairs) -> Result<Kv> {
    let name = pairs.collection.as_str();
    db.collection(name).advise(ErrorKind::NotFound, || {
        let db = quoted(db.name());
        format!(
            "`threads kv put {db} KEY VALUE` makes it; `threads collection ls {db}` lists others"
        )
    })?;
    Ok(Kv::open(db, name)?)
}

fn get(repo: &Repo, args: &KvGet, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.pairs.db)?;
    let value = there(&db, &args.pairs)?.get(&args.key)?.ok_or_else(|| {
        let error = Error::not_found("no value under this key").with("key", &args.key);
        Failure::new(error, list_help(&args.pairs))
    })?;
    if out.is_json() {
        return Ok(out.value(&json!({"key": args.key, "value": shown(&value)}))?);
    }
    // A terminal gets nothing to obey, and everybody else what was put.
    if io::stdout().is_terminal() {
        return Ok(out.line(String::from_utf8_lossy(&value))?);
    }
    Ok(out.bytes(&value)?)
}

fn del(repo: &Repo, args: &KvDel, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.pairs.db)?;
    let kv = there(&db, &args.pairs)?;
    let deleted = kv.write(|batch| {
        args.keys
            .iter()
            .try_fold(0, |deleted, key| match batch.del(key)? {
                true => Ok(deleted + 1),
                false => Err(Error::not_found("no value under this key").with("key", key)),
            })
    });
    let deleted = deleted.advise(ErrorKind::NotFound, || {
        format!("nothing was deleted; {}", list_help(&args.pairs))
    })?;
    out.done("the change is committed");
    if out.is_json() {
        return Ok(out.value(&json!({"deleted": args.keys}))?);
    }
    out.remark(format_args!("deleted {}", counted(deleted, "key")));
    Ok(())
}

fn list(repo: &Repo, args: &KvLs, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.pairs.db)?;
    let kv = there(&db, &args.pairs)?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut failed = Ok(());
    let mut print = |key: Vec<u8>, value: Vec<u8>| {
        left -= 1;
        failed = pair(&key, &value, out);
        Ok(failed.is_ok() && left > 0)
    };
    if let Some(prefix) = &args.prefix {
        let limit = args.limit.map_or(PAIRS_MAX, |limit| limit as usize);
        for (key, value) in kv.prefix(prefix, limit)? {
            print(key, value)?;
        }
        return failed;
    }
    let from = args.from.as_ref().map_or(Bound::Unbounded, Bound::Included);
    let to = args.to.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    kv.for_each::<&String>((from, to), &mut print)?;
    failed
}

fn pair(key: &[u8], value: &[u8], out: &mut Output) -> Result {
    if out.is_json() {
        return Ok(out.value(&json!({"key": shown(key), "value": shown(value)}))?);
    }
    let text = String::from_utf8_lossy;
    Ok(out.line(format_args!("{}\t{}", text(key), text(value)))?)
}

/// Bytes in JSON: text, or what is none as base64.
fn shown(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({"base64": multibase::encode(Base::Base64, bytes)}),
    }
}

fn list_help(pairs: &Pairs) -> String {
    format!("`threads kv ls {}` lists the keys", quoted(&pairs.db))
}
