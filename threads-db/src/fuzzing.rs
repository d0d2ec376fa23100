//! Doors to decoders that have no other, for the fuzzer: no part of the interface.
//!
//! ```
//! assert!(threads_db::fuzzing::read_car(b"no CAR file").is_err());
//! ```

use std::path::Path;

use serde_json::Value;
use threads_core::batch::EntityEvent;
use threads_core::block::{self, Block};
use threads_core::codec::{ActionKind, EventCodec, EventCodecExt};
use threads_core::module::Module;
use threads_core::{Cid, PeerId, Result};

use crate::car::{CarReader, CarWriter};
use crate::catalogue::reserved;
use crate::db::Db;
use crate::export::Manifest;
use crate::keystore::{KeystoreFile, framed};
use crate::modules;
use crate::passphrase::SealedSecret;
use crate::snapshot;
use crate::sync::wire::{Answer, Ask};
use crate::whole::{Whole, whole_id};

/// The roots and blocks of a CAR file. See the [module](self).
pub fn read_car(bytes: &[u8]) -> Result<(Vec<Cid>, Vec<Block>)> {
    let car = CarReader::new(bytes)?;
    let roots = car.roots().to_vec();
    Ok((roots, car.collect::<Result<_>>()?))
}

/// The CAR file of these blocks. See the [module](self).
pub fn write_car(root: Cid, blocks: &[Block]) -> Result<Vec<u8>> {
    let mut car = CarWriter::new(Vec::new(), root)?;
    blocks.iter().try_for_each(|block| car.write(block))?;
    car.finish()
}

/// A request of sync, decoded and encoded again. See the [module](self).
pub fn recode_ask(bytes: &[u8]) -> Result<Vec<u8>> {
    Ask::decode(bytes)?.encode()
}

/// A reply of sync, decoded and encoded again. See the [module](self).
pub fn recode_answer(bytes: &[u8]) -> Result<Vec<u8>> {
    Answer::decode(bytes)?.encode()
}

/// Requests and replies of every kind, to begin with. See the [module](self).
pub fn frames() -> Result<Vec<Vec<u8>>> {
    crate::sync::wire::samples()
}

/// What a collection is defined by, from the event of a definition. See the [module](self).
pub fn read_definition(event: &[u8]) -> Result<Value> {
    Whole.value(&Whole.apply(None, event)?)
}

/// What a thread is told of the last version of a module. See the [module](self).
pub fn module_told(module: &dyn Module) -> Result<Vec<u8>> {
    modules::told(module)
}

/// Whether that is taken, as the entity of this id. See the [module](self).
pub fn module_is_sound(id: &str, told: &[u8]) -> bool {
    let event = |entity| EntityEvent {
        collection: reserved(modules::MODULES),
        entity,
        codec: whole_id(),
        action: ActionKind::Create,
        payload: told.to_vec(),
    };
    id.parse().is_ok_and(|id| modules::is_sound(&event(id)))
}

/// A sealed secret, decoded and encoded again. See the [module](self).
pub fn recode_secret(bytes: &[u8]) -> Result<Vec<u8>> {
    SealedSecret::decode(bytes)?.encode()
}

/// The content of a snapshot, as items and as bytes again. See the [module](self).
pub fn recode_snapshot(bytes: &[u8]) -> Result<Vec<u8>> {
    snapshot::recode(bytes)
}

/// The content of a snapshot of a thread as it is now. See the [module](self).
pub fn snapshot_of(db: &Db) -> Result<Vec<u8>> {
    snapshot::content_now(db.thread())
}

/// Has a thread of which nothing is here begin with a snapshot, under its own name. See the [module](self).
pub fn open_snapshot(db: &Db, bytes: &[u8]) -> Result<()> {
    snapshot::open(db.thread(), bytes, &snapshot::name_of(bytes))
}

/// The first block of a file, decoded and encoded again. See the [module](self).
pub fn recode_manifest(bytes: &[u8]) -> Result<Vec<u8>> {
    block::encode(&block::decode::<Manifest>(bytes)?)
}

/// What is in a sealed secret. See the [module](self).
pub fn open_secret(bytes: &[u8], passphrase: &str, context: &[u8]) -> Result<Vec<u8>> {
    let secret = SealedSecret::decode(bytes)?.open(passphrase, context)?;
    Ok(secret.to_vec())
}

/// The bytes of a keystore's file with this body. See the [module](self).
pub fn keystore_of(body: &[u8]) -> Vec<u8> {
    framed(body)
}

/// A keystore's file, decoded and encoded again. See the [module](self).
pub fn recode_keystore(bytes: &[u8]) -> Result<Vec<u8>> {
    let file = KeystoreFile::of_bytes(Path::new("keystore"), bytes)?;
    Ok(file.to_bytes()?.to_vec())
}

/// The identity in a keystore without a passphrase. See the [module](self).
pub fn open_keystore(bytes: &[u8]) -> Result<PeerId> {
    let file = KeystoreFile::of_bytes(Path::new("keystore"), bytes)?;
    Ok(file.open(None)?.identity().peer_id())
}
