//! What the project asks of itself beyond what its compiler and linter check.

use std::path::Path;
use std::process::Command;
use std::{fmt, io};

use serde_json::Value;

use crate::tree;

mod documents;
mod graph;
mod laws;
mod sources;
mod traits;

/// Something to correct.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    /// From 1; 0 when it is the file as a whole.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Runs every check on the project that this program was built from.
pub(crate) fn run() -> io::Result<Vec<Finding>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or_else(|| io::Error::other("this crate has no directory above it"))?;
    let files = tree::files(root)?;
    let metadata = cargo(root, &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = graph::packages(&metadata);
    let features = cargo(
        root,
        &["tree", "--workspace", "-e", "features", "-i", "serde_json"],
    )?;

    let mut findings = Vec::new();
    for file in &files {
        findings.extend(documents::build_paths(file));
        if file.is("rs") {
            findings.extend(traits::check(file));
            findings.extend(sources::check(
                file,
                graph::is_library(&packages, &file.path),
            ));
        }
        if file.is("md") {
            findings.extend(documents::links(file, &|path| root.join(path).exists()));
        }
    }
    findings.extend(documents::crate_table(&files, &packages));
    findings.extend(documents::changelog(&files));
    findings.extend(documents::vectors(&files));
    findings.extend(laws::check(&files));
    findings.extend(graph::layers(&packages));
    findings.extend(graph::features(&features));
    Ok(findings)
}

fn cargo(root: &Path, arguments: &[&str]) -> io::Result<String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        let fault = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(fault));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
