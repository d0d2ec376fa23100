//! Thread addresses: the earlier implementation's, ours, and malformed ones.

use multibase::Base::Base16Lower;
use proptest::prelude::*;
use serde_json::Value;
use threads_core::{ErrorKind, Multiaddr, ThreadAddr, ThreadId};

const ID: &str = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy";
const PEER: &str = "12D3KooWAcB6uoHuAPyfsYcwnYTqGNt2biPmSmvbBam9cwmawgzK";

#[test]
fn an_address_is_as_the_earlier_implementation_wrote_it() {
    let case: Value = serde_json::from_str(include_str!("vectors/multiaddr.json")).unwrap();
    let text = case["string"].as_str().unwrap();
    let bytes = Base16Lower
        .decode(case["bytes_hex"].as_str().unwrap())
        .unwrap();
    let addr: ThreadAddr = text.parse().unwrap();
    assert_eq!(addr.to_string(), text);
    assert_eq!(addr.to_bytes(), bytes);
    assert_eq!(ThreadAddr::from_bytes(&bytes).unwrap(), addr);
    let (base, _) = text.split_once("/thread/").unwrap();
    assert_eq!(addr.base(), &base.parse::<Multiaddr>().unwrap());
    assert!(base.ends_with(&addr.peer().unwrap().to_string()));
}

#[test]
fn the_peer_is_the_one_that_answers() {
    let peer = |base: &str| {
        let addr: ThreadAddr = format!("{base}/thread/{ID}").parse().unwrap();
        addr.peer().map(|peer| peer.to_string())
    };
    let relay = "12D3KooWFCXqmQTwvpfYFWK3DjXChEc4NoPt8pp5jjC8REZ3g6NZ";
    let through = format!("/ip4/1.2.3.4/tcp/1/p2p/{relay}/p2p-circuit");
    assert_eq!(
        peer(&format!("{through}/p2p/{PEER}")).as_deref(),
        Some(PEER)
    );
    assert_eq!(peer(&through), None);
    assert_eq!(peer(""), None);
    // An RSA peer: well formed, and no peer of ours.
    assert_eq!(
        peer("/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"),
        None
    );
}

#[test]
fn every_base_of_the_id_is_read() {
    let id: ThreadId = ID.parse().unwrap();
    let hex = id.encode(Base16Lower);
    let addr: ThreadAddr = format!("/p2p/{PEER}/thread/{hex}").parse().unwrap();
    assert_eq!(addr.to_string(), format!("/p2p/{PEER}/thread/{ID}"));
}

#[test]
fn malformed_text_is_refused() {
    let long = format!("/dns/{}/thread/{ID}", "x".repeat(2000));
    for text in [
        "",
        "/",
        "/thread/",
        "/ip4/127.0.0.1/tcp/4006",
        &format!("/ip4/127.0.0.1/thread/{ID}/tcp/1"),
        &format!("/ip4/127.0.0.1/thread/{ID}/"),
        &format!("/ip4/127.0.0.1/ipel/{ID}"),
        &format!("/nonsense/127.0.0.1/thread/{ID}"),
        &format!("/thread/{ID}/thread/{ID}"),
        &format!("ip4/127.0.0.1/thread/{ID}"),
        &long,
    ] {
        let error = text.parse::<ThreadAddr>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
    }
}

#[test]
fn malformed_bytes_are_refused() {
    let addr: ThreadAddr = format!("/ip4/127.0.0.1/p2p/{PEER}/thread/{ID}")
        .parse()
        .unwrap();
    let bytes = addr.to_bytes();
    for end in 0..bytes.len() {
        assert!(
            ThreadAddr::from_bytes(&bytes[..end]).is_err(),
            "accepted {end} bytes"
        );
    }
    assert!(ThreadAddr::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    assert!(ThreadAddr::from_bytes(&[&bytes[..], &bytes].concat()).is_err());
    // A length in more bytes than it needs would be a second name for one address.
    let at = bytes.len() - 19;
    assert_eq!(bytes[at], 18);
    let longer = [&bytes[..at], &[0x92, 0x00], &bytes[at + 1..]].concat();
    assert!(ThreadAddr::from_bytes(&longer).is_err());
}

#[test]
fn an_address_survives_json_and_cbor() {
    let addr: ThreadAddr = format!("/p2p/{PEER}/thread/{ID}").parse().unwrap();
    let json = serde_json::to_string(&addr).unwrap();
    assert_eq!(json, format!("\"{addr}\""));
    assert_eq!(serde_json::from_str::<ThreadAddr>(&json).unwrap(), addr);
    let cbor = serde_ipld_dagcbor::to_vec(&addr).unwrap();
    assert_eq!(
        serde_ipld_dagcbor::from_slice::<ThreadAddr>(&cbor).unwrap(),
        addr
    );
}

proptest! {
    #[test]
    fn altered_bytes_are_refused_or_read_back_alike(
        at in 0..66_usize,
        to: u8,
        tail in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let addr: ThreadAddr = format!("/ip4/127.0.0.1/p2p/{PEER}/thread/{ID}").parse().unwrap();
        let mut bytes = addr.to_bytes();
        let at = at % bytes.len();
        bytes[at] = to;
        bytes.extend(tail);
        if let Ok(read) = ThreadAddr::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(/[a-z0-9]{0,6}){0,6}(/thread/)?[a-z2-7]{0,60}") {
        if let Ok(addr) = text.parse::<ThreadAddr>() {
            prop_assert_eq!(addr.to_string().parse::<ThreadAddr>().unwrap(), addr);
        }
    }
}
