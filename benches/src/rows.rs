//! The rows of the table, and what their own processes do.

use std::path::Path;

use crate::Result;
use crate::bench::Bench;
use crate::report::Row;

mod acl;
mod blob;
mod disk;
mod durable;
mod filter;
mod find;
mod heap;
mod import;
mod live;
mod long;
mod merging;
mod open;
mod rekey;
mod relaxed;
mod ruled;
mod shapes;
mod snapshots;
mod sync;
mod travel;

/// How one row is measured.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Bench) -> Result<Row>,
}

const ALL: [Measure; 44] = [
    measure("durable-many", durable::many),
    measure("durable-one", durable::one),
    measure("durable-floor", durable::floor),
    measure("import", import::run),
    measure("relaxed", relaxed::run),
    measure("find-equal", find::equal),
    measure("find-range", find::range),
    measure("filter", filter::run),
    measure("live-top", live::top),
    measure("live-filtered", live::filtered),
    measure("live-all", live::all),
    measure("open", open::run),
    measure("disk", disk::run),
    measure("heap", heap::run),
    measure("blob", blob::run),
    measure("blob-heap", blob::most_heap),
    measure("rekey", rekey::run),
    measure("sync-first", sync::first::tcp),
    measure("sync-quic", sync::first::quic),
    measure("sync-catch-up", sync::meeting::catch_up),
    measure("sync-level", sync::meeting::level),
    measure("sync-level-trips", sync::meeting::level_trips),
    measure("sync-visible", sync::visible::run),
    measure("sync-mesh", sync::mesh::run),
    measure("sync-idle", sync::idle::run),
    measure("sync-replica", sync::replica::run),
    measure("acl-settle", acl::settle),
    measure("acl-late", acl::late),
    measure("acl-commit", ruled::commit),
    measure("acl-receive", ruled::receive),
    measure("merging", merging::run),
    measure("merging-long", long::merging),
    measure("late", long::late),
    measure("travel-as-of", travel::as_of),
    measure("travel-heap", travel::most_heap),
    measure("travel-history", travel::history),
    measure("travel-blame", travel::blame),
    measure("shape-kv", shapes::kv),
    measure("shape-feed", shapes::feed),
    measure("shape-counter", shapes::counter),
    measure("shape-table", shapes::table),
    measure("shape-docs", shapes::docs),
    measure("snapshot-open", snapshots::first_answer),
    measure("compact-size", snapshots::size),
];

const fn measure(name: &'static str, run: fn(&Bench) -> Result<Row>) -> Measure {
    Measure { name, run }
}

/// The rows whose names begin with one of `names`; all of them when there is none.
pub(crate) fn picked(names: &[String]) -> Result<Vec<&'static Measure>> {
    let begins = |name: &String| ALL.iter().any(|one| one.name.starts_with(name.as_str()));
    if let Some(unknown) = names.iter().find(|name| !begins(name)) {
        let known = ALL.map(|one| one.name).join(", ");
        return Err(format!("there is no row {unknown}; there are {known}").into());
    }
    let picked = |one: &&Measure| names.is_empty() || names.iter().any(|n| one.name.starts_with(n));
    Ok(ALL.iter().filter(picked).collect())
}

/// What a process of its own measures: `open DIR DOCUMENTS`, `heap DIR ENTITIES`, `blob DIR MIB`, `travel DIR ENTITIES` or
/// `idle DIR THREADS`. It prints one number.
pub(crate) fn child(words: &[String]) -> Result<()> {
    let [what, dir, count] = words else {
        return Err("a child is given what to measure, a directory and a number".into());
    };
    let (dir, count) = (Path::new(dir), count.parse()?);
    let figure = match what.as_str() {
        "open" => open::child(dir, count)?,
        "heap" => heap::child(dir, count)?,
        "blob" => blob::child(dir, count)?,
        "travel" => travel::child(dir, count)?,
        "idle" => sync::idle::child(dir, count)?,
        _ => return Err("there is no such child".into()),
    };
    Ok(std::io::Write::write_all(
        &mut std::io::stdout(),
        figure.to_string().as_bytes(),
    )?)
}

/// Runs this program again for [`child`] and gives its number.
fn in_child(what: &str, dir: &Path, count: usize) -> Result<f64> {
    let output = std::process::Command::new(std::env::current_exe()?)
        .args(["--child", what])
        .arg(dir)
        .arg(count.to_string())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_picked_by_how_their_names_begin() {
        let names = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            let picked = picked(&words).unwrap();
            picked.iter().map(|one| one.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]).len(), ALL.len());
        assert_eq!(names(&["find"]), ["find-equal", "find-range"]);
        assert!(picked(&["nothing".into()]).is_err());
    }
}
