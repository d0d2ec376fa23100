//! Looking at shapes: through what applications use, each in two ways that have to agree.

use std::collections::BTreeSet;
use std::ops::Bound;

use serde_json::Value;
use threads_conformance::sim::watch::Watch;
use threads_core::{Error, Result};
use threads_db::query::{Query, field};
use threads_db::{Db, FeedCursor};
use threads_shapes::feed::{Follower, Position};
use threads_shapes::{Counters, Docs, Feed, Kv};

use crate::journal::{self, ALL, Done, Model};
use crate::lab::table;

/// After so many items whoever follows a feed starts again, from a cursor.
const RESTART_AFTER: usize = 10;

fn agrees(what: &str, here: impl std::fmt::Debug, there: impl std::fmt::Debug) -> Result<()> {
    let (here, there) = (format!("{here:?}"), format!("{there:?}"));
    match here == there {
        true => Ok(()),
        false => Err(Error::corrupt(format!("{what} has two answers"))
            .with("one", here)
            .with("other", there)),
    }
}

/// What every shape answers.
pub(crate) fn answers(db: &Db) -> Result<String> {
    let kv = Kv::open(db, "Pair")?;
    let all: (Bound<Vec<u8>>, Bound<Vec<u8>>) = (Bound::Unbounded, Bound::Unbounded);
    let pairs = kv.range(all, ALL)?;
    let counted = Counters::open(db, "Part")?.all()?;
    let rows = table(db)?.join(&Query::new(), "next", &table(db)?)?;
    let docs = Docs::open(db, "Doc")?.select(&Query::new())?.rows;
    Ok(format!(
        "{pairs:?} {counted:?} {rows:?} {docs:?} {:?}",
        journal::read(db)?
    ))
}

/// What is there, as the model has it.
pub(crate) fn as_a_model(db: &Db) -> Result<Model> {
    let kv = Kv::open(db, "Pair")?;
    let mut model = Model {
        sum: Counters::open(db, "Part")?.value("all")?,
        ..Model::default()
    };
    for key in 0..=u8::MAX {
        if let Some(value) = kv.get([key])? {
            model.pairs.insert(key, value);
        }
    }
    for row in table(db)?.select(&Query::new())?.rows {
        if let (Value::Object(members), Some(id)) = (&row, row["_id"].as_str()) {
            model.rows.insert(id.to_owned(), members.clone());
        }
    }
    Ok(model)
}

/// What can be asked in two ways.
pub(crate) fn agree_with_each_other(db: &Db) -> Result<()> {
    pairs(&Kv::open(db, "Pair")?)?;
    let counters = Counters::open(db, "Part")?;
    let all = counters.all()?.get("all").copied().unwrap_or_default();
    agrees("a counter", counters.value("all")?, all)?;
    rows(db)?;
    items(&journal::feed(db)?)
}

fn pairs(kv: &Kv) -> Result<()> {
    let all: (Bound<Vec<u8>>, Bound<Vec<u8>>) = (Bound::Unbounded, Bound::Unbounded);
    let pairs = kv.range(all.clone(), ALL)?;
    let mut back = kv.range_back(all, ALL)?;
    back.reverse();
    agrees("a range of keys", &pairs, &back)?;
    agrees("how many keys there are", pairs.len() as u64, kv.count()?)?;
    for (key, value) in &pairs {
        agrees("a key", Some(value.clone()), kv.get(key)?)?;
        let prefix = kv.prefix(key, ALL)?;
        agrees(
            "a prefix",
            Some(&(key.clone(), value.clone())),
            prefix.first(),
        )?;
    }
    Ok(())
}

/// A join is what looking up each key gives, and a condition what looking at each row does.
fn rows(db: &Db) -> Result<()> {
    let table = table(db)?;
    let rows = table.select(&Query::new().sort("_id"))?.rows;
    for joined in table.join(&Query::new(), "next", &table)? {
        let right = match joined.left["next"].as_str() {
            Some(key) => table.get(key)?,
            None => None,
        };
        agrees("a join", joined.right.as_deref(), right.as_ref())?;
    }
    for row in rows.iter().filter(|row| row["n"].is_u64()) {
        let query = Query::new()
            .filter(field("n").eq(row["n"].clone()))
            .sort("_id");
        let due: Vec<_> = rows.iter().filter(|other| other["n"] == row["n"]).collect();
        agrees(
            "a condition",
            table.select(&query)?.rows.iter().collect::<Vec<_>>(),
            due,
        )?;
    }
    Ok(())
}

/// Reading in pieces, from the end, one by one and by arrival give the same items, in order.
fn items(feed: &Feed<Done>) -> Result<()> {
    let all = feed.read(None, ALL)?;
    let in_order = all
        .windows(2)
        .all(|pair| pair[0].position < pair[1].position);
    agrees("the order of a feed", in_order, true)?;
    let (mut pieces, mut after) = (Vec::new(), None);
    // Ends: each piece is behind the one before it.
    loop {
        let piece = feed.read(after.as_ref(), 3)?;
        let Some(last) = piece.last() else { break };
        after = Some(last.position.clone());
        pieces.extend(piece);
    }
    agrees("a feed in pieces", &pieces, &all)?;
    agrees(
        "the end of a feed",
        feed.last(3)?,
        &all[all.len().saturating_sub(3)..],
    )?;
    agrees("how many items there are", feed.count()?, all.len() as u64)?;
    let (mut followed, mut follower) = (BTreeSet::new(), feed.follow(FeedCursor::START)?);
    // Ends with the feed.
    while let Some(item) = follower.try_next()? {
        agrees("an item that came", followed.insert(item.position), true)?;
        if followed.len().is_multiple_of(RESTART_AFTER) {
            follower = feed.follow(follower.cursor())?;
        }
    }
    let due: BTreeSet<Position> = all.into_iter().map(|item| item.position).collect();
    agrees("a feed by arrival", followed, due)
}

/// Follows a feed while its peer runs: each item comes once, and all have come that are there.
pub(crate) struct Followed {
    feed: Feed<Done>,
    follower: Follower<Done>,
    came: BTreeSet<Position>,
}

impl Followed {
    pub(crate) fn new(db: &Db) -> Result<Self> {
        let feed = journal::feed(db)?;
        Ok(Self {
            follower: feed.follow(FeedCursor::START)?,
            feed,
            came: BTreeSet::new(),
        })
    }
}

impl Watch for Followed {
    fn look(&mut self) -> Result<()> {
        while let Some(item) = self.follower.try_next()? {
            agrees("an item that came", self.came.insert(item.position), true)?;
        }
        let there: BTreeSet<_> = self
            .feed
            .read(None, ALL)?
            .into_iter()
            .map(|item| item.position)
            .collect();
        agrees("a feed that is followed", &self.came, &there)
    }
}
