//! What a record must refuse, one test for each rejection.

use std::collections::BTreeSet;

use super::*;
use crate::block::decode;
use crate::{Variant, system_rng};

struct Author {
    identity: IdentityKey,
    log: LogKey,
    replica: ReplicaKey,
    thread: ThreadId,
}

fn author() -> Author {
    let mut rng = system_rng();
    Author {
        identity: IdentityKey::generate(&mut rng),
        log: LogKey::generate(&mut rng),
        replica: ReplicaKey::generate(&mut rng),
        thread: ThreadId::generate(Variant::Raw, &mut rng),
    }
}

impl Author {
    fn fields(&self, seq: u64, chain: &[Cid]) -> Fields {
        let at = |seq: u64| chain[seq as usize - 1];
        Fields {
            thread: self.thread.clone(),
            log: self.log.log_id(),
            seq,
            prev: (seq > 1).then(|| at(seq - 1)),
            skip: skip_target(seq).map(at),
            deps: Vec::new(),
            acl: Vec::new(),
            access: false,
            epoch: 0,
            tags: Vec::new(),
            event: *Block::cbor([0xa0]).cid(),
        }
    }

    fn seal(&self, fields: Fields) -> Result<Verified<SignedRecord>> {
        let author = (fields.seq == 1).then_some(&self.identity);
        SignedRecord::seal(fields, &self.log, author, &self.replica)
    }

    fn open(&self, block: &[u8]) -> Result<SignedRecord> {
        SignedRecord::open(block, &self.thread, &self.replica)
    }

    /// Seals any wire form, as a malicious holder of the replica key could.
    fn forge(&self, change: impl FnOnce(&mut Wire)) -> Vec<u8> {
        let record = self.seal(self.fields(1, &[])).unwrap();
        let mut wire = Wire::new(&record.fields, record.author.clone());
        wire.sig = Some(ByteArray::new(record.sig));
        change(&mut wire);
        seal_block(&encode(&wire).unwrap(), &record.fields, &self.replica)
            .unwrap()
            .into_bytes()
    }
}

fn rejection<T>(result: Result<T>) -> Rejection {
    let error = result.err().expect("must be refused");
    Rejection::of(&error).unwrap_or_else(|| panic!("not a rejection: {error:?}"))
}

fn chain(author: &Author, length: u64) -> Vec<Verified<SignedRecord>> {
    let (mut records, mut cids) = (Vec::new(), Vec::new());
    for seq in 1..=length {
        let record = author.seal(author.fields(seq, &cids)).unwrap();
        cids.push(record.id());
        records.push(record);
    }
    records
}

#[test]
fn a_chain_opens_verifies_and_follows() {
    let author = author();
    let mut head = (0, None);
    for record in chain(&author, 15) {
        let opened = author.open(record.block()).unwrap();
        opened.follows(head.0, head.1.as_ref()).unwrap();
        let verified = Verified::check(opened).unwrap();
        assert_eq!(verified, record);
        head = (record.fields().seq, Some(record.id()));
    }
}

#[test]
fn a_record_that_skips_one_is_a_broken_chain() {
    let records = chain(&author(), 3);
    let head = (records[0].fields().seq, Some(records[0].id()));
    assert_eq!(
        rejection(records[2].follows(head.0, head.1.as_ref())),
        Rejection::BrokenChain
    );
    assert_eq!(
        rejection(records[1].follows(1, None)),
        Rejection::BrokenChain
    );
}

#[test]
fn row_01_a_flipped_bit_anywhere_is_refused() {
    let author = author();
    let block = author.seal(author.fields(1, &[])).unwrap().block().to_vec();
    let mut found = BTreeSet::new();
    for position in 0..block.len() {
        let mut flipped = block.clone();
        flipped[position] ^= 1;
        found.insert(format!("{:?}", rejection(author.open(&flipped))));
    }
    assert!(found.contains("CannotOpen"), "{found:?}");
}

#[test]
fn another_key_or_thread_cannot_open() {
    let (ours, theirs) = (author(), author());
    let record = ours.seal(ours.fields(1, &[])).unwrap();
    assert_eq!(
        rejection(theirs.open(record.block())),
        Rejection::CannotOpen
    );
    let moved = SignedRecord::open(record.block(), &theirs.thread, &ours.replica);
    assert_eq!(rejection(moved), Rejection::CannotOpen);
}

#[test]
fn row_04_a_record_that_names_another_thread_inside_is_refused() {
    let (ours, theirs) = (author(), author());
    let block = ours.forge(|wire| wire.thread = theirs.thread.clone());
    assert_eq!(rejection(ours.open(&block)), Rejection::WrongThread);
}

#[test]
fn every_signed_field_is_covered_by_the_signature() {
    let ours = author();
    let other = *Block::cbor([0xa1]).cid();
    let changes: [fn(&mut Wire, Cid); 4] = [
        |wire, other| wire.event = other,
        |wire, other| wire.acl = vec![other],
        |wire, _| wire.tags = vec![ByteBuf::from([1])],
        |wire, other| {
            wire.deps = vec![Dep {
                log: LogId::from_key_bytes([9; 32]),
                seq: 1,
                cid: other,
            }];
        },
    ];
    for change in changes {
        let block = ours.forge(|wire| change(wire, other));
        let opened = ours.open(&block).unwrap();
        assert_eq!(rejection(Verified::check(opened)), Rejection::BadSignature);
    }
}

#[test]
fn row_01_a_bad_signature_is_refused_whatever_it_is_over() {
    let ours = author();
    for (position, bit) in [(0, 0), (31, 7), (32, 0), (63, 3)] {
        let block = ours.forge(|wire| {
            let mut sig = wire.sig.take().unwrap().into_array();
            sig[position] ^= 1 << bit;
            wire.sig = Some(ByteArray::new(sig));
        });
        let opened = ours.open(&block).unwrap();
        assert_eq!(rejection(Verified::check(opened)), Rejection::BadSignature);
    }
    let theirs = author();
    let block = ours.forge(|wire| {
        wire.sig = Some(ByteArray::new(theirs.log.sign(b"something else")));
    });
    let opened = ours.open(&block).unwrap();
    assert_eq!(rejection(Verified::check(opened)), Rejection::BadSignature);
}

#[test]
fn row_02_a_first_record_cannot_be_given_another_event() {
    // The binding to the author says nothing of the event; the log's signature does.
    let ours = author();
    let record = ours.seal(ours.fields(1, &[])).unwrap();
    assert!(record.author().is_some());
    let block = ours.forge(|wire| wire.event = *Block::cbor([0xa1]).cid());
    let opened = ours.open(&block).unwrap();
    assert_eq!(opened.author(), record.author());
    assert_eq!(rejection(Verified::check(opened)), Rejection::BadSignature);
}

#[test]
fn row_04_a_binding_made_for_another_thread_or_log_is_refused() {
    let (ours, theirs) = (author(), author());
    let moved = [
        author_message(&theirs.thread, &ours.log.log_id()),
        author_message(&ours.thread, &theirs.log.log_id()),
    ];
    for message in moved {
        let block = ours.forge(|wire| {
            let binding = ours.identity.sign(&message);
            wire.author.as_mut().unwrap().sig = ByteArray::new(binding);
            wire.sig = None;
            let signed = encode(&*wire).unwrap();
            wire.sig = Some(ByteArray::new(ours.log.sign(&sign_message(&signed))));
        });
        let opened = ours.open(&block).unwrap();
        assert_eq!(
            rejection(Verified::check(opened)),
            Rejection::AuthorMismatch
        );
    }
}

#[test]
fn row_07_non_canonical_encodings_are_refused() {
    let ours = author();
    let fields = ours.fields(1, &[]);
    let record = ours.seal(fields.clone()).unwrap();
    let (_, epoch, sealed): (u64, u64, ByteBuf) = decode(record.block()).unwrap();
    let aad = aad(Layer::Record, &ours.thread, None, epoch);
    let plain = ours.replica.open_synthetic(&aad, &sealed).unwrap().to_vec();
    let open = |plain: &[u8]| ours.open(seal_block(plain, &fields, &ours.replica).unwrap().bytes());
    assert!(open(&plain).is_ok());

    // `{"v": 1, …}` begins with the number of its members, then the one-byte keys.
    let members = plain[0] & 0x1f;
    let v = [0x61, b'v', 0x01];
    let at = plain.windows(3).position(|found| found == v).unwrap();
    let longer_number = [&plain[..at], &[0x61, b'v', 0x18, 0x01], &plain[at + 3..]].concat();
    let mut twice = [&plain[..at], &v, &plain[at..]].concat();
    twice[0] = 0xa0 | (members + 1);
    let mut unsorted = [&plain[..at], &plain[at + 3..], &v].concat();
    unsorted[0] = plain[0];
    let mut unknown = [&plain[..1], &[0x61, b'a', 0x01], &plain[1..]].concat();
    unknown[0] = 0xa0 | (members + 1);
    let nan = [
        &plain[..at],
        &[0x61, b'v', 0xf9, 0x7e, 0x00],
        &plain[at + 3..],
    ]
    .concat();
    let endless = [&[0xbf], &plain[1..], &[0xff]].concat();
    let trailing = [&plain[..], &[0]].concat();
    for other in [
        longer_number,
        twice,
        unsorted,
        unknown,
        nan,
        endless,
        trailing,
    ] {
        assert_eq!(
            rejection(open(&other)),
            Rejection::Malformed,
            "{other:02x?}"
        );
    }
    // The block around it, too.
    let around = [record.block(), &[0]].concat();
    assert_eq!(rejection(ours.open(&around)), Rejection::Malformed);
    let longer = [&[0x98, 0x03], &record.block()[1..]].concat();
    assert_eq!(rejection(ours.open(&longer)), Rejection::Malformed);
}

#[test]
fn row_08_identity_hashes_and_foreign_codecs_are_no_links() {
    let ours = author();
    let digest = *Block::cbor([0xa0]).cid().hash();
    let identity = cid::multihash::Multihash::<64>::wrap(0, b"the bytes themselves").unwrap();
    let sha512 = cid::multihash::Multihash::<64>::wrap(0x13, &[1; 64]).unwrap();
    let short = cid::multihash::Multihash::<64>::wrap(0x12, &[1; 16]).unwrap();
    let links = [
        Cid::new_v1(0x71, identity),
        Cid::new_v1(0x55, identity),
        Cid::new_v1(0x71, sha512),
        Cid::new_v1(0x71, short),
        Cid::new_v1(0x70, digest),
        Cid::new_v1(0x0129, digest),
    ];
    for link in links {
        let block = ours.forge(|wire| wire.event = link);
        assert_eq!(rejection(ours.open(&block)), Rejection::BadLink, "{link}");
        let block = ours.forge(|wire| wire.acl = vec![link]);
        assert_eq!(rejection(ours.open(&block)), Rejection::BadLink, "{link}");
    }
}

#[test]
fn row_34_sequence_numbers_fall_along_every_link() {
    for seq in 2..100_000 {
        // The link before is always to seq - 1; the other one goes further back.
        assert!(
            skip_target(seq).is_none_or(|target| 0 < target && target < seq - 1),
            "{seq}"
        );
    }
    assert_eq!(skip_target(1), None);
    assert!(skip_target(u64::MAX).is_none_or(|target| target < u64::MAX - 1));
}

#[test]
fn row_03_a_log_claimed_by_another_author_is_refused() {
    let (ours, theirs) = (author(), author());
    let block = ours.forge(|wire| {
        let claimed = wire.author.as_mut().unwrap();
        claimed.peer = theirs.identity.peer_id();
        wire.sig = None;
        let signed = encode(&*wire).unwrap();
        wire.sig = Some(ByteArray::new(ours.log.sign(&sign_message(&signed))));
    });
    let opened = ours.open(&block).unwrap();
    assert_eq!(
        rejection(Verified::check(opened)),
        Rejection::AuthorMismatch
    );
}

#[test]
fn a_first_record_without_author_is_refused() {
    let ours = author();
    let block = ours.forge(|wire| wire.author = None);
    assert_eq!(rejection(ours.open(&block)), Rejection::AuthorMismatch);
}

#[test]
fn row_06_a_small_order_log_key_is_weak() {
    let ours = author();
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    let block = ours.forge(|wire| wire.log = LogId::from_key_bytes(identity_point));
    let opened = ours.open(&block).unwrap();
    assert_eq!(
        rejection(Verified::check(opened.clone())),
        Rejection::WeakKey
    );
    let batch = Verified::check_all(vec![opened], &mut system_rng());
    assert_eq!(rejection(batch), Rejection::WeakKey);
}

#[test]
fn row_08_unsound_links_are_refused() {
    let ours = author();
    let sound = *Block::cbor([0xa0]).cid();
    let unsound = Cid::new_v0(*sound.hash()).unwrap();
    let blocks = [
        ours.forge(|wire| wire.event = unsound),
        ours.forge(|wire| wire.prev = Some(sound)),
        ours.forge(|wire| wire.skip = Some(sound)),
        ours.forge(|wire| wire.seq = 0),
        ours.forge(|wire| wire.seq = 2),
    ];
    for block in blocks {
        assert_eq!(rejection(ours.open(&block)), Rejection::BadLink);
    }
}

#[test]
fn row_34_too_many_links_are_refused() {
    let ours = author();
    let cids: Vec<Cid> = (0..=LINKS_MAX as u8)
        .map(|n| *Block::raw([n]).cid())
        .collect();
    let block = ours.forge(|wire| wire.acl = cids);
    assert_eq!(rejection(ours.open(&block)), Rejection::TooManyLinks);
}

#[test]
fn unsorted_links_and_a_dependency_on_itself_are_malformed() {
    let ours = author();
    let mut cids = [*Block::raw([1]).cid(), *Block::raw([2]).cid()];
    cids.sort();
    cids.reverse();
    let block = ours.forge(|wire| wire.acl = cids.to_vec());
    assert_eq!(rejection(ours.open(&block)), Rejection::Malformed);
    let block = ours.forge(|wire| {
        wire.deps = vec![Dep {
            log: wire.log,
            seq: 1,
            cid: cids[0],
        }]
    });
    assert_eq!(rejection(ours.open(&block)), Rejection::Malformed);
}

#[test]
fn a_later_version_is_named_as_such() {
    let ours = author();
    let block = ours.forge(|wire| wire.v = 2);
    assert_eq!(rejection(ours.open(&block)), Rejection::UnknownVersion);
    let block = ours.forge(|_| ());
    let (_, epoch, sealed): (u64, u64, ByteBuf) = decode(&block).unwrap();
    let later = encode(&(2u64, epoch, sealed)).unwrap();
    assert_eq!(rejection(ours.open(&later)), Rejection::UnknownVersion);
}

#[test]
fn a_record_has_one_ciphertext() {
    let ours = author();
    let record = ours.seal(ours.fields(1, &[])).unwrap();
    let (version, epoch, sealed): (u64, u64, ByteBuf) = decode(record.block()).unwrap();
    let aad = aad(Layer::Record, &ours.thread, None, epoch);
    let plain = ours.replica.open_synthetic(&aad, &sealed).unwrap();
    // Whoever holds the replica key could seal it again with another nonce and show a second
    // block of the same record: it would look like a fork.
    let again = ours
        .replica
        .seal_random(&aad, &plain, &mut system_rng())
        .unwrap();
    let block = encode(&(version, epoch, ByteBuf::from(again))).unwrap();
    assert_eq!(rejection(ours.open(&block)), Rejection::CannotOpen);
}

#[test]
fn an_oversized_block_is_refused_before_it_is_read() {
    let ours = author();
    assert_eq!(
        rejection(ours.open(&vec![0; RECORD_BYTES_MAX + 1])),
        Rejection::TooLarge
    );
}

#[test]
fn batched_checks_agree_with_single_ones() {
    let ours = author();
    let mut records: Vec<_> = chain(&ours, 20)
        .iter()
        .map(|record| ours.open(record.block()).unwrap())
        .collect();
    assert_eq!(
        Verified::check_all(records.clone(), &mut system_rng())
            .unwrap()
            .len(),
        20
    );
    records[13].sig[5] ^= 1;
    let bad = Verified::check_all(records, &mut system_rng());
    assert_eq!(rejection(bad), Rejection::BadSignature);
}

#[test]
fn arbitrary_bytes_are_refused_without_a_panic() {
    let ours = author();
    proptest::proptest!(|(bytes: Vec<u8>)| {
        proptest::prop_assert!(ours.open(&bytes).is_err());
        // The same bytes, sealed as a member could.
        let fields = ours.fields(1, &[]);
        let block = seal_block(&bytes, &fields, &ours.replica).unwrap();
        proptest::prop_assert!(ours.open(block.bytes()).is_err());
    });
}
