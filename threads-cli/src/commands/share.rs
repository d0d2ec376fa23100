//! `invite`, `invites`, `revoke-invite`, `join`, `accept`, `decline`, `members`, `leave`: who takes part.

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;
use threads_core::{Error, ErrorKind};
use threads_db::{InviteOptions, InviteStatus, JoinOptions, SnapshotTrust};

use crate::args::{Decide, Invite, Join, OfThread, RevokeInvite};
use crate::exit::{Advise, Failure, Result};
use crate::link::control;
use crate::output::{Output, time};
use crate::repo::{self, Repo, quoted};

pub(crate) fn invite(repo: &Repo, args: Invite, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    let addrs = match args.addr.is_empty() {
        true => control::about(repo.dir()).unwrap_or_default().addresses,
        false => args.addr,
    };
    let nowhere = addrs.is_empty();
    let mut options = InviteOptions::new(args.role)
        .lifetime(args.expires)
        .uses(args.uses)
        .addresses(addrs);
    if let Some(card) = args.to {
        options = options.to(card);
    }
    let invite = db.invite(&options)?;
    out.done("the invite is made");
    let text = invite.to_string();
    if out.is_json() {
        let until = invite.until_ms();
        return Ok(out.value(&json!({"id": invite.id(), "invite": text, "until_ms": until}))?);
    }
    out.line(&text)?;
    if args.qr {
        match QrCode::new(text.as_bytes()) {
            Ok(code) => out.line(code.render::<Dense1x2>().build())?,
            Err(_) => out.remark("it is too long for a QR code"),
        }
    }
    if nowhere {
        out.remark(
            "it says nowhere to reach you: run `threads serve` first, or name a place with --addr",
        );
    }
    if invite.is_link() {
        out.remark(format_args!(
            "whoever uses it asks to join; `threads invites {0}` lists who does, `threads accept {0} \
             PEER` lets one in",
            quoted(db.name())
        ));
    }
    Ok(())
}

pub(crate) fn invites(repo: &Repo, args: &OfThread, out: &mut Output) -> Result {
    let node = repo.live()?;
    let db = repo::open(&node, &args.db)?;
    let (invites, requests) = (db.invites()?, db.join_requests()?);
    if out.is_json() {
        return Ok(out.value(&json!({"invites": invites, "requests": requests}))?);
    }
    if invites.is_empty() {
        out.remark(format_args!(
            "no invites; `threads invite {} --role write` makes one",
            quoted(db.name())
        ));
        return Ok(());
    }
    let rows: Vec<_> = invites.iter().map(row).collect();
    out.table(
        ["INVITE", "ROLE", "FOR", "USED", "UNTIL (UTC)", "STATE"],
        &rows,
    )?;
    if !requests.is_empty() {
        out.line("")?;
        let row = |request: &threads_db::JoinRequest| {
            [
                request.peer.to_string(),
                request.invite.clone(),
                time(request.since_ms),
            ]
        };
        let rows: Vec<_> = requests.iter().map(row).collect();
        out.table(["ASKS TO JOIN", "BY INVITE", "SINCE (UTC)"], &rows)?;
        out.remark(format_args!(
            "next: threads accept {} PEER",
            quoted(db.name())
        ));
    }
    Ok(())
}

fn row(invite: &InviteStatus) -> [String; 6] {
    let who = invite
        .to
        .map_or("whoever has it".to_owned(), |peer| peer.to_string());
    [
        invite.id.clone(),
        invite.role.to_string(),
        who,
        format!("{} of {}", invite.used, invite.uses),
        time(invite.until_ms),
        invite.spent.unwrap_or("good").to_owned(),
    ]
}

pub(crate) fn revoke(repo: &Repo, args: &RevokeInvite, out: &mut Output) -> Result {
    let node = repo.writer()?;
    repo::open(&node, &args.db)?.revoke_invite(&args.id)?;
    out.done("the invite is revoked");
    out.remark("revoked; who was sent the thread's keys has them");
    Ok(())
}

pub(crate) fn join(repo: &Repo, args: &Join, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let mut options = JoinOptions::default();
    options.name.clone_from(&args.name);
    if args.from_snapshot {
        let trust = SnapshotTrust::peers(args.trust.iter().copied());
        options.from_snapshot = Some(trust.at_least(args.signers));
    }
    let joined = node
        .join_with(&args.invite, &options)
        .advise(ErrorKind::Conflict, || {
            "`threads ls` lists the threads; --name gives this one another name".to_owned()
        })?;
    out.done("the invite is used");
    let serving = control::about(repo.dir()).is_ok();
    match joined.db() {
        Some(db) => {
            let name = quoted(db.name());
            if out.is_json() {
                return Ok(out.value(&json!({"id": db.id(), "name": db.name()}))?);
            }
            out.line(db.name())?;
            if serving {
                out.remark("joined; what it holds is on its way");
            } else {
                out.remark(format_args!("joined; next: threads sync {name} --wait"));
            }
        }
        None => {
            if out.is_json() {
                return Ok(out.value(&json!({"asked": args.invite.by()}))?);
            }
            out.remark(if serving {
                "asked to join; the thread is here once a member has accepted"
            } else {
                "next: threads serve; it asks to join, and the thread is here once a member has accepted"
            });
        }
    }
    Ok(())
}

pub(crate) fn accept(repo: &Repo, args: &Decide, out: &mut Output) -> Result {
    let node = repo.writer()?;
    repo::open(&node, &args.db)?.accept(&args.peer)?;
    out.done("the peer is a member");
    out.remark("accepted; it gets the thread when it asks again");
    Ok(())
}

pub(crate) fn decline(repo: &Repo, args: &Decide, out: &mut Output) -> Result {
    let node = repo.writer()?;
    repo::open(&node, &args.db)?.decline(&args.peer)?;
    out.remark("declined");
    Ok(())
}

pub(crate) fn members(repo: &Repo, args: &OfThread, out: &mut Output) -> Result {
    let node = repo.live()?;
    let members = repo::open(&node, &args.db)?.members()?;
    if out.is_json() {
        return Ok(out.value(&members)?);
    }
    if members.is_empty() {
        out.remark("nobody has joined yet");
        return Ok(());
    }
    let row = |member: &threads_db::Member| {
        let state = if member.left { "left" } else { "takes part" };
        [
            member.peer.to_string(),
            member.role.to_string(),
            state.to_owned(),
        ]
    };
    let rows: Vec<_> = members.iter().map(row).collect();
    Ok(out.table(["MEMBER", "ROLE", "STATE"], &rows)?)
}

pub(crate) fn leave(repo: &Repo, args: &OfThread, out: &mut Output) -> Result {
    let node = repo.writer()?;
    let db = repo::open(&node, &args.db)?;
    if db
        .rules()?
        .is_some_and(|rules| rules.root == node.peer_id())
    {
        let error =
            Error::invalid("the root of a thread cannot leave it: nobody could change its rules");
        let help = format!(
            "`threads acl grant {} PEER --acl` has somebody else change the rules from day to day",
            quoted(db.name())
        );
        return Err(Failure::new(error, help));
    }
    db.leave()?;
    out.done("the thread is left");
    out.remark("left; what is here stays here, and members are told when they are reached");
    Ok(())
}
