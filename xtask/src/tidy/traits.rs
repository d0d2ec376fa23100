//! Checks of the pages of traits that others implement.

use super::Finding;
use crate::tree::File;

/// Where such traits are.
const TRAITS: &str = "threads-core/src/";
/// What the page of each tells, in this order.
const HEADINGS: [&str; 4] = ["Contract", "For implementers", "For users", "Example"];

/// Traits that send their reader to a module which does not tell everything.
pub(crate) fn check(file: &File) -> Option<Finding> {
    let lines = || file.text.lines().zip(1..);
    let refers =
        |line: &str| line.starts_with("/// ") && line.contains("[module](self) for its contract");
    let (_, line) = lines().find(|(text, _)| refers(text))?;
    let headings = lines().filter_map(|(text, _)| text.strip_prefix("//! # "));
    // Others may stand between them.
    let right = headings
        .filter(|heading| HEADINGS.contains(heading))
        .eq(HEADINGS);
    let what = format!("a trait page has the headings {}", HEADINGS.join(" · "));
    (file.path.starts_with(TRAITS) && !right).then(|| Finding::new(&file.path, line, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(path: &str, headings: &[&str]) -> bool {
        let headings: String = headings
            .iter()
            .map(|text| format!("//! # {text}\n"))
            .collect();
        let text = format!("{headings}\n/// A store. See the [module](self) for its contract.\n");
        check(&File {
            path: path.into(),
            text,
        })
        .is_some()
    }

    #[test]
    fn trait_pages_have_their_headings() {
        let path = "threads-core/src/a.rs";
        assert!(!finds(path, &HEADINGS));
        assert!(!finds(
            path,
            &[
                "Contract",
                "For implementers",
                "Limits",
                "For users",
                "Example"
            ]
        ));
        assert!(finds(path, &HEADINGS[1..]));
        assert!(finds(
            path,
            &["Contract", "For users", "For implementers", "Example"]
        ));
        assert!(!finds("threads-db/src/a.rs", &[]));
    }
}
