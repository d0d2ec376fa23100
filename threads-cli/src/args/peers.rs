//! What the user can type to share threads and to reach peers.

use std::time::Duration;

use clap::Args;
use threads_core::{Multiaddr, PeerCard, PeerId};
use threads_db::{Invite as InviteText, Role};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Listen here, such as /ip4/0.0.0.0/tcp/4001; repeatable [default: every interface, a free port]
    #[arg(long, value_name = "MULTIADDR")]
    pub(crate) listen: Vec<Multiaddr>,
    /// Do not look for peers in the local network
    #[arg(long)]
    pub(crate) no_mdns: bool,
    /// How peers that moved are found through others: not at all, by asking them, or also by answering
    /// them, for a machine that others can call
    #[arg(long, value_name = "PART", default_value = "client")]
    pub(crate) hash_table: HashTablePart,
    /// Take no more of threads that this repository cannot read, and keeps for others, once they have
    /// this size, such as 500M or 2G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) replica_quota: Option<u64>,
}

/// A part in the distributed hash table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum HashTablePart {
    Off,
    Client,
    Server,
}

#[derive(Debug, Args)]
pub(crate) struct Invite {
    /// A thread's name or id
    pub(crate) db: String,
    /// What who accepts may do: write, read or replicate
    #[arg(long)]
    pub(crate) role: Role,
    /// Only for this peer: the card that its `threads id` prints
    #[arg(long, value_name = "CARD")]
    pub(crate) to: Option<PeerCard>,
    /// How long it is good, such as 30m, 12h or 7d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration)]
    pub(crate) expires: Duration,
    /// How many may use it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) uses: u32,
    /// Where you can be reached; repeatable [default: where `threads serve` listens]
    #[arg(long, value_name = "MULTIADDR")]
    pub(crate) addr: Vec<Multiaddr>,
    /// Draw it as a QR code too
    #[arg(long)]
    pub(crate) qr: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeInvite {
    /// A thread's name or id
    pub(crate) db: String,
    /// The invite's id, of `threads invites DB`
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Join {
    /// The invite
    pub(crate) invite: InviteText,
    /// What to call the thread here [default: its name there]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Begin with a snapshot that a peer keeps, as who invites signed for it, and get no records before it
    #[arg(long)]
    pub(crate) from_snapshot: bool,
    /// Take the word of this peer for it, in place of who invites; may be given more than once
    #[arg(long, value_name = "PEER", requires = "from_snapshot")]
    pub(crate) trust: Vec<PeerId>,
    /// How many of those have to say the same
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        requires = "from_snapshot"
    )]
    pub(crate) signers: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// A thread's name or id
    pub(crate) db: String,
    /// Who asks, of `threads invites DB`
    pub(crate) peer: PeerId,
}

#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// Where the peer is, ending in /p2p/ and its id
    pub(crate) addr: Multiaddr,
}

#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// A thread's name or id
    pub(crate) db: String,
    /// Wait until every reachable peer agrees
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait at most so many seconds
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub(crate) timeout: u64,
}

/// A number of bytes, or of `K`, `M`, `G` or `T`: 1,000 bytes, and so on.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "give a number of bytes, or one and K, M, G or T, such as 500M".to_owned();
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let factor = match &text[digits.len()..] {
        "" => 1,
        "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// A number and `s`, `m`, `h` or `d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "give a number and s, m, h or d, such as 7d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(seconds).ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_a_number_and_perhaps_a_unit() {
        assert_eq!(size("1500"), Ok(1_500));
        assert_eq!(size("500M"), Ok(500_000_000));
        assert_eq!(size("2T"), Ok(2_000_000_000_000));
        for wrong in ["", "M", "1MM", "1KB", "-1", "1.5G", "99999999999T", "1µ"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_a_number_and_a_unit() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("7d").unwrap(), Duration::from_secs(7 * 86_400));
        for wrong in ["", "7", "d", "-1d", "1w", "99999999999999999999d", "1é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
