//! Files: threads that are carried, and keys under a passphrase.

use ipld_core::ipld::Ipld;
use threads_core::block::{self, Block};
use threads_core::{Error, ErrorKind};
use threads_db::fuzzing;

use crate::check::{canonical, refused};
use crate::seeds::{CONTEXT, PASSPHRASE, SECRET, device, keystore_peer};

/// What a secret may ask for here at most, in KiB and passes: the least that opens.
const CHEAP: (i128, i128) = (19 * 1024, 2);

fn damaged(error: &Error) {
    let kinds = [
        ErrorKind::Invalid,
        ErrorKind::Unsupported,
        ErrorKind::Corrupt,
    ];
    refused(error, &kinds);
}

/// A CAR file (after a 0), or blocks to write as one: no mutation finds the hash of a block.
pub(crate) fn car(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    if *mode == 0 {
        match fuzzing::read_car(rest) {
            Ok((roots, blocks)) if roots.len() == 1 => {
                assert_eq!(fuzzing::write_car(roots[0], &blocks).unwrap(), rest);
            }
            Ok(_) => {}
            Err(error) => damaged(&error),
        }
        return;
    }
    let block = |bytes: &[u8]| match bytes.first() {
        Some(b'r') => Block::raw(bytes),
        _ => Block::cbor(bytes),
    };
    let blocks: Vec<_> = rest.split(|byte| *byte == *mode).map(block).collect();
    let Some(root) = blocks.last().map(|block| *block.cid()) else {
        return;
    };
    let file = fuzzing::write_car(root, &blocks).unwrap();
    assert_eq!(fuzzing::read_car(&file).unwrap(), (vec![root], blocks));
    // Cut anywhere, it is refused: the root comes last.
    if let Some(byte) = rest.first() {
        let cut = usize::from(*byte) % file.len();
        if let Ok((_, blocks)) = fuzzing::read_car(&file[..cut]) {
            assert!(blocks.iter().any(|block| *block.cid() == root));
        }
    }
}

/// The content of a snapshot (after a 0), to be opened by a new device (after a 1), or what a file says of the one in
/// it. What opens can be verified, and read.
pub(crate) fn snapshot(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let refusals = [
        ErrorKind::Rejected,
        ErrorKind::Corrupt,
        ErrorKind::Invalid,
        ErrorKind::Unsupported,
        ErrorKind::Unavailable,
    ];
    match mode {
        0 => match fuzzing::recode_snapshot(rest) {
            Ok(bytes) => assert_eq!(bytes, rest),
            Err(error) => refused(&error, &[ErrorKind::Rejected]),
        },
        1 => {
            let db = device();
            match fuzzing::open_snapshot(&db, rest) {
                Ok(()) => {
                    db.verify(&mut |_| ()).unwrap();
                    db.missing_codecs().unwrap();
                }
                Err(error) => refused(&error, &refusals),
            }
        }
        _ => match fuzzing::recode_manifest(rest) {
            Ok(bytes) => assert_eq!(bytes, rest),
            Err(error) => refused(&error, &refusals),
        },
    }
}

/// Sealed secrets. Only one that was sealed with the passphrase opens, to what was sealed.
pub(crate) fn secret(input: &[u8]) {
    match fuzzing::recode_secret(input) {
        Ok(bytes) => assert_eq!(bytes, input),
        Err(error) => return refused(&error, &[ErrorKind::Corrupt, ErrorKind::Unsupported]),
    }
    canonical(input);
    if !is_cheap(input) {
        return;
    }
    match fuzzing::open_secret(input, PASSPHRASE, CONTEXT) {
        Ok(secret) => assert_eq!(secret, SECRET),
        Err(error) => refused(&error, &[ErrorKind::Invalid, ErrorKind::Corrupt]),
    }
}

/// A keystore's file (after a 0), or the body of one. Only what a keystore sealed opens, to the same
/// identity.
pub(crate) fn keystore(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let file = match mode {
        0 => rest.to_vec(),
        _ => fuzzing::keystore_of(rest),
    };
    match fuzzing::recode_keystore(&file) {
        Ok(bytes) => assert_eq!(bytes, file),
        Err(error) => return refused(&error, &[ErrorKind::Corrupt, ErrorKind::Unsupported]),
    }
    match fuzzing::open_keystore(&file) {
        Ok(peer) => assert_eq!(peer, keystore_peer()),
        Err(error) => refused(&error, &[ErrorKind::Invalid, ErrorKind::Corrupt]),
    }
}

fn is_cheap(secret: &[u8]) -> bool {
    let secret: Ipld = block::decode(secret).unwrap();
    let number = |name| match secret.get(name) {
        Ok(Some(Ipld::Integer(number))) => *number,
        _ => i128::MAX,
    };
    (number("m_kib"), number("t")) == CHEAP
}
