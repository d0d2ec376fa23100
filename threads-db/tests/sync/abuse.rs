//! What peers may try. The numbers are the rows in `spec/threats.md`.

use serde_bytes::ByteArray;
use serde_json::{Value, json};
use threads_core::block::encode;
use threads_core::datastore::Keyspace;
use threads_core::{ErrorKind, IdentityKey, LogId, PeerId, ReplicaKey};
use threads_db::{Db, InviteOptions, Role};

use crate::frames::{Answer, Ask, Parcel, Range, Verdict, claim, head, joint};
use crate::net::Net;
use crate::victim::{Known, Stored, Victim, anybody};

/// One of which the node asks first.
fn asked_first() -> PeerId {
    PeerId::from_key_bytes([255; 32])
}

#[test]
fn row_15_who_does_not_show_the_key_gets_a_digest_and_nothing_else() {
    let known = Known::new();
    let (mut victim, db) = Victim::with(&known, 3);
    let stranger = asked_first();
    victim.connect(stranger);
    db.share_with(&stranger).unwrap();
    let log = db.sync_status().unwrap().logs[0].log;
    let other = ReplicaKey::from_bytes(&[7; 32]);
    for (verdict, key) in [
        (Verdict::Same, &other),
        (Verdict::Differs(vec![]), &other),
        // It has one more, to be pulled by naming what is here.
        (Verdict::Differs(vec![head(log, 5)]), &other),
    ] {
        // The thread goes on meanwhile.
        let things = db.collection("Thing").unwrap();
        things.create(&json!({})).unwrap();
        victim.wait(2_000);
        assert!(
            matches!(&victim.calls[..], [(_, _, Ask::Heads(_))]),
            "{:?}",
            victim.calls
        );
        let proof = joint(key, stranger, victim.me());
        victim.answer(&Answer::Heads(vec![verdict], proof));
    }
    // What was shown to it does not serve it, turned round or as it is.
    victim.wait(2_000);
    let (_, _, Ask::Heads(claims)) = &victim.calls[0] else {
        panic!("{:?}", victim.calls);
    };
    let shown: [u8; 16] = *claims[0].0.last_chunk().unwrap();
    victim.answer(&Answer::Heads(vec![Verdict::Same], ByteArray::new(shown)));
    assert_eq!(victim.cut, [] as [PeerId; 0]);
    victim.wait(2_000);
    let status = db.sync_status().unwrap();
    assert_eq!(
        status.peers[0].last_contact_ms, None,
        "nothing is believed of it"
    );

    // With the key all of it comes: a collection, three entities, and three more.
    let proof = joint(&known.replica, stranger, victim.me());
    victim.answer(&Answer::Heads(vec![Verdict::Differs(vec![])], proof));
    victim.wait(0);
    let sent = |ask: &Ask| matches!(ask, Ask::Push(_, parcels) if parcels.len() == 7);
    assert!(
        victim.calls.iter().any(|(_, _, ask)| sent(ask)),
        "{:?}",
        victim.calls
    );
}

#[test]
fn row_38_threads_are_compared_a_bounded_number_at_a_time_and_all_of_them() {
    const THREADS: usize = 1_500;
    let (mut victim, peer) = (Victim::new(), asked_first());
    let mut keys = Vec::new();
    for n in 0..THREADS {
        let known = Known::new();
        let db = victim
            .node
            .add_thread(&format!("{n}"), &known.keys())
            .unwrap();
        db.share_with(&peer).unwrap();
        keys.push(known.replica);
    }
    // It was shared before this machine began.
    victim.node.news();
    victim.connect(peer);
    let mut asked = 0;
    let proofs: Vec<_> = keys
        .iter()
        .map(|key| key.proof(&peer, &victim.me()))
        .collect();
    for most in [1_024, THREADS - 1_024] {
        let [(_, _, Ask::Heads(claims))] = &victim.calls[..] else {
            panic!("{} calls", victim.calls.len());
        };
        assert_eq!(claims.len(), most);
        let (verdicts, from) = (vec![Verdict::Same; most], asked);
        asked += most;
        let proof = threads_core::block::sha256(&proofs[from..asked].concat());
        let proof = ByteArray::new(*proof.first_chunk().unwrap());
        victim.answer(&Answer::Heads(verdicts, proof));
    }
    assert_eq!((asked, victim.calls.len()), (THREADS, 0));
    let heard = |n: usize| {
        victim
            .node
            .open(&n.to_string())
            .unwrap()
            .sync_status()
            .unwrap()
    };
    for n in [0, 1_023, 1_024, THREADS - 1] {
        assert!(heard(n).peers[0].is_level(), "{n}");
    }
    // One that is new is asked about alone.
    let known = Known::new();
    let db = victim.node.add_thread("new", &known.keys()).unwrap();
    db.share_with(&peer).unwrap();
    victim.wait(0);
    let alone = |ask: &Ask| matches!(ask, Ask::Heads(claims) if claims.len() == 1);
    assert!(alone(&victim.calls[0].2), "{:?}", victim.calls);
}

/// The verdict on the only thread that `from` asks about, by a claim.
fn verdict(victim: &mut Victim, from: PeerId, claim: ByteArray<32>) -> Verdict {
    match victim.ask(from, &Ask::Heads(vec![(claim, ByteArray::new([0; 16]))])) {
        Some(Answer::Heads(mut verdicts, _)) => verdicts.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_15_a_claim_is_of_no_use_to_another_or_towards_another() {
    let known = Known::new();
    let (mut victim, _db) = Victim::with(&known, 1);
    let (member, thief) = (anybody(), anybody());
    victim.connect(member);
    victim.connect(thief);
    let good = victim.claim(&known, member);
    assert!(matches!(
        verdict(&mut victim, member, good),
        Verdict::Differs(_)
    ));
    let key = &known.replica;
    for stolen in [
        good,
        // What a member told the thief, and what this node did.
        claim(key, member, thief),
        claim(key, victim.me(), thief),
        claim(key, thief, member),
    ] {
        assert_eq!(verdict(&mut victim, thief, stolen), Verdict::Unknown);
    }
}

/// Whether `bytes` are somewhere in `all`.
fn contains(all: &[u8], bytes: &[u8]) -> bool {
    all.windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn row_15_no_key_is_in_any_frame() {
    let known = Known::new();
    let mut net = Net::new(2);
    let db = net.node(0).add_thread("shared", &known.keys()).unwrap();
    let link = db.invite(&InviteOptions::new(Role::Write)).unwrap();
    net.use_thread(0, db);
    net.node(1).join(&link, None).unwrap();
    net.connect_all();
    net.run();
    net.db(0).accept(&net.node(1).peer_id()).unwrap();
    net.run();
    let db = net.node(1).open(&known.id.to_string()).unwrap();
    net.use_thread(1, db);
    for node in [0, 1] {
        net.put(node, json!({"_id": format!("by{node}")}));
        net.run();
    }
    assert_eq!(net.get(0, "by1"), Some(json!({"_id": "by1"})));
    for key in [known.replica.to_bytes(), known.read.to_bytes()] {
        for node in [0, 1] {
            assert!(
                contains(&net.traces(node), &*key),
                "on its disk it is: the search works"
            );
            assert!(!contains(net.frames(node), &*key), "it was sent to {node}");
        }
    }
}

/// All rows but those about peers.
fn thread_rows(victim: &Victim) -> Stored {
    let mut stored = victim.stored();
    stored.retain(|(space, ..)| *space != Keyspace::Peers);
    stored
}

#[test]
fn row_04_the_records_of_one_thread_are_refused_in_another() {
    let (one, other) = (Known::new(), Known::new());
    let (mut author, _) = Victim::with(&one, 2);
    let (_, parcels) = author.records(&one);
    let (mut victim, _db) = Victim::with(&other, 1);
    let member = anybody();
    victim.connect(member);
    let before = thread_rows(&victim);
    let claim = victim.claim(&other, member);
    let answer = victim.ask(member, &Ask::Push(claim, parcels));
    assert_eq!(answer, Some(Answer::Have(vec![])));
    assert_eq!(thread_rows(&victim), before);
    assert_eq!(victim.cut, [member]);
}

/// A node with a thread, another one's records of it, a peer that holds the key.
fn with_records(taken: usize) -> (Known, Victim, Db, LogId, Vec<Parcel>, PeerId) {
    let known = Known::new();
    let (mut author, _) = Victim::with(&known, 4);
    let (log, parcels) = author.records(&known);
    let (mut victim, db) = Victim::with(&known, 0);
    let peer = anybody();
    victim.connect(peer);
    let claim = victim.claim(&known, peer);
    if taken > 0 {
        let push = Ask::Push(claim, parcels[..taken].to_vec());
        let taken = Some(Answer::Have(vec![head(log, taken as u64)]));
        assert_eq!(victim.ask(peer, &push), taken);
    }
    (known, victim, db, log, parcels, peer)
}

fn have(db: &Db, log: LogId) -> u64 {
    let logs = db.sync_status().unwrap().logs.into_iter();
    logs.filter(|one| one.log == log).map(|one| one.have).sum()
}

#[test]
fn row_10_what_one_withholds_is_never_passed_over_and_comes_from_another() {
    let (known, mut victim, db, log, parcels, liar) = with_records(1);
    let honest = anybody();
    victim.connect(honest);
    let mut withheld = 0;
    for _ in 0..20 {
        for peer in [liar, honest] {
            let claim = victim.claim(&known, peer);
            victim.ask(peer, &Ask::Have(claim, vec![head(log, 5)]));
        }
        victim.wait(1_000);
        let pulls = |ask: &Ask| matches!(ask, Ask::Pull(..));
        victim.calls.retain(|(_, _, ask)| pulls(ask));
        let Some((peer, _, Ask::Pull(_, ranges))) = victim.calls.first().cloned() else {
            continue;
        };
        let from = ranges[0].from as usize - 1;
        let mut page = parcels[from..].to_vec();
        if peer == liar {
            // All but the third, and the word that this is all.
            page.retain(|parcel| *parcel != parcels[2]);
            withheld += 1;
        }
        if peer == honest && withheld == 0 {
            // It is slow, so that the other is asked too.
            victim.answer(&Answer::Busy(5_000));
            continue;
        }
        victim.answer(&Answer::Page(page, vec![(log, 5)], false));
        if peer == honest {
            break;
        }
        assert_eq!(have(&db, log), 2, "up to the gap");
        assert_eq!(db.held_counts().unwrap().pending, 2);
        let after: Option<Value> = db.collection("Thing").unwrap().get("x3").unwrap();
        assert_eq!(after, None);
    }
    assert!(withheld > 0);
    assert_eq!(have(&db, log), 5);
    assert_eq!(db.held_counts().unwrap().pending, 0);
}

#[test]
fn row_11_an_old_head_takes_nothing_back() {
    let (known, mut victim, db, log, parcels, peer) = with_records(5);
    let claim = victim.claim(&known, peer);
    let old = Ask::Have(claim, vec![head(log, 2)]);
    assert_eq!(
        victim.ask(peer, &old),
        Some(Answer::Have(vec![head(log, 5)]))
    );
    let again = Ask::Push(claim, parcels[..2].to_vec());
    assert_eq!(
        victim.ask(peer, &again),
        Some(Answer::Have(vec![head(log, 5)]))
    );
    assert_eq!(have(&db, log), 5);
    let last: Option<Value> = db.collection("Thing").unwrap().get("x3").unwrap();
    assert!(last.is_some());
    assert!(
        victim.cut.is_empty(),
        "whoever lost its disk is no attacker"
    );
}

#[test]
fn row_11_who_promises_again_and_again_what_it_has_not_is_cut_off() {
    let (known, mut victim, db, log, _, peer) = with_records(5);
    let claim = victim.claim(&known, peer);
    let logs = db.sync_status().unwrap().logs.into_iter();
    let logs = logs.map(|one| head(one.log, one.have + u64::from(one.log == log)));
    let promise: Vec<_> = logs.collect();
    // Once it may know of a fork, for it says too that it has another record than this node.
    for times in 0..21 {
        assert!(victim.cut.is_empty(), "after {times}");
        victim.ask(peer, &Ask::Have(claim, promise.clone()));
        victim.wait(1_000);
        let pulls = |ask: &Ask| matches!(ask, Ask::Pull(..));
        victim.calls.retain(|(_, _, ask)| pulls(ask));
        assert!(matches!(&victim.calls[..], [_]), "{:?}", victim.calls);
        victim.answer(&Answer::Page(vec![], vec![], false));
    }
    assert_eq!(victim.cut, [peer]);
    assert_eq!(have(&db, log), 5);
}

/// A peer that says it has another record in the last place of this node's log, and what it answers when
/// it is asked for it, again and again.
fn probed(times: usize, answer: impl Fn(&Range, &[Parcel]) -> Answer) -> Victim {
    let known = Known::new();
    let (mut victim, db) = Victim::with(&known, 3);
    let (liar, parcels) = (anybody(), victim.records(&known).1);
    db.share_with(&liar).unwrap();
    victim.connect(liar);
    let (log, claim) = (
        db.sync_status().unwrap().logs[0].log,
        victim.claim(&known, liar),
    );
    let mut asked = 0;
    while asked < times {
        victim.ask(liar, &Ask::Have(claim, vec![head(log, 4)]));
        victim.wait(1_000);
        let pull = |(_, _, ask): &(PeerId, u64, Ask)| matches!(ask, Ask::Pull(..));
        while let Some(at) = victim.calls.iter().position(pull) {
            let call = victim.calls.remove(at);
            let Ask::Pull(_, ranges) = &call.2 else {
                continue;
            };
            let reply = answer(&ranges[0], &parcels);
            asked += 1;
            victim.calls.insert(0, call);
            victim.answer(&reply);
        }
        victim.calls.clear();
    }
    victim
}

#[test]
fn row_12_who_answers_a_search_for_a_fork_with_what_nobody_asked_for_is_cut_off() {
    let page = |parcels: &[Parcel], upto| Answer::Page(parcels.to_vec(), vec![upto], false);
    let earlier = probed(20, |range, here| page(&here[..1], (range.log, 1)));
    assert_ne!(earlier.cut, [], "a record of another place");
    let other = LogId::from_key_bytes([9; 32]);
    let unasked = probed(20, |range, here| page(&here[3..], (other, range.to)));
    assert_ne!(unasked.cut, [], "of another log");
    // An honest one may know of the fork by now, and call what it has by other names, but not for long.
    let nothing = |times| probed(times, |_, _| Answer::Page(vec![], vec![], false)).cut;
    assert_eq!(nothing(20), [], "the first time is free");
    assert_ne!(nothing(21), []);
}

#[test]
fn row_12_numbers_that_lie_move_no_log_and_are_not_handed_on() {
    let (known, mut victim, db, log, parcels, peer) = with_records(1);
    let own = db
        .sync_status()
        .unwrap()
        .logs
        .iter()
        .map(|log| log.log)
        .find(|one| *one != log);
    let claim = victim.claim(&known, peer);
    let mut lies = vec![(log, u64::MAX), (own.unwrap(), u64::MAX)];
    lies.sort();
    victim.ask(
        peer,
        &Ask::Have(
            claim,
            lies.iter().map(|(log, seq)| head(*log, *seq)).collect(),
        ),
    );
    victim.wait(1_000);
    let at = victim
        .calls
        .iter()
        .position(|(_, _, ask)| matches!(ask, Ask::Pull(..)));
    victim.calls.swap(0, at.unwrap());
    // One record, and the word that it is all there are.
    victim.answer(&Answer::Page(parcels[1..2].to_vec(), lies, false));
    assert_eq!(have(&db, log), 2);
    let other = anybody();
    victim.connect(other);
    let claim = victim.claim(&known, other);
    let said = victim.ask(other, &Ask::Have(claim, vec![head(log, 1)]));
    assert_eq!(said, Some(Answer::Have(vec![head(log, 2)])));
    assert!(db.verify(&mut |_| ()).unwrap().is_clean());
}

#[test]
fn row_13_an_outsider_adds_no_log_and_takes_no_room() {
    let known = Known::new();
    let (mut author, _) = Victim::with(&known, 4);
    let (log, parcels) = author.records(&known);
    let (mut victim, _db) = Victim::with(&known, 1);
    let outsider = anybody();
    victim.connect(outsider);
    let before = victim.stored();
    for claim in [
        // Of another key; and one that somebody else showed it.
        claim(&ReplicaKey::from_bytes(&[7; 32]), outsider, victim.me()),
        claim(&known.replica, victim.me(), outsider),
    ] {
        assert_eq!(
            victim.ask(outsider, &Ask::Push(claim, parcels.clone())),
            None
        );
        assert_eq!(
            victim.ask(outsider, &Ask::Have(claim, vec![head(log, 5)])),
            None
        );
    }
    assert_eq!(victim.stored(), before);
    assert!(victim.calls.is_empty(), "{:?}", victim.calls);
    assert!(victim.machine.is_settled(), "nothing is kept for it");
    // The same records from who holds the key are taken.
    let member = anybody();
    victim.connect(member);
    let claim = victim.claim(&known, member);
    assert_eq!(
        victim.ask(member, &Ask::Push(claim, parcels)),
        Some(Answer::Have(vec![head(log, 5)]))
    );
}

#[test]
fn row_14_keys_are_never_replaced() {
    let known = Known::new();
    let poison = Known {
        id: known.id.clone(),
        ..Known::new()
    };
    let mut net = Net::new(2);
    let good = net.node(1).add_thread("shared", &known.keys()).unwrap();
    let evil = net.node(0).add_thread("shared", &poison.keys()).unwrap();
    net.use_thread(0, evil);
    net.connect_all();

    let options = InviteOptions::new(Role::Write).to(net.node(1).card());
    let invite = net.db(0).invite(&options).unwrap();
    let refused = net.node(1).join(&invite, None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");

    let link = net.db(0).invite(&InviteOptions::new(Role::Write)).unwrap();
    net.node(1).join(&link, None).unwrap();
    net.run();
    net.db(0).accept(&net.node(1).peer_id()).unwrap();
    net.run();
    assert_eq!(good.keys(), known.keys());
    assert_eq!(net.node(1).open("shared").unwrap().keys(), known.keys());
    assert_eq!(net.node(1).threads().unwrap().len(), 1);
}

#[test]
fn row_14_keys_that_nobody_asked_for_are_not_taken() {
    let (known, poison) = (Known::new(), Known::new());
    let (mut evil, evil_db) = Victim::with(&poison, 0);
    let (mut victim, db) = Victim::with(&known, 0);
    let link = evil_db.invite(&InviteOptions::new(Role::Write)).unwrap();
    victim.node.join(&link, None).unwrap();
    victim.connect(evil.me());
    victim.wait(0);
    let join = victim
        .calls
        .iter()
        .find(|(_, _, ask)| matches!(ask, Ask::Join(..)));
    let (_, _, join) = join.unwrap().clone();
    evil.connect(victim.me());
    assert_eq!(evil.ask(victim.me(), &join), Some(Answer::Waiting));
    evil_db.accept(&victim.me()).unwrap();
    let admitted = evil.ask(victim.me(), &join).unwrap();
    assert!(matches!(admitted, Answer::Admitted(..)));
    // Keys that are sealed to this node, in answer to anything but its request.
    let stranger = asked_first();
    db.share_with(&stranger).unwrap();
    victim.connect(stranger);
    victim.calls.retain(|(peer, ..)| *peer == stranger);
    assert!(!victim.calls.is_empty());
    while !victim.calls.is_empty() {
        victim.answer(&admitted);
    }
    assert_eq!(victim.node.threads().unwrap().len(), 1);
}

#[test]
fn row_16_a_thread_that_is_here_and_one_that_is_not_look_alike() {
    let known = Known::new();
    let (mut victim, db) = Victim::with(&known, 2);
    let link = db.invite(&InviteOptions::new(Role::Read)).unwrap();
    let log = db.sync_status().unwrap().logs[0].log;
    let outsider = anybody();
    victim.connect(outsider);
    let elsewhere = ReplicaKey::from_bytes(&[7; 32]);
    let me = victim.me();
    // It knows the name of the thread between its members, and not the key.
    let here = claim(&known.replica, me, outsider);
    let not_here = claim(&elsewhere, outsider, me);
    let range = Range {
        log,
        from: 1,
        to: 9,
    };
    let asks: [fn(ByteArray<32>, Range) -> Ask; 5] = [
        |claim, _| Ask::Heads(vec![(claim, ByteArray::new([0; 16]))]),
        |claim, range| Ask::Pull(claim, vec![range]),
        |claim, range| Ask::Have(claim, vec![head(range.log, 1)]),
        |claim, _| Ask::Push(claim, vec![]),
        |claim, _| Ask::Where(claim, vec![]),
    ];
    for ask in asks {
        let frames = [here, not_here].map(|claim| encode(&ask(claim, range)).unwrap());
        let [yes, no] = frames.map(|frame| victim.price_of(outsider, &frame));
        assert_eq!(yes, no, "the answer, and how often it looked");
    }
    let card = IdentityKey::from_bytes(&[9; 32]).card();
    let asker = card.peer();
    victim.connect(asker);
    let mut join = |id: &str| {
        let card = card.to_bytes().to_vec().into();
        victim.ask(
            asker,
            &Ask::Join(id.to_owned(), ByteArray::new([0; 16]), card),
        )
    };
    assert_eq!((join(link.id()), join("no such link")), (None, None));
}

#[test]
fn row_19_keys_are_sealed_to_who_was_accepted_and_open_for_nobody_else() {
    let known = Known::new();
    let (mut inviter, db) = Victim::with(&known, 1);
    let link = db.invite(&InviteOptions::new(Role::Read).uses(2)).unwrap();
    let mut joiners = [Victim::new(), Victim::new()];
    let mut joins = Vec::new();
    for joiner in &mut joiners {
        joiner.node.join(&link, None).unwrap();
        joiner.connect(inviter.me());
        inviter.connect(joiner.me());
        joins.push(joiner.calls.pop().unwrap().2);
        joiner.wait(60_000);
    }
    let [bob, thief] = &mut joiners;
    assert_eq!(inviter.ask(bob.me(), &joins[0]), Some(Answer::Waiting));
    db.accept(&bob.me()).unwrap();
    // The thief has the link too, and bob's card, which is no secret.
    assert_eq!(inviter.ask(thief.me(), &joins[0]), None);
    assert_eq!(inviter.ask(thief.me(), &joins[1]), Some(Answer::Waiting));
    let admitted = inviter.ask(bob.me(), &joins[0]).unwrap();
    for (joiner, threads) in [(thief, 0), (bob, 1)] {
        let at = joiner
            .calls
            .iter()
            .position(|(_, _, ask)| matches!(ask, Ask::Join(..)));
        joiner.calls.swap(0, at.unwrap());
        joiner.answer(&admitted);
        assert_eq!(joiner.node.threads().unwrap().len(), threads);
    }
}

#[test]
fn row_38_who_asks_too_much_has_to_wait_and_others_have_not() {
    let known = Known::new();
    let (mut victim, _db) = Victim::with(&known, 1);
    let (flood, other) = (anybody(), anybody());
    victim.connect(flood);
    victim.connect(other);
    let ask = |victim: &mut Victim, from| {
        let claim = victim.claim(&known, from);
        victim.ask(from, &Ask::Have(claim, vec![]))
    };
    let answered = (0..10_000).filter(|_| ask(&mut victim, flood) == Some(Answer::Have(vec![])));
    assert_eq!(answered.count(), 4_000, "a burst, and no more");
    assert!(matches!(ask(&mut victim, flood), Some(Answer::Busy(_))));
    assert_eq!(ask(&mut victim, other), Some(Answer::Have(vec![])));
    victim.wait(1_000);
    assert_eq!(ask(&mut victim, flood), Some(Answer::Have(vec![])));
}
