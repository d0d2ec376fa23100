//! A purge by somebody who states more than there is room for (R15): what it took is taken back by all, unless
//! root has seen it or another purge lists it.

use threads_acl::Room;

use super::*;

/// Room for so many statements of each whom root let in.
const OWN: u32 = 3;

fn little_room() -> Acl {
    Acl::with_room(Room {
        own: OWN,
        ..Room::default()
    })
}

/// A purge of Ann's, and what another device of hers stated meanwhile.
struct Crowd {
    team: Team,
    /// What all had before.
    begin: Vec<Blocks>,
    /// The record that is purged.
    record: Cid,
    whole: Blocks,
    /// Ann's delete and her purge.
    purge: Vec<Blocks>,
    /// As many statements as there is room for, if it were not for the purge.
    crowd: Vec<Blocks>,
}

impl Crowd {
    fn new() -> Self {
        let team = Team::by(little_room, &[Role::Delete]);
        let begin = records(&team.root);
        let record = save(&team.root, "plan", "worth keeping");
        team.level();
        let before = records(&team.root);
        let rogue = rogue(&team);
        for _ in 0..OWN {
            rogue.write(|txn| txn.state(Statement::Checkpoint)).unwrap();
        }
        let whole = blocks(&team.root, &record);
        team.ann.purge([name("plan")]).unwrap();
        let purge = records(&team.ann);
        let new = |all: Vec<Blocks>| all.into_iter().filter(|blocks| is_new(&before, blocks));
        let (purge, crowd) = (new(purge).collect(), new(records(&rogue)).collect());
        Self {
            team,
            begin,
            record,
            whole,
            purge,
            crowd,
        }
    }

    /// Root, who has the purge, states something.
    fn seen_by_root(&self) -> Blocks {
        take(&self.team.root, &self.purge);
        let root = &self.team.root;
        root.write(|txn| txn.state(Statement::Checkpoint)).unwrap();
        blocks(root, &root.log(Some(1)).unwrap()[0].record)
    }
}

/// Whether a record is none of these, whole or emptied.
fn is_new(before: &[Blocks], blocks: &Blocks) -> bool {
    before.iter().all(|known| known.record != blocks.record)
}

/// What becomes of the purges and of what they list; and of everything else.
type Outcome = (Vec<(Cid, Option<String>)>, bool, u64);

fn outcome(db: &Db, record: &Cid) -> Outcome {
    assert_clean(db);
    let purges = db.purges().unwrap().into_iter();
    let mut purges: Vec<_> = purges.map(|purge| (purge.record, purge.void)).collect();
    purges.sort();
    let stripped = db.sync_status().unwrap().emptied.stripped;
    (purges, is_emptied(db, record), stripped)
}

fn finds_no_room(db: &Db) -> bool {
    let purges = db.purges().unwrap();
    let void = purges[0].void.as_deref();
    void.is_some_and(|void| void.contains("room"))
}

#[test]
fn what_was_purged_by_who_states_too_much_is_taken_back_until_root_has_seen_it() {
    let Crowd {
        team,
        record,
        whole,
        crowd,
        ..
    } = Crowd::new();
    team.level();
    for db in team.all() {
        assert!(db.purges().unwrap()[0].void.is_none(), "there is room");
        assert!(is_emptied(db, &record));
    }
    for db in team.all() {
        deliver(db, &crowd);
        assert!(finds_no_room(db), "{:?}", db.purges());
        assert!(is_emptied(db, &record), "nobody has it whole");
        assert_eq!(db.sync_status().unwrap().emptied.stripped, 1);
        take(db, std::slice::from_ref(&whole));
        assert!(!is_emptied(db, &record));
        assert_eq!(db.sync_status().unwrap().emptied.stripped, 0);
        assert_clean(db);
    }
    // A delete is no statement about access: what is dead stays so.
    assert_eq!(texts(&team.root), Vec::<Value>::new());
    assert_eq!(entities(&team.ann), entities(&team.root));

    let checkpoint = |txn: &mut crate::WriteTransaction<'_>| txn.state(Statement::Checkpoint);
    team.root.write(checkpoint).unwrap();
    team.level();
    for db in team.all() {
        assert!(db.purges().unwrap()[0].void.is_none(), "root has seen it");
        assert!(is_emptied(db, &record) && !has(db, b"worth keeping"));
        assert_eq!(db.sync_status().unwrap().emptied.stripped, 0);
        assert_clean(db);
    }
}

/// All orders of the first so many numbers.
fn orders(of: usize) -> Vec<Vec<usize>> {
    if of == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(of - 1).into_iter();
    let with = |order: Vec<usize>| {
        (0..of).map(move |at| {
            let mut order = order.clone();
            order.insert(at, of - 1);
            order
        })
    };
    shorter.flat_map(with).collect()
}

/// What the parts make of a thread in whatever order they come, on who reads it and on who does not.
fn agreed(crowd: &Crowd, parts: &[&[Blocks]]) -> [Outcome; 2] {
    let keys = crowd.team.root.keys();
    [keys.clone(), keys.without_read()].map(|keys| {
        let mut first = None;
        for order in orders(parts.len()) {
            let late = copy_by(little_room(), &keys);
            deliver(&late, &crowd.begin);
            for part in &order {
                deliver(&late, parts[*part]);
            }
            // Somebody has it whole.
            take(&late, std::slice::from_ref(&crowd.whole));
            let one = (outcome(&late, &crowd.record), entities(&late));
            let first = first.get_or_insert_with(|| one.clone());
            assert_eq!(*first, one, "{order:?}");
        }
        first.unwrap().0
    })
}

#[test]
fn whatever_came_first_all_do_the_same_where_a_purge_finds_no_room() {
    let crowd = Crowd::new();
    let whole = std::slice::from_ref(&crowd.whole);
    let [first, second, third] = &crowd.crowd[..] else {
        panic!("there are {OWN} statements");
    };
    let each = [first, second, third].map(std::slice::from_ref);
    let parts = [whole, &crowd.purge, each[0], each[1], each[2]];
    for (purges, is_emptied, stripped) in agreed(&crowd, &parts) {
        let void = purges[0].1.as_deref().unwrap();
        assert!(void.contains("room"), "{void}");
        assert!(!is_emptied && stripped == 0);
    }
    let seen = [crowd.seen_by_root()];
    let parts = [whole, &crowd.purge, &crowd.crowd, &seen];
    for (purges, is_emptied, stripped) in agreed(&crowd, &parts) {
        assert_eq!(purges[0].1, None);
        assert!(is_emptied && stripped == 0);
    }
}

#[test]
fn what_another_purge_lists_stays_purged() {
    let crowd = Crowd::new();
    let (team, record) = (&crowd.team, &crowd.record);
    let bob = copy_by(little_room(), &team.root.keys());
    let to = bob.thread().own_author();
    grant(&team.root, to, &[Role::Read, Role::Delete]);
    take(&bob, &records(&team.root));
    bob.purge([name("plan")]).unwrap();
    let all = records(&bob);
    let bobs: Vec<_> = all
        .into_iter()
        .filter(|blocks| is_new(&records(&team.root), blocks))
        .collect();
    let granted: Vec<_> = records(&team.root)
        .into_iter()
        .filter(|blocks| is_new(&crowd.begin, blocks) && blocks.record != crowd.whole.record)
        .collect();
    let whole = std::slice::from_ref(&crowd.whole);
    let parts = [whole, &crowd.purge, &crowd.crowd, &granted, &bobs];
    for (purges, is_emptied, stripped) in agreed(&crowd, &parts) {
        let counts: Vec<_> = purges.iter().map(|(_, void)| void.is_none()).collect();
        assert_eq!(counts.iter().filter(|counts| **counts).count(), 1);
        assert!(is_emptied && stripped == 0);
    }
    assert!(!is_emptied(&team.root, record), "root has heard of neither");
}
