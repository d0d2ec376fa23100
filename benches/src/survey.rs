//! Where the bytes of a store's data file are, keyspace by keyspace.

use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, EnvFlags, EnvOpenOptions};
use serde::Serialize;
use threads_core::datastore::Keyspace;

use crate::Result;

/// One keyspace.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Space {
    pub(crate) name: &'static str,
    pub(crate) rows: u64,
    pub(crate) key_bytes: u64,
    /// With the checksum that the store puts before each value.
    pub(crate) value_bytes: u64,
    /// The pages that hold them.
    pub(crate) page_bytes: u64,
}

/// The data file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Survey {
    pub(crate) file_bytes: u64,
    /// What the keyspaces take of it; the rest is free, or LMDB's own.
    pub(crate) used_bytes: u64,
    pub(crate) spaces: Vec<Space>,
}

/// Looks into the store in `dir`, which nobody has open.
#[allow(unsafe_code, reason = "heed can open an environment in no other way")]
pub(crate) fn survey(dir: &Path) -> Result<Survey> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.max_dbs(Keyspace::ALL.len() as u32);
    // SAFETY: reading promises nothing that LMDB could rely on.
    unsafe { options.flags(EnvFlags::READ_ONLY) };
    // SAFETY: the store was closed, and this process alone knows of its directory.
    let env = unsafe { options.open(dir) }?;
    let opened = env.open_databases_and_commit(env.read_txn()?, |opener, txn| {
        let mut spaces = Vec::new();
        for space in Keyspace::ALL {
            let Some(table) = opener.open_database::<Bytes, Bytes>(txn, Some(space.name()))? else {
                continue;
            };
            let (mut key_bytes, mut value_bytes) = (0, 0);
            for row in table.iter(txn)? {
                let (key, value) = row?;
                key_bytes += key.len() as u64;
                value_bytes += value.len() as u64;
            }
            let stat = table.stat(txn)?;
            spaces.push(Space {
                name: space.name(),
                rows: stat.entries as u64,
                key_bytes,
                value_bytes,
                page_bytes: stat.non_free_page_size() as u64,
            });
        }
        Ok::<_, heed::Error>(CommitOrAbort::<(), _>::Abort(spaces))
    })?;
    let spaces = opened.abort().ok_or("the keyspaces were not read")?;
    Ok(Survey {
        file_bytes: env.real_disk_size()?,
        used_bytes: spaces.iter().map(|space| space.page_bytes).sum(),
        spaces,
    })
}
