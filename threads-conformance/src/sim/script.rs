//! What happens in a run, as data.
//!
//! ```
//! use threads_conformance::sim::script::{Act, Script, Step};
//!
//! let crash = Step { at_ms: 1_500, act: Act::Crash { peer: 1, commits: 0 } };
//! let script = Script { seed: 7, peers: 2, rules: false, blind: vec![], steps: vec![crash] };
//! let text = script.to_string();
//! assert_eq!(text.parse::<Script>().unwrap(), script);
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use threads_core::Error;

mod says;

pub use says::{In, Says};

/// The most peers of a script.
pub const PEERS_MAX: usize = 8;
/// The furthest that a clock is set wrong, in milliseconds.
pub const SKEW_MS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// What happens to so many peers, and the seed of all chance in it. As text it is JSON. See the
/// [module](self) for an example.
#[expect(clippy::exhaustive_structs, reason = "scripts are written by hand too")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The seed of latencies, losses and keys.
    pub seed: u64,
    /// How many peers there are: 2 to [`PEERS_MAX`].
    pub peers: usize,
    /// Whether the thread has access rules. Its root is the first peer, who lets the others in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rules: bool,
    /// Peers that have the thread and never could read it; never the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blind: Vec<usize>,
    /// What happens, in the order of time.
    pub steps: Vec<Step>,
}

/// Something that happens. See the [module](self) for an example.
#[expect(clippy::exhaustive_structs, reason = "scripts are written by hand too")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When, in milliseconds since the beginning.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub act: Act,
}

/// What can happen. Peers are numbered from 0. See the [module](self) for an example.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// A peer commits a transaction of so many changes, chosen by `seed`.
    Write {
        /// The peer.
        peer: usize,
        /// What it writes.
        seed: u64,
        /// How many changes.
        changes: u32,
        /// Whether a crash may take it.
        relaxed: bool,
    },
    /// A peer states something about who may do what, if there are rules and it may.
    State {
        /// The peer.
        peer: usize,
        /// What it says.
        says: Says,
    },
    /// Nothing goes from one peer to another any more.
    Cut {
        /// Who is not heard.
        from: usize,
        /// Who does not hear.
        to: usize,
    },
    /// The end of a cut.
    Heal {
        /// Who is heard again.
        from: usize,
        /// Who hears again.
        to: usize,
    },
    /// The power of a peer fails, once it has made so many more commits; what is not synced is lost.
    Crash {
        /// The peer.
        peer: usize,
        /// How many commits it still makes.
        commits: u32,
    },
    /// A peer that has crashed starts again.
    Restart {
        /// The peer.
        peer: usize,
        /// Whether it has its disk, or a new one. It has its disk in any case while that is the only
        /// one with something that others have seen.
        disk: bool,
    },
    /// A peer makes a backup of what is on its disk.
    Backup {
        /// The peer.
        peer: usize,
    },
    /// A peer that has crashed starts again with its last backup in the place of its disk, and so may
    /// fork its log. It has its disk in any case where it made none, or while that is the only one with
    /// something that others have seen.
    PutBack {
        /// The peer.
        peer: usize,
    },
    /// A peer does something of the lab's own, chosen by `seed`: see [`Lab::act`](super::lab::Lab::act).
    Own {
        /// The peer.
        peer: usize,
        /// What it does.
        seed: u64,
    },
    /// A peer's program is exchanged: it starts again on its disk, and lacks [parts](super::lab::Lab::equip_less)
    /// of what the lab needs, or has all.
    Equip {
        /// The peer.
        peer: usize,
        /// Whether it lacks parts.
        lacks: bool,
    },
    /// A peer drops old records, if others that dropped none have all that is on its disk.
    Compact {
        /// The peer.
        peer: usize,
        /// What it keeps, as [`Keep`](threads_db::Keep) is written.
        keep: String,
    },
    /// A peer that has crashed starts again with a new disk, from a snapshot that another one writes to a file.
    /// It has its disk in any case while that is the only one with something that others have seen, while the
    /// other one can make no snapshot, and while its clock is behind that of the other one.
    Anew {
        /// The peer.
        peer: usize,
        /// Who makes the snapshot.
        of: usize,
    },
    /// A peer's clock is set wrong.
    Clock {
        /// The peer.
        peer: usize,
        /// By so much.
        skew_ms: i64,
    },
    /// A peer and its links take so many times as long for everything.
    Slow {
        /// The peer.
        peer: usize,
        /// How many times as long.
        factor: u64,
    },
    /// A peer receives and sends nothing for a while.
    Silent {
        /// The peer.
        peer: usize,
        /// For so long.
        for_ms: u64,
    },
    /// So many of a thousand frames are lost.
    Loss {
        /// How many.
        permille: u32,
    },
    /// So many of a thousand requests arrive twice.
    Duplicate {
        /// How many.
        permille: u32,
    },
}

impl Act {
    /// The peers that it names.
    ///
    /// ```
    /// use threads_conformance::sim::script::Act;
    /// assert_eq!(Act::Cut { from: 0, to: 2 }.peers(), [0, 2]);
    /// ```
    pub fn peers(&self) -> Vec<usize> {
        match self {
            Self::Cut { from, to } | Self::Heal { from, to } => vec![*from, *to],
            Self::Anew { peer, of } => vec![*peer, *of],
            Self::State { peer, says } => [*peer].into_iter().chain(says.target()).collect(),
            Self::Write { peer, .. }
            | Self::Crash { peer, .. }
            | Self::Restart { peer, .. }
            | Self::Backup { peer }
            | Self::PutBack { peer }
            | Self::Own { peer, .. }
            | Self::Equip { peer, .. }
            | Self::Compact { peer, .. }
            | Self::Clock { peer, .. }
            | Self::Slow { peer, .. }
            | Self::Silent { peer, .. } => vec![*peer],
            Self::Loss { .. } | Self::Duplicate { .. } => Vec::new(),
        }
    }
}

impl Script {
    /// The peers that may be taken out, or may be kept from reading, in the course of it.
    ///
    /// ```
    /// assert!(threads_conformance::sim::generate::script(7).may_go().is_empty(), "it has no rules");
    /// ```
    pub fn may_go(&self) -> BTreeSet<usize> {
        let mut may_go = BTreeSet::new();
        for step in &self.steps {
            match step.act {
                Act::State { peer, says } if says.takes_out() => {
                    may_go.insert(says.target().unwrap_or(peer));
                }
                _ => {}
            }
        }
        may_go
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Script {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let script: Self = serde_json::from_str(text)
            .map_err(|cause| Error::invalid("this is no script").caused_by(cause))?;
        let named = script.steps.iter().flat_map(|step| step.act.peers());
        let named = named.chain(script.blind.iter().copied()).max();
        let blind = script.blind.contains(&0);
        let in_order = script.steps.is_sorted_by_key(|step| step.at_ms);
        if !(2..=PEERS_MAX).contains(&script.peers)
            || named >= Some(script.peers)
            || !in_order
            || blind
        {
            let error = "a script has 2 to 8 peers of which the first can read, names no others, and steps in the order of time";
            return Err(Error::invalid(error));
        }
        Ok(script)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]
    use super::*;

    #[test]
    fn what_cannot_be_played_is_no_script() {
        let text = |peers, at, peer| {
            format!(
                r#"{{"seed":1,"peers":{peers},"steps":[{{"at_ms":5,"act":"loss","permille":1}},{{"at_ms":{at},"act":"slow","peer":{peer},"factor":2}}]}}"#
            )
        };
        assert!(text(2, 5, 1).parse::<Script>().is_ok());
        for wrong in [text(2, 5, 2), text(2, 4, 1), text(1, 5, 0), text(9, 5, 0)] {
            assert!(wrong.parse::<Script>().is_err(), "{wrong}");
        }
    }
}
