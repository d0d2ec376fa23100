//! Records that came without what they said: told, shown and filled.

use super::*;

#[test]
fn what_only_a_replica_emptied_is_filled_for_whoever_can_read() {
    let team = Team::new(&[Role::Delete]);
    let record = save(&team.root, "plan", "kept");
    team.level();
    let whole = blocks(&team.root, &record);
    state(&team.ann, vec![dep(&team.ann, &record)]);
    team.level();
    assert!(is_emptied(&team.blind, &record), "it does as told");
    assert!(!is_emptied(&team.ann, &record));
    let examined = |db: &Db, shown: &Blocks| {
        let (ours, shown) = (blocks(db, &record), vec![shown.clone().into()]);
        let node = db.node();
        node.compare_shown(db.thread().number, &ours, shown)
            .unwrap()
    };
    let left = records(&team.blind);
    let (late, replica) = (
        copy(&team.root.keys()),
        copy(&team.root.keys().without_read()),
    );
    for db in [&late, &replica] {
        deliver(db, &left);
        assert!(is_emptied(db, &record));
    }
    take(&replica, std::slice::from_ref(&whole));
    assert!(is_emptied(&replica, &record), "it may not know better");
    // The replica becomes a reader.
    let thread = replica.thread();
    let read = team.root.thread().read.get();
    let add = |txn: &mut dyn WriteTxn| thread.add_keys(txn, (read, &[]));
    let store = &thread.node.store;
    assert!(store.transact(Durability::Group, add).unwrap());
    thread.take_up_keys().unwrap();
    ingest::read_on(thread).unwrap();
    for db in [&late, &replica] {
        assert!(texts(db).is_empty());
        // A peer is asked to show what it signed for.
        assert!(examined(db, &blocks(&team.blind, &record)));
        assert!(is_emptied(db, &record));
        assert!(examined(db, &whole));
        assert_eq!(blocks(db, &record), whole);
        assert_eq!(texts(db), texts(&team.root));
        assert_eq!(entities(db), entities(&team.root));
        assert_clean(db);
    }
    // It is listed, and once it is of the dead it goes, for good.
    team.ann.collection("Note").unwrap().delete("plan").unwrap();
    for db in [&late, &replica] {
        deliver(db, &records(&team.ann));
        take(db, std::slice::from_ref(&whole));
        assert!(is_emptied(db, &record));
        assert_clean(db);
    }
}

#[test]
fn a_stripped_copy_takes_nothing_from_a_whole_one_that_waits() {
    let team = Team::new(&[]);
    save(&team.ann, "list", "eggs");
    let record = save(&team.ann, "plan", "not gone");
    level(&team.root, &team.ann);
    let whole = blocks(&team.ann, &record);
    let nobody = cid_of(DAG_CBOR, b"no such record");
    let late = copy(&team.root.keys());
    take(&late, std::slice::from_ref(&whole));
    assert_eq!(late.held_counts().unwrap().pending, 1, "the control");
    take(&late, &[Blocks::emptied(whole.record.clone(), &nobody)]);
    let mut rest = records(&team.root);
    rest.retain(|blocks| *blocks != whole);
    take(&late, &rest);
    assert_eq!(blocks(&late, &record), whole);
    assert_eq!(texts(&late), texts(&team.root));
    assert_clean(&late);
}

/// Whether a node takes what another one has of a record for what it has itself.
fn is_shown(by: &Db, to: &Db, record: &Cid) -> bool {
    let txn = to.thread().node.store.read().unwrap();
    let (shown, ours) = (blocks(by, record), blocks(to, record));
    crate::purge::is_shown(&*txn, to.thread(), &shown, &ours).unwrap()
}

#[test]
fn who_purged_shows_all_that_it_need_show() {
    let one = made(Variant::Raw);
    let two = copy(&one.keys());
    let (gone, stays) = (save(&one, "plan", "mine"), save(&one, "list", "eggs"));
    level(&one, &two);
    one.purge([name("plan")]).unwrap();
    assert!(is_shown(&two, &one, &gone));
    assert!(!is_shown(&one, &two, &gone), "nobody knows why");
    level(&one, &two);
    assert!(!is_emptied(&two, &gone), "nobody is asked");
    assert!(is_shown(&two, &one, &gone) && is_shown(&one, &two, &gone));
    let (thread, txn) = (two.thread(), two.thread().node.store.read().unwrap());
    let shown = |record: &Cid, shown: &Blocks| {
        crate::purge::is_shown(&*txn, thread, shown, &blocks(&two, record)).unwrap()
    };
    let whole = blocks(&one, &stays);
    let stripped = Blocks::emptied(whole.record.clone(), &gone);
    assert!(!shown(&stays, &stripped), "it lives");
    let other = Blocks {
        body: b"other".to_vec(),
        ..whole.clone()
    };
    assert!(!shown(&stays, &other) && !shown(&gone, &whole) && shown(&stays, &whole));

    // Where there are rules, a purge that counts says so, whichever each took for the reason.
    let team = Team::new(&[]);
    let gone = save(&team.ann, "plan", "CANARY");
    team.level();
    let (whole, nobody) = (blocks(&team.ann, &gone), cid_of(DAG_CBOR, b"nobody"));
    let stripped = Blocks::emptied(whole.record.clone(), &nobody);
    let passes = |db: &Db, shown: &Blocks| {
        let txn = db.thread().node.store.read().unwrap();
        crate::purge::is_shown(&*txn, db.thread(), shown, &blocks(db, &gone)).unwrap()
    };
    assert!(team.all().iter().all(|db| !passes(db, &stripped)));
    team.root.purge([name("plan")]).unwrap();
    assert!(passes(&team.root, &stripped) && passes(&team.root, &whole));
    assert!(!passes(&team.ann, &blocks(&team.root, &gone)), "not yet");
    team.level();
    for db in team.all() {
        assert!(passes(db, &stripped) && passes(db, &whole));
    }
}

#[test]
fn what_was_stripped_by_nobody_knows_whom_is_told_and_filled() {
    let team = Team::new(&[]);
    let record = save(&team.ann, "plan", "not gone");
    level(&team.root, &team.ann);
    let all = records(&team.root);
    let nobody = cid_of(DAG_CBOR, b"no such record");
    let strip = |blocks: &Blocks, by: &Cid| Blocks::emptied(blocks.record.clone(), by);
    for reason in [nobody, all[0].record_id()] {
        let late = copy(&team.root.keys());
        for blocks in &all {
            match blocks.record_id() == record {
                true => drop(take(&late, &[strip(blocks, &reason)])),
                false => drop(take(&late, std::slice::from_ref(blocks))),
            }
        }
        let counts = late.sync_status().unwrap().emptied;
        assert_eq!((counts.purged, counts.stripped), (0, 1));
        assert_eq!(counts.stripped_of.values().sum::<u64>(), 1);
        assert!(!late.emptied().unwrap()[0].explained);
        assert!(late.why(&record).unwrap()[0].starts_with("it came without"));
        assert!(texts(&late).is_empty());
        assert_clean(&late);
        take(&late, &[strip(&blocks(&team.ann, &record), &nobody)]);
        assert_eq!(late.sync_status().unwrap().emptied.stripped, 1, "no news");
        // Whole, from whoever has it.
        take(&late, &[blocks(&team.ann, &record)]);
        assert_eq!(texts(&late), texts(&team.root));
        assert_eq!(entities(&late), entities(&team.root));
        assert_eq!(late.sync_status().unwrap().emptied.stripped, 0);
        assert_clean(&late);
    }
    // What is said about access is never taken without what it says.
    let late = copy(&team.root.keys());
    let access = strip(&all[0], &nobody);
    let refused = ingest::take_in(late.thread(), &[access]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
    let mut cut = strip(&all[3], &nobody);
    cut.body.pop();
    let refused = ingest::take_in(late.thread(), &[cut]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
}
