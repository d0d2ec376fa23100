//! `acl show`: the rules as they stand.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use threads_core::PeerId;
use threads_core::access::{EntityRules, PeerRules, Rules, Subject};
use threads_db::Db;

use super::{Names, in_words, or_none, rules, who};
use crate::args::OfThread;
use crate::exit::Result;
use crate::output::Output;
use crate::repo::{self, Repo, quoted};

pub(crate) fn run(repo: &Repo, args: &OfThread, out: &mut Output) -> Result {
    let node = repo.live()?;
    let db = repo::open(&node, &args.db)?;
    let rules = rules(&db)?;
    let names = Names::of(&db, rules.entities.keys().copied())?;
    if out.is_json() {
        return Ok(out.value(&document(&db, &rules, &names))?);
    }
    out.table(["PEER", "ROLES", "OF THESE RULES"], &peers(&rules))?;
    if !rules.entities.is_empty() {
        out.line("")?;
        let row = |(tag, rules)| entity(&names.entity(tag), rules);
        let rows: Vec<_> = rules.entities.iter().map(row).collect();
        out.table(["ENTITY", "STATE", "ROLES BY NAME"], &rows)?;
    }
    if rules.unsealed {
        out.remark(
            "an admin removed another one, and root has not stated yet that it knows: until then a \
             removal that the other dates back may count",
        );
    }
    let me = rules.of(&node.peer_id());
    out.remark(format_args!(
        "you: {}; `threads acl history {}` says how this came",
        in_words(&me.thread),
        quoted(db.name())
    ));
    Ok(())
}

/// The peers that have or had roles, root first.
fn everyone(rules: &Rules) -> BTreeMap<PeerId, PeerRules> {
    let mut peers = rules.peers.clone();
    peers.insert(rules.root, rules.of(&rules.root));
    peers
}

fn peers(rules: &Rules) -> Vec<[String; 3]> {
    let row = |peer: &PeerId, of: &PeerRules| {
        let acl = match (*peer == rules.root, of.acl.is_empty()) {
            (true, _) => "root",
            (false, true) => "",
            (false, false) => "write",
        };
        [peer.to_string(), in_words(&of.thread), acl.to_owned()]
    };
    let mut rows = vec![row(&rules.root, &rules.of(&rules.root))];
    let others = rules.peers.iter().filter(|(peer, _)| **peer != rules.root);
    rows.extend(others.map(|(peer, of)| row(peer, of)));
    rows.push([
        "everybody else".to_owned(),
        in_words(&rules.default),
        String::new(),
    ]);
    rows
}

fn entity(name: &str, rules: &EntityRules) -> [String; 3] {
    let state = match rules.restricted {
        true => "restricted",
        false => "open",
    };
    let role =
        |(subject, roles): (&Subject, &Vec<_>)| format!("{}: {}", who(subject), in_words(roles));
    let roles: Vec<_> = rules.roles.iter().map(role).collect();
    [name.to_owned(), state.to_owned(), roles.join("; ")]
}

/// The paper's document, with what it has no room for.
fn document(db: &Db, rules: &Rules, names: &Names) -> Value {
    let (mut peers, mut acl) = (Map::new(), Map::new());
    for (peer, of) in everyone(rules) {
        peers.insert(peer.to_string(), json!(of.thread));
        if !of.acl.is_empty() {
            acl.insert(peer.to_string(), json!(of.acl));
        }
    }
    let entity = |rules: &EntityRules| {
        let roles = rules.roles.iter();
        let roles: Map<_, _> = roles
            .map(|(to, roles)| (to.to_string(), json!(roles)))
            .collect();
        json!({"restricted": rules.restricted, "roles": roles})
    };
    let entities = rules.entities.iter();
    let entities: Map<_, _> = entities
        .map(|(tag, of)| (names.entity(tag), entity(of)))
        .collect();
    json!({
        "ID": db.id(), "default": or_none(&rules.default), "peers": peers, "acl": acl,
        "entities": entities, "root": rules.root, "unsealed": rules.unsealed,
        "history": rules.history,
    })
}
