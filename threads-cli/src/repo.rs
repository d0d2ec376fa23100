//! The repository: a directory with a datastore and the identity in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Datastore;
use threads_core::{CollectionName, Error, ErrorKind};
use threads_db::query::QueryCaps;
use threads_db::{Collection, Db, Node, NodeBuilder};
use threads_store_lmdb::Lmdb;

use serde_json::Value;

use crate::exit::{Advise, Failure, Result};
use crate::link::client::Linked;

const VARIABLE: &str = "THREADS_REPO";
/// The datastore, in the repository's directory.
const STORE: &str = "store";

/// Where the repository is, or will be.
pub(crate) struct Repo {
    dir: PathBuf,
}

impl Repo {
    /// The directory that was asked for, or `$THREADS_REPO`, or the user's data directory.
    pub(crate) fn at(asked: Option<PathBuf>) -> Result<Self> {
        let named = || std::env::var_os(VARIABLE).filter(|dir| !dir.is_empty());
        let dir = match asked.or_else(|| named().map(PathBuf::from)) {
            Some(dir) => dir,
            None => directories::ProjectDirs::from("", "", "threads")
                .map(|dirs| dirs.data_dir().to_owned())
                .ok_or_else(|| {
                    let error = Error::not_found("this account has no data directory");
                    Failure::new(error, "name a directory: `threads --repo DIR …`")
                })?,
        };
        Ok(Self { dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn store(&self) -> PathBuf {
        self.dir.join(STORE)
    }

    /// Opens the repository, and makes it first if there is none; says whether it did.
    pub(crate) fn init(&self) -> Result<(Node, bool)> {
        let new = is_empty(&self.store());
        if new {
            make_private(&self.store()).map_err(|error| {
                let said = Error::unavailable("the repository's directory cannot be made")
                    .with("directory", self.dir.display())
                    .with("cause", &error)
                    .caused_by(error);
                Failure::new(said, "name another directory: `threads --repo DIR init`")
            })?;
        }
        Ok((self.node(Lmdb::open(self.store()))?, new))
    }

    /// Opens the repository to change it: its datastore, or through the process that serves it.
    pub(crate) fn writer(&self) -> Result<Node> {
        self.check()?;
        match Lmdb::open(self.store()) {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                match Linked::open(&self.dir)? {
                    Some(linked) => self.node(Ok(linked)),
                    None => self.node(Err::<Lmdb, _>(error)),
                }
            }
            store => self.node(store),
        }
    }

    /// Opens the repository to read it, as the process that serves it sees it, which knows more than is
    /// on disk: what peers said a moment ago.
    pub(crate) fn live(&self) -> Result<Node> {
        self.check()?;
        match Linked::open(&self.dir)? {
            Some(linked) => self.node(Ok(linked)),
            None => self.reader(),
        }
    }

    /// Opens the repository as the one process that may change it, with its datastore for others.
    pub(crate) fn owner(&self, replica_quota: Option<u64>) -> Result<(Node, Arc<Lmdb>)> {
        self.check()?;
        let store = Lmdb::open(self.store()).map(Arc::new);
        let shared = store.as_ref().ok().map(Arc::clone);
        let node = self.node_with(store, |builder| match replica_quota {
            Some(quota) => builder.replica_quota(quota),
            None => builder,
        })?;
        // There is a node only if there is a store.
        let store = shared.ok_or_else(|| Error::unavailable("the repository cannot be opened"))?;
        Ok((node, store))
    }

    /// Opens the repository to read it, while another process may change it.
    pub(crate) fn reader(&self) -> Result<Node> {
        self.check()?;
        match Lmdb::open_read_only(self.store()) {
            // A store of an earlier version, or one that was never finished: opening it for
            // writing puts that right.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::NotFound) => {
                self.writer()
            }
            store => self.node(store),
        }
    }

    /// Refuses to go on without a repository.
    pub(crate) fn check(&self) -> Result<()> {
        match fs::metadata(self.store()) {
            Ok(about) if about.is_dir() && !is_empty(&self.store()) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let said = Error::unavailable("the repository's directory cannot be read")
                    .with("directory", self.dir.display())
                    .with("cause", &error)
                    .caused_by(error);
                return Err(Failure::new(
                    said,
                    "check that you may read it, or name another: `threads --repo DIR …`",
                ));
            }
            _ => {}
        }
        let error =
            Error::not_found("there is no repository").with("directory", self.dir.display());
        let help = match std::env::var_os(VARIABLE) {
            _ if self.dir.exists() => "`threads init` makes one there; --repo DIR names another",
            Some(dir) if dir == self.dir.as_os_str() => {
                "`threads init` makes one there; $THREADS_REPO names that directory"
            }
            _ => "`threads init` makes one there; --repo DIR names another directory",
        };
        Err(Failure::new(error, help))
    }

    fn node(&self, store: Result<impl Datastore, Error>) -> Result<Node> {
        self.node_with(store, |builder| builder)
    }

    fn node_with(
        &self,
        store: Result<impl Datastore, Error>,
        how: impl FnOnce(NodeBuilder) -> NodeBuilder,
    ) -> Result<Node> {
        store
            .and_then(|store| {
                // The user's own queries, in a process of their own.
                let caps = QueryCaps::unbounded();
                let builder = Node::builder(store).codec(JsonPatch::new());
                how(builder.query_caps(caps)).open()
            })
            .advise(ErrorKind::Unavailable, || {
                "one process at a time can change a repository, unless it is `threads serve`: wait \
                 for the other one; `threads find`, `log`, `watch` and the like work meanwhile"
                    .to_owned()
            })
            .advise_by(|error| self.damage_help(error))
    }

    /// What to do about a store that is damaged, or another program's.
    fn damage_help(&self, error: &Error) -> Option<String> {
        matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid).then(|| {
            let dir = self.dir.display();
            format!(
                "move {dir} away, make a new repository with `threads init`, and bring each \
                 export back with `threads restore FILE`; or name another directory with --repo"
            )
        })
    }
}

/// Whether a directory holds nothing, or is not there: no store was ever made in it.
fn is_empty(dir: &Path) -> bool {
    match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// The keys are in there: nobody else on this machine needs to read it.
fn make_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// A thread by its name or id.
pub(crate) fn open(node: &Node, name: &str) -> Result<Db> {
    node.open(name).advise(ErrorKind::NotFound, || {
        format!(
            "`threads ls` lists the threads; `threads create {}` makes one",
            quoted(name)
        )
    })
}

/// A collection of a thread.
pub(crate) fn collection(db: &Db, name: &CollectionName) -> Result<Collection<Value>> {
    db.collection(name.as_str())
        .advise(ErrorKind::NotFound, || {
            let db = quoted(db.name());
            format!(
                "`threads collection add {db} {name}` defines it; \
             `threads collection ls {db}` lists those there are"
            )
        })
}

/// A name as a shell reads it.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.is_empty() && name.chars().all(plain) {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', r"'\''"))
}
