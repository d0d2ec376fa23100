//! What must hold while a run goes on.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::books::HeadBook;
use threads_core::datastore::Datastore;
use threads_core::{Cid, LogId, PeerId, Result, ThreadId};
use threads_db::sync::SyncStatus;

use super::peer::Peer;

/// How far each log has got.
pub(super) type Heads = BTreeMap<LogId, u64>;

/// What has been seen so far.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// How far the logs have got on each peer since it started.
    visible: BTreeMap<usize, Heads>,
    /// What each peer has on the disk it has now.
    synced: BTreeMap<usize, Heads>,
    /// The most that each peer ever had on a disk.
    ever_synced: BTreeMap<usize, Heads>,
    /// Who showed a log first: who writes it.
    writers: BTreeMap<LogId, usize>,
    /// The record of each place that was a head.
    records: BTreeMap<(LogId, u64), Cid>,
    /// Who holds records back that it does not have yet.
    holding: BTreeSet<usize>,
    /// Who has begun anew with an empty disk, or with a backup, or dropped old records.
    lost_disk: BTreeSet<usize>,
    /// Whether a backup was put back. From then on logs may be forked: their lines end earlier than
    /// they did, and what a number was about is not what it is about.
    forks: bool,
    /// Who does not have all records up to its heads: others find no older ones there.
    partial: BTreeSet<usize>,
    /// How many commits of each peer have been looked at.
    commits: BTreeMap<usize, u64>,
}

/// The heads of a thread in a store.
fn heads(store: &dyn Datastore, thread: &ThreadId) -> Result<BTreeMap<LogId, (u64, Cid)>> {
    let txn = store.read()?;
    let heads = HeadBook::new(&*txn).all(thread)?.into_iter();
    Ok(heads
        .map(|(log, head)| (log, (head.seq, head.record)))
        .collect())
}

/// How far a log has got.
fn of(heads: Option<&Heads>, log: &LogId) -> u64 {
    heads.and_then(|heads| heads.get(log)).copied().unwrap_or(0)
}

impl Oracle {
    /// A peer starts, with its disk or a new one.
    pub(super) fn starts(&mut self, at: usize, lost_disk: bool) {
        self.commits.remove(&at);
        if lost_disk && self.visible.contains_key(&at) {
            self.lost_disk.insert(at);
        }
        // What it had on disk it must show again.
        let kept = self.synced.get(&at).filter(|_| !lost_disk);
        let kept = kept.cloned().unwrap_or_default();
        // What it had not synced, nobody saw: it writes those places anew.
        self.records.retain(|(log, seq), _| {
            self.writers.get(log) != Some(&at) || *seq <= of(Some(&kept), log)
        });
        self.visible.insert(at, kept);
    }

    /// A peer starts with a backup in the place of its disk.
    pub(super) fn goes_back(&mut self, at: usize) {
        self.forks = true;
        self.lost_disk.insert(at);
        self.synced.remove(&at);
    }

    /// Looks at a peer that did something; says what is wrong, if anything is.
    pub(super) fn look(
        &mut self,
        at: usize,
        peer: &Peer,
        peers: &[PeerId],
    ) -> Result<Option<String>> {
        let Some(up) = &peer.up else { return Ok(None) };
        let commits = peer.disk.as_ref().map(|disk| disk.commits());
        if commits.is_some() && commits == self.commits.get(&at).copied() {
            return Ok(None);
        }
        self.commits.extend(commits.map(|commits| (at, commits)));
        let thread = up.db.id();
        let shown = heads(peer.store(), thread)?;
        let synced = match &peer.disk {
            Some(disk) => heads(&disk.synced(), thread)?,
            None => shown.clone(),
        };
        let ever = self.ever_synced.entry(at).or_default();
        for (log, (seq, _)) in &synced {
            let known = ever.entry(*log).or_insert(0);
            *known = (*known).max(*seq);
        }
        let synced = synced.into_iter().map(|(log, (seq, _))| (log, seq));
        self.synced.insert(at, synced.collect());
        match up.db.base()?.is_some() {
            true => {
                // What it signed for before it cannot show.
                self.lost_disk.insert(at);
                self.partial.insert(at)
            }
            false => self.partial.remove(&at),
        };
        let status = up.db.sync_status()?;
        match status.held.pending + status.held.quarantined {
            0 => self.holding.remove(&at),
            _ => self.holding.insert(at),
        };
        let wrong = self.heads(at, &shown);
        Ok(wrong.or_else(|| self.acknowledged(at, peers, &status)))
    }

    fn heads(&mut self, at: usize, shown: &BTreeMap<LogId, (u64, Cid)>) -> Option<String> {
        let before = self.visible.entry(at).or_default();
        if self.forks {
            *before = shown.iter().map(|(log, (seq, _))| (*log, *seq)).collect();
            return None;
        }
        for (log, seq) in before.iter() {
            let now = shown.get(log).map_or(0, |(seq, _)| *seq);
            if now < *seq {
                return Some(format!(
                    "log {log} went back from {seq} to {now} on peer {at}"
                ));
            }
        }
        for (log, (seq, record)) in shown {
            before.insert(*log, *seq);
            let writer = *self.writers.entry(*log).or_insert(at);
            let synced = of(self.ever_synced.get(&writer), log);
            if writer != at && *seq > synced {
                return Some(format!(
                    "peer {at} has {seq} records of log {log}, of which its writer, peer {writer}, had {synced} on disk"
                ));
            }
            if *self.records.entry((*log, *seq)).or_insert(*record) != *record {
                return Some(format!(
                    "log {log} was forked at {seq}: peer {at} has another record"
                ));
            }
        }
        None
    }

    fn acknowledged(&self, at: usize, peers: &[PeerId], status: &SyncStatus) -> Option<String> {
        let logs = status.logs.iter().filter(|_| !self.forks);
        for log in logs {
            for (peer, said) in &log.acked {
                let about = peers.iter().position(|id| id == peer)?;
                let synced = of(self.ever_synced.get(&about), &log.log);
                if *said > synced {
                    return Some(format!(
                        "peer {at} notes that peer {about} has {said} records of log {} on its disk, which never had more than {synced}",
                        log.log
                    ));
                }
            }
            for (peer, signed) in &log.signed {
                let about = peers.iter().position(|id| id == peer)?;
                let synced = of(self.ever_synced.get(&about), &log.log);
                if *signed > synced {
                    return Some(format!(
                        "peer {about} signed to peer {at} for {signed} records of log {}, and never had more than {synced} on its disk",
                        log.log
                    ));
                }
            }
        }
        self.lost_standing(at, peers, status)
    }

    /// A peer that never lost a disk shows all that it signed for, if it answers.
    fn lost_standing(&self, at: usize, peers: &[PeerId], status: &SyncStatus) -> Option<String> {
        let failed = status.peers.iter().find_map(|peer| {
            let failed = peer
                .failed_check
                .as_ref()
                .filter(|failed| failed.answered)?;
            let about = peers.iter().position(|id| *id == peer.peer)?;
            (!self.lost_disk.contains(&about)).then_some((about, failed))
        });
        let (about, failed) = failed?;
        Some(format!(
            "peer {about} could not show peer {at} record {} of log {}, and never lost a disk",
            failed.seq, failed.log
        ))
    }

    /// Whether a peer can lose its disk with nothing lost that others have seen. What only those have who
    /// may be taken out may not come back.
    pub(super) fn is_spare(&self, at: usize, may_go: &BTreeSet<usize>) -> bool {
        if self.holding.iter().any(|other| *other != at) {
            // What is held may wait for what only this disk has.
            return false;
        }
        let mut kept = self.synced.clone();
        kept.retain(|peer, _| !may_go.contains(peer) && !self.partial.contains(peer));
        let most = |of_peers: &BTreeMap<usize, Heads>, log: &LogId| {
            let others = of_peers.iter().filter(|(other, _)| **other != at);
            others
                .map(|(_, heads)| of(Some(heads), log))
                .max()
                .unwrap_or(0)
        };
        let here = self.synced.get(&at).into_iter().flatten();
        let mut logs = here.map(|(log, seq)| (log, (*seq).min(most(&self.ever_synced, log))));
        logs.all(|(log, needed)| needed <= most(&kept, log))
    }

    /// Whether others that have all records have each that is on the disk of a peer.
    pub(super) fn is_kept_elsewhere(&self, at: usize) -> bool {
        let full = |other: &usize| *other != at && !self.partial.contains(other);
        let here = self.synced.get(&at).into_iter().flatten();
        let mut logs = here.map(|(log, seq)| {
            let others = self.synced.iter().filter(|(other, _)| full(other));
            *seq <= others
                .map(|(_, heads)| of(Some(heads), log))
                .max()
                .unwrap_or(0)
        });
        !self.holding.contains(&at) && logs.all(|kept| kept)
    }

    /// How far the logs have got on a peer.
    pub(super) fn visible(&self, at: usize) -> Option<&Heads> {
        self.visible.get(&at)
    }
}
