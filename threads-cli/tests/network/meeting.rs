//! Three who share a thread, each a process, all connected to each other.

use std::process::Command;

use crate::common::Place;
use crate::common::serving::{Serving, TCP, card, until};

const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// One of several who share the thread `t`.
pub(crate) struct Member {
    pub(crate) place: Place,
    pub(crate) serving: Serving,
}

impl Member {
    /// What there is, as everybody is to see it; nothing before the collection is known.
    pub(crate) fn rows(&self) -> String {
        self.place.run(["find", "t", "c", "--sort", "_id"]).out
    }

    pub(crate) fn write(&self, id: &str) {
        let text = format!(r#"{{"_id": "{id}"}}"#);
        self.place.ok(["put", "t", "c", &text]);
    }
}

/// Three who share a thread and are connected, each started by `serve` with its number from 0.
pub(crate) fn three(serve: impl Fn(usize, &Place) -> Command) -> [Member; 3] {
    let members = [Place::with_collection(), Place::new(), Place::new()];
    let mut number = 0;
    let members = members.map(|place| {
        number += 1;
        let serving = Serving::of(serve(number - 1, &place));
        Member { place, serving }
    });
    let [ann, others @ ..] = &members;
    for other in others {
        let card = card(&other.place);
        let words = ["invite", "t", "--role", "write", "--to", &card];
        let invite = ann.place.ok(words).out;
        other.place.ok(["join", invite.trim(), "--name", "t"]);
    }
    others[0]
        .place
        .ok(["connect", &others[1].serving.addresses[0]]);
    until("meeting", || {
        let met = |member: &Member| {
            let peers = member.place.ok(["--json", "peers"]).rows();
            let met = peers.iter().filter(|peer| peer["connected"] == true);
            met.count() == 2
        };
        members.iter().all(met)
    });
    until("the collection", || {
        let knows = |member: &Member| member.place.run(["find", "t", "c"]).code == 0;
        members.iter().all(knows)
    });
    members
}

/// Whether all of them see the same, which is so many rows.
pub(crate) fn agree(members: &[&Member], rows: usize) -> bool {
    let seen: Vec<_> = members.iter().map(|member| member.rows()).collect();
    seen[0].lines().count() == rows && seen.iter().all(|one| *one == seen[0])
}

fn three_converge(listen: &str) {
    let members = three(|_, place| Serving::command(place, listen));
    let all = members.each_ref();
    all[0].write("shared");
    until("the first entity", || agree(&all, 1));
    for (number, member) in all.iter().enumerate() {
        for round in 0..3 {
            member.write(&format!("{number}-{round}"));
        }
        let change = format!(r#"{{"by{number}": true}}"#);
        member.place.ok(["patch", "t", "c", "shared", &change]);
    }
    until("agreement", || agree(&all, 10));
    for member in all {
        let said = member.place.ok(["sync", "t", "--wait"]);
        assert!(said.err.contains("agreed with 2 peers"), "{said:#?}");
        member.place.ok(["verify", "t"]);
    }
}

#[test]
fn three_converge_over_tcp() {
    three_converge(TCP);
}

#[test]
fn three_converge_over_quic() {
    three_converge(QUIC);
}
