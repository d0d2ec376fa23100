//! Judgements in plain words.

use std::borrow::Cow;

use threads_core::PeerId;

use super::state::{State, Void};
use crate::{AclId, AclKind, Cause, LeftOut, Refusal, Scope, Standing, Supporter, Who};

/// A peer as people tell it from others: the end of its id.
fn short(peer: &PeerId) -> String {
    let text = peer.to_string();
    let end = text.len().saturating_sub(8);
    format!("…{}", text.get(end..).unwrap_or(&text))
}

fn who(state: &State, who: Who) -> String {
    match who {
        Who::Everyone => "everybody".to_owned(),
        Who::Peer(peer) => state
            .peer_name(peer)
            .map_or_else(|| "somebody".to_owned(), |peer| short(&peer)),
    }
}

fn place(scope: Scope) -> &'static str {
    match scope {
        Scope::Thread => "in the thread",
        Scope::Acl => "of the access rules",
        Scope::Entity(_) => "for this entity",
    }
}

/// An access event: who said what, in which record.
fn event(state: &State, id: AclId) -> String {
    let Some((_, kind)) = state.evaluator().event(id) else {
        return "an event that is not here".to_owned();
    };
    let what = match kind {
        AclKind::Grant {
            target,
            scope,
            role,
        } => format!("gave {} {role} {}", who(state, target), place(scope)),
        AclKind::Revoke {
            target,
            scope,
            role,
        } => format!("took {role} {} from {}", place(scope), who(state, target)),
        AclKind::Restrict(_) => "restricted the entity".to_owned(),
        AclKind::Leave => "left".to_owned(),
        AclKind::Checkpoint => "stated what it knew".to_owned(),
        AclKind::Genesis => "made the thread".to_owned(),
    };
    match state.source(id) {
        Some((author, record)) => format!("{} {what} ({record})", short(&author)),
        None => format!("somebody {what}"),
    }
}

/// Why a statement does not count.
pub(super) fn void(state: &State, void: &Void) -> Cow<'static, str> {
    match void {
        Void::LeftOut(why) => left_out(*why).into(),
        Void::Refused(why) => refusal(state, why).into(),
        Void::Because(why) => why.clone(),
    }
}

/// Why what somebody states takes no part.
fn left_out(why: LeftOut) -> &'static str {
    match why {
        LeftOut::Stranger => {
            "nobody who may change the rules had given its author anything, as far as it knew"
        }
        LeftOut::NoRoom => {
            "its author, or those who came by way of the same member, stated more than there is room for, and \
             the thread's root had not seen this: state it again once root has let its author in itself"
        }
    }
}

/// Why somebody had not the role that was needed.
pub(super) fn refusal(state: &State, refusal: &Refusal) -> String {
    let Refusal { scope, role, .. } = refusal;
    let lacked = format!("its author had not the role {role} {}", place(*scope));
    match refusal.cause {
        Cause::NoGrant { void: None } => {
            format!("{lacked}: nobody had given it, as far as it knew")
        }
        Cause::NoGrant { void: Some(grant) } => {
            format!("{lacked}: {}, and that does not count", event(state, grant))
        }
        Cause::NoPart => left_out(LeftOut::NoRoom).to_owned(),
        Cause::Removed {
            removal,
            seen: true,
            ..
        } => format!("{lacked}: {}, and it knew", event(state, removal)),
        Cause::Removed { removal, .. } => format!(
            "{lacked}: {}, without having seen this record",
            event(state, removal)
        ),
    }
}

/// What leads to a judgement, the deciding part last.
pub(super) fn judgement(
    state: &State,
    author: &PeerId,
    judged: &Result<Standing, Refusal>,
) -> Vec<String> {
    let mut lines = Vec::new();
    match judged {
        Ok(standing) => {
            supporter(state, standing.thread, &mut lines);
            if let Some((restriction, own)) = standing.entity {
                lines.push(event(state, restriction));
                supporter(state, own, &mut lines);
            }
            lines.push(format!("it is applied: {} had the right", short(author)));
        }
        Err(why) => {
            if let Cause::Removed { grant, .. } = why.cause {
                chain(state, grant, &mut lines);
            }
            if let Some(restriction) = why.restriction {
                lines.push(event(state, restriction));
            }
            lines.push(format!("it is not applied: {}", refusal(state, why)));
        }
    }
    lines
}

fn supporter(state: &State, supporter: Supporter, lines: &mut Vec<String>) {
    match supporter {
        Supporter::Root => lines.push("its author made the thread".to_owned()),
        Supporter::Own => lines.push("it is about its own author".to_owned()),
        Supporter::Grant(grant) => chain(state, grant, lines),
    }
}

/// A grant, and those that its author stands on, the first one first.
fn chain(state: &State, grant: AclId, lines: &mut Vec<String>) {
    let mut above = state.evaluator().chain(grant);
    above.reverse();
    lines.extend(above.into_iter().map(|id| event(state, id)));
    lines.push(event(state, grant));
}
