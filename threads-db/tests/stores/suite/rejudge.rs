//! Records that are judged again: what they had changed is undone, and done again.

use serde_json::json;
use threads_core::access::{Role, Scope, Statement, Subject};
use threads_core::datastore::ReadTxn;
use threads_core::policy::{
    AccessPolicy, AccessRecord, Again, Candidate, Learned, Verdict, policy_prefix,
};
use threads_core::record::Dep;
use threads_core::reducer::{ReadView, View};
use threads_core::{PeerId, Result, Variant, block};
use threads_db::query::Query;
use threads_db::{Change, ChangeFilter, Db, FeedCursor, HeldReason, Node, Rejudged};

use super::common::{all, assert_clean, builder, carry, spec};

/// Who was banned last may change nothing beyond what was seen of it, until a role is given again.
#[derive(Clone, Copy, Debug)]
struct Bans;

impl AccessPolicy for Bans {
    fn judge(&self, candidate: &Candidate<'_>, txn: &dyn ReadTxn) -> Result<Verdict> {
        let prefix = policy_prefix(candidate.thread);
        let view = ReadView::new(txn, &prefix)?;
        let Some(seen) = view.get(candidate.author.key_bytes())? else {
            return Ok(Verdict::Accept);
        };
        for dep in block::decode::<Vec<Dep>>(&seen)? {
            if (candidate.within)(&dep)? {
                return Ok(Verdict::Accept);
            }
        }
        Ok(Verdict::Quarantine("its author was banned".into()))
    }

    fn learn(&self, record: &AccessRecord<'_>, view: &mut View<'_>) -> Result<Learned> {
        let mut learned = Learned::default();
        for statement in record.statements {
            let (peer, beyond) = match statement {
                Statement::Revoke {
                    from: Subject::Peer(peer),
                    seen,
                    ..
                } => {
                    view.put(peer.key_bytes(), &block::encode(seen)?)?;
                    (peer, seen.clone())
                }
                Statement::Grant {
                    to: Subject::Peer(peer),
                    ..
                } => {
                    view.delete(peer.key_bytes())?;
                    (peer, Vec::new())
                }
                Statement::Leave { .. } => {
                    learned.void = Some("nobody leaves here".into());
                    continue;
                }
                _ => continue,
            };
            learned.again.push(Again {
                author: Some(*peer),
                beyond,
                ..Again::default()
            });
        }
        Ok(learned)
    }
}

fn node() -> Node {
    builder().policy(Bans).open().unwrap()
}

/// A thread with an index, and the same on another node.
fn team() -> (Db, Db) {
    let ann = node()
        .create_with("team", Variant::AccessControlled)
        .unwrap();
    let index = threads_core::module::IndexSpec::on("n".parse().unwrap());
    ann.define(&spec("Note").with_index(index)).unwrap();
    let (bob, _) = carry(&ann, &node()).unwrap();
    (ann, bob)
}

fn me(db: &Db) -> PeerId {
    db.node().peer_id()
}

fn ban(db: &Db, peer: PeerId) {
    let peer = Subject::Peer(peer);
    db.write(|txn| txn.revoke(peer, Scope::Thread, Role::Replicate))
        .unwrap();
}

fn pardon(db: &Db, peer: PeerId) {
    db.write(|txn| txn.grant(Subject::Peer(peer), Scope::Thread, Role::Write))
        .unwrap();
}

fn put(db: &Db, value: &serde_json::Value) {
    db.collection("Note").unwrap().save(value).unwrap();
}

fn found(db: &Db, n: u64) -> usize {
    let query = Query::parse(&format!("n = {n}")).unwrap();
    db.collection("Note").unwrap().find(&query).unwrap().len()
}

fn feed(db: &Db) -> Vec<Change> {
    let listener = db.listen_from(ChangeFilter::all(), FeedCursor::default());
    let mut listener = listener.unwrap();
    std::iter::from_fn(|| listener.try_next().unwrap().map(change_of)).collect()
}

fn change_of(notice: threads_db::Notice) -> Change {
    match notice {
        threads_db::Notice::Change(change) => *change,
        other => panic!("{other:?}"),
    }
}

fn exchange(one: &Db, two: &Db) {
    carry(one, &two.node()).unwrap();
    carry(two, &one.node()).unwrap();
}

#[test]
fn what_was_applied_is_undone_and_done_again_on_every_peer_alike() {
    let (ann, bob) = team();
    put(&bob, &json!({"_id": "seen", "n": 1}));
    exchange(&ann, &bob);
    put(&ann, &json!({"_id": "hers", "n": 2, "by": "ann"}));
    put(&bob, &json!({"_id": "seen", "n": 3}));
    put(&bob, &json!({"_id": "unseen", "n": 4}));
    ban(&ann, me(&bob));
    let before = all(&ann, "Note");
    exchange(&ann, &bob);

    assert_eq!(all(&ann, "Note"), before, "nothing of what was not seen");
    assert_eq!(all(&bob, "Note"), before, "nor where it had been applied");
    assert_eq!((found(&bob, 1), found(&bob, 3), found(&bob, 4)), (1, 0, 0));
    for db in [&ann, &bob] {
        let held = db.held().unwrap();
        assert_eq!(held.len(), 2);
        let why = |reason: &HeldReason| matches!(reason, HeldReason::Access(why) if why.contains("banned"));
        assert!(held.iter().all(|held| why(&held.reason)));
        assert_clean(db);
    }
    let reverted = feed(&bob);
    let reverted: Vec<_> = reverted
        .iter()
        .filter(|change| change.rejudged.is_some())
        .collect();
    assert_eq!(reverted.len(), 2);
    let cause = ann.log(Some(1)).unwrap()[0].record;
    assert!(
        reverted
            .iter()
            .all(|change| change.rejudged == Some(Rejudged::Reverted(cause)))
    );
    assert_eq!(reverted[1].after, None);

    pardon(&ann, me(&bob));
    exchange(&ann, &bob);
    assert_eq!(all(&ann, "Note"), all(&bob, "Note"));
    assert_eq!((found(&ann, 1), found(&ann, 3), found(&ann, 4)), (0, 1, 1));
    assert!(ann.held().unwrap().is_empty() && bob.held().unwrap().is_empty());
    assert_eq!(
        feed(&bob)
            .iter()
            .filter(|change| change.rejudged.is_some())
            .count(),
        4
    );
    assert_clean(&ann);
    assert_clean(&bob);

    // And once more, over what was done and undone before.
    ban(&ann, me(&bob));
    put(&bob, &json!({"_id": "unseen", "n": 5}));
    exchange(&ann, &bob);
    assert_eq!(all(&ann, "Note"), all(&bob, "Note"));
    assert_eq!((found(&bob, 4), found(&bob, 5)), (1, 0));
    assert_clean(&ann);
    assert_clean(&bob);
}

#[test]
fn the_feed_tells_a_late_listener_what_one_at_the_time_saw() {
    let (ann, bob) = team();
    let listener = bob.listen_from(ChangeFilter::all(), FeedCursor::default());
    let mut listener = listener.unwrap();
    let mut seen = Vec::new();
    let mut look = |listener: &mut threads_db::Listener| {
        while let Some(notice) = listener.try_next().unwrap() {
            seen.push(change_of(notice));
        }
    };
    put(&bob, &json!({"_id": "a", "n": 1}));
    look(&mut listener);
    put(&bob, &json!({"_id": "a", "n": 2}));
    look(&mut listener);
    ban(&ann, me(&bob));
    exchange(&ann, &bob);
    look(&mut listener);
    pardon(&ann, me(&bob));
    exchange(&ann, &bob);
    look(&mut listener);
    put(&bob, &json!({"_id": "a", "n": 3}));
    look(&mut listener);
    assert_eq!(feed(&bob), seen);
    assert_eq!(
        seen.last().unwrap().before,
        Some(json!({"_id": "a", "n": 2}))
    );
}

#[test]
fn what_does_not_count_is_not_written() {
    let (ann, _) = team();
    let log = ann.log(None).unwrap();
    let refused = ann.write(|txn| {
        txn.save(&notes(&ann), &json!({"_id": "a"}))?;
        txn.state(Statement::Leave { seen: Vec::new() })
    });
    let refused = refused.unwrap_err();
    assert!(refused.to_string().contains("nobody leaves"), "{refused}");
    assert_eq!(ann.log(None).unwrap(), log);
    assert!(all(&ann, "Note").is_empty());
}

fn notes(db: &Db) -> threads_db::Collection<serde_json::Value> {
    db.collection("Note").unwrap()
}

#[test]
fn changes_and_statements_of_one_transaction_come_together() {
    let (ann, bob) = team();
    let peer = Subject::Peer(me(&bob));
    ann.write(|txn| {
        txn.save(&notes(&ann), &json!({"_id": "a"}))?;
        txn.revoke(peer, Scope::Thread, Role::Read)
    })
    .unwrap();
    let log = ann.log(None).unwrap();
    assert_eq!((log[0].seq, log[1].seq), (log[1].seq + 1, log[0].seq - 1));
    exchange(&ann, &bob);
    assert_eq!(all(&bob, "Note"), all(&ann, "Note"));
    assert_clean(&ann);
    assert_clean(&bob);
}

#[test]
fn a_replica_learns_and_judges_what_it_cannot_read() {
    let (ann, bob) = team();
    let replica = node();
    let blind = replica
        .add_thread("kept", &ann.keys().without_read())
        .unwrap();
    put(&bob, &json!({"_id": "a", "n": 1}));
    exchange(&ann, &bob);
    ban(&ann, me(&bob));
    put(&bob, &json!({"_id": "a", "n": 2}));
    exchange(&ann, &bob);
    carry(&ann, &replica).unwrap();
    let held = blind.held().unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].author, Some(me(&bob)));
    assert_clean(&blind);
}

#[test]
fn what_is_in_quarantine_can_be_adopted_once_it_is_read() {
    let (ann, bob) = team();
    ban(&ann, me(&bob));
    put(&bob, &json!({"_id": "late", "n": 1}));
    put(&bob, &json!({"_id": "later", "n": 2}));
    exchange(&ann, &bob);
    let held = ann.held().unwrap();
    assert_eq!(held.len(), 2);
    let adopted = ann.write(|txn| txn.adopt(&held[0].record)).unwrap();
    assert_eq!(adopted, 1);
    exchange(&ann, &bob);
    for db in [&ann, &bob] {
        assert_eq!(all(db, "Note"), [json!({"_id": "late", "n": 1})]);
        let by: Vec<_> = db
            .held()
            .unwrap()
            .iter()
            .map(|held| held.adopted_by)
            .collect();
        assert_eq!(by, [Some(me(&ann)), None]);
        assert_clean(db);
    }
    let applied = ann.log(Some(1)).unwrap()[0].record;
    assert!(
        ann.write(|txn| txn.adopt(&applied)).is_err(),
        "it is applied"
    );
    // Banned himself, he cannot adopt his own.
    let refused = bob.write(|txn| txn.adopt(&held[1].record)).unwrap_err();
    assert!(refused.to_string().contains("banned"), "{refused}");
}
