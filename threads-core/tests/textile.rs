//! Ids as the earlier implementation wrote and read them.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like a test")]

use multibase::Base;
use serde_json::Value;
use threads_core::{ErrorKind, LogId, PeerId, ThreadId};

fn bytes(value: &Value) -> Vec<u8> {
    Base::Base16Lower.decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn thread_ids_are_written_alike_in_every_base() {
    let cases: Value = serde_json::from_str(include_str!("vectors/thread_id.json")).unwrap();
    let bases = [
        ("base32", Base::Base32Lower),
        ("base58btc", Base::Base58Btc),
        ("base64url", Base::Base64Url),
        ("base16", Base::Base16Lower),
        ("base32upper", Base::Base32Upper),
        ("base36", Base::Base36Lower),
    ];
    for case in cases.as_array().unwrap() {
        let id = ThreadId::from_bytes(&bytes(&case["bytes_hex"])).unwrap();
        assert_eq!(id.version(), case["version"].as_u64().unwrap());
        assert_eq!(id.variant().code(), case["variant"].as_u64().unwrap());
        assert_eq!(id.to_string(), case["base32"].as_str().unwrap());
        for (name, base) in bases {
            let text = case[name].as_str().unwrap();
            assert_eq!(id.encode(base), text);
            assert_eq!(text.parse::<ThreadId>().unwrap(), id, "{name}");
        }
    }
}

#[test]
fn thread_ids_are_read_alike() {
    let cases: Value = serde_json::from_str(include_str!("vectors/thread_id_decode.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let input = case["input"].as_str().unwrap();
        let parsed = input.parse::<ThreadId>();
        if !case["ok"].as_bool().unwrap() {
            let error = parsed.unwrap_err();
            // Another version is well formed: a later release may read it.
            let newer = input == "zzzz";
            let kind = if newer {
                ErrorKind::Unsupported
            } else {
                ErrorKind::Invalid
            };
            assert_eq!(error.kind(), kind, "{input}: {error}");
            continue;
        }
        let id = parsed.unwrap();
        assert_eq!(id.as_bytes(), bytes(&case["bytes_hex"]));
        assert_eq!(id.version(), case["version"].as_u64().unwrap());
        assert_eq!(
            format!("{:#x}", id.variant().code()),
            case["variant"].as_str().unwrap()
        );
        assert_eq!(
            id.as_bytes().len() as u64 - 2,
            case["random_len"].as_u64().unwrap()
        );
        assert_eq!(id.to_string(), case["reencoded"].as_str().unwrap());
    }
}

#[test]
fn we_are_stricter_than_the_earlier_implementation() {
    let id = |version: &[u8], variant: &[u8], random: usize| {
        let parts = [version, variant, &vec![7; random]].concat();
        ThreadId::from_bytes(&parts).map_err(|error| error.kind())
    };
    assert!(id(&[1], &[0x55], 16).is_ok());
    // It took any length: an id is now bounded, as a stranger sends it.
    assert!(id(&[1], &[0x55], 64).is_ok());
    assert_eq!(id(&[1], &[0x55], 65), Err(ErrorKind::Invalid));
    // It took any variant and guessed: an unknown one is refused, as nobody knows its rules.
    assert_eq!(id(&[1], &[0x56], 16), Err(ErrorKind::Unsupported));
    // It took long varints: one id would have had two names.
    assert_eq!(id(&[0x81, 0x00], &[0x55], 16), Err(ErrorKind::Invalid));
    assert_eq!(id(&[1], &[0xd5, 0x00], 16), Err(ErrorKind::Invalid));
}

#[test]
fn peer_ids_are_alike_in_bytes_and_text() {
    let case: Value = serde_json::from_str(include_str!("vectors/peer_id.json")).unwrap();
    let raw = bytes(&case["peer_id_bytes_hex"]);
    let text = case["base58"].as_str().unwrap();
    let peer = PeerId::from_bytes(&raw).unwrap();
    assert_eq!(peer.to_string(), text);
    assert_eq!(text.parse::<PeerId>().unwrap(), peer);
    assert_eq!(peer.to_bytes()[..], raw);
    assert_eq!(peer.to_bytes()[2..], bytes(&case["pubkey_protobuf_hex"]));
    let stored = case["ds_key_base32_std_nopad"].as_str().unwrap();
    assert_eq!(Base::Base32Upper.encode(peer.to_bytes()), stored);
    // A log id is the peer id of the log's key.
    assert_eq!(LogId::from_bytes(&raw).unwrap().to_string(), text);
}
