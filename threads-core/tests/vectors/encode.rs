//! Canonical DAG-CBOR, and what looks like it, written from the specification.

fn head(major: u8, number: u64) -> Vec<u8> {
    let (info, size) = match number {
        0..24 => return vec![major << 5 | number as u8],
        24..0x100 => (24, 1),
        0x100..0x1_0000 => (25, 2),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 8),
    };
    let mut bytes = vec![major << 5 | info];
    bytes.extend_from_slice(&number.to_be_bytes()[8 - size..]);
    bytes
}

pub(crate) fn uint(number: u64) -> Vec<u8> {
    head(0, number)
}

pub(crate) fn blob(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [head(2, bytes.len() as u64), bytes.to_vec()].concat()
}

pub(crate) fn string(text: &str) -> Vec<u8> {
    [head(3, text.len() as u64), text.as_bytes().to_vec()].concat()
}

pub(crate) fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

/// A map whose members stay in the order given.
pub(crate) fn unsorted(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = head(5, members.len() as u64);
    for (name, value) in members {
        bytes.extend(string(name));
        bytes.extend_from_slice(value);
    }
    bytes
}

pub(crate) fn map(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut sorted = members.to_vec();
    sorted.sort_by_key(|(name, _)| (name.len(), *name));
    unsorted(&sorted)
}
