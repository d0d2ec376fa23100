//! `acl history`: what was said about who may do what, and what became of it.

use serde_json::{Value, json};
use threads_core::access::{History, Stated, Statement, Subject};
use threads_db::Db;

use super::{Names, rules, who};
use crate::args::OfThread;
use crate::exit::Result;
use crate::output::{Output, counted, short, time};
use crate::repo::{self, Repo, quoted};

pub(crate) fn run(repo: &Repo, args: &OfThread, out: &mut Output) -> Result {
    let node = repo.live()?;
    let db = repo::open(&node, &args.db)?;
    // There is a history where there are rules.
    rules(&db)?;
    let history = db.access_history()?;
    let names = names(&db, &history)?;
    let mut rows = Vec::new();
    for stated in &history {
        let time_ms = db.show(&stated.record)?.time.wall_ms;
        if out.is_json() {
            out.value(&in_json(stated, time_ms, &names))?;
            continue;
        }
        let counts = match &stated.void {
            None => "counts".to_owned(),
            Some(why) => format!("does not count: {why}"),
        };
        let what = in_words(&stated.statement, &names);
        rows.push([time(time_ms), short(stated.author), what, counts]);
    }
    if out.is_json() {
        return Ok(());
    }
    out.table(["TIME (UTC)", "WHO", "SAYS", "AND THAT"], &rows)?;
    out.remark(format_args!(
        "in the order in which it came here, with the times of those who said it; `threads acl show {}` \
         has what follows",
        quoted(db.name())
    ));
    Ok(())
}

fn names(db: &Db, history: &[Stated]) -> Result<Names> {
    use threads_core::access::Scope::Entity;
    let tag = |stated: &Stated| match &stated.statement {
        Statement::Grant {
            scope: Entity(tag), ..
        } => Some(*tag),
        Statement::Revoke {
            scope: Entity(tag), ..
        } => Some(*tag),
        Statement::Restrict { entity, .. } => Some(*entity),
        _ => None,
    };
    Ok(Names::of(db, history.iter().filter_map(tag))?)
}

/// A statement, as what somebody says.
fn in_words(statement: &Statement, names: &Names) -> String {
    match statement {
        Statement::Genesis(genesis) => match genesis.history() {
            History::FromNow => "made the thread; newcomers read what comes".to_owned(),
            _ => "made the thread; newcomers read all of it".to_owned(),
        },
        Statement::Grant { to, scope, role } => {
            format!("gives {} {role}{}", who(to), names.place(scope))
        }
        Statement::Revoke {
            from, scope, role, ..
        } => {
            format!("takes {role}{} from {}", names.place(scope), who(from))
        }
        Statement::Restrict { entity, .. } => format!("restricts {}", names.entity(entity)),
        Statement::Checkpoint => "knows all that came before".to_owned(),
        Statement::Leave { .. } => "leaves".to_owned(),
        Statement::Card(card) => format!("names the key of {}", short(card.peer())),
        Statement::Rekey(rekey) => format!("changes the keys: epoch {:016x}", rekey.epoch),
        Statement::Purge { records } => {
            format!("purges {}", counted(records.len() as u64, "record"))
        }
        _ => "something that this version does not know".to_owned(),
    }
}

fn in_json(stated: &Stated, time_ms: u64, names: &Names) -> Value {
    let peer = |subject: &Subject| subject.to_string();
    let said = match &stated.statement {
        Statement::Genesis(genesis) => {
            json!({"kind": "genesis", "root": genesis.root(), "history": genesis.history()})
        }
        Statement::Grant { to, scope, role } => {
            json!({"kind": "grant", "target": peer(to), "scope": names.scope(scope), "role": role})
        }
        Statement::Revoke {
            from, scope, role, ..
        } => json!({
            "kind": "revoke", "target": peer(from), "scope": names.scope(scope), "role": role,
        }),
        Statement::Restrict { entity, .. } => {
            json!({"kind": "restrict", "entity": names.entity(entity)})
        }
        Statement::Checkpoint => json!({"kind": "checkpoint"}),
        Statement::Leave { .. } => json!({"kind": "leave"}),
        Statement::Card(card) => json!({"kind": "card", "peer": card.peer()}),
        Statement::Rekey(rekey) => {
            json!({"kind": "rekey", "readers": rekey.readers, "replicas": rekey.replicas})
        }
        Statement::Purge { records } => {
            let records: Vec<_> = records
                .iter()
                .map(|record| record.cid.to_string())
                .collect();
            json!({"kind": "purge", "records": records})
        }
        _ => json!({"kind": "unknown"}),
    };
    json!({
        "record": stated.record.to_string(), "author": stated.author, "time_ms": time_ms,
        "said": said, "counts": stated.void.is_none(), "why_not": stated.void,
    })
}
