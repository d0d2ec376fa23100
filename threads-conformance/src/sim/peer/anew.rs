//! A thread that begins with a snapshot from a file.

use std::io::Write;

use threads_core::{Error, Result};
use threads_db::{Db, ExportOptions, Node, RestoreOptions};

/// What closes the file, and opens it.
const PASSPHRASE: &str = "a snapshot";

/// A file with a snapshot of what a peer has.
pub(in crate::sim) fn export(db: &Db) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let passphrase = Some(PASSPHRASE.to_owned().into());
    let options = ExportOptions {
        passphrase,
        ..Default::default()
    };
    db.export_snapshot(&mut file, &options, &mut |_| ())?;
    Ok(file)
}

/// The thread in such a file.
pub(super) fn restore(node: &Node, bytes: &[u8]) -> Result<Db> {
    let disk =
        |cause| Error::unavailable("the file of a snapshot cannot be written").caused_by(cause);
    let mut file = tempfile::NamedTempFile::new().map_err(disk)?;
    file.write_all(bytes).map_err(disk)?;
    let options = RestoreOptions {
        passphrase: Some(PASSPHRASE.to_owned().into()),
        name: Some(super::NAME.to_owned()),
        ..RestoreOptions::default()
    };
    let (db, _) = node.restore(file.path(), &options, &mut |_| ())?;
    Ok(db)
}
