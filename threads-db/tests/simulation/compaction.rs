//! Peers that drop old records, and peers that begin with a snapshot, while events come late.

use std::collections::BTreeSet;

use threads_conformance::sim::generate::Also;
use threads_conformance::sim::seeds;
use threads_core::{Error, Result};
use threads_db::Db;

use crate::codecs::Mixed;

/// All codecs where peers compact. That all have the same state in the end, whether or not they dropped something,
/// is seen to by the simulator.
pub(super) fn compacting(also: &'static [Also]) -> Mixed {
    Mixed {
        check: |peers| {
            nothing_is_lost(peers)?;
            peers.iter().try_for_each(|db| nothing_waits(db))
        },
        ..Mixed::with(also)
    }
}

/// What waited for older records has got them: somebody has all of them.
fn nothing_waits(db: &Db) -> Result<()> {
    match db.base()? {
        Some(base) if base.waiting > 0 => Err(Error::corrupt(
            "records wait for older ones, which others have",
        )
        .with("waiting", base.waiting)),
        _ => Ok(()),
    }
}

/// Each record is with somebody.
fn nothing_is_lost(peers: &[&Db]) -> Result<()> {
    let mut kept = BTreeSet::new();
    let mut due = 0;
    for db in peers {
        let all: u64 = db.sync_status()?.logs.iter().map(|log| log.have).sum();
        due = due.max(all);
        kept.extend(
            db.log(None)?
                .into_iter()
                .map(|entry| (entry.log, entry.seq)),
        );
    }
    match kept.len() as u64 == due {
        true => Ok(()),
        false => Err(Error::corrupt("records are lost")
            .with("kept", kept.len())
            .with("due", due)),
    }
}

#[test]
fn who_compacts_answers_as_everybody_else() {
    let also = &[Also::NoBackups, Also::Compacts, Also::Snapshots];
    seeds::check(&compacting(also), seeds::from_env(20));
}
