//! Doors to decoders that have no other, for the fuzzer: no part of the interface.
//!
//! ```
//! assert!(threads_db::fuzzing::read_car(b"no CAR file").is_err());
//! ```

use std::path::Path;

use serde_json::Value;
use threads_core::block::Block;
use threads_core::codec::{EventCodec, EventCodecExt};
use threads_core::{Cid, PeerId, Result};

use crate::car::{CarReader, CarWriter};
use crate::keystore::{KeystoreFile, framed};
use crate::passphrase::SealedSecret;
use crate::sync::wire::{Answer, Ask};
use crate::whole::Whole;

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

/// A sealed secret, decoded and encoded again. See the [module](self).
pub fn recode_secret(bytes: &[u8]) -> Result<Vec<u8>> {
    SealedSecret::decode(bytes)?.encode()
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
