//! Feeds.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;
use threads_core::ErrorKind;
use threads_db::FeedCursor;
use threads_shapes::Feed;
use threads_shapes::feed::Position;

use crate::peers::{PEERS, Peers, Step, steps};

fn open(peers: &Peers) -> Vec<Feed<u32>> {
    let feeds = peers.dbs.iter().map(|db| Feed::open(db, "f").unwrap());
    feeds.collect()
}

/// What arrived since the cursor, which moves on: as after a restart.
fn arrived(feed: &Feed<u32>, cursor: &mut FeedCursor) -> Vec<u32> {
    let mut follower = feed.follow(cursor.to_string().parse().unwrap()).unwrap();
    let mut items = Vec::new();
    while let Some(item) = follower.try_next().unwrap() {
        assert_eq!(feed.get(&item.position).unwrap(), Some(item.value));
        items.push(item.value);
    }
    *cursor = follower.cursor();
    items
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn all_agree_on_the_order_which_is_that_of_causes_and_nobody_misses_or_repeats_an_item(
        history in steps(1..4_usize),
    ) {
        let mut peers = Peers::new(|db| drop(Feed::<u32>::open(db, "f").unwrap()));
        let feeds = open(&peers);
        let mut knows = vec![BTreeSet::<u32>::new(); PEERS];
        let mut before: Vec<(BTreeSet<u32>, u32)> = Vec::new();
        let mut cursors = [FeedCursor::START; PEERS];
        let mut heard = vec![Vec::new(); PEERS];
        for step in &history {
            peers.tick();
            match *step {
                Step::Do(peer, count) => {
                    let first = before.len() as u32;
                    let items: Vec<u32> = (first..first + count as u32).collect();
                    feeds[peer].append_all(&items).unwrap();
                    for item in items {
                        before.push((knows[peer].clone(), item));
                        knows[peer].insert(item);
                    }
                }
                Step::Tell(from, to) => {
                    peers.tell(from, to);
                    let told = knows[from].clone();
                    knows[to].extend(told);
                }
            }
            for peer in 0..PEERS {
                heard[peer].extend(arrived(&feeds[peer], &mut cursors[peer]));
                let heard: BTreeSet<u32> = heard[peer].iter().copied().collect();
                prop_assert_eq!(&heard, &knows[peer]);
            }
        }
        peers.meet();
        let order = feeds[0].read(None, 1_000).unwrap();
        prop_assert_eq!(order.len(), before.len());
        for peer in 0..PEERS {
            prop_assert_eq!(&feeds[peer].read(None, 1_000).unwrap(), &order);
            heard[peer].extend(arrived(&feeds[peer], &mut cursors[peer]));
            prop_assert_eq!(heard[peer].len(), before.len(), "each item once");
        }
        let place = |item: u32| order.iter().position(|one| one.value == item).unwrap();
        for (causes, item) in &before {
            for cause in causes {
                prop_assert!(place(*cause) < place(*item), "{} before {}", cause, item);
            }
        }
        // Pages from either end are parts of the same order.
        let middle = order.len() / 2;
        if let Some(item) = order.get(middle) {
            let rest = feeds[1].read(Some(&item.position), 2).unwrap();
            prop_assert_eq!(&rest[..], &order[middle + 1..order.len().min(middle + 3)]);
        }
        prop_assert_eq!(&feeds[2].last(3).unwrap()[..], &order[order.len().saturating_sub(3)..]);
    }
}

#[test]
fn an_item_that_comes_late_takes_its_place_and_is_followed() {
    let mut peers = Peers::new(|db| drop(Feed::<u32>::open(db, "f").unwrap()));
    let feeds = open(&peers);
    let mut cursor = FeedCursor::START;
    feeds[0].append(&1).unwrap();
    // Twenty seconds later, by all clocks.
    (0..30).for_each(|_| peers.tick());
    feeds[1].append(&2).unwrap();
    peers.tell(1, 2);
    assert_eq!(arrived(&feeds[2], &mut cursor), [2]);
    peers.tell(0, 2);
    assert_eq!(arrived(&feeds[2], &mut cursor), [1]);
    let values = |feed: &Feed<u32>| -> Vec<u32> {
        let items = feed.read(None, 10).unwrap();
        items.into_iter().map(|item| item.value).collect()
    };
    assert_eq!(values(&feeds[2]), [1, 2]);
}

#[test]
fn positions_are_read_as_they_are_written_and_nothing_else_is_one() {
    let peers = Peers::alone();
    let db = &peers.dbs[0];
    let feed: Feed<u32> = Feed::open(db, "f").unwrap();
    let position = feed.append(&7).unwrap();
    assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
    let text = position.to_string();
    let wrong = [
        text.to_uppercase(),
        format!("{text}-"),
        text[1..].into(),
        String::new(),
        "a-b-c".into(),
    ];
    for text in wrong {
        assert_eq!(
            text.parse::<Position>().unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
    // What somebody else put there, without a position, is no item.
    let plain = db.collection("f").unwrap();
    plain.create(&json!({"_id": "zzz", "item": 8})).unwrap();
    // Nor is an item of another type; whoever takes any sees it.
    let other: Feed<String> = Feed::open(db, "f").unwrap();
    other.append(&"eight".to_owned()).unwrap();
    let any: Feed = Feed::open(db, "f").unwrap();
    assert_eq!(any.read(None, 10).unwrap().len(), 2);
    // And hides nothing, however few are asked for.
    assert_eq!(feed.last(1).unwrap()[0].value, 7);
    assert_eq!(feed.read(None, 10).unwrap().len(), 1);
    let mut cursor = FeedCursor::START;
    assert_eq!(arrived(&feed, &mut cursor), [7]);
}
