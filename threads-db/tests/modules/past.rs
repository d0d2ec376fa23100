//! Histories, blame, differences, listeners and live queries of a collection are in the form of its version; those of
//! the thread are in the stored one.

use serde_json::{Value, json};
use threads_db::query::Query;
use threads_db::{
    ChangeFilter, Collection, Db, DiffScope, Fate, FeedCursor, Listener, LiveUpdate, Node, Notice,
    Point,
};

use super::{hand_over, installed, new, node, old};

fn edits(db: &Db, people: &Collection<Value>) -> Vec<Vec<String>> {
    let history = db.history(people, "p").unwrap();
    let told = history.moments.iter().map(|moment| {
        assert_eq!(moment.fate, Fate::Applied);
        moment.edits.iter().map(ToString::to_string).collect()
    });
    told.collect()
}

fn blamed(db: &Db, people: &Collection<Value>) -> Vec<String> {
    let blame = db.blame(people, "p").unwrap();
    let shown = blame.iter().map(|blame| {
        let value = blame.value.as_ref().unwrap();
        format!(
            "{} {value} {}",
            blame.path,
            blame.author == Some(db.node().peer_id())
        )
    });
    shown.collect()
}

fn changes(listener: &mut Listener) -> Vec<(Option<Value>, Option<Value>)> {
    let mut told = Vec::new();
    while let Some(notice) = listener.try_next().unwrap() {
        let Notice::Change(change) = notice else {
            panic!("{notice:?}");
        };
        assert_eq!(change.collection.as_str(), "Person");
        told.push((change.before, change.after));
    }
    told
}

/// Two peers, one of each version, who changed a person apart and met again; and the point before that.
struct Met {
    ann: Node,
    dbs: [Db; 2],
    then: Point,
}

fn met() -> Met {
    let (ann, bob) = (node(), node());
    let hers = ann.create("t").unwrap();
    let his = bob.add_thread("t", &hers.keys()).unwrap();
    let older = old(&hers);
    older
        .create(&json!({"_id": "p", "name": "Pat", "adult": false, "fax": "7"}))
        .unwrap();
    hand_over(&hers, &bob);
    let newer = new(&his);
    let then = Point::Records(his.heads().unwrap());
    // She changes what he does not see, he what she does not see, and both what both see.
    older.patch("p", &json!({"fax": "8"})).unwrap();
    older.patch("p", &json!({"name": "Patricia"})).unwrap();
    newer
        .patch("p", &json!({"tags": ["x"], "stage": "teen"}))
        .unwrap();
    newer.patch("p", &json!({"emails": ["a", "b"]})).unwrap();
    hand_over(&hers, &bob);
    hand_over(&his, &ann);
    let dbs = [hers, his];
    Met { ann, dbs, then }
}

#[test]
fn each_version_has_a_history_in_its_own_form() {
    for db in met().dbs {
        let sorted = |people| {
            let mut edits = edits(&db, &people);
            edits[1..].sort();
            edits
        };
        assert_eq!(
            sorted(old(&db)),
            [
                vec![r#"+ {"_id":"p","adult":false,"fax":"7","name":"Pat"}"#],
                vec![],
                vec![r#"email: + "a""#],
                vec![r#"fax: "7" → "8""#],
                vec![r#"name: "Pat" → "Patricia""#],
            ]
        );
        assert_eq!(
            sorted(new(&db)),
            [
                vec![r#"+ {"_id":"p","emails":[],"fullName":"Pat","stage":"child","tags":[]}"#],
                vec![],
                vec![r#"emails.0: + "a""#, r#"emails.1: + "b""#],
                vec![r#"fullName: "Pat" → "Patricia""#],
                vec![r#"stage: "child" → "teen""#, r#"tags.0: + "x""#],
            ]
        );
    }
}

#[test]
fn each_version_blames_for_what_it_sees() {
    let met = met();
    for db in &met.dbs {
        let (older, newer) = (old(db), new(db));
        let is_hers = db.node().peer_id() == met.ann.peer_id();
        let own = |hers: bool| hers == is_hers;
        assert_eq!(
            blamed(db, &newer),
            [
                format!("_id \"p\" {}", own(true)),
                format!("emails [\"a\",\"b\"] {}", own(false)),
                format!("fullName \"Patricia\" {}", own(true)),
                format!("stage \"teen\" {}", own(false)),
                format!("tags [\"x\"] {}", own(false)),
            ]
        );
        let fields = blamed(db, &older);
        assert_eq!(fields.len(), 5, "{fields:?}");
        assert_eq!(fields[1], format!("adult false {}", own(true)));
        // By a path of its own, and none of another version.
        let stage = db.blame_field(&newer, "p", &"stage".parse().unwrap());
        assert_eq!(stage.unwrap().value, Some(json!("teen")));
        let fax = "fax".parse().unwrap();
        assert!(db.blame_field(&newer, "p", &fax).is_err());
        let plain = db.collection("Person").unwrap();
        let plain = blamed(db, &plain);
        assert!(plain.iter().any(|line| line.starts_with("fax")));
    }
}

#[test]
fn each_version_sees_what_differs_and_what_was() {
    let Met { dbs, then, .. } = met();
    for db in &dbs {
        let (older, newer) = (old(db), new(db));
        let diffs = newer.diff(&then, &Point::Now).unwrap();
        let shown: Vec<_> = diffs[0].edits.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                r#"emails.0: + "a""#,
                r#"emails.1: + "b""#,
                r#"fullName: "Pat" → "Patricia""#,
                r#"stage: "child" → "teen""#,
                r#"tags.0: + "x""#,
            ]
        );
        assert_eq!(diffs[0].after, newer.get("p").unwrap());
        // What is asked of the thread is what is stored.
        let stored = db.diff(&then, &Point::Now, &DiffScope::Thread).unwrap();
        let plain = db.collection("Person").unwrap();
        assert_eq!(stored[0].after, plain.get("p").unwrap());
        let past = db.as_of(&then).unwrap();
        assert_eq!(past.get(&newer, "p").unwrap().unwrap()["stage"], "child");
        assert_eq!(past.get(&older, "p").unwrap().unwrap()["fax"], "7");
    }
}

#[test]
fn a_difference_that_a_version_does_not_see_is_none() {
    let people = installed();
    let (older, newer) = (old(people.db()), new(people.db()));
    older
        .create(&json!({"_id": "p", "name": "Pat", "adult": true}))
        .unwrap();
    let then = Point::Records(people.db().heads().unwrap());
    newer.patch("p", &json!({"tags": ["x"]})).unwrap();
    assert_eq!(older.diff(&then, &Point::Now).unwrap(), []);
    assert_eq!(newer.diff(&then, &Point::Now).unwrap().len(), 1);
    let mut seen = 0;
    let mut each = |_| {
        seen += 1;
        Ok(false)
    };
    newer.each_diff(&then, &Point::Now, &mut each).unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn a_listener_of_a_collection_tells_what_its_version_sees() {
    let people = installed();
    let (older, newer) = (old(people.db()), new(people.db()));
    let db = people.db();
    let others = threads_core::module::CollectionSpec::new(
        "Pet".parse().unwrap(),
        "jsonpatch/1".parse().unwrap(),
    );
    db.define(&others).unwrap();
    let start: FeedCursor = db.listen(ChangeFilter::all()).unwrap().cursor();
    let mut listeners = [
        older.listen(ChangeFilter::all()).unwrap(),
        newer.listen(ChangeFilter::all()).unwrap(),
    ];
    let adults = Query::parse("stage = 'adult'").unwrap();
    let adults = ChangeFilter::all().query(&adults).unwrap();
    let mut grown = newer.listen(adults).unwrap();
    older
        .create(&json!({"_id": "p", "name": "Pat", "adult": false}))
        .unwrap();
    db.collection("Pet")
        .unwrap()
        .create(&json!({"_id": "p"}))
        .unwrap();
    newer
        .patch("p", &json!({"tags": ["x"], "stage": "teen"}))
        .unwrap();
    older.patch("p", &json!({"fax": "7"})).unwrap();
    older.patch("p", &json!({"adult": true})).unwrap();
    newer.delete("p").unwrap();
    let [older_told, newer_told] = listeners.each_mut().map(changes);
    let was = |name: &str, told: &[(Option<Value>, Option<Value>)]| {
        let after = told
            .iter()
            .map(|(_, after)| after.as_ref().map(|after| after[name].clone()));
        after.collect::<Vec<_>>()
    };
    assert_eq!(
        was("adult", &older_told),
        [
            Some(json!(false)),
            Some(json!(false)),
            Some(json!(true)),
            None
        ]
    );
    assert_eq!(
        was("stage", &newer_told),
        [
            Some(json!("child")),
            Some(json!("teen")),
            Some(json!("adult")),
            None
        ]
    );
    for told in [&older_told, &newer_told] {
        // Each begins with what the one before ended with.
        assert!(
            told.windows(2).all(|pair| pair[0].1 == pair[1].0),
            "{told:?}"
        );
    }
    assert_eq!(changes(&mut grown).len(), 2);
    let mut again = newer.listen_from(ChangeFilter::all(), start).unwrap();
    assert_eq!(changes(&mut again), newer_told);
    // What is asked of the thread is what is stored.
    let filter = ChangeFilter::all().collection("Person".parse().unwrap());
    let stored = changes(&mut db.listen_from(filter, start).unwrap());
    assert_eq!(stored.len(), 5);
    assert_eq!(stored[1].1.as_ref().unwrap()["stage"], "teen");
    assert_eq!(stored[1].1.as_ref().unwrap()["adult"], false);
}

#[test]
fn a_live_query_is_told_nothing_of_what_its_version_does_not_see() {
    let people = installed();
    let (older, newer) = (old(people.db()), new(people.db()));
    older
        .create(&json!({"_id": "p", "name": "Pat", "adult": true}))
        .unwrap();
    let mut lives = [
        older.watch(&Query::new()).unwrap(),
        newer.watch(&Query::new()).unwrap(),
    ];
    for live in &mut lives {
        live.try_next().unwrap();
    }
    newer.patch("p", &json!({"tags": ["x"]})).unwrap();
    assert!(lives[0].try_next().unwrap().is_none());
    assert!(matches!(
        lives[1].try_next().unwrap(),
        Some(LiveUpdate::Changes(_))
    ));
    older.patch("p", &json!({"fax": "7"})).unwrap();
    assert!(lives[1].try_next().unwrap().is_none());
    assert!(matches!(
        lives[0].try_next().unwrap(),
        Some(LiveUpdate::Changes(_))
    ));
}
