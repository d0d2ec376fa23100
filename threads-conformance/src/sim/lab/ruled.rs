//! A lab in a thread with access rules.

use std::sync::Arc;

use threads_core::datastore::Datastore;
use threads_core::rand_core::CryptoRng;
use threads_core::{CollectionName, EntityId, Result};
use threads_db::{Db, NodeBuilder, WriteTransaction};

use super::Lab;
use crate::sim::generate;
use crate::sim::script::Script;
use crate::sim::watch::Watch;

/// Another lab, in threads that have access rules: scripts grant roles, take them, and rotate keys. The
/// lab adds the policy to its nodes.
///
/// ```
/// use threads_acl::Acl;
/// use threads_codec_jsonpatch::JsonPatch;
/// use threads_conformance::sim::{lab::{Ruled, Things}, seeds};
///
/// let codec = "jsonpatch/1".parse().unwrap();
/// let things = Things::new(codec, |node| node.codec(JsonPatch::new()).policy(Acl::new()));
/// seeds::check(&Ruled::new(things), 0..2);
/// ```
#[derive(Debug)]
pub struct Ruled<L>(L);

impl<L: Lab> Ruled<L> {
    /// This lab, in threads with rules.
    ///
    /// ```
    /// use threads_codec_jsonpatch::JsonPatch;
    /// use threads_conformance::sim::lab::{Ruled, Things};
    ///
    /// let things = Things::new("jsonpatch/1".parse().unwrap(), |node| node.codec(JsonPatch::new()));
    /// let ruled = Ruled::new(things);
    /// ```
    pub fn new(lab: L) -> Self {
        Self(lab)
    }
}

impl<L: Lab> Lab for Ruled<L> {
    fn equip(&self, builder: NodeBuilder) -> NodeBuilder {
        self.0.equip(builder)
    }

    fn equip_less(&self, builder: NodeBuilder) -> NodeBuilder {
        self.0.equip_less(builder)
    }

    fn prepare(&self, db: &Db) -> Result<()> {
        self.0.prepare(db)
    }

    fn write(
        &self,
        db: &Db,
        txn: &mut WriteTransaction<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<()> {
        self.0.write(db, txn, rng)
    }

    fn act(&self, db: &Db, rng: &mut dyn CryptoRng) -> Result<()> {
        self.0.act(db, rng)
    }

    fn watch(&self, db: &Db) -> Result<Vec<Box<dyn Watch>>> {
        self.0.watch(db)
    }

    fn finish(&self, peers: &[&Db]) -> Result<()> {
        self.0.finish(peers)
    }

    fn check(&self, peers: &[&Db]) -> Result<()> {
        self.0.check(peers)
    }

    fn state(&self, db: &Db) -> Result<Vec<u8>> {
        self.0.state(db)
    }

    fn script(&self, seed: u64) -> Script {
        generate::ruled(seed)
    }

    fn entity(&self, number: u32) -> Option<(CollectionName, EntityId)> {
        self.0.entity(number)
    }

    fn store(&self, peer: usize) -> Option<Arc<dyn Datastore>> {
        self.0.store(peer)
    }
}
