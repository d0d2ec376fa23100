//! What must be impossible in the formats; the numbers are the rows in `spec/threats.md`. Records
//! have theirs beside their code, where they can be forged.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use threads_core::batch::BATCH_FORMAT;
use threads_core::block::{decode, encode};
use threads_core::event::{Encryption, Position, SealedEvent};
use threads_core::{
    Cid, CollectionName, ErrorKind, Hlc, LogId, PeerId, ReadKey, ReplicaKey, system_rng,
};

/// An event's block.
#[derive(Serialize, Deserialize)]
struct Event {
    body: Cid,
    header: ByteBuf,
}

#[test]
fn row_07_a_value_has_one_encoding() {
    for bytes in [
        &[0x18, 0x01][..],                     // 1 in two bytes
        &[0xa2, 0x61, b'b', 1, 0x61, b'a', 1], // keys out of order
        &[0xa2, 0x61, b'a', 1, 0x61, b'a', 1], // a key twice
        &[0xa1, 0x61, b'a', 1, 0x00],          // bytes after the end
        &[0xbf, 0x61, b'a', 1, 0xff],          // no length
    ] {
        let refused = decode::<BTreeMap<String, u64>>(bytes);
        assert_eq!(
            refused.unwrap_err().kind(),
            ErrorKind::Rejected,
            "{bytes:02x?}"
        );
    }
    for not_a_number in [&[0xf9, 0x7e, 0x00][..], &[0xf9, 0x7c, 0x00]] {
        let refused = decode::<f64>(not_a_number);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Rejected);
    }
}

#[test]
fn row_28_a_time_that_cannot_be_is_refused_and_nothing_overflows() {
    let time = |wall_ms: i128, counter: i128| {
        let members = BTreeMap::from([("wall_ms", wall_ms), ("counter", counter)]);
        decode::<Hlc>(&encode(&members).unwrap())
    };
    let last = Hlc {
        wall_ms: u64::MAX,
        counter: u32::MAX,
    };
    assert_eq!(
        time(0, 0).unwrap(),
        Hlc::ZERO,
        "1970 is a time like any other"
    );
    assert_eq!(time(u64::MAX.into(), u32::MAX.into()).unwrap(), last);
    for (wall_ms, counter) in [(-1, 0), (0, -1), (0, 1 << 32)] {
        let refused = time(wall_ms, counter).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Rejected, "{wall_ms} {counter}");
    }
    // A full counter goes on in the next millisecond; after the last time there is none.
    let full = Hlc {
        wall_ms: 7,
        counter: u32::MAX,
    };
    let next = Hlc {
        wall_ms: 8,
        counter: 0,
    };
    assert_eq!(full.tick(0).unwrap(), next);
    assert_eq!(full.tick(7).unwrap(), next);
    assert_eq!(last.tick(0).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(
        last.tick(u64::MAX).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert!(Hlc::ZERO.observe(last, u64::MAX, u64::MAX).is_ok());
    assert!(Hlc::ZERO.observe(last, 0, 600_000).is_err());
}

#[test]
fn row_43_names_are_data_and_never_paths() {
    let longest = "x".repeat(64);
    for name in [
        "",
        ".",
        "..",
        "../up",
        "a/b",
        "a\\b",
        "/etc/passwd",
        "C:",
        "a b",
        "a\0b",
        "a.b",
        "ä",
        "~",
        "%2e%2e",
        &format!("{longest}x"),
    ] {
        assert!(name.parse::<CollectionName>().is_err(), "{name:?}");
    }
    for name in ["a", "A-z_0-9", &*longest] {
        assert_eq!(name.parse::<CollectionName>().unwrap().as_str(), name);
    }
}

#[test]
fn row_45_no_nonce_is_used_twice() {
    const SEALS: u64 = 5_000;
    let (read, replica) = (
        ReadKey::generate(&mut system_rng()),
        ReplicaKey::generate(&mut system_rng()),
    );
    let thread = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy".parse().unwrap();
    let mut seen = HashSet::new();
    for _ in 0..SEALS {
        // The same plaintext in the same place: only the nonce can differ.
        let position = Position {
            thread: &thread,
            log: LogId::from_key_bytes([1; 32]),
            seq: 1,
            epoch: 0,
        };
        let (format, kind) = (BATCH_FORMAT.parse().unwrap(), Encryption::SingleUse);
        let rng = &mut system_rng();
        let sealed =
            SealedEvent::seal(&position, &read, Hlc::ZERO, format, b"same", kind, rng).unwrap();
        let event: Event = decode(sealed.event.bytes()).unwrap();
        assert!(seen.insert(event.header[..24].to_vec()), "of a header");
        assert!(seen.insert(sealed.body.bytes()[..24].to_vec()), "of a body");
    }
    assert_eq!(seen.len() as u64, 2 * SEALS);
    // A record's nonce follows from what is sealed: another plaintext has another one.
    let mut seen = HashSet::new();
    for n in 0..SEALS {
        let sealed = replica.seal_synthetic(b"aad", &n.to_be_bytes()).unwrap();
        assert!(seen.insert(sealed[..24].to_vec()));
    }
    let again = replica.seal_synthetic(b"aad", &0u64.to_be_bytes()).unwrap();
    assert!(
        !seen.insert(again[..24].to_vec()),
        "and the same one the same"
    );
}

#[test]
fn row_48_every_bit_of_a_key_and_of_a_proof_counts() {
    let bytes = [0x5a; 32];
    let key = ReplicaKey::from_bytes(&bytes);
    let [ann, bob] = [1, 2].map(|n| PeerId::from_key_bytes([n; 32]));
    let proof = key.proof(&ann, &bob);
    assert!(key.proves(&ann, &bob, &proof));
    for bit in 0..8 * proof.len() {
        let mut other = proof;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.proves(&ann, &bob, &other), "bit {bit}");
    }
    for bit in 0..8 * bytes.len() {
        let mut other = bytes;
        other[bit / 8] ^= 1 << (bit % 8);
        let other = ReplicaKey::from_bytes(&other);
        assert_ne!(key, other, "bit {bit}");
        assert!(!other.proves(&ann, &bob, &proof), "bit {bit}");
    }
}
