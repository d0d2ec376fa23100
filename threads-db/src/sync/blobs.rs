//! Blobs between peers: who has any tells the list of those that are whole, and who wants some asks for their
//! blocks, a few at a time, of everybody who shares the thread.
//!
//! A block is named by what it is, so it is the same from whoever gives it, and wherever it breaks off what
//! came stays. Nobody is told of blobs of which nobody here has any.

use std::collections::{BTreeMap, BTreeSet};

use serde_bytes::ByteBuf;
use threads_core::rand_core::CryptoRng;
use threads_core::{Cid, PeerId, Result};

use super::conduct::{FORGED, STALE};
use super::io::{Done, Op};
use super::limits::{
    BLOB_CALLS_MAX, BLOB_LOOK_AFTER_MS, BLOCKS_ASKED_MAX, LISTS_ASKED_MAX, TELL_AFTER_MS,
};
use super::machine::{Call, Doing, Machine, unfit};
use super::pause::Pause;
use super::timers::Timer;
use super::wire::{Answer, Ask, BlobList, Claim};
use crate::blobs::wanted::{Place, Plan};
use crate::layout::Number;

/// An operation on the store.
#[derive(Debug)]
pub(crate) enum Blobbing {
    /// What a peer is to be told of the list here, and asked of its own.
    Greet(Number, PeerId),
    /// What a peer asks of the list here, and says of its own.
    List(PeerId, Claim, BlobList, BlobList),
    /// Take in a part of a peer's list.
    Take(Number, PeerId, BlobList, Vec<(u64, Cid)>),
    /// What is missing of the blobs from a place on, and in one of them from where an earlier round ended; and how
    /// these peers are asked.
    Plan(Number, (Option<Place>, Option<Place>), Vec<PeerId>),
    /// The blocks that a peer asks for.
    Serve(PeerId, Claim, Vec<Cid>),
    /// Keep what a peer gave, and note what it has not.
    Keep(Number, PeerId, Vec<(Cid, Vec<u8>)>, Vec<Cid>),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Blobbed {
    Greeting {
        /// `None` when there is nothing to be told, or asked.
        ask: Option<(Claim, BlobList, BlobList)>,
        /// Whether blobs are to be got.
        wanted: bool,
    },
    /// `None` when the peer has no right to ask.
    Listed(Option<Listed>),
    /// Whether blobs are wanted that were not, and whether the peer has more that are not known.
    Taken {
        new: bool,
        more: bool,
    },
    Planned(Plan, Vec<(PeerId, Claim)>),
    /// `None` when the peer has no right to ask.
    Served(Option<Vec<ByteBuf>>),
    Kept {
        /// Whether all that came was what it had to be.
        sound: bool,
        /// Whether anything of it is new here.
        gave: bool,
        /// Whether this node takes no more.
        full: bool,
    },
}

/// A part of the list here, for a peer.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) thread: Number,
    pub(crate) end: BlobList,
    pub(crate) blobs: Vec<(u64, Cid)>,
    /// Whether the peer's list has what this node wants and does not know.
    pub(crate) behind: bool,
}

/// The blobs that are being got, by thread.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    threads: BTreeMap<Number, Getting>,
    /// Who is being asked for a part of its list, and how often in a row.
    asked: BTreeMap<(Number, PeerId), u32>,
}

impl Fetching {
    pub(super) fn is_idle(&self) -> bool {
        self.threads.is_empty()
    }

    /// A peer is gone.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.asked.retain(|(_, asked), _| asked != peer);
        for getting in self.threads.values_mut() {
            getting.peers.remove(peer);
        }
    }
}

/// What is being got of a thread.
#[derive(Debug, Default)]
struct Getting {
    /// The blocks to ask for: who is asked for each now, and who has it not.
    wanted: BTreeMap<Cid, Wanted>,
    /// Who can be asked.
    peers: BTreeMap<PeerId, Asked>,
    /// Where the last plan ended, in this round.
    from: Option<Place>,
    /// Where the last plan ended within a blob: who begins anew goes on there, or it would take for ever to get to the
    /// end of a large one.
    mark: Option<Place>,
    /// Whether it was the last one.
    gone_through: bool,
    planning: bool,
    /// How much of what came is being kept.
    keeping: usize,
    /// Whether something came since the blobs were gone through from the first one.
    came: bool,
    /// Whether they are to be gone through once more, as something became known.
    again: bool,
}

#[derive(Debug, Default)]
struct Wanted {
    asked: Option<PeerId>,
    lacking: BTreeSet<PeerId>,
}

#[derive(Debug)]
struct Asked {
    claim: Claim,
    calls: usize,
    pause: Pause,
}

/// The blocks to ask a peer for next.
fn next(wanted: &mut BTreeMap<Cid, Wanted>, peer: &PeerId) -> Vec<Cid> {
    let free = wanted
        .iter_mut()
        .filter(|(_, wanted)| wanted.asked.is_none() && !wanted.lacking.contains(peer));
    let taken = free.take(BLOCKS_ASKED_MAX).map(|(cid, wanted)| {
        wanted.asked = Some(*peer);
        *cid
    });
    taken.collect()
}

impl Getting {
    /// Whether anything that is wanted may still come from somebody who can be asked.
    fn may_come(&self) -> bool {
        let from = |wanted: &Wanted| {
            wanted.asked.is_some() || self.peers.keys().any(|peer| !wanted.lacking.contains(peer))
        };
        self.wanted.values().any(from)
    }

    /// Where to go on: none to begin anew, when all were gone through.
    fn next_round(&mut self) -> (Option<Place>, Option<Place>) {
        self.planning = true;
        if std::mem::take(&mut self.again) || self.gone_through {
            (self.from, self.came) = (None, false);
        }
        (self.from, self.mark)
    }

    /// A peer is not asked any more: what it gave, or has not.
    fn answered(&mut self, peer: &PeerId, asked: &[Cid], came: &BTreeSet<Cid>, lacking: &[Cid]) {
        for cid in asked {
            if let Some(wanted) = self.wanted.get_mut(cid) {
                wanted.asked = None;
            }
        }
        self.wanted.retain(|cid, _| !came.contains(cid));
        for cid in lacking {
            if let Some(wanted) = self.wanted.get_mut(cid) {
                wanted.lacking.insert(*peer);
            }
        }
        if let Some(known) = self.peers.get_mut(peer) {
            known.calls = known.calls.saturating_sub(1);
        }
    }
}

impl Machine {
    /// Blobs of a thread became whole here, or are to be got.
    pub(super) fn have_blobs(&mut self, thread: Number) {
        let proven = self.proven_of(thread);
        if proven.is_empty() {
            return;
        }
        for peer in proven {
            self.timers
                .set(Timer::BlobList(thread, peer), self.now + TELL_AFTER_MS);
        }
        self.look_for_blobs(thread);
    }

    /// A peer showed the key of a thread: it is told of blobs, and may have some that are wanted.
    pub(super) fn may_have_blobs(&mut self, thread: Number, peer: PeerId) {
        let soon = self.now + BLOB_LOOK_AFTER_MS;
        self.timers.set(Timer::BlobList(thread, peer), soon);
    }

    /// Something became known of blobs that are wanted.
    pub(super) fn look_for_blobs(&mut self, thread: Number) {
        let getting = self.fetching.threads.entry(thread).or_default();
        getting.again = true;
        for wanted in getting.wanted.values_mut() {
            wanted.lacking.clear();
        }
        self.timers.set(Timer::Blobs(thread), self.now);
    }

    pub(super) fn proven_of(&self, thread: Number) -> Vec<PeerId> {
        let peers = self.peers.iter();
        let proven = peers.filter(|(_, known)| known.proven.contains(&thread));
        proven.map(|(peer, _)| *peer).collect()
    }

    /// It is time to tell a peer of the list here.
    pub(super) fn greet_with_blobs(&mut self, thread: Number, peer: PeerId) {
        if self.has_proved(thread, &peer) {
            let greet = Op::Blobs(Blobbing::Greet(thread, peer));
            self.op(greet, Doing::BlobList(thread, peer));
        }
    }

    /// It is time to see what is to be got.
    pub(super) fn see_to_blobs(&mut self, thread: Number) {
        let peers = self.proven_of(thread);
        let Some(getting) = self.fetching.threads.get_mut(&thread) else {
            return;
        };
        if peers.is_empty() {
            // Whoever comes is asked then.
            _ = self.fetching.threads.remove(&thread);
            return;
        }
        let waits = getting.keeping > 0 && !getting.may_come();
        if getting.planning || waits {
            return;
        }
        if !getting.may_come() || getting.again {
            let more = getting.again || getting.came || !getting.gone_through;
            if !more {
                _ = self.fetching.threads.remove(&thread);
                return;
            }
            let plan = Blobbing::Plan(thread, getting.next_round(), peers);
            return self.op(Op::Blobs(plan), Doing::Blobs(thread));
        }
        self.ask_for_blocks(thread);
    }

    fn ask_for_blocks(&mut self, thread: Number) {
        let (now, mut asks, mut wake) = (self.now, Vec::new(), None);
        let Some(getting) = self.fetching.threads.get_mut(&thread) else {
            return;
        };
        for (peer, asked) in &mut getting.peers {
            if let Some(until) = asked.pause.until(now) {
                wake = Some(wake.map_or(until, |at: u64| at.min(until)));
                continue;
            }
            while asked.calls < BLOB_CALLS_MAX {
                let cids = next(&mut getting.wanted, peer);
                if cids.is_empty() {
                    break;
                }
                asked.calls += 1;
                asks.push((*peer, asked.claim, cids));
            }
        }
        if let Some(wake) = wake {
            self.timers.set(Timer::Blobs(thread), wake);
        }
        for (peer, claim, cids) in asks {
            let ask = Ask::Blocks(claim, cids.clone());
            self.call(peer, &ask, Call::Blocks(thread, peer, cids));
        }
    }

    /// Work for blobs was done.
    pub(super) fn blobs_done(&mut self, doing: Doing, done: Result<Done>, rng: &mut dyn CryptoRng) {
        let done = match done {
            Ok(Done::Blobs(done)) => Ok(done),
            Ok(_) => Err(unfit()),
            Err(error) => Err(error),
        };
        match (doing, done) {
            (Doing::BlobList(thread, peer), Ok(Blobbed::Greeting { ask, wanted }))
                if self.has_proved(thread, &peer) =>
            {
                if let Some((claim, heard, ours)) = ask {
                    let ask = Ask::Blobs(claim, heard, ours);
                    self.call(peer, &ask, Call::Blobs(thread, peer, heard));
                }
                if wanted {
                    self.look_for_blobs(thread);
                }
            }
            (Doing::BlobsTaken(thread, peer), Ok(Blobbed::Taken { new, more })) => {
                if new {
                    self.look_for_blobs(thread);
                }
                self.ask_on(thread, peer, more);
            }
            (Doing::Blobs(thread), Ok(Blobbed::Planned(plan, claims))) => {
                self.planned(thread, plan, claims);
            }
            (Doing::Blobs(thread), Err(_)) => _ = self.fetching.threads.remove(&thread),
            (Doing::Blocks(thread, peer), done) => self.kept(thread, peer, done, rng),
            _ => {}
        }
    }

    /// A list goes on, so many parts at a time; the rest when it is told of again.
    fn ask_on(&mut self, thread: Number, peer: PeerId, more: bool) {
        if !more {
            _ = self.fetching.asked.remove(&(thread, peer));
            return;
        }
        let asked = self.fetching.asked.entry((thread, peer)).or_insert(0);
        *asked += 1;
        if *asked < LISTS_ASKED_MAX {
            self.greet_with_blobs(thread, peer);
        } else {
            *asked = 0;
        }
    }

    fn planned(&mut self, thread: Number, plan: Plan, claims: Vec<(PeerId, Claim)>) {
        let Some(getting) = self.fetching.threads.get_mut(&thread) else {
            return;
        };
        getting.planning = false;
        getting.came |= plan.whole;
        (getting.from, getting.gone_through) = (plan.next, plan.next.is_none());
        match plan.next {
            Some(Place::Behind(_)) => {}
            // All is looked through once more, the next time.
            within => getting.mark = within,
        }
        // What is on its way is waited for.
        getting.wanted.retain(|_, wanted| wanted.asked.is_some());
        for cid in plan.wanted {
            getting.wanted.entry(cid).or_default();
        }
        let known = |peer: &PeerId| claims.iter().any(|(known, _)| known == peer);
        getting.peers.retain(|peer, _| known(peer));
        for (peer, claim) in claims {
            getting.peers.entry(peer).or_insert(Asked {
                claim,
                calls: 0,
                pause: Pause::default(),
            });
        }
        self.timers.set(Timer::Blobs(thread), self.now);
        if plan.whole {
            // There is more to be told of, and what was whole for snapshots is known with their words.
            self.have_words(thread);
            for peer in self.proven_of(thread) {
                let at = self.now + TELL_AFTER_MS;
                self.timers.set(Timer::BlobList(thread, peer), at);
            }
        }
    }

    /// A peer gave blocks, or did not.
    pub(super) fn blocks_came(
        &mut self,
        (thread, peer): (Number, PeerId),
        asked: &[Cid],
        answer: Result<Answer>,
        rng: &mut dyn CryptoRng,
    ) {
        let (mut came, mut lacking, mut pause) = (Vec::new(), Vec::new(), None);
        match answer {
            Ok(Answer::Blocks(blocks)) if !blocks.is_empty() && blocks.len() <= asked.len() => {
                for (cid, block) in asked.iter().zip(blocks) {
                    match block.is_empty() {
                        true => lacking.push(*cid),
                        false => came.push((*cid, block.into_vec())),
                    }
                }
            }
            Ok(Answer::Busy(ms)) => pause = Some(Some(ms)),
            Ok(_) => {
                self.fault(peer, STALE);
                pause = Some(None);
            }
            Err(_) => pause = Some(None),
        }
        let now = self.now;
        if let Some(getting) = self.fetching.threads.get_mut(&thread) {
            let named = came.iter().map(|(cid, _)| *cid).collect();
            getting.answered(&peer, asked, &named, &lacking);
            getting.keeping += usize::from(pause.is_none());
            match (getting.peers.get_mut(&peer), pause) {
                (Some(known), Some(Some(ms))) => known.pause.wait(now, ms),
                (Some(known), Some(None)) => known.pause.fail(now, rng),
                _ => {}
            }
        }
        self.timers.set(Timer::Blobs(thread), now);
        if pause.is_none() {
            let keep = Blobbing::Keep(thread, peer, came, lacking);
            self.op(Op::Blobs(keep), Doing::Blocks(thread, peer));
        }
    }

    /// What a peer gave was kept, or was not what it had to be.
    fn kept(
        &mut self,
        thread: Number,
        peer: PeerId,
        done: Result<Blobbed>,
        rng: &mut dyn CryptoRng,
    ) {
        let Ok(Blobbed::Kept {
            sound,
            gave,
            full: false,
        }) = done
        else {
            // No more is taken; or the disk is full, or fails.
            _ = self.fetching.threads.remove(&thread);
            return;
        };
        if !sound {
            self.fault(peer, FORGED);
        }
        let Some(getting) = self.fetching.threads.get_mut(&thread) else {
            return;
        };
        getting.keeping = getting.keeping.saturating_sub(1);
        getting.came |= sound && gave;
        match (getting.peers.get_mut(&peer), sound) {
            (Some(known), true) => known.pause.clear(),
            (Some(known), false) => known.pause.fail(self.now, rng),
            (None, _) => {}
        }
        self.timers.set(Timer::Blobs(thread), self.now);
    }

    /// A peer asked of the list here, and said how far its own goes.
    pub(super) fn answer_list(&mut self, from: PeerId, listed: &Listed) {
        self.shares(from, listed.thread);
        if listed.behind {
            self.greet_with_blobs(listed.thread, from);
        }
        // It may have what is wanted here.
        self.look_for_blobs(listed.thread);
    }

    /// A peer told a part of its list.
    pub(super) fn list_came(
        &mut self,
        thread: Number,
        peer: PeerId,
        heard: BlobList,
        answer: Result<Answer>,
    ) {
        let Ok(Answer::Blobs(end, blobs)) = answer else {
            return;
        };
        // Nothing of it was wanted.
        if blobs.is_empty() && heard.1 == u64::MAX {
            return;
        }
        // Of another list than was known, from its beginning.
        let after = if end.0 == heard.0 { heard.1 } else { 0 };
        if blobs
            .iter()
            .any(|(position, _)| *position <= after || *position > end.1)
        {
            return self.fault(peer, STALE);
        }
        let take = Blobbing::Take(thread, peer, end, blobs);
        self.op(Op::Blobs(take), Doing::BlobsTaken(thread, peer));
    }
}
