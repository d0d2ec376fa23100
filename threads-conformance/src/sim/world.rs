//! The world of one run: its time, its queue, its peers, and what each thing leads to.

use std::collections::{BTreeMap, BTreeSet};

use threads_core::{Error, ErrorKind, PeerId};
use threads_db::ThreadKeys;
use threads_db::sync::{CallId, Input, Output, Work, Worked};

use super::lab::Lab;
use super::network::Network;
use super::oracle::Oracle;
use super::outcome::{Failure, Run};
use super::peer::{Asked, Peer};
use super::plant::Plant;
use super::script::{Act, Script};
use super::store::Lie;
use super::trace::{Digest, chance};

mod gossip;
mod links;
mod lives;
mod own;
mod rules;
mod settle;

/// The most things that happen in a run: more is a circle.
const EVENTS_MAX: u64 = 1_000_000;
/// After how long a request without a reply is an error, in milliseconds.
const TIMEOUT_MS: u64 = 10_000;
/// How long work on the store takes at most, in milliseconds, on a peer that is not slow.
const WORK_MS_MAX: u64 = 6;

/// Something that is to happen.
enum Event {
    Step(usize),
    /// Two peers try to connect.
    Join(usize, usize),
    /// A peer sees a connection to another.
    Seen(usize, usize, u64),
    /// A peer may find that a connection to another is gone.
    Lost(usize, usize, u64),
    /// A request arrives.
    Request(usize, Asked, Vec<u8>),
    /// A reply of a peer arrives.
    Reply(usize, Asked, threads_core::Result<Vec<u8>>),
    /// A call ends without a reply, in this life of a peer.
    Ended(usize, u64, CallId),
    /// A publication arrives from a neighbour, on a connection.
    Published(usize, usize, u64, usize),
    Perform(usize, u64, Work),
    Worked(usize, u64, Worked),
    Input(usize, u64, Input),
    Wake(usize, u64, u64),
}

/// See the [module](self).
pub(super) struct World<'a> {
    lab: &'a dyn Lab,
    script: &'a Script,
    plant: Option<Plant>,
    now: u64,
    /// How far all clocks have been put forward.
    night_ms: u64,
    events: u64,
    queue: BTreeMap<(u64, u64), Event>,
    /// How many in the queue are more than being woken.
    pending: usize,
    peers: Vec<Peer>,
    ids: Vec<PeerId>,
    keys: Option<ThreadKeys>,
    net: Network,
    publications: Vec<gossip::Publication>,
    oracle: Oracle,
    /// Who may be taken out, and need not agree in the end.
    may_go: BTreeSet<usize>,
    /// Who does not connect any more: one of them is out, and the other one has had enough.
    apart: BTreeSet<(usize, usize)>,
    /// What was written where there are rules.
    sealed: Vec<rules::Sealed>,
    /// How many frames were sent, and how many of them among those who remain.
    frames: u64,
    records_came: u64,
    among: u64,
    digest: Digest,
    /// Whether what happens is printed.
    aloud: bool,
}

pub(super) type Played<T = ()> = Result<T, Failure>;

impl<'a> World<'a> {
    pub(super) fn new(lab: &'a dyn Lab, script: &'a Script, plant: Option<Plant>) -> Self {
        let peer = |at| Peer::new(lab, script.seed, at, lie(plant));
        let peers: Vec<_> = (0..script.peers).map(peer).collect();
        Self {
            lab,
            script,
            plant,
            now: 0,
            night_ms: 0,
            events: 0,
            queue: BTreeMap::new(),
            pending: 0,
            ids: peers.iter().map(|peer| peer.id).collect(),
            keys: None,
            net: Network::new(peers.len(), chance(script.seed, "network")),
            peers,
            publications: Vec::new(),
            oracle: Oracle::default(),
            may_go: script.may_go(),
            apart: BTreeSet::new(),
            sealed: Vec::new(),
            frames: 0,
            records_came: 0,
            among: 0,
            digest: Digest::new(),
            aloud: std::env::var_os("THREADS_TRACE").is_some(),
        }
    }

    pub(super) fn fail<T>(&self, what: impl Into<String>) -> Played<T> {
        Err(Failure {
            at_ms: self.now,
            what: what.into(),
        })
    }

    /// Prints what happens, if it is to be.
    fn tell(&self, at: usize, what: &dyn std::fmt::Debug) {
        if self.aloud {
            let line = format!("{what:.300?}");
            eprintln!("{:>8} peer {at} {line:.300}", self.now);
        }
    }

    /// What cannot go wrong.
    fn sound<T>(&self, at: usize, doing: &str, result: threads_core::Result<T>) -> Played<T> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => self.fail(format!("peer {at} {doing}: {error}")),
        }
    }

    fn push(&mut self, in_ms: u64, event: Event) {
        self.events += 1;
        self.pending += usize::from(!matches!(event, Event::Wake(..)));
        self.queue.insert((self.now + in_ms, self.events), event);
    }

    /// Plays the script, heals everything, and sees how it ends.
    pub(super) fn play(mut self) -> Played<Run> {
        for at in 0..self.peers.len() {
            self.start(at, true)?;
        }
        let script = self.script;
        for (n, step) in script.steps.iter().enumerate() {
            self.push(step.at_ms, Event::Step(n));
        }
        let end = script.steps.last().map_or(0, |step| step.at_ms) + 1_000;
        self.run_until(end)?;
        self.settle()?;
        Ok(Run {
            digest: self.digest.0,
            events: self.events,
            frames: self.frames,
            records_came: self.records_came,
            records_due: self.records_due(),
            took_ms: self.now,
        })
    }

    fn records_due(&self) -> u64 {
        let heads = self.oracle.visible(0).into_iter().flatten();
        let records: u64 = heads.map(|(_, seq)| seq).sum();
        records * (self.peers.len() as u64 - 1)
    }

    fn run_until(&mut self, end: u64) -> Played {
        while self
            .queue
            .first_key_value()
            .is_some_and(|((at, _), _)| *at <= end)
        {
            self.next()?;
        }
        self.now = end;
        Ok(())
    }

    /// Has the next thing happen.
    fn next(&mut self) -> Played {
        let Some(((at_ms, number), event)) = self.queue.pop_first() else {
            return Ok(());
        };
        if self.events > EVENTS_MAX {
            return self.fail("there is always something left to be done");
        }
        self.now = self.now.max(at_ms);
        self.pending -= usize::from(!matches!(event, Event::Wake(..)));
        self.digest.add(&self.now.to_be_bytes());
        self.digest.add(&number.to_be_bytes());
        match event {
            Event::Step(n) => self.step(n),
            Event::Join(a, b) => self.join(a, b),
            Event::Seen(at, of, number) => self.sees(at, of, number),
            Event::Lost(at, of, number) => self.loses(at, of, number),
            Event::Request(at, asked, frame) => self.request(at, asked, frame),
            Event::Reply(by, asked, reply) => self.reply(by, asked, reply),
            Event::Ended(at, life, call) => {
                let gone = Error::unavailable("no reply came");
                self.end_call(at, life, call, Err(gone))
            }
            Event::Published(at, by, on, number) => self.published(at, by, on, number),
            Event::Perform(at, life, work) => self.perform(at, life, work),
            Event::Worked(at, life, worked) => self.input(at, life, Input::Worked(worked)),
            Event::Input(at, life, input) => self.input(at, life, input),
            Event::Wake(at, life, wake) => self.wake(at, life, wake),
        }
    }

    fn step(&mut self, n: usize) -> Played {
        self.tell(n, &self.script.steps[n].act);
        match self.script.steps[n].act {
            Act::Write {
                peer,
                seed,
                changes,
                relaxed,
            } => return self.write(peer, seed, changes, relaxed),
            Act::State { peer, says } => return self.state(peer, says),
            Act::Cut { from, to } => self.cut(from, to),
            Act::Heal { from, to } => {
                self.net.heal(from, to);
                self.meet(from, to);
            }
            Act::Crash { peer, commits } => match (commits, &self.peers[peer].disk) {
                (_, None) => {}
                (0, _) => self.crash(peer),
                (commits, Some(disk)) => disk.fail_after(commits.into()),
            },
            Act::Restart { peer, disk } => return self.restart(peer, disk),
            Act::Backup { peer } => self.peers[peer].back_up(),
            Act::PutBack { peer } => return self.put_back(peer),
            Act::Own { peer, seed } => return self.own(peer, seed),
            Act::Equip { peer, lacks } => return self.exchange(peer, lacks),
            Act::Compact { peer, ref keep } => return self.compact(peer, keep),
            Act::Anew { peer, of } => return self.anew(peer, of),
            Act::Clock { peer, skew_ms } => self.peers[peer].skew_ms = skew_ms,
            Act::Slow { peer, factor } => self.net.slow(peer, factor),
            Act::Silent { peer, for_ms } => self.net.silence(peer, self.now + for_ms),
            Act::Loss { permille } => self.net.loss = permille,
            Act::Duplicate { permille } => self.net.duplicate = permille,
        }
        Ok(())
    }

    fn set_clock(&self, at: usize) {
        let peer = &self.peers[at];
        peer.clock.set(self.now + self.night_ms, peer.skew_ms);
    }

    fn write(&mut self, at: usize, seed: u64, changes: u32, relaxed: bool) -> Played {
        use threads_core::datastore::Durability::{Group, Relaxed};
        self.set_clock(at);
        let Some(up) = &self.peers[at].up else {
            return Ok(());
        };
        if self.script.blind.contains(&at) && !self.script.rules {
            // It keeps the thread, and writes nothing.
            return Ok(());
        }
        let mut rng = chance(seed, "write");
        let prepared = self.lab.prepare(&up.db);
        if self.script.rules && prepared.is_err() && !self.has_failed(at) {
            // What root prepared has not come yet.
            return self.after(at);
        }
        let wrote = prepared.and_then(|()| {
            let mut txn = up.db.begin()?;
            for _ in 0..changes {
                self.lab.write(&up.db, &mut txn, &mut rng)?;
            }
            txn.commit_with(if relaxed { Relaxed } else { Group })
        });
        match wrote {
            Ok(Some(commit)) if self.script.rules => {
                let noted = self.note_sealed(at, commit.record);
                self.sound(at, "does not tell what it wrote", noted)?;
            }
            Ok(_) => {}
            Err(_) if self.has_failed(at) || self.peers[at].lacks => {}
            Err(error) => {
                let wronged = self.is_wronged(at, &up.db);
                let wronged = self.sound(at, "does not tell its roles", wronged)?;
                let refused = self.script.rules && rules::is_refused(&error);
                if !refused || (wronged && error.kind() == ErrorKind::Rejected) {
                    return self.fail(format!("peer {at} cannot write: {error}"));
                }
            }
        }
        self.after(at)
    }

    fn perform(&mut self, at: usize, life: u64, work: Work) -> Played {
        self.set_clock(at);
        let peer = &self.peers[at];
        let Some(up) = peer.up.as_ref().filter(|_| peer.life == life) else {
            return Ok(());
        };
        self.digest.add(b"work");
        self.records_came += work.records_that_came();
        let worked = up.node.perform(work);
        if !self.has_failed(at) {
            let in_ms = 1 + self.net.below(WORK_MS_MAX) * self.net.slowness(at);
            self.push(in_ms, Event::Worked(at, life, worked));
        }
        self.after(at)
    }

    fn wake(&mut self, at: usize, life: u64, wake: u64) -> Played {
        let peer = &mut self.peers[at];
        match peer.up.as_mut() {
            Some(up) if peer.life == life && up.wake == Some(wake) => up.wake = None,
            _ => return Ok(()),
        }
        self.input(at, life, Input::Woken)
    }

    /// Gives a peer's machine something to take in, and does what comes of it.
    fn input(&mut self, at: usize, life: u64, input: Input) -> Played {
        self.set_clock(at);
        self.tell(at, &input);
        let peer = &mut self.peers[at];
        let Some(up) = peer.up.as_mut().filter(|_| peer.life == life) else {
            return Ok(());
        };
        let outputs = up.machine.handle(self.now, input, &mut up.rng);
        for output in outputs {
            self.act(at, life, output)?;
        }
        self.after(at)
    }

    fn act(&mut self, at: usize, life: u64, output: Output) -> Played {
        self.tell(at, &output);
        match output {
            Output::Work(work) => {
                if self.plant == Some(Plant::DropsTakeIn) && format!("{work:?}").contains("TakeIn(")
                {
                    self.plant = None;
                    return Ok(());
                }
                let took = 1 + self.net.below(WORK_MS_MAX) * self.net.slowness(at);
                let done = self.peers[at].busy_until.max(self.now) + took;
                self.peers[at].busy_until = done;
                self.push(done - self.now, Event::Perform(at, life, work));
            }
            Output::Call(peer, call, frame) => {
                let to = self.number_of(&peer)?;
                self.call(at, to, call, frame);
            }
            Output::Reply(request, frame) => self.send_reply(at, request, Ok(frame)),
            Output::Refuse(request) => {
                self.send_reply(at, request, Err(Error::unavailable("refused")));
            }
            Output::Connect(peer, _) => {
                let ended = Err(Error::unavailable("nobody answers there"));
                self.push(1, Event::Input(at, life, Input::Dialled(peer, ended)));
            }
            Output::Disconnect(peer) => {
                let other = self.number_of(&peer)?;
                if !self.may_go.contains(&at) && !self.may_go.contains(&other) {
                    return self.fail(format!(
                        "peer {at} cut off peer {other}, which did nothing wrong"
                    ));
                }
                self.part(at, other);
            }
            other => return self.gossip(at, other),
        }
        Ok(())
    }

    /// Counts a frame that is sent.
    fn count(&mut self, from: usize, to: usize) {
        self.frames += 1;
        let outside = self.may_go.contains(&from) || self.may_go.contains(&to);
        self.among += u64::from(!outside);
    }

    fn number_of(&self, id: &PeerId) -> Played<usize> {
        match self.ids.iter().position(|known| known == id) {
            Some(at) => Ok(at),
            None => self.fail(format!("there is no peer {id}")),
        }
    }

    /// What follows whatever a peer did.
    fn after(&mut self, at: usize) -> Played {
        let looked = self.oracle.look(at, &self.peers[at], &self.ids);
        if let Some(wrong) = self.sound(at, "cannot be looked into", looked)? {
            return self.fail(wrong);
        }
        if self.has_failed(at) {
            self.crash(at);
            return Ok(());
        }
        self.look_on(at)?;
        let (now, life) = (self.now, self.peers[at].life);
        let Some(up) = &mut self.peers[at].up else {
            return Ok(());
        };
        let news = up.node.news();
        let wake = up.machine.wake_at().map(|wake| wake.max(now));
        let wake = wake.filter(|wake| up.wake.is_none_or(|set| *wake < set));
        if let Some(wake) = wake {
            up.wake = Some(wake);
            self.push(wake - now, Event::Wake(at, life, wake));
        }
        for news in news {
            let in_ms = self.net.below(3);
            self.push(in_ms, Event::Input(at, life, Input::News(news)));
        }
        Ok(())
    }
}

fn lie(plant: Option<Plant>) -> Option<Lie> {
    match plant {
        Some(Plant::Disk(lie)) => Some(lie),
        _ => None,
    }
}
