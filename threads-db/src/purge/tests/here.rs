//! Where it is purged: what goes, what stays, and what is made again.

use super::*;

#[test]
fn what_is_purged_is_gone_and_the_rest_stays() {
    for variant in [Variant::Raw, Variant::AccessControlled] {
        let db = made(variant);
        let gone = [
            save(&db, "plan", "CANARY one"),
            save(&db, "plan", "CANARY two"),
            save(&db, "plan", "CANARY three"),
        ];
        let stays = save(&db, "list", "eggs");
        let bodies: Vec<_> = gone.iter().map(|record| blocks(&db, record)).collect();
        assert!(has(&db, b"CANARY"), "the control: it is there before");
        let cursor = db.listen(ChangeFilter::all()).unwrap().cursor();

        let report = db.purge([name("plan")]).unwrap();
        assert_eq!((report.entities, report.records), (1, 3));
        assert_eq!(
            report.stated.is_some(),
            variant == Variant::AccessControlled
        );
        assert!(!has(&db, b"CANARY"));
        for Blocks { event, body, .. } in &bodies {
            assert!(!has(&db, body) && !has(&db, event));
        }
        assert!(gone.iter().all(|record| is_emptied(&db, record)));
        assert!(!is_emptied(&db, &stays) && !is_emptied(&db, &report.deleted));
        assert_eq!(texts(&db), [json!({"_id": "list", "text": "eggs"})]);
        assert_clean(&db);
        assert_eq!(db.verify(&mut |_| ()).unwrap().emptied, 3);

        // It stays dead, and whoever knew it hears of that, but nobody what it was.
        let notes = db.collection("Note").unwrap();
        let again = notes.create(&json!({"_id": "plan"})).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
        let mut listener = db.listen_from(ChangeFilter::all(), cursor).unwrap();
        let Some(Notice::Change(change)) = listener.try_next().unwrap() else {
            panic!("nobody hears of it");
        };
        assert_eq!(
            (change.entity.as_str(), change.action),
            ("plan", ActionKind::Delete)
        );
        assert_eq!((&change.before, &change.after), (&None, &None));
        assert!(listener.try_next().unwrap().is_none());
        assert!(db.why(&gone[0]).unwrap()[0].starts_with("it was purged"));
        assert_eq!(
            db.purge([name("plan")]).unwrap().records,
            0,
            "nothing is left"
        );
    }
}

#[test]
fn what_was_written_with_others_goes_with_them_or_not_at_all() {
    let db = made(Variant::Raw);
    let notes = db.collection("Note").unwrap();
    db.write(|txn| {
        txn.create(&notes, &json!({"_id": "a", "text": "CANARY"}))?;
        txn.create(&notes, &json!({"_id": "b", "text": "CANARY"}))
    })
    .unwrap();
    let refused = db.purge([name("a")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("Note/b"), "{refused}");
    assert!(notes.has("a").unwrap(), "nothing happened");
    assert_eq!(db.purge([name("a"), name("b")]).unwrap().records, 1);
    assert!(!has(&db, b"CANARY"));
    assert_clean(&db);
    let unknown = db.purge([name("c")]).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let none = db.purge([]).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Invalid);
}

/// Keeps what every entity was last, and counts how often it is asked.
#[derive(Debug, Default)]
struct Last(Arc<AtomicUsize>);

impl Reducer for Last {
    fn name(&self) -> &str {
        "last"
    }

    fn version(&self) -> u32 {
        1
    }

    fn reduce(&self, view: &mut View<'_>, events: &[DispatchedEvent]) -> threads_core::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        for event in events {
            let after = event.after.as_ref().map(ToString::to_string);
            view.put(
                event.entity.as_str().as_bytes(),
                after.unwrap_or_default().as_bytes(),
            )?;
        }
        Ok(())
    }
}

#[test]
fn views_are_made_again_once_however_many_records_go() {
    let asked = Arc::new(AtomicUsize::new(0));
    let node = builder(&Arc::default()).policy(Acl::new());
    let node = node.reducer(Last(Arc::clone(&asked))).open().unwrap();
    let db = node.create_with("t", Variant::AccessControlled).unwrap();
    define(&db);
    for n in 0..200 {
        save(&db, "plan", &format!("CANARY {n}"));
    }
    for n in 0..20 {
        save(&db, "list", &format!("eggs {n}"));
    }
    let before = asked.load(Ordering::Relaxed);
    assert_eq!(db.purge([name("plan")]).unwrap().records, 200);
    let times = asked.load(Ordering::Relaxed) - before;
    assert!((20..40).contains(&times), "{times}");
    assert!(!has(&db, b"CANARY"));
    let list = db.view("last", |view| {
        Ok(view.get(b"list")?.map(|row| row.into_owned()))
    });
    assert!(
        String::from_utf8(list.unwrap().unwrap())
            .unwrap()
            .contains("eggs 19")
    );
    assert_clean(&db);
}

#[test]
fn an_export_carries_what_is_left() {
    let db = made(Variant::AccessControlled);
    save(&db, "plan", "CANARY");
    save(&db, "list", "eggs");
    db.purge([name("plan")]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.car");
    let passphrase = || Some("correct horse".to_owned().into());
    let file = std::fs::File::create(&path).unwrap();
    db.export(
        file,
        &ExportOptions {
            passphrase: passphrase(),
            ..Default::default()
        },
        &mut |_| (),
    )
    .unwrap();
    let other = builder(&Arc::default()).policy(Acl::new()).open().unwrap();
    let options = RestoreOptions {
        passphrase: passphrase(),
        ..Default::default()
    };
    let (copy, _) = other.restore(&path, &options, &mut |_| ()).unwrap();
    assert_eq!(entities(&copy), entities(&db));
    assert_eq!(copy.emptied().unwrap(), db.emptied().unwrap());
    assert_eq!(
        copy.log(None).unwrap().len(),
        db.log(None).unwrap().len() - 1
    );
    assert_clean(&copy);
}

#[test]
fn what_is_left_to_do_is_done_when_the_thread_is_opened() {
    let store: Arc<Memory> = Arc::default();
    let team = Team::new(&[]);
    let node = builder(&store)
        .policy(Acl::new())
        .identity(IdentityKey::generate(&mut system_rng()));
    let db = node
        .open()
        .unwrap()
        .add_thread("t", &team.root.keys())
        .unwrap();
    let gone: Vec<_> = (0..200)
        .map(|n| save(&team.root, "plan", &format!("CANARY {n}")))
        .collect();
    let report = team.root.purge([name("plan")]).unwrap();
    assert_eq!(report.records, 200);
    take(&db, &records(&team.root));
    // As after a crash half-way.
    let purge = report.stated.unwrap();
    let number = db.thread().number;
    let mut row = crate::purge::rows::PurgeRow::get(&*store.read().unwrap(), number, &purge)
        .unwrap()
        .unwrap();
    assert_eq!(row.next, None);
    row.next = Some(64);
    let mut txn = store.write().unwrap();
    row.put(&mut *txn, number).unwrap();
    txn.commit(Durability::Group).unwrap();
    drop(db);
    let db = builder(&store)
        .policy(Acl::new())
        .open()
        .unwrap()
        .open("t")
        .unwrap();
    let row = crate::purge::rows::PurgeRow::get(&*store.read().unwrap(), number, &purge)
        .unwrap()
        .unwrap();
    assert_eq!(row.next, None);
    assert!(gone.iter().all(|record| is_emptied(&db, record)));
    assert_clean(&db);
}
