//! Checks of documents, vectors and whatever else is text.

use super::Finding;
use super::graph::Package;
use crate::tree::File;

/// Where the second reader of the vectors is, and the vectors.
const READERS: &str = "spec/reader/";
const VECTORS: &str = "spec/vectors/";
/// Directories of machines that build this; put together here so that this file does not hold them.
const BUILD_DIRS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Every crate is in the README's table.
pub(crate) fn crate_table(files: &[File], packages: &[Package]) -> Vec<Finding> {
    let rows: Vec<&str> = text(files, "README.md")
        .lines()
        .filter(|line| line.trim_start().starts_with('|'))
        .collect();
    let listed = |name: &str| rows.iter().any(|row| has_name(row, name));
    let missing = packages.iter().filter(|package| !listed(&package.name));
    missing
        .map(|package| Finding::new("README.md", 0, format!("lists no crate {}", package.name)))
        .collect()
}

/// Whether `row` holds `name` and not only a longer name with it in.
fn has_name(row: &str, name: &str) -> bool {
    let names = row.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
    names.into_iter().any(|found| found == name)
}

/// There is a place for what changed since the last release.
pub(crate) fn changelog(files: &[File]) -> Option<Finding> {
    let open = text(files, "CHANGELOG.md")
        .lines()
        .any(|line| line.trim_end() == "## [Unreleased]");
    (!open).then(|| Finding::new("CHANGELOG.md", 0, "has no heading ## [Unreleased]"))
}

/// Every file of vectors is read by the second reader.
pub(crate) fn vectors(files: &[File]) -> Vec<Finding> {
    let readers: Vec<&File> = files
        .iter()
        .filter(|file| file.path.starts_with(READERS) && file.is("py"))
        .collect();
    let unread = |file: &&File| {
        let quoted = file
            .path
            .strip_prefix(VECTORS)
            .map(|name| format!("\"{name}\""));
        file.is("json")
            && quoted.is_some_and(|name| !readers.iter().any(|reader| reader.text.contains(&name)))
    };
    let unread = files.iter().filter(unread);
    unread
        .map(|file| Finding::new(&file.path, 0, "is read by no reader in spec/reader"))
        .collect()
}

fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    files
        .iter()
        .find(|file| file.path == path)
        .map_or("", |file| &file.text)
}

/// Absolute paths of the machine that something was built on.
pub(crate) fn build_paths(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let held = BUILD_DIRS.iter().find(|dir| {
            line.match_indices(**dir).any(|(at, _)| {
                // In the middle of a longer path it is a name like any other.
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~*/}>".contains(c))
            })
        });
        if let Some(dir) = held {
            let what = format!("holds a path of a build machine, {dir}");
            findings.push(Finding::new(&file.path, index + 1, what));
        }
    }
    findings
}

/// Relative links to files that are not there.
pub(crate) fn links(file: &File, exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in targets(line) {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            if is_file(path) && !resolve(&file.path, path).is_some_and(|path| exists(&path)) {
                let what = format!("links to {target}, which is not there");
                findings.push(Finding::new(&file.path, index + 1, what));
            }
        }
    }
    findings
}

/// The targets of the links in a line, outside of code.
fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    // Within backquotes are the odd pieces.
    for text in line.split('`').step_by(2) {
        let inline = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        targets.extend(inline.filter_map(|(target, _)| target.split_whitespace().next()));
    }
    if line.starts_with('[') {
        let reference = line
            .split_once("]: ")
            .and_then(|(_, rest)| rest.split_whitespace().next());
        targets.extend(reference);
    }
    targets
}

/// Whether a target is a path: neither an address, nor a name that rustdoc resolves.
fn is_file(path: &str) -> bool {
    let path_like = path.contains(['/', '.']);
    path_like && !path.contains("::") && !path.contains("://") && !path.starts_with("mailto:")
}

/// A path relative to a file, from the root; `None` when it leads out of the project.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = match path.starts_with('/') {
        true => Vec::new(),
        false => from
            .split('/')
            .rev()
            .skip(1)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect(),
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::graph::packages;
    use serde_json::json;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            text: text.into(),
        }
    }

    #[test]
    fn crates_are_listed_in_the_table() {
        let crates = packages(&json!({"packages": [{"name": "threads-a"}]}));
        let listed = |text: &str| crate_table(&[file("README.md", text)], &crates).is_empty();
        assert!(listed("| [`threads-a`](threads-a/) | it |"));
        assert!(!listed("| threads-a-b | it |"));
        assert!(!listed("threads-a, but in no table"));
    }

    #[test]
    fn the_changelog_has_a_place_for_changes() {
        assert!(changelog(&[file("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n")]).is_none());
        assert!(changelog(&[file("CHANGELOG.md", "## [0.1.0]\n")]).is_some());
        assert!(changelog(&[]).is_some());
    }

    #[test]
    fn vectors_have_a_second_reader() {
        let reader = file("spec/reader/read.py", "files = {\"a.json\": read_a}");
        let (a, b) = (
            file("spec/vectors/a.json", "[]"),
            file("spec/vectors/b.json", "[]"),
        );
        let found = vectors(&[reader, a, b]);
        assert_eq!(
            found,
            [Finding::new(
                "spec/vectors/b.json",
                0,
                "is read by no reader in spec/reader"
            )]
        );
    }

    #[test]
    fn paths_of_a_build_machine_are_named() {
        for dir in BUILD_DIRS {
            assert_eq!(build_paths(&file("a", &format!("\nin {dir}x"))).len(), 1);
            assert!(build_paths(&file("a", &format!("the net{dir}x"))).is_empty());
            assert!(build_paths(&file("a", &format!("$HOME/src{dir}x"))).is_empty());
        }
    }

    #[test]
    fn links_lead_to_files() {
        let found = |line: &str| {
            let exists = |path: &str| path == "docs/a.md" || path == "LICENSE.md";
            links(&file("docs/b.md", line), &exists).len()
        };
        for right in [
            "[a](a.md#part) and [c](../LICENSE.md)",
            "[x](https://example.org/none.md)",
            "[part](#part) [item](crate::Thing) [this](self)",
            "`[a](none.md)`",
            "```\n[a](none.md)\n```",
            "[a]: a.md",
        ] {
            assert_eq!(found(right), 0, "{right}");
        }
        for wrong in [
            "[a](none.md)",
            "[a](a.md) [b](../a.md)",
            "[a](../../a.md)",
            "[a]: none.md",
        ] {
            assert_eq!(found(wrong), 1, "{wrong}");
        }
    }
}
