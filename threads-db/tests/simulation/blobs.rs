//! Blobs: put in, named, fetched, kept, cleared and removed, on peers that meet through a replica.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::sim::generate::{self, Also};
use threads_conformance::sim::lab::Lab;
use threads_conformance::sim::script::Script;
use threads_conformance::sim::seeds;
use threads_core::blob::BlobRef;
use threads_core::rand_core::CryptoRng;
use threads_core::{Error, ErrorKind, Result};
use threads_db::query::Query;
use threads_db::{Db, NodeBuilder, WriteTransaction};

use crate::provide;

/// How many contents there are, and entities that name one of them.
const CONTENTS: u32 = 5;
const ALBUMS: u32 = 4;

/// Entities name a blob each.
#[derive(Default)]
pub(super) struct Albums {
    /// A defect to be found: nobody fetches anything in the end.
    pub(super) lazy: bool,
}

/// A content: none is like another, and the last ones have several chunks.
fn content(number: u32) -> Vec<u8> {
    let mut state = u64::from(number) + 0x9e37_79b9;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..2_000 + number * 110_000).map(|_| next()).collect()
}

/// The blobs that living entities name, and which content each is.
fn named(db: &Db) -> Result<Vec<(u32, BlobRef)>> {
    let mut named = BTreeMap::new();
    if let Ok(albums) = db.collection("Album") {
        albums.for_each(&Query::new(), &mut |album| {
            let broken = |cause| Error::corrupt("an album names no blob").caused_by(cause);
            let blob: BlobRef = serde_json::from_value(album["blob"].clone()).map_err(broken)?;
            let number = album["content"].as_u64().unwrap_or_default();
            named.insert(blob.to_string(), (number as u32, blob));
            Ok(true)
        })?;
    }
    Ok(named.into_values().collect())
}

fn put(db: &Db, rng: &mut dyn CryptoRng) -> Result<()> {
    let (number, album) = (rng.next_u32() % CONTENTS, rng.next_u32() % ALBUMS);
    let blob = db.blobs().put(&content(number)[..])?;
    let albums = db.collection("Album")?;
    let value = json!({"_id": format!("a{album}"), "content": number, "blob": blob});
    match albums.save(&value) {
        // The album was deleted.
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
        other => other.map(drop),
    }
}

/// Whether a peer can read a blob to its end; what it reads has to be the content.
fn reads(db: &Db, (number, blob): &(u32, BlobRef)) -> Result<bool> {
    let mut out = Vec::new();
    match db.blobs().get(blob, &mut out) {
        Ok(()) if out == content(*number) => Ok(true),
        Ok(()) => Err(Error::corrupt("a blob is not what was put in").with("blob", blob.cid())),
        Err(error) if error.kind() == ErrorKind::Unavailable => Ok(false),
        Err(error) => Err(error),
    }
}

impl Lab for Albums {
    fn equip(&self, builder: NodeBuilder) -> NodeBuilder {
        builder.codec(JsonPatch::new())
    }

    fn prepare(&self, db: &Db) -> Result<()> {
        provide(db, "Album", "jsonpatch/1")
    }

    /// What peers write besides is in the way of blobs, and names none.
    fn write(
        &self,
        db: &Db,
        txn: &mut WriteTransaction<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<()> {
        let albums = db.collection("Album")?;
        let id = format!("a{}", rng.next_u32() % ALBUMS);
        match rng.next_u32() % 12 {
            0 if txn.has(&albums, &id)? => txn.delete(&albums, &id),
            _ if txn.has(&albums, &id)? => txn.patch(&albums, &id, &json!({"n": rng.next_u32()})),
            _ => Ok(()),
        }
    }

    fn act(&self, db: &Db, rng: &mut dyn CryptoRng) -> Result<()> {
        self.prepare(db)?;
        let (what, named) = (rng.next_u32() % 9, named(db)?);
        let one = named.get(rng.next_u32() as usize % named.len().max(1));
        match (what, one) {
            (0..4, _) => put(db, rng),
            (4 | 5, Some((_, blob))) => db.blobs().fetch(blob.cid()),
            (6, _) => db.blobs().clear(Duration::ZERO).map(drop),
            (7, Some((_, blob))) => match db.blobs().remove(blob.cid()) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                other => other.map(drop),
            },
            (8, _) => db.blobs().keep_all(rng.next_u32().is_multiple_of(2)),
            _ => Ok(()),
        }
    }

    fn script(&self, seed: u64) -> Script {
        match seed % 2 {
            0 => generate::with(seed, &[Also::Acts, Also::Acts]),
            _ => generate::with(seed, &[Also::Acts, Also::Acts, Also::Between]),
        }
    }

    fn finish(&self, peers: &[&Db]) -> Result<()> {
        for db in peers.iter().filter(|_| !self.lazy) {
            for one in named(db)? {
                if !reads(db, &one)? {
                    db.blobs().fetch(one.1.cid())?;
                }
            }
        }
        Ok(())
    }

    /// Whatever a living entity names and somebody has, all have.
    fn check(&self, peers: &[&Db]) -> Result<()> {
        let (mut had, mut lacked) = (BTreeSet::new(), BTreeMap::new());
        for (at, db) in peers.iter().enumerate() {
            for one in named(db)? {
                match reads(db, &one)? {
                    true => drop(had.insert(one.1.to_string())),
                    false => drop(lacked.insert(one.1.to_string(), at)),
                }
            }
        }
        match lacked.into_iter().find(|(blob, _)| had.contains(blob)) {
            Some((blob, at)) => Err(Error::corrupt("a blob that others have cannot be got")
                .with("blob", blob)
                .with("peer", at)),
            None => Ok(()),
        }
    }
}

#[test]
fn blobs_that_somebody_has_can_be_got_by_all_whatever_happened() {
    seeds::check(&Albums::default(), seeds::from_env(20));
}
