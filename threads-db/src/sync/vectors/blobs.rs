//! Frames about blobs, and about snapshots that are kept as such.

use threads_core::blob::{BlobKey, BlobRef};
use threads_core::block::Block;
use threads_core::{IdentityKey, ReadKey, ThreadId, Variant};

use super::{blob, claim, peer, snapshot};
use crate::snapshot::Word;
use crate::sync::wire::{Answer, Ask};
use crate::vectors::TestRng;

pub(super) fn asks() -> Vec<(&'static str, Ask)> {
    vec![
        (
            "the blobs behind the seventh, by who has two of its own",
            Ask::Blobs(claim(), (u64::MAX, 7), (1, 2)),
        ),
        (
            "a manifest and a chunk",
            Ask::Blocks(
                claim(),
                vec![*Block::cbor(vec![1]).cid(), *Block::raw(vec![2]).cid()],
            ),
        ),
        ("no block", Ask::Blocks(claim(), vec![])),
        (
            "the snapshots that are kept, by who knows two words",
            Ask::Snapshots(claim(), vec![(peer(1), 1), (peer(2), u64::MAX)]),
        ),
    ]
}

pub(super) fn answers() -> [(&'static str, Answer); 5] {
    [
        ("no blobs", Answer::Blobs((0, 0), vec![])),
        (
            "two blobs of nine",
            Answer::Blobs((u64::MAX, 9), vec![(8, blob(1)), (9, blob(2))]),
        ),
        (
            "a block, and one that is not there",
            Answer::Blocks(vec![b"block".to_vec().into(), vec![].into()]),
        ),
        ("no snapshots", Answer::Snapshots(vec![])),
        ("a word for a snapshot", Answer::Snapshots(vec![word()])),
    ]
}

/// A peer's word for a snapshot.
fn word() -> Word {
    let mut rng = TestRng::new("words");
    let key = IdentityKey::generate(&mut rng);
    let thread = ThreadId::generate(Variant::Raw, &mut rng);
    let read = ReadKey::generate(&mut rng);
    let content = BlobRef::new(blob(1), BlobKey::from_bytes(&[7; 32]), 300_000, "").unwrap();
    let said = (u64::MAX, snapshot(1));
    Word::sign(&key, &thread, said, &content, (1, &read, &mut rng)).unwrap()
}
