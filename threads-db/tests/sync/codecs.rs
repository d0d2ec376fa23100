//! A peer without a codec keeps what needs it, and passes it on to others who have it.

use serde_json::json;
use threads_codec_lww::Lww;
use threads_core::module::CollectionSpec;

use crate::net::{How, Net};

const WITH: How = |builder| builder.codec(Lww::new());
const WITHOUT: How = |builder| builder;

#[test]
fn who_lacks_a_codec_relays_what_needs_it() {
    let mut net = Net::new(0);
    [WITH, WITHOUT, WITH]
        .into_iter()
        .for_each(|how| net.add(how));
    let id = net.shared_thread();
    let cards = CollectionSpec::new("Card".parse().unwrap(), "lww/1".parse().unwrap());
    net.db(0).define(&cards).unwrap();
    let card = json!({"_id": "ann", "age": 41});
    net.db(0).collection("Card").unwrap().create(&card).unwrap();
    // The two who have the codec meet only him who has not.
    net.connect(0, 1);
    net.connect(1, 2);
    net.run();
    let missing = net.db(1).missing_codecs().unwrap();
    assert_eq!(
        missing[0].to_string(),
        "codec missing: lww/1: 1 entity waits for it, in Card"
    );
    let there = net.db(2).collection("Card").unwrap();
    assert_eq!(there.get("ann").unwrap(), Some(card));
    there.patch("ann", &json!({"age": 42})).unwrap();
    net.run();
    let here = net.db(0).collection("Card").unwrap().get("ann").unwrap();
    assert_eq!(here.unwrap()["age"], 42);
    net.assert_level(&id);
    assert!(net.db(1).sync_status().unwrap().is_in_sync());
}
