//! The transport keeps every law, over each way that it takes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::sync::Arc;

use threads_conformance::transport::{LAWS, Subject};
use threads_core::{IdentityKey, system_rng};
use threads_net_libp2p::{HashTable, Libp2p};

fn subject(listen: &'static str) -> Subject {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let runtime = Arc::new(runtime);
    let polls = Arc::clone(&runtime);
    let join = move || {
        let identity = IdentityKey::generate(&mut system_rng());
        let builder = Libp2p::builder(&identity).hash_table(HashTable::Server);
        runtime.block_on(builder.listen(listen.parse().unwrap()).start())
    };
    Subject::new(join)
        .with_discovery()
        .with_block_on(move |task| polls.block_on(task))
}

mod tcp {
    threads_conformance::transport_laws!(super::subject("/ip4/127.0.0.1/tcp/0"));
}

mod websocket {
    threads_conformance::transport_laws!(super::subject("/ip4/127.0.0.1/tcp/0/ws"));
}

#[cfg(feature = "quic")]
mod quic {
    threads_conformance::transport_laws!(super::subject("/ip4/127.0.0.1/udp/0/quic-v1"));
}

#[test]
fn no_law_is_skipped() {
    let wanted = format!("checked {0} of {0} laws, skipped none", LAWS.len());
    let line = threads_conformance::summary(LAWS, || subject("/ip4/127.0.0.1/tcp/0"));
    assert_eq!(line, wanted);
}
