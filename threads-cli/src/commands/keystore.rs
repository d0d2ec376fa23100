//! `keystore`, `identity`: what protects the keys, and how the identity outlives the disk.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use serde_json::json;
use threads_core::{Error, system_rng};
use threads_db::Keystore;
use zeroize::Zeroizing;

use crate::args::{IdentityCommand, KeystoreCommand};
use crate::exit::{Failure, Result};
use crate::output::{Output, grouped};
use crate::repo::{Begin, Repo};
use crate::{passphrase, words};

/// The longest text of recovery words that is read, in bytes: many times what 24 words have.
const WORDS_BYTES_MAX: u64 = 4 << 10;

pub(crate) fn run(repo: &Repo, command: &KeystoreCommand, out: &mut Output) -> Result {
    repo.check()?;
    match command {
        KeystoreCommand::Status => status(repo, out),
        KeystoreCommand::Protect { passphrase_file } => {
            protect(repo, passphrase_file.as_deref(), out)
        }
        KeystoreCommand::Passwd { passphrase_file } => {
            let mut keystore = protected(repo)?;
            set(&mut keystore, passphrase_file.as_deref())?;
            told(
                repo,
                true,
                "the passphrase is another one now; the one before opens only copies of the \
                 file that were made before",
                out,
            )
        }
        KeystoreCommand::Unprotect => {
            let mut keystore = protected(repo)?;
            keystore.unprotect(&mut system_rng())?;
            told(
                repo,
                false,
                "no passphrase any more: whoever can read the repository has its keys",
                out,
            )
        }
        #[cfg(all(feature = "keyring", target_os = "linux"))]
        KeystoreCommand::Remember => {
            repo.keys().remember(&protected(repo)?)?;
            told(
                repo,
                true,
                "the system's keyring opens the keystore until it forgets; the passphrase \
                 goes on opening it",
                out,
            )
        }
        #[cfg(all(feature = "keyring", target_os = "linux"))]
        KeystoreCommand::Forget => {
            repo.keys().forget()?;
            told(
                repo,
                true,
                "the system's keyring opens the keystore no more",
                out,
            )
        }
    }
}

fn status(repo: &Repo, out: &mut Output) -> Result {
    let file = repo.keys().at_rest()?;
    let price = file.as_ref().and_then(|file| file.price());
    let path = repo.keys().path();
    if out.is_json() {
        return Ok(out.value(&json!({
            "file": path, "exists": file.is_some(), "protected": price.is_some(), "argon2id": price,
        }))?);
    }
    out.line(path.display())?;
    match (file, price) {
        (None, _) => out.line("none yet: the next command that changes the repository makes it")?,
        (_, None) => {
            out.line("no passphrase")?;
            out.remark(UNPROTECTED);
        }
        (_, Some(price)) => out.line(format_args!(
            "protected: Argon2id with {} KiB, {} passes, {} lane(s); XChaCha20-Poly1305",
            grouped(price.memory_kib.into()),
            price.passes,
            price.lanes
        ))?,
    }
    Ok(())
}

/// The quiet line of a repository without a passphrase.
const UNPROTECTED: &str = "the keys here have no passphrase; `threads keystore protect` sets one";

/// Says so, once, if the keys of the repository have no passphrase.
pub(crate) fn hint(repo: &Repo, out: &mut Output) -> Result {
    if repo
        .keys()
        .at_rest()?
        .is_none_or(|file| !file.is_protected())
    {
        out.remark(UNPROTECTED);
    }
    Ok(())
}

fn protect(repo: &Repo, file: Option<&Path>, out: &mut Output) -> Result {
    if repo
        .keys()
        .at_rest()?
        .is_some_and(|file| file.is_protected())
    {
        let error = Error::conflict("the keystore has a passphrase already");
        return Err(Failure::new(
            error,
            "`threads keystore passwd` sets another",
        ));
    }
    // Every key is under the keystore before that is protected.
    drop(repo.writer()?);
    if let Err(failure) = repo.wipe() {
        out.remark(format_args!(
            "what the disk still has of keys from before there was a keystore was not written over; {}",
            failure.to_text().trim_end()
        ));
    }
    let mut keystore = repo.keys().demanded()?;
    set(&mut keystore, file)?;
    told(
        repo,
        true,
        "from now on the repository opens with the passphrase only, and nothing brings it back; \
         `threads identity export` prints words that bring back who you are",
        out,
    )
}

fn set(keystore: &mut Keystore, file: Option<&Path>) -> Result {
    let passphrase = match passphrase::given(file)? {
        Some(passphrase) => passphrase,
        None => passphrase::ask_new()?,
    };
    Ok(keystore.protect(&passphrase, &mut system_rng())?)
}

fn protected(repo: &Repo) -> Result<Keystore> {
    let keystore = repo.keys().demanded()?;
    if !keystore.is_protected() {
        let error = Error::conflict("the keystore has no passphrase");
        return Err(Failure::new(error, "`threads keystore protect` sets one"));
    }
    Ok(keystore)
}

fn told(repo: &Repo, protected: bool, remark: &str, out: &mut Output) -> Result {
    out.done("the keystore is written");
    if out.is_json() {
        return Ok(out.value(&json!({"file": repo.keys().path(), "protected": protected}))?);
    }
    out.remark(remark);
    Ok(())
}

pub(crate) fn identity(repo: &Repo, command: &IdentityCommand, out: &mut Output) -> Result {
    match command {
        IdentityCommand::Export => export(repo, out),
        IdentityCommand::Recover(begin) => {
            let passphrase = begin.passphrase()?;
            repo.check_is_new()?;
            let identity = words::identity(&read_words()?)?;
            let begin = Begin {
                identity: Some(identity),
                passphrase,
            };
            super::repository::begin(repo, &begin, out)?;
            out.remark(
                "the identity is back, and what is sealed to it opens; threads come back from their \
                 exports, or when somebody invites you again",
            );
            Ok(())
        }
    }
}

fn export(repo: &Repo, out: &mut Output) -> Result {
    repo.check()?;
    if repo.keys().at_rest()?.is_none() {
        drop(repo.writer()?);
    }
    let keystore = repo.keys().demanded()?;
    let peer = keystore.identity().peer_id();
    let text = words::of(keystore.identity())?;
    if out.is_json() {
        let words: Vec<_> = text.split(' ').collect();
        return Ok(out.value(&json!({"peer": peer, "words": words}))?);
    }
    out.line(&*text)?;
    out.remark(format_args!(
        "whoever has these {} words is {peer}: write them on paper, keep them apart from this machine, \
         and clear the screen; `threads identity recover` takes them",
        words::WORDS
    ));
    Ok(())
}

fn read_words() -> Result<Zeroizing<String>> {
    if io::stdin().is_terminal() {
        return passphrase::prompt("Recovery words, all 24 (they are not shown): ");
    }
    let mut text = Zeroizing::new(String::with_capacity(WORDS_BYTES_MAX as usize + 1));
    io::stdin()
        .take(WORDS_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| {
            let said = Error::invalid("the recovery words cannot be read").caused_by(error);
            Failure::new(said, "give them on standard input, as text")
        })?;
    Ok(text)
}
