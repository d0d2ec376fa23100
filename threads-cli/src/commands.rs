//! What each command does.

mod acl;
mod blob;
mod carry;
mod collection;
mod demo;
mod entity;
mod feed;
mod find;
mod import;
mod keys;
mod keystore;
mod kv;
mod live;
mod module;
mod past;
mod prove;
mod purge;
mod quarantine;
mod repository;
mod serve;
mod share;
mod snapshot;
mod status;
mod sync;
mod undo;
mod watch;
mod why;

use clap::CommandFactory;

use crate::args::{AclCommand, Cli, CollectionCommand, Command};
use crate::exit::Result;
use crate::output::Output;
use crate::repo::Repo;

/// Runs a command line that was understood.
pub(crate) fn run(cli: Cli, out: &mut Output) -> Result {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "threads", &mut script);
        return Ok(out.bytes(&script)?);
    }
    if let Command::Demo = cli.command {
        return demo::run(cli.repo, out);
    }
    if let Command::Acl(AclCommand::Eval(args)) = &cli.command {
        return acl::eval::run(args, out);
    }
    let repo = Repo::at(cli.repo, cli.keystore_passphrase_file)?;
    match cli.command {
        Command::Init(args) => repository::init(&repo, &args, out),
        Command::Create(args) => repository::create(&repo, &args, out),
        Command::Ls => repository::list(&repo, out),
        Command::Status(args) => status::run(&repo, &args, out),
        Command::Serve(args) => serve::run(&repo, args, out),
        Command::Id => serve::id(&repo, out),
        Command::Keystore(command) => keystore::run(&repo, &command, out),
        Command::Keys(command) => keys::run(&repo, &command, out),
        Command::Identity(command) => keystore::identity(&repo, &command, out),
        Command::Invite(args) => share::invite(&repo, args, out),
        Command::Invites(args) => share::invites(&repo, &args, out),
        Command::RevokeInvite(args) => share::revoke(&repo, &args, out),
        Command::Join(args) => share::join(&repo, &args, out),
        Command::Accept(args) => share::accept(&repo, &args, out),
        Command::Decline(args) => share::decline(&repo, &args, out),
        Command::Members(args) => share::members(&repo, &args, out),
        Command::Leave(args) => share::leave(&repo, &args, out),
        Command::Peers => serve::peers(&repo, out),
        Command::Connect(args) => serve::connect(&repo, args, out),
        Command::Sync(args) => sync::run(&repo, &args, out),
        Command::Collection(CollectionCommand::Add(args)) => collection::add(&repo, args, out),
        Command::Collection(CollectionCommand::Ls(args)) => collection::list(&repo, &args, out),
        Command::Module(command) => module::run(&repo, &command, out),
        Command::Acl(command) => acl::run(&repo, command, out),
        Command::Why(args) => why::run(&repo, &args, out),
        Command::Quarantine(command) => quarantine::run(&repo, &command, out),
        Command::Import(args) => import::run(&repo, &args, out),
        Command::Find(args) => find::run(&repo, args, out),
        Command::Get(args) => entity::get(&repo, &args, out),
        Command::Put(args) => entity::put(&repo, &args, out),
        Command::Patch(args) => entity::patch(&repo, &args, out),
        Command::Rm(args) => entity::remove(&repo, &args, out),
        Command::Purge(args) => purge::run(&repo, args, out),
        Command::Kv(command) => kv::run(&repo, &command, out),
        Command::Feed(command) => feed::run(&repo, &command, out),
        Command::History(args) => past::history(&repo, &args, out),
        Command::Blame(args) => past::blame(&repo, &args, out),
        Command::Diff(args) => past::diff(&repo, &args, out),
        Command::At(args) => past::at(&repo, args, out),
        Command::Revert(args) => undo::revert(&repo, &args, out),
        Command::Undo(args) => undo::undo(&repo, &args, out),
        Command::Redo(args) => undo::redo(&repo, &args, out),
        Command::Blob(command) => blob::run(&repo, &command, out),
        Command::Log(args) => prove::log(&repo, &args, out),
        Command::Show(args) => prove::show(&repo, &args, out),
        Command::Verify(args) => prove::verify(&repo, &args, out),
        Command::Watch(args) => watch::run(&repo, &args, out),
        Command::Snapshot(args) => snapshot::run(&repo, args, out),
        Command::Compact(args) => snapshot::compact(&repo, &args, out),
        Command::Export(args) => carry::export(&repo, &args, out),
        Command::Restore(args) => carry::restore(&repo, args, out),
        // Done above: these need no repository.
        Command::Completions { .. } | Command::Demo => Ok(()),
    }
}
