//! How what is committed gets to disk, and starting redb again after a full one.

use std::sync::{Arc, PoisonError};

use redb::Database;
use threads_store_group::{Carrier, Fault, Flight};

use crate::check;
use crate::fault::Failure;
use crate::store::{OnDisk, Redb};
use crate::table::{self, Tables};

impl Carrier for Redb {
    /// Writes the flight as one transaction of redb.
    fn carry(&self, flight: &Flight) -> Result<(), Fault> {
        let mut slot = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let db = match slot.take() {
            Some(db) => slot.insert(db),
            None => slot.insert(self.restart()?),
        };
        let fault = |failure: Failure| self.disk.fault(&failure);
        let written = table::write(db, flight.layers()).map_err(fault);
        // What was written may be there: nothing goes on as if it were not.
        let read = |()| Tables::read(db).map_err(|failure| fault(failure).breaking());
        match written.and_then(read) {
            Ok(tables) => {
                self.group.lock().own = OnDisk {
                    tables: Arc::new(tables),
                    carried: flight.number(),
                };
                Ok(())
            }
            Err(fault) => {
                if !fault.breaks() {
                    // redb does nothing more after any failure, not even reading. It starts again,
                    // now or, where that fails, with the next commit.
                    drop(slot.take());
                    *slot = self.restart().ok();
                }
                Err(fault)
            }
        }
    }
}

impl Redb {
    /// Starts redb again, as after a crash: the last whole commit is what is there.
    fn restart(&self) -> Result<Database, Fault> {
        self.disk.forgive();
        let fault = |failure: Failure| self.disk.fault(&failure);
        let db = check::start(self.disk.clone(), self.cache_bytes).map_err(fault)?;
        let tables = Tables::read(&db).map_err(fault)?;
        self.group.lock().own.tables = Arc::new(tables);
        Ok(db)
    }
}
