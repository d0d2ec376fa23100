//! The lives of a peer: how one begins and ends.

use threads_core::Variant;
use threads_db::sync::Input;

use super::super::peer::Begin;
use super::{Event, Played, World, lie};

impl World<'_> {
    pub(super) fn start(&mut self, at: usize, new_disk: bool) -> Played {
        self.start_from(at, new_disk, None)
    }

    /// Starts a peer, which has the thread from a file if it is given one.
    pub(super) fn start_from(
        &mut self,
        at: usize,
        new_disk: bool,
        snapshot: Option<Vec<u8>>,
    ) -> Played {
        self.oracle.starts(at, new_disk);
        self.set_clock(at);
        let others = if new_disk {
            self.ids.clone()
        } else {
            Vec::new()
        };
        let place = (self.script.seed, at);
        let keys = self.keys.clone().ok_or(match self.script.rules {
            true => Variant::AccessControlled,
            false => Variant::Raw,
        });
        let begin = keys.map(|keys| match self.script.blind.contains(&at) {
            true => Begin::Keys(keys.without_read()),
            false => snapshot.map_or(Begin::Keys(keys), Begin::Snapshot),
        });
        let started = self.peers[at].start(self.lab, place, begin, &others);
        self.sound(at, "cannot start", started)?;
        if self.script.rules && self.keys.is_none() {
            self.let_in(at)?;
        }
        if let Some(up) = &self.peers[at].up {
            self.keys.get_or_insert_with(|| up.db.keys());
        }
        self.peers[at].busy_until = self.now;
        let life = self.peers[at].life;
        self.push(0, Event::Input(at, life, Input::Started));
        for other in (0..self.peers.len()).filter(|other| *other != at) {
            self.meet(at, other);
        }
        self.after(at)
    }

    pub(super) fn restart(&mut self, at: usize, disk: bool) -> Played {
        if !self.is_down(at) {
            return Ok(());
        }
        // What only one disk has is lost with it, and nobody can mend that.
        let new_disk = !disk && self.oracle.is_spare(at, &self.may_go);
        if new_disk {
            self.peers[at].lose_disk(lie(self.plant));
        }
        self.start(at, new_disk)
    }

    pub(super) fn put_back(&mut self, at: usize) -> Played {
        if !self.is_down(at) {
            return Ok(());
        }
        if self.oracle.is_spare(at, &self.may_go) && self.peers[at].put_back(lie(self.plant)) {
            self.oracle.goes_back(at);
        }
        self.start(at, false)
    }

    /// Whether a peer is down, or would be had it noticed that its power failed: then it crashes.
    pub(super) fn is_down(&mut self, at: usize) -> bool {
        if self.peers[at].disk.is_none() {
            return false;
        }
        if self.peers[at].up.is_some() {
            // Its power failed, and it has not noticed.
            if !self.peers[at]
                .disk
                .as_ref()
                .is_some_and(|disk| disk.is_failing())
            {
                return false;
            }
            self.crash(at);
        }
        true
    }

    pub(super) fn has_failed(&self, at: usize) -> bool {
        let disk = self.peers[at].disk.as_ref();
        disk.is_some_and(|disk| disk.has_failed())
    }

    pub(super) fn crash(&mut self, at: usize) {
        if self.peers[at].up.is_none() {
            return;
        }
        self.digest.add(b"crash");
        self.peers[at].crash();
        self.break_links(at);
    }
}
