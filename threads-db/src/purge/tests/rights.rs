//! Who may purge, and what becomes of a purge that does not count.

use super::*;

#[test]
fn only_who_may_delete_may_purge() {
    let team = Team::new(&[]);
    let record = save(&team.root, "plan", "kept");
    team.level();
    let refused = team.ann.purge([name("plan")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
    assert!(!is_emptied(&team.ann, &record));
    let rogue = rogue(&team);
    let listed = dep(&rogue, &record);
    rogue
        .write(|txn| {
            txn.state(Statement::Purge {
                records: vec![listed],
            })
        })
        .unwrap();
    take(&team.root, &records(&rogue));
    team.level();
    for db in team.all() {
        assert!(!is_emptied(db, &record));
        assert!(db.purges().unwrap()[0].void.is_some());
        assert_clean(db);
    }
}

/// A removal may be of a newer version, and be understood later.
#[test]
fn row_57_a_purge_hides_no_removal_that_does_not_decode() {
    let team = Team::new(&[]);
    let said = access_record(&team.root, b"no statement of this version");
    let listed = dep_of(&team.root, &said);
    take(&team.root, std::slice::from_ref(&said));
    assert!(team.root.thread().open(&said).is_err(), "the control");
    state(&team.root, vec![listed.clone()]);
    for keys in [team.root.keys(), team.root.keys().without_read()] {
        for purge_first in [false, true] {
            let late = copy(&keys);
            let mut all = records(&team.root);
            all.retain(|blocks| *blocks != said);
            let at = if purge_first { all.len() } else { 0 };
            all.insert(at, said.clone());
            for blocks in &all {
                take(&late, std::slice::from_ref(blocks));
            }
            assert_eq!(blocks(&late, &listed.cid), said, "{purge_first}");
            let purge = &late.purges().unwrap()[0];
            assert_eq!((purge.living, purge.emptied, &purge.void), (1, 0, &None));
            assert_clean(&late);
        }
    }
    assert_eq!(blocks(&team.root, &listed.cid), said);
}

#[test]
fn a_purge_of_what_lives_is_done_by_nobody_who_can_read_it() {
    let team = Team::new(&[Role::Delete]);
    let record = save(&team.root, "plan", "kept");
    team.level();
    let listed = dep(&team.ann, &record);
    team.ann
        .write(|txn| {
            txn.state(Statement::Purge {
                records: vec![listed],
            })
        })
        .unwrap();
    team.level();
    for db in [&team.root, &team.ann] {
        assert!(!is_emptied(db, &record));
        let purge = &db.purges().unwrap()[0];
        assert_eq!((purge.living, purge.emptied), (1, 0));
        assert_eq!(texts(db).len(), 1);
    }
    assert!(is_emptied(&team.blind, &record), "it does as told");
    // Nor by a delete in the very record that is to go.
    let notes = team.ann.collection("Note").unwrap();
    notes.delete("plan").unwrap();
    let deleted = team.ann.log(Some(1)).unwrap()[0].record;
    let records = [dep(&team.ann, &record), dep(&team.ann, &deleted)];
    let mut records = records.to_vec();
    records.sort();
    team.ann
        .write(|txn| txn.state(Statement::Purge { records }))
        .unwrap();
    team.level();
    for db in [&team.root, &team.ann] {
        assert!(!is_emptied(db, &record) && !is_emptied(db, &deleted));
        assert_clean(db);
    }
}

#[test]
fn of_several_purges_in_a_record_those_count_that_do() {
    let team = Team::new(&[Role::Delete]);
    let kept = [save(&team.root, "a", "one"), save(&team.root, "b", "two")];
    let notes = team.root.collection("Note").unwrap();
    for id in ["a", "b"] {
        notes.delete(id).unwrap();
    }
    team.level();
    let rogue = rogue(&team);
    let [first, second] = kept.map(|record| vec![dep(&rogue, &record)]);
    rogue
        .write(|txn| {
            txn.state(Statement::Purge { records: first })?;
            txn.state(Statement::Leave { seen: Vec::new() })?;
            txn.state(Statement::Purge { records: second })
        })
        .unwrap();
    take(&team.root, &records(&rogue));
    level(&team.root, &team.blind);
    for db in [&team.root, &team.blind] {
        assert!(is_emptied(db, &kept[0]), "she had the right still");
        assert!(!is_emptied(db, &kept[1]), "and had it no more");
        assert_eq!(db.emptied().unwrap().len(), 1);
        assert_clean(db);
    }
}

#[test]
fn a_purge_by_who_had_lost_the_right_is_taken_back_where_somebody_has_it_whole() {
    let team = Team::new(&[Role::Delete]);
    let record = save(&team.root, "plan", "worth keeping");
    team.level();
    let whole = blocks(&team.root, &record);
    // Ann purges, and root takes the role from her without having seen that.
    team.ann.purge([name("plan")]).unwrap();
    level(&team.ann, &team.blind);
    assert!(is_emptied(&team.blind, &record) && is_emptied(&team.ann, &record));
    let peer = Subject::Peer(team.ann.thread().own_author());
    team.root
        .write(|txn| txn.revoke(peer, Scope::Thread, Role::Delete))
        .unwrap();
    team.level();
    assert!(!is_emptied(&team.root, &record), "it does not count");
    assert_eq!(texts(&team.root).len(), 1);
    for db in [&team.ann, &team.blind] {
        assert!(is_emptied(db, &record));
        assert_eq!(db.sync_status().unwrap().emptied.stripped, 1);
        assert!(db.purges().unwrap()[0].void.is_some());
        take(db, std::slice::from_ref(&whole));
        assert!(!is_emptied(db, &record));
        assert_clean(db);
    }
    assert_eq!(texts(&team.ann), texts(&team.root));
    assert_eq!(entities(&team.ann), entities(&team.root));

    // Root saw this one before: it stands.
    let record = save(&team.root, "list", "CANARY");
    grant(&team.root, team.ann.thread().own_author(), &[Role::Delete]);
    team.level();
    team.ann.purge([name("list")]).unwrap();
    team.level();
    team.root
        .write(|txn| txn.revoke(peer, Scope::Thread, Role::Delete))
        .unwrap();
    team.level();
    for db in team.all() {
        assert!(is_emptied(db, &record) && !has(db, b"CANARY"));
        assert_eq!(db.sync_status().unwrap().emptied.stripped, 0);
        assert_clean(db);
    }
}
