//! What is announced to those who are not connected, and what becomes of it.

use serde_json::json;
use threads_core::block::{DAG_CBOR, cid_of, encode};
use threads_core::module::CollectionSpec;
use threads_core::transport::Acceptance::{Accept, Ignore, Reject};
use threads_core::transport::with_peer;
use threads_core::{
    ANNOUNCEMENT_BYTES, ANNOUNCEMENT_TOPICS, Announcement, Error, IdentityKey, LogId, PeerId,
    ReadKey, ReplicaKey, ThreadId, Variant, system_rng,
};
use threads_db::ThreadKeys;
use threads_db::sync::Input;

use crate::frames::{Answer, Ask, Verdict, head, joint};
use crate::net::Net;
use crate::victim::{Known, Victim, anybody};

/// A thread under the same topic as another.
fn under_the_topic_of(replica: &ReplicaKey) -> ThreadKeys {
    let rng = &mut system_rng();
    let mut keys = std::iter::repeat_with(|| ReplicaKey::generate(rng));
    let same = keys.find(|key| key.topic() == replica.topic()).unwrap();
    let rng = &mut system_rng();
    let id = ThreadId::generate(Variant::Raw, rng);
    ThreadKeys::new(id, same, ReadKey::generate(rng))
}

/// A writer (0) and a reader (2) of one thread, who do not know where the other is connected, and between
/// them a neighbour (1), who takes part in another thread.
fn with_a_neighbour() -> Net {
    with_a_neighbour_of(&Known::new())
}

fn with_a_neighbour_of(known: &Known) -> Net {
    let mut net = Net::new(3);
    for node in [0, 2] {
        let db = net.node(node).add_thread("shared", &known.keys()).unwrap();
        db.share_with(&net.node(2 - node).peer_id()).unwrap();
        net.use_thread(node, db);
    }
    let other = under_the_topic_of(&known.replica);
    let db = net.node(1).add_thread("other", &other).unwrap();
    db.share_with(&anybody()).unwrap();
    net.use_thread(1, db);
    net.put(0, json!({"_id": "first"}));
    net.connect(0, 1);
    net.connect(1, 2);
    net.run();
    net
}

fn knows_where(net: &Net, node: usize, of: usize) {
    let peer = net.node(of).peer_id();
    let addr = with_peer("/ip4/192.0.2.7/tcp/4001".parse().unwrap(), peer);
    net.node(node).add_address(&addr).unwrap();
}

#[test]
fn news_comes_to_who_is_connected_to_strangers_only() {
    let mut net = with_a_neighbour();
    knows_where(&net, 2, 0);
    // The reader tries to reach the writer less and less often.
    for _ in 0..10 {
        net.run();
    }
    net.dialling(true);
    net.put(0, json!({"_id": "bob"}));
    net.run_for(4_000);
    assert!(
        net.connected(0, 2),
        "it was tried when it announced something"
    );
    assert_eq!(net.get(2, "bob"), Some(json!({"_id": "bob"})));
    assert_eq!(net.records(2), 3, "each record once");
    assert_eq!(
        net.judged(1),
        [Accept, Accept],
        "the neighbour carried it on"
    );
    assert!(net.cut_off().is_empty());
}

#[test]
fn what_is_announced_is_a_hint_and_changes_nothing_else() {
    let mut net = with_a_neighbour();
    net.put(0, json!({"_id": "bob"}));
    net.run();
    let status = net.db(2).sync_status().unwrap();
    let [writer] = &status.peers[..] else {
        panic!("{status:?}")
    };
    let news = writer
        .announced
        .as_ref()
        .expect("it is known that there is news");
    let log = net.db(0).sync_status().unwrap().logs[0].log;
    assert_eq!((news.log, news.seq), (log, 3));
    // Nobody is taken to have anything because of it.
    assert_eq!((writer.missing, writer.last_contact_ms), (0, None));
    assert!(status.logs.is_empty() && !status.is_in_sync());

    net.connect(0, 2);
    net.run();
    let status = net.db(2).sync_status().unwrap();
    assert_eq!(status.peers[0].announced, None, "it is here");
    assert!(status.is_in_sync());
}

#[test]
fn row_47_a_neighbour_learns_nothing_of_what_it_carries() {
    let known = Known::new();
    let mut net = with_a_neighbour_of(&known);
    net.put(0, json!({"_id": "bob"}));
    net.run();
    assert_eq!(net.publications().len(), 2);
    let traces = net.traces(1);
    let db = net.db(0);
    let log = db.sync_status().unwrap().logs[0].log;
    let secrets = [
        db.id().as_bytes(),
        log.key_bytes(),
        &known.replica.locator(),
        &known.replica.rendezvous(),
        b"bob",
    ];
    for secret in secrets {
        let seen = traces.windows(secret.len()).any(|window| window == secret);
        assert!(!seen, "{secret:?}");
    }
}

#[test]
fn who_is_connected_is_sent_what_is_new_and_announced_nothing() {
    let mut net = Net::new(3);
    let db = net.shared_thread();
    net.connect_all();
    net.run();
    let met = [1, 2].map(|node| net.records(node));
    for n in 0..10 {
        net.put(0, json!({"_id": format!("x{n}")}));
        net.run_for(500);
    }
    net.run();
    net.assert_level(&db);
    assert_eq!(net.publications(), []);
    let sent = [1, 2].map(|node| net.records(node) - met[node - 1]);
    assert_eq!(sent, [10, 10], "each record once");
}

#[test]
fn nobody_is_sent_a_record_twice_because_somebody_announced_it() {
    // Of four only neighbours are connected; all share the thread, and hear all that is announced.
    let mut net = Net::new(4);
    let db = net.shared_thread();
    for node in 0..3 {
        net.connect(node, node + 1);
    }
    net.run();
    let met = [1, 2, 3].map(|node| net.records(node));
    for n in 0..20 {
        net.put(0, json!({"_id": format!("x{n}")}));
        net.run_for(300);
    }
    net.run();
    net.assert_level(&db);
    let announced = net.publications();
    assert!(
        announced.iter().all(|(_, reached)| reached.len() == 4),
        "{announced:?}"
    );
    let sent = [1, 2, 3].map(|node| net.records(node) - met[node - 1]);
    assert_eq!(sent, [20; 3], "each record once");
}

#[test]
fn a_writer_announces_once_in_a_second_and_what_it_wrote_alone_when_somebody_comes() {
    let mut net = with_a_neighbour();
    let before = net.publications().len();
    for n in 0..100 {
        net.put(0, json!({"_id": format!("x{n}")}));
        net.run_for(100);
    }
    net.run();
    let announced = net.publications().len() - before;
    assert!((9..=11).contains(&announced), "{announced} in ten seconds");

    net.part(0, 1);
    net.run();
    net.put(0, json!({"_id": "alone"}));
    net.run();
    assert_eq!(net.publications().len(), before + announced);
    net.connect(0, 1);
    net.run();
    let all = net.publications();
    assert_eq!(all.len(), before + announced + 1);
    assert_eq!(all.last().unwrap().1, [0, 1, 2]);
}

#[test]
fn what_was_written_before_a_restart_is_announced_once_unless_all_have_it() {
    let mut net = with_a_neighbour();
    for node in 0..2 {
        net.part(node, node + 1);
    }
    net.run();
    net.put(0, json!({"_id": "before"}));
    net.run();
    let restart = |net: &mut Net| {
        let before = net.publications().len();
        net.reopen(0, |builder| builder);
        net.open_again(0);
        net.start(0);
        net.run();
        net.connect(0, 1);
        net.connect(1, 2);
        net.run();
        net.publications().split_off(before)
    };
    assert_eq!(restart(&mut net), [(0, vec![0, 1, 2])]);
    // They meet.
    net.connect(0, 2);
    net.run();
    assert!(net.get(2, "before").is_some());
    assert_eq!(restart(&mut net), []);
}

#[test]
fn of_many_threads_few_are_announced_after_a_restart() {
    let mut net = with_a_neighbour();
    let spec = CollectionSpec::new("Thing".parse().unwrap(), "jsonpatch/1".parse().unwrap());
    for n in 0..100 {
        let db = net.node(0).create(&format!("thread {n}")).unwrap();
        db.define(&spec).unwrap();
        db.share_with(&anybody()).unwrap();
    }
    net.run();
    let before = net.publications().len();
    net.reopen(0, |builder| builder);
    net.start(0);
    net.connect(0, 1);
    net.run();
    assert_eq!(net.publications().len() - before, 64);
}

#[test]
fn a_node_takes_part_in_the_topics_of_threads_that_it_shares_and_in_few_ones() {
    let mut net = Net::new(1);
    net.run();
    let dbs: Vec<_> = (0..300)
        .map(|n| net.node(0).create(&format!("thread {n}")).unwrap())
        .collect();
    net.run();
    assert_eq!(net.topics(0), 0, "nothing is shared");
    let friend = anybody();
    for db in &dbs {
        db.share_with(&friend).unwrap();
    }
    net.run();
    assert_eq!(net.topics(0), usize::from(ANNOUNCEMENT_TOPICS));
    for db in &dbs[1..] {
        db.unshare(&friend).unwrap();
    }
    net.run();
    assert_eq!(net.topics(0), 1);
    // One that begins anew finds what it shares.
    net.reopen(0, |builder| builder);
    assert_eq!(net.topics(0), 0);
    net.start(0);
    net.run();
    assert_eq!(net.topics(0), 1);
}

/// What is announced of a log of which nothing is here.
struct News<'a> {
    known: &'a Known,
    log: LogId,
}

impl News<'_> {
    fn sealed(&self, by: &IdentityKey, seq: u64) -> Vec<u8> {
        let cid = cid_of(DAG_CBOR, b"the head");
        let announced = Announcement::sign(by, &self.known.id, self.log, seq, &cid).unwrap();
        announced.seal(&self.known.replica).unwrap()
    }

    fn topic(&self) -> Vec<u8> {
        self.known.replica.topic().to_bytes()
    }
}

fn news(known: &Known) -> News<'_> {
    let log = LogId::from_key_bytes([5; 32]);
    News { known, log }
}

/// A node, and somebody who shares its thread and is somewhere.
fn victim(known: &Known) -> (Victim, IdentityKey) {
    let (mut victim, db) = Victim::with(known, 1);
    victim.dials_fail = true;
    let ann = IdentityKey::generate(&mut system_rng());
    db.share_with(&ann.peer_id()).unwrap();
    let addr = "/ip4/192.0.2.7/tcp/4001".parse().unwrap();
    victim
        .node
        .add_address(&with_peer(addr, ann.peer_id()))
        .unwrap();
    victim.wait(0);
    (victim, ann)
}

/// Every peer says that it has what this node has, until nobody is asked any more.
fn settle(victim: &mut Victim, known: &Known) {
    for _ in 0..60 {
        victim.wait(1_000);
        while let Some((peer, call, ask)) = victim.calls.pop() {
            let joint = joint(&known.replica, peer, victim.me());
            let reply = match ask {
                Ask::Heads(_) => encode(&Answer::Heads(vec![Verdict::Same], joint)),
                Ask::Have(_, heads) => encode(&Answer::Have(heads)),
                _ => Err(Error::unavailable("it says nothing else")),
            };
            victim.give(Input::Reply(call, reply));
        }
    }
}

#[test]
fn row_39_what_a_reader_knows_to_be_unsound_goes_no_further() {
    let known = Known::new();
    let (mut victim, ann) = victim(&known);
    let (news, eve) = (news(&known), IdentityKey::generate(&mut system_rng()));
    let topic = news.topic();
    let good = news.sealed(&ann, 7);
    // Under a topic that was not asked for, whatever it is.
    let elsewhere = b"threads/heads/1/\xff";
    assert_eq!(victim.overhear(ann.peer_id(), elsewhere, b""), Ignore);
    // What was said by another, or by nobody.
    assert_eq!(victim.overhear(eve.peer_id(), &topic, &good), Reject);
    victim.connect(eve.peer_id());
    let costs_everything = [eve.peer_id(); 2];
    assert_eq!(victim.cut, costs_everything, "now, and when it comes again");
    assert_eq!(
        victim.overhear(eve.peer_id(), &topic, &news.sealed(&eve, 7)),
        Ignore
    );
    // Of another length.
    let mallory = anybody();
    for _ in 0..5 {
        let garbage = vec![7; ANNOUNCEMENT_BYTES + 1];
        assert_eq!(victim.overhear(mallory, &topic, &garbage), Reject);
    }
    victim.connect(mallory);
    assert_eq!(victim.cut[2..], [mallory; 2]);
    // Nothing of that spoils what the one that did announce something says.
    assert_eq!(victim.overhear(ann.peer_id(), &topic, &good), Accept);
}

#[test]
fn row_39_what_nobody_here_can_read_goes_on_within_a_bound_and_costs_nothing() {
    let known = Known::new();
    let (mut victim, ann) = victim(&known);
    let topic = news(&known).topic();
    let other = Known::new();
    let foreign = |seq| news(&other).sealed(&ann, seq);
    let strangers: Vec<_> = (0..1_000).map(|_| anybody()).collect();
    let before = victim.stored();
    let carried = |victim: &mut Victim| {
        let fits = strangers
            .iter()
            .map(|peer| victim.overhear(*peer, &topic, &foreign(1)));
        fits.filter(|fit| *fit == Accept).count()
    };
    assert_eq!(carried(&mut victim), 128);
    // Those whom this node knows have a bound of their own.
    let from_ann =
        (0..200).filter(|n| victim.overhear(ann.peer_id(), &topic, &foreign(n + 1)) == Accept);
    assert_eq!(from_ann.count(), 64);
    victim.wait(1_000);
    assert_eq!(carried(&mut victim), 32);
    assert!(victim.stored() == before, "nothing is kept of it");
    for peer in strangers.iter().take(10).chain([&ann.peer_id()]) {
        victim.connect(*peer);
    }
    assert!(victim.cut.is_empty());
}

#[test]
fn what_was_announced_before_leads_to_nothing() {
    let known = Known::new();
    let (mut victim, ann) = victim(&known);
    let news = news(&known);
    let topic = news.topic();
    let own = LogId::from_key_bytes(
        *victim
            .node
            .open(&known.id.to_string())
            .unwrap()
            .sync_status()
            .unwrap()
            .logs[0]
            .log
            .key_bytes(),
    );
    // What is here already goes on to others, once, and is not looked for.
    let stored = victim.stored();
    let here = News {
        known: &known,
        log: own,
    };
    assert_eq!(
        victim.overhear(ann.peer_id(), &topic, &here.sealed(&ann, 1)),
        Accept
    );
    assert_eq!(
        victim.overhear(ann.peer_id(), &topic, &here.sealed(&ann, 1)),
        Ignore
    );
    assert!(victim.stored() == stored);
    assert_eq!(
        victim.overhear(ann.peer_id(), &topic, &news.sealed(&ann, 7)),
        Accept
    );
    assert!(victim.stored() != stored, "status tells of it");
    let stored = victim.stored();
    for seq in [7, 6, 1] {
        assert_eq!(
            victim.overhear(ann.peer_id(), &topic, &news.sealed(&ann, seq)),
            Ignore
        );
    }
    assert!(victim.stored() == stored);
    victim.wait(10_000);
    let tried = victim.dialled.len();
    for _ in 0..100 {
        victim.overhear(ann.peer_id(), &topic, &news.sealed(&ann, 7));
        victim.wait(100);
    }
    assert!(victim.dialled.len() <= tried + 1, "{:?}", victim.dialled);
    assert!(victim.calls.is_empty());
}

#[test]
fn news_is_asked_for_a_little_later_of_one_who_shares_the_thread() {
    let known = Known::new();
    let (mut victim, ann) = victim(&known);
    let sharers: Vec<PeerId> = (0..5).map(|_| anybody()).collect();
    for peer in &sharers {
        victim.connect(*peer);
        let claim = victim.claim(&known, *peer);
        victim.ask(*peer, &Ask::Have(claim, vec![])).unwrap();
    }
    settle(&mut victim, &known);
    let (news, mut seq) = (news(&known), 7);
    let heads = |victim: &Victim| {
        let calls = victim.calls.iter();
        calls
            .filter(|(_, _, ask)| matches!(ask, Ask::Heads(_)))
            .count()
    };
    for _ in 0..8 {
        settle(&mut victim, &known);
        seq += 1;
        let fit = victim.overhear(ann.peer_id(), &news.topic(), &news.sealed(&ann, seq));
        assert_eq!(fit, Accept);
        victim.wait(499);
        assert_eq!(heads(&victim), 0, "it may come by itself");
        victim.wait(1_001);
        assert_eq!(heads(&victim), 1, "one is asked");
    }
    victim.wait(60_000);
    assert_eq!(heads(&victim), 3, "and two others, if it does not come");
}

#[test]
fn who_has_what_was_announced_is_asked_for_it() {
    let known = Known::new();
    let (mut author, _) = Victim::with(&known, 4);
    let (log, parcels) = author.records(&known);
    let by = author.node.identity().clone();
    let (mut victim, db) = Victim::with(&known, 0);
    db.share_with(&by.peer_id()).unwrap();
    let bob = anybody();
    victim.connect(bob);
    let claim = victim.claim(&known, bob);
    victim.ask(bob, &Ask::Have(claim, vec![])).unwrap();
    settle(&mut victim, &known);
    let news = News { known: &known, log };
    victim.overhear(by.peer_id(), &news.topic(), &news.sealed(&by, 5));
    victim.wait(1_600);
    let verdict = vec![Verdict::Differs(vec![head(log, 5)])];
    let heads = victim
        .calls
        .iter()
        .position(|(_, _, ask)| matches!(ask, Ask::Heads(_)));
    victim.calls.swap(0, heads.unwrap());
    let proof = joint(&known.replica, bob, victim.me());
    victim.answer(&Answer::Heads(verdict, proof));
    victim.wait(0);
    let pull = victim
        .calls
        .iter()
        .position(|(_, _, ask)| matches!(ask, Ask::Pull(..)));
    victim.calls.swap(0, pull.unwrap());
    victim.answer(&Answer::Page(parcels, vec![(log, 5)], false));
    victim.wait(0);
    let logs = db.sync_status().unwrap().logs;
    let of_author = logs.iter().find(|one| one.log == log).unwrap();
    assert_eq!(of_author.have, 5);
    victim.calls.clear();
    victim.wait(60_000);
    let heads = victim
        .calls
        .iter()
        .any(|(_, _, ask)| matches!(ask, Ask::Heads(_)));
    assert!(!heads, "it is here");
    victim.give(Input::Woken);
}
