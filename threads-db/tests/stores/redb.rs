//! The suite on redb.

use std::path::Path;

use threads_core::Result;
use threads_store_redb::{Redb, RedbOptions};

use super::place::{Kind, Place};

#[path = "suite/copied.rs"]
mod copied;
#[path = "suite/crash.rs"]
mod crash;
#[path = "suite/keystore.rs"]
mod keystore;
#[path = "suite/mod.rs"]
mod suite;
#[path = "suite/wiped.rs"]
mod wiped;

pub(crate) struct Durable;

impl Kind for Durable {
    type Store = Redb;

    fn open(dir: &Path) -> Result<Redb> {
        Redb::open(dir)
    }
}

pub(crate) type Store = Place<Durable>;

/// Has the files hold nothing but the rows of the store.
fn wipe(dir: &Path) {
    RedbOptions::default().wipe(dir).unwrap();
}
