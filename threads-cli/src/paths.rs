//! Field paths as options take them: several together, in one word.

use std::str::FromStr;

use threads_core::{Error, FieldPath, Result};

/// One path, or several with commas between them: `country` or `country,name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CompoundPath(pub(crate) Vec<FieldPath>);

impl FromStr for CompoundPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.split(',')
            .map(str::parse)
            .collect::<Result<_>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_puts_paths_together() {
        let CompoundPath(paths) = "country,/a/b".parse().unwrap();
        assert_eq!(paths, ["country".parse().unwrap(), "a.b".parse().unwrap()]);
        assert!("country,".parse::<CompoundPath>().is_err());
    }
}
