//! Passphrases, of exports and of the keystore: from a file, the environment or the terminal, never from the
//! command line, where every other user of the machine can read it.

use std::env::{self, VarError};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use threads_core::Error;
use zeroize::Zeroizing;

use crate::exit::{Failure, Result};
use crate::input::{self, Source};

const VARIABLE: &str = "THREADS_PASSPHRASE";
/// The keystore's own; the other one does as well.
const KEYSTORE_VARIABLE: &str = "THREADS_KEYSTORE_PASSPHRASE";
/// The longest line that is read, in bytes: far more than anybody types.
const LINE_BYTES_MAX: u64 = 64 << 10;
const HELP: &str = "run it in a terminal, or give --passphrase-file FILE or $THREADS_PASSPHRASE";

/// What to do about a passphrase that opens no keystore.
pub(crate) const KEYSTORE_HELP: &str = "run it in a terminal, or give --keystore-passphrase-file FILE or \
     $THREADS_KEYSTORE_PASSPHRASE";

/// The passphrase that was given without asking, if one was.
pub(crate) fn given(file: Option<&Path>) -> Result<Option<Zeroizing<String>>> {
    let passphrase = match file {
        Some(file) => Some(first_line(file)?),
        None => variable(VARIABLE)?,
    };
    passphrase.map(checked).transpose()
}

/// The passphrase of the keystore: given, or asked for.
pub(crate) fn of_keystore(file: Option<&Path>) -> Result<Zeroizing<String>> {
    let given = match file {
        Some(file) => Some(first_line(file)?),
        None => match variable(KEYSTORE_VARIABLE)? {
            None => variable(VARIABLE)?,
            given => given,
        },
    };
    match given {
        Some(passphrase) => checked(passphrase),
        None => rpassword::prompt_password("Passphrase of the keystore: ")
            .map(Zeroizing::new)
            .map_err(|error| not_typed(error, KEYSTORE_HELP)),
    }
}

fn variable(name: &'static str) -> Result<Option<Zeroizing<String>>> {
    match env::var(name) {
        Ok(passphrase) => Ok(Some(Zeroizing::new(passphrase))),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            let error = Error::invalid("a passphrase in the environment is not text in UTF-8");
            Err(Failure::new(error.with("variable", name), HELP))
        }
    }
}

/// The first line of a file, without its end. The rest of the file is not read.
fn first_line(path: &Path) -> Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(Vec::new());
    input::open(path)
        .and_then(|file| {
            let mut start = BufReader::new(file).take(LINE_BYTES_MAX + 1);
            start.read_until(b'\n', &mut line)
        })
        .map_err(|error| input::unreadable(path, Source::File, error))?;
    let refused = |what| {
        let error = Error::invalid(what).with("file", path.display());
        Failure::new(
            error,
            "the first line of the file is the passphrase, as text in UTF-8",
        )
    };
    if line.len() as u64 > LINE_BYTES_MAX {
        return Err(refused("the first line of the passphrase file is too long"));
    }
    let text = std::str::from_utf8(&line)
        .map_err(|_| refused("the passphrase file is not text in UTF-8"))?;
    Ok(Zeroizing::new(
        text.trim_end_matches(['\r', '\n']).to_owned(),
    ))
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
        let error = Error::invalid("the two passphrases differ");
        return Err(Failure::new(
            error,
            "run the command again and type the same twice",
        ));
    }
    Ok(first)
}

/// Asks for what must not be seen on the screen.
pub(crate) fn prompt(text: &str) -> Result<Zeroizing<String>> {
    rpassword::prompt_password(text)
        .map(Zeroizing::new)
        .map_err(|error| not_typed(error, HELP))
}

fn not_typed(error: io::Error, help: &str) -> Failure {
    let what = match error.kind() {
        // Ctrl-D at the prompt.
        io::ErrorKind::UnexpectedEof => "no passphrase was given",
        _ => "a passphrase is needed, and there is no terminal to ask on",
    };
    let said = Error::invalid(what);
    Failure::new(said.caused_by(error), help)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_input_at_the_prompt_is_no_missing_terminal() {
        let text = not_typed(io::ErrorKind::UnexpectedEof.into(), HELP).to_text();
        assert!(
            text.starts_with("error: no passphrase was given\n"),
            "{text}"
        );
    }
}
