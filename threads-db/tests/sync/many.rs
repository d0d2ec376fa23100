//! Threads of so many logs that their heads are not listed, on nodes that cannot read them: it is faster.

use serde_bytes::{ByteArray, ByteBuf};
use threads_core::PeerId;
use threads_core::block::{decode, encode};
use threads_db::sync::PeerStatus;

use crate::frames::{Answer, Ask, Found, Head, Parcel, Said, claim, range_digest};
use crate::net::{Net, Reply};
use crate::victim::{Known, Victim, anybody};

/// More than are listed.
const LOGS: usize = 300;

/// The records of so many writers, one of each.
fn written(known: &Known, writers: usize) -> Vec<Vec<Parcel>> {
    let writer = |_| Victim::with(known, 0).0.records(known).1;
    (0..writers).map(writer).collect()
}

/// Gives a node records.
fn give(net: &mut Net, node: usize, known: &Known, records: &[Vec<Parcel>]) {
    let from = anybody();
    for records in records.chunks(100) {
        let claim = claim(&known.replica, from, net.node(node).peer_id());
        let push = Ask::Push(claim, records.concat());
        net.push_to(node, from, encode(&push).unwrap());
    }
}

/// Two nodes that have the same many logs, and each some that the other has not.
fn two_with_many_logs() -> (Net, Known, Vec<Vec<Parcel>>) {
    let known = Known::new();
    let mut net = Net::new(2);
    net.share(&known);
    let records = written(&known, LOGS + 5);
    let (common, others) = records.split_at(LOGS);
    give(&mut net, 0, &known, common);
    give(&mut net, 1, &known, common);
    give(&mut net, 0, &known, &others[..3]);
    give(&mut net, 1, &known, &others[3..]);
    (net, known, others.to_vec())
}

fn peer(net: &Net, node: usize) -> PeerStatus {
    let other = net.node(1 - node).peer_id();
    let status = net.db(node).sync_status().unwrap();
    let mut peers = status.peers.into_iter();
    peers.find(|peer| peer.peer == other).unwrap()
}

fn assert_level(net: &Net) {
    for node in 0..2 {
        let status = net.db(node).sync_status().unwrap();
        let other = net.node(1 - node).peer_id();
        assert_eq!(status.logs.len(), LOGS + 5);
        for log in &status.logs {
            assert_eq!(
                (log.have, log.acked.get(&other)),
                (1, Some(&1)),
                "{node}: {log:?}"
            );
        }
        assert!(peer(net, node).is_level(), "{node}: {:?}", peer(net, node));
        let machine = format!("{:?}", net.machine(node));
        assert!(machine.contains("active: 0"), "{machine}");
    }
}

fn bytes(net: &Net) -> u64 {
    net.received(0) + net.received(1)
}

#[test]
fn many_logs_of_which_few_differ_are_level_at_little_cost() {
    let (mut net, known, records) = two_with_many_logs();
    net.connect(0, 1);
    net.run();
    assert_level(&net);
    let (met, listed) = (bytes(&net), 2 * 45 * LOGS as u64);
    let records: u64 = records
        .iter()
        .flatten()
        .map(|record| encode(record).unwrap().len() as u64)
        .sum();
    assert!(
        met < records + listed / 3,
        "{met} bytes, {records} of them records"
    );

    // What is new is all that is told of.
    let before = bytes(&net);
    give(&mut net, 0, &known, &written(&known, 1));
    net.run();
    let told = bytes(&net) - before;
    assert!(told < 3_000, "{told} bytes for one record");
    assert!((0..2).all(|node| peer(&net, node).is_level()));

    // Those who meet again with nothing new need not look at any log.
    let before = bytes(&net);
    net.part(0, 1);
    net.run();
    net.connect(0, 1);
    net.run();
    let again = bytes(&net) - before;
    assert!(again < 200, "{again} bytes");
}

#[test]
fn a_peer_that_has_nothing_gets_all_of_many_logs() {
    let known = Known::new();
    let mut net = Net::new(2);
    net.share(&known);
    let records = written(&known, LOGS + 5);
    give(&mut net, 1, &known, &records);
    net.connect(0, 1);
    net.run();
    net.run();
    assert_level(&net);
}

#[test]
fn two_thousand_logs_come_in_pages_of_as_many_as_are_pulled() {
    let known = Known::new();
    let mut net = Net::new(2);
    net.share(&known);
    give(&mut net, 1, &known, &written(&known, 2_000));
    let before = net.requests();
    net.connect(0, 1);
    net.run();
    let requests = net.requests() - before;
    assert!((0..2).all(|node| peer(&net, node).is_level()));
    // Eight pages, and what it takes to compare.
    assert!(requests <= 20, "{requests} requests");
}

fn no_ranges(_: &[u8], reply: Reply) -> Reply {
    match reply.as_deref().map(decode::<Answer>) {
        Ok(Ok(Answer::Ranges(_))) => Err(threads_core::Error::unavailable("lost")),
        _ => reply,
    }
}

/// The reply to what is told in the end is lost.
fn no_end(_: &[u8], reply: Reply) -> Reply {
    match reply.as_deref().map(decode::<Answer>) {
        Ok(Ok(Answer::Ranges(found))) if found.iter().all(|found| *found == Found::Same) => {
            Err(threads_core::Error::unavailable("lost"))
        }
        _ => reply,
    }
}

#[test]
fn a_comparison_that_is_interrupted_begins_again() {
    let (mut net, ..) = two_with_many_logs();
    for node in 0..2 {
        net.tamper(node, Some(no_ranges));
    }
    net.connect(0, 1);
    net.run();
    assert!((0..2).all(|node| !peer(&net, node).is_level()));
    for node in 0..2 {
        net.tamper(node, None);
    }
    // A pause after failures ends by itself.
    for _ in 0..6 {
        net.run();
    }
    assert_level(&net);
}

#[test]
fn a_node_that_begins_anew_in_the_middle_of_a_comparison_compares_again() {
    let (mut net, ..) = two_with_many_logs();
    for node in 0..2 {
        net.tamper(node, Some(no_end));
    }
    net.connect(0, 1);
    net.run();
    for node in 0..2 {
        net.reopen(node, |builder| builder);
        net.open_again(node);
    }
    net.connect(0, 1);
    net.run();
    assert_level(&net);
}

/// Says of every range that there is something else in it, in two parts.
fn endless(request: &[u8], reply: Reply) -> Reply {
    let Ok(Ask::Ranges(_, spans)) = decode::<Ask>(request) else {
        return reply;
    };
    let other = ByteArray::new([9; 16]);
    let part = |end: &ByteBuf| {
        let middle = match end.is_empty() {
            true => vec![0xff; 32],
            false => [&[0], &end[1..]].concat(),
        };
        Found::Parts(vec![(middle.into(), other), (end.clone(), other)])
    };
    let asked = spans.iter().filter(|span| span.1 != Said::Skip);
    let found = asked.map(|(end, _)| part(end)).collect();
    Ok(encode(&Answer::Ranges(found)).unwrap())
}

#[test]
fn who_leads_on_and_on_is_cut_off() {
    let (mut net, ..) = two_with_many_logs();
    let asks = usize::from(net.node(1).peer_id() < net.node(0).peer_id());
    net.tamper(1 - asks, Some(endless));
    net.connect(0, 1);
    for _ in 0..10 {
        net.run();
    }
    let liar: PeerId = net.node(1 - asks).peer_id();
    assert_eq!(net.cut_off(), [(asks, liar)]);
}

#[test]
fn what_is_said_of_a_range_is_noted_and_nothing_else_in_it() {
    let known = Known::new();
    let (mut victim, db) = Victim::with(&known, 1);
    let peer = anybody();
    let log = victim.records(&known).0;
    victim.connect(peer);
    let mut say = |said: Said| {
        let ask = Ask::Ranges(victim.claim(&known, peer), vec![(ByteBuf::new(), said)]);
        let Some(Answer::Ranges(mut found)) = victim.ask(peer, &ask) else {
            panic!("no ranges");
        };
        let status = db.sync_status().unwrap();
        let of_log = status.logs.iter().find(|one| one.log == log).unwrap();
        (found.remove(0), of_log.acked.get(&peer).copied())
    };
    let other = ByteArray::new([9; 16]);
    let (Found::Each(heads), None) = say(Said::All(other)) else {
        panic!("it has another digest");
    };
    let (here, before): (_, Vec<Head>) = (range_digest(&heads), vec![(log, 1, heads[0].2)]);
    // What it lists it has, whatever it takes this node to have.
    assert_eq!(
        say(Said::Each(before.clone(), other)),
        (Found::Each(heads.clone()), Some(1))
    );
    assert_eq!(say(Said::Each(before, here)), (Found::Same, Some(1)));
    // A digest that is right says the same as a list.
    assert_eq!(say(Said::All(here)), (Found::Same, Some(2)));
    // Another one says nothing.
    assert_eq!(say(Said::All(other)), (Found::Each(heads), Some(2)));
    // It lost it all.
    assert_eq!(say(Said::Each(vec![], here)), (Found::Same, None));
}
