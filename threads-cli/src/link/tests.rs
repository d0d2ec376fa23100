//! The link keeps every law of datastores.

use std::sync::Arc;

use threads_conformance::datastore::Subject;
use threads_core::datastore::Memory;
use threads_core::transport::memory::Hub;
use threads_db::Node;
use tokio::runtime::Runtime;

use super::client::Linked;
use super::control::{self, Control};
use super::server::{self, Served};

/// A store that is served in `dir`, seen from the other end.
fn linked(dir: &std::path::Path) -> threads_core::Result<Linked> {
    let store = Arc::new(Memory::new());
    let node = Node::builder(Memory::new()).open()?;
    let transport = Arc::new(Hub::new().join(node.peer_id())?);
    let runtime = Runtime::new().unwrap();
    let control = Control {
        transport,
        connected: threads_db::sync::Connected::default(),
        runtime: runtime.handle().clone(),
    };
    server::start(
        dir,
        Served {
            store,
            node,
            control,
        },
    )?;
    assert_eq!(control::about(dir)?.connected, []);
    Ok(Linked::open(dir)?.unwrap())
}

threads_conformance::datastore_laws!(Subject::new(|dir: &std::path::Path| linked(dir)));

#[test]
fn nobody_is_no_error_and_no_store() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Linked::open(dir.path()).unwrap().is_none());
}

#[test]
fn a_long_path_of_a_repository_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a-long-name".repeat(12));
    std::fs::create_dir_all(&deep).unwrap();
    linked(&deep).unwrap();
}
