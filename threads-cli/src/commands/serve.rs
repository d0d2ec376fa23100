//! `serve`, `id`, `peers`, `connect`: this node among others.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc;

use serde_json::{Map, Value, json};
use threads_core::{Error, ErrorKind, Multiaddr, PeerId};
use threads_net_libp2p::HashTable;

use crate::args::{Connect, HashTablePart, Serve};
use crate::commands::acl;
use crate::exit::{Advise, Failure, Result};
use crate::link::control::{self, About, Control};
use crate::link::server::{self, Served};
use crate::output::{Output, counted, grouped};
use crate::peer::{Online, Reach};
use crate::repo::Repo;

/// Serves the repository to its peers, and to other commands, until it is interrupted.
pub(crate) fn run(repo: &Repo, args: Serve, out: &mut Output) -> Result {
    let node = repo.owner(args.replica_quota)?;
    let mut reach = Reach::anywhere();
    if !args.listen.is_empty() {
        reach.listen = args.listen;
    }
    reach.mdns = !args.no_mdns;
    reach.hash_table = match args.hash_table {
        HashTablePart::Off => HashTable::Off,
        HashTablePart::Client => HashTable::Client,
        HashTablePart::Server => HashTable::Server,
    };
    acl::attend(&node)?;
    let online = Online::start(&node, &reach)?;
    let control = Control {
        transport: Arc::clone(&online.transport),
        connected: online.connected.clone(),
        runtime: online.runtime.handle().clone(),
    };
    let addresses = control.about().addresses;
    server::start(
        repo.dir(),
        Served {
            // With its keys opened: no other command needs the passphrase.
            store: node.datastore(),
            node: node.clone(),
            control,
        },
    )?;
    tell(&node.peer_id().to_string(), &addresses, out)?;
    if let Some(quota) = args.replica_quota {
        let (kept, quota) = (grouped(node.kept_for_others()?), grouped(quota));
        out.remark(format_args!("keeps {kept} bytes for others, of {quota}"));
    }
    let (end, ended) = mpsc::sync_channel(1);
    // A second interrupt finds the first one's word still there.
    ctrlc::set_handler(move || _ = end.try_send(())).map_err(|error| {
        Error::unavailable("the program cannot be interrupted cleanly here").caused_by(error)
    })?;
    _ = ended.recv();
    server::stop(repo.dir());
    let connected = online.connected.clone();
    online.close();
    let sent = connected.records_sent();
    if out.is_json() {
        out.value(&json!({"records_sent": sent}))?;
    }
    let sent = counted(sent, "record");
    out.remark(format_args!(
        "stopped; {sent} sent; everything that was acknowledged is on disk"
    ));
    Ok(())
}

fn tell(peer: &str, addresses: &[Multiaddr], out: &mut Output) -> Result {
    if out.is_json() {
        out.value(&json!({"peer": peer, "addresses": addresses}))?;
    } else {
        for addr in addresses {
            out.line(addr)?;
        }
        out.remark("serving; other commands work meanwhile; end with Ctrl-C");
    }
    Ok(out.flush()?)
}

/// Prints who this node is to others.
pub(crate) fn id(repo: &Repo, out: &mut Output) -> Result {
    let node = repo.live()?;
    let (peer, card) = (node.peer_id(), node.card().to_string());
    let about = control::about(repo.dir()).unwrap_or_default();
    if out.is_json() {
        let addresses = about.addresses;
        let at_rest = repo.keys().at_rest()?;
        let protected = at_rest.is_some_and(|file| file.is_protected());
        return Ok(out.value(&json!({
            "peer": peer, "card": card, "addresses": addresses, "protected": protected,
        }))?);
    }
    out.line(peer)?;
    out.line(card)?;
    for addr in about.addresses {
        out.line(addr)?;
    }
    super::keystore::hint(repo, out)
}

/// That a thread is shared with a peer, and what the peer may do there.
struct Shares {
    thread: String,
    in_words: Option<String>,
    roles: Value,
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.in_words {
            Some(roles) => write!(f, "{} ({roles})", self.thread),
            None => f.write_str(&self.thread),
        }
    }
}

/// Lists the peers that something is shared with.
pub(crate) fn peers(repo: &Repo, out: &mut Output) -> Result {
    let node = repo.live()?;
    let About { connected, .. } = control::about(repo.dir()).unwrap_or_default();
    let mut rows = BTreeMap::new();
    for thread in node.threads()? {
        let db = crate::repo::open(&node, &thread.id.to_string())?;
        for peer in db.shared_with()? {
            let shares = rows.entry(peer).or_insert_with(Vec::new);
            shares.push(Shares {
                in_words: acl::roles_of(&db, &peer)?,
                roles: acl::roles_json(&db, &peer)?,
                thread: thread.name.clone(),
            });
        }
    }
    for peer in &connected {
        rows.entry(*peer).or_default();
    }
    if out.is_json() {
        for (peer, threads) in &rows {
            let connected = connected.contains(peer);
            let addresses = node.addresses_of(peer)?;
            let names: Vec<_> = threads.iter().map(|shares| &shares.thread).collect();
            let roles = threads.iter();
            let roles: Map<_, _> = roles
                .map(|shares| (shares.thread.clone(), shares.roles.clone()))
                .collect();
            out.value(&json!({
                "peer": peer, "connected": connected, "threads": names, "roles": roles,
                "addresses": addresses,
            }))?;
        }
        return Ok(());
    }
    if rows.is_empty() {
        out.remark("nobody yet; `threads invite DB --role write` invites somebody");
        return Ok(());
    }
    let row = |(peer, threads): (&PeerId, &Vec<Shares>)| {
        let state = if connected.contains(peer) {
            "connected"
        } else {
            "away"
        };
        let shares: Vec<_> = threads.iter().map(Shares::to_string).collect();
        [peer.to_string(), state.to_owned(), shares.join(", ")]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    Ok(out.table(["PEER", "STATE", "SHARES"], &rows)?)
}

/// Connects to a peer, and remembers where it is.
pub(crate) fn connect(repo: &Repo, args: Connect, out: &mut Output) -> Result {
    let peer = repo.writer()?.add_address(&args.addr)?;
    out.done("the address is noted");
    let served = control::about(repo.dir()).is_ok();
    if served {
        let reached = control::connect(repo.dir(), args.addr).map_err(Failure::from);
        reached.advise(ErrorKind::Unavailable, || {
            "the address is noted; `threads serve` goes on trying".to_owned()
        })?;
    }
    if out.is_json() {
        return Ok(out.value(&json!({"peer": peer, "connected": served}))?);
    }
    out.line(peer)?;
    if !served {
        out.remark("the address is noted; `threads sync DB` or `threads serve` connects");
    }
    Ok(())
}
