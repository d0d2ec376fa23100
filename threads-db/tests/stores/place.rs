//! A store in a fresh place, which goes with it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use threads_core::Result;
use threads_core::datastore::{Capability, Datastore, ReadTxn, WriteTxn};

/// A kind of store: how one is opened in a directory.
pub(crate) trait Kind: 'static {
    type Store: Datastore;

    fn open(dir: &Path) -> Result<Self::Store>;

    /// What is there once `store` was closed and opened again.
    fn reopen(store: Self::Store, dir: &Path) -> Result<Self::Store> {
        drop(store);
        Self::open(dir)
    }
}

/// A store of kind `K`.
pub(crate) struct Place<K: Kind> {
    /// Before its directory, so that it is closed before that is removed.
    store: K::Store,
    dir: TempDir,
}

impl<K: Kind> Place<K> {
    /// An empty store.
    pub(crate) fn fresh() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let store = K::open(dir.path()).unwrap();
        Arc::new(Self { store, dir })
    }

    /// Closes the store and opens it again. Nodes and threads on it must be gone.
    #[track_caller]
    pub(crate) fn reopen(self: Arc<Self>) -> Arc<Self> {
        let Self { store, dir } = Arc::into_inner(self).expect("somebody still has the store");
        let store = K::reopen(store, dir.path()).unwrap();
        Arc::new(Self { store, dir })
    }
}

impl<K: Kind> Datastore for Place<K> {
    fn capability(&self) -> Capability {
        self.store.capability()
    }

    fn read(&self) -> Result<Box<dyn ReadTxn + '_>> {
        self.store.read()
    }

    fn write(&self) -> Result<Box<dyn WriteTxn + '_>> {
        self.store.write()
    }
}

impl<K: Kind> fmt::Debug for Place<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}
