//! What the documents say is still so: the start compiles and runs, queries parse, and the files
//! and tests that ARCHITECTURE.md names are there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use threads_db::query::Query;

/// How deep directories are looked into.
const DEPTH_MAX: usize = 8;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files under `dir` whose names end so.
fn files(dir: &Path, ending: &str, depth: usize, found: &mut Vec<PathBuf>) {
    assert!(depth <= DEPTH_MAX, "{} is too deep", dir.display());
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, ending, depth + 1, found);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

/// The code blocks of one kind in a document.
fn blocks<'t>(text: &'t str, kind: &str) -> Vec<&'t str> {
    let fence = format!("```{kind}\n");
    text.split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .collect()
}

/// The words between single backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_test_name(word: &str) -> bool {
    let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    word.matches('_').count() >= 2 && word.chars().all(snake)
}

#[test]
fn the_start_in_the_readme_is_the_one_that_compiles() {
    let main = read("examples/quickstart/src/main.rs");
    let code = main.split("// README: begin\n").nth(1).unwrap();
    let code = code.split("\n// README: end").next().unwrap();
    assert!(
        blocks(&read("README.md"), "rust").contains(&code),
        "copy src/main.rs to README.md"
    );
    let lines = code.lines().filter(|line| !line.is_empty()).count();
    assert!(lines <= 32, "a thirty-line start has {lines} lines");
}

#[test]
fn the_start_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut start = Command::new(env!("CARGO_BIN_EXE_example-quickstart"));
    let output = start.current_dir(dir.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(text, "Ann is 61\nBob is 67\nintact: true\n");
}

#[test]
fn every_query_in_the_documents_parses() {
    let text = read("docs/query-language.md");
    let good: Vec<_> = blocks(&text, "query")
        .iter()
        .flat_map(|block| block.lines())
        .collect();
    assert!(good.len() >= 10, "{good:?}");
    for line in good {
        Query::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    let bad: Vec<_> = blocks(&text, "refused")
        .iter()
        .flat_map(|block| block.lines())
        .collect();
    assert!(
        bad.len() % 2 == 0 && !bad.is_empty(),
        "a query, and what is said of it"
    );
    for pair in bad.chunks(2) {
        assert_eq!(Query::parse(pair[0]).unwrap_err().to_string(), pair[1]);
    }
}

/// All of the code, tests included.
fn code() -> String {
    let mut sources = Vec::new();
    files(&root(), ".rs", 0, &mut sources);
    sources
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

fn assert_are_tests(names: &[&str], code: &str) {
    for name in names {
        let test = format!("fn {name}(");
        let (before, _) = code
            .split_once(&test)
            .unwrap_or_else(|| panic!("no test is called {name}"));
        // Attributes and the line of the function itself come between.
        let above = before
            .lines()
            .rev()
            .take(4)
            .any(|line| line.trim() == "#[test]" || line.trim().starts_with("#[tokio::test"));
        assert!(above, "{name} is no test");
    }
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let text = read("ARCHITECTURE.md");
    let text = text.split("## Invariants").nth(1).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let names: Vec<_> = quoted(text).filter(|word| is_test_name(word)).collect();
    assert!(names.len() >= 20, "{names:?}");
    let code = code();
    for name in names {
        assert!(
            code.contains(&format!("fn {name}(")),
            "no test is called {name}"
        );
    }
}

/// The attacks that concern what is built.
const ATTACKS: [std::ops::RangeInclusive<u32>; 2] = [1..=48, 50..=60];

#[test]
fn every_attack_names_a_test_that_carries_its_number() {
    let (text, code) = (read("spec/threats.md"), code());
    let table = text.split("## Attacks by number").nth(1).unwrap();
    let mut rows = Vec::new();
    for line in table.lines() {
        let Some(cells) = line.strip_prefix("| ") else {
            continue;
        };
        let cells: Vec<_> = cells.trim_end_matches('|').split(" | ").collect();
        let Ok(row) = cells[0].parse::<u32>() else {
            continue;
        };
        assert_eq!(cells.len(), 4, "{line}");
        let names: Vec<_> = quoted(cells[3]).collect();
        assert_are_tests(&names, &code);
        let number = format!("row_{row:02}_");
        assert!(
            names.iter().any(|name| name.starts_with(&number)),
            "no test of row {row} begins with {number}"
        );
        rows.push(row);
        // Every test that carries the number is in the table.
        for part in code.split(&format!("fn {number}")).skip(1) {
            let name = number.clone() + part.split('(').next().unwrap();
            assert!(names.contains(&&*name), "row {row} does not name {name}");
        }
    }
    let wanted: Vec<_> = ATTACKS.into_iter().flatten().collect();
    assert_eq!(rows, wanted);
}

/// The functions of one name in a file, with their bodies.
fn functions<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let begin = format!("fn {name}(");
    let after = text.split(&*begin).skip(1);
    after.filter_map(|rest| rest.split("\n\n").next()).collect()
}

/// No clock shows it on a busy machine, so it is looked up: what a peer sends is compared with a secret
/// in these places only, and keys with each other by their own equality.
#[test]
fn row_48_secrets_are_compared_in_constant_time() {
    for (path, function) in [
        ("threads-core/src/key/symmetric.rs", "proves"),
        ("threads-core/src/key/symmetric.rs", "open_synthetic"),
        ("threads-db/src/sync/compare.rs", "compared"),
        ("threads-db/src/invite/request.rs", "decide"),
    ] {
        let text = read(path);
        let found = functions(&text, function);
        assert!(
            !found.is_empty() && found.iter().all(|body| body.contains("ct_eq(")),
            "{path}: {function}"
        );
    }
    let mut equalities = 0;
    for name in ["agreement", "signing", "symmetric"] {
        let path = format!("threads-core/src/key/{name}.rs");
        for body in functions(&read(&path), "eq") {
            assert!(body.contains("self.ct_eq(other).into()"), "{path}: {body}");
            equalities += 1;
        }
    }
    assert_eq!(equalities, 3, "one for each kind of key");
}

#[test]
fn core_and_db_never_spawn_sleep_or_read_a_clock() {
    let clock = root().join("threads-core/src/clock.rs");
    for package in [
        "threads-core",
        "threads-db",
        "threads-codec-jsonpatch",
        "threads-codec-lww",
        "threads-shapes",
        "threads-acl",
    ] {
        let mut sources = Vec::new();
        files(&root().join(package).join("src"), ".rs", 0, &mut sources);
        for path in sources {
            let text = fs::read_to_string(&path).unwrap();
            for word in [
                "thread::spawn",
                "thread::sleep",
                "Instant::now",
                "SystemTime::now",
            ] {
                let allowed = path == clock && word == "SystemTime::now";
                assert!(
                    allowed || !text.contains(word),
                    "{}: {word}",
                    path.display()
                );
            }
        }
    }
}

/// Rows of what one wants that lead to no code in Rust: the start is above them, a shell has none, another language has its own.
const WITHOUT_RUST: [&str; 3] = [
    "build an application",
    "do all of this from a shell",
    "read threads in another language",
];

/// What applications choose among: each is in some row.
const WANTED: [&str; 18] = [
    "threads-db/README.md#several-codecs",
    "threads-codec-lww/README.md",
    "threads-codec-automerge/README.md",
    "threads-shapes/src/kv.rs",
    "threads-shapes/src/feed.rs",
    "threads-shapes/src/counter.rs",
    "threads-shapes/src/table.rs",
    "threads-shapes/src/docs.rs",
    "docs/snapshots.md",
    "docs/time-travel.md",
    "docs/live-views.md",
    "docs/live-views.md#a-view-of-your-own",
    "docs/blobs.md",
    "modules/person/README.md",
    "modules/photos/README.md",
    "modules/messages/README.md",
    "docs/publishing-a-module.md",
    "docs/publishing-a-module.md#minute-30-make-a-later-version",
];

/// A heading as links name it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// Whether cargo compiles the code of a page: a source with examples, or one that a library includes.
fn compiles(path: &str, included: &[String]) -> bool {
    let text = read(path);
    if path.ends_with(".rs") {
        return text.contains("/// ```\n") || text.contains("//! ```\n");
    }
    let page = fs::canonicalize(root().join(path)).unwrap();
    let is_page = |found: &String| fs::canonicalize(found).is_ok_and(|found| found == page);
    text.contains("```rust\n") && included.iter().any(is_page)
}

#[test]
fn what_one_wants_leads_to_code_that_compiles() {
    let mut sources = Vec::new();
    files(&root(), "lib.rs", 0, &mut sources);
    let mut included = Vec::new();
    for source in &sources {
        let text = fs::read_to_string(source).unwrap();
        for part in text.split("include_str!(\"").skip(1) {
            let page = part.split('"').next().unwrap();
            let page = source.parent().unwrap().join(page);
            included.push(page.display().to_string());
        }
    }
    let text = read("README.md");
    let table = text.split("| I want to… |").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let mut pages = Vec::new();
    for row in table.lines().filter(|row| row.starts_with("| ")) {
        let want = row.trim_start_matches("| ").split(" | ").next().unwrap();
        let links = row.split("](").skip(1);
        let links: Vec<_> = links.map(|rest| rest.split(')').next().unwrap()).collect();
        let mut shown = false;
        for link in &links {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let is_heading = |line: &str| {
                line.starts_with('#') && anchor(line.trim_start_matches('#').trim()) == heading
            };
            let there = heading.is_empty() || read(path).lines().any(is_heading);
            assert!(there, "{want}: {link} has no such heading");
            shown |= root().join(path).is_file() && compiles(path, &included);
        }
        let exempt = WITHOUT_RUST.contains(&want);
        assert!(
            shown != exempt,
            "{want} leads to no code that compiles: {links:?}"
        );
        pages.extend(links);
    }
    for wanted in WANTED {
        assert!(pages.contains(&wanted), "nobody is led to {wanted}");
    }
}

#[test]
fn every_file_of_the_library_is_in_the_code_map() {
    let text = read("ARCHITECTURE.md");
    for package in [
        "threads-core",
        "threads-db",
        "threads-store-group",
        "threads-store-lmdb",
        "threads-store-redb",
        "threads-codec-jsonpatch",
        "threads-codec-lww",
        "threads-shapes",
        "threads-conformance",
        "threads-acl",
    ] {
        let section = text.split(&format!("### {package}\n")).nth(1).unwrap();
        let section = section.split("\n##").next().unwrap();
        for entry in fs::read_dir(root().join(package).join("src")).unwrap() {
            let path = entry.unwrap().path();
            let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
                continue;
            };
            let listed = quoted(section).any(|word| word == name);
            assert!(
                listed || name == "lib",
                "{package}: {name} is not in the code map"
            );
        }
    }
}
