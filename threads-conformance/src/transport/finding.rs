//! Laws of finding peers.

use threads_core::transport::{FOUND_ADDRESSES_MAX, named_peer};

use super::Subject;
use super::ends::round_trip;
use crate::law::{Checked, Violation, ensure};

/// A transport has so many tries to make it known.
const TRIES_MAX: usize = 1000;

pub(super) fn what_is_provided_is_found(subject: &Subject) -> Checked {
    subject.both_ways(async |a, b| {
        let (key, other) = ([7; 32], [8; 32]);
        for _ in 0..TRIES_MAX {
            a.provide(&key).await?;
            let found = b.find(&key).await?;
            let few = found.len() <= FOUND_ADDRESSES_MAX;
            ensure(
                few,
                "looked for a key",
                format_args!("{} addresses", found.len()),
            )?;
            if found
                .iter()
                .any(|address| named_peer(address) == Some(a.local_peer()))
            {
                let wrong = b.find(&other).await?;
                let none = wrong.is_empty();
                return ensure(
                    none,
                    "looked for a key of nobody",
                    format_args!("{wrong:?}"),
                );
            }
            round_trip(a, b).await?;
        }
        let done = format_args!("provided a key and looked for it, {TRIES_MAX} times");
        Err(Violation::new(
            done,
            "never an address that names who provides it",
        ))
    })
}
