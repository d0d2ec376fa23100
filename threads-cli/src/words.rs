//! An identity as 24 words that a person can write down: BIP-39 in English, of the 32 bytes of its
//! seed. What wallets derive from such words is not derived here.

use bip39::{Language, Mnemonic};
use threads_core::{Error, IdentityKey};
use zeroize::Zeroizing;

use crate::exit::{Failure, Result};

/// How many words the 256 bits of a seed are, with 8 bits of checksum.
pub(crate) const WORDS: usize = 24;
const HELP: &str =
    "type the 24 words as `threads identity export` printed them, with spaces between";

/// The words of an identity, with spaces between.
pub(crate) fn of(identity: &IdentityKey) -> Result<Zeroizing<String>> {
    let seed = identity.to_bytes();
    let words = Mnemonic::from_entropy(&*seed)
        .map_err(|_| Error::unsupported("this identity cannot be written in words"))?;
    // Room for all of it at once: a text that grows leaves copies behind. No word has more than 8
    // letters.
    let mut text = Zeroizing::new(String::with_capacity(9 * WORDS));
    for word in words.words() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    Ok(text)
}

/// The identity of its words. No error repeats one of them: the others may be right.
pub(crate) fn identity(text: &str) -> Result<IdentityKey> {
    let text = Zeroizing::new(text.to_lowercase());
    let refused = |error| Failure::new(error, HELP);
    let count = text.split_whitespace().count();
    if count != WORDS {
        let error = Error::invalid("an identity has 24 recovery words").with("words", count);
        return Err(refused(error));
    }
    let words = Mnemonic::parse_in_normalized(Language::English, &text);
    let words = words.map_err(|error| match error {
        bip39::Error::UnknownWord(at) => refused(
            Error::invalid("a recovery word is misspelled: it is not in the list of words")
                .with("word", format_args!("number {}", at + 1)),
        ),
        _ => refused(Error::invalid(
            "the recovery words do not belong together: one of them is another, or two changed places",
        )),
    })?;
    let (mut entropy, _) = words.to_entropy_array();
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(&entropy[..32]);
    zeroize::Zeroize::zeroize(&mut entropy);
    Ok(IdentityKey::from_bytes(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the test vectors of BIP-39.
    const VECTOR: &str = "legal winner thank year wave sausage worth useful legal winner thank year \
         wave sausage worth useful legal winner thank year wave sausage worth title";

    #[test]
    fn words_are_those_of_the_standard() {
        let identity = IdentityKey::from_bytes(&[0x7f; 32]);
        assert_eq!(*of(&identity).unwrap(), VECTOR);
        assert_eq!(super::identity(&VECTOR.to_uppercase()).unwrap(), identity);
        assert_eq!(
            super::identity(&VECTOR.replace(' ', "\n")).unwrap(),
            identity
        );
    }

    #[test]
    fn a_misspelled_word_is_named_by_its_place_and_not_repeated() {
        let words = VECTOR.replacen("sausage", "sausages", 1);
        let text = identity(&words).unwrap_err().to_text();
        assert!(text.contains("word: number 6"), "{text}");
        assert!(!text.contains("sausage"), "{text}");
    }

    #[test]
    fn words_that_do_not_belong_together_are_refused() {
        let words: Vec<_> = VECTOR.split_whitespace().collect();
        let mut refused = 0;
        for at in 0..WORDS {
            let mut changed = words.clone();
            changed[at] = "zoo";
            refused += usize::from(identity(&changed.join(" ")).is_err());
        }
        // One in 256 changes passes a checksum of 8 bits.
        assert!(refused >= WORDS - 1, "{refused}");
        let text = identity(&words[1..].join(" ")).unwrap_err().to_text();
        assert!(text.contains("words: 23"), "{text}");
    }
}
