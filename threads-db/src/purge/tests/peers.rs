//! Peers that follow a purge, whatever they got first.

use super::*;

#[test]
fn peers_do_the_same_and_newcomers_get_what_is_left() {
    let team = Team::new(&[]);
    let gone = [
        save(&team.ann, "plan", "CANARY"),
        save(&team.ann, "plan", "CANARY two"),
    ];
    team.level();
    let bodies: Vec<_> = gone
        .iter()
        .map(|record| blocks(&team.blind, record).body)
        .collect();
    assert!(
        bodies.iter().all(|body| has(&team.blind, body)),
        "the control"
    );
    let before = team.blind.node().kept_for_others().unwrap();

    let report = team.root.purge([name("plan")]).unwrap();
    team.level();
    for db in team.all() {
        assert!(gone.iter().all(|record| is_emptied(db, record)));
        assert!(bodies.iter().all(|body| !has(db, body)) && !has(db, b"CANARY"));
        assert_clean(db);
        let purge = &db.purges().unwrap()[0];
        assert_eq!((purge.listed, purge.emptied, &purge.void), (2, 2, &None));
        assert_eq!(Some(purge.record), report.stated);
        assert_eq!(db.emptied().unwrap().len(), 2);
    }
    let after = team.blind.node().kept_for_others().unwrap();
    assert!(after < before + 3_000, "{before} {after}");

    // Whoever comes later, and only from the replica, makes the same of it, in any order.
    let records = records(&team.blind);
    for backwards in [false, true] {
        let late = copy(&team.root.keys());
        let mut order = records.clone();
        if backwards {
            order.reverse();
        }
        for record in &order {
            take(&late, std::slice::from_ref(record));
        }
        assert_eq!(entities(&late), entities(&team.root));
        let emptied = late.emptied().unwrap();
        assert_eq!(emptied.iter().filter(|record| record.explained).count(), 2);
        assert_eq!(late.sync_status().unwrap().emptied.stripped, 0);
        assert_clean(&late);
    }

    // Somebody has the whole of it still and knows nothing of the purge: it stays purged.
    let whole: Vec<_> = gone
        .iter()
        .map(|record| blocks(&team.ann, record))
        .collect();
    assert!(whole.iter().all(Blocks::is_emptied));
}

#[test]
fn a_record_that_comes_whole_after_its_purge_is_filed_emptied() {
    let team = Team::new(&[]);
    let gone = save(&team.ann, "plan", "CANARY");
    let later = save(&team.ann, "list", "eggs");
    let whole = [gone, later].map(|record| blocks(&team.ann, &record));
    level(&team.root, &team.ann);
    team.root.purge([name("plan")]).unwrap();
    // The replica has none of what Ann wrote; it learns of the purge as soon as nothing is missing.
    let mut all = records(&team.root);
    let of_ann = |record: &Blocks| whole.iter().any(|own| own.record == record.record);
    all.retain(|record| !of_ann(record));
    take(&team.blind, &all);
    take(&team.blind, &whole);
    assert!(is_emptied(&team.blind, &gone) && !is_emptied(&team.blind, &later));
    assert!(!has(&team.blind, &whole[0].body));
    assert_clean(&team.blind);

    // Again, whole, to those who have it emptied.
    for db in [&team.root, &team.blind] {
        take(db, &whole);
        assert!(is_emptied(db, &gone));
        assert!(!has(db, b"CANARY"));
    }
}

#[test]
fn a_late_edit_does_not_bring_back_what_was_purged() {
    let team = Team::new(&[]);
    save(&team.root, "plan", "CANARY one");
    team.level();
    // Ann is away, and goes on with it.
    let late = save(&team.ann, "plan", "CANARY two");
    let record = blocks(&team.ann, &late);
    team.root.purge([name("plan")]).unwrap();
    take(&team.root, std::slice::from_ref(&record));
    assert!(texts(&team.root).is_empty());
    assert!(!has(&team.root, b"CANARY"), "it stays sealed");
    assert_clean(&team.root);
    assert!(!is_emptied(&team.root, &late), "nobody had listed it");
    // Purged again, it goes too, for everybody.
    assert_eq!(team.root.purge([name("plan")]).unwrap().records, 1);
    team.level();
    team.level();
    for db in team.all() {
        assert!(is_emptied(db, &late));
        assert!(!has(db, &record.body));
        assert_clean(db);
    }
    assert_eq!(entities(&team.root), entities(&team.ann));
}

#[test]
fn a_reader_that_lacks_the_keys_of_an_epoch_waits_for_them() {
    let Team { root, ann, .. } = Team::new(&[Role::Delete]);
    save(&root, "plan", "before");
    level(&root, &ann);
    let before = root.keys();
    let epoch = root.rotate_keys().unwrap();
    let record = save(&root, "plan", "CANARY");
    state(&root, vec![dep(&root, &record)]);
    let whole = blocks(&root, &record);
    let late = copy(&before);
    let thread = late.thread();
    let give = |keys: &EpochKeys| {
        let keys = std::slice::from_ref(keys);
        let add = |txn: &mut dyn WriteTxn| thread.add_keys(txn, (None, keys));
        let store = &thread.node.store;
        assert!(store.transact(Durability::Group, add).unwrap());
        thread.take_up_keys().unwrap();
        ingest::read_on(thread).unwrap();
    };
    let keys = {
        let txn = root.thread().node.store.read().unwrap();
        let keys = KeyBook::new(&*txn).epoch_keys(root.id(), epoch);
        keys.unwrap().unwrap()
    };
    give(&keys.without_read());
    deliver(&late, &records(&root));
    assert_eq!(blocks(&late, &record), whole, "it cannot tell");
    let purge = &late.purges().unwrap()[0];
    assert_eq!((purge.unread, purge.emptied, &purge.void), (1, 0, &None));
    // Ann knows nothing of new keys.
    ann.collection("Note").unwrap().delete("plan").unwrap();
    for db in [&root, &late] {
        take(db, &records(&ann));
        assert!(texts(db).is_empty());
    }
    assert!(is_emptied(&root, &record));
    assert_eq!(blocks(&late, &record), whole, "it may be of something else");
    // The keys come.
    give(&keys);
    assert!(is_emptied(&late, &record));
    assert_eq!(entities(&late), entities(&root));
    assert_clean(&late);
}

#[test]
fn what_is_kept_as_it_lives_goes_when_somebody_deletes_it() {
    let team = Team::new(&[Role::Delete]);
    let first = save(&team.ann, "list", "eggs");
    let record = save(&team.ann, "plan", "CANARY");
    team.level();
    let whole = [blocks(&team.root, &record), blocks(&team.root, &first)];
    state(&team.ann, vec![dep(&team.ann, &record)]);
    team.level();
    assert!(!is_emptied(&team.root, &record) && !is_emptied(&team.ann, &record));
    let notes = team.root.collection("Note").unwrap();
    notes.delete("plan").unwrap();
    assert!(is_emptied(&team.root, &record), "by who deletes");
    team.level();
    for db in team.all() {
        assert!(is_emptied(db, &record) && !has(db, b"CANARY"));
        assert_clean(db);
    }
    assert_eq!(entities(&team.ann), entities(&team.root));
    // It waits while the purge and the delete come, or comes before them, or after.
    let others: Vec<_> = records(&team.root)
        .into_iter()
        .filter(|blocks| !whole.iter().any(|own| own.record == blocks.record))
        .collect();
    let [record_of, first_of] = &whole;
    let orders: [Vec<&Blocks>; 3] = [
        [record_of]
            .into_iter()
            .chain(&others)
            .chain([first_of])
            .collect(),
        [first_of, record_of].into_iter().chain(&others).collect(),
        others.iter().chain([first_of, record_of]).collect(),
    ];
    for order in orders {
        let late = copy(&team.root.keys());
        deliver(&late, order);
        assert!(is_emptied(&late, &record) && !has(&late, b"CANARY"));
        assert_eq!(entities(&late), entities(&team.root));
        assert_eq!(late.held_counts().unwrap().pending, 0);
        assert_clean(&late);
    }
}

#[test]
fn nobody_makes_an_entity_unpurgeable_by_what_is_not_applied() {
    let team = Team::new(&[]);
    save(&team.root, "plan", "CANARY one");
    save(&team.root, "list", "eggs");
    team.level();
    // Ann is away while root takes writing from her, and writes both at once.
    let notes = team.ann.collection("Note").unwrap();
    team.ann
        .write(|txn| {
            txn.save(&notes, &json!({"_id": "plan", "text": "CANARY two"}))?;
            txn.save(&notes, &json!({"_id": "list", "text": "no eggs"}))
        })
        .unwrap();
    let mixed = team.ann.log(Some(1)).unwrap()[0].record;
    let whole = blocks(&team.ann, &mixed);
    let peer = Subject::Peer(team.ann.thread().own_author());
    team.root
        .write(|txn| txn.revoke(peer, Scope::Thread, Role::Write))
        .unwrap();
    team.level();
    assert_eq!(team.root.held().unwrap().len(), 1, "the control");
    assert_eq!(team.root.purge([name("plan")]).unwrap().records, 2);
    team.level();
    let late = copy(&team.root.keys());
    let mut all = records(&team.root);
    all.retain(|blocks| blocks.record != whole.record);
    deliver(&late, &all);
    take(&late, std::slice::from_ref(&whole));
    for db in team.all().into_iter().chain([&late]) {
        assert!(is_emptied(db, &mixed));
        assert!(!has(db, b"CANARY") && db.held().unwrap().is_empty());
        assert_clean(db);
    }
    for db in [&team.root, &team.ann, &late] {
        assert_eq!(texts(db), [json!({"_id": "list", "text": "eggs"})]);
        assert_eq!(entities(db), entities(&team.root));
    }
}

#[test]
fn what_is_in_quarantine_and_was_adopted_goes_too() {
    let team = Team::new(&[]);
    save(&team.root, "plan", "CANARY one");
    team.level();
    // Ann is away while root takes writing from her.
    let late = save(&team.ann, "plan", "CANARY two");
    let peer = Subject::Peer(team.ann.thread().own_author());
    team.root
        .write(|txn| txn.revoke(peer, Scope::Thread, Role::Write))
        .unwrap();
    team.level();
    assert_eq!(team.root.held().unwrap().len(), 1);
    team.root.write(|txn| txn.adopt(&late)).unwrap();
    team.level();
    assert_eq!(team.root.purge([name("plan")]).unwrap().records, 3);
    team.level();
    for db in team.all() {
        assert!(is_emptied(db, &late));
        assert!(!has(db, b"CANARY") && db.held().unwrap().is_empty());
        assert_clean(db);
    }
    assert_eq!(entities(&team.root), entities(&team.ann));
}

/// What a clock kept apart is in no history, so that nobody comes upon it when its entities die.
#[test]
fn what_was_left_as_it_is_dated_ahead_goes_when_its_time_comes() {
    const AHEAD_MS: u64 = 20 * 60 * 60 * 1_000;
    let clocks = [NOW_MS, NOW_MS + AHEAD_MS].map(|now| Arc::new(ManualClock::at(now)));
    let [here, ahead] = clocks.each_ref().map(|clock| {
        let builder = Node::builder(Memory::new()).codec(JsonPatch::new());
        let node = builder.policy(Acl::new()).clock(Arc::clone(clock));
        node.open().unwrap()
    });
    let root = here.create_with("t", Variant::AccessControlled).unwrap();
    define(&root);
    grant(&root, ahead.peer_id(), &[Role::Read, Role::Write]);
    save(&root, "list", "known");
    let ann = ahead.add_thread("t", &root.keys()).unwrap();
    take(&ann, &records(&root));
    let notes = ann.collection("Note").unwrap();
    let both = ann.write(|txn| {
        txn.save(&notes, &json!({"_id": "plan", "text": "CANARY"}))?;
        txn.save(&notes, &json!({"_id": "list", "text": "more"}))
    });
    both.unwrap();
    let record = ann.log(Some(1)).unwrap()[0].record;
    level(&root, &ann);
    assert_eq!(root.held().unwrap().len(), 1, "it is dated ahead");

    root.purge([name("plan")]).unwrap();
    level(&root, &ann);
    for db in [&root, &ann] {
        assert!(!is_emptied(db, &record), "the other one lives");
    }
    root.collection("Note").unwrap().delete("list").unwrap();
    level(&root, &ann);
    assert!(is_emptied(&ann, &record), "both are dead");
    clocks[0].set(NOW_MS + 2 * AHEAD_MS);
    root.settle_held().unwrap();
    assert_eq!(root.held().unwrap(), []);
    assert!(is_emptied(&root, &record) && !has(&root, b"CANARY"));
    for db in [&root, &ann] {
        assert_clean(db);
    }
}
