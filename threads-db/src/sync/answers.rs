//! Answering what peers ask.
//!
//! A thread that is not here, one that the peer has no right to, and a wrong proof are all answered
//! alike, so that nobody learns from an answer whether a thread is here.

use threads_core::{PeerId, Result};

use super::active::raise_all;
use super::blobs::Blobbed;
use super::conduct::{PROBE, cost};
use super::erasures::ErasedBy;
use super::io::{Compared, Done, Op, Output, RequestId, TakenIn, Which};
use super::limits::BUSY_MS;
use super::locate::Located;
use super::machine::{Doing, Machine};
use super::timers::Timer;
use super::vouch::{Vouch, Vouched};
use super::wire::{Answer, Frontier, HEADS_MAX, Heads, Verdict, joint, list, listed, numbers};
use super::words::Worded;
use crate::layout::Number;

/// How far logs have got here, and whether more is taken.
fn so_far(heads: &Heads, full: bool) -> Answer {
    let mut heads = list(heads);
    // What does not fit is heard of when it is asked for.
    heads.truncate(HEADS_MAX);
    match full {
        true => Answer::Full(heads),
        false => Answer::Have(heads),
    }
}

impl Machine {
    /// Answers a request with what came from the store.
    pub(super) fn answer(&mut self, from: PeerId, request: RequestId, done: Result<Done>) {
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.answering = peer.answering.saturating_sub(1);
        }
        match done {
            Ok(Done::Compared(compared)) => self.verdicts(from, request, compared),
            Ok(Done::Served(Some(page))) => {
                let upto = listed(&page.upto);
                let answer = match page.short {
                    Some(short) => Answer::Short(short.logs, short.snapshot),
                    None => Answer::Page(page.parcels, upto, page.more),
                };
                self.reply(request, &answer);
            }
            Ok(Done::Received(Some(taken))) => self.received(from, request, taken),
            Ok(Done::Heard(Some(heard))) => {
                self.reply(request, &so_far(&heard.ours, heard.full));
                self.shares(from, heard.thread);
                self.heard(from, &heard);
                self.acknowledged(heard.thread, from);
            }
            Ok(Done::Ranges(Some((heard, found)))) => {
                self.reply(request, &Answer::Ranges(found));
                self.shares(from, heard.thread);
                self.heard(from, &heard);
                self.acknowledged(heard.thread, from);
            }
            Ok(Done::Vouched(Vouched::Signed(Some(receipts)))) => {
                self.reply(request, &Answer::Signed(receipts));
            }
            Ok(Done::Erased(ErasedBy::Signed(Some(erasures)))) => {
                self.reply(request, &Answer::Erased(erasures));
            }
            Ok(Done::Blobs(Blobbed::Listed(Some(listed)))) => {
                self.reply(request, &Answer::Blobs(listed.end, listed.blobs.clone()));
                self.answer_list(from, &listed);
            }
            Ok(Done::Blobs(Blobbed::Served(Some(blocks)))) => {
                self.reply(request, &Answer::Blocks(blocks));
            }
            Ok(Done::Words(Worded::Listed(Some(listed)))) => {
                self.reply(request, &Answer::Snapshots(listed.words.clone()));
                self.answer_words(from, &listed);
            }
            Ok(Done::Located(Located::Told(Some(told)))) => self.tell_where(from, request, told),
            Ok(Done::Decided(Some(verdict))) => self.decided(request, verdict),
            Ok(
                Done::Served(None)
                | Done::Received(None)
                | Done::Heard(None)
                | Done::Ranges(None)
                | Done::Decided(None)
                | Done::Vouched(Vouched::Signed(None))
                | Done::Erased(ErasedBy::Signed(None))
                | Done::Located(Located::Told(None))
                | Done::Blobs(Blobbed::Listed(None) | Blobbed::Served(None))
                | Done::Words(Worded::Listed(None)),
            ) => {
                self.out.push(Output::Refuse(request));
                self.fault(from, PROBE);
            }
            // It had, so that it is no attacker.
            Ok(Done::Removed) => self.out.push(Output::Refuse(request)),
            // The disk is full, or fails: nothing that the peer could mend.
            Ok(_) | Err(_) => self.busy(request),
        }
    }

    fn verdicts(&mut self, from: PeerId, request: RequestId, compared: Vec<Compared>) {
        let mut listable = HEADS_MAX;
        let mut verdicts = Vec::with_capacity(compared.len());
        let (mut proofs, mut same) = (Vec::new(), Vec::new());
        let mut probes = 0;
        for one in compared {
            verdicts.push(match one {
                Compared::Unknown => {
                    probes += PROBE;
                    Verdict::Unknown
                }
                Compared::Removed => Verdict::Unknown,
                Compared::Same(thread, proof) => {
                    proofs.push(proof);
                    self.shares(from, thread);
                    same.push(thread);
                    Verdict::Same
                }
                Compared::Differs(thread, proof, claim, heads) => {
                    proofs.push(proof);
                    self.shares(from, thread);
                    match heads.len() <= listable {
                        true => {
                            listable -= heads.len();
                            let link = self.link_with(thread, from, claim);
                            link.has_been_told(&numbers(&heads));
                            Verdict::Differs(list(&heads))
                        }
                        // What does not fit can be asked for.
                        false => Verdict::Many,
                    }
                }
                Compared::Many(thread, proof) => {
                    proofs.push(proof);
                    self.shares(from, thread);
                    Verdict::Many
                }
            });
        }
        self.reply(request, &Answer::Heads(verdicts, joint(&proofs)));
        if !same.is_empty() {
            self.op(Op::Vouch(Vouch::Behind(from, same)), Doing::Behind(from));
        }
        // Somebody who shares a hundred threads that this node has left is no attacker.
        self.fault(from, probes.min(PROBE));
    }

    fn received(&mut self, from: PeerId, request: RequestId, taken: TakenIn) {
        self.reply(request, &so_far(&taken.heads, taken.full));
        if taken.removed {
            return self.may_share_no_more(from, taken.thread);
        }
        self.shares(from, taken.thread);
        self.sent_by(from, taken.thread, &taken.sent);
        if let Some(refused) = &taken.refused {
            self.fault(from, cost(refused));
        }
        self.wait_for_held(taken.thread, taken.due_in_ms);
        if taken.moved {
            self.came_in(taken.thread, from, &taken);
        }
        if !taken.astray.is_empty() {
            let active = self.activate(taken.thread);
            if !active.links.contains_key(&from) {
                active.reload();
            }
            active.astray.insert(from, taken.astray);
        }
    }

    /// A peer pushed the record of this node's removal. It may be the last that is to be had of it, or stand before what
    /// let this node in again: who showed the key since it connected is asked which, as one that shares no more answers so.
    fn may_share_no_more(&mut self, from: PeerId, thread: Number) {
        let known = self.peers.get(&from);
        if known.is_some_and(|known| known.proven.contains(&thread)) {
            self.shares_not(from, thread);
            let which = Which::Only(thread);
            self.op(Op::Shared(from, which), Doing::Greet(from, which));
        }
    }

    /// A peer has what it sent, whatever it said in a reply that was on its way meanwhile.
    fn sent_by(&mut self, from: PeerId, thread: Number, sent: &Frontier) {
        let Some(link) = self.link(thread, &from) else {
            return;
        };
        link.heard = true;
        raise_all(&mut link.theirs, sent);
        let said_less = |(log, said): (_, &u64)| sent.get(log).is_some_and(|seq| said < seq);
        if link.replied.iter().any(said_less) {
            let level = vec![(thread, sent.clone())];
            self.op(Op::Level(from, level), Doing::Note);
        }
    }

    /// A peer shares a thread: it showed its key. If it is in use, it is in use with this peer too.
    pub(super) fn shares(&mut self, id: PeerId, thread: Number) {
        if self.is_barred(thread, &id) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        peer.threads.insert(thread);
        let new = peer.proven.insert(thread);
        if new {
            self.locate_soon(id);
            self.may_have_blobs(thread, id);
            self.may_have_words(thread, id);
        }
        if let Some(active) = self.active.get_mut(&thread) {
            let linked = active.links.contains_key(&id);
            if !linked {
                active.reload();
            }
            if new || !linked {
                self.timers.set(Timer::Thread(thread), self.now);
            }
        }
    }

    /// A peer says that it does not share a thread.
    pub(super) fn shares_not(&mut self, id: PeerId, thread: Number) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.threads.remove(&thread);
            peer.proven.remove(&thread);
        }
        if let Some(active) = self.active.get_mut(&thread) {
            active.links.remove(&id);
            self.timers.set(Timer::Thread(thread), self.now);
        }
    }

    pub(super) fn reply(&mut self, request: RequestId, answer: &Answer) {
        let output = match answer.encode() {
            Ok(frame) => Output::Reply(request, frame),
            // What this node says is within the bounds of the format.
            Err(_) => Output::Refuse(request),
        };
        self.out.push(output);
    }

    /// Asks a peer to come back later.
    pub(super) fn busy(&mut self, request: RequestId) {
        self.reply(request, &Answer::Busy(BUSY_MS));
    }
}
