//! New keys for 1,000 members, against sealing as many keys alone.

use std::hint::black_box;

use threads_core::access::{self, Statement};
use threads_core::group::{GroupKeys, SealedToEach};
use threads_core::{ContentKey, EpochKeys, IdentityKey, PeerCard, ThreadId, Variant, system_rng};

use crate::Result;
use crate::bench::Bench;
use crate::clock::timed;
use crate::report::{Reach, Row};

const MEMBERS: usize = 1_000;
/// What a seal of the other side is bound to: as many bytes as ours.
const INFO: &[u8] = &[7; 100];

pub(crate) fn run(bench: &Bench) -> Result<Row> {
    let members = bench.size(MEMBERS);
    let rng = &mut system_rng();
    let thread = ThreadId::generate(Variant::AccessControlled, rng);
    let card = |_| IdentityKey::generate(&mut system_rng()).card();
    let cards: Vec<PeerCard> = (0..members).map(card).collect();
    let mut bytes = 0;
    let mut ours = || {
        let (seconds, made) = timed(|| {
            let rng = &mut system_rng();
            let keys = EpochKeys::generate(rng);
            let rekey = SealedToEach.rekey(&thread, &keys, &cards, &[], rng)?;
            Ok(access::encode(&[Statement::Rekey(rekey)])?)
        })?;
        bytes = made.len();
        Ok(seconds * 1_000.0)
    };
    let theirs = || {
        let (seconds, ()) = timed(|| {
            let rng = &mut system_rng();
            let key = ContentKey::generate(rng);
            for card in &cards {
                black_box(card.agreement().seal(INFO, &key, rng)?);
            }
            Ok(())
        })?;
        Ok(seconds * 1_000.0)
    };
    let figures = bench.in_turns(&mut ours, theirs)?;
    let what = (
        format!("new keys, sealed to {members} members, as the bytes of a statement"),
        "as many HPKE seals of one key",
    );
    Ok(Row::new("rekey", what, figures, "ms", Reach::AtMost(1.2))
        .note(format!("the statement has {bytes} B")))
}
