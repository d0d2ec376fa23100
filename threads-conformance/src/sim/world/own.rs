//! What peers do besides writing: what labs have them do, programs that lack parts, compaction, snapshots.

use threads_core::ErrorKind;
use threads_db::{CompactOptions, Db, Keep};

use super::super::peer::anew;
use super::super::trace::chance;
use super::{Played, World, lie};

/// Those who look on do so after so many commits, and later after so large a part of all commits of the peer's
/// life: in between, changes add up.
const LOOK_AFTER: u64 = 2;
const LOOK_PART: u64 = 16;

impl World<'_> {
    /// A peer does something of the lab's own.
    pub(super) fn own(&mut self, at: usize, seed: u64) -> Played {
        self.set_clock(at);
        let Some(up) = self.reader(at) else {
            return Ok(());
        };
        let acted = self.lab.act(up, &mut chance(seed, "own"));
        if !self.has_failed(at) && !self.peers[at].lacks {
            self.sound(at, "cannot act", acted)?;
        }
        self.after(at)
    }

    /// The thread on a peer that runs and can read it.
    fn reader(&self, at: usize) -> Option<&Db> {
        let up = self.peers[at].up.as_ref();
        let up = up.filter(|_| !self.script.blind.contains(&at));
        up.map(|up| &up.db)
    }

    /// A peer's program is exchanged.
    pub(super) fn exchange(&mut self, at: usize, lacks: bool) -> Played {
        if self.peers[at].lacks == lacks {
            return Ok(());
        }
        self.peers[at].lacks = lacks;
        if self.peers[at].up.is_none() {
            return Ok(());
        }
        self.crash(at);
        self.start(at, false)
    }

    /// A peer drops old records, if nothing is lost by it.
    pub(super) fn compact(&mut self, at: usize, keep: &str) -> Played {
        self.set_clock(at);
        let keep: Keep = self.sound(at, "knows no such policy", keep.parse())?;
        let Some(db) = self
            .reader(at)
            .filter(|_| self.oracle.is_kept_elsewhere(at))
        else {
            return Ok(());
        };
        let mut options = CompactOptions::new(keep);
        options.even_alone = true;
        let compacted = db.compact(&options, &mut |_| ());
        self.tell(at, &compacted);
        match compacted {
            Ok(_) => {}
            Err(_) if self.has_failed(at) || self.peers[at].lacks => {}
            Err(error) if is_not_now(error.kind()) => {}
            Err(error) => return self.fail(format!("peer {at} cannot compact: {error}")),
        }
        self.after(at)
    }

    /// A peer that is down begins with a new disk and a snapshot of another peer.
    pub(super) fn anew(&mut self, at: usize, of: usize) -> Played {
        if !self.is_down(at) {
            return Ok(());
        }
        self.set_clock(of);
        let exported = self.reader(of).map(anew::export);
        let file = match exported {
            Some(Ok(file)) => Some(file),
            Some(Err(error))
                if !is_not_now(error.kind()) && !self.has_failed(of) && !self.peers[of].lacks =>
            {
                return self.fail(format!("peer {of} cannot make a snapshot: {error}"));
            }
            _ => None,
        };
        self.after(of)?;
        let spare = self.oracle.is_spare(at, &self.may_go);
        // What is dated ahead of a clock is held, and so would be what says who signed.
        let behind = self.peers[at].skew_ms < self.peers[of].skew_ms;
        let file = file.filter(|_| spare && !behind && !self.script.blind.contains(&at));
        if file.is_some() {
            self.peers[at].lose_disk(lie(self.plant));
        }
        self.start_from(at, file.is_some(), file)
    }

    /// Has those look on who do.
    pub(super) fn look_on(&mut self, at: usize) -> Played {
        if self.script.blind.contains(&at) || self.peers[at].lacks {
            return Ok(());
        }
        let commits = self.peers[at]
            .disk
            .as_ref()
            .map_or(self.events, |disk| disk.commits());
        let Some(up) = &mut self.peers[at].up else {
            return Ok(());
        };
        let due = up.watched + LOOK_AFTER + up.watched / LOOK_PART;
        if commits < due {
            return Ok(());
        }
        up.watched = commits;
        let looked = self.look_now(at);
        self.sound(at, "is seen to be wrong", looked)
    }

    fn look_now(&mut self, at: usize) -> threads_core::Result<()> {
        let Some(up) = &mut self.peers[at].up else {
            return Ok(());
        };
        if up.watches.is_empty() {
            up.watches = self.lab.watch(&up.db)?;
        }
        up.watches.iter_mut().try_for_each(|watch| watch.look())
    }

    /// Has the peers do what is left, and looks at them for the last time.
    pub(super) fn finish(&mut self) -> Played {
        for at in self.readers() {
            let looked = self.look_now(at);
            self.sound(at, "is seen to be wrong in the end", looked)?;
        }
        self.of_all("cannot finish", |lab, dbs| lab.finish(dbs))?;
        for at in self.readers() {
            self.after(at)?;
        }
        self.until_quiet()?;
        self.of_all("are wrong in the end", |lab, dbs| lab.check(dbs))
    }

    /// The peers that are there to the end and can read.
    fn readers(&self) -> Vec<usize> {
        let able = |at: &usize| !self.may_go.contains(at) && !self.script.blind.contains(at);
        (0..self.peers.len()).filter(able).collect()
    }

    fn of_all(
        &self,
        what: &str,
        work: impl FnOnce(&dyn super::super::lab::Lab, &[&Db]) -> threads_core::Result<()>,
    ) -> Played {
        let dbs: Vec<&Db> = self
            .readers()
            .into_iter()
            .filter_map(|at| self.reader(at))
            .collect();
        match work(self.lab, &dbs) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(format!("the peers {what}: {error}")),
        }
    }
}

/// Whether a snapshot is refused for what is not here yet, or for a fork.
fn is_not_now(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Unsupported)
}
