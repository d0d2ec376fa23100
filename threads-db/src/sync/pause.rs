//! Waiting longer after each failure.

use threads_core::Result;
use threads_core::rand_core::{CryptoRng, Rng};

use super::active::Link;
use super::limits::{PAUSE_MS, PAUSE_MS_MAX};
use super::wire::Answer;

/// Whether something may be tried, after how many failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pause {
    failures: u32,
    until_ms: u64,
}

impl Pause {
    /// When it may be tried again, if that is not now.
    pub(crate) fn until(&self, now_ms: u64) -> Option<u64> {
        (self.until_ms > now_ms).then_some(self.until_ms)
    }

    /// It failed: the next wait is twice as long, give or take a quarter, so that peers that
    /// failed together do not come back together.
    pub(crate) fn fail(&mut self, now_ms: u64, rng: &mut dyn Rng) {
        let doubled = PAUSE_MS.checked_shl(self.failures).unwrap_or(PAUSE_MS_MAX);
        let wait = doubled.clamp(PAUSE_MS, PAUSE_MS_MAX);
        let jitter = u64::from(rng.next_u32()) % (wait / 2 + 1);
        self.until_ms = now_ms.saturating_add(wait - wait / 4 + jitter);
        self.failures = self.failures.saturating_add(1);
    }

    /// A peer asked for so long a wait.
    pub(crate) fn wait(&mut self, now_ms: u64, ms: u64) {
        self.until_ms = now_ms.saturating_add(ms.clamp(1, PAUSE_MS_MAX));
    }

    /// There is a reason to try sooner, though not at once.
    pub(crate) fn shorten(&mut self, now_ms: u64, ms: u64) {
        self.until_ms = self.until_ms.min(now_ms.saturating_add(ms));
    }

    /// It worked.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A link's failure is remembered; a wait that the peer asks for is granted.
pub(super) fn put_off(link: &mut Link, answer: &Result<Answer>, now: u64, rng: &mut dyn CryptoRng) {
    match answer {
        Ok(Answer::Busy(ms)) => link.pause.wait(now, *ms),
        _ => link.pause.fail(now, rng),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_are_never_equal_for_long() {
        let (mut pause, mut rng) = (Pause::default(), threads_core::system_rng());
        assert_eq!(pause.until(0), None);
        let mut waits = Vec::new();
        for _ in 0..80 {
            pause.fail(0, &mut rng);
            waits.push(pause.until(0).unwrap());
        }
        assert!(waits[0] <= PAUSE_MS * 5 / 4 + 1, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= PAUSE_MS_MAX * 5 / 4 + 1));
        assert!(waits[20..].windows(2).any(|pair| pair[0] != pair[1]));
        pause.clear();
        assert_eq!(pause.until(0), None);
    }

    #[test]
    fn a_peer_cannot_make_us_wait_for_ever() {
        let mut pause = Pause::default();
        pause.wait(5, u64::MAX);
        assert_eq!(pause.until(5), Some(5 + PAUSE_MS_MAX));
    }
}
