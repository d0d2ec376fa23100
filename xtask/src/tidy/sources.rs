//! Checks of Rust sources.

use super::Finding;
use crate::rust::{code_only, functions, line_of, test_lines, without_attributes, words};
use crate::tree::File;

/// The longest function, in lines, the signature included.
const FUNCTION_LINES_MAX: usize = 70;
/// The longest file, in lines, without its tests.
const FILE_LINES_MAX: usize = 500;
/// What no code holds, tests included.
const FORBIDDEN: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "thread::sleep"];
/// What a user of a library has to be shown.
const ITEMS: [&str; 6] = ["fn", "const fn", "async fn", "struct", "enum", "trait"];

/// Every check of one file; `library` says whether its public items are an interface.
pub(crate) fn check(file: &File, library: bool) -> Vec<Finding> {
    let code = code_only(&file.text);
    let mut findings: Vec<_> = module_doc(file).into_iter().collect();
    findings.extend(forbidden(file, &code));
    if !file.is_test() {
        findings.extend(lengths(file, &code));
        if library {
            findings.extend(examples(file, &code));
        }
    }
    findings
}

fn module_doc(file: &File) -> Option<Finding> {
    let first = file
        .text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let documented = first.starts_with("//!") || first.starts_with("#![doc");
    (!documented).then(|| Finding::new(&file.path, 1, "begins without a module doc (//!)"))
}

fn forbidden(file: &File, code: &str) -> Vec<Finding> {
    let at = |place, what| Finding::new(&file.path, line_of(code, place), what);
    let mut findings = Vec::new();
    for word in FORBIDDEN {
        findings.extend(words(code, word).map(|place| at(place, format!("holds {word}"))));
    }
    let ignored = code.match_indices("#[ignore");
    findings.extend(ignored.map(|(place, _)| at(place, "holds an ignored test".to_owned())));
    for (index, line) in file.text.lines().enumerate() {
        let line = line.trim_start();
        let doc = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"));
        if doc.is_some_and(|doc| doc.trim_start().starts_with("```ignore")) {
            findings.push(Finding::new(
                &file.path,
                index + 1,
                "an example is marked ignore",
            ));
        }
    }
    findings
}

fn lengths(file: &File, code: &str) -> Vec<Finding> {
    let tests = test_lines(code);
    let tested = |line: &usize| tests.iter().any(|lines| lines.contains(line));
    let mut findings = Vec::new();
    let lines = (1..=file.text.lines().count())
        .filter(|line| !tested(line))
        .count();
    if lines > FILE_LINES_MAX {
        let what = format!("has {lines} lines without tests, more than {FILE_LINES_MAX}");
        findings.push(Finding::new(&file.path, 0, what));
    }
    for function in functions(code) {
        let (start, lines) = (*function.lines.start(), function.lines.count());
        if lines > FUNCTION_LINES_MAX && !tested(&start) {
            let what = format!(
                "{} has {lines} lines, more than {FUNCTION_LINES_MAX}",
                function.name
            );
            findings.push(Finding::new(&file.path, start, what));
        }
    }
    findings
}

/// Public items whose documentation has no example. One that refers to its module is shown there.
fn examples(file: &File, code: &str) -> Vec<Finding> {
    let tests = test_lines(code);
    let bare = without_attributes(code);
    let bare: Vec<&str> = bare.lines().collect();
    let text: Vec<&str> = file.text.lines().collect();
    let in_module = text.iter().any(|line| line.starts_with("//! ```"));
    let mut findings = Vec::new();
    for (index, line) in bare.iter().enumerate() {
        let Some(name) = public_item(line) else {
            continue;
        };
        if tests.iter().any(|lines| lines.contains(&(index + 1))) {
            continue;
        }
        let above = (0..index)
            .rev()
            .take_while(|above| bare[*above].trim().is_empty() && !text[*above].trim().is_empty());
        let docs: Vec<&str> = above.map(|above| text[above].trim_start()).collect();
        let shown = docs.iter().any(|doc| doc.starts_with("/// ```"));
        let referred = in_module && docs.iter().any(|doc| doc.contains("[module](self)"));
        if !shown && !referred {
            let what = format!("{name} is public and its doc has no example");
            findings.push(Finding::new(&file.path, index + 1, what));
        }
    }
    findings
}

/// The name of the public item that a line begins. A name that a macro makes is the macro's.
fn public_item(line: &str) -> Option<&str> {
    let item = line.trim_start().strip_prefix("pub ")?;
    let named = ITEMS
        .iter()
        .find_map(|word| item.strip_prefix(word)?.strip_prefix(' '))?;
    let end = named
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(named.len());
    Some(&named[..end]).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let file = File {
            path: "a/src/b.rs".into(),
            text: text.into(),
        };
        check(&file, true).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_begins_with_its_doc() {
        assert_eq!(
            found("fn f() {}"),
            ["a/src/b.rs:1: begins without a module doc (//!)"]
        );
        assert!(found("//! It.\nfn f() {}").is_empty());
        assert!(found("#![doc = \"x\"]\nfn f() {}").is_empty());
    }

    #[test]
    fn unfinished_code_is_named() {
        for code in [
            "todo!()",
            "unimplemented!()",
            "dbg!(1)",
            "std::thread::sleep(d)",
        ] {
            assert_eq!(
                found(&format!("//! It.\nfn f() {{ {code} }}")).len(),
                1,
                "{code}"
            );
        }
        assert_eq!(found("//! It.\n#[ignore = \"slow\"]\nfn f() {}").len(), 1);
        assert_eq!(found("//! It.\n//! ```ignore\n//! ```\n").len(), 1);
        assert!(found("//! It.\n// todo!()\nfn f() { g(\"dbg!\") }").is_empty());
    }

    #[test]
    fn long_functions_and_files_are_named_and_tests_are_not() {
        let long = format!("fn f() {{\n{}}}\n", "    g();\n".repeat(69));
        assert_eq!(
            found(&format!("//! It.\n{long}")),
            ["a/src/b.rs:2: f has 71 lines, more than 70"]
        );
        assert!(found(&format!("//! It.\n#[cfg(test)]\nmod tests {{\n{long}}}\n")).is_empty());
        let lines = "const A: u8 = 1;\n".repeat(500);
        assert_eq!(
            found(&format!("//! It.\n{lines}")),
            ["a/src/b.rs: has 501 lines without tests, more than 500"]
        );
        assert!(found(&format!("//! It.\n#[cfg(test)]\nmod tests {{\n{lines}}}\n")).is_empty());
    }

    #[test]
    fn public_items_need_an_example() {
        for item in [
            "pub fn f() {}",
            "pub const fn f() {}",
            "pub struct f;",
            "pub trait f {}",
        ] {
            assert_eq!(
                found(&format!("//! It.\n/// Text.\n{item}")),
                ["a/src/b.rs:3: f is public and its doc has no example"]
            );
            let shown = "//! It.\n/// ```\n/// f();\n/// ```\n#[must_use]\n#[a(\n  b\n)]\n";
            assert!(found(&format!("{shown}{item}")).is_empty());
        }
        let exempt =
            "pub(crate) fn f() {}\npub const A: u8 = 1;\npub use a::b;\npub fn $name() {}\n";
        assert!(found(&format!("//! It.\n{exempt}")).is_empty());
        let referred = "/// See the [module](self).\npub trait T {}";
        assert_eq!(found(&format!("//! It.\n{referred}")).len(), 1);
        assert!(found(&format!("//! ```\n//! ```\n{referred}")).is_empty());
    }
}
