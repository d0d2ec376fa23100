//! Checks of the laws: each is cited where its contract is, and what is cited is a law.

use std::collections::BTreeMap;

use super::Finding;
use crate::tree::File;

/// Where the laws are, and where the contracts are.
const LAWS: &str = "threads-conformance/src/";
const CONTRACTS: &str = "threads-core/src/";

/// Laws without a citation, citations without a law, and ids of two laws.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut laws = BTreeMap::new();
    for (file, line, text) in lines(files, LAWS) {
        let Some(id) = defined(text) else { continue };
        if laws.insert(id, (file, line)).is_some() {
            findings.push(Finding::new(
                file,
                line,
                format!("{id} is the id of two laws"),
            ));
        }
    }
    let mut cited = BTreeMap::new();
    for (file, line, text) in lines(files, CONTRACTS) {
        let is_doc = text.starts_with("///") || text.starts_with("//!");
        for id in ids(text).filter(|_| is_doc) {
            if !laws.contains_key(id) {
                findings.push(Finding::new(
                    file,
                    line,
                    format!("cites {id}, which is no law"),
                ));
            }
            if cited.insert(id, line).is_some() {
                findings.push(Finding::new(file, line, format!("cites {id} again")));
            }
        }
    }
    for (id, (file, line)) in laws {
        if !cited.contains_key(id) {
            let what = format!("{id} is cited by no contract in {CONTRACTS}");
            findings.push(Finding::new(file, line, what));
        }
    }
    findings
}

fn lines<'f>(
    files: &'f [File],
    under: &'static str,
) -> impl Iterator<Item = (&'f str, usize, &'f str)> {
    files
        .iter()
        .filter(move |file| file.is("rs") && file.path.starts_with(under))
        .flat_map(|file| {
            let lines = file.text.lines().zip(1..);
            lines.map(|(text, line)| (&*file.path, line, text.trim_start()))
        })
}

/// The id of the law that a line of the list begins: `"DS-1" keys::keys_order_bytewise: …`.
fn defined(line: &str) -> Option<&str> {
    let (id, rest) = line.strip_prefix('"')?.split_once("\" ")?;
    (is_id(id) && rest.contains("::")).then_some(id)
}

/// The ids in a line of documentation: between brackets, commas and spaces.
fn ids(line: &str) -> impl Iterator<Item = &str> {
    let in_brackets = line
        .split('(')
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    in_brackets
        .flat_map(|text| text.split(", "))
        .filter(|word| is_id(word))
}

/// Two capital letters, a hyphen, and a number.
fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(letters, number)| {
        letters.len() == 2
            && letters.bytes().all(|byte| byte.is_ascii_uppercase())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(laws: &str, contract: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File {
            path: path.into(),
            text: text.into(),
        };
        let files = [
            file("threads-conformance/src/a.rs", laws),
            file("threads-core/src/b.rs", contract),
        ];
        check(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn laws_and_citations_belong_together() {
        let laws = "    \"DS-1\" keys::order: \"Keys order.\",\n    \"DS-2\" keys::bound: \"…\",\n";
        assert!(found(laws, "//! Keys order (DS-1).\n    /// So or so (DS-2).\n").is_empty());
        assert!(found(laws, "//! Both (DS-1, DS-2).\n").is_empty());
        assert_eq!(
            found(laws, "//! Keys order (DS-1).\n"),
            ["threads-conformance/src/a.rs:2: DS-2 is cited by no contract in threads-core/src/"]
        );
        assert_eq!(
            found(laws, "//! (DS-1) (DS-2)\n//! (DS-3)\n"),
            ["threads-core/src/b.rs:2: cites DS-3, which is no law"]
        );
        assert_eq!(
            found(laws, "//! (DS-1) (DS-2)\n//! (DS-1)\n"),
            ["threads-core/src/b.rs:2: cites DS-1 again"]
        );
        assert_eq!(
            found(
                &format!("{laws}    \"DS-1\" keys::order: \"…\",\n"),
                "//! (DS-1, DS-2)\n"
            ),
            ["threads-conformance/src/a.rs:3: DS-1 is the id of two laws"]
        );
    }

    #[test]
    fn only_documentation_cites() {
        assert!(found("", "// (DS-9)\nlet a = f(DS-9);\n").is_empty());
        assert!(found("", "/// RFC 6902 (UTF-8), (A-1), (see DS-1)\n").is_empty());
    }
}
