//! Frames that are refused.

use serde_json::{Value, json};
use threads_core::block::{BLOCK_BYTES_MAX, Block, DAG_CBOR, RAW, cid_of, encode};

use super::super::wire::{
    CLAIMS_MAX, PAGE_RECORDS_MAX, PLACES_MAX, RANGES_MAX, WHOM_MAX, WORDS_MAX,
};
use super::ranges;
use crate::vectors::encode::{blob, list, map, string, uint};
use crate::vectors::hex;

pub(super) fn one(name: &str, value: Vec<u8>) -> Vec<u8> {
    map(&[(name, value)])
}

fn place(log: u8, seq: u64) -> Vec<u8> {
    list(&[blob([log; 32]), uint(seq)])
}

pub(super) fn head(log: u8, seq: u64) -> Vec<u8> {
    list(&[blob([log; 32]), uint(seq), blob([7; 8])])
}

fn range(from: u64, to: u64) -> Vec<u8> {
    map(&[
        ("log", blob([1; 32])),
        ("from", uint(from)),
        ("to", uint(to)),
    ])
}

pub(super) type Case = (&'static str, Vec<u8>);

pub(super) fn some_claim() -> Vec<u8> {
    blob([2; 32])
}

/// A request of these members, the first of which is a claim.
pub(super) fn claiming(name: &str, what: Vec<u8>) -> Vec<u8> {
    one(name, list(&[some_claim(), what]))
}

fn some_parcel() -> Vec<u8> {
    list(&[blob([1]), blob([2]), blob([3])])
}

fn misshapen_requests() -> Vec<Case> {
    let sound = claiming("have", list(&[head(1, 1)]));
    let short = list(&[blob([2; 31]), list(&[])]);
    let long = list(&[some_claim(), list(&[]), uint(1)]);
    let digest = list(&[some_claim(), blob([3; 15])]);
    let claimed = list(&[some_claim(), blob([3; 16])]);
    let twice = one("heads", list(&[claimed.clone(), claimed]));
    vec![
        ("a thread twice", twice),
        ("nothing", vec![]),
        ("cut short", sound[..sound.len() - 1].to_vec()),
        ("a byte after the end", [&sound[..], &[0]].concat()),
        ("a text", string("have")),
        ("no member", map(&[])),
        (
            "two members",
            map(&[("busy", uint(1)), ("have", list(&[]))]),
        ),
        ("a name that is none", one("give", list(&[]))),
        ("the name of a reply", one("page", list(&[]))),
        ("a claim of 31 bytes", one("have", short)),
        ("a member missing", one("have", list(&[some_claim()]))),
        ("a member too many", one("have", long)),
        (
            "a digest of 15 bytes",
            one("heads", list(&[list(&[digest])])),
        ),
    ]
}

fn unsound_requests() -> Vec<Case> {
    let pull = |range: Vec<u8>| claiming("pull", list(&[range]));
    let push = |parcel: Vec<u8>| claiming("push", list(&[parcel]));
    let have = |heads: &[Vec<u8>]| claiming("have", list(heads));
    let join = |id: &str, secret: usize| list(&[string(id), blob(vec![5; secret]), blob([6; 128])]);
    let endless = map(&[("log", blob([1; 32])), ("from", uint(1))]);
    let with_more = map(&[
        ("log", blob([1; 32])),
        ("from", uint(1)),
        ("to", uint(2)),
        ("by", uint(3)),
    ]);
    let texts = list(&[string("r"), blob([2]), blob([3])]);
    vec![
        ("a range from 0", pull(range(0, 1))),
        ("a range that is empty", pull(range(2, 1))),
        ("a range with a member too many", pull(with_more)),
        ("a range without its end", pull(endless)),
        (
            "a parcel of two blocks",
            push(list(&[blob([1]), blob([2])])),
        ),
        ("a parcel of texts", push(texts)),
        ("heads that descend", have(&[head(2, 1), head(1, 1)])),
        ("a log twice", have(&[head(1, 1), head(1, 2)])),
        ("a head of 0", have(&[head(1, 0)])),
        ("a head without a check", have(&[place(1, 1)])),
        (
            "a link's id that is too long",
            one("join", join(&"x".repeat(65), 16)),
        ),
        ("a link's secret of 15 bytes", one("join", join("x", 15))),
        ("a place of 0", claiming("sign", list(&[place(1, 0)]))),
        (
            "peers that descend",
            claiming("where", list(&[place(2, 1), place(1, 1)])),
        ),
        (
            "a peer twice",
            claiming("where", list(&[place(1, 1), place(1, 2)])),
        ),
    ]
}

fn verdicts(verdicts: &[Vec<u8>]) -> Vec<u8> {
    one("heads", list(&[list(verdicts), blob([9; 16])]))
}

/// The link of a block of this codec.
fn link(codec: u64) -> Vec<u8> {
    encode(&cid_of(codec, b"snapshot")).unwrap()
}

fn dropped(logs: &[Vec<u8>], snapshot: Vec<u8>) -> Vec<u8> {
    one("short", list(&[list(logs), snapshot]))
}

/// A receipt for the number 1 of a log, with a signature of so many bytes.
fn signed(of: u8, signature: usize) -> Vec<u8> {
    let head = encode(Block::cbor(vec![of]).cid()).unwrap();
    list(&[blob([of; 32]), uint(1), head, blob(vec![8; signature])])
}

/// A peer's word with addresses of so many bytes.
fn said(of: u8, seq: u64, addrs: &[usize]) -> Vec<u8> {
    let addrs: Vec<_> = addrs.iter().map(|bytes| blob(vec![7; *bytes])).collect();
    let parts = [
        blob([of; 32]),
        uint(seq),
        uint(9),
        list(&addrs),
        blob([8; 64]),
    ];
    list(&parts)
}

fn unsound_replies() -> Vec<Case> {
    let descending = one("differs", list(&[head(2, 1), head(1, 1)]));
    let short = list(&[blob([1; 32]), uint(1), blob([0; 7])]);
    let short = one("differs", list(&[short]));
    let to_nothing = list(&[list(&[]), list(&[place(1, 0)]), vec![0xf4]]);
    vec![
        ("a verdict that is none", verdicts(&[string("yes")])),
        ("a verdict with heads that descend", verdicts(&[descending])),
        ("a verdict with a check of 7 bytes", verdicts(&[short])),
        ("no joint proof", one("heads", list(&[list(&[])]))),
        (
            "a joint proof of 15 bytes",
            one("heads", list(&[list(&[]), blob([9; 15])])),
        ),
        (
            "a page that says neither more nor not",
            one("page", list(&[list(&[]), list(&[]), uint(1)])),
        ),
        ("a page that leads to 0", one("page", to_nothing)),
        ("nothing that was dropped", dropped(&[], link(RAW))),
        (
            "what was dropped up to 0",
            dropped(&[place(1, 0)], link(RAW)),
        ),
        (
            "what was dropped for what is no snapshot",
            dropped(&[place(1, 7)], link(DAG_CBOR)),
        ),
        (
            "a signature of 63 bytes",
            one("signed", list(&[signed(1, 63)])),
        ),
        (
            "receipts that descend",
            one("signed", list(&[signed(2, 64), signed(1, 64)])),
        ),
        (
            "a word with 17 addresses",
            one("where", list(&[said(1, 1, &[1; 17])])),
        ),
        (
            "a word with an address of 1025 bytes",
            one("where", list(&[said(1, 1, &[1_025])])),
        ),
        (
            "a word with the number 0",
            one("where", list(&[said(1, 0, &[])])),
        ),
        (
            "words that descend",
            one("where", list(&[said(2, 1, &[]), said(1, 1, &[])])),
        ),
        ("a text that is none", string("busy")),
        ("waiting for something", one("waiting", uint(1))),
        ("a wait below nothing", one("busy", vec![0x20])),
    ]
}

fn too_many() -> Vec<(&'static str, &'static str, Value)> {
    let claimed = list(&[some_claim(), blob([3; 16])]);
    let threads = repeated(&one("heads", list(&[])), &claimed, CLAIMS_MAX + 1);
    let ranges = claiming("pull", list(&[]));
    let ranges = repeated(&ranges, &range(1, 1), RANGES_MAX + 1);
    let places = claiming("sign", list(&[]));
    let places = repeated(&places, &place(1, 1), PLACES_MAX + 1);
    let whom = claiming("where", list(&[]));
    let whom = repeated(&whom, &place(1, 1), WHOM_MAX + 1);
    let words = repeated(&one("where", list(&[])), &said(1, 1, &[]), WORDS_MAX + 1);
    let records = claiming("push", list(&[]));
    let records = repeated(&records, &some_parcel(), PAGE_RECORDS_MAX + 1);
    // A record of 2 MiB: all but the bytes of its body, which come last.
    let parcel = list(&[blob([1]), blob([2]), blob([])]);
    let mut long = claiming("push", list(&[parcel]));
    long.pop();
    long.push(0x5a);
    long.extend((BLOCK_BYTES_MAX as u32).to_be_bytes());
    let long = json!([[hex(long), 1], ["00", BLOCK_BYTES_MAX]]);
    let verdicts = repeated(&verdicts(&[]), &string("same"), CLAIMS_MAX + 1);
    vec![
        ("request", "too many threads", threads),
        ("request", "too many bytes", long),
        ("request", "too many ranges", ranges),
        ("request", "too many places", places),
        ("request", "too many peers", whom),
        ("reply", "too many words", words),
        ("request", "too many records", records),
        ("reply", "too many verdicts", verdicts),
    ]
}

pub(super) fn make() -> Vec<Value> {
    let requests = [
        misshapen_requests(),
        unsound_requests(),
        ranges::unsound_requests(),
    ];
    let requests = requests.concat();
    let requests = requests.into_iter().map(|case| ("request", case));
    let replies = unsound_replies().into_iter().map(|case| ("reply", case));
    let cases = requests.chain(replies);
    let cases = cases.map(|(kind, (name, frame))| (kind, name, json!(hex(frame))));
    let vector = |(kind, name, bytes): (&str, &str, Value)| json!({"name": format!("{kind}: {name}"), "kind": kind, "bytes": bytes, "reject": "rejected"});
    let too_many = too_many().into_iter().chain(ranges::too_many());
    cases.chain(too_many).map(vector).collect()
}

/// A frame whose last empty list is made one of so many items.
pub(super) fn repeated(frame: &[u8], item: &[u8], count: usize) -> Value {
    let at = frame.iter().rposition(|byte| *byte == 0x80).unwrap();
    let (before, after) = (&frame[..at], &frame[at + 1..]);
    let head = match u8::try_from(count) {
        Ok(count) => vec![0x98, count],
        Err(_) => [&[0x99], &(count as u16).to_be_bytes()[..]].concat(),
    };
    json!([
        [hex([before, &head].concat()), 1],
        [hex(item), count],
        [hex(after), 1]
    ])
}
