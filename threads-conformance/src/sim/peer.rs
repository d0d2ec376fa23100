//! One peer: its disk, its clock, and the node and machine that run on them until they crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chacha20::ChaCha8Rng;
use threads_core::block::sha256;
use threads_core::datastore::{Datastore, Memory};
use threads_core::{Clock, IdentityKey, PeerCard, PeerId, Result, Variant};
use threads_db::sync::{CallId, Machine, RequestId};
use threads_db::{Db, Node, ThreadKeys};

use super::lab::Lab;
use super::store::{Disk, Lie};
use super::trace::chance;
use super::watch::Watch;

pub(super) mod anew;

/// The name of the thread on every peer.
const NAME: &str = "shared";
/// When the simulation begins, in milliseconds since 1970.
pub(super) const BEGIN_MS: u64 = 1_600_000_000_000;

/// How often peers have others show what they signed for, while the script runs.
const CHECK_EVERY_MS: u64 = 10_000;

/// A clock that the simulation sets.
#[derive(Clone, Debug, Default)]
pub(super) struct WallClock(Arc<AtomicU64>);

impl WallClock {
    pub(super) fn set(&self, now_ms: u64, skew_ms: i64) {
        let now_ms = (BEGIN_MS + now_ms).saturating_add_signed(skew_ms);
        self.0.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for WallClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Where the reply to a request goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) from: usize,
    pub(super) life: u64,
    pub(super) call: CallId,
    pub(super) connection: u64,
}

/// A peer, running or not.
pub(super) struct Peer {
    pub(super) id: PeerId,
    identity: [u8; 32],
    store: Arc<dyn Datastore>,
    /// The simulator's disk, if the store is one.
    pub(super) disk: Option<Arc<Disk>>,
    backup: Option<Memory>,
    pub(super) clock: WallClock,
    pub(super) skew_ms: i64,
    /// How often it has started.
    pub(super) life: u64,
    pub(super) up: Option<Up>,
    /// Whether it lacks parts of the lab.
    pub(super) lacks: bool,
    /// How often it has others show what they signed for.
    check_every_ms: Option<u64>,
    /// Until when its disk is busy.
    pub(super) busy_until: u64,
}

/// What a peer has a thread from that it does not have.
pub(super) enum Begin {
    Keys(ThreadKeys),
    /// A file with a snapshot.
    Snapshot(Vec<u8>),
}

/// A peer that runs.
pub(super) struct Up {
    pub(super) node: Node,
    pub(super) db: Db,
    pub(super) machine: Machine,
    pub(super) rng: ChaCha8Rng,
    /// To whom calls are under way, and on which connection.
    pub(super) calls: BTreeMap<CallId, (usize, u64)>,
    pub(super) requests: BTreeMap<RequestId, Asked>,
    pub(super) next_request: RequestId,
    /// What it reads of what others publish.
    pub(super) topics: BTreeSet<Vec<u8>>,
    /// When it is to be woken.
    pub(super) wake: Option<u64>,
    /// What looks on, and how many commits there were when it did.
    pub(super) watches: Vec<Box<dyn Watch>>,
    pub(super) watched: u64,
}

impl Peer {
    pub(super) fn new(lab: &dyn Lab, seed: u64, at: usize, lie: Option<Lie>) -> Self {
        let identity = sha256(format!("{seed}/identity/{at}").as_bytes());
        let own = lab.store(at);
        let disk = own.is_none().then(|| Arc::new(new_disk(lie)));
        Self {
            id: IdentityKey::from_bytes(&identity).peer_id(),
            identity,
            store: own.unwrap_or_else(|| as_store(disk.as_ref())),
            disk,
            backup: None,
            clock: WallClock::default(),
            skew_ms: 0,
            life: 0,
            up: None,
            lacks: false,
            check_every_ms: Some(CHECK_EVERY_MS),
            busy_until: 0,
        }
    }

    /// What things are sealed to for it.
    pub(super) fn card(&self) -> PeerCard {
        IdentityKey::from_bytes(&self.identity).card()
    }

    /// From now on it asks nobody to show anything, so that all can fall silent.
    pub(super) fn stop_checking(&mut self) {
        self.check_every_ms = None;
        if let Some(up) = &mut self.up {
            up.machine.check_every(None);
        }
    }

    /// Its store, as it sees it.
    pub(super) fn store(&self) -> &dyn Datastore {
        &*self.store
    }

    /// Ends it; on the simulator's disk, what was not synced is lost.
    pub(super) fn crash(&mut self) {
        self.up = None;
        if let Some(disk) = &self.disk {
            self.disk = Some(Arc::new(disk.after_power_loss()));
            self.store = as_store(self.disk.as_ref());
        }
    }

    /// Keeps what is on its disk now.
    pub(super) fn back_up(&mut self) {
        self.backup = self.disk.as_ref().map(|disk| disk.synced());
    }

    /// Gives it what it had on its disk when it was backed up; says whether it was.
    pub(super) fn put_back(&mut self, lie: Option<Lie>) -> bool {
        let Some(backup) = &self.backup else {
            return false;
        };
        self.disk = Some(Arc::new(Disk::over(backup.fork(), lie)));
        self.store = as_store(self.disk.as_ref());
        true
    }

    /// Gives it a new disk.
    pub(super) fn lose_disk(&mut self, lie: Option<Lie>) {
        if self.disk.is_some() {
            self.disk = Some(Arc::new(new_disk(lie)));
            self.store = as_store(self.disk.as_ref());
        }
    }

    /// Starts it. It has the thread, or is given its keys and with whom it is shared, or makes one of
    /// this variant.
    pub(super) fn start(
        &mut self,
        lab: &dyn Lab,
        (seed, at): (u64, usize),
        begin: Result<Begin, Variant>,
        others: &[PeerId],
    ) -> Result<()> {
        self.life += 1;
        let rng = |purpose| chance(seed, &format!("{purpose}/{at}/{}", self.life));
        let builder = Node::builder(Arc::clone(&self.store))
            .clock(self.clock.clone())
            .rng(rng("node"))
            .identity(IdentityKey::from_bytes(&self.identity));
        let node = match self.lacks {
            true => lab.equip_less(builder),
            false => lab.equip(builder),
        };
        let node = node.open()?;
        // From here on the node remembers what it does.
        node.news();
        let db = match (node.threads()?.is_empty(), begin) {
            (false, _) => node.open(NAME)?,
            (true, Ok(Begin::Keys(keys))) => node.add_thread(NAME, &keys)?,
            (true, Ok(Begin::Snapshot(file))) => anew::restore(&node, &file)?,
            (true, Err(variant)) => node.create_with(NAME, variant)?,
        };
        for other in others.iter().filter(|other| **other != self.id) {
            db.share_with(other)?;
        }
        let mut machine = Machine::new(self.id);
        machine.check_every(self.check_every_ms);
        self.up = Some(Up {
            machine,
            node,
            db,
            rng: rng("machine"),
            calls: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            topics: BTreeSet::new(),
            wake: None,
            watches: Vec::new(),
            watched: 0,
        });
        Ok(())
    }
}

fn new_disk(lie: Option<Lie>) -> Disk {
    match lie {
        Some(lie) => Disk::new().that_lies(lie),
        None => Disk::new(),
    }
}

fn as_store(disk: Option<&Arc<Disk>>) -> Arc<dyn Datastore> {
    match disk {
        Some(disk) => Arc::clone(disk) as Arc<dyn Datastore>,
        None => Arc::new(Disk::new()),
    }
}
