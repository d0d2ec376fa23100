//! The suite on LMDB.

use std::path::Path;

use threads_core::Result;
use threads_store_lmdb::{Lmdb, LmdbOptions};

use super::place::{Kind, Place};

#[path = "suite/copied.rs"]
mod copied;
#[path = "suite/crash.rs"]
mod crash;
#[path = "suite/keystore.rs"]
mod keystore;
#[path = "suite/read_only.rs"]
mod read_only;
#[path = "suite/mod.rs"]
pub(crate) mod suite;
#[path = "suite/wiped.rs"]
mod wiped;

pub(crate) struct Durable;

impl Kind for Durable {
    type Store = Lmdb;

    /// Without the reserve, which nothing here needs and which takes time to make.
    fn open(dir: &Path) -> Result<Lmdb> {
        let mut options = LmdbOptions::default();
        options.reserve_bytes = 0;
        options.open(dir)
    }
}

pub(crate) type Store = Place<Durable>;

fn open_read_only(dir: &Path) -> Result<Lmdb> {
    Lmdb::open_read_only(dir)
}

/// Has the files hold nothing but the rows of the store.
fn wipe(dir: &Path) {
    Durable::open(dir).unwrap().wipe().unwrap();
}
