//! Two who moved, and a third who has met both.

use crate::common::Place;
use crate::common::serving::{Serving, TCP, until};
use crate::meeting::three;

/// The peers that are connected to this one.
fn connected(place: &Place) -> Vec<String> {
    let peers = place.ok(["--json", "peers"]).rows().into_iter();
    let connected = peers.filter(|peer| peer["connected"] == true);
    connected
        .map(|peer| peer["peer"].as_str().unwrap().to_owned())
        .collect()
}

/// Whether an address of a peer is known here.
fn knows(place: &Place, peer: &str) -> bool {
    let mut peers = place.ok(["--json", "peers"]).rows().into_iter();
    peers.any(|row| row["peer"] == peer && row["addresses"] != serde_json::json!([]))
}

fn id(place: &Place) -> String {
    let id = place.ok(["--json", "id"]).json();
    id["peer"].as_str().unwrap().to_owned()
}

#[test]
fn two_that_moved_find_each_other_through_a_third_without_a_directory() {
    let serve = |place: &Place| {
        let mut command = Serving::command(place, TCP);
        command.args(["--hash-table", "off"]);
        command
    };
    let [ann, bob, third] = three(|_, place| serve(place));
    until("hearing where the third is", || {
        let third = id(&third.place);
        [&ann, &bob]
            .iter()
            .all(|member| knows(&member.place, &third))
    });
    let bob_is = id(&bob.place);
    // Both end, and begin again elsewhere.
    let before = [&ann, &bob].map(|member| member.serving.addresses.clone());
    let places = [ann, bob].map(|member| {
        drop(member.serving);
        member.place
    });
    let after = places.each_ref().map(|place| Serving::of(serve(place)));
    for (before, after) in before.iter().zip(&after) {
        assert!(after.addresses.iter().all(|addr| !before.contains(addr)));
    }
    until("meeting again", || connected(&places[0]).contains(&bob_is));
    drop((after, third));
}
