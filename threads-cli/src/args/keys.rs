//! What the user can type about keys: what protects them, and the identity.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::OfThread;
use crate::exit::Result;
use crate::passphrase;

/// How a new repository begins.
#[derive(Debug, Args)]
pub(crate) struct Begin {
    /// Protect its keys by a passphrase from the start
    #[arg(long)]
    protect: bool,
    /// Take that passphrase from the first line of this file [default: $THREADS_PASSPHRASE, or ask]
    #[arg(long, value_name = "FILE", requires = "protect")]
    passphrase_file: Option<PathBuf>,
}

impl Begin {
    /// The passphrase of the new repository, if it is to have one.
    pub(crate) fn passphrase(&self) -> Result<Option<Zeroizing<String>>> {
        if !self.protect {
            return Ok(None);
        }
        match passphrase::given(self.passphrase_file.as_deref())? {
            None => passphrase::ask_new().map(Some),
            given => Ok(given),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeystoreCommand {
    /// Say whether the keys have a passphrase, and what a guess of it costs
    Status,
    /// Set a passphrase: from then on, nothing in the repository opens without it
    Protect {
        /// Take it from the first line of this file [default: $THREADS_PASSPHRASE, or ask]
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Set another passphrase
    Passwd {
        /// Take the new one from the first line of this file [default: $THREADS_PASSPHRASE, or ask]
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Take the passphrase away: whoever can read the repository has its keys then
    Unprotect,
    /// Let the system's keyring open the keystore, for as long as it remembers
    #[cfg(all(feature = "keyring", target_os = "linux"))]
    Remember,
    /// Have the system's keyring forget it
    #[cfg(all(feature = "keyring", target_os = "linux"))]
    Forget,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make new keys for what is written from now on, sealed to those who may have them by the rules
    ///
    /// Removing a reader does so by itself, and so do 30 days. Do it besides when keys may have got lost: a
    /// stolen device, after `threads acl revoke` has removed it.
    Rotate(OfThread),
    /// List the epochs: since when, by whom, for whom, and what of their keys is here
    Epochs(OfThread),
}

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Print the identity as 24 words: whoever has them is you
    Export,
    /// Make a new repository with the identity of 24 words, from standard input or typed
    ///
    /// Threads and their keys are not in the words: they come back from exports, and by invites.
    Recover(Begin),
}
