//! The peer: SQLite with the same documents as JSON text, and indexes on expressions.

use std::path::Path;

use rusqlite::{Connection, Params};

use crate::Result;
use crate::documents::{Document, document};

/// Enough to map every file that is made here, in bytes: no page is copied then, as in LMDB.
const MAP_BYTES: i64 = 8 << 30;
const CACHE_KIB: i64 = 256 << 10;

/// A file at `path` with `documents` documents, indexed by group and rank.
pub(crate) fn build(path: &Path, documents: usize) -> Result<()> {
    let mut connection = open(path)?;
    connection.execute_batch("CREATE TABLE docs (id TEXT PRIMARY KEY, body TEXT)")?;
    let txn = connection.transaction()?;
    {
        let mut insert = txn.prepare("INSERT INTO docs (id, body) VALUES (?1, ?2)")?;
        for number in 0..documents {
            let document = document(number, documents);
            let body = serde_json::to_string(&document)?;
            insert.execute((document.id, body))?;
        }
    }
    txn.commit()?;
    connection.execute_batch(
        "CREATE INDEX by_group ON docs (json_extract(body, '$.group'));
         CREATE INDEX by_rank ON docs (json_extract(body, '$.rank'));
         ANALYZE;",
    )?;
    Ok(())
}

pub(crate) fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "mmap_size", MAP_BYTES)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// The documents whose text a statement that was prepared before gives.
pub(crate) fn find(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
) -> Result<Vec<Document>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(serde_json::from_str(row.get_ref(0)?.as_str()?)?);
    }
    Ok(found)
}
