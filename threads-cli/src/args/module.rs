//! What the user can type about modules.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::OfThread;

#[derive(Debug, Subcommand)]
pub(crate) enum ModuleCommand {
    /// Write a crate with a new module that keeps every law; no repository is needed
    New(ModuleNew),
    /// Install a module of this program in a thread
    Add(ModuleAdd),
    /// List the modules of a thread, also those that this program does not have
    Ls(OfThread),
}

#[derive(Debug, Args)]
pub(crate) struct ModuleNew {
    /// A word for it: the package is called threads-module-NAME
    pub(crate) name: String,
    /// The directory to make [default: threads-module-NAME]
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// The module's id, a domain name of yours, reversed, and a word [default: org.example.NAME]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Depend on a clone of the project, by this path from the new directory
    #[arg(long, value_name = "PATH")]
    pub(crate) threads: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ModuleAdd {
    /// A thread's name or id
    pub(crate) db: String,
    /// The module: its word, or its id
    pub(crate) module: String,
    /// The version [default: the last one]
    #[arg(long, value_name = "N")]
    pub(crate) version: Option<u32>,
    /// Begin the names of its collections so, where somebody else has the names that it gives
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
    /// Make its collections what it says, whatever somebody else says they are; no entity is changed
    #[arg(long)]
    pub(crate) redefine: bool,
}
