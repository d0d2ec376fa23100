//! `watch`: changes as they happen, whichever process makes them.

use serde::Serialize;
use serde_json::Value;
use threads_core::{CollectionName, ErrorKind, Hlc, PeerId};
use threads_db::query::Query;
use threads_db::{Change, ChangeFilter, FeedCursor, Listener, Notice};

use crate::args::Watch;
use crate::commands::find;
use crate::exit::{Advise, Result};
use crate::interrupt;
use crate::output::{Output, counted};
use crate::repo::{self, POLL, Repo};

/// What `--since` calls the beginning.
const START: &str = "start";

pub(crate) fn run(repo: &Repo, args: &Watch, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.db)?;
    let mut filter = ChangeFilter::all();
    if let Some(name) = &args.collection {
        let collection = repo::collection(&db, name)?;
        filter = filter.collection(name.clone());
        if let Some(text) = &args.expr {
            let query = Query::new().filter(find::filter(text)?);
            // A field that the schema cannot have is an error here as it is for `find`.
            collection.explain(&query)?;
            filter = filter.query(&query)?;
        }
    }
    let listener = match args.since.as_deref() {
        None => db.listen(filter),
        Some(START) => db.listen_from(filter, FeedCursor::START),
        Some(cursor) => cursor
            .parse()
            .and_then(|cursor| db.listen_from(filter, cursor)),
    };
    let listener = listener.advise(ErrorKind::Invalid, || {
        "give a cursor that `threads watch` printed for this thread, or `--since start`".to_owned()
    })?;
    interrupt::notice();
    if args.since.is_none() {
        out.remark(format_args!(
            "watching from cursor {}; Ctrl-C ends it",
            listener.cursor()
        ));
    }
    follow(listener, args.count.unwrap_or(u64::MAX), out)
}

fn follow(mut listener: Listener, count: u64, out: &mut Output) -> Result {
    let mut printed = 0;
    while printed < count && !interrupt::came() {
        let notice = match listener.try_next()? {
            // Someone waits for what was printed.
            None => {
                out.flush()?;
                listener.next_timeout(POLL)?
            }
            notice => notice,
        };
        match notice {
            Some(Notice::Change(change)) => {
                out.value(&Line::new(&listener, &change))?;
                printed += 1;
            }
            Some(Notice::Lagged(records)) => {
                out.remark(format_args!(
                    "{} behind; all of them follow",
                    counted(records, "record")
                ));
            }
            Some(Notice::StartOver(_)) => {
                out.remark("what came next is not here any more: begin anew with `threads find`");
            }
            _ => {}
        }
    }
    Ok(())
}

/// A change as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    cursor: String,
    action: &'static str,
    collection: &'a CollectionName,
    entity: &'a str,
    before: &'a Option<Value>,
    after: &'a Option<Value>,
    time: Hlc,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<PeerId>,
    record: String,
}

impl<'a> Line<'a> {
    fn new(listener: &Listener, change: &'a Change) -> Self {
        Self {
            cursor: listener.cursor().to_string(),
            action: change.action.as_str(),
            collection: &change.collection,
            entity: change.entity.as_str(),
            before: &change.before,
            after: &change.after,
            time: change.time,
            author: change.author,
            record: change.record.to_string(),
        }
    }
}
