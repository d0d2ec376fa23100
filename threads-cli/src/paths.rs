//! Field paths as options take them: several together, in one word.

use std::str::FromStr;

use threads_core::{Error, FieldPath, Result};
use threads_db::query::Sort;

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

/// A field to sort by: `name`, `name:asc` or `name:desc`.
///
/// What follows the last colon is a direction, so that a mistyped one is not taken for a field that
/// no entity has; a name with a colon in it needs one.
#[derive(Clone, Debug)]
pub(crate) struct SortBy(pub(crate) Sort);

impl FromStr for SortBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (path, descending) = match text.rsplit_once(':') {
            None => (text, false),
            Some((path, way)) if way.eq_ignore_ascii_case("asc") => (path, false),
            Some((path, way)) if way.eq_ignore_ascii_case("desc") => (path, true),
            Some(_) => {
                return Err(Error::invalid(
                    "only :asc or :desc follows the field; a name with a colon needs one of them",
                ));
            }
        };
        let path = path.parse()?;
        Ok(Self(Sort { path, descending }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_is_known_or_refused() {
        let sort = |text: &str| text.parse::<SortBy>().map(|SortBy(sort)| sort.to_string());
        assert_eq!(sort("age").unwrap(), "age");
        assert_eq!(sort("age:ASC").unwrap(), "age");
        assert_eq!(sort("age:Desc").unwrap(), "age:desc");
        assert_eq!(sort("a:b:desc").unwrap(), "a:b:desc");
        assert!(
            sort("age:up")
                .unwrap_err()
                .message()
                .contains(":asc or :desc")
        );
        assert!(sort("age:").is_err());
    }

    #[test]
    fn a_comma_puts_paths_together() {
        let CompoundPath(paths) = "country,/a/b".parse().unwrap();
        assert_eq!(paths, ["country".parse().unwrap(), "a.b".parse().unwrap()]);
        assert!("country,".parse::<CompoundPath>().is_err());
    }
}
