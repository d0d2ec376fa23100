//! What is put in a table is what is found in it, by key and by index.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::datastore::{Datastore, Memory};

type Row = (String, Vec<i64>);

fn table() -> Table<Row> {
    Table::new("t")
        .index("numbers", |(_, numbers): &Row| {
            numbers.iter().map(|n| ViewKey::new().number(*n)).collect()
        })
        .index("text", |(text, _): &Row| vec![ViewKey::new().text(text)])
}

fn key(id: u8) -> ViewKey {
    ViewKey::new().number(id.into())
}

proptest! {
    /// Whatever is put and deleted, rows and entries are those of the rows that are there.
    #[test]
    fn rows_and_indexes_are_those_of_what_was_put(
        steps in vec((0_u8..6, proptest::option::of(("[ab\0]{0,2}", vec(-2_i64..3, 0..4)))), 1..40),
    ) {
        let (store, table) = (Memory::new(), table());
        let other = Table::<Row>::new("tt");
        let mut txn = store.write().unwrap();
        let mut view = View::new(&mut *txn, b"mine").unwrap();
        other.put(&mut view, &key(0), &("x".into(), vec![])).unwrap();
        let mut rows: BTreeMap<ViewKey, Row> = BTreeMap::new();
        for (id, row) in steps {
            let old = match row {
                Some(row) => {
                    prop_assert_eq!(&table.put(&mut view, &key(id), &row).unwrap(), &rows.get(&key(id)).cloned());
                    rows.insert(key(id), row)
                }
                None => {
                    prop_assert_eq!(&table.delete(&mut view, &key(id)).unwrap(), &rows.get(&key(id)).cloned());
                    rows.remove(&key(id))
                }
            };
            drop(old);
        }
        let all = |direction| -> Vec<(ViewKey, Row)> {
            let all = table.range(&view, ViewKey::new().all(), direction).unwrap();
            all.collect::<Result<_>>().unwrap()
        };
        let expected: Vec<_> = rows.clone().into_iter().collect();
        prop_assert_eq!(all(Direction::Forward), expected.clone());
        prop_assert_eq!(all(Direction::Reverse), expected.into_iter().rev().collect::<Vec<_>>());
        for number in -2..3 {
            let range = ViewKey::new().number(number).all();
            let found = table.range_by(&view, "numbers", range, Direction::Forward).unwrap();
            let found: Vec<_> = found.collect::<Result<_>>().unwrap();
            let has = |row: &&(ViewKey, Row)| row.1.1.contains(&number);
            let expected: Vec<_> = rows.clone().into_iter().collect();
            prop_assert_eq!(found, expected.iter().filter(has).cloned().collect::<Vec<_>>());
        }
        let by_text = table.range_by(&view, "text", ViewKey::new().all(), Direction::Forward).unwrap();
        let texts: Vec<_> = by_text.map(|row| row.unwrap().1.0).collect();
        let mut expected: Vec<_> = rows.values().map(|row| row.0.clone()).collect();
        expected.sort();
        prop_assert_eq!(texts, expected);
        prop_assert_eq!(view.scan(&[1, b't'], Direction::Forward).unwrap().count(), {
            let distinct = |numbers: &Vec<i64>| numbers.iter().collect::<std::collections::BTreeSet<_>>().len();
            rows.values().map(|row| 2 + distinct(&row.1)).sum::<usize>()
        });
    }

    #[test]
    fn keys_order_as_their_parts(a in (any::<i64>(), "[a\0]{0,3}"), b in (any::<i64>(), "[a\0]{0,3}")) {
        let key = |(number, text): &(i64, String)| ViewKey::new().number(*number).text(text);
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        let turned = |(number, text): &(i64, String)| ViewKey::new().text(text).number(*number);
        prop_assert_eq!(turned(&a).cmp(&turned(&b)), (&a.1, a.0).cmp(&(&b.1, b.0)));
    }
}

#[test]
fn what_is_not_as_it_should_be_is_refused() {
    let store = Memory::new();
    let mut txn = store.write().unwrap();
    let mut view = View::new(&mut *txn, b"mine").unwrap();
    let kind = |result: Result<Option<Row>>| result.unwrap_err().kind();
    let long = ViewKey::new().text(&"x".repeat(400));
    let row: Row = ("a".into(), vec![1]);
    assert_eq!(
        kind(table().put(&mut view, &long, &row)),
        crate::ErrorKind::Invalid
    );
    assert_eq!(
        kind(Table::new("").put(&mut view, &key(0), &row)),
        crate::ErrorKind::Invalid
    );
    let many: Row = ("a".into(), (0..=TABLE_ENTRIES_MAX as i64).collect());
    assert_eq!(
        kind(table().put(&mut view, &key(0), &many)),
        crate::ErrorKind::Invalid
    );
    Table::<u8>::new("t").put(&mut view, &key(0), &7).unwrap();
    assert_eq!(kind(table().get(&view, &key(0))), crate::ErrorKind::Corrupt);
    let none = table();
    let backwards = key(2)..key(1);
    assert_eq!(
        none.range(&view, backwards, Direction::Forward)
            .unwrap()
            .count(),
        0
    );
}
