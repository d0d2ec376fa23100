//! Peers that say where they are, and where others are. Numbers are the rows in `spec/threats.md`.

use serde_bytes::ByteArray;
use threads_core::transport::with_peer;
use threads_core::{IdentityKey, Multiaddr, PeerId, ReplicaKey, Whereabouts, block};
use threads_db::sync::Input;

use crate::frames::{Answer, Ask, Claim, Verdict, claim, joint};
use crate::net::Net;
use crate::victim::{Known, Victim, anybody};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const NOW_MS: u64 = 1_700_000_000_000;

#[test]
fn two_that_moved_find_each_other_through_a_third() {
    let mut net = Net::new(3);
    net.shared_thread();
    let places = [0, 1, 2].map(|n| net.move_to(n, &format!("/ip4/192.0.2.{n}/tcp/1")));
    net.connect_all();
    net.run();
    let known = |net: &Net, at: usize, of: usize| {
        let peer = net.node(of).peer_id();
        net.node(at).addresses_of(&peer).unwrap()
    };
    for (at, of) in [(0, 1), (1, 0), (2, 0), (2, 1)] {
        assert_eq!(known(&net, at, of), [places[of].clone()], "{at} of {of}");
    }

    net.part(0, 1);
    net.part(0, 2);
    net.part(1, 2);
    net.run();
    let places = [0, 1].map(|n| net.move_to(n, &format!("/ip4/198.51.100.{n}/tcp/1")));
    net.connect(0, 2);
    net.run();
    assert!(!net.has_dialled(0, &places[1]), "nobody can know yet");
    // The second comes last: the first learns of it all the same.
    net.connect(1, 2);
    net.run();
    for (at, of) in [(0, 1), (1, 0)] {
        assert!(net.has_dialled(at, &places[of]), "{at} to {of}");
        assert_eq!(
            known(&net, at, of),
            [places[of].clone()],
            "it is not where it was"
        );
    }
}

#[test]
fn a_peer_that_lost_what_it_signed_signs_above_it() {
    let mut net = Net::new(2);
    net.shared_thread();
    let backup = net.backup(0);
    let there = net.move_to(0, "/ip4/192.0.2.1/tcp/1");
    net.move_to(1, "/ip4/192.0.2.9/tcp/1");
    net.connect_all();
    net.run();
    let peer = net.node(0).peer_id();
    assert_eq!(net.node(1).addresses_of(&peer).unwrap(), [there]);
    net.part(0, 1);
    net.run();
    // Its clock is behind, too: what it signs is older than what the other has.
    net.put_back(0, backup);
    net.set_back(0, DAY_MS);
    let there = net.move_to(0, "/ip4/192.0.2.2/tcp/1");
    net.connect(0, 1);
    net.run();
    assert_ne!(net.node(1).addresses_of(&peer).unwrap(), [there]);
    let there = net.move_to(0, "/ip4/192.0.2.2/tcp/1");
    net.run();
    assert_eq!(net.node(1).addresses_of(&peer).unwrap(), [there]);
}

/// A node, a member that it asks where others are, and those who share the thread with both.
struct Asked {
    known: Known,
    victim: Victim,
    member: PeerId,
}

impl Asked {
    fn with(sharers: &[PeerId], near: bool) -> Self {
        let known = Known::new();
        let (mut victim, db) = Victim::with(&known, 0);
        let member = PeerId::from_key_bytes([255; 32]);
        for peer in sharers.iter().chain([&member]) {
            db.share_with(peer).unwrap();
        }
        victim.connect(member);
        if near {
            victim.give(Input::Near(member));
        }
        let proof = joint(&known.replica, member, victim.me());
        victim.answer(&Answer::Heads(vec![Verdict::Same], proof));
        victim.calls.clear();
        let mut asked = Self {
            known,
            victim,
            member,
        };
        asked.ask_again();
        asked
    }

    /// The node asks, once more.
    fn ask_again(&mut self) -> Vec<(PeerId, u64)> {
        self.victim.calls.clear();
        self.victim.give(Input::Moved);
        self.victim.wait(60_000);
        let is_it = |ask: &Ask| matches!(ask, Ask::Where(..));
        self.victim.calls.retain(|(_, _, ask)| is_it(ask));
        match &self.victim.calls[..] {
            [(to, _, Ask::Where(_, known))] if *to == self.member => known.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, mut words: Vec<Whereabouts>) {
        words.sort_by_key(Whereabouts::peer);
        self.victim.answer(&Answer::Where(words));
    }

    fn knows(&self, key: &IdentityKey) -> Vec<Multiaddr> {
        self.victim.node.addresses_of(&key.peer_id()).unwrap()
    }
}

fn key(n: u16) -> IdentityKey {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    IdentityKey::from_bytes(&seed)
}

fn at(key: &IdentityKey, place: &str) -> Multiaddr {
    with_peer(place.parse().unwrap(), key.peer_id())
}

const PLACE: &str = "/ip4/192.0.2.7/tcp/1";

fn word(key: &IdentityKey, seq: u64, until: u64) -> Whereabouts {
    let addr = at(key, &format!("/ip4/192.0.2.7/tcp/{}", seq % 60_000));
    Whereabouts::sign(key, seq, until, &[addr]).unwrap()
}

#[test]
fn what_is_forged_is_refused_and_its_sender_cut_off() {
    let ann = key(1);
    let mut asked = Asked::with(&[ann.peer_id()], false);
    let mut bytes = block::encode(&word(&ann, 1, NOW_MS + DAY_MS)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    asked.answer(vec![block::decode(&bytes).unwrap()]);
    assert_eq!(asked.victim.cut, [asked.member]);
    assert!(asked.knows(&ann).is_empty());
}

#[test]
fn what_is_older_never_takes_the_place_of_what_is_newer() {
    let ann = key(1);
    let mut asked = Asked::with(&[ann.peer_id()], false);
    let later = word(&ann, 7, NOW_MS + DAY_MS);
    asked.answer(vec![later.clone()]);
    assert_eq!(asked.knows(&ann), later.addresses());
    assert!(asked.ask_again().contains(&(ann.peer_id(), 7)));
    // It was asked for what is later than that.
    for seq in [6, 7] {
        asked.answer(vec![word(&ann, seq, NOW_MS + DAY_MS)]);
        assert_eq!(asked.knows(&ann), later.addresses());
        asked.ask_again();
    }
    let next = word(&ann, 8, NOW_MS + DAY_MS);
    asked.answer(vec![next.clone()]);
    assert_eq!(asked.knows(&ann), next.addresses());
}

#[test]
fn what_is_over_or_good_for_too_long_is_not_kept() {
    let ann = key(1);
    let mut asked = Asked::with(&[ann.peer_id()], false);
    for until in [0, NOW_MS, NOW_MS + 31 * DAY_MS, u64::MAX] {
        asked.answer(vec![word(&ann, 7, until)]);
        assert!(asked.knows(&ann).is_empty(), "{until}");
        assert!(asked.ask_again().contains(&(ann.peer_id(), 0)));
    }
    asked.answer(vec![word(&ann, 7, NOW_MS + DAY_MS)]);
    assert_eq!(asked.knows(&ann).len(), 1);
    // It is over after a day, here and for others.
    asked.victim.wait(DAY_MS);
    assert!(asked.knows(&ann).is_empty());
    assert!(asked.ask_again().contains(&(ann.peer_id(), 0)));
    assert_eq!(asked.victim.cut, [] as [PeerId; 0], "clocks differ");
}

#[test]
fn of_those_who_do_not_share_the_thread_nothing_is_taken() {
    let (ann, eve) = (key(1), key(2));
    let mut asked = Asked::with(&[ann.peer_id()], false);
    // Of another thread, which the member shares, too.
    let other = Known::new();
    let db = asked
        .victim
        .node
        .add_thread("other", &other.keys())
        .unwrap();
    db.share_with(&eve.peer_id()).unwrap();
    db.share_with(&asked.member).unwrap();
    let whom: Vec<_> = asked.ask_again().iter().map(|(peer, _)| *peer).collect();
    assert!(whom.contains(&ann.peer_id()) && !whom.contains(&eve.peer_id()));
    asked.answer(vec![word(&eve, 1, NOW_MS + DAY_MS)]);
    assert!(asked.knows(&eve).is_empty());
    // And what it does not share itself it cannot ask for.
    let Asked {
        known,
        victim,
        member,
    } = &mut asked;
    let ask = |victim: &mut Victim, claim: Claim, of: &IdentityKey| {
        victim.ask(*member, &Ask::Where(claim, vec![(of.peer_id(), 0)]))
    };
    let claim = victim.claim(known, *member);
    assert_eq!(ask(victim, claim, &eve), Some(Answer::Where(vec![])));
}

#[test]
fn private_addresses_are_taken_from_peers_nearby_only() {
    let ann = key(1);
    let places = [
        PLACE,
        "/ip4/127.0.0.1/tcp/1",
        "/ip4/192.168.1.7/tcp/1",
        "/dns4/localhost/tcp/1",
    ];
    let addrs = places.map(|place| at(&ann, place));
    let said = Whereabouts::sign(&ann, 1, NOW_MS + DAY_MS, &addrs).unwrap();
    let mut far = Asked::with(&[ann.peer_id()], false);
    far.answer(vec![said.clone()]);
    assert_eq!(far.knows(&ann), addrs[..1]);
    let mut near = Asked::with(&[ann.peer_id()], true);
    near.answer(vec![said]);
    assert_eq!(near.knows(&ann), addrs);
}

#[test]
fn a_thread_has_a_bound_of_addresses() {
    let keys: Vec<_> = (0..64).map(key).collect();
    let peers: Vec<_> = keys.iter().map(IdentityKey::peer_id).collect();
    let mut asked = Asked::with(&peers, false);
    let full = |key: &IdentityKey, seq: u64| {
        let addrs: Vec<_> = (0..16)
            .map(|port| at(key, &format!("/ip4/192.0.2.7/tcp/{port}")))
            .collect();
        Whereabouts::sign(key, seq, NOW_MS + DAY_MS, &addrs).unwrap()
    };
    asked.answer(keys.iter().map(|key| full(key, 1)).collect());
    let count = |asked: &Asked| -> usize { keys.iter().map(|key| asked.knows(key).len()).sum() };
    assert_eq!(count(&asked), 1_000 / 16 * 16);
    // Those who are known can still say where they went.
    let known = keys
        .iter()
        .find(|key| !asked.knows(key).is_empty())
        .unwrap();
    asked.ask_again();
    asked.answer(vec![full(known, 2)]);
    assert!(asked.ask_again().contains(&(known.peer_id(), 2)));
    // And those of whom no more is heard make room.
    asked.victim.wait(DAY_MS);
    asked.ask_again();
    let last = keys.iter().find(|key| asked.knows(key).is_empty()).unwrap();
    let addrs = [at(last, PLACE)];
    let fresh = Whereabouts::sign(last, 9, NOW_MS + 3 * DAY_MS, &addrs).unwrap();
    asked.answer(vec![fresh]);
    assert_eq!(asked.knows(last), addrs);
}

#[test]
fn row_13_an_outsider_adds_no_address() {
    let (ann, outsider) = (key(1), anybody());
    let known = Known::new();
    let (mut victim, db) = Victim::with(&known, 1);
    db.share_with(&ann.peer_id()).unwrap();
    db.share_with(&outsider).unwrap();
    victim.connect(outsider);
    victim.give(Input::Moved);
    let before = victim.stored();
    for verdict in [Verdict::Unknown, Verdict::Same] {
        let proof = joint(&ReplicaKey::from_bytes(&[7; 32]), outsider, victim.me());
        if !victim.calls.is_empty() {
            victim.answer(&Answer::Heads(vec![verdict], proof));
        }
        victim.wait(10_000);
    }
    let asked = |ask: &Ask| matches!(ask, Ask::Where(..));
    assert!(
        !victim.calls.iter().any(|(_, _, ask)| asked(ask)),
        "it is not asked"
    );
    // An answer that nobody asked for is one to another question.
    while !victim.calls.is_empty() {
        victim.answer(&Answer::Where(vec![word(&ann, 1, NOW_MS + DAY_MS)]));
    }
    assert_eq!(victim.stored(), before);
}

#[test]
fn row_15_an_outsider_learns_no_address() {
    let ann = key(1);
    let mut asked = Asked::with(&[ann.peer_id()], false);
    asked.answer(vec![word(&ann, 1, NOW_MS + DAY_MS)]);
    let Asked {
        known,
        victim,
        member,
    } = &mut asked;
    let (outsider, me) = (anybody(), victim.me());
    victim.connect(outsider);
    let other = ReplicaKey::from_bytes(&[7; 32]);
    for stolen in [
        claim(&other, outsider, me),
        claim(&known.replica, *member, me),
        claim(&known.replica, me, outsider),
        ByteArray::new([0; 32]),
    ] {
        let whom = vec![(ann.peer_id(), 0), (me, 0)];
        assert_eq!(victim.ask(outsider, &Ask::Where(stolen, whom)), None);
    }
    // Who shares the thread learns it.
    let good = victim.claim(known, *member);
    let told = victim.ask(*member, &Ask::Where(good, vec![(ann.peer_id(), 0)]));
    assert_eq!(
        told,
        Some(Answer::Where(vec![word(&ann, 1, NOW_MS + DAY_MS)]))
    );
    let told = victim.ask(*member, &Ask::Where(good, vec![(ann.peer_id(), 1)]));
    assert_eq!(told, Some(Answer::Where(vec![])), "it has that already");
}
