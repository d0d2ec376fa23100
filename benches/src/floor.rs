//! The floors: the least that has to be done for a transaction, with nothing around it.

use std::hint::black_box;
use std::path::Path;

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer as _, SigningKey};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, WithoutTls};
use sha2::{Digest as _, Sha256};
use threads_core::datastore::Keyspace;

use crate::Result;
use crate::trace::{Change, Lengths};

/// The map of the engine's store, so that both sides map the same.
const MAP_BYTES: usize = 64 << 30;
const SPACES: usize = Keyspace::ALL.len();

/// Whether a commit of [`Raw`] waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    Yes,
    No,
}

/// LMDB as the engine's store opens it, without the store.
pub(crate) struct Raw {
    env: Env<WithoutTls>,
    tables: [Database<'static, Bytes, Bytes>; SPACES],
}

impl Raw {
    #[allow(unsafe_code, reason = "heed can open an environment in no other way")]
    pub(crate) fn create(dir: &Path, sync: Sync) -> Result<Self> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_BYTES).max_dbs(SPACES as u32);
        if sync == Sync::No {
            // SAFETY: a crash may damage the file then, and the file is thrown away after the run.
            unsafe { options.flags(EnvFlags::NO_SYNC) };
        }
        // SAFETY: the directory is new and this process alone knows of it.
        let env = unsafe { options.open(dir) }?;
        let made = env.create_databases_and_commit(env.write_txn()?, |opener, txn| {
            let mut tables = Vec::with_capacity(SPACES);
            for space in Keyspace::ALL {
                tables.push(opener.create_database::<Bytes, Bytes>(txn, Some(space.name()))?);
            }
            let tables: [_; SPACES] = tables
                .try_into()
                .map_err(|_| heed::Error::Io(std::io::Error::other("a keyspace is missing")))?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(tables))
        })?;
        let tables = made.commit().ok_or("the tables were not made")?;
        Ok(Self { env, tables })
    }

    /// Puts the rows of one transaction and commits them.
    pub(crate) fn commit(&self, changes: &[Change]) -> Result<()> {
        let mut txn = self.env.write_txn()?;
        for change in changes {
            let place = Keyspace::ALL.iter().position(|one| *one == change.space);
            let table = self.tables[place.ok_or("a keyspace is unknown")?];
            match &change.value {
                Some(value) => table.put(&mut txn, &change.key, value)?,
                None => drop(table.delete(&mut txn, &change.key)?),
            }
        }
        Ok(txn.commit()?)
    }
}

/// Which blocks of a transaction a floor encrypts or decrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layers {
    Record,
    HeaderAndBody,
    All,
}

/// The cryptography of a transaction, by the same libraries.
pub(crate) struct Crypto {
    log: SigningKey,
    cipher: XChaCha20Poly1305,
    nonce: u64,
    buffer: Vec<u8>,
}

impl Crypto {
    pub(crate) fn new() -> Self {
        Self {
            log: SigningKey::from_bytes(&[7; 32]),
            cipher: XChaCha20Poly1305::new(&[9; 32].into()),
            nonce: 0,
            buffer: Vec::new(),
        }
    }

    /// Signs a record, encrypts blocks of these lengths and hashes the three.
    pub(crate) fn transaction(&mut self, lengths: &Lengths, layers: Layers) -> Result<()> {
        let Lengths {
            record,
            event,
            body,
        } = *lengths;
        let inner = layers != Layers::Record;
        self.seal_and_hash(body, inner)?;
        self.seal_and_hash(event, inner)?;
        self.buffer.resize(record, 0);
        black_box(self.log.sign(&self.buffer));
        self.seal_and_hash(record, layers != Layers::HeaderAndBody)
    }

    fn seal_and_hash(&mut self, bytes: usize, seal: bool) -> Result<()> {
        self.buffer.resize(bytes, 0);
        if seal {
            self.nonce += 1;
            let mut nonce = [0; 24];
            nonce[..8].copy_from_slice(&self.nonce.to_le_bytes());
            let tag = self
                .cipher
                .encrypt_inout_detached(
                    &XNonce::from(nonce),
                    b"where",
                    self.buffer.as_mut_slice().into(),
                )
                .map_err(|_| "a block is too long to encrypt")?;
            black_box(tag);
        }
        black_box(Sha256::digest(&self.buffer));
        Ok(())
    }
}
