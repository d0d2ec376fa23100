//! A datastore with its keys sealed, as its node sees it: in the clear.
//!
//! Only [`Keyspace::Keys`] is touched. The value of each of its rows is sealed under the store key and
//! bound to the keystore and to the row's key, but for empty values, which hold nothing. The row of the
//! identity holds a *mark* instead, which names the keystore: as long as it is not there, the datastore
//! has its keys in the clear. Both change in one transaction, and each transaction asks the mark that it
//! sees.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use threads_core::datastore::{
    Capability, Datastore, DatastoreExt, Direction, Durability, KeyRange, Keyspace, ReadTxn, Row,
    Scan, WriteTxn,
};
use threads_core::{Error, ErrorKind, IdentityKey, Result};
use zeroize::{Zeroize as _, Zeroizing};

use super::file::ID_BYTES;
use super::{Keystore, KeystoreFault, disk};
use crate::node::IDENTITY_KEY;

const MARK: &[u8] = b"threads/keystore/1";
const ROW_DOMAIN: &[u8] = b"threads/keystore/row/1";
/// The row and the value that are opened when there is no row to open, so that it takes no less time
/// to find that a thread is not here.
const NO_ROW: &[u8] = b"";
const NO_VALUE: &[u8; 32] = &[0; 32];

/// How the keys of a datastore rest.
pub(crate) enum Standing {
    /// There are none yet.
    New,
    /// In the clear, as the identity.
    Clear(Box<IdentityKey>),
    /// Sealed by the keystore of this name.
    Sealed([u8; ID_BYTES]),
}

/// How the keys of a datastore rest, below any layer.
pub(crate) fn standing(txn: &dyn ReadTxn) -> Result<Standing> {
    let Some(row) = txn.get(Keyspace::Keys, IDENTITY_KEY)? else {
        return Ok(Standing::New);
    };
    if let Some(id) = row.strip_prefix(MARK).and_then(|id| id.try_into().ok()) {
        return Ok(Standing::Sealed(id));
    }
    match <&[u8; 32]>::try_from(&*row) {
        Ok(seed) => Ok(Standing::Clear(Box::new(IdentityKey::from_bytes(seed)))),
        Err(_) => Err(Error::corrupt("the identity of this datastore is damaged")),
    }
}

/// See [`Keystore::over`].
pub(super) fn over(keystore: &Keystore, store: Arc<dyn Datastore>) -> Result<Arc<dyn Datastore>> {
    let decoy = keystore
        .0
        .store
        .seal(&row_bound(&keystore.0.id, NO_ROW), NO_VALUE)?;
    let layer = Layered {
        store,
        keystore: keystore.clone(),
        decoy,
    };
    let is_sealed = layer.is_sealed(&*layer.store.read()?)?;
    if !is_sealed {
        // The file may be there and not be durable yet, if what made it crashed.
        disk::sync(&keystore.0.path)?;
        match layer.seal_all() {
            // A store that can only be read is read as it is.
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            sealed => sealed?,
        }
    }
    Ok(Arc::new(layer))
}

/// What a row's value is bound to.
pub(super) fn row_bound(id: &[u8; ID_BYTES], key: &[u8]) -> Vec<u8> {
    [ROW_DOMAIN, id, key].concat()
}

/// What is in the place of the identity.
pub(super) fn mark(id: &[u8; ID_BYTES]) -> Vec<u8> {
    [MARK, id].concat()
}

struct Layered {
    store: Arc<dyn Datastore>,
    keystore: Keystore,
    /// What is opened when there is nothing to open.
    decoy: Vec<u8>,
}

impl fmt::Debug for Layered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} over {:?}", self.keystore, self.store)
    }
}

impl Layered {
    /// Whether the keys are sealed in what a transaction of the store below sees.
    fn is_sealed(&self, below: &dyn ReadTxn) -> Result<bool> {
        let own = &self.keystore.0;
        match standing(below)? {
            Standing::New => Ok(false),
            Standing::Clear(identity) if *identity == own.identity => Ok(false),
            Standing::Sealed(id) if id == own.id => Ok(true),
            _ => Err(KeystoreFault::Foreign.error(&own.path)),
        }
    }

    /// Seals every key that is in the clear, all at once.
    fn seal_all(&self) -> Result<()> {
        self.store.transact(Durability::Immediate, |txn| {
            if self.is_sealed(txn.as_read())? {
                return Ok(());
            }
            let all = (Bound::Unbounded, Bound::Unbounded);
            let rows = txn.scan(Keyspace::Keys, all, Direction::Forward)?;
            let rows: Vec<_> = rows
                .map(|row| row.map(|(key, value)| (key.to_vec(), Zeroizing::new(value.to_vec()))))
                .collect::<Result<_>>()?;
            for (key, value) in rows {
                if key != IDENTITY_KEY && !value.is_empty() {
                    txn.put(Keyspace::Keys, &key, &self.seal(&key, &value)?)?;
                }
            }
            txn.put(Keyspace::Keys, IDENTITY_KEY, &mark(&self.keystore.0.id))
        })
    }

    fn seal(&self, key: &[u8], value: &[u8]) -> Result<Vec<u8>> {
        self.keystore
            .0
            .store
            .seal(&row_bound(&self.keystore.0.id, key), value)
    }

    /// The value of a row as the node sees it.
    fn open(&self, key: &[u8], value: Cow<'_, [u8]>) -> Result<Vec<u8>> {
        let own = &self.keystore.0;
        if key == IDENTITY_KEY {
            return Ok(own.identity.to_bytes().to_vec());
        }
        if value.is_empty() {
            return Ok(Vec::new());
        }
        let opened = own.store.open(&row_bound(&self.keystore.0.id, key), &value);
        // Whoever reads it wipes it.
        opened.map(|value| value.to_vec()).map_err(|cause| {
            Error::corrupt("a key in the datastore is damaged: restore the store from a copy")
                .caused_by(cause)
        })
    }
}

impl Datastore for Layered {
    fn capability(&self) -> Capability {
        self.store.capability()
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        Ok(Box::new(Reading {
            layer: self,
            below: self.store.read()?,
            sealed: OnceCell::new(),
        }))
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        Ok(Box::new(Writing {
            layer: self,
            below: self.store.write()?,
            sealed: OnceCell::new(),
        }))
    }
}

/// A snapshot.
struct Reading<'a> {
    layer: &'a Layered,
    below: Box<dyn ReadTxn + 'a>,
    sealed: OnceCell<bool>,
}

/// The write transaction.
struct Writing<'a> {
    layer: &'a Layered,
    below: Box<dyn WriteTxn + 'a>,
    sealed: OnceCell<bool>,
}

/// Whether the keys are sealed in what a transaction sees: asked once.
fn sealed(layer: &Layered, below: &dyn ReadTxn, known: &OnceCell<bool>) -> Result<bool> {
    if let Some(sealed) = known.get() {
        return Ok(*sealed);
    }
    let sealed = layer.is_sealed(below)?;
    Ok(*known.get_or_init(|| sealed))
}

fn get<'t>(
    layer: &Layered,
    below: &'t dyn ReadTxn,
    known: &OnceCell<bool>,
    space: Keyspace,
    key: &[u8],
) -> Result<Option<Cow<'t, [u8]>>> {
    let value = below.get(space, key)?;
    if space != Keyspace::Keys || !sealed(layer, below, known)? {
        return Ok(value);
    }
    match value {
        Some(value) => layer.open(key, value).map(|value| Some(Cow::Owned(value))),
        None => {
            layer.open(NO_ROW, Cow::Borrowed(&layer.decoy))?.zeroize();
            Ok(None)
        }
    }
}

fn scan<'t>(
    layer: &'t Layered,
    below: &'t dyn ReadTxn,
    known: &OnceCell<bool>,
    (space, range, direction): (Keyspace, KeyRange<'_>, Direction),
) -> Result<Scan<'t>> {
    let rows = below.scan(space, range, direction)?;
    if space != Keyspace::Keys || !sealed(layer, below, known)? {
        return Ok(rows);
    }
    Ok(Box::new(rows.map(|row| -> Result<Row<'t>> {
        let (key, value) = row?;
        let value = layer.open(&key, value)?;
        Ok((key, Cow::Owned(value)))
    })))
}

impl ReadTxn for Reading<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        get(self.layer, &*self.below, &self.sealed, space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        scan(
            self.layer,
            &*self.below,
            &self.sealed,
            (space, range, direction),
        )
    }
}

impl ReadTxn for Writing<'_> {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        get(self.layer, self.below.as_read(), &self.sealed, space, key)
    }

    fn scan(&self, space: Keyspace, range: KeyRange<'_>, direction: Direction) -> Result<Scan<'_>> {
        scan(
            self.layer,
            self.below.as_read(),
            &self.sealed,
            (space, range, direction),
        )
    }
}

impl WriteTxn for Writing<'_> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) -> Result<()> {
        if space != Keyspace::Keys || value.is_empty() && key != IDENTITY_KEY {
            return self.below.put(space, key, value);
        }
        if !sealed(self.layer, self.below.as_read(), &self.sealed)? {
            return self.below.put(space, key, value);
        }
        if key == IDENTITY_KEY {
            // It is in the file, and the mark is in its place.
            let own = self.layer.keystore.0.identity.to_bytes();
            return match value == &own[..] {
                true => Ok(()),
                false => Err(KeystoreFault::Foreign.error(&self.layer.keystore.0.path)),
            };
        }
        let value = self.layer.seal(key, value)?;
        self.below.put(space, key, &value)
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) -> Result<()> {
        self.below.delete(space, key)
    }

    fn commit(self: Box<Self>, durability: Durability) -> Result<()> {
        self.below.commit(durability)
    }

    fn as_read(&self) -> &dyn ReadTxn {
        self
    }
}
