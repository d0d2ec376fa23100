//! Scripts of threads with access rules.

use threads_core::access::Role;
use threads_core::rand_core::Rng;

use super::super::script::{Act, In, Says, Script};
use super::{Maker, SPAN_MS, script};
use crate::sim::trace::chance;

/// How many statements there are at most, but for those that make admins.
const STATEMENTS_MAX: u64 = 14;
/// Who may be taken out: so few of the last peers, so that others remain to agree.
const MAY_GO_MAX: usize = 3;

/// The script of a seed, of a thread with access rules: that of [`script`](script()), and
/// what peers state meanwhile.
///
/// ```
/// use threads_conformance::sim::generate::ruled;
/// assert!(ruled(7).rules);
/// assert_eq!(ruled(7), ruled(7));
/// ```
pub fn ruled(seed: u64) -> Script {
    let Script { peers, steps, .. } = script(seed);
    let mut maker = Maker {
        rng: chance(seed, "rules"),
        peers,
        steps,
    };
    let may_go = peers - 1 - maker.below(peers.min(MAY_GO_MAX) as u64) as usize..peers;
    // Some keep the thread who cannot read it.
    let is_blind = |maker: &mut Maker<_>, peer: usize| peer > 1 && maker.below(4) == 0;
    let blind: Vec<_> = (0..peers)
        .filter(|peer| is_blind(&mut maker, *peer))
        .collect();
    let readers: Vec<_> = (0..peers).filter(|peer| !blind.contains(peer)).collect();
    for admin in readers.iter().skip(1).take(2) {
        let (to, role) = (Some(*admin), Role::Write);
        let scope = In::Acl;
        let at_ms = maker.below(SPAN_MS / 4);
        let says = Says::Grant { to, scope, role };
        maker.push(at_ms, Act::State { peer: 0, says });
    }
    for _ in 0..2 + maker.below(STATEMENTS_MAX - 2) {
        let at_ms = SPAN_MS / 8 + maker.below(SPAN_MS);
        // Mostly by those who may.
        let peer = readers[maker.below(readers.len().min(3) as u64) as usize];
        let (peer, says) = maker.statement(peer, may_go.clone(), &readers);
        maker.push(at_ms, Act::State { peer, says });
        // What it is about, and who states it, write about that time.
        for writer in [says.target(), Some(peer)].into_iter().flatten() {
            let after_ms = maker.below(2_000);
            maker.write_by(writer, (at_ms + after_ms).saturating_sub(500));
        }
    }
    if maker.below(2) == 0 {
        // What is written alone can be erased alone.
        maker.steps.iter_mut().for_each(|step| {
            if let Act::Write { changes, .. } = &mut step.act {
                *changes = 1;
            }
        });
    }
    maker.steps.sort_by_key(|step| step.at_ms);
    Script {
        seed,
        peers,
        rules: true,
        blind,
        steps: maker.steps,
    }
}

impl<R: Rng> Maker<R> {
    /// Something that a peer states, or another one, if that is about itself.
    fn statement(
        &mut self,
        peer: usize,
        may_go: std::ops::Range<usize>,
        readers: &[usize],
    ) -> (usize, Says) {
        let goes = may_go.start.max(1) + self.below(may_go.len() as u64) as usize;
        let goes = goes.min(self.peers - 1);
        let other = Some(self.peer());
        let entity = self.below(8) as u32;
        let grant = |to, scope, role| Says::Grant { to, scope, role };
        let revoke = |from, scope, role| Says::Revoke { from, scope, role };
        let reader = Some(readers[self.below(readers.len() as u64) as usize]);
        let says = match self.below(18) {
            0 | 1 => revoke(Some(goes), In::Thread, Role::Replicate),
            2 => revoke(Some(goes), In::Thread, Role::Read),
            3 => return (goes, Says::Leave),
            4 => revoke(other, In::Thread, Role::Write),
            5 => revoke(other, In::Thread, Role::Delete),
            6 => revoke(other, In::Acl, Role::Write),
            7 => grant(other, In::Thread, Role::Delete),
            8 => grant(other, In::Entity(entity), Role::Write),
            9 => revoke(other, In::Entity(entity), Role::Write),
            10 => Says::Restrict { entity },
            13 => grant(reader, In::Thread, Role::Write),
            11 => return (0, Says::Checkpoint),
            14..=16 => Says::Purge { entity },
            12 if self.below(2) == 0 => revoke(None, In::Thread, Role::Delete),
            12 => grant(None, In::Thread, Role::Delete),
            _ => Says::Rotate,
        };
        (peer, says)
    }
}
