//! The state machine of sync: things that happened go in, things to do come out.
//!
//! It knows no runtime, socket, clock or disk. The same machine runs over any
//! [`Transport`](threads_core::transport::Transport), and in the simulator, where one seed gives
//! one history. What it does for a thread follows from what is known of it, each time anew
//! ([`Machine::see_to`]), and not from the order in which it came to be known.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::rand_core::CryptoRng;
use threads_core::transport::Acceptance;
use threads_core::{LogId, PeerId, Result};

use super::active::{Active, Link, Sent};
use super::blobs::{Blobbing, Fetching};
use super::comparison::Comparing;
use super::conduct::{Allowance, Conducts, STALE, cost};
use super::dial::Dial;
pub(super) use super::doing::{Call, Doing, unfit};
use super::erasures::Erase;
use super::gossip::Gossiping;
use super::io::{
    CallId, Done, Fresh, Input, News, Op, OpId, Output, RequestId, Which, Work, Worked,
};
use super::limits::{ANSWERS_MAX, GREET_AFTER_MS, REQUESTS_BURST, REQUESTS_PER_SECOND};
use super::locate::Locate;
use super::refill::Refilling;
use super::timers::{Timer, Timers};
use super::vouch::{Vouch, Vouched, Vouching};
use super::wire::{self, Answer, Ask, Claim};
use super::words::Wording;
use crate::layout::Number;

/// What this node knows of its peers and of the threads in use. See the [module](super).
///
/// ```
/// use threads_core::{PeerId, system_rng};
/// use threads_db::sync::{Input, Machine, Output};
///
/// let (ann, bob) = (PeerId::from_key_bytes([1; 32]), PeerId::from_key_bytes([2; 32]));
/// let mut machine = Machine::new(ann);
/// let todo = machine.handle(0, Input::Connected(bob), &mut system_rng());
/// let asks_the_store = |output: &Output| matches!(output, Output::Work(_));
/// assert!(!todo.is_empty() && todo.iter().all(asks_the_store), "which threads it shares with bob");
/// ```
pub struct Machine {
    pub(super) me: PeerId,
    pub(super) peers: BTreeMap<PeerId, Peer>,
    pub(super) active: BTreeMap<Number, Active>,
    pub(super) calls: BTreeMap<CallId, Call>,
    doing: BTreeMap<OpId, Doing>,
    pub(super) conducts: Conducts,
    pub(super) dials: BTreeMap<PeerId, Dial>,
    pub(super) timers: Timers,
    pub(super) vouching: Vouching,
    pub(super) refilling: Refilling,
    pub(super) fetching: Fetching,
    /// Whether peers are asked where others are: only where this node says so itself.
    pub(super) locating: bool,
    pub(super) comparing: Comparing,
    pub(super) gossiping: Gossiping,
    next: u64,
    pub(super) now: u64,
    pub(super) out: Vec<Output>,
}

/// A connected peer.
pub(super) struct Peer {
    /// The threads it shares, as far as this node knows.
    pub(super) threads: BTreeSet<Number>,
    /// Those that are not shared with it any more. What it had asked before that is answered late.
    pub(super) barred: BTreeSet<Number>,
    /// Those of which it showed the key since it connected. Of others it is told a digest, and nothing else.
    pub(super) proven: BTreeSet<Number>,
    /// Whether the two have compared their threads since they connected, or are about to.
    pub(super) greeted: bool,
    /// Whether it asked how threads stand since this node asked it that.
    pub(super) asks: bool,
    /// Whether it is in one network with this node.
    pub(super) near: bool,
    /// The first thread about which it is to be asked next where others are.
    pub(super) locate_from: Number,
    /// The logs of which it had nothing when it was asked for other records that it said it has.
    pub(super) unfound: BTreeSet<(Number, LogId)>,
    /// How many of its requests wait for the store.
    pub(super) answering: usize,
    pub(super) allowance: Allowance,
    pub(super) told: super::words::Told,
}

impl Machine {
    /// The machine of the node `me`, with no peer connected.
    ///
    /// ```
    /// use threads_core::PeerId;
    /// use threads_db::sync::Machine;
    /// assert_eq!(Machine::new(PeerId::from_key_bytes([1; 32])).wake_at(), None);
    /// ```
    pub fn new(me: PeerId) -> Self {
        Self {
            me,
            peers: BTreeMap::new(),
            active: BTreeMap::new(),
            calls: BTreeMap::new(),
            doing: BTreeMap::new(),
            conducts: Conducts::default(),
            dials: BTreeMap::new(),
            timers: Timers::default(),
            vouching: Vouching::default(),
            refilling: Refilling::default(),
            fetching: Fetching::default(),
            locating: false,
            comparing: Comparing::new(),
            gossiping: Gossiping::default(),
            next: 0,
            now: 0,
            out: Vec::new(),
        }
    }

    /// When the machine is to be woken by [`Input::Woken`], at the latest; in milliseconds.
    ///
    /// ```
    /// use threads_core::{PeerId, system_rng};
    /// use threads_db::sync::{Input, Machine};
    /// let (ann, bob) = (PeerId::from_key_bytes([1; 32]), PeerId::from_key_bytes([2; 32]));
    /// let mut machine = Machine::new(bob);
    /// machine.handle(7, Input::Connected(ann), &mut system_rng());
    /// assert!(machine.wake_at() > Some(7), "ann is to ask first");
    /// ```
    pub fn wake_at(&self) -> Option<u64> {
        self.timers.next()
    }

    /// Whether nothing is under way or left to be done for any thread with a connected peer.
    ///
    /// ```
    /// use threads_core::PeerId;
    /// use threads_db::sync::Machine;
    /// assert!(Machine::new(PeerId::from_key_bytes([1; 32])).is_settled());
    /// ```
    pub fn is_settled(&self) -> bool {
        let idle = self.active.is_empty() && self.fetching.is_idle();
        idle && self.calls.is_empty() && self.doing.is_empty()
    }

    /// Takes in what happened at `now_ms`, of a clock that never goes back; gives what to do, in order. See [`Machine`].
    ///
    /// ```
    /// # use threads_core::{PeerId, system_rng};
    /// # use threads_db::sync::{Input, Machine};
    /// # let mut machine = Machine::new(PeerId::from_key_bytes([1; 32]));
    /// assert!(machine.handle(0, Input::Woken, &mut system_rng()).is_empty());
    /// ```
    pub fn handle(&mut self, now_ms: u64, input: Input, rng: &mut dyn CryptoRng) -> Vec<Output> {
        self.now = self.now.max(now_ms);
        match input {
            Input::Connected(peer) => self.connected(peer, rng),
            Input::Disconnected(peer) => self.disconnected(peer, rng),
            Input::Started => {
                self.op(Op::Peers, Doing::Start);
                self.follow(None);
            }
            Input::Dialled(peer, ended) => self.dialled(peer, ended, rng),
            Input::Request(from, request, frame) => self.asked(from, request, &frame),
            Input::Published(from, publication, topic, frame) => {
                self.published(from, publication, &topic, frame);
            }
            Input::Reply(call, reply) => self.replied(call, reply, rng),
            Input::Worked(Worked(op, done)) => self.done(op, done, rng),
            Input::News(News(Fresh::Committed(thread))) => self.committed(thread),
            Input::News(News(Fresh::Address(peer))) => self.want_soon(peer),
            Input::News(News(Fresh::Shared(thread, peer))) => self.shared(thread, peer),
            Input::News(News(Fresh::Removed(peer))) => self.see_farewells(peer),
            Input::News(News(Fresh::Asked(peer))) => {
                self.want(peer);
                self.timers.set(Timer::Join(peer), self.now);
            }
            Input::News(News(Fresh::Members(thread))) => {
                self.see_sharers(thread);
                self.follow(Some(thread));
            }
            Input::News(News(Fresh::Blobs(thread))) => self.have_blobs(thread),
            Input::News(News(Fresh::Words(thread))) => self.have_words(thread),
            Input::News(News(Fresh::Awaited(thread, wait_ms))) => self.awaited(thread, wait_ms),
            Input::Near(peer) => {
                let known = self.peers.get_mut(&peer);
                known.into_iter().for_each(|peer| peer.near = true);
            }
            Input::Moved => self.moved(),
            Input::Woken => {}
        }
        while let Some(timer) = self.timers.due(self.now) {
            match timer {
                Timer::Greet(peer) => self.greet(peer),
                Timer::Dial(peer) => self.dial(peer),
                Timer::Join(peer) => self.ask_to_join(peer),
                Timer::Held(thread) => self.op(Op::Retry(thread), Doing::Retry(thread)),
                Timer::Thread(thread) => self.see_to(thread, rng),
                Timer::Receipt(thread, peer) => self.ask_to_sign(thread, peer),
                Timer::Check(peer) => self.check(peer, rng),
                Timer::Refill(peer) => self.ask_to_refill(peer, rng),
                Timer::Locate(peer) => self.locate(peer),
                Timer::Announce(thread) => self.announce(thread),
                Timer::Seek(thread) => self.seek(thread, rng),
                Timer::BlobList(thread, peer) => self.greet_with_blobs(thread, peer),
                Timer::Blobs(thread) => self.see_to_blobs(thread),
                Timer::Words(thread, peer) => self.greet_with_words(thread, peer),
                Timer::Sought(thread) => self.see_to_sought(thread),
            }
        }
        std::mem::take(&mut self.out)
    }

    fn connected(&mut self, peer: PeerId, rng: &mut dyn CryptoRng) {
        if self.conducts.is_banned(&peer, self.now) {
            self.out.push(Output::Disconnect(peer));
            return;
        }
        self.is_connected(&peer);
        self.peers.insert(
            peer,
            Peer {
                threads: BTreeSet::new(),
                barred: BTreeSet::new(),
                proven: BTreeSet::new(),
                greeted: false,
                asks: false,
                near: false,
                locate_from: 0,
                unfound: BTreeSet::new(),
                answering: 0,
                allowance: Allowance::new(REQUESTS_PER_SECOND, REQUESTS_BURST, self.now),
                told: Default::default(),
            },
        );
        // One of the two asks; the other only if it was not asked.
        let wait = if self.me < peer { 0 } else { GREET_AFTER_MS };
        self.timers.set(Timer::Greet(peer), self.now + wait);
        self.timers.set(Timer::Join(peer), self.now);
        self.see_farewells(peer);
        self.check_later(peer, rng);
        self.refill_from(peer);
        self.announce_all();
    }

    fn disconnected(&mut self, peer: PeerId, rng: &mut dyn CryptoRng) {
        self.peers.remove(&peer);
        self.vouching.forget(&peer);
        self.refilling.forget(&peer);
        self.fetching.forget(&peer);
        self.comparing.remove(&peer);
        self.lost(peer, rng);
        for (thread, active) in &mut self.active {
            if active.links.remove(&peer).is_some() {
                // Another peer may have what this one was to give.
                self.timers.set(Timer::Thread(*thread), self.now);
            }
        }
    }

    /// A thread is shared with a peer: the two compare it, now or when they meet.
    pub(super) fn shared(&mut self, thread: Number, peer: PeerId) {
        self.want(peer);
        self.follow_new(thread);
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        known.barred.remove(&thread);
        if !known.threads.contains(&thread) {
            let only = Which::Only(thread);
            self.op(Op::Shared(peer, only), Doing::Greet(peer, only));
        }
    }

    fn committed(&mut self, thread: Number) {
        self.announce_later(thread);
        let mut peers = self.peers.values();
        if self.active.contains_key(&thread) || peers.any(|peer| peer.threads.contains(&thread)) {
            // How far it got is read from the store, where it is on disk.
            self.activate(thread).reload();
        }
    }

    /// What is known of a thread, to begin with or so far. It is seen to next.
    pub(super) fn activate(&mut self, thread: Number) -> &mut Active {
        self.timers.set(Timer::Thread(thread), self.now);
        self.active.entry(thread).or_default()
    }

    /// The thread and a connected peer, if it is in use.
    pub(super) fn link(&mut self, thread: Number, peer: &PeerId) -> Option<&mut Link> {
        self.active.get_mut(&thread)?.links.get_mut(peer)
    }

    /// A link to a peer that has shown what it has.
    pub(super) fn link_with(&mut self, thread: Number, peer: PeerId, claim: Claim) -> &mut Link {
        let active = self.activate(thread);
        active.links.entry(peer).or_insert_with(|| Link::new(claim))
    }

    /// Whether a thread is not shared with a peer any more.
    pub(super) fn is_barred(&self, thread: Number, peer: &PeerId) -> bool {
        let known = self.peers.get(peer);
        known.is_some_and(|known| known.barred.contains(&thread))
    }

    pub(super) fn op(&mut self, op: Op, doing: Doing) {
        self.next += 1;
        self.doing.insert(self.next, doing);
        self.out.push(Output::Work(Work(self.next, op)));
    }

    pub(super) fn call(&mut self, peer: PeerId, ask: &Ask, call: Call) {
        // What this node says is within the bounds of the format.
        let Ok(frame) = ask.encode() else { return };
        self.next += 1;
        self.calls.insert(self.next, call);
        self.out.push(Output::Call(peer, self.next, frame));
    }

    pub(super) fn fault(&mut self, peer: PeerId, cost: i64) {
        if self.conducts.fault(peer, cost, self.now) {
            self.out.push(Output::Disconnect(peer));
        }
    }

    fn done(&mut self, op: OpId, done: Result<Done>, rng: &mut dyn CryptoRng) {
        let Some(doing) = self.doing.remove(&op) else {
            return;
        };
        match (doing, done) {
            (Doing::Start, Ok(Done::Peers(peers, holding))) => {
                peers.into_iter().for_each(|peer| self.want(peer));
                for thread in holding {
                    self.wait_for_held(thread, Some(0));
                }
            }
            (Doing::Sharers(thread), Ok(Done::Sharers(peers, barred))) => {
                peers.into_iter().for_each(|peer| self.shared(thread, peer));
                barred.into_iter().for_each(|peer| self.bar(thread, peer));
            }
            (Doing::Retry(thread), Ok(Done::TakenIn(taken))) => {
                self.wait_for_held(thread, taken.due_in_ms);
                // From nobody: every peer is told.
                self.came_in(thread, self.me, &taken);
            }
            (Doing::Farewells(peer), Ok(Done::Farewells(all))) => self.tell_removed(peer, all),
            (Doing::Joins(peer), Ok(Done::Joins(pending))) => self.join_all(peer, pending),
            (Doing::Admit(peer), Ok(Done::Admitted(thread))) => self.shared(thread, peer),
            (Doing::Dial(peer), done) => {
                let addrs = match done {
                    Ok(Done::Addresses(addrs)) => addrs,
                    _ => Vec::new(),
                };
                self.dial_at(peer, addrs, rng);
            }
            (Doing::Greet(peer, which), Ok(Done::Shared(shares))) => {
                self.compare(peer, which, shares);
            }
            (Doing::Load(thread), Ok(Done::Loaded(loaded))) => self.loaded(thread, loaded),
            (Doing::Load(thread), Err(_)) => _ = self.active.remove(&thread),
            (Doing::Push(thread, peer), done) => self.push_read(thread, peer, done, rng),
            (Doing::Pulled(thread, peer, upto), done) => {
                self.pull_stored(thread, peer, upto, done, rng);
            }
            (Doing::Answer(from, request), done) => self.answer(from, request, done),
            (Doing::Unsigned(thread, peer), done) => self.have_signed(thread, peer, done),
            (Doing::Behind(peer), Ok(Done::Vouched(Vouched::Behind(threads)))) => {
                for thread in threads {
                    self.acknowledged(thread, peer);
                }
            }
            (Doing::Unclaimed(thread, peer), done) => self.ask_what_erased(thread, peer, done),
            (Doing::Locate(peer), done) => self.located(peer, done),
            (Doing::Keep(peer), Err(error)) => self.fault(peer, cost(&error)),
            (Doing::Pick(peer), Ok(Done::Vouched(Vouched::Picked(Some(pick))))) => {
                self.have_shown(peer, pick);
            }
            (Doing::Examine(peer), Ok(Done::Vouched(Vouched::Examined(false)))) => {
                self.fault(peer, STALE);
            }
            (Doing::Lacking(peer), done) => self.ask_for_whole(peer, done, rng),
            (Doing::Refilled(thread, peer), done) => self.refill_stored((thread, peer), done, rng),
            (Doing::Seek(thread, peer), Ok(Done::Shared(all))) => self.ask_for(thread, peer, all),
            (doing, Ok(Done::Gossiped(done))) => self.gossiped(doing, done, rng),
            (doing, done) if doing.is_of_blobs() => self.blobs_done(doing, done, rng),
            (doing, done) if doing.is_of_words() => self.words_done(doing, done),
            (Doing::Overhear(_, publication), Err(_)) => {
                self.judge(publication, Acceptance::Ignore);
            }
            _ => {}
        }
    }

    fn replied(&mut self, call: CallId, reply: Result<Vec<u8>>, rng: &mut dyn CryptoRng) {
        let Some(call) = self.calls.remove(&call) else {
            return;
        };
        let (Call::Heads(peer, ..)
        | Call::Pull(_, peer)
        | Call::Push(_, peer, _)
        | Call::Have(_, peer, _)
        | Call::Ranges(_, peer)
        | Call::Join(peer, _)
        | Call::Sign(_, peer)
        | Call::Check(peer, _)
        | Call::Where(_, peer, _)
        | Call::Farewell(_, peer)
        | Call::Erased(_, peer)
        | Call::Blobs(_, peer, _)
        | Call::Blocks(_, peer, _)
        | Call::Words(_, peer)
        | Call::Refill(_, peer)) = call;
        let answer = match reply.map(|frame| Answer::decode(&frame)) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(malformed)) => {
                self.fault(peer, super::conduct::MALFORMED);
                Err(malformed)
            }
            Err(unreachable) => Err(unreachable),
        };
        match call {
            Call::Heads(peer, shares, more) => self.compared(peer, shares, more, answer),
            Call::Join(peer, invite) => self.join_answered(peer, invite, answer),
            Call::Sign(thread, peer) => self.signed(thread, peer, answer),
            Call::Check(peer, pick) => self.shown(peer, pick, answer),
            Call::Erased(thread, peer) => self.erased(thread, peer, answer),
            Call::Blobs(thread, peer, heard) => self.list_came(thread, peer, heard, answer),
            Call::Blocks(thread, peer, asked) => {
                self.blocks_came((thread, peer), &asked, answer, rng);
            }
            Call::Words(thread, peer) => self.words_came(thread, peer, answer),
            Call::Refill(thread, peer) => self.refilled((thread, peer), answer, rng),
            Call::Where(thread, peer, known) => self.heard_where((thread, peer), &known, answer),
            Call::Farewell(thread, peer) => self.told_removed(thread, peer, &answer),
            Call::Pull(thread, peer) => self.pulled(thread, peer, answer, rng),
            Call::Ranges(thread, peer) => self.ranges_answered(thread, peer, answer, rng),
            Call::Push(thread, peer, upto) => {
                self.sent((thread, peer), Sent::Records, &upto, answer, rng);
            }
            Call::Have(thread, peer, told) => {
                self.sent((thread, peer), Sent::Numbers, &told, answer, rng);
            }
        }
    }

    /// A request of a peer: at once refused, or handed to the store.
    fn asked(&mut self, from: PeerId, request: RequestId, frame: &[u8]) {
        let Some(peer) = self.peers.get_mut(&from) else {
            self.out.push(Output::Refuse(request));
            return;
        };
        if peer.answering >= ANSWERS_MAX || !peer.allowance.take(self.now) {
            return self.busy(request);
        }
        let op = match Ask::decode(frame) {
            Ok(Ask::Heads(claims)) => {
                (peer.greeted, peer.asks) = (true, true);
                Op::Compare(from, claims)
            }
            Ok(Ask::Pull(claim, ranges)) => Op::Serve(from, claim, ranges),
            Ok(Ask::Push(claim, parcels)) => Op::Receive(from, claim, parcels),
            Ok(Ask::Have(claim, heads)) => {
                // Decoding has checked it.
                Op::Heard(from, claim, wire::heads(&heads).unwrap_or_default())
            }
            Ok(Ask::Ranges(claim, spans)) => Op::Ranges(from, claim, spans),
            Ok(Ask::Sign(claim, places)) => Op::Vouch(Vouch::Sign(from, claim, places)),
            Ok(Ask::Erased(claim, purges)) => Op::Erase(Erase::Sign(from, claim, purges)),
            Ok(Ask::Blobs(claim, heard, theirs)) => {
                Op::Blobs(Blobbing::List(from, claim, heard, theirs))
            }
            Ok(Ask::Blocks(claim, cids)) => Op::Blobs(Blobbing::Serve(from, claim, cids)),
            Ok(Ask::Snapshots(claim, known)) => Op::Words(Wording::List(from, claim, known)),
            Ok(Ask::Where(claim, known)) => {
                Op::Locate(Locate::Tell(from, claim, known.into_iter().collect()))
            }
            Ok(Ask::Join(invite, secret, card)) => {
                Op::Decide(from, invite, secret.into_array(), card.into_vec())
            }
            Err(_) => {
                self.out.push(Output::Refuse(request));
                return self.fault(from, super::conduct::MALFORMED);
            }
        };
        peer.answering += 1;
        self.op(op, Doing::Answer(from, request));
    }
}

/// Shows how much there is, not what.
impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("peers", &self.peers.len())
            .field("active", &self.active.len())
            .finish_non_exhaustive()
    }
}
