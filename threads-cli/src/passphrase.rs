//! The passphrase of an export: from a file, the environment or the terminal, never from the
//! command line, where every other user of the machine can read it.

use std::fs;
use std::io;

use threads_core::Error;
use zeroize::Zeroizing;

use crate::args::PassphraseArgs;
use crate::exit::{Failure, Result};

const VARIABLE: &str = "THREADS_PASSPHRASE";
const HELP: &str = "run it in a terminal, or give --passphrase-file FILE or $THREADS_PASSPHRASE";

/// The passphrase that was given without asking, if one was.
pub(crate) fn given(args: &PassphraseArgs) -> Result<Option<Zeroizing<String>>> {
    let passphrase = if let Some(file) = &args.passphrase_file {
        let text = fs::read_to_string(file)
            .map(Zeroizing::new)
            .map_err(|error| {
                let said = Error::not_found("the passphrase file cannot be read");
                said.with("file", file.display())
                    .with("cause", &error)
                    .caused_by(error)
            })?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        match std::env::var(VARIABLE) {
            Ok(passphrase) => passphrase,
            Err(_) => return Ok(None),
        }
    };
    checked(Zeroizing::new(passphrase)).map(Some)
}

/// Asks for the passphrase of a file, if there is a terminal to ask on. Some files need none.
pub(crate) fn ask_if_there_is_one() -> Option<Zeroizing<String>> {
    match rpassword::prompt_password("Passphrase (nothing, if the thread is here already): ") {
        Ok(passphrase) if !passphrase.is_empty() => Some(Zeroizing::new(passphrase)),
        // Without one, the file itself says whether it needs one.
        _ => None,
    }
}

/// Asks for a new passphrase, twice: what is sealed under a slip of the finger stays sealed.
pub(crate) fn ask_new() -> Result<Zeroizing<String>> {
    let first = checked(prompt("New passphrase: ")?)?;
    if first != prompt("The same again: ")? {
        return Err(Error::invalid("the two passphrases differ").into());
    }
    Ok(first)
}

fn prompt(text: &str) -> Result<Zeroizing<String>> {
    rpassword::prompt_password(text)
        .map(Zeroizing::new)
        .map_err(no_terminal)
}

fn no_terminal(error: io::Error) -> Failure {
    let said = Error::invalid("a passphrase is needed, and there is no terminal to ask on");
    Failure::new(said.caused_by(error), HELP)
}

fn checked(passphrase: Zeroizing<String>) -> Result<Zeroizing<String>> {
    if passphrase.is_empty() {
        return Err(Failure::new(
            Error::invalid("the passphrase is empty"),
            HELP,
        ));
    }
    Ok(passphrase)
}
