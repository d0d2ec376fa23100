//! Keys: known values, their text, signatures and sealing, and what is refused.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like a test")]

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::ed25519::signature::Verifier as _;
use ed25519_dalek::{Signature, VerifyingKey};
use multibase::Base::Base16Lower;
use proptest::prelude::*;
use sha2::{Digest as _, Sha512};
use threads_core::key::{SignatureError, check_key, verify, verify_batch};
use threads_core::{
    AgreementKey, AgreementPublicKey, ContentKey, ErrorKind, IdentityKey, LogKey, ReadKey,
    ReplicaKey, system_rng,
};

const SEED: [u8; 32] = {
    let mut seed = [0; 32];
    let mut i = 0;
    while i < 32 {
        seed[i] = i as u8;
        i += 1;
    }
    seed
};

fn hex<const N: usize>(text: &str) -> [u8; N] {
    Base16Lower.decode(text).unwrap().try_into().unwrap()
}

#[test]
fn an_identity_signs_as_the_earlier_implementation_did() {
    let vector: serde_json::Value =
        serde_json::from_str(include_str!("vectors/identity.json")).unwrap();
    let text = |name: &str| vector[name].as_str().unwrap();
    let key = IdentityKey::from_bytes(&hex(text("seed_hex")));
    assert_eq!(key.peer_id().key_bytes(), &hex(text("pubkey_raw_hex")));
    assert_eq!(
        key.sign(text("sign_msg_utf8").as_bytes()),
        hex(text("signature_hex"))
    );
}

// Computed with another program, so that the text cannot change unseen.
#[test]
fn the_text_of_each_kind_is_pinned() {
    let body = "_baaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp";
    let texts = [
        (
            "identity",
            "3pu7334",
            IdentityKey::from_bytes(&SEED).to_text(),
        ),
        ("log", "6zkxs5u", LogKey::from_bytes(&SEED).to_text()),
        (
            "replica",
            "udhe3ui",
            ReplicaKey::from_bytes(&SEED).to_text(),
        ),
        ("read", "znnvi4m", ReadKey::from_bytes(&SEED).to_text()),
        (
            "content",
            "4ek4oei",
            ContentKey::from_bytes(&SEED).to_text(),
        ),
    ];
    for (tag, end, text) in texts {
        assert_eq!(*text, format!("{tag}{body}{end}"));
    }
}

#[test]
fn the_agreement_key_is_pinned() {
    let key = IdentityKey::from_bytes(&SEED).agreement_key();
    let secret = hex("25bcba550b7111e0b18c3a7621c75d8bf95eef529af11428dec8ddd1bb716f4e");
    assert_eq!(*key.to_bytes(), secret);
    let public = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(secret));
    assert_eq!(key.public_key().to_bytes(), public.to_bytes());
}

#[test]
fn a_key_of_another_kind_is_named() {
    let read = ReadKey::from_bytes(&SEED).to_text();
    let error = read.parse::<ReplicaKey>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        "this is a read key; a replica key begins with replica_"
    );
    let error = "bafkxd5bjgi6k4zivuoyxo4ua4mzyy"
        .parse::<IdentityKey>()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a key: an identity key begins with identity_"
    );
}

#[test]
fn a_key_with_its_tag_changed_is_refused() {
    let text = ReadKey::from_bytes(&SEED)
        .to_text()
        .replace("read_", "replica_");
    assert!(
        text.parse::<ReplicaKey>()
            .unwrap_err()
            .to_string()
            .contains("mistyped")
    );
}

#[test]
fn every_mistyped_character_is_found() {
    let text = ReplicaKey::from_bytes(&SEED).to_text();
    for at in "replica_".len()..text.len() {
        for wrong in ['a', 'z', '2', '0', 'A', '_'] {
            let mut changed: Vec<char> = text.chars().collect();
            // Base32 is the same in either case: that is no mistake.
            if changed[at].eq_ignore_ascii_case(&wrong) {
                continue;
            }
            changed[at] = wrong;
            let changed: String = changed.into_iter().collect();
            assert!(
                changed.parse::<ReplicaKey>().is_err(),
                "accepted with character {at} {wrong}"
            );
        }
    }
}

#[test]
fn a_key_cut_short_says_so_and_no_error_repeats_it() {
    let text = ReplicaKey::from_bytes(&SEED).to_text();
    for wrong in [
        text[..text.len() - 1].to_owned(),
        format!("{}a", *text),
        text.to_uppercase(),
    ] {
        let error = format!("{:?}", wrong.parse::<ReplicaKey>().unwrap_err());
        assert!(!error.contains("aqeayeaudaocajb"), "{error}");
    }
    let error = text[..20].parse::<ReplicaKey>().unwrap_err().to_string();
    assert!(error.contains("cut short"), "{error}");
}

#[test]
fn row_55_debug_shows_no_secret() {
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        IdentityKey::from_bytes(&SEED),
        LogKey::from_bytes(&SEED),
        ReplicaKey::from_bytes(&SEED),
        ReadKey::from_bytes(&SEED),
        ContentKey::from_bytes(&SEED),
        AgreementKey::from_bytes(&SEED),
    );
    assert_eq!(shown.matches("(redacted)").count(), 6);
    assert!(!shown.contains('1') && !shown.contains("aaaqe"), "{shown}");
}

#[test]
fn one_signature_under_the_identity_point_fits_every_message_and_is_refused() {
    let identity = EIGHT_TORSION[0].compress().to_bytes();
    let mut forged = [0; 64];
    forged[..32].copy_from_slice(&identity);
    let key = VerifyingKey::from_bytes(&identity).unwrap();
    for message in [&b"pay"[..], b"anything else"] {
        // The attack works where nothing guards against it.
        assert!(key.verify(message, &Signature::from_bytes(&forged)).is_ok());
        assert_eq!(
            verify(&identity, message, &forged),
            Err(SignatureError::WeakKey)
        );
        let batch = [(&identity, message, &forged)];
        assert_eq!(
            verify_batch(batch, &mut system_rng()),
            Err(SignatureError::WeakKey)
        );
    }
}

#[test]
fn every_small_order_point_is_weak_however_it_is_written() {
    for point in EIGHT_TORSION {
        let mut bytes = point.compress().to_bytes();
        assert_eq!(check_key(&bytes), Err(SignatureError::WeakKey));
        bytes[31] ^= 0x80;
        assert_eq!(check_key(&bytes), Err(SignatureError::WeakKey));
    }
}

#[test]
fn every_encoding_with_a_shorter_one_is_weak() {
    for low in 0xed..=0xff {
        for high in [0x7f, 0xff] {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, high);
            assert_eq!(check_key(&bytes), Err(SignatureError::WeakKey));
        }
    }
    // p − 2 and beyond are ordinary encodings.
    let mut bytes = [0xff; 32];
    (bytes[0], bytes[31]) = (0xeb, 0x7f);
    assert_eq!(check_key(&bytes), Ok(()));
}

#[test]
fn a_key_off_the_curve_is_malformed() {
    let off = (2..=255_u8)
        .map(|y| {
            let mut bytes = [0; 32];
            bytes[0] = y;
            bytes
        })
        .find(|bytes| VerifyingKey::from_bytes(bytes).is_err())
        .unwrap();
    assert_eq!(
        verify(&off, b"m", &[0; 64]),
        Err(SignatureError::MalformedKey)
    );
}

/// Signatures with every mix of small-order parts in key and nonce: an attacker who chooses the
/// secret can make them all, and implementations of the usual rules disagree about them.
fn adversarial() -> Vec<([u8; 32], Vec<u8>, [u8; 64])> {
    let (a, r) = (Scalar::from(7_u64), Scalar::from(11_u64));
    let mut made = Vec::new();
    for (i, key_part) in EIGHT_TORSION.iter().enumerate() {
        for (j, nonce_part) in EIGHT_TORSION.iter().enumerate() {
            for (secret, nonce) in [(a, r), (a, Scalar::ZERO)] {
                let key = (B * secret + key_part).compress().to_bytes();
                let point = (B * nonce + nonce_part).compress().to_bytes();
                let message = vec![i as u8, j as u8];
                let hash = Sha512::new().chain_update(point).chain_update(key);
                let k = Scalar::from_hash(hash.chain_update(&message));
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&point);
                signature[32..].copy_from_slice((nonce + k * secret).as_bytes());
                made.push((key, message, signature));
            }
        }
    }
    made
}

#[test]
fn a_batch_accepts_exactly_what_single_checks_accept() {
    let mut cases = adversarial();
    let (good, mut disagreements) = (cases.len(), 0);
    for i in 0..good {
        let mut bad = cases[i].clone();
        bad.2[32 + i % 20] ^= 1;
        cases.push(bad);
        // s + l is the same number to a careless reader.
        let mut high = cases[i].clone();
        add_group_order(&mut high.2);
        cases.push(high);
    }
    let honest = IdentityKey::from_bytes(&SEED);
    let (honest_id, honest_signature) = (honest.peer_id(), honest.sign(b"fine"));
    for (key, message, signature) in &cases {
        let single = verify(key, message, signature);
        for _ in 0..4 {
            let batch = [
                (honest_id.key_bytes(), &b"fine"[..], &honest_signature),
                (key, message.as_slice(), signature),
            ];
            assert_eq!(
                verify_batch(batch, &mut system_rng()).is_ok(),
                single.is_ok()
            );
        }
        let usual = VerifyingKey::from_bytes(key).unwrap();
        let usual = usual.verify(message, &Signature::from_bytes(signature));
        disagreements += usize::from(usual.is_ok() != single.is_ok());
    }
    assert!(
        cases[..good]
            .iter()
            .all(|(k, m, s)| verify(k, m, s).is_ok())
    );
    assert!(
        cases[good..]
            .iter()
            .all(|(k, m, s)| verify(k, m, s).is_err())
    );
    assert!(
        disagreements > 0,
        "the cases must be ones on which rules differ"
    );
}

fn add_group_order(signature: &mut [u8; 64]) {
    let order = hex::<32>("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

#[test]
fn an_empty_batch_is_fine() {
    assert_eq!(verify_batch([], &mut system_rng()), Ok(()));
}

#[test]
fn sealing_is_xchacha20_poly1305() {
    // draft-irtf-cfrg-xchacha-03, A.3.1
    let key = hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    let aad = hex::<12>("50515253c0c1c2c3c4c5c6c7");
    let sealed = Base16Lower
        .decode(
            "404142434445464748494a4b4c4d4e4f5051525354555657\
             bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
             731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
             2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
             21f9664c97637da9768812f615c68b13b52e\
             c0875924c1c7987947deafd8780acf49",
        )
        .unwrap();
    let plaintext = ReadKey::from_bytes(&key).open(&aad, &sealed).unwrap();
    assert!(plaintext.starts_with(b"Ladies and Gentlemen of the class of '99"));
}

#[test]
fn the_synthetic_nonce_is_pinned() {
    let sealed = ReplicaKey::from_bytes(&SEED)
        .seal_synthetic(b"where", b"what")
        .unwrap();
    let nonce = hex::<24>("f0fe6e49d825c4e49c6e5e885e688641fe4f13531545fd80");
    assert_eq!(sealed[..24], nonce);
}

#[test]
fn the_synthetic_nonce_binds_where_aad_ends() {
    let key = ReplicaKey::from_bytes(&SEED);
    let one = key.seal_synthetic(b"ab", b"c").unwrap();
    let other = key.seal_synthetic(b"a", b"bc").unwrap();
    assert_ne!(one[..24], other[..24]);
}

#[test]
fn a_record_sealed_again_is_refused() {
    let key = ReplicaKey::from_bytes(&SEED);
    let again = key
        .seal_random(b"where", b"what", &mut system_rng())
        .unwrap();
    assert_eq!(key.open(b"where", &again).unwrap(), b"what");
    let error = key.open_synthetic(b"where", &again).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("sealed again"));
}

#[test]
fn sealed_bytes_that_are_too_short_are_refused() {
    let key = ReplicaKey::from_bytes(&SEED);
    for length in 0..threads_core::key::SEAL_OVERHEAD_BYTES {
        assert!(key.open(b"", &vec![0; length]).is_err());
        assert!(key.open_synthetic(b"", &vec![0; length]).is_err());
    }
    assert_eq!(
        key.open_synthetic(b"", &key.seal_synthetic(b"", b"").unwrap())
            .unwrap(),
        b""
    );
}

#[test]
fn a_sealed_content_key_opens_only_for_its_recipient_and_purpose() {
    let rng = &mut system_rng();
    let recipient = IdentityKey::generate(rng).agreement_key();
    let other = IdentityKey::generate(rng).agreement_key();
    let content = ContentKey::generate(rng);
    let sealed = recipient.public_key().seal(b"here", &content, rng).unwrap();
    assert_eq!(sealed.len(), threads_core::key::SEALED_CONTENT_KEY_BYTES);
    assert_eq!(recipient.open(b"here", &sealed).unwrap(), content);
    assert!(recipient.open(b"there", &sealed).is_err());
    assert!(other.open(b"here", &sealed).is_err());
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(
            recipient.open(b"here", &altered).is_err(),
            "accepted with byte {at} altered"
        );
    }
    assert!(recipient.open(b"here", &sealed[..79]).is_err());
    assert_ne!(
        recipient.public_key().seal(b"here", &content, rng).unwrap(),
        sealed
    );
}

#[test]
fn nothing_is_sealed_to_a_weak_agreement_key() {
    let content = ContentKey::from_bytes(&SEED);
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [[0; 32], one] {
        let weak = AgreementPublicKey::from_bytes(&weak);
        let error = weak.seal(b"", &content, &mut system_rng()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

proptest! {
    #[test]
    fn keys_survive_their_text(bytes: [u8; 32]) {
        let key = ReplicaKey::from_bytes(&bytes);
        prop_assert_eq!(key.to_text().parse::<ReplicaKey>().unwrap(), key);
        let key = IdentityKey::from_bytes(&bytes);
        prop_assert_eq!(key.to_text().parse::<IdentityKey>().unwrap(), key);
    }

    #[test]
    fn no_text_makes_a_key_reader_panic(text in "(replica_|read_)?b?[a-z2-7é_]{0,70}") {
        let _ = text.parse::<ReplicaKey>();
    }

    #[test]
    fn any_altered_byte_is_found(
        aad: Vec<u8>,
        plaintext: Vec<u8>,
        at: prop::sample::Index,
        bit in 0..8_u8,
    ) {
        let key = ReplicaKey::from_bytes(&SEED);
        let mut sealed = key.seal_synthetic(&aad, &plaintext).unwrap();
        prop_assert_eq!(key.open_synthetic(&aad, &sealed).unwrap(), plaintext);
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(key.open_synthetic(&aad, &sealed).is_err());
        prop_assert!(key.open(&aad, &sealed).is_err());
    }
}
