//! `feed append`, `feed tail`.

use serde_json::{Value, json};
use threads_core::{CollectionName, ErrorKind};
use threads_db::{ChangeFilter, Db, FeedCursor};
use threads_shapes::Feed;
use threads_shapes::feed::Item;

use crate::args::{FeedAppend, FeedCommand, FeedTail};
use crate::exit::{Advise, Result};
use crate::input;
use crate::interrupt;
use crate::output::Output;
use crate::repo::{self, POLL, Repo, quoted};

pub(crate) fn run(repo: &Repo, command: &FeedCommand, out: &mut Output) -> Result {
    match command {
        FeedCommand::Append(args) => append(repo, args, out),
        FeedCommand::Tail(args) => tail(repo, args, out),
    }
}

fn append(repo: &Repo, args: &FeedAppend, out: &mut Output) -> Result {
    let item = input::argument(&args.item, "the item")?;
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let feed: Feed = Feed::open(&db, args.collection.as_str())?;
    let position = feed.append(&item)?;
    out.done("the change is committed");
    if out.is_json() {
        return Ok(out.value(&json!({"position": position}))?);
    }
    Ok(out.line(position)?)
}

/// The feed to read: one that is there, for reading makes no collection.
fn there(db: &Db, name: &CollectionName) -> Result<Feed> {
    db.collection(name.as_str())
        .advise(ErrorKind::NotFound, || {
            let db = quoted(db.name());
            format!("`threads feed append {db} ITEM` makes it; `threads collection ls {db}` lists others")
        })?;
    Ok(Feed::open(db, name.as_str())?)
}

fn tail(repo: &Repo, args: &FeedTail, out: &mut Output) -> Result {
    let node = repo.reader()?;
    let db = repo::open(&node, &args.db)?;
    let feed = there(&db, &args.collection)?;
    if let Some(cursor) = args.since {
        return arrivals(&feed, cursor, args, out);
    }
    // Taken before the items are read: what comes in between comes twice, and is not missed.
    let now = db.listen(ChangeFilter::all())?.cursor();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let items = match &args.after {
        Some(position) => feed.read(Some(position), limit)?,
        None => feed.last(limit)?,
    };
    for item in items {
        out.value(&item)?;
    }
    match args.follow {
        true => arrivals(&feed, now, args, out),
        false => Ok(()),
    }
}

/// The items that arrived after a cursor; and, to follow, those that still come.
fn arrivals(feed: &Feed, from: FeedCursor, args: &FeedTail, out: &mut Output) -> Result {
    let mut follower = feed.follow(from).advise(ErrorKind::Invalid, || {
        "give a cursor that `threads feed tail --since` printed for this thread, or 0".to_owned()
    })?;
    let most = match args.follow {
        true => args.count.unwrap_or(u64::MAX),
        false => args.limit,
    };
    interrupt::notice();
    let mut printed = 0;
    while printed < most && !interrupt::came() {
        let item = match follower.try_next()? {
            None if !args.follow => return Ok(()),
            // Someone waits for what was printed.
            None => {
                out.flush()?;
                follower.next_timeout(POLL)?
            }
            item => item,
        };
        if let Some(item) = item {
            out.value(&line(&item, follower.cursor()))?;
            printed += 1;
        }
    }
    Ok(())
}

fn line(item: &Item, cursor: FeedCursor) -> Value {
    json!({"cursor": cursor.to_string(), "position": item.position, "value": item.value})
}
