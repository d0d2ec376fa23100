//! The reference store keeps every law.

use threads_conformance::datastore::Subject;
use threads_conformance::faulty::{Fails, Faulty};
use threads_core::datastore::Memory;

fn subject() -> Subject {
    Subject::new(|_dir| Ok(Memory::new())).with_failing(|_dir| {
        let store = Faulty::new(Memory::new(), Fails::Writing);
        store.arm(9);
        Ok(store)
    })
}

threads_conformance::datastore_laws!(subject());
