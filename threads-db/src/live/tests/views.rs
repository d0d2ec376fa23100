//! A view with a table, and somebody who watches it.

use threads_core::reducer::{DispatchedEvent, ReadView, Reducer, Table, View, ViewKey};

use super::*;

/// Counts the notes by their number.
#[derive(Debug)]
pub(super) struct ByNumber;

fn counts() -> Table<i64> {
    Table::new("counts").index("count", |count: &i64| vec![ViewKey::new().number(*count)])
}

fn count(view: &mut View<'_>, note: &Value, by: i64) -> Result<()> {
    let key = ViewKey::new().number(note["n"].as_i64().unwrap_or(-1));
    match counts().get(view, &key)?.unwrap_or_default() + by {
        0 => counts().delete(view, &key)?,
        count => counts().put(view, &key, &count)?,
    };
    Ok(())
}

impl Reducer for ByNumber {
    fn name(&self) -> &str {
        "by-number"
    }

    fn version(&self) -> u32 {
        1
    }

    fn reduce(&self, view: &mut View<'_>, events: &[DispatchedEvent]) -> Result<()> {
        for event in events {
            if let Some(before) = &event.before {
                count(view, before, -1)?;
            }
            if let Some(after) = &event.after {
                count(view, after, 1)?;
            }
        }
        Ok(())
    }
}

type Counts = Vec<(ViewKey, i64)>;

/// Who watches the counts, the largest first.
pub(super) struct Watcher {
    live: LiveView<Counts>,
    told: Option<Counts>,
}

impl Watcher {
    pub(super) fn new(db: &Db) -> Self {
        let read = |view: &ReadView<'_>| {
            let all = ViewKey::new().all();
            let table = counts();
            let rows = table.range_by(view, "count", all, Direction::Reverse)?;
            rows.collect()
        };
        let live = db.watch_view("by-number", read).unwrap();
        Self { live, told: None }
    }

    /// Compares what is told with the notes that there are.
    #[track_caller]
    pub(super) fn follow(&mut self, notes: &Collection<Value>) {
        let mut counts: BTreeMap<ViewKey, i64> = BTreeMap::new();
        for note in notes.find(&Query::new()).unwrap() {
            let key = ViewKey::new().number(note["n"].as_i64().unwrap_or(-1));
            *counts.entry(key).or_default() += 1;
        }
        let mut expected: Counts = counts.into_iter().collect();
        expected.sort_by_key(|(key, count)| Reverse((*count, key.clone())));
        let now = self.live.try_next().unwrap();
        assert_ne!(now, self.told, "told twice");
        self.told = now.or(self.told.take());
        assert_eq!(self.told.as_ref(), Some(&expected));
    }
}

/// Fails at what it does not like.
#[derive(Debug)]
struct Picky;

impl Reducer for Picky {
    fn name(&self) -> &str {
        "picky"
    }

    fn version(&self) -> u32 {
        1
    }

    fn reduce(&self, _: &mut View<'_>, events: &[DispatchedEvent]) -> Result<()> {
        match events.iter().any(|event| event.entity.as_str() == "bad") {
            true => Err(Error::invalid("it is bad")),
            false => Ok(()),
        }
    }
}

#[test]
fn a_view_that_falls_behind_says_so_once_for_each_commit() {
    let writer = made();
    let node = builder(&Arc::default()).reducer(Picky).open().unwrap();
    let db = node.add_thread("t", &writer.keys()).unwrap();
    take(&db, &records(&writer));
    let mut live = db.watch_view("picky", |_| Ok(())).unwrap();
    assert_eq!(live.try_next().unwrap(), Some(()));
    notes(&writer).save(&json!({"_id": "bad"})).unwrap();
    take(&db, &records(&writer));
    assert_eq!(live.try_next().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(live.try_next().unwrap(), None);
    assert!(db.watch_view("", |_| Ok(())).is_err());
}
