//! The reference store keeps every law.

use threads_conformance::datastore::Subject;
use threads_core::datastore::Memory;

threads_conformance::datastore_laws!(Subject::new(|_dir| Ok(Memory::new())));
