//! Comparing threads of many lines by ranges, as part of the machine and on a node's store.

use threads_core::books::HeadBook;
use threads_core::datastore::ReadTxn;
use threads_core::rand_core::CryptoRng;
use threads_core::{PeerId, Result, ThreadId};

use super::comparison::Comparison;
use super::conduct::MALFORMED;
use super::io::{Heard, Op};
use super::machine::{Call, Doing, Machine, unfit};
use super::pause::put_off;
use super::ranges::{self, Edge, Found, Met, Said, Span};
use super::shares;
use super::store::{named, replica_key};
use super::timers::Timer;
use super::wire::{self, Answer, Ask, Claim, Frontier, Head, Heads, agreed, list};
use crate::layout::Number;
use crate::node::Node;

impl Machine {
    /// Begins to compare a thread with a peer, unless another one is being compared with it.
    pub(super) fn compare_ranges(&mut self, thread: Number, peer: PeerId) {
        let Some(active) = self.active.get_mut(&thread) else {
            return;
        };
        if self.comparing.contains_key(&peer) {
            return;
        }
        let ours = list(&active.named(&active.heads));
        if let Some(link) = active.links.get_mut(&peer) {
            link.is_called();
            link.telling = true;
            self.comparing.insert(peer, (thread, Comparison::new(ours)));
            self.ask_ranges(thread, peer);
        }
    }

    /// Asks the next question of a comparison, or ends it.
    fn ask_ranges(&mut self, thread: Number, peer: PeerId) {
        let claim = self.link(thread, &peer).map(|link| link.claim);
        let Some((_, comparison)) = self.comparing.get_mut(&peer) else {
            return;
        };
        match (claim, comparison.next()) {
            (Some(claim), Some(spans)) => {
                let ask = Ask::Ranges(claim, spans);
                self.call(peer, &ask, Call::Ranges(thread, peer));
            }
            _ => self.compared_ranges(thread, peer),
        }
    }

    /// A peer answered about ranges.
    pub(super) fn ranges_answered(
        &mut self,
        thread: Number,
        peer: PeerId,
        answer: Result<Answer>,
        rng: &mut dyn CryptoRng,
    ) {
        let now = self.now;
        let Some((_, comparison)) = self
            .comparing
            .get_mut(&peer)
            .filter(|(compared, _)| *compared == thread)
        else {
            return;
        };
        let answer = match answer {
            Ok(Answer::Ranges(found)) => match comparison.answered(found) {
                Ok(()) => return self.ask_ranges(thread, peer),
                Err(malformed) => {
                    self.fault(peer, MALFORMED);
                    Err(malformed)
                }
            },
            Ok(Answer::Busy(ms)) => Ok(Answer::Busy(ms)),
            other => other.and_then(|_| Err(unfit())),
        };
        // It begins again.
        self.comparing.remove(&peer);
        if let Some(link) = self.link(thread, &peer) {
            link.telling = false;
            put_off(link, &answer, now, rng);
        }
        self.next_comparison(thread, peer);
    }

    /// A comparison is over: each knows what the other has.
    fn compared_ranges(&mut self, thread: Number, peer: PeerId) {
        let comparison = self.comparing.remove(&peer);
        self.next_comparison(thread, peer);
        let (Some((_, comparison)), Some(active)) = (comparison, self.active.get_mut(&thread))
        else {
            return;
        };
        let learned = comparison.learned();
        let agreed = active.suspect(&peer, &learned.theirs);
        let Some(link) = active.links.get_mut(&peer) else {
            return;
        };
        (link.compare, link.telling) = (false, false);
        link.pause.clear();
        link.again |= !learned.whole;
        link.has_been_told(&learned.told);
        let said = wire::numbers(&learned.theirs);
        let mut known = link.replied(said.clone());
        for (log, seq) in &mut known {
            // What it said since stays as it is.
            if said.get(log) == Some(seq) {
                *seq = agreed.get(log).copied().unwrap_or(*seq);
            }
        }
        self.op(Op::Acked(thread, peer, known, None), Doing::Note);
        self.acknowledged(thread, peer);
    }

    /// Sees to a thread, and to others that wait to be compared with a peer.
    fn next_comparison(&mut self, thread: Number, peer: PeerId) {
        self.timers.set(Timer::Thread(thread), self.now);
        for (waiting, active) in &self.active {
            if active.links.get(&peer).is_some_and(|link| link.compare) {
                self.timers.set(Timer::Thread(*waiting), self.now);
            }
        }
    }
}

impl Node {
    /// Answers about ranges of a thread's lines, and notes what the peer said of them. It costs one look at
    /// each of the heads in these ranges, and if something was said one at each row about the peer.
    pub(super) fn ranges(
        &self,
        peer: &PeerId,
        claim: &Claim,
        spans: &[Span],
    ) -> Result<Option<(Heard, Vec<Found>)>> {
        let Some(thread) = self.claimed(peer, claim)? else {
            return Ok(None);
        };
        let (ours, replica, full) = {
            let txn = self.snapshot_on_disk()?;
            let (id, replica) = replica_key(&*txn, thread)?;
            (
                heads_within(&*txn, &id, spans)?,
                replica,
                self.takes_none_of(&*txn, thread, &id)?,
            )
        };
        let (found, met) = ranges::answer(&ours, spans);
        let now_ms = self.inner.clock.now_ms();
        let mut learned = Learned::default();
        self.note([thread], |txn| {
            let says = |met: &Met<'_>| met.level || matches!(met.said, Said::Each(..));
            let before = match met.iter().any(says) {
                true => shares::acked(txn.as_read(), thread, peer)?,
                false => Frontier::new(),
            };
            met.iter().for_each(|met| learned.learn(met, &before));
            let news = learned.said.iter();
            let news = news.filter(|(log, seq)| before.get(log).unwrap_or(&0) != *seq);
            shares::acknowledge(txn, thread, peer, news, now_ms)
        })?;
        let heard = Heard {
            thread,
            claim: Claim::new(&replica, &self.peer_id(), peer),
            theirs: learned.theirs,
            ours: learned.ours,
            less: learned.less,
            room: None,
            full,
        };
        Ok(Some((heard, found)))
    }
}

/// The heads in the ranges of which something is said.
fn heads_within(txn: &dyn ReadTxn, thread: &ThreadId, spans: &[Span]) -> Result<Vec<Head>> {
    let (mut heads, mut from, book) = (Vec::new(), Edge::begin(), HeadBook::new(txn));
    for spans in spans.chunk_by(|(_, one), (_, next)| (*one == Said::Skip) == (*next == Said::Skip))
    {
        let upto = spans
            .last()
            .map_or_else(Edge::end, |(upto, _)| upto.clone());
        let from = std::mem::replace(&mut from, upto.clone());
        if spans.iter().any(|(_, said)| *said != Said::Skip) {
            let end = (!upto.is_end()).then(|| upto.first());
            let within = book.within(thread, &from.first(), end.as_ref())?;
            heads.extend(within.into_iter().map(|(log, head)| {
                let (seq, check) = named(&head);
                (log, seq, check)
            }));
        }
    }
    Ok(heads)
}

/// What a peer said of ranges, taken together.
#[derive(Default)]
struct Learned {
    theirs: Heads,
    /// What it knows that there is here.
    ours: Heads,
    /// How far it agrees. 0 is not at all.
    said: Frontier,
    /// The logs of which it had said before that it has more.
    less: Vec<threads_core::LogId>,
}

impl Learned {
    fn learn(&mut self, met: &Met<'_>, before: &Frontier) {
        let named = |heads: &[Head]| -> Heads {
            let heads = heads.iter();
            heads
                .map(|(log, seq, check)| (*log, (*seq, *check)))
                .collect()
        };
        let ours = named(met.ours);
        match met.said {
            Said::All(_) if met.level => {
                for (log, seq, _) in met.ours {
                    // It may have said since that it has more.
                    let more = before.get(log).map_or(*seq, |before| *before.max(seq));
                    self.said.insert(*log, more);
                }
                self.theirs.extend(&ours);
            }
            Said::Each(listed, _) => {
                let mut listed = named(listed);
                // What it does not list it has not, whatever it said.
                for (log, _) in before.range(met.from.first()..) {
                    if !met.upto.is_after(log) {
                        break;
                    }
                    listed.entry(*log).or_default();
                }
                let said = agreed(&ours, &listed);
                let less = |(log, seq): (&_, &u64)| {
                    before
                        .get(log)
                        .is_some_and(|before| seq < before)
                        .then_some(*log)
                };
                self.less.extend(said.iter().filter_map(less));
                self.said.extend(&said);
                self.theirs.extend(listed);
            }
            Said::All(_) | Said::Skip => {}
        }
        if met.level {
            self.ours.extend(ours);
        }
    }
}
