//! The hub within a process keeps every law.

use threads_conformance::transport::{LAWS, Subject};
use threads_core::transport::memory::Hub;
use threads_core::{IdentityKey, system_rng};

fn subject() -> Subject {
    let hub = Hub::new();
    let anybody = || IdentityKey::generate(&mut system_rng()).peer_id();
    Subject::new(move || hub.join(anybody())).with_discovery()
}

threads_conformance::transport_laws!(subject());

#[test]
fn no_law_is_skipped() {
    let wanted = format!("checked {0} of {0} laws, skipped none", LAWS.len());
    assert_eq!(threads_conformance::summary(LAWS, subject), wanted);
}
