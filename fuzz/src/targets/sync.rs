//! What peers say to each other.

use threads_core::{ErrorKind, PeerCard};
use threads_db::{Invite, fuzzing};

use crate::check::{canonical, refused, text};

/// A frame of sync, taken as a request and as a reply.
pub(crate) fn frame(input: &[u8]) {
    for recoded in [fuzzing::recode_ask(input), fuzzing::recode_answer(input)] {
        match recoded {
            Ok(bytes) => {
                assert_eq!(bytes, input);
                canonical(input);
            }
            Err(error) => refused(&error, &[ErrorKind::Rejected]),
        }
    }
}

/// The texts of invites and cards, and the bytes in them under a checksum that is right.
pub(crate) fn invite(input: &[u8]) {
    let kinds = [
        ErrorKind::Invalid,
        ErrorKind::Rejected,
        ErrorKind::Unsupported,
    ];
    let under_a_checksum = ["invite", "peer"].map(|tag| threads_core::text::encode(tag, input));
    for shown in under_a_checksum {
        if let Err(error) = shown.parse::<Invite>() {
            refused(&error, &kinds);
        }
        if let Err(error) = shown.parse::<PeerCard>() {
            refused(&error, &kinds);
        }
    }
    if let Ok(shown) = std::str::from_utf8(input) {
        text::<Invite>(shown);
        text::<PeerCard>(shown);
    }
}
