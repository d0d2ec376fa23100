//! How a run ends: everything is healed, and all must agree and fall silent.

use super::super::outcome::HEALED_MS_MAX;
use super::super::script::{Act, Step};
use super::{Played, World};

/// So far all clocks go forward when things are healed: nothing is dated ahead of any clock then.
const NIGHT_MS: u64 = 25 * 60 * 60 * 1_000;
/// So long nothing may be sent when all agree, in milliseconds.
const QUIET_MS: u64 = 120_000;

impl World<'_> {
    pub(super) fn settle(&mut self) -> Played {
        self.heal()?;
        self.until_quiet()?;
        self.compare()?;
        self.finish()?;
        if self.script.rules {
            let written = self.write_across()?;
            self.until_quiet()?;
            self.compare()?;
            self.compare_across(&written)?;
            self.check_keys()?;
        }
        Ok(())
    }

    pub(super) fn until_quiet(&mut self) -> Played {
        let end = self.now + HEALED_MS_MAX;
        // Ends: each turn takes time, and there is so much of it.
        loop {
            self.until_level(end)?;
            let among = self.among;
            self.run_until(self.now + QUIET_MS)?;
            if self.among == among {
                return Ok(());
            }
        }
    }

    /// Goes on until nothing is under way and all are level.
    fn until_level(&mut self, end: u64) -> Played {
        while self.pending > 0 || !self.is_level()? {
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            if next.is_none_or(|at| at > end) {
                return self.fail(format!("the peers do not agree: {}", self.standings()));
            }
            self.next()?;
        }
        if self.now > end {
            return self.fail("all agree, and there is always something to send");
        }
        Ok(())
    }

    fn heal(&mut self) -> Played {
        self.digest.add(b"heal");
        self.net.heal_all();
        self.night_ms = NIGHT_MS;
        for at in 0..self.peers.len() {
            self.peers[at].skew_ms = 0;
            self.peers[at].stop_checking();
            if let Some(disk) = self.peers[at]
                .disk
                .as_ref()
                .filter(|disk| disk.is_failing())
            {
                disk.repair();
            }
            self.exchange(at, false)?;
            if self.peers[at].up.is_none() {
                self.start(at, false)?;
            }
            for other in at + 1..self.peers.len() {
                self.meet(at, other);
            }
        }
        Ok(())
    }

    /// Whether all have the same records, and know it.
    fn is_level(&self) -> Played<bool> {
        let first = self.oracle.visible(0);
        let remaining = match self.script.rules {
            true => self.level_in_the_end()?,
            false => self.remaining(),
        };
        if remaining.iter().any(|at| self.oracle.visible(*at) != first) {
            return Ok(false);
        }
        let doubles = self.doubles();
        for at in &remaining {
            let Some(up) = &self.peers[*at].up else {
                return Ok(false);
            };
            let status = self.sound(*at, "cannot say where it stands", up.db.sync_status())?;
            let in_sync = match self.script.rules {
                false => status.held.quarantined == 0 && (doubles || status.is_in_sync()),
                true => {
                    let ids: Vec<_> = remaining.iter().map(|at| self.ids[*at]).collect();
                    let mut others = status.peers.iter();
                    let level = others.all(|other| !ids.contains(&other.peer) || other.is_level());
                    let settled = self.is_settled(&up.db);
                    self.sound(*at, "does not tell what it holds", settled)? && (doubles || level)
                }
            };
            // What stands and a clock that was wrong kept apart is tried again.
            if !in_sync {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether requests came twice. Who answers one a second time believes that the second answer was
    /// heard, so a peer may know of less than there is until the two meet again.
    fn doubles(&self) -> bool {
        let doubles = |step: &Step| matches!(step.act, Act::Duplicate { permille } if permille > 0);
        self.script.steps.iter().any(doubles)
    }

    /// How far each peer has got, to be read by a person.
    fn standings(&self) -> String {
        let mut text = String::new();
        for (at, peer) in self.peers.iter().enumerate() {
            let heads = self
                .oracle
                .visible(at)
                .map(|heads| heads.values().collect::<Vec<_>>());
            text += &format!("\n  peer {at} has {heads:?}");
            let Some(Ok(status)) = peer.up.as_ref().map(|up| up.db.sync_status()) else {
                continue;
            };
            for other in status.peers.iter().filter(|other| !other.is_level()) {
                let about = self.ids.iter().position(|id| *id == other.peer);
                let (lacks, missing) = (other.lacks, other.missing);
                text += &format!("; of {about:?} it says lacks {lacks}, missing {missing}");
            }
            text += &format!(
                "; held {:?}; {:?}",
                status.held,
                peer.up.as_ref().map(|up| &up.machine)
            );
        }
        text
    }

    /// Compares the states of all, and verifies them.
    fn compare(&mut self) -> Played {
        let mut first: Option<Vec<u8>> = None;
        for at in 0..self.peers.len() {
            let Some(up) = &self.peers[at].up else {
                return self.fail(format!("peer {at} does not run"));
            };
            let report = self.sound(at, "cannot be verified", up.db.verify(&mut |_| ()))?;
            if !report.is_clean() {
                return self.fail(format!("peer {at} does not verify: {:?}", report.problems));
            }
            if self.may_go.contains(&at) || self.script.blind.contains(&at) {
                continue;
            }
            let state = self.sound(at, "has no state", self.lab.state(&up.db))?;
            let first = first.get_or_insert_with(|| state.clone());
            if *first != state {
                let (first, state) = (first.escape_ascii(), state.escape_ascii());
                return self.fail(format!(
                    "the same records give two states\n  peer 0: {first}\n  peer {at}: {state}"
                ));
            }
            self.digest.add(&state);
        }
        self.compare_rules()
    }
}
