//! The files of the project.

use std::path::Path;
use std::{fs, io};

/// What is made, and what belongs to tools.
const SKIPPED: [&str; 4] = ["target", ".git", "node_modules", "__pycache__"];
/// How deep a file may lie.
const DEPTH_MAX: usize = 16;

/// A file: its path from the root of the project, with `/`, and its text.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// Whether its name ends so.
    pub(crate) fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }

    /// Whether it is a test, or belongs to one.
    pub(crate) fn is_test(&self) -> bool {
        self.path
            .split('/')
            .any(|part| part == "tests" || part == "tests.rs")
    }
}

/// Every file of text under `root`, by path.
pub(crate) fn files(root: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    collect(root, "", DEPTH_MAX, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn collect(dir: &Path, prefix: &str, depth: usize, files: &mut Vec<File>) -> io::Result<()> {
    if depth == 0 {
        return Err(io::Error::other(format!("{prefix} lies too deep")));
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        // In a second working tree of a repository, `.git` is a file.
        if SKIPPED.contains(&&*name) {
            continue;
        }
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), depth - 1, files)?;
        } else if kind.is_file() {
            // What is not text says nothing that could be checked here.
            if let Ok(text) = String::from_utf8(fs::read(entry.path())?) {
                files.push(File { path, text });
            }
        }
    }
    Ok(())
}
