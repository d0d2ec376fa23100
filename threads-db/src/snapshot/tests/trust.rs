//! Whose word for a snapshot is enough.

use std::collections::BTreeSet;

use super::*;

/// Restores a file on a new node that asks for so many signers, of these.
fn opened(file: &[u8], signers_min: usize, trusted: &[&Peer]) -> Result<Vec<PeerId>> {
    let node = builder(&Arc::default()).clock(ManualClock::at(NOW_MS));
    let options = RestoreOptions {
        signers_min,
        trusted: trusted
            .iter()
            .map(|peer| peer.db.node().peer_id())
            .collect(),
        ..RestoreOptions::default()
    };
    let node = node.open().unwrap();
    let restored = restore_by(&node, file, options);
    assert_eq!(node.threads().unwrap().is_empty(), restored.is_err());
    let (db, report) = restored?;
    assert_eq!(
        report.snapshot,
        db.base().unwrap().map(|base| base.snapshot)
    );
    Ok(report.signers)
}

#[test]
fn a_device_says_how_many_and_whose_signatures_it_needs() {
    let ann = Peer::made(Variant::Raw);
    let bob = Peer::copy(&ann.db.keys());
    let carol = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    take(&bob.db, &records(&ann.db));
    let made = ann.db.snapshot().unwrap();
    let covered = covered_by(
        &*ann.db.thread().node.store.read().unwrap(),
        ann.db.thread(),
        &made.frontier,
    );
    let file = || {
        let mut file = Vec::new();
        let covered = (covered.as_ref().unwrap().clone(), made.id);
        crate::export::write_covered(&ann.db, (&mut file, &with_keys()), covered).unwrap();
        file
    };
    let by_ann = file();
    take(&bob.db, &records(&ann.db));
    bob.db.sign_snapshot(&made.id).unwrap();
    take(&ann.db, &records(&bob.db));
    let by_both = file();

    let ids = |peers: &[&Peer]| -> Vec<PeerId> {
        let ids: BTreeSet<_> = peers.iter().map(|peer| peer.db.node().peer_id()).collect();
        ids.into_iter().collect()
    };
    assert_eq!(opened(&by_ann, 0, &[]).unwrap(), ids(&[&ann]));
    assert_eq!(opened(&by_both, 2, &[]).unwrap(), ids(&[&ann, &bob]));
    assert_eq!(opened(&by_both, 1, &[&bob, &carol]).unwrap(), ids(&[&bob]));
    for refused in [
        opened(&by_ann, 2, &[]),
        opened(&by_ann, 0, &[&bob]),
        opened(&by_both, 3, &[]),
        opened(&by_both, 2, &[&bob, &carol]),
        opened(&by_both, 0, &[&carol]),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Rejected);
    }
}

#[test]
fn who_signed_for_other_records_under_that_name_signed_for_something_else() {
    let ann = Peer::made(Variant::Raw);
    save(&ann.db, "a", "one");
    let txn = ann.db.thread().node.store.read().unwrap();
    let covered = covered_until(&*txn, ann.db.thread(), None).unwrap();
    let made = make_of(&*txn, ann.db.thread(), covered.clone()).unwrap();
    drop(txn);
    let id = made.id;
    let mut other = made.clone();
    other.frontier[0].seq -= 1;
    ann.db.sign(other).unwrap();
    let mut file = Vec::new();
    crate::export::write_covered(&ann.db, (&mut file, &with_keys()), (covered, id)).unwrap();
    assert_eq!(
        opened(&file, 0, &[]).unwrap_err().kind(),
        ErrorKind::Rejected
    );
}

#[test]
fn who_signs_for_the_same_in_other_words_takes_no_signature_away() {
    let ann = Peer::made(Variant::Raw);
    let liar = Peer::copy(&ann.db.keys());
    save(&ann.db, "a", "one");
    let made = ann.db.snapshot().unwrap();
    let covered = {
        let txn = ann.db.thread().node.store.read().unwrap();
        covered_by(&*txn, ann.db.thread(), &made.frontier).unwrap()
    };
    // The same records, said to be of other logs.
    for log in [[0; 32], [255; 32]] {
        let mut other = made.clone();
        other.frontier[0].log = LogId::from_key_bytes(log);
        liar.db.sign(other).unwrap();
        take(&ann.db, &records(&liar.db));
        let mut file = Vec::new();
        let covered = (covered.clone(), made.id);
        crate::export::write_covered(&ann.db, (&mut file, &with_keys()), covered).unwrap();
        let signers = opened(&file, 1, &[&ann]).unwrap();
        assert_eq!(signers, [ann.db.node().peer_id()]);
    }
}
