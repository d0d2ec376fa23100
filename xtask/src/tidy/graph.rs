//! Checks of which crate depends on what.

use serde_json::Value;

use super::Finding;

/// What only implementations may name.
const RUNTIMES: [&str; 3] = ["tokio", "libp2p", "heed"];
/// The store on it, and what measures that store against it.
const USERS_OF_HEED: [&str; 2] = ["threads-store-lmdb", "threads-benches"];
/// The one that names libp2p.
const USER_OF_LIBP2P: &str = "threads-net-libp2p";
/// Implementations of the traits begin so.
const IMPLEMENTATIONS: [&str; 4] = [
    "threads-store-",
    "threads-codec-",
    "threads-net-",
    "threads-acl",
];

/// A crate of the workspace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its directory from the root, with a `/` at the end.
    dir: String,
    library: bool,
    /// What it is built from, and what only its tests use.
    dependencies: Vec<String>,
    dev_dependencies: Vec<String>,
}

/// The crates of the workspace, from `cargo metadata`.
pub(crate) fn packages(metadata: &Value) -> Vec<Package> {
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let package = |package: &Value| {
        let manifest = text(&package["manifest_path"]).replace('\\', "/");
        let dir = manifest.trim_end_matches("Cargo.toml");
        let dir = dir
            .strip_prefix(&root.replace('\\', "/"))
            .unwrap_or(dir)
            .trim_start_matches('/');
        let (dev, built): (Vec<_>, Vec<_>) = list(&package["dependencies"])
            .into_iter()
            .partition(|found| found["kind"] == "dev");
        let names = |found: Vec<Value>| found.iter().map(|one| text(&one["name"])).collect();
        Package {
            name: text(&package["name"]),
            dir: dir.to_owned(),
            library: list(&package["targets"])
                .iter()
                .any(|target| list(&target["kind"]).contains(&"lib".into())),
            dependencies: names(built),
            dev_dependencies: names(dev),
        }
    };
    list(&metadata["packages"]).iter().map(package).collect()
}

/// Whether a file is part of a library's source.
pub(crate) fn is_library(packages: &[Package], path: &str) -> bool {
    let source = |package: &&Package| path.strip_prefix(&package.dir)?.strip_prefix("src/");
    packages
        .iter()
        .any(|package| package.library && source(&package).is_some())
}

/// The layers: core names no runtime, one store names its library, implementations know nothing
/// of the engine.
pub(crate) fn layers(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let manifest = format!("{}Cargo.toml", package.dir);
        let mut wrong = |name: &str, why: &str| {
            let what = format!("{} depends on {name}: {why}", package.name);
            findings.push(Finding::new(&manifest, 0, what));
        };
        let all = package.dependencies.iter().chain(&package.dev_dependencies);
        if !USERS_OF_HEED.contains(&&*package.name) {
            all.filter(|name| *name == "heed")
                .for_each(|name| wrong(name, "only the store on it and the benchmarks may"));
        }
        if package.name != USER_OF_LIBP2P && package.name != "threads-core" {
            let all = package.dependencies.iter().chain(&package.dev_dependencies);
            all.filter(|name| name.starts_with("libp2p"))
                .for_each(|name| wrong(name, "only the transport on it may"));
        }
        for name in &package.dependencies {
            if package.name == "threads-core" && RUNTIMES.iter().any(|word| name.starts_with(word))
            {
                wrong(
                    name,
                    "the core names no runtime, network or storage library",
                );
            }
            let implements = IMPLEMENTATIONS
                .iter()
                .any(|prefix| package.name.starts_with(prefix));
            if implements && name == "threads-db" {
                wrong(name, "an implementation depends on threads-core alone");
            }
        }
    }
    findings
}

/// Numbers keep their value: no crate may turn serde_json's numbers into text for all the others.
pub(crate) fn features(tree: &str) -> Vec<Finding> {
    let wrong = tree
        .lines()
        .find(|line| line.contains("serde_json feature \"arbitrary_precision\""));
    let what = "serde_json's arbitrary_precision is enabled: see who asks with cargo tree";
    wrong
        .map(|_| Finding::new("Cargo.toml", 0, what))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, built: &[&str], dev: &[&str]) -> Package {
        let one = |kind: Value| move |name: &&str| json!({"name": name, "kind": kind});
        let dependencies: Vec<_> = built
            .iter()
            .map(one(Value::Null))
            .chain(dev.iter().map(one("dev".into())))
            .collect();
        packages(&json!({"workspace_root": "/r", "packages": [{
            "name": name,
            "manifest_path": format!("/r/{name}/Cargo.toml"),
            "targets": [{"kind": ["lib"]}],
            "dependencies": dependencies,
        }]}))
        .remove(0)
    }

    #[test]
    fn metadata_is_read() {
        let package = package("a", &["b"], &["c"]);
        assert_eq!((&*package.dir, package.library), ("a/", true));
        assert_eq!(
            (package.dependencies, package.dev_dependencies),
            (vec!["b".into()], vec!["c".into()])
        );
    }

    #[test]
    fn library_sources_are_known_by_their_path() {
        let packages = [package("a", &[], &[])];
        assert!(is_library(&packages, "a/src/b/c.rs"));
        assert!(!is_library(&packages, "a/tests/b.rs"));
        assert!(!is_library(&packages, "b/src/c.rs"));
    }

    #[test]
    fn layers_are_kept_apart() {
        let wrong = [
            package("threads-core", &["libp2p-core"], &[]),
            package("threads-core", &["tokio"], &[]),
            package("threads-db", &[], &["heed"]),
            package("threads-codec-jsonpatch", &["threads-db"], &[]),
            package("threads-cli", &["libp2p"], &[]),
        ];
        for package in wrong {
            let name = package.name.clone();
            assert_eq!(layers(&[package]).len(), 1, "{name}");
        }
        let right = [
            package("threads-core", &["serde"], &["tokio"]),
            package("threads-store-lmdb", &["heed"], &["threads-db"]),
            package("threads-cli", &["threads-db", "tokio"], &[]),
            package("threads-net-libp2p", &["libp2p", "tokio"], &[]),
            package("threads-benches", &["threads-db", "heed"], &[]),
        ];
        assert!(layers(&right).is_empty());
    }

    #[test]
    fn numbers_as_text_are_named() {
        assert_eq!(
            features("├── serde_json feature \"arbitrary_precision\"\n").len(),
            1
        );
        assert!(features("├── serde_json feature \"std\"\n").is_empty());
    }
}
