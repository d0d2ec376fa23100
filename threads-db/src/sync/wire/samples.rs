//! Frames of each kind, for the fuzzer to begin with, and for tests.

use serde_bytes::{ByteArray, ByteBuf};
use threads_core::block::{self, DAG_CBOR};
use threads_core::{LogId, PeerId, Result};

use super::super::ranges::{Edge, Found, Said};
use super::{Answer, Ask, Claim, Parcel, Range, Verdict};

/// One question of each kind, of the thread of a claim.
pub(in crate::sync) fn asks(claim: Claim) -> Vec<Ask> {
    let log = LogId::from_key_bytes([1; 32]);
    let parcel = Parcel(vec![1].into(), vec![2].into(), vec![3].into());
    let range = Range {
        log,
        from: 1,
        to: 2,
    };
    let head = (log, 7, ByteArray::new([7; 8]));
    let edge = Edge::between(&LogId::from_key_bytes([0; 32]), &log);
    let digest = ByteArray::new([3; 16]);
    vec![
        Ask::Heads(vec![(claim, digest)]),
        Ask::Pull(claim, vec![range]),
        Ask::Push(claim, vec![parcel]),
        Ask::Have(claim, vec![(log, 7, ByteArray::new([7; 8]))]),
        Ask::Join("an id".to_owned(), ByteArray::new([5; 16]), vec![6].into()),
        Ask::Sign(claim, vec![(log, 7)]),
        Ask::Where(claim, vec![(PeerId::from_key_bytes([1; 32]), 7)]),
        Ask::Erased(claim, vec![block::cid_of(DAG_CBOR, b"purge")]),
        Ask::Blobs(claim, (1, 2), (3, 4)),
        Ask::Snapshots(claim, vec![(PeerId::from_key_bytes([1; 32]), 7)]),
        Ask::Blocks(claim, vec![block::cid_of(block::RAW, b"chunk")]),
        Ask::Ranges(
            claim,
            vec![
                (edge, Said::Skip),
                (Edge::end(), Said::Each(vec![head], digest)),
            ],
        ),
    ]
}

/// One of each kind.
pub(super) fn all() -> (Vec<Ask>, Vec<Answer>) {
    let log = LogId::from_key_bytes([1; 32]);
    let parcel = Parcel(vec![1].into(), vec![2].into(), vec![3].into());
    let head = (log, 7, ByteArray::new([7; 8]));
    let edge = Edge::between(&LogId::from_key_bytes([0; 32]), &log);
    let digest = ByteArray::new([3; 16]);
    let asks = asks(Claim(ByteArray::new([2; 32])));
    let differs = Verdict::Differs(vec![(log, 2, ByteArray::new([7; 8]))]);
    let answers = vec![
        Answer::Heads(
            vec![Verdict::Unknown, Verdict::Same, differs, Verdict::Many],
            ByteArray::new([4; 16]),
        ),
        Answer::Page(vec![parcel], vec![(log, 1)], true),
        Answer::Short(vec![(log, 7)], block::cid_of(block::RAW, b"snapshot")),
        Answer::Have(vec![(log, 1, ByteArray::new([7; 8]))]),
        Answer::Full(vec![(log, 1, ByteArray::new([7; 8]))]),
        Answer::Ranges(vec![
            Found::Same,
            Found::Each(vec![head]),
            Found::Parts(vec![(edge, digest), (Edge::end(), digest)]),
            Found::Later,
        ]),
        Answer::Waiting,
        Answer::Admitted(vec![1].into(), vec![2].into()),
        Answer::Where(vec![]),
        Answer::Erased(vec![]),
        Answer::Blobs((1, 2), vec![(2, block::cid_of(DAG_CBOR, b"manifest"))]),
        Answer::Blocks(vec![vec![1].into(), ByteBuf::new()]),
        Answer::Snapshots(vec![]),
        Answer::Busy(100),
    ];
    (asks, answers)
}

/// One frame of each kind, for the fuzzer to begin with.
pub(crate) fn samples() -> Result<Vec<Vec<u8>>> {
    let (asks, answers) = all();
    let asks = asks.iter().map(Ask::encode);
    asks.chain(answers.iter().map(Answer::encode)).collect()
}
