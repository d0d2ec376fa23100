//! The repository: a directory with a datastore, and a keystore with the identity.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use threads_acl::Acl;
use threads_codec_automerge::Automerge;
use threads_codec_jsonpatch::JsonPatch;
use threads_codec_lww::Lww;
use threads_core::datastore::Datastore;
use threads_core::{CollectionName, Error, ErrorKind, IdentityKey, system_rng};
use threads_db::query::QueryCaps;
use threads_db::{Collection, Db, Keystore, Node, NodeBuilder};
use threads_store_lmdb::Lmdb;
use zeroize::Zeroizing;

use serde_json::Value;

use crate::exit::{Advise, Failure, Result};
use crate::keys::{self, Keys};
use crate::link::client::Linked;

/// How often to look for what another process has committed: no notification crosses processes.
pub(crate) const POLL: Duration = Duration::from_millis(100);
const VARIABLE: &str = "THREADS_REPO";
/// The datastore, in the repository's directory.
const STORE: &str = "store";

/// Where the repository is, or will be.
pub(crate) struct Repo {
    dir: PathBuf,
    keys: Keys,
}

/// What a new repository begins with.
pub(crate) struct Begin {
    /// Who it is of; somebody new without it.
    pub(crate) identity: Option<IdentityKey>,
    /// What protects its keys, if anything does.
    pub(crate) passphrase: Option<Zeroizing<String>>,
}

impl Repo {
    /// The directory that was asked for, or `$THREADS_REPO`, or the user's data directory.
    pub(crate) fn at(asked: Option<PathBuf>, passphrase_file: Option<PathBuf>) -> Result<Self> {
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
        let keys = Keys::of(&dir, passphrase_file);
        Ok(Self { dir, keys })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn store(&self) -> PathBuf {
        self.dir.join(STORE)
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Whether nothing is there yet.
    pub(crate) fn is_new(&self) -> bool {
        is_empty(&self.store())
    }

    /// Refuses to go on with a repository, or with what a lost one left.
    pub(crate) fn check_is_new(&self) -> Result<()> {
        if self.is_new() && self.keys.path().symlink_metadata().is_err() {
            return Ok(());
        }
        let error = Error::conflict("there is a repository already, with an identity of its own")
            .with("directory", self.dir.display());
        let help = "name another directory, to be made: `threads --repo DIR identity recover`";
        Err(Failure::new(error, help))
    }

    /// Opens the repository, and makes it first if there is none; says whether it did.
    pub(crate) fn init(&self, begin: &Begin) -> Result<(Node, bool)> {
        if !self.is_new() {
            return Ok((self.writer()?, false));
        }
        make_private(&self.store()).map_err(|error| {
            let said = Error::unavailable("the repository's directory cannot be made")
                .with("directory", self.dir.display())
                .with("cause", &error)
                .caused_by(error);
            Failure::new(said, "name another directory: `threads --repo DIR init`")
        })?;
        let store = self.opened(Lmdb::open(self.store()))?;
        let passphrase = begin
            .passphrase
            .as_ref()
            .map(|passphrase| passphrase.as_str());
        let keystore = match begin.identity.clone() {
            None => self.keys.for_store(&store, passphrase)?,
            identity => {
                Keystore::create(self.keys.path(), identity, passphrase, &mut system_rng())?
            }
        };
        Ok((self.node(store, Some(&keystore))?, true))
    }

    /// Opens the repository to change it: its datastore, or through the process that serves it.
    pub(crate) fn writer(&self) -> Result<Node> {
        self.check()?;
        // Who serves has opened the keystore: nobody needs the passphrase again.
        if self.is_protected()?
            && let Some(linked) = Linked::open(&self.dir)?
        {
            return self.node(linked, None);
        }
        // Nobody else waits for the repository while the user types.
        let keystore = self.keys.opened()?;
        self.writer_with(keystore)
    }

    fn writer_with(&self, keystore: Option<Keystore>) -> Result<Node> {
        match Lmdb::open(self.store()) {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                match Linked::open(&self.dir)? {
                    Some(linked) => self.node(linked, None),
                    None => self.opened(Err(error)),
                }
            }
            store => self.own(self.opened(store)?, keystore, |builder| builder),
        }
    }

    /// Opens the repository to read it, as the process that serves it sees it, which knows more than is
    /// on disk: what peers said a moment ago.
    pub(crate) fn live(&self) -> Result<Node> {
        self.check()?;
        match Linked::open(&self.dir)? {
            Some(linked) => self.node(linked, None),
            None => self.reader(),
        }
    }

    /// Opens the repository as the one process that may change it.
    pub(crate) fn owner(&self, replica_quota: Option<u64>) -> Result<Node> {
        self.check()?;
        let keystore = self.keys.opened()?;
        let store = self.opened(Lmdb::open(self.store()))?;
        if Node::is_wipe_due(&store)? {
            // What was purged while it was served last.
            store.wipe()?;
            Node::note_wiped(&store)?;
        }
        self.own(store, keystore, |builder| match replica_quota {
            Some(quota) => builder.replica_quota(quota),
            None => builder,
        })
    }

    /// Writes over what the datastore still holds of what was removed, unless another process has it.
    pub(crate) fn wipe(&self) -> Result {
        let store = self.opened(Lmdb::open(self.store()))?;
        store.wipe()?;
        Ok(Node::note_wiped(&store)?)
    }

    /// Opens the repository to read it, while another process may change it.
    pub(crate) fn reader(&self) -> Result<Node> {
        self.check()?;
        if self.is_protected()?
            && let Some(linked) = Linked::open(&self.dir)?
        {
            return self.node(linked, None);
        }
        let keystore = self.keys.opened()?;
        match Lmdb::open_read_only(self.store()) {
            // A store of an earlier version, or one that was never finished: opening it for
            // writing puts that right.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::NotFound) => {
                self.writer_with(keystore)
            }
            store => self.node(self.opened(store)?, keystore.as_ref()),
        }
    }

    fn is_protected(&self) -> Result<bool> {
        Ok(self.keys.at_rest()?.is_some_and(|file| file.is_protected()))
    }

    /// Opens the datastore that only this process may change, and makes its keystore if it has none.
    fn own(
        &self,
        store: Lmdb,
        keystore: Option<Keystore>,
        how: impl FnOnce(NodeBuilder) -> NodeBuilder,
    ) -> Result<Node> {
        let keystore = match keystore {
            Some(keystore) => keystore,
            None => self.keys.for_store(&store, None)?,
        };
        self.node_with(store, Some(&keystore), how)
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

    fn node(&self, store: impl Datastore, keystore: Option<&Keystore>) -> Result<Node> {
        self.node_with(store, keystore, |builder| builder)
    }

    fn node_with(
        &self,
        store: impl Datastore,
        keystore: Option<&Keystore>,
        how: impl FnOnce(NodeBuilder) -> NodeBuilder,
    ) -> Result<Node> {
        // The user's own queries, in a process of their own.
        let caps = QueryCaps::unbounded();
        let mut builder = Node::builder(store)
            .codec(JsonPatch::new())
            .codec(Lww::new())
            .codec_for(|own| Automerge::of(own.to_string()))
            .policy(Acl::new())
            .query_caps(caps);
        if let Some(keystore) = keystore {
            builder = builder.keystore(keystore);
        }
        self.opened(how(builder).open())
    }

    /// Adds what to do when the datastore, or the node over it, does not open.
    fn opened<T>(&self, result: Result<T, Error>) -> Result<T> {
        result
            .advise_by(keys::help)
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
